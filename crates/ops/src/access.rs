//! Who may do what: for now, an account may do everything with its own buckets and nobody
//! else anything.

use cosette_model::op::{Context, Owner};
use cosette_model::{Account, BucketName, Error, ErrorCode};
use cosette_store::Bucket;

use crate::Ops;
use crate::error::Result;

/// The account that asks; anonymous requests are refused.
pub(crate) fn account(context: &Context) -> Result<&Account> {
    Ok(context.identity.account().ok_or(ErrorCode::AccessDenied)?)
}

impl Ops {
    /// The bucket a request names, if it exists, is in the region the request was sent to, and
    /// belongs to who asks.
    ///
    /// A bucket made by an S3 client without APPID also answers to `<name>-<APPID>`, since that
    /// is what an event message's URL calls it and what function code builds from it.
    pub(crate) fn bucket(&self, context: &Context, name: &BucketName) -> Result<Bucket> {
        let bucket = self.find(name)?.ok_or_else(|| no_such_bucket(name))?;
        if context.region.as_ref().is_some_and(|region| *region != bucket.region) {
            return Err(no_such_bucket(name).into());
        }
        if account(context)?.uin != bucket.owner_uin {
            return Err(ErrorCode::AccessDenied.into());
        }
        Ok(bucket)
    }

    fn find(&self, name: &BucketName) -> Result<Option<Bucket>> {
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
