//! Appends.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Encryption, Error, ErrorCode, ObjectKey, StorageClass};
use cosette_store::{AppendObject, Bucket, Error as StoreError, Seal, SealedBy};

use crate::encryption::{customer_of, shown};
use crate::error::{Failure, Result, class_refused};
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
            return Err(class_refused(class));
        }
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, ask.properties.locked(lock))?;
        let customer = customer_of(ask.encryption.as_ref()).cloned();
        let seal = self.append_seal(&bucket, &ask.key, ask.encryption).await?;
        let taken = body::take(&self.store, ask.body, None, seal).await?;
        // The commit takes no other position than the object's length.
        let length = ask.position.saturating_add(taken.sealed.size);
        if length > body::BODY_BYTES_MAX {
            return Err(ErrorCode::EntityTooLarge.into());
        }
        let md5 = taken.sealed.digests.md5;
        let object = self
            .store
            .append_object(AppendObject {
                bucket: bucket.into(),
                attributes: with_content_type(context, &ask.key, ask.attributes),
                key: ask.key,
                position: ask.position,
                properties,
                body: taken.sealed,
                cause: context.cause.clone(),
            })
            .await
            .map_err(replaced)?;
        Ok(reply::AppendObject {
            encryption: shown(object.sealing.as_ref(), customer.as_ref()),
            etag: object.etag,
            crc64: object.crc64,
            md5,
            length: object.size,
        })
    }

    /// The content key of the object there is, which a request may name again but not change, or a new one.
    async fn append_seal(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        asked: Option<Encryption>,
    ) -> Result<Option<Seal>> {
        let object = match self.store.object(&bucket.name, key, None) {
            Ok(object) if object.appendable => object,
            Ok(_) | Err(StoreError::NoSuchObject(_) | StoreError::DeleteMarker { .. }) => {
                return self.new_seal(bucket, asked).await;
            }
            Err(failed) => return Err(failed.into()),
        };
        let same = match (&asked, object.sealing.as_ref().map(|sealing| &sealing.by)) {
            (None | Some(Encryption::Customer(_)), _)
            | (Some(Encryption::Service), Some(SealedBy::Service)) => true,
            (Some(Encryption::Kms(key)), Some(SealedBy::Kms(own))) => key.id.is_none() || key.id == own.id,
            _ => false,
        };
        if !same {
            return Err(ErrorCode::SseNotApplicable.into());
        }
        self.seal_of(&object, customer_of(asked.as_ref()))
    }
}

/// An object in the place of the one that the bytes were encrypted for.
fn replaced(failed: StoreError) -> Failure {
    match failed {
        StoreError::Changed => {
            let why = "The object was replaced meanwhile. Please try again.";
            Error::with(ErrorCode::ServiceUnavailable, why).into()
        }
        other => other.into(),
    }
}
