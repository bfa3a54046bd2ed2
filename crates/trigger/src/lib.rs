//! Rules, deliveries, retries: from the change log to functions. Knows no HTTP and no process.
//!
//! ```text
//! change log -> pump + matcher -> queues -> dispatcher -> Invoke -> recorder
//!              (rows of what must wait)               (ends and cursor: one commit for all that have come)
//! ```
//!
//! What it promises is in `docs/triggers.md`.

mod asked;
mod asynchronous;
mod delivery;
mod dispatch;
mod domain;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod letter;
mod matcher;
mod pump;
mod queue;
mod quiet;
mod record;
mod retry;
mod row;
mod rule;
mod s3;
mod steer;
mod stored;
mod template;
mod timer;
mod upgrade;
mod url;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::function::{FunctionName, FunctionRef, Invoke};
use cosette_model::{Chain, Change, Happened, Seq, Target, Timestamp};
use cosette_store::{Store, Tx};
use tokio::task::JoinHandle;

pub use asked::Asked;
pub use asynchronous::{AsyncEvent, EventStatus};
pub use delivery::{ATTEMPTS_MAX, Attempt, Delivery, DeliveryState, ERROR_BYTES_MAX, Source};
pub use domain::{Domain, DomainSettings, Protocols, Rewrite, Route};
pub use event::region_code;
pub use matcher::Why;
pub use queue::Hold;
pub use quiet::Quiet;
pub use rule::{
    Configuration, Interval, NewNotification, NewRule, RULES_PER_BUCKET_MAX, RULES_PER_FUNCTION_MAX, Rule,
    RuleSelector, notify,
};
pub use steer::Release;
pub use template::{Subject, TEMPLATES, Template};
pub use timer::{ARGUMENT_BYTES_MAX, NewTimer, TIMERS_PER_FUNCTION_MAX, Timer, TimerChange, TimerSelector};
pub use upgrade::upgrade;
pub use url::{Authorization, Cors, NewUrl, Url, UrlChange, UrlSelector, UrlSettings};

use dispatch::{Dispatcher, Stage, missing};
use pump::Pump;
use timer::keeper::Keeper;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("bucket {0} does not exist")]
    NoSuchBucket(String),
    #[error("function {0} does not exist")]
    NoSuchFunction(String),
    /// Of a kind other than functions.
    #[error("{0} does not exist")]
    NoSuchTarget(String),
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
    /// What is asked of a timer; `field` as the service calls it.
    #[error("{message}")]
    Invalid { field: &'static str, message: String },
    #[error("there is no domain {0} in the region")]
    NoSuchDomain(String),
    #[error("{name} is {by} already")]
    NameTaken { name: String, by: cosette_store::NameOf },
    #[error("{0}")]
    NoUrl(String),
    #[error("the domain {0} leads to the URL")]
    UrlUsed(String),
    #[error("there is no delivery {0}")]
    NoSuchDelivery(String),
    /// What is asked of a delivery cannot be done as it is now.
    #[error("delivery {id} {why}")]
    NotNow { id: String, why: &'static str },
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Between attempts; a minute on SCF (scf.md 6.5).
    pub retry_interval: Duration,
    /// Finished deliveries kept for looking at.
    pub finished_max: usize,
    /// How many invocations may lead to a change that still fires; 0 is any number.
    pub loop_limit: u32,
}

/// A rule and the event that a change is to it, or why it is none.
pub type Judged = (Rule, Result<Happened, Why>);

/// What must hold in a commit that changes triggers.
type Check = dyn Fn(&Tx<'_>) -> Result<(), Error> + Send + Sync;

/// A handle; clones share one subsystem.
#[derive(Clone)]
pub struct Triggers {
    check: Option<Arc<Check>>,
    dispatcher: Arc<Dispatcher>,
    keeper: Arc<Keeper>,
    urls: Arc<url::Index>,
    /// Taken by whoever stops them.
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Triggers {
    /// Starts the pump and the dispatcher on the current tokio runtime; unfinished deliveries go on.
    pub fn start(
        store: Store,
        clock: Clock,
        targets: Arc<dyn Invoke>,
        options: Options,
    ) -> Result<Self, Error> {
        let dispatcher = Arc::new(Dispatcher::new(store, clock, targets, options));
        let pump = Pump::new(dispatcher.clone())?;
        let keeper = Arc::new(Keeper::new(dispatcher.clone())?);
        tokio::spawn(dispatcher.clone().keep_time());
        let tasks = vec![tokio::spawn(pump.run()), tokio::spawn(keeper.clone().run())];
        let tasks = Arc::new(Mutex::new(tasks));
        Ok(Self { check: None, dispatcher, keeper, urls: Arc::default(), tasks })
    }

    /// A handle that changes triggers only in commits in which `check` holds: whoever has looked a function up changes
    /// nothing of another one that was made of its name since.
    #[must_use]
    pub fn checking(&self, check: impl Fn(&Tx<'_>) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self { check: Some(Arc::new(check)), ..self.clone() }
    }

    fn checked<T>(
        &self,
        write: impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static {
        let check = self.check.clone();
        move |tx| {
            check.map_or(Ok(()), |check| check(tx))?;
            write(tx)
        }
    }

    /// Makes a rule that changes committed after it can fire. It must be able to fire: `NoSuchFunction`,
    /// `NoSuchTarget`, `NoSuchBucket`, `OtherRegion`, `OtherAccount`, `Exists`, `Conflict` or `Limit` otherwise.
    pub async fn create_rule(&self, new: NewRule) -> Result<Rule, Error> {
        let target = new.target.clone();
        let missing = || missing(&target);
        let description = self.dispatcher.targets.describe(&target).ok_or_else(missing)?;
        let create = move |tx: &mut Tx<'_>| rule::create(tx, new, &description);
        let (_, rule) = self.dispatcher.store.commit(self.checked(create)).await?;
        if self.dispatcher.targets.describe(&target).is_none() {
            // Deleted in the meantime, perhaps after its rules were: this one must not stay behind.
            let id = rule.id;
            self.delete_rules(move |rule| rule.id == id).await?;
            return Err(missing());
        }
        Ok(rule)
    }

    /// Rules not deleted, oldest first.
    pub fn rules(&self) -> Result<Vec<Rule>, Error> {
        let mut rules = rule::all(&self.dispatcher.store)?;
        rules.retain(|rule| !rule.deleted);
        Ok(rules)
    }

    /// What happened before still reaches the function.
    pub async fn delete_rule(&self, selector: RuleSelector) -> Result<Rule, Error> {
        let delete = move |tx: &mut Tx<'_>| rule::delete(tx, &selector);
        let (_, rule) = self.dispatcher.store.commit(self.checked(delete)).await?;
        Ok(rule)
    }

    /// The rule of this id, unless it is a configuration of a bucket's notification: that is changed as a whole.
    pub async fn delete_rule_by_id(&self, id: &str) -> Result<Rule, Error> {
        let id = id.to_owned();
        let delete = move |tx: &mut Tx<'_>| rule::delete_by_id(tx, &id);
        let (_, rule) = self.dispatcher.store.commit(delete).await?;
        Ok(rule)
    }

    /// Takes away the triggers of a function, rules and timers, or those of one of its qualifiers, in the commit that
    /// takes that itself away: no trigger outlives it, and none of another of its name is meant. Once that commit is
    /// done, [`timers_have_changed`](Self::timers_have_changed).
    ///
    /// # Errors
    /// The store's.
    pub fn forget(
        tx: &mut Tx<'_>,
        function: &FunctionName,
        qualifier: Option<&str>,
    ) -> cosette_store::Result<()> {
        let is_meant = |of: &FunctionRef| of.is_of(function) && qualifier.is_none_or(|it| it == of.qualifier);
        let rules = rule::delete_all(tx, |rule| rule.as_trigger().is_some_and(|(of, _)| is_meant(of)));
        let timers = rules.and_then(|()| timer::delete_all(tx, |timer| is_meant(&timer.function)));
        let urls = timers.and_then(|()| url::delete_all(tx, |url| is_meant(&url.function)));
        urls.map_err(|error| match error {
            Error::Store(error) => error,
            other => cosette_store::Error::Index(other.to_string()),
        })
    }

    /// Lets timers fire as they are now in the store.
    ///
    /// # Errors
    /// The store's.
    pub fn timers_have_changed(&self) -> Result<(), Error> {
        self.keeper.look_again()
    }

    async fn delete_rules(&self, is_meant: impl Fn(&Rule) -> bool + Send + 'static) -> Result<(), Error> {
        let delete = move |tx: &mut Tx<'_>| rule::delete_all(tx, is_meant);
        self.dispatcher.store.commit(delete).await?;
        Ok(())
    }

    /// `Unchanged` when it is so already.
    pub async fn set_enabled(&self, selector: RuleSelector, enabled: bool) -> Result<Rule, Error> {
        let set = move |tx: &mut Tx<'_>| rule::set_enabled(tx, &selector, enabled);
        let (_, rule) = self.dispatcher.store.commit(self.checked(set)).await?;
        Ok(rule)
    }

    /// Queues an asynchronous call durably; returns its request id. `chain` led to it, if a function calls.
    pub async fn enqueue(&self, function: FunctionRef, event: String, chain: Chain) -> Result<String, Error> {
        // In a task of its own: a caller that goes away must not leave a filed call that nobody runs.
        let dispatcher = self.dispatcher.clone();
        let call = tokio::spawn(async move { dispatcher.call(function, event, chain).await });
        call.await.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))
    }

    /// Whether there is such a target.
    pub fn knows(&self, target: &Target) -> bool {
        self.dispatcher.targets.describe(target).is_some()
    }

    /// Every rule of the change's bucket, also the youngest deleted ones, and whether it tells of the change, or why
    /// not. The same code decides what is delivered.
    pub fn judge(&self, change: &Change) -> Result<Vec<Judged>, Error> {
        let limit = self.dispatcher.options.loop_limit;
        let rules =
            rule::all(&self.dispatcher.store)?.into_iter().filter(|rule| rule.bucket == change.bucket);
        Ok(rules
            .map(|rule| (matcher::fires(&rule, change, limit), rule))
            .map(|(why, rule)| (rule, why))
            .collect())
    }

    /// Up to here every change has been looked at.
    pub fn cursor(&self) -> Seq {
        self.dispatcher.queues().cursor()
    }

    /// Of the deliveries from the commit `from` on, those of the changes at `seqs`, those that the request caused, and those
    /// that came of these. Oldest first, at most `max`.
    pub fn consequences(
        &self,
        from: Seq,
        seqs: &HashSet<Seq>,
        request_id: Option<&str>,
        max: usize,
    ) -> Result<Vec<Delivery>, Error> {
        let mut ids = HashSet::new();
        self.dispatcher.picked(from, max, |filed| {
            let of_change = filed.source.as_ref().is_some_and(|source| seqs.contains(&source.seq));
            let of_others = filed.chain.links.iter().any(|link| ids.contains(&link.invocation));
            let of_request = request_id.is_some_and(|request| filed.ids().any(|id| id == request));
            let is_picked = of_change || of_others || of_request;
            if is_picked {
                ids.insert(filed.id.clone());
            }
            is_picked
        })
    }

    /// Deliveries that have ended after the one of this number among all since the start, oldest first, and the number
    /// to ask after next. Only the latest are remembered.
    pub fn ended(&self, after: u64, max: usize) -> Result<(Vec<Delivery>, u64), Error> {
        self.dispatcher.ended(after, max)
    }

    /// Returns once there may be something new for [`ended`](Self::ended) or a new change: told of every step.
    pub fn steps(&self) -> tokio::sync::watch::Receiver<()> {
        self.dispatcher.moved.subscribe()
    }

    /// Newest first, at most `max`.
    pub fn deliveries(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        self.dispatcher.deliveries(max)
    }

    /// Returns when quiet (for one request's consequences, or for everything) or when `timeout` of real time
    /// has passed. An asynchronous call's request is the one with the id that `enqueue` returned.
    pub async fn wait(&self, request_id: Option<&str>, timeout: Duration) -> Result<Quiet, Error> {
        Ok(self.dispatcher.wait(request_id, timeout).await)
    }

    /// Returns once every change has been reacted to, all due timers have fired and nothing runs; deliveries that
    /// wait for the time of their next attempt may wait.
    pub async fn settled(&self) {
        let mut moved = self.dispatcher.moved.subscribe();
        while !self.is_settled() {
            // The sender lives as long as `self`.
            let _ = moved.changed().await;
        }
    }

    /// Whether that is so now.
    pub fn is_settled(&self) -> bool {
        // In this order: what has fired in between is unfinished.
        self.keeper.is_settled() && self.dispatcher.is_settled()
    }

    /// When the next delivery that waits for its time, or the next timer, is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        [self.dispatcher.next_retry(), self.keeper.next()].into_iter().flatten().min()
    }

    /// Stops taking deliveries and waits for running ones, at most `grace`. Those that still run then are
    /// let go of and tried again, under the same id, by the next start.
    pub async fn stop(&self, grace: Duration) {
        self.dispatcher.stop(Stage::Draining);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let drain = async {
            for task in tasks {
                // They panic only by a fault of ours; its message has been printed.
                let _ = task.await;
            }
            self.dispatcher.idle().await;
        };
        if tokio::time::timeout(grace, drain).await.is_err() {
            tracing::info!("letting go of running deliveries");
        }
        self.dispatcher.stop(Stage::Halted);
        self.dispatcher.idle().await;
    }
}
