//! The tier of an object of intelligent tiering: how long nobody has read it says which.
//!
//! The tiers whose objects can be read at once follow from the clock alone. Those of archives are written
//! down, since an object stays there until it is restored, whatever the rules say by then.

use serde::{Deserialize, Serialize};

use crate::{Restore, StorageClass, Timestamp};

/// A tier that an object must be restored from before it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ArchiveTier {
    Archive,
    DeepArchive,
}

impl ArchiveTier {
    /// As both services spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "ARCHIVE_ACCESS",
            Self::DeepArchive => "DEEP_ARCHIVE_ACCESS",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Archive, Self::DeepArchive].into_iter().find(|tier| tier.name() == text)
    }

    /// The storage class whose restores are as fast (S3, "Understanding archive retrieval options").
    pub const fn class(self) -> StorageClass {
        match self {
            Self::Archive => StorageClass::Archive,
            Self::DeepArchive => StorageClass::DeepArchive,
        }
    }
}

/// Where an object of intelligent tiering lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTier {
    Frequent,
    Infrequent,
    /// S3 alone has it; it is read at once.
    ArchiveInstant,
    Archived(ArchiveTier),
}

impl AccessTier {
    /// As COS spells the first two, and both services those of archives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frequent => "FREQUENT",
            Self::Infrequent => "INFREQUENT",
            Self::ArchiveInstant => "ARCHIVE_INSTANT_ACCESS",
            Self::Archived(tier) => tier.name(),
        }
    }
}

/// What is kept of an object for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiering {
    /// The last read that was written down, or when it came to its class; `None` since its write.
    pub accessed: Option<Timestamp>,
    pub archived: Option<ArchiveTier>,
}

impl Tiering {
    /// The class that reads and restores go by.
    #[must_use]
    pub fn class(self, own: StorageClass) -> StorageClass {
        match self.archived {
            Some(tier) if own.is_tiered() => tier.class(),
            _ => own,
        }
    }

    /// What has become of it by `now`, and of a restore: a finished one has brought an object that lay
    /// in an archive tier back, for good (S3's and COS's pages on restoring: no copy, no days).
    #[must_use]
    pub fn at(self, own: StorageClass, restore: Option<Restore>, now: Timestamp) -> (Self, Option<Restore>) {
        let Some(tier) = self.archived.filter(|_| own.is_tiered()) else {
            return (self, restore.and_then(|restore| restore.at(own, now)));
        };
        match restore.and_then(|restore| restore.ends(tier.class())) {
            Some(end) if end <= now => {
                (Self { accessed: self.accessed.max(Some(end)), archived: None }, None)
            }
            Some(_) => (self, restore),
            None => (self, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RestoreTier;

    #[test]
    fn a_restore_brings_an_object_back_from_an_archive_tier() {
        let at = |hours: u64| Timestamp::from_secs(1_700_000_000 + hours * 3600);
        let class = StorageClass::IntelligentTiering;
        let archived = Tiering { accessed: None, archived: Some(ArchiveTier::DeepArchive) };
        assert_eq!(archived.class(class), StorageClass::DeepArchive);
        assert_eq!(archived.class(StorageClass::Standard), StorageClass::Standard);
        let restore = Some(Restore::Ongoing { tier: RestoreTier::Standard, days: 0, requested: at(0) });
        assert_eq!(archived.at(class, restore, at(11)), (archived, restore));
        let back = Tiering { accessed: Some(at(12)), archived: None };
        assert_eq!(archived.at(class, restore, at(12)), (back, None));
        assert_eq!(archived.at(class, restore, at(1200)), (back, None));
        // Of other classes it says nothing.
        assert_eq!(Tiering::default().at(StorageClass::Archive, restore, at(1)).1, restore);
        for tier in [ArchiveTier::Archive, ArchiveTier::DeepArchive] {
            assert_eq!(ArchiveTier::parse(tier.name()), Some(tier));
        }
    }
}
