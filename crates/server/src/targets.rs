//! The kinds of targets there are, and which of them takes a message. A further kind is a further arm here.

use std::future::Future;
use std::pin::Pin;

use cosette_function::Functions;
use cosette_model::function::{Description, Home, Invocation, Invoke, Outcome, RetryPolicy, StatusCode};
use cosette_model::{BucketName, Cause, ObjectKey, Target, Timestamp};
use cosette_store::{Error as StoreError, Store};
use cosette_webhook::Webhooks;

/// Documents that are written into one place at once.
const DEPOSITS_MAX: usize = 4;

#[derive(Clone)]
pub(crate) struct Targets {
    pub(crate) functions: Functions,
    pub(crate) webhooks: Webhooks,
    pub(crate) store: Store,
}

impl Invoke for Targets {
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        match &invocation.target {
            Target::Function(_) => self.functions.invoke(invocation),
            Target::Webhook { .. } => self.webhooks.invoke(invocation),
            Target::Bucket { bucket, prefix } => {
                let (bucket, prefix) = (bucket.clone(), prefix.clone());
                Box::pin(async move { self.deposit(&bucket, &prefix, invocation).await })
            }
        }
    }

    fn signal(&self, request_id: &str) -> bool {
        self.functions.signal(request_id)
    }

    fn describe(&self, target: &Target) -> Option<Description> {
        match target {
            Target::Function(_) => self.functions.describe(target),
            Target::Webhook { .. } => self.webhooks.describe(target),
            Target::Bucket { bucket, .. } => {
                self.store.bucket(bucket).ok().flatten()?;
                let (retry, concurrency) = (RetryPolicy::default(), DEPOSITS_MAX);
                Some(Description { home: None, retry, concurrency, dead_letter: None })
            }
        }
    }
}

impl Targets {
    /// Webhooks of older data directories do not say whose the functions are that hear of what is not delivered to them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn upgrade(&self, home: &Home) -> Result<(), cosette_webhook::Error> {
        for mut webhook in self.webhooks.list() {
            let Some(Target::Function(function)) = &mut webhook.dead_letter else { continue };
            if function.appid.is_empty() {
                let found = self.functions.get(&function.full_name());
                function.appid = found.map_or_else(|_| home.appid.clone(), |found| found.appid);
                self.webhooks.put(webhook).await?;
            }
        }
        Ok(())
    }

    /// Writes the message as an object that is named after it: tried again it is the same object.
    async fn deposit(&self, bucket: &BucketName, prefix: &str, message: Invocation) -> Outcome {
        let name = format!("{prefix}{}.json", message.request_id);
        let cause =
            Cause { request_id: message.request_id, source_ip: "127.0.0.1".to_owned(), ..Cause::default() }
                .of(message.chain);
        if let Err(error) = ObjectKey::new(name.as_str()) {
            // Nothing is different the next time, and it must not count as delivered.
            return ended(StatusCode::UserCodeException, error.to_string());
        }
        let done = cosette_jobs::deposit(&self.store, bucket, &name, message.event, cause).await;
        let (status, error) = match done {
            Ok(()) => (StatusCode::Success, String::new()),
            Err(error @ StoreError::NoSuchBucket(_)) => (StatusCode::UserCodeException, error.to_string()),
            Err(error) => (StatusCode::InternalError, error.to_string()),
        };
        ended(status, error)
    }
}

fn ended(status: StatusCode, error: String) -> Outcome {
    Outcome {
        status,
        result: String::new(),
        error,
        log: String::new(),
        started: Timestamp::default(),
        duration_ms: 0.0,
        memory_bytes: 0,
    }
}
