//! A copy of the whole index in one file. With the journal from its position on it is the truth;
//! the index is only the fast form of both, and is made anew from them when it cannot be trusted.
//!
//! All numbers are little-endian.
//!
//! ```text
//! file    "CsS1" 4 | version 4 | segment 8 | offset 8 | seq 8 | crc64 8 | block, block, ... | end
//! block   length 4 | stored length 4 | crc64 8 | rows, LZ4 if stored length < length
//! row     key length 4 | value length 4 | key | value
//! end     zeros 8 | crc64 8 | number of rows 8
//! ```
//!
//! It is written while commits go on, so it is of no one moment: each row is at least as new as
//! the position says. Rows are whole values, so replaying the journal from there on makes every
//! one of them right, and what a row was between does not matter.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cosette_blob::{Disk, Output};
use cosette_kv::{Engine, Range};
use crc_fast::CrcAlgorithm;

use crate::error::{Error, Result};
use crate::little::{u32_at, u64_at};
use crate::record::{Applied, Position};
use crate::schema;

const MAGIC: &[u8; 4] = b"CsS1";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 40;
const BLOCK_HEADER_BYTES: usize = 16;
/// Rows are gathered to blocks of about so many bytes. A row is never split.
const BLOCK_BYTES: usize = 256 << 10;
/// No block is longer: a row's value has the size of a record.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const SUFFIX: &str = ".rows";

/// Called with the key and value of each row; an error ends it.
pub(crate) type TakeRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// A finished snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    path: PathBuf,
    /// Up to where the journal is in it.
    pub(crate) applied: Applied,
    /// Size of the file, in bytes.
    pub(crate) bytes: u64,
}

fn crc(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// A block with its header; the checksum covers the lengths as well.
fn framed(len: u32, stored_len: u32, stored: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK_HEADER_BYTES + stored.len());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&stored_len.to_le_bytes());
    let sum = block_crc(&bytes, stored);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(stored);
    bytes
}

fn block_crc(lengths: &[u8], stored: &[u8]) -> u64 {
    let mut crc = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
    crc.update(lengths);
    crc.update(stored);
    crc.finalize()
}

/// The snapshots that lie in `dir`, the newest first; one whose header is damaged is left out.
pub(crate) fn list(dir: &Path, disk: &Disk) -> Result<Vec<Snapshot>> {
    let mut found = Vec::new();
    if !dir.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if !path.to_string_lossy().ends_with(SUFFIX) {
            continue;
        }
        let mut head = Vec::new();
        disk.open(&path)?.take(HEADER_BYTES as u64).read_to_end(&mut head)?;
        match parse_header(&head) {
            Some(applied) => found.push(Snapshot { path, applied, bytes: entry.metadata()?.len() }),
            None => tracing::error!(path = %path.display(), "a snapshot's header is damaged"),
        }
    }
    found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.applied.seq));
    Ok(found)
}

fn parse_header(bytes: &[u8]) -> Option<Applied> {
    let whole = bytes.len() == HEADER_BYTES
        && bytes.starts_with(MAGIC)
        && u32_at(bytes, 4)? == VERSION
        && u64_at(bytes, 32)? == crc(&bytes[..32]);
    let position = Position { segment: u64_at(bytes, 8)?, offset: u64_at(bytes, 16)? };
    whole.then_some(Applied { position, seq: u64_at(bytes, 24)? })
}

fn header(applied: Applied) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    for number in [applied.position.segment, applied.position.offset, applied.seq] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
    bytes
}

/// Writes rows as blocks.
struct Blocks {
    to: Output,
    block: Vec<u8>,
    rows: u64,
}

impl Blocks {
    fn row(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        for len in [key.len(), value.len()] {
            let len = u32::try_from(len).map_err(|_| Error::Index("a row is too long".to_owned()))?;
            self.block.extend_from_slice(&len.to_le_bytes());
        }
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.rows += 1;
        if self.block.len() >= BLOCK_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = lz4_flex::block::compress(&self.block);
        let stored = if packed.len() < self.block.len() { &packed } else { &self.block };
        let too_long = |_| Error::Index("a block is too long".to_owned());
        let len = u32::try_from(self.block.len()).map_err(too_long)?;
        let stored_len = u32::try_from(stored.len()).map_err(too_long)?;
        self.to.write(&framed(len, stored_len, stored))?;
        self.block.clear();
        Ok(())
    }

    fn end(mut self) -> Result<Output> {
        self.write()?;
        self.to.write(&framed(0, 0, &self.rows.to_le_bytes()))?;
        Ok(self.to)
    }
}

/// Writes a snapshot of `engine`, which holds the journal up to `applied` at least; `None` if
/// `stop` asked to end before it was done. `durable` is called when all rows have been read: what
/// the journal holds by then must be on disk before the snapshot counts.
pub(crate) fn write(
    dir: &Path,
    disk: &Disk,
    engine: &dyn Engine,
    applied: Applied,
    stop: &dyn Fn() -> bool,
    durable: &dyn Fn() -> Result<()>,
) -> Result<Option<Snapshot>> {
    disk.create_directory(dir)?;
    let new = dir.join("new");
    disk.remove(&new)?;
    let mut to = disk.create(&new)?;
    to.write(&header(applied))?;
    let mut blocks = Blocks { to, block: Vec::with_capacity(2 * BLOCK_BYTES), rows: 0 };
    let mut outcome = Ok(());
    let mut stopped = false;
    let own = schema::applied();
    engine.scan(&Range::prefix(&[]), &mut |key, value| {
        if key == own {
            return ControlFlow::Continue(());
        }
        outcome = blocks.row(key, value);
        stopped = blocks.rows.is_multiple_of(1024) && stop();
        if outcome.is_err() || stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    outcome?;
    if stopped {
        disk.remove(&new)?;
        return Ok(None);
    }
    let to = blocks.end()?;
    let bytes = to.len()?;
    to.sync()?;
    durable()?;
    let path = dir.join(format!("{:020}{SUFFIX}", applied.seq));
    disk.rename(&new, &path)?;
    disk.sync_directory(dir)?;
    Ok(Some(Snapshot { path, applied, bytes }))
}

impl Snapshot {
    /// Hands out every row, in key order.
    ///
    /// # Errors
    /// `Corrupt` where a block is not what was written; rows before it have been handed out.
    pub(crate) fn read(&self, disk: &Disk, visit: &mut TakeRow<'_>) -> Result<()> {
        let damaged = || Error::corrupt(format!("snapshot {}", self.path.display()));
        let mut file = BufReader::with_capacity(1 << 20, disk.open(&self.path)?);
        let mut head = [0; HEADER_BYTES];
        exact(&mut file, &mut head)?;
        let mut rows = 0u64;
        loop {
            let mut head = [0; BLOCK_HEADER_BYTES];
            exact(&mut file, &mut head)?;
            let number = |at| u32_at(&head, at).map_or(0, |n| n as usize);
            let (len, stored_len) = (number(0), number(4));
            let sum = u64_at(&head, 8).ok_or_else(damaged)?;
            if len == 0 {
                let mut count = [0; 8];
                exact(&mut file, &mut count)?;
                let whole = block_crc(&head[..8], &count) == sum && u64::from_le_bytes(count) == rows;
                return if whole { Ok(()) } else { Err(damaged()) };
            }
            if len > BLOCK_BYTES_MAX || stored_len > len {
                return Err(damaged());
            }
            let mut stored = vec![0; stored_len];
            exact(&mut file, &mut stored)?;
            if block_crc(&head[..8], &stored) != sum {
                return Err(damaged());
            }
            let block = if stored_len < len {
                lz4_flex::block::decompress(&stored, len).map_err(|_| damaged())?
            } else {
                stored
            };
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let (key, value) = row(&mut rest).ok_or_else(damaged)?;
                rows += 1;
                visit(key, value)?;
            }
        }
    }

    pub(crate) fn remove(&self, disk: &Disk) -> Result<()> {
        Ok(disk.remove(&self.path)?)
    }
}

/// A file that ends too early is damaged.
fn exact(file: &mut BufReader<File>, bytes: &mut [u8]) -> Result<()> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::corrupt("a snapshot that is cut short"),
        _ => error.into(),
    })
}

fn row<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (key_len, value_len) = (u32_at(rest, 0)? as usize, u32_at(rest, 4)? as usize);
    let row = rest.get(8..8 + key_len + value_len)?;
    *rest = &rest[8 + key_len + value_len..];
    Some(row.split_at(key_len))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_kv::Batch;

    use super::*;

    const APPLIED: Applied = Applied { position: Position { segment: 3, offset: 77 }, seq: 12 };

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("cosette-snapshot-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    fn filled(rows: u32) -> Box<dyn Engine> {
        let engine = cosette_kv::memory();
        let mut batch = Batch::default();
        for n in 0..rows {
            batch.put(n.to_be_bytes(), vec![n as u8; (n % 700) as usize]);
        }
        batch.put(schema::applied(), *b"left out");
        engine.apply(batch).unwrap();
        engine
    }

    fn write_to(dir: &Path, engine: &dyn Engine) -> Snapshot {
        write(dir, &Disk::default(), engine, APPLIED, &|| false, &|| Ok(())).unwrap().unwrap()
    }

    fn read(snapshot: &Snapshot) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut rows = Vec::new();
        snapshot.read(&Disk::default(), &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn every_row_comes_back() {
        let dir = dir("rows");
        for count in [0, 1, 5_000] {
            let engine = filled(count);
            let written = write_to(&dir, &*engine);
            assert_eq!(list(&dir, &Disk::default()).unwrap(), std::slice::from_ref(&written));
            let rows = read(&written).unwrap();
            assert_eq!(rows.len(), count as usize);
            for (key, value) in rows {
                assert_eq!(engine.get(&key).unwrap(), Some(value));
            }
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn one_that_was_stopped_leaves_nothing() {
        let dir = dir("stopped");
        let engine = filled(3_000);
        assert!(write(&dir, &Disk::default(), &*engine, APPLIED, &|| true, &|| Ok(())).unwrap().is_none());
        assert!(list(&dir, &Disk::default()).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let dir = dir("damage");
        let written = write_to(&dir, &*filled(40));
        let good = std::fs::read(&written.path).unwrap();
        let whole = read(&written).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            std::fs::write(&written.path, &bad).unwrap();
            let found = list(&dir, &Disk::default()).unwrap();
            // The header's own damage leaves it out of the list; any other shows on reading.
            let noticed = match found.first() {
                None => at < HEADER_BYTES,
                Some(snapshot) => at >= HEADER_BYTES && read(snapshot).is_err(),
            };
            assert!(noticed, "byte {at}");
            std::fs::write(&written.path, &good[..at]).unwrap();
            assert!(at < HEADER_BYTES || read(&written).is_err(), "cut at {at}");
        }
        std::fs::write(&written.path, &good).unwrap();
        assert_eq!(read(&written).unwrap(), whole);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
