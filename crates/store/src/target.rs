//! Which bucket a commit is meant for.

use cosette_model::BucketName;

use crate::error::{Error, Result};
use crate::record::Bucket;
use crate::tx::Tx;

/// A bucket by its name; and, made of a [`Bucket`], the very one. What has been decided of one bucket is not
/// done to another that has got its name since: that is `NoSuchBucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) name: BucketName,
    id: Option<u64>,
}

/// Whichever has the name then.
impl From<BucketName> for Target {
    fn from(name: BucketName) -> Self {
        Self { name, id: None }
    }
}

impl From<&Bucket> for Target {
    fn from(bucket: &Bucket) -> Self {
        Self { name: bucket.name.clone(), id: Some(bucket.id) }
    }
}

impl From<Bucket> for Target {
    fn from(bucket: Bucket) -> Self {
        Self { name: bucket.name, id: Some(bucket.id) }
    }
}

impl Tx<'_> {
    /// The bucket as this commit sees it.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub fn target(&self, target: &Target) -> Result<Bucket> {
        let bucket = self.bucket(&target.name)?.filter(|bucket| target.id.is_none_or(|id| id == bucket.id));
        bucket.ok_or_else(|| Error::NoSuchBucket(target.name.clone()))
    }
}
