//! Moving the clock: what comes due on the way is done in the order of its times, and then the server settles.

use std::sync::Arc;
use std::time::Duration;

use cosette_clock::Clock;
use cosette_function::Functions;
use cosette_jobs::{Jobs, Replication};
use cosette_model::{Seq, Timestamp};
use cosette_store::{Error as StoreError, Store};
use cosette_trigger::{Quiet, Triggers};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

/// Moments that one journey stops at; what comes due after them is done at its end.
const STOPS_MAX: usize = 10_000;

/// Changes read at a time.
const PAGE: usize = 1000;

/// Who moves the clock, and those who react to it.
#[derive(Clone)]
pub(crate) struct Traveller {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) functions: Functions,
    pub(crate) triggers: Triggers,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) replication: Replication,
    pub(crate) turns: Arc<Mutex<()>>,
}

impl Traveller {
    /// Waits until nobody else moves the clock, and keeps others from it until it is dropped.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turns).lock_owned().await
    }

    /// Goes to `to`, stopping wherever somebody has something to do, for as long as `patience` lasts in real
    /// time; the clock is there in any case. Returns whether everything that is due has been done.
    pub(crate) async fn go(&self, to: Timestamp, patience: Duration) -> bool {
        let journey = async {
            for _ in 0..STOPS_MAX {
                self.settle().await;
                match self.next() {
                    Some(next) if next < to => self.clock.set(next),
                    _ => break,
                }
            }
            self.clock.set(to);
            self.settle().await;
        };
        let arrived = tokio::time::timeout(patience, journey).await.is_ok();
        self.clock.set(to);
        arrived
    }

    /// When somebody next has something to do. Who has just said so may not sleep yet.
    fn next(&self) -> Option<Timestamp> {
        // What cannot be read is told by who is to do it.
        let scaling = self.functions.next_scaling().unwrap_or_default();
        let said = [self.clock.next_wake(), self.jobs.next_run(), self.triggers.next_due(), scaling];
        said.into_iter().flatten().min()
    }

    /// Waits for all that has followed by then from what happened, or from one request: what rules copy, and what
    /// functions do upon it. At most for `patience`.
    ///
    /// # Errors
    /// Those of the triggers.
    pub(crate) async fn quiet(
        &self,
        request: Option<&str>,
        patience: Duration,
    ) -> Result<Quiet, cosette_trigger::Error> {
        let end = Instant::now() + patience;
        loop {
            let head = self.store.head();
            let copied = tokio::time::timeout_at(end, self.replication.reached(head, request)).await.is_ok();
            let look = self.triggers.wait(request, end - Instant::now()).await?;
            // What a function has written since may have been for a rule to copy; and if that has been copied by now,
            // nobody has looked for who is to react to the copy.
            let is_whole = copied
                && match request {
                    Some(request) => !self.has_asked_for_copies(request, head).await?,
                    None => look.head == head,
                };
            if is_whole || !look.quiet || Instant::now() >= end {
                return Ok(Quiet { quiet: look.quiet && is_whole, ..look });
            }
        }
    }

    /// Whether the request has led to a write after `seq` that a rule is to copy.
    async fn has_asked_for_copies(&self, request: &str, mut seq: Seq) -> Result<bool, StoreError> {
        loop {
            let page = self.store.changes(seq, PAGE)?;
            let Some(last) = page.last() else { return Ok(false) };
            seq = last.seq;
            if page.iter().any(|change| !change.replicas.is_empty() && change.cause.is_of(request)) {
                return Ok(true);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns once nothing is left to do before the clock moves on.
    pub(crate) async fn settle(&self) {
        loop {
            self.clock.woken().await;
            self.jobs.settled().await;
            self.triggers.settled().await;
            let _ = self.functions.scaled().await;
            // What the one has done may be work for the other, also between these two looks.
            let head = self.store.head();
            if self.jobs.is_settled() && self.triggers.is_settled() && self.store.head() == head {
                return;
            }
        }
    }
}
