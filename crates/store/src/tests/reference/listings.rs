//! The model's listings: every entry there is, rolled up and cut into a page.

use cosette_model::op::Listing;
use cosette_model::{ETag, VersionId};

use super::model::{Answer, Model, refuse};

/// What a page shows, and the name (with what tells it from others of that name) after which the
/// next one begins.
#[derive(Debug, PartialEq)]
pub(super) struct Page<T, M> {
    pub(super) shown: Vec<Shown<T>>,
    pub(super) next: Option<(String, M)>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Shown<T> {
    Entry(String, T),
    Common(String),
}

/// A version, or a marker if it has no tag.
#[derive(Debug, PartialEq)]
pub(super) struct Version {
    pub(super) stamp: u64,
    pub(super) null: bool,
    pub(super) latest: bool,
    pub(super) etag: Option<ETag>,
}

/// The common prefix that a name is rolled up into.
fn rolled(name: &str, listing: &Listing) -> Option<String> {
    let delimiter = listing.delimiter.as_deref()?;
    let at = name.strip_prefix(listing.prefix.as_str())?.find(delimiter)?;
    Some(name[..listing.prefix.len() + at + delimiter.len()].to_owned())
}

/// A listing that goes on after a common prefix has shown all that is below it.
fn is_common(listing: &Listing) -> bool {
    rolled(&listing.after, listing).is_some_and(|common| common == listing.after)
}

/// The first entries that come after a place; `mark` tells one from others of its name.
fn page<T: PartialEq, M: Default>(
    entries: impl Iterator<Item = (String, T)>,
    listing: &Listing,
    is_after: impl Fn(&str, &T) -> bool,
    mark: impl Fn(&T) -> M,
) -> Page<T, M> {
    let mut shown: Vec<Shown<T>> = Vec::new();
    for (name, entry) in entries.filter(|(name, _)| name.starts_with(&listing.prefix)) {
        let hidden = match is_common(listing) {
            true => name.starts_with(&listing.after) || name <= listing.after,
            false => !listing.after.is_empty() && !is_after(&name, &entry),
        };
        if hidden {
            continue;
        }
        let entry = rolled(&name, listing).map_or_else(|| Shown::Entry(name, entry), Shown::Common);
        if shown.last() != Some(&entry) {
            shown.push(entry);
        }
    }
    let max = listing.max as usize;
    let more = max > 0 && shown.len() > max;
    shown.truncate(max);
    let next = shown.last().filter(|_| more).map(|last| match last {
        Shown::Entry(name, entry) => (name.clone(), mark(entry)),
        Shown::Common(name) => (name.clone(), M::default()),
    });
    Page { shown, next }
}

impl Model {
    /// Every version of a bucket, by key, newest first.
    fn all(&self, bucket: &str) -> Answer<impl Iterator<Item = (String, Version)>> {
        let Some(filled) = self.buckets.get(bucket) else { return refuse("NoSuchBucket") };
        Ok(filled.keys.iter().flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(at, held)| {
                let etag = held.object.as_ref().map(|object| object.etag.clone());
                let version = Version { stamp: held.stamp, null: held.null, latest: at == 0, etag };
                ((*key).to_owned(), version)
            })
        }))
    }

    pub(super) fn list_objects(&self, bucket: &str, listing: &Listing) -> Answer<Page<Version, ()>> {
        let objects = self.all(bucket)?.filter(|(_, version)| version.latest && version.etag.is_some());
        Ok(page(objects, listing, |name, _| *name > *listing.after, |_| ()))
    }

    pub(super) fn list_versions(
        &self,
        bucket: &str,
        listing: &Listing,
        marker: Option<&VersionId>,
    ) -> Answer<Page<Version, Option<VersionId>>> {
        let null = |(name, version): &(String, Version)| *name == listing.after && version.null;
        let before = match marker {
            None => 0,
            // Gone since it was shown: what is older has to be shown all the same.
            Some(VersionId::Null) => self.all(bucket)?.find(null).map_or(u64::MAX, |(_, null)| null.stamp),
            Some(id) => match id.stamp() {
                Some(stamp) => stamp,
                None if listing.max == 0 || listing.after.is_empty() || is_common(listing) => 0,
                None => return self.all(bucket).and_then(|_| refuse("NoSuchVersion")),
            },
        };
        let is_after = |name: &str, version: &Version| {
            *name > *listing.after || (name == listing.after && version.stamp < before)
        };
        let id = |version: &Version| match version.null {
            true => VersionId::Null,
            false => VersionId::of_stamp(version.stamp),
        };
        Ok(page(self.all(bucket)?, listing, is_after, |version| Some(id(version))))
    }

    pub(super) fn list_uploads(
        &self,
        bucket: &str,
        listing: &Listing,
        marker: &str,
    ) -> Answer<Page<String, String>> {
        let _ = self.all(bucket)?;
        let of_bucket = self.uploads.keys().filter(|(place, _)| place.0 == bucket);
        let uploads = of_bucket.map(|((_, key), id)| ((*key).to_owned(), id.clone()));
        let is_after = |name: &str, id: &String| {
            *name > *listing.after || (name == listing.after && !marker.is_empty() && **id > *marker)
        };
        Ok(page(uploads, listing, is_after, String::clone))
    }
}
