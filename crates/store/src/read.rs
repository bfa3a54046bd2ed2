//! Reading bodies back.

use std::ops::{Bound, ControlFlow};

use cosette_blob::{Source, Span};
use cosette_kv::Range;
use cosette_model::ByteStream;

use crate::error::{Error, Result};
use crate::record::{Content, Layout, Object, Piece, Place, decode};
use crate::schema;
use crate::store::Store;

impl Store {
    /// The bytes `start..end` of an object; damage ends the stream with an error.
    ///
    /// # Errors
    /// `Corrupt` at once when a small body is damaged.
    pub fn read(&self, object: &Object, range: Option<(u64, u64)>) -> Result<ByteStream> {
        let (start, end) = range.unwrap_or((0, object.size));
        self.read_range(&object.content, start, end)
    }

    pub fn read_content(&self, content: &Content) -> Result<ByteStream> {
        self.read_range(content, 0, u64::MAX)
    }

    fn read_range(&self, content: &Content, start: u64, end: u64) -> Result<ByteStream> {
        let mut spans = Vec::new();
        match &content.0 {
            Layout::Pieces(pieces) => self.select(pieces, 0, start, end, &mut spans)?,
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
                    self.select(&decode::<Vec<Piece>>("pieces", &row)?, at, start, end, &mut spans)?;
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
        start: u64,
        end: u64,
        spans: &mut Vec<Span>,
    ) -> Result<()> {
        for piece in pieces {
            let (from, to) = (start.max(at), end.min(at + piece.len));
            if from < to {
                let source = match &piece.place {
                    Place::Body(id) => Source::Body { id: *id, size: piece.len },
                    Place::Inline(bytes) => Source::Held(bytes.clone()),
                    Place::Journal { segment, offset } => {
                        let segments = self
                            .segments()
                            .ok_or_else(|| Error::corrupt("a body in a journal that is not there"))?;
                        Source::Within {
                            file: segments.file(*segment)?,
                            offset: *offset,
                            len: piece.len,
                            crc64: piece.crc64,
                        }
                    }
                };
                spans.push(Span { source, start: from - at, end: to - at });
            }
            at += piece.len;
        }
        Ok(())
    }
}
