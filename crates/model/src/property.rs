//! What an object has besides bytes and headers, and what may change without writing it anew:
//! tags, access control list, retention, legal hold, restore state. And a bucket's versioning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

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
    /// `None`: only what the bucket allows.
    pub acl: Option<Acl>,
    pub retention: Option<Retention>,
    pub legal_hold: bool,
    pub restore: Option<Restore>,
}

/// Who may do what, besides the owner.
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

impl Properties {
    /// Whether the version may not be removed at `now`.
    pub fn is_locked(&self, now: Timestamp, bypass_governance: bool) -> bool {
        self.legal_hold
            || self.retention.is_some_and(|retention| {
                now < retention.until && !(bypass_governance && retention.mode == RetentionMode::Governance)
            })
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestoreTier {
    Expedited,
    Standard,
    Bulk,
}

#[cfg(test)]
mod tests {
    use super::*;

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
