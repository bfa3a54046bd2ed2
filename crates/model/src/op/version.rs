//! Versioning of a bucket, and the listing of all versions (cos-api 4).

use crate::{AccessTier, BucketName, ETag, ObjectKey, StorageClass, Timestamp, VersionId, Versioning};

use super::bucket::{Listing, Owner};

#[derive(Debug)]
pub struct PutBucketVersioning {
    pub bucket: BucketName,
    /// `false` suspends it.
    pub enabled: bool,
}

#[derive(Debug)]
pub struct GetBucketVersioning {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct ListObjectVersions {
    pub bucket: BucketName,
    /// `after` is the key marker.
    pub listing: Listing,
    /// Go on after this version of the key marker; `None` skips all of that key's versions.
    pub version_marker: Option<VersionId>,
    pub url_encode: bool,
}

pub mod reply {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug)]
    pub struct PutBucketVersioning {}

    #[derive(Debug)]
    pub struct GetBucketVersioning {
        pub versioning: Versioning,
    }

    /// What a listing shows of a version that is no delete marker.
    #[derive(Clone, Debug)]
    pub struct VersionBody {
        pub etag: ETag,
        /// Bytes.
        pub size: u64,
        pub storage_class: StorageClass,
        /// Of one of intelligent tiering.
        pub tier: Option<AccessTier>,
    }

    #[derive(Clone, Debug)]
    pub struct VersionEntry {
        pub key: ObjectKey,
        /// `None` while the bucket never had versioning.
        pub version: Option<VersionId>,
        /// It is what the key shows now.
        pub latest: bool,
        pub modified: Timestamp,
        pub owner: Arc<Owner>,
        /// `None` for a delete marker.
        pub body: Option<VersionBody>,
    }

    #[derive(Debug)]
    pub struct ListObjectVersions {
        pub bucket: BucketName,
        pub listing: Listing,
        pub version_marker: Option<VersionId>,
        pub url_encode: bool,
        /// Versions and delete markers by key, newest first.
        pub versions: Vec<VersionEntry>,
        pub common_prefixes: Vec<String>,
        /// Set when there are more: key (or common prefix) and version of the last entry.
        pub next: Option<(String, Option<VersionId>)>,
    }
}
