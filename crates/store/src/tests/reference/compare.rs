//! What must be the same of a store and its model: answers, changes, and everything there is.

use std::collections::BTreeMap;
use std::fmt::Debug;

use cosette_model::op::Listing;
use cosette_model::{ByteStream, UploadId, VersionId};

use super::listings::{Page, Shown, Version};
use super::model::{Answer, Place, Said, Thing};
use super::operations::SETTINGS;
use super::subject::Subject;
use crate::record::Summary;
use crate::tests::{Scratch, consistent, drain, key, listing, name};
use crate::{Error, Object, Result, Table};

/// What the disk's failures look like to who wanted something.
const FAILURES: &[&str] = &["Io", "Unavailable", "Poisoned", "Index"];

/// What an answer is compared by: what it says, or the kind of its refusal.
pub(super) fn answer<T>(answer: Result<T>) -> Answer<T> {
    answer.map_err(|error| {
        let said = format!("{error:?}");
        said.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    })
}

impl Subject {
    /// The answers must be the same, but that the disk may fail.
    pub(super) fn same<T: PartialEq + Debug>(&mut self, found: Result<T>, expected: Answer<T>) {
        match answer(found) {
            Err(kind) if FAILURES.contains(&kind.as_str()) => self.failed = Some(kind),
            found => assert_eq!(found, expected),
        }
    }

    /// Compares what has been added to the change log.
    pub(super) fn compare_changes(&mut self) {
        let (after, count) = self.compared;
        let read = || self.store().changes(after, usize::MAX);
        // A disk of which one step fails may refuse one reading.
        let log = read().or_else(|_| read()).unwrap();
        let found = log.iter().map(|change| Said {
            kind: change.kind,
            bucket: change.bucket.as_str().to_owned(),
            key: change.key.as_ref().map(|key| key.as_str().to_owned()),
            version: change.version_id.clone(),
            size: change.size as usize,
            etag: change.etag.clone(),
        });
        assert_eq!(found.collect::<Vec<_>>(), self.model.changes[count..]);
        assert!(log.is_sorted_by(|a, b| a.seq < b.seq));
        self.compared = (log.last().map_or(after, |change| change.seq), self.model.changes.len());
    }

    /// Compares everything there is.
    pub(crate) async fn whole(&self) {
        let store = self.store();
        consistent::check(&store, self.scratch.as_ref().map(Scratch::path)).await;
        let buckets = store.buckets().unwrap().into_iter().map(|b| (b.name.into_string(), b.versioning));
        let expected =
            self.model.buckets.iter().map(|(name, filled)| ((*name).to_owned(), filled.versioning));
        assert_eq!(buckets.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        for (bucket, filled) in &self.model.buckets {
            let all = listing("", "", "", 1_000);
            self.list_objects(bucket, &all);
            self.list_versions(bucket, &all, None);
            self.list_uploads(bucket, &all, String::new());
            for setting in SETTINGS {
                let found = store.setting(&name(bucket), setting).unwrap();
                assert_eq!(found.as_ref(), filled.settings.get(setting));
            }
            for (key, held) in filled.held() {
                self.compare_version((*bucket, key), &held.id(), held.object.as_ref()).await;
            }
        }
        for (((bucket, object), id), open) in &self.model.uploads {
            let id = UploadId::new(id.clone());
            let found = store.parts(&name(bucket), &key(object), &id, 0, 99).unwrap();
            let upload = store.upload(&name(bucket), &key(object), &id).unwrap();
            open.way.agrees(upload.sealing.as_ref().map(|sealing| &sealing.by));
            let unsealed = |sealing| store.unseal(sealing, open.way.customer().as_ref()).unwrap();
            let seal = upload.sealing.as_ref().map(unsealed);
            assert_eq!(found.len(), open.parts.len());
            for (found, (number, sent)) in found.iter().zip(&open.parts) {
                assert_eq!((u64::from(found.number.get()), found.md5), (*number, sent.tag));
                let stream = opened(|| {
                    let found = store.parts(&name(bucket), &key(object), &id, found.number.get() - 1, 1)?;
                    store.read_content(&found[0].content, seal.as_ref())
                });
                assert!(drain(stream).await.unwrap() == *sent.body);
            }
        }
        let rows = store.scan(Table::Report, &[], None, usize::MAX).unwrap();
        let expected = self.model.reports.iter().map(|(row, value)| (report(*row), value.clone()));
        assert_eq!(rows, expected.collect::<Vec<_>>());
        for (kept, body) in &self.model.kept {
            assert!(drain(opened(|| store.read_kept(*kept))).await.unwrap() == *body);
        }
    }

    async fn compare_version(&self, place: Place, id: &VersionId, thing: Option<&Thing>) {
        let (store, bucket, object) = (self.store(), name(place.0), key(place.1));
        let found = store.object(&bucket, &object, Some(id));
        let Some(thing) = thing else {
            assert!(matches!(found, Err(Error::DeleteMarker { named: true, .. })));
            return;
        };
        let found = found.unwrap();
        agrees(&found, thing);
        let parts = store.object_parts(&found, 0, usize::MAX).unwrap();
        let parts = parts.iter().map(|part| (u64::from(part.number.get()), part.size as usize));
        assert_eq!(parts.collect::<Vec<_>>(), thing.parts);
        let stream =
            opened(|| self.opened_for(place, &store.object(&bucket, &object, Some(id))?, thing.way, None));
        assert!(drain(stream).await.unwrap() == *thing.body, "{bucket}/{object:?} {id:?}");
    }

    pub(super) fn list_objects(&self, bucket: &str, listing: &Listing) {
        let found = |listing: &Listing, (): &()| {
            let page = self.store().list_objects(&name(bucket), listing)?;
            let entries = page.objects.into_iter().map(|(key, summary)| {
                assert!(!summary.delete_marker);
                Shown::Entry(key.into_string(), version(summary, true))
            });
            let shown = merged(entries, page.common_prefixes);
            Ok(Page { shown, next: page.next.map(|name| (name, ())) })
        };
        same_pages(listing, (), found, |listing, ()| self.model.list_objects(bucket, listing));
    }

    pub(super) fn list_versions(&self, bucket: &str, listing: &Listing, marker: Option<VersionId>) {
        let found = |listing: &Listing, marker: &Option<VersionId>| {
            let page = self.store().list_versions(&name(bucket), listing, marker.as_ref())?;
            let entries = page
                .versions
                .into_iter()
                .map(|listed| Shown::Entry(listed.key.into_string(), version(listed.summary, listed.latest)));
            Ok(Page { shown: merged(entries, page.common_prefixes), next: page.next })
        };
        same_pages(listing, marker, found, |listing, marker| {
            self.model.list_versions(bucket, listing, marker.as_ref())
        });
    }

    pub(super) fn list_uploads(&self, bucket: &str, listing: &Listing, marker: String) {
        let found = |listing: &Listing, marker: &String| {
            let page = self.store().list_uploads(&name(bucket), listing, marker)?;
            let entries = page.uploads.into_iter();
            let entries = entries.map(|u| Shown::Entry(u.key.into_string(), u.id.into_string()));
            Ok(Page { shown: merged(entries, page.common_prefixes), next: page.next })
        };
        same_pages(listing, marker, found, |listing, marker| {
            self.model.list_uploads(bucket, listing, marker)
        });
    }
}

/// Compares a listing page by page to its end.
fn same_pages<T: PartialEq + Debug, M: PartialEq + Debug>(
    listing: &Listing,
    mut marker: M,
    found: impl Fn(&Listing, &M) -> Result<Page<T, M>>,
    expected: impl Fn(&Listing, &M) -> Answer<Page<T, M>>,
) {
    let mut listing = listing.clone();
    loop {
        let page = answer(found(&listing, &marker));
        assert_eq!(page, expected(&listing, &marker), "{listing:?} {marker:?}");
        let Some(next) = page.ok().and_then(|page| page.next) else { return };
        (listing.after, marker) = next;
    }
}

fn version(summary: Summary, latest: bool) -> Version {
    let etag = (!summary.delete_marker).then_some(summary.etag);
    Version { stamp: summary.version.stamp, null: summary.version.null, latest, etag }
}

/// Entries and common prefixes of a page in one order, which each must be in already.
fn merged<T>(entries: impl Iterator<Item = Shown<T>>, common: Vec<String>) -> Vec<Shown<T>> {
    let name = |shown: &Shown<T>| match shown {
        Shown::Entry(name, _) | Shown::Common(name) => name.clone(),
    };
    let entries: Vec<_> = entries.collect();
    assert!(entries.iter().map(name).is_sorted() && common.is_sorted_by(|a, b| a < b));
    let mut all: Vec<_> = entries.into_iter().chain(common.into_iter().map(Shown::Common)).collect();
    all.sort_by_key(name);
    all
}

/// The row of a subsystem with this number, as its key is.
pub(super) fn report(row: u8) -> Vec<u8> {
    // Scans give keys without the table.
    vec![b'r', row]
}

fn was_moved(found: &Result<ByteStream>) -> bool {
    match found {
        Err(Error::Io(error)) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// A body that is looked up again if it was moved, and its segment removed, since it was: no grace
/// is given to readers here.
pub(super) fn opened(open: impl Fn() -> Result<ByteStream>) -> ByteStream {
    let mut tries = (0..100).map(|_| open());
    tries.find(|found| !was_moved(found)).expect("its segment is there at last").unwrap()
}

/// The same to its end, of a disk that may fail.
pub(super) async fn drained(open: impl Fn() -> Result<ByteStream>) -> Result<Vec<u8>> {
    let mut tries = (0..100).map(|_| open());
    let stream = tries.find(|found| !was_moved(found)).expect("its segment is there at last")?;
    drain(stream).await.map_err(|error| Error::Io(std::io::Error::other(error.to_string())))
}

pub(super) fn tags(thing: &Thing) -> BTreeMap<String, String> {
    thing.tag.iter().map(|tag| ("tag".to_owned(), tag.to_string())).collect()
}

pub(super) fn agrees(object: &Object, thing: &Thing) {
    assert_eq!((object.size as usize, &object.etag), (thing.body.len(), &thing.etag));
    assert_eq!(object.crc64, cosette_blob::crc64(&thing.body));
    assert_eq!((object.appendable, object.properties.legal_hold), (thing.appendable, thing.hold));
    assert_eq!(object.properties.tags, tags(thing));
    assert_eq!(object.attributes.storage_class, thing.class());
    assert_eq!(object.properties.restore, thing.restore);
    thing.way.agrees(object.sealing.as_ref().map(|sealing| &sealing.by));
    assert_eq!(object.parts.map_or(0, |parts| parts as usize), thing.made_of);
}
