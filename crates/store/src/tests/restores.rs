//! Restores are told of when they are finished: each once, and none that nobody waits for any more.

use cosette_model::{ChangeKind, EventType, Restore, RestoreTier, Seq, StorageClass};

use super::*;
use crate::ReviseObject;

async fn restore(store: &Store, object: &str, tier: RestoreTier) {
    let what =
        ReviseObject { bucket: name("bucket").into(), key: key(object), version: None, cause: cause() };
    let begun = store.revise_object(what, move |revision| {
        revision.storage_class = StorageClass::Archive;
        revision.properties.restore = Some(Restore::Ongoing { tier, days: 1, requested: revision.now });
        revision.event = Some(EventType::RestorePost);
        Ok::<_, Error>(())
    });
    begun.await.unwrap();
}

/// Asks for a day more of a restore that is finished, as a client does before it has been told of.
async fn prolong(store: &Store, object: &str) {
    let what =
        ReviseObject { bucket: name("bucket").into(), key: key(object), version: None, cause: cause() };
    let prolonged = store.revise_object(what, |revision| {
        let expires = revision.now.plus(Duration::from_secs(86_400));
        revision.properties.restore = Some(Restore::Done { expires });
        Ok::<_, Error>(())
    });
    prolonged.await.unwrap();
}

/// Tells of all that is finished by so many seconds from the start; returns whose restores the log has.
async fn told(store: &Store, seconds: u64) -> Vec<String> {
    let now = clock().now().plus(Duration::from_secs(seconds));
    while store.finish_restore(now).await.unwrap() {}
    let changes = store.changes(Seq(0), 1000).unwrap();
    let completed = changes.iter().filter(|c| c.kind == ChangeKind::Object(EventType::RestoreCompleted));
    completed.map(|c| c.key.as_ref().unwrap().to_string()).collect()
}

#[tokio::test]
async fn each_is_told_of_once_in_the_order_of_their_ends() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    for object in ["slow", "fast", "faster", "gone", "new"] {
        put(&store, "bucket", object, b"x").await.unwrap();
    }
    assert_eq!((store.next_restored().unwrap(), store.last_restoring()), (None, Seq(0)));
    restore(&store, "slow", RestoreTier::Standard).await;
    restore(&store, "fast", RestoreTier::Expedited).await;
    // A faster one takes the place of one under way.
    restore(&store, "faster", RestoreTier::Standard).await;
    restore(&store, "faster", RestoreTier::Expedited).await;
    restore(&store, "gone", RestoreTier::Expedited).await;
    restore(&store, "new", RestoreTier::Expedited).await;
    assert_eq!(store.last_restoring(), store.head());
    delete(&store, "bucket", "gone").await.unwrap();
    put(&store, "bucket", "new", b"y").await.unwrap();
    assert_eq!(told(&store, 59).await, [""; 0]);
    assert_eq!(store.next_restored().unwrap(), Some(clock().now().plus(Duration::from_secs(60))));
    assert_eq!(told(&store, 60).await, ["fast", "faster"]);
    store.close().await.unwrap();

    let store = open(scratch.path());
    let after = Duration::from_secs(3 * 3600);
    assert_eq!(store.next_restored().unwrap(), Some(clock().now().plus(after)), "known after a restart");
    assert_eq!(told(&store, after.as_secs()).await, ["fast", "faster", "slow"]);
    assert_eq!(told(&store, 1 << 30).await.len(), 3);
    assert_eq!(store.next_restored().unwrap(), None, "nothing stays behind");
    let change = store.changes(Seq(0), 1000).unwrap().pop().unwrap();
    assert_eq!((change.size, change.cause.request_id.as_str()), (1, "request"));
    consistent::check(&store, Some(scratch.path())).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_finished_restore_becomes_takes_nothing_from_its_event() {
    let clock = clock();
    let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 1 << 20 };
    let store = Store::open(options, clock.clone()).unwrap();
    create(&store, "bucket").await.unwrap();
    for object in ["prolonged", "twice", "replaced"] {
        put(&store, "bucket", object, b"x").await.unwrap();
    }
    restore(&store, "prolonged", RestoreTier::Expedited).await;
    restore(&store, "twice", RestoreTier::Standard).await;
    // What takes the place of another is finished at the same time as that would have been.
    restore(&store, "replaced", RestoreTier::Standard).await;
    clock.advance(Duration::from_secs(3 * 3600 - 60));
    restore(&store, "replaced", RestoreTier::Expedited).await;
    clock.advance(Duration::from_secs(60));
    for object in ["prolonged", "twice", "twice"] {
        prolong(&store, object).await;
    }
    assert_eq!(told(&store, 3 * 3600).await, ["prolonged", "twice", "replaced"]);
    assert_eq!(told(&store, 1 << 30).await.len(), 3);
    store.close().await.unwrap();
}
