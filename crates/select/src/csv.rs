//! Records of CSV. Their delimiters may be any characters and record delimiters two, which no library
//! here reads, and the services' rules on quoted record delimiters need a reader that cuts first.

use cosette_model::op::CsvInput;
use cosette_model::{Error, ErrorCode};
use memchr::memmem;

use crate::input::{Cut, RECORD_BYTES_MAX};

/// The fields of one record, unquoted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    text: String,
    ends: Vec<usize>,
}

impl Record {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.get(start..end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

pub(crate) struct Format {
    record: memmem::Finder<'static>,
    field: memmem::Finder<'static>,
    quote: Option<memmem::Finder<'static>>,
    escape: Vec<u8>,
    comment: Vec<u8>,
    quoted_records: bool,
}

impl Format {
    pub(crate) fn new(input: &CsvInput) -> Self {
        let finder = |text: &str| memmem::Finder::new(text.as_bytes()).into_owned();
        Self {
            record: finder(&input.record_delimiter),
            field: finder(&input.field_delimiter),
            quote: (!input.quote.is_empty()).then(|| finder(&input.quote)),
            escape: input.escape.as_bytes().to_vec(),
            comment: input.comment.as_bytes().to_vec(),
            quoted_records: input.quoted_records,
        }
    }

    pub(crate) fn delimiter(&self) -> &[u8] {
        self.record.needle()
    }

    /// The first record of `bytes`, of which there are no more if `ended`; `None` for an empty one or
    /// a comment.
    pub(crate) fn cut(&self, bytes: &[u8], ended: bool) -> Result<Cut<Option<Record>>, Error> {
        let delimiter = self.delimiter();
        let end = self.record.find(bytes);
        let first = match end {
            Some(end) => &bytes[..end],
            None if ended => bytes,
            None => return Ok(Cut::More),
        };
        let passed = first.is_empty() || !self.comment.is_empty() && first.starts_with(&self.comment);
        if passed {
            return Ok(Cut::Record(first.len() + delimiter.len(), None));
        }
        let quoted = self.quote.as_ref().is_some_and(|quote| quote.find(first).is_some());
        if !quoted {
            let record = self.plain(first)?;
            return Ok(Cut::Record(first.len() + delimiter.len(), Some(record)));
        }
        let within = if self.quoted_records { bytes } else { first };
        self.quoted(within, ended, end.is_some())
    }

    fn plain(&self, bytes: &[u8]) -> Result<Record, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| ErrorCode::InvalidTextEncoding)?;
        let width = self.field.needle().len();
        let mut record = Record { text: String::with_capacity(text.len()), ends: Vec::new() };
        let mut from = 0;
        for at in self.field.find_iter(bytes) {
            record.text.push_str(&text[from..at]);
            record.ends.push(record.text.len());
            from = at + width;
        }
        record.text.push_str(&text[from..]);
        record.ends.push(record.text.len());
        Ok(check(record)?)
    }

    /// A record with quotes: a field is quoted when it begins with one; a quote within it is escaped, or
    /// doubled when it is its own escape.
    fn quoted(&self, bytes: &[u8], ended: bool, delimited: bool) -> Result<Cut<Option<Record>>, Error> {
        let (record, field) = (self.delimiter(), self.field.needle());
        let quote = self.quote.as_ref().map_or(&b""[..], |quote| quote.needle());
        let (mut text, mut ends): (Vec<u8>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut at = 0;
        let mut inside = bytes.starts_with(quote);
        at += if inside { quote.len() } else { 0 };
        let taken = loop {
            let rest = &bytes[at..];
            if inside {
                if rest.is_empty() {
                    return match (self.quoted_records, ended) {
                        (true, false) => Ok(Cut::More),
                        (false, _) if delimited => Err(ErrorCode::CsvEscapingRecordDelimiter.into()),
                        _ => Err(ErrorCode::CsvUnescapedQuote.into()),
                    };
                }
                // A mark that may go on behind what has come.
                if self.quoted_records && !ended && rest.len() < self.escape.len() + quote.len() {
                    return Ok(Cut::More);
                }
                let escaped = rest.strip_prefix(&self.escape[..]).filter(|_| !self.escape.is_empty());
                if let Some(after) = escaped
                    && (after.starts_with(quote) || after.starts_with(&self.escape))
                {
                    let mark = if after.starts_with(quote) { quote } else { &self.escape[..] };
                    text.extend_from_slice(mark);
                    at += self.escape.len() + mark.len();
                } else if rest.starts_with(quote) {
                    inside = false;
                    at += quote.len();
                } else {
                    text.push(rest[0]);
                    at += 1;
                }
            } else if rest.is_empty() {
                if self.quoted_records && !ended {
                    return Ok(Cut::More);
                }
                // Not a delimiter that is cut off: without quoted ones the record is cut already.
                break at + if self.quoted_records { 0 } else { record.len() };
            } else if self.quoted_records && !ended && rest.len() < record.len().max(field.len()) {
                return Ok(Cut::More);
            } else if self.quoted_records && rest.starts_with(record) {
                break at + record.len();
            } else if rest.starts_with(field) {
                ends.push(text.len());
                at += field.len();
                if self.quoted_records && !ended && bytes.len() - at < quote.len() {
                    return Ok(Cut::More);
                }
                if bytes[at..].starts_with(quote) {
                    inside = true;
                    at += quote.len();
                }
            } else {
                text.push(rest[0]);
                at += 1;
            }
        };
        ends.push(text.len());
        let text = String::from_utf8(text).map_err(|_| ErrorCode::InvalidTextEncoding)?;
        // A character may have a field's end in its middle and look whole without it.
        if ends.iter().any(|end| !text.is_char_boundary(*end)) {
            return Err(ErrorCode::InvalidTextEncoding.into());
        }
        Ok(Cut::Record(taken, Some(check(Record { text, ends })?)))
    }
}

fn check(record: Record) -> Result<Record, ErrorCode> {
    if record.text.len() > RECORD_BYTES_MAX { Err(ErrorCode::OverMaxRecordSize) } else { Ok(record) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::input::Window;
    use crate::testing::Noise;

    /// Comes in pieces of one byte and more.
    struct Drip(Vec<u8>, usize, usize);

    impl std::io::Read for Drip {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = self.2.min(into.len()).min(self.0.len() - self.1);
            into[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
            self.1 += count;
            Ok(count)
        }
    }

    fn read(input: &CsvInput, data: &[u8], piece: usize) -> Result<Vec<Vec<String>>, ErrorCode> {
        let format = Format::new(input);
        let mut window = Window::new(Box::new(Drip(data.to_vec(), 0, piece)), &Rc::default(), 0);
        let mut records = Vec::new();
        loop {
            match window.next(|bytes, ended| format.cut(bytes, ended)) {
                Ok(None) => {
                    assert_eq!(window.position(), data.len() as u64);
                    return Ok(records);
                }
                Ok(Some(record)) => {
                    records.extend(record.map(|record| record.iter().map(str::to_owned).collect()));
                }
                Err(error) => return Err(error.code),
            }
        }
    }

    #[test]
    fn records() {
        use ErrorCode::*;
        let plain = CsvInput::default();
        let quoted = CsvInput { quoted_records: true, ..plain.clone() };
        let other = CsvInput {
            record_delimiter: "\r\n".into(),
            field_delimiter: "照".into(),
            quote: "'".into(),
            escape: "\\".into(),
            comment: String::new(),
            ..quoted.clone()
        };
        let none = CsvInput { quote: String::new(), ..plain.clone() };
        for (input, data, want) in [
            (&plain, "a,b\nc,d\n", Ok("a|b/c|d")),
            (&plain, "a,b\nc,d", Ok("a|b/c|d")),
            (&plain, "\n\n,\n#x\na", Ok("|/a")),
            (&plain, "\"a,b\",\"c\"\"d\"\n", Ok("a,b|c\"d")),
            (&plain, "x\"y,\"\"\n", Ok("x\"y|")),
            (&plain, "\"a\"b,c\n", Ok("ab|c")),
            (&plain, "\"a\nb\",c\n", Err(CsvEscapingRecordDelimiter)),
            (&plain, "\"a", Err(CsvUnescapedQuote)),
            (&quoted, "\"a\nb\",c\nd\n", Ok("a\nb|c/d")),
            (&quoted, "x,\"a\nb", Err(CsvUnescapedQuote)),
            (&other, "a照'b照\\'\r\n\\\\'\r\nc照\r\n", Ok("a|b照'\r\n\\/c|")),
            (&other, "#a照b\nc\r\n", Ok("#a|b\nc")),
            (&none, "\"a,b\"\n", Ok("\"a|b\"")),
        ] {
            for piece in [1, 2, 3, 1000] {
                let got = read(input, data.as_bytes(), piece)
                    .map(|records| records.iter().map(|r| r.join("|")).collect::<Vec<_>>().join("/"));
                assert_eq!(got.as_deref(), want.as_ref().map(|w| *w), "{data:?} by {piece}");
            }
        }
        assert_eq!(read(&plain, b"a,\xff\n", 9), Err(InvalidTextEncoding));
        assert_eq!(read(&plain, b"\"a\",\xff\n", 9), Err(InvalidTextEncoding));
        assert_eq!(read(&plain, b"\"a\",\xe7,\x85\xa7\n", 9), Err(InvalidTextEncoding));
        assert_eq!(read(&plain, &vec![b'a'; RECORD_BYTES_MAX + 1], 1 << 20), Err(OverMaxRecordSize));
    }

    /// However it comes, the same is read, and without quotes it is what a split gives.
    #[test]
    fn noise() {
        let mut noise = Noise(0xc5f);
        for round in 0..30_000 {
            let data = noise.bytes(b"ab,,\"\"\n\\#", 24);
            let input = CsvInput {
                quoted_records: noise.below(2) == 0,
                escape: ["\"", "\\", ""][noise.below(3)].into(),
                quote: ["\"", ""][noise.below(2)].into(),
                ..CsvInput::default()
            };
            let whole = read(&input, &data, 1000);
            assert_eq!(
                whole,
                read(&input, &data, 1 + noise.below(3)),
                "{round} {:?}",
                String::from_utf8_lossy(&data)
            );
            if input.quote.is_empty() {
                let text = String::from_utf8(data).unwrap();
                let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
                let split: Vec<Vec<_>> = lines.map(|l| l.split(',').map(str::to_owned).collect()).collect();
                assert_eq!(whole, Ok(split));
            }
        }
    }
}
