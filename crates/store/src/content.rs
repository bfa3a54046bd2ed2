//! Contents: how a received body becomes a place in the journal or a file with references, how
//! contents are shared, put together, moved and let go of, all within one commit.
//!
//! A body in a file counts its references. A body in the journal has a row for each record that
//! refers to it, so that it can be moved: the rows of a segment say what is alive in it, and whose.

use std::ops::ControlFlow;

use bytes::Bytes;
use cosette_blob::Received;
use cosette_kv::Range;

use crate::Sealed;
use crate::error::{Error, Result};
use crate::record::{Content, Layout, Live, Object, Owned, Part, Piece, Place, Small, decode, encode};
use crate::schema::{self, Holder, Kind};
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
    /// Takes over a received body; `holder` is the first to refer to it.
    pub(crate) fn adopt(&mut self, sealed: Sealed, holder: &Holder) -> Result<Content> {
        let (len, crc64) = (sealed.size, sealed.digests.crc64);
        if len == 0 {
            return Ok(Content::empty());
        }
        let place = match sealed.body {
            Received::Small(bytes) => self.place_small(bytes, Small { len, crc64 }, &[holder])?,
            Received::Stored(body) => {
                let id = body.id();
                self.writes.adopted.push(body);
                self.write(schema::body(Kind::Body, id), &Owned { refs: 1, len })?;
                Place::Body { id, size: len, at: 0 }
            }
        };
        Ok(Content(Layout::Pieces(vec![Piece { len, crc64, place }])))
    }

    fn place_small(&mut self, bytes: Bytes, small: Small, holders: &[&Holder]) -> Result<Place> {
        let place = self.place(bytes);
        if let Place::Journal { segment, offset } = place {
            for holder in holders {
                self.write(schema::small(segment, offset, holder), &small)?;
            }
            self.count_live(segment, 1, small.len)?;
        }
        Ok(place)
    }

    /// One more record refers to the content.
    pub(crate) fn share(&mut self, content: &Content, holder: &Holder) -> Result<()> {
        match &content.0 {
            Layout::Pieces(pieces) => pieces.iter().try_for_each(|piece| match &piece.place {
                Place::Journal { segment, offset } => {
                    let small = Small { len: piece.len, crc64: piece.crc64 };
                    self.write(schema::small(*segment, *offset, holder), &small)
                }
                Place::Body { id, .. } => self.count_refs(schema::body(Kind::Body, *id), 1).map(drop),
                Place::Inline(_) => Ok(()),
            }),
            Layout::Manifest { id, .. } => self.count_refs(schema::manifest(*id), 1).map(drop),
        }
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
            Place::Journal { segment, offset } => {
                self.remove(schema::small(*segment, *offset, holder));
                if self.any(&schema::small_at(*segment, *offset))? {
                    return Ok(());
                }
                self.count_live(*segment, -1, piece.len)
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
            self.put_row(schema::pieces(manifest, offset), value);
            self.share(&Content(Layout::Pieces(pieces)), &Holder::Pieces { manifest, offset })?;
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
        for (piece, from) in pieces {
            if let Place::Journal { segment, offset } = piece.place
                && from != *to
            {
                self.remove(schema::small(segment, offset, &from));
                let small = Small { len: piece.len, crc64: piece.crc64 };
                self.write(schema::small(segment, offset, to), &small)?;
            }
            handed.push(piece);
        }
        Ok(handed)
    }

    /// Puts a small body into this commit and points all who refer to it there; false if nobody
    /// does any more.
    pub(crate) fn move_small(&mut self, segment: u64, offset: u64, bytes: Bytes) -> Result<bool> {
        let mut holders = Vec::new();
        let mut small = None;
        self.rows(&Range::prefix(&schema::small_at(segment, offset)), &mut |key, value| {
            holders.push(schema::small_of(key).map(|(_, holder)| holder));
            small = Some(decode::<Small>("a small body", value));
            ControlFlow::Continue(())
        })?;
        let Some(small) = small.transpose()? else { return Ok(false) };
        let holders = holders.into_iter().collect::<Result<Vec<_>>>()?;
        for holder in &holders {
            self.remove(schema::small(segment, offset, holder));
        }
        self.count_live(segment, -1, small.len)?;
        let to = self.place_small(bytes, small, &holders.iter().collect::<Vec<_>>())?;
        let from = Place::Journal { segment, offset };
        for holder in &holders {
            self.repoint(holder, &from, &to)?;
        }
        Ok(true)
    }

    /// Changes the place of a piece in a holder's record.
    fn repoint(&mut self, holder: &Holder, from: &Place, to: &Place) -> Result<()> {
        let lost = || Error::corrupt(format!("a small body's holder {holder:?}"));
        let change = |pieces: &mut [Piece]| {
            let mut found = pieces.iter_mut().filter(|piece| piece.place == *from).peekable();
            found.peek().is_some().then(|| found.for_each(|piece| piece.place = to.clone()))
        };
        let change_content = |content: &mut Content| match &mut content.0 {
            Layout::Pieces(pieces) => change(pieces),
            Layout::Manifest { .. } => None,
        };
        let (key, value) = match holder {
            Holder::Version { bucket, key, stamp } => {
                let current = schema::object(*bucket, key);
                let version = schema::version(*bucket, key, *stamp);
                let read = |row: &[u8]| self.row(row)?.map_or(Ok(None), |row| Object::decode(&row));
                let (row, mut object) = match read(&current)? {
                    Some(object) if object.version.stamp == *stamp => (current, object),
                    _ => (version.clone(), read(&version)?.ok_or_else(lost)?),
                };
                change_content(&mut object.content).ok_or_else(lost)?;
                (row, object.encode()?)
            }
            Holder::Part { upload, number } => {
                let row = schema::part(*upload, *number);
                let mut part: Part = self.record("part", &row)?.ok_or_else(lost)?;
                change_content(&mut part.content).ok_or_else(lost)?;
                (row, encode(&part)?)
            }
            Holder::Pieces { manifest, offset } => {
                let row = schema::pieces(*manifest, *offset);
                let mut pieces: Vec<Piece> = self.record("pieces", &row)?.ok_or_else(lost)?;
                change(&mut pieces).ok_or_else(lost)?;
                (row, encode(&pieces)?)
            }
            Holder::Kept(id) => {
                let row = schema::kept(*id);
                let mut content: Content = self.record("kept", &row)?.ok_or_else(lost)?;
                change_content(&mut content).ok_or_else(lost)?;
                (row, encode(&content)?)
            }
        };
        self.put_row(key, value);
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
