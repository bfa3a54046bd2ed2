//! Durable puts of 4 KiB beside the floor, which does what no engine can do without: it hashes
//! each body and appends it to one file, one sync for all that wait.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};
use tokio::sync::oneshot;

use crate::Scale;
use crate::measure::{Spread, Turn, each, rest, turn};
use crate::subject::{self, key, name};

const BODY_BYTES: usize = 4096;
const WRITERS: [usize; 2] = [32, 1];
/// They take turns so often in a round, because what else runs, and how long a sync takes, is
/// different a second later.
const SLICES: u64 = 20;
/// As the engine's journal, for few writers.
const FILL_AHEAD: u64 = 1 << 20;

#[derive(Clone)]
struct Floor(mpsc::Sender<(Bytes, oneshot::Sender<()>)>);

impl Floor {
    fn begin(log: Log) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || append(log, &receiver));
        Self(sender)
    }

    async fn put(&self, body: Bytes) {
        black_box((Md5::digest(&body), crc_fast::checksum(CrcAlgorithm::Crc64Xz, &body)));
        let (done, written) = oneshot::channel();
        self.0.send((body, done)).unwrap();
        written.await.unwrap();
    }

    async fn turn(&self, writers: usize, count: u64, body: &Bytes) -> Turn {
        let (floor, body) = (self.clone(), body.clone());
        turn(writers, count, move |_| {
            let (floor, body) = (floor.clone(), body.clone());
            async move { floor.put(body).await }
        })
        .await
    }
}

/// The file that a floor appends to.
struct Log {
    file: File,
    end: u64,
    /// It has so many bytes, of which those after `end` are zeros.
    filled: u64,
    /// Filled ahead by so many. A sync within a file's length has less to write than one that
    /// makes it longer, which counts when few share it.
    ahead: u64,
}

impl Log {
    fn new(path: &Path, ahead: u64) -> Self {
        Self { file: File::create(path).unwrap(), end: 0, filled: 0, ahead }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.file.write_all_at(bytes, self.end).unwrap();
        self.end += bytes.len() as u64;
        if self.ahead > 0 && self.end > self.filled {
            self.file.write_all_at(&vec![0; self.ahead as usize], self.end).unwrap();
            self.filled = self.end + self.ahead;
        }
        self.file.sync_data().unwrap();
    }
}

/// Writes whatever waits, syncs once, tells everybody.
fn append(mut log: Log, waiting: &mpsc::Receiver<(Bytes, oneshot::Sender<()>)>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let bodies: Vec<&[u8]> = group.iter().map(|(body, _)| &body[..]).collect();
        log.append(&bodies.concat());
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}

/// What each has done in one round.
struct Round {
    engine: Turn,
    /// Processor time that the engine took when its turns were over.
    later: Duration,
    floor: Turn,
    filled: Turn,
}

pub(crate) async fn run(dir: &Path, scale: &Scale) {
    std::fs::create_dir_all(dir).unwrap();
    let store = subject::open(&dir.join("store"));
    let bucket = name("bucket");
    subject::create(&store, &bucket).await;
    let floor = Floor::begin(Log::new(&dir.join("appended"), 0));
    let filled = Floor::begin(Log::new(&dir.join("filled"), FILL_AHEAD));
    let body = Bytes::from(vec![7; BODY_BYTES]);
    let mut rounds: [Vec<Round>; 2] = Default::default();
    for round in 0..scale.rounds {
        for (at, writers) in WRITERS.into_iter().enumerate() {
            let (mut engine, mut of_floor, mut of_filled) = (Turn::NONE, Turn::NONE, Turn::NONE);
            for slice in 0..SLICES {
                let count = scale.puts[at] / SLICES;
                of_floor = of_floor.and(floor.turn(writers, count, &body).await);
                let (store, bucket, again) = (store.clone(), bucket.clone(), body.clone());
                let put = move |n| {
                    let (store, bucket, body) = (store.clone(), bucket.clone(), again.clone());
                    let key = key(format!("{writers}/{round}/{slice}/{n:09}"));
                    async move { subject::put(&store, &bucket, key, &[body]).await }
                };
                engine = engine.and(turn(writers, count, put).await);
                of_filled = of_filled.and(filled.turn(writers, count, &body).await);
            }
            let one = Round { engine, later: rest().await, floor: of_floor, filled: of_filled };
            println!(
                "  {writers:2} writing, round {}: engine {:6.0} /s, floor {:6.0}, filled ahead {:6.0}; ratios {:.2} {:.2}",
                round + 1,
                one.engine.rate(),
                one.floor.rate(),
                one.filled.rate(),
                one.engine.rate() / one.floor.rate(),
                one.engine.rate() / one.filled.rate(),
            );
            rounds[at].push(one);
        }
    }
    for (rounds, writers) in rounds.iter().zip(WRITERS) {
        let spread = |of: fn(&Round) -> f64| Spread::of(rounds.iter().map(of));
        println!(
            "  {writers:2} writing: {:.2} of the floor, {:.2} of one filled ahead [>= 0.70]",
            spread(|one| one.engine.rate() / one.floor.rate()),
            spread(|one| one.engine.rate() / one.filled.rate()),
        );
        println!(
            "     processor time each: engine {:.1} us and {:.1} when all is put; floor {:.1}, filled ahead {:.1}",
            spread(|one| one.engine.used_each()),
            spread(|one| each(one.later, one.engine.count)),
            spread(|one| one.floor.used_each()),
            spread(|one| one.filled.used_each()),
        );
    }
    store.close().await.unwrap();
}
