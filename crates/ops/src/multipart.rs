//! Multipart uploads.

use cosette_model::op::{self, CompletedPart, Context, Listing, Op, Owner, reply};
use cosette_model::{
    Body, BucketName, Checksum, CustomerKey, Error, ErrorCode, ObjectKey, PartNumber, UploadId,
};
use cosette_store::{Bucket, CompleteUpload, Object, Part, PutPart, Upload, UploadPage};

use crate::completed::Again;
use crate::encryption::{customer_of, shown};
use crate::error::Result;
use crate::object::with_content_type;
use crate::version::shown_version;
use crate::{Ops, body, checksum};

impl Ops {
    pub(crate) async fn create_upload(
        &self,
        context: &Context,
        ask: op::CreateMultipartUpload,
    ) -> Result<reply::CreateMultipartUpload> {
        let bucket = self.admit(context, Op::CreateMultipartUpload, (&ask.bucket, &ask.key))?;
        let attributes = with_content_type(context, &ask.key, ask.attributes);
        // S3 counts a default retention from here on, as it does the object's age.
        let lock = self.lock(context, &bucket, &ask.key, ask.properties.lock())?;
        let properties = ask.properties.locked(lock);
        let properties = self.new_properties(context, &bucket, &ask.key, &ask.acl, properties)?;
        let sealing = self.new_seal(&bucket, ask.encryption.clone()).await?.map(|seal| seal.sealing);
        let encryption = shown(sealing.as_ref(), customer_of(ask.encryption.as_ref()));
        let upload = self
            .store
            .create_upload(&bucket, ask.key.clone(), attributes, properties, ask.checksum, sealing)
            .await?;
        Ok(reply::CreateMultipartUpload {
            abort: self.abort(&bucket, &ask.key, upload.initiated)?,
            bucket: ask.bucket,
            key: ask.key,
            upload: upload.id,
            checksum: ask.checksum,
            encryption,
        })
    }

    pub(crate) async fn upload_part(
        &self,
        context: &Context,
        ask: op::UploadPart,
    ) -> Result<reply::UploadPart> {
        let bucket = self.admit(context, Op::UploadPart, (&ask.bucket, &ask.key))?;
        let upload = self.store.upload(&bucket.name, &ask.key, &ask.upload)?;
        let at = (ask.key, ask.upload, ask.number);
        let (part, checksums) =
            self.receive_part(bucket, at, &upload, ask.body, ask.customer.as_ref()).await?;
        Ok(reply::UploadPart {
            etag: cosette_model::ETag::of_md5(part.md5),
            crc64: part.crc64,
            checksums,
            encryption: shown(upload.sealing.as_ref(), ask.customer.as_ref()),
        })
    }

    /// Takes the bytes of a part, sent or copied, and keeps them with their checksums.
    pub(crate) async fn receive_part(
        &self,
        bucket: Bucket,
        (key, upload, number): (ObjectKey, UploadId, PartNumber),
        of: &Upload,
        body: Body,
        customer: Option<&CustomerKey>,
    ) -> Result<(Part, Vec<Checksum>)> {
        let also = of.checksum.map(|(algorithm, _)| algorithm);
        let seal = self.part_seal(of, customer)?;
        let taken = body::take(&self.store, body, also, seal).await?;
        let part = PutPart { bucket: bucket.into(), key, upload, number, body: taken.sealed };
        Ok((self.store.put_part(part).await?, taken.checksums))
    }

    pub(crate) fn list_parts(&self, context: &Context, ask: op::ListParts) -> Result<reply::ListParts> {
        let bucket = self.admit(context, Op::ListParts, (&ask.bucket, &ask.key))?;
        let upload = self.store.upload(&bucket.name, &ask.key, &ask.upload)?;
        self.listed_with(&upload, ask.customer.as_ref())?;
        let max = ask.max as usize;
        let mut parts = self.store.parts(&bucket.name, &ask.key, &ask.upload, ask.after, max + 1)?;
        let truncated = parts.len() > max;
        parts.truncate(max);
        Ok(reply::ListParts {
            abort: self.abort(&bucket, &ask.key, upload.initiated)?,
            owner: self.upload_owner(&bucket, &upload),
            bucket: ask.bucket,
            key: ask.key,
            upload: ask.upload,
            storage_class: upload.attributes.storage_class,
            after: ask.after,
            max: ask.max,
            url_encode: ask.url_encode,
            parts: parts.into_iter().map(entry).collect(),
            truncated,
        })
    }

    fn upload_owner(&self, bucket: &Bucket, upload: &Upload) -> Owner {
        match &upload.properties.owner {
            Some(owner) => self.owner_of(owner),
            None => self.owner(bucket),
        }
    }

    pub(crate) fn list_uploads(
        &self,
        context: &Context,
        ask: op::ListMultipartUploads,
    ) -> Result<reply::ListMultipartUploads> {
        let bucket = self.admit(context, Op::ListMultipartUploads, &ask.bucket)?;
        let listing = Listing {
            prefix: ask.prefix.clone(),
            delimiter: ask.delimiter.clone(),
            after: ask.key_marker.clone(),
            max: ask.max,
        };
        let UploadPage { uploads, common_prefixes, next } =
            self.store.list_uploads(&bucket.name, &listing, &ask.upload_marker)?;
        Ok(reply::ListMultipartUploads {
            bucket: ask.bucket,
            prefix: ask.prefix,
            delimiter: ask.delimiter,
            key_marker: ask.key_marker,
            upload_marker: ask.upload_marker,
            max: ask.max,
            url_encode: ask.url_encode,
            uploads: uploads
                .into_iter()
                .map(|upload| reply::UploadEntry {
                    owner: self.upload_owner(&bucket, &upload),
                    key: upload.key,
                    upload: upload.id,
                    storage_class: upload.attributes.storage_class,
                    initiated: upload.initiated,
                })
                .collect(),
            common_prefixes,
            next,
        })
    }

    pub(crate) async fn complete_upload(
        &self,
        context: &Context,
        ask: op::CompleteMultipartUpload,
    ) -> Result<reply::CompleteMultipartUpload> {
        let bucket = self.admit(context, Op::CompleteMultipartUpload, (&ask.bucket, &ask.key))?;
        let (name, key) = (ask.bucket.clone(), ask.key.clone());
        let customer = ask.customer.clone();
        let again = context.policy.complete_again.then(|| Again::of(&ask));
        let object = match (self.complete(context, &bucket, ask).await, again) {
            (Err(failure), Some(again)) if failure.0.code == ErrorCode::NoSuchUpload => {
                self.completed(&bucket, &again)?.ok_or(failure)?
            }
            (completed, _) => completed?,
        };
        Ok(reply::CompleteMultipartUpload {
            expiry: self.expiry(&name, &key, &object)?,
            bucket: name,
            key,
            etag: object.etag,
            crc64: object.crc64,
            version: shown_version(&bucket, object.version),
            checksums: object.checksums,
            checksum_type: object.checksum_type,
            encryption: shown(object.sealing.as_ref(), customer.as_ref()),
        })
    }

    async fn complete(
        &self,
        context: &Context,
        bucket: &Bucket,
        ask: op::CompleteMultipartUpload,
    ) -> Result<Object> {
        let upload = self.store.upload(&bucket.name, &ask.key, &ask.upload)?;
        self.complete_with(&upload, ask.customer.as_ref())?;
        if ask.parts.is_empty() {
            return Err(Error::with(ErrorCode::MalformedXml, "You must specify at least one part.").into());
        }
        let listed = self.listed_parts(&bucket.name, &ask.key, &ask.upload, &ask.parts)?;
        if let Some(size) = ask.size.filter(|size| *size != listed.iter().map(|part| part.size).sum::<u64>())
        {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                format!("The provided object size {size} does not match the sum of the parts' sizes."),
            )
            .into());
        }
        let whole = whole_checksum(&upload, &listed, &ask.checksums)?;
        let checksum_type = upload.checksum.map(|(_, kind)| kind);
        Ok(self
            .store
            .complete_upload(CompleteUpload {
                bucket: bucket.into(),
                key: ask.key.clone(),
                upload: ask.upload,
                parts: ask.parts.into_iter().map(|part| (part.number, part.etag)).collect(),
                part_size_min: context.policy.part_size_min,
                checksums: whole,
                checksum_type,
                conditions: ask.conditions,
                cause: context.cause.clone(),
            })
            .await?)
    }

    pub(crate) async fn abort_upload(
        &self,
        context: &Context,
        ask: op::AbortMultipartUpload,
    ) -> Result<reply::AbortMultipartUpload> {
        let bucket = self.admit(context, Op::AbortMultipartUpload, (&ask.bucket, &ask.key))?;
        self.store.abort_upload(bucket, ask.key, ask.upload).await?;
        Ok(reply::AbortMultipartUpload {})
    }

    /// The stored parts a complete request lists, in its order, each checksum it repeats checked.
    /// Order and ETags are the commit's to check; what is not there is left to it as well.
    fn listed_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        listed: &[CompletedPart],
    ) -> Result<Vec<Part>> {
        let stored = self.store.parts(bucket, key, upload, 0, PartNumber::MAX.into())?;
        let mut found = Vec::with_capacity(listed.len());
        for part in listed {
            let Ok(at) = stored.binary_search_by_key(&part.number, |stored| stored.number) else { continue };
            let stored = &stored[at];
            let wrong = |sent: &Checksum| {
                stored.checksums.iter().any(|own| own.algorithm == sent.algorithm && own.value != sent.value)
            };
            if part.checksums.iter().any(wrong) {
                return Err(Error::new(ErrorCode::InvalidPart)
                    .detail("PartNumber", part.number.get().to_string())
                    .into());
            }
            found.push(stored.clone());
        }
        Ok(found)
    }
}

/// The object's checksum as the upload was begun to have one, equal to what the client announced.
fn whole_checksum(upload: &Upload, parts: &[Part], announced: &[Checksum]) -> Result<Vec<Checksum>> {
    let Some((algorithm, kind)) = upload.checksum else { return Ok(Vec::new()) };
    let Some(whole) = checksum::of_parts(algorithm, kind, parts) else {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            format!("A part lacks the {} that the upload was begun with.", algorithm.name()),
        )
        .into());
    };
    match announced.iter().find(|sent| sent.algorithm == algorithm && sent.value != whole.value) {
        Some(_) => Err(Error::with(
            ErrorCode::BadDigest,
            format!("The {} you specified did not match the calculated checksum.", algorithm.name()),
        )
        .into()),
        None => Ok(vec![whole]),
    }
}

fn entry(part: Part) -> reply::PartEntry {
    reply::PartEntry {
        number: part.number,
        modified: part.modified,
        etag: cosette_model::ETag::of_md5(part.md5),
        size: part.size,
        checksums: part.checksums,
    }
}
