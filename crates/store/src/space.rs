//! Room on the disk: what is written asks first, and is refused while something is left. A disk
//! that is full to the last byte would fail in the middle of things, in the index above all, which
//! cannot be undone.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use cosette_blob::Disk;

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Bytes that a client brings.
    Body,
    /// Anything that commits, deletes included: refused last, as deleting makes room.
    Commit,
}

/// The disk is asked again when so many bytes have been written at most.
const ASK_AFTER: u64 = 16 << 20;

#[derive(Debug)]
pub(crate) struct Space {
    /// `None` for a store that is not on disk.
    disk: Option<(Disk, PathBuf)>,
    /// Bytes that bodies leave free; commits leave a quarter of it.
    reserve: u64,
    /// So many bytes may be written before the disk is asked again.
    known: AtomicU64,
}

impl Space {
    pub(crate) fn new(disk: Option<(Disk, PathBuf)>, reserve: u64) -> Self {
        Self { disk, reserve, known: AtomicU64::new(0) }
    }

    /// # Errors
    /// `StorageFull` when writing so many bytes would go below what is to be left.
    pub(crate) fn take(&self, bytes: u64, what: Use) -> io::Result<()> {
        let Some((disk, dir)) = &self.disk else { return Ok(()) };
        let taken =
            self.known.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| known.checked_sub(bytes));
        if taken.is_ok() {
            return Ok(());
        }
        // A disk that cannot say is written to as long as it takes it.
        let Ok(free) = disk.free(dir) else { return Ok(()) };
        self.known.store(free.saturating_sub(self.reserve + bytes).min(ASK_AFTER), Ordering::Relaxed);
        let leave = match what {
            Use::Body => self.reserve,
            Use::Commit => self.reserve / 4,
        };
        if free < leave + bytes {
            let full = format!("{free} bytes are free, and {leave} are kept free");
            return Err(io::Error::new(io::ErrorKind::StorageFull, full));
        }
        Ok(())
    }
}
