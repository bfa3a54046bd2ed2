//! One query, from the first byte to the last record.

use std::rc::Rc;
use std::sync::Arc;

use cosette_model::op::{Compression, CsvInput, FileHeader, Input, Query, ScanRange};
use cosette_model::{Error, ErrorCode, Timestamp};

use crate::csv::{Format, Record};
use crate::expr::{Row, Scope};
use crate::header::Header;
use crate::input::{self, Bytes, Cut, Meter, RECORD_BYTES_MAX, Source, Window};
use crate::json::{self, Flow};
use crate::moment::Moment;
use crate::output::{Outlet, Sink, Stop};
use crate::parquet;
use crate::plan::{Names, Output, Plan};
use crate::statement::Statement;
use crate::value::Value;

/// Answers a query; blocks until it is done or nobody listens any more.
///
/// # Errors
/// What the services call it. Records that came before go to the sink first.
pub fn run(query: &Query, source: Arc<dyn Source>, now: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
    let meter = Rc::new(Meter::default());
    let mut outlet = Outlet::new(sink, &query.output, query.progress, &meter);
    let scan = Scan { query, source, now: Moment::now(now), meter: Rc::clone(&meter) };
    let done = match scan.records(&mut outlet) {
        Ok(()) => outlet.finish(),
        Err(stop) => outlet.broken_off().and(Err(stop)),
    };
    match done {
        Ok(()) | Err(Stop::Gone) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Of UTF-8, which has no order but may have the mark; it is no text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

struct Scan<'a> {
    query: &'a Query,
    source: Arc<dyn Source>,
    now: Option<Moment>,
    meter: Rc<Meter>,
}

impl Scan<'_> {
    fn records(&self, outlet: &mut Outlet<'_>) -> Result<(), Stop> {
        let statement = Statement::parse(&self.query.expression)?;
        let range = self.range()?;
        if let Input::Csv(format) = &self.query.input {
            return self.csv(format, statement, range, outlet);
        }
        let path = statement.path.clone();
        let mut rows = Rows::new(Plan::new(statement, &Names::Tree, self.now)?, None, outlet);
        let mut each = |value: Value| rows.take(Row::Tree(value));
        match (&self.query.input, range) {
            (Input::Parquet, range) => {
                if !path.is_empty() {
                    return Err(ErrorCode::InvalidKeyPath.into());
                }
                if self.query.compression != Compression::None {
                    return Err(ErrorCode::InvalidCompressionFormat.into());
                }
                let range = range.unwrap_or((0, u64::MAX));
                // The library may give up on a damaged file by a panic.
                let read = std::panic::AssertUnwindSafe(|| {
                    parquet::rows(&self.source, range, &self.meter, &mut each)
                });
                std::panic::catch_unwind(read)
                    .unwrap_or_else(|_| Err(ErrorCode::ParquetParsingError.into()))?;
            }
            (_, Some((start, end))) => {
                let (mut window, delimiter) = (self.window(start, 1)?, memchr::memmem::Finder::new(b"\n"));
                if start > 0 {
                    window.next(|bytes, ended| Ok(line(&delimiter, bytes, ended)))?;
                }
                while window.position() <= end
                    && let Some(text) = window.next(|bytes, ended| Ok(line(&delimiter, bytes, ended)))?
                {
                    let mut text = &text[..];
                    let mut bytes = Bytes::new(&mut text, &Rc::default());
                    let mut enough = false;
                    json::walk(&mut bytes, &path, &mut |value| {
                        let flow = each(value)?;
                        enough = flow == Flow::Enough;
                        Ok(flow)
                    })?;
                    if enough {
                        break;
                    }
                }
            }
            (_, None) => {
                let mut reader = input::decompressed(&*self.source, self.query.compression, &self.meter)?;
                json::walk(&mut Bytes::new(&mut *reader, &self.meter), &path, &mut each)?;
            }
        }
        rows.finish()
    }

    /// The positions of the range's first and last byte.
    fn range(&self) -> Result<Option<(u64, u64)>, Error> {
        let Some(range) = self.query.range else { return Ok(None) };
        let lines = matches!(&self.query.input, Input::Json { lines: false })
            || matches!(&self.query.input, Input::Csv(format) if format.quoted_records);
        if lines || self.query.compression != Compression::None {
            return Err(ErrorCode::UnsupportedScanRangeInput.into());
        }
        let last = self.source.size().checked_sub(1).ok_or(ErrorCode::InvalidScanRange)?;
        let (start, end) = match range {
            ScanRange::FromTo(start, end) => (start, end),
            ScanRange::From(start) => (start, last),
            ScanRange::Last(0) => return Err(ErrorCode::InvalidScanRange.into()),
            ScanRange::Last(count) => (self.source.size().saturating_sub(count), last),
        };
        if start > end || start > last {
            return Err(ErrorCode::InvalidScanRange.into());
        }
        Ok(Some((start, end)))
    }

    /// From `start` on, and so much before it as tells whether a record begins there.
    fn window(&self, start: u64, delimiter: usize) -> Result<Window, Error> {
        let from = start.saturating_sub(delimiter as u64);
        let reader = input::open(&*self.source, from, self.source.size(), &self.meter)?;
        Ok(Window::new(reader, &self.meter, from))
    }

    fn csv(
        &self,
        input: &CsvInput,
        statement: Statement,
        range: Option<(u64, u64)>,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), Stop> {
        if !statement.path.is_empty() {
            return Err(ErrorCode::InvalidKeyPath.into());
        }
        let format = Format::new(input);
        let reader = input::decompressed(&*self.source, self.query.compression, &self.meter)?;
        let mut window = Window::new(reader, &self.meter, 0);
        window.pass(BYTE_ORDER_MARK)?;
        let header = match input.header {
            FileHeader::None => None,
            FileHeader::Use | FileHeader::Ignore => Some(next(&mut window, &format)?.unwrap_or_default()),
        };
        let names: Option<Vec<String>> = header
            .filter(|_| input.header == FileHeader::Use)
            .map(|header| header.iter().map(str::to_owned).collect());
        let plan = Plan::new(statement, &Names::Csv(names.as_deref().map(Header::new)), self.now)?;
        let mut end = u64::MAX;
        if let Some((first, last)) = range {
            end = last;
            if first > window.position() {
                let delimiter = format.delimiter();
                window = self.window(first, delimiter.len())?;
                let finder = memchr::memmem::Finder::new(delimiter);
                window.next(|bytes, ended| Ok(line(&finder, bytes, ended)))?;
            }
        }
        let mut rows = Rows::new(plan, names, outlet);
        while window.position() <= end {
            // A record that is passed over may be the range's last.
            match window.next(|bytes, ended| format.cut(bytes, ended))? {
                None => break,
                Some(None) => {}
                Some(Some(record)) => {
                    if rows.take(Row::Csv(record))? == Flow::Enough {
                        break;
                    }
                }
            }
        }
        rows.finish()
    }
}

/// The next record that is none to be passed over.
fn next(window: &mut Window, format: &Format) -> Result<Option<Record>, Error> {
    loop {
        match window.next(|bytes, ended| format.cut(bytes, ended))? {
            None => return Ok(None),
            Some(None) => {}
            Some(record) => return Ok(record),
        }
    }
}

fn line(delimiter: &memchr::memmem::Finder<'_>, bytes: &[u8], ended: bool) -> Cut<Vec<u8>> {
    match delimiter.find(bytes) {
        Some(end) => Cut::Record(end + delimiter.needle().len(), bytes[..end].to_vec()),
        None if ended => Cut::Record(bytes.len(), bytes.to_vec()),
        None => Cut::More,
    }
}

/// What becomes of each row.
struct Rows<'a, 'b> {
    plan: Plan,
    header: Option<Vec<String>>,
    /// `_1`, `_2`, ... as far as they have been needed.
    positions: Vec<String>,
    outlet: &'a mut Outlet<'b>,
    given: u64,
    stopped: Option<Stop>,
}

impl<'a, 'b> Rows<'a, 'b> {
    fn new(plan: Plan, header: Option<Vec<String>>, outlet: &'a mut Outlet<'b>) -> Self {
        Self { plan, header, positions: Vec::new(), outlet, given: 0, stopped: None }
    }

    /// Errors of the query are returned; that nobody listens is remembered, and enough.
    fn take(&mut self, row: Row) -> Result<Flow, Error> {
        match self.row(&row) {
            Ok(flow) => Ok(flow),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Gone) => {
                self.stopped = Some(Stop::Gone);
                Ok(Flow::Enough)
            }
        }
    }

    fn row(&mut self, row: &Row) -> Result<Flow, Stop> {
        self.outlet.tick()?;
        if self.plan.limit == Some(0) {
            return Ok(Flow::Enough);
        }
        let scope = Scope { row, aggregates: &[] };
        if let Some(filter) = &self.plan.filter
            && !filter.holds(&scope)?
        {
            return Ok(Flow::On);
        }
        if !self.plan.aggregates.is_empty() {
            for aggregate in &mut self.plan.aggregates {
                aggregate.take(&scope)?;
            }
            return Ok(Flow::On);
        }
        match &self.plan.output {
            Output::Columns(_) => self.columns(row, &[])?,
            Output::All => self.all(row)?,
        }
        self.given += 1;
        Ok(if self.plan.limit == Some(self.given) { Flow::Enough } else { Flow::On })
    }

    fn columns(&mut self, row: &Row, aggregates: &[Value]) -> Result<(), Stop> {
        let Output::Columns(columns) = &self.plan.output else { return Ok(()) };
        let scope = Scope { row, aggregates };
        let (mut values, mut bytes) = (Vec::with_capacity(columns.len()), 0);
        for (_, expr) in columns {
            let value = expr.value(&scope)?;
            bytes += value.least_bytes();
            if bytes > RECORD_BYTES_MAX {
                return Err(ErrorCode::OverMaxRecordSize.into());
            }
            values.push(value);
        }
        self.outlet.record(columns.iter().map(|(name, _)| name.as_str()).zip(&values))
    }

    fn all(&mut self, row: &Row) -> Result<(), Stop> {
        match row {
            Row::Tree(Value::Struct(fields)) => {
                self.outlet.record(fields.iter().map(|(name, value)| (name.as_str(), value)))
            }
            Row::Tree(value) => self.outlet.record(std::iter::once(("_1", value))),
            Row::Csv(record) => {
                while self.positions.len() < record.len() {
                    self.positions.push(format!("_{}", self.positions.len() + 1));
                }
                let values: Vec<_> = record.iter().map(|text| Value::Field(text.to_owned())).collect();
                let header = self.header.as_deref().unwrap_or_default();
                let names = self
                    .positions
                    .iter()
                    .enumerate()
                    .map(|(at, position)| header.get(at).unwrap_or(position));
                self.outlet.record(names.map(String::as_str).zip(&values))
            }
        }
    }

    fn finish(mut self) -> Result<(), Stop> {
        if let Some(stop) = self.stopped.take() {
            return Err(stop);
        }
        if self.plan.aggregates.is_empty() || self.plan.limit == Some(0) {
            return Ok(());
        }
        let totals =
            self.plan.aggregates.iter().map(|aggregate| aggregate.value()).collect::<Result<Vec<_>, _>>()?;
        self.columns(&Row::Tree(Value::Missing), &totals)
    }
}
