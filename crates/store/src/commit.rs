//! The committer: the one thread that changes anything.
//!
//! It takes whatever waits in its queue, runs each mutation in turn, appends what they wrote as
//! one frame, makes it durable with one sync, brings it into the index as one batch, and only
//! then lets anybody hear of it, refusals included: a refusal may rest on a write of its group.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use cosette_blob::Unclaimed;
use cosette_clock::Clock;
use cosette_kv::{Batch, Engine};
use cosette_model::Seq;
use tokio::sync::{oneshot, watch};

use crate::changelog::ChangeLog;
use crate::error::{Error, Result};
use crate::journal::{Group, Journal, NotAppended};
use crate::record::{Applied, Position, encode};
use crate::schema;
use crate::settings::Settings;
use crate::space::{Space, Use};
use crate::tx::{Freed, Overlay, Tx, Writes};
use crate::upkeep::{Chores, Committed};
use crate::views::Views;

/// What the queue carries.
pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// Finish what came before and stop.
    Close,
}

/// One mutation with whoever waits for it.
pub(crate) trait Job: Send {
    /// Runs it; true if its writes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells the outcome; an error overrides what `run` found.
    fn finish(self: Box<Self>, committed: Result<Seq>);
}

/// A closure as a job.
pub(crate) struct Mutation<F, T, E> {
    decide: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<(Seq, T), E>>,
}

/// What comes back of a mutation: the commit's number and the closure's value, or the refusal.
pub(crate) type Outcome<T, E> = oneshot::Receiver<Result<(Seq, T), E>>;

impl<F, T, E> Mutation<F, T, E> {
    pub(crate) fn new(decide: F) -> (Self, Outcome<T, E>) {
        let (reply, outcome) = oneshot::channel();
        (Self { decide: Some(decide), outcome: None, reply }, outcome)
    }
}

impl<F, T, E> Job for Mutation<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(decide) = self.decide.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| decide(tx))).unwrap_or_else(|_| {
            tracing::error!("a mutation panicked; nothing of it was written");
            Err(Error::Io(io::Error::other("a mutation panicked")).into())
        });
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn finish(self: Box<Self>, committed: Result<Seq>) {
        let outcome = match (committed, self.outcome) {
            (Err(error), _) => Err(error.into()),
            (Ok(seq), Some(outcome)) => outcome.map(|value| (seq, value)),
            (Ok(_), None) => Err(Error::Closed.into()),
        };
        // Nobody may be waiting any more; the commit stands all the same.
        let _ = self.reply.send(outcome);
    }
}

/// Why writes are refused, once they are.
pub(crate) type Poison = OnceLock<String>;

pub(crate) struct Committer {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: Arc<ChangeLog>,
    pub(crate) journal: Option<Journal>,
    pub(crate) head: Arc<watch::Sender<Seq>>,
    /// The last commit that touched a row of restores.
    pub(crate) restoring: Arc<watch::Sender<Seq>>,
    pub(crate) views: Arc<Views>,
    pub(crate) poison: Arc<Poison>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) clock: Clock,
    pub(crate) space: Arc<Space>,
    pub(crate) settings: Settings,
    /// For the next group's frame.
    pub(crate) buffer: Vec<u8>,
}

/// A greater buffer is given back after a group.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Why a group did not become visible.
enum Unsettled {
    /// Nothing of it was written.
    Refused(io::Error),
    /// It may be on disk or not, or is there and not in the index.
    Unknown(Error),
}

impl From<Error> for Unsettled {
    fn from(error: Error) -> Self {
        Self::Unknown(error)
    }
}

impl From<cosette_kv::Error> for Unsettled {
    fn from(error: cosette_kv::Error) -> Self {
        Self::Unknown(error.into())
    }
}

/// The mutations of one group that were run.
struct Run {
    jobs: Vec<(Box<dyn Job>, Seq)>,
    overlay: Overlay,
    adopted: Vec<Unclaimed>,
    freed: Vec<Freed>,
    group: Group,
    last: Seq,
}

impl Committer {
    pub(crate) fn run(mut self, queue: &Receiver<Message>) -> Option<Journal> {
        let mut waiting: VecDeque<Box<dyn Job>> = VecDeque::new();
        let mut closing = false;
        loop {
            if waiting.is_empty() {
                if closing {
                    return self.journal;
                }
                match queue.recv() {
                    Ok(Message::Job(job)) => waiting.push_back(job),
                    Ok(Message::Close) | Err(_) => return self.journal,
                }
            }
            while !closing && waiting.len() < self.settings.group_commits_max {
                match queue.try_recv() {
                    Ok(Message::Job(job)) => waiting.push_back(job),
                    Ok(Message::Close) => closing = true,
                    Err(_) => break,
                }
            }
            self.group(&mut waiting);
        }
    }

    fn group(&mut self, waiting: &mut VecDeque<Box<dyn Job>>) {
        if let Some(why) = self.poison.get() {
            for job in waiting.drain(..) {
                job.finish(Err(Error::Poisoned(why.clone())));
            }
            return;
        }
        let begin = match self.journal.as_mut().map(Journal::next).transpose() {
            Ok(begin) => begin,
            Err(error) => {
                // The segment before is whole, and the next group tries again.
                tracing::warn!(%error, "the journal cannot go on");
                for job in waiting.drain(..) {
                    job.finish(Err(Error::Unavailable(io::Error::other(error.to_string()))));
                }
                return;
            }
        };
        let before = *self.head.borrow();
        let mut run = self.decide(waiting, begin);
        let jobs = std::mem::take(&mut run.jobs);
        match self.settle(run) {
            Ok(()) => {
                for (job, seq) in jobs {
                    job.finish(Ok(seq));
                }
                self.head.send_if_modified(|head| *head > before);
            }
            Err(Unsettled::Refused(error)) => {
                tracing::warn!(%error, "the disk did not take a group of commits");
                for (job, _) in jobs {
                    job.finish(Err(Error::Unavailable(io::Error::new(error.kind(), error.to_string()))));
                }
            }
            Err(Unsettled::Unknown(error)) => {
                self.refuse_from_now_on(&error);
                for (job, _) in jobs {
                    job.finish(Err(Error::Poisoned(error.to_string())));
                }
            }
        }
    }

    /// Runs mutations until none waits or the group is large.
    fn decide(&mut self, waiting: &mut VecDeque<Box<dyn Job>>, begin: Option<Position>) -> Run {
        let mut last = *self.head.borrow();
        let mut run = Run {
            jobs: Vec::with_capacity(waiting.len()),
            overlay: Overlay::new(),
            adopted: Vec::new(),
            freed: Vec::new(),
            group: Group::new(Seq(last.0 + 1), std::mem::take(&mut self.buffer)),
            last,
        };
        while run.group.len() < self.settings.group_bytes_max
            && let Some(mut job) = waiting.pop_front()
        {
            let bodies_at = begin.map(|at| Position { offset: at.offset + run.group.bodies_at(), ..at });
            let mut tx = Tx::new(&*self.engine, &run.overlay, Seq(last.0 + 1), self.clock.now(), bodies_at);
            let keep = job.run(&mut tx);
            let writes = std::mem::take(&mut tx.writes);
            if keep && !writes.rows.is_empty() {
                last = Seq(last.0 + 1);
                if begin.is_some() {
                    run.group.push(&writes);
                }
                let Writes { rows, adopted, freed, .. } = writes;
                run.overlay.extend(rows);
                run.freed.extend(freed);
                run.adopted.extend(adopted);
            }
            run.jobs.push((job, last));
        }
        run.last = last;
        run
    }

    /// Makes the group durable, then visible.
    fn settle(&mut self, mut run: Run) -> std::result::Result<(), Unsettled> {
        if run.overlay.is_empty() {
            return Ok(());
        }
        let written = run.group.len() as u64;
        let appended = match &mut self.journal {
            Some(journal) => {
                self.space.take(written, Use::Commit).map_err(Unsettled::Refused)?;
                journal.append(&mut run.group, run.last).map(Some)
            }
            None => Ok(None),
        };
        if let Err(NotAppended::Refused(error)) = appended {
            return Err(Unsettled::Refused(error));
        }
        self.buffer = run.group.into_buffer();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        // From here on only the records say whose these files are.
        for body in run.adopted {
            body.claim();
        }
        let position = appended.map_err(NotAppended::into_error).map_err(Error::from)?;
        let mut batch = Batch::default();
        let mut changes = Vec::new();
        let restores = run.overlay.keys().any(|key| schema::is_restoring(key));
        let outdated = run.overlay.keys().any(|key| schema::is_of_bucket(key));
        for (key, value) in run.overlay {
            match (schema::change_of(&key), value) {
                (Some(number), Some(change)) => changes.push((number, change)),
                (_, Some(value)) => batch.put(key, value),
                (_, None) => batch.delete(key),
            }
        }
        if let Some(position) = position {
            // Last, so that after a crash it is there only if all before it is.
            batch.mark(schema::applied(), encode(&Applied { position, seq: run.last.0 })?);
        }
        // Before the index says how far it is: a checkpoint takes that as the log's end as well.
        // Nobody sees them before the head is published.
        for (number, change) in changes {
            self.log.push(number, change.into());
        }
        self.engine.apply(batch)?;
        if outdated {
            self.views.outdate();
        }
        // Those who follow the log are woken once those who wait for an answer have it.
        self.head.send_if_modified(|head| {
            *head = run.last;
            false
        });
        if restores {
            self.restoring.send_replace(run.last);
        }
        self.chores.committed(Committed { seq: run.last, written, freed: run.freed });
        Ok(())
    }

    fn refuse_from_now_on(&self, error: &Error) {
        tracing::error!(%error, "a commit could not be made durable; writes are refused until restart");
        let _ = self.poison.set(error.to_string());
    }
}
