//! The names of actions there are, on either service: a policy that is misspelt is refused, not kept
//! and never met.

use cosette_model::op::Op;

use super::Action;
use super::wildcard::Pattern;
use crate::access::action;

/// What an action is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Bucket,
    Object,
}

/// S3's actions on objects (Service Authorization Reference, "Actions defined by Amazon S3").
const OBJECT: &[&str] = &[
    "AbortMultipartUpload",
    "BypassGovernanceRetention",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjectVersion",
    "DeleteObjectVersionTagging",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "GetObjectVersion",
    "GetObjectVersionAcl",
    "GetObjectVersionAttributes",
    "GetObjectVersionForReplication",
    "GetObjectVersionTagging",
    "GetObjectVersionTorrent",
    "InitiateReplication",
    "ListMultipartUploadParts",
    "ObjectOwnerOverrideToBucketOwner",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutObjectVersionAcl",
    "PutObjectVersionTagging",
    "ReplicateDelete",
    "ReplicateObject",
    "ReplicateTags",
    "RestoreObject",
    "UpdateObjectEncryption",
];

/// S3's actions on buckets (there).
const BUCKET: &[&str] = &[
    "CreateBucket",
    "CreateBucketMetadataTableConfiguration",
    "DeleteBucket",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketPolicy",
    "DeleteBucketWebsite",
    "GetAccelerateConfiguration",
    "GetAnalyticsConfiguration",
    "GetBucketAbac",
    "GetBucketAcl",
    "GetBucketCORS",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketMetadataTableConfiguration",
    "GetBucketNotification",
    "GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketPublicAccessBlock",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetEncryptionConfiguration",
    "GetIntelligentTieringConfiguration",
    "GetInventoryConfiguration",
    "GetLifecycleConfiguration",
    "GetMetricsConfiguration",
    "GetReplicationConfiguration",
    "ListBucket",
    "ListBucketMultipartUploads",
    "ListBucketVersions",
    "ListTagsForResource",
    "PauseReplication",
    "PutAccelerateConfiguration",
    "PutAnalyticsConfiguration",
    "PutBucketAbac",
    "PutBucketAcl",
    "PutBucketCORS",
    "PutBucketLogging",
    "PutBucketNotification",
    "PutBucketObjectLockConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutEncryptionConfiguration",
    "PutIntelligentTieringConfiguration",
    "PutInventoryConfiguration",
    "PutLifecycleConfiguration",
    "PutMetricsConfiguration",
    "PutReplicationConfiguration",
    "TagResource",
    "UntagResource",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
];

/// COS's actions that are of no operation here (its list of actions in CAM).
const COS: &[&str] = &[
    "BypassGovernanceRetention",
    "CreateBucketInventory",
    "DeleteBucketDomainCertificate",
    "DeleteBucketINTTier",
    "DeleteBucketNotification",
    "DeleteBucketReferer",
    "GetBucketDomainCertificate",
    "GetBucketINTTier",
    "GetBucketObjectLock",
    "ListBucketInventory",
    "ListLiveChannels",
    "PostBucketInventory",
    "PutBucketDomainCertificate",
    "PutBucketINTTier",
    "PutBucketObjectLock",
    "PutLiveChannel",
    "RestoreObject",
];

/// Whether some action has such a name, and what those that have it are on. `None`: the pattern is for
/// actions of which not all are known.
pub(super) fn named(action: &Action) -> Option<Vec<On>> {
    match action {
        Action::Any | Action::Other(_) => None,
        Action::S3(pattern) => {
            let any = |list: &[&str]| list.iter().any(|name| pattern.matches_ignoring_case(name));
            let on = [(BUCKET, On::Bucket), (OBJECT, On::Object)];
            Some(on.into_iter().filter(|(list, _)| any(list)).map(|(_, on)| on).collect())
        }
        Action::Cos(pattern) => {
            let ours = Op::ALL.iter().map(|op| action::cos(*op));
            let known = ours.chain(COS.iter().copied()).any(|name| pattern.matches_ignoring_case(name));
            // COS has no rule that an action must suit a resource of its statement.
            Some(if known { vec![On::Bucket, On::Object] } else { Vec::new() })
        }
    }
}

/// What a resource of S3's form can be: `arn:aws:s3:::bucket`, `arn:aws:s3:::bucket/*`.
pub(super) fn is_on(resource: &Pattern, on: On) -> bool {
    let text = resource.text();
    let stroke = text.contains('/');
    match on {
        On::Bucket => !stroke,
        On::Object => stroke || text.contains('*'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_asked_for_can_be_named() {
        for op in Op::ALL {
            // S3 has neither.
            if action::s3(*op, false).ends_with("BucketReferer")
                || ["BucketDomain", "BucketOrigin"].iter().any(|end| action::s3(*op, false).ends_with(end))
                || *op == Op::ListBuckets
            {
                continue;
            }
            for version in [false, true] {
                let name = action::s3(*op, version);
                assert!(BUCKET.contains(&name) != OBJECT.contains(&name), "{name}");
            }
        }
    }
}
