//! Copies of what is written to a bucket, in other buckets. Kept, not yet acted on.

use serde::{Deserialize, Serialize};

use super::{BucketRef, ObjectFilter, Status};
use crate::StorageClass;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// In whose name: an ARN, or `qcs::cam::uin/...`.
    pub role: String,
    pub rules: Vec<ReplicationRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRule {
    pub id: Option<String>,
    pub status: Status,
    pub priority: Option<u32>,
    /// The older form: in the rule itself, without a filter.
    pub prefix: Option<String>,
    pub filter: Option<ObjectFilter>,
    pub destination: ReplicationTarget,
    pub delete_markers: Option<Status>,
    /// S3: also objects that were there before.
    pub existing_objects: Option<Status>,
    pub kms_encrypted: Option<Status>,
    /// S3: changes of copies' metadata go back.
    pub replica_modifications: Option<Status>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationTarget {
    pub bucket: BucketRef,
    pub class: Option<StorageClass>,
    /// S3: the bucket's account, which becomes the copies' owner if that is said.
    pub account: Option<String>,
    pub owner_destination: bool,
    pub kms_key: Option<String>,
    /// S3: on or off, and minutes.
    pub time: Option<(Status, u32)>,
    pub metrics: Option<(Status, Option<u32>)>,
}
