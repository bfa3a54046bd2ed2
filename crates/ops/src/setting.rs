//! Settings of buckets: read, set, removed.

use cosette_model::op::{self, Context, reply};
use cosette_model::setting::{Kept, Logging};
use cosette_model::{BucketName, Error, ErrorCode, Setting, SettingName};
use cosette_store::Bucket;

use crate::Ops;
use crate::error::Result;

impl Ops {
    /// A setting of a bucket that exists.
    pub(crate) fn setting<S: Kept>(&self, bucket: &BucketName) -> Result<Option<S>> {
        Ok(self.kept(bucket, S::NAME)?.and_then(S::of))
    }

    fn kept(&self, bucket: &BucketName, name: SettingName) -> Result<Option<Setting>> {
        let Some(bytes) = self.store.setting(bucket, name.row())? else { return Ok(None) };
        Ok(Some(name.decode(&bytes).map_err(Error::internal)?))
    }

    pub(crate) async fn put_setting(
        &self,
        context: &Context,
        ask: op::PutSetting,
    ) -> Result<reply::PutSetting> {
        let bucket = self.admit(context, ask.name.put(), &ask.bucket)?;
        if let Some(Setting::ObjectLock(lock)) = ask.setting {
            return self.put_object_lock(context, bucket, lock).await;
        }
        if let Some(Setting::Logging(logging)) = &ask.setting {
            self.check_log_target(&bucket, logging)?;
        }
        let value = ask.setting.map(|setting| setting.encode()).transpose().map_err(Error::internal)?;
        self.store.set_setting(bucket.name, ask.name.row(), value, context.cause.clone()).await?;
        Ok(reply::PutSetting { name: ask.name })
    }

    /// Logs go to a bucket of the same account in the same region.
    fn check_log_target(&self, bucket: &Bucket, logging: &Logging) -> Result<()> {
        let target = BucketName::new(logging.bucket.as_str()).ok();
        let target = target.map(|name| self.find(&name)).transpose()?.flatten();
        match target {
            Some(target) if target.owner_uin == bucket.owner_uin && target.region == bucket.region => Ok(()),
            _ => Err(Error::new(ErrorCode::InvalidTargetBucketForLogging)
                .detail("TargetBucket", logging.bucket.as_str())
                .into()),
        }
    }

    pub(crate) fn get_setting(&self, context: &Context, ask: op::GetSetting) -> Result<reply::GetSetting> {
        let bucket = self.admit(context, ask.name.get(), &ask.bucket)?;
        match (self.kept(&bucket.name, ask.name)?, ask.name.missing()) {
            (None, Some(code)) => Err(Error::new(code).detail("BucketName", bucket.name.as_str()).into()),
            (setting, _) => Ok(reply::GetSetting { name: ask.name, setting }),
        }
    }

    /// Removing what is not set succeeds.
    pub(crate) async fn delete_setting(
        &self,
        context: &Context,
        ask: op::DeleteSetting,
    ) -> Result<reply::DeleteSetting> {
        let bucket = self.admit(context, ask.name.delete().unwrap_or(ask.name.put()), &ask.bucket)?;
        self.store.set_setting(bucket.name, ask.name.row(), None, context.cause.clone()).await?;
        Ok(reply::DeleteSetting { name: ask.name })
    }
}
