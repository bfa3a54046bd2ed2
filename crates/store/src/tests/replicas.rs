//! Copies in other buckets: each made once, in its version's place, and what the records say of them.

use cosette_model::setting::{BucketRef, Replication, ReplicationRule, ReplicationTarget, Status};
use cosette_model::{ChangeKind, EventType, ReplicaState, Seq, Setting, SettingName};

use super::*;
use crate::{Replica, Replicate, Replicated};

fn rule(to: &str) -> ReplicationRule {
    ReplicationRule {
        id: Some(to.to_owned()),
        status: Status::Enabled,
        priority: None,
        prefix: None,
        filter: None,
        destination: ReplicationTarget {
            bucket: BucketRef { name: to.to_owned(), region: None },
            class: None,
            account: None,
            owner_destination: false,
            kms_key: None,
            time: None,
            metrics: None,
        },
        delete_markers: None,
        existing_objects: None,
        kms_encrypted: None,
        replica_modifications: None,
    }
}

async fn set(store: &Store, bucket: &str, to: &[&str]) {
    let rules = to.iter().map(|to| rule(to)).collect();
    let rules = Setting::Replication(Replication { role: "qcs::cam::uin/1:uin/1".to_owned(), rules });
    let row = Some(rules.encode().unwrap());
    store.set_setting(name(bucket), SettingName::Replication.row(), row, cause()).await.unwrap();
}

/// Buckets with versions, the first of which is copied to the others.
async fn buckets(store: &Store, names: &[&str]) {
    for bucket in names {
        create(store, bucket).await.unwrap();
        store.set_versioning(name(bucket), true, cause()).await.unwrap();
    }
    set(store, names[0], &names[1..]).await;
}

/// Makes the copies that changes after `after` ask for; what has become of each.
async fn copy_all(store: &Store, after: Seq) -> Vec<Replicated> {
    let mut became = Vec::new();
    for change in store.changes(after, usize::MAX).unwrap() {
        for (n, order) in change.replicas.iter().enumerate() {
            let what = Replicate {
                bucket: change.bucket.clone(),
                key: change.key.clone().unwrap(),
                version: change.version_id.clone().unwrap(),
                after: (change.replicas.len() - n - 1) as u16,
                to: Some(name(&order.bucket.name)),
                cause: change.cause.clone(),
            };
            let copied = store.replicate(what, |_, _, object| {
                let properties = object.map(|object| object.properties.clone()).unwrap_or_default();
                let sealing = object.and_then(|object| object.sealing.clone());
                Ok(Replica { storage_class: StorageClass::StandardIa, properties, sealing })
            });
            became.push(copied.await.unwrap());
        }
    }
    became
}

/// Version ids of a key with a dash before a marker's, newest first.
fn versions(store: &Store, bucket: &str) -> Vec<String> {
    let page = store.list_versions(&name(bucket), &listing("", "", "", 1000), None).unwrap();
    let shown = page.versions.iter().map(|listed| {
        let dash = if listed.summary.delete_marker { "-" } else { "" };
        format!("{dash}{}", listed.summary.version.id().as_str())
    });
    shown.collect()
}

fn state(store: &Store, bucket: &str, id: &VersionId) -> Option<ReplicaState> {
    store.object(&name(bucket), &key("key"), Some(id)).unwrap().replica
}

#[tokio::test]
async fn a_copy_has_the_versions_place_and_bytes_and_is_made_once() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    buckets(&store, &["from", "one", "two"]).await;
    let start = store.head();
    let small = put(&store, "from", "key", b"small").await.unwrap().version.id();
    let large = put(&store, "from", "key", &bytes(100_000, 1)).await.unwrap().version.id();
    let upload = begin(&store, "from", "key").await.unwrap();
    let mut parts = Vec::new();
    for number in 1..=20 {
        let made = part(&store, "from", "key", &upload, number, &bytes(1000, number)).await.unwrap();
        parts.push((number, ETag::of_md5(made.md5)));
    }
    let whole = complete(&store, "from", "key", &upload, &parts, 1).await.unwrap();
    assert_eq!(whole.replica, None, "what is told of a write is the write alone");
    assert_eq!(state(&store, "from", &small), Some(ReplicaState::Pending { left: 2, failed: false }));
    delete(&store, "from", "key").await.unwrap();

    assert_eq!(copy_all(&store, start).await, vec![Replicated::Done; 8]);
    assert_eq!(copy_all(&store, start).await, vec![Replicated::Nothing; 8], "again");
    for bucket in ["one", "two"] {
        assert_eq!(versions(&store, bucket), versions(&store, "from"));
        let copy = store.object(&name(bucket), &key("key"), Some(&whole.version.id())).unwrap();
        assert_eq!((&copy.etag, copy.modified, copy.parts), (&whole.etag, whole.modified, Some(20)));
        assert_eq!(copy.attributes.storage_class, StorageClass::StandardIa);
        assert_eq!(store.object_parts(&copy, 18, 10).unwrap().len(), 2);
        assert_eq!(state(&store, bucket, &large), Some(ReplicaState::Replica));
    }
    assert_eq!(state(&store, "from", &large), Some(ReplicaState::Completed));
    let changes = store.changes(start, usize::MAX).unwrap();
    let of = |kind| changes.iter().filter(|change| change.kind == kind).count();
    assert_eq!(of(ChangeKind::Object(EventType::CreatedReplication)), 6);
    assert_eq!(of(ChangeKind::MarkerReplicated), 2);
    assert!(changes.iter().all(|change| change.replicas.is_empty() || change.bucket == name("from")));

    // One that is removed here stays there, also when the log is read again.
    for id in [&small, &large, &whole.version.id()] {
        delete_version(&store, "from", "key", Some(id.clone())).await.unwrap();
    }
    delete_version(&store, "one", "key", Some(small.clone())).await.unwrap();
    assert_eq!(copy_all(&store, start).await, vec![Replicated::Nothing; 8]);
    let copy = store.object(&name("two"), &key("key"), Some(&large)).unwrap();
    let stream = store.read(&name("two"), &key("key"), &copy, None).unwrap();
    assert!(drain(stream).await.unwrap() == bytes(100_000, 1));
    assert!(store.object(&name("one"), &key("key"), Some(&small)).is_err());
    consistent::check(&store, Some(scratch.path())).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_rule_holds_from_its_commit_to_its_removal() {
    let store = memory();
    buckets(&store, &["from", "into"]).await;
    set(&store, "from", &[]).await;
    put(&store, "from", "key", b"before").await.unwrap();
    set(&store, "from", &["into"]).await;
    let meant = put(&store, "from", "key", b"meant").await.unwrap().version.id();
    set(&store, "from", &[]).await;
    put(&store, "from", "key", b"after").await.unwrap();
    // However late it is looked at.
    assert_eq!(copy_all(&store, Seq(0)).await, [Replicated::Done]);
    assert_eq!(versions(&store, "into"), [meant.as_str()]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_older_version_comes_below_newer_ones() {
    let store = memory();
    buckets(&store, &["from", "into"]).await;
    let start = store.head();
    let first = put(&store, "from", "key", b"first").await.unwrap().version.id();
    let second = put(&store, "from", "key", b"second").await.unwrap().version.id();
    delete(&store, "from", "key").await.unwrap();
    let [one, two, marker] = &store.changes(start, 10).unwrap()[..] else { panic!() };
    // Of the same microsecond as the first, as the clock stands still.
    let own = put(&store, "into", "key", b"own").await.unwrap().version;
    assert_eq!(own.id(), first);
    let copy = async |change: &cosette_model::Change| {
        let what = Replicate {
            bucket: change.bucket.clone(),
            key: change.key.clone().unwrap(),
            version: change.version_id.clone().unwrap(),
            after: 0,
            to: Some(name("into")),
            cause: cause(),
        };
        let plain = || Replica {
            storage_class: StorageClass::default(),
            properties: Default::default(),
            sealing: None,
        };
        store.replicate(what, move |_, _, _| Ok(plain())).await.unwrap()
    };
    assert_eq!(copy(marker).await, Replicated::Done);
    assert!(matches!(get(&store, "into", "key").await, Err(Error::DeleteMarker { .. })));
    assert_eq!(copy(two).await, Replicated::Done);
    assert!(get(&store, "into", "key").await.is_err(), "the marker is newer");
    // Its place is another's: it takes the next that is free below.
    assert_eq!(copy(one).await, Replicated::Done);
    let mut wanted = versions(&store, "from");
    wanted.push(VersionId::of_stamp(own.stamp - 1).as_str().to_owned());
    assert_eq!(versions(&store, "into"), wanted);
    for (top, below) in [(&wanted[0][1..], "second"), (second.as_str(), "own"), (first.as_str(), "first")] {
        delete_version(&store, "into", "key", Some(VersionId::parse(top))).await.unwrap();
        assert_eq!(get(&store, "into", "key").await.unwrap(), below.as_bytes());
    }
    consistent::check(&store, None).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_copied_has_failed_and_the_others_go_on() {
    let store = memory();
    buckets(&store, &["from", "one", "two"]).await;
    let id = put(&store, "from", "key", b"x").await.unwrap().version.id();
    let copy = |after: u16, to: Option<&str>, why: Option<&str>| {
        let to = to.map(name);
        let what = Replicate {
            bucket: name("from"),
            key: key("key"),
            version: id.clone(),
            after,
            to,
            cause: cause(),
        };
        let why = why.map(str::to_owned);
        store.replicate(what, move |_, _, _| match why {
            Some(why) => Err(why),
            None => {
                let (storage_class, properties) = Default::default();
                Ok(Replica { storage_class, properties, sealing: None })
            }
        })
    };
    assert_eq!(copy(0, Some("two"), None).await.unwrap(), Replicated::Nothing, "not its turn");
    let failed = copy(1, Some("one"), Some("denied")).await.unwrap();
    assert_eq!(failed, Replicated::Failed("denied".to_owned()));
    assert_eq!(state(&store, "from", &id), Some(ReplicaState::Pending { left: 1, failed: true }));
    assert_eq!(copy(0, Some("two"), None).await.unwrap(), Replicated::Done);
    assert_eq!(state(&store, "from", &id), Some(ReplicaState::Failed));
    assert!(versions(&store, "one").is_empty());
    let id = put(&store, "from", "key", b"x").await.unwrap().version.id();
    let what = Replicate {
        bucket: name("from"),
        key: key("key"),
        version: id,
        after: 1,
        to: Some(name("never")),
        cause: cause(),
    };
    let gone = store.replicate(what, |_, to, _| if to.is_some() { panic!() } else { Err("gone".into()) });
    assert_eq!(gone.await.unwrap(), Replicated::Failed("gone".to_owned()));
    store.close().await.unwrap();
}
