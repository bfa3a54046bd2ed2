//! Random operations on a store and on plain maps, which must agree at every step and after
//! restarts, clean ones and crashes, in the middle.

use std::collections::BTreeMap;

use cosette_model::{ETag, Seq};

use super::*;
use crate::Page;

#[derive(Default)]
struct Reference {
    /// Bucket -> key -> body.
    buckets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// (bucket, key, upload id) -> part number -> body.
    uploads: BTreeMap<(String, String, String), BTreeMap<u64, Vec<u8>>>,
    changes: usize,
}

const BUCKETS: &[&str] = &["one", "two", "three"];
const KEYS: &[&str] = &["a", "a/", "a/b", "a/b/c", "a\0", "a/é", "b", "b/1", "b/2", "b/2/x", "ü/ü", "z"];
const PREFIXES: &[&str] = &["", "a", "a/", "a/b", "b/", "ü", "x"];
const DELIMITERS: &[&str] = &["", "/", "b", "/b"];

impl Reference {
    fn list(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: &str,
        after: &str,
        max: usize,
    ) -> (Vec<String>, Vec<String>, Option<String>) {
        let mut entries: Vec<(String, bool)> = Vec::new();
        for key in self.buckets[bucket].keys().filter(|key| key.starts_with(prefix)) {
            let rolled = (!delimiter.is_empty())
                .then(|| key[prefix.len()..].find(delimiter))
                .flatten()
                .map(|at| key[..prefix.len() + at + delimiter.len()].to_owned());
            let entry = match rolled {
                // A marker that is a common prefix hides it; a key in it that comes later shows it.
                Some(common) if common == after || key.as_str() <= after => continue,
                Some(common) => (common, true),
                None if key.as_str() <= after => continue,
                None => (key.clone(), false),
            };
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let next = (max > 0 && entries.len() > max).then(|| entries[max - 1].0.clone());
        entries.truncate(max);
        let (common, keys): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.1);
        let names = |entries: Vec<(String, bool)>| entries.into_iter().map(|entry| entry.0).collect();
        (names(keys), names(common), next)
    }

    async fn agrees_with(&self, store: &Store) {
        let names: Vec<String> =
            store.buckets().unwrap().into_iter().map(|bucket| bucket.name.into_string()).collect();
        assert!(names.iter().eq(self.buckets.keys().collect::<std::collections::BTreeSet<_>>()));
        for (bucket, objects) in &self.buckets {
            let page = store.list_objects(&name(bucket), &listing("", "", "", 1000)).unwrap();
            assert!(page.objects.iter().map(|(key, _)| key.as_str()).eq(objects.keys().map(String::as_str)));
            for (object, body) in objects {
                assert!(get(store, bucket, object).await.unwrap() == *body, "{bucket}/{object:?}");
            }
            let page = store.list_uploads(&name(bucket), &listing("", "", "", 1000), "").unwrap();
            let found: Vec<(String, String, String)> = page
                .uploads
                .into_iter()
                .map(|upload| (bucket.clone(), upload.key.into_string(), upload.id.into_string()))
                .collect();
            assert!(found.iter().eq(self.uploads.keys().filter(|id| id.0 == *bucket)));
        }
        for ((bucket, object, id), parts) in &self.uploads {
            let found = store.parts(&name(bucket), &key(object), &UploadId::new(id.clone()), 0, 99).unwrap();
            let found: Vec<(u64, u64)> =
                found.iter().map(|part| (part.number.get().into(), part.size)).collect();
            assert!(found.into_iter().eq(parts.iter().map(|(number, body)| (*number, body.len() as u64))));
        }
        let changes = store.changes(Seq(0), usize::MAX).unwrap();
        assert_eq!(changes.len(), self.changes);
        assert!(changes.is_sorted_by(|a, b| a.seq < b.seq));
    }
}

fn shown(page: Page) -> (Vec<String>, Vec<String>, Option<String>) {
    (page.objects.into_iter().map(|(key, _)| key.into_string()).collect(), page.common_prefixes, page.next)
}

async fn step(store: &Store, reference: &mut Reference, random: &mut Random) {
    let bucket = (*random.pick(BUCKETS)).to_owned();
    let object = (*random.pick(KEYS)).to_owned();
    let exists = reference.buckets.contains_key(&bucket);
    let upload = {
        let ids: Vec<_> = reference.uploads.keys().cloned().collect();
        (!ids.is_empty()).then(|| random.pick(&ids).clone())
    };
    let len = *random.pick(&[0usize, 1, 10, 5_000, 40_000]);
    let body = bytes(len, random.below(u64::MAX));
    match random.below(13) {
        0 => {
            let made = create(store, &bucket).await;
            assert_eq!(made.is_ok(), !exists);
            if !exists {
                reference.buckets.insert(bucket, BTreeMap::new());
                reference.changes += 1;
            }
        }
        1 if random.below(4) == 0 => {
            let empty = reference.buckets.get(&bucket).is_some_and(BTreeMap::is_empty)
                && !reference.uploads.keys().any(|id| id.0 == bucket);
            let gone = store.delete_bucket(name(&bucket), cause()).await;
            assert_eq!(gone.is_ok(), empty);
            if empty {
                reference.buckets.remove(&bucket);
                reference.changes += 1;
            }
        }
        2..=4 => {
            let put = put(store, &bucket, &object, &body).await;
            assert_eq!(put.is_ok(), exists);
            if let Some(objects) = reference.buckets.get_mut(&bucket) {
                objects.insert(object, body);
                reference.changes += 1;
            }
        }
        5 | 6 if exists => {
            let existed = delete(store, &bucket, &object).await.unwrap();
            let removed = reference.buckets.get_mut(&bucket).unwrap().remove(&object).is_some();
            assert_eq!(existed, removed);
            reference.changes += usize::from(removed);
        }
        7 if exists => {
            let (other, from) = (*random.pick(BUCKETS), *random.pick(KEYS));
            let source = reference.buckets.get(other).and_then(|objects| objects.get(from)).cloned();
            let copy = copy_of((other, from), (&bucket, &object));
            assert_eq!(store.copy_object(copy).await.is_ok(), source.is_some());
            if let Some(body) = source {
                reference.buckets.get_mut(&bucket).unwrap().insert(object, body);
                reference.changes += 1;
            }
        }
        8 if exists => {
            let id = begin(store, &bucket, &object).await.unwrap();
            reference.uploads.insert((bucket, object, id.into_string()), BTreeMap::new());
        }
        9 | 10 => {
            if let Some(upload) = upload {
                let number = 1 + random.below(5);
                part(store, &upload.0, &upload.1, &UploadId::new(upload.2.clone()), number, &body)
                    .await
                    .unwrap();
                reference.uploads.get_mut(&upload).unwrap().insert(number, body);
            }
        }
        11 => {
            if let Some(upload) = upload {
                let parts = reference.uploads.remove(&upload).unwrap();
                let id = UploadId::new(upload.2.clone());
                let named: Vec<(u64, Vec<u8>)> =
                    parts.clone().into_iter().filter(|_| random.below(4) > 0).collect();
                if named.is_empty() {
                    store.abort_upload(name(&upload.0), key(&upload.1), id).await.unwrap();
                } else {
                    let etags: Vec<(u64, ETag)> = named
                        .iter()
                        .map(|(number, body)| {
                            let mut digester = cosette_blob::Digester::new(&Wanted::default());
                            digester.update(body);
                            (*number, ETag::of_md5(digester.finish().md5))
                        })
                        .collect();
                    complete(store, &upload.0, &upload.1, &id, &etags, 0).await.unwrap();
                    let whole = named.into_iter().flat_map(|(_, body)| body).collect();
                    reference.buckets.get_mut(&upload.0).unwrap().insert(upload.1, whole);
                    reference.changes += 1;
                }
            }
        }
        _ if exists => {
            let (prefix, delimiter, after) = (
                *random.pick(PREFIXES),
                *random.pick(DELIMITERS),
                *random.pick(&["", "a", "a/", "a/b", "b/1", "zz"]),
            );
            let max = random.below(6);
            let page =
                store.list_objects(&name(&bucket), &listing(prefix, delimiter, after, max as u32)).unwrap();
            assert_eq!(
                shown(page),
                reference.list(&bucket, prefix, delimiter, after, max as usize),
                "{prefix:?} {delimiter:?} {after:?} {max}"
            );
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_store_in_memory_agrees_with_plain_maps() {
    for seed in 1..=8 {
        let (store, mut reference, mut random) = (memory(), Reference::default(), Random(seed * 7919));
        for _ in 0..600 {
            step(&store, &mut reference, &mut random).await;
        }
        reference.agrees_with(&store).await;
    }
}

#[tokio::test]
async fn a_store_on_disk_agrees_through_restarts() {
    for seed in 1..=3 {
        let scratch = Scratch::new();
        // Frequent checkpoints and small segments, which are removed as soon as may be.
        let settings = Settings { segment_max: 60_000, snapshot_after: 0, ..quick() };
        let open = || open_with(Some(scratch.path()), Disk::default(), settings).unwrap();
        let (mut store, mut reference, mut random) = (open(), Reference::default(), Random(seed * 104_729));
        for _ in 0..8 {
            for _ in 0..80 {
                step(&store, &mut reference, &mut random).await;
            }
            if random.below(2) == 0 {
                store.close().await.unwrap();
            }
            drop(store);
            store = open();
            reference.agrees_with(&store).await;
        }
        // At last everything goes, and with it every body.
        for (bucket, objects) in std::mem::take(&mut reference.buckets) {
            for object in objects.keys() {
                delete(&store, &bucket, object).await.unwrap();
            }
        }
        for (bucket, object, id) in std::mem::take(&mut reference.uploads).into_keys() {
            store.abort_upload(name(&bucket), key(&object), UploadId::new(id)).await.unwrap();
        }
        recovery::until_no_body_is_left(&store, scratch.path()).await;
        store.close().await.unwrap();
    }
}
