//! A fence around an instance's memory: a control group of its own (cgroup v2), where the server may make such. Its
//! limit holds for all of the instance's processes together, however fast they take memory; the kernel ends them all.
//! It is wider than the function's memory by what is not counted for that; [`crate::watching`] sees to the rest.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What an instance may have besides the function's memory: our launchers, and what the kernel keeps for it.
const BESIDES: u64 = 32 << 20;

/// Files in memory, `/tmp` and `/dev/shm` of an isolated instance.
const FILES: u64 = (512 + 64) << 20;

const PREFIX: &str = "cosette-";

/// The group the server moves to.
const SERVERS: &str = "cosette-server";

/// Groups that still had a dying process when they were to be removed.
type Left = Arc<Mutex<Vec<PathBuf>>>;

/// The group in which groups for instances can be made.
#[derive(Debug)]
pub(crate) struct Fences {
    parent: PathBuf,
    left: Left,
}

/// The number of the next group. A process may have several servers.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Fences {
    /// Finds out whether there can be fences. Where the server is alone in its group it may move to a group below that,
    /// as the kernel wants no processes in one that hands out memory.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn find() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let own = place(&mounts, &groups).ok_or("there are no control groups of version 2")?;
        if !has(&own, "cgroup.controllers", "memory") {
            return Err(format!("{} does not have the controller of memory", own.display()));
        }
        let mut why = None;
        // This process may have moved before.
        let itself = (!own.ends_with(SERVERS)).then_some(own.as_path());
        for parent in [itself, own.parent()].into_iter().flatten() {
            let parent = parent.to_owned();
            let fences = Self { parent, left: Left::default() };
            match fences.prepare(&own) {
                Ok(()) => return Ok(fences),
                Err(error) => why = why.or(Some(format!("{}: {error}", own.display()))),
            }
        }
        Err(why.unwrap_or_default())
    }

    fn prepare(&self, own: &Path) -> io::Result<()> {
        if !has(&self.parent, "cgroup.subtree_control", "memory") {
            if self.parent != own {
                return Err(io::Error::other("memory is not handed on"));
            }
            hand_on(own)?;
        }
        self.sweep();
        // Whether processes may be put there is the kernel's to say, and depends on much.
        let trial = self.make(0, false)?;
        let status = Command::new("sh")
            .args(["-c", "echo 0 > \"$0\""])
            .arg(trial.folder.join("cgroup.procs"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("processes may not be put in groups")) }
    }

    /// Groups that servers which were killed have left.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
            if number.is_some_and(|(server, _)| server.parse::<u32>().is_ok())
                && let Some(_held) = hold(&entry.path())
            {
                // One with processes stays; they may be dying.
                if fs::remove_dir(entry.path()).is_err() {
                    self.left().push(entry.path());
                }
            }
        }
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group for one instance. `keeps_files`: its `/tmp` is in memory.
    pub(crate) fn make(&self, memory: u64, keeps_files: bool) -> io::Result<Fence> {
        self.left().retain(|folder| {
            folder.exists() && hold(folder).is_none_or(|_held| fs::remove_dir(folder).is_err())
        });
        let (folder, held) = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = self.parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                // Another server may have held it before us, to remove it.
                Ok(()) => match hold(&folder).filter(|_| folder.exists()) {
                    Some(held) => break (folder, held),
                    None => continue,
                },
                // Of another server, which was killed or counts processes apart, and had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let fence = Fence { folder, left: Arc::clone(&self.left), _held: Some(held) };
        let most = memory + BESIDES + if keeps_files { FILES } else { 0 };
        fence.write("memory.max", &most.to_string())?;
        // Kernels that do not count swapped memory have no such file, and none before 4.19 the other.
        let _ = fence.write("memory.swap.max", "0");
        let _ = fence.write("memory.oom.group", "1");
        Ok(fence)
    }
}

/// The group of one instance.
#[derive(Debug)]
pub(crate) struct Fence {
    folder: PathBuf,
    left: Left,
    /// Says to other servers that it has an owner.
    _held: Option<File>,
}

impl Fence {
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(name), text)
    }

    /// What a process writes 0 to, to be inside.
    pub(crate) fn gate(&self) -> io::Result<OwnedFd> {
        Ok(fs::OpenOptions::new().write(true).open(self.folder.join("cgroup.procs"))?.into())
    }

    /// Whether the kernel has ended something for want of memory.
    pub(crate) fn was_hit(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if fs::remove_dir(&self.folder).is_err() {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.push(std::mem::take(&mut self.folder));
        }
    }
}

/// Takes the lock on a group's folder, which its server holds until it ends, however it does. Process numbers would not
/// say whether it lives: of a server in another container they mean others here.
fn hold(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.try_lock().ok().map(|()| folder)
}

fn has(group: &Path, file: &str, controller: &str) -> bool {
    let list = fs::read_to_string(group.join(file)).unwrap_or_default();
    list.split_ascii_whitespace().any(|one| one == controller)
}

/// Makes a group hand its memory on to groups below it.
fn hand_on(own: &Path) -> io::Result<()> {
    let enable = || fs::write(own.join("cgroup.subtree_control"), "+memory");
    // The root of all groups may have processes of its own.
    if enable().is_ok() {
        return Ok(());
    }
    let me = std::process::id().to_string();
    let members = fs::read_to_string(own.join("cgroup.procs"))?;
    if members.lines().any(|pid| pid != me) {
        return Err(io::Error::other("the server is not alone in it"));
    }
    let below = own.join(SERVERS);
    if let Err(error) = fs::create_dir(&below)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    fs::write(below.join("cgroup.procs"), "0")?;
    enable().inspect_err(|_| {
        let _ = fs::write(own.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&below);
    })
}

/// The folder of the group that this process is in, of what the kernel says of mounts and groups.
fn place(mounts: &str, groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        Some(Path::new(at).join(Path::new(path).strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let scope = "0::/user.slice/user-1000.slice/run-1.scope\n";
        let found = place(mounts, scope).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/user.slice/user-1000.slice/run-1.scope"));
        assert_eq!(place(mounts, "4:memory:/a\n0::/\n").unwrap(), Path::new("/sys/fs/cgroup"));
        // In a container that sees its own part only.
        let part = mounts.replace("0:26 / ", "0:26 /user.slice ");
        assert_eq!(place(&part, scope).unwrap(), Path::new("/sys/fs/cgroup/user-1000.slice/run-1.scope"));
        assert_eq!(place(&part, "0::/elsewhere\n"), None);
        assert_eq!(place("", scope), None);
        assert_eq!(place(mounts, "4:memory:/a\n"), None);
    }

    #[test]
    fn a_group_that_was_hit() {
        let folder = std::env::temp_dir().join(format!("cosette-fence-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let fence = Fence { folder: folder.clone(), left: Left::default(), _held: None };
        assert!(!fence.was_hit());
        for (kills, hit) in [(0, false), (3, true)] {
            fence.write("memory.events", &format!("low 0\nmax 9\noom 1\noom_kill {kills}\n")).unwrap();
            assert_eq!(fence.was_hit(), hit);
        }
        fs::remove_file(folder.join("memory.events")).unwrap();
        drop(fence);
        assert!(!folder.exists());
    }

    #[test]
    fn each_has_a_group_of_its_own() {
        let parent = std::env::temp_dir().join(format!("cosette-fences-{}", std::process::id()));
        fs::create_dir_all(&parent).unwrap();
        let server = || Fences { parent: parent.clone(), left: Left::default() };
        let (one, other) = (server(), server());
        // Of one that was killed and had our number.
        let next = NEXT.load(Ordering::Relaxed);
        for number in next..next + 10 {
            let _ = fs::create_dir(parent.join(format!("{PREFIX}{}-{number}", std::process::id())));
        }
        let fences = [one.make(0, false), other.make(0, false), one.make(0, true)].map(Result::unwrap);
        let mut folders: Vec<_> = fences.iter().map(|fence| fence.folder.clone()).collect();
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), 3);
        one.sweep();
        assert!(folders.iter().all(|folder| folder.exists()), "they have an owner");
        drop(fences);
        // Of one that was killed, and of one that lives but whose number no process has here.
        let dead = parent.join(format!("{PREFIX}{}-1", u32::MAX));
        fs::create_dir_all(dead.join("busy")).unwrap();
        let elsewhere = parent.join(format!("{PREFIX}{}-2", u32::MAX));
        fs::create_dir(&elsewhere).unwrap();
        let held = hold(&elsewhere).unwrap();
        one.sweep();
        assert!(elsewhere.exists());
        drop(held);
        one.sweep();
        assert!(!elsewhere.exists());
        fs::remove_dir(dead.join("busy")).unwrap();
        drop(one.make(0, false).unwrap());
        assert!(!dead.exists());
        fs::remove_dir_all(&parent).unwrap();
    }
}
