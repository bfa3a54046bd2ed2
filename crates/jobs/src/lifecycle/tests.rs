//! The job on a store and a clock that stands still until it is moved.

mod tiering;

use std::time::Duration;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::op::{Owner, WriteConditions};
use cosette_model::setting::{
    Expiration, Lifecycle, LifecycleFilter, LifecycleRule, Noncurrent, Replication, Status, Transition, When,
};
use cosette_model::{
    Attributes, Cause, ChangeKind, EventType, LifecycleChange, Lock, ObjectKey, Properties, Region, Restore,
    RestoreTier, Retention, RetentionMode, Setting, SettingName, StorageClass, VersionId, Wanted,
};
use cosette_store::{
    Age, Aging, DeleteObject, Durability, Options, PutObject, Replica, Replicate, Replicated, ReviseObject,
    Summary,
};

use super::walk::listing;
use super::*;
use crate::{Jobs, supervisor};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct World {
    clock: Clock,
    store: Store,
    job: Lifecycles,
    stop: Stop,
}

fn name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

fn rule(id: &str, change: impl FnOnce(&mut LifecycleRule)) -> LifecycleRule {
    let mut rule = LifecycleRule {
        id: id.to_owned(),
        status: Status::Enabled,
        filter: LifecycleFilter::default(),
        transitions: Vec::new(),
        expiration: None,
        noncurrent_transitions: Vec::new(),
        noncurrent_expiration: None,
        abort_uploads: None,
    };
    change(&mut rule);
    rule
}

fn expire(days: u32) -> impl FnOnce(&mut LifecycleRule) {
    move |rule| rule.expiration = Some(Expiration::At(When::Days(days)))
}

impl World {
    fn new(dir: Option<&std::path::Path>) -> Self {
        // Noon.
        let clock = Clock::frozen(Timestamp::from_secs(1_700_006_400 + 12 * 3600));
        Self::on(dir, clock)
    }

    fn on(dir: Option<&std::path::Path>, clock: Clock) -> Self {
        let options =
            Options { dir: dir.map(Into::into), durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let job = Lifecycles::new(store.clone(), Day::default());
        Self { clock, store, job, stop: supervisor::never() }
    }

    async fn bucket(&self, bucket: &str, rules: impl IntoIterator<Item = LifecycleRule>) {
        let owner = Owner { uin: "100".to_owned(), appid: "125".to_owned(), name: String::new() };
        let region = Region::new("ap-guangzhou").unwrap();
        self.store.create_bucket(name(bucket), region, owner, Cause::default()).await.unwrap();
        self.rules(bucket, rules).await;
    }

    async fn rules(&self, bucket: &str, rules: impl IntoIterator<Item = LifecycleRule>) {
        let rules = Lifecycle { rules: rules.into_iter().collect(), ..Lifecycle::default() };
        let kept = Some(Setting::Lifecycle(rules).encode().unwrap());
        let row = SettingName::Lifecycle.row();
        self.store.set_setting(name(bucket), row, kept, Cause::default()).await.unwrap();
    }

    async fn copies(&self, from: &str, to: &str) {
        let rule = serde_json::json!({
            "status": "Enabled",
            "destination": { "bucket": { "name": to }, "owner_destination": false },
        });
        let rules: Replication =
            serde_json::from_value(serde_json::json!({ "role": "qcs:", "rules": [rule] })).unwrap();
        let kept = Some(Setting::Replication(rules).encode().unwrap());
        let row = SettingName::Replication.row();
        self.store.set_setting(name(from), row, kept, Cause::default()).await.unwrap();
    }

    async fn versions(&self, bucket: &str, enabled: bool) {
        self.store.set_versioning(name(bucket), enabled, Cause::default()).await.unwrap();
    }

    async fn put(&self, bucket: &str, object: &str) {
        self.put_with(bucket, object, Properties::default()).await;
    }

    async fn put_tiered(&self, bucket: &str, object: &str) {
        let class = StorageClass::IntelligentTiering;
        self.put_of(bucket, object, Properties::default(), class).await;
    }

    async fn put_with(&self, bucket: &str, object: &str, properties: Properties) {
        self.put_of(bucket, object, properties, StorageClass::Standard).await;
    }

    async fn put_of(&self, bucket: &str, object: &str, properties: Properties, class: StorageClass) {
        let mut staged = self.store.stage(Some(3), Wanted::default()).unwrap();
        staged.write(Bytes::from_static(b"abc")).await.unwrap();
        let put = PutObject {
            bucket: name(bucket).into(),
            key: key(object),
            attributes: Attributes { storage_class: class, ..Attributes::default() },
            properties,
            checksum_type: None,
            conditions: WriteConditions::default(),
            symlink: None,
            body: staged.seal().await.unwrap(),
            event: EventType::CreatedPut,
            cause: Cause::default(),
        };
        self.store.put_object(put).await.unwrap();
    }

    async fn delete(&self, bucket: &str, object: &str, version: Option<VersionId>) {
        let delete = DeleteObject {
            bucket: name(bucket).into(),
            key: key(object),
            version,
            conditions: WriteConditions::default(),
            bypass_governance: false,
            cause: Cause::default(),
        };
        self.store.delete_object(delete).await.unwrap();
    }

    /// Moves to noon so many days later and does what is due.
    async fn after(&mut self, days: u32) {
        self.clock.advance(DAY * days);
        self.run().await;
    }

    async fn run(&mut self) -> Next {
        self.job.run_due(self.clock.now(), &self.stop).await.unwrap()
    }

    /// `key` or `key!` for a delete marker, of each version with its class; newest first.
    fn shown(&self, bucket: &str) -> Vec<String> {
        let page = self.store.list_versions(&name(bucket), &listing("", ""), None).unwrap();
        let shown = page.versions.iter().map(|listed| match listed.summary.storage_class {
            _ if listed.summary.delete_marker => format!("{}!", listed.key),
            StorageClass::Standard => listed.key.to_string(),
            class => format!("{} {}", listed.key, class.name()),
        });
        shown.collect()
    }

    /// What rules did, with their names.
    fn done(&self) -> Vec<(LifecycleChange, String, String)> {
        let changes = self.store.changes(Seq(0), 10_000).unwrap();
        let done = changes.into_iter().filter_map(|change| match change.kind {
            ChangeKind::Lifecycle(what) => {
                assert_eq!(change.kind.event(), None);
                Some((what, change.key.unwrap().to_string(), change.cause.rule.unwrap()))
            }
            _ => None,
        });
        done.collect()
    }
}

#[tokio::test]
async fn objects_go_and_move_when_their_days_are_over() {
    let mut world = World::new(None);
    let down = |rule: &mut LifecycleRule| {
        rule.filter.prefix = Some("cold/".into());
        rule.transitions = vec![
            Transition { when: When::Days(1), class: StorageClass::StandardIa },
            Transition { when: When::Days(3), class: StorageClass::DeepArchive },
        ];
    };
    let gone = |rule: &mut LifecycleRule| {
        expire(2)(rule);
        rule.filter.prefix = Some("tmp/".into());
    };
    world.bucket("bbb", [rule("down", down), rule("gone", gone)]).await;
    for object in ["cold/a", "keep", "tmp/a"] {
        world.put("bbb", object).await;
    }
    world.run().await;
    assert_eq!(world.shown("bbb"), ["cold/a", "keep", "tmp/a"]);
    world.after(1).await;
    assert_eq!(world.shown("bbb"), ["cold/a", "keep", "tmp/a"]);
    world.after(1).await;
    assert_eq!(world.shown("bbb"), ["cold/a STANDARD_IA", "keep", "tmp/a"]);
    world.after(1).await;
    assert_eq!(world.shown("bbb"), ["cold/a STANDARD_IA", "keep"]);
    world.after(1).await;
    assert_eq!(world.shown("bbb"), ["cold/a DEEP_ARCHIVE", "keep"]);
    assert_eq!(
        world.done(),
        [
            (LifecycleChange::Transitioned, "cold/a".into(), "down".into()),
            (LifecycleChange::Deleted, "tmp/a".into(), "gone".into()),
            (LifecycleChange::Transitioned, "cold/a".into(), "down".into()),
        ]
    );
}

#[tokio::test]
async fn versions_age_until_nothing_is_left() {
    let mut world = World::new(None);
    let old = |rule: &mut LifecycleRule| {
        rule.noncurrent_expiration = Some(Noncurrent { days: 1, keep: None });
        rule.filter.prefix = Some("a".into());
    };
    world.bucket("bbb", [rule("old", old), rule("gone", expire(1))]).await;
    world.put("bbb", "a").await;
    world.versions("bbb", true).await;
    world.put("bbb", "a").await;
    world.put("bbb", "b").await;
    world.after(2).await;
    // The null version is over a day old; the others are marked as deleted.
    assert_eq!(world.shown("bbb"), ["a!", "a", "b!", "b"]);
    world.after(2).await;
    // A marker that nothing is left of goes in the same run.
    assert_eq!(world.shown("bbb"), ["b!", "b"]);
    world.versions("bbb", false).await;
    world.put("bbb", "c").await;
    world.after(2).await;
    // A suspended bucket's null version gives way to the marker; that goes after its own day.
    assert_eq!(world.shown("bbb"), ["b!", "b", "c!"]);
    world.after(2).await;
    assert_eq!(world.shown("bbb"), ["b!", "b"]);
}

#[tokio::test]
async fn as_many_versions_stay_as_the_rule_says() {
    let mut world = World::new(None);
    let old = |rule: &mut LifecycleRule| {
        rule.noncurrent_expiration = Some(Noncurrent { days: 1, keep: Some(2) });
    };
    world.bucket("bbb", [rule("old", old)]).await;
    world.versions("bbb", true).await;
    for _ in 0..5 {
        world.put("bbb", "a").await;
    }
    world.after(2).await;
    assert_eq!(world.shown("bbb").len(), 3);
    world.put("bbb", "a").await;
    world.after(1).await;
    assert_eq!(world.shown("bbb").len(), 3, "one newer one makes the oldest one too many");
    world.delete("bbb", "a", None).await;
    world.after(1).await;
    assert_eq!(world.shown("bbb"), ["a!", "a", "a"]);
}

#[tokio::test]
async fn what_is_locked_stays_until_it_is_not() {
    let mut world = World::new(None);
    world.bucket("bbb", [rule("gone", expire(1))]).await;
    let until = world.clock.now().plus(DAY * 4);
    let retention = Some(Retention { mode: RetentionMode::Compliance, until });
    world.put_with("bbb", "a", Properties::default().locked(Lock { retention, legal_hold: false })).await;
    world.after(4).await;
    assert_eq!(world.shown("bbb"), ["a"]);
    world.after(1).await;
    assert!(world.shown("bbb").is_empty());
}

#[tokio::test]
async fn uploads_are_aborted() {
    let mut world = World::new(None);
    world.bucket("bbb", [rule("cut", |rule| rule.abort_uploads = Some(1))]).await;
    world.run().await;
    let begin = |object: &str| {
        let attributes = Attributes::default();
        world.store.create_upload(name("bbb"), key(object), attributes, Properties::default(), None, None)
    };
    begin("early").await.unwrap();
    world.clock.advance(DAY);
    begin("late").await.unwrap();
    world.after(1).await;
    let open = |world: &World| -> Vec<String> {
        let page = world.store.list_uploads(&name("bbb"), &listing("", ""), "").unwrap();
        page.uploads.iter().map(|upload| upload.key.to_string()).collect()
    };
    assert_eq!(open(&world), ["late"]);
    world.after(1).await;
    assert!(open(&world).is_empty());
}

/// What a walk has seen and a client has changed since: the commit decides on what is there.
#[tokio::test]
async fn a_write_that_comes_between_is_not_touched() {
    let mut world = World::new(None);
    world.bucket("bbb", [rule("gone", expire(1))]).await;
    world.put("bbb", "a").await;
    world.run().await;
    world.clock.advance(DAY * 2);
    let rules = world.job.plans[&name("bbb")].rules.clone();
    let listed = world.store.list_versions(&name("bbb"), &listing("", ""), None).unwrap();
    let seen: Vec<Summary> = listed.versions.into_iter().map(|listed| listed.summary).collect();
    let what = Age { bucket: name("bbb").into(), key: key("a"), stamp: seen[0].version.stamp, after: None };
    world.put("bbb", "a").await;
    let decided = rules.clone();
    let aging = world.store.age(what, move |view, version, now| decided.decide(view, version, now)).await;
    assert_eq!(aging.unwrap(), Aging::Nothing(None));
    assert_eq!(world.shown("bbb"), ["a"]);
    // Nor are rules followed that are not there any more.
    let listed = world.store.list_versions(&name("bbb"), &listing("", ""), None).unwrap();
    let now = world.clock.now().plus(DAY * 2);
    world.clock.set(now);
    world.rules("bbb", [rule("other", expire(50))]).await;
    let seen = listed.versions.into_iter().map(|listed| listed.summary).collect();
    let walk = Walk { store: &world.store, rules: &rules, now, stop: &world.stop };
    let tally = walk.age(key("a"), seen).await.unwrap();
    assert_eq!((tally.removed, world.shown("bbb")), (0, vec!["a".to_owned()]));
}

/// Its days count from the write of what it is a copy of, however late it is made.
#[tokio::test]
async fn a_copy_that_is_made_late_goes_when_it_is_due() {
    let mut world = World::new(None);
    world.bucket("from", []).await;
    world.bucket("into", [rule("gone", expire(2))]).await;
    for bucket in ["from", "into"] {
        world.versions(bucket, true).await;
    }
    world.copies("from", "into").await;
    world.put("from", "a").await;
    world.run().await;
    world.clock.advance(DAY * 5);
    let asked = world.store.changes(Seq(0), 100).unwrap().pop().unwrap();
    let what = Replicate {
        bucket: asked.bucket,
        key: asked.key.unwrap(),
        version: asked.version_id.unwrap(),
        after: 0,
        to: Some(name("into")),
        cause: Cause::default(),
    };
    let copied = world.store.replicate(what, |_, _, _| {
        let (storage_class, properties) = Default::default();
        Ok(Replica { storage_class, properties, sealing: None })
    });
    assert_eq!(copied.await.unwrap(), Replicated::Done);
    world.after(1).await;
    assert_eq!(world.shown("into"), ["a!", "a"]);
}

/// All that a walk over everything would find to do, the job has done: on random scripts of writes,
/// deletes, tags, rules and days.
#[tokio::test]
async fn nothing_due_is_missed_by_not_looking() {
    for seed in 0..40_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let mut world = World::new(None);
        world.bucket("bbb", []).await;
        let mut acts = 0;
        for _ in 0..120 {
            let object = format!("{}/{}", ["x", "y"][draw(2) as usize], draw(3));
            match draw(14) {
                12 => {
                    let days = 1 + draw(5) as u32;
                    let tiers = [("ARCHIVE_ACCESS", days), ("DEEP_ARCHIVE_ACCESS", days + 2)];
                    world.tiers("bbb", "x/", &tiers[..draw(3) as usize]).await;
                }
                13 => match world.store.object(&name("bbb"), &key(&object), None) {
                    Ok(_) if draw(2) == 0 => world.read("bbb", &object),
                    _ => world.put_tiered("bbb", &object).await,
                },
                0 => {
                    let keep = [None, Some(1), Some(2)][draw(3) as usize];
                    let (days, kind) = (1 + draw(4) as u32, draw(5));
                    let prefix = ["", "x/", "y/1"][draw(3) as usize].to_owned();
                    let tagged = draw(2) == 0;
                    let some = rule("r", move |rule| {
                        match kind {
                            0 => expire(days)(rule),
                            1 => rule.expiration = Some(Expiration::Marker(true)),
                            2 => rule.noncurrent_expiration = Some(Noncurrent { days, keep }),
                            _ => {
                                let class = StorageClass::Glacier;
                                rule.transitions = vec![Transition { when: When::Days(days), class }];
                            }
                        }
                        rule.filter.prefix = Some(prefix);
                        if tagged && kind != 1 {
                            rule.filter.tags = vec![("t".to_owned(), "1".to_owned())];
                        }
                    });
                    let old = Some(Noncurrent { days: 2, keep: None });
                    let other = rule("o", |rule| rule.noncurrent_expiration = old);
                    world.rules("bbb", [some, other].into_iter().take(1 + draw(2) as usize)).await;
                }
                1 => world.versions("bbb", draw(3) > 0).await,
                2 => {
                    let id = VersionId::Null;
                    world.delete("bbb", &object, Some(id)).await;
                }
                3 => world.delete("bbb", &object, None).await,
                4 => {
                    let page = world.store.list_versions(&name("bbb"), &listing(&object, ""), None).unwrap();
                    if let Some(listed) = page.versions.first() {
                        world.delete("bbb", &object, Some(listed.summary.version.id())).await;
                    }
                }
                5 => {
                    let what = ReviseObject {
                        bucket: name("bbb").into(),
                        key: key(&object),
                        version: None,
                        cause: Cause::default(),
                    };
                    // There may be none.
                    let _ = world
                        .store
                        .revise_object(what, |revision| {
                            revision.properties.tags = [("t".to_owned(), "1".to_owned())].into();
                            Ok::<_, StoreError>(())
                        })
                        .await;
                }
                6..=8 => world.put("bbb", &object).await,
                _ => {
                    world.clock.advance(DAY / 2 * (1 + draw(3) as u32));
                    world.run().await;
                    let before = world.done().len();
                    let mut fresh = Lifecycles::new(world.store.clone(), Day::default());
                    fresh.run_due(world.clock.now(), &world.stop).await.unwrap();
                    assert_eq!(world.done().len(), before, "seed {seed}");
                    acts = before;
                }
            }
        }
        assert!(acts > 0 || seed > 0, "the scripts do something");
    }
}

/// A class has its own tiers and times: those of a restore from another one say nothing of it.
#[tokio::test]
async fn an_archived_object_that_was_restored_can_be_restored_again_where_it_is_moved_to() {
    let mut world = World::new(None);
    world
        .bucket(
            "bbb",
            [rule("deep", |rule| {
                rule.transitions =
                    vec![Transition { when: When::Days(10), class: StorageClass::DeepArchive }];
            })],
        )
        .await;
    let restore = async |world: &World, object: &str, days| {
        let what = ReviseObject {
            bucket: name("bbb").into(),
            key: key(object),
            version: None,
            cause: Cause::default(),
        };
        let revised = world.store.revise_object(what, move |revision| {
            revision.storage_class = StorageClass::Archive;
            let (tier, requested) = (RestoreTier::Expedited, revision.now);
            revision.properties.restore = Some(Restore::Ongoing { tier, days, requested });
            Ok::<_, StoreError>(())
        });
        revised.await.unwrap();
    };
    for object in ["before", "still", "under way"] {
        world.put("bbb", object).await;
    }
    restore(&world, "before", 1).await;
    restore(&world, "still", 100).await;
    world.run().await;
    world.clock.advance(DAY * 11 - Duration::from_secs(1));
    restore(&world, "under way", 100).await;
    world.run().await;
    let shown = |object: &str| {
        let object = world.store.object(&name("bbb"), &key(object), None).unwrap();
        assert_eq!(object.attributes.storage_class, StorageClass::DeepArchive);
        object.properties.restore
    };
    assert_eq!((shown("before"), shown("under way")), (None, None));
    assert!(matches!(shown("still"), Some(Restore::Done { .. })));
}

/// A day on which nothing can be due looks at no object.
#[tokio::test]
async fn nothing_is_walked_over_while_nothing_is_due() {
    let mut world = World::new(None);
    world.bucket("bbb", [rule("gone", expire(10))]).await;
    world.put("bbb", "a").await;
    let start = world.clock.now();
    world.run().await;
    let planned = |world: &World| world.job.plans[&name("bbb")].next;
    let tenth = Day::default().after(start, 10);
    assert_eq!(planned(&world), Some(tenth));
    for _ in 0..5 {
        world.after(1).await;
        world.put("bbb", "b").await;
        assert_eq!(planned(&world), Some(tenth));
    }
    world.after(6).await;
    assert_eq!(world.shown("bbb"), ["b"]);
    assert!(planned(&world).unwrap() > world.clock.now());
    world.rules("bbb", []).await;
    world.after(1).await;
    assert!(world.job.plans.is_empty());
}

/// Stopped in the middle, and opened again without a close: what was done is done once, and the rest
/// is done by the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on() {
    let dir = std::env::temp_dir().join(format!("cosette-jobs-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let world = World::new(Some(&dir));
    world.bucket("bbb", [rule("gone", expire(1))]).await;
    for n in 0..400 {
        world.put("bbb", &format!("k{n:03}")).await;
    }
    world.clock.advance(DAY * 2);
    let jobs = Jobs::start(
        &world.store,
        &world.clock,
        &crate::AccessLog::default(),
        &Default::default(),
        crate::Options { day: Day::default(), log_interval: Duration::from_secs(300) },
    );
    loop {
        let head = world.store.head();
        if !world.done().is_empty() {
            break;
        }
        world.store.changed(head).await;
    }
    jobs.stop().await;
    let before = world.done().len();
    let clock = world.clock.clone();
    drop((world, jobs));
    let mut world = World::on(Some(&dir), clock);
    assert_eq!((world.done().len(), world.shown("bbb").len()), (before, 400 - before));
    world.run().await;
    assert!(world.shown("bbb").is_empty());
    let mut keys: Vec<String> = world.done().into_iter().map(|(_, key, _)| key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 400);
    world.store.close().await.unwrap();
    drop(world);
    std::fs::remove_dir_all(&dir).unwrap();
}
