//! What each operation does, in memory and in a directory alike.

use cosette_model::{ChangeKind, ETag, EventType, Seq};

use super::*;
use crate::{Table, Tx};

/// Runs the check on a store of each mode.
async fn on_both<F: AsyncFn(&Store)>(check: F) {
    check(&memory()).await;
    let scratch = Scratch::new();
    let store = open(scratch.path());
    check(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn bodies_of_every_size_come_back() {
    on_both(async |store| {
        create(store, "bucket").await.unwrap();
        for len in [0, 1, 100, 4096, 32 << 10, (32 << 10) + 1, 100_000, 512 << 10, 600_000, 3_000_000] {
            let body = bytes(len, len as u64);
            let object = put(store, "bucket", "key", &body).await.unwrap();
            assert_eq!(object.size, len as u64);
            assert_eq!(object.crc64, cosette_blob::crc64(&body));
            assert!(get(store, "bucket", "key").await.unwrap() == body, "{len} bytes");
        }
    })
    .await;
}

#[tokio::test]
async fn ranges_are_exact() {
    on_both(async |store| {
        create(store, "bucket").await.unwrap();
        for len in [10usize, 40_000, 1_000_000] {
            let body = bytes(len, 3);
            let object = put(store, "bucket", "key", &body).await.unwrap();
            for (start, end) in [(0, 1), (1, len), (len / 2, len / 2 + 1), (len - 1, len), (3, len - 3)] {
                let stream = store
                    .read(&name("bucket"), &key("key"), &object, Some((start as u64, end as u64)))
                    .unwrap();
                assert!(drain(stream).await.unwrap() == body[start..end], "{start}..{end} of {len}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn changes_say_what_happened() {
    on_both(async |store| {
        create(store, "bucket").await.unwrap();
        let object = put(store, "bucket", "key", b"body").await.unwrap();
        assert!(delete(store, "bucket", "key").await.unwrap());
        let head = store.head();
        assert!(!delete(store, "bucket", "key").await.unwrap());
        assert_eq!(store.head(), head, "a delete of nothing commits nothing");
        store.delete_bucket(name("bucket"), false, cause()).await.unwrap();
        let changes = store.changes(Seq(0), 100).unwrap();
        let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
        assert_eq!(
            kinds,
            [
                ChangeKind::BucketCreated,
                ChangeKind::Object(EventType::CreatedPut),
                ChangeKind::Object(EventType::RemovedDelete),
                ChangeKind::BucketDeleted
            ]
        );
        assert_eq!(changes.iter().map(|change| change.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for change in &changes[1..3] {
            assert_eq!((change.size, change.etag.as_ref()), (4, Some(&object.etag)));
            assert_eq!(change.key.as_ref().unwrap().as_str(), "key");
            assert_eq!((change.appid.as_str(), change.region.as_str()), ("1250000000", "ap-guangzhou"));
            assert_eq!((change.cause.request_id.as_str(), &change.version_id), ("request", &None));
        }
        assert_eq!(store.changes(Seq(2), 1).unwrap(), changes[2..3]);
        assert_eq!(store.changes(Seq(4), 1).unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn changed_wakes_when_the_head_passes() {
    let store = memory();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changed(Seq(1)).await }
    });
    create(&store, "bucket").await.unwrap();
    assert!(!waiting.is_finished());
    put(&store, "bucket", "key", b"").await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn subsystem_rows_and_the_overlay_agree() {
    on_both(async |store| {
        let rows = |range: std::ops::Range<u8>| -> Vec<(Vec<u8>, Vec<u8>)> {
            range.map(|n| (vec![b'r', n], vec![n])).collect()
        };
        let (seq, ()) = store
            .commit(|tx: &mut Tx<'_>| {
                for n in [5u8, 1, 3] {
                    tx.put(Table::Rule, &[b'r', n], vec![n]);
                }
                tx.put(Table::Delivery, b"r\x02", vec![99]);
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        assert_eq!((seq, store.head()), (Seq(1), Seq(1)));
        let (_, seen) = store
            .commit(|tx: &mut Tx<'_>| {
                for n in [0u8, 2, 4] {
                    tx.put(Table::Rule, &[b'r', n], vec![n]);
                }
                tx.delete(Table::Rule, b"r\x05");
                assert_eq!(tx.get(Table::Rule, b"r\x05")?, None);
                assert_eq!(tx.get(Table::Rule, b"r\x02")?, Some(vec![2]));
                assert_eq!(tx.get(Table::Rule, b"r\x01")?, Some(vec![1]));
                Ok::<_, Error>((tx.scan(Table::Rule, b"r", 99)?, tx.scan(Table::Rule, b"r", 2)?))
            })
            .await
            .unwrap();
        assert_eq!(seen, (rows(0..5), rows(0..2)));
        assert_eq!(store.scan(Table::Rule, b"r", None, 99).unwrap(), rows(0..5));
        assert_eq!(store.scan(Table::Rule, b"r", Some(b"r\x01"), 2).unwrap(), rows(2..4));
        let mut back = rows(3..5);
        back.reverse();
        assert_eq!(store.scan_back(Table::Rule, b"", 2).unwrap(), back);
        assert_eq!(store.get(Table::Delivery, b"r\x02").unwrap(), Some(vec![99]));
        assert_eq!(store.changes(Seq(0), 9).unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_refused_mutation_leaves_nothing() {
    on_both(async |store| {
        let refused = store
            .commit(|tx: &mut Tx<'_>| {
                tx.put(Table::Rule, b"a", vec![1]);
                Err::<(), Error>(Error::PreconditionFailed)
            })
            .await;
        assert!(matches!(refused, Err(Error::PreconditionFailed)));
        let panicked = store
            .commit(|tx: &mut Tx<'_>| -> Result<()> {
                tx.put(Table::Rule, b"a", vec![1]);
                panic!("as a test wants it")
            })
            .await;
        assert!(panicked.is_err());
        assert_eq!((store.head(), store.get(Table::Rule, b"a").unwrap()), (Seq(0), None));
        create(store, "bucket").await.unwrap();
        assert_eq!(store.head(), Seq(1));
    })
    .await;
}

#[tokio::test]
async fn parts_become_one_object() {
    on_both(async |store| {
        create(store, "bucket").await.unwrap();
        for count in [1u64, 3, 40] {
            let id = begin(store, "bucket", "key").await.unwrap();
            let mut whole = Vec::new();
            let mut etags = Vec::new();
            for number in 1..=count {
                let body = bytes(if number == 2 { 50_000 } else { 1_000 + number as usize }, number);
                let part = part(store, "bucket", "key", &id, number * 2, &body).await.unwrap();
                etags.push((number * 2, ETag::of_md5(part.md5)));
                whole.extend(body);
            }
            part(store, "bucket", "key", &id, 1, b"not listed").await.unwrap();
            let object = complete(store, "bucket", "key", &id, &etags, 1).await.unwrap();
            assert!(object.etag.as_str().ends_with(&format!("-{count}")));
            assert_eq!((object.size, object.crc64), (whole.len() as u64, cosette_blob::crc64(&whole)));
            assert_eq!(object.parts, Some(count as u32));
            assert!(get(store, "bucket", "key").await.unwrap() == whole);
            for (start, end) in
                [(0, 1), (999, 1_003), (whole.len() / 3, whole.len() / 2 + 1), (whole.len() - 1, whole.len())]
            {
                let stream = store
                    .read(
                        &name("bucket"),
                        &key("key"),
                        &object,
                        Some((start as u64, end.min(whole.len()) as u64)),
                    )
                    .unwrap();
                assert!(drain(stream).await.unwrap() == whole[start..end.min(whole.len())], "{start}..{end}");
            }
            assert!(matches!(store.upload(&name("bucket"), &key("key"), &id), Err(Error::NoSuchUpload)));
        }
    })
    .await;
}
