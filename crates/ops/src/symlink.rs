//! Symlinks: objects of their own (name, metadata, tags, list, versions), whose content is the name of
//! another one of their bucket, and that reads of the key are led to (cos-api 3.4; COS's page on symlinks).

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Error, ErrorCode, EventType, ObjectKey, StorageClass, Wanted};
use cosette_store::{Bucket, Object, PutObject};

use crate::Ops;
use crate::access::Admitted;
use crate::error::{Result, class_refused};
use crate::object::with_content_type;
use crate::version::shown_version;

impl Ops {
    /// Whether the target is there, and may be read, is asked when the link is read.
    pub(crate) async fn put_symlink(
        &self,
        context: &Context,
        ask: op::PutSymlink,
    ) -> Result<reply::PutSymlink> {
        let bucket = self.admit(context, Op::PutSymlink, (&ask.bucket, &ask.key))?;
        let class = ask.attributes.storage_class;
        if class != StorageClass::Standard {
            return Err(class_refused(class));
        }
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, ask.properties.locked(lock))?;
        let content = ask.target.as_str().to_owned();
        let mut staged = self.store.stage(Some(content.len() as u64), Wanted::default())?;
        staged.write(content.into()).await?;
        let object = self
            .store
            .put_object(PutObject {
                bucket: (&bucket).into(),
                key: ask.key,
                // Of the target's name (documented).
                attributes: with_content_type(context, &ask.target, ask.attributes),
                properties,
                checksum_type: None,
                conditions: ask.conditions,
                symlink: Some(ask.target),
                body: staged.seal().await?,
                event: EventType::CreatedPut,
                cause: context.cause.clone(),
            })
            .await?;
        Ok(reply::PutSymlink {
            etag: object.etag,
            crc64: object.crc64,
            version: shown_version(&bucket, object.version),
        })
    }

    pub(crate) fn get_symlink(&self, context: &Context, ask: op::GetSymlink) -> Result<reply::GetSymlink> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetSymlink, (&ask.bucket, &ask.key, &ask.version))?;
        let object = found?;
        let version = shown_version(&bucket, object.version);
        let target = object.symlink.ok_or_else(|| {
            Error::with(ErrorCode::InvalidRequest, "The object is not a symlink.")
                .detail("Key", ask.key.as_str())
        })?;
        Ok(reply::GetSymlink { target, etag: object.etag, modified: object.modified, version })
    }

    /// What a read of the key gives, and the key it lies under: the object that was `found` there, or what it
    /// leads to as a symlink. Who asks must be allowed to read both. A symlink leads to the current object.
    pub(crate) fn followed(
        &self,
        context: &Context,
        op: Op,
        bucket: &Bucket,
        key: ObjectKey,
        found: Object,
    ) -> Result<(ObjectKey, Object)> {
        let Some(target) = found.symlink else { return Ok((key, found)) };
        let object = self.admit_to(context, op, (&bucket.name, &target))?.found?;
        if object.symlink.is_some() {
            return Err(Error::with(ErrorCode::InvalidRequest, "A symlink cannot lead to a symlink.")
                .detail("Key", target.as_str())
                .into());
        }
        Ok((target, object))
    }
}
