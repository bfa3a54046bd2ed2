//! The change log's own files: what is read back, what is forgotten, what a torn end costs.

use cosette_model::{BucketName, Change, ChangeKind, Seq};

use super::*;
use crate::changelog::ChangeLog;
use crate::record::{Applied, Position, encode};

fn change(number: u64) -> Change {
    Change {
        seq: Seq(number),
        time: Timestamp::from_secs(number),
        kind: ChangeKind::SettingChanged,
        bucket: BucketName::new("bucket").unwrap(),
        region: Region::new("ap-guangzhou").unwrap(),
        appid: String::new(),
        key: Some(key(&"k".repeat(900))),
        version_id: None,
        size: 0,
        etag: None,
        attributes: Attributes::default(),
        cause: cause(),
        restored_until: None,
        replicas: Vec::new(),
    }
}

fn push(log: &ChangeLog, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        log.push(Seq(number), encode(&change(number)).unwrap().into());
    }
}

fn upto(seq: u64) -> Applied {
    Applied { position: Position { segment: 1, offset: 100 * seq }, seq }
}

fn numbers(log: &ChangeLog, after: u64, max: usize) -> Vec<u64> {
    log.read(Seq(after), max).unwrap().into_iter().map(|change| change.seq.0).collect()
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn changes_are_read_from_any_number_on() {
    let scratch = Scratch::new();
    let disk = Disk::default();
    let (log, settled) = ChangeLog::open(scratch.path(), &disk).unwrap();
    assert_eq!((settled.last, settled.upto), (Seq(0), None));
    // Every third commit has none. Some megabytes, so that there are several files.
    let all: Vec<u64> = (1..6_000).filter(|number| number % 3 > 0).collect();
    for (n, part) in all.chunks(500).enumerate() {
        push(&log, part.iter().copied());
        // The last are settled in part only.
        let last = if n == 7 { part[100] } else { part[part.len() - 1] };
        log.settle(upto(last)).unwrap();
    }
    assert!(log_files(scratch.path()).len() > 2);
    for after in [0, 1, 2, 3, 1_499, 1_500, 2_998, 5_000, 5_997, 5_998, 7_000] {
        for max in [0, 1, 700, usize::MAX] {
            let want: Vec<u64> = all.iter().copied().filter(|number| *number > after).take(max).collect();
            assert!(numbers(&log, after, max) == want, "after {after}, at most {max}");
        }
    }
    // What was not settled is the journal's to tell again.
    drop(log);
    let (log, settled) = ChangeLog::open(scratch.path(), &disk).unwrap();
    let last = settled.last.0;
    assert_eq!(settled.upto, Some(upto(last)));
    assert!(numbers(&log, 0, usize::MAX) == all[..=all.binary_search(&last).unwrap()]);
    push(&log, all.iter().copied().filter(|number| *number > last));
    assert!(numbers(&log, 0, usize::MAX) == all);
    log.settle(upto(6_000)).unwrap();
    assert!(numbers(&log, 0, usize::MAX) == all);
}

#[test]
fn files_are_forgotten_whole_and_never_past_who_reads() {
    let scratch = Scratch::new();
    let (log, _) = ChangeLog::open(scratch.path(), &Disk::default()).unwrap();
    for begin in (1..6_001).step_by(1_000) {
        push(&log, begin..begin + 1_000);
        log.settle(upto(begin + 999)).unwrap();
    }
    let old = Timestamp::default();
    let first = |log: &ChangeLog| numbers(log, 0, 1)[0];
    log.forget(u64::MAX, old, Seq(9_999)).unwrap();
    log.forget(0, old, Seq(500)).unwrap();
    assert_eq!(first(&log), 1);
    log.forget(4 << 20, old, Seq(9_999)).unwrap();
    let kept = first(&log);
    assert!(kept > 1 && kept < 4_000, "{kept}");
    // By age: the file that holds the time stays.
    log.forget(u64::MAX, Timestamp::from_secs(4_500), Seq(9_999)).unwrap();
    assert!(first(&log) > kept && first(&log) <= 4_500, "{}", first(&log));
    assert_eq!(numbers(&log, 0, usize::MAX).last(), Some(&6_000));
}

#[test]
fn a_torn_end_is_cut_at_what_a_checkpoint_has_ended() {
    let scratch = Scratch::new();
    let disk = Disk::default();
    let (log, _) = ChangeLog::open(scratch.path(), &disk).unwrap();
    push(&log, 1..4);
    log.settle(upto(3)).unwrap();
    let whole = std::fs::read(&log_files(scratch.path())[0]).unwrap();
    push(&log, 4..6);
    log.settle(upto(5)).unwrap();
    drop(log);
    let path = log_files(scratch.path()).remove(0);
    let more = std::fs::read(&path).unwrap();
    for cut in (whole.len()..more.len()).step_by(7).chain([more.len() - 1]) {
        std::fs::write(&path, &more[..cut]).unwrap();
        let (log, settled) = ChangeLog::open(scratch.path(), &disk).unwrap();
        assert_eq!((settled.last, settled.upto), (Seq(3), Some(upto(3))), "cut at {cut}");
        assert_eq!(numbers(&log, 0, 9), [1, 2, 3]);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        push(&log, 4..6);
        log.settle(upto(5)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), more);
    }
    for at in whole.len()..more.len() {
        let mut damaged = more.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(ChangeLog::open(scratch.path(), &disk).unwrap().1.last, Seq(3), "byte {at}");
    }
}
