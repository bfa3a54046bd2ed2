//! The one source of time. Everything that needs *now* or *later* holds a [`Clock`]; *again and again* is a [`Cron`].
//!
//! Real time by default. The clock can be moved forward and frozen, by tests and by the
//! admin API; everybody who sleeps on it wakes when the moved clock has passed their time.

mod cron;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cosette_model::{Times, Timestamp};
use tokio::sync::watch;

pub use cron::{Cron, NotCron};

/// Who sleeps looks at the machine's clock again after so long: a timer does not count the time that the machine
/// has slept.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A cheap handle; clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    machine: Machine,
    /// The latest time shown, in microseconds: when the machine's clock is set back, ours stands still.
    latest: AtomicU64,
    mode: watch::Sender<Mode>,
    sleepers: watch::Sender<Sleepers>,
}

/// The machine's clock.
#[derive(Debug)]
enum Machine {
    /// The system's, which is set right by others and goes on while the machine sleeps.
    System,
    /// Counted from a time that a test has chosen.
    From(Timestamp, Instant),
}

impl Machine {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::default().plus(since)
            }
            Self::From(origin, started) => origin.plus(started.elapsed()),
        }
    }
}

/// How shown time follows from the machine's.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// Shown time at `since`, which is the machine's.
    base: Timestamp,
    since: Timestamp,
    frozen: bool,
}

impl Mode {
    fn at(&self, machine: Timestamp) -> Timestamp {
        if self.frozen { self.base } else { self.base.plus(machine.since(self.since)) }
    }
}

/// When those who sleep are to wake, each with a number of its own.
#[derive(Debug, Default)]
struct Sleepers {
    places: BTreeSet<(Timestamp, u64)>,
    numbers: u64,
}

impl Clock {
    /// Follows the machine's time until it is moved.
    pub fn real() -> Self {
        Self::with(Machine::System, false)
    }

    /// Stands still at `at` until it is moved.
    pub fn frozen(at: Timestamp) -> Self {
        Self::with(Machine::From(at, Instant::now()), true)
    }

    fn with(machine: Machine, frozen: bool) -> Self {
        let now = machine.now();
        let base = match machine {
            Machine::From(origin, _) => origin,
            Machine::System => now,
        };
        Self(Arc::new(Shared {
            machine,
            latest: AtomicU64::new(base.as_micros()),
            mode: watch::Sender::new(Mode { base, since: now, frozen }),
            sleepers: watch::Sender::default(),
        }))
    }

    /// What the machine's own clock says: clients sign with that, wherever this clock has been moved to.
    pub fn machine(&self) -> Timestamp {
        self.0.machine.now()
    }

    /// Never earlier than what was shown before.
    pub fn now(&self) -> Timestamp {
        let now = self.0.mode.borrow().at(self.machine()).as_micros();
        Timestamp::from_micros(self.0.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    pub fn times(&self) -> Times {
        Times { now: self.now(), machine: self.machine() }
    }

    /// Moves forward by `by`.
    pub fn advance(&self, by: Duration) {
        self.change(|now, frozen| (now.plus(by), frozen));
    }

    /// Moves to `to`; a time before now is not gone back to.
    pub fn set(&self, to: Timestamp) {
        self.change(|now, frozen| (now.max(to), frozen));
    }

    pub fn freeze(&self, frozen: bool) {
        self.change(|now, _| (now, frozen));
    }

    fn change(&self, how: impl FnOnce(Timestamp, bool) -> (Timestamp, bool)) {
        self.0.mode.send_modify(|mode| {
            let since = self.machine();
            let shown = Timestamp::from_micros(self.0.latest.load(Ordering::Relaxed)).max(mode.at(since));
            let (base, frozen) = how(shown, mode.frozen);
            *mode = Mode { base, since, frozen };
        });
    }

    pub fn is_frozen(&self) -> bool {
        self.0.mode.borrow().frozen
    }

    /// Returns once the clock shows `until` or later, however it got there.
    pub async fn sleep_until(&self, until: Timestamp) {
        if until <= self.now() {
            return;
        }
        let _sleeper = Sleeper::new(self, until);
        let mut mode = self.0.mode.subscribe();
        loop {
            let frozen = mode.borrow_and_update().frozen;
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            if frozen {
                // Only a change of the clock can end this; the sender lives as long as `self`.
                let _ = mode.changed().await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
                    _ = mode.changed() => {}
                }
            }
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().plus(duration)).await;
    }

    /// When the next of those who sleep is to wake.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.0.sleepers.borrow().places.first().map(|(until, _)| *until)
    }

    /// Returns once everybody whose time has come has woken.
    pub async fn woken(&self) {
        let mut sleepers = self.0.sleepers.subscribe();
        // The sender lives as long as `self`.
        let _ = sleepers
            .wait_for(|sleepers| sleepers.places.first().is_none_or(|(until, _)| *until > self.now()))
            .await;
    }
}

/// Somebody who sleeps, until dropped.
struct Sleeper<'a> {
    clock: &'a Clock,
    place: (Timestamp, u64),
}

impl<'a> Sleeper<'a> {
    fn new(clock: &'a Clock, until: Timestamp) -> Self {
        let mut place = (until, 0);
        clock.0.sleepers.send_modify(|sleepers| {
            sleepers.numbers += 1;
            place.1 = sleepers.numbers;
            sleepers.places.insert(place);
        });
        Self { clock, place }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.0.sleepers.send_modify(|sleepers| {
            sleepers.places.remove(&self.place);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moved_clock_wakes_sleepers() {
        let clock = Clock::frozen(Timestamp::from_secs(100));
        let until = clock.now().plus(Duration::from_secs(3600));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        clock.advance(Duration::from_secs(3599));
        assert_eq!(clock.now(), Timestamp::from_secs(3699));
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.next_wake(), Some(until));
        clock.advance(Duration::from_secs(2));
        // Not woken by the second move means never: the test then hangs and fails by its harness.
        tokio::time::timeout(Duration::from_secs(30), clock.woken()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), sleeper).await.unwrap().unwrap();
        assert_eq!(clock.next_wake(), None);
    }

    #[test]
    fn time_does_not_go_back() {
        let clock = Clock::frozen(Timestamp::from_secs(100));
        clock.set(Timestamp::from_secs(50));
        assert_eq!(clock.now(), Timestamp::from_secs(100));
    }

    #[test]
    fn the_machines_time_goes_on_by_itself() {
        let clock = Clock::real();
        let before = clock.machine();
        clock.advance(Duration::from_secs(3600));
        assert!(clock.now().since(clock.machine()) > Duration::from_secs(3500));
        assert!(clock.machine().since(before) < Duration::from_secs(100));
        clock.freeze(true);
        assert_eq!(clock.now(), clock.now());
    }
}
