//! Bringing archived objects back.

use crate::{BucketName, ObjectKey, RestoreTier, VersionId};

#[derive(Debug)]
pub struct RestoreObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// How long the restored copy stays, in days; at least 1.
    pub days: u32,
    pub tier: RestoreTier,
}

pub mod reply {
    #[derive(Debug)]
    pub struct RestoreObject {
        /// A restore has begun; else one that had finished was prolonged.
        pub begun: bool,
    }
}
