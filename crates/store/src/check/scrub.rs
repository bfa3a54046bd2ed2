//! Every body that a record refers to, read and checked.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use cosette_blob::{Bodies, BodyId, crc64};
use cosette_kv::Engine;

use super::{Progress, Report, each, each_held, each_piece};
use crate::error::{Error, Result};
use crate::journal::Segments;
use crate::record::{Live, Owned, Piece, Place, decode};
use crate::schema::{self, Kind};
use crate::store::Store;

/// Where bodies are looked for.
pub(super) struct Stored<'a> {
    pub(super) bodies: &'a Bodies,
    pub(super) segments: Option<&'a Segments>,
}

impl Store {
    /// Reads every body that a record refers to, while the store is in use, and says which object
    /// has one that is damaged or missing. `progress` may end it early. Blocks, for long.
    ///
    /// # Errors
    /// When the index itself cannot be read.
    pub fn scrub(&self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Report> {
        let mut report = Report::default();
        let stored = Stored { bodies: self.bodies(), segments: self.segments().map(|segments| &**segments) };
        stored.scrub(&*self.engine()?, &mut report, progress)?;
        Ok(report)
    }
}

impl Stored<'_> {
    pub(super) fn scrub(
        &self,
        engine: &dyn Engine,
        report: &mut Report,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut at = Progress { done: 0, total: total(engine)? };
        let mut seen: HashSet<Id> = HashSet::new();
        let mut stopped = false;
        each_held(engine, report, &mut |report, held| {
            if stopped {
                return Ok(());
            }
            let checked = each_piece(engine, &held.content, &held.holder, &mut |piece, _| {
                let Some(id) = Id::of(piece) else { return Ok(()) };
                if stopped || !seen.insert(id) {
                    return Ok(());
                }
                let bytes = id.bytes(piece);
                report.bodies += 1;
                report.bytes += bytes;
                let checked = self.check(piece);
                at.done += bytes;
                at.total = at.total.max(at.done);
                stopped = progress(at).is_break();
                checked
            });
            if let Err(error) = checked
                // What has been overwritten or moved since its record was read is nobody's damage.
                && engine.get(&held.row)?.is_some_and(|now| now == held.value)
            {
                report.find(held.name, error.to_string());
            }
            Ok(())
        })?;
        if stopped {
            report.notes.push("ended before everything was read".to_owned());
        }
        Ok(())
    }

    fn check(&self, piece: &Piece) -> Result<()> {
        match &piece.place {
            Place::Inline(bytes) if crc64(bytes) == piece.crc64 => Ok(()),
            Place::Inline(_) => Err(Error::corrupt("body in its record")),
            Place::Body { id, size, at } => {
                let found = self.bodies.check(*id, *size)?;
                let is_whole = *at == 0 && *size == piece.stored();
                if is_whole && found != piece.crc64 {
                    return Err(Error::corrupt(format!("body {id} is another one")));
                }
                Ok(())
            }
            Place::Journal { segment, offset, .. } => {
                let missing = || Error::corrupt(format!("journal segment {segment}"));
                let file = self.segments.ok_or_else(missing)?.file(*segment)?;
                let mut bytes = vec![0; piece.stored() as usize];
                let damaged = || Error::corrupt(format!("body in journal segment {segment} at {offset}"));
                file.read_exact_at(&mut bytes, *offset).map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => damaged(),
                    _ => error.into(),
                })?;
                if crc64(&bytes) == piece.crc64 { Ok(()) } else { Err(damaged()) }
            }
        }
    }
}

/// What is to be checked once, however many refer to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Id {
    Body(BodyId, u64),
    Small(u64, u64),
}

impl Id {
    fn of(piece: &Piece) -> Option<Self> {
        match &piece.place {
            Place::Inline(_) => None,
            Place::Body { id, size, .. } => Some(Self::Body(*id, *size)),
            Place::Journal { segment, offset, .. } => Some(Self::Small(*segment, *offset)),
        }
    }

    fn bytes(self, piece: &Piece) -> u64 {
        match self {
            Self::Body(_, size) => size,
            Self::Small(..) => piece.stored(),
        }
    }
}

/// Bytes of all bodies, about.
fn total(engine: &dyn Engine) -> Result<u64> {
    let mut total = 0;
    each(engine, &schema::key(Kind::Body, &[]), &mut |_, value| {
        total += decode::<Owned>("references to a body", value)?.len;
        Ok(())
    })?;
    each(engine, &schema::key(Kind::Segment, &[]), &mut |_, value| {
        total += decode::<Live>("segment", value)?.bytes;
        Ok(())
    })?;
    Ok(total)
}
