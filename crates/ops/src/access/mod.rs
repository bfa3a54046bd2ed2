//! Who may do what: the one door. Every handler comes in through [`Ops::admit`], which finds the
//! bucket and decides for identity, operation and resource.
//!
//! For now an account may do everything with its own buckets and nobody else anything.

mod action;

use cosette_model::op::{Context, Op, Owner};
use cosette_model::{Account, BucketName, Error, ErrorCode, ObjectKey, VersionId};
use cosette_store::Bucket;

use crate::Ops;
use crate::error::Result;

/// What a request is about: `&bucket`, `(&bucket, &key)` or `(&bucket, &key, version)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    bucket: &'a BucketName,
    key: Option<&'a ObjectKey>,
    version: Option<&'a VersionId>,
}

impl<'a> From<&'a BucketName> for Resource<'a> {
    fn from(bucket: &'a BucketName) -> Self {
        Self { bucket, key: None, version: None }
    }
}

impl<'a> From<(&'a BucketName, &'a ObjectKey)> for Resource<'a> {
    fn from((bucket, key): (&'a BucketName, &'a ObjectKey)) -> Self {
        Self { bucket, key: Some(key), version: None }
    }
}

impl<'a> From<(&'a BucketName, &'a ObjectKey, &'a Option<VersionId>)> for Resource<'a> {
    fn from((bucket, key, version): (&'a BucketName, &'a ObjectKey, &'a Option<VersionId>)) -> Self {
        Self { bucket, key: Some(key), version: version.as_ref() }
    }
}

/// The account that asks; anonymous requests are refused.
pub(crate) fn account(context: &Context) -> Result<&Account> {
    Ok(context.identity.account().ok_or(ErrorCode::AccessDenied)?)
}

impl Ops {
    /// The bucket a request names, if it exists, is in the region the request was sent to, and
    /// `op` is allowed on the resource to who asks.
    pub(crate) fn admit<'a>(
        &self,
        context: &Context,
        op: Op,
        resource: impl Into<Resource<'a>>,
    ) -> Result<Bucket> {
        let resource = resource.into();
        let bucket = self.exists(context, resource.bucket)?;
        self.decide(context, op, &bucket, resource)?;
        Ok(bucket)
    }

    /// The bucket, whoever asks: for what is decided key by key.
    pub(crate) fn exists(&self, context: &Context, name: &BucketName) -> Result<Bucket> {
        let bucket = self.find(name)?.ok_or_else(|| no_such_bucket(name))?;
        if context.region.as_ref().is_some_and(|region| *region != bucket.region) {
            return Err(no_such_bucket(name).into());
        }
        Ok(bucket)
    }

    fn decide(&self, context: &Context, op: Op, bucket: &Bucket, resource: Resource<'_>) -> Result<()> {
        let _ = (action::s3(op, resource.version.is_some()), action::cos(op), resource.key);
        if account(context)?.uin != bucket.owner_uin {
            return Err(ErrorCode::AccessDenied.into());
        }
        Ok(())
    }

    /// A bucket made by an S3 client without APPID also answers to `<name>-<APPID>`, since that
    /// is what an event message's URL calls it and what function code builds from it.
    pub(crate) fn find(&self, name: &BucketName) -> Result<Option<Bucket>> {
        if let Some(bucket) = self.store.bucket(name)? {
            return Ok(Some(bucket));
        }
        let (short, Some(appid)) = name.split_appid() else { return Ok(None) };
        let Ok(short) = BucketName::new(short) else { return Ok(None) };
        Ok(self.store.bucket(&short)?.filter(|bucket| bucket.owner_appid == appid))
    }
}

fn no_such_bucket(name: &BucketName) -> Error {
    Error::new(ErrorCode::NoSuchBucket).detail("BucketName", name.as_str())
}

/// The owner shown in listings: buckets and their objects belong to one account.
pub(crate) fn owner(bucket: &Bucket) -> Owner {
    Owner { uin: bucket.owner_uin.clone(), appid: bucket.owner_appid.clone(), name: bucket.owner_uin.clone() }
}
