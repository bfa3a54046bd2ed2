//! Copies, of whole objects and of ranges as parts.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{Error, ErrorCode, Properties};
use cosette_store::CopyObject;

use crate::error::{Failure, Result};
use crate::object::{info, with_content_type};
use crate::version::shown_version;
use crate::{Ops, body, restore};

impl Ops {
    pub(crate) async fn copy_object(
        &self,
        context: &Context,
        ask: op::CopyObject,
    ) -> Result<reply::CopyObject> {
        let bucket = self.admit(context, Op::CopyObject, (&ask.bucket, &ask.key))?;
        let mut source = ask.source;
        // The source may lie in another region than the request was sent to.
        let anywhere = Context { region: None, ..context.clone() };
        source.bucket =
            self.admit(&anywhere, Op::GetObject, (&source.bucket, &source.key, &source.version))?.name;
        let found = self
            .store
            .object(&source.bucket, &source.key, source.version.as_ref())
            .map_err(|missing| source_failure(context, missing.into()))?;
        restore::readable(&found, info(context, &bucket, &found, false))?;
        let same = bucket.name == source.bucket && ask.key == source.key;
        if same
            && ask.replace.is_none()
            && ask.tags.is_none()
            && ask.storage_class == found.attributes.storage_class
        {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without \
                 changing the object's metadata, storage class or other attributes.",
            )
            .into());
        }
        if found.size > body::BODY_BYTES_MAX {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
            ).into());
        }
        if let Some(wanted) = ask.checksum.filter(|a| found.checksums.iter().all(|c| c.algorithm != *a)) {
            return Err(Error::with(
                ErrorCode::NotImplemented,
                format!(
                    "A copy that computes a {} the source does not have is not implemented.",
                    wanted.name()
                ),
            )
            .into());
        }
        let replace = ask.replace.map(|attributes| with_content_type(context, &ask.key, attributes));
        let (object, source_version) = self
            .store
            .copy_object(CopyObject {
                source,
                bucket: bucket.name.clone(),
                key: ask.key,
                replace,
                properties: ask
                    .tags
                    .map(|tags| Properties { tags: tags.into_map(), ..Properties::default() }),
                storage_class: ask.storage_class,
                conditions: ask.conditions,
                cause: context.cause.clone(),
            })
            .await
            .map_err(|failed| source_failure(context, failed.into()))?;
        Ok(reply::CopyObject {
            etag: object.etag,
            crc64: object.crc64,
            modified: object.modified,
            version: shown_version(&bucket, object.version),
            source_version,
            checksums: object.checksums,
        })
    }
}

/// A missing source is told by the code the service has for it.
fn source_failure(context: &Context, failure: Failure) -> Failure {
    match failure.0.code {
        ErrorCode::NoSuchKey => Error { code: context.policy.copy_source_code, ..failure.0 }.into(),
        _ => failure,
    }
}
