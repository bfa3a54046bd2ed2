//! Timer triggers: what they are and their rows in the store. [`keeper`] lets them fire.
//!
//! A timer is a row of `Table::Rule` beside the rules; each change of it gives it a new revision, by which the commit
//! that files a firing checks that the timer is still the one that came due.

pub(crate) mod keeper;

use cosette_clock::Cron;
use cosette_model::function::{FunctionName, FunctionRef};
use cosette_model::{Seq, Timestamp};
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Triggers, row};

/// Timers of one function, over all its qualifiers (scf.md 2.4).
pub const TIMERS_PER_FUNCTION_MAX: usize = 10;
/// Bytes of what a timer's event carries (scf.md 2.6).
pub const ARGUMENT_BYTES_MAX: usize = 4096;
/// Letters of a timer's name.
const NAME_MAX: usize = 100;

/// More timers than any store will hold; scans need a bound.
const SCAN_MAX: usize = 100_000;

/// Timer rows: this, then the commit that made the timer in 16 hex digits, so key order is age.
const PREFIX: &str = "timer-";

/// A trigger that fires by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub id: String,
    /// Unique among the timers of its function.
    pub name: String,
    pub function: FunctionRef,
    /// The cron expression as it was given; matched in UTC+8.
    pub cron: String,
    /// The event's `Message`.
    pub argument: String,
    pub description: String,
    pub enabled: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// The commit that changed it last.
    pub revision: Seq,
}

/// A timer to be made.
pub struct NewTimer {
    pub name: String,
    pub function: FunctionRef,
    pub cron: String,
    pub argument: String,
    pub description: String,
    pub enabled: bool,
}

/// What is to be different of a timer; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TimerChange {
    pub cron: Option<String>,
    pub argument: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

/// Which timer of a function is meant; a qualifier and an expression that are given must be its own.
#[derive(Clone, Debug)]
pub struct TimerSelector {
    pub function: FunctionName,
    pub qualifier: Option<String>,
    pub name: String,
    pub cron: Option<String>,
}

impl TimerSelector {
    fn pick(&self, tx: &Tx<'_>) -> Result<Timer, Error> {
        let is_it = |timer: &Timer| {
            timer.function.is_of(&self.function)
                && timer.name == self.name
                && self.qualifier.as_ref().is_none_or(|qualifier| *qualifier == timer.function.qualifier)
                && self
                    .cron
                    .as_ref()
                    .is_none_or(|cron| cron.split_whitespace().eq(timer.cron.split_whitespace()))
        };
        standing(tx)?.into_iter().find(is_it).ok_or(Error::NoSuchRule)
    }
}

impl Timer {
    /// When it fires next after `after`, if it does.
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // Rows were checked when they were written.
        let cron: Cron = self.cron.parse().ok().filter(|_| self.enabled)?;
        cron.next(after)
    }

    /// The event of scf.md 2.6.
    fn event(&self, at: Timestamp) -> String {
        message(&self.name, at, &self.argument).to_string()
    }

    fn check(&self) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let begins = self.name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || self.name.len() > NAME_MAX || !self.name.chars().all(fits) {
            let message =
                format!("a timer's name has at most {NAME_MAX} letters, digits, - and _, a letter first");
            return Err(Error::Invalid { field: "TriggerName", message });
        }
        if let Err(error) = self.cron.parse::<Cron>() {
            return Err(Error::Invalid { field: "TriggerDesc", message: error.to_string() });
        }
        if self.argument.len() > ARGUMENT_BYTES_MAX {
            let message = format!("CustomArgument has at most {ARGUMENT_BYTES_MAX} bytes");
            return Err(Error::Invalid { field: "CustomArgument", message });
        }
        Ok(())
    }
}

impl Triggers {
    /// Makes a timer; the first firing is the first due time after now.
    ///
    /// # Errors
    /// `NoSuchFunction`, `Exists`, `Limit`, `Invalid`.
    pub async fn create_timer(&self, new: NewTimer) -> Result<Timer, Error> {
        let target = new.function.clone().into();
        let missing = || crate::dispatch::missing(&target);
        self.dispatcher.targets.describe(&target).ok_or_else(missing)?;
        let timer = self.write_timers(move |tx| create(tx, new)).await?;
        if self.dispatcher.targets.describe(&target).is_none() {
            // Deleted in the meantime, perhaps after its timers were: this one must not stay behind.
            let (id, anyhow) = (timer.id, Self { check: None, ..self.clone() });
            anyhow.delete_timers(move |timer| timer.id == id).await?;
            return Err(missing());
        }
        Ok(timer)
    }

    /// Timers, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn timers(&self) -> Result<Vec<Timer>, Error> {
        all(&self.dispatcher.store)
    }

    /// # Errors
    /// `NoSuchRule`, `Invalid`.
    pub async fn change_timer(&self, selector: TimerSelector, change: TimerChange) -> Result<Timer, Error> {
        let write = move |tx: &mut Tx<'_>| {
            let mut timer = selector.pick(tx)?;
            let TimerChange { cron, argument, description, enabled } = change;
            timer.cron = cron.unwrap_or(timer.cron);
            timer.argument = argument.unwrap_or(timer.argument);
            timer.description = description.unwrap_or(timer.description);
            timer.enabled = enabled.unwrap_or(timer.enabled);
            rewrite(tx, timer)
        };
        self.write_timers(write).await
    }

    /// # Errors
    /// `NoSuchRule`; `Unchanged` when it is so already.
    pub async fn enable_timer(&self, selector: TimerSelector, enabled: bool) -> Result<Timer, Error> {
        let write = move |tx: &mut Tx<'_>| {
            let timer = selector.pick(tx)?;
            if timer.enabled == enabled {
                return Err(Error::Unchanged(enabled));
            }
            rewrite(tx, Timer { enabled, ..timer })
        };
        self.write_timers(write).await
    }

    /// What has fired before is still delivered.
    ///
    /// # Errors
    /// `NoSuchRule`.
    pub async fn delete_timer(&self, selector: TimerSelector) -> Result<Timer, Error> {
        let write = move |tx: &mut Tx<'_>| {
            let timer = selector.pick(tx)?;
            tx.delete(Table::Rule, timer.id.as_bytes());
            Ok::<_, Error>(timer)
        };
        self.write_timers(write).await
    }

    async fn delete_timers(&self, is_meant: impl Fn(&Timer) -> bool + Send + 'static) -> Result<(), Error> {
        self.write_timers(move |tx| delete_all(tx, is_meant)).await
    }

    /// A commit that changes timers, and what they are to fire from then on. In a task of its own: a caller that goes
    /// away must not leave a timer that nobody heeds.
    async fn write_timers<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (store, keeper, write) =
            (self.dispatcher.store.clone(), self.keeper.clone(), self.checked(write));
        let done = tokio::spawn(async move {
            let (_, written) = store.commit(write).await?;
            keeper.look_again()?;
            Ok(written)
        });
        done.await.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))
    }
}

fn create(tx: &mut Tx<'_>, new: NewTimer) -> Result<Timer, Error> {
    let NewTimer { name, function, cron, argument, description, enabled } = new;
    let mut timers = standing(tx)?;
    let of = function.full_name();
    timers.retain(|timer| timer.function.is_of(&of));
    if timers.iter().any(|timer| timer.name == name) {
        return Err(Error::Exists);
    }
    if timers.len() >= TIMERS_PER_FUNCTION_MAX {
        return Err(Error::Limit(format!("a function has at most {TIMERS_PER_FUNCTION_MAX} timers")));
    }
    let (id, now) = (format!("{PREFIX}{:016x}", tx.seq().0), tx.now());
    let (created, modified, revision) = (now, now, tx.seq());
    let timer =
        Timer { id, name, function, cron, argument, description, enabled, created, modified, revision };
    rewrite(tx, timer)
}

/// Takes away all timers that `is_meant`.
pub(crate) fn delete_all(tx: &mut Tx<'_>, is_meant: impl Fn(&Timer) -> bool) -> Result<(), Error> {
    for timer in standing(tx)?.into_iter().filter(is_meant) {
        tx.delete(Table::Rule, timer.id.as_bytes());
    }
    Ok(())
}

fn rewrite(tx: &mut Tx<'_>, timer: Timer) -> Result<Timer, Error> {
    timer.check()?;
    let timer = Timer { modified: tx.now(), revision: tx.seq(), ..timer };
    tx.put(Table::Rule, timer.id.as_bytes(), row::encode(&timer)?);
    Ok(timer)
}

fn standing(tx: &Tx<'_>) -> Result<Vec<Timer>, Error> {
    decode(tx.scan(Table::Rule, PREFIX.as_bytes(), SCAN_MAX)?)
}

pub(crate) fn all(store: &Store) -> Result<Vec<Timer>, Error> {
    decode(store.scan(Table::Rule, PREFIX.as_bytes(), None, SCAN_MAX)?)
}

fn decode(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<Timer>, Error> {
    rows.iter().map(|(_, value)| Ok(row::decode(value, "timer")?)).collect()
}

/// What a function is told when a timer goes off (scf.md 2.6).
pub(crate) fn message(name: &str, at: Timestamp, argument: &str) -> Value {
    json!({
        "Type": "Timer",
        "TriggerName": name,
        "Time": at.iso_seconds(),
        "Message": argument,
    })
}
