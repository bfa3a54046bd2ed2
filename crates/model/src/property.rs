//! What an object has besides bytes and headers, and what may change without writing it anew:
//! tags, access control list, retention, legal hold, restore state. And a bucket's versioning.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{StorageClass, Tiering, Timestamp};

/// A bucket's versioning state (cos-api 4.1). Once enabled it can only be suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Versioning {
    /// Never enabled.
    #[default]
    Off,
    Enabled,
    Suspended,
}

/// All of an object's changeable properties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub tags: BTreeMap<String, String>,
    /// `None`: it has none of its own.
    pub acl: Option<Acl>,
    pub retention: Option<Retention>,
    pub legal_hold: bool,
    pub restore: Option<Restore>,
    /// UIN of the account that owns the object; `None`: whoever owns the bucket.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub tiering: Tiering,
}

/// Who may do what. An owner may always read and write the list itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    pub grants: Vec<Grant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub grantee: Grantee,
    pub permission: Permission,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// An account, by UIN.
    Account(String),
    AllUsers,
    AuthenticatedUsers,
    /// S3's service that writes access logs.
    LogDelivery,
    /// AWS's service that starts machines from images in S3.
    MachineImages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    Read,
    Write,
    ReadAcp,
    WriteAcp,
    FullControl,
}

/// Until when a version may not be removed (object lock).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub mode: RetentionMode,
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionMode {
    /// May be bypassed by who is allowed to.
    Governance,
    Compliance,
}

/// What keeps a version from being removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pub retention: Option<Retention>,
    pub legal_hold: bool,
}

impl Properties {
    pub fn lock(&self) -> Lock {
        Lock { retention: self.retention, legal_hold: self.legal_hold }
    }

    /// The same properties, locked so.
    #[must_use]
    pub fn locked(self, lock: Lock) -> Self {
        Self { retention: lock.retention, legal_hold: lock.legal_hold, ..self }
    }

    /// Whether the version may not be removed at `now`.
    pub fn is_locked(&self, now: Timestamp, bypass_governance: bool) -> bool {
        self.legal_hold
            || self.retention.is_some_and(|retention| {
                now < retention.until && !(bypass_governance && retention.mode == RetentionMode::Governance)
            })
    }
}

/// Where the copies stand that a bucket's rules ask for of a version (S3 "Replication status").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaState {
    /// So many are still to be made, in the order in which they were asked for.
    Pending {
        left: u16,
        /// One of the others could not be made.
        failed: bool,
    },
    Completed,
    /// At least one could not be made.
    Failed,
    /// The version is such a copy itself.
    Replica,
}

impl ReplicaState {
    /// Before the first of `count`; `None` where there are none.
    pub fn of(count: usize) -> Option<Self> {
        let left = u16::try_from(count).unwrap_or(u16::MAX);
        (left > 0).then_some(Self::Pending { left, failed: false })
    }

    /// After the copy that is the last but `after` has been dealt with; `None` if it is not the one whose turn it is.
    #[must_use]
    pub fn next(self, after: u16, fails: bool) -> Option<Self> {
        let Self::Pending { left, failed } = self else { return None };
        let failed = failed || fails;
        match left.checked_sub(1)? {
            left if left != after => None,
            0 if failed => Some(Self::Failed),
            0 => Some(Self::Completed),
            left => Some(Self::Pending { left, failed }),
        }
    }
}

/// Where the restore of an archived object stands (cos-api 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restore {
    Ongoing {
        tier: RestoreTier,
        /// How long the copy will stay, in days.
        days: u32,
        requested: Timestamp,
    },
    /// Readable until then.
    Done { expires: Timestamp },
}

impl Restore {
    /// When one that is under way will be finished, for an object of this class; `None` if it is finished.
    pub fn ends(self, class: StorageClass) -> Option<Timestamp> {
        match self {
            Self::Ongoing { tier, requested, .. } => Some(requested.plus(tier.duration(class)?)),
            Self::Done { .. } => None,
        }
    }

    /// What has become of it by `now`, for an object of this class; `None` when the restored copy
    /// has expired. It is the clock alone that finishes a restore.
    pub fn at(self, class: StorageClass, now: Timestamp) -> Option<Self> {
        if !class.is_archive() {
            return None;
        }
        let state = match self {
            Self::Ongoing { days, .. } => match self.ends(class) {
                Some(end) if now >= end => Self::Done { expires: expiry(end, days) },
                _ => self,
            },
            Self::Done { .. } => self,
        };
        match state {
            Self::Done { expires } if now >= expires => None,
            state => Some(state),
        }
    }
}

/// When a copy that has been there since `from` goes: after whole days, as days end in China.
/// Both of cos-api 5's samples are at 16:00 GMT.
pub fn expiry(from: Timestamp, days: u32) -> Timestamp {
    const DAY: u64 = 24 * 3600;
    const CHINA: u64 = 8 * 3600;
    let end = from.as_secs().saturating_add(u64::from(days) * DAY).saturating_add(CHINA);
    Timestamp::from_secs(end.div_ceil(DAY).saturating_mul(DAY).saturating_sub(CHINA))
}

/// In order of speed, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RestoreTier {
    Expedited,
    Standard,
    Bulk,
}

impl RestoreTier {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "Bulk",
            Self::Standard => "Standard",
            Self::Expedited => "Expedited",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bulk, Self::Standard, Self::Expedited].into_iter().find(|tier| tier.name() == text)
    }

    /// How long a restore takes: the soonest that the services promise (cos-api 5). `None` where
    /// the class has no such tier.
    pub fn duration(self, class: StorageClass) -> Option<Duration> {
        let minutes = match (self, class.is_deep_archive()) {
            (Self::Expedited, false) => 1,
            (Self::Standard, false) => 3 * 60,
            (Self::Bulk, false) => 5 * 60,
            (Self::Expedited, true) => return None,
            (Self::Standard, true) => 12 * 60,
            (Self::Bulk, true) => 24 * 60,
        };
        Some(Duration::from_secs(minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_finished_by_the_clock_and_expires() {
        let at = |hours: u64| Timestamp::from_secs(1_700_000_000 + hours * 3600);
        let ongoing = Restore::Ongoing { tier: RestoreTier::Standard, days: 1, requested: at(0) };
        assert_eq!(ongoing.at(StorageClass::Archive, at(2)), Some(ongoing));
        // 2023-11-15T01:13:20Z and a day, then on to the next 16:00.
        let expires = Timestamp::parse_rfc3339("2023-11-16T16:00:00Z").unwrap_or_default();
        assert_eq!(ongoing.at(StorageClass::Archive, at(3)), Some(Restore::Done { expires }));
        assert_eq!(ongoing.at(StorageClass::Archive, expires), None);
        assert_eq!(ongoing.at(StorageClass::DeepArchive, at(3)), Some(ongoing));
        assert_eq!(RestoreTier::Expedited.duration(StorageClass::MazDeepArchive), None);
    }

    #[test]
    fn copies_are_counted_one_after_another() {
        let pending = |left, failed| ReplicaState::Pending { left, failed };
        assert_eq!(ReplicaState::of(0), None);
        assert_eq!(ReplicaState::of(2), Some(pending(2, false)));
        assert_eq!(pending(2, false).next(1, true), Some(pending(1, true)));
        // The same again, and one whose turn has not come.
        assert_eq!(pending(1, true).next(1, false), None);
        assert_eq!(pending(2, false).next(0, false), None);
        assert_eq!(pending(1, true).next(0, false), Some(ReplicaState::Failed));
        assert_eq!(pending(1, false).next(0, false), Some(ReplicaState::Completed));
        assert_eq!(ReplicaState::Completed.next(0, false), None);
        assert_eq!(ReplicaState::Replica.next(0, false), None);
    }

    #[test]
    fn locks_hold_until_their_time() {
        let at = Timestamp::from_secs;
        let held =
            |mode| Properties { retention: Some(Retention { mode, until: at(10) }), ..Properties::default() };
        let governance = held(RetentionMode::Governance);
        let compliance = held(RetentionMode::Compliance);
        assert!(governance.is_locked(at(9), false) && compliance.is_locked(at(9), true));
        assert!(!governance.is_locked(at(9), true) && !compliance.is_locked(at(10), false));
        let hold = Properties { legal_hold: true, ..Properties::default() };
        assert!(hold.is_locked(at(99), true));
        assert!(!Properties::default().is_locked(at(0), false));
    }
}
