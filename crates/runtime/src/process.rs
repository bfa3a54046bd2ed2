//! Processes of this machine: starting one, measuring it with its descendants, ending them all.
//!
//! The one place that starts a process. Linux only: the tree is read from `/proc`. Knows
//! nothing of functions, protocols or pools.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, getrlimit, kill_process, kill_process_group,
    set_child_subreaper, set_parent_process_death_signal, setrlimit, waitpid,
};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The variable by which a descendant is known for ours even after its parents have died.
pub(crate) const MARK: &str = "COSETTE_INSTANCE";

/// Open files of one instance (scf.md 5.10).
const OPEN_FILES_MAX: u64 = 1024;

/// Processes and threads of one instance (scf.md 5.10).
pub(crate) const PROCESSES_MAX: u64 = 1024;

/// What to start.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) directory: PathBuf,
    /// Standard output and error, both: one pipe, so that their order is kept.
    pub(crate) output: PipeWriter,
    /// Standard input; without one there is nothing to read.
    pub(crate) input: Option<OwnedFd>,
    /// The gate of a control group that it is to be in.
    pub(crate) gate: Option<OwnedFd>,
}

impl Launch {
    /// Called on the spawner's thread only.
    fn spawn(self) -> io::Result<Child> {
        let errors = self.output.try_clone()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.directory)
            .stdin(self.input.map_or_else(Stdio::null, Stdio::from))
            .stdout(self.output)
            .stderr(errors)
            .process_group(0);
        let server = getpid();
        let files = getrlimit(Resource::Nofile);
        let files_max = files.maximum.map_or(OPEN_FILES_MAX, |hard| hard.min(OPEN_FILES_MAX));
        let gate = self.gate;
        // SAFETY: the closure runs in the forked child of a process with many threads, where only
        // async-signal-safe things may be done. It captures two plain numbers and an open file, allocates nothing,
        // takes no lock, and makes system calls only (rustix calls the kernel directly); its
        // errors are made of an error number.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || contain(server, files_max, gate.as_ref()));
        }
        unless_busy(|| command.spawn())
    }
}

/// Starts a program. Its file may have been written a moment ago, and a child that another thread has forked and that
/// has not come to its exec yet still has it open.
pub(crate) fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..100 {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(2));
            }
            started => return started,
        }
    }
    start()
}

/// Done by the child between fork and exec. What is set here survives exec.
fn contain(server: Pid, files_max: u64, gate: Option<&OwnedFd>) -> io::Result<()> {
    // If the server is killed outright, this process is too. The signal is tied to the death of
    // the *thread* that forked, which is why spawning has a thread of its own.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(server) {
        // It died before the line above.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    if let Some(gate) = gate {
        rustix::io::write(gate, b"0")?;
    }
    // Descendants that lose their parent stay below this process, where they are found.
    set_child_subreaper(Some(getpid()))?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(files_max), maximum: Some(files_max) })?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

type Request = (Launch, Handle, oneshot::Sender<io::Result<Child>>);

/// The thread all instances are started from. Lives as long as its last handle; when it ends,
/// the kernel kills what it had started and what is not dead yet.
#[derive(Clone)]
pub(crate) struct Spawner(mpsc::Sender<Request>);

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Request>();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            for (launch, runtime, reply) in receiver {
                let _entered = runtime.enter();
                let child = launch.spawn();
                if let Err(Ok(mut child)) = reply.send(child) {
                    // Whoever asked has given up meanwhile.
                    let _ = child.start_kill();
                }
            }
        })?;
        Ok(Self(sender))
    }

    pub(crate) async fn spawn(&self, launch: Launch) -> io::Result<Child> {
        let gone = || io::Error::other("the spawner thread has ended");
        let (reply, answer) = oneshot::channel();
        self.0.send((launch, Handle::current(), reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What a program of this machine prints, first on standard output, then on the other; asked with the
/// server's own environment. `Err` holds what it printed when it failed, or why it could not be run.
pub(crate) async fn ask(program: &Path, args: &[OsString], patience: Duration) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(patience, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer within {} seconds", patience.as_secs())),
    };
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Runs a launcher of ours to its end; what it ends with, or `None` when a signal ended it. Fails
/// when it takes longer than ten seconds.
pub(crate) async fn attempt(
    program: &Path,
    args: &[OsString],
    input: Option<OwnedFd>,
) -> io::Result<Option<i32>> {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .stdin(input.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(10), command.status()).await {
        Ok(status) => Ok(status?.code()),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the launcher takes too long")),
    }
}

/// One line of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    group: i32,
    /// In clock ticks since boot; with the pid it names a process for good.
    start: u64,
    dead: bool,
}

impl Entry {
    /// Whether the process is still the one that was seen.
    fn is_there(&self) -> bool {
        entry(self.pid).is_some_and(|now| now.start == self.start)
    }
}

pub(crate) fn entry(pid: i32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may itself hold any of these.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Entry {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        dead: matches!(fields.first(), Some(&"Z" | &"X")),
    })
}

pub(crate) fn table() -> Vec<Entry> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    folder.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok()).filter_map(entry).collect()
}

/// Whether a variable of a process's environment passes `test`. False for processes we may not read.
pub(crate) fn marked(pid: i32, test: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| {
        variable.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")).is_some_and(&test)
    })
}

/// Sends a signal, if the process is still the one that was seen.
fn signal(seen: &Entry, signal: Signal) {
    if seen.is_there()
        && let Some(pid) = Pid::from_raw(seen.pid)
    {
        // It may have ended since; that is what is wanted.
        let _ = kill_process(pid, signal);
    }
}

/// Ends all processes that an earlier server left behind for instances below `folder`.
/// Returns how many there were.
pub(crate) fn sweep(folder: &Path) -> usize {
    let mut prefix = folder.as_os_str().as_bytes().to_vec();
    prefix.push(b'/');
    let left: Vec<Entry> = table()
        .into_iter()
        .filter(|found| !found.dead && marked(found.pid, |value| value.starts_with(&prefix)))
        .collect();
    for found in &left {
        signal(found, Signal::KILL);
    }
    left.len()
}

/// A process that leads its own group, with everything it has started.
///
/// Members are found by four marks, because a process can shed any one of them: descent from the
/// root (which adopts its orphans), the root's process group, the variable [`MARK`], and having
/// been seen as a member before.
pub(crate) struct Tree {
    root: Pid,
    root_start: u64,
    mark: Vec<u8>,
    seen: HashSet<(i32, u64)>,
    /// Those that the last look found, without our launchers.
    pub(crate) known: Vec<Entry>,
    /// How many processes of ours stand between the root and what it was started for.
    launchers: usize,
    /// The first process that is not ours, once it is known.
    first: OnceLock<Pid>,
}

impl Tree {
    /// `mark` is the value of [`MARK`] in the root's environment. `launchers` processes, each the
    /// only child of the one before, are ours and not counted as the function's.
    pub(crate) fn new(root: Pid, mark: &Path, launchers: usize) -> Self {
        let root_start = entry(root.as_raw_pid()).map_or(0, |found| found.start);
        let mark = mark.as_os_str().as_bytes().to_vec();
        Self {
            root,
            root_start,
            mark,
            seen: HashSet::new(),
            known: Vec::new(),
            launchers,
            first: OnceLock::new(),
        }
    }

    /// The process that was to be started; `None` while it is not there yet.
    pub(crate) fn first(&self) -> Option<Pid> {
        if let Some(first) = self.first.get() {
            return Some(*first);
        }
        let chain = self.chain();
        let first = chain.get(self.launchers).copied()?;
        Some(*self.first.get_or_init(|| first))
    }

    /// The root, its first child, that one's first child and so on, as far as our launchers go and
    /// one further.
    fn chain(&self) -> Vec<Pid> {
        let mut chain = vec![self.root];
        while chain.len() <= self.launchers
            && let Some(next) = chain.last().and_then(|last| first_child(*last))
        {
            chain.push(next);
        }
        chain
    }

    fn is_root(&self, found: &Entry) -> bool {
        found.pid == self.root.as_raw_pid() && found.start == self.root_start
    }

    /// Adds to `members` whatever descends from one of them.
    fn close(all: &[Entry], members: &mut HashMap<i32, Entry>) {
        loop {
            let before = members.len();
            for found in all {
                if members.contains_key(&found.parent) {
                    members.entry(found.pid).or_insert(*found);
                }
            }
            if members.len() == before {
                return;
            }
        }
    }

    /// The living members by descent, group and memory: cheap enough to be asked while it runs.
    fn kin(&self, all: &[Entry]) -> HashMap<i32, Entry> {
        let mut members: HashMap<i32, Entry> = all
            .iter()
            .filter(|found| {
                self.is_root(found)
                    || found.group == self.root.as_raw_pid()
                    || self.seen.contains(&(found.pid, found.start))
            })
            .map(|found| (found.pid, *found))
            .collect();
        Self::close(all, &mut members);
        members
    }

    /// Looks who is there now, but for our launchers.
    pub(crate) fn find(&mut self) {
        let members = descendants(self.root).unwrap_or_else(|| self.kin(&table()).into_values().collect());
        self.seen.extend(members.iter().map(|found| (found.pid, found.start)));
        let mut ours = self.chain();
        ours.truncate(self.launchers);
        let ours = |pid| ours.iter().any(|one| one.as_raw_pid() == pid);
        self.known = members.into_iter().filter(|found| !ours(found.pid)).collect();
    }

    /// Forgets of those who are known the ones that are gone: since the last look their numbers may have become others'.
    pub(crate) fn forget_gone(&mut self) {
        self.known.retain(Entry::is_there);
    }

    /// Stops those who are known, that they do no more until they are ended.
    pub(crate) fn stop(&self) {
        if let Some(first) = self.first() {
            let _ = kill_process(first, Signal::STOP);
        }
        for known in &self.known {
            signal(known, Signal::STOP);
        }
    }

    /// All living members.
    fn members(&self) -> Vec<Entry> {
        let all = table();
        let mut members = self.kin(&all);
        for found in &all {
            if !members.contains_key(&found.pid) && marked(found.pid, |value| value == self.mark) {
                members.insert(found.pid, *found);
            }
        }
        Self::close(&all, &mut members);
        members.into_values().filter(|found| !found.dead).collect()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.members().is_empty()
    }

    /// Ends every member, so that none can start another meanwhile. Returns before they are
    /// reaped; they run no further instruction of their own.
    pub(crate) fn kill(&mut self) {
        // First they are all stopped, until a look finds nobody new: who is stopped starts nobody.
        let mut stopped: HashMap<(i32, u64), Entry> = HashMap::new();
        for _ in 0..20 {
            let before = stopped.len();
            for member in self.members() {
                if stopped.insert((member.pid, member.start), member).is_none() {
                    signal(&member, Signal::STOP);
                }
            }
            if stopped.len() == before {
                break;
            }
        }
        self.seen.extend(stopped.keys());
        // The root last: as long as it is there, it adopts the orphans.
        let (root, others): (Vec<_>, Vec<_>) = stopped.values().partition(|member| self.is_root(member));
        for member in others.iter().chain(&root) {
            signal(member, Signal::KILL);
        }
        if !root.is_empty() {
            let _ = kill_process_group(self.root, Signal::KILL);
        }
    }

    /// Reaps dead members that have become our own children, as happens where the server is the
    /// first process of a container. The root is reaped by whoever waits for it.
    pub(crate) fn reap(&self) {
        for (pid, _) in &self.seen {
            if *pid != self.root.as_raw_pid()
                && let Some(pid) = Pid::from_raw(*pid)
            {
                // Not our child, in the usual case: then this is an error and changes nothing.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }
}

/// The children that a process's main thread has started, the oldest first.
///
/// # Errors
/// The process is not there, or the kernel keeps no such list.
pub(crate) fn children(parent: i32) -> io::Result<Vec<i32>> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    Ok(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// The child that a process has had for longest.
fn first_child(parent: Pid) -> Option<Pid> {
    let parent = parent.as_raw_pid();
    let pid = match children(parent) {
        Ok(children) => children.first().copied(),
        // A kernel that keeps no such list.
        Err(_) => table()
            .iter()
            .filter(|found| found.parent == parent)
            .min_by_key(|found| found.start)
            .map(|found| found.pid),
    };
    pid.and_then(Pid::from_raw)
}

/// A process and all that descend from it. Reads their own lists of children, not the machine's table; `None` where the
/// kernel keeps no such lists. While the root lives it has all, as it adopts orphans.
fn descendants(root: Pid) -> Option<Vec<Entry>> {
    let mut found: Vec<Entry> = entry(root.as_raw_pid()).into_iter().collect();
    let mut next = 0;
    while let Some(one) = found.get(next).copied() {
        next += 1;
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", one.pid)) else { continue };
        for thread in threads.flatten() {
            let list = match std::fs::read_to_string(thread.path().join("children")) {
                Ok(list) => list,
                // The thread may have ended meanwhile; if not, there are no lists.
                Err(error) if error.kind() == io::ErrorKind::NotFound && thread.path().exists() => {
                    return None;
                }
                Err(_) => continue,
            };
            for child in list.split_ascii_whitespace().filter_map(|pid| entry(pid.parse().ok()?)) {
                if !found.iter().any(|known| known.pid == child.pid) {
                    found.push(child);
                }
            }
        }
    }
    Some(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_number_of_one_that_is_gone_is_left_alone() {
        let mut children: Vec<_> =
            (0..2).map(|_| std::process::Command::new("sleep").arg("1000").spawn().unwrap()).collect();
        let [root, other] = [0, 1].map(|n: usize| entry(children[n].id().cast_signed()).unwrap());
        let mut tree = Tree::new(Pid::from_raw(root.pid).unwrap(), Path::new("/nowhere"), 0);
        tree.known = vec![root, Entry { start: other.start - 1, ..other }];
        tree.stop();
        let state = |pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.chars().next()
        };
        let began = std::time::Instant::now();
        while state(root.pid) != Some('T') && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let states = [state(root.pid), state(other.pid)];
        tree.forget_gone();
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(states[0], Some('T'));
        assert_ne!(states[1], Some('T'));
        assert_eq!(tree.known, [root]);
    }
}
