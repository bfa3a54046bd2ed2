//! A request's or reply's body as a stream, with what its sender promised of it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_core::Stream;

use crate::checksum::{Checksum, ChecksumAlgorithm};

/// Chunks of a body. The stream ends after the first error.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Why a body's bytes stopped coming.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The sender went away, or sent fewer bytes than it had announced.
    #[error("the body ended before all announced bytes had come")]
    Incomplete,
    /// The framing of `aws-chunked` is broken.
    #[error("the body's chunk framing is malformed: {0}")]
    Malformed(String),
    /// A chunk's or trailer's signature does not match.
    #[error("a chunk signature does not match")]
    Signature,
    /// More bytes than the operation takes.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// The form around a file is not as it must be.
    #[error("the form is malformed")]
    Form(crate::ErrorCode),
    /// What was stored is damaged or cannot be read; `what` names it.
    #[error("stored body cannot be read: {0}")]
    Storage(String),
}

/// Checksums that come after the body; filled by the stream when it ends.
#[derive(Clone, Debug, Default)]
pub struct Trailer(Arc<OnceLock<Vec<Checksum>>>);

impl Trailer {
    /// Called once by the decoder at the end of the body; a second call changes nothing.
    pub fn fill(&self, checksums: Vec<Checksum>) {
        let _ = self.0.set(checksums);
    }

    /// Empty until the stream has ended.
    pub fn checksums(&self) -> &[Checksum] {
        self.0.get().map(Vec::as_slice).unwrap_or_default()
    }
}

/// What the sender says the body's digests are; checked after the last byte, before anything is stored.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// `Content-MD5`.
    pub md5: Option<[u8; 16]>,
    /// The signed payload hash of AWS SigV4 (`x-amz-content-sha256`), when it is a hash.
    pub sha256: Option<[u8; 32]>,
    /// `x-cos-content-sha1` of COS.
    pub sha1: Option<[u8; 20]>,
    /// `x-amz-checksum-*` headers.
    pub checksums: Vec<Checksum>,
    /// Algorithms announced by `x-amz-trailer`, whose values `trailer` will hold.
    pub trailing: Vec<ChecksumAlgorithm>,
    pub trailer: Trailer,
}

/// A request body on its way in.
pub struct Body {
    pub stream: ByteStream,
    /// The number of payload bytes (framing taken off), when the sender said it.
    pub length: Option<u64>,
    pub expected: Expected,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}
