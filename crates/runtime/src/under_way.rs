//! Runs that are under way: what they have printed so far, and a signal that asks them to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::Runtime;
use crate::instance::Instance;
use crate::output::{Log, View};

/// By the ids of requests: each has one attempt at a time.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<String, Run>>>);

struct Run {
    /// The process that was started for the function.
    process: Option<Pid>,
    /// What it printed while it was started.
    early: String,
    log: View,
}

impl UnderWay {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the value that is returned is dropped, which must be before the instance ends.
    pub(crate) fn enter(&self, request_id: &str, instance: &Instance, early: &str, log: &Log) -> Entered {
        let run = Run { process: instance.tree.first(), early: early.to_owned(), log: log.view() };
        self.all().insert(request_id.to_owned(), run);
        Entered { all: self.clone(), request_id: request_id.to_owned() }
    }
}

pub(crate) struct Entered {
    all: UnderWay,
    request_id: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.all().remove(&self.request_id);
    }
}

impl Runtime {
    /// What the run with this id has printed so far; `None` if its handler does not run.
    pub fn output_so_far(&self, request_id: &str) -> Option<String> {
        let all = self.shared.under_way.all();
        let run = all.get(request_id)?;
        Some(format!("{}{}", run.early, run.log.so_far()))
    }

    /// Sends SIGTERM to the process that runs this request, and says so in its log (scf.md 3.10). `false` if its
    /// handler does not run.
    pub fn signal(&self, request_id: &str) -> bool {
        // Under the lock: the run does not end meanwhile, so the process is still the one it was.
        let all = self.shared.under_way.all();
        let Some(run) = all.get(request_id) else { return false };
        let Some(process) = run.process.filter(|process| test_kill_process(*process).is_ok()) else {
            run.log.say("[PLATFORM] Signal reception failed");
            return false;
        };
        // First: with the signal the run may end, and its log with it.
        run.log.say("[PLATFORM] Signal received successfully");
        kill_process(process, Signal::TERM).is_ok()
    }
}
