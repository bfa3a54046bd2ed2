//! Inventories: lists of a bucket's objects, written as objects of another bucket.

use serde::{Deserialize, Serialize};

use super::{ObjectFilter, ServiceForm, Status};
use crate::{StorageClass, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub id: String,
    /// Its place among the bucket's: the order of lists is that in which they were first set (the COS SDK's own
    /// tests expect it).
    #[serde(default)]
    pub made: u64,
    /// The service that it was set for, in whose form it is written.
    pub form: ServiceForm,
    pub status: Status,
    /// Every version, with delete markers, or what is current.
    pub all_versions: bool,
    pub filter: Option<InventoryFilter>,
    /// Besides bucket and key, in the order they were asked for.
    pub fields: Vec<InventoryField>,
    /// `None`: once, at once (COS).
    pub schedule: Option<Frequency>,
    pub destination: Destination,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryFilter {
    pub objects: ObjectFilter,
    /// COS: of this class.
    pub class: Option<StorageClass>,
    /// COS: last written from the first to the second, in seconds since 1970.
    pub period: Option<(Option<u64>, Option<u64>)>,
    /// What was said stood within `And`, and is shown so.
    pub and: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frequency {
    Daily,
    Weekly,
    /// COS, with the day of the month if one was named.
    Monthly(Option<u32>),
}

/// Where the list is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub bucket: BucketRef,
    /// Whose bucket that is, as the request named the account.
    pub account: Option<String>,
    pub prefix: Option<String>,
    pub format: InventoryFormat,
    pub encryption: Option<InventoryEncryption>,
}

/// A bucket as a resource of one of the clouds: `qcs::cos:REGION::NAME`, `arn:aws:s3:::NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRef {
    pub name: String,
    /// S3's form has none.
    pub region: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryFormat {
    Csv,
    Orc,
    Parquet,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryEncryption {
    /// With the service's own keys: `SSE-COS`, `SSE-S3`.
    Service,
    /// S3: with this key.
    Kms(String),
}

macro_rules! fields {
    ($($field:ident $name:literal;)*) => {
        /// A column that can be asked for.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum InventoryField {
            $($field,)*
            /// COS: one header of the user's, or all (`x-cos-meta-*`).
            Meta(String),
        }

        impl InventoryField {
            /// As both services spell it.
            pub fn name(&self) -> &str {
                match self { $(Self::$field => $name,)* Self::Meta(name) => name }
            }

            /// One of the names that either service documents, or a header of the user's.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)*
                    meta if meta.strip_prefix("x-cos-meta-").is_some_and(|rest| !rest.is_empty()) => Some(Self::Meta(meta.to_owned())),
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Size "Size";
    LastModifiedDate "LastModifiedDate";
    StorageClass "StorageClass";
    ETag "ETag";
    IsMultipartUploaded "IsMultipartUploaded";
    ReplicationStatus "ReplicationStatus";
    EncryptionStatus "EncryptionStatus";
    ObjectLockRetainUntilDate "ObjectLockRetainUntilDate";
    ObjectLockMode "ObjectLockMode";
    ObjectLockLegalHoldStatus "ObjectLockLegalHoldStatus";
    IntelligentTieringAccessTier "IntelligentTieringAccessTier";
    BucketKeyStatus "BucketKeyStatus";
    ChecksumAlgorithm "ChecksumAlgorithm";
    ObjectAccessControlList "ObjectAccessControlList";
    ObjectOwner "ObjectOwner";
    LifecycleExpirationDate "LifecycleExpirationDate";
    Tag "Tag";
    Crc64 "Crc64";
}

impl InventoryFilter {
    /// Whether an object last written at `modified` is listed, as far as class and time say.
    pub fn fits(&self, class: StorageClass, modified: Timestamp) -> bool {
        let at = modified.as_secs();
        let within = self
            .period
            .is_none_or(|(from, to)| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to));
        within && self.class.is_none_or(|wanted| wanted == class)
    }
}
