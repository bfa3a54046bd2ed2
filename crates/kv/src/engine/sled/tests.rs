//! What is sled's alone: its files, rewrites, and deaths in the midst of them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;

use super::*;
use crate::suite::{Random, Scratch, keys, put, rows};

const CACHE: u64 = 8 << 20;

fn open(scratch: &Scratch) -> Sled {
    Sled::open(&scratch.0, CACHE).unwrap()
}

fn key(n: u64) -> Vec<u8> {
    format!("{n:08}").into_bytes()
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().unwrap())
}

/// `n` with something behind it, so that rows fill pages.
fn value(n: u64) -> Vec<u8> {
    let mut value = n.to_be_bytes().to_vec();
    value.resize(200, n as u8);
    value
}

fn fill(engine: &dyn Engine, numbers: std::ops::Range<u64>) {
    let mut batch = Batch::default();
    for n in numbers {
        batch.put(key(n), value(n));
    }
    engine.apply(batch).unwrap();
}

fn all(engine: &dyn Engine) -> Vec<(Vec<u8>, Vec<u8>)> {
    rows(engine, &Range::prefix(b""), usize::MAX, false)
}

/// The entries of the index's directory.
fn entries(scratch: &Scratch) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// sled's own, of the first generation.
fn snapshot(scratch: &Scratch) -> Option<String> {
    let mut files = fs::read_dir(scratch.0.join("1")).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    files.find_map(|entry| Some(name(entry)).filter(|name| name.starts_with("snap.")))
}

#[test]
fn a_torn_snapshot_is_removed() {
    let scratch = Scratch::new();
    {
        let engine = open(&scratch);
        fill(&engine, 0..1000);
        engine.close().unwrap();
    }
    // An open that finds something writes a snapshot of it.
    drop(open(&scratch));
    let first = scratch.0.join("1");
    let whole = fs::read(first.join(snapshot(&scratch).unwrap())).unwrap();
    let torn = first.join("snap.7FFFFFFFFFFFFFFF.generating");
    for len in [0, 1, 11, 12, 13, whole.len() / 2, whole.len() - 1] {
        fs::write(&torn, &whole[..len]).unwrap();
        // What it is good for: sled by itself does not open any more.
        let config = sled::Config::new().path(&first).flush_every_ms(None);
        assert!(config.open().is_err(), "sled opens in spite of {len} bytes");
        assert!(torn.exists());
        assert_eq!(all(&open(&scratch)).len(), 1000, "{len} bytes");
        assert!(!torn.exists());
    }
}

#[test]
fn files_of_the_layout_before_are_removed() {
    let scratch = Scratch::new();
    {
        let db = sled::Config::new().path(&scratch.0).open().unwrap();
        db.insert(b"a", b"1").unwrap();
        db.flush().unwrap();
    }
    fs::create_dir(scratch.0.join("07")).unwrap();
    fs::write(scratch.0.join("07/complete"), "").unwrap();
    let engine = open(&scratch);
    assert_eq!(all(&engine), []);
    assert_eq!(entries(&scratch), ["1"]);
}

#[test]
fn only_a_complete_generation_is_opened_and_only_the_newest() {
    let scratch = Scratch::new();
    {
        let engine = open(&scratch);
        put(&engine, &[(b"a", b"old")]);
        assert!(engine.rewrite(&|| false).unwrap());
        put(&engine, &[(b"a", b"new")]);
    }
    assert_eq!(entries(&scratch), ["2"]);
    // One that was rewritten but not yet removed, and one that was not finished.
    for (number, mark) in [("1", true), ("10", false)] {
        let db = sled::Config::new().path(scratch.0.join(number)).open().unwrap();
        db.insert(b"a", b"wrong").unwrap();
        if mark {
            fs::write(scratch.0.join(number).join("complete"), "").unwrap();
        }
    }
    let engine = open(&scratch);
    assert_eq!(engine.get(b"a").unwrap().unwrap(), b"new");
    assert_eq!(entries(&scratch), ["2"]);
}

#[test]
fn live_bytes_are_exact() {
    let scratch = Scratch::new();
    let mut random = Random(1);
    for round in 0..4 {
        let engine = open(&scratch);
        for _ in 0..50 {
            let mut batch = Batch::default();
            for _ in 0..40 {
                let n = random.below(500);
                if random.below(3) == 0 {
                    batch.delete(key(n));
                } else {
                    batch.put(key(n), vec![1; random.below(300) as usize]);
                }
            }
            engine.apply(batch).unwrap();
            // In the first round they are known from the beginning, in others from somewhere on.
            if round == 0 || random.below(20) == 0 {
                let want: usize = all(&engine).iter().map(|(key, value)| key.len() + value.len()).sum();
                assert_eq!(engine.live_bytes().unwrap(), Some(want as u64));
            }
        }
    }
}

#[test]
fn it_is_rewritten_when_it_is_large_and_not_again_and_again() {
    let scratch = Scratch::new();
    let mut engine = open(&scratch);
    engine.floor_bytes = 1 << 20;
    let generation = |engine: &Sled| engine.read(|current| current.number).unwrap();
    let size = |engine: &Sled| engine.read(|current| current.size()).unwrap().unwrap();
    let mut random = Random(3);
    // Some rows are written again and again, a few others between are new and stay: what sled by
    // itself takes 8 times the live bytes for.
    for round in 0..60 {
        for n in 0..50 {
            let mut batch = Batch::default();
            for _ in 0..45 {
                batch.put(key(random.below(1000)), value(round));
            }
            for new in 0..5 {
                batch.put(key(1000 + ((round * 50 + n) * 5 + new) * 7919 % 15_000), value(round));
            }
            engine.apply(batch).unwrap();
        }
        engine.flush().unwrap();
        engine.tidy(&|| false).unwrap();
        let bound = 5 * engine.live_bytes().unwrap().unwrap() + engine.floor_bytes + (2 << 20);
        assert!(size(&engine) < bound, "round {round}: {}", size(&engine));
    }
    let before = generation(&engine);
    assert!(before > 1);
    engine.tidy(&|| false).unwrap();
    assert_eq!(generation(&engine), before, "nothing was written in between");
    // Hardly anything lives, so what sled takes for itself is many times as much.
    let mut batch = Batch::default();
    (1..16_000).for_each(|n| batch.delete(key(n)));
    engine.apply(batch).unwrap();
    engine.floor_bytes = 0;
    engine.tidy(&|| false).unwrap();
    let last = generation(&engine);
    assert!(last > before);
    for _ in 0..10 {
        engine.tidy(&|| false).unwrap();
    }
    assert_eq!(generation(&engine), last, "it cannot become smaller");
    assert_eq!(keys(&engine, &Range::prefix(b""), usize::MAX, false), [key(0)]);
}

#[test]
fn a_rewrite_that_is_stopped_leaves_nothing() {
    let scratch = Scratch::new();
    let engine = open(&scratch);
    fill(&engine, 0..1000);
    let asked = AtomicU64::new(0);
    assert!(!engine.rewrite(&|| asked.fetch_add(1, Ordering::Relaxed) == 5).unwrap());
    assert_eq!(entries(&scratch), ["1"]);
    fill(&engine, 1000..1100);
    assert!(engine.rewrite(&|| false).unwrap());
    assert_eq!(entries(&scratch), ["2"]);
    assert_eq!(all(&engine).len(), 1100);
}

#[test]
fn a_rewrite_that_fails_leaves_the_store_as_it_was() {
    let scratch = Scratch::new();
    let engine = open(&scratch);
    fill(&engine, 0..1000);
    // The copy disappears while it is made, and with it the place for its mark.
    let asked = AtomicU64::new(0);
    let stop = || {
        if asked.fetch_add(1, Ordering::Relaxed) == 5 {
            fs::remove_dir_all(scratch.0.join("2")).unwrap();
        }
        false
    };
    assert!(engine.rewrite(&stop).is_err());
    fill(&engine, 1000..1100);
    engine.sync().unwrap();
    assert_eq!(all(&engine).len(), 1100);
    assert!(engine.rewrite(&|| false).unwrap());
    drop(engine);
    assert_eq!(all(&open(&scratch)).len(), 1100);
}

#[test]
fn a_scan_goes_on_through_a_rewrite() {
    let scratch = Scratch::new();
    let engine = open(&scratch);
    let large = vec![7; 300_000];
    put(&engine, &[(b"9", &large), (b"98", &large)]);
    fill(&engine, 0..3000);
    let mut found = Vec::new();
    engine
        .scan(&Range::prefix(b""), &mut |key, value| {
            found.push(key.to_vec());
            if found.len() == 10 {
                assert!(engine.rewrite(&|| false).unwrap());
                assert_eq!(entries(&scratch), ["1", "2"], "the scan reads from the old one");
            }
            if key[0] == b'9' {
                assert_eq!(value, large);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, keys(&engine, &Range::prefix(b""), usize::MAX, false));
    assert_eq!(found.len(), 3002);
    assert_eq!(entries(&scratch), ["2"]);
}

#[test]
fn closing_writes_sleds_snapshot_when_much_was_written() {
    let scratch = Scratch::new();
    let engine = open(&scratch);
    let before = snapshot(&scratch);
    fill(&engine, 0..100);
    engine.close().unwrap();
    assert!(engine.get(b"a").is_err());
    assert!(engine.apply(Batch::default()).is_err());
    engine.close().unwrap();
    assert_eq!(snapshot(&scratch), before);

    let engine = open(&scratch);
    let before = snapshot(&scratch);
    let large = vec![7; 100_000];
    for n in 0..300 {
        put(&engine, &[(&key(1000 + n), &large)]);
    }
    engine.close().unwrap();
    assert_ne!(snapshot(&scratch), before);
    // Dropped after it, as by the last of its readers.
    drop(engine);
    assert_eq!(all(&open(&scratch)).len(), 400);
}

/// Ends the other threads of a test also when one fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// One writer, readers both ways, and one rewrite after another.
#[test]
fn rewriting_under_load_loses_nothing_and_keeps_the_order() {
    const KEYS: u64 = 2000;
    const BATCHES: u64 = 1500;
    let scratch = Scratch::new();
    let engine = open(&scratch);
    fill(&engine, 0..KEYS);
    let done = AtomicBool::new(false);
    let mut want: std::collections::BTreeMap<Vec<u8>, Vec<u8>> =
        (0..KEYS).map(|n| (key(n), value(n))).collect();
    let rewrites = std::thread::scope(|scope| {
        for back in [false, true] {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let applied = engine.get(b"applied").unwrap().map_or(0, |n| number(&n));
                    assert!(applied >= last, "the past came back");
                    last = applied;
                    let rows = rows(engine, &Range::prefix(b"0"), usize::MAX, back);
                    let mut rows: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
                    if back {
                        rows.reverse();
                    }
                    assert!(rows.is_sorted_by(|a, b| a < b), "out of order");
                    // Even keys are never deleted.
                    assert_eq!(rows.iter().filter(|key| key[7] % 2 == 0).count() as u64, KEYS / 2);
                }
            });
        }
        let rewriter = scope.spawn(|| {
            let mut rewrites = 0;
            while !done.load(Ordering::Acquire) {
                assert!(engine.rewrite(&|| false).unwrap());
                rewrites += 1;
            }
            rewrites
        });
        let ended = Done(&done);
        let mut random = Random(7);
        for n in 1..=BATCHES {
            let mut batch = Batch::default();
            for _ in 0..20 {
                let at = random.below(KEYS);
                if at % 2 == 1 && random.below(2) == 0 {
                    batch.delete(key(at));
                    want.remove(&key(at));
                } else {
                    batch.put(key(at), value(n));
                    want.insert(key(at), value(n));
                }
            }
            batch.put(*b"applied", value(n));
            engine.apply(batch).unwrap();
            // The writer reads what it has written, whichever generation it is in.
            assert_eq!(number(&engine.get(b"applied").unwrap().unwrap()), n);
        }
        drop(ended);
        rewriter.join().unwrap()
    });
    assert!(rewrites > 0);
    want.insert(b"applied".to_vec(), value(BATCHES));
    let want: Vec<_> = want.into_iter().collect();
    assert!(all(&engine) == want);
    drop(engine);
    assert!(all(&open(&scratch)) == want);
}

const DIRECTORY: &str = "COSETTE_KV_KILL_DIR";
const BEGIN: &str = "COSETTE_KV_KILL_BEGIN";
const DIES_WHEN: &str = "COSETTE_KV_DIES_WHEN";
const SLOTS: u64 = 3000;

/// The `n`th write of all: which slot it goes to, and whether it puts `n` there or deletes it.
fn write_of(n: u64) -> (u64, bool) {
    let mut random = Random(n ^ 0x5eed);
    (random.below(SLOTS), random.below(8) != 0)
}

/// Does nothing unless it is the child of a test below.
#[test]
fn the_writer_that_is_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    // A failure of one thread must not leave the other writing for ever.
    std::panic::set_hook(Box::new(|what| {
        eprintln!("the writer: {what}");
        std::process::exit(1);
    }));
    let begin: u64 = std::env::var(BEGIN).unwrap().parse().unwrap();
    let engine = Sled::open(Path::new(&dir), CACHE).unwrap();
    // One write call a line, so that lines are whole.
    let say = |what: &str, n: u64| std::io::stdout().write_all(format!("{what} {n}\n").as_bytes()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                assert!(engine.rewrite(&|| false).unwrap());
                say("rewritten", n);
            }
        });
        for first in (begin..).step_by(50) {
            let mut batch = Batch::default();
            for n in first..first + 50 {
                match write_of(n) {
                    (slot, true) => batch.put(key(slot), value(n)),
                    (slot, false) => batch.delete(key(slot)),
                }
            }
            engine.apply(batch).unwrap();
            say("applied", first + 50);
            if first % 7 == 0 {
                engine.flush().unwrap();
                say("flushed", first + 50);
            }
        }
    });
}

/// Lets the child write from `begin` on until it has said `lines` or died by itself; how many
/// writes it said were flushed, and rewrites done.
fn kill(scratch: &Scratch, begin: u64, lines: u64, dies_when: &str) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::sled::tests::the_writer_that_is_killed", "--nocapture"])
        .env(DIRECTORY, &scratch.0)
        .env(BEGIN, begin.to_string())
        .env(DIES_WHEN, dies_when)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut left, mut flushed, mut rewritten) = (lines, 0, 0);
    // The lines that come after the kill count as well.
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(std::result::Result::ok) {
        match line.split_once(' ') {
            Some(("flushed", n)) => flushed = n.parse().unwrap(),
            Some(("rewritten", _)) => rewritten += 1,
            Some(("applied", _)) => {}
            _ => continue,
        }
        left = left.saturating_sub(1);
        if left == 0 {
            child.kill().unwrap();
        }
    }
    assert!(child.wait().unwrap().signal().is_some(), "it ended by itself");
    (flushed, rewritten)
}

/// How many writes make what is in the index; that are at least those that were flushed.
fn check(scratch: &Scratch, flushed: u64) -> u64 {
    let engine = open(scratch);
    assert_eq!(entries(scratch).len(), 1);
    let found: std::collections::BTreeMap<_, _> = all(&engine).into_iter().collect();
    let mut made = std::collections::BTreeMap::new();
    let newest = found.values().map(|value| number(value) + 1).max().unwrap_or(0);
    let mut n = 0;
    // Deletes after the newest put may be there as well.
    while n < newest.max(flushed) || made != found {
        match write_of(n) {
            (slot, true) => drop(made.insert(key(slot), value(n))),
            (slot, false) => drop(made.remove(&key(slot))),
        }
        n += 1;
        assert!(n < newest.max(flushed) + 1000, "not a beginning of what was written, or not all flushed");
    }
    n
}

#[test]
fn a_kill_while_it_is_rewritten_leaves_a_beginning_with_all_that_was_flushed() {
    let scratch = Scratch::new();
    let (mut begin, mut rewritten) = (0, 0);
    for round in 0..12 {
        let (flushed, rewrites) = kill(&scratch, begin, 40 + round * 61, "");
        begin = check(&scratch, flushed.max(begin));
        rewritten += rewrites;
    }
    assert!(rewritten > 0);
}

#[test]
fn a_death_at_any_step_of_the_replacement_is_survived() {
    let scratch = Scratch::new();
    let mut begin = 0;
    for dies_when in ["copied", "flushed", "marked", "replaced"] {
        for _ in 0..2 {
            let (flushed, _) = kill(&scratch, begin, u64::MAX, dies_when);
            begin = check(&scratch, flushed.max(begin));
        }
    }
}
