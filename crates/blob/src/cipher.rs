//! Bodies that lie encrypted: AES-256-GCM over chunks, by the STREAM construction (Hoang, Reyhanitabar,
//! Rogaway, Vizár 2015). A chunk's nonce holds its number and whether it is the last, so that none can
//! be left out, exchanged or moved, and none of another body is one of this: each body has its own key.
//!
//! A chunk with its tag is one block of a body's file, so a range is read and decrypted by the blocks
//! it lies in.

use std::io;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use bytes::Bytes;

use crate::blocks::BLOCK_BYTES;
use crate::secret::Secret;

const TAG_BYTES: u64 = 16;
/// Bytes that one chunk holds; the last holds what is left.
const CHUNK_BYTES: u64 = BLOCK_BYTES - TAG_BYTES;

/// Bytes on disk of a body of `len` bytes.
pub fn sealed_len(len: u64) -> u64 {
    len.saturating_add(len.div_ceil(CHUNK_BYTES).saturating_mul(TAG_BYTES))
}

/// The reverse.
fn opened_len(sealed: u64) -> u64 {
    sealed.saturating_sub(sealed.div_ceil(BLOCK_BYTES) * TAG_BYTES)
}

/// Twelve bytes: zeros, the chunk's number, whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = last.into();
    bytes.into()
}

/// Takes a body, gives what is to lie on disk.
pub(crate) struct Sealer {
    cipher: Aes256Gcm,
    number: u64,
    /// At most a chunk: whether it is the last is known when more comes, or nothing.
    pending: Vec<u8>,
}

impl Sealer {
    pub(crate) fn new(key: &Secret) -> Self {
        Self { cipher: key.cipher(), number: 0, pending: Vec::new() }
    }

    /// Adds to `to` the chunks that are full and not the last.
    pub(crate) fn update(&mut self, mut bytes: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let room = CHUNK_BYTES as usize - self.pending.len();
            if bytes.len() <= room {
                self.pending.extend_from_slice(bytes);
                return Ok(());
            }
            let (chunk, rest) = bytes.split_at(room);
            self.seal(chunk, false, to)?;
            bytes = rest;
        }
    }

    /// Adds the last chunk; nothing may come after.
    pub(crate) fn finish(&mut self, to: &mut Vec<u8>) -> io::Result<()> {
        self.seal(&[], true, to)
    }

    fn seal(&mut self, more: &[u8], last: bool, to: &mut Vec<u8>) -> io::Result<()> {
        let start = to.len();
        to.extend_from_slice(&self.pending);
        to.extend_from_slice(more);
        self.pending.clear();
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(self.number, last), &[], &mut to[start..])
            .map_err(|_| io::Error::other("a chunk cannot be encrypted"))?;
        to.extend_from_slice(&tag);
        self.number += 1;
        Ok(())
    }
}

/// Takes whole chunks as they lie on disk, gives what of them is wanted.
pub(crate) struct Opener {
    cipher: Aes256Gcm,
    /// Of the next chunk.
    number: u64,
    last: u64,
    /// Bytes of the next chunk that are not wanted.
    skip: u64,
    /// Bytes that are still wanted.
    left: u64,
}

impl Opener {
    /// For the bytes `start..end` of a body that has `sealed` bytes on disk, and where on disk they
    /// lie; `None` if there are no such bytes.
    pub(crate) fn new(key: &Secret, sealed: u64, start: u64, end: u64) -> Option<(Self, u64, u64)> {
        if start >= end || end > opened_len(sealed) {
            return None;
        }
        let (first, past) = (start / CHUNK_BYTES, end.div_ceil(CHUNK_BYTES));
        let opener = Self {
            cipher: key.cipher(),
            number: first,
            last: sealed.div_ceil(BLOCK_BYTES) - 1,
            skip: start % CHUNK_BYTES,
            left: end - start,
        };
        Some((opener, first * BLOCK_BYTES, (past * BLOCK_BYTES).min(sealed)))
    }

    /// # Errors
    /// The number of the first chunk that was not encrypted so.
    pub(crate) fn open(&mut self, sealed: &[u8]) -> Result<Bytes, u64> {
        let mut opened = Vec::with_capacity(sealed.len());
        for chunk in sealed.chunks(BLOCK_BYTES as usize) {
            let number = self.number;
            let (body, tag) =
                chunk.split_at_checked(chunk.len().wrapping_sub(TAG_BYTES as usize)).ok_or(number)?;
            let start = opened.len();
            opened.extend_from_slice(body);
            self.cipher
                .decrypt_in_place_detached(
                    &nonce(number, number == self.last),
                    &[],
                    &mut opened[start..],
                    Tag::from_slice(tag),
                )
                .map_err(|_| number)?;
            self.number += 1;
        }
        let opened = Bytes::from(opened);
        let from = self.skip.min(opened.len() as u64);
        let to = from.saturating_add(self.left).min(opened.len() as u64);
        self.skip = 0;
        self.left -= to - from;
        Ok(opened.slice(from as usize..to as usize))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sealed(key: &Secret, body: &[u8], pieces: usize) -> Vec<u8> {
        let (mut sealer, mut to) = (Sealer::new(key), Vec::new());
        body.chunks(pieces).for_each(|piece| sealer.update(piece, &mut to).unwrap());
        sealer.finish(&mut to).unwrap();
        to
    }

    fn body(len: u64) -> Vec<u8> {
        (0..len).map(|n| (n * 31 % 251) as u8).collect()
    }

    const SIZES: [u64; 9] = [
        1,
        100,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        BLOCK_BYTES,
        2 * CHUNK_BYTES,
        3 * CHUNK_BYTES - 1,
        3 * CHUNK_BYTES + 7,
    ];

    #[test]
    fn any_range_comes_back() {
        let key = Secret::random().unwrap();
        for size in SIZES {
            let body = body(size);
            let whole = sealed(&key, &body, 1 << 20);
            assert_eq!(whole.len() as u64, sealed_len(size));
            assert_eq!(opened_len(whole.len() as u64), size);
            assert!(sealed(&key, &body, 10_007) == whole, "how the bytes come makes no difference");
            let borders =
                [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, size - 1, size];
            for start in borders.into_iter().filter(|start| *start < size) {
                for end in borders.into_iter().filter(|end| start < *end && *end <= size) {
                    let (mut opener, from, to) = Opener::new(&key, whole.len() as u64, start, end).unwrap();
                    let mut opened = Vec::new();
                    for blocks in whole[from as usize..to as usize].chunks(BLOCK_BYTES as usize) {
                        opened.extend_from_slice(&opener.open(blocks).unwrap());
                    }
                    assert!(opened == body[start as usize..end as usize], "{start}..{end} of {size}");
                }
            }
            assert!(Opener::new(&key, whole.len() as u64, 0, size + 1).is_none());
        }
    }

    /// Cut, reordered, exchanged, prolonged or flipped: nothing of it is opened.
    #[test]
    fn what_is_not_what_was_sealed_is_noticed() {
        let key = Secret::random().unwrap();
        let (len, block) = (3 * CHUNK_BYTES, BLOCK_BYTES as usize);
        let whole = sealed(&key, &body(len), 1 << 20);
        let other = sealed(&Secret::random().unwrap(), &body(len), 1 << 20);
        let open = |bytes: &[u8]| {
            let sealed = bytes.len() as u64;
            let (mut opener, ..) = Opener::new(&key, sealed, 0, opened_len(sealed)).unwrap();
            opener.open(bytes)
        };
        assert!(open(&whole).is_ok());
        assert_eq!(open(&whole[..2 * block]).unwrap_err(), 1, "cut at a chunk");
        assert_eq!(open(&whole[..whole.len() - 1]).unwrap_err(), 2);
        let swapped = [&whole[block..2 * block], &whole[..block], &whole[2 * block..]].concat();
        assert_eq!(open(&swapped).unwrap_err(), 0);
        let foreign = [&whole[..block], &other[block..2 * block], &whole[2 * block..]].concat();
        assert_eq!(open(&foreign).unwrap_err(), 1);
        assert_eq!(open(&[&whole[..], &whole[2 * block..]].concat()).unwrap_err(), 2, "prolonged");
        for at in [0, block - 1, block, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(open(&flipped).is_err(), "{at}");
        }
    }

    #[test]
    fn nothing_of_the_body_is_in_what_lies_on_disk() {
        let whole = sealed(&Secret::random().unwrap(), &[b'A'; 200_000], 1 << 20);
        assert!(!whole.windows(8).any(|window| window == b"AAAAAAAA"));
    }
}
