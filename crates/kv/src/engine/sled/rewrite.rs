//! Copying all rows to a new generation while the old one is in use.
//!
//! The copy takes rows in key order, a few at a time, under the lock that `apply` writes under.
//! What `apply` writes to keys the copy has passed it writes to both; what lies beyond, the copy
//! will come to. So once it has come to the end both hold the same, and go on to; then the new
//! one is flushed, marked complete, and put in the old one's place. Readers notice nothing.

use std::io;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::{Sled, closed, lock};
use crate::{Batch, Error, Result};

/// An index that is smaller is left as it is.
pub(super) const FLOOR_BYTES: u64 = 32 << 20;

/// How many times the live bytes it may take, above the floor. Fresh rows take 2.6, rows that are
/// overwritten evenly level off at 3.5 by themselves.
const RATIO: f64 = 4.0;

/// And how many times what the last rewrite left for each live byte: what is not much smaller when
/// it is rewritten must not be rewritten again and again.
const REGROWN: f64 = 1.5;

/// A copy, of less than four times the live bytes, leaves at least so much of the disk to others.
const SPARE_BYTES: u64 = 256 << 20;

/// After a copy that failed (the disk is full, say) none is begun for so long.
const RETRY_AFTER: Duration = Duration::from_secs(600);

/// A copy lets `apply` in after so many rows, or bytes. A row takes 15 to 25 us to copy, so an
/// `apply` that comes at a bad moment waits up to 0.4 ms.
const CHUNK_ROWS: usize = 16;
const CHUNK_BYTES: usize = 64 << 10;

/// How far a walk over all keys, in order, has come.
pub(super) enum Reach {
    Start,
    Upto(Vec<u8>),
    End,
}

impl Reach {
    fn covers(&self, key: &[u8]) -> bool {
        match self {
            Self::Start => false,
            Self::Upto(last) => key <= last.as_slice(),
            Self::End => true,
        }
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::End)
    }

    /// Takes the next rows.
    fn advance(&mut self, db: &sled::Tree, mut each: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let from = match self {
            Self::Start => Bound::Unbounded,
            Self::Upto(last) => Bound::Excluded(last.as_slice()),
            Self::End => return Ok(()),
        };
        let mut found = db.range::<&[u8], _>((from, Bound::Unbounded));
        let (mut last, mut bytes) = (None, 0);
        for _ in 0..CHUNK_ROWS {
            let Some(row) = found.next() else {
                *self = Self::End;
                return Ok(());
            };
            let (key, value) = row?;
            each(&key, &value)?;
            bytes += key.len() + value.len();
            last = Some(key);
            if bytes >= CHUNK_BYTES {
                break;
            }
        }
        if let Some(last) = last {
            *self = Self::Upto(last.to_vec());
        }
        Ok(())
    }
}

/// What is known under the writers' lock.
pub(super) struct Writing {
    /// Bytes of the rows that `counted` covers.
    live: u64,
    counted: Reach,
    copy: Option<Copying>,
    /// Why the last copy was given up by another than who makes it.
    gave_up: Option<Error>,
    /// A batch is in there in part: nothing may be copied any more.
    broken: bool,
}

struct Copying {
    to: Arc<Generation>,
    reach: Reach,
}

impl Writing {
    pub(super) fn new(counted: Reach) -> Self {
        Self { live: 0, counted, copy: None, gave_up: None, broken: false }
    }

    pub(super) fn apply(&mut self, to: &Generation, batch: &Batch) -> Result<()> {
        for (key, value) in &batch.rows {
            let old = to.write(key, value.as_deref())?;
            if self.counted.covers(key) {
                let bytes = |len: usize| (key.len() + len) as u64;
                self.live += value.as_ref().map_or(0, |value| bytes(value.len()));
                self.live = self.live.saturating_sub(old.map_or(0, |old| bytes(old.len())));
            }
        }
        Ok(())
    }

    /// Does to the copy what was done to the current generation.
    pub(super) fn follow(&mut self, applied: Result<()>, batch: &Batch) -> Result<()> {
        if let Err(error) = &applied {
            self.broken = true;
            self.gave_up = Some(Error::Engine(error.to_string()));
            self.copy = None;
        }
        if let Some(copy) = &self.copy {
            for (key, value) in batch.rows.iter().filter(|(key, _)| copy.reach.covers(key)) {
                if let Err(error) = copy.to.write(key, value.as_deref()) {
                    self.gave_up = Some(error.into());
                    self.copy = None;
                    break;
                }
            }
        }
        applied
    }

    pub(super) fn drop_copy(&mut self) {
        self.copy = None;
    }

    /// The copy, once it holds everything.
    pub(super) fn finished_copy(&self) -> Option<Arc<Generation>> {
        self.copy.as_ref().filter(|copy| copy.reach.is_end()).map(|copy| Arc::clone(&copy.to))
    }

    fn copying(&mut self) -> Result<&mut Copying> {
        let gave_up = self.gave_up.take();
        self.copy.as_mut().ok_or_else(|| gave_up.unwrap_or_else(closed))
    }
}

/// What the last rewrite tells of the next.
#[derive(Default)]
pub(super) struct Tidied {
    /// What it left, above the floor, for each live byte.
    left: f64,
    failed: Option<Instant>,
}

impl Sled {
    /// Counts live bytes if they are not known yet, which takes a scan, and rewrites if it is due.
    pub(super) fn rewrite_if_large(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut tidied = lock(&self.tidied);
        if tidied.failed.is_some_and(|at| at.elapsed() < RETRY_AFTER) || lock(&self.writing).broken {
            return Ok(());
        }
        let above_floor = |size: u64| size.saturating_sub(self.floor_bytes) as f64;
        let before = above_floor(self.read(Arc::clone)?.size()?);
        if before == 0.0 {
            return Ok(());
        }
        let Some(live) = self.count(stop)? else { return Ok(()) };
        if before <= RATIO.max(REGROWN * tidied.left) * live as f64 {
            return Ok(());
        }
        match self.has_room(live).and_then(|()| self.copy_and_replace(stop)) {
            Ok(true) => {
                let (left, live) = (self.read(Arc::clone)?.size()?, lock(&self.writing).live);
                tidied.left = above_floor(left) / live.max(1) as f64;
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                tidied.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    /// A copy must not be what fills the disk: others would fail before it does.
    fn has_room(&self, live: u64) -> Result<()> {
        let disk = rustix::fs::statvfs(&self.dir).map_err(io::Error::from)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) / 4 > live + SPARE_BYTES / 4 {
            return Ok(());
        }
        Err(Error::Engine("the disk has no room to rewrite the index".to_owned()))
    }

    #[cfg(test)]
    pub(crate) fn rewrite(&self, stop: &dyn Fn() -> bool) -> Result<bool> {
        let _tidied = lock(&self.tidied);
        self.copy_and_replace(stop)
    }

    #[cfg(test)]
    pub(crate) fn live_bytes(&self) -> Result<Option<u64>> {
        self.count(&|| false)
    }

    /// The writers' lock, but not before an `apply` that waits for it: a lock that is let go of and
    /// taken again at once would never let another in.
    fn turn(&self) -> MutexGuard<'_, Writing> {
        while self.waiting.load(Ordering::Acquire) {
            thread::yield_now();
        }
        lock(&self.writing)
    }

    /// `None` if it was stopped; the next call goes on from there.
    fn count(&self, stop: &dyn Fn() -> bool) -> Result<Option<u64>> {
        let current = self.read(Arc::clone)?;
        loop {
            if stop() {
                return Ok(None);
            }
            let mut writing = self.turn();
            let Writing { live, counted, .. } = &mut *writing;
            if counted.is_end() {
                return Ok(Some(*live));
            }
            counted.advance(&current.db, |key, value| {
                *live += (key.len() + value.len()) as u64;
                Ok(())
            })?;
        }
    }

    /// `false` if it was stopped. When it is not done in the end, nothing is left of the copy.
    fn copy_and_replace(&self, stop: &dyn Fn() -> bool) -> Result<bool> {
        let current = self.read(Arc::clone)?;
        let to = Arc::new(Generation::begin(&self.dir, current.number + 1, self.cache_bytes)?);
        {
            let mut writing = lock(&self.writing);
            writing.gave_up = None;
            writing.copy = Some(Copying { to: Arc::clone(&to), reach: Reach::Start });
        }
        let done = self.copy(&current, stop).and_then(|all| Ok(all && self.replace(&current, &to)?));
        lock(&self.writing).drop_copy();
        done
    }

    fn copy(&self, from: &Generation, stop: &dyn Fn() -> bool) -> Result<bool> {
        loop {
            if stop() {
                return Ok(false);
            }
            let mut writing = self.turn();
            let Copying { to, reach } = writing.copying()?;
            reach.advance(&from.db, |key, value| Ok(to.write(key, Some(value)).map(drop)?))?;
            if reach.is_end() {
                return Ok(true);
            }
        }
    }

    fn replace(&self, old: &Generation, new: &Arc<Generation>) -> Result<bool> {
        moment("copied");
        // What is applied from here on follows in order, and may be lost with the process.
        new.db.flush()?;
        moment("flushed");
        let mut writing = lock(&self.writing);
        writing.copying()?;
        new.complete()?;
        moment("marked");
        *self.alone() = Some(Arc::clone(new));
        writing.drop_copy();
        old.retire();
        moment("replaced");
        Ok(true)
    }

    /// A finished copy that cannot be flushed must not become the current generation.
    pub(super) fn give_up(&self, copy: &Arc<Generation>, error: Error) -> Result<()> {
        let mut writing = lock(&self.writing);
        if writing.finished_copy().is_some_and(|now| Arc::ptr_eq(&now, copy)) {
            writing.drop_copy();
            writing.gave_up = Some(error);
            return Ok(());
        }
        if self.read(|current| Arc::ptr_eq(current, copy))? { Err(error) } else { Ok(()) }
    }
}

/// Where a test lets the process die.
#[cfg(test)]
fn moment(name: &str) {
    if std::env::var_os("COSETTE_KV_DIES_WHEN").is_some_and(|when| when == name) {
        std::process::abort();
    }
}

#[cfg(not(test))]
fn moment(_: &str) {}
