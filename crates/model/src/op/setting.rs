//! Reading and changing settings of buckets; one operation for all of them.

use crate::{BucketName, Setting, SettingName};

#[derive(Debug)]
pub struct PutSetting {
    pub bucket: BucketName,
    pub name: SettingName,
    /// `None` removes it: what an empty document means for the settings that are removed so.
    pub setting: Option<Setting>,
}

#[derive(Debug)]
pub struct GetSetting {
    pub bucket: BucketName,
    pub name: SettingName,
}

#[derive(Debug)]
pub struct DeleteSetting {
    pub bucket: BucketName,
    pub name: SettingName,
}

pub mod reply {
    use crate::{Setting, SettingName};

    #[derive(Debug)]
    pub struct PutSetting {
        pub name: SettingName,
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
}
