//! One invocation from its call to its record.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosette_model::function::{FunctionRef, Invocation, Outcome, StatusCode};
use cosette_model::{Target, Timestamp};
use cosette_runtime::{Exchange, Ran, Spec};

use crate::running::Entered;
use crate::{Error, Function, Functions, Record, Version, log, row};

/// Bytes of an event (scf.md 6.3).
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Bytes of event and of result that a record keeps.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Memory that a log shows of a function that is not there.
const NO_MEMORY: u32 = 128;

/// An invocation under way. Dropped before it was finished, it is recorded as canceled.
struct UnderWay {
    functions: Functions,
    record: Option<(Record, Entered)>,
    began: Instant,
}

impl UnderWay {
    /// Writes the record durably. Goes on if the caller gives up meanwhile.
    async fn finish(mut self, outcome: &Outcome) {
        if let Some((record, entered)) = self.record.take() {
            let _ = tokio::spawn(write(self.functions.clone(), record, entered, outcome.clone())).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some((record, entered)) = self.record.take() else { return };
        let ran =
            failure(StatusCode::Canceled, "the caller gave up", &record.request_id, self.began.elapsed());
        let outcome = outcome(&record.request_id, NO_MEMORY, Duration::ZERO, record.started, ran);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(write(self.functions.clone(), record, entered, outcome));
        }
    }
}

async fn write(functions: Functions, mut record: Record, entered: Entered, mut outcome: Outcome) {
    outcome.result.truncate(log::cut(&outcome.result, KEPT_BYTES_MAX).len());
    record.outcome = Some(outcome);
    let (id, of) = (record.id.clone(), record.function.full_name());
    let max = *functions.shared.records_max.get_or_init(|| row::RECORDS_MAX);
    let written =
        functions.shared.store.commit::<_, cosette_store::Error, _>(move |tx| row::add(tx, &record, max));
    let written = match (written.await, id) {
        // Who deletes the function from now on finds the record; who has deleted it before has not.
        (Ok(_), Some(id)) if functions.is_gone(&id, &of) => {
            row::purge(&functions.shared.store, id.into_bytes()).await
        }
        (written, _) => written.map(drop),
    };
    if let Err(error) = written {
        tracing::error!(function = of.name, %error, "an invocation's record cannot be written");
    }
    // Only now: at any moment it is either running or on record.
    drop(entered);
}

impl Functions {
    /// Answers a request by a web function. The answer's head and body come by `exchange` meanwhile; the outcome
    /// once all is over, and it is recorded as any other. The invocation's event is what is kept of the request.
    pub async fn serve(&self, invocation: Invocation, exchange: Exchange) -> Outcome {
        self.run(invocation, Some(exchange)).await
    }

    pub(crate) async fn run(&self, invocation: Invocation, mut exchange: Option<Exchange>) -> Outcome {
        let started = self.shared.clock.now();
        let Target::Function(function) = &invocation.target else {
            let (id, text) = (&invocation.request_id, format!("{} is no function", invocation.target));
            let ran = failure(StatusCode::FunctionNotFound, &text, id, Duration::ZERO);
            return outcome(id, NO_MEMORY, Duration::ZERO, started, ran);
        };
        let drawn = self.drawn(function);
        let found = match &drawn {
            Ok(drawn) => Some(drawn.clone()),
            Err(Error::NoSuchQualifier(_)) => self.get(&function.full_name()).ok(),
            Err(_) => None,
        };
        let record = Record {
            request_id: invocation.request_id.clone(),
            function: match &found {
                Some(found) => FunctionRef { routed: None, ..found.full_name().under(&function.qualifier) },
                None => function.clone(),
            },
            id: found.map(|found| found.id),
            version: drawn.as_ref().ok().map(|drawn| drawn.version),
            event: log::cut(&invocation.event, KEPT_BYTES_MAX).to_owned(),
            source: invocation.source.clone(),
            retry: invocation.retry,
            outcome: None,
            started,
            by: invocation.chain.before().map(str::to_owned),
            refused: Vec::new(),
        };
        let entered = self.shared.running.enter(record.clone());
        let mut under_way =
            UnderWay { functions: self.clone(), record: Some((record, entered)), began: Instant::now() };
        let hold = exchange.as_mut().map(Exchange::hold);
        let (outcome, refused) = self.attempt(function, drawn, &invocation, exchange, started).await;
        // Its share and its slot are free.
        drop(hold);
        if let Some((record, _)) = &mut under_way.record {
            record.refused = refused;
        }
        tracing::info!(
            function = function.name,
            request_id = invocation.request_id,
            source = invocation.source,
            retry = invocation.retry,
            status = outcome.status.number(),
            duration_ms = outcome.duration_ms,
            "invoked"
        );
        under_way.finish(&outcome).await;
        outcome
    }

    /// What came of it, and whom it was kept from calling.
    async fn attempt(
        &self,
        function: &FunctionRef,
        drawn: Result<Function, Error>,
        invocation: &Invocation,
        exchange: Option<Exchange>,
        started: Timestamp,
    ) -> (Outcome, Vec<String>) {
        let id = &invocation.request_id;
        let FunctionRef { name, qualifier, .. } = function;
        let fail = |memory_mb, status, text: String| {
            let ran = failure(status, &text, id, Duration::ZERO);
            (outcome(id, memory_mb, Duration::ZERO, started, ran), Vec::new())
        };
        let function = match drawn {
            Ok(function) => function,
            Err(Error::NoSuchFunction(_) | Error::NoSuchNamespace(_)) => {
                return fail(
                    NO_MEMORY,
                    StatusCode::FunctionNotFound,
                    format!("function {name} does not exist"),
                );
            }
            Err(Error::NoSuchQualifier(_)) => {
                let latest = self.get(&function.full_name());
                let memory_mb = latest.map_or(NO_MEMORY, |latest| latest.configuration.memory_mb);
                let text = format!("qualifier {qualifier} of function {name} does not exist");
                return fail(memory_mb, StatusCode::QualifierNotFound, text);
            }
            Err(error) => return fail(NO_MEMORY, StatusCode::InternalError, error.to_string()),
        };
        let memory_mb = function.configuration.memory_mb;
        if invocation.event.len() > EVENT_BYTES_MAX {
            let text = format!("the event has {} bytes, more than 6 MB", invocation.event.len());
            return fail(memory_mb, StatusCode::EventTooLarge, text);
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&invocation.event) {
            return fail(memory_mb, StatusCode::InvalidEvent, format!("the event is not JSON: {error}"));
        }
        if function.configuration.web.is_some() != exchange.is_some() {
            let text = match exchange {
                None => format!("function {name} is a web function: it answers requests and takes no events"),
                Some(_) => format!("function {name} takes events and answers no requests"),
            };
            return fail(memory_mb, StatusCode::InvalidEvent, text);
        }
        // Also what waits for its turn here would run in the cloud, and counts.
        let _share = match self.take_share(&function) {
            Ok(Ok(share)) => share,
            Ok(Err(text)) => return fail(memory_mb, StatusCode::ResourceLimitReached, text),
            Err(error) => return fail(memory_mb, StatusCode::InternalError, error.to_string()),
        };
        let Ok(_slot) = self.shared.slots.of(&function).acquire_owned().await else {
            return fail(memory_mb, StatusCode::InternalError, "the server is stopping".into());
        };
        let began = Instant::now();
        let unpacked = async {
            Ok::<_, Error>((self.code_or_folder(&function).await?, self.layer_folders(&function).await?))
        };
        let (code, layers) = match unpacked.await {
            Ok(unpacked) => unpacked,
            Err(error) => {
                tracing::error!(function = name, %error, "a function's code cannot be unpacked");
                let text = format!("the code cannot be unpacked: {error}");
                return fail(memory_mb, StatusCode::InternalError, text);
            }
        };
        let pulled = began.elapsed();
        let mut spec = self.spec(&function, code, layers);
        self.in_folder(&function, &mut spec);
        let (runtime, chain) = (&self.shared.runtime, &invocation.chain);
        let mut ran = match exchange {
            Some(exchange) => runtime.serve(&spec, id, chain, exchange).await,
            None => runtime.run(&spec, id, chain, &invocation.source, &invocation.event).await,
        };
        let refused = std::mem::take(&mut ran.refused);
        (outcome(id, memory_mb, pulled, started, ran), refused)
    }

    pub(crate) fn spec(&self, function: &Function, code: PathBuf, layers: Vec<PathBuf>) -> Spec {
        let configuration = &function.configuration;
        let keys = self.shared.keys.get().map(|of| of(function)).unwrap_or_default();
        Spec {
            id: instance_id(function),
            namespace: function.namespace.clone(),
            name: function.name.clone(),
            version: function.version.to_string(),
            runtime: configuration.runtime.clone(),
            handler: configuration.handler.clone(),
            code,
            layers,
            packages: None,
            memory_mb: configuration.memory_mb,
            timeout: Duration::from_secs(configuration.timeout_secs.into()),
            init_timeout: Duration::from_secs(configuration.init_timeout_secs.into()),
            environment: configuration.environment.clone(),
            region: function.region.clone(),
            appid: function.appid.clone(),
            uin: function.uin.clone(),
            keys,
            asynchronous: configuration.async_run,
            debug: self.shared.debugging.session(&function.id),
            web: configuration.served().map(|web| cosette_runtime::Web {
                concurrency: web.concurrency as usize,
                websocket: web.websocket_secs.map(|secs| Duration::from_secs(secs.into())),
            }),
        }
    }
}

/// What the instances of one revision of a function have in common. A version has one revision.
pub(crate) fn instance_id(function: &Function) -> String {
    match function.version {
        Version::Latest => format!("{}-{}", function.id, function.revision),
        Version::Number(number) => version_id(&function.id, number),
    }
}

/// The same of a version.
pub(crate) fn version_id(function: &str, number: u64) -> String {
    format!("{function}-v{number}")
}

/// A failure that no instance has seen.
fn failure(status: StatusCode, text: &str, request_id: &str, duration: Duration) -> Ran {
    let document = serde_json::json!({
        "errorCode": -1,
        "errorMessage": text,
        "requestId": request_id,
        "statusCode": status.number(),
    });
    Ran {
        status,
        result: document.to_string(),
        error: text.to_owned(),
        init_output: String::new(),
        output: String::new(),
        init_duration: None,
        runtime_duration: None,
        duration,
        memory_bytes: 0,
        refused: Vec::new(),
    }
}

fn outcome(request_id: &str, memory_mb: u32, pulled: Duration, started: Timestamp, ran: Ran) -> Outcome {
    Outcome {
        log: log::text(request_id, memory_mb, pulled, &ran),
        status: ran.status,
        result: ran.result,
        error: ran.error,
        started,
        // Whole microseconds: more digits would say more than was measured.
        duration_ms: ran.duration.as_micros() as f64 / 1000.0,
        memory_bytes: ran.memory_bytes,
    }
}

/// Invocations of one function that run at once.
pub const AT_ONCE: usize = 10;

/// How many invocations of one function may run at once, times what an instance may have; the others wait for their
/// turn.
#[derive(Default)]
pub(crate) struct Slots(std::sync::Mutex<std::collections::HashMap<String, Arc<tokio::sync::Semaphore>>>);

impl Slots {
    pub(crate) const EACH: usize = AT_ONCE;

    fn of(&self, function: &Function) -> Arc<tokio::sync::Semaphore> {
        let each = function.configuration.web.as_ref().map_or(1, |web| web.concurrency as usize);
        let name = if each == 1 { function.id.clone() } else { format!("{}/{each}", function.id) };
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = || Arc::new(tokio::sync::Semaphore::new(Self::EACH * each));
        all.entry(name).or_insert_with(new).clone()
    }

    pub(crate) fn forget(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.retain(|name, _| name.split('/').next() != Some(id));
    }

    /// Those who wait fail, and whoever comes later.
    pub(crate) fn close(&self) {
        for slots in self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values() {
            slots.close();
        }
    }
}
