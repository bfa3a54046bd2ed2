//! The records that refer to bodies, whatever table they lie in.

use cosette_model::{ObjectKey, PartNumber};

use crate::Kept;
use crate::error::{Error, Result};
use crate::journal::Segments;
use crate::record::{Content, Layout, Object, Part, Piece, Place, decode, encode};
use crate::schema::{self, Kind, number8};

/// A record that refers to bodies, by what does not change when it moves from one table to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Version { bucket: u64, key: ObjectKey, stamp: u64 },
    Part { upload: u64, number: PartNumber },
    Pieces { manifest: u64, offset: u64 },
    Kept(Kept),
}

/// A holder's record.
pub(crate) enum Holding {
    Object(Box<Object>),
    Part(Box<Part>),
    Pieces(Vec<Piece>),
    Kept(Content),
}

impl Holder {
    pub(crate) fn version(bucket: u64, key: &ObjectKey, stamp: u64) -> Self {
        Self::Version { bucket, key: key.clone(), stamp }
    }

    /// Whose row it is; `None` for a row that refers to no bodies.
    pub(crate) fn of(row: &[u8], value: &[u8]) -> Result<Option<(Self, Holding)>> {
        let is = |kind: Kind| row.first() == Some(&(kind as u8));
        let wrong = || Error::corrupt("the key of a record that refers to bodies");
        Ok(if is(Kind::Object) || is(Kind::Version) {
            let Some(object) = Object::decode(value)? else { return Ok(None) };
            let (bucket, key) = schema::object_of(row)?;
            let key = ObjectKey::new(key).map_err(|_| wrong())?;
            let stamp = object.version.stamp;
            Some((Self::Version { bucket, key, stamp }, Holding::Object(Box::new(object))))
        } else if is(Kind::Part) {
            let part: Part = decode("part", value)?;
            let holder = Self::Part { upload: number8(row, 1).ok_or_else(wrong)?, number: part.number };
            Some((holder, Holding::Part(Box::new(part))))
        } else if is(Kind::Pieces) {
            let (manifest, offset) = (number8(row, 1).ok_or_else(wrong)?, number8(row, 9).ok_or_else(wrong)?);
            Some((Self::Pieces { manifest, offset }, Holding::Pieces(decode("pieces", value)?)))
        } else if is(Kind::Kept) {
            let id = schema::kept_of(row).ok_or_else(wrong)?;
            Some((Self::Kept(id), Holding::Kept(decode("kept", value)?)))
        } else {
            None
        })
    }

    /// Where the record lies now, read through `get`.
    pub(crate) fn find(
        &self,
        get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>>,
    ) -> Result<Option<(Vec<u8>, Holding)>> {
        let rows = match self {
            Self::Version { bucket, key, stamp } => {
                vec![schema::object(*bucket, key), schema::version(*bucket, key, *stamp)]
            }
            Self::Part { upload, number } => vec![schema::part(*upload, *number)],
            Self::Pieces { manifest, offset } => vec![schema::pieces(*manifest, *offset)],
            Self::Kept(id) => vec![schema::kept(*id)],
        };
        for row in rows {
            let Some(value) = get(&row)? else { continue };
            if let Some((holder, holding)) = Self::of(&row, &value)?
                && holder == *self
            {
                return Ok(Some((row, holding)));
            }
        }
        Ok(None)
    }

    pub(crate) fn write(&self, row: &mut Vec<u8>) {
        match self {
            Self::Version { bucket, key, stamp } => {
                row.push(1);
                row.extend_from_slice(&bucket.to_be_bytes());
                row.extend_from_slice(&stamp.to_be_bytes());
                row.extend_from_slice(key.as_str().as_bytes());
            }
            Self::Part { upload, number } => {
                row.push(2);
                row.extend_from_slice(&upload.to_be_bytes());
                row.extend_from_slice(&number.get().to_be_bytes());
            }
            Self::Pieces { manifest, offset } => {
                row.push(3);
                row.extend_from_slice(&manifest.to_be_bytes());
                row.extend_from_slice(&offset.to_be_bytes());
            }
            Self::Kept(Kept(seq, count)) => {
                row.push(4);
                row.extend_from_slice(&seq.to_be_bytes());
                row.extend_from_slice(&count.to_be_bytes());
            }
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let holder = || {
            let number2 = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
            Some(match bytes.first()? {
                1 => Self::Version {
                    bucket: number8(bytes, 1)?,
                    stamp: number8(bytes, 9)?,
                    key: ObjectKey::new(std::str::from_utf8(bytes.get(17..)?).ok()?).ok()?,
                },
                2 => Self::Part {
                    upload: number8(bytes, 1)?,
                    number: PartNumber::new(number2(9)?.into()).ok()?,
                },
                3 => Self::Pieces { manifest: number8(bytes, 1)?, offset: number8(bytes, 9)? },
                4 => Self::Kept(Kept(number8(bytes, 1)?, number2(9)?)),
                _ => return None,
            })
        };
        holder().ok_or_else(|| Error::corrupt("the holder of a small body"))
    }
}

impl Holding {
    /// The pieces in the record itself: none of a manifest's.
    pub(crate) fn pieces(&self) -> &[Piece] {
        match self {
            Self::Object(object) => object.content.pieces(),
            Self::Part(part) => part.content.pieces(),
            Self::Pieces(pieces) => pieces,
            Self::Kept(content) => content.pieces(),
        }
    }

    pub(crate) fn pieces_mut(&mut self) -> &mut [Piece] {
        match self {
            Self::Object(object) => object.content.pieces_mut(),
            Self::Part(part) => part.content.pieces_mut(),
            Self::Pieces(pieces) => pieces,
            Self::Kept(content) => content.pieces_mut(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        match self {
            Self::Object(object) => object.encode(),
            Self::Part(part) => encode(part),
            Self::Pieces(pieces) => encode(pieces),
            Self::Kept(content) => encode(content),
        }
    }
}

impl Content {
    fn pieces(&self) -> &[Piece] {
        match &self.0 {
            Layout::Pieces(pieces) => pieces,
            Layout::Manifest { .. } => &[],
        }
    }

    fn pieces_mut(&mut self) -> &mut [Piece] {
        match &mut self.0 {
            Layout::Pieces(pieces) => pieces,
            Layout::Manifest { .. } => &mut [],
        }
    }
}

/// Takes a record, a piece of it, and the piece's offset in its segment.
type TakeHome<'a> = dyn FnMut(&Holder, &Piece, u64) -> Result<()> + 'a;

/// Hands out who was written in one commit with a body of the segment; the index says who of them
/// still refers to it.
pub(crate) fn each_home(segments: &Segments, segment: u64, visit: &mut TakeHome<'_>) -> Result<()> {
    segments.frames(segment, &mut |frame| {
        let mut outcome = Ok(());
        let whole = frame.each_row(|row, value| {
            if let (Ok(()), Some(value)) = (&outcome, value) {
                outcome = each_home_of(segment, row, value, visit);
            }
        });
        outcome.and(whole.ok_or_else(|| Error::corrupt("a frame of the journal")))
    })
}

fn each_home_of(segment: u64, row: &[u8], value: &[u8], visit: &mut TakeHome<'_>) -> Result<()> {
    let Some((holder, holding)) = Holder::of(row, value)? else { return Ok(()) };
    for piece in holding.pieces() {
        match piece.place {
            Place::Journal { segment: at, offset, listed: false } if at == segment => {
                visit(&holder, piece, offset)?;
            }
            _ => {}
        }
    }
    Ok(())
}
