//! POST form uploads.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Error, ErrorCode, EventType};
use cosette_store::PutObject;

use crate::encryption::{customer_of, shown};
use crate::error::Result;
use crate::object::with_content_type;
use crate::version::shown_version;
use crate::{Ops, body};

impl Ops {
    pub(crate) async fn post_object(
        &self,
        context: &Context,
        ask: op::PostObject,
    ) -> Result<reply::PostObject> {
        let bucket = self.admit(context, Op::PostObject, (&ask.bucket, &ask.key))?;
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, ask.properties.locked(lock))?;
        let seal = self.new_seal(&bucket, ask.encryption.clone()).await?;
        let (min, max) = ask.size.unwrap_or((0, body::BODY_BYTES_MAX));
        let taken =
            body::take_up_to(&self.store, ask.body, None, seal, max.min(body::BODY_BYTES_MAX)).await?;
        if taken.sealed.size < min {
            return Err(Error::new(ErrorCode::EntityTooSmall)
                .detail("ProposedSize", taken.sealed.size.to_string())
                .detail("MinSizeAllowed", min.to_string())
                .into());
        }
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
                event: EventType::CreatedPost,
                cause: context.cause.clone(),
            })
            .await?;
        Ok(reply::PostObject {
            expiry: self.expiry(&bucket.name, &ask.key, &object)?,
            bucket: ask.bucket,
            key: ask.key,
            etag: object.etag,
            crc64: object.crc64,
            version: shown_version(&bucket, object.version),
            checksums: taken.checksums,
            answer: ask.answer,
            encryption: shown(object.sealing.as_ref(), customer_of(ask.encryption.as_ref())),
        })
    }
}
