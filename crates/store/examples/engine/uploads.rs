//! 32 large uploads at once, beside what the processors hash and what the disk takes.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::Scale;
use crate::measure::{Spread, memory_mib, turn};
use crate::subject::{self, key, name};

const UPLOADS: usize = 32;
/// As they come from a socket.
const CHUNK_BYTES: usize = 64 << 10;
/// What the floor hashes and writes at once.
const BATCH_BYTES: usize = 512 << 10;

pub(crate) async fn run(dir: &Path, scale: &Scale) {
    std::fs::create_dir_all(dir).unwrap();
    let store = subject::open(&dir.join("store"));
    let bucket = name("bucket");
    subject::create(&store, &bucket).await;
    let body = vec![Bytes::from(vec![7; CHUNK_BYTES]); (scale.upload_mib << 20) / CHUNK_BYTES];
    let megabytes = (UPLOADS * (scale.upload_mib << 20)) as f64 / 1e6;
    let (mut stored, mut hashed, mut written) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak = 0.0;
    for round in 0..scale.rounds.min(3) {
        hashed.push(megabytes / hash(scale));
        let uploaded = turn(UPLOADS, UPLOADS as u64, {
            let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
            move |n| {
                let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
                async move { subject::put(&store, &bucket, key(format!("{round}/{n}")), &body).await }
            }
        })
        .await;
        stored.push(megabytes / uploaded.took.as_secs_f64());
        // The floor's memory is not the engine's.
        if round == 0 {
            peak = memory_mib("VmHWM");
        }
        written.push(megabytes / write(&dir.join("plain"), scale));
        std::fs::remove_dir_all(dir.join("plain")).unwrap();
    }
    let ratios = |beside: &[f64]| Spread::of(stored.iter().zip(beside).map(|(a, b)| a / b));
    println!(
        "  {UPLOADS} uploads of {} MiB: {:.0} MB/s, {peak:.0} MiB resident at most",
        scale.upload_mib,
        Spread::of(stored.clone())
    );
    println!(
        "  one MD5 for each processor: {:.0} MB/s, ratio {:.2}",
        Spread::of(hashed.clone()),
        ratios(&hashed)
    );
    println!(
        "  the same with each body written to a file and synced: {:.0} MB/s, ratio {:.2}",
        Spread::of(written.clone()),
        ratios(&written)
    );
    store.close().await.unwrap();
}

/// Takes numbers below `UPLOADS` on as many threads as there are processors; gives back seconds.
fn on_all_processors(work: impl Fn(usize) + Sync) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= UPLOADS {
                        return;
                    }
                    work(n);
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

fn hash(scale: &Scale) -> f64 {
    let batch = vec![7; BATCH_BYTES];
    on_all_processors(|_| {
        let mut md5 = Md5::new();
        (0..(scale.upload_mib << 20) / BATCH_BYTES).for_each(|_| md5.update(&batch));
        black_box(md5.finalize());
    })
}

fn write(dir: &Path, scale: &Scale) -> f64 {
    std::fs::create_dir_all(dir).unwrap();
    let batch = vec![7; BATCH_BYTES];
    on_all_processors(|n| {
        let mut md5 = Md5::new();
        let mut file = File::create(dir.join(n.to_string())).unwrap();
        for _ in 0..(scale.upload_mib << 20) / BATCH_BYTES {
            md5.update(&batch);
            file.write_all(&batch).unwrap();
        }
        file.sync_all().unwrap();
        black_box(md5.finalize());
    })
}
