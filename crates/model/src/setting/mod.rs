//! What is set on a bucket as a whole, besides versioning: plain data, kept by the store under a
//! name. A new setting is a type here, a row below, a row in `op`'s table, and a codec in `wire`.

mod by_id;
mod cors;
mod due;
mod encryption;
mod filter;
mod inventory;
mod lifecycle;
mod lock;
mod notification;
mod origin;
mod plain;
mod referer;
mod replication;
mod tagging;
mod tiers;
mod website;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use by_id::{Analytics, AnalyticsExport, DefaultTiering, IntelligentTiering, Metrics, Tier};
pub use cors::{Allowed, Cors, CorsRule, Crossing};
pub use due::{Act, Aged, Due, Outlook, Standing, fewest};
pub use encryption::{BucketEncryption, DefaultMethod};
pub use filter::ObjectFilter;
pub use inventory::{
    BucketRef, Destination, Frequency, Inventory, InventoryEncryption, InventoryField, InventoryFilter,
    InventoryFormat,
};
pub use lifecycle::{
    Expiration, Lifecycle, LifecycleFilter, LifecycleRule, Noncurrent, NoncurrentTransition, SmallObjects,
    Transition, When,
};
pub use lock::{DefaultRetention, ObjectLock, Period};
pub use notification::{KeyFilter, Notification, NotificationKind, NotificationRule, is_event};
pub use origin::{
    Origin, OriginCondition, OriginFile, OriginHeaders, OriginHost, OriginKind, OriginParameter,
    OriginProtocol, OriginRule, Redirection,
};
pub use plain::{
    Accelerate, Bound, DomainKind, DomainRule, Domains, ForcedBy, LogKeyFormat, Logging, RequestPayment,
    ServiceForm,
};
pub use referer::Referer;
pub use replication::{ReplicaOrder, Replication, ReplicationRule, ReplicationTarget, SealedFor, Written};
pub use tagging::{InvalidTag, Tags};
pub use tiers::Tiers;
pub use website::{ErrorDocument, Onward, Redirect, RedirectAll, Replace, RoutingRule, Target, Website};

use crate::ErrorCode;
use crate::op::Op;

macro_rules! settings {
    ($($name:ident $type:ty, $row:literal, $missing:expr, $put:ident $get:ident $($delete:ident)? $(by id, $list:ident)?;)*) => {
        /// Which setting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SettingName { $($name),* }

        /// A setting's value.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Setting { $($name($type)),* }

        impl SettingName {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What the store keeps it under; never changed, as it is on disk.
            pub const fn row(self) -> &'static str {
                match self { $(Self::$name => $row),* }
            }

            /// What a read answers while nothing is set; `None` for an empty document.
            pub const fn missing(self) -> Option<ErrorCode> {
                match self { $(Self::$name => $missing),* }
            }

            pub const fn put(self) -> Op {
                match self { $(Self::$name => Op::$put),* }
            }

            pub const fn get(self) -> Op {
                match self { $(Self::$name => Op::$get),* }
            }

            /// `None` where the services have no such operation.
            pub const fn delete(self) -> Option<Op> {
                match self { $(Self::$name => settings!(@maybe $($delete)?)),* }
            }

            /// Lists those of a bucket; `None` where a bucket has only one.
            pub const fn list(self) -> Option<Op> {
                match self { $(Self::$name => settings!(@maybe $($list)?)),* }
            }

            /// # Errors
            /// What is kept is not what this setting is.
            pub fn decode(self, kept: &[u8]) -> Result<Setting, serde_json::Error> {
                Ok(match self { $(Self::$name => Setting::$name(serde_json::from_slice(kept)?)),* })
            }
        }

        impl Setting {
            pub const fn name(&self) -> SettingName {
                match self { $(Self::$name(_) => SettingName::$name),* }
            }

            /// The form that is kept: JSON, so that fields can be added.
            ///
            /// # Errors
            /// None that the types allow.
            pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $(Self::$name(value) => serde_json::to_vec(value)),* }
            }
        }

        $(impl Kept for $type {
            const NAME: SettingName = SettingName::$name;

            fn of(setting: Setting) -> Option<Self> {
                match setting {
                    Setting::$name(value) => Some(value),
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }
        })*
    };
    (@maybe) => { None };
    (@maybe $op:ident) => { Some(Op::$op) };
}

settings! {
    Tagging Tags, "tagging", Some(ErrorCode::NoSuchTagSet), PutBucketTagging GetBucketTagging DeleteBucketTagging;
    Cors Cors, "cors", Some(ErrorCode::NoSuchCorsConfiguration), PutBucketCors GetBucketCors DeleteBucketCors;
    Website Website, "website", Some(ErrorCode::NoSuchWebsiteConfiguration), PutBucketWebsite GetBucketWebsite DeleteBucketWebsite;
    Referer Referer, "referer", None, PutBucketReferer GetBucketReferer;
    ObjectLock ObjectLock, "object-lock", Some(ErrorCode::NoSuchObjectLockConfiguration), PutObjectLockConfiguration GetObjectLockConfiguration;
    Lifecycle Lifecycle, "lifecycle", Some(ErrorCode::NoSuchLifecycleConfiguration), PutBucketLifecycle GetBucketLifecycle DeleteBucketLifecycle;
    Logging Logging, "logging", None, PutBucketLogging GetBucketLogging;
    Accelerate Accelerate, "accelerate", None, PutBucketAccelerate GetBucketAccelerate;
    Domain Domains, "domain", Some(ErrorCode::NoSuchDomainConfiguration), PutBucketDomain GetBucketDomain DeleteBucketDomain;
    Encryption BucketEncryption, "encryption", Some(ErrorCode::NoSuchEncryptionConfiguration), PutBucketEncryption GetBucketEncryption DeleteBucketEncryption;
    RequestPayment RequestPayment, "requestPayment", None, PutBucketRequestPayment GetBucketRequestPayment;
    Notification Notification, "notification", None, PutBucketNotification GetBucketNotification;
    Replication Replication, "replication", Some(ErrorCode::NoSuchReplicationConfiguration), PutBucketReplication GetBucketReplication DeleteBucketReplication;
    Origin Origin, "origin", Some(ErrorCode::NoSuchOriginConfiguration), PutBucketOrigin GetBucketOrigin DeleteBucketOrigin;
    DefaultTiering DefaultTiering, "intelligent-tiering\0default", None, PutBucketDefaultTiering GetBucketDefaultTiering;
    IntelligentTiering IntelligentTiering, "intelligent-tiering", Some(ErrorCode::NoSuchConfiguration), PutBucketIntelligentTiering GetBucketIntelligentTiering DeleteBucketIntelligentTiering by id, ListBucketIntelligentTiering;
    Inventory Inventory, "inventory", Some(ErrorCode::NoSuchInventoryConfiguration), PutBucketInventory GetBucketInventory DeleteBucketInventory by id, ListBucketInventory;
    Analytics Analytics, "analytics", Some(ErrorCode::NoSuchConfiguration), PutBucketAnalytics GetBucketAnalytics DeleteBucketAnalytics by id, ListBucketAnalytics;
    Metrics Metrics, "metrics", Some(ErrorCode::NoSuchConfiguration), PutBucketMetrics GetBucketMetrics DeleteBucketMetrics by id, ListBucketMetrics;
}

impl SettingName {
    /// What the store keeps one of several under.
    pub fn row_of(self, id: Option<&str>) -> Cow<'static, str> {
        match id {
            Some(id) => format!("{}\0{id}", self.row()).into(),
            None => self.row().into(),
        }
    }

    /// Most of one bucket (cos-api 3.7, and S3 alike).
    pub const MOST: usize = 1_000;

    /// Whether anything acts on it; the others are checked, kept and shown.
    pub const fn acted_on(self) -> bool {
        matches!(
            self,
            Self::Tagging
                | Self::Cors
                | Self::Website
                | Self::Referer
                | Self::ObjectLock
                | Self::Encryption
                | Self::Lifecycle
                | Self::Notification
                | Self::Accelerate
                | Self::Domain
                | Self::RequestPayment
                | Self::Logging
                | Self::Inventory
                | Self::DefaultTiering
                | Self::IntelligentTiering
                | Self::Replication
                | Self::Origin
        )
    }
}

impl Setting {
    /// The id of one of several.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::IntelligentTiering(value) => Some(&value.id),
            Self::Inventory(value) => Some(&value.id),
            Self::Analytics(value) => Some(&value.id),
            Self::Metrics(value) => Some(&value.id),
            _ => None,
        }
    }

    /// Where one of several stands among them.
    pub fn made(&self) -> Option<u64> {
        match self {
            Self::DefaultTiering(DefaultTiering(value)) | Self::IntelligentTiering(value) => Some(value.made),
            Self::Inventory(value) => Some(value.made),
            Self::Analytics(value) => Some(value.made),
            Self::Metrics(value) => Some(value.made),
            _ => None,
        }
    }

    /// Puts one of several in its place.
    pub fn make(&mut self, made: u64) {
        match self {
            Self::DefaultTiering(DefaultTiering(value)) | Self::IntelligentTiering(value) => {
                value.made = made;
            }
            Self::Inventory(value) => value.made = made,
            Self::Analytics(value) => value.made = made,
            Self::Metrics(value) => value.made = made,
            _ => {}
        }
    }
}

/// A type that is a setting's value.
pub trait Kept: Sized {
    const NAME: SettingName;

    fn of(setting: Setting) -> Option<Self>;
}

/// What an operation does with its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Put,
    Get,
    Delete,
    /// All of those a bucket has several of.
    List,
}

impl Op {
    /// The setting that the operation is about, and what it does with it.
    pub fn setting(self) -> Option<(SettingName, Verb)> {
        SettingName::ALL.iter().find_map(|name| {
            if name.put() == self {
                Some((*name, Verb::Put))
            } else if name.get() == self {
                Some((*name, Verb::Get))
            } else if name.list() == Some(self) {
                Some((*name, Verb::List))
            } else {
                (name.delete() == Some(self)).then_some((*name, Verb::Delete))
            }
        })
    }
}

impl Status {
    /// As most documents spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
        }
    }
}

/// On or off, as most settings say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    Enabled,
    #[default]
    Disabled,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_under_their_own_names_and_come_back() {
        let mut rows: Vec<_> = SettingName::ALL.iter().map(|name| name.row()).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), SettingName::ALL.len());
        for name in SettingName::ALL {
            assert_eq!(name.put().setting(), Some((*name, Verb::Put)));
            assert_eq!(name.get().setting(), Some((*name, Verb::Get)));
            assert!(name.decode(b"not json").is_err());
        }
        let tags = Setting::Tagging(Tags::new([("k".to_owned(), "v".to_owned())]).unwrap());
        assert_eq!(SettingName::Tagging.decode(&tags.encode().unwrap()).unwrap(), tags);
    }
}
