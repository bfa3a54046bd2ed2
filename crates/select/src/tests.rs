//! Tables of data, query and result. The sources: the S3 user guide's pages on SELECT, operators and
//! functions ("guide"), the pages on SelectObjectContent of both services ("api"), and where those are
//! silent, decision 0017.

mod columnar;
mod page;
mod refusals;
mod results;

use std::io::{Cursor, Read};
use std::sync::Arc;

use cosette_model::op::{
    Compression, CsvInput, CsvOutput, FileHeader, Input, Output, Query, ScanRange, Scanned, SelectEvent,
};
use cosette_model::{Error, ErrorCode, Timestamp};

use crate::testing::Noise;
use crate::{Sink, Source, run};

struct Held(Vec<u8>);

impl Source for Held {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, start: u64, end: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
        Ok(Box::new(Cursor::new(self.0[start..end].to_vec())))
    }
}

#[derive(Default)]
struct Taken {
    events: Vec<SelectEvent>,
    /// Leaves after so many events.
    leaves: Option<usize>,
}

impl Sink for Taken {
    fn send(&mut self, event: SelectEvent) -> bool {
        self.events.push(event);
        self.is_open()
    }

    fn is_due(&mut self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        self.leaves.is_none_or(|leaves| self.events.len() < leaves)
    }
}

impl Taken {
    fn records(&self) -> String {
        let records = self.events.iter().filter_map(|event| match event {
            SelectEvent::Records(bytes) => Some(std::str::from_utf8(bytes).unwrap()),
            _ => None,
        });
        records.collect()
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_500_000_000)
}

fn query(expression: &str, input: Input, output: Output) -> Query {
    let expression = expression.to_owned();
    Query { expression, input, compression: Compression::None, output, progress: false, range: None }
}

fn csv(header: FileHeader) -> Input {
    Input::Csv(CsvInput { header, ..CsvInput::default() })
}

fn to_csv() -> Output {
    Output::Csv(CsvOutput::default())
}

fn to_json() -> Output {
    Output::Json { record_delimiter: "\n".into() }
}

fn ask(query: &Query, data: &[u8]) -> (Taken, Result<(), Error>) {
    let ask = || {
        let mut taken = Taken::default();
        let result = run(query, Arc::new(Held(data.to_vec())), now(), &mut taken);
        (taken, result)
    };
    let thread = std::thread::Builder::new().stack_size(crate::STACK_BYTES);
    std::thread::scope(|scope| thread.spawn_scoped(scope, ask).unwrap().join().unwrap())
}

/// The records, or the code of the error.
fn answer(query: &Query, data: &[u8]) -> Result<String, ErrorCode> {
    let (taken, result) = ask(query, data);
    let ended = taken.events.last() == Some(&SelectEvent::End);
    assert_eq!(ended, result.is_ok(), "{}", query.expression);
    result.map(|()| taken.records()).map_err(|error| error.code)
}

const PEOPLE: &str = "name,age,City\nAnn,31,Oslo\nBob,7,\"New York, NY\"\nCyd,,Rome\n";

#[test]
fn compressed_objects() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(PEOPLE.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(PEOPLE.as_bytes()).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    let twice = [&gzip[..], &gzip].concat();
    let ask = |compression, data: &[u8]| {
        let plain = query("SELECT COUNT(*) FROM S3Object", csv(FileHeader::None), to_csv());
        answer(&Query { compression, ..plain }, data)
    };
    use Compression::{Bzip2, Gzip};
    assert_eq!(ask(Gzip, &gzip).as_deref(), Ok("4\n"));
    assert_eq!(ask(Gzip, &twice).as_deref(), Ok("8\n"));
    assert_eq!(ask(Bzip2, &bzip2).as_deref(), Ok("4\n"));
    assert_eq!(ask(Gzip, &bzip2), Err(ErrorCode::InvalidCompressionFormat));
    assert_eq!(ask(Bzip2, PEOPLE.as_bytes()), Err(ErrorCode::InvalidCompressionFormat));
    assert_eq!(ask(Gzip, &gzip[..gzip.len() - 9]), Err(ErrorCode::TruncatedInput));
    assert_eq!(ask(Bzip2, &bzip2[..bzip2.len() - 9]), Err(ErrorCode::TruncatedInput));
    assert_eq!(ask(Gzip, b""), Err(ErrorCode::InvalidCompressionFormat));
    assert_eq!(ask(Compression::None, &gzip), Err(ErrorCode::InvalidTextEncoding));
    let (taken, _) = super::tests::ask(
        &Query {
            compression: Gzip,
            progress: true,
            ..query("SELECT _1 FROM S3Object", csv(FileHeader::None), to_csv())
        },
        &gzip,
    );
    let counted = Scanned {
        scanned: gzip.len() as u64,
        processed: PEOPLE.len() as u64,
        returned: "name\nAnn\nBob\nCyd\n".len() as u64,
    };
    let [
        SelectEvent::Records(_),
        SelectEvent::Progress(progress),
        SelectEvent::Stats(stats),
        SelectEvent::End,
    ] = &taken.events[..]
    else {
        panic!("{:?}", taken.events)
    };
    assert_eq!((*progress, *stats), (counted, counted));
}

/// A record belongs to the range that its first byte is in, so ranges side by side give each once
/// (api: ScanRange).
#[test]
fn ranges_share_out_the_records() {
    let lines = "{\"a\":1}\n{\"a\":22}\n\n{\"a\":333}\n";
    for (input, data, expression) in [
        (csv(FileHeader::None), PEOPLE, "SELECT _1 FROM S3Object"),
        (csv(FileHeader::Use), PEOPLE, "SELECT name FROM S3Object"),
        (Input::Json { lines: true }, lines, "SELECT s.a FROM S3Object s"),
    ] {
        let whole = query(expression, input, to_csv());
        let all = answer(&whole, data.as_bytes()).unwrap();
        let last = data.len() as u64 - 1;
        for cut in 0..last {
            let of = |range| answer(&Query { range: Some(range), ..whole.clone() }, data.as_bytes()).unwrap();
            let parts = [of(ScanRange::FromTo(0, cut)), of(ScanRange::From(cut + 1))];
            assert_eq!(parts.concat(), all, "{expression} {cut}");
            assert_eq!(of(ScanRange::Last(last - cut)), parts[1]);
        }
        for wrong in [ScanRange::FromTo(3, 2), ScanRange::From(last + 1), ScanRange::Last(0)] {
            let asked = Query { range: Some(wrong), ..whole.clone() };
            assert_eq!(answer(&asked, data.as_bytes()), Err(ErrorCode::InvalidScanRange), "{wrong:?}");
        }
    }
    let document = query("SELECT * FROM S3Object", Input::Json { lines: false }, to_json());
    let document = Query { range: Some(ScanRange::From(0)), ..document };
    assert_eq!(answer(&document, b"{}"), Err(ErrorCode::UnsupportedScanRangeInput));
}

#[test]
fn a_client_that_leaves_ends_the_query() {
    let data = "abcdefghij\n".repeat(1 << 20);
    let ask = query("SELECT * FROM S3Object", csv(FileHeader::None), to_csv());
    let mut taken = Taken { leaves: Some(2), ..Taken::default() };
    run(&ask, Arc::new(Held(data.into_bytes())), now(), &mut taken).unwrap();
    assert_eq!(taken.events.len(), 2);
    let nothing = query("SELECT * FROM S3Object WHERE _1 = ''", csv(FileHeader::None), to_csv());
    let mut taken = Taken { leaves: Some(0), ..Taken::default() };
    run(&nothing, Arc::new(Held(vec![b'\n'; 1 << 20])), now(), &mut taken).unwrap();
    assert!(taken.events.len() <= 1);
}

#[test]
fn records_before_a_failure_come_first() {
    let ask = query("SELECT CAST(_1 AS INT) FROM S3Object", csv(FileHeader::None), to_csv());
    let (taken, result) = super::tests::ask(&ask, b"1\n2\nx\n");
    assert_eq!(taken.records(), "1\n2\n");
    assert_eq!(result.unwrap_err().code, ErrorCode::CastFailed);
}

#[test]
fn records_are_bounded() {
    let data = format!("[\"{}\"]", "x".repeat(700_000));
    let json = Input::Json { lines: false };
    let once = query("SELECT s[0] FROM S3Object s", json.clone(), to_csv());
    assert!(answer(&once, data.as_bytes()).is_ok());
    let twice = query("SELECT s[0], s[0] FROM S3Object s", json, to_csv());
    assert_eq!(answer(&twice, data.as_bytes()), Err(ErrorCode::OverMaxRecordSize));
}

/// The same of bytes as the fuzzer makes them.
#[test]
fn forms_survive_noise() {
    let mut noise = Noise(0xf0f0);
    let asked = || {
        for _ in 0..5_000 {
            let mut bytes = vec![u8::try_from(noise.below(256)).unwrap()];
            bytes.extend_from_slice(
                [&b"SELECT * FROM S3Object\n"[..], b"SELECT _1 FROM S3Object\n"][noise.below(2)],
            );
            bytes.extend(noise.bytes(b"ab,,\"\"\\\r\n{}[]:1PAR\xff\x1f\x8bBZh9", 60));
            crate::fuzzing::query(&bytes);
        }
    };
    let thread = std::thread::Builder::new().stack_size(crate::STACK_BYTES);
    std::thread::scope(|scope| thread.spawn_scoped(scope, asked).unwrap().join().unwrap());
}

/// Words of the language in any order, over any text, end in an answer or an error.
#[test]
fn noise() {
    const WORDS: &str = "SELECT SELECT FROM FROM S3Object S3Object s WHERE LIMIT 1 2 -1 0.5 1e9 'x' \"City\" `2010T` \
        name _1 _9 s.age s.* * ( ) ( ) , . + - / % || = <> < >= AND OR NOT IN LIKE ESCAPE BETWEEN IS NULL MISSING \
        CASE WHEN THEN ELSE END CAST AS INT TIMESTAMP DECIMAL COUNT SUM AVG MIN COALESCE NULLIF TRIM SUBSTRING \
        DATE_ADD year EXTRACT TO_STRING UTCNOW [ ] [*] [0] ; GROUP BY JOIN 照";
    let words: Vec<_> = WORDS.split_whitespace().collect();
    let mut noise = Noise(0x5e1);
    for _ in 0..20_000 {
        let body: Vec<_> = (0..noise.below(14)).map(|_| words[noise.below(words.len())]).collect();
        let mut text = body.join(" ");
        if noise.below(3) > 0 {
            text = format!("SELECT {text} FROM S3Object s WHERE {}", words[noise.below(words.len())]);
        }
        let input = match noise.below(3) {
            0 => Input::Json { lines: false },
            1 => Input::Parquet,
            _ => csv(FileHeader::Use),
        };
        let data: &[u8] = match input {
            Input::Json { .. } => b"{\"name\":\"a\",\"age\":[1,2.5,{\"City\":null}]} [1] true",
            _ => PEOPLE.as_bytes(),
        };
        let output = if noise.below(2) == 0 { to_csv() } else { to_json() };
        let _ = answer(&query(&text, input, output), data);
    }
    for _ in 0..20_000 {
        let text = noise.bytes(b"SELECT 1a*_.,()'\"`[]=<>|&:;#@!?{}-+/\\\n%$", 60);
        let text = format!("SELECT {} FROM S3Object", String::from_utf8_lossy(&text));
        let _ = answer(&query(&text, csv(FileHeader::None), to_csv()), PEOPLE.as_bytes());
    }
}
