//! sled 0.34 behind the boundary; the only place that names it. What it does that is contained
//! here: docs/decisions/0004-what-sled-does.md.
//!
//! One tree holds everything. Rows are put in one by one: sled's log keeps their order, which is
//! all that is promised of a crash, and a batch of sled's own would cost two writes to the disk
//! each time.
//!
//! sled's own flush is `sync_file_range`, which power loss does not respect, so `sync` syncs its
//! files besides. Between two syncs sled writes over segments it has freed, trusting that flush:
//! after a loss of power its files may have lost rows without a sign of it.
//!
//! sled's files never shrink, so from time to time all rows are copied to a new sled (`rewrite`)
//! that takes the place of the old one (`generation`).

mod generation;
mod rewrite;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use self::generation::{Generation, sync_tree};
use self::rewrite::{Reach, Tidied, Writing};
use crate::{Batch, Engine, Error, Range, Result, Visit};

/// A close writes sled's own snapshot when more bytes of rows than this were written. Its log is
/// some 2.6 times as long, and would cost the next open 25 ms and more.
const SETTLE_BYTES: u64 = 24 << 20;

pub struct Sled {
    /// The generations lie here, and nothing else.
    dir: PathBuf,
    cache_bytes: u64,
    /// Size below which no rewrite is thought of.
    pub(crate) floor_bytes: u64,
    /// Held by whoever writes rows: `apply`, and in turn with it a rewrite.
    writing: Mutex<Writing>,
    /// `apply` waits for `writing`.
    waiting: AtomicBool,
    /// Held for writing while a batch is applied, so that readers see all of it or nothing.
    /// `None` once it is closed.
    current: RwLock<Option<Arc<Generation>>>,
    /// Held by what replaces or takes away the current generation; taken before `writing`, as that
    /// is before `current`.
    tidied: Mutex<Tidied>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sled {
    /// `dir` is the engine's own: what is not its newest complete generation is removed from it.
    /// `cache_bytes` is about what sled keeps of pages in memory, twice while it is rewritten.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (current, live) = loop {
            let newest = generation::newest(dir)?;
            let (opened, live) = match newest {
                Some(number) => (Generation::open(dir, number, cache_bytes)?, Reach::Start),
                None => {
                    let first = Generation::begin(dir, 1, cache_bytes)?;
                    first.db.flush()?;
                    first.complete()?;
                    (first, Reach::End)
                }
            };
            // If it had to be waited for, its last holder may have finished a rewrite meanwhile.
            if generation::newest(dir)? == Some(opened.number) {
                break (opened, live);
            }
        };
        generation::remove_others(dir, current.number)?;
        Ok(Self {
            dir: dir.to_owned(),
            cache_bytes,
            floor_bytes: rewrite::FLOOR_BYTES,
            writing: Mutex::new(Writing::new(live)),
            waiting: AtomicBool::new(false),
            current: RwLock::new(Some(Arc::new(current))),
            tidied: Mutex::default(),
        })
    }

    fn read<T>(&self, with: impl FnOnce(&Arc<Generation>) -> T) -> Result<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(with).ok_or_else(closed)
    }

    fn alone(&self) -> RwLockWriteGuard<'_, Option<Arc<Generation>>> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scan keeps the generation it began with: it need not see batches that come after its
    /// beginning. The lock is let go of between rows, so that a long scan does not hold up the
    /// writer.
    fn walk(&self, range: &Range, visit: &mut Visit<'_>, back: bool) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let generation = self.read(Arc::clone)?;
        let mut found = generation.db.range::<&[u8], _>(range.bounds());
        loop {
            let row = {
                let _whole = self.current.read().unwrap_or_else(PoisonError::into_inner);
                if back { found.next_back() } else { found.next() }
            };
            let Some(row) = row else { return Ok(()) };
            let (key, value) = row?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                return Ok(());
            }
        }
    }
}

impl Engine for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.read(|current| current.db.get(key))??.map(|value| value.to_vec()))
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.walk(range, visit, false)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.walk(range, visit, true)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.waiting.store(true, Ordering::Release);
        let mut writing = lock(&self.writing);
        self.waiting.store(false, Ordering::Release);
        let applied = {
            let current = self.alone();
            writing.apply(current.as_ref().ok_or_else(closed)?, &batch)
        };
        // Readers do not wait for the copy.
        writing.follow(applied, &batch)
    }

    fn flush(&self) -> Result<()> {
        let (current, copy) = {
            let writing = lock(&self.writing);
            (self.read(Arc::clone)?, writing.finished_copy())
        };
        current.db.flush()?;
        // It may take the place of the current one at any moment.
        if let Some(copy) = copy
            && let Err(error) = copy.db.flush()
        {
            return self.give_up(&copy, error.into());
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.flush()?;
        Ok(sync_tree(&self.dir)?)
    }

    fn tidy(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        self.rewrite_if_large(stop)
    }

    fn close(&self) -> Result<()> {
        let _tidied = lock(&self.tidied);
        let current = {
            let mut writing = lock(&self.writing);
            writing.drop_copy();
            self.alone().take()
        };
        let Some(current) = current else { return Ok(()) };
        current.db.flush()?;
        // A scan that still reads from it costs the next open some time.
        if let Ok(current) = Arc::try_unwrap(current)
            && current.written() > SETTLE_BYTES
        {
            // If that fails all rows are there none the less.
            let _ = current.settle();
        }
        // Last, so that nothing is written after it.
        Ok(sync_tree(&self.dir)?)
    }
}

fn closed() -> Error {
    Error::Engine("the index is closed".to_owned())
}

impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            sled::Error::Corruption { at, .. } => Self::Damaged(format!("checksum mismatch at {at:?}")),
            other => Self::Engine(other.to_string()),
        }
    }
}
