//! Copies, of whole objects and of ranges as parts.

use std::future::poll_fn;

use cosette_model::op::{self, Context, CopySource, Op, reply};
use cosette_model::{
    Body, ChecksumAlgorithm, Digests, ETag, Encryption, Error, ErrorCode, Expected, Properties, Tags, Wanted,
};
use cosette_store::{
    Bucket, CopiedContent, CopyObject, Digester, Error as StoreError, Object, Sealing, Seen,
};

use crate::access::{Admitted, Scene};
use crate::encryption::{customer_of, shown};
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
        let source = ask.source;
        let replace = ask.replace.map(|attributes| with_content_type(context, &ask.key, attributes));
        let lock = self.lock(context, &bucket, &ask.key, ask.lock)?;
        let given =
            self.new_properties(context, &bucket, &ask.key, &ask.acl, Properties::default())?.locked(lock);
        let tags = ask.tags.map(Tags::into_map);
        // A version may be named to make it the current one again.
        let same =
            |from: &Bucket| from.name == bucket.name && source.key == ask.key && source.version.is_none();
        loop {
            let (from, source, found) = self.source(context, source.clone(), tags.is_none())?;
            let class = found.attributes.storage_class;
            if same(&from)
                && ask.website_redirect.is_none()
                && replace.is_none()
                && tags.is_none()
                && ask.encryption.is_none()
                && ask.storage_class == class
            {
                return Err(Error::with(
                    ErrorCode::InvalidRequest,
                    "This copy request is illegal because it is trying to copy an object to itself without \
                     changing the object's metadata, storage class or other attributes.",
                )
                .into());
            }
            if found.size > body::BODY_BYTES_MAX {
                return Err(too_large());
            }
            let kept = tags.clone().unwrap_or_else(|| found.properties.tags.clone());
            if !kept.is_empty() {
                let rules = self.access_rules(&bucket.name)?;
                Scene { context, bucket: &bucket, rules: &rules, object: None }.may_tag(&ask.key)?;
            }
            let to = if found.symlink.is_some() { None } else { self.how(&bucket, ask.encryption.clone())? };
            let (content, digests) = self.content(&from, &source, &found, ask.checksum, to).await?;
            let copied = self
                .store
                .copy_object(CopyObject {
                    source,
                    // What may be read, and was digested, must be what is copied.
                    seen: Some(Seen::of(&from, &found)),
                    bucket: (&bucket).into(),
                    key: ask.key.clone(),
                    replace: replace.clone(),
                    // Tags come along unless they are replaced; the rest is the copy's own.
                    properties: Some(Properties { tags: kept, ..given.clone() }),
                    storage_class: ask.storage_class,
                    website_redirect: ask.website_redirect.clone(),
                    digests,
                    content,
                    conditions: ask.conditions.clone(),
                    cause: context.cause.clone(),
                })
                .await;
            let (object, source_version) = match copied {
                Err(StoreError::Changed) => continue,
                copied => copied.map_err(|failed| source_failure(context, failed.into()))?,
            };
            return Ok(reply::CopyObject {
                expiry: self.expiry(&bucket.name, &ask.key, &object)?,
                etag: object.etag,
                crc64: object.crc64,
                modified: object.modified,
                version: shown_version(&bucket, object.version),
                source_version,
                checksums: object.checksums,
                encryption: shown(object.sealing.as_ref(), customer_of(ask.encryption.as_ref())),
            });
        }
    }

    pub(crate) async fn upload_part_copy(
        &self,
        context: &Context,
        ask: op::UploadPartCopy,
    ) -> Result<reply::UploadPartCopy> {
        let bucket = self.admit(context, Op::UploadPartCopy, (&ask.bucket, &ask.key))?;
        let upload = self.store.upload(&bucket.name, &ask.key, &ask.upload)?;
        let (from, source, found) = self.source(context, ask.source, false)?;
        if found.symlink.is_some() {
            let why = "The source of a part may not be a symlink.";
            return Err(Error::with(ErrorCode::InvalidRequest, why).into());
        }
        let (start, end) = match ask.range {
            None => (0, found.size),
            Some((first, last)) if last < found.size => (first, last + 1),
            Some(_) => {
                return Err(Error::new(ErrorCode::InvalidRange)
                    .detail("ActualObjectSize", found.size.to_string())
                    .into());
            }
        };
        if end - start > body::BODY_BYTES_MAX {
            return Err(too_large());
        }
        // Before anything is read of the source.
        self.of_upload(&upload, ask.customer.as_ref())?;
        let customer = source.customer.as_ref();
        self.store.check_customer(found.sealing.as_ref(), customer)?;
        let stream = self.store.read_for(&from.name, &source.key, &found, Some((start, end)), customer)?;
        let body = Body { stream, length: Some(end - start), expected: Expected::default() };
        let at = (ask.key, ask.upload, ask.number);
        let (part, checksums) = self.receive_part(bucket, at, &upload, body, ask.customer.as_ref()).await?;
        Ok(reply::UploadPartCopy {
            etag: ETag::of_md5(part.md5),
            crc64: part.crc64,
            modified: part.modified,
            source_version: shown_version(&from, found.version),
            checksums,
            encryption: shown(upload.sealing.as_ref(), ask.customer.as_ref()),
        })
    }

    /// What is to be copied, if its conditions hold. Its bucket may lie in another region than the
    /// request was sent to, and be without acceleration. `tagged`: its tags are to be read as well.
    fn source(
        &self,
        context: &Context,
        mut source: CopySource,
        tagged: bool,
    ) -> Result<(Bucket, CopySource, Object)> {
        let anywhere = Context {
            region: None,
            // It is the copy's bucket that the host name is of.
            accelerated: false,
            expected_owner: source.expected_owner.clone(),
            ..context.clone()
        };
        let Admitted { bucket: from, rules, found } =
            self.admit_to(&anywhere, Op::GetObject, (&source.bucket, &source.key, &source.version))?;
        source.bucket = from.name.clone();
        let found = match found {
            Err(failure) if failure.0.delete_marker.is_some() && source.version.is_some() => {
                return Err(Error::with(
                    ErrorCode::InvalidRequest,
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                )
                .into());
            }
            found => found.map_err(|missing| source_failure(context, missing))?,
        };
        if tagged && !found.properties.tags.is_empty() {
            Scene { context: &anywhere, bucket: &from, rules: &rules, object: Some(&found) }
                .decide(Op::GetObjectTagging, (&from.name, &source.key, &source.version).into())?;
        }
        source.conditions.check_source(&found.etag, found.modified)?;
        restore::readable(&found, info(context, &from, &found, false))?;
        self.store.note_read(&from, &source.key, &found, context.now);
        Ok((from, source, found))
    }

    /// What becomes of the source's content in a copy that is to be encrypted so, with its digests where
    /// they are not the source's.
    async fn content(
        &self,
        from: &Bucket,
        source: &CopySource,
        found: &Object,
        checksum: Option<ChecksumAlgorithm>,
        to: Option<Encryption>,
    ) -> Result<(CopiedContent, Option<Digests>)> {
        let customer = source.customer.as_ref();
        let seal = match (self.seal_of(found, customer)?, &to) {
            (None, None) => None,
            (Some(seal), Some(to)) => Some(self.store.reseal(&seal, to).await?),
            // What is encrypted and what is not cannot be the same bytes.
            (None, Some(_)) | (Some(_), None) => {
                let seal = match &to {
                    Some(to) => Some(self.store.seal(to).await?),
                    None => None,
                };
                let stream = self.store.read_for(&from.name, &source.key, found, None, customer)?;
                let body = Body { stream, length: Some(found.size), expected: Expected::default() };
                let also = checksums_of(found, checksum);
                let taken = body::take(&self.store, body, also, seal).await?;
                let digests = taken.sealed.digests.clone();
                return Ok((CopiedContent::Anew(taken.sealed), Some(digests)));
            }
        };
        let hides = seal.as_ref().is_some_and(|seal| seal.sealing.hides_md5());
        let digests = self.digests(from, source, found, checksum, hides).await?;
        Ok((CopiedContent::Shared(seal), digests))
    }

    /// Digests of what a copy holds as one body, where the source's do not say them: it was made
    /// of parts or by appends, a checksum is wanted that it does not have, or its encryption hides
    /// its MD5 and that of the copy does not.
    async fn digests(
        &self,
        from: &Bucket,
        source: &CopySource,
        found: &Object,
        wanted: Option<ChecksumAlgorithm>,
        hides: bool,
    ) -> Result<Option<Digests>> {
        let has = |algorithm| found.checksums.iter().any(|c| c.algorithm == algorithm);
        let whole = found.parts.is_none() && !found.appendable;
        let hidden = found.sealing.as_ref().is_some_and(Sealing::hides_md5);
        if whole && wanted.is_none_or(has) && (hides || !hidden) {
            return Ok(None);
        }
        let mut digester = Digester::new(&Wanted { checksums: checksums_of(found, wanted) });
        let customer = source.customer.as_ref();
        let mut stream = self.store.read_for(&from.name, &source.key, found, None, customer)?;
        while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            digester.update(&chunk?);
        }
        Ok(Some(digester.finish()))
    }
}

/// The checksums that a copy is to have.
fn checksums_of(found: &Object, wanted: Option<ChecksumAlgorithm>) -> Vec<ChecksumAlgorithm> {
    match wanted {
        Some(wanted) => vec![wanted],
        None => found.checksums.iter().map(|c| c.algorithm).collect(),
    }
}

fn too_large() -> Failure {
    Error::with(
        ErrorCode::InvalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
    )
    .into()
}

/// A missing source is told by the code the service has for it.
fn source_failure(context: &Context, failure: Failure) -> Failure {
    match failure.0.code {
        ErrorCode::NoSuchKey => {
            Error { code: context.policy.copy_source_code, delete_marker: None, ..failure.0 }.into()
        }
        _ => failure,
    }
}
