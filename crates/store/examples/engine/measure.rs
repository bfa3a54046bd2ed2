//! Time, processor time, memory and disk, and how many figures become one line.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a number of equal operations took.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) count: u64,
    pub(crate) took: Duration,
    /// Processor time of the whole process meanwhile.
    pub(crate) used: Duration,
}

impl Turn {
    pub(crate) const NONE: Self = Self { count: 0, took: Duration::ZERO, used: Duration::ZERO };

    pub(crate) fn and(self, more: Self) -> Self {
        Self { count: self.count + more.count, took: self.took + more.took, used: self.used + more.used }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    /// Microseconds of processor time for each.
    pub(crate) fn used_each(&self) -> f64 {
        each(self.used, self.count)
    }
}

/// Microseconds for each of `count`.
pub(crate) fn each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// `count` operations by `tasks` tasks, each of which takes the next number when it is done.
pub(crate) async fn turn<W, F>(tasks: usize, count: u64, work: W) -> Turn
where
    W: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicU64::new(0));
    let (began, before) = (Instant::now(), processor());
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (next, work) = (Arc::clone(&next), work.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    work(n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    Turn { count, took: began.elapsed(), used: processor().saturating_sub(before) }
}

/// Processor time of this process so far, in those of its threads that live.
pub(crate) fn processor() -> Duration {
    let nanos = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    Duration::from_nanos(tasks.flatten().filter_map(nanos).sum())
}

/// Waits until the engine has done what it does five seconds after a write at the latest, so that
/// it is not in the next turn; gives back what processor time that took.
pub(crate) async fn rest() -> Duration {
    let before = processor();
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    for _ in 0..120 {
        let then = processor();
        tokio::time::sleep(Duration::from_millis(250)).await;
        if processor().saturating_sub(then) <= Duration::from_millis(5) {
            break;
        }
    }
    processor().saturating_sub(before)
}

/// A line of `/proc/self/status`, in MiB: `VmRSS` is what is resident, `VmHWM` the most there was.
pub(crate) fn memory_mib(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// What a directory takes of the disk, in bytes.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
            Ok(about) => about.blocks() * 512,
            // It has gone since.
            Err(_) => 0,
        })
        .sum()
}

/// Least, median and greatest.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { min: at(0), median: at(values.len() / 2), max: at(values.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { min, median, max } = self;
        write!(f, "{min:.digits$} / {median:.digits$} / {max:.digits$}")
    }
}

/// Numbers in no order, the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// `0..count` in no order.
    pub(crate) fn order(&mut self, count: u64) -> Vec<u64> {
        let mut order: Vec<u64> = (0..count).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.below(at as u64 + 1) as usize);
        }
        order
    }
}
