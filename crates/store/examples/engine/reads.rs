//! Gets and heads of small objects that are in every cache, by one task, beside reading 4 KiB of
//! an open file and checking them.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use crc_fast::CrcAlgorithm;

use crate::Scale;
use crate::measure::{Random, Spread, each, turn};
use crate::subject::{self, key, name};

const OBJECTS: u64 = 1_000;
const BODY_BYTES: usize = 4096;

pub(crate) async fn run(dir: &Path, scale: &Scale) {
    std::fs::create_dir_all(dir).unwrap();
    let store = subject::open(&dir.join("store"));
    let bucket = name("bucket");
    subject::create(&store, &bucket).await;
    let keys: Vec<_> = (0..OBJECTS).map(|n| key(format!("objects/{n:09}"))).collect();
    let body = Bytes::from(vec![7; BODY_BYTES]);
    turn(32, OBJECTS, {
        let (store, bucket, keys) = (store.clone(), bucket.clone(), keys.clone());
        move |n| {
            let (store, bucket, body, key) =
                (store.clone(), bucket.clone(), body.clone(), keys[n as usize].clone());
            async move { subject::put(&store, &bucket, key, &[body]).await }
        }
    })
    .await;
    let plain = dir.join("plain");
    std::fs::write(&plain, vec![7; OBJECTS as usize * BODY_BYTES]).unwrap();
    let plain = File::open(plain).unwrap();
    let (mut gets, mut heads, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    let mut random = Random(1);
    for _ in 0..scale.rounds {
        let chosen: Vec<usize> = (0..scale.gets).map(|_| random.below(OBJECTS) as usize).collect();
        let began = std::time::Instant::now();
        for at in &chosen {
            let mut bytes = vec![0; BODY_BYTES];
            plain.read_exact_at(&mut bytes, (at * BODY_BYTES) as u64).unwrap();
            black_box(crc_fast::checksum(CrcAlgorithm::Crc64Xz, &bytes));
        }
        reads.push(each(began.elapsed(), scale.gets));
        let began = std::time::Instant::now();
        for at in &chosen {
            assert_eq!(subject::get(&store, &bucket, &keys[*at]).await, BODY_BYTES);
        }
        gets.push(each(began.elapsed(), scale.gets));
        let began = std::time::Instant::now();
        for at in &chosen {
            black_box(store.object(&bucket, &keys[*at], None).unwrap());
        }
        heads.push(each(began.elapsed(), scale.gets));
    }
    println!("  get  {:5.1} us [< 15]", Spread::of(gets));
    println!("  head {:5.1} us", Spread::of(heads));
    println!("  pread and checksum of as much {:.1} us", Spread::of(reads));
    store.close().await.unwrap();
}
