//! What the service does by itself, on the clock or behind the change log. Knows no HTTP.
//!
//! Each kind of work is a [`Job`] with a task of its own; [`Jobs`] starts and stops them. A job is
//! run when the clock says so (or the log, in which there is something new for it), does all that is due, and says
//! when there will be more. What it does
//! is one commit an act, which checks in itself that the act is still due: so nothing is half done
//! by a crash, and no client's write is overtaken. What a job keeps in memory it can find out again.

mod access_log;
mod deliver;
mod inventory;
mod lifecycle;
mod replication;
mod restores;
mod supervisor;

use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::Day;
use cosette_store::Store;

pub use access_log::AccessLog;
pub use deliver::deposit;
use inventory::Inventories;
use lifecycle::Lifecycles;
pub use replication::Replication;
use replication::Replicator;
use restores::Restores;
pub use supervisor::{Called, Job, Jobs, Next, Stop};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
    /// The server stops; what is left is done by the next start.
    #[error("stopping")]
    Stopping,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub day: Day,
    /// Between a line of an access log and its object.
    pub log_interval: Duration,
}

impl Jobs {
    /// Starts all jobs on the current tokio runtime.
    pub fn start(
        store: &Store,
        clock: &Clock,
        log: &AccessLog,
        replication: &Replication,
        options: Options,
    ) -> Self {
        let jobs = Self::new(store.clone(), clock.clone());
        jobs.add(Lifecycles::new(store.clone(), options.day));
        jobs.add(Restores(store.clone()));
        jobs.add(Replicator::new(store.clone(), clock.clone(), replication.clone()));
        jobs.add(Inventories::new(store.clone(), options.day));
        jobs.add(access_log::Writer {
            log: log.clone(),
            store: store.clone(),
            clock: clock.clone(),
            interval: options.log_interval,
        });
        jobs
    }
}
