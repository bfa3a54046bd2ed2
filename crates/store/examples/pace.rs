//! How fast the engine is by itself: `cargo run --release -p cosette-store --example pace [DIR]`.
//! Prints operations a second and processor time for each; not a test, nothing is compared.
#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::op::{Listing, Owner, WriteConditions};
use cosette_model::{Attributes, BucketName, Cause, ObjectKey, Region, Wanted};
use cosette_store::{DeleteObject, Durability, Options, PutObject, Store};

fn bucket() -> BucketName {
    BucketName::new("bucket").unwrap()
}

fn key(n: u64) -> ObjectKey {
    ObjectKey::new(format!("objects/{n:09}")).unwrap()
}

async fn put(store: &Store, n: u64, body: &[Bytes]) {
    let mut staged = store.stage(None, Wanted::default()).unwrap();
    for chunk in body {
        staged.write(chunk.clone()).await.unwrap();
    }
    let put = PutObject {
        bucket: bucket(),
        key: key(n),
        attributes: Attributes { content_type: Some("text/plain".to_owned()), ..Attributes::default() },
        properties: Default::default(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        body: staged.seal().await.unwrap(),
        cause: Cause { request_id: "NWQxMjM0NTZfMTIzNDU2Nzg5".to_owned(), ..Cause::default() },
    };
    store.put_object(put).await.unwrap();
}

async fn get(store: &Store, n: u64) {
    let object = store.object(&bucket(), &key(n), None).unwrap();
    let mut stream = store.read(&bucket(), &key(n), &object, None).unwrap();
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        chunk.unwrap();
    }
}

/// Processor time of this process so far, in all its threads.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // The kernel counts in hundredths of a second towards user space.
    Duration::from_millis(ticks * 10)
}

fn resident_mib() -> u64 {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0);
    (pages * 4096) >> 20
}

async fn measure<F, W>(what: &str, workers: u64, each: u64, bytes: u64, work: W)
where
    W: Fn(u64) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (began, before) = (Instant::now(), processor());
    let tasks: Vec<_> = (0..workers).map(|worker| tokio::spawn(work(worker))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (took, used) = (began.elapsed(), processor() - before);
    let count = workers * each;
    println!(
        "{what:34} {:9.0} /s {:8.1} us cpu each {:8.1} MB/s   {} MiB resident",
        count as f64 / took.as_secs_f64(),
        used.as_micros() as f64 / count as f64,
        (count * bytes) as f64 / took.as_secs_f64() / 1e6,
        resident_mib(),
    );
}

#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).map(PathBuf::from);
    let options = Options { dir: dir.clone(), durability: Durability::Strict, cache_bytes: 32 << 20 };
    let began = Instant::now();
    let store = Store::open(options.clone(), Clock::real()).unwrap();
    println!("opened in {:?}, {} MiB resident", began.elapsed(), resident_mib());
    if store.bucket(&bucket()).unwrap().is_none() {
        let region = Region::new("ap-guangzhou").unwrap();
        store.create_bucket(bucket(), region, Owner::default(), Cause::default()).await.unwrap();
    }
    let small = vec![Bytes::from(vec![7; 4096])];
    for (workers, each) in [(1, 2_000), (32, 2_000), (32, 2_000)] {
        measure(&format!("put 4 KiB, {workers} writers"), workers, each, 4096, |worker| {
            let (store, small) = (store.clone(), small.clone());
            async move {
                for n in 0..each {
                    put(&store, worker * each + n, &small).await;
                }
            }
        })
        .await;
    }
    measure("get 4 KiB, 32 readers", 32, 5_000, 4096, |worker| {
        let store = store.clone();
        async move {
            for n in 0..5_000 {
                get(&store, (worker * 5_000 + n) % 64_000).await;
            }
        }
    })
    .await;
    measure("head, 32 readers", 32, 5_000, 0, |worker| {
        let store = store.clone();
        async move {
            for n in 0..5_000 {
                store.object(&bucket(), &key((worker * 5_000 + n) % 64_000), None).unwrap();
            }
        }
    })
    .await;
    measure("list a page of 1000", 1, 200, 0, |_| {
        let store = store.clone();
        async move {
            let mut after = String::new();
            for _ in 0..200 {
                let listing = Listing { after, max: 1000, ..Listing::default() };
                after = store.list_objects(&bucket(), &listing).unwrap().next.unwrap_or_default();
            }
        }
    })
    .await;
    measure("delete 4 KiB, 32 writers", 32, 1_000, 0, |worker| {
        let store = store.clone();
        async move {
            for n in 0..1_000 {
                let key = key(worker * 1_000 + n);
                let delete = DeleteObject {
                    bucket: bucket(),
                    key,
                    version: None,
                    conditions: WriteConditions::default(),
                    bypass_governance: false,
                    cause: Cause::default(),
                };
                store.delete_object(delete).await.unwrap();
            }
        }
    })
    .await;
    for (mib, workers, each) in [(1, 8, 40), (64, 1, 6), (64, 2, 6), (64, 32, 1)] {
        let body: Vec<Bytes> = vec![Bytes::from(vec![3; 64 << 10]); mib * 16];
        measure(&format!("put {mib} MiB, {workers} writers"), workers, each, (mib as u64) << 20, |worker| {
            let (store, body) = (store.clone(), body.clone());
            async move {
                for n in 0..each {
                    put(&store, 1_000_000 + worker * each + n, &body).await;
                }
            }
        })
        .await;
        measure(&format!("get {mib} MiB, {workers} readers"), workers, each, (mib as u64) << 20, |worker| {
            let store = store.clone();
            async move {
                for n in 0..each {
                    get(&store, 1_000_000 + worker * each + n).await;
                }
            }
        })
        .await;
    }
    let began = Instant::now();
    store.close().await.unwrap();
    println!("closed in {:?}", began.elapsed());
    drop(store);
    if dir.is_some() {
        let began = Instant::now();
        let store = Store::open(options, Clock::real()).unwrap();
        println!("opened again in {:?}, {} MiB resident", began.elapsed(), resident_mib());
        store.close().await.unwrap();
    }
}
