//! Bringing archived objects back.

use crate::{BucketName, CustomerKey, ObjectKey, RestoreTier, VersionId};

#[derive(Debug)]
pub struct RestoreObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// How long the restored copy stays, in days; at least 1. From a tier of intelligent tiering there is
    /// no copy.
    pub days: Option<u32>,
    pub tier: RestoreTier,
    /// What it is encrypted under, if it is under a key of a customer's; it need not come (COS).
    pub customer: Option<CustomerKey>,
}

pub mod reply {
    #[derive(Debug)]
    pub struct RestoreObject {
        /// A restore has begun; else one that had finished was prolonged.
        pub begun: bool,
    }
}
