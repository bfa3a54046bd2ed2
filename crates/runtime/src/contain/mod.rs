//! Keeps a function to itself: a root of its own, a process table of its own, no privileges.
//! Linux namespaces that an ordinary user may make, where the kernel allows them.
//!
//! Between the server and the function stand two small processes, both the server's own program
//! started anew ([`main_if_asked`]): the one `outside` makes the namespaces and stays the child
//! the server knows; the one `inside` is the first process of the new process table, builds the
//! root and starts the function. When it ends, the kernel ends all that is in there.
//! `keeper` decides and prepares, `plan` is what they are told; `root` is what the function sees of the machine.
//! Where the kernel refuses namespaces, `walls` closes the machine's files to it, and that is all.

mod calls;
mod inside;
pub(crate) mod keeper;
mod netlink;
pub(crate) mod network;
mod outside;
mod plan;
mod root;
mod walls;

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use self::plan::Plan;
pub(crate) use self::plan::{Seen, error_in};

/// The first argument of the process outside, and of the one inside.
const OUTSIDE: &str = "__contain";
const INSIDE: &str = "__contain-inside";

/// What a launcher ends with when it is its own fault that nothing was started.
const FAILED: u8 = 125;

/// Whether functions are kept apart from the machine and each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// As far as the kernel allows it; said in the log where that is not all.
    Auto,
    /// Functions see the machine as the server does.
    #[default]
    Off,
}

/// How far a function is kept from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// It sees the machine as the server does.
    Not,
    /// Most files of the machine are closed to it, and privileges and rare system calls taken. All else it shares.
    Walled,
    /// It has a root, a process table, and more of its own, but shares the machine's network.
    Apart,
    /// It has a network of its own as well.
    Alone,
}

/// Whether this program has called [`main_if_asked`], so that it may be started as a launcher.
static ASKED: AtomicBool = AtomicBool::new(false);

/// To be called first in `main` by a program whose functions are to be isolated, before it has
/// made a thread: if the process was started to contain a function, this does so, and returns the
/// status to end with.
pub fn main_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == OUTSIDE => Some(outside::main(arguments.next())),
        Some(first) if first == INSIDE => Some(inside::main()),
        _ => {
            ASKED.store(true, Ordering::Relaxed);
            None
        }
    }
}

/// Whether this program has called [`main_if_asked`].
pub fn is_prepared() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// The program that contains, as a path that stays good when its file is replaced.
fn launcher() -> io::Result<PathBuf> {
    if !is_prepared() {
        return Err(io::Error::other("the program that embeds the server is not made for it"));
    }
    Ok(PathBuf::from("/proc/self/exe"))
}

/// The command that carries out a plan that is in this file.
pub(crate) fn command(plan: PathBuf) -> io::Result<(PathBuf, Vec<OsString>)> {
    Ok((launcher()?, vec![OUTSIDE.into(), plan.into()]))
}

/// Whether a function could be kept so far from the machine here. Starts a process and waits for it, some milliseconds;
/// `folder` is to be used meanwhile. With `program`, whether that would start.
///
/// # Errors
/// Why not, in words.
pub(crate) async fn try_out(folder: &Path, program: Option<&Path>, kept: Kept) -> Result<(), String> {
    let mut plan = Plan::new(folder, None);
    (plan.walls, plan.network) = (kept == Kept::Walled, kept == Kept::Alone);
    if let Some(program) = program {
        plan.show_program(program);
        plan.program = Some(program.to_owned());
        plan.args = vec!["--version".into()];
    }
    let tried = async {
        std::fs::create_dir_all(folder)?;
        let (launcher, args) = command(plan.write()?)?;
        // Of what is handed over nothing is taken.
        let (_line, theirs) = UnixStream::pair()?;
        crate::process::attempt(&launcher, &args, Some(theirs.into())).await
    };
    let ended = tried.await;
    let said = error_in(folder);
    let _ = std::fs::remove_dir_all(folder);
    match (ended, said) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(_), Some(error)) => Err(error),
        // What the dynamic loader ends with when a library is not to be seen.
        (Ok(Some(127)), None) => Err("a library it needs is outside of its folder".into()),
        (Ok(Some(code)), None) if code == i32::from(FAILED) => Err("the launcher failed".into()),
        (Ok(_), None) => Ok(()),
    }
}

/// How far functions can be kept from the machine here, and why not further, in words.
pub(crate) async fn how_far(folder: &Path) -> (Kept, String) {
    let mut whys = Vec::new();
    for kept in [Kept::Alone, Kept::Apart, Kept::Walled] {
        match try_out(folder, None, kept).await {
            Ok(()) => return (kept, whys.pop().unwrap_or_default()),
            Err(why) => whys.push(why),
        }
    }
    // Mostly for the same reason as the one before.
    whys.dedup();
    (Kept::Not, whys.join("; "))
}

/// How far this program would keep functions from this machine, and why not further, in words.
pub async fn check() -> (Kept, String) {
    let name = format!("cosette-check-{}", uuid::Uuid::new_v4().simple());
    how_far(&std::env::temp_dir().join(name)).await
}

/// Whether this process could fence functions' memory: whether it may make control groups. It may move to one itself.
///
/// # Errors
/// Why not, in words.
pub fn check_fence() -> Result<(), String> {
    crate::fence::Fences::find().map(|_| ())
}

/// Whether isolated functions would be refused system calls that none needs.
#[must_use]
pub fn refuses_calls() -> bool {
    calls::can_be_refused()
}
