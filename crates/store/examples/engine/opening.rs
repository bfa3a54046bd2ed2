//! What a start costs in a store with many objects, and what the process holds of memory then.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cosette_model::ObjectKey;

use crate::Scale;
use crate::measure::{Random, memory_mib, processor, turn};
use crate::subject::{self, LOADERS, key, name};

/// Bodies are short so that the index, and not the disk, is what is measured.
const BODY_BYTES: usize = 100;
/// So many keys before the common prefix that all others have, and as many after it.
pub(crate) const AROUND: u64 = 1_000;

/// The key of object `n` of so many, in the order of a listing.
pub(crate) fn key_of(n: u64, objects: u64) -> ObjectKey {
    if n < AROUND {
        key(format!("before-{n:09}"))
    } else if n < objects - AROUND {
        key(format!("common/{n:09}"))
    } else {
        key(format!("later-{n:09}"))
    }
}

fn body() -> Bytes {
    Bytes::from(vec![7; BODY_BYTES])
}

/// Makes the store, in one bucket, in no order of keys.
pub(crate) async fn fill(dir: &Path, scale: &Scale) {
    let store = subject::open_to_load(dir);
    let bucket = name("many");
    subject::create(&store, &bucket).await;
    let order = std::sync::Arc::new(Random(2).order(scale.objects));
    let objects = scale.objects;
    let filled = turn(LOADERS, objects, {
        let store = store.clone();
        move |n| {
            let (store, bucket, key) = (store.clone(), bucket.clone(), key_of(order[n as usize], objects));
            async move { subject::put(&store, &bucket, key, &[body()]).await }
        }
    })
    .await;
    store.close().await.unwrap();
    println!("  {objects} objects of {BODY_BYTES} bytes put in {:.0} s", filled.took.as_secs_f64());
}

/// Opens it, says how many milliseconds that took, also of processor time, and what is resident,
/// and closes it.
pub(crate) async fn open(dir: &Path) {
    let (began, before) = (Instant::now(), processor());
    let store = subject::open(dir);
    let (took, used) = (began.elapsed(), processor().saturating_sub(before));
    println!("{:.0} {:.0} {:.0}", took.as_secs_f64() * 1e3, used.as_secs_f64() * 1e3, memory_mib("VmRSS"));
    store.close().await.unwrap();
}

/// What is resident after opening, and after many gets of any objects.
pub(crate) async fn resident(dir: &Path, scale: &Scale) {
    let store = subject::open(dir);
    let opened = memory_mib("VmRSS");
    let bucket = name("many");
    let mut random = Random(3);
    let gets = 100_000;
    let began = Instant::now();
    for _ in 0..gets {
        let key = key_of(random.below(scale.objects), scale.objects);
        assert_eq!(subject::get(&store, &bucket, &key).await, BODY_BYTES);
    }
    println!(
        "  resident: {opened:.0} MiB once open; {:.0} MiB, at most {:.0} [< 200], after {gets} gets of any, {:.1} us each",
        memory_mib("VmRSS"),
        memory_mib("VmHWM"),
        began.elapsed().as_secs_f64() * 1e6 / f64::from(gets),
    );
    store.close().await.unwrap();
}

/// Overwrites for a while, then ends in the midst of it as a killed process does.
pub(crate) async fn end(dir: &Path, scale: &Scale) {
    let store = subject::open(dir);
    // What an earlier end has left to do is not to be in the way of this one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let objects = scale.objects;
    let end = Instant::now() + scale.before_end;
    turn(32, u64::MAX, {
        let bucket = name("many");
        move |n| {
            if Instant::now() > end {
                println!("{n}");
                std::process::exit(0);
            }
            let key = key_of(Random(n).below(objects), objects);
            let (store, bucket) = (store.clone(), bucket.clone());
            async move { subject::put(&store, &bucket, key, &[body()]).await }
        }
    })
    .await;
}
