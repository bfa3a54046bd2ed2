//! The one seam through which the engine writes to the disk, so that a test can make any step
//! fail or stop half way. Without faults it is the plain file system.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is about to be done to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    /// So many bytes are to be written.
    Write(usize),
    Sync,
    SyncDirectory,
    Remove,
}

/// What becomes of a step.
#[derive(Debug)]
pub enum Verdict {
    Go,
    Fail(io::Error),
    /// A write stops after so many bytes, as a crash would leave it, and fails.
    Tear(usize),
}

/// Asked before each step.
pub trait Faults: Send + Sync {
    fn before(&self, step: Step, path: &Path) -> Verdict;
}

/// A handle to the file system; clones share the faults.
#[derive(Clone, Default)]
pub struct Disk {
    faults: Option<Arc<dyn Faults>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("faults", &self.faults.is_some()).finish()
    }
}

impl Disk {
    pub fn faulty(faults: Arc<dyn Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    fn ask(&self, step: Step, path: &Path) -> io::Result<Option<usize>> {
        match self.faults.as_ref().map_or(Verdict::Go, |faults| faults.before(step, path)) {
            Verdict::Go => Ok(None),
            Verdict::Fail(error) => Err(error),
            Verdict::Tear(after) => Ok(Some(after)),
        }
    }

    /// A new file; one of the same name is an error.
    pub fn create(&self, path: &Path) -> io::Result<Output> {
        self.ask(Step::Create, path)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Output { file, path: path.to_owned(), disk: self.clone() })
    }

    /// An existing file, to be written further.
    pub fn reopen(&self, path: &Path) -> io::Result<Output> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Output { file, path: path.to_owned(), disk: self.clone() })
    }

    /// The entries of the directory, as they are, are on disk when this returns.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::SyncDirectory, path)?;
        File::open(path)?.sync_all()
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::Remove, path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// A file being written.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl Output {
    /// Writes all of it at the end of what this handle has written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.disk.ask(Step::Write(bytes.len()), &self.path)? {
            None => self.file.write_all(bytes),
            Some(after) => {
                self.file.write_all(bytes.get(..after).unwrap_or(bytes))?;
                Err(io::Error::other("the write was torn"))
            }
        }
    }

    /// Writes all of it at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.disk.ask(Step::Write(bytes.len()), &self.path)? {
            None => self.file.write_all_at(bytes, offset),
            Some(after) => {
                self.file.write_all_at(bytes.get(..after).unwrap_or(bytes), offset)?;
                Err(io::Error::other("the write was torn"))
            }
        }
    }

    /// What has been written, and the length, are on disk when this returns.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.ask(Step::Sync, &self.path)?;
        self.file.sync_data()
    }

    /// Cuts the file after `len` bytes.
    pub fn cut(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle to the same file, for another thread.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, path: self.path.clone(), disk: self.disk.clone() })
    }
}
