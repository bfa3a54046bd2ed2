//! Deliveries to functions as SCF's asynchronous events (scf.md 3.10): listed without what they carry, and ended by
//! hand also while they run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cosette_model::function::{FunctionRef, StatusCode};
use cosette_model::{Seq, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::delivery::{self, Delivery, DeliveryState, Place, Progress};
use crate::{Error, Triggers, stored};

/// Why one that was ended while it waited is dead.
const TERMINATED: &str = "terminated by hand";

/// The same of one that was asked to end and failed, after its status.
const ASKED: &str = "it was asked to end";

/// How far an asynchronous event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStatus {
    /// Also while it waits, for its turn or for another attempt.
    Running,
    Finished,
    Aborted,
    Failed,
}

/// A delivery to a function, without its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncEvent {
    /// The invocation's request id.
    pub id: String,
    /// `COS`, `TIMER` or `API`.
    pub kind: &'static str,
    pub function: FunctionRef,
    pub status: EventStatus,
    /// Of the last attempt that has ended; of one that was ended by hand 499.
    pub code: Option<StatusCode>,
    /// When the first attempt that is remembered began; when the event happened, if there is none.
    pub started: Timestamp,
    /// `None` unless it is over.
    pub ended: Option<Timestamp>,
}

impl AsyncEvent {
    /// `None` for a delivery to anybody else than a function.
    fn of(delivery: Delivery) -> Option<Self> {
        let kind = delivery::kind(delivery.source.is_some(), delivery.timer.is_some());
        let function = delivery.target.function()?.clone();
        let last = delivery.attempts.last();
        let code = last.map(|attempt| attempt.status);
        let (status, code) = match &delivery.state {
            DeliveryState::Succeeded => (EventStatus::Finished, code),
            DeliveryState::Dead { why } if why == TERMINATED || code == Some(StatusCode::Canceled) => {
                (EventStatus::Aborted, Some(StatusCode::Canceled))
            }
            DeliveryState::Dead { .. } => (EventStatus::Failed, code),
            _ => (EventStatus::Running, code),
        };
        let started = delivery.attempts.first().map_or(delivery.created, |attempt| attempt.started);
        let ended = last.map_or(delivery.created, |attempt| attempt.ended);
        let ended = (status != EventStatus::Running).then_some(ended);
        Some(Self { id: delivery.id, kind, function, status, code, started, ended })
    }
}

/// Attempts that run, each with what calls it off.
#[derive(Default)]
pub(crate) struct CallsOff(Mutex<HashMap<Uuid, Arc<Asked>>>);

#[derive(Default)]
struct Asked {
    /// To let go of it.
    at_once: Notify,
    /// Whether what runs was asked to end by itself.
    gently: AtomicBool,
}

/// An attempt that runs, until dropped.
pub(crate) struct CallOff<'a> {
    all: &'a CallsOff,
    id: Uuid,
    asked: Arc<Asked>,
}

impl CallsOff {
    pub(crate) fn enter(&self, id: Uuid) -> CallOff<'_> {
        CallOff { all: self, id, asked: self.of(id) }
    }

    /// Also for one that has been started and has not entered yet.
    fn ask(&self, id: Uuid) {
        self.of(id).at_once.notify_one();
    }

    fn of(&self, id: Uuid) -> Arc<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    fn forget(&self, id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

impl CallOff<'_> {
    /// Returns when the attempt is to end.
    pub(crate) async fn comes(&self) {
        self.asked.at_once.notified().await;
    }

    /// What its end means for the delivery: nothing more is tried of what was asked to end.
    pub(crate) fn judge(&self, progress: &mut Progress, status: StatusCode) {
        if self.asked.gently.load(Ordering::Relaxed) && progress.state != DeliveryState::Succeeded {
            progress.state = DeliveryState::Dead { why: format!("{}: {ASKED}", status.number()) };
        }
    }

    /// Whether it ends because somebody wants it to.
    pub(crate) fn is_gentle(&self) -> bool {
        self.asked.gently.load(Ordering::Relaxed)
    }
}

impl Drop for CallOff<'_> {
    fn drop(&mut self) {
        self.all.forget(self.id);
    }
}

impl Triggers {
    /// The deliveries to functions that are picked by function and id, oldest first, at most `max`. On a thread of its
    /// own: it reads all deliveries.
    ///
    /// # Errors
    /// The store's.
    pub async fn async_events(
        &self,
        pick: impl Fn(&FunctionRef, &str) -> bool + Send + 'static,
        max: usize,
    ) -> Result<Vec<AsyncEvent>, Error> {
        let (store, fresh) = (self.dispatcher.store.clone(), self.dispatcher.queues().fresh());
        let look = move || {
            let is_meant = |filed: &delivery::Filed| {
                filed.target.function().is_some_and(|function| pick(function, &filed.id))
            };
            let make = |_: Place, delivery| AsyncEvent::of(delivery);
            stored::picked(&store, fresh, Seq(0), max, is_meant, make)
        };
        let found = tokio::task::spawn_blocking(look).await;
        let found = found.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Ends a delivery for good, whether it waits or runs; returns once that is on record. What runs is let go of,
    /// its process ended.
    ///
    /// # Errors
    /// `NoSuchDelivery`, `NotNow` when it is finished, or when an end of it could not be recorded.
    pub async fn terminate(&self, id: &str) -> Result<(), Error> {
        let uuid = Uuid::parse_str(id).map_err(|_| Error::NoSuchDelivery(id.to_owned()))?;
        let ended = self.end_by_hand(id, uuid).await;
        self.dispatcher.calls_off.forget(uuid);
        ended
    }

    /// Asks a delivery that runs to end by itself (SIGTERM); what comes of it then is its end, and it is not tried
    /// again. One whose handler does not run is ended as by [`terminate`](Self::terminate).
    ///
    /// # Errors
    /// As of `terminate`.
    pub async fn terminate_gently(&self, id: &str) -> Result<(), Error> {
        let uuid = Uuid::parse_str(id).map_err(|_| Error::NoSuchDelivery(id.to_owned()))?;
        let is_running = {
            let queues = self.dispatcher.queues();
            queues.place_of(uuid).is_some_and(|place| queues.is_running(place))
        };
        if is_running {
            // First: its end may come at once.
            self.dispatcher.calls_off.of(uuid).gently.store(true, Ordering::Relaxed);
            if self.dispatcher.targets.signal(id) {
                return Ok(());
            }
        }
        self.terminate(id).await
    }

    async fn end_by_hand(&self, id: &str, uuid: Uuid) -> Result<(), Error> {
        let mut moved = self.dispatcher.moved.subscribe();
        let mut has_asked = false;
        loop {
            moved.borrow_and_update();
            let is_running = {
                let queues = self.dispatcher.queues();
                queues.place_of(uuid).is_some_and(|place| queues.is_running(place))
            };
            if is_running {
                self.dispatcher.calls_off.ask(uuid);
                has_asked = true;
            } else {
                let dead = |_| DeliveryState::Dead { why: TERMINATED.to_owned() };
                match self.in_own_task(id, dead).await {
                    // It began in between, or somebody else has it in hand: either is told of.
                    Err(Error::NotNow { why: "runs", .. }) => {}
                    // By us, or by itself at the same moment.
                    Err(Error::NotNow { why: "is finished", .. }) if has_asked => return Ok(()),
                    ended => return ended,
                }
            }
            // The sender lives as long as `self`.
            let _ = moved.changed().await;
        }
    }
}
