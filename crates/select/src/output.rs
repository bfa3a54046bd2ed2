//! Records on their way out: CSV or JSON, gathered into pieces.

use cosette_model::op::{self, CsvOutput, Scanned, SelectEvent};
use cosette_model::{Error, ErrorCode};

use crate::input::{Meter, RECORD_BYTES_MAX};
use crate::value::{Value, write_struct};

/// Records are gathered into pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;
/// How much is read between two looks at whether the client is still there.
const TICK_BYTES: u64 = 256 << 10;
/// How much of it between two tellings of progress.
const PROGRESS_BYTES: u64 = 16 << 20;

/// Who takes the answer.
pub trait Sink {
    /// `false` when nobody listens any more.
    fn send(&mut self, event: SelectEvent) -> bool;
    /// Whether so much time has gone by since the last event that a sign of life is due.
    fn is_due(&mut self) -> bool;
    /// Whether anybody still listens.
    fn is_open(&self) -> bool;
}

/// Nobody wants the rest.
#[derive(Debug)]
pub(crate) enum Stop {
    Gone,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Self {
        Self::Failed(code.into())
    }
}

pub(crate) struct Outlet<'a> {
    sink: &'a mut dyn Sink,
    format: &'a op::Output,
    progress: bool,
    meter: &'a Meter,
    held: String,
    returned: u64,
    ticked: u64,
    told: u64,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(
        sink: &'a mut dyn Sink,
        format: &'a op::Output,
        progress: bool,
        meter: &'a Meter,
    ) -> Self {
        Self { sink, format, progress, meter, held: String::new(), returned: 0, ticked: 0, told: 0 }
    }

    /// One record.
    pub(crate) fn record<'v>(
        &mut self,
        fields: impl Iterator<Item = (&'v str, &'v Value)>,
    ) -> Result<(), Stop> {
        let before = self.held.len();
        match self.format {
            op::Output::Json { record_delimiter } => {
                write_struct(fields, &mut self.held);
                self.held.push_str(record_delimiter);
            }
            op::Output::Csv(format) => {
                for (at, (_, value)) in fields.enumerate() {
                    if at > 0 {
                        self.held.push_str(&format.field_delimiter);
                    }
                    let start = self.held.len();
                    value.write_text(&mut self.held);
                    quote(&mut self.held, start, format);
                }
                self.held.push_str(&format.record_delimiter);
            }
        }
        if self.held.len() - before > RECORD_BYTES_MAX {
            self.held.truncate(before);
            return Err(ErrorCode::OverMaxRecordSize.into());
        }
        if self.held.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.held);
        self.returned += piece.len() as u64;
        self.send(SelectEvent::Records(piece.into()))
    }

    fn send(&mut self, event: SelectEvent) -> Result<(), Stop> {
        if self.sink.send(event) { Ok(()) } else { Err(Stop::Gone) }
    }

    fn scanned(&self) -> Scanned {
        Scanned {
            scanned: self.meter.scanned.get(),
            processed: self.meter.processed.get(),
            returned: self.returned,
        }
    }

    /// To be called for each record read.
    pub(crate) fn tick(&mut self) -> Result<(), Stop> {
        let processed = self.meter.processed.get();
        if processed - self.ticked < TICK_BYTES {
            return Ok(());
        }
        self.ticked = processed;
        if !self.sink.is_open() {
            return Err(Stop::Gone);
        }
        let due = self.sink.is_due();
        if due {
            self.flush()?;
        }
        if self.progress && (due || processed - self.told >= PROGRESS_BYTES) {
            self.told = processed;
            let progress = SelectEvent::Progress(self.scanned());
            return self.send(progress);
        }
        if due { self.send(SelectEvent::Continuation) } else { Ok(()) }
    }

    /// What is held goes out all the same when a query fails: records before the failure count.
    pub(crate) fn broken_off(&mut self) -> Result<(), Stop> {
        self.flush()
    }

    pub(crate) fn finish(mut self) -> Result<(), Stop> {
        self.flush()?;
        let scanned = self.scanned();
        if self.progress {
            self.send(SelectEvent::Progress(scanned))?;
        }
        self.send(SelectEvent::Stats(scanned))?;
        self.send(SelectEvent::End)
    }
}

/// Quotes what was written from `start` on, if it must be.
fn quote(out: &mut String, start: usize, format: &CsvOutput) {
    if format.quote.is_empty() {
        return;
    }
    let field = &out[start..];
    let special = [&format.field_delimiter, &format.record_delimiter, &format.quote];
    if !format.quote_always && !special.iter().any(|mark| !mark.is_empty() && field.contains(&mark[..])) {
        return;
    }
    let escaped = field.replace(&format.quote[..], &format!("{}{}", format.escape, format.quote));
    out.truncate(start);
    for text in [&format.quote, &escaped, &format.quote] {
        out.push_str(text);
    }
}
