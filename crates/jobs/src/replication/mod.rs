//! Copies in other buckets, as rules ask for (docs/replication.md): a cursor over the change log.
//!
//! A change says which copies the rules in force asked for when it was committed. Each copy is one commit,
//! which counts it with the version that it is of; so what is read again after a crash does nothing again, and the
//! cursor in the store may follow behind that in memory. A copy that the store refuses is put aside and tried
//! again by the clock, and holds up nothing but the version's other copies; until there are many of them, and the
//! rest of the log waits, too.

mod copy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::{BucketName, Cause, Change, ObjectKey, Seq, Timestamp};
use cosette_store::{Error as StoreError, Store, Table};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::{Called, Error, Job, Next, Stop};

/// The row of `Table::Cursor` with the number up to which all copies have been dealt with.
const CURSOR: &[u8] = b"replication";

/// Changes read at a time.
const PAGE: usize = 1000;

/// Changes after which the cursor is saved.
const UNSAVED_MAX: usize = 1024;

/// Keys that are worked on at the same time, so that they share syncs.
const TOGETHER: usize = 64;

/// Between two attempts at a copy that the store has refused, and how many there are.
const RETRY_AFTER: Duration = Duration::from_secs(60);
const TRIES: u32 = 5;

/// With so many changes put aside no more are read.
const ASIDE_MAX: usize = 1000;

/// How far copying has come. A handle; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Replication(Arc<watch::Sender<Progress>>);

#[derive(Clone, Debug, Default)]
struct Progress {
    /// Changes up to here have been read, and all is copied but what is put aside.
    cursor: Seq,
    /// How what is put aside came to be written.
    aside: Vec<Cause>,
    /// Nothing more is read before some of that has been dealt with.
    full: bool,
}

impl Progress {
    fn has_reached(&self, seq: Seq, request: Option<&str>) -> bool {
        let is_meant = |cause: &Cause| request.is_none_or(|request| cause.is_of(request));
        self.cursor >= seq && !self.aside.iter().any(is_meant)
    }
}

impl Replication {
    /// Returns once every copy of what was committed up to `seq` has been made, or given up: of one request, or of
    /// all.
    pub async fn reached(&self, seq: Seq, request: Option<&str>) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|progress| progress.has_reached(seq, request)).await;
    }
}

/// The copies of one change that have yet to be made.
struct Task {
    change: Change,
    /// So many of them are done.
    done: usize,
    tries: u32,
    /// When it is to be tried again.
    at: Timestamp,
}

pub(crate) struct Replicator {
    store: Store,
    clock: Clock,
    progress: Replication,
    /// `None` before the first run.
    cursor: Option<Seq>,
    /// Changes read since the cursor was saved.
    unsaved: usize,
    aside: Vec<Task>,
}

impl Job for Replicator {
    const NAME: &'static str = "replication";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        let mut cursor = match self.cursor {
            Some(cursor) => cursor,
            None => self.begin().await?,
        };
        let due = self.aside.extract_if(.., |task| task.at <= now).collect();
        self.work(due).await?;
        self.tell(cursor);
        while !self.is_full() {
            stop.check()?;
            let head = self.store.head();
            let mut changes = self.store.changes(cursor, PAGE)?;
            changes.retain(|change| change.seq <= head);
            let is_whole = changes.len() < PAGE;
            cursor = match changes.last() {
                Some(last) if !is_whole => last.seq,
                _ => head.max(cursor),
            };
            self.unsaved += changes.len();
            changes.retain(|change| !change.replicas.is_empty());
            let tasks = changes.into_iter().map(|change| Task { change, done: 0, tries: 0, at: now });
            self.work(tasks.collect()).await?;
            self.cursor = Some(cursor);
            if self.unsaved >= UNSAVED_MAX {
                self.save().await?;
            }
            self.tell(cursor);
            if is_whole {
                break;
            }
        }
        Ok(Next { at: self.aside.iter().map(|task| task.at).min(), restores: None })
    }

    async fn early(&self) {
        if self.is_full() {
            return std::future::pending().await;
        }
        self.store.changed(self.cursor.unwrap_or_default()).await;
    }

    fn called(&self) -> Called {
        let (store, progress) = (self.store.clone(), self.progress.clone());
        Box::new(move || {
            let progress = progress.0.borrow();
            !progress.full && progress.cursor < store.head()
        })
    }

    async fn finish(&mut self) -> Result<(), Error> {
        if self.unsaved > 0 { self.save().await } else { Ok(()) }
    }
}

impl Replicator {
    pub(crate) fn new(store: Store, clock: Clock, progress: Replication) -> Self {
        Self { store, clock, progress, cursor: None, unsaved: 0, aside: Vec::new() }
    }

    /// Where the last run has come to. The row is made at once: it keeps the changes that are yet to be read.
    async fn begin(&mut self) -> Result<Seq, Error> {
        let cursor = match self.store.get(Table::Cursor, CURSOR)? {
            None => Seq::default(),
            Some(row) => {
                let wrong = |_| StoreError::Corrupt { what: "replication cursor".into() };
                Seq(u64::from_be_bytes(row.as_slice().try_into().map_err(wrong)?))
            }
        };
        self.cursor = Some(cursor);
        self.save().await?;
        Ok(cursor)
    }

    /// Everything before what is put aside need not be read again.
    async fn save(&mut self) -> Result<(), Error> {
        let aside = self.aside.iter().map(|task| Seq(task.change.seq.0.saturating_sub(1)));
        let Some(cursor) = self.cursor.into_iter().chain(aside).min() else { return Ok(()) };
        let write = move |tx: &mut cosette_store::Tx<'_>| {
            tx.put(Table::Cursor, CURSOR, cursor.0.to_be_bytes().to_vec());
            Ok::<_, Error>(())
        };
        self.store.commit(write).await?;
        self.unsaved = 0;
        Ok(())
    }

    fn tell(&self, cursor: Seq) {
        let aside = self.aside.iter().map(|task| task.change.cause.clone()).collect();
        self.progress.0.send_replace(Progress { cursor, aside, full: self.is_full() });
    }

    fn is_full(&self) -> bool {
        self.aside.len() >= ASIDE_MAX
    }

    /// Does what can be done now; the rest is put aside. Of one key one after another, in the order of the changes.
    async fn work(&mut self, tasks: Vec<Task>) -> Result<(), Error> {
        let mut keys: HashMap<(BucketName, Option<ObjectKey>), Vec<Task>> = HashMap::new();
        for task in tasks {
            let key = (task.change.bucket.clone(), task.change.key.clone());
            keys.entry(key).or_default().push(task);
        }
        let mut keys = keys.into_values();
        loop {
            let some: Vec<Vec<Task>> = keys.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return Ok(());
            }
            let this = &*self;
            let done = join_all(some.into_iter().map(|tasks| async move {
                let mut left = Vec::new();
                for task in tasks {
                    left.extend(this.copy_all(task).await?);
                }
                Ok::<_, Error>(left)
            }))
            .await;
            for left in done {
                self.aside.extend(left?);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
