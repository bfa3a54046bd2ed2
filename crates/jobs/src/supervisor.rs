//! Runs jobs: when they come due, again after a failure, and until the stop. The one place where
//! waiting is done.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::{Seq, Timestamp};
use cosette_store::{Error as StoreError, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Error;

/// Pauses after an error of the store, in real time: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Work that comes due by the clock.
pub trait Job: Send + Sync + 'static {
    /// For the log.
    const NAME: &'static str;

    /// Does all that is due at `now`, looking at `stop` between two acts, and says when to run again.
    /// It is run once when the server starts.
    fn run_due(&mut self, now: Timestamp, stop: &Stop) -> impl Future<Output = Result<Next, Error>> + Send;

    /// Comes when the job is to be run before the time it said.
    fn early(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Says whether `early` would come: there is work that the job has not begun to look at.
    fn called(&self) -> Called {
        Box::new(|| false)
    }

    /// The server stops: what only the memory holds is to be written down.
    fn finish(&mut self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }
}

/// Whether there is such work.
pub type Called = Box<dyn Fn() -> bool + Send + Sync>;

/// When a job is to be run again: at the earlier of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// By the clock.
    pub at: Option<Timestamp>,
    /// Once a commit after this one has begun or finished a restore.
    pub restores: Option<Seq>,
}

/// Says whether the server stops.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// # Errors
    /// `Stopping`.
    pub fn check(&self) -> Result<(), Error> {
        if *self.0.borrow() { Err(Error::Stopping) } else { Ok(()) }
    }

    async fn comes(&mut self) {
        // A supervisor that is gone has stopped.
        let _ = self.0.wait_for(|stops| *stops).await;
    }
}

/// One that does not come.
#[cfg(test)]
pub(crate) fn never() -> Stop {
    Stop(watch::Sender::new(false).subscribe())
}

/// Starts jobs and stops them.
pub struct Jobs {
    store: Store,
    clock: Clock,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// What each job waits for; `None` while it works.
    rests: Arc<watch::Sender<Vec<Option<Next>>>>,
    calls: Mutex<Vec<Called>>,
}

impl Jobs {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        let (stop, rests) = (watch::Sender::new(false), Arc::default());
        Self { store, clock, stop, tasks: Mutex::default(), rests, calls: Mutex::default() }
    }

    /// Starts one more, on the current tokio runtime.
    pub fn add<J: Job>(&self, job: J) {
        let mut number = 0;
        self.rests.send_modify(|rests| {
            number = rests.len();
            rests.push(None);
        });
        self.calls().push(job.called());
        let runner = Runner {
            store: self.store.clone(),
            clock: self.clock.clone(),
            stop: Stop(self.stop.subscribe()),
            rests: Arc::clone(&self.rests),
            number,
        };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(runner.run(job)));
    }

    /// Returns once no job has anything to do before the clock moves on or something is committed.
    pub async fn settled(&self) {
        let mut rests = self.rests.subscribe();
        while !self.is_settled() {
            // The sender lives as long as `self`.
            let _ = rests.changed().await;
        }
    }

    /// Whether that is so now.
    pub fn is_settled(&self) -> bool {
        // In this order: whoever looks at what it is called for works by then.
        let called = self.calls().iter().any(|called| called());
        !called && self.rests.borrow().iter().all(|next| next.is_some_and(|next| self.is_ahead(next)))
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Called>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next of those that wait for the clock is to run.
    pub fn next_run(&self) -> Option<Timestamp> {
        self.rests.borrow().iter().flatten().filter_map(|next| next.at).min()
    }

    fn is_ahead(&self, next: Next) -> bool {
        next.at.is_none_or(|at| at > self.clock.now())
            && next.restores.is_none_or(|after| after >= self.store.last_restoring())
    }

    /// Lets each job end the act it is at, and waits for that.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A job panics only by a fault of ours; its message has been printed.
            let _ = task.await;
        }
    }
}

struct Runner {
    store: Store,
    clock: Clock,
    stop: Stop,
    rests: Arc<watch::Sender<Vec<Option<Next>>>>,
    number: usize,
}

impl Runner {
    async fn run<J: Job>(mut self, job: J) {
        self.work(job).await;
        self.rest(Some(Next::default()));
    }

    fn rest(&self, until: Option<Next>) {
        self.rests.send_modify(|rests| {
            if let Some(mine) = rests.get_mut(self.number) {
                *mine = until;
            }
        });
    }

    async fn work<J: Job>(&mut self, mut job: J) {
        let mut pause = PAUSE.0;
        while self.stop.check().is_ok() {
            match job.run_due(self.clock.now(), &self.stop).await {
                Ok(next) => {
                    pause = PAUSE.0;
                    self.rest(Some(next));
                    self.wait(next, &job).await;
                    self.rest(None);
                }
                Err(Error::Stopping) => break,
                Err(Error::Store(StoreError::Closed)) => return,
                Err(error @ Error::Store(StoreError::Poisoned(_))) => {
                    tracing::error!(%error, job = J::NAME, "nothing more is done until a restart");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, job = J::NAME, "tried again later");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.comes() => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
        if let Err(error) = job.finish().await {
            tracing::error!(%error, job = J::NAME, "not finished");
        }
    }

    async fn wait<J: Job>(&mut self, next: Next, job: &J) {
        tokio::select! {
            () = self.stop.comes() => {}
            () = job.early() => {}
            () = async {
                match next.at {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            } => {}
            () = async {
                match next.restores {
                    Some(after) => self.store.restores(after).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_store::{Durability, Options};
    use tokio::sync::mpsc;

    use super::*;

    /// Tells when it is run, and wants to be run once more.
    struct Told {
        runs: mpsc::UnboundedSender<Option<Timestamp>>,
        next: Next,
    }

    impl Job for Told {
        const NAME: &'static str = "told";

        async fn run_due(&mut self, now: Timestamp, _: &Stop) -> Result<Next, Error> {
            self.runs.send(Some(now)).unwrap();
            Ok(std::mem::take(&mut self.next))
        }

        async fn finish(&mut self) -> Result<(), Error> {
            self.runs.send(None).unwrap();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_job_runs_by_the_clock_until_the_stop() {
        let clock = Clock::frozen(Timestamp::from_secs(100));
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let jobs = Jobs::new(store.clone(), clock.clone());
        let (runs, mut told) = mpsc::unbounded_channel();
        let next = Next { at: Some(Timestamp::from_secs(200)), ..Next::default() };
        jobs.add(Told { runs, next });
        assert_eq!(told.recv().await, Some(Some(Timestamp::from_secs(100))));
        jobs.settled().await;
        assert_eq!(jobs.next_run(), Some(Timestamp::from_secs(200)));
        clock.set(Timestamp::from_secs(200));
        assert!(!jobs.is_settled());
        assert_eq!(told.recv().await, Some(Some(Timestamp::from_secs(200))));
        jobs.stop().await;
        assert_eq!(told.recv().await, Some(None));
        store.close().await.unwrap();
    }
}
