//! What happens to an instance while somebody waits for it: what it says, its end, the limits of time and memory.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use crate::Spec;
use crate::instance::Instance;
use crate::process::PROCESSES_MAX;
use crate::protocol::Signal;

/// How often a running instance's memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);

/// The descendants are looked for with each so manieth sample: that reads the whole process table.
const SAMPLES_PER_TREE: u32 = 4;

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
    samples: u32,
    ticks: tokio::time::Interval,
}

impl Watcher {
    pub(crate) fn new(spec: &Spec, deadline: Instant) -> Self {
        let mut ticks = interval_at(tokio::time::Instant::now() + SAMPLE, SAMPLE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let memory_max = match spec.debug {
            Some(_) => u64::MAX,
            None => u64::from(spec.memory_mb) * 1024 * 1024,
        };
        Self { deadline, memory_max, peak: 0, samples: 0, ticks }
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
                    return Event::Exited(instance.exit.borrow().clone().unwrap_or_default());
                }
                () = sleep_until(self.deadline.into()) => return Event::TimedOut,
                _ = self.ticks.tick() => {
                    self.samples += 1;
                    let now = if self.samples.is_multiple_of(SAMPLES_PER_TREE) {
                        let look = instance.tree.look();
                        if look.processes > PROCESSES_MAX {
                            return Event::Exited(format!("it had more than {PROCESSES_MAX} processes"));
                        }
                        look.memory
                    } else {
                        instance.tree.first_memory()
                    };
                    self.peak = self.peak.max(now);
                    if now > self.memory_max {
                        return Event::OutOfMemory;
                    }
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
