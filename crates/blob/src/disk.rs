//! The one seam through which the engine writes to the disk, so that a test can make any step
//! fail or stop half way, or note what was done. Without faults it is the plain file system.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is about to be done to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A new file.
    Create,
    /// A file that is there is to be read, or written further.
    Open,
    Write {
        offset: u64,
        bytes: &'a [u8],
    },
    /// The file is to have so many bytes.
    Cut(u64),
    Sync,
    SyncDirectory,
    /// Everything of the file system that the directory lies in.
    SyncAll,
    CreateDirectory,
    Rename {
        to: &'a Path,
    },
    Remove,
}

/// What becomes of a step.
#[derive(Debug)]
pub enum Verdict {
    Go,
    Fail(io::Error),
    /// A write stops after so many bytes, as a crash would leave it, and fails. Nothing else can
    /// stop half way: it fails.
    Tear(usize),
}

/// Asked before each step.
pub trait Faults: Send + Sync {
    fn before(&self, step: Step<'_>, path: &Path) -> Verdict;

    /// How many bytes are to seem free where `dir` is; `None` for as many as there are.
    fn free(&self, _dir: &Path) -> Option<u64> {
        None
    }

    /// The boot the machine is to seem to be in; `None` for the one it is in.
    fn boot(&self) -> Option<String> {
        None
    }
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

fn torn() -> io::Error {
    io::Error::other("the write was torn")
}

impl Disk {
    pub fn faulty(faults: Arc<dyn Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    fn verdict(&self, step: Step<'_>, path: &Path) -> Verdict {
        self.faults.as_ref().map_or(Verdict::Go, |faults| faults.before(step, path))
    }

    /// Whether a step that is done wholly or not at all may be done.
    fn ask(&self, step: Step<'_>, path: &Path) -> io::Result<()> {
        match self.verdict(step, path) {
            Verdict::Go => Ok(()),
            Verdict::Fail(error) => Err(error),
            Verdict::Tear(_) => Err(torn()),
        }
    }

    /// A new file; one of the same name is an error.
    pub fn create(&self, path: &Path) -> io::Result<Output> {
        self.ask(Step::Create, path)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(self.output(file, path))
    }

    /// A new file that nobody but its owner may read.
    pub fn create_private(&self, path: &Path) -> io::Result<Output> {
        self.ask(Step::Create, path)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(self.output(file, path))
    }

    /// An existing file, to be written further.
    pub fn reopen(&self, path: &Path) -> io::Result<Output> {
        self.ask(Step::Open, path)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(self.output(file, path))
    }

    fn output(&self, file: File, path: &Path) -> Output {
        Output { file, path: path.to_owned(), disk: self.clone(), at: 0 }
    }

    /// An existing file, to be read.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        self.ask(Step::Open, path)?;
        File::open(path)
    }

    /// A file that is only there to be locked, made if missing.
    pub fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.ask(if path.exists() { Step::Open } else { Step::Create }, path)?;
        OpenOptions::new().create(true).truncate(false).write(true).open(path)
    }

    /// Makes a directory, and those it lies in; one that is there is no error.
    pub fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::CreateDirectory, path)?;
        fs::create_dir_all(path)
    }

    /// The entries of the directory, as they are, are on disk when this returns.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::SyncDirectory, path)?;
        File::open(path)?.sync_all()
    }

    /// Everything that has been written so far is on disk when this returns, whoever wrote it and
    /// wherever in the file system that `dir` lies in.
    pub fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.ask(Step::SyncAll, dir)?;
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(File::open(dir)?)?;
        #[cfg(not(target_os = "linux"))]
        rustix::fs::sync();
        Ok(())
    }

    /// Gives a file or directory another name; a file that has it already is replaced.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Step::Rename { to }, from)?;
        fs::rename(from, to)
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::Remove, path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes a directory if it is empty, which nothing may depend on: it is no step.
    pub fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    /// How many bytes can still be written where `dir` is.
    pub fn free(&self, dir: &Path) -> io::Result<u64> {
        if let Some(free) = self.faults.as_ref().and_then(|faults| faults.free(dir)) {
            return Ok(free);
        }
        let system = rustix::fs::statvfs(dir)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    /// Names the time since the machine was started; `None` where there is no such name.
    pub fn boot(&self) -> Option<String> {
        if let Some(boot) = self.faults.as_ref().and_then(|faults| faults.boot()) {
            return Some(boot);
        }
        if !cfg!(target_os = "linux") {
            return None;
        }
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim_end().to_owned())
    }
}

/// A file being written.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    disk: Disk,
    /// Where the next `write` goes.
    at: u64,
}

impl Output {
    /// Writes all of it at the end of what this handle has written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes all of it at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.disk.verdict(Step::Write { offset, bytes }, &self.path) {
            Verdict::Go => self.file.write_all_at(bytes, offset),
            Verdict::Fail(error) => Err(error),
            Verdict::Tear(after) => {
                self.file.write_all_at(bytes.get(..after).unwrap_or(bytes), offset)?;
                Err(torn())
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
        self.disk.ask(Step::Cut(len), &self.path)?;
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
        Ok(Self {
            file: self.file.try_clone()?,
            path: self.path.clone(),
            disk: self.disk.clone(),
            at: self.at,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Notes every step in words, and gives verdicts out in turn, then lets everything go.
    #[derive(Default)]
    struct Notes {
        steps: Mutex<Vec<String>>,
        verdicts: Mutex<Vec<Verdict>>,
    }

    impl Faults for Notes {
        fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
            let name = path.file_name().unwrap().to_string_lossy();
            self.steps.lock().unwrap().push(match step {
                Step::Write { offset, bytes } => format!("write {name} {offset}+{}", bytes.len()),
                Step::Rename { to } => format!("rename {name} {}", to.file_name().unwrap().to_string_lossy()),
                step => format!("{step:?} {name}"),
            });
            self.verdicts.lock().unwrap().pop().unwrap_or(Verdict::Go)
        }

        fn free(&self, _: &Path) -> Option<u64> {
            Some(7)
        }

        fn boot(&self) -> Option<String> {
            Some("a boot".to_owned())
        }
    }

    #[test]
    fn every_step_is_asked_for_and_done_only_if_it_may_be() {
        let root = std::env::temp_dir().join(format!("cosette-disk-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let notes = Arc::new(Notes::default());
        let disk = Disk::faulty(notes.clone());
        let next = |verdict| notes.verdicts.lock().unwrap().push(verdict);
        let dir = root.join("dir");
        disk.create_directory(&dir).unwrap();
        disk.create_directory(&dir).unwrap();
        let (a, b) = (dir.join("a"), dir.join("b"));
        let mut output = disk.create(&a).unwrap();
        output.write(b"one").unwrap();
        output.write(b"two").unwrap();
        next(Verdict::Tear(2));
        output.write(b"three").unwrap_err();
        output.write_at(b"N", 1).unwrap();
        output.cut(7).unwrap();
        output.sync().unwrap();
        assert_eq!(fs::read(&a).unwrap(), b"oNetwot");
        for verdict in [Verdict::Fail(io::Error::other("no")), Verdict::Tear(1)] {
            next(verdict);
            output.cut(0).unwrap_err();
        }
        next(Verdict::Fail(io::Error::other("no")));
        output.write(b"x").unwrap_err();
        next(Verdict::Fail(io::Error::other("no")));
        disk.rename(&a, &b).unwrap_err();
        assert_eq!(fs::read(&a).unwrap(), b"oNetwot");
        disk.rename(&a, &b).unwrap();
        disk.sync_directory(&dir).unwrap();
        assert_eq!(disk.open(&a).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.reopen(&b).unwrap().write(b"T").unwrap();
        disk.remove(&b).unwrap();
        disk.remove(&b).unwrap();
        disk.remove_directory(&dir).unwrap();
        assert_eq!(
            *notes.steps.lock().unwrap(),
            [
                "CreateDirectory dir",
                "CreateDirectory dir",
                "Create a",
                "write a 0+3",
                "write a 3+3",
                "write a 6+5",
                "write a 1+1",
                "Cut(7) a",
                "Sync a",
                "Cut(0) a",
                "Cut(0) a",
                "write a 6+1",
                "rename a b",
                "rename a b",
                "SyncDirectory dir",
                "Open a",
                "Open b",
                "write b 0+1",
                "Remove b",
                "Remove b",
            ]
        );
        assert_eq!((disk.free(&root).unwrap(), disk.boot().as_deref()), (7, Some("a boot")));
        let plain = Disk::default();
        assert!(plain.free(&root).unwrap() > 0);
        assert_eq!(plain.boot().is_some(), cfg!(target_os = "linux"));
        fs::remove_dir_all(&root).unwrap();
    }
}
