//! Symlinks (COS only).

use crate::{Attributes, BucketName, ObjectKey, Properties, VersionId};

#[derive(Debug)]
pub struct PutSymlink {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// Where it leads, in the same bucket; nothing need be there.
    pub target: ObjectKey,
    /// The link's own, as are its tags and its list.
    pub attributes: Attributes,
    pub properties: Properties,
    pub acl: super::AskedAcl,
    pub conditions: super::WriteConditions,
}

#[derive(Debug)]
pub struct GetSymlink {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// Of the link.
    pub version: Option<VersionId>,
}

pub mod reply {
    use crate::{ETag, ObjectKey, Timestamp, VersionId};

    #[derive(Debug)]
    pub struct PutSymlink {
        /// Of the link, as is all that follows: the MD5 of the target's name.
        pub etag: ETag,
        /// CRC-64/XZ of the target's name.
        pub crc64: u64,
        pub version: Option<VersionId>,
    }

    #[derive(Debug)]
    pub struct GetSymlink {
        pub target: ObjectKey,
        pub etag: ETag,
        pub modified: Timestamp,
        pub version: Option<VersionId>,
    }
}
