//! The data directory: its format, its layout, and that only one process has it.
//!
//! ```text
//! format      one line: the format's number
//! lock        locked while a process has the store open
//! journal/    segments
//! index/      the index's own files
//! bodies/     <epoch>/<number>
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "cosette data format ";

#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Let go of when dropped.
    #[allow(dead_code, reason = "held for its lock")]
    lock: File,
}

fn refusal(message: String) -> Error {
    Error::Io(io::Error::other(message))
}

impl Directory {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// `Io` with a message for a person when another process has it, when its format is newer
    /// than this build, or when it is something else's.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refusal(format!("{} is in use by another process", root.display())));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let directory = Self { root: root.to_owned(), lock };
        match fs::read_to_string(directory.format()) {
            Ok(text) => directory.check(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => directory.begin()?,
            Err(error) => return Err(error.into()),
        }
        fs::create_dir_all(directory.journal())?;
        Ok(directory)
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
            Some(FORMAT) => Ok(()),
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
    fn begin(&self) -> Result<()> {
        if [self.journal(), self.index(), self.bodies()].iter().any(|path| path.exists()) {
            return Err(refusal(format!(
                "{} has data but no format file; is it a data directory, and whole?",
                self.root.display()
            )));
        }
        let new = self.root.join("format.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{FORMAT_PREFIX}{FORMAT}")?;
        file.sync_all()?;
        fs::rename(&new, self.format())?;
        File::open(&self.root)?.sync_all()?;
        Ok(())
    }
}
