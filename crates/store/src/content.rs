//! Contents: how a received body becomes a place in the journal or a file with references, how
//! contents are shared, put together, moved and let go of, all within one commit.
//!
//! A body in a file counts its references. A body in the journal can be moved, so who refers to it
//! must be found: the record that was written in one commit with it stands beside it in the journal,
//! and every other has a row of its own.

use std::ops::ControlFlow;

use bytes::Bytes;
use cosette_blob::Received;
use cosette_kv::Range;

use crate::Sealed;
use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::record::{Content, Layout, Live, Owned, Piece, Place, Small, decode};
use crate::schema::{self, Kind};
use crate::tx::{Freed, Tx};

/// An object of more pieces than this has its list of pieces in rows of its own, so that heads
/// and listings do not read it.
const PIECES_IN_RECORD_MAX: usize = 16;
/// Pieces in one row of the table `Pieces`.
const PIECES_PER_ROW: usize = 256;
/// The same in a row that appends fill, which is written anew by each.
const PIECES_PER_APPEND: usize = 16;

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
    /// Takes over a received body, for a record that this commit writes.
    pub(crate) fn adopt(&mut self, sealed: Sealed) -> Result<Content> {
        let (len, stored, salt) = (sealed.size, sealed.stored, sealed.salt);
        if len == 0 {
            return Ok(Content::empty());
        }
        let place = match sealed.body {
            Received::Small(bytes) => {
                let place = self.place(bytes);
                if let Place::Journal { segment, .. } = place {
                    self.count_live(segment, 1, signed(stored.size))?;
                }
                place
            }
            Received::Stored(body) => {
                let id = body.id();
                self.writes.adopted.push(body);
                self.write(schema::body(Kind::Body, id), &Owned { refs: 1, len: stored.size })?;
                Place::Body { id, size: stored.size, at: 0 }
            }
        };
        Ok(Content(Layout::Pieces(vec![Piece { len, crc64: stored.crc64, place, salt }])))
    }

    /// The content as one more record refers to it.
    pub(crate) fn share(&mut self, content: &Content, holder: &Holder) -> Result<Content> {
        Ok(Content(match &content.0 {
            Layout::Pieces(pieces) => Layout::Pieces(self.share_pieces(pieces, holder)?),
            Layout::Manifest { id, len } => {
                self.count_refs(schema::manifest(*id), 1)?;
                Layout::Manifest { id: *id, len: *len }
            }
        }))
    }

    fn share_pieces(&mut self, pieces: &[Piece], holder: &Holder) -> Result<Vec<Piece>> {
        let mut shared = pieces.to_vec();
        for piece in &mut shared {
            match piece.place {
                Place::Journal { segment, offset, .. } => {
                    self.list(segment, offset, piece, holder)?;
                    self.count_live(segment, 1, 0)?;
                    piece.place = Place::Journal { segment, offset, listed: true };
                }
                Place::Body { id, .. } => drop(self.count_refs(schema::body(Kind::Body, id), 1)?),
                Place::Inline(_) => {}
            }
        }
        Ok(shared)
    }

    /// One record fewer refers to the content; what nothing refers to any more is freed.
    pub(crate) fn let_go(&mut self, content: &Content, holder: &Holder) -> Result<()> {
        match &content.0 {
            Layout::Pieces(pieces) => pieces.iter().try_for_each(|piece| self.let_go_piece(piece, holder)),
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
        for (key, value) in self.collect(&schema::pieces_of(manifest))? {
            let offset = schema::number8(&key, 9).ok_or_else(|| Error::corrupt("key of pieces"))?;
            let holder = Holder::Pieces { manifest, offset };
            for piece in decode::<Vec<Piece>>("pieces", &value)? {
                self.let_go_piece(&piece, &holder)?;
            }
            self.remove(key);
        }
        self.remove(schema::discarded(manifest));
        Ok(())
    }

    fn let_go_piece(&mut self, piece: &Piece, holder: &Holder) -> Result<()> {
        match &piece.place {
            Place::Journal { segment, offset, listed: true } => {
                self.unlist(*segment, *offset, holder)?;
                self.count_live(*segment, -1, 0)
            }
            Place::Journal { segment, listed: false, .. } => {
                self.count_live(*segment, -1, -signed(piece.stored()))
            }
            Place::Body { id, .. } => {
                if self.count_refs(schema::body(Kind::Body, *id), -1)? == 0 {
                    self.mark(schema::body(Kind::Garbage, *id));
                    self.writes.freed.push(Freed::Body(*id));
                }
                Ok(())
            }
            Place::Inline(_) => Ok(()),
        }
    }

    /// The contents one after another as one, referred to by `holder` in place of those that did.
    pub(crate) fn join(&mut self, contents: Vec<(Content, Holder)>, holder: &Holder) -> Result<Content> {
        let mut pieces = Vec::with_capacity(contents.len());
        for (content, before) in contents {
            match content.0 {
                Layout::Pieces(more) => pieces.extend(more.into_iter().map(|piece| (piece, before.clone()))),
                Layout::Manifest { id, .. } => {
                    return Err(Error::corrupt(format!("a part that is manifest {id}")));
                }
            }
        }
        if pieces.len() <= PIECES_IN_RECORD_MAX {
            return Ok(Content(Layout::Pieces(self.hand_over(pieces, holder)?)));
        }
        let manifest = self.seq().0;
        let mut len = 0;
        while !pieces.is_empty() {
            let rest = pieces.split_off(PIECES_PER_ROW.min(pieces.len()));
            let row = self.hand_over(pieces, &Holder::Pieces { manifest, offset: len })?;
            self.write(schema::pieces(manifest, len), &row)?;
            len += row.iter().map(|piece| piece.len).sum::<u64>();
            pieces = rest;
        }
        self.write(schema::manifest(manifest), &Owned { refs: 1, len })?;
        Ok(Content(Layout::Manifest { id: manifest, len }))
    }

    /// `more` after the content of `holder`, which refers to both.
    pub(crate) fn extend(&mut self, content: Content, more: Content, holder: &Holder) -> Result<Content> {
        let Layout::Manifest { id, len } = content.0 else {
            return self.join(vec![(content, holder.clone()), (more, holder.clone())], holder);
        };
        let Layout::Pieces(added) = more.0 else { return Err(Error::corrupt("an append of a manifest")) };
        let owned: Owned = self
            .record("references to a manifest", &schema::manifest(id))?
            .ok_or_else(|| Error::corrupt(format!("manifest {id}")))?;
        let manifest = if owned.refs == 1 { id } else { self.fork(id, len)? };
        if let Some(piece) = added.into_iter().next() {
            let grown = len + piece.len;
            let (offset, mut row) = self.last_pieces(manifest)?;
            let (offset, from) = if row.len() < PIECES_PER_APPEND { (offset, row.len()) } else { (len, 0) };
            row.truncate(from);
            let to = Holder::Pieces { manifest, offset };
            row.extend(self.hand_over(vec![(piece, holder.clone())], &to)?);
            self.write(schema::pieces(manifest, offset), &row)?;
            self.write(schema::manifest(manifest), &Owned { refs: 1, len: grown })?;
            return Ok(Content(Layout::Manifest { id: manifest, len: grown }));
        }
        Ok(Content(Layout::Manifest { id: manifest, len }))
    }

    /// A manifest of its own for one of several that refer to `id`.
    fn fork(&mut self, id: u64, len: u64) -> Result<u64> {
        let manifest = self.seq().0;
        for (key, value) in self.collect(&schema::pieces_of(id))? {
            let offset = schema::number8(&key, 9).ok_or_else(|| Error::corrupt("key of pieces"))?;
            let pieces: Vec<Piece> = decode("pieces", &value)?;
            let shared = self.share_pieces(&pieces, &Holder::Pieces { manifest, offset })?;
            self.write(schema::pieces(manifest, offset), &shared)?;
        }
        self.count_refs(schema::manifest(id), -1)?;
        self.write(schema::manifest(manifest), &Owned { refs: 1, len })?;
        Ok(manifest)
    }

    /// The last row of a manifest and where it begins.
    fn last_pieces(&self, manifest: u64) -> Result<(u64, Vec<Piece>)> {
        let last = self.last(&schema::pieces_of(manifest))?;
        let (key, value) = last.ok_or_else(|| Error::corrupt(format!("manifest {manifest}")))?;
        let offset = schema::number8(&key, 9).ok_or_else(|| Error::corrupt("key of pieces"))?;
        Ok((offset, decode("pieces", &value)?))
    }

    fn hand_over(&mut self, pieces: Vec<(Piece, Holder)>, to: &Holder) -> Result<Vec<Piece>> {
        let mut handed = Vec::with_capacity(pieces.len());
        for (mut piece, from) in pieces {
            if let Place::Journal { segment, offset, listed } = piece.place
                && from != *to
            {
                if listed {
                    self.unlist(segment, offset, &from)?;
                } else {
                    self.count_live(segment, 0, -signed(piece.stored()))?;
                }
                self.list(segment, offset, &piece, to)?;
                piece.place = Place::Journal { segment, offset, listed: true };
            }
            handed.push(piece);
        }
        Ok(handed)
    }

    /// Puts a small body into this commit and points all who refer to it there. `home` is who may
    /// refer to it without being listed. False if nobody refers to it any more.
    pub(crate) fn move_small(
        &mut self,
        from: (u64, u64),
        bytes: &Bytes,
        home: Option<&Holder>,
    ) -> Result<bool> {
        let listed = self.listed(from)?;
        for holder in &listed {
            self.remove(schema::small(from.0, from.1, holder));
        }
        let home = home.filter(|home| !listed.contains(home));
        let mut to = None;
        for holder in listed.iter().chain(home) {
            if let Some((row, mut holding)) = holder.find(|row| self.row(row))?
                && self.repoint(holding.pieces_mut(), holder, from, &mut to, bytes)?
            {
                self.put_row(row, holding.encode()?);
            } else if home != Some(holder) {
                return Err(Error::corrupt(format!("a small body's holder {holder:?}")));
            }
        }
        Ok(to.is_some())
    }

    /// Who is listed as referring to a small body.
    fn listed(&self, (segment, offset): (u64, u64)) -> Result<Vec<Holder>> {
        let mut holders = Vec::new();
        self.rows(&Range::prefix(&schema::small_at(segment, offset)), &mut |key, _| {
            holders.push(schema::small_of(key).map(|(_, holder)| holder));
            ControlFlow::Continue(())
        })?;
        holders.into_iter().collect()
    }

    /// Points those of a record's pieces that lie at `from` to where the body lies now, where the
    /// first puts it; false if none does.
    fn repoint(
        &mut self,
        pieces: &mut [Piece],
        holder: &Holder,
        from: (u64, u64),
        to: &mut Option<(u64, u64)>,
        bytes: &Bytes,
    ) -> Result<bool> {
        let mut any = false;
        for piece in pieces {
            let Place::Journal { segment, offset, listed } = piece.place else { continue };
            if (segment, offset) != from {
                continue;
            }
            any = true;
            let len = signed(piece.stored());
            self.count_live(segment, -1, if listed { 0 } else { -len })?;
            if let Some((segment, offset)) = *to {
                self.list(segment, offset, piece, holder)?;
                self.count_live(segment, 1, 0)?;
                piece.place = Place::Journal { segment, offset, listed: true };
            } else {
                piece.place = self.place(bytes.clone());
                if let Place::Journal { segment, offset, .. } = piece.place {
                    self.count_live(segment, 1, len)?;
                    *to = Some((segment, offset));
                }
            }
        }
        Ok(any)
    }

    /// One more piece of the holder is this body, and nothing but a row says so.
    fn list(&mut self, segment: u64, offset: u64, piece: &Piece, holder: &Holder) -> Result<()> {
        let row = schema::small(segment, offset, holder);
        let before: Option<Small> = self.record("a small body", &row)?;
        let refs = before.map_or(0, |small| small.refs) + 1;
        self.write(row, &Small { refs, len: piece.stored(), crc64: piece.crc64 })
    }

    fn unlist(&mut self, segment: u64, offset: u64, holder: &Holder) -> Result<()> {
        let row = schema::small(segment, offset, holder);
        let small: Small = self
            .record("a small body", &row)?
            .ok_or_else(|| Error::corrupt("a reference to a small body"))?;
        match small.refs.checked_sub(1) {
            Some(0) => self.remove(row),
            Some(refs) => self.write(row, &Small { refs, ..small })?,
            None => return Err(Error::corrupt("a reference to a small body")),
        }
        Ok(())
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

    fn count_live(&mut self, segment: u64, refs: i64, bytes: i64) -> Result<()> {
        let key = schema::segment(segment);
        let live: Live = self.record("segment", &key)?.unwrap_or_default();
        match (live.refs.checked_add_signed(refs), live.bytes.checked_add_signed(bytes)) {
            (Some(0), Some(0)) => self.remove(key),
            (Some(refs), Some(bytes)) if refs > 0 => self.write(key, &Live { refs, bytes })?,
            _ => return Err(Error::corrupt(format!("count of bodies in segment {segment}"))),
        }
        Ok(())
    }
}

/// The length of a small body.
fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
