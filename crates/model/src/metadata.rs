//! What is stored with an object besides its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Storage classes of both services, in the API's upper-case spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StorageClass {
    #[default]
    Standard,
    StandardIa,
    IntelligentTiering,
    OneZoneIa,
    ReducedRedundancy,
    MazStandard,
    MazStandardIa,
    MazIntelligentTiering,
    Archive,
    DeepArchive,
    Glacier,
    GlacierIr,
    MazArchive,
    MazDeepArchive,
}

impl StorageClass {
    const TABLE: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Standard, "STANDARD", "Standard"),
        (Self::StandardIa, "STANDARD_IA", "StandardIa"),
        (Self::IntelligentTiering, "INTELLIGENT_TIERING", "IntelligentTiering"),
        (Self::OneZoneIa, "ONEZONE_IA", "OnezoneIa"),
        (Self::ReducedRedundancy, "REDUCED_REDUNDANCY", "ReducedRedundancy"),
        (Self::MazStandard, "MAZ_STANDARD", "MazStandard"),
        (Self::MazStandardIa, "MAZ_STANDARD_IA", "MazStandardIa"),
        (Self::MazIntelligentTiering, "MAZ_INTELLIGENT_TIERING", "MazIntelligentTiering"),
        (Self::Archive, "ARCHIVE", "Archive"),
        (Self::DeepArchive, "DEEP_ARCHIVE", "DeepArchive"),
        (Self::Glacier, "GLACIER", "Glacier"),
        (Self::GlacierIr, "GLACIER_IR", "GlacierIr"),
        (Self::MazArchive, "MAZ_ARCHIVE", "MazArchive"),
        (Self::MazDeepArchive, "MAZ_DEEP_ARCHIVE", "MazDeepArchive"),
    ];

    /// Upper-case name, as headers and XML carry it.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("STANDARD", |row| row.1)
    }

    /// Mixed-case name, as COS event messages carry it (scf.md 1.4).
    pub fn event_name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("Standard", |row| row.2)
    }

    /// Case-insensitive: the COS Java SDK sends `Standard_IA` (cos-api 3.6).
    pub fn parse(text: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(text)).map(|row| row.0)
    }

    /// Whether the object must be restored before it can be read.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::Archive | Self::Glacier | Self::MazArchive) || self.is_deep_archive()
    }

    /// Of the archives the slow one, which restores in hours at best.
    pub fn is_deep_archive(self) -> bool {
        matches!(self, Self::DeepArchive | Self::MazDeepArchive)
    }

    /// Whether a lifecycle rule can move an object of this class to that one: down the stairs, never
    /// up, and with S3's one exception (S3 "Supported transitions"; cos-api 5).
    pub fn falls_to(self, to: Self) -> bool {
        let excepted = self == Self::OneZoneIa && to == Self::GlacierIr;
        self.is_maz() == to.is_maz() && self.stair() < to.stair() && !excepted
    }

    pub(crate) const fn stair(self) -> u8 {
        match self {
            Self::Standard | Self::ReducedRedundancy | Self::MazStandard => 0,
            Self::StandardIa | Self::MazStandardIa => 1,
            Self::IntelligentTiering | Self::MazIntelligentTiering => 2,
            Self::OneZoneIa => 3,
            Self::GlacierIr => 4,
            Self::Archive | Self::Glacier | Self::MazArchive => 5,
            Self::DeepArchive | Self::MazDeepArchive => 6,
        }
    }

    /// Whether its objects move between tiers by themselves.
    pub const fn is_tiered(self) -> bool {
        matches!(self, Self::IntelligentTiering | Self::MazIntelligentTiering)
    }

    /// Of several zones, in COS.
    pub fn is_maz(self) -> bool {
        self.name().starts_with("MAZ_")
    }

    /// The class of COS that is most like this one.
    #[must_use]
    pub fn in_cos(self) -> Self {
        match self {
            Self::Glacier => Self::Archive,
            Self::OneZoneIa | Self::GlacierIr => Self::StandardIa,
            Self::ReducedRedundancy => Self::Standard,
            own => own,
        }
    }

    /// The class of S3 that is most like this one.
    #[must_use]
    pub fn in_s3(self) -> Self {
        match self {
            Self::Archive | Self::MazArchive => Self::Glacier,
            Self::MazDeepArchive => Self::DeepArchive,
            Self::MazStandard => Self::Standard,
            Self::MazStandardIa => Self::StandardIa,
            Self::MazIntelligentTiering => Self::IntelligentTiering,
            own => own,
        }
    }
}

/// Headers stored with an object and given back on reads; `None` means never sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
    /// User metadata, lower-case names without the `x-cos-meta-` / `x-amz-meta-` prefix.
    pub user: BTreeMap<String, String>,
    pub storage_class: StorageClass,
    /// Where a website host sends a browser instead: a path of the bucket, or a URL.
    #[serde(default)]
    pub website_redirect: Option<String>,
}
