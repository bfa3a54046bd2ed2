//! How much memory an instance has: looks at its processes, and when to look again.

use std::time::Duration;

use crate::process::{Tree, children};

/// As seldom as memory is looked at, and as often.
pub(crate) const SELDOM: Duration = Duration::from_millis(50);
pub(crate) const OFTEN: Duration = Duration::from_millis(2);

/// What processes take in a millisecond at the most: the kernel has to clear each page.
const FASTEST: u64 = 4 << 20;

/// How long an instance that has `now` bytes can be left alone: it cannot have come to `most` before.
pub(crate) fn until_next(now: u64, most: u64) -> Duration {
    Duration::from_millis(most.saturating_sub(now) / FASTEST).clamp(OFTEN, SELDOM)
}

impl Tree {
    /// Resident memory of the processes that are known, in bytes. Reads one line for each.
    pub(crate) fn glance(&self) -> u64 {
        if self.known.is_empty() {
            return self.first().map_or(0, |first| resident(first.as_raw_pid()));
        }
        self.known.iter().map(|known| resident(known.pid)).sum()
    }

    /// The first process's greatest resident memory since [`Tree::forget_peak`], in bytes.
    pub(crate) fn first_peak(&self) -> u64 {
        self.first().map_or(0, |pid| peak(pid.as_raw_pid()))
    }

    /// [`Tree::first_peak`] with what its descendants have now: a script that starts a server is small. Cheap, as it
    /// follows the children of main threads only.
    pub(crate) fn peak_with_children(&self) -> u64 {
        let of = |pid| children(pid).unwrap_or_default();
        let mut sum = self.first_peak();
        let mut left = self.first().map(|first| of(first.as_raw_pid())).unwrap_or_default();
        while let Some(pid) = left.pop() {
            sum += resident(pid);
            left.extend(of(pid));
        }
        sum
    }

    /// Begins a new measurement of the first process's peak.
    pub(crate) fn forget_peak(&self) {
        if let Some(first) = self.first() {
            // Where this is refused the peak is the instance's, not the invocation's.
            let _ = std::fs::write(format!("/proc/{first}/clear_refs"), "5");
        }
    }
}

/// 0 for a process that is not there.
fn resident(pid: i32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

fn peak(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_limit_the_oftener() {
        let most = 128 << 20;
        assert_eq!(until_next(0, most), Duration::from_millis(32));
        assert_eq!(until_next(100 << 20, most), Duration::from_millis(7));
        assert_eq!(until_next(127 << 20, most), OFTEN);
        assert_eq!(until_next(200 << 20, most), OFTEN);
        assert_eq!(until_next(0, 3 << 30), SELDOM);
        assert_eq!(until_next(0, u64::MAX), SELDOM);
    }
}
