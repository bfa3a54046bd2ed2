//! sled 0.34 behind the boundary; the only file that names it.
//!
//! One tree holds everything. Rows are put in one by one: sled's log keeps their order, which is
//! all that is promised of a crash, and a batch of sled's own would cost two writes to the disk
//! each time.
//!
//! sled's own flush is `sync_file_range`, which power loss does not respect, so `sync` syncs its
//! files besides. Between two syncs sled writes over segments it has freed, trusting that flush:
//! after a loss of power its files may have lost rows without a sign of it.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::{Batch, Engine, Error, Range, Result, Visit};

/// Below this sled evicts pages faster than it can use them.
const CACHE_MIN_BYTES: u64 = 4 << 20;

/// How long a lock of this process may outlive its store.
const LOCK_LINGERS_MAX: Duration = Duration::from_secs(5);

pub struct Sled {
    db: sled::Db,
    /// Held for writing while a batch is applied, so that readers see all of it or nothing.
    visible: RwLock<()>,
    dir: PathBuf,
}

impl Sled {
    /// `cache_bytes` bounds the memory that sled keeps for pages; its own default is 1 GiB.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes.max(CACHE_MIN_BYTES))
            .mode(sled::Mode::HighThroughput)
            // Its caller decides when to flush; a timer of sled's own would wake an idle process.
            .flush_every_ms(None);
        let began = Instant::now();
        loop {
            match config.open() {
                // The last reader of the store that was closed here a moment ago still holds it.
                Err(error) if is_locked(&error) && began.elapsed() < LOCK_LINGERS_MAX => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return Ok(Self { db: opened?, visible: RwLock::new(()), dir: dir.to_owned() }),
            }
        }
    }

    /// The lock is let go of between rows, so that a long scan does not hold up the writer.
    fn walk(
        &self,
        mut next: impl FnMut() -> Option<sled::Result<(sled::IVec, sled::IVec)>>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        loop {
            let row = {
                let _whole = self.visible.read().unwrap_or_else(PoisonError::into_inner);
                next()
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
        let _whole = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.db.get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut found = self.db.range::<&[u8], _>(range.bounds());
        self.walk(|| found.next(), visit)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut found = self.db.range::<&[u8], _>(range.bounds());
        self.walk(|| found.next_back(), visit)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let _alone = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.rows {
            match value {
                Some(value) => self.db.insert(key, value)?,
                None => self.db.remove(key)?,
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.db.flush()?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.db.flush()?;
        sync_tree(&self.dir)?;
        Ok(())
    }
}

/// sled says so in words only.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Syncs every file below `dir` and the directories themselves.
fn sync_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let synced = if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())
        } else {
            File::open(entry.path()).and_then(|file| file.sync_data())
        };
        match synced {
            // sled replaces its snapshots and drops its side files while it runs.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    File::open(dir)?.sync_all()
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
