//! The journal: what was acknowledged, in order, in append-only segments of checksummed frames.
//!
//! A frame is one group of commits, written by one write and made durable by one sync. A crash can
//! tear the last frame; it is recognised by its checksum and cut, nobody was told of its commits.

mod frame;
mod recovery;
mod segment;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cosette_blob::{Disk, Output};
use cosette_model::Seq;

pub(crate) use frame::Frame;
pub(crate) use frame::Group;
#[cfg(any(test, fuzzing))]
pub(crate) use frame::reseal;
pub(crate) use recovery::{last_promise, mark_durable, recover, remove_leftover};
pub(crate) use segment::Segments;

use crate::error::Result;
use crate::record::Position;
use segment::{HEADER_BYTES, Header};

/// The open end of the journal.
pub(crate) struct Journal {
    dir: PathBuf,
    disk: Disk,
    output: Output,
    /// Mixed into the checksums of this segment's frames.
    salt: u64,
    end: Position,
    /// A segment that has reached this many bytes is followed by a new one.
    segment_max: u64,
    sync: bool,
    /// The last sequence number known to be on disk: raised by every sync of ours, and by others
    /// where we do not sync.
    durable: Arc<Durable>,
    /// The segment is filled with zeros up to here. A sync of bytes within a file's length has no
    /// length and no new blocks to write down as well, which halves it for a single writer.
    filled: u64,
}

/// The last sequence number known to be on disk; who makes something durable says so here.
#[derive(Debug)]
pub(crate) struct Durable(AtomicU64);

impl Durable {
    pub(crate) fn get(&self) -> Seq {
        Seq(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, to: Seq) {
        self.0.fetch_max(to.0, Ordering::AcqRel);
    }
}

/// Why a group is not in the journal, and what that means for the next.
#[derive(Debug)]
pub(crate) enum NotAppended {
    Refused(io::Error),
    Unknown(io::Error),
}

impl NotAppended {
    pub(crate) fn into_error(self) -> io::Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

/// How far the segment is filled ahead of its end, in bytes.
const FILL_AHEAD: u64 = 1 << 20;
/// Frames of this size are shared by many writers, to whom writing twice would cost more than a
/// shorter sync gains.
const FILL_FRAME_MAX: usize = 64 << 10;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Journal {
    /// Begins segment `number`; it and its directory entry are on disk before anything is put in.
    pub(crate) fn begin(
        dir: &Path,
        disk: Disk,
        number: u64,
        segment_max: u64,
        sync: bool,
        durable: Seq,
    ) -> Result<Self> {
        let (output, salt) = Self::new_segment(dir, &disk, number)?;
        let end = Position { segment: number, offset: HEADER_BYTES };
        let (filled, durable) = (end.offset, Arc::new(Durable(AtomicU64::new(durable.0))));
        Ok(Self { dir: dir.to_owned(), disk, output, salt, end, segment_max, sync, durable, filled })
    }

    /// Goes on after `end`, which recovery has found to be the end of a segment.
    pub(crate) fn resume(
        dir: &Path,
        disk: Disk,
        end: Position,
        segment_max: u64,
        sync: bool,
        durable: Seq,
    ) -> Result<Self> {
        let path = segment::path(dir, end.segment);
        let salt = Header::read(&disk, &path)?.salt;
        let output = disk.reopen(&path)?;
        output.cut(end.offset)?;
        // What was replayed may not have been on disk before; it is shown, and built upon, from now
        // on. Where nothing is synced by who writes it, that holds for bodies as well.
        if sync {
            output.sync()?;
        } else {
            disk.sync_all(dir)?;
        }
        // Nor may the segment's own entry have been, or the absence of those that were cut off.
        disk.sync_directory(dir)?;
        let (filled, durable) = (end.offset, Arc::new(Durable(AtomicU64::new(durable.0))));
        Ok(Self { dir: dir.to_owned(), disk, output, salt, end, segment_max, sync, durable, filled })
    }

    /// Synced in every mode: it is seldom, and a checkpoint that is on disk must find its segment.
    fn new_segment(dir: &Path, disk: &Disk, number: u64) -> Result<(Output, u64)> {
        let path = segment::path(dir, number);
        // An attempt that failed may have left one, of which nobody knows.
        disk.remove(&path)?;
        let mut output = disk.create(&path)?;
        let header = Header::new(number);
        output.write(&header.encode())?;
        output.sync()?;
        disk.sync_directory(dir)?;
        Ok((output, header.salt))
    }

    pub(crate) fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.durable)
    }

    /// Where the next frame will begin; a full segment is left first. After an error the journal is
    /// as it was, and may be asked again.
    pub(crate) fn next(&mut self) -> Result<Position> {
        if self.end.offset >= self.segment_max {
            self.output.cut(self.end.offset)?;
            if !self.sync {
                self.output.sync()?;
            }
            let number = self.end.segment + 1;
            let (output, salt) = Self::new_segment(&self.dir, &self.disk, number)?;
            self.output = output;
            self.salt = salt;
            self.end = Position { segment: number, offset: HEADER_BYTES };
            self.filled = HEADER_BYTES;
        }
        Ok(self.end)
    }

    /// Appends the group, which was begun at `next()`, and makes it durable if the mode says so.
    ///
    /// # Errors
    /// `Refused` when the disk did not take it: the journal is as it was. `Unknown` after a failed
    /// sync, when nothing may be appended any more: what the disk holds cannot be found out.
    pub(crate) fn append(
        &mut self,
        group: &mut Group,
        last: Seq,
    ) -> std::result::Result<Position, NotAppended> {
        let frame = group.seal(self.salt, self.durable.get());
        if let Err(error) = self.output.write_at(frame, self.end.offset) {
            // What was written of it is no frame, and is written over by the next. Cutting it off is
            // for neatness; a disk that takes no writes may refuse that as well.
            if self.output.cut(self.end.offset).is_ok() {
                self.filled = self.end.offset;
            }
            return Err(NotAppended::Refused(error));
        }
        self.end.offset += frame.len() as u64;
        if self.sync {
            if frame.len() < FILL_FRAME_MAX
                && let Err(error) = self.fill()
            {
                tracing::debug!(%error, "no room to fill the journal ahead");
                self.filled = self.end.offset;
            }
            self.output.sync().map_err(NotAppended::Unknown)?;
            self.durable.raise(last);
        }
        Ok(self.end)
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.end.offset <= self.filled {
            return Ok(());
        }
        self.filled = self.end.offset;
        let to = (self.end.offset + FILL_AHEAD).min(self.segment_max);
        while self.filled < to {
            let zeros = ZEROS.len().min(usize::try_from(to - self.filled).unwrap_or(usize::MAX));
            self.output.write_at(&ZEROS[..zeros], self.filled)?;
            self.filled += zeros as u64;
        }
        Ok(())
    }

    /// Makes everything appended so far durable, whatever the mode, and writes an empty frame that
    /// says so: what a later start finds missing before it was not torn by a crash.
    pub(crate) fn end(mut self, head: Seq) -> Result<()> {
        self.next()?;
        self.output.sync()?;
        self.durable.raise(head);
        self.append(&mut Group::new(Seq(head.0 + 1), Vec::new()), head).map_err(NotAppended::into_error)?;
        self.output.cut(self.end.offset)?;
        Ok(self.output.sync()?)
    }
}
