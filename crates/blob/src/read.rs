//! Bodies on their way out: ranges of one or several pieces as one stream.
//!
//! A chunk is read on a blocking thread while the one before is being sent; between chunks no
//! thread is held, so slow readers cost memory for two chunks and nothing else. A piece that is
//! read whole is checked against its CRC-64 before its last chunk is let out.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use crc_fast::CrcAlgorithm;
use futures_core::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::bodies::{Bodies, BodyId, Pin};
use crate::digest::crc64;
use crate::{Error, Result};

/// Bytes read in one go.
const CHUNK_BYTES: u64 = 256 << 10;
/// Up to this size a piece is read at once, checked, and cut to the range that is wanted.
const WHOLE_BYTES: u64 = 64 << 10;

/// Where the bytes of a piece are.
#[derive(Debug)]
pub enum Source {
    Body(BodyId),
    Held(Bytes),
    /// Within a file of somebody else, from `offset` on.
    Within {
        file: Arc<File>,
        offset: u64,
    },
}

/// The bytes `start..end` of a piece that is `len` bytes long and has the CRC-64/XZ `crc64`.
#[derive(Debug)]
pub struct Span {
    pub source: Source,
    pub start: u64,
    pub end: u64,
    pub len: u64,
    pub crc64: u64,
}

impl Span {
    fn is_whole(&self) -> bool {
        self.start == 0 && self.end == self.len
    }

    fn name(&self) -> String {
        match &self.source {
            Source::Body(id) => format!("body {}/{}", id.epoch, id.number),
            Source::Held(_) => "body in its record".to_owned(),
            Source::Within { offset, .. } => format!("body in the journal at {offset}"),
        }
    }
}

impl Bodies {
    /// The spans one after another. The first piece is opened, and a small only piece is read and
    /// checked, before this returns.
    ///
    /// # Errors
    /// `Damaged` or `Io` for what is found at once; later trouble ends the stream with an error.
    pub fn read(&self, spans: Vec<Span>) -> Result<ByteStream> {
        let mut cursor = Cursor {
            bodies: self.clone(),
            pins: spans
                .iter()
                .filter_map(|span| match span.source {
                    Source::Body(id) => Some(self.pin(id)),
                    Source::Held(_) | Source::Within { .. } => None,
                })
                .collect(),
            spans: spans.into_iter().filter(|span| span.start < span.end).collect(),
            open: None,
        };
        cursor.open_next()?;
        let at_once = cursor.spans.is_empty()
            && match &cursor.open {
                None | Some(Open { from: From::Held(_), .. }) => true,
                Some(open) => open.span.len <= WHOLE_BYTES,
            };
        if at_once {
            let first = cursor.next()?;
            return Ok(Box::pin(Once(first)));
        }
        Ok(Box::pin(Chunks { state: State::Idle(Box::new(cursor)) }))
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
}

struct Open {
    span: Span,
    from: From,
    /// Position within the piece.
    at: u64,
    /// Runs along when the piece is read whole.
    crc: Option<crc_fast::Digest>,
}

enum From {
    Held(Bytes),
    File(File),
    Within(Arc<File>, u64),
}

impl Cursor {
    fn open_next(&mut self) -> Result<()> {
        let Some(span) = self.spans.pop_front() else { return Ok(()) };
        let from = match &span.source {
            Source::Within { file, offset } => From::Within(Arc::clone(file), *offset),
            Source::Held(bytes) => From::Held(bytes.clone()),
            Source::Body(id) => {
                let mut file = match File::open(self.bodies.0.path(*id)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Err(Error::Damaged { what: format!("{}, which is missing,", span.name()) });
                    }
                    opened => opened?,
                };
                if span.start > 0 && span.len > WHOLE_BYTES {
                    file.seek(SeekFrom::Start(span.start))?;
                }
                From::File(file)
            }
        };
        let crc = span.is_whole().then(|| crc_fast::Digest::new(CrcAlgorithm::Crc64Xz));
        self.open = Some(Open { at: span.start, span, from, crc });
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.open.is_none() && self.spans.is_empty()
    }

    /// The next chunk; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.open.is_none() {
            self.open_next()?;
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let chunk = open.read()?;
        if open.at == open.span.end {
            self.open = None;
        }
        Ok(Some(chunk))
    }
}

impl Open {
    fn read(&mut self) -> Result<Bytes> {
        let (start, end) = (self.span.start, self.span.end);
        let damaged = |span: &Span| Error::Damaged { what: span.name() };
        let whole = match &mut self.from {
            From::Held(bytes) => Some(bytes.clone()),
            _ if self.span.len > WHOLE_BYTES => None,
            From::File(file) => Some(read_exact(file, self.span.len)?.into()),
            From::Within(file, offset) => Some(read_at(file, *offset, self.span.len)?.into()),
        };
        if let Some(whole) = whole {
            if whole.len() as u64 != self.span.len || crc64(&whole) != self.span.crc64 {
                return Err(damaged(&self.span));
            }
            self.at = end;
            return Ok(whole.slice(start as usize..end as usize));
        }
        let want = CHUNK_BYTES.min(end - self.at);
        let chunk = match &mut self.from {
            From::File(file) => read_exact(file, want)?,
            From::Within(file, offset) => read_at(file, *offset + self.at, want)?,
            From::Held(_) => return Err(damaged(&self.span)),
        };
        if chunk.len() as u64 != want {
            return Err(damaged(&self.span));
        }
        self.at += want;
        if let Some(crc) = &mut self.crc {
            crc.update(&chunk);
            if self.at == self.span.end && crc.finalize() != self.span.crc64 {
                return Err(damaged(&self.span));
            }
        }
        Ok(chunk.into())
    }
}

/// Reads `len` bytes, or fewer at the file's end, without clearing the buffer first.
fn read_exact(file: &mut File, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len as usize);
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    match file.read_exact_at(&mut bytes, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Vec::new()),
        other => other.map(|()| bytes),
    }
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
            Ok((_, Err(error))) => {
                tracing::error!(%error, "stored body cannot be read");
                Some(Err(BodyError::Storage(error.to_string())))
            }
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
