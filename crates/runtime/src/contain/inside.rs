//! The first process of a function's own process table: builds the root, gives up what it may do,
//! starts the function, and buries what dies in there. When it ends the kernel ends the rest.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, WaitOptions, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid, wait,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::outside::of;
use super::plan::Plan;
use super::{FAILED, calls, root};
use crate::process::{PROCESSES_MAX, unless_busy};

/// Far more than what a server may send: it is the server, but a length is not believed.
const PLAN_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn main() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(FAILED) };
    let mut socket = UnixStream::from(socket);
    match run(&mut socket) {
        Ok(code) => code,
        Err(error) => {
            let _ = socket.write_all(format!("e{error}").as_bytes());
            ExitCode::from(FAILED)
        }
    }
}

fn run(socket: &mut UnixStream) -> io::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Signals that the function sends to its group reach nobody out there.
    setsid()?;
    socket.write_all(&[0])?;
    let mut length = [0; 8];
    socket.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length).min(PLAN_BYTES_MAX);
    let mut text = Vec::new();
    socket.take(length).read_to_end(&mut text)?;
    let plan: Plan = serde_json::from_slice(&text)?;
    drop(text);
    root::build(&plan)?;
    give_up()?;
    of("system calls cannot be refused", calls::refuse())?;
    let Some(mut command) = plan.command() else { return Ok(ExitCode::SUCCESS) };
    command.stdin(Stdio::null()).process_group(0);
    let child = unless_busy(|| command.spawn());
    let child = of(&command.get_program().display().to_string(), child)?;
    let child = child.id().cast_signed();
    loop {
        // Whoever dies in here and has lost its parent is ours to bury.
        let Some((pid, status)) = wait(WaitOptions::empty())? else { continue };
        if pid.as_raw_pid() != child {
            continue;
        }
        if let Some(signal) = status.terminating_signal() {
            let number = u8::try_from(signal).unwrap_or(0);
            socket.write_all(&[b's', number])?;
            return Ok(ExitCode::from(FAILED));
        }
        if let Some(code) = status.exit_status() {
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(FAILED)));
        }
    }
}

/// Takes the limits and gives up all privileges, for good.
fn give_up() -> io::Result<()> {
    // The kernel counts processes for each namespace since 5.14; before, it counts all of the
    // user's, and others' would be the function's.
    if counts_for_namespaces() {
        let hard = getrlimit(Resource::Nproc).maximum;
        let most = hard.map_or(PROCESSES_MAX, |hard| hard.min(PROCESSES_MAX));
        setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    give_up_privileges()?;
    // The function, the same user, is not to look into this process, whose program is outside.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // What this changed is set back for the function when it starts. This one is taken away by it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

pub(super) fn give_up_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    for bit in 0..64 {
        // Those that this kernel does not have are an error, and not there to be had.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

fn counts_for_namespaces() -> bool {
    let release = rustix::system::uname();
    let mut numbers =
        release.release().to_str().unwrap_or("").split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
}
