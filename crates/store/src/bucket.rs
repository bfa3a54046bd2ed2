//! Buckets.

use std::ops::ControlFlow;

use cosette_kv::Range;
use cosette_model::op::Owner;
use cosette_model::{BucketName, Cause, ChangeKind, Region, Versioning};

use crate::error::{Error, Result};
use crate::record::{Bucket, decode};
use crate::schema::{self, Kind};
use crate::store::Store;
use crate::views::View;

impl Store {
    pub fn bucket(&self, name: &BucketName) -> Result<Option<Bucket>> {
        Ok(self.view(name)?.map(|view| view.bucket.clone()))
    }

    pub(crate) fn need_bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.bucket(name)?.ok_or_else(|| Error::NoSuchBucket(name.clone()))
    }

    /// All buckets in name order.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        let mut buckets = Vec::new();
        self.engine()?.scan(&Range::prefix(&schema::key(Kind::Bucket, &[])), &mut |_, row| {
            buckets.push(decode("bucket", row));
            ControlFlow::Continue(())
        })?;
        buckets.into_iter().collect()
    }

    pub async fn create_bucket(
        &self,
        name: BucketName,
        region: Region,
        owner: Owner,
        cause: Cause,
    ) -> Result<Bucket> {
        self.create_bucket_with(name, region, owner, Versioning::Off, Vec::new(), cause).await
    }

    /// The same with versions and settings from the beginning.
    pub async fn create_bucket_with(
        &self,
        name: BucketName,
        region: Region,
        owner: Owner,
        versioning: Versioning,
        settings: Vec<(&'static str, Vec<u8>)>,
        cause: Cause,
    ) -> Result<Bucket> {
        let (_, bucket) = self
            .commit(move |tx| {
                if tx.bucket(&name)?.is_some() {
                    return Err(Error::BucketExists(name));
                }
                let bucket = Bucket {
                    // The number of the commit that makes it: never used again.
                    id: tx.seq().0,
                    name,
                    region,
                    owner_uin: owner.uin,
                    owner_appid: owner.appid,
                    created: tx.now(),
                    versioning,
                };
                tx.write(schema::bucket(&bucket.name), &bucket)?;
                for (setting, value) in settings {
                    tx.put_row(schema::setting(bucket.id, setting), value);
                }
                tx.change(ChangeKind::BucketCreated, &bucket, None, cause)?;
                Ok(bucket)
            })
            .await?;
        Ok(bucket)
    }

    /// Refused while the bucket holds objects or versions, and, unless they are to go `with_uploads`,
    /// while it holds open uploads.
    pub async fn delete_bucket(&self, name: BucketName, with_uploads: bool, cause: Cause) -> Result<()> {
        self.commit(move |tx| {
            let bucket = tx.need_bucket(&name)?;
            if with_uploads {
                tx.drop_uploads(&bucket)?;
            }
            for kind in [Kind::Object, Kind::Version, Kind::Upload] {
                if tx.any(&schema::of_bucket(kind, bucket.id))? {
                    return Err(Error::BucketNotEmpty(name));
                }
            }
            tx.remove_all(&schema::of_bucket(Kind::Setting, bucket.id))?;
            tx.remove(schema::bucket(&name));
            tx.change(ChangeKind::BucketDeleted, &bucket, None, cause)
        })
        .await?;
        Ok(())
    }

    /// Enables versioning, or suspends it; what was never enabled can be suspended too.
    pub async fn set_versioning(&self, name: BucketName, enabled: bool, cause: Cause) -> Result<Bucket> {
        self.revise_versioning(name, enabled, cause, |_| Ok::<_, Error>(())).await
    }

    /// The same if `decide` has nothing against it.
    pub async fn revise_versioning<E, F>(
        &self,
        name: BucketName,
        enabled: bool,
        cause: Cause,
        decide: F,
    ) -> Result<Bucket, E>
    where
        F: FnOnce(&View) -> Result<(), E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (_, bucket) = self
            .commit(move |tx| {
                let view = tx.need_view(&name)?;
                decide(&view)?;
                let mut bucket = view.bucket;
                bucket.versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                tx.write(schema::bucket(&bucket.name), &bucket)?;
                tx.change(ChangeKind::SettingChanged, &bucket, None, cause)?;
                Ok::<_, E>(bucket)
            })
            .await?;
        Ok(bucket)
    }

    /// A setting of the bucket, in the form its owner gave it.
    pub fn setting(&self, bucket: &BucketName, setting: &str) -> Result<Option<Vec<u8>>> {
        let view = self.view(bucket)?.ok_or_else(|| Error::NoSuchBucket(bucket.clone()))?;
        Ok(view.settings.get(setting.as_bytes()).cloned())
    }

    /// Sets what `decide` makes of the bucket and its settings, or removes it, in one commit.
    pub async fn revise_setting<E, F>(
        &self,
        bucket: BucketName,
        setting: &'static str,
        cause: Cause,
        decide: F,
    ) -> Result<(), E>
    where
        F: FnOnce(&View) -> Result<Option<Vec<u8>>, E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.commit(move |tx| {
            let view = tx.need_view(&bucket)?;
            let row = schema::setting(view.bucket.id, setting);
            match decide(&view)? {
                Some(value) => tx.put_row(row, value),
                None => tx.remove(row),
            }
            tx.change(ChangeKind::SettingChanged, &view.bucket, None, cause)?;
            Ok::<_, E>(())
        })
        .await?;
        Ok(())
    }

    /// Sets it, or removes it.
    pub async fn set_setting(
        &self,
        bucket: BucketName,
        setting: &'static str,
        value: Option<Vec<u8>>,
        cause: Cause,
    ) -> Result<()> {
        self.commit(move |tx| {
            let bucket = tx.need_bucket(&bucket)?;
            let row = schema::setting(bucket.id, setting);
            match value {
                Some(value) => tx.put_row(row, value),
                None => tx.remove(row),
            }
            tx.change(ChangeKind::SettingChanged, &bucket, None, cause)
        })
        .await?;
        Ok(())
    }
}
