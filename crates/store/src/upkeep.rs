//! Work that nobody waits for: making the index durable, removing files and journal segments that
//! are no longer needed, forgetting old changes. One thread, asleep while there is nothing to do.

use std::collections::{HashMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use cosette_blob::{Bodies, Disk, Removal};
use cosette_kv::{Engine, Range};
use cosette_model::Seq;
use tokio::sync::watch;

use crate::Table;
use crate::commit::{Message, Mutation};
use crate::error::{Error, Result};
use crate::journal::Segments;
use crate::record::{Applied, decode};
use crate::schema::{self, Kind};
use crate::settings::Settings;
use crate::tx::{Freed, Tx};

/// Rows deleted by one commit.
const ROWS_PER_COMMIT: usize = 1_000;
/// Changes are forgotten in strides, not one by one.
const CHANGES_SLACK: u64 = 10_000;

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
    garbage: VecDeque<(Instant, Freed)>,
    stop: bool,
}

impl Chores {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { list: Mutex::default(), more: Condvar::new(), checkpoint_bytes: settings.checkpoint_bytes }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group was committed: so many bytes of journal, and these files are free.
    pub(crate) fn committed(&self, bytes: u64, freed: Vec<Freed>) {
        let mut list = self.list();
        let (since, before) = list.behind.unwrap_or((Instant::now(), 0));
        // It need not be woken for every group, only when there is a new reason.
        let news = list.behind.is_none()
            || !freed.is_empty()
            || (before < self.checkpoint_bytes && before + bytes >= self.checkpoint_bytes);
        list.behind = Some((since, before + bytes));
        if !freed.is_empty() {
            let now = Instant::now();
            list.garbage.extend(freed.into_iter().map(|what| (now, what)));
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
}

/// What is due now.
struct Due {
    checkpoint: bool,
    garbage: Vec<Freed>,
}

pub(crate) struct Upkeep {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) bodies: Bodies,
    /// `None` for a store without a journal.
    pub(crate) segments: Option<Arc<Segments>>,
    pub(crate) disk: Disk,
    pub(crate) queue: mpsc::Sender<Message>,
    pub(crate) head: Arc<watch::Sender<Seq>>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) settings: Settings,
    /// Segments that nothing needs, since when.
    pub(crate) unneeded: HashMap<u64, Instant>,
}

impl Upkeep {
    pub(crate) fn run(mut self) {
        if let Err(error) = self.begin() {
            Self::report("look for what a crash left", &error);
        }
        while let Some(due) = self.wait() {
            if !due.garbage.is_empty()
                && let Err(error) = self.remove(due.garbage)
            {
                Self::report("remove bodies", &error);
            }
            if due.checkpoint {
                if let Err(error) = self.checkpoint() {
                    Self::report("make the index durable", &error);
                }
                if let Err(error) = self.forget_changes() {
                    Self::report("forget old changes", &error);
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
            let mut wake: Option<Instant> = None;
            let mut checkpoint = false;
            if let Some((since, bytes)) = list.behind {
                let at = since + self.settings.checkpoint_after;
                checkpoint = at <= now || bytes >= self.settings.checkpoint_bytes;
                wake = Some(at);
            }
            let mut garbage = Vec::new();
            while let Some((since, what)) = list.garbage.front().copied() {
                let at = since + self.settings.garbage_grace;
                if at > now {
                    wake = Some(wake.map_or(at, |wake| wake.min(at)));
                    break;
                }
                list.garbage.pop_front();
                garbage.push(what);
            }
            if checkpoint || !garbage.is_empty() {
                if checkpoint {
                    list.behind = None;
                }
                return Some(Due { checkpoint, garbage });
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

    fn commit(&self, decide: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static) -> Result<()> {
        let (job, outcome) = Mutation::new(decide);
        self.queue.send(Message::Job(Box::new(job))).map_err(|_| Error::Closed)?;
        outcome.blocking_recv().map_err(|_| Error::Closed)?.map(drop)
    }

    /// What the process before this one could not finish.
    fn begin(&mut self) -> Result<()> {
        let mut freed: Vec<Result<Freed>> = Vec::new();
        self.engine.scan(&Range::prefix(&schema::key(Kind::Garbage, &[])), &mut |key, _| {
            freed.push(schema::body_of(key).map(Freed::Body));
            ControlFlow::Continue(())
        })?;
        self.engine.scan(&Range::prefix(&schema::key(Kind::Discarded, &[])), &mut |key, _| {
            let id = schema::number8(key, 1).ok_or_else(|| Error::corrupt("a manifest's key"));
            freed.push(id.map(Freed::Manifest));
            ControlFlow::Continue(())
        })?;
        let now = Instant::now();
        let freed: Vec<Freed> = freed.into_iter().collect::<Result<_>>()?;
        self.chores.list().garbage.extend(freed.into_iter().map(|what| (now, what)));
        for epoch in self.bodies.epochs()?.into_iter().filter(|epoch| *epoch < self.bodies.epoch()) {
            if self.engine.get(&schema::swept(epoch))?.is_none() {
                self.sweep(epoch)?;
            }
            self.bodies.remove_empty(epoch);
        }
        Ok(())
    }

    /// Removes the bodies of an earlier epoch that no record ever referred to. Nothing can come to
    /// refer to them any more, so looking is enough.
    fn sweep(&self, epoch: u32) -> Result<()> {
        let mut strays = Vec::new();
        for id in self.bodies.of_epoch(epoch)? {
            if self.engine.get(&schema::body(Kind::Body, id))?.is_none()
                && self.engine.get(&schema::body(Kind::Garbage, id))?.is_none()
            {
                self.bodies.remove(id)?;
                strays.push(id);
            }
        }
        if !strays.is_empty() {
            self.bodies.sync_removals(&strays)?;
            tracing::info!(epoch, strays = strays.len(), "removed bodies that were never committed");
        }
        self.commit(move |tx| {
            tx.mark(schema::swept(epoch));
            Ok(())
        })
    }

    /// Removes what was freed; bodies that are being read are tried again later.
    fn remove(&self, freed: Vec<Freed>) -> Result<()> {
        let mut removed = Vec::with_capacity(freed.len());
        for what in freed {
            let id = match what {
                Freed::Body(id) => id,
                Freed::Manifest(id) => {
                    self.commit(move |tx| tx.discard(id))?;
                    continue;
                }
            };
            match self.bodies.remove(id) {
                Ok(Removal::Done) => removed.push(id),
                Ok(Removal::InUse) => self.chores.list().garbage.push_back((Instant::now(), what)),
                // Its row stays, so the next start tries again.
                Err(error) => tracing::warn!(?id, %error, "body not removed"),
            }
        }
        self.bodies.sync_removals(&removed)?;
        for ids in removed.chunks(ROWS_PER_COMMIT) {
            let ids = ids.to_vec();
            self.commit(move |tx| {
                ids.iter().for_each(|id| tx.remove(schema::body(Kind::Garbage, *id)));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Brings the index to disk, then removes the segments that nothing needs any more.
    fn checkpoint(&mut self) -> Result<()> {
        let Some(segments) = self.segments.clone() else { return Ok(()) };
        let Some(row) = self.engine.get(&schema::applied())? else { return Ok(()) };
        let applied: Applied = decode("applied", &row)?;
        // The journal first: an index that is ahead of it after power loss would refer to bodies
        // that are not there. In strict mode there is nothing left to sync.
        self.disk.reopen(&segments.path(applied.position.segment))?.sync()?;
        self.engine.flush()?;
        let mut total: u64 = 0;
        let all = segments.list()?;
        total += all.iter().map(|(_, bytes)| bytes).sum::<u64>();
        for (number, bytes) in all {
            if total <= self.settings.journal_kept || number >= applied.position.segment {
                break;
            }
            if self.engine.get(&schema::segment(number))?.is_some() {
                self.unneeded.remove(&number);
                continue;
            }
            let since = *self.unneeded.entry(number).or_insert_with(Instant::now);
            if since.elapsed() >= self.settings.garbage_grace {
                segments.close(number);
                self.disk.remove(&segments.path(number))?;
                self.unneeded.remove(&number);
                total -= bytes;
                tracing::debug!(number, "removed a journal segment");
            }
        }
        Ok(())
    }

    fn forget_changes(&self) -> Result<()> {
        let head = self.head.borrow().0;
        let range = Range::prefix(&schema::key(Kind::Change, &[]));
        loop {
            let mut oldest = None;
            self.engine.scan(&range, &mut |key, _| {
                oldest = schema::number8(key, 1);
                ControlFlow::Break(())
            })?;
            let keep_from = head.saturating_sub(self.settings.changes_kept).min(self.least_cursor()?);
            let stride = CHANGES_SLACK.min(self.settings.changes_kept);
            if oldest.is_none_or(|oldest| oldest + stride > keep_from) {
                return Ok(());
            }
            let mut old = Vec::new();
            let old_range = Range { to: Bound::Excluded(schema::change(Seq(keep_from))), ..range.clone() };
            self.engine.scan(&old_range, &mut |key, _| {
                old.push(key.to_vec());
                if old.len() < ROWS_PER_COMMIT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            self.commit(move |tx| {
                old.into_iter().for_each(|key| tx.remove(key));
                Ok(())
            })?;
        }
    }

    /// The least sequence number that a cursor stands at. A row that is not one holds back all.
    fn least_cursor(&self) -> Result<u64> {
        let mut least = u64::MAX;
        self.engine.scan(&Range::prefix(&schema::table(Table::Cursor, &[])), &mut |_, value| {
            least = least.min(<[u8; 8]>::try_from(value).map_or(0, u64::from_be_bytes));
            ControlFlow::Continue(())
        })?;
        Ok(least)
    }
}
