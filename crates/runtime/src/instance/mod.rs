//! One instance: a child process with its private directory, its port and its pipe, from start to
//! end. Starts, is given one event after another, and ends with everything it has started.

mod starting;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosette_model::function::StatusCode;
use cosette_model::{Chain, Doing, KeyGiver, RoleKey};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::environment::trigger_src;
use crate::failure::Failure;
use crate::fence::Fence;
use crate::output::{Log, Output};
use crate::outward::Gateway;
use crate::process::Tree;
use crate::protocol::{Answer, Endpoint, Offer, Signal};
use crate::reach::Reach;
use crate::watching::{Event, Watcher, limit};
use crate::web::{self, ports::Ports};
use crate::{Given, Ran, Spec};
pub(crate) use starting::{NotStarted, Parts, Started};

/// The longest that a function which is waited for may run (scf.md 3.8).
const RUN_MAX: Duration = Duration::from_secs(900);

/// How long before the keys of an idle instance end for events another one with new keys may take its place.
const RENEWAL: Duration = Duration::from_secs(60);

/// How long killed processes may take to be gone before a person is told.
const BURIAL: Duration = Duration::from_secs(5);

/// Whether an instance may be given another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Spent,
}

pub(crate) struct Instance {
    pub(crate) endpoint: Endpoint,
    _gateway: Option<Gateway>,
    /// Leads debuggers in.
    relay: Option<JoinHandle<()>>,
    pub(crate) output: Output,
    pub(crate) tree: Tree,
    fence: Option<Fence>,
    /// How the root process ended, once it has.
    pub(crate) exit: watch::Receiver<Option<String>>,
    pub(crate) key: Arc<RoleKey>,
    keys: KeyGiver,
    /// How long its keys have to last at the least for another event; one that may run for longer has to get itself others.
    run_max: Duration,
    folder: PathBuf,
    reach: Reach,
    /// Of a web function.
    ports: Option<Ports>,
    ended: bool,
    /// What it printed while it was started ahead, for the log of its first run.
    pub(crate) early: String,
}

impl Instance {
    /// Gives the instance an event and waits for what comes of it; `log` is the run's. The future may be dropped, and
    /// the instance must be then.
    pub(crate) async fn invoke(
        &mut self,
        spec: &Spec,
        given: &Given<'_>,
        log: Log,
        closing: &mut watch::Receiver<bool>,
    ) -> (Ran, Fate) {
        let Given { request_id, chain, source, event } = *given;
        let offered = Instant::now();
        self.tree.forget_peak();
        self.key.begin(chain.clone());
        self.endpoint.offer(Offer::new(spec, request_id, trigger_src(spec, source), event));
        let mut watcher = Watcher::new(spec, offered + limit(spec, spec.timeout));
        let mut began = offered;
        let fail = |status, text: String| Err(Failure::new(status, text, request_id));
        let (result, ended, mut fate) = loop {
            match watcher.next(self, closing).await {
                Event::Said(Signal::Fetched(at)) => {
                    began = at;
                    watcher.deadline = at + limit(spec, spec.timeout);
                }
                Event::Said(Signal::Answer(at, answer)) => {
                    let last = matches!(&answer, Answer::Error(fault) if fault.last);
                    let fate = if last { Fate::Spent } else { Fate::Keep };
                    break (result(answer, request_id), at, fate);
                }
                Event::Said(_) => {}
                Event::Closing => {
                    break (fail(StatusCode::InternalError, CLOSING.into()), Instant::now(), Fate::Spent);
                }
                Event::Exited(how) => {
                    let text = format!("User process exit when running ({how})");
                    break (fail(StatusCode::ProcessExited, text), Instant::now(), Fate::Spent);
                }
                Event::TimedOut => {
                    let text = format!("Invoking task timed out after {}", seconds(spec.timeout));
                    break (fail(StatusCode::TimeLimitReached, text), began + spec.timeout, Fate::Spent);
                }
                Event::OutOfMemory => {
                    let text = memory_text(spec);
                    break (fail(StatusCode::MemoryLimitReached, text), Instant::now(), Fate::Spent);
                }
            }
        };
        let memory_bytes = watcher.peak.max(self.tree.first_peak());
        let mut result = result;
        if result.is_err() && spec.asynchronous {
            fate = Fate::Spent;
        }
        if fate == Fate::Keep && memory_bytes > watcher.memory_max {
            // It was over the limit for a moment, between two looks.
            result = fail(StatusCode::MemoryLimitReached, memory_text(spec));
            fate = Fate::Spent;
        }
        if fate == Fate::Spent {
            self.tree.kill();
        }
        let (status, result, error) = match result {
            Ok(result) => (StatusCode::Success, result, String::new()),
            Err(failure) => (failure.status, failure.document, failure.text),
        };
        let ran = Ran {
            status,
            result,
            error,
            init_output: std::mem::take(&mut self.early),
            output: log.take(),
            init_duration: None,
            runtime_duration: None,
            duration: ended.saturating_duration_since(began),
            memory_bytes,
            refused: self.key.take_refused(),
        };
        (ran, fate)
    }

    /// Whether its keys last for another event.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.lasts(&self.key, self.run_max)
    }

    /// Waits until they hardly do.
    pub(crate) fn keys_end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (keys, key, time) = (self.keys.clone(), Arc::clone(&self.key), self.run_max + RENEWAL);
        async move { keys.near_end(&key, time).await }
    }

    /// What it signs may come of `chain` too, as long as the value that is returned is there.
    pub(crate) fn begin_beside(&self, chain: &Chain) -> Doing {
        self.key.begin_beside(chain.clone())
    }

    /// The way to its ports.
    pub(crate) fn reach(&self) -> Reach {
        self.reach.clone()
    }

    /// Where its server listens, if it is one of a web function.
    pub(crate) fn port(&self) -> u16 {
        self.ports.as_ref().map_or(web::PORT, Ports::found)
    }

    pub(crate) fn take_refused(&self) -> Vec<String> {
        self.key.take_refused()
    }

    /// Whether the kernel has ended it, or a part of it, for want of memory.
    pub(crate) fn ran_out(&self) -> bool {
        self.fence.as_ref().is_some_and(Fence::was_hit)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Another way to hear of the root's end.
    pub(crate) fn exit(&self) -> watch::Receiver<Option<String>> {
        self.exit.clone()
    }

    /// Ends the process and everything it has started; returns when they are gone.
    pub(crate) async fn end(mut self) {
        self.tree.kill();
        self.ended = true;
        if let Some(relay) = self.relay.take() {
            relay.abort();
            // Its port is free then.
            let _ = relay.await;
        }
        let root = self.exit.wait_for(Option::is_some);
        let mut gone = tokio::time::timeout(BURIAL, root).await.is_ok();
        let deadline = Instant::now() + BURIAL;
        while gone {
            self.tree.reap();
            if self.tree.is_gone() {
                break;
            }
            gone = Instant::now() < deadline;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !gone {
            tracing::error!(folder = %self.folder.display(), "processes of an instance do not die");
        }
        let folder = std::mem::take(&mut self.folder);
        let _ = tokio::task::spawn_blocking(move || remove(&folder)).await;
    }
}

impl Drop for Instance {
    /// Whoever ran it has given up: it ends here, without being waited for.
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.abort();
        }
        if !self.ended {
            self.tree.kill();
            self.tree.reap();
            remove(&self.folder);
        }
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "an instance's directory cannot be removed");
    }
}

pub(crate) const CLOSING: &str = "the server is stopping";

pub(crate) fn memory_text(spec: &Spec) -> String {
    format!("Memory limit of {} MB reached", spec.memory_mb)
}

pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} seconds", duration.as_secs())
    } else {
        format!("{} seconds", duration.as_secs_f64())
    }
}

pub(crate) fn result(answer: Answer, request_id: &str) -> Result<String, Failure> {
    match answer {
        Answer::Result(body) => {
            let text = String::from_utf8_lossy(&body).into_owned();
            // A custom runtime may answer with any text; RetMsg is JSON all the same (scf.md 6.1).
            match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => Ok(text),
                Err(_) => Ok(serde_json::Value::String(text).to_string()),
            }
        }
        Answer::TooLarge => {
            Err(Failure::new(StatusCode::ResponseTooLarge, "body size is too long", request_id))
        }
        Answer::Error(fault) => Err(Failure::reported(&fault, request_id)),
    }
}
