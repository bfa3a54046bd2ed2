//! Browser uploads.

use crate::{Attributes, Body, BucketName, Encryption, ObjectKey, Properties};

use super::object::WriteConditions;

/// What a page gets to see of a finished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostAnswer {
    /// A status: 200, 201 with a document, or 204.
    Status(u16),
    /// Another page, told of bucket, key and ETag.
    Redirect(String),
}

/// A POST form upload, its policy already held against its fields.
#[derive(Debug)]
pub struct PostObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub properties: Properties,
    pub acl: super::AskedAcl,
    /// `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    pub conditions: WriteConditions,
    /// The least and the greatest size that the policy allows, in bytes.
    pub size: Option<(u64, u64)>,
    pub answer: PostAnswer,
    pub body: Body,
}

pub mod reply {
    use crate::{BucketName, Checksum, ETag, Encrypted, ObjectKey, VersionId};

    #[derive(Debug)]
    pub struct PostObject {
        pub bucket: BucketName,
        pub key: ObjectKey,
        pub etag: ETag,
        pub crc64: u64,
        pub version: Option<VersionId>,
        pub checksums: Vec<Checksum>,
        pub answer: super::PostAnswer,
        pub encryption: Option<Encrypted>,
        pub expiry: Option<crate::op::Expiry>,
    }
}
