//! What can go wrong in the engine. Says what happened, not what to answer.

use std::io;

use cosette_model::{BucketName, ObjectKey, VersionId};

/// What went wrong, not what to answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such bucket: {0}")]
    NoSuchBucket(BucketName),
    #[error("bucket exists: {0}")]
    BucketExists(BucketName),
    #[error("the account has as many buckets as it may have")]
    TooManyBuckets,
    #[error("bucket is not empty: {0}")]
    BucketNotEmpty(BucketName),
    #[error("no such object: {0}")]
    NoSuchObject(ObjectKey),
    #[error("no such version")]
    NoSuchVersion,
    /// What is there is a delete marker; `named` if it was asked for by its version.
    #[error("{key} is deleted: {}", version.as_str())]
    DeleteMarker { key: ObjectKey, version: VersionId, named: bool },
    /// Under retention or legal hold.
    #[error("a version of {0} is locked")]
    Locked(ObjectKey),
    /// Not made by appends.
    #[error("{0} cannot be appended to")]
    NotAppendable(ObjectKey),
    /// The object has another length, in bytes, than the append said.
    #[error("the object has {length} bytes")]
    AppendPosition { length: u64 },
    #[error("no such upload")]
    NoSuchUpload,
    #[error("part {0} is missing or its ETag differs")]
    InvalidPart(u16),
    #[error("parts are not in ascending order")]
    InvalidPartOrder,
    #[error("part {number} has {size} bytes, fewer than {min}")]
    PartTooSmall { number: u16, size: u64, min: u64 },
    /// The content is encrypted under a key that its owner keeps.
    #[error("the content is encrypted under a customer's key")]
    CustomerKeyMissing,
    #[error("the content is encrypted under another key of a customer's")]
    CustomerKeyWrong,
    #[error("the content is not encrypted under a customer's key")]
    CustomerKeyUnwanted,
    /// The key that what is stored is encrypted under is not there, or is another one.
    #[error("{0}")]
    MasterKey(String),
    #[error("a precondition does not hold")]
    PreconditionFailed,
    /// Another object is there than the one that was looked at.
    #[error("the object was replaced meanwhile")]
    Changed,
    #[error("the object exists and may not be overwritten")]
    OverwriteForbidden,
    /// Damage; never served silently. `what` names the record or body.
    #[error("damaged: {what}")]
    Corrupt { what: String },
    /// A failed sync or append: writes are refused until restart, reads go on.
    #[error("the store refuses writes: {0}")]
    Poisoned(String),
    #[error("the store is closing")]
    Closed,
    /// The disk is full or takes no writes, or there are too many open files: nothing was written,
    /// and the same may succeed later.
    #[error("the disk cannot be used now: {0}")]
    Unavailable(io::Error),
    #[error("disk: {0}")]
    Io(io::Error),
    #[error("index: {0}")]
    Index(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Unavailable(error)
            }
            // Too many open files, of this process or of all.
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => Self::Unavailable(error),
            _ => Self::Io(error),
        }
    }
}

impl From<cosette_kv::Error> for Error {
    fn from(error: cosette_kv::Error) -> Self {
        match error {
            cosette_kv::Error::Io(error) => error.into(),
            cosette_kv::Error::Damaged(what) => Self::Corrupt { what: format!("index: {what}") },
            cosette_kv::Error::Engine(why) => Self::Index(why),
        }
    }
}

impl From<cosette_blob::Error> for Error {
    fn from(error: cosette_blob::Error) -> Self {
        match error {
            cosette_blob::Error::Io(error) => error.into(),
            cosette_blob::Error::Damaged { what } => Self::Corrupt { what },
        }
    }
}
