//! Intelligent tiering as answers show it. That objects are archived is another's to see to.

use cosette_model::setting::{Aged, Standing, Tiers};
use cosette_model::{AccessTier, BucketName, Error, ObjectKey, Setting, SettingName, Tiering, Timestamp};
use cosette_store::{Bucket, Object, Summary};

use crate::Ops;
use crate::error::Result;

/// Any: rules of tiering do not ask.
const STANDING: Standing = Standing::Only;

impl Ops {
    /// Where an object lies.
    pub(crate) fn tier(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        object: &Object,
        now: Timestamp,
    ) -> Result<Option<AccessTier>> {
        if !object.attributes.storage_class.is_tiered() {
            return Ok(None);
        }
        let stamp = object.version.stamp;
        Ok(self.tier_of(bucket, &self.tiers(&bucket.name)?, key, stamp, object.aged(key, STANDING), now))
    }

    /// The same of a listed one, by rules that have been read.
    pub(crate) fn tier_of_listed(
        &self,
        bucket: &Bucket,
        tiers: &Tiers,
        (key, listed): (&ObjectKey, &Summary),
        now: Timestamp,
    ) -> Option<AccessTier> {
        self.tier_of(bucket, tiers, key, listed.version.stamp, listed.aged(key, STANDING), now)
    }

    fn tier_of(
        &self,
        bucket: &Bucket,
        tiers: &Tiers,
        key: &ObjectKey,
        stamp: u64,
        version: Aged<'_>,
        now: Timestamp,
    ) -> Option<AccessTier> {
        let accessed = version.tiering.accessed.max(self.store.last_read(bucket, key, stamp));
        let tiering = Tiering { accessed, ..version.tiering };
        tiers.cos_tier(self.day, now, &Aged { tiering, ..version })
    }

    /// The bucket's rules, if one of these objects needs them.
    pub(crate) fn tiers_for<'a>(
        &self,
        bucket: &BucketName,
        mut listed: impl Iterator<Item = &'a Summary>,
    ) -> Result<Tiers> {
        if listed.any(|listed| listed.storage_class.is_tiered()) {
            self.tiers(bucket)
        } else {
            Ok(Tiers::default())
        }
    }

    /// The bucket's rules.
    pub(crate) fn tiers(&self, bucket: &BucketName) -> Result<Tiers> {
        let name = SettingName::IntelligentTiering;
        let mut rules = Vec::new();
        for row in self.store.settings(bucket, &name.row_of(Some("")))? {
            if let Setting::IntelligentTiering(rule) = name.decode(&row).map_err(Error::internal)? {
                rules.push(rule);
            }
        }
        Ok(Tiers(rules))
    }
}
