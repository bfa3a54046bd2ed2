//! Settings of few fields of which a bucket has several, each under an id of its own.

use serde::{Deserialize, Serialize};

use super::{BucketRef, ObjectFilter, SmallObjects, Status};

/// Whether and when objects move between the tiers of intelligent tiering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntelligentTiering {
    pub id: String,
    /// As [`Inventory::made`](super::Inventory::made).
    #[serde(default)]
    pub made: u64,
    pub status: Status,
    pub filter: Option<ObjectFilter>,
    pub tiers: Vec<Tier>,
    /// Which objects are too small to leave the first tier.
    #[serde(default)]
    pub small: SmallObjects,
}

impl IntelligentTiering {
    /// The rule that switches tiering on for a COS bucket, and never goes away.
    pub const DEFAULT: &'static str = "default";
}

/// The same for COS's first form of the operation, which knows the default rule only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DefaultTiering(pub IntelligentTiering);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// As the services spell it: `INFREQUENT`, `ARCHIVE_ACCESS`...
    pub name: String,
    /// Without a read.
    pub days: u32,
    /// COS: reads within those days that still count as none.
    pub frequent: Option<u32>,
}

/// S3: how objects are read, by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analytics {
    pub id: String,
    /// As [`Inventory::made`](super::Inventory::made).
    #[serde(default)]
    pub made: u64,
    pub filter: Option<ObjectFilter>,
    pub export: Option<AnalyticsExport>,
}

/// Where results are written to, as CSV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyticsExport {
    pub bucket: BucketRef,
    pub account: Option<String>,
    pub prefix: Option<String>,
}

/// S3: requests are counted for these objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    pub id: String,
    /// As [`Inventory::made`](super::Inventory::made).
    #[serde(default)]
    pub made: u64,
    pub filter: Option<ObjectFilter>,
}
