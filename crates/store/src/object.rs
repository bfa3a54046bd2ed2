//! Objects: writing, copying, deleting and looking them up.

use cosette_model::op::{ChecksumType, CopySource, WriteConditions};
use cosette_model::{
    Attributes, BucketName, Cause, ChangeKind, ETag, EventType, ObjectKey, StorageClass, VersionId,
};

use crate::error::{Error, Result};
use crate::record::{Bucket, Object, decode};
use crate::schema;
use crate::store::{Sealed, Store};
use crate::tx::Tx;

/// What a write of an object needs besides its bytes.
pub struct PutObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub checksum_type: Option<ChecksumType>,
    pub conditions: WriteConditions,
    pub body: Sealed,
    pub cause: Cause,
}

pub struct CopyObject {
    pub source: CopySource,
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub replace: Option<Attributes>,
    pub storage_class: StorageClass,
    pub conditions: WriteConditions,
    pub cause: Cause,
}

/// What a committed delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub version: Option<VersionId>,
    pub delete_marker: bool,
    /// False when there was nothing to delete (still a success).
    pub existed: bool,
}

/// What must hold of the current object for a write to go on.
fn check(conditions: &WriteConditions, current: Option<&Object>, key: &ObjectKey) -> Result<()> {
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
    if conditions.forbid_overwrite && current.is_some() {
        return Err(Error::OverwriteForbidden);
    }
    Ok(())
}

impl Tx<'_> {
    fn object(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Object>> {
        self.record("object", &schema::object(bucket.id, key))
    }

    /// The object there is now, if `conditions` let it be replaced.
    pub(crate) fn replaceable(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        conditions: &WriteConditions,
    ) -> Result<Option<Object>> {
        let current = self.object(bucket, key)?;
        check(conditions, current.as_ref(), key)?;
        Ok(current)
    }

    /// Makes `object` the current one and says so in the change log.
    pub(crate) fn install(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        before: Option<Object>,
        object: &Object,
        event: EventType,
        cause: Cause,
    ) -> Result<()> {
        if let Some(before) = before {
            self.let_go(&before.content)?;
        }
        self.write(schema::object(bucket.id, key), object)?;
        self.change(ChangeKind::Object(event), bucket, Some((key, object)), cause)
    }
}

impl Store {
    /// `NoSuchBucket`, `NoSuchObject` or `NoSuchVersion` when it is not there.
    pub fn object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Object> {
        let bucket = self.need_bucket(bucket)?;
        if let Some(VersionId::Id(_)) = version {
            return Err(Error::NoSuchVersion);
        }
        match self.engine()?.get(&schema::object(bucket.id, key))? {
            Some(row) => decode("object", &row),
            None => Err(Error::NoSuchObject(key.clone())),
        }
    }

    pub async fn put_object(&self, put: PutObject) -> Result<Object> {
        let (_, object) = self
            .commit(move |tx| {
                let PutObject { bucket, key, attributes, checksum_type, conditions, body, cause } = put;
                let bucket = tx.need_bucket(&bucket)?;
                let before = tx.replaceable(&bucket, &key, &conditions)?;
                let object = Object {
                    version: VersionId::Null,
                    size: body.size,
                    etag: ETag::of_md5(body.digests.md5),
                    modified: tx.now(),
                    attributes,
                    crc64: body.digests.crc64,
                    checksums: body.digests.checksums.clone(),
                    checksum_type,
                    parts: None,
                    content: tx.adopt(body)?,
                };
                tx.install(&bucket, &key, before, &object, EventType::CreatedPut, cause)?;
                Ok::<_, Error>(object)
            })
            .await?;
        Ok(object)
    }

    /// Copies without copying bodies: both objects refer to the same ones. Returns the new object
    /// and the source's version, if it has one.
    pub async fn copy_object(&self, copy: CopyObject) -> Result<(Object, Option<VersionId>)> {
        let (_, object) = self
            .commit(move |tx| {
                let CopyObject { source, bucket, key, replace, storage_class, conditions, cause } = copy;
                let from = tx.need_bucket(&source.bucket)?;
                let bucket = tx.need_bucket(&bucket)?;
                if let Some(VersionId::Id(_)) = source.version {
                    return Err(Error::NoSuchVersion);
                }
                let original =
                    tx.object(&from, &source.key)?.ok_or_else(|| Error::NoSuchObject(source.key.clone()))?;
                source
                    .conditions
                    .check_source(&original.etag, original.modified)
                    .map_err(|_| Error::PreconditionFailed)?;
                let before = tx.replaceable(&bucket, &key, &conditions)?;
                let attributes =
                    Attributes { storage_class, ..replace.unwrap_or_else(|| original.attributes.clone()) };
                let object = Object { version: VersionId::Null, modified: tx.now(), attributes, ..original };
                // Shared before the one there is let go of: they may be the same.
                tx.share(&object.content)?;
                tx.install(&bucket, &key, before, &object, EventType::CreatedCopy, cause)?;
                Ok(object)
            })
            .await?;
        Ok((object, None))
    }

    /// Deleting what is not there succeeds, and commits nothing.
    pub async fn delete_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        cause: Cause,
    ) -> Result<Deleted> {
        let (_, deleted) = self
            .commit(move |tx| {
                let bucket = tx.need_bucket(&bucket)?;
                if let Some(VersionId::Id(_)) = version {
                    return Ok(Deleted { version, ..Deleted::default() });
                }
                let Some(object) = tx.object(&bucket, &key)? else {
                    return Ok(Deleted { version, ..Deleted::default() });
                };
                tx.let_go(&object.content)?;
                tx.remove(schema::object(bucket.id, &key));
                let kind = ChangeKind::Object(EventType::RemovedDelete);
                tx.change(kind, &bucket, Some((&key, &object)), cause)?;
                Ok::<_, Error>(Deleted { version, delete_marker: false, existed: true })
            })
            .await?;
        Ok(deleted)
    }
}
