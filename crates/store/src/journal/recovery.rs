//! What a start does with the journal: replay what the index has not got, cut what a crash tore.
//!
//! A place where no good frame follows is the end of the journal if nothing after it shows that
//! the missing frame had been on disk; a later good frame says so by its `durable`. Then it is
//! damage, and nothing is cut.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use cosette_blob::Disk;
use cosette_model::Seq;

use super::frame::{FRAME_HEADER_BYTES, Frame, MAGIC};
use super::segment::{self, HEADER_BYTES, Header};
use crate::directory::replace;
use crate::error::{Error, Result};
use crate::record::{Applied, Position};

/// What was found.
pub(crate) struct Recovered {
    /// Where to go on, in the last segment; `None` to begin `segment`.
    pub(crate) end: Option<Position>,
    pub(crate) segment: u64,
    /// The last sequence number.
    pub(crate) head: Seq,
    /// Segments that were promised to nobody, to be removed before the journal goes on.
    pub(crate) leftover: Vec<u64>,
}

/// Hands every frame that the index has not got to `replay`, in order, with the place after it.
/// `replay` may find that what a frame refers to is not there; the journal then ends before it, as
/// it does before a torn frame.
///
/// # Errors
/// `Corrupt` when the journal ends before what the index holds, which was in the journal first, or
/// lacks what had been promised.
pub(crate) fn recover(
    dir: &Path,
    disk: &Disk,
    applied: Option<Applied>,
    mut replay: impl FnMut(&Frame<'_>, Applied) -> Result<bool>,
) -> Result<Recovered> {
    let segments = segment::list(dir)?;
    let (mut at, mut head) = match applied {
        Some(applied) => (applied.position, Seq(applied.seq)),
        None => (Position { segment: 1, offset: HEADER_BYTES }, Seq(0)),
    };
    let Some(last) = segments.last().copied() else {
        return match applied {
            None => Ok(Recovered { end: None, segment: 1, head, leftover: Vec::new() }),
            Some(_) => Err(ahead(head, 0)),
        };
    };
    if at.segment > last {
        return Err(ahead(head, last));
    }
    if !segments.contains(&at.segment) {
        // Without an index everything must be there from the first segment on.
        return Err(Error::corrupt(format!("journal segment {} is missing", at.segment)));
    }
    let mut next = Seq(head.0 + 1);
    loop {
        let Some((salt, bytes)) = load(dir, disk, at)? else {
            return Err(ahead(head, last));
        };
        let mut done = 0;
        while let Some(frame) = salt.and_then(|salt| Frame::parse(salt, &bytes[done..])) {
            if frame.first != next {
                break;
            }
            let after = Position { offset: at.offset + frame.len as u64, ..at };
            let last = Seq(frame.next().0 - 1);
            if !replay(&frame, Applied { position: after, seq: last.0 })? {
                break;
            }
            done += frame.len;
            (at, head, next) = (after, last, frame.next());
        }
        // A segment is filled with zeros ahead of its end.
        let ended = salt.is_some() && bytes[done..].iter().all(|byte| *byte == 0);
        let follows = segments.contains(&(at.segment + 1));
        if ended && follows && continues(dir, disk, at.segment + 1, next)? {
            at = Position { segment: at.segment + 1, offset: HEADER_BYTES };
            continue;
        }
        if ended && !follows && at.segment == last {
            return Ok(Recovered { end: Some(at), segment: at.segment, head, leftover: Vec::new() });
        }
        if salt.is_some_and(|salt| promised(salt, &bytes[done..], next))
            || promised_later(dir, disk, &segments, at.segment, next)?
        {
            return Err(Error::corrupt(format!(
                "journal segment {} at {}: commit {next} had been made durable and cannot be read",
                at.segment, at.offset
            )));
        }
        return Ok(cut(&segments, at, head, salt.is_some()));
    }
}

fn ahead(head: Seq, last: u64) -> Error {
    Error::corrupt(format!("the journal ends at segment {last}, before commit {head} that the index holds"))
}

/// A segment from `at` on, with its salt if its header is whole; `None` if it ends before.
fn load(dir: &Path, disk: &Disk, at: Position) -> Result<Option<(Option<u64>, Vec<u8>)>> {
    let mut file = disk.open(&segment::path(dir, at.segment))?;
    let mut head = Vec::new();
    (&mut file).take(HEADER_BYTES).read_to_end(&mut head)?;
    let Some(header) = Header::parse(&head) else {
        // A header is on disk before any frame follows it.
        if file.metadata()?.len() > HEADER_BYTES {
            return Err(Error::corrupt(format!("header of journal segment {}", at.segment)));
        }
        return Ok((at.offset == HEADER_BYTES).then(|| (None, Vec::new())));
    };
    if header.number != at.segment {
        return Err(Error::corrupt(format!("journal segment {} calls itself {}", at.segment, header.number)));
    }
    if file.metadata()?.len() < at.offset {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at.offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some((Some(header.salt), bytes)))
}

/// Whether a segment takes up at `next`, or holds nothing yet.
fn continues(dir: &Path, disk: &Disk, number: u64, next: Seq) -> Result<bool> {
    Ok(match load(dir, disk, Position { segment: number, offset: HEADER_BYTES })? {
        Some((Some(salt), bytes)) => {
            bytes.iter().all(|byte| *byte == 0)
                || Frame::parse(salt, &bytes).is_some_and(|frame| frame.first == next)
        }
        _ => false,
    })
}

/// The last commit that some good frame in `bytes` says to have been on disk when it was written.
fn promise(salt: u64, bytes: &[u8]) -> Seq {
    let Some(last) = bytes.len().checked_sub(FRAME_HEADER_BYTES) else { return Seq(0) };
    (0..=last)
        .filter(|at| bytes[*at..].starts_with(MAGIC))
        .filter_map(|at| Frame::parse(salt, &bytes[at..]))
        .map(|frame| frame.durable)
        .max()
        .unwrap_or_default()
}

/// Whether some good frame in `bytes` was written when `missing` was known to be on disk.
fn promised(salt: u64, bytes: &[u8], missing: Seq) -> bool {
    promise(salt, bytes) >= missing
}

/// Where commits do not sync, the last one that a checkpoint has put on disk with all that it
/// refers to. What it no longer refers to may be removed once this is written down.
pub(crate) fn mark_durable(dir: &Path, disk: &Disk, seq: Seq) -> Result<()> {
    replace(disk, &dir.join("durable"), &format!("{seq}\n"))
}

fn marked_durable(dir: &Path, disk: &Disk) -> Result<Seq> {
    let mut text = String::new();
    match disk.open(&dir.join("durable")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Seq(0)),
        opened => opened?.read_to_string(&mut text)?,
    };
    let number = text.trim_end().parse();
    number.map(Seq).map_err(|_| Error::corrupt("the mark of what is durable"))
}

/// The last commit that is known to be on disk, by its mark or by a frame after a position. What
/// comes after it was promised to nobody, and a loss of power may have taken what it refers to.
pub(crate) fn last_promise(dir: &Path, disk: &Disk, from: Option<Position>) -> Result<Seq> {
    let mut last = marked_durable(dir, disk)?;
    for number in segment::list(dir)? {
        let begin = Position { segment: number, offset: HEADER_BYTES };
        let at = match from {
            Some(from) if number < from.segment => continue,
            Some(from) if number == from.segment => from,
            _ => begin,
        };
        if let Some((Some(salt), bytes)) = load(dir, disk, at)? {
            last = last.max(promise(salt, &bytes));
        }
    }
    Ok(last)
}

fn promised_later(dir: &Path, disk: &Disk, segments: &[u64], after: u64, missing: Seq) -> Result<bool> {
    for number in segments.iter().copied().filter(|number| *number > after) {
        if let Some((Some(salt), bytes)) =
            load(dir, disk, Position { segment: number, offset: HEADER_BYTES })?
            && promised(salt, &bytes, missing)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends the journal at `at`: what lies after it was promised to nobody. A segment without a header
/// was made, and not yet begun, when the crash came: it is begun again.
fn cut(segments: &[u64], at: Position, head: Seq, has_header: bool) -> Recovered {
    let from = if has_header { at.segment + 1 } else { at.segment };
    let leftover = segments.iter().copied().filter(|number| *number >= from).collect();
    Recovered { end: has_header.then_some(at), segment: at.segment, head, leftover }
}

/// Removes what recovery has found to be promised to nobody, the last first. Whoever goes on syncs
/// the directory, or segments that are gone could come back and follow what is written from now on.
pub(crate) fn remove_leftover(dir: &Path, disk: &Disk, found: &Recovered) -> Result<()> {
    for number in found.leftover.iter().rev() {
        disk.remove(&segment::path(dir, *number))?;
        tracing::warn!(number, head = %found.head, "removed a journal segment that nobody was told of");
    }
    Ok(())
}
