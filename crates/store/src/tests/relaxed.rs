//! What relaxed durability promises of a loss of power: a state that once was, whole, and none
//! before the last checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use cosette_blob::{Faults, Step, Verdict};
use cosette_model::Seq;

use super::power::{Done, Media, Recorder};
use super::*;

/// The same machine after it has been started again.
struct Rebooted;

impl Faults for Rebooted {
    fn before(&self, _: Step<'_>, _: &Path) -> Verdict {
        Verdict::Go
    }

    fn boot(&self) -> Option<String> {
        Some("another boot".to_owned())
    }
}

fn open_relaxed(dir: &Path, disk: Disk, settings: Settings) -> Result<Store> {
    let options =
        Options { dir: Some(dir.to_owned()), durability: Durability::Relaxed, cache_bytes: 8 << 20 };
    Store::open_with(options, clock(), disk, settings)
}

type State = BTreeMap<String, Vec<u8>>;

/// What the store holds, read whole, with how many changes it has seen.
async fn state(store: &Store) -> (State, usize) {
    let mut found = State::new();
    if store.bucket(&name("bucket")).unwrap().is_some() {
        for (object, _) in store.list_objects(&name("bucket"), &listing("", "", "", 1000)).unwrap().objects {
            let body = get(store, "bucket", object.as_str()).await.unwrap();
            found.insert(object.into_string(), body);
        }
    }
    (found, store.changes(Seq(0), usize::MAX).unwrap().len())
}

#[tokio::test]
async fn a_loss_of_power_leaves_a_state_that_once_was() {
    let scratch = Scratch::new();
    let recorder = Recorder::new(scratch.path());
    // Checkpoints, snapshots and new segments again and again, while it writes.
    let settings = Settings {
        segment_max: 4_000,
        snapshot_after: 0,
        waste_min: 0,
        checkpoint_after: Duration::ZERO,
        garbage_grace: Duration::ZERO,
        ..Settings::default()
    };
    let store = open_relaxed(scratch.path(), Disk::faulty(recorder.clone()), settings).unwrap();
    create(&store, "bucket").await.unwrap();
    // Each state with the number of steps there had been when it was acknowledged.
    let mut states = vec![(recorder.count(), State::new(), 1)];
    let mut random = Random(7);
    for n in 0..40u64 {
        let object = format!("key {}", random.below(5));
        let (_, mut now, changes) = states.last().unwrap().clone();
        if now.contains_key(&object) && random.below(4) == 0 {
            delete(&store, "bucket", &object).await.unwrap();
            now.remove(&object);
        } else {
            let body = bytes(*random.pick(&[10, 900, 40_000, 150_000]), n);
            put(&store, "bucket", &object, &body).await.unwrap();
            now.insert(object, body);
        }
        states.push((recorder.count(), now, changes + 1));
    }
    drop(store);
    let steps = recorder.steps().clone();
    let mut media = Media::new();
    let mut checked = 0;
    // The state that the last checkpoint has made certain.
    let mut certain = None;
    for (n, step) in steps.iter().enumerate() {
        media.apply(step);
        if matches!(step, Done::SyncAll) {
            certain = states.iter().rposition(|(acknowledged, ..)| *acknowledged <= n).or(certain);
        }
        if n < states[0].0 || n % 5 != 0 {
            continue;
        }
        for seed in [0, n as u64] {
            let image = media.image(seed);
            let again = open_relaxed(image.path(), Disk::faulty(Arc::new(Rebooted)), settings).unwrap();
            let (found, changes) = state(&again).await;
            let at = states.iter().position(|(_, state, seen)| (state, seen) == (&found, &changes));
            let what = format!("step {n}, seed {seed}: {:?} with {changes} changes", found.keys());
            match at {
                Some(at) => assert!(certain.is_none_or(|certain| at >= certain), "too old: {what}"),
                None => assert!(found.is_empty() && changes == 0 && certain.is_none(), "never was: {what}"),
            }
            checked += 1;
        }
    }
    assert!(checked > 40 && certain.is_some(), "{checked}");
}
