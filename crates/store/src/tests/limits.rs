//! A disk that is full, read-only or out of handles, or whose sync has failed: what is refused,
//! what goes on, and what comes back by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use cosette_blob::{Faults, Step, Verdict};

use super::*;

/// Fails one kind of step on paths that hold a text, once it is armed; may also seem short of room.
pub(super) struct Fault {
    step: fn(Step<'_>) -> bool,
    path: &'static str,
    /// What the system would say.
    errno: i32,
    /// Writes stop after so many bytes.
    tear: Option<usize>,
    free: AtomicU64,
    armed: AtomicBool,
}

impl Fault {
    pub(super) fn new(step: fn(Step<'_>) -> bool, path: &'static str) -> Arc<Self> {
        Self::with(step, path, EIO, None)
    }

    fn with(step: fn(Step<'_>) -> bool, path: &'static str, errno: i32, tear: Option<usize>) -> Arc<Self> {
        let free = AtomicU64::new(u64::MAX);
        Arc::new(Self { step, path, errno, tear, free, armed: AtomicBool::new(false) })
    }

    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    fn set_free(&self, bytes: u64) {
        self.free.store(bytes, Ordering::SeqCst);
    }
}

impl Faults for Fault {
    fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
        let hit = self.armed.load(Ordering::SeqCst)
            && (self.step)(step)
            && path.to_string_lossy().contains(self.path);
        match self.tear {
            _ if !hit => Verdict::Go,
            Some(after) => Verdict::Tear(after),
            None => Verdict::Fail(io::Error::from_raw_os_error(self.errno)),
        }
    }

    fn free(&self, _: &Path) -> Option<u64> {
        Some(self.free.load(Ordering::SeqCst)).filter(|free| *free != u64::MAX)
    }
}

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// Nothing in the background, so that only what the test does meets the fault.
fn still() -> Settings {
    Settings { checkpoint_after: Duration::from_secs(3600), ..Settings::default() }
}

fn open_on(scratch: &Scratch, fault: &Arc<Fault>, settings: Settings) -> Store {
    open_with(Some(scratch.path()), Disk::faulty(fault.clone()), settings).unwrap()
}

fn is_write(step: Step<'_>) -> bool {
    matches!(step, Step::Write { .. })
}

#[tokio::test]
async fn after_a_failed_sync_writes_are_refused_until_restart() {
    let scratch = Scratch::new();
    let fault = Fault::new(|step| step == Step::Sync, ".journal");
    let store = open_on(&scratch, &fault, still());
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "before", b"before").await.unwrap();
    let head = store.head();
    fault.arm();
    assert!(matches!(put(&store, "bucket", "during", b"during").await, Err(Error::Poisoned(_))));
    fault.disarm();
    let refused = put(&store, "bucket", "after", b"after").await.unwrap_err();
    assert!(refused.to_string().starts_with("the store refuses writes: disk: "), "{refused}");
    assert_eq!(get(&store, "bucket", "before").await.unwrap(), b"before");
    assert!(store.object(&name("bucket"), &key("during"), None).is_err());
    assert_eq!(store.head(), head);
    store.close().await.unwrap();
    let store = open(scratch.path());
    assert_eq!(get(&store, "bucket", "before").await.unwrap(), b"before");
    // It was answered with an error, and the sync may have come to pass all the same.
    assert!(store.object(&name("bucket"), &key("during"), None).is_ok());
    put(&store, "bucket", "after", b"after").await.unwrap();
}

/// A disk that does not take a write leaves the store as it was, and when it takes writes again,
/// so does the store.
#[tokio::test]
async fn a_refused_write_changes_nothing_and_the_next_may_succeed() {
    let large = bytes(100_000, 1);
    for (errno, tear) in [(ENOSPC, None), (EROFS, None), (EIO, None), (EIO, Some(0)), (EIO, Some(70))] {
        let scratch = Scratch::new();
        let fault = Fault::with(is_write, ".journal", errno, tear);
        let store = open_on(&scratch, &fault, still());
        create(&store, "bucket").await.unwrap();
        put(&store, "bucket", "before", b"before").await.unwrap();
        let head = store.head();
        for _ in 0..2 {
            fault.arm();
            for body in [&b"during"[..], &large] {
                let refused = put(&store, "bucket", "during", body).await;
                assert!(matches!(refused, Err(Error::Unavailable(_))), "{errno}: {refused:?}");
            }
            assert!(matches!(delete(&store, "bucket", "before").await, Err(Error::Unavailable(_))));
            assert_eq!(get(&store, "bucket", "before").await.unwrap(), b"before");
            assert_eq!(store.head(), head);
            assert_eq!(recovery::body_files(scratch.path()), 0, "the body of a refused write stays");
            fault.disarm();
        }
        put(&store, "bucket", "after", b"after").await.unwrap();
        put(&store, "bucket", "large", &large).await.unwrap();
        let changes = store.changes(cosette_model::Seq(0), 99).unwrap();
        assert_eq!(changes.len(), 4);
        // What the refused write may have left in the journal is no trouble to a start.
        let image = scratch.image();
        let again = open(image.path());
        assert_eq!(again.changes(cosette_model::Seq(0), 99).unwrap(), changes);
        assert_eq!(get(&again, "bucket", "after").await.unwrap(), b"after");
        assert!(get(&again, "bucket", "large").await.unwrap() == large);
        assert!(again.object(&name("bucket"), &key("during"), None).is_err());
    }
}

#[tokio::test]
async fn a_journal_that_cannot_go_on_tries_again() {
    let scratch = Scratch::new();
    let steps: [fn(Step<'_>) -> bool; 4] = [
        |step| step == Step::Create,
        is_write,
        |step| step == Step::Sync,
        |step| step == Step::SyncDirectory,
    ];
    // Every group finds the segment full, and is refused while the next cannot be begun.
    let settings = Settings { segment_max: 1, ..still() };
    for (n, step) in steps.into_iter().enumerate() {
        let fault = Fault::with(step, "journal", EMFILE, None);
        let store = open_on(&scratch, &fault, settings);
        if n == 0 {
            create(&store, "bucket").await.unwrap();
        }
        for _ in 0..3 {
            fault.arm();
            let refused = put(&store, "bucket", "key", b"refused").await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{n}: {refused:?}");
            fault.disarm();
            put(&store, "bucket", "key", &[n as u8; 10]).await.unwrap();
        }
        drop(store);
        let store = open_on(&scratch, &fault, settings);
        assert_eq!(get(&store, "bucket", "key").await.unwrap(), [n as u8; 10]);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_takes_deletes_before_it_takes_nothing() {
    let scratch = Scratch::new();
    let fault = Fault::new(|_| false, "");
    let settings = Settings { reserve: 1 << 20, ..still() };
    let store = open_on(&scratch, &fault, settings);
    create(&store, "bucket").await.unwrap();
    let large = bytes(600_000, 1);
    for object in ["a", "b"] {
        put(&store, "bucket", object, &large).await.unwrap();
    }
    let try_put = async |body: &[u8]| {
        let mut staged = store.stage(None, Wanted::default()).unwrap();
        staged.write(Bytes::copy_from_slice(body)).await
    };
    // Room that was known of may still be used up.
    fault.set_free(1 << 20);
    let refused = async { while try_put(&large).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
    assert!(matches!(try_put(b"small").await, Err(Error::Unavailable(_))));
    assert!(delete(&store, "bucket", "a").await.unwrap());
    fault.set_free(200_000);
    assert!(matches!(delete(&store, "bucket", "b").await, Err(Error::Unavailable(_))));
    assert!(get(&store, "bucket", "b").await.unwrap() == large);
    fault.set_free(u64::MAX);
    put(&store, "bucket", "a", b"again").await.unwrap();
    assert!(delete(&store, "bucket", "b").await.unwrap());
}

#[tokio::test]
async fn too_many_open_files_refuse_what_needs_one() {
    let scratch = Scratch::new();
    let fault = Fault::with(|step| matches!(step, Step::Create | Step::Open), "bodies", EMFILE, None);
    let store = open_on(&scratch, &fault, still());
    create(&store, "bucket").await.unwrap();
    let large = bytes(100_000, 1);
    put(&store, "bucket", "large", &large).await.unwrap();
    fault.arm();
    let mut staged = store.stage(None, Wanted::default()).unwrap();
    staged.write(large.clone().into()).await.unwrap();
    assert!(matches!(staged.seal().await, Err(Error::Unavailable(_))));
    assert!(matches!(get(&store, "bucket", "large").await, Err(Error::Unavailable(_))));
    put(&store, "bucket", "small", b"small").await.unwrap();
    assert_eq!(get(&store, "bucket", "small").await.unwrap(), b"small");
    fault.disarm();
    assert!(get(&store, "bucket", "large").await.unwrap() == large);
}
