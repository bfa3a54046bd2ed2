//! Appends (COS only).

use crate::{Attributes, Body, BucketName, ETag, Encryption, ObjectKey, Properties};

#[derive(Debug)]
pub struct AppendObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// The length the object must have now, in bytes; 0 makes it.
    pub position: u64,
    /// Of the object, if this makes it.
    pub attributes: Attributes,
    pub properties: Properties,
    pub acl: super::AskedAcl,
    /// `None` leaves it to the object, or the bucket.
    pub encryption: Option<Encryption>,
    pub body: Body,
}

pub mod reply {
    use super::ETag;
    use crate::Encrypted;

    #[derive(Debug)]
    pub struct AppendObject {
        pub etag: ETag,
        /// CRC-64/XZ of the whole object.
        pub crc64: u64,
        /// Of what was appended.
        pub md5: [u8; 16],
        /// The length of the object now, in bytes.
        pub length: u64,
        pub encryption: Option<Encrypted>,
    }
}
