//! Queries as functions of any bytes, for `scripts/fuzz` and for noise in the unit tests.

use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;
use cosette_model::op::{Compression, CsvInput, CsvOutput, FileHeader, Input, Output, Query, SelectEvent};
use cosette_model::{ErrorCode, Timestamp};

use crate::{Sink, Source, run};

struct Held(Bytes);

impl Source for Held {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, start: u64, end: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let at = |at| usize::try_from(at).map_err(std::io::Error::other);
        Ok(Box::new(Cursor::new(self.0.slice(at(start)?..at(end)?))))
    }
}

#[derive(Default)]
struct Last(Option<SelectEvent>);

impl Sink for Last {
    fn send(&mut self, event: SelectEvent) -> bool {
        self.0 = Some(event);
        true
    }

    fn is_due(&mut self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// The first byte says how to read and write, the rest is an expression up to a line's end, and an object. What
/// is answered has an end, and no refusal is our own fault.
pub fn query(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (expression, object) = (&rest[..at], rest.get(at + 1..).unwrap_or_default());
    let Ok(expression) = std::str::from_utf8(expression) else { return };
    let text = |text: &str| text.to_owned();
    let input = match form % 8 {
        0 => Input::Json { lines: false },
        1 => Input::Json { lines: true },
        2 => Input::Parquet,
        3 => Input::Csv(CsvInput { header: FileHeader::Use, ..CsvInput::default() }),
        4 => Input::Csv(CsvInput { quoted_records: true, escape: text("\\"), ..CsvInput::default() }),
        5 => Input::Csv(CsvInput {
            record_delimiter: text("\r\n"),
            field_delimiter: text("照"),
            ..CsvInput::default()
        }),
        _ => Input::Csv(CsvInput::default()),
    };
    let compression = match form / 8 % 16 {
        0 => Compression::Gzip,
        1 => Compression::Bzip2,
        _ => Compression::None,
    };
    let output = if *form < 128 {
        Output::Csv(CsvOutput::default())
    } else {
        Output::Json { record_delimiter: text("\n") }
    };
    let query =
        Query { expression: text(expression), input, compression, output, progress: false, range: None };
    let mut last = Last::default();
    let object = Arc::new(Held(Bytes::copy_from_slice(object)));
    match run(&query, object, Timestamp::from_secs(1_500_000_000), &mut last) {
        Ok(()) => assert_eq!(last.0, Some(SelectEvent::End)),
        Err(error) => assert_ne!(error.code, ErrorCode::InternalError),
    }
}
