//! What every engine must do, run on each.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::{Batch, Buffered, Engine, Error, Memory, Range, Result, Sled, Visit};

/// A directory of its own for each test, removed with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("cosette-kv-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on_every_engine(check: fn(&dyn Engine)) {
    check(&Memory::default());
    let scratch = Scratch::new();
    check(&Sled::open(&scratch.0, 8 << 20).unwrap());
    let scratch = Scratch::new();
    let sled = Sled::open(&scratch.0, 8 << 20).unwrap();
    check(&Buffered::over(Box::new(sled)).unwrap());
}

pub(crate) fn put(engine: &dyn Engine, rows: &[(&[u8], &[u8])]) {
    let mut batch = Batch::default();
    for (key, value) in rows {
        batch.put(*key, *value);
    }
    engine.apply(batch).unwrap();
}

pub(crate) fn keys(engine: &dyn Engine, range: &Range, max: usize, back: bool) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        if found.len() == max {
            return ControlFlow::Break(());
        }
        found.push(key.to_vec());
        ControlFlow::Continue(())
    };
    if back {
        engine.scan_back(range, &mut visit).unwrap();
    } else {
        engine.scan(range, &mut visit).unwrap();
    }
    found
}

#[test]
fn reads_what_was_put_last() {
    on_every_engine(|engine| {
        put(engine, &[(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"", b"empty key")]);
        assert_eq!(engine.get(b"a").unwrap().unwrap(), b"3");
        assert_eq!(engine.get(b"").unwrap().unwrap(), b"empty key");
        assert_eq!(engine.get(b"c").unwrap(), None);
        let mut batch = Batch::default();
        batch.delete(*b"a");
        batch.delete(*b"never there");
        batch.put(*b"b", *b"");
        engine.apply(batch).unwrap();
        assert_eq!(engine.get(b"a").unwrap(), None);
        assert_eq!(engine.get(b"b").unwrap().unwrap(), b"");
        engine.flush().unwrap();
    });
}

#[test]
fn scans_in_byte_order_within_bounds() {
    on_every_engine(|engine| {
        put(
            engine,
            &[
                (b"b\xff", b""),
                (b"a", b""),
                (b"b", b""),
                (b"c", b""),
                (b"b\x00", b""),
                (b"b\x00a", b""),
                (b"\xff\xff", b""),
            ],
        );
        let all: Vec<Vec<u8>> = vec![b"b".to_vec(), b"b\x00".to_vec(), b"b\x00a".to_vec(), b"b\xff".to_vec()];
        assert_eq!(keys(engine, &Range::prefix(b"b"), 99, false), all);
        let mut reversed = all.clone();
        reversed.reverse();
        assert_eq!(keys(engine, &Range::prefix(b"b"), 99, true), reversed);
        assert_eq!(keys(engine, &Range::prefix(b"b").after(b"b\x00"), 99, false), all[2..]);
        assert_eq!(keys(engine, &Range::prefix(b"b").at_least(b"b\x00"), 1, false), all[1..2]);
        assert_eq!(keys(engine, &Range::prefix(b"b"), 2, true), reversed[..2]);
        assert_eq!(keys(engine, &Range::prefix(b"b").after(b"c"), 99, false), Vec::<Vec<u8>>::new());
        assert_eq!(keys(engine, &Range::prefix(b"\xff"), 99, false), vec![b"\xff\xff".to_vec()]);
        assert_eq!(keys(engine, &Range::prefix(b""), 99, false).len(), 7);
    });
}

#[test]
fn many_rows_come_back_in_order() {
    on_every_engine(|engine| {
        for chunk in 0..20u32 {
            let mut batch = Batch::default();
            for i in 0..100u32 {
                // A multiplicative step visits all of 0..2000 out of order.
                let n = (chunk * 100 + i) * 1337 % 2000;
                batch.put(n.to_be_bytes(), vec![7; 200]);
            }
            engine.apply(batch).unwrap();
        }
        let want: Vec<Vec<u8>> = (0..2000u32).map(|n| n.to_be_bytes().to_vec()).collect();
        assert_eq!(keys(engine, &Range::prefix(b""), usize::MAX, false), want);
    });
}

#[test]
fn sled_keeps_what_was_flushed() {
    let scratch = Scratch::new();
    {
        let engine = Sled::open(&scratch.0, 8 << 20).unwrap();
        put(&engine, &[(b"a", b"1"), (b"b", b"2")]);
        engine.flush().unwrap();
    }
    let engine = Sled::open(&scratch.0, 8 << 20).unwrap();
    assert_eq!(keys(&engine, &Range::prefix(b""), 99, false), vec![b"a".to_vec(), b"b".to_vec()]);
}

/// SplitMix64: a test that fails can be run again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// Of few bytes and few lengths, so that prefixes, neighbours and the same key come often.
    fn key(&mut self) -> Vec<u8> {
        let len = self.below(5);
        (0..len).map(|_| [0, 1, b'a', u8::MAX][self.below(4) as usize]).collect()
    }

    fn bound(&mut self) -> Bound<Vec<u8>> {
        match self.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(self.key()),
            _ => Bound::Excluded(self.key()),
        }
    }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn rows(engine: &dyn Engine, range: &Range, max: usize, back: bool) -> Rows {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() == max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if back {
        engine.scan_back(range, &mut visit).unwrap();
    } else {
        engine.scan(range, &mut visit).unwrap();
    }
    found
}

/// Any writes and any reads, against a map; `between` has now and then another engine go on.
fn behaves_like_a_map<E: Engine>(seed: u64, mut engine: E, between: impl Fn(E, &mut Random) -> E) {
    let mut random = Random(seed);
    let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for step in 0..600 {
        let mut batch = Batch::default();
        for _ in 0..random.below(20) {
            let key = random.key();
            if random.below(3) == 0 {
                batch.delete(key.clone());
                map.remove(&key);
            } else {
                // Now and then one that sled keeps in a file of its own.
                let len = if random.below(500) == 0 { 200_000 } else { random.below(300) as usize };
                let value = vec![random.below(256) as u8; len];
                batch.put(key.clone(), value.clone());
                map.insert(key, value);
            }
        }
        engine.apply(batch).unwrap();
        if random.below(40) == 0 {
            engine = between(engine, &mut random);
        }
        for _ in 0..4 {
            let key = random.key();
            assert_eq!(engine.get(&key).unwrap().as_ref(), map.get(&key), "seed {seed} step {step} {key:?}");
            let range = Range { from: random.bound(), to: random.bound() };
            let max = 1 + random.below(40) as usize;
            for back in [false, true] {
                let mut want: Rows = Vec::new();
                if !range.is_empty() {
                    want.extend(map.range::<[u8], _>(range.bounds()).map(|(k, v)| (k.clone(), v.clone())));
                }
                if back {
                    want.reverse();
                }
                want.truncate(max);
                let found = rows(&engine, &range, max, back);
                assert!(found == want, "seed {seed} step {step} {range:?} back {back}");
            }
        }
    }
    let all: Rows = map.into_iter().collect();
    assert!(rows(&engine, &Range::prefix(b""), usize::MAX, false) == all, "seed {seed}");
}

#[test]
fn memory_behaves_like_a_map() {
    for seed in 0..10 {
        behaves_like_a_map(seed, Memory::default(), |engine, _| engine);
    }
}

#[test]
fn buffered_behaves_like_a_map_while_it_is_brought_down() {
    for seed in 0..10 {
        let engine = Buffered::over(Box::new(Memory::default())).unwrap();
        behaves_like_a_map(seed, engine, |engine, _| {
            engine.flush().unwrap();
            engine
        });
    }
}

/// An engine that a test can look into from outside, and make fail.
#[derive(Clone, Default)]
struct Below {
    rows: Arc<Memory>,
    fails: Arc<AtomicBool>,
}

impl Engine for Below {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rows.get(key)
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.rows.scan(range, visit)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.rows.scan_back(range, visit)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::Engine("as the test wants it".to_owned()));
        }
        self.rows.apply(batch)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn tidy(&self, _: &dyn Fn() -> bool) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// What is below at any moment: while the mark is there, so is all that came before it.
#[test]
fn the_mark_comes_last() {
    let below = Below::default();
    let engine = Buffered::over(Box::new(below.clone())).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let Some(mark) = below.get(b"a mark").unwrap() else { continue };
                let mark = u32::from_be_bytes(mark.try_into().unwrap());
                for n in (0..1_000).filter(|n| *n <= mark) {
                    let row = below.get(&[&b"row "[..], &n.to_be_bytes()].concat()).unwrap();
                    let written = u32::from_be_bytes(row.unwrap().try_into().unwrap());
                    // Row n is written by every thousandth batch.
                    assert!(written % 1_000 == n && written + 1_000 > mark, "{n}: {written} under {mark}");
                }
            }
        });
        for n in 0..20_000u32 {
            let mut batch = Batch::default();
            batch.put([&b"row "[..], &(n % 1_000).to_be_bytes()].concat(), n.to_be_bytes());
            batch.mark(*b"a mark", n.to_be_bytes());
            engine.apply(batch).unwrap();
            if n % 97 == 0 {
                engine.flush().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    engine.close().unwrap();
    assert_eq!(below.get(b"a mark").unwrap().unwrap(), 19_999u32.to_be_bytes());
}

#[test]
fn what_cannot_be_brought_down_is_said_and_still_read() {
    let below = Below::default();
    below.fails.store(true, Ordering::Relaxed);
    let engine = Buffered::over(Box::new(below)).unwrap();
    put(&engine, &[(b"a", b"1")]);
    assert!(engine.flush().is_err());
    let mut batch = Batch::default();
    batch.put(*b"b", *b"2");
    assert!(engine.apply(batch).is_err());
    assert!(engine.close().is_err());
    assert_eq!(engine.get(b"a").unwrap().unwrap(), b"1");
    assert_eq!(keys(&engine, &Range::prefix(b""), 9, true), vec![b"a".to_vec()]);
}

#[test]
fn sled_behaves_like_a_map_through_reopening_and_rewriting() {
    for seed in 0..5 {
        let scratch = Scratch::new();
        let open = || Sled::open(&scratch.0, 8 << 20).unwrap();
        behaves_like_a_map(seed, open(), |engine, random| {
            match random.below(4) {
                0 => engine.flush().unwrap(),
                1 => assert!(engine.rewrite(&|| false).unwrap()),
                2 => {
                    // Stopped somewhere; what is left of it must not be seen.
                    let left = Cell::new(random.below(4));
                    engine.rewrite(&|| left.replace(left.get().saturating_sub(1)) == 0).unwrap();
                }
                _ => {
                    if random.below(2) == 0 {
                        engine.close().unwrap();
                    }
                    drop(engine);
                    return open();
                }
            }
            engine
        });
    }
}
