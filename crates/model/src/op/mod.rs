//! The operations of the object services: one table, one request and one reply type each.
//!
//! Nothing here knows how an operation is spelled on the wire.

pub mod access;
pub mod append;
pub mod attributes;
pub mod bucket;
pub mod cors;
pub mod form;
pub mod inventory;
pub mod lock;
pub mod multipart;
pub mod object;
pub mod restore;
pub mod select;
pub mod setting;
pub mod symlink;
pub mod tagging;
pub mod version;
pub mod website;

use crate::Identity;
pub use access::*;
pub use append::*;
pub use attributes::*;
pub use bucket::*;
pub use cors::*;
pub use form::*;
pub use inventory::*;
pub use lock::*;
pub use multipart::*;
pub use object::*;
pub use restore::*;
pub use select::*;
pub use setting::*;
pub use symlink::*;
pub use tagging::*;
pub use version::*;
pub use website::*;

/// What an operation acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    Service,
    Bucket,
    Object,
}

/// Which services have the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Services {
    Both,
    CosOnly,
    S3Only,
}

macro_rules! operations {
    (
        supported { $($op:ident $level:ident $services:ident $about:literal;)* }
        settings { $($set:ident $setservices:ident $setabout:literal;)* }
        unsupported { $($un:ident $unlevel:ident $unservices:ident $unabout:literal;)* }
    ) => {
        /// Every operation by its published name, supported or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Op { $($op,)* $($set,)* $($un,)* }

        impl Op {
            pub const ALL: &'static [Self] = &[$(Self::$op,)* $(Self::$set,)* $(Self::$un,)*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$op => stringify!($op),)*
                    $(Self::$set => stringify!($set),)*
                    $(Self::$un => stringify!($un),)*
                }
            }

            pub const fn level(self) -> Level {
                match self {
                    $(Self::$op => Level::$level,)*
                    $(Self::$set => Level::Bucket,)*
                    $(Self::$un => Level::$unlevel,)*
                }
            }

            pub const fn services(self) -> Services {
                match self {
                    $(Self::$op => Services::$services,)*
                    $(Self::$set => Services::$setservices,)*
                    $(Self::$un => Services::$unservices,)*
                }
            }

            /// One line for the support table in `docs/api-support.md`.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$op => $about,)*
                    $(Self::$set => $setabout,)*
                    $(Self::$un => $unabout,)*
                }
            }

            /// Whether a handler stands behind it; the others answer `NotImplemented`.
            pub const fn supported(self) -> bool {
                match self {
                    $(Self::$op => true,)*
                    $(Self::$set => true,)*
                    $(Self::$un => false,)*
                }
            }
        }

        /// A decoded request.
        #[derive(Debug)]
        pub enum Call { $($op($op),)* PutSetting(PutSetting), GetSetting(GetSetting), DeleteSetting(DeleteSetting), ListSettings(ListSettings) }

        impl Call {
            pub fn op(&self) -> Op {
                match self {
                    $(Self::$op(_) => Op::$op,)*
                    Self::PutSetting(ask) => ask.name.put(),
                    Self::GetSetting(ask) => ask.name.get(),
                    Self::DeleteSetting(ask) => ask.name.delete().unwrap_or(ask.name.put()),
                    Self::ListSettings(ask) => ask.name.list().unwrap_or(ask.name.get()),
                }
            }
        }

        /// What an operation answered.
        #[derive(Debug)]
        pub enum Reply {
            $($op(reply::$op),)*
            PutSetting(reply::PutSetting),
            GetSetting(reply::GetSetting),
            DeleteSetting(reply::DeleteSetting),
            ListSettings(reply::ListSettings),
            /// In place of what `GetObject` or `HeadObject` answers.
            FromOrigin(reply::FromOrigin),
        }

        impl Reply {
            pub fn op(&self) -> Op {
                match self {
                    $(Self::$op(_) => Op::$op,)*
                    Self::PutSetting(done) => done.name.put(),
                    Self::GetSetting(found) => found.name.get(),
                    Self::DeleteSetting(done) => done.name.delete().unwrap_or(done.name.put()),
                    Self::ListSettings(found) => found.name.list().unwrap_or(found.name.get()),
                    Self::FromOrigin(_) => Op::GetObject,
                }
            }
        }
    };
}

operations! {
    supported {
        ListBuckets Service Both "GET Service: the account's buckets";
        CreateBucket Bucket Both "PUT Bucket";
        HeadBucket Bucket Both "HEAD Bucket";
        DeleteBucket Bucket Both "DELETE Bucket";
        GetBucketLocation Bucket Both "GET Bucket location";
        ListObjects Bucket Both "GET Bucket, version 1";
        ListObjectsV2 Bucket Both "GET Bucket, version 2";
        ListMultipartUploads Bucket Both "List unfinished uploads";
        DeleteObjects Bucket Both "Delete up to 1000 objects";
        PutObjectAcl Object Both "Set an object's ACL";
        GetObjectAcl Object Both "Read an object's ACL";
        PutBucketAcl Bucket Both "Set a bucket's ACL";
        GetBucketAcl Bucket Both "Read a bucket's ACL";
        PutBucketPolicy Bucket Both "Set policy";
        GetBucketPolicy Bucket Both "Read policy";
        DeleteBucketPolicy Bucket Both "Remove policy";
        GetBucketPolicyStatus Bucket S3Only "Whether the policy makes the bucket public";
        PutPublicAccessBlock Bucket S3Only "Set public access block";
        GetPublicAccessBlock Bucket S3Only "Read public access block";
        DeletePublicAccessBlock Bucket S3Only "Remove public access block";
        PutBucketOwnershipControls Bucket S3Only "Set ownership controls";
        GetBucketOwnershipControls Bucket S3Only "Read ownership controls";
        DeleteBucketOwnershipControls Bucket S3Only "Remove ownership controls";
        PostObject Bucket Both "POST form upload";
        PutObject Object Both "PUT Object";
        GetObject Object Both "GET Object, with Range, conditions and response overrides";
        HeadObject Object Both "HEAD Object";
        DeleteObject Object Both "DELETE Object";
        CopyObject Object Both "PUT Object - Copy";
        CreateMultipartUpload Object Both "Initiate Multipart Upload";
        UploadPart Object Both "Upload Part";
        ListParts Object Both "List Parts";
        CompleteMultipartUpload Object Both "Complete Multipart Upload";
        AbortMultipartUpload Object Both "Abort Multipart Upload";
        ListObjectVersions Bucket Both "List versions";
        PutBucketVersioning Bucket Both "Set versioning";
        GetBucketVersioning Bucket Both "Read versioning";
        RestoreObject Object Both "Restore from archive";
        PutObjectRetention Object Both "Set retention";
        GetObjectRetention Object Both "Read retention";
        PutObjectLegalHold Object S3Only "Set legal hold";
        GetObjectLegalHold Object S3Only "Read legal hold";
        PutObjectTagging Object Both "Set an object's tags";
        GetObjectTagging Object Both "Read an object's tags";
        DeleteObjectTagging Object Both "Remove an object's tags";
        OptionsObject Object Both "CORS preflight";
        UploadPartCopy Object Both "Upload Part - Copy";
        AppendObject Object CosOnly "Append";
        PutSymlink Object CosOnly "Make a symlink";
        GetSymlink Object CosOnly "Read where a symlink leads";
        PostBucketInventory Bucket CosOnly "Write an inventory once, at once";
        GetObjectAttributes Object S3Only "Attributes of an object";
        SelectObjectContent Object Both "Query an object: CSV, JSON or Parquet";
        ServeWebsite Object Both "What a bucket's website host answers";
    }
    settings {
        PutBucketTagging Both "Set a bucket's tags";
        GetBucketTagging Both "Read a bucket's tags";
        DeleteBucketTagging Both "Remove a bucket's tags";
        PutBucketCors Both "Set CORS";
        GetBucketCors Both "Read CORS";
        DeleteBucketCors Both "Remove CORS";
        PutBucketWebsite Both "Set website";
        GetBucketWebsite Both "Read website";
        DeleteBucketWebsite Both "Remove website";
        PutBucketReferer CosOnly "Set referer rules";
        GetBucketReferer CosOnly "Read referer rules";
        PutObjectLockConfiguration Both "Set object lock";
        GetObjectLockConfiguration Both "Read object lock";
        PutBucketLifecycle Both "Set lifecycle";
        GetBucketLifecycle Both "Read lifecycle";
        DeleteBucketLifecycle Both "Remove lifecycle";
        PutBucketLogging Both "Set logging";
        GetBucketLogging Both "Read logging";
        PutBucketAccelerate Both "Set acceleration";
        GetBucketAccelerate Both "Read acceleration";
        PutBucketDomain CosOnly "Set domains";
        GetBucketDomain CosOnly "Read domains";
        DeleteBucketDomain CosOnly "Remove domains";
        PutBucketEncryption Both "Set default encryption";
        GetBucketEncryption Both "Read default encryption";
        DeleteBucketEncryption Both "Remove default encryption";
        PutBucketRequestPayment S3Only "Set request payment";
        GetBucketRequestPayment S3Only "Read request payment";
        PutBucketNotification S3Only "Set event notification";
        GetBucketNotification S3Only "Read event notification";
        PutBucketReplication Both "Set replication";
        GetBucketReplication Both "Read replication";
        DeleteBucketReplication Both "Remove replication";
        PutBucketOrigin CosOnly "Set origin rules";
        GetBucketOrigin CosOnly "Read origin rules";
        DeleteBucketOrigin CosOnly "Remove origin rules";
        PutBucketInventory Both "Set an inventory";
        GetBucketInventory Both "Read an inventory";
        DeleteBucketInventory Both "Remove an inventory";
        ListBucketInventory Both "List inventories";
        PutBucketDefaultTiering CosOnly "Set intelligent tiering's default rule, first form";
        GetBucketDefaultTiering CosOnly "Read intelligent tiering's default rule, first form";
        PutBucketIntelligentTiering Both "Set a rule of intelligent tiering";
        GetBucketIntelligentTiering Both "Read a rule of intelligent tiering";
        DeleteBucketIntelligentTiering Both "Remove a rule of intelligent tiering";
        ListBucketIntelligentTiering Both "List rules of intelligent tiering";
        PutBucketAnalytics S3Only "Set an analysis";
        GetBucketAnalytics S3Only "Read an analysis";
        DeleteBucketAnalytics S3Only "Remove an analysis";
        ListBucketAnalytics S3Only "List analyses";
        PutBucketMetrics S3Only "Set request metrics";
        GetBucketMetrics S3Only "Read request metrics";
        DeleteBucketMetrics S3Only "Remove request metrics";
        ListBucketMetrics S3Only "List request metrics";
    }
    unsupported {
        RenameObject Object Both "Rename";
    }
}

impl Call {
    /// The body it stores.
    pub fn body(&mut self) -> Option<&mut crate::Body> {
        match self {
            Self::PutObject(ask) => Some(&mut ask.body),
            Self::PostObject(ask) => Some(&mut ask.body),
            Self::AppendObject(ask) => Some(&mut ask.body),
            Self::UploadPart(ask) => Some(&mut ask.body),
            _ => None,
        }
    }
}

/// What every handler is told of the request besides the operation itself.
#[derive(Clone, Debug)]
pub struct Context {
    pub request_id: crate::RequestId,
    pub identity: Identity,
    /// What the change record remembers of this request.
    pub cause: crate::Cause,
    /// The region the request was addressed to, when its host names one.
    pub region: Option<crate::Region>,
    /// The page that the request says it comes from.
    pub referer: Option<String>,
    /// Whose the bucket must be, by UIN; another's is refused.
    pub expected_owner: Option<String>,
    /// For the conditions of policies.
    pub facts: LazyFacts,
    /// When the request came.
    pub now: crate::Timestamp,
    /// It came over an acceleration host.
    pub accelerated: bool,
    /// Its sender says that it pays for it.
    pub pays: bool,
    /// How fast its body may come or go, in bits a second.
    pub traffic_limit: Option<u64>,
    pub policy: Policy,
}

/// The few points where the two services truly differ in meaning, not in spelling.
/// The wire fills it in from the dialect; a handler asks the point, never the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Smallest part but the last, in bytes: 1 MiB on COS (cos-api 3.5), 5 MiB on S3.
    pub part_size_min: u64,
    /// A complete that comes again is answered as the first (S3); on COS its upload is gone.
    pub complete_again: bool,
    /// A bucket with open uploads cannot be deleted (COS, cos-api 3.1); on S3 they go with it.
    pub uploads_keep_bucket: bool,
    /// What a delete marker answers to a read that names its version: `NoSuchKey` on COS,
    /// `MethodNotAllowed` on S3 (cos-api 4.3).
    pub marker_code: crate::ErrorCode,
    /// A missing copy source answers `NoSuchCopySource` (COS has the code) or `NoSuchKey`.
    pub copy_source_code: crate::ErrorCode,
    /// An origin that may always look, whatever the bucket's rules: COS's own console (cos-api 3.3).
    pub console_origin: Option<&'static str>,
    /// Object lock needs a bucket with versions and has modes (S3), or excludes versions and has none (COS).
    pub lock_by_version: bool,
    /// The Content-Type of an object written without one is guessed from the key's extension (COS 3.0).
    pub guess_content_type: bool,
    /// A canned ACL and grants in headers add up, and to the owner's own grant (COS 2.13); S3 takes
    /// one of the two as it is.
    pub acl_adds_up: bool,
    /// Most buckets of one account: 200 on COS (cos-api 3.7), where that is kept to.
    pub buckets_max: Option<usize>,
    /// Replicas stay within the account (COS, cos-api 6.2); S3's go where the destination lets them.
    pub replicas_stay: bool,
    /// One of several settings must be there to be removed (S3).
    pub removal_finds: bool,
    /// The region where its owner may create a bucket again, which resets its ACL and nothing else (S3's
    /// first; everywhere else `BucketAlreadyOwnedByYou`).
    pub create_again_region: Option<&'static str>,
    /// Days may come with a restore from a tier of intelligent tiering, and say nothing (COS: they "need not
    /// be given"); S3 takes none.
    pub tier_days: bool,
}

/// What a request is about, known before its headers and its document are read.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub bucket: Option<crate::BucketName>,
    pub key: Option<crate::ObjectKey>,
    pub version: Option<crate::VersionId>,
}

/// Replies, by the names of their operations.
pub mod reply {
    pub use super::access::reply::*;
    pub use super::append::reply::*;
    pub use super::attributes::reply::*;
    pub use super::bucket::reply::*;
    pub use super::cors::reply::*;
    pub use super::form::reply::*;
    pub use super::inventory::reply::*;
    pub use super::lock::reply::*;
    pub use super::multipart::reply::*;
    pub use super::object::reply::*;
    pub use super::restore::reply::*;
    pub use super::select::reply::*;
    pub use super::setting::reply::*;
    pub use super::symlink::reply::*;
    pub use super::tagging::reply::*;
    pub use super::version::reply::*;
    pub use super::website::reply::*;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Op::ALL.iter().map(|op| op.name()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }
}
