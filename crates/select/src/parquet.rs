//! Records of Parquet, read by the positions its footer names; a page at a time is held.

use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use cosette_model::{Error, ErrorCode};
use parquet::basic::{Compression, Type as Physical};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

use crate::decimal::Decimal;
use crate::input::{Meter, Source};
use crate::json::Flow;
use crate::moment::{Moment, Precision};
use crate::page::{Budget, Checked};
use crate::value::Value;

/// Largest group of rows, in bytes (the S3 user guide, "Requirements and limits").
const GROUP_BYTES_MAX: i64 = 512 << 20;

/// The source as Parquet reads it.
struct Chunks {
    source: Arc<dyn Source>,
    seen: Arc<Seen>,
    budget: Budget,
}

#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    failed: AtomicBool,
    /// The footer has been read; what is read now are pages.
    pages: AtomicBool,
}

impl Chunks {
    /// `header`: what is read of it may be one.
    fn open(&self, start: u64, end: u64, header: bool) -> Parquet<Counted> {
        let inner = self.source.read(start, end).map_err(|error| {
            self.seen.failed.store(true, Ordering::Relaxed);
            ParquetError::from(error)
        })?;
        Ok(Counted {
            inner,
            seen: Arc::clone(&self.seen),
            header: header.then(|| self.budget.clone()),
            at: start,
        })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.source.size()
    }
}

impl ChunkReader for Chunks {
    type T = Counted;

    fn get_read(&self, start: u64) -> Parquet<Counted> {
        self.open(start.min(self.source.size()), self.source.size(), true)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parquet<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.source.size());
        let end = end.ok_or_else(|| ParquetError::EOF("a range beyond the object".into()))?;
        if self.seen.pages.load(Ordering::Relaxed) {
            self.budget.admit(start, length)?;
        }
        let mut bytes = Vec::with_capacity(length.min(1 << 20));
        self.open(start, end, false)?.read_to_end(&mut bytes)?;
        if bytes.len() != length {
            return Err(ParquetError::EOF("a range that ends early".into()));
        }
        Ok(bytes.into())
    }
}

struct Counted {
    inner: Box<dyn Read + Send>,
    seen: Arc<Seen>,
    header: Option<Budget>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into);
        match &read {
            Ok(count) => {
                if let Some(budget) = &self.header {
                    budget.saw(self.at, &into[..*count]);
                }
                self.at += *count as u64;
                self.seen.bytes.fetch_add(*count as u64, Ordering::Relaxed);
            }
            Err(_) => self.seen.failed.store(true, Ordering::Relaxed),
        }
        read
    }
}

/// Gives each row of the groups that begin within `start..=end`.
pub(crate) fn rows(
    source: &Arc<dyn Source>,
    (start, end): (u64, u64),
    meter: &Rc<Meter>,
    each: &mut dyn FnMut(Value) -> Result<Flow, Error>,
) -> Result<(), Error> {
    let seen = Arc::new(Seen::default());
    let budget = Budget::default();
    let chunks = Chunks { source: Arc::clone(source), seen: Arc::clone(&seen), budget: budget.clone() };
    let count = || {
        let bytes = seen.bytes.load(Ordering::Relaxed);
        meter.scanned.set(bytes);
        meter.processed.set(bytes);
    };
    let fault = |error: ParquetError| {
        if seen.failed.load(Ordering::Relaxed) {
            return Error::internal(error);
        }
        if budget.is_over() {
            return ErrorCode::OverMaxParquetBlockSize.into();
        }
        let code = ErrorCode::ParquetParsingError;
        Error::with(code, format!("{} {error}.", code.message()))
    };
    let reader = SerializedFileReader::new(chunks).map_err(fault)?;
    check(&reader)?;
    seen.pages.store(true, Ordering::Relaxed);
    for at in 0..reader.num_row_groups() {
        let group = reader.get_row_group(at).map_err(fault)?;
        let first = group.metadata().columns().iter().map(|column| column.byte_range().0).min().unwrap_or(0);
        if !(start..=end).contains(&first) {
            continue;
        }
        budget.renew(GROUP_BYTES_MAX.unsigned_abs());
        let group = Checked { group, budget: budget.clone() };
        for row in RowIter::from_row_group(None, &group).map_err(fault)? {
            let value = tree(row.map_err(fault)?)?;
            count();
            if each(value)? == Flow::Enough {
                return Ok(());
            }
        }
    }
    count();
    Ok(())
}

/// Refuses what the services do.
fn check(reader: &SerializedFileReader<Chunks>) -> Result<(), Error> {
    for group in reader.metadata().row_groups() {
        if group.total_byte_size() > GROUP_BYTES_MAX {
            return Err(ErrorCode::OverMaxParquetBlockSize.into());
        }
        for column in group.columns() {
            match column.compression() {
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => {}
                _ => return Err(ErrorCode::ParquetUnsupportedCompressionCodec.into()),
            }
            if column.column_type() == Physical::INT96 {
                return Err(ErrorCode::UnsupportedParquetType.into());
            }
        }
    }
    Ok(())
}

fn tree(row: Row) -> Result<Value, Error> {
    let fields = row.into_columns().into_iter().map(|(name, field)| Ok((name, value(field)?)));
    fields.collect::<Result<_, Error>>().map(Value::Struct)
}

fn value(field: Field) -> Result<Value, Error> {
    let unsupported = || Error::from(ErrorCode::UnsupportedParquetType);
    let moment = |nanos: i128, precision| {
        Moment::from_nanos(nanos, precision).map(Value::Moment).ok_or_else(unsupported)
    };
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(value),
        Field::Byte(number) => Value::Int(number.into()),
        Field::Short(number) => Value::Int(number.into()),
        Field::Int(number) => Value::Int(number.into()),
        Field::Long(number) => Value::Int(number),
        Field::UByte(number) => Value::Int(number.into()),
        Field::UShort(number) => Value::Int(number.into()),
        Field::UInt(number) => Value::Int(number.into()),
        Field::ULong(number) => match i64::try_from(number) {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Decimal(Decimal::new(number.into(), 0).ok_or_else(unsupported)?),
        },
        Field::Float16(number) => Value::Float(f64::from(f32::from(number))),
        // Through text, so that no digits appear that nobody wrote.
        Field::Float(number) => Value::Float(number.to_string().parse().unwrap_or(f64::from(number))),
        Field::Double(number) => Value::Float(number),
        Field::Str(text) => Value::Text(text),
        Field::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes.data()).map_err(|_| ErrorCode::UnsupportedParquetType)?;
            Value::Text(text.to_owned())
        }
        Field::Decimal(number) => {
            let bytes = number.data();
            if bytes.is_empty() || bytes.len() > 16 {
                return Err(unsupported());
            }
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut whole = [sign; 16];
            whole[16 - bytes.len()..].copy_from_slice(bytes);
            let scale = u32::try_from(number.scale()).map_err(|_| unsupported())?;
            Value::Decimal(Decimal::new(i128::from_be_bytes(whole), scale).ok_or_else(unsupported)?)
        }
        Field::Date(days) => moment(i128::from(days) * 86_400_000_000_000, Precision::Day)?,
        Field::TimeMillis(_) | Field::TimeMicros(_) => return Err(unsupported()),
        Field::TimestampMillis(millis) => moment(i128::from(millis) * 1_000_000, Precision::Fraction(3))?,
        Field::TimestampMicros(micros) => moment(i128::from(micros) * 1000, Precision::Fraction(6))?,
        Field::Group(row) => tree(row)?,
        Field::ListInternal(list) => {
            Value::List(list.elements().iter().cloned().map(value).collect::<Result<_, _>>()?)
        }
        Field::MapInternal(map) => {
            let mut fields = Vec::new();
            for (key, of) in map.entries() {
                let mut name = String::new();
                value(key.clone())?.write_text(&mut name);
                fields.push((name, value(of.clone())?));
            }
            Value::Struct(fields)
        }
    })
}
