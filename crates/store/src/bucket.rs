//! Buckets.

use std::borrow::Cow;
use std::ops::ControlFlow;

use cosette_kv::Range;
use cosette_model::op::Owner;
use cosette_model::{BucketName, Cause, ChangeKind, Region, Versioning};

use crate::error::{Error, Result};
use crate::record::{Bucket, decode};
use crate::schema::{self, Kind};
use crate::store::Store;
use crate::target::Target;
use crate::tx::Tx;
use crate::views::View;

/// Settings by name, to be set or, with `None`, removed.
pub type Settings = Vec<(&'static str, Option<Vec<u8>>)>;

/// A bucket to be made.
pub struct NewBucket {
    pub name: BucketName,
    pub region: Region,
    pub owner: Owner,
    pub versioning: Versioning,
    pub settings: Settings,
    /// How many buckets its owner may have with it.
    pub most: Option<usize>,
}

impl Tx<'_> {
    fn set<S: AsRef<str>>(&mut self, bucket: &Bucket, settings: Vec<(S, Option<Vec<u8>>)>) {
        for (setting, value) in settings {
            let row = schema::setting(bucket.id, setting.as_ref());
            match value {
                Some(value) => self.put_row(row, value),
                None => self.remove(row),
            }
        }
    }
}

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
        let new =
            NewBucket { name, region, owner, versioning: Versioning::Off, settings: Vec::new(), most: None };
        self.create_bucket_with(new, cause, |view| Err(Error::BucketExists(view.bucket.name.clone()))).await
    }

    /// The same with versions and settings from the beginning. A bucket that is there already gets the
    /// settings that `again` says, if it has nothing against it.
    ///
    /// # Errors
    /// `TooManyBuckets`; those of `again`.
    pub async fn create_bucket_with<E, F>(&self, new: NewBucket, cause: Cause, again: F) -> Result<Bucket, E>
    where
        F: FnOnce(&View) -> Result<Settings, E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (_, bucket) = self
            .commit(move |tx| {
                let NewBucket { name, region, owner, versioning, settings, most } = new;
                if let Some(bucket) = tx.bucket(&name)? {
                    let view = tx.view_of(bucket)?;
                    let settings = again(&view)?;
                    tx.set(&view.bucket, settings);
                    tx.change(ChangeKind::SettingChanged, &view.bucket, None, cause)?;
                    return Ok(view.bucket);
                }
                if let Some(most) = most {
                    let mut owned = 0;
                    for (_, row) in tx.collect(&schema::key(Kind::Bucket, &[]))? {
                        owned += usize::from(decode::<Bucket>("bucket", &row)?.owner_uin == owner.uin);
                    }
                    if owned >= most {
                        return Err(Error::TooManyBuckets.into());
                    }
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
                    floor: 0,
                };
                tx.write(schema::bucket(&bucket.name), &bucket)?;
                tx.set(&bucket, settings);
                tx.change(ChangeKind::BucketCreated, &bucket, None, cause)?;
                Ok::<_, E>(bucket)
            })
            .await?;
        Ok(bucket)
    }

    /// Refused while the bucket holds objects or versions, and, unless they are to go `with_uploads`,
    /// while it holds open uploads.
    pub async fn delete_bucket(
        &self,
        bucket: impl Into<Target>,
        with_uploads: bool,
        cause: Cause,
    ) -> Result<()> {
        self.delete_bucket_and(bucket, with_uploads, cause, |_, _| Ok(())).await
    }

    /// The same, and `also` in the same commit.
    pub async fn delete_bucket_and(
        &self,
        bucket: impl Into<Target>,
        with_uploads: bool,
        cause: Cause,
        also: impl FnOnce(&mut Tx<'_>, &Bucket) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let bucket = bucket.into();
        self.commit(move |tx| {
            let bucket = tx.target(&bucket)?;
            if with_uploads {
                tx.drop_uploads(&bucket)?;
            }
            for kind in [Kind::Object, Kind::Version, Kind::Upload] {
                if tx.any(&schema::of_bucket(kind, bucket.id))? {
                    return Err(Error::BucketNotEmpty(bucket.name));
                }
            }
            tx.remove_all(&schema::of_bucket(Kind::Setting, bucket.id))?;
            tx.remove(schema::bucket(&bucket.name));
            also(tx, &bucket)?;
            tx.change(ChangeKind::BucketDeleted, &bucket, None, cause)
        })
        .await?;
        Ok(())
    }

    /// Enables versioning, or suspends it; what was never enabled can be suspended too.
    pub async fn set_versioning(
        &self,
        bucket: impl Into<Target>,
        enabled: bool,
        cause: Cause,
    ) -> Result<Bucket> {
        self.revise_versioning(bucket, enabled, cause, |_| Ok::<_, Error>(())).await
    }

    /// The same if `decide` has nothing against it.
    pub async fn revise_versioning<E, F>(
        &self,
        bucket: impl Into<Target>,
        enabled: bool,
        cause: Cause,
        decide: F,
    ) -> Result<Bucket, E>
    where
        F: FnOnce(&View) -> Result<(), E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let bucket = bucket.into();
        let (_, bucket) = self
            .commit(move |tx| {
                let view = tx.need_view(&bucket)?;
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

    /// All settings of the bucket whose names begin so, in the order of their names.
    pub fn settings(&self, bucket: &BucketName, begin: &str) -> Result<Vec<Vec<u8>>> {
        let view = self.view(bucket)?.ok_or_else(|| Error::NoSuchBucket(bucket.clone()))?;
        Ok(view.settings(begin).map(<[u8]>::to_vec).collect())
    }

    /// Sets what `decide` makes of the bucket and its settings, or removes it, in one commit.
    pub async fn revise_setting<E, F>(
        &self,
        bucket: impl Into<Target>,
        setting: impl Into<Cow<'static, str>>,
        cause: Cause,
        decide: F,
    ) -> Result<(), E>
    where
        F: FnOnce(&View) -> Result<Option<Vec<u8>>, E> + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (bucket, setting) = (bucket.into(), setting.into());
        self.commit(move |tx| {
            let view = tx.need_view(&bucket)?;
            let value = decide(&view)?;
            tx.set(&view.bucket, vec![(setting, value)]);
            tx.change(ChangeKind::SettingChanged, &view.bucket, None, cause)?;
            Ok::<_, E>(())
        })
        .await?;
        Ok(())
    }

    /// Sets what `decide` makes of the bucket and of all others that have the setting, and may take it
    /// from those, in one commit, of which it sees all else.
    ///
    /// # Errors
    /// Those of `decide`, and `NoSuchBucket`.
    pub async fn claim_setting<E, F>(
        &self,
        bucket: impl Into<Target>,
        setting: &'static str,
        cause: Cause,
        decide: F,
    ) -> Result<(), E>
    where
        F: FnOnce(&Tx<'_>, &View, &mut [(View, Option<Vec<u8>>)]) -> Result<Option<Vec<u8>>, E>
            + Send
            + 'static,
        E: From<Error> + Send + 'static,
    {
        let bucket = bucket.into();
        self.commit(move |tx| {
            let view = tx.need_view(&bucket)?;
            let mut others = Vec::new();
            for (_, row) in tx.collect(&schema::key(Kind::Bucket, &[]))? {
                let other = decode::<Bucket>("bucket", &row)?;
                if let Some(value) = tx.row(&schema::setting(other.id, setting))?
                    && other.id != view.bucket.id
                {
                    others.push((tx.view_of(other)?, Some(value)));
                }
            }
            let value = decide(tx, &view, &mut others)?;
            for (other, value) in others {
                if other.setting(setting) != value.as_deref() {
                    tx.set(&other.bucket, vec![(setting, value)]);
                }
            }
            tx.set(&view.bucket, vec![(setting, value)]);
            tx.change(ChangeKind::SettingChanged, &view.bucket, None, cause)?;
            Ok::<_, E>(())
        })
        .await?;
        Ok(())
    }

    /// Sets it, or removes it.
    pub async fn set_setting(
        &self,
        bucket: impl Into<Target>,
        setting: &'static str,
        value: Option<Vec<u8>>,
        cause: Cause,
    ) -> Result<()> {
        self.set_setting_and(bucket, setting, value, cause, |_, _| Ok(())).await
    }

    /// The same, and `also` in the same commit.
    pub async fn set_setting_and(
        &self,
        bucket: impl Into<Target>,
        setting: &'static str,
        value: Option<Vec<u8>>,
        cause: Cause,
        also: impl FnOnce(&mut Tx<'_>, &Bucket) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let bucket = bucket.into();
        self.commit(move |tx| {
            let bucket = tx.target(&bucket)?;
            tx.set(&bucket, vec![(setting, value)]);
            also(tx, &bucket)?;
            tx.change(ChangeKind::SettingChanged, &bucket, None, cause)
        })
        .await?;
        Ok(())
    }
}
