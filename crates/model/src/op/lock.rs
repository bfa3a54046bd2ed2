//! Retention and legal hold of objects.

use crate::{BucketName, ObjectKey, Retention, VersionId};

#[derive(Debug)]
pub struct PutObjectRetention {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// `None` takes it away.
    pub retention: Option<Retention>,
    /// Governance retention may be shortened or taken away.
    pub bypass_governance: bool,
}

#[derive(Debug)]
pub struct GetObjectRetention {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

#[derive(Debug)]
pub struct PutObjectLegalHold {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub held: bool,
}

#[derive(Debug)]
pub struct GetObjectLegalHold {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

pub mod reply {
    use crate::Retention;

    #[derive(Debug)]
    pub struct PutObjectRetention {}

    #[derive(Debug)]
    pub struct GetObjectRetention {
        pub retention: Retention,
    }

    #[derive(Debug)]
    pub struct PutObjectLegalHold {}

    #[derive(Debug)]
    pub struct GetObjectLegalHold {
        pub held: bool,
    }
}
