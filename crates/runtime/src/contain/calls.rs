//! System calls that no function needs, refused by the kernel (seccomp): they reach parts of the kernel that namespaces
//! do not divide, or that its privileges, which a function has none of, are all that guards. Debuggers, garbage
//! collectors and browsers do without them.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
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

/// The bit that second numbers of calls have.
const X32: u32 = 0x4000_0000;

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
            .and_then(TryInto::<BpfProgram>::try_into)
            .map_err(|error| other(error.into()))?;
        apply_filter(&[second_numbers().as_slice(), &filter].concat()).map_err(other)?;
    }
    Ok(())
}

/// Refuses calls by their second numbers, of which the rules know nothing: x86-64 kernels may have all calls once more
/// for programs with short pointers (x32). A tracer that skips a call has the number -1 in its place.
fn second_numbers() -> [sock_filter; 4] {
    let step = |code: u32, if_so, if_not, k| {
        // All codes are of 16 bits.
        sock_filter { code: code as u16, jt: if_so, jf: if_not, k }
    };
    [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 2, X32),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, u32::MAX),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            SeccompAction::Errno(Errno::PERM.raw_os_error().unsigned_abs()).into(),
        ),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a call with one argument.
    fn call(number: libc::c_long, argument: i32) -> Result<libc::c_long, i32> {
        // SAFETY: those below take no pointers, or fail at what they are given.
        #[allow(unsafe_code)]
        let result = unsafe { libc::syscall(number, argument, 0, 0, 0, 0) };
        if result < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(result) }
    }

    #[test]
    fn what_no_function_needs_is_refused_by_each_of_its_numbers() {
        if !can_be_refused() {
            return;
        }
        // It holds for the thread.
        let thread = std::thread::spawn(|| {
            let refused = refuse().map_err(|error| error.to_string());
            let second = libc::c_long::from(X32);
            let calls = [
                call(libc::SYS_getpid, 0).map(|_| 0),
                call(libc::SYS_bpf, -1),
                call(libc::SYS_unshare, libc::CLONE_NEWUSER),
                call(libc::SYS_unshare, 0),
                call(libc::SYS_socket, libc::AF_VSOCK),
                call(libc::SYS_io_uring_setup, 0),
                call(second | libc::SYS_getpid, 0),
                call(second | libc::SYS_unshare, 0),
                call(-1, 0),
            ];
            (refused, calls)
        });
        let (refused, calls) = thread.join().unwrap_or_else(|_| panic!("it ended"));
        assert_eq!(refused, Ok(()));
        let (perm, nosys) = (Err(libc::EPERM), Err(libc::ENOSYS));
        assert_eq!(calls, [Ok(0), perm, perm, Ok(0), perm, nosys, perm, perm, nosys]);
    }
}
