//! Where bodies are: files `<root>/<epoch>/<number>`, or, for a store that keeps nothing, files
//! in a temporary directory that goes with the process.
//!
//! Every process start has an epoch of its own, so bodies that a crash left unclaimed can only
//! lie in the epochs before, and are found there by somebody who knows which ones are referred to.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, Output};

/// A body's name; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyId {
    pub epoch: u32,
    pub number: u64,
}

impl fmt::Display for BodyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.number)
    }
}

/// What came of removing a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Done,
    /// Somebody is reading it; try again later.
    InUse,
}

/// All bodies of one store; clones share it.
#[derive(Clone, Debug)]
pub struct Bodies(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    place: Place,
    pub(crate) disk: Disk,
    /// Whether a sealed body is to be on disk.
    pub(crate) sync: bool,
    epoch: u32,
    next: AtomicU64,
    /// Readers per body that has any.
    pins: Mutex<HashMap<BodyId, usize>>,
    created: AtomicU64,
    /// How many of the files created are known to have their directory entry on disk.
    listed: Mutex<u64>,
    made: OnceLock<()>,
    making: Mutex<()>,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Temporary(Spill),
}

/// The directory of bodies that are too large for memory. It is made when first needed, and locked while its process lives, so that a later process can tell and remove what a crash left.
#[derive(Debug)]
struct Spill {
    dir: PathBuf,
    lock: OnceLock<File>,
}

const SPILL_PREFIX: &str = "cosette-spill-";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spill {
    fn make(&self, disk: &Disk) -> io::Result<()> {
        let path = self.dir.join("lock");
        // Until it is locked, another who begins takes the directory for abandoned, and removes it.
        let lock = loop {
            disk.create_directory(&self.dir)?;
            let lock = File::create(&path)?;
            lock.lock()?;
            if is_at(&lock, &path) {
                break lock;
            }
        };
        let _ = self.lock.set(lock);
        Self::remove_abandoned(&self.dir);
        Ok(())
    }

    /// Best effort: what cannot be looked at or removed is left to its owner.
    fn remove_abandoned(own: &Path) {
        let Some(entries) = own.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path == own || !entry.file_name().to_string_lossy().starts_with(SPILL_PREFIX) {
                continue;
            }
            let lock = path.join("lock");
            // Held until the directory is gone, so that its owner, who may only be late, notices.
            if let Ok(held) = File::open(&lock)
                && held.try_lock().is_ok()
                && is_at(&held, &lock)
            {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: fs::Metadata, b: fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    file.metadata().is_ok_and(|file| fs::metadata(path).is_ok_and(|path| same(file, path)))
}

impl Spill {
    fn remove(&self) {
        if self.lock.get().is_some() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Bodies {
    /// Bodies in files below `root`, made if missing; that its own entry is on disk is the
    /// caller's concern. The new epoch is greater than `epoch_min` and than every epoch found there.
    pub fn open(root: &Path, epoch_min: u32, disk: Disk, sync: bool) -> io::Result<Self> {
        disk.create_directory(root)?;
        let epoch = epochs_in(root)?.into_iter().max().unwrap_or(0).max(epoch_min) + 1;
        Ok(Self::new(Place::Directory(root.to_owned()), epoch, disk, sync))
    }

    /// Bodies below `root` that are only to be looked at. Nothing is made.
    pub fn look(root: &Path, disk: Disk) -> Self {
        Self::new(Place::Directory(root.to_owned()), u32::MAX, disk, false)
    }

    /// Bodies in files that die with the process. `name` tells this store's directory from others.
    pub fn temporary(name: &str, disk: Disk) -> Self {
        let dir = std::env::temp_dir().join(format!("{SPILL_PREFIX}{name}"));
        Self::new(Place::Temporary(Spill { dir, lock: OnceLock::new() }), 1, disk, false)
    }

    fn new(place: Place, epoch: u32, disk: Disk, sync: bool) -> Self {
        Self(Arc::new(Inner {
            place,
            disk,
            sync,
            epoch,
            next: AtomicU64::new(0),
            pins: Mutex::default(),
            created: AtomicU64::new(0),
            listed: Mutex::new(0),
            made: OnceLock::new(),
            making: Mutex::new(()),
        }))
    }

    /// This process's epoch.
    pub fn epoch(&self) -> u32 {
        self.0.epoch
    }

    /// Keeps the body from being removed until the guard is dropped.
    pub(crate) fn pin(&self, id: BodyId) -> Pin {
        *lock(&self.0.pins).entry(id).or_insert(0) += 1;
        Pin { inner: Arc::clone(&self.0), id }
    }

    /// Removes a body that nothing refers to any more.
    pub fn remove(&self, id: BodyId) -> io::Result<Removal> {
        let pins = lock(&self.0.pins);
        if pins.contains_key(&id) {
            return Ok(Removal::InUse);
        }
        self.0.remove(id)?;
        Ok(Removal::Done)
    }

    /// The removal of these is on disk when this returns: none comes back once nobody knows of it.
    pub fn sync_removals(&self, removed: &[BodyId]) -> io::Result<()> {
        let Place::Directory(root) = &self.0.place else { return Ok(()) };
        if !self.0.sync {
            return Ok(());
        }
        let epochs: BTreeSet<u32> = removed.iter().map(|id| id.epoch).collect();
        for epoch in epochs {
            match self.0.disk.sync_directory(&root.join(epoch.to_string())) {
                // The last of an epoch takes its directory along.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.0.disk.sync_directory(root)?,
                other => other?,
            }
        }
        Ok(())
    }

    /// The epochs that have a directory.
    pub fn epochs(&self) -> io::Result<Vec<u32>> {
        match &self.0.place {
            Place::Directory(root) => epochs_in(root),
            Place::Temporary(_) => Ok(Vec::new()),
        }
    }

    /// Removes temporary bodies, when their store is closed and its handles may live on.
    pub fn end(&self) {
        if let Place::Temporary(spill) = &self.0.place {
            spill.remove();
        }
    }

    /// Removes an earlier epoch's directory if nothing is left in it.
    pub fn remove_empty(&self, epoch: u32) {
        if let Place::Directory(root) = &self.0.place
            && epoch != self.0.epoch
        {
            // Not being empty is the usual case.
            let _ = self.0.disk.remove_directory(&root.join(epoch.to_string()));
        }
    }

    /// The bodies whose files lie in an epoch's directory.
    pub fn of_epoch(&self, epoch: u32) -> io::Result<Vec<BodyId>> {
        let Place::Directory(root) = &self.0.place else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir(root.join(epoch.to_string()))? {
            if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push(BodyId { epoch, number });
            }
        }
        Ok(found)
    }
}

fn epochs_in(root: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    if !root.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(root)? {
        if let Some(epoch) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(epoch);
        }
    }
    Ok(found)
}

impl Inner {
    /// A new name that nobody refers to yet.
    pub(crate) fn unclaimed(self: &Arc<Self>) -> Unclaimed {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        Unclaimed { id: BodyId { epoch: self.epoch, number }, inner: Some(Arc::clone(self)) }
    }

    pub(crate) fn path(&self, id: BodyId) -> PathBuf {
        match &self.place {
            Place::Directory(root) => root.join(id.epoch.to_string()).join(id.number.to_string()),
            Place::Temporary(spill) => spill.dir.join(id.number.to_string()),
        }
    }

    /// Creates the body's file, and the directory when it is the first in it.
    pub(crate) fn create(&self, id: BodyId) -> io::Result<Output> {
        if self.made.get().is_none() {
            let _making = lock(&self.making);
            if self.made.get().is_none() {
                match &self.place {
                    Place::Directory(root) => {
                        self.disk.create_directory(&root.join(self.epoch.to_string()))?;
                        if self.sync {
                            self.disk.sync_directory(root)?;
                        }
                    }
                    Place::Temporary(spill) => spill.make(&self.disk)?,
                }
                let _ = self.made.set(());
            }
        }
        let file = self.disk.create(&self.path(id))?;
        self.created.fetch_add(1, Ordering::SeqCst);
        Ok(file)
    }

    /// The directory entries of all files created before the call are on disk when this returns.
    /// Of callers that wait for each other, one sync serves all.
    pub(crate) fn list(&self) -> io::Result<()> {
        let Place::Directory(root) = &self.place else { return Ok(()) };
        let mine = self.created.load(Ordering::SeqCst);
        let mut listed = lock(&self.listed);
        if *listed >= mine {
            return Ok(());
        }
        let all = self.created.load(Ordering::SeqCst);
        self.disk.sync_directory(&root.join(self.epoch.to_string()))?;
        *listed = all;
        Ok(())
    }

    fn remove(&self, id: BodyId) -> io::Result<()> {
        self.disk.remove(&self.path(id))
    }
}

/// A body that nobody refers to yet; dropping it removes it.
#[derive(Debug)]
pub struct Unclaimed {
    id: BodyId,
    inner: Option<Arc<Inner>>,
}

impl Unclaimed {
    pub fn id(&self) -> BodyId {
        self.id
    }

    /// The body belongs to somebody from now on.
    pub fn claim(mut self) -> BodyId {
        self.inner = None;
        self.id
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && let Err(error) = inner.remove(self.id)
        {
            // It stays a stray until the next start sweeps this epoch.
            tracing::warn!(epoch = self.id.epoch, number = self.id.number, %error, "discarded body not removed");
        }
    }
}

/// Keeps one body from being removed.
#[derive(Debug)]
pub(crate) struct Pin {
    inner: Arc<Inner>,
    id: BodyId,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = lock(&self.inner.pins);
        if let Some(readers) = pins.get_mut(&self.id) {
            *readers -= 1;
            if *readers == 0 {
                pins.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stores_that_begin_at_once_leave_each_other_alone() {
        let begin = |thread: u32| {
            for n in 0..50 {
                let name = format!("{SPILL_PREFIX}{}-{thread}-{n}", std::process::id());
                let spill = Spill { dir: std::env::temp_dir().join(name), lock: OnceLock::new() };
                spill.make(&Disk::default()).unwrap();
                assert!(spill.dir.join("lock").exists(), "another has taken it for abandoned");
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|thread| drop(scope.spawn(move || begin(thread)))));
    }

    #[test]
    fn what_a_process_has_left_is_removed_by_the_next() {
        let left = std::env::temp_dir().join(format!("{SPILL_PREFIX}{}-left", std::process::id()));
        fs::create_dir_all(&left).unwrap();
        File::create(left.join("lock")).unwrap();
        File::create(left.join("1")).unwrap();
        let next = std::env::temp_dir().join(format!("{SPILL_PREFIX}{}-next", std::process::id()));
        Spill { dir: next.clone(), lock: OnceLock::new() }.make(&Disk::default()).unwrap();
        assert!(!next.exists());
        // Another that begins meanwhile may have taken it on itself, and be at it.
        let began = std::time::Instant::now();
        while left.exists() {
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "nobody removes it");
            std::thread::yield_now();
        }
    }
}
