//! Work that nobody waits for: making the index outlive the process, taking snapshots of it,
//! removing bodies and journal segments that are no longer needed, moving small bodies out of
//! segments that are mostly dead, forgetting old changes. One thread, asleep while there is
//! nothing to do.

mod changes;
mod checkpoint;
mod compact;
mod garbage;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use cosette_blob::Bodies;
use cosette_clock::Clock;
use cosette_kv::Engine;
use cosette_model::Seq;

pub(crate) use self::checkpoint::OnDisk;

use crate::changelog::ChangeLog;
use crate::commit::{Message, Mutation};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::tx::{Freed, Tx};

/// The index gives back its room, which takes seconds, at every checkpoint of quiet times and at
/// each so many of busy ones.
const TIDY_EVERY_BUSY: u32 = 16;
/// Rows deleted by one commit.
const ROWS_PER_COMMIT: usize = 1_000;

/// What there is to do; the committer adds to it.
#[derive(Debug)]
pub(crate) struct Chores {
    list: Mutex<List>,
    more: Condvar,
    checkpoint_bytes: u64,
}

#[derive(Debug, Default)]
struct List {
    /// When the index fell behind, and by how many bytes of journal.
    behind: Option<(Instant, u64)>,
    garbage: VecDeque<Garbage>,
    stop: bool,
}

/// What nothing refers to since a commit.
#[derive(Clone, Copy, Debug)]
struct Garbage {
    since: Instant,
    seq: Seq,
    what: Freed,
}

/// What a group of commits leaves to do.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// The group's last commit.
    pub(crate) seq: Seq,
    /// What was written to the journal, in bytes.
    pub(crate) written: u64,
    pub(crate) freed: Vec<Freed>,
}

impl Chores {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { list: Mutex::default(), more: Condvar::new(), checkpoint_bytes: settings.checkpoint_bytes }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self, group: Committed) {
        let mut list = self.list();
        let (since, before) = list.behind.unwrap_or((Instant::now(), 0));
        // It need not be woken for every group, only when there is a new reason.
        let news = list.behind.is_none()
            || !group.freed.is_empty()
            || (before < self.checkpoint_bytes && before + group.written >= self.checkpoint_bytes);
        list.behind = Some((since, before + group.written));
        if !group.freed.is_empty() {
            let (since, seq) = (Instant::now(), group.seq);
            list.garbage.extend(group.freed.into_iter().map(|what| Garbage { since, seq, what }));
        }
        drop(list);
        if news {
            self.more.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.list().stop = true;
        self.more.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.list().stop
    }
}

/// What is due now.
struct Due {
    checkpoint: bool,
    /// Much was written since the last checkpoint: what only saves room can wait.
    busy: bool,
    garbage: Vec<Garbage>,
}

pub(crate) struct Upkeep {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: Arc<ChangeLog>,
    pub(crate) bodies: Bodies,
    /// `None` for a store that keeps nothing.
    pub(crate) kept: Option<OnDisk>,
    pub(crate) queue: mpsc::Sender<Message>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
}

impl Upkeep {
    pub(crate) fn run(mut self) {
        if let Err(error) = self.resume_garbage() {
            Self::report("look for what the last process left", &error);
        }
        let mut busy_for = 0u32;
        while let Some(due) = self.wait() {
            if !due.garbage.is_empty()
                && let Err(error) = self.remove_garbage(due.garbage)
            {
                Self::report("remove bodies", &error);
            }
            if !due.checkpoint {
                continue;
            }
            busy_for = if due.busy { busy_for + 1 } else { 0 };
            let tidy = busy_for.is_multiple_of(TIDY_EVERY_BUSY);
            for (what, outcome) in [
                ("forget old changes", self.forget_changes()),
                ("make the index durable", self.checkpoint()),
                ("move small bodies together", self.compact(due.busy)),
                ("give back the index's room", if tidy { self.tidy_index() } else { Ok(()) }),
            ] {
                if let Err(error) = outcome {
                    Self::report(what, &error);
                }
            }
        }
    }

    fn report(what: &str, error: &Error) {
        match error {
            Error::Closed | Error::Poisoned(_) => {}
            error => tracing::error!(%error, "could not {what}"),
        }
    }

    /// Sleeps until something is due; `None` to stop.
    fn wait(&self) -> Option<Due> {
        let mut list = self.chores.list();
        loop {
            if list.stop {
                return None;
            }
            let now = Instant::now();
            // Segments that may go are removed by a checkpoint.
            let mut wake = self.kept.as_ref().and_then(OnDisk::next_removal);
            let mut checkpoint = wake.is_some_and(|at| at <= now);
            let mut busy = false;
            let mut earliest = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
            if let Some((since, bytes)) = list.behind {
                let at = since + self.settings.checkpoint_after;
                checkpoint |= at <= now || bytes >= self.settings.checkpoint_bytes;
                busy = bytes >= self.settings.checkpoint_bytes / 2;
                earliest(at);
            }
            let mut garbage = Vec::new();
            while let Some(first) = list.garbage.front().copied() {
                let at = first.since + self.settings.garbage_grace;
                if at > now {
                    earliest(at);
                    break;
                }
                // What is not known to be dropped for good waits for a checkpoint.
                if !self.is_durable(first.seq) {
                    break;
                }
                list.garbage.pop_front();
                garbage.push(first);
            }
            if checkpoint || !garbage.is_empty() {
                if checkpoint {
                    list.behind = None;
                }
                return Some(Due { checkpoint, busy, garbage });
            }
            list = match wake {
                None => self.chores.more.wait(list).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(now).max(Duration::from_millis(1));
                    self.chores.more.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn tidy_index(&self) -> Result<()> {
        Ok(self.engine.tidy(&|| self.chores.is_stopping())?)
    }

    fn commit(&self, decide: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static) -> Result<()> {
        let (job, outcome) = Mutation::new(decide);
        self.queue.send(Message::Job(Box::new(job))).map_err(|_| Error::Closed)?;
        outcome.blocking_recv().map_err(|_| Error::Closed)?.map(drop)
    }
}
