//! The process between the server and the namespaces: makes them, starts the first process in
//! there, and ends as that did. Where there are none, it becomes the function's program itself ([`walls`]).

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getegid, geteuid, getpid, kill_process};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, configure_capability_in_ambient_set, set_capabilities,
};

use super::plan::{Plan, leave};
use super::{FAILED, INSIDE, launcher, network, walls};
use crate::process::MARK;

/// Whom the function is in its own root, where it has no other (scf.md 5.9: user `qcloud`).
pub(super) const USER: u32 = 1000;

/// What the process inside needs to build the root. All is dropped before the function starts.
const NEEDED: [CapabilitySet; 3] =
    [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP, CapabilitySet::SYS_RESOURCE];

pub(super) fn main(plan: Option<OsString>) -> ExitCode {
    super::ASKED.store(true, std::sync::atomic::Ordering::Relaxed);
    let Some(Ok(file)) = plan.map(|path| OpenOptions::new().read(true).write(true).open(path)) else {
        return ExitCode::from(FAILED);
    };
    match run(&file) {
        Ok(code) => code,
        Err(error) => {
            leave(&file, &error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

/// What an error is about.
pub(super) fn of<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> io::Result<T> {
    result.map_err(|error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    })
}

fn run(mut file: &std::fs::File) -> io::Result<ExitCode> {
    let mut plan = Vec::new();
    file.read_to_end(&mut plan)?;
    // Nobody else is to read the keys in it.
    file.set_len(0)?;
    let read: Plan = serde_json::from_slice(&plan)?;
    if read.walls {
        return walls::run(&read);
    }
    let server = match read.network {
        true => Some(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?)),
        false => None,
    };
    enter(server.as_ref().map(|server| (server, read.listens_itself)))?;
    drop(read);
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut child = of("the process inside cannot be started", {
        let mut command = Command::new(launcher()?);
        command.arg(INSIDE).env_clear().stdin(Stdio::from(OwnedFd::from(theirs)));
        if let Some(mark) = std::env::var_os(MARK) {
            command.env(MARK, mark);
        }
        command.spawn()
    })?;
    // It gets to work only once it is sure to end with us.
    let mut hello = [0];
    ours.read_exact(&mut hello)?;
    ours.write_all(&(plan.len() as u64).to_le_bytes())?;
    ours.write_all(&plan)?;
    drop(plan);
    let said = heard(ours, server)?;
    let status = child.wait()?;
    match said.split_first() {
        Some((b's', number)) => die_as(number.first().copied().unwrap_or(0).into()),
        Some((b'e', text)) => Err(io::Error::other(String::from_utf8_lossy(text).into_owned())),
        _ => match (status.signal(), status.code()) {
            (Some(signal), _) => die_as(signal),
            (None, code) => {
                Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)))
            }
        },
    }
}

/// What the process inside says until it ends. Meanwhile the server is given the sockets that it asks for. This process
/// can have no threads, as its children are in another process table.
fn heard(mut inside: UnixStream, mut server: Option<UnixStream>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let asks = server.as_ref().map(|server| PollFd::new(server, PollFlags::IN));
        let mut lines: Vec<PollFd<'_>> =
            [PollFd::new(&inside, PollFlags::IN)].into_iter().chain(asks).collect();
        match poll(&mut lines, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        let ready: Vec<bool> = lines.iter().map(|line| !line.revents().is_empty()).collect();
        drop(lines);
        if ready.get(1) == Some(&true)
            && let Some(asking) = &mut server
            && !network::serve(asking)
        {
            server = None;
        }
        if ready.first() == Some(&true) {
            let mut piece = [0; 512];
            match inside.read(&mut piece)? {
                0 => return Ok(said),
                length => said.extend_from_slice(&piece[..length]),
            }
        }
    }
}

/// The function's program was ended by a signal: so is this one, that the server sees which.
fn die_as(number: i32) -> io::Result<ExitCode> {
    if let Some(signal) = Signal::from_named_raw(number) {
        // Of some the standard library takes the first, to see whether a stack has run over.
        for _ in 0..2 {
            kill_process(getpid(), signal)?;
        }
    }
    // As shells say it, where it could not be done.
    Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(FAILED)))
}

/// Makes the namespaces and leaves this process in them, but for the process table, which its
/// child is the first in.
///
/// With the line to the server, and whether the function listens itself, it has a network of its own.
fn enter(server: Option<(&UnixStream, bool)>) -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if server.is_some() {
        flags |= UnshareFlags::NEWNET;
    }
    // Deprecated because of another flag, which takes away open files.
    #[allow(deprecated)]
    of("the kernel refuses namespaces", rustix::thread::unshare(flags))?;
    let write = |name: &str, text: String| of("the kernel refuses namespaces", std::fs::write(name, text));
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("{USER} {user} 1"))?;
    write("/proc/self/gid_map", format!("{USER} {group} 1"))?;
    if let Some((server, listens_itself)) = server {
        network::open(server, listens_itself)?;
    }
    let needed = NEEDED.into_iter().fold(CapabilitySet::empty(), |all, one| all | one);
    set_capabilities(None, CapabilitySets { effective: needed, permitted: needed, inheritable: needed })?;
    for one in NEEDED {
        configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}
