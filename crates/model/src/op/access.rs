//! Operations on who may do what: access control lists, bucket policies, public access block,
//! object ownership.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::Owner;
use crate::{BucketName, Grant, ObjectKey, VersionId};

/// An ACL by one of the services' own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CannedAcl {
    /// COS: an object has no list of its own.
    Default,
    Private,
    PublicRead,
    PublicReadWrite,
    AuthenticatedRead,
    BucketOwnerRead,
    BucketOwnerFullControl,
    LogDeliveryWrite,
    /// S3: the owner, and the service that starts machines.
    AwsExecRead,
}

/// What the headers of a request say of the ACL of what it makes; grantees are known by UIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedAcl {
    pub canned: Option<CannedAcl>,
    /// By grant headers.
    pub grants: Vec<Grant>,
}

impl AskedAcl {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.canned.is_none() && self.grants.is_empty()
    }
}

/// A new ACL for what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewAcl {
    Asked(AskedAcl),
    /// A document: whom it calls the owner (UIN), if anybody, and its grants.
    Document {
        owner: Option<String>,
        grants: Vec<Grant>,
    },
}

#[derive(Debug)]
pub struct PutBucketAcl {
    pub bucket: BucketName,
    pub acl: NewAcl,
}

#[derive(Debug)]
pub struct GetBucketAcl {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct PutObjectAcl {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub acl: NewAcl,
}

#[derive(Debug)]
pub struct GetObjectAcl {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

#[derive(Debug)]
pub struct PutBucketPolicy {
    pub bucket: BucketName,
    /// JSON, in the form of either service.
    pub policy: Vec<u8>,
    /// Who sets it knows that it may be the last time.
    pub confirmed: bool,
}

#[derive(Debug)]
pub struct GetBucketPolicy {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct DeleteBucketPolicy {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct GetBucketPolicyStatus {
    pub bucket: BucketName,
}

/// Which grants to everybody a bucket takes and heeds (S3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// Refuses to set ACLs that grant to everybody.
    pub block_public_acls: bool,
    /// Does not heed such grants.
    pub ignore_public_acls: bool,
    /// Refuses to set policies that grant to everybody.
    pub block_public_policy: bool,
    /// Heeds such a policy for the bucket's owner only.
    pub restrict_public_buckets: bool,
}

#[derive(Debug)]
pub struct PutPublicAccessBlock {
    pub bucket: BucketName,
    pub block: PublicAccessBlock,
}

#[derive(Debug)]
pub struct GetPublicAccessBlock {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct DeletePublicAccessBlock {
    pub bucket: BucketName,
}

/// Who owns the objects that other accounts write into a bucket (S3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner; ACLs count for nothing.
    BucketOwnerEnforced,
    /// The bucket's owner, if the writer grants it full control by `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// The writer.
    #[default]
    ObjectWriter,
}

#[derive(Debug)]
pub struct PutBucketOwnershipControls {
    pub bucket: BucketName,
    pub ownership: ObjectOwnership,
}

#[derive(Debug)]
pub struct GetBucketOwnershipControls {
    pub bucket: BucketName,
}

#[derive(Debug)]
pub struct DeleteBucketOwnershipControls {
    pub bucket: BucketName,
}

/// What of a request the conditions of policies ask for, by their keys without a service's prefix and
/// in lower case: `prefix`, `sourceip`, `x-acl` for `x-cos-acl` and `x-amz-acl`.
pub type Facts = BTreeMap<String, Vec<String>>;

/// [`Facts`] of a request, gathered when a condition first asks for one: hardly ever.
#[derive(Clone)]
pub struct LazyFacts(Arc<LazyLock<Facts, Gather>>);

type Gather = Box<dyn FnOnce() -> Facts + Send>;

impl LazyFacts {
    pub fn new(gather: impl FnOnce() -> Facts + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(gather))))
    }

    pub fn get(&self) -> &Facts {
        &self.0
    }

    /// These and more, which take the place of what has their keys.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        let (known, more): (_, Vec<_>) = (self.clone(), more.into_iter().collect());
        Self::new(move || known.get().clone().into_iter().chain(more).collect())
    }
}

impl Default for LazyFacts {
    fn default() -> Self {
        Self::new(Facts::new)
    }
}

impl fmt::Debug for LazyFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyFacts")
    }
}

pub mod reply {
    use super::{Grant, ObjectOwnership, Owner, PublicAccessBlock};

    /// A grant with what the grantee is called.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NamedGrant {
        pub grant: Grant,
        pub name: String,
    }

    #[derive(Debug)]
    pub struct PutBucketAcl {}

    #[derive(Debug)]
    pub struct GetBucketAcl {
        pub owner: Owner,
        pub grants: Vec<NamedGrant>,
    }

    #[derive(Debug)]
    pub struct PutObjectAcl {}

    #[derive(Debug)]
    pub struct GetObjectAcl {
        pub owner: Owner,
        pub grants: Vec<NamedGrant>,
        /// The object has no list of its own: its bucket's counts.
        pub inherits: bool,
    }

    #[derive(Debug)]
    pub struct PutBucketPolicy {}

    #[derive(Debug)]
    pub struct GetBucketPolicy {
        /// As it was put.
        pub policy: Vec<u8>,
    }

    #[derive(Debug)]
    pub struct DeleteBucketPolicy {}

    #[derive(Debug)]
    pub struct GetBucketPolicyStatus {
        pub public: bool,
    }

    #[derive(Debug)]
    pub struct PutPublicAccessBlock {}

    #[derive(Debug)]
    pub struct GetPublicAccessBlock {
        pub block: PublicAccessBlock,
    }

    #[derive(Debug)]
    pub struct DeletePublicAccessBlock {}

    #[derive(Debug)]
    pub struct PutBucketOwnershipControls {}

    #[derive(Debug)]
    pub struct GetBucketOwnershipControls {
        pub ownership: ObjectOwnership,
    }

    #[derive(Debug)]
    pub struct DeleteBucketOwnershipControls {}
}
