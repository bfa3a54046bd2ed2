//! What is to become of objects as they age.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::{StorageClass, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub rules: Vec<LifecycleRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    pub id: String,
    pub status: Status,
    pub filter: LifecycleFilter,
    pub transitions: Vec<Transition>,
    pub expiration: Option<Expiration>,
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    pub noncurrent_expiration: Option<Noncurrent>,
    /// Days after which an upload that is not finished is aborted.
    pub abort_uploads: Option<u32>,
}

/// Which objects a rule is for: those for which all holds that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleFilter {
    pub prefix: Option<String>,
    pub tags: Vec<(String, String)>,
    /// COS: not those.
    pub not_prefix: Option<String>,
    /// Bytes; exclusive.
    pub larger: Option<u64>,
    pub smaller: Option<u64>,
    /// The prefix was given in the rule itself, S3's older form, and is shown so.
    pub old_form: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    Days(u32),
    Date(Timestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub when: When,
    pub class: StorageClass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiration {
    At(When),
    /// A delete marker that no version is left of, or not.
    Marker(bool),
}

/// Days since a version stopped being the current one, and how many newer ones of them stay anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noncurrent {
    pub days: u32,
    pub keep: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentTransition {
    pub after: Noncurrent,
    pub class: StorageClass,
}
