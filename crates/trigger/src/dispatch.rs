//! Runs deliveries: takes what may run from the queues, invokes, records each attempt's end, and keeps
//! the time of retries. Knows nothing of rules or of how a target takes a message.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use cosette_clock::Clock;
use cosette_model::function::{FunctionRef, Invocation, Invoke, Outcome, StatusCode};
use cosette_model::{Chain, Seq, Target, Timestamp};
use cosette_store::{Store, Tx};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::asynchronous::CallsOff;
use crate::delivery::{self, Attempt, Delivery, DeliveryState, Filed, Place, Progress};
use crate::queue::{End, Queues, Ticket};
use crate::{Error, Options, letter, retry, row};

/// Ends of deliveries that are remembered for who follows them.
const ENDS_MAX: usize = 4096;

/// How far the subsystem has been stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Nothing new starts.
    Draining,
    /// What still runs is let go of.
    Halted,
}

pub(crate) struct Dispatcher {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) targets: Arc<dyn Invoke>,
    pub(crate) options: Options,
    queues: Mutex<Queues>,
    /// The latest deliveries that have ended, each with its number among all that have since the start.
    ends: Mutex<VecDeque<(u64, Place)>>,
    /// Told after every step of the cursor and every end of an attempt.
    pub(crate) moved: watch::Sender<()>,
    pub(crate) retry_set: Notify,
    pub(crate) calls_off: CallsOff,
    stage: watch::Sender<Stage>,
}

impl Dispatcher {
    pub(crate) fn new(store: Store, clock: Clock, targets: Arc<dyn Invoke>, options: Options) -> Self {
        Self {
            store,
            clock,
            targets,
            options,
            queues: Mutex::default(),
            ends: Mutex::default(),
            moved: watch::Sender::new(()),
            retry_set: Notify::new(),
            calls_off: CallsOff::default(),
            stage: watch::Sender::new(Stage::Running),
        }
    }

    pub(crate) fn queues(&self) -> MutexGuard<'_, Queues> {
        // No code that can panic half way runs under the lock.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the target may run at once. One of a missing target is let through: the
    /// invocation's own outcome says that it is missing.
    fn limit(&self, target: &Target) -> usize {
        self.targets.describe(target).map_or(1, |description| description.concurrency.max(1))
    }

    /// Takes in deliveries that have been filed, in their order, and then moves the cursor to `cursor`:
    /// in one step, so that nobody sees the cursor past a change whose deliveries do not count yet.
    pub(crate) fn admit(self: &Arc<Self>, tickets: Vec<(Ticket, DeliveryState)>, cursor: Option<Seq>) {
        let limits = self.limits(tickets.iter().map(|(ticket, _)| ticket));
        let mut is_retry_set = false;
        let mut queues = self.queues();
        for (ticket, state) in tickets {
            queues.note(&ticket);
            match state {
                DeliveryState::Retrying { at } => {
                    queues.postpone(ticket, at);
                    is_retry_set = true;
                }
                _ => {
                    let limit = limits.get(&ticket.target).copied().unwrap_or(1);
                    queues.push(ticket, limit);
                }
            }
        }
        if let Some(cursor) = cursor {
            queues.reach(cursor);
        }
        for target in limits.keys() {
            self.start(&mut queues, target);
        }
        drop(queues);
        if is_retry_set {
            self.retry_set.notify_one();
        }
        self.moved.send_replace(());
    }

    pub(crate) fn limits<'a>(
        &self,
        tickets: impl Iterator<Item = &'a Ticket>,
    ) -> HashMap<Arc<Target>, usize> {
        let mut limits = HashMap::new();
        for ticket in tickets {
            if !limits.contains_key(&ticket.target) {
                limits.insert(ticket.target.clone(), self.limit(&ticket.target));
            }
        }
        limits
    }

    /// Starts whatever of the target may run.
    pub(crate) fn start(self: &Arc<Self>, queues: &mut Queues, target: &Target) {
        while *self.stage.borrow() == Stage::Running
            && let Some(ticket) = queues.take(target)
        {
            let dispatcher = self.clone();
            tokio::spawn(async move {
                let (end, letter) = dispatcher.attempt(&ticket).await.unwrap_or_else(|error| {
                    tracing::error!(delivery = %ticket.id, %error, "attempt not recorded");
                    (End::Lost, None)
                });
                let letter = letter.map(|letter| (dispatcher.limit(&letter.target), letter));
                let limit = dispatcher.limit(&ticket.target);
                let target = ticket.target.clone();
                let mut queues = dispatcher.queues();
                // First the letter: at no moment is nothing of the two unfinished.
                let letter = letter.map(|(limit, letter)| {
                    let target = letter.target.clone();
                    queues.note(&letter);
                    queues.push(letter, limit);
                    target
                });
                queues.end(ticket, end, limit);
                dispatcher.start(&mut queues, &target);
                if let Some(target) = letter {
                    dispatcher.start(&mut queues, &target);
                }
                drop(queues);
                if matches!(end, End::Retry(_)) {
                    dispatcher.retry_set.notify_one();
                }
                dispatcher.moved.send_replace(());
            });
        }
    }

    /// One attempt, from reading the delivery to having its end on record; with the dead letter that its end may bring.
    async fn attempt(&self, ticket: &Ticket) -> Result<(End, Option<Ticket>), Error> {
        let place = ticket.place;
        let filed = delivery::filed(&self.store, place)?;
        let (Some(filed), Some(progress)) = (filed, delivery::progress(&self.store, place)?) else {
            let what = format!("delivery {} is missing", ticket.id);
            return Err(cosette_store::Error::Corrupt { what }.into());
        };
        let invocation = Invocation {
            request_id: filed.id.clone(),
            target: filed.target.clone(),
            event: filed.event.clone(),
            retry: progress.tries,
            source: filed.kind().to_owned(),
            subject: filed.subject().to_owned(),
            chain: filed.chain.clone().then(filed.link()),
        };
        let started = self.clock.now();
        let call_off = self.calls_off.enter(ticket.id);
        let outcome = tokio::select! {
            biased;
            outcome = caught(async { self.targets.invoke(invocation).await }) => outcome.map(Some),
            () = call_off.comes() => Ok(None),
            () = self.reached(Stage::Halted) => return Ok((End::Lost, None)),
        };
        let is_by_hand = matches!(outcome, Ok(None));
        let (status, error, answer) = match outcome {
            Ok(Some(Outcome { status, error, result, .. })) => (status, error, result),
            Ok(None) => (StatusCode::Canceled, "terminated by hand".to_owned(), String::new()),
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!(delivery = %ticket.id, target = %ticket.target, panic = text, "invocation panicked");
                (StatusCode::InternalError, format!("the invocation panicked: {text}"), String::new())
            }
        };
        if status == StatusCode::Canceled && *self.stage.borrow() > Stage::Running {
            // Called off because everything stops: the next start tries it again.
            return Ok((End::Lost, None));
        }
        let ended = self.clock.now();
        let described = self.targets.describe(&ticket.target);
        let policy = described.as_ref().map(|found| found.retry).unwrap_or_default();
        // A function's result is in its own record.
        let answer = if matches!(filed.target, Target::Webhook { .. }) { answer } else { String::new() };
        let attempt = Attempt { started, ended, status, error, answer };
        let mut progress =
            retry::after(progress, attempt, filed.created, policy, self.options.retry_interval);
        call_off.judge(&mut progress, status);
        // Of what somebody ends nobody is told, whether it ran or waited.
        let letter = described.filter(|_| !is_by_hand && !call_off.is_gentle());
        let letter = letter.and_then(|found| letter::of(&filed, &progress, found, ended));
        self.record(ticket, progress, letter).await
    }

    async fn record(
        &self,
        ticket: &Ticket,
        progress: Progress,
        letter: Option<Filed>,
    ) -> Result<(End, Option<Ticket>), Error> {
        let retry = match &progress.state {
            DeliveryState::Retrying { at } => Some(*at),
            _ => None,
        };
        if let DeliveryState::Dead { why } = &progress.state {
            tracing::warn!(delivery = %ticket.id, target = %ticket.target, why, "delivery is dead");
        }
        let row = row::encode(&progress)?;
        let (place, finished_max) = (ticket.place, self.options.finished_max);
        let letters =
            letter.iter().map(|letter| Ok((row::encode(letter)?, None))).collect::<Result<_, Error>>()?;
        // An end and its letter are one commit: there is never the one without the other.
        let write = move |tx: &mut Tx<'_>| {
            delivery::file(tx, letters, finished_max)?;
            if retry.is_none() {
                delivery::finish(tx, place, row, finished_max)?;
            } else {
                delivery::postpone(tx, place, row);
            }
            Ok(())
        };
        let (commit, ()) = self.store.commit::<_, Error, _>(write).await?;
        if retry.is_none() {
            self.note_end(place);
        }
        let at = Place { commit, index: 0 };
        let queued = letter.map(|filed| self::ticket(at, &filed, Arc::new(filed.target.clone())));
        Ok((retry.map_or(End::Finished(commit), End::Retry), queued.transpose()?))
    }

    /// A delivery has ended, and is on record.
    pub(crate) fn note_end(&self, place: Place) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let number = ends.back().map_or(1, |(number, _)| number + 1);
        ends.push_back((number, place));
        if ends.len() > ENDS_MAX {
            ends.pop_front();
        }
    }

    /// Deliveries that have ended after the one of this number, oldest first, and the number of the last of them.
    pub(crate) fn ended(&self, after: u64, max: usize) -> Result<(Vec<Delivery>, u64), Error> {
        let (found, last) = {
            let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = ends.back().map_or(0, |(number, _)| *number);
            // A number of an earlier run.
            let after = if after > newest { 0 } else { after };
            let found: Vec<(u64, Place)> =
                ends.iter().filter(|(number, _)| *number > after).take(max).copied().collect();
            let last = found.last().map_or(newest, |(number, _)| *number);
            (found, last)
        };
        let mut deliveries = Vec::with_capacity(found.len());
        for (_, place) in found {
            deliveries.extend(delivery::at(&self.store, place)?);
        }
        Ok((deliveries, last))
    }

    /// Lets retries run when they are due, until the stop.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.queues().next_retry();
            let due = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.reached(Stage::Draining) => return,
                () = self.retry_set.notified() => {}
                () = due => self.start_due(self.clock.now()),
            }
        }
    }

    fn start_due(self: &Arc<Self>, now: Timestamp) {
        let due = self.queues().due(now);
        let limits = self.limits(due.iter());
        let mut queues = self.queues();
        for ticket in due {
            let limit = limits.get(&ticket.target).copied().unwrap_or(1);
            queues.push(ticket, limit);
        }
        for target in limits.keys() {
            self.start(&mut queues, target);
        }
        drop(queues);
        // What is held instead of run is no longer waited for.
        self.moved.send_replace(());
    }

    /// Files a call that no change stands behind; returns its id once it is durable and counted.
    pub(crate) async fn call(
        self: &Arc<Self>,
        function: FunctionRef,
        event: String,
        chain: Chain,
    ) -> Result<String, Error> {
        let target = Target::Function(function);
        if self.targets.describe(&target).is_none() {
            return Err(missing(&target));
        }
        let id = Uuid::new_v4();
        let filed = Filed {
            id: id.to_string(),
            source: None,
            timer: None,
            target,
            event,
            created: self.clock.now(),
            chain,
            letter_of: None,
            repeats: None,
        };
        self.file(filed).await
    }

    /// Files one more delivery; returns its id once it is durable and counted.
    pub(crate) async fn file(self: &Arc<Self>, filed: Filed) -> Result<String, Error> {
        let row = row::encode(&filed)?;
        let finished_max = self.options.finished_max;
        let write = move |tx: &mut Tx<'_>| delivery::file(tx, vec![(row, None)], finished_max);
        let _filing = self.filing(filed.ids());
        let (commit, ()) = self.store.commit(write).await?;
        let place = Place { commit, index: 0 };
        let target = Arc::new(filed.target.clone());
        self.admit(vec![(ticket(place, &filed, target)?, DeliveryState::Pending)], None);
        Ok(filed.id)
    }

    /// Newest first, at most `max`.
    pub(crate) fn deliveries(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        Ok(self.as_they_are(delivery::newest(&self.store, max)?))
    }

    /// Of those filed by commits after `after`, the ones that are picked, oldest first, at most `max`.
    pub(crate) fn picked(
        &self,
        after: Seq,
        max: usize,
        pick: impl FnMut(&Filed) -> bool,
    ) -> Result<Vec<Delivery>, Error> {
        Ok(self.as_they_are(delivery::picked(&self.store, after, max, pick, |place, delivery| {
            (place, delivery)
        })?))
    }

    /// With what only memory knows of them.
    pub(crate) fn as_they_are(&self, found: Vec<(Place, Delivery)>) -> Vec<Delivery> {
        let queues = self.queues();
        let with_state = |(place, mut delivery): (Place, Delivery)| {
            if !delivery.state.is_finished() && queues.is_running(place) {
                delivery.state = DeliveryState::Running;
            } else if !delivery.state.is_finished() && queues.is_held(place) {
                delivery.state = DeliveryState::Held;
            }
            delivery
        };
        found.into_iter().map(with_state).collect()
    }

    /// Returns once the stop has come as far as `stage`.
    pub(crate) async fn reached(&self, stage: Stage) {
        // The sender lives as long as `self`.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    pub(crate) fn is_running(&self) -> bool {
        *self.stage.borrow() == Stage::Running
    }

    /// Goes on to `stage`; there is no way back.
    pub(crate) fn stop(&self, stage: Stage) {
        self.stage.send_modify(|now| *now = stage.max(*now));
    }

    /// Returns once no attempt runs.
    pub(crate) async fn idle(&self) {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if self.queues().running() == 0 {
                return;
            }
            let _ = moved.changed().await;
        }
    }
}

/// The ticket of a delivery that has not been attempted yet.
pub(crate) fn ticket(place: Place, filed: &Filed, target: Arc<Target>) -> Result<Ticket, Error> {
    let damaged = |_| cosette_store::Error::Corrupt { what: format!("delivery id {}", filed.id) };
    let id = Uuid::parse_str(&filed.id).map_err(damaged)?;
    let source = filed.source.as_ref();
    let lane = source.map(|source| digest(&(&source.rule, &source.key)));
    let rule = source.map(|source| digest(source.rule.as_str()));
    let requests = filed.ids().map(digest).collect();
    Ok(Ticket { place, id, target, lane, rule, requests })
}

/// That there is no such target.
pub(crate) fn missing(target: &Target) -> Error {
    match target {
        Target::Function(function) => Error::NoSuchFunction(function.name.clone()),
        other => Error::NoSuchTarget(other.to_string()),
    }
}

/// Equal for equal values; two values that share one by chance only wait for each other.
pub(crate) fn digest<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The future's output, or what it panicked with.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // A future that has panicked is not polled again, so no half-changed state of it is seen.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
