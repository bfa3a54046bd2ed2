//! Functions that are Rust closures of this process, for programs that embed the server. They share the process
//! with it: nothing contains them, their memory is not measured, and one that blocks its thread blocks the server.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use cosette_model::function::StatusCode;
use cosette_model::{Chain, RoleKey};
use serde_json::json;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::instance::{CLOSING, seconds};
use crate::output::Kept;
use crate::protocol::RESULT_BYTES_MAX;
use crate::{Ran, Spec};

/// The runtime name of such functions. No service has it.
pub const CLOSURE: &str = "Rust";

/// The result as JSON text, or what went wrong.
type Answer = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// A function by its name.
#[derive(Clone)]
pub struct Closure {
    /// The function's name, in namespace `default`.
    pub name: String,
    /// Given the event's JSON text.
    pub run: Arc<dyn Fn(String, Context) -> Answer + Send + Sync>,
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closure").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a closure is told of its invocation, and its log.
#[derive(Clone, Debug)]
pub struct Context {
    /// Stays the same when the event is tried again.
    pub request_id: String,
    pub function: String,
    pub region: String,
    pub appid: String,
    /// What is signed with it is the doing of this invocation.
    key: Arc<RoleKey>,
    output: Arc<Mutex<Kept>>,
}

impl Context {
    /// Adds a line to the invocation's log; of all lines 256 KiB are kept.
    pub fn log(&self, line: impl fmt::Display) {
        let mut kept = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        kept.add(format!("{line}\n").as_bytes());
    }

    /// Temporary keys of this invocation: what they sign is known as its doing, so that loops are stopped and a
    /// wait covers it.
    pub fn secret_id(&self) -> &str {
        &self.key.key.account.secret_id
    }

    pub fn secret_key(&self) -> &str {
        &self.key.key.account.secret_key
    }

    pub fn token(&self) -> &str {
        self.key.key.session.as_ref().map_or("", |session| session.token.as_str())
    }
}

/// The closures of one server.
#[derive(Default)]
pub(crate) struct Closures(RwLock<HashMap<String, Closure>>);

impl Closures {
    pub(crate) fn add(&self, closure: Closure) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(closure.name.clone(), closure);
    }

    pub(crate) fn get(&self, name: &str) -> Option<Closure> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Closure {
    /// Runs one event to its end. It is let go of at its time-out, and when the future is dropped.
    pub(crate) async fn invoke(
        &self,
        spec: &Spec,
        request_id: &str,
        chain: &Chain,
        event: &str,
        closing: &mut watch::Receiver<bool>,
    ) -> Ran {
        let key = spec.keys.give();
        key.begin(chain.clone());
        let context = Context {
            request_id: request_id.to_owned(),
            function: spec.name.clone(),
            region: spec.region.clone(),
            appid: spec.appid.clone(),
            key,
            output: Arc::default(),
        };
        let output = Arc::clone(&context.output);
        let began = Instant::now();
        let (run, event) = (Arc::clone(&self.run), event.to_owned());
        // In a task of its own: its panic is a failure of the function's.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { run(event, context).await });
        let fail = |status, text: String| Err(Failure::new(status, text, request_id));
        let ended = tokio::select! {
            ended = task.join_next() => match ended {
                Some(Ok(Ok(result))) if result.len() > RESULT_BYTES_MAX => {
                    fail(StatusCode::ResponseTooLarge, "body size is too long".into())
                }
                Some(Ok(Ok(result))) => Ok(result),
                Some(Ok(Err(text))) => Err(Failure::raised(text, request_id)),
                Some(Err(error)) if error.is_panic() => Err(Failure::raised(panic_text(error.into_panic()), request_id)),
                Some(Err(_)) | None => fail(StatusCode::InternalError, CLOSING.into()),
            },
            () = tokio::time::sleep(spec.timeout) => {
                fail(StatusCode::TimeLimitReached, format!("Invoking task timed out after {}", seconds(spec.timeout)))
            }
            _ = closing.wait_for(|closing| *closing) => fail(StatusCode::InternalError, CLOSING.into()),
        };
        let duration = began.elapsed();
        let (status, result, error) = match ended {
            Ok(result) => (StatusCode::Success, result, String::new()),
            Err(failure) => (failure.status, failure.document, failure.text),
        };
        let output = output.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ran {
            status,
            result,
            error,
            init_output: String::new(),
            output,
            init_duration: None,
            runtime_duration: None,
            duration,
            memory_bytes: 0,
            refused: Vec::new(),
        }
    }
}

impl Failure {
    /// The function has said so itself.
    fn raised(text: String, request_id: &str) -> Self {
        let status = StatusCode::UserCodeException;
        let document = json!({
            "errorCode": 1,
            "errorMessage": text,
            "requestId": request_id,
            "statusCode": status.number(),
        });
        Self { status, document: document.to_string(), text }
    }
}

fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the closure panicked".to_owned())
}
