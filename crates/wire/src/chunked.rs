//! The `aws-chunked` framing of request bodies, taken off as the bytes pass: chunk signatures
//! are checked at each chunk's end, trailing checksums handed over at the body's end.
//!
//! Holds one received piece and one line at most; knows nothing of headers or operations.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use cosette_model::{BodyError, ByteStream, Checksum, ChecksumAlgorithm, Trailer};
use futures_core::Stream;
use sha2::{Digest, Sha256};

use crate::auth::sigv4::ChunkSigner;

/// Longest chunk header or trailer line, in bytes.
const LINE_BYTES_MAX: usize = 4096;
/// Longest trailer, in bytes.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What the headers of the request said of the framing.
pub(crate) struct Framing {
    /// Signs every chunk; `None` for the unsigned form.
    pub(crate) signer: Option<ChunkSigner>,
    /// `STREAMING-...-TRAILER`: headers follow the last chunk.
    pub(crate) trailing: bool,
    /// Checksums announced by `x-amz-trailer`.
    pub(crate) announced: Vec<ChecksumAlgorithm>,
    /// `x-amz-decoded-content-length`, in bytes.
    pub(crate) length: u64,
}

enum State {
    ChunkHeader,
    Data {
        left: u64,
        hash: Option<Sha256>,
        signature: String,
    },
    /// The line end after a chunk's data.
    DataEnd,
    Trailer {
        lines: String,
    },
    /// Only the end may follow.
    End,
    Over,
}

/// The payload of an `aws-chunked` body.
pub(crate) struct Chunked {
    inner: ByteStream,
    buffer: BytesMut,
    state: State,
    framing: Framing,
    received: u64,
    trailer: Trailer,
}

impl Chunked {
    pub(crate) fn new(inner: ByteStream, framing: Framing, trailer: Trailer) -> Self {
        Self { inner, buffer: BytesMut::new(), state: State::ChunkHeader, framing, received: 0, trailer }
    }

    /// Goes as far as the buffer allows. `Ok(None)`: more input is needed.
    fn step(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            match &mut self.state {
                State::ChunkHeader => {
                    let Some(line) = take_line(&mut self.buffer)? else { return Ok(None) };
                    self.begin_chunk(&line)?;
                }
                State::Data { left, hash, .. } => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let data = self.buffer.split_to(take).freeze();
                    *left -= take as u64;
                    if let Some(hash) = hash {
                        hash.update(&data);
                    }
                    // A chunk is checked before the last of it is given away.
                    if *left == 0 {
                        self.end_chunk()?;
                    }
                    return Ok(Some(data));
                }
                State::DataEnd => {
                    let Some(line) = take_line(&mut self.buffer)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(malformed("a chunk is longer than its header says"));
                    }
                    self.state = State::ChunkHeader;
                }
                State::Trailer { lines } => {
                    let Some(line) = take_line(&mut self.buffer)? else { return Ok(None) };
                    if !line.is_empty() {
                        if lines.len() + line.len() > TRAILER_BYTES_MAX {
                            return Err(malformed("the trailer is too long"));
                        }
                        lines.push_str(&line);
                        lines.push('\n');
                    } else {
                        let lines = std::mem::take(lines);
                        self.finish(&lines)?;
                    }
                }
                State::End => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    return Err(malformed("bytes follow the last chunk"));
                }
                State::Over => return Ok(None),
            }
        }
    }

    fn begin_chunk(&mut self, line: &str) -> Result<(), BodyError> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let size = size.trim();
        let plain = !size.is_empty() && size.bytes().all(|b| b.is_ascii_hexdigit());
        let left = u64::from_str_radix(size, 16)
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| malformed("a chunk's size is not a hexadecimal number"))?;
        if left > self.framing.length.saturating_sub(self.received) {
            return Err(BodyError::Incomplete);
        }
        let signature = extension.trim().strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
        if self.framing.signer.is_some() && signature.is_empty() {
            return Err(malformed("a chunk has no signature"));
        }
        self.received += left;
        if left == 0 {
            self.check(Sha256::new(), &signature)?;
            if self.received != self.framing.length {
                return Err(BodyError::Incomplete);
            }
            self.state = State::Trailer { lines: String::new() };
        } else {
            let hash = self.framing.signer.is_some().then(Sha256::new);
            self.state = State::Data { left, hash, signature };
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), BodyError> {
        if let State::Data { hash, signature, .. } = std::mem::replace(&mut self.state, State::DataEnd)
            && let Some(hash) = hash
        {
            self.check(hash, &signature)?;
        }
        Ok(())
    }

    fn check(&mut self, hash: Sha256, signature: &str) -> Result<(), BodyError> {
        let genuine = self.framing.signer.as_mut().is_none_or(|signer| signer.chunk(hash, signature));
        if genuine { Ok(()) } else { Err(BodyError::Signature) }
    }

    /// Reads the trailer's lines, checks their signature, and hands their checksums over.
    fn finish(&mut self, lines: &str) -> Result<(), BodyError> {
        let (mut signed, mut signature, mut checksums) = (String::new(), None, Vec::new());
        for line in lines.lines() {
            let (name, value) =
                line.split_once(':').ok_or_else(|| malformed("a trailing header has no colon"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "x-amz-trailer-signature" {
                signature = Some(value);
                continue;
            }
            signed.push_str(&format!("{name}:{value}\n"));
            let algorithm = name.strip_prefix("x-amz-checksum-").and_then(ChecksumAlgorithm::parse);
            let Some(algorithm) = algorithm.filter(|a| self.framing.announced.contains(a)) else { continue };
            let value = BASE64_STANDARD
                .decode(value)
                .ok()
                .filter(|value| value.len() == algorithm.len())
                .ok_or_else(|| malformed("a trailing checksum is not valid"))?;
            checksums.push(Checksum { algorithm, value });
        }
        if self.framing.trailing {
            if let Some(signer) = &mut self.framing.signer {
                let signature = signature.ok_or_else(|| malformed("the trailer has no signature"))?;
                if !signer.trailer(&signed, signature) {
                    return Err(BodyError::Signature);
                }
            }
            let came = |a: &ChecksumAlgorithm| checksums.iter().any(|c| c.algorithm == *a);
            if !self.framing.announced.iter().all(came) {
                return Err(malformed("an announced trailing header did not come"));
            }
        } else if !lines.is_empty() {
            return Err(malformed("a trailer came that was not announced"));
        }
        self.trailer.fill(checksums);
        self.state = State::End;
        Ok(())
    }

    /// The input has ended.
    fn close(&mut self) -> Result<(), BodyError> {
        // Some clients leave out the empty line after the last chunk or trailer.
        if let State::Trailer { lines } = &mut self.state
            && self.buffer.is_empty()
        {
            let lines = std::mem::take(lines);
            self.finish(&lines)?;
        }
        match self.state {
            State::End | State::Over => Ok(()),
            _ => Err(BodyError::Incomplete),
        }
    }
}

impl Stream for Chunked {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let outcome = loop {
            if matches!(this.state, State::Over) {
                return Poll::Ready(None);
            }
            match this.step() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            match ready!(this.inner.as_mut().poll_next(cx)) {
                // The pieces are usually ours alone, then nothing is copied here.
                Some(Ok(piece)) if this.buffer.is_empty() => {
                    this.buffer = piece.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                }
                Some(Ok(piece)) => this.buffer.extend_from_slice(&piece),
                Some(Err(error)) => break Err(error),
                None => break this.close(),
            }
        };
        this.state = State::Over;
        Poll::Ready(outcome.err().map(Err))
    }
}

/// Takes a line off the front, without its end (`\r\n`, or the `\n` some trailers use).
fn take_line(buffer: &mut BytesMut) -> Result<Option<String>, BodyError> {
    let Some(end) = buffer.iter().take(LINE_BYTES_MAX).position(|b| *b == b'\n') else {
        if buffer.len() >= LINE_BYTES_MAX {
            return Err(malformed("a line of the framing is too long"));
        }
        return Ok(None);
    };
    let line = buffer.split_to(end);
    buffer.advance(1);
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    match std::str::from_utf8(line) {
        Ok(line) => Ok(Some(line.to_owned())),
        Err(_) => Err(malformed("a line of the framing is not text")),
    }
}

fn malformed(what: &str) -> BodyError {
    BodyError::Malformed(what.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
