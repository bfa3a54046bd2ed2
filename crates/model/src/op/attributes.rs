//! GetObjectAttributes (S3 only): what is known of an object without its bytes.

use crate::{BucketName, Checksum, CustomerKey, ObjectKey, PartNumber, VersionId};

use super::object::ObjectInfo;

/// Which attributes are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub etag: bool,
    pub checksum: bool,
    pub parts: bool,
    pub storage_class: bool,
    pub size: bool,
}

#[derive(Debug)]
pub struct GetObjectAttributes {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub customer: Option<CustomerKey>,
    pub shown: Shown,
    /// Parts with greater numbers.
    pub parts_after: u16,
    /// 0 to 1000; larger values have been clamped.
    pub parts_max: u32,
}

pub mod reply {
    use super::*;

    #[derive(Clone, Debug)]
    pub struct AttributePart {
        pub number: PartNumber,
        /// Bytes.
        pub size: u64,
        pub checksums: Vec<Checksum>,
    }

    /// A page of the parts of an object that a multipart upload made.
    #[derive(Debug)]
    pub struct AttributeParts {
        /// Of the whole object.
        pub count: u32,
        pub after: u16,
        pub max: u32,
        /// S3 shows parts only where they have checksums.
        pub parts: Vec<AttributePart>,
        pub truncated: bool,
    }

    #[derive(Debug)]
    pub struct GetObjectAttributes {
        pub info: ObjectInfo,
        pub shown: Shown,
        /// `None` unless asked for and made of parts.
        pub parts: Option<AttributeParts>,
    }
}
