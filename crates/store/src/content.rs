//! Contents: how a received body becomes a place in the journal or a file with references, how
//! contents are shared, put together and let go of, all within one commit.

use std::ops::ControlFlow;

use cosette_blob::Received;
use cosette_kv::Range;

use crate::Sealed;
use crate::error::{Error, Result};
use crate::record::{Content, Layout, Live, Owned, Piece, Place, decode};
use crate::schema::{self, Kind};
use crate::tx::{Freed, Tx};

/// An object of more pieces than this has its list of pieces in rows of its own, so that heads
/// and listings do not read it.
const PIECES_IN_RECORD_MAX: usize = 16;
/// Pieces in one row of the table `Pieces`.
const PIECES_PER_ROW: usize = 256;

impl Content {
    pub(crate) fn empty() -> Self {
        Self(Layout::Pieces(Vec::new()))
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        match &self.0 {
            Layout::Pieces(pieces) => pieces.iter().map(|piece| piece.len).sum(),
            Layout::Manifest { len, .. } => *len,
        }
    }
}

impl Tx<'_> {
    /// Takes over a received body; the first reference is the caller's.
    pub(crate) fn adopt(&mut self, sealed: Sealed) -> Result<Content> {
        let (len, crc64) = (sealed.size, sealed.digests.crc64);
        if len == 0 {
            return Ok(Content::empty());
        }
        let place = match sealed.body {
            Received::Small(bytes) => {
                let place = self.place(bytes);
                if let Place::Journal { segment, .. } = &place {
                    self.count_live(*segment, 1, len)?;
                }
                place
            }
            Received::Stored(body) => {
                let id = body.id();
                self.writes.adopted.push(body);
                self.write(schema::body(Kind::Body, id), &Owned { refs: 1, len })?;
                Place::Body(id)
            }
        };
        Ok(Content(Layout::Pieces(vec![Piece { len, crc64, place }])))
    }

    /// One more record refers to the content.
    pub(crate) fn share(&mut self, content: &Content) -> Result<()> {
        match &content.0 {
            Layout::Pieces(pieces) => pieces.iter().try_for_each(|piece| match &piece.place {
                Place::Journal { segment, .. } => self.count_live(*segment, 1, piece.len),
                Place::Body(id) => self.count_refs(schema::body(Kind::Body, *id), 1).map(drop),
                Place::Inline(_) => Ok(()),
            }),
            Layout::Manifest { id, .. } => self.count_refs(schema::manifest(*id), 1).map(drop),
        }
    }

    /// One record fewer refers to the content; what nothing refers to any more is freed.
    pub(crate) fn let_go(&mut self, content: &Content) -> Result<()> {
        match &content.0 {
            Layout::Pieces(pieces) => pieces.iter().try_for_each(|piece| self.let_go_piece(piece)),
            Layout::Manifest { id, .. } => {
                if self.count_refs(schema::manifest(*id), -1)? == 0 {
                    self.mark(schema::discarded(*id));
                    self.writes.freed.push(Freed::Manifest(*id));
                }
                Ok(())
            }
        }
    }

    /// Removes the rows of a discarded manifest, and the references they hold.
    pub(crate) fn discard(&mut self, manifest: u64) -> Result<()> {
        let mut rows = Vec::new();
        self.rows(&Range::prefix(&schema::pieces_of(manifest)), &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        for (key, value) in rows {
            for piece in decode::<Vec<Piece>>("pieces", &value)? {
                self.let_go_piece(&piece)?;
            }
            self.remove(key);
        }
        self.remove(schema::discarded(manifest));
        Ok(())
    }

    fn let_go_piece(&mut self, piece: &Piece) -> Result<()> {
        match &piece.place {
            Place::Journal { segment, .. } => self.count_live(*segment, -1, piece.len),
            Place::Body(id) => {
                if self.count_refs(schema::body(Kind::Body, *id), -1)? == 0 {
                    self.mark(schema::body(Kind::Garbage, *id));
                    self.writes.freed.push(Freed::Body(*id));
                }
                Ok(())
            }
            Place::Inline(_) => Ok(()),
        }
    }

    /// The contents one after another as one; it takes over their references.
    pub(crate) fn join(&mut self, contents: Vec<Content>) -> Result<Content> {
        let mut pieces = Vec::with_capacity(contents.len());
        for content in contents {
            match content.0 {
                Layout::Pieces(more) => pieces.extend(more),
                Layout::Manifest { id, .. } => {
                    return Err(Error::corrupt(format!("a part that is manifest {id}")));
                }
            }
        }
        if pieces.len() <= PIECES_IN_RECORD_MAX {
            return Ok(Content(Layout::Pieces(pieces)));
        }
        let id = self.seq().0;
        let mut len = 0;
        for row in pieces.chunks(PIECES_PER_ROW) {
            self.write(schema::pieces(id, len), &row)?;
            len += row.iter().map(|piece| piece.len).sum::<u64>();
        }
        self.write(schema::manifest(id), &Owned { refs: 1, len })?;
        Ok(Content(Layout::Manifest { id, len }))
    }

    /// Changes the count of references and returns it; at zero the row is gone.
    fn count_refs(&mut self, key: Vec<u8>, by: i64) -> Result<u64> {
        let missing = || Error::corrupt("references to a body");
        let owned: Owned = self.record("references to a body", &key)?.ok_or_else(missing)?;
        let refs = owned.refs.checked_add_signed(by).ok_or_else(missing)?;
        if refs == 0 {
            self.remove(key);
        } else {
            self.write(key, &Owned { refs, ..owned })?;
        }
        Ok(refs)
    }

    fn count_live(&mut self, segment: u64, bodies: i64, len: u64) -> Result<()> {
        let key = schema::segment(segment);
        let live: Live = self.record("segment", &key)?.unwrap_or_default();
        let bytes = if bodies < 0 { live.bytes.checked_sub(len) } else { live.bytes.checked_add(len) };
        match (live.bodies.checked_add_signed(bodies), bytes) {
            (Some(0), _) => self.remove(key),
            (Some(bodies), Some(bytes)) => self.write(key, &Live { bodies, bytes })?,
            _ => return Err(Error::corrupt(format!("count of bodies in segment {segment}"))),
        }
        Ok(())
    }
}
