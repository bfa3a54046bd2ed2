//! Tags of objects.

use crate::{BucketName, ObjectKey, Tags, VersionId};

#[derive(Debug)]
pub struct PutObjectTagging {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// All that the object has from now on.
    pub tags: Tags,
}

#[derive(Debug)]
pub struct GetObjectTagging {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

#[derive(Debug)]
pub struct DeleteObjectTagging {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

pub mod reply {
    use super::{Tags, VersionId};

    #[derive(Debug)]
    pub struct PutObjectTagging {
        pub version: Option<VersionId>,
    }

    #[derive(Debug)]
    pub struct GetObjectTagging {
        pub version: Option<VersionId>,
        pub tags: Tags,
    }

    #[derive(Debug)]
    pub struct DeleteObjectTagging {
        pub version: Option<VersionId>,
    }
}
