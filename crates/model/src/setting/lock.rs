//! Object lock of a bucket: whether its objects may be locked, and how new ones are by themselves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Retention, RetentionMode, Timestamp};

/// Once set it cannot be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectLock {
    pub default: Option<DefaultRetention>,
}

/// The retention of an object that is written without one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// COS has no modes; its locks are like S3's `COMPLIANCE`.
    pub mode: Option<RetentionMode>,
    pub period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    Days(u32),
    Years(u32),
}

impl Period {
    /// A year is 365 days, as S3 counts it.
    pub const fn days(self) -> u64 {
        match self {
            Self::Days(days) => days as u64,
            Self::Years(years) => years as u64 * 365,
        }
    }
}

impl DefaultRetention {
    /// Of an object written at `now`.
    pub fn of(self, now: Timestamp) -> Retention {
        let until = now.plus(Duration::from_secs(self.period.days() * 24 * 3600));
        Retention { mode: self.mode.unwrap_or(RetentionMode::Compliance), until }
    }
}
