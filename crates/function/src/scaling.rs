//! Numbers of provisioned instances that change by the clock: `TriggerActions` (scf.md 3.9). At its times each action
//! sets the number, which stays until the next one or until somebody sets another. What came due while no server ran
//! counts as well, the last of it, as the number is a state and no event.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use cosette_clock::Cron;
use cosette_model::Timestamp;
use cosette_store::{Table, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::concurrency::Division;
use crate::invocation::Slots;
use crate::provisioned::{self, Provision};
use crate::{Error, Functions, Shared, row};

/// Actions of one version.
const ACTIONS_MAX: usize = 10;
/// Letters of an action's name, as of a timer's.
const NAME_MAX: usize = 100;
/// After an error of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// A number of instances, and when it is to be theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub name: String,
    /// Seven fields, matched in UTC+8 as those of timers.
    pub cron: String,
    pub number: u32,
}

impl Action {
    /// Rows were checked when they were written.
    fn cron(&self) -> Option<Cron> {
        self.cron.parse().ok()
    }
}

/// # Errors
/// SCF's own codes for what no list of actions can be.
pub(crate) fn check(actions: &[Action]) -> Result<(), Error> {
    let refused = |code, message: String| Err(Error::Refused { code, message });
    if actions.len() > ACTIONS_MAX {
        let message = format!("a version has at most {ACTIONS_MAX} TriggerActions");
        return refused("LimitExceeded.ProvisionTriggerAction", message);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (place, Action { name, cron, number }) in actions.iter().enumerate() {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || name.len() > NAME_MAX || !name.chars().all(fits) {
            let message =
                format!("a TriggerName has at most {NAME_MAX} letters, digits, - and _, a letter first");
            return refused("InvalidParameterValue.ProvisionTriggerName", message);
        }
        let fields = cron.split_ascii_whitespace();
        match cron.parse::<Cron>() {
            Ok(_) if fields.clone().count() == 7 => {}
            Ok(_) => {
                let message = format!("TriggerCronConfig {cron:?} does not have seven fields");
                return refused("InvalidParameterValue.TriggerCronConfig", message);
            }
            Err(error) => return refused("InvalidParameterValue.TriggerCronConfig", error.to_string()),
        }
        if *number as usize > Slots::EACH {
            let message =
                format!("TriggerProvisionedConcurrencyNum is at most {}, not {number}", Slots::EACH);
            return refused("InvalidParameterValue.TriggerProvisionedConcurrencyNum", message);
        }
        let before = actions.get(..place).unwrap_or_default();
        if before.iter().any(|other| other.name == *name) {
            let message = format!("two TriggerActions are called {name}");
            return refused("InvalidParameterValue.ProvisionTriggerNameDuplicate", message);
        }
        if before.iter().any(|other| other.cron.split_ascii_whitespace().eq(fields.clone())) {
            let message = format!("two TriggerActions have the times {cron}");
            return refused("InvalidParameterValue.ProvisionTriggerCronConfigDuplicate", message);
        }
    }
    Ok(())
}

impl Provision {
    /// The number that is to be the version's by now, if an action came due; of several at one time the last's.
    fn due(&self, now: Timestamp) -> Option<u32> {
        let times = self.actions.iter().filter_map(|action| {
            let at = action.cron()?.last(self.since, now)?;
            Some((at, action.number))
        });
        times.max_by_key(|(at, _)| *at).map(|(_, number)| number)
    }

    /// Not where the number was set by a clock that had been moved on, and is the machine's again.
    fn is_settled(&self, now: Timestamp) -> bool {
        let is_so = |number| number == self.number && self.refused.is_none();
        self.since <= now && self.due(now).is_none_or(is_so)
    }

    /// When the next action comes due.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.actions.iter().filter_map(|action| action.cron()?.next(now)).min()
    }
}

/// Tells the task that scales of changes, and is told of what it has done.
pub(crate) struct Scaler {
    /// `None` before the first change.
    changed: Mutex<Option<watch::Sender<()>>>,
    passes: watch::Sender<()>,
}

impl Default for Scaler {
    fn default() -> Self {
        Self { changed: Mutex::default(), passes: watch::Sender::new(()) }
    }
}

impl Scaler {
    /// Nothing changes by itself any more.
    pub(crate) fn stop(&self) {
        let (nobody_hears, _) = watch::channel(());
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(nobody_hears);
    }
}

impl Functions {
    /// When a number of instances next changes by itself.
    ///
    /// # Errors
    /// The store's.
    pub fn next_scaling(&self) -> Result<Option<Timestamp>, Error> {
        let now = self.shared.clock.now();
        Ok(self.provisions()?.iter().filter_map(|provision| provision.next(now)).min())
    }

    /// Returns once every number is what it is to be by now.
    ///
    /// # Errors
    /// The store's.
    pub async fn scaled(&self) -> Result<(), Error> {
        let mut passes = self.shared.scaler.passes.subscribe();
        loop {
            let now = self.shared.clock.now();
            if self.provisions()?.iter().all(|provision| provision.is_settled(now)) {
                return Ok(());
            }
            // The sender lives as long as `self`.
            let _ = passes.changed().await;
        }
    }

    fn provisions(&self) -> Result<Vec<Provision>, Error> {
        provisioned::read(self.shared.store.scan(
            Table::Concurrency,
            &[provisioned::ALL],
            None,
            usize::MAX,
        )?)
    }

    /// Has the numbers follow the clock from now on; said again, looks anew what comes next.
    pub(crate) fn scale_anew(&self) {
        let mut changed = self.shared.scaler.changed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*changed {
            Some(changed) => changed.send_replace(()),
            None => {
                let (sender, told) = watch::channel(());
                // It does not keep the registry, as `keep_up` does not.
                tokio::spawn(scale(std::sync::Arc::downgrade(&self.shared), told));
                *changed = Some(sender);
            }
        }
    }

    /// Sets the numbers that are due, and says when to look again.
    async fn scale_once(&self) -> Result<Option<Timestamp>, Error> {
        let now = self.shared.clock.now();
        let mut has_changed = false;
        for provision in self.provisions()? {
            if !provision.is_settled(now) {
                let number = provision.due(now).unwrap_or(provision.number);
                self.rescale(provision, number, now).await?;
                has_changed = true;
            }
        }
        if has_changed {
            self.provision_anew()?;
        }
        self.shared.scaler.passes.send_replace(());
        Ok(self.provisions()?.iter().filter_map(|provision| provision.next(now)).min())
    }

    /// Sets the number of a version, unless somebody has set another since; one that there is no room for stays what
    /// it was, and the reason is kept beside it.
    async fn rescale(&self, was: Provision, number: u32, now: Timestamp) -> Result<(), Error> {
        let (function, version) = (was.function.clone(), was.version);
        let write = move |tx: &mut Tx<'_>| {
            let key = was.key();
            let row = tx.get(Table::Concurrency, &key)?;
            let row = row.map(|row| row::decode::<Provision>("provisioned concurrency", &row)).transpose()?;
            if row.as_ref() != Some(&was) {
                return Ok::<_, Error>(None);
            }
            let mut division = Division::in_commit(tx, &was.appid, &was.region)?;
            let scaled = Provision { number, since: now, refused: None, ..was.clone() };
            let refused = match division.admit(scaled.clone()) {
                Ok(()) => None,
                Err(Error::Refused { message, .. }) => Some(message),
                Err(error) => return Err(error),
            };
            let number = if refused.is_some() { was.number } else { number };
            let scaled = Provision { number, refused: refused.clone(), ..scaled };
            tx.put(Table::Concurrency, &key, row::encode("provisioned concurrency", &scaled)?);
            Ok(Some(refused))
        };
        match self.shared.store.commit(write).await? {
            // Looked at anew by whoever changed it.
            (_, None) => {}
            (_, Some(None)) => tracing::info!(function, version, number, "provisioned by the clock"),
            (_, Some(Some(why))) => {
                tracing::warn!(function, version, number, why, "not provisioned by the clock");
            }
        }
        Ok(())
    }
}

async fn scale(shared: Weak<Shared>, mut changed: watch::Receiver<()>) {
    loop {
        changed.borrow_and_update();
        let Some(shared) = shared.upgrade() else { return };
        let clock = shared.clock.clone();
        let looked = Functions { shared }.scale_once().await;
        let again = async {
            match looked {
                Ok(Some(at)) => clock.sleep_until(at).await,
                Ok(None) => std::future::pending().await,
                Err(error) => {
                    tracing::error!(%error, "provisioned instances do not follow the clock");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        tokio::select! {
            told = changed.changed() => if told.is_err() { return },
            () = again => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64) -> Timestamp {
        // Days begin at 16:00 UTC in UTC+8.
        Timestamp::from_secs(1_700_000_000 / 86_400 * 86_400 + (16 + hour) * 3600)
    }

    #[test]
    fn the_last_action_that_came_due_counts() {
        let action = |name: &str, cron: &str, number| Action { name: name.into(), cron: cron.into(), number };
        let kept = Provision {
            function: "lam-1".into(),
            version: 1,
            appid: "1".into(),
            region: "r".into(),
            memory_mb: 128,
            number: 1,
            actions: vec![
                action("a", "0 0 8 * * * *", 2),
                action("b", "0 0 12,20 * * * *", 3),
                action("c", "0 0 20 * * 0-6 *", 4),
            ],
            since: at(0),
            refused: None,
        };
        for (hour, due, next) in [
            (7, None, 8),
            (8, Some(2), 12),
            (11, Some(2), 12),
            (19, Some(3), 20),
            // Of two at one time the later in the list.
            (20, Some(4), 32),
            // Days after: what came due while nobody looked.
            (24 * 9 + 9, Some(2), 24 * 9 + 12),
        ] {
            assert_eq!((kept.due(at(hour)), kept.next(at(hour))), (due, Some(at(next))), "{hour}");
        }
        let by_hand = Provision { since: at(13), ..kept };
        assert_eq!((by_hand.due(at(19)), by_hand.is_settled(at(19))), (None, true));
        assert!(!by_hand.is_settled(at(12)) && !by_hand.is_settled(at(20)));
    }
}
