//! The model: what a store holds and says, as plain maps. It knows no store, no disk and no chance;
//! each of its methods is an operation, and its answer the one that a store must give.
//!
//! What nobody can foretell is told to it: the time, the id of an upload, the tag of an append.

use std::collections::BTreeMap;
use std::sync::Arc;

use cosette_model::{ChangeKind, ETag, EventType, Restore, VersionId, Versioning, Wanted};

use super::aging::Pending;
use super::sealed::Way;
use crate::{Deleted, Kept};

/// What an operation says, or the kind of its refusal.
pub(crate) type Answer<T> = Result<T, String>;

pub(super) fn refuse<T>(kind: &str) -> Answer<T> {
    Err(kind.to_owned())
}

/// Bucket and key.
pub(super) type Place = (&'static str, &'static str);

/// An upload's place and id.
pub(super) type UploadOf = (Place, String);

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(super) buckets: BTreeMap<&'static str, Filled>,
    pub(super) uploads: BTreeMap<UploadOf, Open>,
    pub(super) kept: Vec<(Kept, Vec<u8>)>,
    /// Rows of a subsystem.
    pub(super) reports: BTreeMap<u8, Vec<u8>>,
    /// Restores that are to be told of.
    pub(super) pending: Vec<Pending>,
    pub(super) changes: Vec<Said>,
    /// Everything that ever had a name, to be named again.
    pub(super) versions: BTreeMap<Place, Vec<VersionId>>,
    ids: Vec<UploadOf>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Filled {
    /// How many changes there were when it was made: no two are the same.
    pub(super) made: usize,
    pub(super) versioning: Versioning,
    /// Versions, newest first.
    pub(super) keys: BTreeMap<&'static str, Vec<Held>>,
    pub(super) settings: BTreeMap<&'static str, Vec<u8>>,
    /// No version gets this stamp or an earlier one.
    floor: u64,
}

/// A version of a key.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) stamp: u64,
    pub(super) null: bool,
    /// `None` for a delete marker.
    pub(super) object: Option<Thing>,
}

/// An upload that is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    pub(super) way: Way,
    pub(super) parts: BTreeMap<u64, Sent>,
}

/// A part, and what stands for its MD5.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) body: Arc<Vec<u8>>,
    pub(super) tag: [u8; 16],
}

#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) body: Arc<Vec<u8>>,
    pub(super) way: Way,
    pub(super) etag: ETag,
    pub(super) appendable: bool,
    pub(super) tag: Option<u8>,
    pub(super) hold: bool,
    /// A rule has moved it to an archive.
    pub(super) cold: bool,
    pub(super) restore: Option<Restore>,
    /// How many parts it was made of, which a copy says too.
    pub(super) made_of: usize,
    /// Number and size of each part of an upload.
    pub(super) parts: Vec<(u64, usize)>,
}

/// A change, without what all have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) kind: ChangeKind,
    pub(super) bucket: String,
    pub(super) key: Option<String>,
    pub(super) version: Option<VersionId>,
    pub(super) size: usize,
    pub(super) etag: Option<ETag>,
}

/// What is asked of the current object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Always,
    Absent,
    Present,
    /// It has the current object's tag, or that of nothing.
    Matches(bool),
    Differs,
    Forbid,
}

pub(super) fn md5(body: &[u8]) -> [u8; 16] {
    let mut digester = cosette_blob::Digester::new(&Wanted::default());
    digester.update(body);
    digester.finish().md5
}

impl Thing {
    /// `tag` stands for its MD5.
    pub(super) fn new(body: &[u8], way: Way, tag: [u8; 16]) -> Self {
        Self {
            body: Arc::new(body.to_vec()),
            way,
            etag: ETag::of_md5(tag),
            appendable: false,
            tag: None,
            hold: false,
            cold: false,
            restore: None,
            made_of: 0,
            parts: Vec::new(),
        }
    }

    fn of_parts(way: Way, chosen: &[(u64, Sent)]) -> Self {
        let whole: Vec<u8> = chosen.iter().flat_map(|(_, part)| part.body.iter().copied()).collect();
        let tags: Vec<u8> = chosen.iter().flat_map(|(_, part)| part.tag).collect();
        Self {
            etag: ETag::of_parts(md5(&tags), chosen.len()),
            made_of: chosen.len(),
            parts: chosen.iter().map(|(number, part)| (*number, part.body.len())).collect(),
            ..Self::new(&whole, way, [0; 16])
        }
    }
}

impl Held {
    pub(super) fn id(&self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::of_stamp(self.stamp) }
    }

    pub(super) fn is_locked(&self) -> bool {
        self.object.as_ref().is_some_and(|object| object.hold)
    }
}

impl Filled {
    pub(super) fn held(&self) -> impl Iterator<Item = (&'static str, &Held)> {
        self.keys.iter().flat_map(|(key, held)| held.iter().map(move |held| (*key, held)))
    }

    fn current(&self, key: &str) -> Option<&Thing> {
        self.keys.get(key)?.first()?.object.as_ref()
    }

    fn find(&mut self, key: &str, version: Option<&VersionId>) -> Option<&mut Held> {
        let versions = self.keys.get_mut(key)?;
        versions.iter_mut().find(|held| version.is_none_or(|id| held.id() == *id))
    }

    /// The id that changes and answers give a version.
    pub(super) fn named(&self, id: VersionId) -> Option<VersionId> {
        (self.versioning != Versioning::Off).then_some(id)
    }

    fn check(&self, key: &str, when: When) -> Answer<()> {
        match (when, self.current(key)) {
            (When::Always, _)
            | (When::Absent | When::Differs | When::Forbid, None)
            | (When::Present | When::Matches(true), Some(_)) => Ok(()),
            (When::Absent | When::Differs | When::Matches(false), Some(_)) => refuse("PreconditionFailed"),
            (When::Present | When::Matches(_), None) => refuse("NoSuchObject"),
            (When::Forbid, Some(_)) if self.versioning != Versioning::Off => Ok(()),
            (When::Forbid, Some(_)) => refuse("OverwriteForbidden"),
        }
    }

    /// Puts a version on top, as the bucket's versioning says; what is appended is the null version.
    pub(super) fn place(&mut self, key: &'static str, object: Option<Thing>, now: u64) -> Answer<VersionId> {
        let appended = object.as_ref().is_some_and(|object| object.appendable);
        let null = appended || self.versioning != Versioning::Enabled;
        let versions = self.keys.entry(key).or_default();
        let newest = versions.first().map_or(0, |newest| newest.stamp);
        let stamp = now.max(newest + 1).max(self.floor + 1);
        if let Some(goes) = versions.iter().position(|held| null && held.null) {
            if versions[goes].is_locked() {
                return refuse("Locked");
            }
            versions.remove(goes);
        }
        versions.insert(0, Held { stamp, null, object });
        Ok(versions[0].id())
    }

    /// Its id does not come back.
    pub(super) fn retire(&mut self, gone: &Held, now: u64) {
        if !gone.null && gone.stamp >= now {
            self.floor = self.floor.max(gone.stamp);
        }
    }
}

/// Buckets, and what is named.
impl Model {
    pub(super) fn bucket(&mut self, bucket: &str) -> Answer<&mut Filled> {
        self.buckets.get_mut(bucket).ok_or_else(|| "NoSuchBucket".to_owned())
    }

    pub(super) fn say(
        &mut self,
        kind: ChangeKind,
        bucket: &str,
        of: Option<(&str, Option<VersionId>, Option<&Thing>)>,
    ) {
        let (key, version, object) = of.map_or((None, None, None), |(k, v, o)| (Some(k.to_owned()), v, o));
        let (size, etag) = (object.map_or(0, |object| object.body.len()), object.map(|o| o.etag.clone()));
        self.changes.push(Said { kind, bucket: bucket.to_owned(), key, version, size, etag });
    }

    pub(super) fn create_bucket(&mut self, bucket: &'static str) -> Answer<()> {
        if self.buckets.contains_key(bucket) {
            return refuse("BucketExists");
        }
        self.buckets.insert(bucket, Filled { made: self.changes.len(), ..Filled::default() });
        self.say(ChangeKind::BucketCreated, bucket, None);
        Ok(())
    }

    pub(super) fn delete_bucket(&mut self, bucket: &'static str) -> Answer<()> {
        let is_full = self.bucket(bucket)?.held().next().is_some();
        if is_full || self.uploads.keys().any(|(place, _)| place.0 == bucket) {
            return refuse("BucketNotEmpty");
        }
        self.buckets.remove(bucket);
        self.say(ChangeKind::BucketDeleted, bucket, None);
        Ok(())
    }

    pub(super) fn set_versioning(&mut self, bucket: &str, enabled: bool) -> Answer<Versioning> {
        let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
        self.bucket(bucket)?.versioning = versioning;
        self.say(ChangeKind::SettingChanged, bucket, None);
        Ok(versioning)
    }

    pub(super) fn set(&mut self, bucket: &str, setting: &'static str, value: Option<Vec<u8>>) -> Answer<()> {
        let settings = &mut self.bucket(bucket)?.settings;
        match value {
            Some(value) => settings.insert(setting, value),
            None => settings.remove(setting),
        };
        self.say(ChangeKind::SettingChanged, bucket, None);
        Ok(())
    }

    /// The version that a number means: the null one, one that never was, or one of those that
    /// were, newest first.
    pub(super) fn version(&self, place: Place, number: Option<u8>) -> Option<VersionId> {
        let mut ids = vec![VersionId::Null, VersionId::parse("MTg0NDUxNTc1NjIzMTQ1")];
        ids.extend(self.versions.get(&place).into_iter().flatten().rev().cloned());
        number.map(|number| ids[number as usize % ids.len()].clone())
    }

    /// The upload that a number means, newest first; `None` while there was none.
    pub(super) fn upload(&self, number: u8) -> Option<UploadOf> {
        let number = (number as usize).checked_rem(self.ids.len())?;
        self.ids.get(self.ids.len() - 1 - number).cloned()
    }
}

/// Objects.
impl Model {
    pub(super) fn current(&self, place: Place) -> Option<&Thing> {
        self.buckets.get(place.0)?.current(place.1)
    }

    /// The object, or why there is none; `reading` tells of a marker.
    pub(super) fn find(
        &mut self,
        place: Place,
        version: Option<&VersionId>,
        reading: bool,
    ) -> Answer<&mut Held> {
        match (self.bucket(place.0)?.find(place.1, version), version) {
            (Some(held), _) if held.object.is_some() => Ok(held),
            (Some(_), _) if reading => refuse("DeleteMarker"),
            (_, Some(_)) => refuse("NoSuchVersion"),
            (_, None) => refuse("NoSuchObject"),
        }
    }

    pub(super) fn read(&mut self, place: Place, version: Option<&VersionId>) -> Answer<Thing> {
        Ok(self.find(place, version, true)?.object.clone().unwrap())
    }

    pub(super) fn write(
        &mut self,
        place: Place,
        thing: Thing,
        when: When,
        now: u64,
        event: EventType,
    ) -> Answer<VersionId> {
        let filled = self.bucket(place.0)?;
        filled.check(place.1, when)?;
        let id = filled.place(place.1, Some(thing.clone()), now)?;
        let named = filled.named(id.clone());
        self.say(ChangeKind::Object(event), place.0, Some((place.1, named, Some(&thing))));
        self.versions.entry(place).or_default().push(id.clone());
        Ok(id)
    }

    /// The new version, and the source's where it has a name. `tag` stands for the MD5 of the copy, where
    /// its ETag is not the source's.
    pub(super) fn copy(
        &mut self,
        (from, version): (Place, Option<&VersionId>),
        (to, way, tag): (Place, Way, Option<[u8; 16]>),
        when: When,
        now: u64,
    ) -> Answer<(VersionId, Option<VersionId>)> {
        self.bucket(from.0)?;
        self.bucket(to.0)?;
        let source = self.find(from, version, false)?.clone();
        let named = self.bucket(from.0)?.named(source.id());
        let source = source.object.unwrap();
        let copy = Thing {
            way,
            etag: tag.map_or(source.etag, ETag::of_md5),
            made_of: if tag.is_some() { 0 } else { source.made_of },
            appendable: false,
            hold: false,
            cold: false,
            restore: None,
            parts: Vec::new(),
            ..source
        };
        Ok((self.write(to, copy, when, now, EventType::CreatedCopy)?, named))
    }

    /// The size; `appended` is to follow. `way`: of an object that this makes; `None` if the bytes are not
    /// encrypted as the object that is there.
    pub(super) fn append(
        &mut self,
        place: Place,
        more: &[u8],
        off: u8,
        way: Option<Way>,
        now: u64,
    ) -> Answer<u64> {
        let filled = self.bucket(place.0)?;
        let mut thing = match filled.current(place.1) {
            Some(object) if !object.appendable => return refuse("NotAppendable"),
            Some(object) if object.hold => return refuse("Locked"),
            Some(object) => object.clone(),
            None => Thing { appendable: true, ..Thing::new(&[], way.unwrap_or_default(), [0; 16]) },
        };
        if off != 0 {
            return refuse("AppendPosition");
        }
        if way.is_none() {
            return refuse("Changed");
        }
        Arc::make_mut(&mut thing.body).extend_from_slice(more);
        let size = thing.body.len() as u64;
        match filled.find(place.1, None) {
            Some(held) if held.object.is_some() => held.object = Some(thing),
            _ => drop(filled.place(place.1, Some(thing), now)?),
        }
        Ok(size)
    }

    /// The tag that an append gave the object.
    pub(super) fn appended(&mut self, place: Place, etag: ETag) -> Answer<Thing> {
        let thing = self.find(place, None, true)?.object.as_mut().unwrap();
        thing.etag = etag;
        let thing = thing.clone();
        let version = self.bucket(place.0)?.named(VersionId::Null);
        let kind = ChangeKind::Object(EventType::CreatedPut);
        self.say(kind, place.0, Some((place.1, version, Some(&thing))));
        Ok(thing)
    }

    pub(super) fn revise(
        &mut self,
        place: Place,
        version: Option<&VersionId>,
        change: impl Fn(&mut Thing),
    ) -> Answer<Thing> {
        let held = self.find(place, version, false)?;
        let id = held.id();
        let thing = held.object.as_mut().unwrap();
        change(thing);
        let thing = thing.clone();
        let named = self.bucket(place.0)?.named(id);
        self.say(ChangeKind::SettingChanged, place.0, Some((place.1, named, Some(&thing))));
        Ok(thing)
    }

    pub(super) fn delete(
        &mut self,
        place: Place,
        version: Option<VersionId>,
        when: When,
        now: u64,
    ) -> Answer<Deleted> {
        let (bucket, key) = place;
        let filled = self.bucket(bucket)?;
        filled.check(key, when)?;
        let off = filled.versioning == Versioning::Off;
        if version.is_none() && !off {
            let existed = filled.current(key).is_some();
            let id = filled.place(key, None, now)?;
            let kind = ChangeKind::Object(EventType::RemovedDeleteMarkerCreated);
            self.say(kind, bucket, Some((key, Some(id.clone()), None)));
            self.versions.entry(place).or_default().push(id.clone());
            return Ok(Deleted { version: Some(id), delete_marker: true, existed });
        }
        let id = version.clone().unwrap_or(VersionId::Null);
        let versions = filled.keys.entry(key).or_default();
        let Some(at) = versions.iter().position(|held| held.id() == id) else {
            return Ok(Deleted { version, delete_marker: false, existed: false });
        };
        if versions[at].is_locked() {
            return refuse("Locked");
        }
        let gone = versions.remove(at);
        filled.retire(&gone, now);
        let named = filled.named(id);
        let kind = ChangeKind::Object(EventType::RemovedDelete);
        self.say(kind, bucket, Some((key, named, gone.object.as_ref())));
        Ok(Deleted { version, delete_marker: gone.object.is_none(), existed: true })
    }
}

/// Uploads.
impl Model {
    pub(super) fn begin(&mut self, place: Place, id: String, way: Way) {
        self.ids.push((place, id.clone()));
        self.uploads.insert((place, id), Open { way, parts: BTreeMap::new() });
    }

    fn open_upload(&mut self, id: &UploadOf) -> Answer<&mut Open> {
        self.bucket(id.0.0)?;
        self.uploads.get_mut(id).ok_or_else(|| "NoSuchUpload".to_owned())
    }

    pub(super) fn put_part(&mut self, id: &UploadOf, number: u64, body: &[u8], tag: [u8; 16]) -> Answer<()> {
        self.open_upload(id)?.parts.insert(number, Sent { body: Arc::new(body.to_vec()), tag });
        Ok(())
    }

    /// The parts there are whose bits are set.
    pub(super) fn chosen(&self, id: &UploadOf, bits: u8) -> Vec<(u64, Sent)> {
        let stored = self.uploads.get(id).map(|open| open.parts.clone()).unwrap_or_default();
        stored.into_iter().filter(|(number, _)| bits & (1 << number) != 0).collect()
    }

    pub(super) fn complete(
        &mut self,
        id: &UploadOf,
        chosen: &[(u64, Sent)],
        when: When,
        now: u64,
    ) -> Answer<VersionId> {
        let way = self.open_upload(id)?.way;
        if chosen.is_empty() {
            return refuse("InvalidPart");
        }
        let event = EventType::CreatedCompleteMultipartUpload;
        let version = self.write(id.0, Thing::of_parts(way, chosen), when, now, event)?;
        self.uploads.remove(id);
        Ok(version)
    }

    pub(super) fn abort(&mut self, id: &UploadOf) -> Answer<()> {
        self.open_upload(id)?;
        self.uploads.remove(id);
        Ok(())
    }
}
