//! Service and bucket operations.

use std::ops::Bound;

use crate::{BucketName, ETag, ObjectKey, Region, StorageClass, Tags, Timestamp};

/// From when to when, in seconds since 1970.
pub type Span = (Bound<u64>, Bound<u64>);

/// GET Service.
#[derive(Debug, Default)]
pub struct ListBuckets {
    /// Only buckets of this region: asked for by parameter, or by a regional service host.
    pub region: Option<Region>,
    pub prefix: Option<String>,
    /// Exclusive: only names after it. Carried by `marker` (COS) or a continuation token (S3).
    pub after: Option<String>,
    /// At most this many; `None` for all.
    pub max: Option<u32>,
    /// Only buckets with this tag, key and value (COS).
    pub tag: Option<(String, String)>,
    /// Only buckets whose creation lies here (COS).
    pub created: Option<Span>,
}

#[derive(Debug)]
pub struct CreateBucket {
    pub bucket: BucketName,
    /// S3's `LocationConstraint`, or the region of the host; `None` for the default region.
    pub region: Option<Region>,
    pub tags: Option<Tags>,
    /// Its objects can be locked; this gives it versions as well.
    pub object_lock: bool,
    pub acl: super::AskedAcl,
    /// `None` makes it without ownership controls.
    pub ownership: Option<super::ObjectOwnership>,
}

#[derive(Debug)]
pub struct HeadBucket {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct DeleteBucket {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct GetBucketLocation {
    pub bucket: BucketName,
}

/// What a listing asks for, whichever version of the operation asks.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub prefix: String,
    pub delimiter: Option<String>,
    /// Exclusive; may be a common prefix, then everything under it is skipped.
    pub after: String,
    /// 0 to 1000; larger values have been clamped.
    pub max: u32,
}

#[derive(Debug)]
pub struct ListObjects {
    pub bucket: BucketName,
    pub listing: Listing,
    /// Names are to be percent-encoded in the answer.
    pub url_encode: bool,
}

#[derive(Debug)]
pub struct ListObjectsV2 {
    pub bucket: BucketName,
    /// `after` is the continuation token's key if there is one, else `start_after`.
    pub listing: Listing,
    pub continuation_token: Option<String>,
    pub start_after: Option<String>,
    pub fetch_owner: bool,
    pub url_encode: bool,
}

/// Who owns a bucket or object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub uin: String,
    pub appid: String,
    pub name: String,
}

pub mod reply {
    use std::sync::Arc;

    use crate::{AccessTier, Restore};

    use super::{BucketName, ETag, Listing, ObjectKey, Owner, Region, StorageClass, Timestamp};

    #[derive(Clone, Debug)]
    pub struct BucketEntry {
        pub name: BucketName,
        pub region: Region,
        pub created: Timestamp,
    }

    #[derive(Debug)]
    pub struct ListBuckets {
        pub owner: Owner,
        pub buckets: Vec<BucketEntry>,
        pub prefix: Option<String>,
        /// The request's own `after`.
        pub marker: Option<String>,
        /// Set when there are more: where to go on.
        pub next: Option<String>,
    }

    #[derive(Debug)]
    pub struct CreateBucket {
        pub bucket: BucketName,
    }

    #[derive(Debug)]
    pub struct HeadBucket {
        pub region: Region,
    }

    #[derive(Debug)]
    pub struct DeleteBucket {}

    #[derive(Debug)]
    pub struct GetBucketLocation {
        pub region: Region,
    }

    /// One listed object.
    #[derive(Clone, Debug)]
    pub struct Entry {
        pub key: ObjectKey,
        pub modified: Timestamp,
        pub etag: ETag,
        pub size: u64,
        pub storage_class: StorageClass,
        /// Of an archived object, as it stands now.
        pub restore: Option<Restore>,
        /// Of one of intelligent tiering.
        pub tier: Option<AccessTier>,
        /// `None` if it was not asked for.
        pub owner: Option<Arc<Owner>>,
    }

    /// One page of a listing, keys and prefixes each in byte order.
    #[derive(Clone, Debug, Default)]
    pub struct Page {
        pub objects: Vec<Entry>,
        pub common_prefixes: Vec<String>,
        /// Set when there are more: the last key or common prefix of this page.
        pub next: Option<String>,
    }

    #[derive(Debug)]
    pub struct ListObjects {
        pub bucket: BucketName,
        pub region: Region,
        pub listing: Listing,
        pub url_encode: bool,
        pub page: Page,
    }

    #[derive(Debug)]
    pub struct ListObjectsV2 {
        pub bucket: BucketName,
        pub region: Region,
        pub listing: Listing,
        pub continuation_token: Option<String>,
        pub start_after: Option<String>,
        pub url_encode: bool,
        pub page: Page,
    }
}
