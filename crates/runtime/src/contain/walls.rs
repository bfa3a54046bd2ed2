//! Walls around what a program may open (Landlock), for where the kernel refuses namespaces: paths stay the machine's,
//! and all but a few are closed to the program and to whatever it starts. Nobody stands between it and the server.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::calls;
use super::inside::give_up_privileges;
use super::outside::of;
use super::plan::Plan;
use super::root::{DEVICES, ETC, SYSTEM};
use crate::process::unless_busy;

/// The newest rules that are made. Kernels that know fewer keep those that they know.
const NEWEST: ABI = ABI::V6;

/// Read besides what is read in a root of its own: there these are made for the function.
const MACHINES: [&str; 4] = ["group", "hosts", "passwd", "resolv.conf"];

/// What stays every function's: programs know these by their names.
const TMP: &str = "/tmp";
const SHM: &str = "/dev/shm";

/// Becomes the program. Returns only when there is none, or on failure.
pub(super) fn run(plan: &Plan) -> io::Result<ExitCode> {
    of("the kernel has no walls (Landlock, Linux 5.19)", build(plan))?;
    give_up_privileges()?;
    of("system calls cannot be refused", calls::refuse())?;
    // Changes of privileges may have taken it away.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let Some(mut command) = plan.command() else { return Ok(ExitCode::SUCCESS) };
    let failed: io::Result<Infallible> = unless_busy(|| Err(command.exec()));
    match of(&command.get_program().display().to_string(), failed)? {}
}

/// Closes everything to this process that it does not need, for good.
fn build(plan: &Plan) -> io::Result<()> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    // Without this one nothing could be moved between folders, not even the function's own.
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)
        .map_err(io::Error::other)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(io::Error::other)?
        .scope(Scope::from_all(NEWEST))
        .map_err(io::Error::other)?
        .create()
        .map_err(io::Error::other)?;
    let mut walls = Walls(Some(rules));
    for name in SYSTEM {
        walls.open(&Path::new("/").join(name), read)?;
    }
    for name in ETC.iter().chain(&MACHINES) {
        walls.open(&Path::new("/etc").join(name), read)?;
    }
    // What of it belongs to other processes the kernel shows to none outside of the walls.
    walls.open(Path::new("/proc"), AccessFs::ReadFile | AccessFs::ReadDir)?;
    for name in DEVICES {
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
        walls.open(&Path::new("/dev").join(name), device)?;
    }
    walls.open(Path::new(TMP), all)?;
    // Without its names: each is opened by who knows it.
    walls.open(
        Path::new(SHM),
        (all & !BitFlags::from(AccessFs::ReadDir)) & !BitFlags::from(AccessFs::Execute),
    )?;
    for show in &plan.show {
        walls.open(&show.to, if show.writable { all } else { read })?;
    }
    for layer in &plan.layers {
        walls.open(layer, read)?;
    }
    walls.close()
}

/// The folder that stays open to functions and in which this one lies: nothing in it can be closed again.
pub(super) fn stays_open(hidden: &Path, shared: &[PathBuf]) -> Option<PathBuf> {
    let system = SYSTEM.iter().map(|name| Path::new("/").join(name));
    let mut open = system.chain([TMP.into()]).chain(shared.iter().cloned());
    open.find(|open| hidden.starts_with(open))
}

struct Walls(Option<landlock::RulesetCreated>);

impl Walls {
    /// Opens a file, or a folder with all that is in it. What is not there stays closed.
    fn open(&mut self, path: &Path, access: BitFlags<AccessFs>) -> io::Result<()> {
        let (Ok(found), Ok(place)) = (path.metadata(), PathFd::new(path)) else { return Ok(()) };
        let access = if found.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        if let Some(rules) = self.0.take() {
            self.0 = Some(rules.add_rule(PathBeneath::new(place, access)).map_err(io::Error::other)?);
        }
        Ok(())
    }

    fn close(self) -> io::Result<()> {
        let Some(rules) = self.0 else { return Ok(()) };
        match rules.restrict_self().map_err(io::Error::other)?.ruleset {
            RulesetStatus::NotEnforced => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_closed() {
        let shared = [PathBuf::from("/srv/models")];
        let open = |hidden: &str| stays_open(Path::new(hidden), &shared);
        assert_eq!(open("/tmp/data"), Some("/tmp".into()));
        assert_eq!(open("/srv/models/data"), Some("/srv/models".into()));
        assert_eq!(open("/srv/models2"), None);
        assert_eq!(open("/var/tmp/data"), None);
    }
}
