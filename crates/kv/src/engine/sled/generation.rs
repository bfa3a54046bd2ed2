//! One generation of the index: a sled of its own, in a directory of its own.
//!
//! ```text
//! <number>/           one generation
//! <number>/complete   it holds all rows; without the mark it is the beginning of a copy, and of no use
//! ```
//!
//! The mark is an empty file, there or not: no death of the process can leave half of it. What power
//! loss leaves is not asked here; the whole index is distrusted then.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

const MARK: &str = "complete";

/// Below this sled evicts pages faster than it can use them.
const CACHE_MIN_BYTES: u64 = 4 << 20;

/// How long a lock of this process may outlive its store.
const LOCK_LINGERS_MAX: Duration = Duration::from_secs(5);

pub(super) struct Generation {
    // Dropped in this order: sled lets go of its files, then they may be removed.
    pub(super) db: sled::Db,
    place: Place,
    pub(super) number: u64,
    /// Bytes of rows that went into sled's log since it was opened, and so since its last snapshot.
    written: AtomicU64,
}

/// The directory. A doomed one goes with its last user: a scan that began before a rewrite reads
/// on from it, and sled opens large values by their path.
struct Place {
    path: PathBuf,
    doomed: AtomicBool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if *self.doomed.get_mut() {
            // What stays is removed by the next open.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Generation {
    /// Opens one that is complete.
    pub(super) fn open(dir: &Path, number: u64, cache_bytes: u64) -> Result<Self> {
        let place = Place { path: path(dir, number), doomed: AtomicBool::new(false) };
        remove_torn_snapshots(&place.path)?;
        Ok(Self { db: open_db(&place.path, cache_bytes)?, place, number, written: AtomicU64::new(0) })
    }

    /// Begins an empty one, which is gone again when it is dropped before `complete`.
    pub(super) fn begin(dir: &Path, number: u64, cache_bytes: u64) -> Result<Self> {
        let path = path(dir, number);
        remove(&path)?;
        fs::create_dir(&path)?;
        let place = Place { path, doomed: AtomicBool::new(true) };
        Ok(Self { db: open_db(&place.path, cache_bytes)?, place, number, written: AtomicU64::new(0) })
    }

    /// From now on it is the index. Everything must have been flushed.
    pub(super) fn complete(&self) -> Result<()> {
        File::create(self.place.path.join(MARK))?;
        self.place.doomed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// A later one has taken its place.
    pub(super) fn retire(&self) {
        self.place.doomed.store(true, Ordering::Relaxed);
    }

    /// Puts or deletes one row; what was there before comes back.
    pub(super) fn write(&self, key: &[u8], value: Option<&[u8]>) -> sled::Result<Option<sled::IVec>> {
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        match value {
            Some(value) => self.db.insert(key, value),
            None => self.db.remove(key),
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// What its files take.
    pub(super) fn size(&self) -> io::Result<u64> {
        tree_bytes(&self.place.path)
    }

    /// Closes it so that the next open is fast: sled writes its snapshot only while it opens, and
    /// without one reads its log, 0.4 ms for each MB written since the last.
    pub(super) fn settle(self) -> Result<()> {
        let Self { db, place, .. } = self;
        drop(db);
        drop(open_db(&place.path, CACHE_MIN_BYTES)?);
        Ok(())
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(number.to_string())
}

/// The complete generation with the highest number.
pub(super) fn newest(dir: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.parse().ok()).filter(|n: &u64| *name == *n.to_string());
        if number > newest && entry.path().join(MARK).exists() {
            newest = number;
        }
    }
    Ok(newest)
}

/// Removes all but one generation: copies that were not finished, generations that were rewritten,
/// and the files of builds that knew no generations.
pub(super) fn remove_others(dir: &Path, number: u64) -> io::Result<()> {
    let keep = path(dir, number);
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path != keep {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A process that died in `open` may have left a half-written snapshot, which sled would take for
/// its newest one, and find damaged, for ever.
fn remove_torn_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_db(path: &Path, cache_bytes: u64) -> sled::Result<sled::Db> {
    let config = sled::Config::new()
        .path(path)
        // A hint: random reads overshoot it by some 60 MiB. sled's own default is 1 GiB.
        .cache_capacity(cache_bytes.max(CACHE_MIN_BYTES))
        // Its caller decides when to flush. That thread of sled's would also clean a segment each
        // time it wakes, which is too slow to matter, and wakes an idle process.
        .flush_every_ms(None);
    let began = Instant::now();
    loop {
        match config.open() {
            // The last reader of the store that was closed here a moment ago still holds it.
            Err(error) if is_locked(&error) && began.elapsed() < LOCK_LINGERS_MAX => {
                thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// sled says so in words only.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// sled drops its side files while it runs, and whole generations go.
fn unless_gone<T: Default>(outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

fn tree_bytes(path: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let bytes = if entry.file_type()?.is_dir() {
            tree_bytes(&entry.path())
        } else {
            entry.metadata().map(|found| found.len())
        };
        sum += unless_gone(bytes)?;
    }
    Ok(sum)
}

/// Syncs every file below `path` and the directories themselves.
pub(super) fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        unless_gone(if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())
        } else {
            File::open(entry.path()).and_then(|file| file.sync_data())
        })?;
    }
    File::open(path)?.sync_all()
}
