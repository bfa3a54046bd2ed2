//! From what went wrong in the store to what the client is told.

use cosette_model::{BodyError, Error, ErrorCode, StorageClass};
use cosette_store::Error as StoreError;

/// A handler's failure: already what the client is told, whichever layer it came from.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Error);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A class that what is asked for does not have.
pub(crate) fn class_refused(class: StorageClass) -> Failure {
    Error::new(ErrorCode::NotSupportedStorageClass).detail("StorageClassRequested", class.name()).into()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(of_store(error))
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self(of_body(error))
    }
}

/// Every variant is named, so that a new one asks for its answer here.
fn of_store(error: StoreError) -> Error {
    match error {
        StoreError::NoSuchBucket(name) => {
            Error::new(ErrorCode::NoSuchBucket).detail("BucketName", name.as_str())
        }
        StoreError::BucketExists(_) => ErrorCode::BucketAlreadyExists.into(),
        StoreError::TooManyBuckets => ErrorCode::TooManyBuckets.into(),
        StoreError::BucketNotEmpty(_) => ErrorCode::BucketNotEmpty.into(),
        StoreError::NoSuchObject(key) => Error::new(ErrorCode::NoSuchKey).detail("Key", key.as_str()),
        StoreError::NoSuchVersion => ErrorCode::NoSuchVersion.into(),
        // Reads answer it themselves, as the service says.
        StoreError::DeleteMarker { key, .. } => Error::new(ErrorCode::NoSuchKey).detail("Key", key.as_str()),
        StoreError::Locked(_) => ErrorCode::ObjectLocked.into(),
        StoreError::NotAppendable(_) => ErrorCode::ObjectNotAppendable.into(),
        StoreError::AppendPosition { .. } => ErrorCode::AppendPositionErr.into(),
        StoreError::NoSuchUpload => ErrorCode::NoSuchUpload.into(),
        StoreError::InvalidPart(number) => {
            Error::new(ErrorCode::InvalidPart).detail("PartNumber", number.to_string())
        }
        StoreError::InvalidPartOrder => ErrorCode::InvalidPartOrder.into(),
        StoreError::PartTooSmall { number, size, min } => Error::new(ErrorCode::EntityTooSmall)
            .detail("ProposedSize", size.to_string())
            .detail("MinSizeAllowed", min.to_string())
            .detail("PartNumber", number.to_string()),
        StoreError::CustomerKeyMissing => ErrorCode::SsecDecryptHeaderInvalid.into(),
        StoreError::CustomerKeyWrong => ErrorCode::SsecKeyWrong.into(),
        StoreError::CustomerKeyUnwanted => ErrorCode::SseNotApplicable.into(),
        // Whoever pins what it has seen looks again.
        StoreError::Changed | StoreError::PreconditionFailed => ErrorCode::PreconditionFailed.into(),
        StoreError::OverwriteForbidden => ErrorCode::FileAlreadyExists.into(),
        StoreError::Poisoned(why) => Error {
            message: Some(format!("The store refuses writes until it is restarted: {why}")),
            ..Error::new(ErrorCode::ServiceUnavailable)
        },
        StoreError::Unavailable(why) => Error {
            message: Some("The storage cannot take this now. Please try again.".to_owned()),
            source: Some(why.into()),
            ..Error::new(ErrorCode::ServiceUnavailable)
        },
        StoreError::Closed => ErrorCode::ServiceUnavailable.into(),
        ours @ (StoreError::Corrupt { .. }
        | StoreError::MasterKey(_)
        | StoreError::Io(_)
        | StoreError::Index(_)) => Error::internal(ours),
    }
}

/// Why a request's body could not be taken.
fn of_body(error: BodyError) -> Error {
    match error {
        BodyError::Incomplete => ErrorCode::IncompleteBody.into(),
        BodyError::Malformed(what) => Error::with(ErrorCode::InvalidRequest, what),
        BodyError::Signature => ErrorCode::SignatureDoesNotMatch.into(),
        BodyError::TooLarge => ErrorCode::EntityTooLarge.into(),
        BodyError::Form(code) => code.into(),
        ours @ BodyError::Storage(_) => Error::internal(ours),
    }
}
