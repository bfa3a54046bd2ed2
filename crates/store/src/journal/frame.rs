//! How a group of commits is laid out on disk. All numbers are little-endian.
//!
//! ```text
//! frame   magic 4 | payload length 4 | first seq 8 | commits 4 | reserved 4 | durable 8 | crc64 8 | payload
//! commit  bodies length 4 | rows length 4 | bodies | rows
//! row     key length 4 | value length 4, all ones for a deletion | key | value
//! ```
//!
//! `durable` is the last sequence number that was known to be on disk when the frame was written:
//! it tells recovery whether a damaged frame before this one had been promised to anybody. The
//! checksum is seeded with the segment's salt, so that no bytes a client can send form a frame.

use cosette_kv::Batch;
use cosette_model::Seq;
use crc_fast::{CrcAlgorithm, Digest};

use crate::little::{u32_at, u64_at};
use crate::tx::Writes;

pub(super) const MAGIC: &[u8; 4] = b"CsF1";
pub(super) const FRAME_HEADER_BYTES: usize = 40;
const CRC_AT: usize = 32;
/// What comes before the bodies of a commit.
const COMMIT_HEADER_BYTES: usize = 8;
const DELETED: u32 = u32::MAX;

/// A frame being put together.
pub(crate) struct Group {
    first: Seq,
    commits: u32,
    bytes: Vec<u8>,
}

impl Group {
    /// `buffer` is one that a frame before has left, or an empty one.
    pub(crate) fn new(first: Seq, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(FRAME_HEADER_BYTES, 0);
        Self { first, commits: 0, bytes: buffer }
    }

    /// How far into the frame the bodies of the next commit will begin.
    pub(crate) fn bodies_at(&self) -> u64 {
        (self.bytes.len() + COMMIT_HEADER_BYTES) as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, writes: &Writes) {
        let head = self.bytes.len();
        self.bytes.resize(head + COMMIT_HEADER_BYTES, 0);
        for body in &writes.bodies {
            self.bytes.extend_from_slice(body);
        }
        let rows_at = self.bytes.len();
        for (key, value) in &writes.rows {
            self.bytes.extend_from_slice(&length(key.len()));
            match value {
                Some(value) => {
                    self.bytes.extend_from_slice(&length(value.len()));
                    self.bytes.extend_from_slice(key);
                    self.bytes.extend_from_slice(value);
                }
                None => {
                    self.bytes.extend_from_slice(&DELETED.to_le_bytes());
                    self.bytes.extend_from_slice(key);
                }
            }
        }
        let rows = length(self.bytes.len() - rows_at);
        self.bytes[head..head + 4].copy_from_slice(&length(rows_at - head - COMMIT_HEADER_BYTES));
        self.bytes[head + 4..head + 8].copy_from_slice(&rows);
        self.commits += 1;
    }

    /// The frame's bytes.
    pub(crate) fn seal(&mut self, salt: u64, durable: Seq) -> &[u8] {
        let payload = length(self.bytes.len() - FRAME_HEADER_BYTES);
        let head = &mut self.bytes[..FRAME_HEADER_BYTES];
        head[0..4].copy_from_slice(MAGIC);
        head[4..8].copy_from_slice(&payload);
        head[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        head[16..20].copy_from_slice(&self.commits.to_le_bytes());
        head[24..32].copy_from_slice(&durable.0.to_le_bytes());
        let crc = checksum(salt, &self.bytes);
        self.bytes[CRC_AT..FRAME_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }

    /// The buffer, for the next group.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// Lengths are bounded by the committer's limit on a group, far below 4 GiB.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(DELETED - 1).to_le_bytes()
}

fn checksum(salt: u64, frame: &[u8]) -> u64 {
    let mut crc = Digest::new(CrcAlgorithm::Crc64Nvme);
    crc.update(&salt.to_le_bytes());
    crc.update(&frame[..CRC_AT]);
    crc.update(&frame[FRAME_HEADER_BYTES..]);
    crc.finalize()
}

/// Makes the checksum and the length right, for tests of what comes after them.
#[cfg(any(test, fuzzing))]
pub(crate) fn reseal(salt: u64, frame: &mut [u8]) {
    if frame.len() >= FRAME_HEADER_BYTES {
        let payload = length(frame.len() - FRAME_HEADER_BYTES);
        frame[4..8].copy_from_slice(&payload);
        let crc = checksum(salt, frame);
        frame[CRC_AT..FRAME_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A frame whose checksum is right.
pub(crate) struct Frame<'a> {
    pub(super) first: Seq,
    pub(super) commits: u32,
    pub(super) durable: Seq,
    /// Bytes of the whole frame.
    pub(super) len: usize,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The length of the frame that begins so, if one does.
    pub(super) fn len_of(header: &[u8]) -> Option<usize> {
        (header.get(0..4)? == MAGIC).then_some(FRAME_HEADER_BYTES + u32_at(header, 4)? as usize)
    }

    /// The frame at the beginning of `bytes`, if there is an undamaged one.
    pub(crate) fn parse(salt: u64, bytes: &'a [u8]) -> Option<Self> {
        let len = Self::len_of(bytes)?;
        let frame = bytes.get(..len)?;
        if u64_at(frame, CRC_AT)? != checksum(salt, frame) {
            return None;
        }
        Some(Self {
            first: Seq(u64_at(frame, 8)?),
            commits: u32_at(frame, 16)?,
            durable: Seq(u64_at(frame, 24)?),
            len,
            payload: &frame[FRAME_HEADER_BYTES..],
        })
    }

    /// The sequence number after this frame.
    pub(super) fn next(&self) -> Seq {
        Seq(self.first.0 + u64::from(self.commits))
    }

    /// The rows of all its commits in order; `None` if they are not laid out as they must be.
    pub(crate) fn rows(&self, batch: &mut Batch) -> Option<()> {
        self.each_row(|key, value| match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        })
    }

    /// Hands out the rows with their values, `None` for those that are deleted.
    pub(crate) fn each_row(&self, mut visit: impl FnMut(&[u8], Option<&[u8]>)) -> Option<()> {
        let mut rest = self.payload;
        for _ in 0..self.commits {
            let (bodies, rows) = (u32_at(rest, 0)? as usize, u32_at(rest, 4)? as usize);
            let commit = rest.get(COMMIT_HEADER_BYTES..COMMIT_HEADER_BYTES + bodies + rows)?;
            rest = &rest[COMMIT_HEADER_BYTES + bodies + rows..];
            let mut rows = &commit[bodies..];
            while !rows.is_empty() {
                let (key_len, value_len) = (u32_at(rows, 0)? as usize, u32_at(rows, 4)?);
                let key = rows.get(8..8 + key_len)?;
                rows = &rows[8 + key_len..];
                if value_len == DELETED {
                    visit(key, None);
                } else {
                    visit(key, Some(rows.get(..value_len as usize)?));
                    rows = &rows[value_len as usize..];
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut group = Group::new(Seq(7), Vec::new());
        let mut writes = Writes { bodies: vec![Bytes::from_static(b"a small body")], ..Writes::default() };
        writes.rows.insert(b"put".to_vec(), Some(b"value".to_vec()));
        writes.rows.insert(b"gone".to_vec(), None);
        group.push(&writes);
        group.push(&Writes::default());
        group.seal(5, Seq(6)).to_vec()
    }

    #[test]
    fn frames_round_trip() {
        let bytes = sample();
        let frame = Frame::parse(5, &bytes).unwrap();
        assert_eq!((frame.first, frame.commits, frame.durable), (Seq(7), 2, Seq(6)));
        assert_eq!((frame.next(), frame.len), (Seq(9), bytes.len()));
        let mut batch = Batch::default();
        frame.rows(&mut batch).unwrap();
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let bytes = sample();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            // The reserved field is covered by the checksum too.
            assert!(Frame::parse(5, &damaged).is_none(), "byte {at}");
            assert!(Frame::parse(5, &bytes[..at]).is_none(), "cut at {at}");
        }
        assert!(Frame::parse(6, &bytes).is_none(), "another segment's salt");
    }
}
