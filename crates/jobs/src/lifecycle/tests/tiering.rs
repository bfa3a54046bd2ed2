//! Objects of intelligent tiering that nobody reads, and what puts it off.

use cosette_model::ArchiveTier;
use cosette_model::setting::{IntelligentTiering, ObjectFilter, SmallObjects, Tier};

use super::*;

impl World {
    /// One rule for what begins so, or none.
    pub(super) async fn tiers(&self, bucket: &str, prefix: &str, tiers: &[(&str, u32)]) {
        let tiers = tiers.iter();
        let tiers = tiers.map(|(name, days)| Tier { name: (*name).into(), days: *days, frequent: None });
        let rule = IntelligentTiering {
            id: "t".into(),
            made: 1,
            status: Status::Enabled,
            filter: Some(ObjectFilter { prefix: Some(prefix.into()), ..ObjectFilter::default() }),
            tiers: tiers.collect(),
            small: SmallObjects::Move,
        };
        let kept = (!rule.tiers.is_empty()).then(|| Setting::IntelligentTiering(rule).encode().unwrap());
        let row = SettingName::IntelligentTiering.row_of(Some("t")).into_owned();
        let set = move |_: &cosette_store::View| Ok::<_, StoreError>(kept);
        self.store.revise_setting(name(bucket), row, Cause::default(), set).await.unwrap();
    }

    pub(super) fn read(&self, bucket: &str, object: &str) {
        let found = self.store.object(&name(bucket), &key(object), None).unwrap();
        let bucket = self.store.view(&name(bucket)).unwrap().unwrap().bucket.clone();
        self.store.note_read(&bucket, &key(object), &found, self.clock.now());
    }

    fn archived(&self, object: &str) -> Option<ArchiveTier> {
        let found = self.store.object(&name("bbb"), &key(object), None).unwrap();
        let (class, properties) = (found.attributes.storage_class, found.properties);
        properties.tiering.at(class, properties.restore, self.clock.now()).0.archived
    }

    async fn of_tiers(&self) {
        self.bucket("bbb", []).await;
        self.tiers("bbb", "a/", &[("ARCHIVE_ACCESS", 90), ("DEEP_ARCHIVE_ACCESS", 180)]).await;
    }
}

#[tokio::test]
async fn what_nobody_reads_is_archived_in_steps() {
    let mut world = World::new(None);
    world.of_tiers().await;
    world.put_tiered("bbb", "a/cold").await;
    world.put_tiered("bbb", "a/warm").await;
    world.put_tiered("bbb", "b").await;
    world.put("bbb", "a/plain").await;
    world.run().await;
    world.after(60).await;
    world.read("bbb", "a/warm");
    world.after(31).await;
    let tiers = |world: &World| ["a/cold", "a/warm", "b", "a/plain"].map(|object| world.archived(object));
    assert_eq!(tiers(&world), [Some(ArchiveTier::Archive), None, None, None]);
    world.after(60).await;
    assert_eq!(tiers(&world), [Some(ArchiveTier::Archive), Some(ArchiveTier::Archive), None, None]);
    world.after(30).await;
    assert_eq!(tiers(&world)[0], Some(ArchiveTier::DeepArchive));
    let archived = |object: &str, tier| (LifecycleChange::Archived(tier), object.to_owned(), "t".to_owned());
    assert_eq!(
        world.done(),
        [
            archived("a/cold", ArchiveTier::Archive),
            archived("a/warm", ArchiveTier::Archive),
            archived("a/cold", ArchiveTier::DeepArchive)
        ]
    );
    // It stays there when the rule has gone.
    world.tiers("bbb", "", &[]).await;
    world.after(1).await;
    assert_eq!(tiers(&world)[0], Some(ArchiveTier::DeepArchive));
}

/// What is noted in the moment before the commit counts in it.
#[tokio::test]
async fn a_read_that_comes_between_is_heeded() {
    let mut world = World::new(None);
    world.of_tiers().await;
    world.put_tiered("bbb", "a/k").await;
    world.run().await;
    let rules = world.job.plans[&name("bbb")].rules.clone();
    world.clock.advance(DAY * 91);
    let now = world.clock.now();
    let listed = world.store.list_versions(&name("bbb"), &listing("", ""), None).unwrap();
    let seen = listed.versions.into_iter().map(|listed| listed.summary).collect();
    world.read("bbb", "a/k");
    let walk = Walk { store: &world.store, rules: &rules, now, stop: &world.stop };
    let tally = walk.age(key("a/k"), seen).await.unwrap();
    assert_eq!((tally.archived, tally.next), (0, Some(Day::default().after(now, 90))));
}

/// Reads are written down once a day and by a clean stop; a crash forgets those of its day.
#[tokio::test]
async fn reads_are_written_down() {
    let dir = std::env::temp_dir().join(format!("cosette-tiering-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut world = World::new(Some(&dir));
    world.of_tiers().await;
    for object in ["a/day", "a/stop", "a/crash"] {
        world.put_tiered("bbb", object).await;
    }
    world.run().await;
    let accessed = |world: &World, object: &str| {
        world.store.object(&name("bbb"), &key(object), None).unwrap().properties.tiering.accessed
    };
    world.clock.advance(DAY);
    let (first, head) = (world.clock.now(), world.store.head());
    for _ in 0..100 {
        world.read("bbb", "a/day");
    }
    assert_eq!((world.store.head(), accessed(&world, "a/day")), (head, None), "a read is no commit");
    world.after(1).await;
    assert_eq!(accessed(&world, "a/day"), Some(first));
    world.read("bbb", "a/stop");
    world.job.finish().await.unwrap();
    world.read("bbb", "a/crash");
    let (clock, second) = (world.clock.clone(), world.clock.now());
    drop(world);
    let world = World::on(Some(&dir), clock);
    let kept = ["a/day", "a/stop", "a/crash"].map(|object| accessed(&world, object));
    assert_eq!(kept, [Some(first), Some(second), None]);
    world.store.close().await.unwrap();
    drop(world);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_restore_brings_it_back_for_good() {
    let mut world = World::new(None);
    world.of_tiers().await;
    world.put_tiered("bbb", "a/k").await;
    world.run().await;
    world.after(91).await;
    assert_eq!(world.archived("a/k"), Some(ArchiveTier::Archive));
    let what =
        ReviseObject { bucket: name("bbb").into(), key: key("a/k"), version: None, cause: Cause::default() };
    let revised = world.store.revise_object(what, |revision| {
        let (tier, requested) = (RestoreTier::Standard, revision.now);
        revision.properties.restore = Some(Restore::Ongoing { tier, days: 0, requested });
        revision.event = Some(EventType::RestorePost);
        Ok::<_, StoreError>(())
    });
    revised.await.unwrap();
    world.clock.advance(Duration::from_secs(3 * 3600));
    assert_eq!(world.archived("a/k"), None, "by the clock alone");
    let now = world.clock.now();
    assert!(world.store.finish_restore(now).await.unwrap());
    let found = world.store.object(&name("bbb"), &key("a/k"), None).unwrap().properties;
    assert_eq!((found.restore, found.tiering.accessed, found.tiering.archived), (None, Some(now), None));
    world.after(89).await;
    assert_eq!(world.archived("a/k"), None);
    world.after(2).await;
    assert_eq!(world.archived("a/k"), Some(ArchiveTier::Archive));
}

/// Days count from the move into the class, and a move out of it leaves nothing behind.
#[tokio::test]
async fn lifecycle_rules_move_objects_in_and_out() {
    let mut world = World::new(None);
    let steps = rule("steps", |rule| {
        rule.transitions = vec![
            Transition { when: When::Days(10), class: StorageClass::IntelligentTiering },
            Transition { when: When::Days(300), class: StorageClass::DeepArchive },
        ];
    });
    world.bucket("bbb", [steps]).await;
    world.tiers("bbb", "", &[("ARCHIVE_ACCESS", 90)]).await;
    world.put("bbb", "k").await;
    world.run().await;
    world.after(11).await;
    assert_eq!(world.shown("bbb"), ["k INTELLIGENT_TIERING"]);
    world.after(89).await;
    assert_eq!(world.archived("k"), None);
    world.after(2).await;
    assert_eq!(world.archived("k"), Some(ArchiveTier::Archive));
    world.after(200).await;
    assert_eq!(world.shown("bbb"), ["k DEEP_ARCHIVE"]);
    let found = world.store.object(&name("bbb"), &key("k"), None).unwrap();
    assert_eq!(found.properties.tiering, Default::default());
}
