//! The data directory: its format, its layout, and that only one process has it.
//!
//! ```text
//! format      one line: the format's number
//! lock        locked while a process has the store open
//! running     one line: the boot of the machine in which the store was opened; gone once it is closed
//! journal/    segments
//! snapshot/   copies of the index
//! changes/    the change log
//! index/      the index's own files
//! bodies/     <epoch>/<number>
//! master.key  32 bytes, readable to their owner only; made when something is first encrypted
//! ```

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cosette_blob::Disk;

use crate::error::{Error, Result};

/// What is written. Others than the store change it, too: since 3 deliveries are one row each, and functions' keys begin
/// with an account.
const FORMAT: u32 = 3;
/// The oldest that is read.
const OLDEST: u32 = 2;
const FORMAT_PREFIX: &str = "cosette data format ";

#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    disk: Disk,
    lock: File,
}

fn refusal(message: String) -> Error {
    Error::Io(io::Error::other(message))
}

impl Drop for Directory {
    /// Closing the file is not enough: a process that is just being spawned has it open as well,
    /// until it becomes another program.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the data directory's lock goes with its file only");
        }
    }
}

impl Directory {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// `Io` with a message for a person when another process has it, when its format is newer
    /// than this build, or when it is something else's.
    pub(crate) fn open(root: &Path, disk: Disk) -> Result<Self> {
        let missing = root.ancestors().take_while(|dir| !dir.exists()).count();
        disk.create_directory(root)?;
        let lock = disk.open_lock(&root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refusal(format!("{} is in use by another process", root.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let directory = Self { root: root.to_owned(), disk, lock };
        match directory.read_format() {
            Ok(text) => directory.check(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => directory.begin(missing)?,
            Err(error) => return Err(error.into()),
        }
        // Each has its entry on disk with the others: who looks for a snapshot must find the place.
        directory.disk.create_directory(&directory.journal())?;
        directory.disk.create_directory(&directory.snapshots())?;
        Ok(directory)
    }

    /// Takes a directory that is there, and makes nothing in it.
    ///
    /// # Errors
    /// As `open`, and when it is no data directory.
    pub(crate) fn open_existing(root: &Path, disk: Disk) -> Result<Self> {
        if !root.join("format").exists() {
            return Err(refusal(format!("{} is not a data directory", root.display())));
        }
        Self::open(root, disk)
    }

    /// What lies in the directory stays there. To be called when its parts have all been made: what
    /// they promise to be on disk is lost with their own entries.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.disk.sync_directory(&self.root)?)
    }

    fn read_format(&self) -> io::Result<String> {
        let mut text = String::new();
        self.disk.open(&self.format())?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(crate) fn bodies(&self) -> PathBuf {
        self.root.join("bodies")
    }

    pub(crate) fn master_key(&self) -> PathBuf {
        self.root.join("master.key")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshot")
    }

    pub(crate) fn changes(&self) -> PathBuf {
        self.root.join("changes")
    }

    fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// Marks a directory of an older format as today's: older builds would miss what is written from now on.
    pub(crate) fn renew_format(&self) -> Result<()> {
        let today = format!("{FORMAT_PREFIX}{FORMAT}\n");
        if self.read_format()? == today {
            return Ok(());
        }
        replace(&self.disk, &self.format(), &today)
    }

    /// Whether the index's files are what was written to them: the store was closed, or the process
    /// that had it open ended while the machine went on. Only the machine's own end can take
    /// writes back that the index believes in.
    pub(crate) fn index_is_sound(&self) -> Result<bool> {
        let mut boot = String::new();
        match self.disk.open(&self.running()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            opened => opened?.read_to_string(&mut boot)?,
        };
        Ok(self.disk.boot().is_some_and(|now| now == boot.trim_end()))
    }

    /// Whether the last process that had the store open has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        !self.running().exists()
    }

    /// To be called before the index is written to, and after it has been found sound or removed.
    pub(crate) fn begin_running(&self) -> Result<()> {
        let boot = format!("{}\n", self.disk.boot().unwrap_or_default());
        let mut found = String::new();
        if let Ok(mut file) = self.disk.open(&self.running())
            && file.read_to_string(&mut found).is_ok()
            && found == boot
        {
            return Ok(());
        }
        replace(&self.disk, &self.running(), &boot)
    }

    /// To be called when the index is on disk and will not be written to any more.
    pub(crate) fn end_running(&self) -> Result<()> {
        self.disk.remove(&self.running())?;
        self.sync()
    }

    /// Where a damaged index is put aside.
    pub(crate) fn damaged_index(&self) -> PathBuf {
        let mut number = 1;
        loop {
            let path = self.root.join(format!("index.damaged.{number}"));
            if !path.exists() {
                return path;
            }
            number += 1;
        }
    }

    fn check(&self, text: &str) -> Result<()> {
        let root = self.root.display();
        match text.trim_end().strip_prefix(FORMAT_PREFIX).and_then(|number| number.parse::<u32>().ok()) {
            Some(OLDEST..=FORMAT) => Ok(()),
            Some(newer) if newer > FORMAT => Err(refusal(format!(
                "{root} has data format {newer}; this build reads up to {FORMAT}: use a newer build"
            ))),
            Some(older) => {
                Err(refusal(format!("{root} has data format {older}, which this build cannot read")))
            }
            None => Err(refusal(format!("{root}/format is not a data format: {text:?}"))),
        }
    }

    /// Marks a new directory. One that has our data but no mark has lost it, and is not touched.
    /// Once the mark is there, so are the entries of the directory and of `missing` parents of it
    /// that had to be made.
    fn begin(&self, missing: usize) -> Result<()> {
        if [self.journal(), self.index(), self.bodies()].iter().any(|path| path.exists()) {
            return Err(refusal(format!(
                "{} has data but no format file; is it a data directory, and whole?",
                self.root.display()
            )));
        }
        for parent in self.root.canonicalize()?.ancestors().skip(1).take(missing.max(1)) {
            self.disk.sync_directory(parent)?;
        }
        replace(&self.disk, &self.format(), &format!("{FORMAT_PREFIX}{FORMAT}\n"))
    }
}

/// Puts a small file there whole, durably.
pub(crate) fn replace(disk: &Disk, path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    // An attempt that did not come this far may have left one.
    disk.remove(&new)?;
    let mut file = disk.create(&new)?;
    file.write(text.as_bytes())?;
    file.sync()?;
    disk.rename(&new, path)?;
    if let Some(parent) = path.parent() {
        disk.sync_directory(parent)?;
    }
    Ok(())
}
