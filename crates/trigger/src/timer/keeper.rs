//! Lets timers fire: each due time is a delivery, filed once, by a commit that checks that the timer is still the one
//! that came due.
//!
//! Of what a machine has slept through each timer fires once, for the last of its times. What came due while no server
//! ran is not made up, as SCF has no such thing: a start counts from its own time. What
//! a moved clock has passed over is fired, in the order of its times.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cosette_model::{Chain, Seq, Timestamp};
use cosette_store::{Error as StoreError, Table, Tx};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Timer, all};
use crate::delivery::{DeliveryState, Filed, Progress, places};
use crate::dispatch::{Dispatcher, Stage, ticket};
use crate::{Error, row, stored};

/// Firings that one commit files.
const BATCH_MAX: usize = 256;

/// Times of one timer that are made up for a clock that has been moved far, a day of seconds; what is beyond is left
/// out, with a warning.
const PASSED_MAX: usize = 86_400;

/// A sleep of the machine; what is shorter is its clock being set right.
const SLEPT_MIN: Duration = Duration::from_secs(60);

/// Pauses after an error of the store: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The timers there are, with when each fires next.
pub(crate) struct Keeper {
    dispatcher: Arc<Dispatcher>,
    plan: Mutex<BTreeMap<String, Planned>>,
    changed: Notify,
    /// When it last looked what is due: by the machine's clock, and by one that stands still while the machine sleeps.
    looked: Mutex<(Timestamp, Instant)>,
}

struct Planned {
    timer: Arc<Timer>,
    next: Option<Timestamp>,
}

/// A timer's due time.
struct Firing {
    timer: Arc<Timer>,
    at: Timestamp,
}

impl Keeper {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Result<Self, Error> {
        let looked = Mutex::new((dispatcher.clock.machine(), Instant::now()));
        let keeper = Self { dispatcher, plan: Mutex::default(), changed: Notify::new(), looked };
        keeper.look_again()?;
        Ok(keeper)
    }

    fn plan(&self) -> MutexGuard<'_, BTreeMap<String, Planned>> {
        // No code that can panic half way runs under the lock.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the timers anew: those that have changed count from now on.
    pub(crate) fn look_again(&self) -> Result<(), Error> {
        {
            let mut plan = self.plan();
            // Read under the lock: who comes later has read later.
            let (timers, now) = (all(&self.dispatcher.store)?, self.dispatcher.clock.now());
            let mut before = std::mem::take(&mut *plan);
            for timer in timers {
                let known = before.remove(&timer.id).filter(|known| *known.timer == timer);
                let planned =
                    known.unwrap_or_else(|| Planned { next: timer.next(now), timer: Arc::new(timer) });
                plan.insert(planned.timer.id.clone(), planned);
            }
        }
        self.changed.notify_one();
        self.dispatcher.moved.send_replace(());
        Ok(())
    }

    /// When the next of them fires.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.plan().values().filter_map(|planned| planned.next).min()
    }

    /// Whether all that is due has been filed.
    pub(crate) fn is_settled(&self) -> bool {
        self.next().is_none_or(|at| at > self.dispatcher.clock.now())
    }

    /// Runs until the stop or until the store refuses.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut pause = PAUSE.0;
        while self.dispatcher.is_running() {
            match self.fire().await {
                Ok(()) => pause = PAUSE.0,
                Err(Error::Store(StoreError::Closed)) => return,
                Err(error @ Error::Store(StoreError::Poisoned(_))) => {
                    tracing::error!(%error, "no timer fires until a restart");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "timers wait");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.dispatcher.reached(Stage::Draining) => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                    continue;
                }
            }
            let due = async {
                match self.next() {
                    Some(at) => self.dispatcher.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.changed.notified() => {}
                () = self.dispatcher.reached(Stage::Draining) => {}
            }
        }
    }

    /// Files all that is due.
    async fn fire(&self) -> Result<(), Error> {
        loop {
            let now = self.dispatcher.clock.now();
            let mut firings = self.due(now);
            if self.slept() > SLEPT_MIN {
                last_of_each(&mut firings);
            }
            if firings.is_empty() {
                return Ok(());
            }
            for batch in firings.chunks(BATCH_MAX) {
                self.file(batch).await?;
            }
            // What a sleep has passed over, too.
            self.leave_out(now);
        }
    }

    /// How long the machine has slept, or its clock has been set forward by, since the last call.
    fn slept(&self) -> Duration {
        let now = (self.dispatcher.clock.machine(), Instant::now());
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *looked, now);
        now.0.since(before.0).saturating_sub(now.1.duration_since(before.1))
    }

    /// What is due at `now`, in the order of its times.
    fn due(&self, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        for planned in self.plan().values() {
            let due = std::iter::successors(planned.next, |at| planned.timer.next(*at));
            let due: Vec<Timestamp> = due.take_while(|at| *at <= now).take(PASSED_MAX).collect();
            firings.extend(due.into_iter().map(|at| Firing { timer: planned.timer.clone(), at }));
        }
        firings.sort_by_key(|firing| firing.at);
        firings
    }

    /// One commit: those of the firings whose timers are still what they were.
    async fn file(&self, firings: &[Firing]) -> Result<(), Error> {
        let filed: Vec<Filed> = firings.iter().map(Firing::filed).collect();
        let rows = filed
            .iter()
            .map(|filed| stored::encode(filed, &Progress::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let asked: Vec<(String, Seq)> =
            firings.iter().map(|firing| (firing.timer.id.clone(), firing.timer.revision)).collect();
        let write = move |tx: &mut Tx<'_>| {
            let mut stands = Vec::with_capacity(asked.len());
            for (id, revision) in &asked {
                let row = tx.get(Table::Rule, id.as_bytes())?;
                let timer = row.map(|row| row::decode::<Timer>(&row, "timer")).transpose()?;
                stands.push(timer.is_some_and(|timer| timer.enabled && timer.revision == *revision));
            }
            let rows = rows.into_iter().zip(&stands).filter(|(_, stands)| **stands);
            stored::file(tx, rows.map(|(row, _)| row).collect());
            Ok::<_, Error>(stands)
        };
        // Nobody knows their ids yet.
        let _filing = self.dispatcher.filing(std::iter::empty());
        let (commit, stands) = self.dispatcher.store.commit(write).await?;
        let filed: Vec<Filed> =
            filed.into_iter().zip(stands).filter(|(_, stands)| *stands).map(|(filed, _)| filed).collect();
        let mut tickets = Vec::with_capacity(filed.len());
        for (place, filed) in places(commit, filed.len()).zip(filed) {
            let target = Arc::new(filed.target.clone());
            tickets.push((ticket(place, &filed, target)?, DeliveryState::Pending));
        }
        // First the deliveries: at no moment is a due time neither ahead nor unfinished.
        self.dispatcher.admit(tickets, None);
        self.passed(firings);
        self.dispatcher.moved.send_replace(());
        Ok(())
    }

    /// Goes on to what comes after these.
    fn passed(&self, firings: &[Firing]) {
        let mut plan = self.plan();
        for firing in firings {
            let planned = plan.get_mut(&firing.timer.id).filter(|planned| planned.timer == firing.timer);
            if let Some(planned) = planned {
                planned.next = planned.timer.next(firing.at);
            }
        }
    }

    /// Goes on after `now` where a timer had more due times than are made up.
    fn leave_out(&self, now: Timestamp) {
        for planned in self.plan().values_mut().filter(|planned| planned.next.is_some_and(|at| at <= now)) {
            tracing::warn!(timer = %planned.timer.name, function = %planned.timer.function.name, "due times are left out");
            planned.next = planned.timer.next(now);
        }
    }
}

/// Nobody wants all that a machine has slept through, one after another: of each timer the last.
fn last_of_each(firings: &mut Vec<Firing>) {
    let mut seen = HashSet::new();
    // In the order of their times, as they are.
    firings.reverse();
    firings.retain(|firing| seen.insert(firing.timer.id.clone()));
    firings.reverse();
}

impl Firing {
    fn filed(&self) -> Filed {
        Filed {
            id: Uuid::new_v4().to_string(),
            source: None,
            timer: Some(self.timer.name.clone()),
            target: self.timer.function.clone().into(),
            event: self.timer.event(self.at),
            created: self.at,
            chain: Chain::default(),
            letter_of: None,
            repeats: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cosette_model::function::FunctionRef;

    use super::*;

    #[test]
    fn of_what_was_slept_through_each_timer_has_the_last() {
        let timer = |id: &str| {
            Arc::new(Timer {
                id: id.into(),
                name: id.into(),
                function: FunctionRef {
                    appid: "1250000000".into(),
                    region: "r".into(),
                    namespace: "n".into(),
                    name: "f".into(),
                    qualifier: "$LATEST".into(),
                    routed: None,
                },
                cron: "* * * * * * *".into(),
                argument: String::new(),
                description: String::new(),
                enabled: true,
                created: Timestamp::default(),
                modified: Timestamp::default(),
                revision: Seq(1),
            })
        };
        let (a, b) = (timer("a"), timer("b"));
        let firing = |timer: &Arc<Timer>, at| Firing { timer: timer.clone(), at: Timestamp::from_secs(at) };
        let mut firings = vec![firing(&a, 1), firing(&b, 2), firing(&a, 3), firing(&a, 4), firing(&b, 5)];
        last_of_each(&mut firings);
        let left: Vec<_> = firings.iter().map(|one| (one.timer.id.as_str(), one.at.as_secs())).collect();
        assert_eq!(left, [("a", 4), ("b", 5)]);
    }
}
