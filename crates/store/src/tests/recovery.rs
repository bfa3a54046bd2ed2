//! What a crash leaves and what a start makes of it.

use cosette_blob::Step;
use cosette_model::Seq;

use super::limits::Fault;
use super::*;
use crate::Table;
use crate::record::{Applied, decode};
use crate::schema;

pub(super) fn journal(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Where the last segment ends; behind it there are only zeros.
fn end(store: &Store) -> usize {
    let row = store.engine().unwrap().get(&schema::applied()).unwrap().unwrap();
    decode::<Applied>("applied", &row).unwrap().position.offset as usize
}

pub(super) fn body_files(dir: &Path) -> usize {
    let Ok(epochs) = std::fs::read_dir(dir.join("bodies")) else { return 0 };
    epochs.map(|epoch| std::fs::read_dir(epoch.unwrap().path()).unwrap().count()).sum()
}

pub(super) async fn until_no_body_is_left(store: &Store, dir: &Path) {
    until_bodies_are_left(store, dir, 0).await;
}

/// Waits until the upkeep has removed the files of all bodies but so many. Every commit wakes us.
pub(super) async fn until_bodies_are_left(store: &Store, dir: &Path, count: usize) {
    let emptied = async {
        loop {
            let head = store.head();
            if body_files(dir) == count {
                return;
            }
            // Removing ends with a commit that drops the garbage rows.
            store.changed(head).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), emptied).await.unwrap();
}

/// Nothing in the background, so that an image is what a crash leaves.
fn still() -> Settings {
    Settings { checkpoint_after: Duration::from_secs(3600), ..Settings::default() }
}

fn open_still(dir: &Path) -> Result<Store> {
    open_with(Some(dir), Disk::default(), still())
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let scratch = Scratch::new();
    let large = bytes(200_000, 1);
    let (upload, changes) = {
        let store = open(scratch.path());
        create(&store, "bucket").await.unwrap();
        put(&store, "bucket", "small", b"small").await.unwrap();
        put(&store, "bucket", "large", &large).await.unwrap();
        let upload = begin(&store, "bucket", "upload").await.unwrap();
        part(&store, "bucket", "upload", &upload, 1, &large).await.unwrap();
        let changes = store.changes(Seq(0), 99).unwrap();
        store.close().await.unwrap();
        assert!(matches!(store.bucket(&name("bucket")), Err(Error::Closed)));
        assert!(matches!(create(&store, "late").await, Err(Error::Closed)));
        store.close().await.unwrap();
        (upload, changes)
    };
    let store = open(scratch.path());
    assert_eq!(get(&store, "bucket", "small").await.unwrap(), b"small");
    assert!(get(&store, "bucket", "large").await.unwrap() == large);
    assert_eq!(store.parts(&name("bucket"), &key("upload"), &upload, 0, 9).unwrap().len(), 1);
    assert_eq!(store.changes(Seq(0), 99).unwrap(), changes);
    put(&store, "bucket", "after", b"").await.unwrap();
    let last = store.changes(changes.last().unwrap().seq, 99).unwrap();
    assert_eq!(last.len(), 1, "numbers go on where they ended");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_crash_loses_nothing_acknowledged() {
    let scratch = Scratch::new();
    // Small segments, so that the replay crosses several.
    let settings = Settings { segment_max: 4_000, ..still() };
    let store = open_with(Some(scratch.path()), Disk::default(), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    for n in 0..100u32 {
        put(&store, "bucket", &format!("{n}"), &bytes(100, n.into())).await.unwrap();
    }
    delete(&store, "bucket", "7").await.unwrap();
    let image = scratch.image();
    assert!(journal(image.path()).len() > 3);
    let check = async |dir: &Path| {
        let again = open_still(dir).unwrap();
        assert_eq!(again.head(), store.head());
        assert_eq!(again.changes(Seq(0), 999).unwrap().len(), 102);
        for n in (0..100u32).filter(|n| *n != 7) {
            assert_eq!(get(&again, "bucket", &format!("{n}")).await.unwrap(), bytes(100, n.into()));
        }
        assert!(again.object(&name("bucket"), &key("7"), None).is_err());
        put(&again, "bucket", "new", b"new").await.unwrap();
    };
    check(image.path()).await;
    // The index is only a help: without it the journal says the same.
    let image = scratch.image();
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    check(image.path()).await;
    // With a part of the journal gone it cannot be made again, and says so.
    let image = scratch.image();
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    std::fs::remove_file(&journal(image.path())[0]).unwrap();
    assert!(matches!(open_still(image.path()), Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_torn_last_frame_is_cut_at_any_byte() {
    let scratch = Scratch::new();
    let store = open_still(scratch.path()).unwrap();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "first", b"first").await.unwrap();
    // An index from before the last commit, which a crash before its flush would leave.
    let before = scratch.image();
    let whole_len = end(&store);
    put(&store, "bucket", "second", b"second").await.unwrap();
    let file = std::fs::read(&journal(scratch.path())[0]).unwrap();
    let torn = &file[..end(&store)];
    assert!(file.len() > torn.len() && file[torn.len()..].iter().all(|byte| *byte == 0));
    let path = journal(before.path()).remove(0);
    // Opening writes to the index too, so each cut starts from the same image.
    for cut in whole_len..=torn.len() {
        let image = before.image();
        let path = image.path().join("journal").join(path.file_name().unwrap());
        let mut content = torn[..cut].to_vec();
        if cut % 2 == 0 {
            // What was filled ahead and not overwritten.
            content.resize(file.len(), 0);
        }
        std::fs::write(&path, content).unwrap();
        let again = open_still(image.path()).unwrap();
        assert_eq!(get(&again, "bucket", "first").await.unwrap(), b"first");
        let second = again.object(&name("bucket"), &key("second"), None);
        assert_eq!(second.is_ok(), cut == torn.len(), "cut at {cut} of {}", torn.len());
        assert_eq!(again.head(), Seq(if cut == torn.len() { 3 } else { 2 }));
        if cut % 50 == 0 || cut + 1 == torn.len() {
            put(&again, "bucket", "third", b"third").await.unwrap();
            drop(again);
            let again = open_still(image.path()).unwrap();
            assert_eq!(get(&again, "bucket", "third").await.unwrap(), b"third");
        }
    }
    // A flipped bit in the last frame is a torn frame too: nothing shows that it was promised.
    let image = before.image();
    let mut flipped = file.clone();
    flipped[whole_len + 60] ^= 1;
    std::fs::write(image.path().join("journal").join(path.file_name().unwrap()), flipped).unwrap();
    assert_eq!(open_still(image.path()).unwrap().head(), Seq(2));
}

#[tokio::test]
async fn damage_before_the_end_is_reported_not_cut() {
    let scratch = Scratch::new();
    let settings = Settings { segment_max: 3_000, ..still() };
    let store = open_with(Some(scratch.path()), Disk::default(), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    for n in 0..20 {
        put(&store, "bucket", &format!("{n}"), b"body").await.unwrap();
    }
    let files = journal(scratch.path());
    assert!(files.len() > 2);
    let last_len = end(&store);
    let last = std::fs::read(files.last().unwrap()).unwrap();
    let at_last_frame = last.windows(4).rposition(|w| w == b"CsF1").unwrap();
    for number in 0..files.len() {
        let is_last = number + 1 == files.len();
        let len = if is_last { last_len } else { std::fs::metadata(&files[number]).unwrap().len() as usize };
        for damage in
            [Damage::Flip(40), Damage::Flip(len / 2), Damage::Cut(len - 1), Damage::Cut(100), Damage::Cut(10)]
        {
            let image = scratch.image();
            std::fs::remove_dir_all(image.path().join("index")).unwrap();
            let path = image.path().join("journal").join(files[number].file_name().unwrap());
            let mut content = std::fs::read(&path).unwrap();
            match damage {
                Damage::Flip(at) => content[at] ^= 0x10,
                Damage::Cut(at) => content.truncate(at),
            }
            let in_last_frame = is_last
                && match damage {
                    Damage::Flip(at) => at >= at_last_frame,
                    // Nothing is left that could show what had been there.
                    Damage::Cut(_) => true,
                };
            std::fs::write(&path, content).unwrap();
            let opened = open_still(image.path());
            if in_last_frame {
                opened.unwrap();
            } else {
                assert!(matches!(opened, Err(Error::Corrupt { .. })), "{damage:?} in segment {number}");
            }
        }
    }
    store.close().await.unwrap();
    // A clean end is itself a promise: even the last commit's damage is noticed now.
    std::fs::remove_dir_all(scratch.path().join("index")).unwrap();
    let path = files.last().unwrap();
    let mut content = std::fs::read(path).unwrap();
    content[at_last_frame + 50] ^= 1;
    std::fs::write(path, content).unwrap();
    assert!(matches!(open_still(scratch.path()), Err(Error::Corrupt { .. })));
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize),
    Cut(usize),
}

#[tokio::test]
async fn a_segment_that_was_only_begun_is_no_damage() {
    let scratch = Scratch::new();
    let store = open_still(scratch.path()).unwrap();
    create(&store, "bucket").await.unwrap();
    let header = std::fs::read(&journal(scratch.path())[0]).unwrap()[..32].to_vec();
    for len in [0, 1, 31] {
        let image = scratch.image();
        std::fs::write(image.path().join("journal/0000000002.journal"), &header[..len]).unwrap();
        let again = open_still(image.path()).unwrap();
        put(&again, "bucket", "key", b"body").await.unwrap();
        drop(again);
        assert_eq!(get(&open_still(image.path()).unwrap(), "bucket", "key").await.unwrap(), b"body");
        // And the very first one.
        let image = Scratch::new();
        drop(open_still(image.path()).unwrap());
        std::fs::remove_dir_all(image.path().join("index")).unwrap();
        std::fs::write(image.path().join("journal/0000000001.journal"), &header[..len]).unwrap();
        create(&open_still(image.path()).unwrap(), "bucket").await.unwrap();
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_synced_fails_alone() {
    let scratch = Scratch::new();
    let fault = Fault::new(|step| step == Step::Sync, "bodies");
    let store = open_with(Some(scratch.path()), Disk::faulty(fault.clone()), still()).unwrap();
    create(&store, "bucket").await.unwrap();
    fault.arm();
    let mut staged = store.stage(None, Wanted::default()).unwrap();
    staged.write(bytes(100_000, 1).into()).await.unwrap();
    assert!(matches!(staged.seal().await, Err(Error::Io(_))));
    assert_eq!(body_files(scratch.path()), 0);
    put(&store, "bucket", "small", b"small").await.unwrap();
}

#[tokio::test]
async fn what_a_crash_left_uncommitted_is_swept() {
    let scratch = Scratch::new();
    let store = open_still(scratch.path()).unwrap();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "kept", &bytes(100_000, 1)).await.unwrap();
    put(&store, "bucket", "freed", &bytes(100_000, 2)).await.unwrap();
    delete(&store, "bucket", "freed").await.unwrap();
    let _received = seal(&store, &bytes(100_000, 3)).await;
    let mut receiving = store.stage(None, Wanted::default()).unwrap();
    receiving.write(bytes(2_000_000, 4).into()).await.unwrap();
    let image = scratch.image();
    assert!(body_files(image.path()) >= 3);
    let again = open(image.path());
    let swept = async {
        loop {
            let head = again.head();
            if body_files(image.path()) == 1 {
                return;
            }
            again.changed(head).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept).await.unwrap();
    assert!(get(&again, "bucket", "kept").await.unwrap() == bytes(100_000, 1));
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_keeps_its_body() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    let body = bytes(3_000_000, 1);
    let object = put(&store, "bucket", "key", &body).await.unwrap();
    let stream = store.read(&name("bucket"), &key("key"), &object, None).unwrap();
    delete(&store, "bucket", "key").await.unwrap();
    assert!(drain(stream).await.unwrap() == body);
    until_no_body_is_left(&store, scratch.path()).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn damaged_bodies_are_never_served() {
    let scratch = Scratch::new();
    let store = open_still(scratch.path()).unwrap();
    create(&store, "bucket").await.unwrap();
    let (small, middle, large) = (bytes(1_000, 1), bytes(50_000, 2), bytes(1_000_000, 3));
    put(&store, "bucket", "small", &small).await.unwrap();
    put(&store, "bucket", "middle", &middle).await.unwrap();
    put(&store, "bucket", "large", &large).await.unwrap();
    let path = journal(scratch.path()).remove(0);
    let mut content = std::fs::read(&path).unwrap();
    let at = content.windows(small.len()).position(|w| w == small).unwrap();
    content[at + 500] ^= 1;
    std::fs::write(&path, content).unwrap();
    for number in [1, 2] {
        let path = scratch.path().join(format!("bodies/1/{number}"));
        let mut content = std::fs::read(&path).unwrap();
        // In the last block, before the checksums.
        let at = content.len() - 200;
        content[at] ^= 1;
        std::fs::write(&path, content).unwrap();
    }
    let read = |object: &str| {
        let object = store.object(&name("bucket"), &key(object), None).unwrap();
        store.read(&name("bucket"), &key("key"), &object, None)
    };
    assert!(matches!(read("small"), Err(Error::Corrupt { .. })));
    assert!(matches!(read("middle"), Err(Error::Corrupt { .. })));
    let mut stream = read("large").unwrap();
    let mut served = 0;
    let ended = loop {
        match poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            Some(Ok(chunk)) => served += chunk.len(),
            other => break other,
        }
    };
    assert!(matches!(ended, Some(Err(BodyError::Storage(_)))));
    assert!(served < large.len(), "nothing of a damaged block is sent");
    std::fs::remove_file(scratch.path().join("bodies/1/2")).unwrap();
    assert!(matches!(read("large"), Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn one_process_at_a_time_and_no_newer_format() {
    let refusal = |dir: &Path| match open_still(dir) {
        Err(Error::Io(error)) => error.to_string(),
        _ => panic!("it was opened"),
    };
    let scratch = Scratch::new();
    let store = open_still(scratch.path()).unwrap();
    assert!(refusal(scratch.path()).contains("in use by another process"));
    store.close().await.unwrap();
    std::fs::write(scratch.path().join("format"), "cosette data format 4\n").unwrap();
    assert!(refusal(scratch.path()).contains("use a newer build"));
    std::fs::write(scratch.path().join("format"), "cosette data format 1\n").unwrap();
    assert!(refusal(scratch.path()).contains("has data format 1, which this build cannot read"));
    std::fs::write(scratch.path().join("format"), "something\n").unwrap();
    assert!(refusal(scratch.path()).contains("not a data format"));
    std::fs::remove_file(scratch.path().join("format")).unwrap();
    assert!(refusal(scratch.path()).contains("no format file"));
}

#[tokio::test]
async fn segments_go_when_nothing_needs_them() {
    let scratch = Scratch::new();
    let settings = Settings { segment_max: 2_000, snapshot_after: 0, ..quick() };
    let store = open_with(Some(scratch.path()), Disk::default(), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "kept", b"kept").await.unwrap();
    let first = journal(scratch.path()).remove(0);
    let gone = async {
        let mut n = 0;
        loop {
            put(&store, "bucket", "key", &bytes(1_000, n)).await.unwrap();
            n += 1;
            let files = journal(scratch.path());
            // The first holds a body that is alive; some after it must go.
            if files.len() >= 2 && !files.iter().any(|path| path.ends_with("0000000002.journal")) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
    assert!(first.exists());
    assert_eq!(get(&store, "bucket", "kept").await.unwrap(), b"kept");
    drop(store);
    let store = open(scratch.path());
    assert_eq!(get(&store, "bucket", "kept").await.unwrap(), b"kept");
    let head = store.head();
    assert!(store.changes(Seq(0), usize::MAX).unwrap().len() as u64 <= head.0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn old_changes_go_but_never_past_a_cursor() {
    let settings = Settings { changes_bytes: 3_000, ..quick() };
    let store = open_with(None, Disk::default(), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    let stand_at = async |seq: u64| {
        store
            .commit(move |tx: &mut crate::Tx<'_>| {
                tx.put(Table::Cursor, b"reader", seq.to_be_bytes().to_vec());
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    };
    let oldest = || store.changes(Seq(0), 1).unwrap()[0].seq;
    stand_at(5).await;
    for n in 0..60 {
        put(&store, "bucket", &format!("{n}"), b"").await.unwrap();
    }
    assert!(oldest() <= Seq(5), "{}", oldest());
    stand_at(40).await;
    // Every commit is followed by a checkpoint, which forgets.
    let trimmed = async {
        while oldest() <= Seq(5) {
            put(&store, "bucket", "one more", b"").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), trimmed).await.unwrap();
    assert!(oldest() <= Seq(40), "{}", oldest());
}

#[tokio::test]
async fn relaxed_syncs_nothing_while_it_writes() {
    let scratch = Scratch::new();
    let fault = Fault::new(|step| matches!(step, Step::Sync | Step::SyncDirectory), "");
    let options = Options {
        dir: Some(scratch.path().to_owned()),
        durability: Durability::Relaxed,
        cache_bytes: 8 << 20,
    };
    let store = Store::open_with(options.clone(), clock(), Disk::faulty(fault.clone()), still()).unwrap();
    fault.arm();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "small", b"small").await.unwrap();
    put(&store, "bucket", "large", &bytes(100_000, 1)).await.unwrap();
    let image = scratch.image();
    let again = Store::open(Options { dir: Some(image.path().to_owned()), ..options }, clock()).unwrap();
    assert_eq!(get(&again, "bucket", "small").await.unwrap(), b"small");
    assert!(get(&again, "bucket", "large").await.unwrap() == bytes(100_000, 1));
    again.close().await.unwrap();
}

#[tokio::test]
async fn memory_mode_leaves_nothing_behind() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    let body = bytes(1_000_000, 1);
    put(&store, "bucket", "key", &body).await.unwrap();
    let object = store.object(&name("bucket"), &key("key"), None).unwrap();
    assert!(drain(store.read(&name("bucket"), &key("key"), &object, None).unwrap()).await.unwrap() == body);
    let handle = store.clone();
    store.close().await.unwrap();
    assert!(matches!(handle.head(), Seq(_)));
    assert!(handle.read(&name("bucket"), &key("key"), &object, None).is_err(), "its file is gone");
}
