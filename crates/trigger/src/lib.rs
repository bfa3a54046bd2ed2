//! Rules, deliveries, retries: from the change log to functions. Knows no HTTP and no process.

// PINNED INTERFACE; bodies to be filled in.

use std::sync::Arc;
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::function::{FunctionRef, Invoke, StatusCode};
use cosette_model::{BucketName, EventPattern, EventType, ObjectKey, Seq, Timestamp};
use cosette_store::Store;
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("bucket {0} does not exist")]
    NoSuchBucket(String),
    #[error("function {0} does not exist")]
    NoSuchFunction(String),
    #[error("the bucket is in {bucket}, the function in {function}")]
    OtherRegion { bucket: String, function: String },
    #[error("the bucket belongs to another account")]
    OtherAccount,
    /// Rule overlap; `with` says which.
    #[error("the rule overlaps {with}")]
    Conflict { with: String },
    /// The very same rule exists.
    #[error("the trigger exists")]
    Exists,
    #[error("no such trigger")]
    NoSuchRule,
    #[error("several triggers match; name the filter too")]
    Ambiguous,
    #[error("the trigger is already {}", if *.0 { "enabled" } else { "disabled" })]
    Unchanged(bool),
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
}

/// A rule: from events of a bucket to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub bucket: BucketName,
    pub region: String,
    pub event: EventPattern,
    /// `""` for none.
    pub prefix: String,
    pub suffix: String,
    pub function: FunctionRef,
    pub description: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// Active for changes with `from < seq <= to` of any of these; the last is open while enabled.
    pub active: Vec<Interval>,
    /// Set when the rule was deleted; it is kept until the pump has passed its end.
    pub deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: Seq,
    pub to: Option<Seq>,
}

impl Rule {
    pub fn enabled(&self) -> bool {
        self.active.last().is_some_and(|i| i.to.is_none())
    }
}

pub struct NewRule {
    pub bucket: BucketName,
    pub event: EventPattern,
    pub prefix: String,
    pub suffix: String,
    pub function: FunctionRef,
    pub description: String,
    pub enabled: bool,
}

/// Picks one rule of a function, as the SCF API names it. `None` filters match any.
pub struct RuleSelector {
    pub function: FunctionRef,
    pub bucket: BucketName,
    pub event: EventPattern,
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DeliveryState {
    Pending,
    Running,
    /// Waiting for its next attempt.
    Retrying {
        at: Timestamp,
    },
    Succeeded,
    /// No further attempt; `why` in words.
    Dead {
        why: String,
    },
}

/// One event for one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable over attempts and crashes; the invocation's request id.
    pub id: String,
    /// `None` for an asynchronous call of the API.
    pub source: Option<Source>,
    pub function: FunctionRef,
    /// JSON text given to the function.
    pub event: String,
    pub created: Timestamp,
    pub state: DeliveryState,
    pub attempts: Vec<Attempt>,
}

/// The change and rule behind a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub seq: Seq,
    pub rule: String,
    pub event: EventType,
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// The id of the request that made the change.
    pub request_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub status: StatusCode,
    pub error: String,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Between attempts; a minute on SCF (scf.md 6.5).
    pub retry_interval: Duration,
    /// Finished deliveries kept for looking at.
    pub finished_max: usize,
}

/// Whether everything that has happened has been reacted to.
#[derive(Clone, Debug, Serialize)]
pub struct Quiet {
    pub quiet: bool,
    pub head: Seq,
    pub cursor: Seq,
    /// Ids of deliveries that are not finished, at most 100.
    pub pending: Vec<String>,
}

#[derive(Clone)]
pub struct Triggers {}

#[allow(unused_variables)]
impl Triggers {
    /// Starts the pump and the dispatcher on the current tokio runtime; unfinished deliveries go on.
    pub fn start(
        store: Store,
        clock: Clock,
        functions: Arc<dyn Invoke>,
        options: Options,
    ) -> Result<Self, Error> {
        unimplemented!()
    }
    pub async fn create_rule(&self, new: NewRule) -> Result<Rule, Error> {
        unimplemented!()
    }
    /// Rules not deleted, oldest first.
    pub fn rules(&self) -> Result<Vec<Rule>, Error> {
        unimplemented!()
    }
    pub async fn delete_rule(&self, selector: RuleSelector) -> Result<Rule, Error> {
        unimplemented!()
    }
    /// All rules of a function, every qualifier (the function is being deleted).
    pub async fn delete_rules_of(&self, namespace: &str, name: &str) -> Result<(), Error> {
        unimplemented!()
    }
    pub async fn set_enabled(&self, selector: RuleSelector, enabled: bool) -> Result<Rule, Error> {
        unimplemented!()
    }
    /// Queues an asynchronous call durably; returns its request id.
    pub async fn enqueue(&self, function: FunctionRef, event: String) -> Result<String, Error> {
        unimplemented!()
    }
    /// Newest first, at most `max`.
    pub fn deliveries(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        unimplemented!()
    }
    /// Returns when quiet (for one request's consequences, or for everything) or when `timeout` of real time has passed.
    pub async fn wait(&self, request_id: Option<&str>, timeout: Duration) -> Result<Quiet, Error> {
        unimplemented!()
    }
    /// Stops taking deliveries and waits for running ones, at most `grace`.
    pub async fn stop(&self, grace: Duration) {
        unimplemented!()
    }
}
