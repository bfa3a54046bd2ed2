//! Looking for damage, as the admin API and the command line see it: the one scrub a running server
//! may have under way, and the verification of a data directory that no server has.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cosette_store::{Progress, Report, Store};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Why a data directory was not verified, in words for a person.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is in use, of a newer format, no data directory, or cannot be read.
    #[error("{0}")]
    Refused(String),
    /// So damaged that there is nothing to hold against each other.
    #[error("{0}")]
    Damaged(String),
}

/// Verifies the data directory `dir`, which no server may have open; `progress` hears of bytes that
/// were read, and of how many there are. The report is that of `POST /_cosette/scrub`, with more.
/// Blocks, for long.
///
/// # Errors
/// When there is no report to be had.
pub fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Value, VerifyError> {
    let verified = cosette_store::verify(dir, &mut |at: Progress| {
        progress(at.done, at.total);
        ControlFlow::Continue(())
    });
    match verified {
        Ok(report) => {
            let mut value = told(&report, true);
            value["rows"] = json!(report.rows);
            value["changes"] = json!(report.changes);
            Ok(value)
        }
        Err(error @ cosette_store::Error::Corrupt { .. }) => Err(VerifyError::Damaged(error.to_string())),
        // These words are meant for a person as they are.
        Err(cosette_store::Error::Io(error)) if error.kind() == std::io::ErrorKind::Other => {
            Err(VerifyError::Refused(error.to_string()))
        }
        Err(error) => Err(VerifyError::Refused(format!("cannot read {}: {error}", dir.display()))),
    }
}

fn told(report: &Report, complete: bool) -> Value {
    let findings = report.findings.iter().map(|found| json!({"what": found.what, "problem": found.problem}));
    json!({
        "sound": report.is_sound(),
        "complete": complete,
        "objects": report.objects,
        "parts": report.parts,
        "bodies": report.bodies,
        "bytes": report.bytes,
        "found": report.found,
        "findings": findings.collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// The scrub of a running server; clones share it. It goes on when who asked for it has left.
#[derive(Clone)]
pub(crate) struct Scrubs(Arc<Inner>);

struct Inner {
    store: Store,
    state: watch::Sender<State>,
    /// Beside the state, so that nobody who waits wakes for each body.
    done: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

/// What there is to say of the scrub that runs, or else of the last.
enum State {
    Never,
    Running,
    Ended(Result<Value, String>),
}

impl State {
    fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

impl Scrubs {
    pub(crate) fn new(store: Store) -> Self {
        Self(Arc::new(Inner {
            store,
            state: watch::Sender::new(State::Never),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }))
    }

    /// Starts a scrub unless one runs, or the server stops.
    pub(crate) fn start(&self) {
        let inner = &self.0;
        let begins = inner.state.send_if_modified(|state| {
            let begins = !state.is_running() && !inner.stop.load(Ordering::Acquire);
            if begins {
                inner.done.store(0, Ordering::Relaxed);
                inner.total.store(0, Ordering::Relaxed);
                *state = State::Running;
            }
            begins
        });
        if !begins {
            return;
        }
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let working = Arc::clone(&inner);
            let ended = match tokio::task::spawn_blocking(move || working.scrub()).await {
                Ok(ended) => ended,
                Err(lost) => Err(lost.to_string()),
            };
            inner.state.send_replace(State::Ended(ended));
        });
    }

    /// Waits until none runs, for at most `patience`, and says how it stands.
    ///
    /// # Errors
    /// In words, why the last scrub has no report.
    pub(crate) async fn look(&self, patience: Duration) -> Result<Value, String> {
        let mut state = self.0.state.subscribe();
        // Whether it has ended is looked at below; the sender cannot be gone.
        let _ = tokio::time::timeout(patience, state.wait_for(|state| !state.is_running())).await;
        let (running, report) = match &*state.borrow() {
            State::Never => (false, Value::Null),
            State::Running => (true, Value::Null),
            State::Ended(Ok(report)) => (false, report.clone()),
            State::Ended(Err(why)) => return Err(why.clone()),
        };
        Ok(json!({
            "running": running,
            "done_bytes": self.0.done.load(Ordering::Relaxed),
            "total_bytes": self.0.total.load(Ordering::Relaxed),
            "report": report,
        }))
    }

    /// Tells a scrub that runs to end early. None starts any more.
    pub(crate) fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
    }

    /// Waits for the end of what was told to stop: it holds the index open.
    pub(crate) async fn ended(&self) {
        // The sender cannot be gone.
        let _ = self.0.state.subscribe().wait_for(|state| !state.is_running()).await;
    }
}

impl Inner {
    fn scrub(&self) -> Result<Value, String> {
        let mut complete = true;
        let scrubbed = self.store.scrub(&mut |at| {
            self.total.store(at.total, Ordering::Relaxed);
            self.done.store(at.done, Ordering::Relaxed);
            complete = !self.stop.load(Ordering::Acquire);
            if complete { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let report = scrubbed.map_err(|error| error.to_string())?;
        if report.is_sound() {
            tracing::info!(objects = report.objects, bytes = report.bytes, complete, "scrubbed: sound");
        } else {
            tracing::error!(found = report.found, bytes = report.bytes, complete, "scrubbed: damage found");
        }
        Ok(told(&report, complete))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_clock::Clock;
    use cosette_store::{Durability, Options};

    use super::*;

    fn scrubs() -> Scrubs {
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        Scrubs::new(Store::open(options, Clock::real()).unwrap())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_last_report_stays() {
        let scrubs = scrubs();
        let before = scrubs.look(LONG).await.unwrap();
        assert_eq!(
            before,
            json!({"running": false, "done_bytes": 0, "total_bytes": 0, "report": Value::Null})
        );
        scrubs.start();
        let first = scrubs.look(LONG).await.unwrap();
        assert_eq!((&first["running"], &first["report"]["sound"]), (&json!(false), &json!(true)));
        assert_eq!(scrubs.look(Duration::ZERO).await.unwrap(), first);
    }

    #[tokio::test]
    async fn none_starts_once_the_server_stops() {
        let scrubs = scrubs();
        scrubs.stop();
        scrubs.start();
        scrubs.ended().await;
        assert_eq!(scrubs.look(LONG).await.unwrap()["report"], Value::Null);
    }

    #[tokio::test]
    async fn who_waits_for_a_closed_store_hears_why() {
        let scrubs = scrubs();
        scrubs.0.store.close().await.unwrap();
        scrubs.start();
        assert_eq!(scrubs.look(LONG).await.unwrap_err(), "the store is closing");
    }

    #[test]
    fn what_is_no_data_directory_is_refused() {
        let error = verify(Path::new("/nowhere"), &mut |_, _| {}).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere is not a data directory");
        assert!(matches!(error, VerifyError::Refused(_)));
    }
}
