//! What policies call each operation: S3's action (Service Authorization Reference, "Actions defined by
//! Amazon S3") and COS's (its list of actions in CAM), the latter inferred where COS lists none.

use cosette_model::Permission;
use cosette_model::op::Op;

macro_rules! actions {
    ($($op:ident $s3:literal $(@ $version:literal)? $cos:literal;)*) => {
        /// S3's name, without `s3:`. A version named in the request makes some actions others.
        pub(crate) const fn s3(op: Op, version: bool) -> &'static str {
            match op { $(Op::$op => { $(if version { return $version; })? let _ = version; $s3 })* }
        }

        /// COS's name, without `name/cos:`.
        pub(crate) const fn cos(op: Op) -> &'static str {
            match op { $(Op::$op => $cos,)* }
        }
    };
}

actions! {
    ListBuckets "ListAllMyBuckets" "GetService";
    CreateBucket "CreateBucket" "PutBucket";
    HeadBucket "ListBucket" "HeadBucket";
    DeleteBucket "DeleteBucket" "DeleteBucket";
    GetBucketLocation "GetBucketLocation" "GetBucketLocation";
    ListObjects "ListBucket" "GetBucket";
    ListObjectsV2 "ListBucket" "GetBucket";
    ListMultipartUploads "ListBucketMultipartUploads" "ListMultipartUploads";
    ListObjectVersions "ListBucketVersions" "GetBucketObjectVersions";
    DeleteObjects "DeleteObject" @ "DeleteObjectVersion" "DeleteMultipleObjects";
    PutObject "PutObject" "PutObject";
    GetObject "GetObject" @ "GetObjectVersion" "GetObject";
    HeadObject "GetObject" @ "GetObjectVersion" "HeadObject";
    DeleteObject "DeleteObject" @ "DeleteObjectVersion" "DeleteObject";
    CopyObject "PutObject" "PutObjectCopy";
    CreateMultipartUpload "PutObject" "InitiateMultipartUpload";
    UploadPart "PutObject" "UploadPart";
    ListParts "ListMultipartUploadParts" "ListParts";
    CompleteMultipartUpload "PutObject" "CompleteMultipartUpload";
    AbortMultipartUpload "AbortMultipartUpload" "AbortMultipartUpload";
    PostObject "PutObject" "PostObject";
    UploadPartCopy "PutObject" "UploadPartCopy";
    AppendObject "PutObject" "AppendObject";
    GetObjectAttributes "GetObjectAttributes" @ "GetObjectVersionAttributes" "GetObjectAttributes";
    RestoreObject "RestoreObject" "PostObjectRestore";
    SelectObjectContent "GetObject" @ "GetObjectVersion" "GetObject";
    ServeWebsite "GetObject" "GetObject";
    OptionsObject "GetObject" "OptionsObject";
    PutObjectAcl "PutObjectAcl" @ "PutObjectVersionAcl" "PutObjectACL";
    GetObjectAcl "GetObjectAcl" @ "GetObjectVersionAcl" "GetObjectACL";
    PutObjectTagging "PutObjectTagging" @ "PutObjectVersionTagging" "PutObjectTagging";
    GetObjectTagging "GetObjectTagging" @ "GetObjectVersionTagging" "GetObjectTagging";
    DeleteObjectTagging "DeleteObjectTagging" @ "DeleteObjectVersionTagging" "DeleteObjectTagging";
    PutObjectRetention "PutObjectRetention" "PutObjectRetention";
    GetObjectRetention "GetObjectRetention" "GetObjectRetention";
    PutObjectLegalHold "PutObjectLegalHold" "PutObjectLegalHold";
    GetObjectLegalHold "GetObjectLegalHold" "GetObjectLegalHold";
    PutSymlink "PutObject" "PutSymlink";
    GetSymlink "GetObject" "GetSymlink";
    RenameObject "PutObject" "RenameObject";
    PutBucketVersioning "PutBucketVersioning" "PutBucketVersioning";
    GetBucketVersioning "GetBucketVersioning" "GetBucketVersioning";
    PutBucketAcl "PutBucketAcl" "PutBucketACL";
    GetBucketAcl "GetBucketAcl" "GetBucketACL";
    PutBucketPolicy "PutBucketPolicy" "PutBucketPolicy";
    GetBucketPolicy "GetBucketPolicy" "GetBucketPolicy";
    DeleteBucketPolicy "DeleteBucketPolicy" "DeleteBucketPolicy";
    GetBucketPolicyStatus "GetBucketPolicyStatus" "GetBucketPolicyStatus";
    PutBucketCors "PutBucketCORS" "PutBucketCORS";
    GetBucketCors "GetBucketCORS" "GetBucketCORS";
    DeleteBucketCors "PutBucketCORS" "DeleteBucketCORS";
    PutBucketLifecycle "PutLifecycleConfiguration" "PutBucketLifecycle";
    GetBucketLifecycle "GetLifecycleConfiguration" "GetBucketLifecycle";
    DeleteBucketLifecycle "PutLifecycleConfiguration" "DeleteBucketLifecycle";
    PutBucketTagging "PutBucketTagging" "PutBucketTagging";
    GetBucketTagging "GetBucketTagging" "GetBucketTagging";
    DeleteBucketTagging "PutBucketTagging" "DeleteBucketTagging";
    PutBucketWebsite "PutBucketWebsite" "PutBucketWebsite";
    GetBucketWebsite "GetBucketWebsite" "GetBucketWebsite";
    DeleteBucketWebsite "DeleteBucketWebsite" "DeleteBucketWebsite";
    PutBucketReferer "PutBucketReferer" "PutBucketReferer";
    GetBucketReferer "GetBucketReferer" "GetBucketReferer";
    PutBucketLogging "PutBucketLogging" "PutBucketLogging";
    GetBucketLogging "GetBucketLogging" "GetBucketLogging";
    PutBucketNotification "PutBucketNotification" "PutBucketNotification";
    GetBucketNotification "GetBucketNotification" "GetBucketNotification";
    PutBucketReplication "PutReplicationConfiguration" "PutBucketReplication";
    GetBucketReplication "GetReplicationConfiguration" "GetBucketReplication";
    DeleteBucketReplication "PutReplicationConfiguration" "DeleteBucketReplication";
    PutBucketOrigin "PutBucketOrigin" "PutBucketOrigin";
    GetBucketOrigin "GetBucketOrigin" "GetBucketOrigin";
    DeleteBucketOrigin "DeleteBucketOrigin" "DeleteBucketOrigin";
    PutBucketEncryption "PutEncryptionConfiguration" "PutBucketEncryption";
    GetBucketEncryption "GetEncryptionConfiguration" "GetBucketEncryption";
    DeleteBucketEncryption "PutEncryptionConfiguration" "DeleteBucketEncryption";
    PutBucketInventory "PutInventoryConfiguration" "PutBucketInventory";
    GetBucketInventory "GetInventoryConfiguration" "GetBucketInventory";
    DeleteBucketInventory "PutInventoryConfiguration" "DeleteBucketInventory";
    ListBucketInventory "GetInventoryConfiguration" "GetBucketInventory";
    PostBucketInventory "PutInventoryConfiguration" "PostBucketInventory";
    PutBucketAccelerate "PutAccelerateConfiguration" "PutBucketAccelerate";
    GetBucketAccelerate "GetAccelerateConfiguration" "GetBucketAccelerate";
    PutBucketDomain "PutBucketDomain" "PutBucketDomain";
    GetBucketDomain "GetBucketDomain" "GetBucketDomain";
    DeleteBucketDomain "DeleteBucketDomain" "DeleteBucketDomain";
    PutBucketIntelligentTiering "PutIntelligentTieringConfiguration" "PutBucketIntelligentTiering";
    GetBucketIntelligentTiering "GetIntelligentTieringConfiguration" "GetBucketIntelligentTiering";
    DeleteBucketIntelligentTiering "PutIntelligentTieringConfiguration" "DeleteBucketIntelligentTiering";
    ListBucketIntelligentTiering "GetIntelligentTieringConfiguration" "ListBucketIntelligentTiering";
    PutBucketDefaultTiering "PutIntelligentTieringConfiguration" "PutBucketIntelligentTiering";
    GetBucketDefaultTiering "GetIntelligentTieringConfiguration" "GetBucketIntelligentTiering";
    PutObjectLockConfiguration "PutBucketObjectLockConfiguration" "PutBucketObjectLockConfiguration";
    GetObjectLockConfiguration "GetBucketObjectLockConfiguration" "GetBucketObjectLockConfiguration";
    PutBucketRequestPayment "PutBucketRequestPayment" "PutBucketRequestPayment";
    GetBucketRequestPayment "GetBucketRequestPayment" "GetBucketRequestPayment";
    PutPublicAccessBlock "PutBucketPublicAccessBlock" "PutBucketPublicAccessBlock";
    GetPublicAccessBlock "GetBucketPublicAccessBlock" "GetBucketPublicAccessBlock";
    DeletePublicAccessBlock "PutBucketPublicAccessBlock" "DeleteBucketPublicAccessBlock";
    PutBucketOwnershipControls "PutBucketOwnershipControls" "PutBucketOwnershipControls";
    GetBucketOwnershipControls "GetBucketOwnershipControls" "GetBucketOwnershipControls";
    DeleteBucketOwnershipControls "PutBucketOwnershipControls" "DeleteBucketOwnershipControls";
    PutBucketAnalytics "PutAnalyticsConfiguration" "PutBucketAnalytics";
    GetBucketAnalytics "GetAnalyticsConfiguration" "GetBucketAnalytics";
    DeleteBucketAnalytics "PutAnalyticsConfiguration" "DeleteBucketAnalytics";
    ListBucketAnalytics "GetAnalyticsConfiguration" "GetBucketAnalytics";
    PutBucketMetrics "PutMetricsConfiguration" "PutBucketMetrics";
    GetBucketMetrics "GetMetricsConfiguration" "GetBucketMetrics";
    DeleteBucketMetrics "PutMetricsConfiguration" "DeleteBucketMetrics";
    ListBucketMetrics "GetMetricsConfiguration" "GetBucketMetrics";
}

/// What is asked to be done, as policies call it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) op: Op,
    /// Without `s3:`.
    pub(crate) s3: &'static str,
    /// Without `name/cos:`.
    pub(crate) cos: &'static str,
    pub(crate) need: Need,
}

impl Act {
    pub(crate) const fn of(op: Op, version: bool) -> Self {
        Self { op, s3: s3(op, version), cos: cos(op), need: need(op, version) }
    }

    /// To go past governance retention, which no operation is for.
    pub(crate) const BYPASS_GOVERNANCE: Self = Self {
        op: Op::PutObjectRetention,
        s3: "BypassGovernanceRetention",
        cos: "BypassGovernanceRetention",
        need: Need::Owner,
    };

    /// Whether it makes an object; `None` for what does not write any.
    pub(crate) fn creates(self) -> Option<bool> {
        (self.s3 == "PutObject")
            .then_some(!matches!(self.op, Op::CreateMultipartUpload | Op::UploadPart | Op::UploadPartCopy))
    }
}

/// Whether it is on an object that is there: who may do it can depend on the object.
pub(crate) const fn of_object(op: Op) -> bool {
    matches!(need(op, false), Need::Object(_))
        || matches!(
            op,
            Op::GetObjectTagging
                | Op::PutObjectTagging
                | Op::DeleteObjectTagging
                | Op::GetObjectRetention
                | Op::PutObjectRetention
                | Op::GetObjectLegalHold
                | Op::PutObjectLegalHold
                | Op::RestoreObject
        )
}

/// What lets an operation be done when no policy says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To own the bucket.
    Owner,
    /// A grant of the bucket's list.
    Bucket(Permission),
    /// A grant of the object's list.
    Object(Permission),
}

/// The permissions of lists and the operations they cover (both services' pages on ACLs).
pub(crate) const fn need(op: Op, version: bool) -> Need {
    match op {
        // A grant to write lets nobody but the owner remove a version for good.
        Op::DeleteObject | Op::DeleteObjects if version => Need::Owner,
        Op::HeadBucket
        | Op::ListObjects
        | Op::ListObjectsV2
        | Op::ListObjectVersions
        | Op::ListMultipartUploads => Need::Bucket(Permission::Read),
        Op::PutObject
        | Op::PostObject
        | Op::CopyObject
        | Op::AppendObject
        | Op::PutSymlink
        | Op::RenameObject
        | Op::DeleteObject
        | Op::DeleteObjects
        | Op::CreateMultipartUpload
        | Op::UploadPart
        | Op::UploadPartCopy
        | Op::ListParts
        | Op::CompleteMultipartUpload
        | Op::AbortMultipartUpload => Need::Bucket(Permission::Write),
        Op::GetBucketAcl => Need::Bucket(Permission::ReadAcp),
        Op::PutBucketAcl => Need::Bucket(Permission::WriteAcp),
        Op::GetObject
        | Op::HeadObject
        | Op::GetObjectAttributes
        | Op::SelectObjectContent
        | Op::GetSymlink
        | Op::OptionsObject => Need::Object(Permission::Read),
        Op::GetObjectAcl => Need::Object(Permission::ReadAcp),
        Op::PutObjectAcl => Need::Object(Permission::WriteAcp),
        _ => Need::Owner,
    }
}
