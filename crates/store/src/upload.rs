//! Multipart uploads: parts are bodies of their own, and completing refers to them where they are.

use std::ops::ControlFlow;

use cosette_blob::{Digester, combine_crc64};
use cosette_kv::Range;
use cosette_model::op::{ChecksumType, WriteConditions};
use cosette_model::{
    Attributes, BucketName, Cause, Checksum, ChecksumAlgorithm, ETag, EventType, ObjectKey, PartNumber,
    Properties, Timestamp, UploadId, Wanted,
};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::record::{Bucket, Object, ObjectPart, Part, Upload, UploadRecord, decode};
use crate::schema::{self, Kind};
use crate::sealing::Sealing;
use crate::store::{Sealed, Store};
use crate::target::Target;
use crate::tx::Tx;
use crate::views::View;

pub struct PutPart {
    pub bucket: Target,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub number: PartNumber,
    pub body: Sealed,
}

pub struct CompleteUpload {
    pub bucket: Target,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// Part numbers with the ETags the client saw.
    pub parts: Vec<(PartNumber, ETag)>,
    /// Smallest part but the last, in bytes.
    pub part_size_min: u64,
    /// Whole-object or composite checksum, computed by the caller from the parts' own.
    pub checksums: Vec<Checksum>,
    pub checksum_type: Option<ChecksumType>,
    pub conditions: WriteConditions,
    pub cause: Cause,
}

/// Ten digits of the time in seconds, then 64 hex digits: COS's own form.
fn new_id(now: Timestamp) -> UploadId {
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    UploadId::new(format!("{:010}{}{}", now.as_secs(), a.simple(), b.simple()))
}

impl Tx<'_> {
    fn need_upload(&self, bucket: &Bucket, key: &ObjectKey, id: &UploadId) -> Result<UploadRecord> {
        self.record("upload", &schema::upload(bucket.id, key, id))?.ok_or(Error::NoSuchUpload)
    }

    fn parts(&self, upload: u64) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        self.rows(&Range::prefix(&schema::parts(upload)), &mut |_, row| {
            parts.push(decode("part", row));
            ControlFlow::Continue(())
        })?;
        parts.into_iter().collect()
    }
}

impl Tx<'_> {
    /// The upload goes, with all that was sent for it.
    fn drop_upload(&mut self, bucket: &Bucket, record: &UploadRecord) -> Result<()> {
        for part in self.parts(record.number)? {
            self.let_go(&part.content, &Holder::Part { upload: record.number, number: part.number })?;
            self.remove(schema::part(record.number, part.number));
        }
        self.remove(schema::upload(bucket.id, &record.upload.key, &record.upload.id));
        Ok(())
    }

    /// All uploads of the bucket go.
    pub(crate) fn drop_uploads(&mut self, bucket: &Bucket) -> Result<()> {
        let mut uploads = Vec::new();
        self.rows(&Range::prefix(&schema::of_bucket(Kind::Upload, bucket.id)), &mut |_, row| {
            uploads.push(decode::<UploadRecord>("upload", row));
            ControlFlow::Continue(())
        })?;
        uploads.into_iter().try_for_each(|record| self.drop_upload(bucket, &record?))
    }
}

/// Parts in one row of a part list.
const PARTS_PER_ROW: usize = 256;

impl Tx<'_> {
    /// Writes down what the parts of a completed object were, for who asks for them by number.
    fn list_parts(&mut self, parts: &[Part]) -> Result<u64> {
        let list = self.seq().0;
        let mut offset = 0;
        for row in parts.chunks(PARTS_PER_ROW) {
            let listed: Vec<ObjectPart> = row
                .iter()
                .map(|part| {
                    let (number, checksums) = (part.number, part.checksums.clone());
                    let listed = ObjectPart { number, offset, size: part.size, checksums };
                    offset += part.size;
                    listed
                })
                .collect();
            self.write(schema::part_list(list, row[0].number), &listed)?;
        }
        Ok(list)
    }
}

/// The stored parts that a complete names, in its order, if it may be completed with them.
fn select(stored: &[Part], named: &[(PartNumber, ETag)], part_size_min: u64) -> Result<Vec<Part>> {
    if !named.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(Error::InvalidPartOrder);
    }
    let parts = named
        .iter()
        .map(|(number, etag)| {
            stored
                .binary_search_by_key(number, |part| part.number)
                .ok()
                .map(|at| stored[at].clone())
                .filter(|part| ETag::of_md5(part.md5) == *etag)
                .ok_or(Error::InvalidPart(number.get()))
        })
        .collect::<Result<Vec<Part>>>()?;
    let Some((_, all_but_last)) = parts.split_last() else { return Err(Error::InvalidPart(0)) };
    match all_but_last.iter().find(|part| part.size < part_size_min) {
        Some(part) => {
            Err(Error::PartTooSmall { number: part.number.get(), size: part.size, min: part_size_min })
        }
        None => Ok(parts),
    }
}

fn etag_of(parts: &[Part]) -> ETag {
    let mut digester = Digester::new(&Wanted::default());
    parts.iter().for_each(|part| digester.update(&part.md5));
    ETag::of_parts(digester.finish().md5, parts.len())
}

impl Store {
    pub async fn create_upload(
        &self,
        bucket: impl Into<Target>,
        key: ObjectKey,
        attributes: Attributes,
        properties: Properties,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
        sealing: Option<Sealing>,
    ) -> Result<Upload> {
        let bucket = bucket.into();
        let (_, upload) = self
            .commit(move |tx| {
                let bucket = tx.target(&bucket)?;
                let initiated = tx.now();
                let id = new_id(initiated);
                let upload = Upload { id, key, initiated, attributes, properties, checksum, sealing };
                let record = UploadRecord { number: tx.seq().0, upload };
                tx.write(schema::upload(bucket.id, &record.upload.key, &record.upload.id), &record)?;
                Ok::<_, Error>(record.upload)
            })
            .await?;
        Ok(upload)
    }

    fn upload_record(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> Result<UploadRecord> {
        let bucket = self.need_bucket(bucket)?;
        match self.engine()?.get(&schema::upload(bucket.id, key, id))? {
            Some(row) => decode("upload", &row),
            None => Err(Error::NoSuchUpload),
        }
    }

    pub fn upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> Result<Upload> {
        Ok(self.upload_record(bucket, key, id)?.upload)
    }

    pub async fn put_part(&self, part: PutPart) -> Result<Part> {
        let (_, part) = self
            .commit(move |tx| {
                let PutPart { bucket, key, upload, number, body } = part;
                let bucket = tx.target(&bucket)?;
                let upload = tx.need_upload(&bucket, &key, &upload)?;
                if upload.upload.sealing != body.sealing {
                    return Err(Error::corrupt("a part that is encrypted otherwise than its upload"));
                }
                let row = schema::part(upload.number, number);
                let holder = Holder::Part { upload: upload.number, number };
                if let Some(before) = tx.record::<Part>("part", &row)? {
                    tx.let_go(&before.content, &holder)?;
                }
                let part = Part {
                    number,
                    size: body.size,
                    md5: body.tag,
                    crc64: body.digests.crc64,
                    checksums: body.digests.checksums.clone(),
                    modified: tx.now(),
                    content: tx.adopt(body)?,
                };
                tx.write(row, &part)?;
                Ok::<_, Error>(part)
            })
            .await?;
        Ok(part)
    }

    /// Parts with numbers above `after`, at most `max`, in order.
    pub fn parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
        after: u16,
        max: usize,
    ) -> Result<Vec<Part>> {
        let number = self.upload_record(bucket, key, id)?.number;
        let base = schema::parts(number);
        let range = Range::prefix(&base).after(&[base.as_slice(), &after.to_be_bytes()].concat());
        let mut parts = Vec::new();
        self.engine()?.scan(&range, &mut |_, row| {
            if parts.len() >= max {
                return ControlFlow::Break(());
            }
            parts.push(decode("part", row));
            ControlFlow::Continue(())
        })?;
        parts.into_iter().collect()
    }

    pub async fn complete_upload(&self, complete: CompleteUpload) -> Result<Object> {
        let (_, object) = self
            .commit(move |tx| {
                let CompleteUpload { bucket, key, upload, parts: named, conditions, cause, .. } = complete;
                let bucket = tx.target(&bucket)?;
                let upload = tx.need_upload(&bucket, &key, &upload)?;
                let stored = tx.parts(upload.number)?;
                let parts = select(&stored, &named, complete.part_size_min)?;
                let before = tx.replaceable(&bucket, &key, &conditions)?;
                let holder_of = |number| Holder::Part { upload: upload.number, number };
                for part in stored {
                    tx.remove(schema::part(upload.number, part.number));
                    if parts.binary_search_by_key(&part.number, |part| part.number).is_err() {
                        tx.let_go(&part.content, &holder_of(part.number))?;
                    }
                }
                tx.remove(schema::upload(bucket.id, &key, &upload.upload.id));
                let etag = etag_of(&parts);
                let count = u32::try_from(parts.len()).ok();
                let (mut size, mut crc64) = (0, 0);
                for part in &parts {
                    crc64 = if size == 0 { part.crc64 } else { combine_crc64(crc64, part.crc64, part.size) };
                    size += part.size;
                }
                let version = tx.next_version(&bucket, &before);
                let part_list = Some(tx.list_parts(&parts)?);
                let contents = parts.into_iter().map(|part| (part.content, holder_of(part.number))).collect();
                let object = Object {
                    version,
                    size,
                    etag,
                    modified: tx.now(),
                    attributes: upload.upload.attributes,
                    properties: upload.upload.properties,
                    crc64,
                    checksums: complete.checksums,
                    checksum_type: complete.checksum_type,
                    parts: count,
                    appendable: false,
                    symlink: None,
                    sealing: upload.upload.sealing,
                    replica: None,
                    content: tx.join(contents, &Holder::version(bucket.id, &key, version.stamp))?,
                    part_list,
                };
                let event = EventType::CreatedCompleteMultipartUpload;
                tx.install(&bucket, &key, before, &object, event, cause)?;
                Ok::<_, Error>(object)
            })
            .await?;
        Ok(object)
    }

    /// Aborts an upload that is still open if `decide` says so by what the bucket and the clock say then.
    pub async fn abort_upload_if<F>(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        id: UploadId,
        decide: F,
    ) -> Result<bool>
    where
        F: FnOnce(&View, &Upload, Timestamp) -> bool + Send + 'static,
    {
        let (_, aborted) = self
            .commit(move |tx| {
                let view = tx.need_view(&bucket.into())?;
                let upload = tx.need_upload(&view.bucket, &key, &id)?;
                let aborts = decide(&view, &upload.upload, tx.now());
                if aborts {
                    tx.drop_upload(&view.bucket, &upload)?;
                }
                Ok::<_, Error>(aborts)
            })
            .await?;
        Ok(aborted)
    }

    pub async fn abort_upload(&self, bucket: impl Into<Target>, key: ObjectKey, id: UploadId) -> Result<()> {
        let bucket = bucket.into();
        self.commit(move |tx| {
            let bucket = tx.target(&bucket)?;
            let upload = tx.need_upload(&bucket, &key, &id)?;
            tx.drop_upload(&bucket, &upload)
        })
        .await?;
        Ok(())
    }
}
