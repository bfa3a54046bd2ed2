//! The journal's files: their names, their headers, and reading bodies out of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use cosette_blob::Disk;
use crc_fast::CrcAlgorithm;

use super::frame::{FRAME_HEADER_BYTES, Frame};
use crate::error::{Error, Result};
use crate::little::u64_at;

/// magic 4 | version 4 | number 8 | salt 8 | crc64 of these 8.
pub(super) const HEADER_BYTES: u64 = 32;
const MAGIC: &[u8; 4] = b"CsJ1";
const VERSION: u32 = 1;
/// Open files of segments that are read; beyond it all are closed and opened again as needed.
const OPEN_MAX: usize = 64;

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.journal"))
}

/// The numbers of the segments there are, ascending.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".journal")?.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) struct Header {
    pub(super) number: u64,
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn new(number: u64) -> Self {
        let (salt, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { number, salt }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[..24]);
        bytes[24..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when it is not whole, as a crash right after the file was made leaves it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Self { number: u64_at(bytes, 8)?, salt: u64_at(bytes, 16)? };
        (bytes.get(..HEADER_BYTES as usize)? == header.encode()).then_some(header)
    }

    pub(super) fn read(disk: &Disk, path: &Path) -> Result<Self> {
        let mut bytes = [0; HEADER_BYTES as usize];
        disk.open(path)?.read_exact(&mut bytes)?;
        Self::parse(&bytes).ok_or_else(|| Error::corrupt(format!("header of {}", path.display())))
    }
}

/// The segments as places to read bodies from.
#[derive(Debug)]
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Disk,
    open: RwLock<HashMap<u64, Arc<File>>>,
}

impl Segments {
    pub(crate) fn new(dir: PathBuf, disk: Disk) -> Self {
        Self { dir, disk, open: RwLock::default() }
    }

    pub(crate) fn file(&self, number: u64) -> Result<Arc<File>> {
        if let Some(file) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(Arc::clone(file));
        }
        // Opened while nobody can close it: who removes a segment closes it after that.
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let file = Arc::new(self.disk.open(&path(&self.dir, number))?);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Hands out the frames of a segment that nobody appends to, up to its end or its first damage.
    pub(crate) fn frames(&self, number: u64, visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>) -> Result<()> {
        let file = self.file(number)?;
        let len = file.metadata()?.len();
        let salt = Header::read(&self.disk, &path(&self.dir, number))?.salt;
        let mut at = HEADER_BYTES;
        let mut bytes = Vec::new();
        while at + FRAME_HEADER_BYTES as u64 <= len {
            let mut header = [0; FRAME_HEADER_BYTES];
            file.read_exact_at(&mut header, at)?;
            let Some(frame_len) = Frame::len_of(&header).filter(|frame| *frame as u64 <= len - at) else {
                break;
            };
            bytes.resize(frame_len, 0);
            file.read_exact_at(&mut bytes, at)?;
            let Some(frame) = Frame::parse(salt, &bytes) else { break };
            visit(&frame)?;
            at += frame_len as u64;
        }
        Ok(())
    }

    pub(crate) fn close(&self, number: u64) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Numbers and sizes in bytes, ascending.
    pub(crate) fn list(&self) -> Result<Vec<(u64, u64)>> {
        list(&self.dir)?
            .into_iter()
            .map(|number| Ok((number, fs::metadata(path(&self.dir, number))?.len())))
            .collect()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        path(&self.dir, number)
    }
}
