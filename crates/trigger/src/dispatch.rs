//! Runs deliveries: takes what may run from the queues, invokes, has each attempt's end recorded, and keeps
//! the time of retries. Knows nothing of rules or of how a target takes a message.

use std::any::Any;
use std::collections::HashMap;
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
use crate::delivery::{Attempt, Delivery, DeliveryState, Filed, Place, Progress};
use crate::queue::{Queues, Ticket};
use crate::record::{Attempted, Recorder};
use crate::{Error, Options, letter, retry, stored};

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
    pub(crate) recorder: Recorder,
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
            recorder: Recorder::default(),
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
    pub(crate) fn limit(&self, target: &Target) -> usize {
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
        self.go_on(queues, limits.keys(), is_retry_set);
    }

    /// Starts what may run now of these targets, and tells those who wait for something to move.
    pub(crate) fn go_on<'a>(
        self: &Arc<Self>,
        mut queues: MutexGuard<'_, Queues>,
        targets: impl Iterator<Item = &'a Arc<Target>>,
        is_retry_set: bool,
    ) {
        for target in targets {
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

    /// Begins with what may run at once, though it is in no row yet, and gives back what has to wait. If nothing has,
    /// the cursor moves to `cursor`.
    pub(crate) fn begin(self: &Arc<Self>, fired: Vec<Fired>, cursor: Seq) -> Vec<Fired> {
        let limits = self.limits(fired.iter().map(|fired| &fired.ticket));
        let mut waiting = Vec::new();
        let mut queues = self.queues();
        let is_running = self.is_running();
        for fired in fired {
            let Fired { ticket, filed, stopped } = &fired;
            let limit = limits.get(&ticket.target).copied().unwrap_or(1);
            if is_running && stopped.is_none() && queues.seize(ticket, filed, limit) {
                self.run(fired.ticket, Some(fired.filed));
            } else {
                waiting.push(fired);
            }
        }
        if waiting.is_empty() {
            queues.reach(cursor);
        }
        waiting
    }

    /// Starts whatever of the target may run.
    pub(crate) fn start(self: &Arc<Self>, queues: &mut Queues, target: &Target) {
        while self.is_running()
            && let Some(ticket) = queues.take(target)
        {
            self.run(ticket, None);
        }
    }

    /// Runs what was taken; what is delivered is read from the store, unless it is in no row yet.
    fn run(self: &Arc<Self>, ticket: Ticket, fresh: Option<Arc<Filed>>) {
        let dispatcher = self.clone();
        tokio::spawn(async move {
            let ended = dispatcher.attempt(&ticket, fresh).await.unwrap_or_else(|error| {
                tracing::error!(delivery = %ticket.id, %error, "attempt not recorded");
                None
            });
            dispatcher.record(ticket, ended).await;
        });
    }

    /// One attempt: how it ended, as it is to be recorded, with the dead letter that its end may bring; `None` when it was
    /// let go of.
    async fn attempt(&self, ticket: &Ticket, fresh: Option<Arc<Filed>>) -> Result<Option<Attempted>, Error> {
        let (filed, progress) = match fresh {
            Some(filed) => (filed, Progress::default()),
            None => {
                let missing = || format!("delivery {} is missing", ticket.id);
                let found = stored::get(&self.store, ticket.place)?;
                let (filed, progress) =
                    found.ok_or_else(|| cosette_store::Error::Corrupt { what: missing() })?;
                (Arc::new(filed), progress)
            }
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
            () = self.reached(Stage::Halted) => return Ok(None),
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
            return Ok(None);
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
        Attempted::new(&filed, progress, letter).map(Some)
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
        let row = stored::encode(&filed, &Progress::default())?;
        let write = move |tx: &mut Tx<'_>| {
            stored::file(tx, vec![row]);
            Ok::<_, Error>(())
        };
        let _filing = self.filing(filed.ids());
        let (commit, ()) = self.store.commit(write).await?;
        let place = Place { commit, index: 0 };
        let target = Arc::new(filed.target.clone());
        self.admit(vec![(ticket(place, &filed, target)?, DeliveryState::Pending)], None);
        Ok(filed.id)
    }

    /// Newest first, at most `max`.
    pub(crate) fn deliveries(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        let fresh = self.queues().fresh();
        Ok(self.as_they_are(stored::newest(&self.store, fresh, max)?))
    }

    /// Of those from the commit `from` on, the ones that are picked, oldest first, at most `max`.
    pub(crate) fn picked(
        &self,
        from: Seq,
        max: usize,
        pick: impl FnMut(&Filed) -> bool,
    ) -> Result<Vec<Delivery>, Error> {
        let fresh = self.queues().fresh();
        let with_place = |place, delivery| (place, delivery);
        Ok(self.as_they_are(stored::picked(&self.store, fresh, from, max, pick, with_place)?))
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

/// What a change has fired.
pub(crate) struct Fired {
    pub(crate) ticket: Ticket,
    pub(crate) filed: Arc<Filed>,
    /// Why it is dead from the beginning, if it is.
    pub(crate) stopped: Option<String>,
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
