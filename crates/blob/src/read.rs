//! Bodies on their way out: ranges of one or several pieces as one stream.
//!
//! A chunk is read on a blocking thread while the one before is being sent; between chunks no
//! thread is held, so slow readers cost memory for two chunks and nothing else. No byte is let out
//! before the checksum of what it lies in has been looked at.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use crc_fast::CrcAlgorithm;
use futures_core::Stream;
use rustix::buffer::spare_capacity;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::blocks::{BLOCK_BYTES, Blocks, FOOTER_BYTES, blocks_of, entries, file_bytes};
use crate::bodies::{Bodies, BodyId, Pin};
use crate::cipher::Opener;
use crate::digest::crc64;
use crate::secret::Secret;
use crate::{Error, Result};

/// Bytes read in one go: whole blocks.
const CHUNK_BYTES: u64 = 256 << 10;
/// Up to this size, which is one block, a body is read at once with what follows it in its file.
const WHOLE_BYTES: u64 = BLOCK_BYTES;

/// Where bytes are.
#[derive(Debug)]
pub enum Source {
    /// A body's own file, whose payload is `size` bytes and, where that is known, has this
    /// CRC-64/XZ: a sound file may still be another body's.
    Body {
        id: BodyId,
        size: u64,
        crc64: Option<u64>,
    },
    Held(Bytes),
    /// Small, within a file of somebody else: read whole and checked.
    Within {
        file: Arc<File>,
        offset: u64,
        len: u64,
        crc64: u64,
    },
}

impl Source {
    /// Bytes there are.
    fn size(&self) -> u64 {
        match self {
            Self::Body { size, .. } => *size,
            Self::Held(bytes) => bytes.len() as u64,
            Self::Within { len, .. } => *len,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { id, .. } => write!(f, "body {id}"),
            Self::Held(_) => f.write_str("body in its record"),
            Self::Within { offset, .. } => write!(f, "body in the journal at {offset}"),
        }
    }
}

/// The bytes `start..end` of a source.
#[derive(Debug)]
pub struct Span {
    pub source: Source,
    /// What lies there is encrypted under this key; the positions are of what was.
    pub key: Option<Secret>,
    pub start: u64,
    pub end: u64,
}

fn damaged(what: String) -> Error {
    Error::Damaged { what }
}

impl Bodies {
    /// The spans one after another. The first source is opened, and read and checked if it is
    /// small or no more than a block of it is wanted, before this returns.
    ///
    /// # Errors
    /// `Damaged` or `Io` for what is found at once; later trouble ends the stream with an error.
    pub fn read(&self, spans: Vec<Span>) -> Result<ByteStream> {
        let mut cursor = Cursor {
            bodies: self.clone(),
            pins: spans
                .iter()
                .filter_map(|span| match span.source {
                    Source::Body { id, .. } => Some(self.pin(id)),
                    Source::Held(_) | Source::Within { .. } => None,
                })
                .collect(),
            spans: spans.into_iter().filter(|span| span.start < span.end).collect(),
            open: None,
            opener: None,
        };
        cursor.open_next()?;
        let at_once = match &cursor.open {
            Some(Open::File(reader)) => reader.end <= (reader.at / BLOCK_BYTES + 1) * BLOCK_BYTES,
            Some(Open::Held(_)) | None => true,
        };
        if at_once && cursor.spans.is_empty() {
            let first = cursor.next()?;
            return Ok(Box::pin(Once(first)));
        }
        Ok(Box::pin(Chunks { state: State::Idle(Box::new(cursor)) }))
    }

    /// Reads a body's file from beginning to end and checks all that can be checked; the CRC-64/XZ
    /// of its payload, for who knows what it should be. Blocks.
    ///
    /// # Errors
    /// `Damaged` when it is not a file that was stored under this name.
    pub fn check(&self, id: BodyId, size: u64) -> Result<u64> {
        let _pin = self.pin(id);
        let mut reader = Reader::open(self.open_file(id)?, id, size, 0, size)?;
        let mut crc = crc_fast::Digest::new(CrcAlgorithm::Crc64Xz);
        while !reader.is_done() {
            crc.update(&reader.next()?);
        }
        let crc64 = crc.finalize();
        if crc64 != reader.blocks.crc64 {
            return Err(damaged(format!("body {id}")));
        }
        Ok(crc64)
    }

    fn open_file(&self, id: BodyId) -> Result<File> {
        match self.0.disk.open(&self.0.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(damaged(format!("body {id}, which is missing,")))
            }
            opened => Ok(opened?),
        }
    }
}

/// A stream of at most one chunk.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, BodyError>;
    fn poll_next(mut self: StdPin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// How far a reader has come.
struct Cursor {
    bodies: Bodies,
    /// Held until the reader is done, so that no piece vanishes before it is reached.
    #[allow(dead_code, reason = "held for its drop")]
    pins: Vec<Pin>,
    spans: VecDeque<Span>,
    open: Option<Open>,
    /// Of what is open, if that is encrypted.
    opener: Option<(Opener, String)>,
}

enum Open {
    /// All that is wanted of the source.
    Held(Bytes),
    File(Reader),
}

impl Cursor {
    fn open_next(&mut self) -> Result<()> {
        let Some(Span { source, key, mut start, mut end }) = self.spans.pop_front() else { return Ok(()) };
        self.opener = None;
        if let Some(key) = key {
            let (name, sealed) = (source.to_string(), source.size());
            let found = Opener::new(&key, sealed, start, end).ok_or_else(|| damaged(name.clone()))?;
            let (opener, from, to) = found;
            self.opener = Some((opener, name));
            (start, end) = (from, to);
        }
        let name = source.to_string();
        let (whole, name) = match source {
            Source::Body { id, size, crc64 } if size > WHOLE_BYTES => {
                let reader = Reader::open(self.bodies.open_file(id)?, id, size, start, end)?;
                if crc64.is_some_and(|crc64| crc64 != reader.blocks.crc64) {
                    return Err(damaged(format!("body {id}, which is another one,")));
                }
                self.open = Some(Open::File(reader));
                return Ok(());
            }
            Source::Body { id, size, crc64: crc } => {
                let whole = read_small(&self.bodies.open_file(id)?, size)?;
                let whole = whole.filter(|bytes| crc.is_none_or(|crc| crc64(bytes) == crc));
                (whole, name)
            }
            Source::Held(bytes) => (Some(bytes), name),
            Source::Within { file, offset, len, crc64: crc } => {
                let bytes = read_at(&file, offset, len)?;
                let whole = bytes.len() as u64 == len && crc64(&bytes) == crc;
                (whole.then(|| bytes.into()), name)
            }
        };
        match whole {
            Some(whole) if end <= whole.len() as u64 => {
                self.open = Some(Open::Held(whole.slice(start as usize..end as usize)));
                Ok(())
            }
            _ => Err(damaged(name)),
        }
    }

    fn is_done(&self) -> bool {
        self.open.is_none() && self.spans.is_empty()
    }

    /// The next chunk; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.open.is_none() {
            self.open_next()?;
        }
        let chunk = match self.open.take() {
            None => return Ok(None),
            Some(Open::Held(bytes)) => bytes,
            Some(Open::File(mut reader)) => {
                let chunk = reader.next()?;
                if !reader.is_done() {
                    self.open = Some(Open::File(reader));
                }
                chunk
            }
        };
        match &mut self.opener {
            None => Ok(Some(chunk)),
            Some((opener, name)) => match opener.open(&chunk) {
                Ok(opened) => Ok(Some(opened)),
                Err(number) => Err(damaged(format!("encrypted chunk {number} of {name}"))),
            },
        }
    }
}

/// A range of one body's file, block by block.
struct Reader {
    file: File,
    id: BodyId,
    size: u64,
    blocks: Blocks,
    /// Up to here the payload has been read.
    at: u64,
    end: u64,
}

impl Reader {
    fn open(file: File, id: BodyId, size: u64, start: u64, end: u64) -> Result<Self> {
        let len = file.metadata()?.len();
        if len != file_bytes(size) {
            return Err(damaged(format!("body {id}, whose file has {len} bytes,")));
        }
        let wanted = blocks_of(start, end);
        let place = entries(size, &wanted);
        let table = read_at(&file, place.start, place.end - place.start)?;
        let footer = read_at(&file, file_bytes(size) - FOOTER_BYTES, FOOTER_BYTES)?;
        match Blocks::parse(size, &wanted, table, &footer) {
            Some(blocks) if end <= size => Ok(Self { file, id, size, blocks, at: start, end }),
            _ => Err(damaged(format!("end of body {id}"))),
        }
    }

    fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// Reads and checks the blocks that come next; what of them is wanted.
    fn next(&mut self) -> Result<Bytes> {
        let first = self.at / BLOCK_BYTES;
        let begin = first * BLOCK_BYTES;
        let end = (begin + CHUNK_BYTES).min(blocks_of(self.at, self.end).end * BLOCK_BYTES).min(self.size);
        let bytes = read_at(&self.file, begin, end - begin)?;
        let cut_short = bytes.len() as u64 != end - begin;
        let bad = match self.blocks.check(first, &bytes) {
            Err(number) => Some(number),
            Ok(()) => cut_short.then(|| first + bytes.len() as u64 / BLOCK_BYTES),
        };
        if let Some(number) = bad {
            return Err(damaged(format!("block {number} of body {}", self.id)));
        }
        let upto = end.min(self.end);
        let chunk = Bytes::from(bytes).slice((self.at - begin) as usize..(upto - begin) as usize);
        self.at = upto;
        Ok(chunk)
    }
}

/// The payload of a body of one block, if it and what follows it are right.
fn read_small(file: &File, size: u64) -> io::Result<Option<Bytes>> {
    let bytes = read_at(file, 0, file_bytes(size))?;
    let all = blocks_of(0, size);
    let place = entries(size, &all);
    let right = bytes.len() as u64 == file_bytes(size)
        && Blocks::parse(
            size,
            &all,
            bytes[place.start as usize..place.end as usize].to_vec(),
            &bytes[place.end as usize..],
        )
        .is_some_and(|blocks| blocks.check(0, &bytes[..size as usize]).is_ok());
    Ok(right.then(|| Bytes::from(bytes).slice(..size as usize)))
}

/// Reads `len` bytes, or fewer at the file's end, without clearing the buffer first.
fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len as usize);
    while (bytes.len() as u64) < len {
        let at = offset + bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// The stream over a cursor: one chunk read ahead.
struct Chunks {
    state: State,
}

enum State {
    Idle(Box<Cursor>),
    Reading(JoinHandle<(Box<Cursor>, Result<Option<Bytes>>)>),
    Done,
}

fn start(mut cursor: Box<Cursor>) -> State {
    State::Reading(spawn_blocking(move || {
        let chunk = cursor.next();
        (cursor, chunk)
    }))
}

impl Stream for Chunks {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: StdPin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let State::Idle(_) = this.state
            && let State::Idle(cursor) = std::mem::replace(&mut this.state, State::Done)
        {
            this.state = start(cursor);
        }
        let State::Reading(job) = &mut this.state else { return Poll::Ready(None) };
        let done = ready!(StdPin::new(job).poll(cx));
        this.state = State::Done;
        Poll::Ready(match done {
            Err(_) => Some(Err(BodyError::Storage("the reading job was lost".to_owned()))),
            Ok((_, Err(error))) => Some(Err(BodyError::Storage(error.to_string()))),
            Ok((_, Ok(None))) => None,
            Ok((cursor, Ok(Some(chunk)))) => {
                if !cursor.is_done() {
                    this.state = start(cursor);
                }
                Some(Ok(chunk))
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::poll_fn;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use cosette_model::Wanted;

    use super::*;
    use crate::{Disk, Received};

    /// Bodies in a directory that goes with them.
    struct Stored {
        dir: PathBuf,
        bodies: Bodies,
    }

    impl Stored {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("cosette-blob-{}-{number}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            let bodies = Bodies::open(&dir, 0, Disk::default(), false).unwrap();
            Self { dir, bodies }
        }

        async fn put(&self, payload: &[u8]) -> BodyId {
            let mut staged = self.bodies.stage(None, 0, &Wanted::default(), None);
            for chunk in payload.chunks(70_001) {
                staged.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            match staged.seal().await.unwrap().body {
                Received::Stored(body) => body.claim(),
                Received::Small(_) => panic!("it has a file"),
            }
        }

        fn path(&self, id: BodyId) -> PathBuf {
            self.dir.join(id.to_string())
        }

        /// What is served of a range, and whether it ended well.
        async fn get(&self, id: BodyId, size: u64, start: u64, end: u64) -> (Vec<u8>, bool) {
            let mut served = Vec::new();
            let span = Span { source: Source::Body { id, size, crc64: None }, key: None, start, end };
            let mut stream = match self.bodies.read(vec![span]) {
                Ok(stream) => stream,
                Err(Error::Damaged { .. }) => return (served, false),
                Err(error) => panic!("{error}"),
            };
            while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                match chunk {
                    Ok(chunk) => served.extend_from_slice(&chunk),
                    Err(_) => return (served, false),
                }
            }
            (served, true)
        }
    }

    impl Drop for Stored {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    fn payload(size: u64) -> Vec<u8> {
        let mut random = Random(size | 1);
        (0..size).map(|_| random.below(256) as u8).collect()
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) % bound
        }
    }

    #[tokio::test]
    async fn every_range_comes_back_at_every_border() {
        let stored = Stored::new();
        let mut random = Random(7);
        let borders =
            [BLOCK_BYTES, 2 * BLOCK_BYTES, CHUNK_BYTES, CHUNK_BYTES + BLOCK_BYTES, 512 << 10, 1 << 20];
        let around = borders.into_iter().flat_map(|border| [border - 1, border, border + 1]);
        for size in [1, 2, 1_000].into_iter().chain(around) {
            let payload = payload(size);
            let id = stored.put(&payload).await;
            assert_eq!(std::fs::metadata(stored.path(id)).unwrap().len(), file_bytes(size));
            stored.bodies.check(id, size).unwrap();
            let mut ranges = vec![(0, size), (0, 1), (size - 1, size), (0, 0), (size, size)];
            for border in borders.into_iter().filter(|border| *border < size) {
                ranges.extend([(border - 1, border), (border, border + 1), (border - 1, border + 1)]);
                ranges.extend([(0, border), (border, size)]);
            }
            for _ in 0..20 {
                let start = random.below(size);
                ranges.push((start, start + 1 + random.below(size - start)));
            }
            for (start, end) in ranges {
                let (served, well) = stored.get(id, size, start, end).await;
                assert!(well && served == payload[start as usize..end as usize], "{start}..{end} of {size}");
            }
        }
    }

    #[tokio::test]
    async fn a_flipped_bit_is_found_by_whoever_touches_it_and_nobody_else() {
        let stored = Stored::new();
        let size = CHUNK_BYTES + BLOCK_BYTES + 100;
        let count = blocks_of(0, size).end;
        let payload = payload(size);
        let id = stored.put(&payload).await;
        let path = stored.path(id);
        let good = std::fs::read(&path).unwrap();
        let table = entries(size, &blocks_of(0, size));
        let in_payload = (0..count).flat_map(|block| {
            let begin = block * BLOCK_BYTES;
            [begin, (begin + BLOCK_BYTES / 2).min(size - 1), (begin + BLOCK_BYTES - 1).min(size - 1)]
        });
        for at in in_payload.chain(table.start..file_bytes(size)) {
            let mut bad = good.clone();
            bad[at as usize] ^= 0x10;
            std::fs::write(&path, bad).unwrap();
            // The one block that cannot be read. Without a right beginning of the footer none can;
            // the rest of it is looked at only where all blocks are.
            let hit = match at {
                _ if at < size => Some(at / BLOCK_BYTES),
                _ if at < table.end => Some((at - size) / 4),
                _ => None,
            };
            let closed = (table.end..table.end + 16).contains(&at);
            assert!(matches!(stored.bodies.check(id, size), Err(Error::Damaged { .. })), "{at}");
            let (served, well) = stored.get(id, size, 0, size).await;
            assert!(!well && payload.starts_with(&served), "{at}");
            assert!(served.len() as u64 <= hit.map_or(0, |block| block * BLOCK_BYTES), "{at}");
            for block in 0..count {
                let begin = block * BLOCK_BYTES;
                let end = (begin + BLOCK_BYTES).min(size);
                for (start, end) in [(begin, end), (begin + 1, begin + 2), (end - 1, end)] {
                    let (served, well) = stored.get(id, size, start, end).await;
                    assert_eq!(well, !closed && hit != Some(block), "{at} in block {block}");
                    assert!(!well || served == payload[start as usize..end as usize]);
                }
            }
            // What lies before the damaged block is served, and nothing of it.
            if let Some(block) = hit.filter(|block| *block > 0) {
                let (served, well) = stored.get(id, size, 5, block * BLOCK_BYTES).await;
                assert!(well && served == payload[5..(block * BLOCK_BYTES) as usize]);
                let (served, well) = stored.get(id, size, 5, block * BLOCK_BYTES + 1).await;
                assert!(!well && payload[5..].starts_with(&served));
            }
        }
        std::fs::write(&path, good).unwrap();
        stored.bodies.check(id, size).unwrap();
        // Of the wrong size for its record, and of one that is not to be believed.
        for wrong in [size - 1, size + 1, u64::MAX] {
            assert!(matches!(stored.bodies.check(id, wrong), Err(Error::Damaged { .. })));
            assert!(!stored.get(id, wrong, 0, 1).await.1);
        }
    }

    #[tokio::test]
    async fn any_flipped_byte_of_a_small_body_is_found() {
        let stored = Stored::new();
        let size = 1_000;
        let id = stored.put(&payload(size)).await;
        let path = stored.path(id);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(stored.get(id, size, 500, 501).await, (Vec::new(), false), "{at}");
            assert!(matches!(stored.bodies.check(id, size), Err(Error::Damaged { .. })), "{at}");
        }
    }

    #[tokio::test]
    async fn a_file_cut_anywhere_is_found() {
        let stored = Stored::new();
        for size in [1_000, BLOCK_BYTES, BLOCK_BYTES + 1, CHUNK_BYTES + BLOCK_BYTES] {
            let id = stored.put(&payload(size)).await;
            let path = stored.path(id);
            let good = std::fs::read(&path).unwrap();
            let table = entries(size, &blocks_of(0, size));
            let borders =
                [0, BLOCK_BYTES, CHUNK_BYTES, size, table.end, table.end + 16, good.len() as u64 - 1];
            for border in borders {
                for cut in [border.saturating_sub(1), border, border + 1] {
                    let Some(short) = good.get(..cut as usize).filter(|short| short.len() < good.len())
                    else {
                        continue;
                    };
                    std::fs::write(&path, short).unwrap();
                    assert!(!stored.get(id, size, 0, size).await.1, "{cut} of {size}");
                    assert!(!stored.get(id, size, 0, 1).await.1, "{cut} of {size}");
                    assert!(matches!(stored.bodies.check(id, size), Err(Error::Damaged { .. })));
                }
            }
            std::fs::remove_file(&path).unwrap();
            assert!(!stored.get(id, size, 0, 1).await.1);
        }
    }

    #[tokio::test]
    async fn spans_of_all_kinds_follow_each_other() {
        let stored = Stored::new();
        let (large, small) = (payload(CHUNK_BYTES + 9), payload(700));
        let (first, second) = (stored.put(&large).await, stored.put(&small).await);
        let journal = stored.dir.join("journal");
        std::fs::write(&journal, b"...within...").unwrap();
        let file = Arc::new(File::open(&journal).unwrap());
        let within = |crc64| Source::Within { file: Arc::clone(&file), offset: 3, len: 6, crc64 };
        let span = |source, start, end| Span { source, key: None, start, end };
        let spans = |crc64| {
            vec![
                span(Source::Held(Bytes::from_static(b"held")), 1, 3),
                span(
                    Source::Body {
                        id: first,
                        size: large.len() as u64,
                        crc64: Some(crate::digest::crc64(&large)),
                    },
                    3,
                    large.len() as u64,
                ),
                span(Source::Held(Bytes::new()), 0, 0),
                span(Source::Body { id: second, size: 700, crc64: None }, 10, 600),
                span(within(crc64), 1, 6),
            ]
        };
        let drain = async |spans| {
            let mut stream = stored.bodies.read(spans).unwrap();
            let mut served = Vec::new();
            while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
                served.extend_from_slice(&chunk?);
            }
            Ok::<_, BodyError>(served)
        };
        let want = [b"el", &large[3..], &small[10..600], b"ithin"].concat();
        assert!(drain(spans(crc64(b"within"))).await.unwrap() == want);
        drain(spans(0)).await.unwrap_err();
        assert!(stored.bodies.read(vec![span(within(0), 0, 1)]).is_err());
        assert!(stored.bodies.read(vec![span(Source::Held(Bytes::from_static(b"held")), 2, 5)]).is_err());
    }
}
