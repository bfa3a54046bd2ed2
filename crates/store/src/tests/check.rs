//! Damage is found, and said to be whose it is; what is sound is not complained of.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cosette_model::setting::Act;

use super::*;
use crate::record::{Live, Owned};
use crate::schema;
use crate::{Age, Progress, Report, verify};

fn scrub(store: &Store) -> Report {
    store.scrub(&mut |_| ControlFlow::Continue(())).unwrap()
}

fn verified(dir: &Path) -> Report {
    verify(dir, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn still() -> Settings {
    Settings { checkpoint_after: Duration::from_secs(3600), ..Settings::default() }
}

/// A store with something of everything.
async fn filled(dir: &Path, settings: Settings) -> Store {
    let store = open_with(Some(dir), Disk::default(), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    create(&store, "versions").await.unwrap();
    put(&store, "versions", "before", b"before versioning").await.unwrap();
    store.set_versioning(name("versions"), true, cause()).await.unwrap();
    for n in 0..3 {
        put(&store, "versions", "before", &bytes(50, n)).await.unwrap();
        put(&store, "versions", "a", &bytes(50_000, n)).await.unwrap();
    }
    delete(&store, "versions", "a").await.unwrap();
    put(&store, "bucket", "small", b"small").await.unwrap();
    put(&store, "bucket", "empty", b"").await.unwrap();
    put(&store, "bucket", "large", &bytes(200_000, 1)).await.unwrap();
    put(&store, "bucket", "gone", &bytes(200_000, 2)).await.unwrap();
    delete(&store, "bucket", "gone").await.unwrap();
    let expired = put(&store, "bucket", "expired", b"expired").await.unwrap();
    let what =
        Age { bucket: name("bucket").into(), key: key("expired"), stamp: expired.version.stamp, after: None };
    store.age(what, |_, _, _| Ok((Act::Remove, cause()))).await.unwrap();
    for (from, to) in [("large", "copy"), ("small", "copy of small")] {
        store.copy_object(copy_of(("bucket", from), ("bucket", to))).await.unwrap();
    }
    let upload = begin(&store, "bucket", "parts").await.unwrap();
    let mut etags = Vec::new();
    for number in 1..=40 {
        let body = bytes(if number % 10 == 0 { 40_000 } else { 10 }, number);
        etags.push((
            number,
            ETag::of_md5(part(&store, "bucket", "parts", &upload, number, &body).await.unwrap().md5),
        ));
    }
    complete(&store, "bucket", "parts", &upload, &etags, 1).await.unwrap();
    store.copy_object(copy_of(("bucket", "parts"), ("bucket", "copy of parts"))).await.unwrap();
    let open = begin(&store, "bucket", "open").await.unwrap();
    part(&store, "bucket", "open", &open, 1, &bytes(60_000, 3)).await.unwrap();
    store
}

/// Every file but those of the index, which its own engine may write to.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("index") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn a_sound_store_is_found_sound() {
    let scratch = Scratch::new();
    let busy = Settings { segment_max: 3_000, snapshot_after: 0, waste_min: 0, ..quick() };
    for settings in [still(), busy] {
        let _ = std::fs::remove_dir_all(scratch.path());
        let store = filled(scratch.path(), settings).await;
        let mut seen = Vec::new();
        let report = store
            .scrub(&mut |at| {
                seen.push(at);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!((report.objects, report.parts), (14, 1));
        assert!(report.bytes > 500_000 && seen.is_sorted_by_key(|at| at.done));
        assert_eq!(seen.last().unwrap().done, report.bytes);
        // As it lies there while the store is open: what a kill would leave.
        let image = scratch.image();
        let before = files(image.path());
        let report = verified(image.path());
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.objects, 14);
        assert!(report.changes > 0);
        assert_eq!(files(image.path()), before, "it was only to be looked at");
        drop(store);
        let store = open(scratch.path());
        store.close().await.unwrap();
        let report = verified(scratch.path());
        assert!(report.is_sound() && report.rows > 50, "{report:?}");
        assert!(report.notes.is_empty(), "{report:?}");
    }
}

#[tokio::test]
async fn a_scrub_may_be_ended() {
    let scratch = Scratch::new();
    let store = filled(scratch.path(), still()).await;
    let mut calls = 0;
    let report = store
        .scrub(&mut |_: Progress| {
            calls += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!((calls, report.bodies), (1, 1));
    assert_eq!(report.notes, ["ended before everything was read"]);
}

#[tokio::test]
async fn a_damaged_body_is_found_with_its_objects() {
    let scratch = Scratch::new();
    let store = filled(scratch.path(), still()).await;
    let large = store.object(&name("bucket"), &key("large"), None).unwrap();
    let part = store.object(&name("bucket"), &key("parts"), None).unwrap();
    store.close().await.unwrap();
    let flip = |path: &Path, at: usize| {
        let mut content = std::fs::read(path).unwrap();
        content[at] ^= 1;
        std::fs::write(path, content).unwrap();
    };
    let body = |object: &Object| {
        let text = format!("{:?}", object.content);
        let number = |field: &str| {
            let rest = &text[text.find(field).unwrap() + field.len()..];
            rest.chars().take_while(char::is_ascii_digit).collect::<String>()
        };
        scratch.path().join("bodies").join(number("epoch: ")).join(number("number: "))
    };
    flip(&body(&large), 100_000);
    let small = std::fs::read(recovery::journal(scratch.path()).remove(0)).unwrap();
    let at = small.windows(6).position(|window| window == b"before").unwrap();
    flip(&recovery::journal(scratch.path()).remove(0), at);
    assert!(format!("{:?}", part.content).contains("Manifest"));
    // The frame that holds the small body does not read back either, so the journal itself is
    // what is complained of; the index, which is beyond it, still serves.
    let store = open_with(Some(scratch.path()), Disk::default(), still()).unwrap();
    let report = scrub(&store);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(found, ["bucket/copy", "versions/before"], "{report:?}");
    let problem = &report.findings[0].problem;
    assert!(problem.contains("block 1"), "{problem}");
    assert_eq!(report.found, 2);
    for object in ["large", "copy"] {
        let error = get(&store, "bucket", object).await.unwrap_err().to_string();
        assert!(error.contains(&format!("bucket/{object}")), "{error}");
    }
    store.close().await.unwrap();
    let report = verified(scratch.path());
    assert_eq!(report.findings[0].what, "journal", "{report:?}");
}

#[tokio::test]
async fn a_missing_body_is_found() {
    let scratch = Scratch::new();
    let store = filled(scratch.path(), still()).await;
    store.close().await.unwrap();
    std::fs::remove_dir_all(scratch.path().join("bodies")).unwrap();
    let report = verified(scratch.path());
    assert!(!report.is_sound());
    let missing = |what: &str| report.findings.iter().any(|finding| finding.what.starts_with(what));
    assert!(missing("bucket/copy") && missing("bucket/parts") && missing("bucket/open upload"), "{report:?}");
    assert!(missing("versions/a version MTg0"), "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.problem.contains("missing")), "{report:?}");
}

/// Files that are sound and lie under each other's name.
#[tokio::test]
async fn an_exchanged_body_is_never_served() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    for (n, len) in [50_000, 200_000].into_iter().enumerate() {
        put(&store, "bucket", &format!("{n}a"), &bytes(len, 1)).await.unwrap();
        put(&store, "bucket", &format!("{n}b"), &bytes(len, 2)).await.unwrap();
    }
    let file = |number: u32| scratch.path().join("bodies/1").join(number.to_string());
    for (one, other) in [(1, 2), (3, 4)] {
        let aside = scratch.path().join("aside");
        std::fs::rename(file(one), &aside).unwrap();
        std::fs::rename(file(other), file(one)).unwrap();
        std::fs::rename(&aside, file(other)).unwrap();
    }
    for object in ["0a", "0b", "1a", "1b"] {
        assert!(matches!(get(&store, "bucket", object).await, Err(Error::Corrupt { .. })), "{object}");
    }
    assert_eq!(scrub(&store).found, 4);
}

/// Rows that no operation would write.
async fn meddle(store: &Store, rows: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    let meddled = store.commit(move |tx| {
        for (key, value) in rows {
            match value {
                Some(value) => tx.put_row(key, value),
                None => tx.remove(key),
            }
        }
        Ok::<_, Error>(())
    });
    meddled.await.unwrap();
}

#[tokio::test]
async fn tables_that_disagree_are_found() {
    let scratch = Scratch::new();
    let store = filled(scratch.path(), still()).await;
    let bucket = store.bucket(&name("bucket")).unwrap().unwrap();
    let bodies = store.rows_of(&schema::key(schema::Kind::Body, &[])).unwrap();
    let wrong = crate::record::encode(&Owned { refs: 9, len: 1 }).unwrap();
    let smalls = store.rows_of(&schema::key(schema::Kind::Small, &[])).unwrap();
    let segments = store.rows_of(&schema::key(schema::Kind::Segment, &[])).unwrap();
    let wrong_too = crate::record::encode(&Live { refs: 9, bytes: 1 }).unwrap();
    let rows = vec![
        (bodies[0].0.clone(), Some(wrong)),
        (smalls[0].0.clone(), None),
        (segments[0].0.clone(), Some(wrong_too)),
        (schema::object(bucket.id, &key("empty")), None),
    ];
    meddle(&store, rows).await;
    store.close().await.unwrap();
    let report = verified(scratch.path());
    let said = format!("{report:#?}");
    for text in [
        "refer to it, and its row says 9",
        "no row for its body",
        "refs: 9, bytes: 1",
        "the change log says last",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(said.contains("bucket/empty"), "{said}");
}

#[tokio::test]
async fn an_index_that_lost_rows_is_found() {
    let scratch = Scratch::new();
    let store = filled(scratch.path(), still()).await;
    let bucket = store.bucket(&name("bucket")).unwrap().unwrap();
    store.close().await.unwrap();
    {
        let index = cosette_kv::open(&scratch.path().join("index"), 8 << 20).unwrap();
        let mut batch = cosette_kv::Batch::default();
        batch.delete(schema::object(bucket.id, &key("small")));
        batch.put(schema::object(bucket.id, &key("never")), *b"x");
        index.apply(batch).unwrap();
        index.flush().unwrap();
    }
    let report = verified(scratch.path());
    let found: Vec<(&str, &str)> = report
        .findings
        .iter()
        .map(|f| (f.what.split('/').next_back().unwrap(), f.problem.as_str()))
        .collect();
    assert_eq!(found, [("small", "the index does not have it"), ("never", "only the index has it")]);
    // It is made anew when it is not there, and is right again.
    std::fs::remove_dir_all(scratch.path().join("index")).unwrap();
    assert!(verified(scratch.path()).is_sound());
    let store = open(scratch.path());
    assert_eq!(get(&store, "bucket", "small").await.unwrap(), b"small");
    store.close().await.unwrap();
    assert!(verified(scratch.path()).is_sound());
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused() {
    let scratch = Scratch::new();
    let refusal = || match verify(scratch.path(), &mut |_| ControlFlow::Continue(())) {
        Err(Error::Io(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refusal().contains("is not a data directory"));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is made");
    let store = open(scratch.path());
    assert!(refusal().contains("in use by another process"));
    store.close().await.unwrap();
}
