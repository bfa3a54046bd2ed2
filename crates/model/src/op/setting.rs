//! Reading and changing settings of buckets; one operation for all of them.

use crate::{BucketName, Setting, SettingName};

#[derive(Debug)]
pub struct PutSetting {
    pub bucket: BucketName,
    pub name: SettingName,
    /// `None` removes it: what an empty document means for the settings that are removed so.
    pub setting: Option<Setting>,
    /// Of a notification: its targets are taken as they are, and sent nothing to see whether they answer.
    pub unchecked: bool,
}

#[derive(Debug)]
pub struct GetSetting {
    pub bucket: BucketName,
    pub name: SettingName,
    /// Which, of those a bucket has several of.
    pub id: Option<String>,
}

#[derive(Debug)]
pub struct DeleteSetting {
    pub bucket: BucketName,
    pub name: SettingName,
    pub id: Option<String>,
}

/// A page of those a bucket has several of, in the order in which they were made.
#[derive(Debug)]
pub struct ListSettings {
    pub bucket: BucketName,
    pub name: SettingName,
    /// Where the last of the page before stands.
    pub after: Option<u64>,
}

pub mod reply {
    use crate::setting::SmallObjects;
    use crate::{Setting, SettingName};

    #[derive(Debug)]
    pub struct PutSetting {
        pub name: SettingName,
        /// Of lifecycle rules: which objects they leave where they are.
        pub small: Option<SmallObjects>,
    }

    #[derive(Debug)]
    pub struct GetSetting {
        pub name: SettingName,
        /// `None` only for a setting that answers an empty document while it is not set.
        pub setting: Option<Setting>,
    }

    #[derive(Debug)]
    pub struct DeleteSetting {
        pub name: SettingName,
    }

    #[derive(Debug)]
    pub struct ListSettings {
        pub name: SettingName,
        pub settings: Vec<Setting>,
        /// As asked.
        pub after: Option<u64>,
        /// Where the page's last stands, if more follow.
        pub next: Option<u64>,
    }
}
