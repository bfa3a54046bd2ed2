//! Versioning of buckets, and reads of one version.

use std::sync::Arc;

use cosette_model::op::{self, Context, Op, Owner, reply};
use cosette_model::{AccessTier, Error, ErrorCode, SettingName, VersionId, Versioning};
use cosette_store::{Bucket, ListedVersion, Version, VersionPage};

use crate::Ops;
use crate::access::Admitted;
use crate::error::{Failure, Result};
use crate::owners::Owners;

impl Ops {
    pub(crate) async fn put_versioning(
        &self,
        context: &Context,
        ask: op::PutBucketVersioning,
    ) -> Result<reply::PutBucketVersioning> {
        let bucket = self.admit(context, Op::PutBucketVersioning, &ask.bucket)?;
        let enabled = ask.enabled;
        self.store
            .revise_versioning(bucket, enabled, context.cause.clone(), move |view| {
                // The versions that locks are of must stay as they are (S3), or not begin to be (COS).
                let same = (view.bucket.versioning == Versioning::Enabled) == enabled;
                if view.setting(SettingName::ObjectLock.row()).is_some() && !same {
                    let why = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
                    return Err(Failure::from(Error::with(ErrorCode::InvalidBucketState, why)));
                }
                if !enabled && view.setting(SettingName::Replication.row()).is_some() {
                    let why = "A replication configuration is present on this bucket, so the versioning state cannot be changed.";
                    return Err(Failure::from(Error::with(ErrorCode::InvalidBucketState, why)));
                }
                Ok(())
            })
            .await?;
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
        let Admitted { bucket, rules, .. } = self.admit_to(context, Op::ListObjectVersions, &ask.bucket)?;
        let VersionPage { versions, common_prefixes, next } =
            self.store.list_versions(&bucket.name, &ask.listing, ask.version_marker.as_ref())?;
        let never = bucket.versioning == Versioning::Off;
        let mut owners = Owners::new(self, &bucket, &rules);
        let tiers = self.tiers_for(&bucket.name, versions.iter().map(|listed| &listed.summary))?;
        Ok(reply::ListObjectVersions {
            versions: versions
                .into_iter()
                .map(|listed| {
                    let owner = owners.of(listed.summary.owner.as_deref());
                    let of = (&listed.key, &listed.summary);
                    let tier = self.tier_of_listed(&bucket, &tiers, of, context.now);
                    entry(&bucket, listed, owner, tier)
                })
                .collect(),
            common_prefixes,
            next: next.map(|(key, version)| (key, version.filter(|_| !never))),
            bucket: ask.bucket,
            listing: ask.listing,
            version_marker: ask.version_marker,
            url_encode: ask.url_encode,
        })
    }
}

/// Version ids are shown once versioning gives them; the null version of a bucket that never
/// had versioning has none (cos-api 4.1).
pub(crate) fn shown_version(bucket: &Bucket, version: Version) -> Option<VersionId> {
    (bucket.versioning != Versioning::Off).then(|| version.id())
}

fn entry(
    bucket: &Bucket,
    listed: ListedVersion,
    owner: Arc<Owner>,
    tier: Option<AccessTier>,
) -> reply::VersionEntry {
    let ListedVersion { key, latest, summary } = listed;
    let body = (!summary.delete_marker).then_some(reply::VersionBody {
        etag: summary.etag,
        size: summary.size,
        storage_class: summary.storage_class,
        tier,
    });
    reply::VersionEntry {
        key,
        version: shown_version(bucket, summary.version),
        latest,
        modified: summary.modified,
        owner,
        body,
    }
}
