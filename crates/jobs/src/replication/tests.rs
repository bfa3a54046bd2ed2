//! The job on a store and a clock that stands still until it is moved.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cosette_model::op::{Owner, WriteConditions};
use cosette_model::setting::{BucketRef, Replication as Rules, ReplicationRule, ReplicationTarget, Status};
use cosette_model::{
    Attributes, Cause, ChangeKind, EventType, Link, Properties, Region, ReplicaState, Setting, SettingName,
    StorageClass, Wanted,
};
use cosette_store::{Disk, Durability, Faults, Object, Options, PutObject, Step, Verdict};

use super::*;
use crate::supervisor::{Jobs, never};

fn name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

struct World {
    clock: Clock,
    store: Store,
}

impl World {
    fn new(dir: Option<&Path>) -> Self {
        Self::on(dir, Disk::default())
    }

    fn on(dir: Option<&Path>, disk: Disk) -> Self {
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let options =
            Options { dir: dir.map(Into::into), durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open_on(options, clock.clone(), disk).unwrap();
        Self { clock, store }
    }

    fn job(&self) -> (Replicator, Replication) {
        let progress = Replication::default();
        (Replicator::new(self.store.clone(), self.clock.clone(), progress.clone()), progress)
    }

    async fn run(&self) {
        self.job().0.run_due(self.clock.now(), &never()).await.unwrap();
    }

    async fn bucket(&self, bucket: &str, region: &str, owner: &str) {
        let owner = Owner { uin: owner.to_owned(), appid: "1250000000".to_owned(), name: String::new() };
        let region = Region::new(region).unwrap();
        self.store.create_bucket(name(bucket), region, owner, Cause::default()).await.unwrap();
        self.store.set_versioning(name(bucket), true, Cause::default()).await.unwrap();
    }

    async fn rules(&self, bucket: &str, rules: Vec<ReplicationRule>) {
        let rules = Setting::Replication(Rules { role: "arn:aws:iam::1:role/r".to_owned(), rules });
        let row = Some(rules.encode().unwrap());
        let setting = SettingName::Replication.row();
        self.store.set_setting(name(bucket), setting, row, Cause::default()).await.unwrap();
    }

    async fn put(&self, bucket: &str, object: &str) -> Object {
        self.put_of(bucket, object, None).await
    }

    /// An object of another account's.
    async fn put_of(&self, bucket: &str, object: &str, owner: Option<&str>) -> Object {
        let mut staged = self.store.stage(Some(3), Wanted::default()).unwrap();
        staged.write(Bytes::from_static(b"abc")).await.unwrap();
        let cause = Cause { request_id: object.to_owned(), depth: 3, ..Cause::default() };
        let put = PutObject {
            bucket: name(bucket).into(),
            key: key(object),
            attributes: Attributes::default(),
            properties: Properties { owner: owner.map(str::to_owned), ..Properties::default() },
            checksum_type: None,
            conditions: WriteConditions::default(),
            symlink: None,
            body: staged.seal().await.unwrap(),
            event: EventType::CreatedPut,
            cause,
        };
        self.store.put_object(put).await.unwrap()
    }

    fn found(&self, bucket: &str, object: &str) -> Option<Object> {
        self.store.object(&name(bucket), &key(object), None).ok()
    }

    fn state(&self, bucket: &str, object: &str) -> Option<ReplicaState> {
        self.found(bucket, object).unwrap().replica
    }

    fn made(&self) -> Vec<Change> {
        let kind = ChangeKind::Object(EventType::CreatedReplication);
        self.store.changes(Seq(0), 10_000).unwrap().into_iter().filter(|c| c.kind == kind).collect()
    }
}

/// A disk whose journal takes nothing more while it is so told.
#[derive(Default)]
struct Full(AtomicBool);

impl Faults for Full {
    fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
        let adds = path.iter().any(|name| name == "journal") && matches!(step, Step::Write { .. });
        if adds && self.0.load(Ordering::SeqCst) {
            return Verdict::Fail(std::io::Error::other("no more"));
        }
        Verdict::Go
    }
}

/// A directory that is not there yet.
fn scratch(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("cosette-replication-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn rule(to: &str, change: impl FnOnce(&mut ReplicationRule)) -> ReplicationRule {
    let mut rule = ReplicationRule {
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
    };
    change(&mut rule);
    rule
}

#[tokio::test]
async fn a_copy_is_the_rules_and_of_the_same_request() {
    let world = World::new(None);
    for (bucket, region, owner) in
        [("from", "ap-guangzhou", "1"), ("into", "ap-shanghai", "1"), ("other", "ap-beijing", "1")]
    {
        world.bucket(bucket, region, owner).await;
    }
    let cold = |rule: &mut ReplicationRule| rule.destination.class = Some(StorageClass::Archive);
    let theirs = |rule: &mut ReplicationRule| rule.destination.owner_destination = true;
    world.rules("from", vec![rule("into-1250000000", cold), rule("other", |_| {})]).await;
    let made = world.put_of("from", "a", Some("9")).await;
    world.rules("from", vec![rule("other", theirs)]).await;
    world.put_of("from", "b", Some("9")).await;
    world.run().await;
    // By the name that one has as well that was made without its APPID.
    let copy = world.found("into", "a").unwrap();
    assert_eq!((copy.version, copy.modified, &copy.etag), (made.version, made.modified, &made.etag));
    assert_eq!(
        (copy.attributes.storage_class, copy.properties.owner.as_deref()),
        (StorageClass::Archive, Some("9"))
    );
    let owner = |object| world.found("other", object).unwrap().properties.owner;
    assert_eq!((owner("a").as_deref(), owner("b")), (Some("9"), None));
    let causes: Vec<_> = world.made().into_iter().map(|change| (change.bucket, change.cause)).collect();
    let cause = |request: &str, rule: &str| Cause {
        request_id: request.to_owned(),
        depth: 3,
        rule: Some(rule.to_owned()),
        ..Cause::default()
    };
    assert!(causes.contains(&(name("into"), cause("a", "into-1250000000"))));
    assert!(causes.contains(&(name("other"), cause("b", "other"))));
    assert_eq!(causes.len(), 3);
    world.store.close().await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_does_not_take_it_lets_it_fail() {
    let world = World::new(None);
    for bucket in ["from", "plain"] {
        world.bucket(bucket, "ap-guangzhou", "1").await;
    }
    world.bucket("theirs", "ap-guangzhou", "2").await;
    world.store.set_versioning(name("plain"), false, Cause::default()).await.unwrap();
    let elsewhere = |rule: &mut ReplicationRule| rule.destination.bucket.region = Some("ap-beijing".into());
    for (n, rule) in [
        rule("plain", |_| {}),
        rule("theirs", |_| {}),
        rule("plain", elsewhere),
        rule("from", |_| {}),
        rule("gone", |_| {}),
        rule("!", |_| {}),
    ]
    .into_iter()
    .enumerate()
    {
        world.rules("from", vec![rule]).await;
        let object = format!("k{n}");
        world.put("from", &object).await;
        assert_eq!(world.state("from", &object), Some(ReplicaState::Pending { left: 1, failed: false }));
        world.run().await;
        assert_eq!(world.state("from", &object), Some(ReplicaState::Failed));
    }
    assert!(world.made().is_empty());
    world.store.close().await.unwrap();
}

/// Under the supervisor: what is written is copied at once, and what waits for it knows.
#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_log_and_says_how_far_it_is() {
    let dir = scratch("log");
    let world = World::new(Some(&dir));
    for bucket in ["from", "into"] {
        world.bucket(bucket, "ap-guangzhou", "1").await;
    }
    world.rules("from", vec![rule("into", |_| {})]).await;
    for n in 0..200 {
        world.put("from", &format!("k{n}")).await;
    }
    let (job, progress) = world.job();
    assert!(!progress.0.borrow().has_reached(world.store.head(), None));
    let jobs = Jobs::new(world.store.clone(), world.clock.clone());
    jobs.add(job);
    progress.reached(world.store.head(), Some("k7")).await;
    jobs.settled().await;
    assert!(progress.0.borrow().has_reached(world.store.head(), None));
    assert_eq!(world.made().len(), 200);
    world.put("from", "later").await;
    progress.reached(world.store.head(), None).await;
    assert!(world.found("into", "later").is_some());
    jobs.stop().await;
    assert!(world.store.get(Table::Cursor, CURSOR).unwrap().is_some());

    // Where it was stopped it goes on; what is read again does nothing again.
    world.put("from", "after the stop").await;
    world.run().await;
    world.run().await;
    assert_eq!(world.made().len(), 202);
    world.store.close().await.unwrap();
    drop(world);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn what_a_full_disk_refuses_waits_for_room() {
    let dir = scratch("full");
    let full = Arc::new(Full::default());
    let world = World::on(Some(&dir), Disk::faulty(full.clone()));
    for bucket in ["from", "into"] {
        world.bucket(bucket, "ap-guangzhou", "1").await;
    }
    world.rules("from", vec![rule("into", |_| {})]).await;
    let (mut job, progress) = world.job();
    job.run_due(world.clock.now(), &never()).await.unwrap();
    let called = job.called();
    let objects = ASIDE_MAX + 1;
    for n in 0..objects {
        world.put("from", &format!("k{n}")).await;
    }
    assert!(called());
    full.0.store(true, Ordering::SeqCst);
    for _ in 0..TRIES + 2 {
        let next = job.run_due(world.clock.now(), &never()).await.unwrap();
        assert_eq!(next.at, Some(world.clock.now().plus(RETRY_AFTER)));
        assert_eq!((job.aside.len(), called()), (ASIDE_MAX, false), "the rest of the log waits");
        world.clock.advance(RETRY_AFTER);
    }
    full.0.store(false, Ordering::SeqCst);
    assert_eq!(job.run_due(world.clock.now(), &never()).await.unwrap().at, None);
    assert!(progress.0.borrow().has_reached(world.store.head(), None));
    assert_eq!(world.made().len(), objects);
    assert_eq!(world.state("from", "k0"), Some(ReplicaState::Completed));
    world.store.close().await.unwrap();
    drop((job, world));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_is_put_aside_is_waited_for_by_those_who_led_to_it() {
    let link = Link { request_id: "put".into(), invocation: "call".into(), ..Link::call("f", "") };
    let cause = Cause { request_id: "write".into(), links: vec![link], ..Cause::default() };
    let progress = Progress { cursor: Seq(9), aside: vec![cause], full: false };
    for (request, reached) in [
        (None, false),
        (Some("write"), false),
        (Some("put"), false),
        (Some("call"), false),
        (Some("other"), true),
    ] {
        assert_eq!(progress.has_reached(Seq(9), request), reached, "{request:?}");
    }
}
