//! Appends.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Error, ErrorCode, StorageClass};
use cosette_store::AppendObject;

use crate::error::Result;
use crate::object::with_content_type;
use crate::{Ops, body};

impl Ops {
    /// An append never overwrites, so a ban on that (`x-cos-forbid-overwrite`) changes nothing.
    pub(crate) async fn append_object(
        &self,
        context: &Context,
        ask: op::AppendObject,
    ) -> Result<reply::AppendObject> {
        let bucket = self.admit(context, Op::AppendObject, (&ask.bucket, &ask.key))?;
        let class = ask.attributes.storage_class;
        if matches!(class, StorageClass::IntelligentTiering | StorageClass::DeepArchive) {
            return Err(Error::new(ErrorCode::NotSupportedStorageClass)
                .detail("StorageClassRequested", class.name())
                .into());
        }
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, ask.properties.locked(lock))?;
        let taken = body::take(&self.store, ask.body, None).await?;
        // The commit takes no other position than the object's length.
        let length = ask.position.saturating_add(taken.sealed.size);
        if length > body::BODY_BYTES_MAX {
            return Err(ErrorCode::EntityTooLarge.into());
        }
        let md5 = taken.sealed.digests.md5;
        let object = self
            .store
            .append_object(AppendObject {
                bucket: bucket.name,
                attributes: with_content_type(context, &ask.key, ask.attributes),
                key: ask.key,
                position: ask.position,
                properties,
                body: taken.sealed,
                cause: context.cause.clone(),
            })
            .await?;
        Ok(reply::AppendObject { etag: object.etag, crc64: object.crc64, md5, length: object.size })
    }
}
