//! What follows the payload in a body's file: a checksum of each block, so that any range can be
//! checked without reading the whole. All numbers are little-endian.
//!
//! ```text
//! file    payload | crc32c 4 of each block | footer
//! footer  magic 4 | block bytes 4 | payload bytes 8 | crc64/xz of the payload 8 | crc64/nvme 8
//! ```
//!
//! The last block is as long as what is left. The footer's own checksum covers the table and what
//! of the footer comes before it.

use std::ops::Range;

use crc_fast::{CrcAlgorithm, Digest};

pub(crate) const BLOCK_BYTES: u64 = 64 << 10;
const ENTRY_BYTES: usize = 4;
pub(crate) const FOOTER_BYTES: u64 = 32;
/// What of the footer its checksum covers.
const COVERED_BYTES: usize = 24;
const MAGIC: &[u8; 4] = b"CsB2";

/// The blocks that hold the bytes `start..end` of a payload.
pub(crate) fn blocks_of(start: u64, end: u64) -> Range<u64> {
    start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES)
}

/// Where in the file the table's entries for `blocks` are, for a payload of `size` bytes.
pub(crate) fn entries(size: u64, blocks: &Range<u64>) -> Range<u64> {
    let at = |block: u64| size.saturating_add(block * ENTRY_BYTES as u64);
    at(blocks.start)..at(blocks.end)
}

/// Bytes of the whole file.
pub(crate) fn file_bytes(size: u64) -> u64 {
    entries(size, &blocks_of(0, size)).end.saturating_add(FOOTER_BYTES)
}

fn checksum(block: &[u8]) -> [u8; ENTRY_BYTES] {
    narrow(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, block))
}

/// A CRC of 32 bits as it is in the table.
fn narrow(crc: u64) -> [u8; ENTRY_BYTES] {
    (crc as u32).to_le_bytes()
}

/// Takes the payload, gives what follows it.
pub(crate) struct Tail {
    size: u64,
    table: Vec<u8>,
    /// Of the block that is not full yet.
    crc: Digest,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self { size: 0, table: Vec::new(), crc: Digest::new(CrcAlgorithm::Crc32Iscsi) }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = BLOCK_BYTES - self.size % BLOCK_BYTES;
            let (block, rest) = bytes.split_at(bytes.len().min(left as usize));
            self.crc.update(block);
            self.size += block.len() as u64;
            bytes = rest;
            if self.size.is_multiple_of(BLOCK_BYTES) {
                self.table.extend_from_slice(&narrow(self.crc.finalize_reset()));
            }
        }
    }

    /// Table and footer; `crc64` is the payload's CRC-64/XZ.
    pub(crate) fn finish(self, crc64: u64) -> Vec<u8> {
        let mut bytes = self.table;
        if !self.size.is_multiple_of(BLOCK_BYTES) {
            bytes.extend_from_slice(&narrow(self.crc.finalize()));
        }
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&crc64.to_le_bytes());
        let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// The checksums of some of a body's blocks, read back.
pub(crate) struct Blocks {
    first: u64,
    table: Vec<u8>,
    /// The payload's CRC-64/XZ; not to be relied on unless these are all blocks.
    pub(crate) crc64: u64,
}

impl Blocks {
    /// From the table's entries for `blocks` and the footer; `None` if these are not right for a
    /// payload of `size` bytes. The footer's checksum can be looked at only where the whole table is.
    pub(crate) fn parse(size: u64, blocks: &Range<u64>, table: Vec<u8>, footer: &[u8]) -> Option<Self> {
        let (covered, crc) = footer.split_at_checked(COVERED_BYTES)?;
        let (begin, crc64) = covered.split_at(COVERED_BYTES - 8);
        let mut want = [0; COVERED_BYTES - 8];
        want[..4].copy_from_slice(MAGIC);
        want[4..8].copy_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
        want[8..].copy_from_slice(&size.to_le_bytes());
        if begin != want || (table.len() as u64) != blocks.end.checked_sub(blocks.start)? * ENTRY_BYTES as u64
        {
            return None;
        }
        if *blocks == blocks_of(0, size) {
            let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
            digest.update(&table);
            digest.update(covered);
            if digest.finalize().to_le_bytes() != crc {
                return None;
            }
        }
        Some(Self { first: blocks.start, table, crc64: u64::from_le_bytes(crc64.try_into().ok()?) })
    }

    /// Checks bytes that begin with the block `first`.
    ///
    /// # Errors
    /// The number of the first block that is not what was stored.
    pub(crate) fn check(&self, first: u64, bytes: &[u8]) -> Result<(), u64> {
        for (number, block) in (first..).zip(bytes.chunks(BLOCK_BYTES as usize)) {
            let entry = number
                .checked_sub(self.first)
                .and_then(|at| self.table.chunks_exact(ENTRY_BYTES).nth(usize::try_from(at).ok()?));
            if entry != Some(&checksum(block)) {
                return Err(number);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of older builds must stay readable, so the layout is written out here once more.
    #[test]
    fn the_tail_is_what_the_format_says() {
        let mut tail = Tail::new();
        tail.update(b"1234");
        tail.update(b"56789");
        let bytes = tail.finish(0x995d_c9bb_df19_39fa);
        let (table, footer) = bytes.split_at(4);
        // The check value of CRC-32C.
        assert_eq!(table, 0xe306_9283u32.to_le_bytes());
        assert_eq!(footer[..8], *b"CsB2\x00\x00\x01\x00");
        assert_eq!(footer[8..16], 9u64.to_le_bytes());
        assert_eq!(footer[16..24], 0x995d_c9bb_df19_39fau64.to_le_bytes());
        let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[..28]);
        assert_eq!(footer[24..], crc.to_le_bytes());
        assert_eq!(file_bytes(9), 9 + 4 + 32);
    }

    #[test]
    fn how_the_bytes_come_makes_no_difference() {
        let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 5).map(|n| (n * 31 % 251) as u8).collect();
        let mut whole = Tail::new();
        whole.update(&bytes);
        let whole = whole.finish(7);
        for chunk in [1_000, BLOCK_BYTES as usize - 1, BLOCK_BYTES as usize, 2 * BLOCK_BYTES as usize + 1] {
            let mut tail = Tail::new();
            bytes.chunks(chunk).for_each(|chunk| tail.update(chunk));
            assert!(tail.finish(7) == whole, "{chunk}");
        }
    }
}
