//! Random scripts of operations on a store and on a model of it, which must give the same answers
//! at every step, and hold the same after restarts, clean ones and crashes, in the middle.
//!
//! A script that fails is shrunk and printed as it would be written: put it into `scripts`.
//! `COSETTE_MODEL_CASES` runs more of them, `COSETTE_MODEL_SEED` others.

mod aging;
mod compare;
mod listings;
mod model;
mod operations;
mod scripts;
mod sealed;
mod subject;
mod writes;

use std::fmt::Write as _;

use cosette_blob::Disk;
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

pub(super) use self::model::When;
pub(super) use self::operations::{At, Body, Op};
pub(super) use self::sealed::Way;
pub(super) use self::subject::Subject;
use super::{Scratch, quick};
use crate::settings::Settings;

/// Everything happens all the time: a segment is full after a few commits, is moved together as
/// soon as something in it is dead, and every checkpoint may take a snapshot.
pub(super) fn busy() -> Settings {
    Settings {
        small_max: 2_000,
        segment_max: 4_000,
        snapshot_after: 0,
        waste_min: 0,
        waste_percent: 1,
        ..quick()
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run_script(ops: &[Op], on_disk: bool) {
    runtime().block_on(async {
        let mut subject = Subject::closed(on_disk.then(Scratch::new), busy(), Disk::default());
        subject.open().unwrap();
        // Most scripts want a bucket, and shrink better with it.
        subject.apply(&Op::Create(0)).await;
        for op in ops {
            subject.apply(op).await;
        }
        subject.end().await;
    });
}

fn run_scripts(cases: u32, on_disk: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = number("COSETTE_MODEL_CASES").map_or(cases, |cases| cases as u32);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("COSETTE_MODEL_SEED").unwrap_or(1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let run = runner.run(&vec(operations::any_op(), 1..80), |script| {
        run_script(&script, on_disk);
        Ok(())
    });
    if let Err(TestError::Fail(why, script)) = run {
        let lines = script.iter().fold(String::new(), |mut lines, op| {
            let _ = writeln!(lines, "        {op:?},");
            lines
        });
        panic!("{why}\n    run_script(&[\n{lines}    ], {on_disk});");
    }
}

#[test]
fn a_store_in_memory_agrees_with_the_model() {
    run_scripts(800, false);
}

#[test]
fn a_store_on_disk_agrees_with_the_model() {
    run_scripts(100, true);
}
