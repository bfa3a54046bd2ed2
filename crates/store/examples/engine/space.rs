//! What the disk holds when the same objects have been overwritten many times.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Scale;
use crate::measure::{Random, disk_bytes, memory_mib, turn};
use crate::subject::{self, key, name};

const BODY_BYTES: usize = 4096;
const PARTS: [&str; 4] = ["journal", "index", "snapshot", "bodies"];

/// The most that the directory took, looked at all the time.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Watch {
    fn begin(dir: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut most = 0;
                while !stop.load(Ordering::Relaxed) {
                    most = most.max(disk_bytes(&dir));
                    std::thread::sleep(Duration::from_millis(200));
                }
                most
            }
        });
        Self { stop, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

pub(crate) async fn run(dir: &Path, scale: &Scale) {
    let store = subject::open(dir);
    let bucket = name("bucket");
    subject::create(&store, &bucket).await;
    let live = scale.overwritten * BODY_BYTES as u64;
    let body = Bytes::from(vec![7; BODY_BYTES]);
    let mut random = Random(5);
    let began = Instant::now();
    let mut watch = None;
    for time in 0..=scale.times {
        let order = Arc::new(random.order(scale.overwritten));
        turn(32, scale.overwritten, {
            let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
            move |n| {
                let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
                let key = key(format!("objects/{:09}", order[n as usize]));
                async move { subject::put(&store, &bucket, key, &[body]).await }
            }
        })
        .await;
        if time == 0 {
            show("put once", dir, live);
            watch = Some(Watch::begin(dir.to_owned()));
        }
    }
    let puts = scale.overwritten * (scale.times + 1);
    let rate = puts as f64 / began.elapsed().as_secs_f64();
    show(&format!("overwritten {} times", scale.times), dir, live);
    let waited = settle(dir, scale).await;
    let most = watch.map_or(0, Watch::end);
    show(&format!("{waited:.0} s later"), dir, live);
    println!(
        "  most at any time since put once {:.2} [< 2.0]; {rate:.0} puts/s, {:.0} MiB resident at most",
        most as f64 / live as f64,
        memory_mib("VmHWM"),
    );
    let began = Instant::now();
    store.close().await.unwrap();
    show(&format!("closed, in {:.1} s", began.elapsed().as_secs_f64()), dir, live);
}

/// Waits until the directory keeps its size; gives back after how many seconds it last changed.
async fn settle(dir: &Path, scale: &Scale) -> f64 {
    let began = Instant::now();
    let (mut bytes, mut since) = (disk_bytes(dir), began);
    while since.elapsed() < scale.settled && began.elapsed() < scale.settled_max {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = disk_bytes(dir);
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    (since - began).as_secs_f64()
}

fn show(when: &str, dir: &Path, live: u64) {
    let parts: Vec<String> =
        PARTS.iter().map(|part| format!("{part} {} MiB", disk_bytes(&dir.join(part)) >> 20)).collect();
    println!(
        "  {when}: {:.2} of what lives [< 2.0] ({})",
        disk_bytes(dir) as f64 / live as f64,
        parts.join(", ")
    );
}
