//! Changes as they are read back. The journal has them first, with the writes they tell of; here
//! they stand in order of their own, apart from everything else: the newest in memory, those up to
//! the last checkpoint in files.
//!
//! ```text
//! changes/<first number>.log   record, record, ...
//! record   length 4 | crc64 of what follows 8 | number 8 | change
//!          length 4 | crc64 of what follows 8 | zeros 8 | segment 8 | offset 8 | commit 8
//! ```
//!
//! Numbers are little-endian. The second kind of record ends what a checkpoint has written: up to
//! that place in the journal all changes are here. What comes after the last one counts for
//! nothing, and is taken from the journal again.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cosette_blob::{Disk, Output};
use cosette_model::{Change, Seq, Timestamp};
use crc_fast::CrcAlgorithm;

use crate::error::{Error, Result};
use crate::little::{u32_at, u64_at};
use crate::record::{Applied, Position, decode};

const RECORD_HEADER_BYTES: usize = 12;
const NUMBER_BYTES: usize = 8;
/// A file with so many bytes is followed by a new one; what is forgotten is forgotten by the file.
const FILE_BYTES: u64 = 1 << 20;
const SUFFIX: &str = ".log";

/// Changes by number, each as its record.
pub(crate) type Changes = Vec<(Seq, Bytes)>;

pub(crate) struct ChangeLog {
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` where nothing is kept.
    place: Option<(PathBuf, Disk)>,
    /// Oldest first; a checkpoint writes to the last.
    files: Vec<File>,
    output: Option<Output>,
    /// Changes that are in no file, in order.
    recent: VecDeque<(Seq, Bytes)>,
    recent_bytes: u64,
}

#[derive(Clone, Debug)]
struct File {
    first: Seq,
    bytes: u64,
}

impl File {
    fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:020}{SUFFIX}", self.first.0))
    }
}

/// What the files hold.
pub(crate) struct Settled {
    /// The last change in them.
    pub(crate) last: Seq,
    /// Up to here the journal need not be asked for changes; `None` if nothing was ever settled.
    pub(crate) upto: Option<Applied>,
}

fn record(number: Seq, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; RECORD_HEADER_BYTES];
    bytes.extend_from_slice(&number.0.to_le_bytes());
    bytes.extend_from_slice(rest);
    let len = u32::try_from(bytes.len() - RECORD_HEADER_BYTES).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[RECORD_HEADER_BYTES..]);
    bytes[4..RECORD_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Number and rest of the record at the beginning of `bytes`, and how long it is; `None` where
/// there is no whole one.
fn parse(bytes: &[u8]) -> Option<(Seq, &[u8], usize)> {
    let len = u32_at(bytes, 0)? as usize;
    let body = bytes.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + len)?;
    let right = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, body) == u64_at(bytes, 4)?;
    let number = Seq(u64_at(body, 0)?);
    right.then_some((number, &body[NUMBER_BYTES..], RECORD_HEADER_BYTES + len))
}

fn load(disk: &Disk, path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files there are, oldest first.
fn files(dir: &Path) -> Result<Vec<File>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        if let Some(first) = first {
            found.push(File { first: Seq(first), bytes: entry.metadata()?.len() });
        }
    }
    found.sort_by_key(|file| file.first);
    Ok(found)
}

/// Called with the number of a file, where in it a record ends, the record's number and its rest.
type Visit<'a> = dyn FnMut(usize, u64, Seq, &[u8]) -> Result<()> + 'a;

/// Every whole record of the files, in order, with the file it lies in and where it ends there.
/// Ends before the first that is not whole.
fn each(dir: &Path, disk: &Disk, files: &[File], visit: &mut Visit<'_>) -> Result<()> {
    for (n, file) in files.iter().enumerate() {
        let bytes = load(disk, &file.path(dir))?;
        let mut at = 0;
        while let Some((number, rest, len)) = parse(&bytes[at..]) {
            at += len;
            visit(n, at as u64, number, rest)?;
        }
        if at < bytes.len() {
            return Ok(());
        }
    }
    Ok(())
}

fn upto_of(rest: &[u8]) -> Option<Applied> {
    let position = Position { segment: u64_at(rest, 0)?, offset: u64_at(rest, 8)? };
    Some(Applied { position, seq: u64_at(rest, 16)? })
}

impl ChangeLog {
    /// One that keeps nothing beyond the process.
    pub(crate) fn in_memory() -> Self {
        Self::new(None, Vec::new())
    }

    fn new(place: Option<(PathBuf, Disk)>, files: Vec<File>) -> Self {
        let inner = Inner { place, files, output: None, recent: VecDeque::new(), recent_bytes: 0 };
        Self { inner: Mutex::new(inner) }
    }

    /// Opens what the files hold, and cuts off what no checkpoint has ended.
    pub(crate) fn open(dir: &Path, disk: &Disk) -> Result<(Self, Settled)> {
        disk.create_directory(dir)?;
        let mut found = files(dir)?;
        let (settled, end) = settled(dir, disk, &found)?;
        for file in found.iter().skip(end.map_or(0, |(n, _)| n + 1)).rev() {
            disk.remove(&file.path(dir))?;
        }
        found.truncate(end.map_or(0, |(n, _)| n + 1));
        if let (Some(last), Some((_, bytes))) = (found.last_mut(), end)
            && last.bytes != bytes
        {
            disk.reopen(&last.path(dir))?.cut(bytes)?;
            last.bytes = bytes;
        }
        Ok((Self::new(Some((dir.to_owned(), disk.clone())), found), settled))
    }

    /// All changes of the files, for who only looks.
    pub(crate) fn look(dir: &Path, disk: &Disk) -> Result<(Changes, Settled)> {
        let mut changes = Vec::new();
        if !dir.exists() {
            return Ok((changes, Settled { last: Seq(0), upto: None }));
        }
        let found = files(dir)?;
        let (settled, _) = settled(dir, disk, &found)?;
        each(dir, disk, &found, &mut |_, _, number, rest| {
            if number.0 > 0 && number <= settled.last {
                changes.push((number, Bytes::copy_from_slice(rest)));
            }
            Ok(())
        })?;
        Ok((changes, settled))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next change; its commit is durable.
    pub(crate) fn push(&self, number: Seq, change: Bytes) {
        let mut inner = self.inner();
        inner.recent_bytes += change.len() as u64;
        inner.recent.push_back((number, change));
    }

    /// The first change that is kept, or one before it.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        let inner = self.inner();
        let filed = inner.files.first().map(|file| file.first);
        filed.or_else(|| inner.recent.front().map(|(number, _)| *number))
    }

    /// Changes after `after`, in order, at most `max`.
    pub(crate) fn read(&self, after: Seq, max: usize) -> Result<Vec<Change>> {
        let (place, older, recent) = {
            let inner = self.inner();
            // Of the files only those that may hold what comes after.
            let from = inner.files.partition_point(|file| file.first <= after).saturating_sub(1);
            let wanted = inner.recent.front().is_none_or(|(first, _)| first.0 > after.0 + 1);
            let older = if wanted { inner.files[from..].to_vec() } else { Vec::new() };
            let begin = inner.recent.partition_point(|(number, _)| *number <= after);
            let recent: Changes = inner.recent.range(begin..).take(max).cloned().collect();
            (inner.place.clone(), older, recent)
        };
        let mut found = Vec::new();
        if let Some((dir, disk)) = place {
            for file in older {
                if found.len() >= max {
                    break;
                }
                let bytes = match load(&disk, &file.path(&dir)) {
                    // It has been forgotten meanwhile.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other?,
                };
                let mut at = 0;
                while found.len() < max && (at as u64) < file.bytes {
                    let Some((number, rest, len)) = parse(&bytes[at..]) else {
                        let name = file.path(&dir);
                        return Err(Error::corrupt(format!("changes in {} at {at}", name.display())));
                    };
                    at += len;
                    if number > after {
                        found.push((number, Bytes::copy_from_slice(rest)));
                    }
                }
            }
        }
        let seen = found.last().map_or(after, |(number, _)| *number);
        let rest = max - found.len();
        found.extend(recent.into_iter().filter(|(number, _)| *number > seen).take(rest));
        found.into_iter().map(|(_, bytes)| decode("change", &bytes)).collect()
    }

    /// Puts the changes up to a place in the journal into files, and says so there: it need not be
    /// asked for them any more. They outlive the process then; `sync` is for the rest.
    pub(crate) fn settle(&self, upto: Applied) -> Result<()> {
        let (dir, disk, taken, last) = {
            let inner = self.inner();
            let Some((dir, disk)) = inner.place.clone() else { return Ok(()) };
            let end = inner.recent.partition_point(|(number, _)| number.0 <= upto.seq);
            let taken: Changes = inner.recent.range(..end).cloned().collect();
            (dir, disk, taken, inner.files.last().cloned())
        };
        let first = taken.first().map_or(Seq(upto.seq + 1), |(number, _)| *number);
        let mut bytes = Vec::new();
        for (number, change) in &taken {
            bytes.extend_from_slice(&record(*number, change));
        }
        let Position { segment, offset } = upto.position;
        let place = [segment, offset, upto.seq].map(u64::to_le_bytes).concat();
        bytes.extend_from_slice(&record(Seq(0), &place));
        // Only the upkeep writes here, so nobody is kept waiting.
        let continued = last.filter(|file| file.bytes < FILE_BYTES);
        let (file, output) = match (continued, self.inner().output.take()) {
            (Some(file), Some(output)) => (file, output),
            (Some(file), None) => {
                let output = disk.reopen(&file.path(&dir))?;
                (file, output)
            }
            (None, before) => {
                if let Some(before) = before {
                    before.sync()?;
                }
                let file = File { first, bytes: 0 };
                disk.remove(&file.path(&dir))?;
                let output = disk.create(&file.path(&dir))?;
                disk.sync_directory(&dir)?;
                (file, output)
            }
        };
        let written = output.write_at(&bytes, file.bytes);
        let mut inner = self.inner();
        inner.output = Some(output);
        // What a failed write has left is written over by the next.
        written?;
        if file.bytes == 0 {
            inner.files.push(file);
        }
        if let Some(last) = inner.files.last_mut() {
            last.bytes += bytes.len() as u64;
        }
        inner.recent.drain(..taken.len());
        inner.recent_bytes -= taken.iter().map(|(_, change)| change.len() as u64).sum::<u64>();
        Ok(())
    }

    /// What was settled is on disk when this returns.
    pub(crate) fn sync(&self) -> Result<()> {
        let output = self.inner().output.as_ref().map(Output::share).transpose()?;
        match output {
            Some(output) => Ok(output.sync()?),
            None => Ok(()),
        }
    }

    /// Forgets the oldest while there are more than so many bytes or they are older than a time,
    /// but nothing from `keep_from` on.
    pub(crate) fn forget(&self, bytes_max: u64, oldest_kept: Timestamp, keep_from: Seq) -> Result<()> {
        let Some((dir, disk)) = self.inner().place.clone() else {
            self.forget_recent(bytes_max, oldest_kept, keep_from);
            return Ok(());
        };
        loop {
            let (oldest, next, over) = {
                let inner = self.inner();
                let [oldest, next, ..] = inner.files.as_slice() else { return Ok(()) };
                let total: u64 = inner.files.iter().map(|file| file.bytes).sum();
                (oldest.clone(), next.clone(), total > bytes_max)
            };
            if next.first > keep_from || !(over || first_time(&disk, &next.path(&dir))? < oldest_kept) {
                return Ok(());
            }
            disk.remove(&oldest.path(&dir))?;
            self.inner().files.remove(0);
        }
    }

    fn forget_recent(&self, bytes_max: u64, oldest_kept: Timestamp, keep_from: Seq) {
        let mut inner = self.inner();
        while let Some((number, change)) = inner.recent.front().cloned() {
            let is_old = || decode::<Change>("change", &change).is_ok_and(|change| change.time < oldest_kept);
            if number >= keep_from || !(inner.recent_bytes > bytes_max || is_old()) {
                return;
            }
            inner.recent_bytes -= change.len() as u64;
            inner.recent.pop_front();
        }
    }
}

/// What checkpoints have ended, and the file and place where that is.
fn settled(dir: &Path, disk: &Disk, files: &[File]) -> Result<(Settled, Option<(usize, u64)>)> {
    let mut settled = Settled { last: Seq(0), upto: None };
    let mut end = None;
    let mut seen = Seq(0);
    each(dir, disk, files, &mut |n, at, number, rest| {
        match upto_of(rest).filter(|_| number == Seq(0)) {
            Some(upto) => {
                settled = Settled { last: seen, upto: Some(upto) };
                end = Some((n, at));
            }
            None => seen = number,
        }
        Ok(())
    })?;
    Ok((settled, end))
}

/// When the first change of a file was made: the file before it has none that is younger.
fn first_time(disk: &Disk, path: &Path) -> Result<Timestamp> {
    let bytes = load(disk, path)?;
    match parse(&bytes) {
        Some((_, change, _)) => Ok(decode::<Change>("change", change)?.time),
        None => Err(Error::corrupt(format!("changes in {}", path.display()))),
    }
}
