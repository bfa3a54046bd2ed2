//! Functions: their names, what runs them is asked to do, and what comes back.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::{Chain, Target, Timestamp};

/// Which function: unique on a server. Each account may take a name once in each namespace of each region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName {
    /// The owner's APPID.
    pub appid: String,
    pub region: String,
    pub namespace: String,
    pub name: String,
}

impl FunctionName {
    /// One of its versions, by `$LATEST`, `$DEFAULT`, a number or an alias.
    #[must_use]
    pub fn under(self, qualifier: &str) -> FunctionRef {
        let Self { appid, region, namespace, name } = self;
        FunctionRef { appid, region, namespace, name, qualifier: qualifier.to_owned(), routed: None }
    }
}

/// Which function, and which of its versions: `namespace.name.qualifier` in an event's queue name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionRef {
    /// The owner's APPID. Nothing in rows from before it was kept, until they are brought up to date.
    #[serde(default, alias = "account")]
    pub appid: String,
    /// Nothing when whoever names it did not say: the function of that name, wherever it is.
    #[serde(default)]
    pub region: String,
    pub namespace: String,
    pub name: String,
    /// `$LATEST`, `$DEFAULT`, a version's number or an alias.
    pub qualifier: String,
    /// Which of an alias's versions a call was given when it was taken: `$LATEST` or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<String>,
}

impl FunctionRef {
    pub fn full_name(&self) -> FunctionName {
        let Self { appid, region, namespace, name, .. } = self.clone();
        FunctionName { appid, region, namespace, name }
    }

    /// Whether it is a version of this function.
    pub fn is_of(&self, function: &FunctionName) -> bool {
        let FunctionName { appid, region, namespace, name } = function;
        (&self.appid, &self.region, &self.namespace, &self.name) == (appid, region, namespace, name)
    }
}

/// One message for a target, whoever sends it: a call of a function, a post to a webhook, an object to be written.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The function's request id: the same for every attempt of one delivery. A lower-case UUID.
    pub request_id: String,
    pub target: Target,
    /// JSON text given to the handler.
    pub event: String,
    /// 0 for the first attempt.
    pub retry: u32,
    /// `COS`, `API` and so on, as `ListAsyncEvents` names it.
    pub source: String,
    /// What led to it; the last step is this invocation.
    pub chain: Chain,
    /// What it tells of: an event's name, `dead-letter`, or nothing in particular.
    pub subject: String,
}

/// SCF's status codes that we can answer (scf.md 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StatusCode {
    Success,
    InvalidEvent,
    BootstrapExited,
    EventTooLarge,
    ResponseTooLarge,
    UserCodeException,
    ResourceLimitReached,
    TimeLimitReached,
    MemoryLimitReached,
    FunctionNotFound,
    HandlerNotFound,
    FunctionStatusError,
    ProcessExited,
    QualifierNotFound,
    UserCodeError,
    ContainerInitError,
    PortBindingFailed,
    InitTimeout,
    WebSocketIdle,
    Canceled,
    InternalError,
}

/// How a failure is tried again (scf.md 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// `RetryNum` times, a minute apart.
    Execution,
    /// Too many at once: every minute until the event is too old.
    Overrun,
    /// Ours: as overrun.
    System,
}

impl StatusCode {
    pub const fn number(self) -> u16 {
        match self {
            Self::Success => 200,
            Self::InvalidEvent => 400,
            Self::BootstrapExited => 405,
            Self::EventTooLarge => 406,
            Self::ResponseTooLarge => 407,
            Self::UserCodeException => 430,
            Self::ResourceLimitReached => 432,
            Self::TimeLimitReached => 433,
            Self::MemoryLimitReached => 434,
            Self::FunctionNotFound => 435,
            Self::HandlerNotFound => 437,
            Self::FunctionStatusError => 438,
            Self::ProcessExited => 439,
            Self::QualifierNotFound => 442,
            Self::UserCodeError => 443,
            Self::ContainerInitError => 445,
            Self::PortBindingFailed => 446,
            Self::InitTimeout => 450,
            Self::WebSocketIdle => 455,
            Self::Canceled => 499,
            Self::InternalError => 500,
        }
    }

    /// `None` for success.
    pub const fn failure(self) -> Option<FailureKind> {
        match self {
            Self::Success => None,
            Self::ResourceLimitReached => Some(FailureKind::Overrun),
            Self::InternalError => Some(FailureKind::System),
            _ => Some(FailureKind::Execution),
        }
    }
}

/// What came of one invocation; the record the user reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: StatusCode,
    /// JSON text: the result, or the error document of scf.md 5.3 and 6.1.
    pub result: String,
    /// `""` on success, else the error's text.
    pub error: String,
    /// The log in SCF's form (scf.md 7.1), bounded.
    pub log: String,
    pub started: Timestamp,
    /// The handler's own time, in milliseconds.
    pub duration_ms: f64,
    /// Peak resident memory of the instance, in bytes.
    pub memory_bytes: u64,
}

/// How an asynchronous event for a function is tried (scf.md 3.10, 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Further attempts after an execution error: 0 to 2.
    pub retries: u32,
    /// Oldest age of an event that is still tried, in seconds: 60 to 21600.
    pub max_age_secs: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 2, max_age_secs: 21_600 }
    }
}

/// What the trigger subsystem needs of targets. The function registry implements it for functions; whoever joins
/// several kinds implements it by handing on to each what is its own.
pub trait Invoke: Send + Sync + 'static {
    /// Runs one invocation to its end and records it. Never fails: a failure is an `Outcome`, and so is a
    /// target that is not there or of a kind that is not known.
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    /// Asks what runs under this id to end by itself; `false` if nobody could be asked.
    fn signal(&self, _request_id: &str) -> bool {
        false
    }

    /// `None` when there is no such function or qualifier, or no such target of another kind.
    fn describe(&self, target: &Target) -> Option<Description>;
}

/// What rules and deliveries must know of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where a function is, and whose; `None` for what takes messages of every region and account.
    pub home: Option<Home>,
    pub retry: RetryPolicy,
    /// At most this many invocations at once.
    pub concurrency: usize,
    /// Who is told of what could not be delivered.
    pub dead_letter: Option<Target>,
}

/// A function's place. A COS trigger's bucket must be in the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub region: String,
    /// The owner's APPID.
    pub appid: String,
}
