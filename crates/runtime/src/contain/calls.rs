//! System calls that no function needs, refused by the kernel (seccomp): they reach parts of the kernel that namespaces
//! do not divide, or that its privileges, which a function has none of, are all that guards. Debuggers, garbage
//! collectors and browsers do without them.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter,
};

/// Mounts, modules, clocks, the machine's rest and start.
const MACHINE: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

/// What is the whole machine's, or was the way out of containers.
const KERNEL: &[libc::c_long] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_fanotify_init,
];

/// Said not to be there: who asks for them has another way then. Of `clone3` the flags cannot be looked at, and C
/// libraries take `clone`.
const MISSING: &[libc::c_long] =
    &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_clone3];

/// Each makes a namespace. The last is a signal's number for `clone`.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
const NEWTIME: i32 = 0x80;

/// Sockets that namespaces do not divide: to the machine that a virtual machine runs on.
const VSOCK: i32 = libc::AF_VSOCK;

/// Whether the kernel can refuse calls, and this processor's are known.
pub(super) fn can_be_refused() -> bool {
    arch().is_some() && Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

fn arch() -> Option<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).ok()
}

/// Refuses them to this process and all that it will start, for good.
pub(super) fn refuse() -> io::Result<()> {
    let Some(arch) = arch().filter(|_| can_be_refused()) else { return Ok(()) };
    let other = io::Error::other::<seccompiler::Error>;
    for (errno, rules) in
        [(Errno::PERM, forbidden().map_err(|error| other(error.into()))?), (Errno::NOSYS, missing())]
    {
        let action = SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
        let filter = SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, action, arch)
            .and_then(TryInto::<seccompiler::BpfProgram>::try_into)
            .map_err(|error| other(error.into()))?;
        apply_filter(&filter).map_err(other)?;
    }
    Ok(())
}

/// A call, and the arguments with which it is refused; without any it always is.
type Rule = (libc::c_long, Vec<SeccompRule>);

fn missing() -> Vec<Rule> {
    MISSING.iter().map(|call| (*call, Vec::new())).collect()
}

fn forbidden() -> Result<Vec<Rule>, seccompiler::BackendError> {
    let with = |op, value: i32| {
        let value = u64::from(value.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, op, value)?])
    };
    let flag = |flag: i32| {
        // CLONE_IO is the highest bit, and not among them.
        with(SeccompCmpOp::MaskedEq(u64::from(flag.unsigned_abs())), flag)
    };
    let namespaces: Vec<SeccompRule> = NAMESPACES.into_iter().map(flag).collect::<Result<_, _>>()?;
    let mut unshared = namespaces.clone();
    unshared.push(flag(NEWTIME)?);
    let mut rules: Vec<Rule> = MACHINE.iter().chain(KERNEL).map(|call| (*call, Vec::new())).collect();
    rules.push((libc::SYS_clone, namespaces));
    rules.push((libc::SYS_unshare, unshared));
    rules.push((libc::SYS_socket, vec![with(SeccompCmpOp::Eq, VSOCK)?]));
    Ok(rules)
}
