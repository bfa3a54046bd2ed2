//! Objects: writing, appending, copying, changing, deleting and looking them up.

use cosette_blob::combine_crc64;
use cosette_model::op::{ChecksumType, CopySource, WriteConditions};
use cosette_model::{
    Attributes, BucketName, Cause, ChangeKind, Digests, ETag, EventType, ObjectKey, ObjectSetting,
    Properties, ReplicaState, StorageClass, Timestamp, VersionId, Versioning,
};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::record::{Bucket, Object, ObjectPart, Summary, Version, decode};
use crate::schema;
use crate::sealing::{Seal, Sealing};
use crate::store::{Sealed, Store};
use crate::target::Target;
use crate::tx::{Subject, Tx};
use crate::version::{Bypass, Current, Found, find};
use crate::views::View;

/// What a write of an object needs besides its bytes.
pub struct PutObject {
    pub bucket: Target,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub properties: Properties,
    pub checksum_type: Option<ChecksumType>,
    pub conditions: WriteConditions,
    /// Makes a symlink to this key, which is the body as well.
    pub symlink: Option<ObjectKey>,
    pub body: Sealed,
    /// How the bytes came: a put or a form.
    pub event: EventType,
    pub cause: Cause,
}

/// Bytes for the end of an appendable object, which the first append makes.
pub struct AppendObject {
    pub bucket: Target,
    pub key: ObjectKey,
    /// The length the object must have now, in bytes; 0 makes it.
    pub position: u64,
    /// Of the object, if this makes it.
    pub attributes: Attributes,
    pub properties: Properties,
    pub body: Sealed,
    pub cause: Cause,
}

pub struct CopyObject {
    pub source: CopySource,
    /// The source as it was when the copy was allowed; another in its place is `Changed`.
    pub seen: Option<Seen>,
    pub bucket: Target,
    pub key: ObjectKey,
    pub replace: Option<Attributes>,
    /// Properties of the copy; `None` copies the tags and nothing else.
    pub properties: Option<Properties>,
    pub storage_class: StorageClass,
    /// Of the source's bytes, taken anew: the copy is one body even if its source was made of parts.
    /// `None` for those the source has.
    pub digests: Option<Digests>,
    /// What becomes of the content.
    pub content: CopiedContent,
    /// Of the copy; never the source's.
    pub website_redirect: Option<String>,
    pub conditions: WriteConditions,
    pub cause: Cause,
}

/// The content of a copy.
pub enum CopiedContent {
    /// The source's; if it is encrypted, its key is kept so.
    Shared(Option<Seal>),
    /// The same bytes, written anew, with their digests.
    Anew(Sealed),
}

pub struct DeleteObject {
    pub bucket: Target,
    pub key: ObjectKey,
    /// `None` deletes as the bucket's versioning says; a version goes for good.
    pub version: Option<VersionId>,
    /// Of the current object.
    pub conditions: WriteConditions,
    /// Removes a version even under governance retention.
    pub bypass_governance: bool,
    pub cause: Cause,
}

/// Which object to change, and what the change log says of whose doing it is.
pub struct ReviseObject {
    pub bucket: Target,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub cause: Cause,
}

/// What of an object may change without writing it anew.
pub struct Revision<'a> {
    pub view: &'a View,
    pub object: &'a Object,
    pub now: Timestamp,
    pub storage_class: StorageClass,
    pub properties: Properties,
    /// `None`, as it is at first, for a change that raises no event.
    pub event: Option<EventType>,
    /// For one without: which setting it is that changes, if it is one that is told of.
    pub setting: Option<ObjectSetting>,
}

/// Which bytes a look-up found: a version, and an appendable one at one length, with their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The bucket's id.
    bucket: u64,
    version: Version,
    etag: ETag,
    sealing: Option<Sealing>,
}

impl Seen {
    pub fn of(bucket: &Bucket, object: &Object) -> Self {
        Self {
            bucket: bucket.id,
            version: object.version,
            etag: object.etag.clone(),
            sealing: object.sealing.clone(),
        }
    }
}

/// What a committed delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version removed, or the marker made; `None` where the bucket has no versions.
    pub version: Option<VersionId>,
    /// That version is a delete marker.
    pub delete_marker: bool,
    /// False when there was nothing to delete (still a success).
    pub existed: bool,
}

/// What must hold of the current object for a write to go on.
fn check(
    bucket: &Bucket,
    conditions: &WriteConditions,
    current: Option<&Object>,
    key: &ObjectKey,
) -> Result<()> {
    if let Some(tags) = &conditions.if_match {
        match current {
            None => return Err(Error::NoSuchObject(key.clone())),
            Some(object) if !tags.matches(&object.etag) => return Err(Error::PreconditionFailed),
            Some(_) => {}
        }
    }
    if let (Some(tags), Some(object)) = (&conditions.if_none_match, current)
        && tags.matches(&object.etag)
    {
        return Err(Error::PreconditionFailed);
    }
    // Where there were ever versions nothing is lost, and it does not count (cos-api 3.6).
    if conditions.forbid_overwrite && bucket.versioning == Versioning::Off && current.is_some() {
        return Err(Error::OverwriteForbidden);
    }
    Ok(())
}

/// The id of a version where the bucket gives it one.
pub(crate) fn named(bucket: &Bucket, version: Version) -> Option<VersionId> {
    (bucket.versioning != Versioning::Off).then(|| version.id())
}

pub(crate) fn subject<'a>(bucket: &Bucket, key: &'a ObjectKey, object: &'a Object) -> Subject<'a> {
    Subject { key, version: named(bucket, object.version), object: Some(object), replicas: Vec::new() }
}

impl Tx<'_> {
    /// What the key has now, if `conditions` let it be replaced.
    pub(crate) fn replaceable(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        conditions: &WriteConditions,
    ) -> Result<Current> {
        let current = self.current(bucket, key)?;
        check(bucket, conditions, current.object.as_ref(), key)?;
        Ok(current)
    }

    /// Makes `object` the current one in place of `before`, and says so in the change log.
    pub(crate) fn install(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        before: Current,
        object: &Object,
        event: EventType,
        cause: Cause,
    ) -> Result<()> {
        self.make_room(bucket, key, before, object.version)?;
        let replicas = self.orders(bucket, key, object.version, Some(object))?;
        let mut record = object.encode()?;
        if !replicas.is_empty() {
            let replica = ReplicaState::of(replicas.len());
            record = Object { replica, ..object.clone() }.encode()?;
        }
        self.put_row(schema::object(bucket.id, key), record);
        let what = Subject { replicas, ..subject(bucket, key, object) };
        self.change(ChangeKind::Object(event), bucket, Some(what), cause)
    }

    /// An object with the row it lies in, or the error that says why there is none.
    fn need_object(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<(Vec<u8>, Object)> {
        match find(self, bucket, key, version)? {
            Some((row, Found::Object(object))) => Ok((row, *object)),
            Some((_, Found::Marker(_))) | None => Err(missing(key, version)),
        }
    }
}

fn missing(key: &ObjectKey, version: Option<&VersionId>) -> Error {
    if version.is_some() { Error::NoSuchVersion } else { Error::NoSuchObject(key.clone()) }
}

impl Store {
    /// The current object, or one version of it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchObject` or `NoSuchVersion` when it is not there; `DeleteMarker` when
    /// that is what is there.
    pub fn object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Object> {
        self.object_of(&self.need_bucket(bucket)?, key, version)
    }

    /// The same in a bucket that has been found, and not in one that has its name since.
    pub fn object_of(&self, bucket: &Bucket, key: &ObjectKey, version: Option<&VersionId>) -> Result<Object> {
        match find(&*self.engine()?, bucket, key, version)? {
            Some((_, Found::Object(object))) => Ok(*object),
            Some((_, Found::Marker(marker))) => Err(Error::DeleteMarker {
                key: key.clone(),
                version: marker.version.id(),
                named: version.is_some(),
            }),
            None => Err(missing(key, version)),
        }
    }

    /// The parts with numbers above `after`, at most `max`, of an object made by a multipart
    /// upload; none for another, or for a copy.
    pub fn object_parts(&self, object: &Object, after: u16, max: usize) -> Result<Vec<ObjectPart>> {
        let Some(list) = object.part_list else { return Ok(Vec::new()) };
        let mut parts = Vec::new();
        for (_, row) in self.rows_of(&schema::part_list_of(list))? {
            parts.extend(decode::<Vec<ObjectPart>>("parts of an object", &row)?);
        }
        parts.retain(|part| part.number.get() > after);
        parts.truncate(max);
        Ok(parts)
    }

    pub async fn put_object(&self, put: PutObject) -> Result<Object> {
        let (_, object) = self
            .commit(move |tx| {
                let PutObject { bucket, key, attributes, properties, conditions, body, .. } = put;
                let (event, cause) = (put.event, put.cause);
                let bucket = tx.target(&bucket)?;
                let before = tx.replaceable(&bucket, &key, &conditions)?;
                let version = tx.next_version(&bucket, &before);
                let object = Object {
                    version,
                    size: body.size,
                    etag: ETag::of_md5(body.tag),
                    modified: tx.now(),
                    attributes,
                    properties,
                    crc64: body.digests.crc64,
                    checksums: body.digests.checksums.clone(),
                    checksum_type: put.checksum_type,
                    parts: None,
                    appendable: false,
                    symlink: put.symlink,
                    sealing: body.sealing.clone(),
                    replica: None,
                    content: tx.adopt(body)?,
                    part_list: None,
                };
                tx.install(&bucket, &key, before, &object, event, cause)?;
                Ok::<_, Error>(object)
            })
            .await?;
        Ok(object)
    }

    /// Adds to the end of an appendable object, where it lies; the first append makes one. Such an
    /// object has no part in versioning (cos-api 3.4): it is the null version in any bucket. The
    /// event is that of a put, as the services document none of its own.
    ///
    /// # Errors
    /// `AppendPosition` with the length there is, `NotAppendable` for another kind of object, `Locked`;
    /// `Changed` when the bytes are not encrypted as the object is.
    pub async fn append_object(&self, append: AppendObject) -> Result<Object> {
        let (_, object) = self
            .commit(move |tx| {
                let AppendObject { bucket, key, position, attributes, properties, body, cause } = append;
                let bucket = tx.target(&bucket)?;
                let current = tx.current(&bucket, &key)?;
                let mut object = match &current.object {
                    Some(object) if !object.appendable => return Err(Error::NotAppendable(key)),
                    Some(object) if object.properties.is_locked(tx.now(), false) => {
                        return Err(Error::Locked(key));
                    }
                    Some(object) => object.clone(),
                    None => {
                        let version = Version { null: true, ..tx.next_version(&bucket, &current) };
                        Object::appendable(version, attributes, properties, body.sealing.clone())
                    }
                };
                if object.size != position {
                    return Err(Error::AppendPosition { length: object.size });
                }
                if object.sealing != body.sealing {
                    return Err(Error::Changed);
                }
                if current.object.is_none() {
                    tx.make_room(&bucket, &key, current, object.version)?;
                }
                let holder = Holder::version(bucket.id, &key, object.version.stamp);
                object.crc64 = match object.size {
                    0 => body.digests.crc64,
                    _ => combine_crc64(object.crc64, body.digests.crc64, body.size),
                };
                object.size += body.size;
                // Not a digest: the service gives such an object a new tag with every append.
                object.etag = ETag::parse(&uuid::Uuid::new_v4().simple().to_string());
                object.modified = tx.now();
                let more = tx.adopt(body)?;
                object.content = tx.extend(object.content, more, &holder)?;
                tx.put_row(schema::object(bucket.id, &key), object.encode()?);
                let kind = ChangeKind::Object(EventType::CreatedPut);
                tx.change(kind, &bucket, Some(subject(&bucket, &key, &object)), cause)?;
                Ok::<_, Error>(object)
            })
            .await?;
        Ok(object)
    }

    /// Copies without copying bodies where the copy may have its source's: both objects refer to the same
    /// ones. Returns the new object and the source's version, where its bucket gives it one.
    ///
    /// # Errors
    /// `Changed` when the source is not as the caller has seen it.
    pub async fn copy_object(&self, copy: CopyObject) -> Result<(Object, Option<VersionId>)> {
        let (_, copied) = self
            .commit(move |tx| {
                let CopyObject { source, bucket, key, replace, properties, storage_class, .. } = copy;
                let from = tx.need_bucket(&source.bucket)?;
                let bucket = tx.target(&bucket)?;
                let (_, original) = tx.need_object(&from, &source.key, source.version.as_ref())?;
                if copy.seen.is_some_and(|seen| seen != Seen::of(&from, &original)) {
                    return Err(Error::Changed);
                }
                source
                    .conditions
                    .check_source(&original.etag, original.modified)
                    .map_err(|_| Error::PreconditionFailed)?;
                let before = tx.replaceable(&bucket, &key, &copy.conditions)?;
                let version = tx.next_version(&bucket, &before);
                let source_version = named(&from, original.version);
                let attributes = Attributes {
                    storage_class,
                    website_redirect: copy.website_redirect,
                    ..replace.unwrap_or_else(|| original.attributes.clone())
                };
                let properties = properties.unwrap_or_else(|| Properties {
                    tags: original.properties.tags.clone(),
                    ..Properties::default()
                });
                let holder = Holder::version(bucket.id, &key, version.stamp);
                // Shared before the one there is let go of: they may be the same.
                let (content, sealing, tag) = match copy.content {
                    CopiedContent::Shared(seal) => {
                        if seal.is_some() != original.sealing.is_some() {
                            return Err(Error::Changed);
                        }
                        let hidden = original.sealing.as_ref().is_some_and(Sealing::hides_md5);
                        let md5 = match &copy.digests {
                            Some(digests) => Some(digests.md5),
                            None if hidden => None,
                            None => original.etag.md5(),
                        };
                        let tag = match &seal {
                            Some(seal) => md5.map(|md5| seal.tag(md5)),
                            None => md5,
                        };
                        (tx.share(&original.content, &holder)?, seal.map(|seal| seal.sealing), tag)
                    }
                    CopiedContent::Anew(body) => {
                        let (sealing, tag) = (body.sealing.clone(), Some(body.tag));
                        (tx.adopt(body)?, sealing, tag)
                    }
                };
                let mut object = Object {
                    version,
                    modified: tx.now(),
                    attributes,
                    properties,
                    appendable: false,
                    sealing,
                    replica: None,
                    content,
                    part_list: None,
                    ..original
                };
                if let Some(tag) = tag {
                    object.etag = ETag::of_md5(tag);
                }
                if let Some(digests) = copy.digests {
                    object.checksums = digests.checksums;
                    object.checksum_type = None;
                    object.parts = None;
                }
                tx.install(&bucket, &key, before, &object, EventType::CreatedCopy, copy.cause)?;
                Ok::<_, Error>((object, source_version))
            })
            .await?;
        Ok(copied)
    }

    /// Changes what may change of an object without writing it anew, in one commit.
    pub async fn revise_object<E, F>(&self, what: ReviseObject, revise: F) -> Result<Object, E>
    where
        F: FnOnce(&mut Revision<'_>) -> Result<(), E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (_, object) = self
            .commit(move |tx| {
                let ReviseObject { bucket, key, version, cause } = what;
                let view = tx.need_view(&bucket)?;
                let bucket = &view.bucket;
                let (row, mut object) = tx.need_object(bucket, &key, version.as_ref())?;
                let mut revision = Revision {
                    view: &view,
                    event: None,
                    setting: None,
                    now: tx.now(),
                    storage_class: object.attributes.storage_class,
                    properties: object.properties.clone(),
                    object: &object,
                };
                revise(&mut revision)?;
                let Revision { storage_class, properties, event, setting, .. } = revision;
                if properties.restore != object.properties.restore {
                    tx.leave_restore(bucket, &key, &object)?;
                }
                object.attributes.storage_class = storage_class;
                object.properties = properties;
                tx.put_row(row, object.encode()?);
                if event == Some(EventType::RestorePost) {
                    tx.begin_restore(bucket, &key, &object, &cause)?;
                }
                let other = setting.map_or(ChangeKind::SettingChanged, ChangeKind::ObjectSetting);
                let kind = event.map_or(other, ChangeKind::Object);
                tx.change(kind, bucket, Some(subject(bucket, &key, &object)), cause)?;
                Ok::<_, E>(object)
            })
            .await?;
        Ok(object)
    }

    /// Deletes the current object as its bucket's versioning says, or one version for good.
    /// Deleting what is not there succeeds, and commits nothing.
    ///
    /// # Errors
    /// `Locked` for a version under retention or legal hold; `PreconditionFailed`.
    pub async fn delete_object(&self, delete: DeleteObject) -> Result<Deleted> {
        let (_, deleted) = self.commit(move |tx| tx.delete_object(delete)).await?;
        Ok(deleted)
    }
}

impl Tx<'_> {
    /// Puts a delete marker in the place of what is current.
    pub(crate) fn mark_deleted(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        current: Current,
        kind: ChangeKind,
        cause: Cause,
    ) -> Result<VersionId> {
        let version = self.next_version(bucket, &current);
        self.make_room(bucket, key, current, version)?;
        let replicas = match kind {
            ChangeKind::Object(_) => self.orders(bucket, key, version, None)?,
            // What rules of the bucket's lifecycle do is not copied (both services).
            _ => Vec::new(),
        };
        let marker =
            Summary { replica: ReplicaState::of(replicas.len()), ..Summary::marker(version, self.now()) };
        self.put_marker(bucket, key, &marker)?;
        let what = Subject { key, version: Some(version.id()), object: None, replicas };
        self.change(kind, bucket, Some(what), cause)?;
        Ok(version.id())
    }

    fn delete_object(&mut self, delete: DeleteObject) -> Result<Deleted> {
        let DeleteObject { bucket, key, version, conditions, bypass_governance, cause } = delete;
        let bucket = self.target(&bucket)?;
        let current = self.replaceable(&bucket, &key, &conditions)?;
        let named_version = version.is_some();
        let version = match (version, bucket.versioning) {
            (Some(id), _) => id,
            (None, Versioning::Off) => VersionId::Null,
            (None, Versioning::Enabled | Versioning::Suspended) => {
                let existed = current.object.is_some();
                let kind = ChangeKind::Object(EventType::RemovedDeleteMarkerCreated);
                let version = Some(self.mark_deleted(&bucket, &key, current, kind, cause)?);
                return Ok(Deleted { version, delete_marker: true, existed });
            }
        };
        let removed = self.remove_version(&bucket, &key, &version, Bypass(bypass_governance))?;
        let shown = (named_version || bucket.versioning != Versioning::Off).then(|| version.clone());
        let (object, delete_marker) = match &removed {
            None => return Ok(Deleted { version: shown, delete_marker: false, existed: false }),
            Some(Found::Object(object)) => (Some(&**object), false),
            Some(Found::Marker(_)) => (None, true),
        };
        let version = shown.clone().filter(|_| bucket.versioning != Versioning::Off);
        let what = Subject { key: &key, version, object, replicas: Vec::new() };
        self.change(ChangeKind::Object(EventType::RemovedDelete), &bucket, Some(what), cause)?;
        Ok(Deleted { version: shown, delete_marker, existed: true })
    }
}

impl Object {
    fn appendable(
        version: Version,
        attributes: Attributes,
        properties: Properties,
        sealing: Option<Sealing>,
    ) -> Self {
        Self {
            version,
            size: 0,
            etag: ETag::parse(""),
            modified: Timestamp::default(),
            attributes,
            properties,
            crc64: 0,
            checksums: Vec::new(),
            checksum_type: None,
            parts: None,
            appendable: true,
            symlink: None,
            sealing,
            replica: None,
            content: crate::Content::empty(),
            part_list: None,
        }
    }
}
