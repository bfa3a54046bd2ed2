//! An object's bytes on their way into a query: read piece by piece, decompressed, counted.

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;

use cosette_model::op::Compression;
use cosette_model::{Error, ErrorCode};

/// Longest record, of the object or of the answer, in bytes (both services: 1 MB).
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// What a query reads: an object of known size, at any position.
pub trait Source: Send + Sync {
    /// In bytes.
    fn size(&self) -> u64;
    /// The bytes `start..end`; an error of the reader is ours, never the object's.
    fn read(&self, start: u64, end: u64) -> std::io::Result<Box<dyn Read + Send>>;
}

/// How much has been read.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) scanned: Cell<u64>,
    pub(crate) processed: Cell<u64>,
    /// The object could not be read: not the fault of its content.
    failed: Cell<bool>,
}

impl Meter {
    pub(crate) fn fault(&self, error: std::io::Error) -> Error {
        if self.failed.get() { Error::internal(error) } else { ErrorCode::TruncatedInput.into() }
    }
}

fn add(to: &Cell<u64>, count: usize) {
    to.set(to.get() + count as u64);
}

/// The source's own reader, counted.
struct Scanned {
    inner: Box<dyn Read + Send>,
    meter: Rc<Meter>,
}

impl Read for Scanned {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self.inner.read(into) {
            Ok(count) => {
                add(&self.meter.scanned, count);
                Ok(count)
            }
            Err(error) => {
                self.meter.failed.set(error.kind() != std::io::ErrorKind::Interrupted);
                Err(error)
            }
        }
    }
}

/// Bytes `start..end` of the object, counted.
pub(crate) fn open(
    source: &dyn Source,
    start: u64,
    end: u64,
    meter: &Rc<Meter>,
) -> Result<Box<dyn Read>, Error> {
    let inner = source.read(start, end).map_err(Error::internal)?;
    Ok(Box::new(Scanned { inner, meter: Rc::clone(meter) }))
}

/// The whole object, decompressed.
pub(crate) fn decompressed(
    source: &dyn Source,
    compression: Compression,
    meter: &Rc<Meter>,
) -> Result<Box<dyn Read>, Error> {
    let mut raw = open(source, 0, source.size(), meter)?;
    let magic: &[u8] = match compression {
        Compression::None => return Ok(raw),
        Compression::Gzip => &[0x1f, 0x8b],
        Compression::Bzip2 => b"BZh",
    };
    let mut head = Vec::new();
    raw.by_ref().take(magic.len() as u64).read_to_end(&mut head).map_err(|error| meter.fault(error))?;
    if head != magic {
        return Err(ErrorCode::InvalidCompressionFormat.into());
    }
    let whole = std::io::Cursor::new(head).chain(raw);
    Ok(match compression {
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        _ => Box::new(flate2::read::MultiGzDecoder::new(whole)),
    })
}

/// A reader by single bytes.
pub(crate) struct Bytes<'a> {
    reader: &'a mut dyn Read,
    meter: Rc<Meter>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(reader: &'a mut dyn Read, meter: &Rc<Meter>) -> Self {
        Self { reader, meter: Rc::clone(meter), buffer: vec![0; BUFFER_BYTES], at: 0, filled: 0 }
    }

    #[cfg(test)]
    pub(crate) fn over(reader: &'a mut dyn Read) -> Self {
        Self::new(reader, &Rc::default())
    }

    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Error> {
        if self.at == self.filled {
            self.at = 0;
            self.filled = fill(self.reader, &mut self.buffer, &self.meter)?;
        }
        Ok(self.buffer[..self.filled].get(self.at).copied())
    }

    pub(crate) fn next(&mut self) -> Result<Option<u8>, Error> {
        let byte = self.peek()?;
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }
}

fn fill(reader: &mut dyn Read, into: &mut [u8], meter: &Meter) -> Result<usize, Error> {
    loop {
        match reader.read(into) {
            Ok(count) => {
                add(&meter.processed, count);
                return Ok(count);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(meter.fault(error)),
        }
    }
}

/// A window over a reader, from which records are cut.
pub(crate) struct Window {
    reader: Box<dyn Read>,
    meter: Rc<Meter>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Of the first byte of what is left, in the object.
    position: u64,
}

/// What a look at the window finds.
pub(crate) enum Cut<T> {
    /// A record that takes so many bytes, its delimiter with them.
    Record(usize, T),
    /// Its end is not there yet.
    More,
}

impl Window {
    pub(crate) fn new(reader: Box<dyn Read>, meter: &Rc<Meter>, position: u64) -> Self {
        Self { reader, meter: Rc::clone(meter), buffer: Vec::new(), at: 0, ended: false, position }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Passes over a mark that may stand first.
    pub(crate) fn pass(&mut self, mark: &[u8]) -> Result<(), Error> {
        while self.buffer.len() < mark.len() && !self.ended {
            self.more()?;
        }
        if self.buffer.starts_with(mark) {
            self.at = mark.len();
            self.position += mark.len() as u64;
        }
        Ok(())
    }

    /// The next record, as `cut` finds it in what is left and whether that is all; `None` at the end.
    pub(crate) fn next<T>(
        &mut self,
        mut cut: impl FnMut(&[u8], bool) -> Result<Cut<T>, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            let rest = &self.buffer[self.at..];
            if rest.is_empty() && self.ended {
                return Ok(None);
            }
            if !rest.is_empty()
                && let Cut::Record(taken, record) = cut(rest, self.ended)?
            {
                let taken = taken.min(rest.len());
                self.at += taken;
                self.position += taken as u64;
                return Ok(Some(record));
            }
            if rest.len() > RECORD_BYTES_MAX {
                return Err(ErrorCode::OverMaxRecordSize.into());
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Error> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + BUFFER_BYTES.max(held), 0);
        let read = fill(&mut *self.reader, &mut self.buffer[held..], &self.meter);
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}
