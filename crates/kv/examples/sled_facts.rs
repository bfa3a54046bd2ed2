//! What the engine costs, measured through the crate's own interface.
//!
//! `cargo run --release -p cosette-kv --example sled_facts DIR [growth|rewrite|memory|open|scan|crash]`
//!
//! `DIR` must not exist; it is removed at the end. Memory, open times and crashes are measured in
//! child processes of the same program. A killed process leaves the system's page cache alone, so
//! `crash` says nothing about power loss.
//!
//! `growth` calls `tidy` with each flush, as the store does at its checkpoints; the last column is
//! what is above the 64 MiB that are always granted, and must stay at 4. `rewrite` says what a
//! rewrite costs for each row (in microseconds of processor time) and those who write meanwhile.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use cosette_kv::{Batch, Engine, Range, open};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const MIB: u64 = 1 << 20;
const KEY_BYTES: u64 = 40;
const VALUE_BYTES: u64 = 250;
const ROW_BYTES: u64 = KEY_BYTES + VALUE_BYTES;
const BATCH_ROWS: u64 = 50;
const FLUSH_ROWS: u64 = 15_000;
const MANY: u64 = 1_000_000;
/// What an index may take whatever lives in it.
const FLOOR: u64 = 64 * MIB;

fn main() -> Outcome {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["child", what, dir, ref rest @ ..] => {
            let numbers = rest.iter().map(|n| n.parse()).collect::<Result<Vec<u64>, _>>()?;
            child(what, Path::new(dir), &numbers)
        }
        [dir] => measure(Path::new(dir), &["growth", "rewrite", "memory", "open", "scan", "crash"]),
        [dir, what] => measure(Path::new(dir), &[what]),
        _ => Err("usage: sled_facts DIR [growth|rewrite|memory|open|scan|crash]".into()),
    }
}

fn measure(dir: &Path, parts: &[&str]) -> Outcome {
    fs::create_dir(dir)?;
    for part in parts {
        match *part {
            "growth" => {
                overwrites(&dir.join("overwrites"))?;
                hot_and_cold(&dir.join("hot-10"), 10)?;
                hot_and_cold(&dir.join("hot-100"), 100)?;
                moving_log(&dir.join("log"))?;
            }
            "rewrite" => rewrite(&dir.join("rewrite"))?,
            "memory" => memory(dir)?,
            "open" => opening(dir)?,
            "scan" => reading(dir)?,
            "crash" => crash(&dir.join("crash"))?,
            _ => return Err(format!("no such part: {part}").into()),
        }
    }
    Ok(fs::remove_dir_all(dir)?)
}

// --- 1. growth ---

/// The same rows over and over, in random order.
fn overwrites(dir: &Path) -> Outcome {
    const ROWS: u64 = 100_000;
    println!("\ngrowth: {ROWS} rows overwritten in random order");
    println!("{:>12} {:>10} {:>8} {:>8} {:>8}", "round", "MiB", "x live", "seconds", "above");
    let report = |name: &str, began: Instant| -> Outcome {
        let size = dir_bytes(dir)?;
        grown(name, size, ROWS * ROW_BYTES, began);
        Ok(())
    };
    let mut random = Random(1);
    let db = open(dir, 32 * MIB)?;
    for round in 0..=10 {
        let began = Instant::now();
        let mut order: Vec<u64> = (0..ROWS).collect();
        random.shuffle(&mut order);
        put_rows(&*db, order.into_iter(), &mut random)?;
        report(&round.to_string(), began)?;
    }
    db.close()?;
    drop(db);
    report("closed", Instant::now())?;
    for name in ["reopened", "and again"] {
        let began = Instant::now();
        drop(open(dir, 32 * MIB)?);
        report(name, began)?;
    }
    Ok(())
}

/// One row in `every` is new and stays; the others overwrite a thousand rows.
fn hot_and_cold(dir: &Path, every: u64) -> Outcome {
    const HOT: u64 = 1000;
    println!("\ngrowth: one row in {every} is new, the others overwrite {HOT} rows");
    println!("{:>12} {:>10} {:>8} {:>8} {:>8}", "rows put", "MiB", "x live", "seconds", "above");
    let mut random = Random(6);
    let mut cold: Vec<u64> = (HOT..HOT + MANY / every).collect();
    random.shuffle(&mut cold);
    let db = open(dir, 32 * MIB)?;
    let began = Instant::now();
    for round in 1..=10 {
        let rows: Vec<u64> = (0..MANY / 10)
            .map(|n| if n % every == 0 { cold.pop().unwrap_or(0) } else { random.below(HOT) })
            .collect();
        put_rows(&*db, rows.into_iter(), &mut random)?;
        let put = round * MANY / 10;
        let size = dir_bytes(dir)?;
        grown(&put.to_string(), size, (put / every + HOT) * ROW_BYTES, began);
    }
    db.close()?;
    drop(db);
    println!("{:>12} {:>10.1}", "closed", mib(dir_bytes(dir)?));
    drop(open(dir, 32 * MIB)?);
    println!("{:>12} {:>10.1}", "reopened", mib(dir_bytes(dir)?));
    Ok(())
}

/// Rows put at the end and deleted at the front.
fn moving_log(dir: &Path) -> Outcome {
    const KEPT: u64 = 60_000;
    println!("\ngrowth: a log of {KEPT} rows that moves forward");
    println!("{:>12} {:>10} {:>8} {:>8} {:>8}", "rows put", "MiB", "x live", "seconds", "above");
    let mut random = Random(2);
    let db = open(dir, 32 * MIB)?;
    let began = Instant::now();
    for first in (0..MANY).step_by(BATCH_ROWS as usize) {
        let mut batch = Batch::default();
        for n in first..first + BATCH_ROWS {
            batch.put(key(n), value(&mut random));
            if let Some(old) = n.checked_sub(KEPT) {
                batch.delete(key(old));
            }
        }
        db.apply(batch)?;
        let put = first + BATCH_ROWS;
        if put.is_multiple_of(FLUSH_ROWS) {
            db.flush()?;
            db.tidy(&|| false)?;
        }
        if put.is_multiple_of(100_000) {
            let size = dir_bytes(dir)?;
            grown(&put.to_string(), size, put.min(KEPT) * ROW_BYTES, began);
        }
    }
    db.close()?;
    drop(db);
    println!("{:>12} {:>10.1}", "closed", mib(dir_bytes(dir)?));
    drop(open(dir, 32 * MIB)?);
    println!("{:>12} {:>10.1}", "reopened", mib(dir_bytes(dir)?));
    Ok(())
}

fn grown(name: &str, size: u64, live: u64, began: Instant) {
    let (ratio, above) = (size as f64 / live as f64, size.saturating_sub(FLOOR) as f64 / live as f64);
    let seconds = began.elapsed().as_secs_f64();
    println!("{name:>12} {:>10.1} {ratio:>8.2} {seconds:>8.1} {above:>8.2}", mib(size));
}

// --- 2. rewriting under load ---

/// Lets an index grow until a rewrite is due, and has it done: while nobody writes, while another
/// thread writes a batch a millisecond, and while that writes as fast as it can.
fn rewrite(dir: &Path) -> Outcome {
    const ROWS: u64 = 300_000;
    println!("\nrewrite: {ROWS} rows; and what a batch of {BATCH_ROWS} took, in microseconds");
    println!(
        "{:>12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "meanwhile", "MiB", "after", "seconds", "cpu/row", "batches", "median", "1 in 100", "longest"
    );
    let db = open(dir, 32 * MIB)?;
    put_rows(&*db, 0..ROWS, &mut Random(7))?;
    let random = &mut Random(8);
    let times = |mut took: Vec<f64>| {
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
        let at = |share: usize| at(share).copied().unwrap_or(0.0);
        format!("{:>8} {:>8.0} {:>8.0} {:>8.0}", took.len(), at(50), at(99), at(100))
    };
    for (name, pause) in [
        ("idle", None),
        ("some writes", Some(Duration::from_millis(1))),
        ("only writes", Some(Duration::ZERO)),
    ] {
        let mut took = Vec::new();
        while dir_bytes(dir)? <= 5 * ROWS * ROW_BYTES + FLOOR {
            for _ in 0..500 {
                took.push(overwrite(&*db, ROWS, random)?);
            }
        }
        println!("{:>12} {:>35} {}", "no rewrite", "", times(took));
        db.flush()?;
        let (before, done) = (dir_bytes(dir)?, AtomicBool::new(false));
        let (seconds, worked, took) = thread::scope(|scope| -> Outcome<_> {
            let writer = scope.spawn(|| -> Result<Vec<f64>, cosette_kv::Error> {
                let mut took = Vec::new();
                while let Some(pause) = pause
                    && !done.load(Ordering::Relaxed)
                {
                    took.push(overwrite(&*db, ROWS, random)?);
                    thread::sleep(pause);
                }
                Ok(took)
            });
            let (began, worked) = (Instant::now(), cpu_ms()?);
            let tidied = db.tidy(&|| false);
            let (seconds, worked) = (began.elapsed().as_secs_f64(), cpu_ms()? - worked);
            done.store(true, Ordering::Relaxed);
            tidied?;
            Ok((seconds, worked, writer.join().map_err(|_| "the writer panicked")??))
        })?;
        let (before, after) = (mib(before), mib(dir_bytes(dir)?));
        let row = worked as f64 * 1e3 / ROWS as f64;
        println!("{name:>12} {before:>8.1} {after:>8.1} {seconds:>8.2} {row:>8.2} {}", times(took));
    }
    Ok(())
}

/// A batch, mostly of a thousand rows that are written all the time; how many microseconds it took.
fn overwrite(db: &dyn Engine, rows: u64, random: &mut Random) -> Result<f64, cosette_kv::Error> {
    let mut batch = Batch::default();
    for _ in 0..BATCH_ROWS {
        let among = if random.below(20) == 0 { rows } else { 1000 };
        let n = random.below(among);
        batch.put(key(n), value(random));
    }
    let began = Instant::now();
    db.apply(batch)?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

// --- 3. memory ---

fn memory(dir: &Path) -> Outcome {
    println!("\nmemory: {MANY} rows, MiB resident (and peak)");
    for cache in [8, 32, 64] {
        let store = dir.join(format!("memory-{cache}"));
        for what in ["load", "gets", "idle"] {
            let said = run(what, &store, &[cache * MIB, MANY])?;
            println!("{:>12} {what:>6} {said}", format!("cache {cache}"));
        }
        fs::remove_dir_all(store)?;
    }
    Ok(())
}

// --- 4. opening ---

fn opening(dir: &Path) -> Outcome {
    println!("\nopening {MANY} rows: each time on a fresh copy, then once more");
    let kept = dir.join("kept");
    for what in ["load", "load-killed", "more-killed"] {
        if what == "more-killed" {
            drop(open(&kept, 32 * MIB)?);
        } else if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        run(what, &kept, &[32 * MIB, MANY])?;
        for name in ["first", "again"] {
            let mut walls = Vec::new();
            for _ in 0..5 {
                let copy = dir.join("copy");
                copy_dir(&kept, &copy)?;
                if name == "again" {
                    run("idle", &copy, &[32 * MIB])?;
                }
                walls.push(run("idle", &copy, &[32 * MIB])?);
                fs::remove_dir_all(copy)?;
            }
            walls.sort();
            println!("{what:>12} {name:>6} least {}", walls[0]);
            println!("{:>12} {:>6}   mid {}", "", "", walls[walls.len() / 2]);
        }
    }
    Ok(fs::remove_dir_all(kept)?)
}

// --- 5. reading ---

fn reading(dir: &Path) -> Outcome {
    println!("\nreading, microseconds");
    println!("{:>10} {:>10} {:>10} {:>10} {:>10}", "rows", "cache MiB", "scan 1000", "scan 1", "get");
    for rows in [10_000, MANY] {
        let store = dir.join(format!("reading-{rows}"));
        run("load", &store, &[32 * MIB, rows])?;
        for cache in [32, 64, 1024] {
            let db = open(&store, cache * MIB)?;
            let mut random = Random(4);
            let mut scan = |times: u64, page: u64| -> Outcome<f64> {
                let began = Instant::now();
                for _ in 0..times {
                    let from = Bound::Included(key(random.below(rows - page)));
                    let mut left = page;
                    db.scan(&Range { from, to: Bound::Unbounded }, &mut |_, _| {
                        left -= 1;
                        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })?;
                    assert_eq!(left, 0, "a page came out short");
                }
                Ok(began.elapsed().as_secs_f64() * 1e6 / times as f64)
            };
            scan(2_000, 1000)?;
            let (thousand, one) = (scan(500, 1000)?, scan(20_000, 1)?);
            random_gets(&*db, rows, 200_000)?;
            let get = random_gets(&*db, rows, 200_000)?;
            println!("{rows:>10} {cache:>10} {thousand:>10.1} {one:>10.2} {get:>10.2}");
        }
        fs::remove_dir_all(store)?;
    }
    Ok(())
}

// --- 6. crashes ---

const SLOTS: u64 = 20_000;

/// The `n`th write of all: which slot it goes to, and whether it puts `n` there or deletes it.
fn write_of(n: u64) -> (u64, bool) {
    let mut random = Random(n ^ 0x5eed);
    (random.below(SLOTS), random.below(8) != 0)
}

fn crash(dir: &Path) -> Outcome {
    const ROUNDS: u64 = 20;
    println!("\ncrash: {ROUNDS} times killed while writing");
    println!("{:>6} {:>10} {:>10} {:>10}  result", "round", "announced", "flushed", "found");
    let mut random = Random(u64::from(std::process::id()));
    let mut from = 0;
    for round in 1..=ROUNDS {
        let mut writer = spawn("write", dir, &[from])?;
        let stop = Duration::from_millis(50 + random.below(2500));
        let said = BufReader::new(writer.stdout.take().ok_or("no pipe")?);
        let reader = thread::spawn(move || {
            let mut last = (0, 0);
            for line in said.lines().map_while(Result::ok) {
                match line.split_once(' ').map(|(what, n)| (what, n.parse().unwrap_or(0))) {
                    Some(("applied", n)) => last.0 = n,
                    Some(("flushed", n)) => last.1 = n,
                    _ => eprintln!("the writer says: {line}"),
                }
            }
            last
        });
        thread::sleep(stop);
        let early = writer.try_wait()?;
        writer.kill()?;
        writer.wait()?;
        let (applied, flushed) = reader.join().map_err(|_| "the reader panicked")?;
        if let Some(status) = early {
            println!("{round:>6} {applied:>10} {flushed:>10} {:>10}  THE WRITER FAILED: {status}", "");
            return Ok(());
        }
        let said = run("check", dir, &[from])?;
        let Some(found) = said.strip_prefix("beginning ").and_then(|n| n.parse::<u64>().ok()) else {
            println!("{round:>6} {applied:>10} {flushed:>10} {:>10}  VIOLATION: {said}", "");
            return Ok(());
        };
        let result =
            if found < flushed.max(from) { "VIOLATION: flushed rows are lost" } else { "a beginning" };
        println!("{round:>6} {applied:>10} {flushed:>10} {found:>10}  {result}");
        from = found;
    }
    println!("{:>6} {:.1} MiB for {SLOTS} slots", "size", mib(dir_bytes(dir)?));
    // What is left when a process dies, or the disk is full, while sled writes its snapshot in `open`.
    for generation in fs::read_dir(dir)? {
        fs::write(generation?.path().join("snap.7FFFFFFFFFFFFFFF.generating"), "torn")?;
    }
    let result = if run("check", dir, &[0]).is_ok() { "opens" } else { "VIOLATION: does not open" };
    println!("{:>6} with a half-written snapshot the store {result}", "torn");
    Ok(())
}

/// How many writes, from the first on, make what is in the store.
fn check(db: &dyn Engine) -> Outcome<String> {
    let mut found = BTreeMap::new();
    db.scan(&Range::prefix(b""), &mut |key, value| {
        let n = value.get(..8).and_then(|n| n.try_into().ok()).map_or(u64::MAX, u64::from_be_bytes);
        found.insert(key.to_vec(), n);
        ControlFlow::Continue(())
    })?;
    let mut made = BTreeMap::new();
    let puts = found.values().max().map_or(0, |last| last + 1);
    let mut n = 0;
    loop {
        if n >= puts && made == found {
            // Deletes that follow and change nothing may or may not be there.
            while matches!(write_of(n), (slot, false) if !made.contains_key(&key(slot))) {
                n += 1;
            }
            return Ok(format!("beginning {n}"));
        }
        match write_of(n) {
            (slot, true) if n < puts => made.insert(key(slot), n),
            (slot, false) => made.remove(&key(slot)),
            _ => break,
        };
        n += 1;
    }
    let differ = found.iter().filter(|(key, n)| made.get(*key) != Some(n)).count();
    let missing = made.keys().filter(|key| !found.contains_key(*key)).count();
    Ok(format!("of {puts} writes {missing} rows are missing and {differ} are older or should be gone"))
}

// --- the child processes ---

fn child(what: &str, dir: &Path, numbers: &[u64]) -> Outcome {
    let cache = if matches!(what, "write" | "check") { 8 * MIB } else { numbers[0] };
    let (began, worked) = (Instant::now(), cpu_ms()?);
    let db = open(dir, cache)?;
    let opened = began.elapsed();
    let mut random = Random(3);
    match what {
        "idle" => {
            let worked = cpu_ms()? - worked;
            thread::sleep(Duration::from_millis(200));
            let wall = opened.as_secs_f64() * 1e3;
            println!("{wall:>8.1} ms to open, {worked:>5} ms of processor, {}", resident()?);
        }
        "load" | "load-killed" => {
            put_rows(&*db, 0..numbers[1], &mut random)?;
            println!("{}", resident()?);
            if what == "load" {
                db.close()?;
            }
        }
        "more-killed" => {
            let some: Vec<u64> = (0..FLUSH_ROWS).map(|_| random.below(numbers[1])).collect();
            put_rows(&*db, some.into_iter(), &mut random)?;
            println!("{}", resident()?);
        }
        "gets" => {
            let get = random_gets(&*db, numbers[1], 200_000)?;
            println!("{}, {get:.1} us each", resident()?);
        }
        "check" => println!("{}", check(&*db)?),
        "write" => {
            for first in (numbers[0]..).step_by(BATCH_ROWS as usize) {
                let mut batch = Batch::default();
                for n in first..first + BATCH_ROWS {
                    let (slot, put) = write_of(n);
                    if put {
                        let mut value = value(&mut random);
                        value[..8].copy_from_slice(&n.to_be_bytes());
                        batch.put(key(slot), value);
                    } else {
                        batch.delete(key(slot));
                    }
                }
                db.apply(batch)?;
                println!("applied {}", first + BATCH_ROWS);
                if random.below(30) == 0 {
                    db.flush()?;
                    db.tidy(&|| false)?;
                    println!("flushed {}", first + BATCH_ROWS);
                }
            }
        }
        _ => return Err(format!("no such child: {what}").into()),
    }
    if what.ends_with("-killed") {
        Command::new("kill").args(["-9", &std::process::id().to_string()]).status()?;
    }
    Ok(())
}

fn spawn(what: &str, dir: &Path, numbers: &[u64]) -> Outcome<std::process::Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["child", what]).arg(dir).args(numbers.iter().map(u64::to_string));
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// What the child had to say.
fn run(what: &str, dir: &Path, numbers: &[u64]) -> Outcome<String> {
    let done = spawn(what, dir, numbers)?.wait_with_output()?;
    if !done.status.success() && !what.ends_with("-killed") {
        return Err(format!("the child {what} failed: {}", done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
}

// --- rows and figures ---

/// One byte of kind, eight of bucket, and a name: 40 bytes.
fn key(n: u64) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend(7_u64.to_be_bytes());
    key.extend(format!("photos/2026/summer/{n:08}.jpg").bytes());
    key
}

/// Half of it is random.
fn value(random: &mut Random) -> Vec<u8> {
    let mut value = vec![b'v'; VALUE_BYTES as usize / 2];
    while value.len() < VALUE_BYTES as usize {
        value.extend(random.next().to_be_bytes());
    }
    value.truncate(VALUE_BYTES as usize);
    value
}

/// In batches, with a flush now and then and at the end.
fn put_rows(db: &dyn Engine, rows: impl Iterator<Item = u64>, random: &mut Random) -> Outcome {
    let mut batch = Batch::default();
    for (done, n) in (1..).zip(rows) {
        batch.put(key(n), value(random));
        if done % BATCH_ROWS == 0 {
            db.apply(std::mem::take(&mut batch))?;
        }
        if done % FLUSH_ROWS == 0 {
            db.flush()?;
            db.tidy(&|| false)?;
        }
    }
    db.apply(batch)?;
    Ok(db.flush()?)
}

/// Microseconds for each.
fn random_gets(db: &dyn Engine, rows: u64, times: u64) -> Outcome<f64> {
    let mut random = Random(5);
    let began = Instant::now();
    for _ in 0..times {
        db.get(&key(random.below(rows)))?.ok_or("a row is missing")?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / times as f64)
}

fn resident() -> Outcome<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0) / 1024.0
    };
    Ok(format!("{:>6.1} ({:.1}) MiB", field("VmRSS:"), field("VmHWM:")))
}

/// Processor time of this process, to ten milliseconds.
fn cpu_ms() -> Outcome<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? * 10)
}

fn dir_bytes(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { dir_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

/// Synced, so that the next to open it does not pay for the copy.
fn copy_dir(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::File::open(target)?.sync_all()?;
        }
    }
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn shuffle(&mut self, items: &mut [u64]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}
