//! A body as its headers describe it: plain or framed, of announced or unknown length, with
//! the digests its sender promised.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use cosette_model::{
    Body, BodyError, ByteStream, Checksum, ChecksumAlgorithm, Error, ErrorCode, Expected, Trailer,
};
use futures_core::Stream;
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::DialectName;
use crate::auth::sigv4::ChunkSigner;
use crate::chunked::{Chunked, Framing};
use crate::header::{CONTENT_SHA1, Headers, TRAILER};

/// Largest body of one request, in bytes: 5 GiB on both services (cos-api 3.7).
const BODY_BYTES_MAX: u64 = 5 << 30;

/// A request's body before anybody asked for it.
pub(crate) struct Payload {
    pub(crate) stream: ByteStream,
    pub(crate) chunks: Option<ChunkSigner>,
}

impl Payload {
    /// The body of an operation that stores it.
    pub(crate) fn into_body(self, headers: &Headers) -> Result<Body, Error> {
        let expected = expected(headers)?;
        let announced = content_length(headers)?;
        let Some(framing) = framing(headers, self.chunks, &expected)? else {
            if announced.is_none() && !transfer_chunked(headers)? {
                return Err(ErrorCode::MissingContentLength.into());
            }
            let stream = Box::pin(Exact { inner: self.stream, left: announced, over: false });
            return checked(Body { stream, length: announced, expected });
        };
        let length = Some(framing.length);
        let stream = Box::pin(Chunked::new(self.stream, framing, expected.trailer.clone()));
        checked(Body { stream, length, expected })
    }

    /// The whole of a small body, verified. At most `max` bytes.
    pub(crate) async fn into_document(self, headers: &Headers, max: usize) -> Result<Bytes, Error> {
        let expected = expected(headers)?;
        let announced = content_length(headers)?;
        if announced.is_some_and(|length| length > max as u64) {
            return Err(ErrorCode::MaxMessageLengthExceeded.into());
        }
        let mut stream: ByteStream = match framing(headers, self.chunks, &expected)? {
            Some(framing) => Box::pin(Chunked::new(self.stream, framing, expected.trailer.clone())),
            None => Box::pin(Exact { inner: self.stream, left: announced, over: false }),
        };
        let mut whole = BytesMut::new();
        while let Some(piece) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            let piece = piece.map_err(body_error)?;
            if whole.len() + piece.len() > max {
                return Err(ErrorCode::MaxMessageLengthExceeded.into());
            }
            whole.extend_from_slice(&piece);
        }
        verify(&whole, &expected)?;
        Ok(whole.freeze())
    }
}

fn checked(body: Body) -> Result<Body, Error> {
    match body.length {
        Some(length) if length > BODY_BYTES_MAX => Err(Error::new(ErrorCode::EntityTooLarge)
            .detail("ProposedSize", length.to_string())
            .detail("MaxSizeAllowed", BODY_BYTES_MAX.to_string())),
        _ => Ok(body),
    }
}

/// What a client is told when its body breaks off or breaks the rules.
pub(crate) fn body_error(error: BodyError) -> Error {
    match error {
        BodyError::Incomplete => ErrorCode::IncompleteBody.into(),
        BodyError::Malformed(what) => {
            Error::with(ErrorCode::InvalidRequest, format!("The body's framing is malformed: {what}."))
        }
        BodyError::Signature => ErrorCode::SignatureDoesNotMatch.into(),
        BodyError::TooLarge => ErrorCode::EntityTooLarge.into(),
        BodyError::Form(code) => code.into(),
        ours @ BodyError::Storage(_) => Error::internal(ours),
    }
}

fn content_length(headers: &Headers) -> Result<Option<u64>, Error> {
    number(headers, "content-length")
}

fn number(headers: &Headers, name: &str) -> Result<Option<u64>, Error> {
    let Some(text) = headers.get(name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Error::with(ErrorCode::InvalidArgument, format!("The header {name} must be a number of bytes."))
            .detail("ArgumentName", name)
            .detail("ArgumentValue", text)
    })
}

fn transfer_chunked(headers: &Headers) -> Result<bool, Error> {
    Ok(headers.get("transfer-encoding")?.is_some_and(|v| v.to_ascii_lowercase().contains("chunked")))
}

/// The declared payload hash, when it is one.
enum Declared {
    Nothing,
    Hash([u8; 32]),
    Streaming { signed: bool, trailing: bool },
}

fn declared(headers: &Headers) -> Result<Declared, Error> {
    let Some(text) = headers.get("x-amz-content-sha256")? else { return Ok(Declared::Nothing) };
    let streaming = |signed, trailing| Ok(Declared::Streaming { signed, trailing });
    match text {
        "UNSIGNED-PAYLOAD" => Ok(Declared::Nothing),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => streaming(true, false),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => streaming(true, true),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => streaming(false, true),
        hash => {
            let mut value = [0; 32];
            hex::decode_to_slice(hash, &mut value).map_err(|_| {
                Error::with(
                    ErrorCode::InvalidArgument,
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                     STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a \
                     valid sha256 value.",
                )
                .detail("ArgumentName", "x-amz-content-sha256")
                .detail("ArgumentValue", hash)
            })?;
            Ok(Declared::Hash(value))
        }
    }
}

/// Whether checksums follow the body in a framed request.
pub(crate) fn has_trailer(headers: &Headers) -> Result<bool, Error> {
    Ok(matches!(declared(headers)?, Declared::Streaming { trailing: true, .. }))
}

fn framing(
    headers: &Headers,
    chunks: Option<ChunkSigner>,
    expected: &Expected,
) -> Result<Option<Framing>, Error> {
    let Declared::Streaming { signed, trailing } = declared(headers)? else { return Ok(None) };
    let signer = match (signed, chunks) {
        (false, _) => None,
        (true, Some(chunks)) => Some(chunks),
        (true, None) => {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "Signed chunks need a request signed with AWS4-HMAC-SHA256.",
            ));
        }
    };
    let length = number(headers, "x-amz-decoded-content-length")?.ok_or(ErrorCode::MissingContentLength)?;
    let announced = expected.trailing.clone();
    Ok(Some(Framing { signer, trailing, announced, length }))
}

/// Everything the headers promise of the body's digests.
pub(crate) fn expected(headers: &Headers) -> Result<Expected, Error> {
    let sha256 = match declared(headers)? {
        Declared::Hash(hash) => Some(hash),
        Declared::Nothing | Declared::Streaming { .. } => None,
    };
    let mut trailing = Vec::new();
    for name in headers.concept(TRAILER)?.unwrap_or_default().split(',').map(str::trim) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("x-amz-checksum-").map(ChecksumAlgorithm::parse) {
            Some(Some(algorithm)) if !trailing.contains(&algorithm) => trailing.push(algorithm),
            Some(Some(_)) => {}
            None if name.is_empty() => {}
            _ => {
                return Err(Error::with(
                    ErrorCode::InvalidRequest,
                    "The value specified in the x-amz-trailer header is not supported.",
                ));
            }
        }
    }
    if !trailing.is_empty() && !has_trailer(headers)? {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            "x-amz-trailer needs a streaming body with a trailer.",
        ));
    }
    Ok(Expected {
        md5: md5(headers)?,
        sha256,
        sha1: sha1(headers)?,
        checksums: checksums(headers)?,
        trailing,
        trailer: Trailer::default(),
    })
}

fn md5(headers: &Headers) -> Result<Option<[u8; 16]>, Error> {
    let invalid = || Error::new(ErrorCode::InvalidDigest);
    match headers.get("content-md5")? {
        // COS clients send empty headers for absent ones (cos-api 1.6); S3 refuses this one.
        None if headers.has("content-md5") && headers.dialect() == DialectName::S3 => Err(invalid()),
        None => Ok(None),
        Some(text) => {
            let value = BASE64_STANDARD.decode(text).map_err(|_| invalid())?;
            Ok(Some(value.try_into().map_err(|_| invalid())?))
        }
    }
}

fn sha1(headers: &Headers) -> Result<Option<[u8; 20]>, Error> {
    let Some(text) = headers.concept(CONTENT_SHA1)? else { return Ok(None) };
    let mut value = [0; 20];
    hex::decode_to_slice(text, &mut value).map_err(|_| ErrorCode::InvalidSha1Digest)?;
    Ok(Some(value))
}

/// `x-amz-checksum-<algorithm>` headers, at most one of them.
pub(crate) fn checksums(headers: &Headers) -> Result<Vec<Checksum>, Error> {
    let mut found = Vec::new();
    for name in headers.names().filter(|name| name.starts_with("x-amz-checksum-")) {
        let Some(algorithm) = name.strip_prefix("x-amz-checksum-").and_then(ChecksumAlgorithm::parse) else {
            if matches!(name, "x-amz-checksum-algorithm" | "x-amz-checksum-mode" | "x-amz-checksum-type") {
                continue;
            }
            return Err(Error::with(
                ErrorCode::NotImplemented,
                format!("The header {name} is not implemented."),
            )
            .detail("Header", name));
        };
        if let Some(text) = headers.get(name)? {
            found.push(checksum(algorithm, text)?);
        }
    }
    if found.len() > 1 {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    Ok(found)
}

/// A checksum as a client writes it: base64, with the number of parts behind a composite one.
pub(crate) fn checksum(algorithm: ChecksumAlgorithm, text: &str) -> Result<Checksum, Error> {
    let base64 = match text.rsplit_once('-') {
        Some((base64, parts)) if parts.bytes().all(|b| b.is_ascii_digit()) => base64,
        _ => text,
    };
    match BASE64_STANDARD.decode(base64) {
        Ok(value) if value.len() == algorithm.len() => Ok(Checksum { algorithm, value }),
        _ => Err(Error::with(
            ErrorCode::InvalidChecksum,
            format!("Value for x-amz-checksum-{} header is invalid.", algorithm.name().to_ascii_lowercase()),
        )),
    }
}

/// Computes one additional checksum of a small body.
fn compute(algorithm: ChecksumAlgorithm, data: &[u8]) -> Vec<u8> {
    use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc, Crc64Nvme};
    let crc = |which, bytes: usize| {
        let value = crc_fast::checksum(which, data).to_be_bytes();
        value[8 - bytes..].to_vec()
    };
    match algorithm {
        ChecksumAlgorithm::Crc32 => crc(Crc32IsoHdlc, 4),
        ChecksumAlgorithm::Crc32c => crc(Crc32Iscsi, 4),
        ChecksumAlgorithm::Crc64Nvme => crc(Crc64Nvme, 8),
        ChecksumAlgorithm::Sha1 => sha1::Sha1::digest(data).to_vec(),
        ChecksumAlgorithm::Sha256 => Sha256::digest(data).to_vec(),
    }
}

/// Holds a whole body against what was promised of it.
fn verify(whole: &[u8], expected: &Expected) -> Result<(), Error> {
    if expected.md5.is_some_and(|md5| md5 != *Md5::digest(whole)) {
        return Err(ErrorCode::BadDigest.into());
    }
    if expected.sha256.is_some_and(|sha256| sha256 != *Sha256::digest(whole)) {
        return Err(ErrorCode::ContentSha256Mismatch.into());
    }
    if expected.sha1.is_some_and(|sha1| sha1 != *sha1::Sha1::digest(whole)) {
        return Err(ErrorCode::InvalidSha1Digest.into());
    }
    let sent = expected.checksums.iter().chain(expected.trailer.checksums());
    match sent.into_iter().find(|c| compute(c.algorithm, whole) != c.value) {
        None => Ok(()),
        Some(wrong) => Err(Error::with(
            ErrorCode::BadDigest,
            format!("The {} you specified did not match the calculated checksum.", wrong.algorithm.name()),
        )),
    }
}

/// A body that must have exactly the announced length, and at most what one request may carry.
struct Exact {
    inner: ByteStream,
    /// `None` when no length was announced.
    left: Option<u64>,
    over: bool,
}

impl Stream for Exact {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.inner.as_mut().poll_next(cx));
        let item = match (next, self.left) {
            (Some(Ok(piece)), Some(left)) => match left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    self.left = Some(left);
                    return Poll::Ready(Some(Ok(piece)));
                }
                None => Some(Err(BodyError::Incomplete)),
            },
            (Some(Ok(piece)), None) => return Poll::Ready(Some(Ok(piece))),
            (Some(Err(error)), _) => Some(Err(error)),
            (None, Some(left)) if left > 0 => Some(Err(BodyError::Incomplete)),
            (None, _) => None,
        };
        self.over = true;
        Poll::Ready(item)
    }
}
