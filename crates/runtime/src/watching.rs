//! What happens to an instance while somebody waits for it: what it says, its end, the limits of time and memory.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::Spec;
use crate::instance::Instance;
use crate::memory::{OFTEN, until_next};
use crate::process::PROCESSES_MAX;
use crate::protocol::Signal;

/// The processes are looked for so often; in between those that are known are looked at.
const FIND: Duration = Duration::from_millis(50);

/// A year: longer than anybody debugs, and a point in time that can be reckoned with.
pub(crate) const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why one wait for the instance ended.
pub(crate) enum Event {
    Said(Signal),
    Closing,
    Exited(String),
    TimedOut,
    OutOfMemory,
}

/// Waits for whatever happens next to an instance, and looks at its memory meanwhile.
pub(crate) struct Watcher {
    pub(crate) deadline: Instant,
    pub(crate) memory_max: u64,
    /// The greatest sum over the tree that was seen.
    pub(crate) peak: u64,
    /// When memory is looked at next, and when processes are looked for.
    look: Instant,
    find: Instant,
    /// Whether it was looked at before.
    has_looked: bool,
}

impl Watcher {
    pub(crate) fn new(spec: &Spec, deadline: Instant) -> Self {
        let memory_max = match spec.debug {
            Some(_) => u64::MAX,
            None => u64::from(spec.memory_mb) * 1024 * 1024,
        };
        // Nothing is known of it: it may be warm, and near its limit.
        let look = Instant::now() + OFTEN;
        Self { deadline, memory_max, peak: 0, look, find: look + FIND, has_looked: false }
    }

    pub(crate) async fn next(
        &mut self,
        instance: &mut Instance,
        closing: &mut watch::Receiver<bool>,
    ) -> Event {
        loop {
            let exit = &mut instance.exit;
            tokio::select! {
                // What was said before the end counts.
                biased;
                Some(signal) = instance.endpoint.signals.recv() => return Event::Said(signal),
                () = until(closing, |closing| *closing) => return Event::Closing,
                () = until(exit, Option::is_some) => {
                    if instance.ran_out() {
                        return Event::OutOfMemory;
                    }
                    return Event::Exited(instance.exit.borrow().clone().unwrap_or_default());
                }
                () = sleep_until(self.deadline.into()) => return Event::TimedOut,
                () = sleep_until(self.look.into()) => {
                    if !std::mem::replace(&mut self.has_looked, true) {
                        // It may have been idle for long.
                        instance.tree.forget_gone();
                    }
                    if Instant::now() >= self.find {
                        instance.tree.find();
                        if instance.tree.known.len() as u64 > PROCESSES_MAX {
                            return Event::Exited(format!("it had more than {PROCESSES_MAX} processes"));
                        }
                        self.find = Instant::now() + FIND;
                    }
                    let now = instance.tree.glance();
                    self.peak = self.peak.max(now);
                    if now > self.memory_max {
                        instance.tree.stop();
                        return Event::OutOfMemory;
                    }
                    self.look = Instant::now() + until_next(now, self.memory_max);
                }
            }
        }
    }
}

async fn until<T>(receiver: &mut watch::Receiver<T>, test: impl FnMut(&T) -> bool) {
    if receiver.wait_for(test).await.is_err() {
        // No sender, no change.
        std::future::pending::<()>().await;
    }
}

/// How long something may take; as long as it likes when somebody looks at it in a debugger.
pub(crate) fn limit(spec: &Spec, time: Duration) -> Duration {
    if spec.debug.is_some() { ENDLESS } else { time }
}
