//! What every engine must do, run on each.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Batch, Engine, Memory, Range, Sled};

/// A directory of its own for each test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
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
}

fn put(engine: &dyn Engine, rows: &[(&[u8], &[u8])]) {
    let mut batch = Batch::default();
    for (key, value) in rows {
        batch.put(*key, *value);
    }
    engine.apply(batch).unwrap();
}

fn keys(engine: &dyn Engine, range: &Range, max: usize, back: bool) -> Vec<Vec<u8>> {
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
