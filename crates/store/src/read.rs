//! Reading bodies back.

use std::ops::{Bound, ControlFlow};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cosette_blob::{Source, Span};
use cosette_kv::Range;
use cosette_model::{BodyError, BucketName, ByteStream, CustomerKey, ObjectKey};
use futures_core::Stream;

use crate::Kept;
use crate::error::{Error, Result};
use crate::record::{Content, Layout, Object, Piece, Place, decode};
use crate::schema;
use crate::sealing::Seal;
use crate::store::Store;

impl Store {
    /// The bytes `start..end` of an object; damage ends the stream with an error. Bucket and key
    /// are only to say whose bytes they are that cannot be read.
    ///
    /// # Errors
    /// `Corrupt` at once when a small body is damaged.
    pub fn read(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        object: &Object,
        range: Option<(u64, u64)>,
    ) -> Result<ByteStream> {
        self.read_for(bucket, key, object, range, None)
    }

    /// The same for who brings a key of its own.
    ///
    /// # Errors
    /// As `read` and `unseal`.
    pub fn read_for(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        object: &Object,
        range: Option<(u64, u64)>,
        customer: Option<&CustomerKey>,
    ) -> Result<ByteStream> {
        let (start, end) = range.unwrap_or((0, object.size));
        let name = format!("{bucket}/{key}");
        let seal = object.sealing.as_ref().map(|sealing| self.unseal(sealing, customer)).transpose()?;
        match self.read_range(&object.content, start, end, seal.as_ref()) {
            Ok(stream) => Ok(Box::pin(Named { stream, name })),
            Err(Error::Corrupt { what }) => Err(Error::Corrupt { what: format!("{name}: {what}") }),
            Err(error) => Err(error),
        }
    }

    /// Whether a body is still kept for a subsystem.
    pub fn is_kept(&self, id: Kept) -> Result<bool> {
        Ok(self.engine()?.get(&schema::kept(id))?.is_some())
    }

    /// A body kept for a subsystem.
    pub fn read_kept(&self, id: Kept) -> Result<ByteStream> {
        let row = self.engine()?.get(&schema::kept(id))?;
        let row = row.ok_or_else(|| Error::corrupt("a kept body that is not there"))?;
        self.read_content(&decode::<Content>("kept", &row)?, None)
    }

    /// All of a content, under the key it is encrypted with.
    pub(crate) fn read_content(&self, content: &Content, seal: Option<&Seal>) -> Result<ByteStream> {
        self.read_range(content, 0, u64::MAX, seal)
    }

    fn read_range(&self, content: &Content, start: u64, end: u64, seal: Option<&Seal>) -> Result<ByteStream> {
        let mut spans = Vec::new();
        match &content.0 {
            Layout::Pieces(pieces) => self.select(pieces, 0, (start, end), seal, &mut spans)?,
            Layout::Manifest { id, .. } => {
                let mut rows = Vec::new();
                let mut visit = |key: &[u8], value: &[u8]| {
                    rows.push((schema::number8(key, 9), value.to_vec()));
                    ControlFlow::Continue(())
                };
                let engine = self.engine()?;
                // The row that holds `start` begins at or before it.
                let before = Range {
                    to: Bound::Included(schema::pieces(*id, start)),
                    ..Range::prefix(&schema::pieces_of(*id))
                };
                let mut first = schema::pieces(*id, 0);
                engine.scan_back(&before, &mut |key, _| {
                    first = key.to_vec();
                    ControlFlow::Break(())
                })?;
                let within =
                    Range { from: Bound::Included(first), to: Bound::Excluded(schema::pieces(*id, end)) };
                engine.scan(&within, &mut visit)?;
                for (at, row) in rows {
                    let at = at.ok_or_else(|| Error::corrupt("key of pieces"))?;
                    let pieces: Vec<Piece> = decode("pieces", &row)?;
                    self.select(&pieces, at, (start, end), seal, &mut spans)?;
                }
            }
        }
        let found: u64 = spans.iter().map(|span| span.end - span.start).sum();
        if found != end.min(content.len()).saturating_sub(start) {
            return Err(Error::corrupt("pieces of a body"));
        }
        Ok(self.bodies().read(spans)?)
    }

    /// What of `pieces`, the first of which begins at `at`, lies within `start..end`.
    fn select(
        &self,
        pieces: &[Piece],
        mut at: u64,
        (start, end): (u64, u64),
        seal: Option<&Seal>,
        spans: &mut Vec<Span>,
    ) -> Result<()> {
        for piece in pieces {
            let (from, to) = (start.max(at), end.min(at + piece.len));
            if from < to {
                let (source, skip) = match &piece.place {
                    Place::Body { id, size, at } => {
                        let crc64 = (*size == piece.stored()).then_some(piece.crc64);
                        (Source::Body { id: *id, size: *size, crc64 }, *at)
                    }
                    Place::Inline(bytes) => (Source::Held(bytes.clone()), 0),
                    Place::Journal { segment, offset, .. } => {
                        let segments = self
                            .segments()
                            .ok_or_else(|| Error::corrupt("a body in a journal that is not there"))?;
                        let file = segments.file(*segment)?;
                        let (offset, len, crc64) = (*offset, piece.stored(), piece.crc64);
                        (Source::Within { file, offset, len, crc64 }, 0)
                    }
                };
                let key = match (piece.salt, seal) {
                    (None, _) => None,
                    (Some(salt), Some(seal)) => Some(seal.key_of(salt)),
                    (Some(_), None) => return Err(Error::corrupt("an encrypted body without a key")),
                };
                spans.push(Span { source, key, start: skip + from - at, end: skip + to - at });
            }
            at += piece.len;
        }
        Ok(())
    }
}

/// A stream whose failure says whose bytes they are.
struct Named {
    stream: ByteStream,
    name: String,
}

impl Stream for Named {
    type Item = std::result::Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = std::task::ready!(self.stream.as_mut().poll_next(cx));
        Poll::Ready(chunk.map(|chunk| match chunk {
            Err(BodyError::Storage(what)) => {
                let what = format!("{}: {what}", self.name);
                tracing::error!(what, "a stored body cannot be read");
                Err(BodyError::Storage(what))
            }
            other => other,
        }))
    }
}
