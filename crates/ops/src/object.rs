//! Operations on whole objects.

use cosette_model::op::{self, Context, ObjectInfo, Op, reply};
use cosette_model::{
    AccessTier, Attributes, ByteRange, Error, ErrorCode, EventType, InvalidName, ObjectKey, PartNumber,
};
use cosette_store::{Bucket, DeleteObject, Object, PutObject};
use futures_util::future::join_all;

use crate::access::{Admitted, Scene};
use crate::encryption::{customer_of, shown};
use crate::error::Result;
use crate::version::shown_version;
use crate::{Ops, body, restore};

impl Ops {
    pub(crate) async fn put_object(&self, context: &Context, ask: op::PutObject) -> Result<reply::PutObject> {
        let bucket = self.admit(context, Op::PutObject, (&ask.bucket, &ask.key))?;
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, ask.properties.locked(lock))?;
        let seal = self.new_seal(&bucket, ask.encryption.clone()).await?;
        let taken = body::take(&self.store, ask.body, ask.checksum, seal).await?;
        let object = self
            .store
            .put_object(PutObject {
                bucket: (&bucket).into(),
                attributes: with_content_type(context, &ask.key, ask.attributes),
                key: ask.key.clone(),
                properties,
                checksum_type: None,
                conditions: ask.conditions,
                symlink: None,
                body: taken.sealed,
                event: EventType::CreatedPut,
                cause: context.cause.clone(),
            })
            .await?;
        Ok(reply::PutObject {
            expiry: self.expiry(&bucket.name, &ask.key, &object)?,
            etag: object.etag,
            crc64: object.crc64,
            version: shown_version(&bucket, object.version),
            checksums: taken.checksums,
            encryption: shown(object.sealing.as_ref(), customer_of(ask.encryption.as_ref())),
        })
    }

    pub(crate) fn get_object(&self, context: &Context, ask: op::GetObject) -> Result<reply::GetObject> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetObject, (&ask.bucket, &ask.key, &ask.version))?;
        self.check_referer(context, &bucket)?;
        let (key, object) = self.followed(context, Op::GetObject, &bucket, ask.key, found?)?;
        let customer = ask.customer.as_ref();
        self.store.check_customer(object.sealing.as_ref(), customer)?;
        let mut info = info(context, &bucket, &object, ask.checksums);
        info.encryption = shown(object.sealing.as_ref(), customer);
        info.expiry = self.expiry_of(&bucket, &key, &object, ask.version.is_some())?;
        check(&ask.conditions, &info)?;
        self.of_part(&object, ask.part, &mut info)?;
        restore::readable(&object, info.clone())?;
        info.tier = self.tier(&bucket, &key, &object, context.now)?;
        let wanted = ask.range.filter(|_| ask.if_range.as_ref().is_none_or(|tag| *tag == info.etag));
        let range = self.range(&object, wanted, ask.part)?;
        let body = self.store.read_for(&bucket.name, &key, &object, range, customer)?;
        self.store.note_read(&bucket, &key, &object, context.now);
        Ok(reply::GetObject { info, range, by_part: ask.part.is_some(), overrides: ask.overrides, body })
    }

    pub(crate) fn head_object(&self, context: &Context, ask: op::HeadObject) -> Result<reply::HeadObject> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::HeadObject, (&ask.bucket, &ask.key, &ask.version))?;
        self.check_referer(context, &bucket)?;
        let (key, object) = self.followed(context, Op::HeadObject, &bucket, ask.key, found?)?;
        let customer = ask.customer.as_ref();
        self.store.check_customer(object.sealing.as_ref(), customer)?;
        let mut info = info(context, &bucket, &object, ask.checksums);
        info.encryption = shown(object.sealing.as_ref(), customer);
        info.expiry = self.expiry_of(&bucket, &key, &object, ask.version.is_some())?;
        check(&ask.conditions, &info)?;
        self.of_part(&object, ask.part, &mut info)?;
        info.tier = self.tier(&bucket, &key, &object, context.now)?;
        let range = self.range(&object, ask.range, ask.part)?;
        Ok(reply::HeadObject { info, range, by_part: ask.part.is_some(), overrides: ask.overrides })
    }

    /// The half-open positions a read asks for; `None` for all there is.
    fn range(
        &self,
        object: &Object,
        range: Option<ByteRange>,
        part: Option<PartNumber>,
    ) -> Result<Option<(u64, u64)>> {
        match part {
            // Nothing has no first and last byte that a range could name.
            Some(number) => Ok(Some(self.part_range(object, number)?).filter(|_| object.size > 0)),
            None => resolve(range, object.size),
        }
    }

    pub(crate) async fn delete_object(
        &self,
        context: &Context,
        ask: op::DeleteObject,
    ) -> Result<reply::DeleteObject> {
        self.delete_as(context, Op::DeleteObject, ask).await
    }

    /// `op`: whether one is deleted, or one among others.
    async fn delete_as(
        &self,
        context: &Context,
        op: Op,
        ask: op::DeleteObject,
    ) -> Result<reply::DeleteObject> {
        let resource = (&ask.bucket, &ask.key, &ask.version);
        let Admitted { bucket, rules, .. } = self.admit_to(context, op, resource)?;
        let bypass_governance = ask.bypass_governance
            && Scene { context, bucket: &bucket, rules: &rules, object: None }
                .bypasses((&bucket.name, &ask.key, &ask.version).into());
        let deleted = self
            .store
            .delete_object(DeleteObject {
                bypass_governance,
                bucket: bucket.into(),
                key: ask.key,
                version: ask.version,
                conditions: op::WriteConditions { if_match: ask.if_match, ..Default::default() },
                cause: context.cause.clone(),
            })
            .await?;
        Ok(reply::DeleteObject { version: deleted.version, delete_marker: deleted.delete_marker })
    }

    /// Each key is deleted, and fails, on its own; all go to the committer at once, so they
    /// share its syncs.
    pub(crate) async fn delete_objects(
        &self,
        context: &Context,
        ask: op::DeleteObjects,
    ) -> Result<reply::DeleteObjects> {
        self.exists(context, &ask.bucket)?;
        let bypass_governance = ask.bypass_governance;
        let results = join_all(ask.entries.into_iter().map(|entry| {
            let bucket = ask.bucket.clone();
            async move {
                let key = ObjectKey::new(entry.key.clone());
                let version = entry.version.clone();
                let if_match = entry.if_match.clone();
                let result = match key {
                    Ok(key) => {
                        let one = op::DeleteObject { bucket, key, version, if_match, bypass_governance };
                        self.delete_as(context, Op::DeleteObjects, one).await
                    }
                    Err(InvalidName::KeyTooLong { .. }) => Err(ErrorCode::KeyTooLong.into()),
                    Err(invalid) => {
                        Err(Error::with(ErrorCode::InvalidObjectName, invalid.to_string()).into())
                    }
                };
                (entry, result)
            }
        }))
        .await;
        let mut reply = reply::DeleteObjects { deleted: Vec::new(), failed: Vec::new() };
        for (entry, result) in results {
            match result {
                Err(error) => {
                    let error = error.0;
                    reply.failed.push(reply::DeleteFailed { key: entry.key, version: entry.version, error });
                }
                Ok(_) if ask.quiet => {}
                Ok(deleted) => reply.deleted.push(reply::Deleted {
                    key: entry.key,
                    version: entry.version,
                    delete_marker: deleted.version.filter(|_| deleted.delete_marker),
                }),
            }
        }
        Ok(reply)
    }
}

pub(crate) fn info(context: &Context, bucket: &Bucket, object: &Object, checksums: bool) -> ObjectInfo {
    let (archived, restore) = restore::state(object, context.now);
    ObjectInfo {
        size: object.size,
        etag: object.etag.clone(),
        modified: object.modified,
        attributes: object.attributes.clone(),
        crc64: object.crc64,
        version: shown_version(bucket, object.version),
        checksums: if checksums { object.checksums.clone() } else { Vec::new() },
        checksum_type: object.checksum_type,
        tags: object.properties.tags.len(),
        parts: object.parts,
        restore,
        appendable: object.appendable,
        lock: object.properties.lock(),
        encryption: shown(object.sealing.as_ref(), None),
        expiry: None,
        tier: archived.map(AccessTier::Archived),
        replica: object.replica,
    }
}

fn check(conditions: &op::Conditions, info: &ObjectInfo) -> Result<()> {
    conditions
        .check_read(&info.etag, info.modified)
        .map_err(|code| Error { object: Some(Box::new(info.clone())), ..Error::new(code) }.into())
}

fn resolve(range: Option<ByteRange>, size: u64) -> Result<Option<(u64, u64)>> {
    let Some(range) = range else { return Ok(None) };
    match range.resolve(size) {
        Some(positions) => Ok(Some(positions)),
        None => Err(Error::new(ErrorCode::InvalidRange).detail("ActualObjectSize", size.to_string()).into()),
    }
}

/// The type of an object written without one: guessed from the key's extension where the
/// service does that (cos-api 3.0), else the service's own word for bytes.
pub(crate) fn with_content_type(
    context: &Context,
    key: &ObjectKey,
    mut attributes: Attributes,
) -> Attributes {
    if attributes.content_type.is_none() {
        let default = if context.policy.guess_content_type {
            mime_guess::from_path(key.as_str()).first_raw().unwrap_or("application/octet-stream")
        } else {
            "binary/octet-stream"
        };
        attributes.content_type = Some(default.to_owned());
    }
    attributes
}
