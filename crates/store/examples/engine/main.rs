//! The engine by itself, each figure beside what it is to be compared with: `scripts/bench engine`
//! runs it, one subcommand a process, so that what a process takes is its own. Not a test: a
//! figure that is missed fails nothing.
//!
//! usage: `engine WHAT DIR full|quick ROUNDS`
#![allow(clippy::unwrap_used)]

mod listings;
mod measure;
mod opening;
mod puts;
mod reads;
mod space;
mod subject;
mod uploads;

use std::path::PathBuf;
use std::time::Duration;

/// How much of everything there is.
struct Scale {
    rounds: usize,
    /// Puts in one turn of 32 writers, and of one.
    puts: [u64; 2],
    /// Gets and heads in one turn.
    gets: u64,
    /// Objects in the store that is opened and whose large bucket is listed.
    objects: u64,
    /// Versions of one key that are not current.
    versions: u64,
    /// How many pages of each kind are listed.
    pages: u64,
    /// For how long is written before a process ends without closing.
    before_end: Duration,
    /// Objects that are overwritten, and how often.
    overwritten: u64,
    times: u64,
    /// Each of 32 uploads, in MiB.
    upload_mib: usize,
    /// A directory that has kept its size for so long counts as settled.
    settled: Duration,
    settled_max: Duration,
}

impl Scale {
    fn new(name: &str, rounds: usize) -> Self {
        let seconds = Duration::from_secs;
        match name {
            "quick" => Self {
                rounds,
                puts: [8_000, 500],
                gets: 20_000,
                objects: 50_000,
                versions: 20_000,
                pages: 40,
                before_end: seconds(1),
                overwritten: 5_000,
                times: 5,
                upload_mib: 8,
                settled: seconds(6),
                settled_max: seconds(15),
            },
            _ => Self {
                rounds,
                puts: [32_000, 2_000],
                gets: 100_000,
                objects: 1_000_000,
                versions: 1_000_000,
                pages: 200,
                // Just less than what makes a checkpoint due.
                before_end: seconds(4),
                overwritten: 100_000,
                times: 10,
                upload_mib: 64,
                settled: seconds(20),
                settled_max: seconds(120),
            },
        }
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, dir, scale, rounds] = args.as_slice() else {
        eprintln!("usage: engine WHAT DIR full|quick ROUNDS");
        std::process::exit(2);
    };
    let (dir, scale) = (PathBuf::from(dir), Scale::new(scale, rounds.parse().unwrap()));
    match what.as_str() {
        "puts" => puts::run(&dir, &scale).await,
        "reads" => reads::run(&dir, &scale).await,
        "fill" => opening::fill(&dir, &scale).await,
        "open" => opening::open(&dir).await,
        "resident" => opening::resident(&dir, &scale).await,
        "end" => opening::end(&dir, &scale).await,
        "listings" => listings::run(&dir, &scale).await,
        "space" => space::run(&dir, &scale).await,
        "uploads" => uploads::run(&dir, &scale).await,
        other => {
            eprintln!("engine: there is nothing called {other}");
            std::process::exit(2);
        }
    }
}
