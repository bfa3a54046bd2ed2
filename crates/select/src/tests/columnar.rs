//! Queries on Parquet, of a file made here.

use std::sync::Arc;

use parquet::basic::{Compression as Codec, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

const SCHEMA: &str = "message people {
    required binary name (UTF8);
    optional int32 age;
    required double height;
    required int64 seen (TIMESTAMP_MILLIS);
    required int32 born (DATE);
    required int32 debt (DECIMAL(9, 2));
    required group tags (LIST) { repeated group list { required binary element (UTF8); } }
}";

/// Two groups of two rows.
pub(super) fn file(codec: Codec) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for (names, ages, tags) in [
        (["Ann", "Bob"], vec![Some(31), None], (["x", "y", "z"], [0_i16, 1, 0])),
        (["Cyd", "Dan"], vec![Some(7), Some(44)], (["p", "q", "r"], [0, 0, 1])),
    ] {
        let mut group = writer.next_row_group().unwrap();
        let text = |words: &[&str]| words.iter().map(|word| ByteArray::from(*word)).collect::<Vec<_>>();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&text(&names), None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let levels: Vec<_> = ages.iter().map(|age| i16::from(age.is_some())).collect();
        let ages: Vec<i32> = ages.into_iter().flatten().collect();
        column.typed::<Int32Type>().write_batch(&ages, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[1.5, 0.1], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[0, 1_500_000_000_123], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&[0, 20_000], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&[-150, 1], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let (words, repeats) = tags;
        column.typed::<ByteArrayType>().write_batch(&text(&words), Some(&[1, 1, 1]), Some(&repeats)).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn results() {
    for codec in [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::GZIP(GzipLevel::default())] {
        let file = file(codec);
        for (expression, output, want) in [
            ("SELECT name FROM S3Object s WHERE s.age > 8", to_csv(), "Ann\nDan\n"),
            (
                "SELECT COUNT(*), COUNT(age), SUM(age), SUM(height), SUM(debt) FROM S3Object",
                to_csv(),
                "4,3,82,3.2,-2.98\n",
            ),
            (
                "SELECT seen, born, debt FROM S3Object LIMIT 2",
                to_csv(),
                "1970-01-01T00:00:00.000Z,1970-01-01,-1.50\n2017-07-14T02:40:00.123Z,2024-10-04,0.01\n",
            ),
            (
                "SELECT NAME FROM S3Object WHERE EXTRACT(YEAR FROM seen) = 2017 AND born > `2020T`",
                to_csv(),
                "Bob\nDan\n",
            ),
            (
                "SELECT * FROM S3Object LIMIT 1",
                to_json(),
                "{\"name\":\"Ann\",\"age\":31,\"height\":1.5,\"seen\":\"1970-01-01T00:00:00.000Z\",\"born\":\"1970-01-01\",\"debt\":-1.50,\"tags\":[\"x\",\"y\"]}\n",
            ),
            ("SELECT s.tags[0] FROM S3Object s WHERE age IS NULL", to_csv(), "z\n"),
        ] {
            let asked = query(expression, Input::Parquet, output);
            assert_eq!(answer(&asked, &file).as_deref(), Ok(want), "{expression} {codec:?}");
        }
        // A group belongs to the range that its first byte is in (S3 user guide, "Scan range requests").
        let names = query("SELECT name FROM S3Object", Input::Parquet, to_csv());
        let of = |range| answer(&Query { range: Some(range), ..names.clone() }, &file);
        assert_eq!(of(ScanRange::FromTo(0, 100)).as_deref(), Ok("Ann\nBob\n"));
        assert_eq!(of(ScanRange::From(100)).as_deref(), Ok("Cyd\nDan\n"));
    }
}

/// Bits that are turned and ends that are cut off give an answer or an error.
#[test]
fn damage() {
    let whole = file(Codec::SNAPPY);
    let mut noise = Noise(0xda7a);
    let asked = query("SELECT * FROM S3Object", Input::Parquet, to_json());
    for _ in 0..1500 {
        let mut file = whole.clone();
        for _ in 0..=noise.below(3) {
            let at = noise.below(file.len());
            file[at] ^= 1 << noise.below(8);
        }
        file.truncate(file.len() - noise.below(3) * noise.below(40));
        let _ = answer(&asked, &file);
    }
}

/// A dictionary says that it has two billion values; no room is made for them.
#[test]
fn a_dictionary_that_is_none() {
    let mut file = file(Codec::UNCOMPRESSED);
    // Behind the magic: a page header (thrift, compact) of type 2, two sizes, and the dictionary's own header, whose
    // first field counts the values. The count takes four bytes more than it did: the first value's length gives them.
    let at = file.windows(4).position(|bytes| bytes == [0x4c, 0x15, 0x04, 0x15]).unwrap() + 2;
    file.splice(at..at + 1, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    let value = file.windows(7).position(|bytes| bytes == b"\x03\0\0\0Ann").unwrap();
    file.drain(value..value + 4);
    let asked = query("SELECT name FROM S3Object", Input::Parquet, to_csv());
    assert_eq!(answer(&asked, &file), Err(ErrorCode::ParquetParsingError));
}

/// A page says that it has two billion bytes unpacked; no room is made for them. (It has a few: those of a file
/// that was written so are refused by the same look at its header.)
#[test]
fn a_page_that_is_too_large() {
    let mut file = file(Codec::SNAPPY);
    // The magic, then a header: its type, then the size.
    assert_eq!((file[4], file[6]), (0x15, 0x15));
    let size = file[7];
    assert!(size < 0x80, "of one byte");
    file.splice(7..8, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    let asked = query("SELECT name FROM S3Object", Input::Parquet, to_csv());
    assert_eq!(answer(&asked, &file), Err(ErrorCode::OverMaxParquetBlockSize));
}
