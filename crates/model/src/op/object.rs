//! Operations on whole objects.

use std::sync::Arc;

use crate::{
    AccessTier, Attributes, Body, BucketName, ByteRange, ByteStream, Checksum, ChecksumAlgorithm,
    CustomerKey, ETag, Encrypted, Encryption, ErrorCode, Lock, ObjectKey, PartNumber, Properties,
    ReplicaState, Restore, Sent, Tags, Timestamp, VersionId,
};

/// What must hold of the object for the operation to go on (RFC 9110 13).
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Any of these tags; `*` as `AnyTag::Any`.
    pub if_match: Option<TagMatch>,
    pub if_none_match: Option<TagMatch>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

/// The value of an `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagMatch {
    Any,
    Tags(Vec<ETag>),
}

impl TagMatch {
    pub fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(etag),
        }
    }
}

impl Conditions {
    /// For reads: `Ok` to go on, else `NotModified` or `PreconditionFailed`, in the order of RFC 9110 13.2.2.
    /// Times compare in whole seconds, as headers carry them.
    pub fn check_read(&self, etag: &ETag, modified: Timestamp) -> Result<(), ErrorCode> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return Err(ErrorCode::PreconditionFailed),
            (None, Some(since)) if modified.as_secs() > since.as_secs() => {
                return Err(ErrorCode::PreconditionFailed);
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches(etag) => Err(ErrorCode::NotModified),
            (None, Some(since)) if modified.as_secs() <= since.as_secs() => Err(ErrorCode::NotModified),
            _ => Ok(()),
        }
    }

    /// For a copy's source: every failure is `PreconditionFailed`.
    pub fn check_source(&self, etag: &ETag, modified: Timestamp) -> Result<(), ErrorCode> {
        self.check_read(etag, modified).map_err(|_| ErrorCode::PreconditionFailed)
    }
}

/// What must hold of the key for a write to go on; decided in the commit, so it is linearizable.
#[derive(Clone, Debug, Default)]
pub struct WriteConditions {
    /// S3: the current object has one of these tags (a missing object answers `NoSuchKey`).
    pub if_match: Option<TagMatch>,
    /// S3: no current object (`*`), or none with these tags.
    pub if_none_match: Option<TagMatch>,
    /// COS `x-cos-forbid-overwrite`: an existing object answers `FileAlreadyExists`.
    pub forbid_overwrite: bool,
}

#[derive(Debug)]
pub struct PutObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub properties: Properties,
    pub acl: super::AskedAcl,
    /// `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    pub conditions: WriteConditions,
    /// Checksums to compute, store and answer, besides those the body itself promises.
    pub checksum: Option<ChecksumAlgorithm>,
    pub body: Body,
}

/// Replacement reply headers asked for by `response-*` parameters.
#[derive(Clone, Debug, Default)]
pub struct ResponseOverrides {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
}

#[derive(Clone, Debug)]
pub struct GetObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub range: Option<ByteRange>,
    /// Only the bytes of this part; never together with `range`.
    pub part: Option<PartNumber>,
    /// `If-Range`: the range counts only if this tag is the object's.
    pub if_range: Option<ETag>,
    pub conditions: Conditions,
    pub overrides: ResponseOverrides,
    /// Stored checksums are to be shown (`x-amz-checksum-mode: ENABLED`).
    pub checksums: bool,
    /// What it is encrypted under, if it is under a key of a customer's.
    pub customer: Option<CustomerKey>,
    /// The request as it came, for origins.
    pub sent: Option<Arc<dyn Sent>>,
}

#[derive(Debug)]
pub struct HeadObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub range: Option<ByteRange>,
    /// As in [`GetObject`].
    pub part: Option<PartNumber>,
    pub conditions: Conditions,
    pub overrides: ResponseOverrides,
    pub checksums: bool,
    /// As in [`GetObject`].
    pub customer: Option<CustomerKey>,
    /// As in [`GetObject`].
    pub sent: Option<Arc<dyn Sent>>,
}

#[derive(Debug)]
pub struct DeleteObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// The current object must have one of these tags, whichever version goes (S3: conditional deletes).
    pub if_match: Option<TagMatch>,
    /// Removes a version even under governance retention.
    pub bypass_governance: bool,
}

/// One line of a multi-delete. A key that cannot be a key is kept as text and fails on its own.
#[derive(Clone, Debug)]
pub struct DeleteEntry {
    pub key: String,
    pub version: Option<VersionId>,
    /// As in [`DeleteObject`].
    pub if_match: Option<TagMatch>,
}

#[derive(Debug)]
pub struct DeleteObjects {
    pub bucket: BucketName,
    pub entries: Vec<DeleteEntry>,
    pub quiet: bool,
    /// As in [`DeleteObject`].
    pub bypass_governance: bool,
}

/// What a copy reads.
#[derive(Clone, Debug)]
pub struct CopySource {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub conditions: Conditions,
    /// Whose the bucket must be, by UIN.
    pub expected_owner: Option<String>,
    /// As in [`GetObject`].
    pub customer: Option<CustomerKey>,
}

#[derive(Debug)]
pub struct CopyObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub source: CopySource,
    /// `Some` replaces the source's attributes (`REPLACE` / `Replaced`), `None` copies them.
    /// Of the attributes the storage class is never taken from the source.
    pub replace: Option<Attributes>,
    pub storage_class: crate::StorageClass,
    /// Neither is this.
    pub website_redirect: Option<String>,
    /// `Some` replaces the source's tags, `None` copies them.
    pub tags: Option<Tags>,
    /// Of the copy; a source's lock is never copied.
    pub lock: Lock,
    pub acl: super::AskedAcl,
    /// `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    pub conditions: WriteConditions,
    pub checksum: Option<ChecksumAlgorithm>,
}

/// What is known of an object, for the headers of HEAD and GET.
#[derive(Clone, Debug)]
pub struct ObjectInfo {
    pub size: u64,
    pub etag: ETag,
    pub modified: Timestamp,
    pub attributes: Attributes,
    /// CRC-64/XZ of the whole object.
    pub crc64: u64,
    /// `None` while the bucket never had versioning.
    pub version: Option<VersionId>,
    /// Empty unless they were asked for.
    pub checksums: Vec<Checksum>,
    /// How the checksums of a multipart object were made; `None` otherwise.
    pub checksum_type: Option<super::ChecksumType>,
    pub tags: usize,
    /// Number of parts, for an object made by a multipart upload.
    pub parts: Option<u32>,
    /// Of an archived object, as it stands now.
    pub restore: Option<Restore>,
    /// Made by appends, and open to more.
    pub appendable: bool,
    pub lock: Lock,
    pub encryption: Option<Encrypted>,
    /// Of a current object.
    pub expiry: Option<Expiry>,
    /// Of an object of intelligent tiering, as far as it was asked for: always where it must be restored.
    pub tier: Option<AccessTier>,
    pub replica: Option<ReplicaState>,
}

/// When a lifecycle rule will do something, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub at: Timestamp,
    /// The rule's id.
    pub rule: String,
}

impl From<(Timestamp, &str)> for Expiry {
    fn from((at, rule): (Timestamp, &str)) -> Self {
        Self { at, rule: rule.to_owned() }
    }
}

pub mod reply {
    use super::*;

    #[derive(Debug)]
    pub struct PutObject {
        pub etag: ETag,
        pub crc64: u64,
        pub version: Option<VersionId>,
        pub checksums: Vec<Checksum>,
        pub encryption: Option<Encrypted>,
        pub expiry: Option<Expiry>,
    }

    pub struct GetObject {
        pub info: ObjectInfo,
        /// The part of the body that follows, as half-open positions; `None` for all of it.
        pub range: Option<(u64, u64)>,
        /// A part was asked for by its number: the count of parts is shown.
        pub by_part: bool,
        pub overrides: ResponseOverrides,
        pub body: ByteStream,
    }

    impl std::fmt::Debug for GetObject {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("GetObject")
                .field("info", &self.info)
                .field("range", &self.range)
                .finish_non_exhaustive()
        }
    }

    /// What is answered for an object that is not there, by a rule for origins.
    pub enum FromOrigin {
        /// The client is to ask there.
        Elsewhere { status: u16, location: Location },
        /// What the origin sends.
        Body {
            attributes: Box<Attributes>,
            overrides: Box<ResponseOverrides>,
            /// Bytes, if they are known.
            length: Option<u64>,
            /// Of a part of the object.
            content_range: Option<String>,
            body: ByteStream,
        },
    }

    impl std::fmt::Debug for FromOrigin {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Self::Elsewhere { status, location } => {
                    write!(f, "Elsewhere({status} {location:?})")
                }
                Self::Body { length, .. } => write!(f, "Body({length:?})"),
            }
        }
    }

    /// Where a client is sent.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Location {
        Made(crate::OriginUrl),
        /// In the origin's own words.
        Told(String),
    }

    #[derive(Debug)]
    pub struct HeadObject {
        pub info: ObjectInfo,
        pub range: Option<(u64, u64)>,
        pub by_part: bool,
        pub overrides: ResponseOverrides,
    }

    #[derive(Debug, Default)]
    pub struct DeleteObject {
        pub version: Option<VersionId>,
        /// The version made or removed is a delete marker.
        pub delete_marker: bool,
    }

    #[derive(Debug)]
    pub struct Deleted {
        pub key: String,
        /// The version the request named.
        pub version: Option<VersionId>,
        pub delete_marker: Option<VersionId>,
    }

    #[derive(Debug)]
    pub struct DeleteFailed {
        pub key: String,
        pub version: Option<VersionId>,
        pub error: crate::Error,
    }

    #[derive(Debug)]
    pub struct DeleteObjects {
        /// In the order of the request; empty when it was quiet.
        pub deleted: Vec<Deleted>,
        pub failed: Vec<DeleteFailed>,
    }

    #[derive(Debug)]
    pub struct CopyObject {
        pub etag: ETag,
        pub crc64: u64,
        pub modified: Timestamp,
        pub version: Option<VersionId>,
        pub source_version: Option<VersionId>,
        pub checksums: Vec<Checksum>,
        pub encryption: Option<Encrypted>,
        pub expiry: Option<Expiry>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(conditions: Conditions) -> Result<(), ErrorCode> {
        conditions.check_read(&ETag::parse("a"), Timestamp::from_secs(100))
    }

    #[test]
    fn precedence_follows_the_rfc() {
        let tag = |t: &str| Some(TagMatch::Tags(vec![ETag::parse(t)]));
        let at = |s| Some(Timestamp::from_secs(s));
        assert_eq!(check(Conditions::default()), Ok(()));
        assert_eq!(
            check(Conditions { if_match: tag("b"), ..Default::default() }),
            Err(ErrorCode::PreconditionFailed)
        );
        assert_eq!(
            check(Conditions { if_match: tag("a"), if_unmodified_since: at(1), ..Default::default() }),
            Ok(())
        );
        assert_eq!(
            check(Conditions { if_unmodified_since: at(99), ..Default::default() }),
            Err(ErrorCode::PreconditionFailed)
        );
        assert_eq!(
            check(Conditions { if_none_match: Some(TagMatch::Any), ..Default::default() }),
            Err(ErrorCode::NotModified)
        );
        assert_eq!(
            check(Conditions { if_none_match: tag("b"), if_modified_since: at(200), ..Default::default() }),
            Ok(())
        );
        assert_eq!(
            check(Conditions { if_modified_since: at(100), ..Default::default() }),
            Err(ErrorCode::NotModified)
        );
        assert_eq!(check(Conditions { if_modified_since: at(99), ..Default::default() }), Ok(()));
    }
}
