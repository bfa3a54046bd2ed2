//! Who listens at a port of this machine, read from `/proc`.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::getpid;

use crate::process::{entry, marked, table};

/// Who listens at a TCP port of this machine: `None` if nobody does, `Some(None)` if it cannot be seen who.
pub(crate) fn listener(port: u16) -> Option<Option<i32>> {
    let mut sockets = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let at = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if at == Some(port) {
                sockets.insert(format!("socket:[{inode}]"));
            }
        }
    }
    if sockets.is_empty() {
        return None;
    }
    let has_one = |pid: i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
        let mut links =
            open.into_iter().flatten().filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        links.any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
    };
    Some(table().into_iter().map(|found| found.pid).find(|pid| has_one(*pid)))
}

/// Whether a process is one of the instance with this folder: marked itself, or below one that is.
pub(crate) fn is_below(pid: i32, folder: &Path) -> bool {
    let mark = folder.as_os_str().as_bytes();
    let mut next = Some(pid);
    // As deep as any tree of processes is.
    for _ in 0..64 {
        let Some(pid) = next.filter(|pid| *pid > 1) else { return false };
        if marked(pid, |value| value == mark) {
            return true;
        }
        next = entry(pid).map(|found| found.parent);
    }
    false
}

/// A process, for people.
pub(crate) fn described(pid: i32) -> String {
    if getpid().as_raw_pid() == pid {
        return "this server itself".to_owned();
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let whose = if marked(pid, |_| true) { "of a function's instance" } else { "of this machine" };
    format!("process {pid} ({}) {whose}", name.trim())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_at_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = getpid().as_raw_pid();
        assert_eq!(super::listener(port), Some(Some(me)));
        assert_eq!(described(me), "this server itself");
        assert!(!is_below(me, Path::new("/no/instance")));
        drop(listener);
        assert_eq!(super::listener(port), None);
    }
}
