//! The nouns of the product, its operations and its error codes.
//!
//! Everything here is plain data: no sockets, no XML, no header names, no disk,
//! no clock. Every other crate may depend on this one; it depends on none of ours.

pub mod access;
pub mod account;
pub mod body;
pub mod chain;
pub mod change;
pub mod checksum;
pub mod duration;
pub mod encryption;
pub mod error;
pub mod etag;
pub mod event;
pub mod function;
pub mod host;
pub mod metadata;
pub mod name;
pub mod op;
pub mod open;
pub mod origin;
pub mod property;
pub mod range;
pub mod session;
pub mod setting;
pub mod target;
pub mod tiering;
pub mod time;

pub use access::{Access, AccessPart, LogTarget, Signed, SignedIn};
pub use account::{Account, Identity, canonical_id};
pub use body::{Body, BodyError, ByteStream, Expected, Trailer};
pub use chain::{Chain, Doing, KeyGiver, Link, RoleKey};
pub use change::{Cause, Change, ChangeKind, LifecycleChange, ObjectSetting};
pub use checksum::{Checksum, ChecksumAlgorithm, Digests, Wanted};
pub use encryption::{CustomerKey, Encrypted, Encryption, KmsKey};
pub use error::{Error, ErrorCode};
pub use etag::ETag;
pub use event::{EventFamily, EventPattern, EventType, Events, Happened};
pub use metadata::{Attributes, StorageClass};
pub use name::{BucketName, InvalidName, ObjectKey, PartNumber, Region, RequestId, Seq, UploadId, VersionId};
pub use open::{Closing, Open};
pub use origin::{Answering, NoAnswer, OnRedirection, OriginAnswer, OriginRequest, OriginUrl, Origins, Sent};
pub use property::{
    Acl, Grant, Grantee, Lock, Permission, Properties, ReplicaState, Restore, RestoreTier, Retention,
    RetentionMode, Versioning,
};
pub use range::ByteRange;
pub use session::{Accounts, Issuer, Key, KeyRefused, NewSession, Persona, PolicyRefused, Session};
pub use setting::{Setting, SettingName, Tags};
pub use target::{Style, Target};
pub use tiering::{AccessTier, ArchiveTier, Tiering};
pub use time::{Day, Times, Timestamp};
