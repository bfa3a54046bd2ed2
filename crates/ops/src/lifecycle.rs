//! What lifecycle rules have in store for an object or an upload, as answers tell it. That it comes
//! to pass is another's to see to.

use cosette_model::op::Expiry;
use cosette_model::setting::{Lifecycle, Standing};
use cosette_model::{BucketName, ObjectKey, Timestamp};
use cosette_store::{Bucket, Object};

use crate::Ops;
use crate::error::Result;

impl Ops {
    /// When a current object will be gone, or marked as deleted.
    pub(crate) fn expiry(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        object: &Object,
    ) -> Result<Option<Expiry>> {
        // What was written is written, though its bucket may have gone since.
        if self.store.view(bucket)?.is_none() {
            return Ok(None);
        }
        let Some(rules) = self.setting::<Lifecycle>(bucket)? else { return Ok(None) };
        let version = object.aged(key, Standing::Current { alone: false });
        Ok(rules.expiry(self.day, &version).map(Expiry::from))
    }

    /// The same of a version that was asked for by its id: only the current one has an end by itself.
    pub(crate) fn expiry_of(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        object: &Object,
        named: bool,
    ) -> Result<Option<Expiry>> {
        let Some(expiry) = self.expiry(&bucket.name, key, object)? else { return Ok(None) };
        let is_current = !named
            || self
                .store
                .object(&bucket.name, key, None)
                .is_ok_and(|current| current.version == object.version);
        Ok(is_current.then_some(expiry))
    }

    /// When an upload will be aborted.
    pub(crate) fn abort(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        initiated: Timestamp,
    ) -> Result<Option<Expiry>> {
        let Some(rules) = self.setting::<Lifecycle>(&bucket.name)? else { return Ok(None) };
        Ok(rules.abort(self.day, key.as_str(), initiated).map(Expiry::from))
    }
}
