//! Versioning of buckets, and reads of one version.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::setting::ObjectLock;
use cosette_model::{Error, ErrorCode, ObjectKey, VersionId, Versioning};
use cosette_store::{Bucket, Error as StoreError, ListedVersion, Object, Version, VersionPage};

use crate::Ops;
use crate::error::Result;

impl Ops {
    pub(crate) async fn put_versioning(
        &self,
        context: &Context,
        ask: op::PutBucketVersioning,
    ) -> Result<reply::PutBucketVersioning> {
        let bucket = self.admit(context, Op::PutBucketVersioning, &ask.bucket)?;
        // The versions that locks are of must stay as they are (S3), or not begin to be (COS).
        let same = (bucket.versioning == Versioning::Enabled) == ask.enabled;
        if self.setting::<ObjectLock>(&bucket.name)?.is_some() && !same {
            let why = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
            return Err(Error::with(ErrorCode::InvalidBucketState, why).into());
        }
        self.store.set_versioning(bucket.name, ask.enabled, context.cause.clone()).await?;
        Ok(reply::PutBucketVersioning {})
    }

    pub(crate) fn get_versioning(
        &self,
        context: &Context,
        ask: op::GetBucketVersioning,
    ) -> Result<reply::GetBucketVersioning> {
        Ok(reply::GetBucketVersioning {
            versioning: self.admit(context, Op::GetBucketVersioning, &ask.bucket)?.versioning,
        })
    }

    pub(crate) fn list_versions(
        &self,
        context: &Context,
        ask: op::ListObjectVersions,
    ) -> Result<reply::ListObjectVersions> {
        let bucket = self.admit(context, Op::ListObjectVersions, &ask.bucket)?;
        let VersionPage { versions, common_prefixes, next } =
            self.store.list_versions(&bucket.name, &ask.listing, ask.version_marker.as_ref())?;
        let never = bucket.versioning == Versioning::Off;
        Ok(reply::ListObjectVersions {
            owner: self.owner(&bucket),
            versions: versions.into_iter().map(|listed| entry(&bucket, listed)).collect(),
            common_prefixes,
            next: next.map(|(key, version)| (key, version.filter(|_| !never))),
            bucket: ask.bucket,
            listing: ask.listing,
            version_marker: ask.version_marker,
            url_encode: ask.url_encode,
        })
    }

    /// The current object or one version of it; a delete marker is answered as the service does.
    pub(crate) fn object(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Object> {
        match self.store.object(&bucket.name, key, version) {
            Err(StoreError::DeleteMarker { key, version, named }) => {
                let code = if named { context.policy.marker_code } else { ErrorCode::NoSuchKey };
                let error = match code {
                    ErrorCode::MethodNotAllowed => Error::new(code).detail("ResourceType", "DeleteMarker"),
                    code => Error::new(code).detail("Key", key.as_str()),
                };
                Err(Error { delete_marker: Some(version), ..error }.into())
            }
            found => Ok(found?),
        }
    }
}

/// Version ids are shown once versioning gives them; the null version of a bucket that never
/// had versioning has none (cos-api 4.1).
pub(crate) fn shown_version(bucket: &Bucket, version: Version) -> Option<VersionId> {
    (bucket.versioning != Versioning::Off).then(|| version.id())
}

fn entry(bucket: &Bucket, listed: ListedVersion) -> reply::VersionEntry {
    let ListedVersion { key, latest, summary } = listed;
    let body = (!summary.delete_marker).then_some(reply::VersionBody {
        etag: summary.etag,
        size: summary.size,
        storage_class: summary.storage_class,
    });
    reply::VersionEntry {
        key,
        version: shown_version(bucket, summary.version),
        latest,
        modified: summary.modified,
        body,
    }
}
