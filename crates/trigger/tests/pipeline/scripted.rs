//! Functions as scripts: a double of `Invoke` that notes each call.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use cosette_model::function::{Description, Home, Invocation, Invoke, Outcome, RetryPolicy, StatusCode};
use cosette_model::{Target, Timestamp};
use tokio::sync::watch;

type Script = Arc<dyn Fn(Invocation) -> Pin<Box<dyn Future<Output = StatusCode> + Send>> + Send + Sync>;

/// What has happened to one function.
#[derive(Default)]
pub(crate) struct Seen {
    /// In the order they began.
    pub calls: Vec<Invocation>,
    pub running: usize,
    pub running_max: usize,
}

#[derive(Default)]
pub(crate) struct Scripted {
    functions: Mutex<HashMap<String, (Description, Script)>>,
    seen: watch::Sender<HashMap<String, Seen>>,
}

impl Scripted {
    /// Makes or replaces a function that runs at most `concurrency` times at once.
    pub(crate) fn define<F, Fut>(&self, name: &str, concurrency: usize, script: F)
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = StatusCode> + Send + 'static,
    {
        let description = Description {
            home: Some(Home { region: "ap-guangzhou".into(), appid: "1250000000".into() }),
            retry: RetryPolicy::default(),
            concurrency,
            dead_letter: None,
        };
        let script: Script = Arc::new(move |invocation| Box::pin(script(invocation)));
        self.functions.lock().unwrap().insert(name.into(), (description, script));
    }

    /// A function that answers `status`, always.
    pub(crate) fn answer(&self, name: &str, status: StatusCode) {
        self.define(name, 8, move |_| async move { status });
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Description)) {
        change(&mut self.functions.lock().unwrap().get_mut(name).unwrap().0);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.functions.lock().unwrap().remove(name);
    }

    pub(crate) fn seen<T>(&self, name: &str, look: impl FnOnce(&Seen) -> T) -> T {
        look(self.seen.borrow().get(name).unwrap_or(&Seen::default()))
    }

    /// The request ids of the calls so far.
    pub(crate) fn ids(&self, name: &str) -> Vec<String> {
        self.seen(name, |seen| seen.calls.iter().map(|call| call.request_id.clone()).collect())
    }

    /// The keys of the COS events of the calls so far.
    pub(crate) fn keys(&self, name: &str) -> Vec<String> {
        self.seen(name, |seen| seen.calls.iter().map(|call| key(&call.event)).collect())
    }

    /// Returns once `holds` of the function.
    pub(crate) async fn until(&self, name: &str, holds: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let wait = seen.wait_for(|all| all.get(name).is_some_and(&holds));
        super::world::in_time(wait).await.unwrap();
    }

    fn note(&self, name: &str, note: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(|all| note(all.entry(name.to_owned()).or_default()));
    }
}

/// The object's key in an event's text, without appid and bucket.
pub(crate) fn key(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let key = event["Records"][0]["cos"]["cosObject"]["key"].as_str().unwrap();
    key.splitn(4, '/').nth(3).unwrap().to_owned()
}

fn name(target: &Target) -> &str {
    match target {
        Target::Function(function) => &function.name,
        Target::Webhook { webhook } => webhook,
        Target::Bucket { prefix, .. } => prefix,
    }
}

/// Counts one call as running while it lives, so that an abandoned call ends too.
struct Running<'a>(&'a Scripted, String);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.note(&self.1, |seen| seen.running -= 1);
    }
}

impl Invoke for Scripted {
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            let name = name(&invocation.target).to_owned();
            let script = self.functions.lock().unwrap().get(&name).map(|(_, script)| script.clone());
            self.note(&name, |seen| {
                seen.calls.push(invocation.clone());
                seen.running += 1;
                seen.running_max = seen.running_max.max(seen.running);
            });
            let _running = Running(self, name);
            let status = match script {
                Some(script) => script(invocation).await,
                None => StatusCode::FunctionNotFound,
            };
            Outcome {
                status,
                result: String::new(),
                error: if status == StatusCode::Success { String::new() } else { format!("{status:?}") },
                log: String::new(),
                started: Timestamp::default(),
                duration_ms: 0.0,
                memory_bytes: 0,
            }
        })
    }

    fn describe(&self, target: &Target) -> Option<Description> {
        self.functions.lock().unwrap().get(name(target)).map(|(description, _)| description.clone())
    }
}
