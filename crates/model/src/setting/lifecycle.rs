//! What is to become of objects as they age.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::{StorageClass, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub rules: Vec<LifecycleRule>,
    #[serde(default)]
    pub small: SmallObjects,
    /// A date is for objects that were written before it (COS, 436/17029); else it is for those
    /// that are written after it as well (S3).
    #[serde(default)]
    pub written_before: bool,
}

/// Which objects are too small for transitions, where a rule has no size of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SmallObjects {
    /// None: of use where objects are those of tests.
    #[default]
    Move,
    /// Those below 128 KiB (S3's `all_storage_classes_128K`).
    Stay,
    /// The same but for `GLACIER` and `DEEP_ARCHIVE` (S3's `varies_by_storage_class`).
    StayUnlessArchived,
    /// Those below 64 KiB (COS, cos-api 3.3).
    StayInCos,
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

impl SmallObjects {
    /// By S3's names.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Stay, Self::StayUnlessArchived].into_iter().find(|small| small.name() == Some(text))
    }

    /// S3's name, where it has one.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Stay => Some("all_storage_classes_128K"),
            Self::StayUnlessArchived => Some("varies_by_storage_class"),
            Self::Move | Self::StayInCos => None,
        }
    }
}

impl LifecycleRule {
    /// Whether it has transitions.
    pub fn moves(&self) -> bool {
        !self.transitions.is_empty() || !self.noncurrent_transitions.is_empty()
    }
}

impl LifecycleFilter {
    pub const fn has_size(&self) -> bool {
        self.larger.is_some() || self.smaller.is_some()
    }
}
