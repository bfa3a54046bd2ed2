//! Multipart uploads.

use crate::{
    Attributes, Body, BucketName, Checksum, ChecksumAlgorithm, CustomerKey, ETag, Encrypted, Encryption,
    ObjectKey, PartNumber, Properties, StorageClass, Timestamp, UploadId, VersionId,
};

use super::bucket::Owner;
use super::object::{CopySource, Expiry, WriteConditions};

/// How S3 checks the finished object (`x-amz-checksum-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ChecksumType {
    Composite,
    FullObject,
}

#[derive(Debug)]
pub struct CreateMultipartUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub properties: Properties,
    pub acl: super::AskedAcl,
    /// Of all parts; `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    /// The checksum every part must carry, and its type.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

#[derive(Debug)]
pub struct UploadPart {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub number: PartNumber,
    /// The key that the upload was begun with, if that was a customer's.
    pub customer: Option<CustomerKey>,
    pub body: Body,
}

/// A part whose bytes are those of another object.
#[derive(Debug)]
pub struct UploadPartCopy {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub number: PartNumber,
    pub source: CopySource,
    /// First and last byte of the source, both included; `None` for all of it.
    pub range: Option<(u64, u64)>,
    /// As in [`UploadPart`].
    pub customer: Option<CustomerKey>,
}

#[derive(Debug)]
pub struct ListParts {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// Exclusive.
    pub after: u16,
    pub max: u32,
    pub url_encode: bool,
    /// As in [`UploadPart`]; it need not come.
    pub customer: Option<CustomerKey>,
}

#[derive(Debug)]
pub struct ListMultipartUploads {
    pub bucket: BucketName,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub key_marker: String,
    /// Counts only together with `key_marker`.
    pub upload_marker: String,
    pub max: u32,
    pub url_encode: bool,
}

/// One line of a complete request.
#[derive(Clone, Debug)]
pub struct CompletedPart {
    pub number: PartNumber,
    pub etag: ETag,
    pub checksums: Vec<Checksum>,
}

#[derive(Debug)]
pub struct CompleteMultipartUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// As sent: order and ETags are checked by the handler.
    pub parts: Vec<CompletedPart>,
    pub conditions: WriteConditions,
    /// Checksums of the whole object that the client announced.
    pub checksums: Vec<Checksum>,
    /// The size the client expects (`x-amz-mp-object-size`), in bytes.
    pub size: Option<u64>,
    /// As in [`UploadPart`].
    pub customer: Option<CustomerKey>,
}

#[derive(Debug)]
pub struct AbortMultipartUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
}

pub mod reply {
    use super::*;

    #[derive(Debug)]
    pub struct CreateMultipartUpload {
        pub bucket: BucketName,
        pub key: ObjectKey,
        pub upload: UploadId,
        pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
        pub encryption: Option<Encrypted>,
        /// When it will be aborted.
        pub abort: Option<Expiry>,
    }

    #[derive(Debug)]
    pub struct UploadPart {
        pub etag: ETag,
        pub crc64: u64,
        pub checksums: Vec<Checksum>,
        pub encryption: Option<Encrypted>,
    }

    #[derive(Debug)]
    pub struct UploadPartCopy {
        pub etag: ETag,
        pub crc64: u64,
        pub modified: Timestamp,
        pub source_version: Option<VersionId>,
        pub checksums: Vec<Checksum>,
        pub encryption: Option<Encrypted>,
    }

    #[derive(Clone, Debug)]
    pub struct PartEntry {
        pub number: PartNumber,
        pub modified: Timestamp,
        pub etag: ETag,
        pub size: u64,
        pub checksums: Vec<Checksum>,
    }

    #[derive(Debug)]
    pub struct ListParts {
        pub bucket: BucketName,
        pub key: ObjectKey,
        pub upload: UploadId,
        pub owner: Owner,
        pub storage_class: StorageClass,
        pub after: u16,
        pub max: u32,
        pub url_encode: bool,
        pub parts: Vec<PartEntry>,
        pub truncated: bool,
        /// When it will be aborted.
        pub abort: Option<Expiry>,
    }

    #[derive(Clone, Debug)]
    pub struct UploadEntry {
        pub key: ObjectKey,
        pub upload: UploadId,
        /// Who began it, and will own the object.
        pub owner: Owner,
        pub storage_class: StorageClass,
        pub initiated: Timestamp,
    }

    #[derive(Debug)]
    pub struct ListMultipartUploads {
        pub bucket: BucketName,
        pub prefix: String,
        pub delimiter: Option<String>,
        pub key_marker: String,
        pub upload_marker: String,
        pub max: u32,
        pub url_encode: bool,
        pub uploads: Vec<UploadEntry>,
        pub common_prefixes: Vec<String>,
        /// Set when there are more: key (or common prefix) and upload id of the last entry.
        pub next: Option<(String, String)>,
    }

    #[derive(Debug)]
    pub struct CompleteMultipartUpload {
        pub bucket: BucketName,
        pub key: ObjectKey,
        pub etag: ETag,
        pub crc64: u64,
        pub version: Option<VersionId>,
        pub checksums: Vec<Checksum>,
        pub checksum_type: Option<ChecksumType>,
        pub encryption: Option<Encrypted>,
        pub expiry: Option<Expiry>,
    }

    #[derive(Debug)]
    pub struct AbortMultipartUpload {}
}
