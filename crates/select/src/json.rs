//! JSON from a stream. Values that a query does not want are passed over without being held; those that
//! it does are at most 1 MiB (the services' limit of a record) and nest at most 64 deep.

use cosette_model::{Error, ErrorCode};

use crate::decimal::Decimal;
use crate::input::{Bytes, RECORD_BYTES_MAX};
use crate::value::{Number, Value};

const DEPTH_MAX: usize = 64;

/// One step from a value to those within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(Name),
    Index(usize),
    /// `[*]`
    Elements,
    /// `.*`
    Fields,
}

/// A field's name, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// In double quotes: upper and lower case differ.
    pub(crate) exact: bool,
}

impl Name {
    pub(crate) fn is(&self, name: &str) -> bool {
        if self.exact { self.text == name } else { self.text.to_lowercase() == name.to_lowercase() }
    }
}

fn malformed() -> Error {
    ErrorCode::JsonParsingError.into()
}

/// What is done with each value; it may be enough with one.
pub(crate) type Each<'a> = dyn FnMut(Value) -> Result<Flow, Error> + 'a;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    Enough,
}

/// Gives each value at the end of `path` in each of the root's values; one that is missing where a value
/// has none.
pub(crate) fn walk(bytes: &mut Bytes<'_>, path: &[Step], each: &mut Each<'_>) -> Result<(), Error> {
    let mut walker = Walker { bytes, held: None };
    loop {
        walker.space()?;
        if walker.bytes.peek()?.is_none() {
            return Ok(());
        }
        if walker.go(path, each, 0)? == Flow::Enough {
            return Ok(());
        }
    }
}

/// A whole text of one value.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Error> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(malformed()) }
}

/// What reads one thing between brackets.
type Item<'a, W> = dyn FnMut(&mut W, bool, usize) -> Result<Flow, Error> + 'a;

struct Walker<'a, 'b> {
    bytes: &'a mut Bytes<'b>,
    /// What is passed over is kept here, when it is wanted.
    held: Option<Vec<u8>>,
}

impl Walker<'_, '_> {
    fn next(&mut self) -> Result<u8, Error> {
        let byte = self.bytes.next()?.ok_or_else(malformed)?;
        if let Some(held) = &mut self.held {
            if held.len() >= RECORD_BYTES_MAX {
                return Err(ErrorCode::OverMaxRecordSize.into());
            }
            held.push(byte);
        }
        Ok(byte)
    }

    fn peek(&mut self) -> Result<u8, Error> {
        self.bytes.peek()?.ok_or_else(malformed)
    }

    fn space(&mut self) -> Result<(), Error> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.peek()? {
            // Between tokens; a value that is held does not need it.
            self.bytes.next()?;
        }
        Ok(())
    }

    fn go(&mut self, path: &[Step], each: &mut Each<'_>, depth: usize) -> Result<Flow, Error> {
        if depth > DEPTH_MAX {
            return Err(malformed());
        }
        self.space()?;
        let Some((step, rest)) = path.split_first() else {
            return each(parse(&self.take()?)?);
        };
        match (step, self.peek()?) {
            (Step::Name(_) | Step::Fields, b'{') | (Step::Index(_) | Step::Elements, b'[') => {
                self.children(step, rest, each, depth)
            }
            _ => {
                self.skip(0)?;
                each(Value::Missing)
            }
        }
    }

    /// What a step leads to within an object or a list.
    fn children(
        &mut self,
        step: &Step,
        rest: &[Step],
        each: &mut Each<'_>,
        depth: usize,
    ) -> Result<Flow, Error> {
        let mut found = false;
        let flow = self.within(&mut |walker, named, at| {
            let wanted = if named {
                let Value::Text(name) = parse(&walker.take()?)? else { return Err(malformed()) };
                walker.colon()?;
                !found && matches!(step, Step::Name(wanted) if wanted.is(&name)) || *step == Step::Fields
            } else {
                *step == Step::Index(at) || *step == Step::Elements
            };
            if wanted {
                found = true;
                return walker.go(rest, each, depth + 1);
            }
            walker.space()?;
            walker.skip(0)?;
            Ok(Flow::On)
        })?;
        if flow == Flow::Enough || found { Ok(flow) } else { each(Value::Missing) }
    }

    /// Reads an object's fields or a list's elements, each by `item`, which is told which of the two they are
    /// and how many came before.
    fn within(&mut self, item: &mut Item<'_, Self>) -> Result<Flow, Error> {
        let (close, named) = if self.next()? == b'{' { (b'}', true) } else { (b']', false) };
        self.space()?;
        if self.peek()? == close {
            self.next()?;
            return Ok(Flow::On);
        }
        for at in 0.. {
            self.space()?;
            if named && self.peek()? != b'"' {
                return Err(malformed());
            }
            if item(self, named, at)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
            self.space()?;
            match self.next()? {
                b',' => {}
                end if end == close => break,
                _ => return Err(malformed()),
            }
        }
        Ok(Flow::On)
    }

    fn colon(&mut self) -> Result<(), Error> {
        self.space()?;
        if self.next()? == b':' { Ok(()) } else { Err(malformed()) }
    }

    /// The text of the next value.
    fn take(&mut self) -> Result<Vec<u8>, Error> {
        self.held = Some(Vec::new());
        let skipped = self.skip(0);
        let held = self.held.take().unwrap_or_default();
        skipped.map(|()| held)
    }

    /// Passes over the next value, whose strings and brackets must be in order.
    fn skip(&mut self, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(malformed());
        }
        if let b'{' | b'[' = self.peek()? {
            let mut of_one = |walker: &mut Self, named: bool, _: usize| {
                if named {
                    walker.skip(depth + 1)?;
                    walker.colon()?;
                    walker.space()?;
                }
                walker.skip(depth + 1)?;
                Ok(Flow::On)
            };
            return self.within(&mut of_one).map(drop);
        }
        match self.next()? {
            b'"' => loop {
                match self.next()? {
                    b'"' => return Ok(()),
                    b'\\' => {
                        self.next()?;
                    }
                    _ => {}
                }
            },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                while let Some(b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E') = self.bytes.peek()? {
                    self.next()?;
                }
                Ok(())
            }
            _ => Err(malformed()),
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<u8, Error> {
        let byte = *self.text.get(self.at).ok_or_else(malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn peek(&self) -> Result<u8, Error> {
        self.text.get(self.at).copied().ok_or_else(malformed)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(malformed());
        }
        self.space();
        match self.peek()? {
            b'"' => Ok(Value::Text(self.string()?)),
            b'[' => {
                let mut values = Vec::new();
                self.within(b']', &mut |parser| {
                    values.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::List(values))
            }
            b'{' => {
                let mut fields = Vec::new();
                self.within(b'}', &mut |parser| {
                    let name = parser.string()?;
                    parser.space();
                    if parser.next()? != b':' {
                        return Err(malformed());
                    }
                    fields.push((name, parser.value(depth + 1)?));
                    Ok(())
                })?;
                Ok(Value::Struct(fields))
            }
            _ => {
                let rest = &self.text[self.at..];
                let token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                let word = &rest[..rest.iter().position(|b| !token(b)).unwrap_or(rest.len())];
                self.at += word.len();
                match word {
                    b"true" => Ok(Value::Bool(true)),
                    b"false" => Ok(Value::Bool(false)),
                    b"null" => Ok(Value::Null),
                    _ => number(word).ok_or_else(malformed),
                }
            }
        }
    }

    /// Reads what stands between brackets, each by `item`.
    fn within(
        &mut self,
        close: u8,
        item: &mut dyn FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            match self.next()? {
                b',' => {}
                end if end == close => return Ok(()),
                _ => return Err(malformed()),
            }
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        if self.next()? != b'"' {
            return Err(malformed());
        }
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => {
                    return String::from_utf8(out).map_err(|_| ErrorCode::InvalidTextEncoding.into());
                }
                b'\\' => {
                    let c = match self.next()? {
                        c @ (b'"' | b'\\' | b'/') => char::from(c),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode()?,
                        _ => return Err(malformed()),
                    };
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..b' ' => return Err(malformed()),
                byte => out.push(byte),
            }
        }
    }

    /// One or two escapes of 16 bits.
    fn unicode(&mut self) -> Result<char, Error> {
        let first = self.hex()?;
        let code = match first {
            0xd800..0xdc00 => {
                if self.next()? != b'\\' || self.next()? != b'u' {
                    return Err(malformed());
                }
                let second = self.hex()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(malformed());
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(malformed)
    }

    fn hex(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(self.next()?).to_digit(16).ok_or_else(malformed)?;
        }
        Ok(code)
    }
}

/// A number of JSON's grammar; one with an exponent is a float, one with a point a decimal.
fn number(word: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(word).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, places) = match mantissa.split_once('.') {
        Some((whole, places)) => (whole, Some(places)),
        None => (mantissa, None),
    };
    let well = all(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && places.is_none_or(all)
        && exponent.is_none_or(|e| all(e.strip_prefix(['+', '-']).unwrap_or(e)));
    if !well {
        return None;
    }
    if exponent.is_none() {
        if let Ok(number) = text.parse() {
            return Some(Value::Int(number));
        }
        if let Some(number) = Decimal::parse(text) {
            return Some(Value::Decimal(number));
        }
    }
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Value::from(Number::Float(number)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    fn written(text: &str) -> Option<String> {
        let mut out = String::new();
        parse(text.as_bytes()).ok()?.write_json(&mut out);
        Some(out)
    }

    #[test]
    fn values_there_and_back() {
        for text in [
            r#"{"b":1,"a":[1.50,-0.1,true,null,"x\ny\"\\"],"c":{},"d":[]}"#,
            "12345678901234567890123",
            r#""é照""#,
            "0",
        ] {
            assert_eq!(written(text).as_deref(), Some(text));
        }
        assert_eq!(written(r#" "\u0041\ud83d\ude00\/" "#).as_deref(), Some("\"A\u{1f600}/\""));
        assert_eq!(written("1e3").as_deref(), Some("1000"));
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "nul",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "\"\\x\"",
            "\"\\ud800\"",
            "1 2",
            "\"\n\"",
            "--1",
            "1e",
            "NaN",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(written(&deep), None);
    }

    /// Takes what serde_json takes, but for what is beyond a float or too deep.
    #[test]
    fn agrees_with_serde_json() {
        let mut noise = Noise(0x15_0a);
        for _ in 0..60_000 {
            let text = noise.bytes(br#"[]{}{}"":,,:: 0123.-eEtruefalsnull\nux"#, 24);
            let theirs = serde_json::from_slice::<serde_json::Value>(&text);
            assert_eq!(parse(&text).is_ok(), theirs.is_ok(), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn paths() {
        let name = |text: &str| Step::Name(Name { text: text.into(), exact: false });
        let rules = r#"{"Rules":[{"id":"1"},{"expr":"y > x"},{"id":"2"}],"o":{"a":1,"b":[2,3]}}
                       {"created":"June 27"}"#;
        let seen = |text: &str, path: &[Step]| {
            let mut seen = Vec::new();
            let mut source = text.as_bytes();
            let mut bytes = Bytes::over(&mut source);
            let walked = walk(&mut bytes, path, &mut |value| {
                let mut out = String::new();
                match value {
                    Value::Missing => out.push('-'),
                    value => value.write_json(&mut out),
                }
                seen.push(out);
                Ok(Flow::On)
            });
            walked.map(|()| seen.join(" ")).map_err(|error| error.code)
        };
        for (path, want) in [
            (vec![name("rules"), Step::Elements, name("id")], r#""1" - "2" -"#),
            (vec![name("o"), name("a")], "1 -"),
            (vec![name("o"), Step::Fields], "1 [2,3] -"),
            (vec![name("o"), name("b"), Step::Index(1)], "3 -"),
            (vec![name("o"), name("b"), Step::Index(2)], "- -"),
            (vec![Step::Elements], "- -"),
            (vec![Step::Name(Name { text: "rules".into(), exact: true })], "- -"),
        ] {
            assert_eq!(seen(rules, &path).as_deref(), Ok(want), "{path:?}");
        }
        assert_eq!(seen("[1,2][3]", &[Step::Elements]).as_deref(), Ok("1 2 3"));
        assert_eq!(seen("[] {}", &[Step::Elements]).as_deref(), Ok("- -"));
        assert_eq!(seen("1 2\n\"x\"", &[]).as_deref(), Ok("1 2 \"x\""));
        for text in ["{\"a\":1", "[1,2", "}", "{\"o\" 1}", "[1}", "tru"] {
            let path = [name("o")];
            let read = seen(text, &path[..usize::from(text != "tru")]);
            assert_eq!(read, Err(ErrorCode::JsonParsingError), "{text}");
        }
        let large = format!("[{}]", "1,".repeat(RECORD_BYTES_MAX));
        assert_eq!(seen(&large, &[]), Err(ErrorCode::OverMaxRecordSize));
    }

    #[test]
    fn noise() {
        let mut noise = Noise(0x15_0b);
        for _ in 0..40_000 {
            let text = noise.bytes(br#"[]{}{}"":,,:: 0123.-etrue\n"#, 40);
            let mut source = &text[..];
            let mut bytes = Bytes::over(&mut source);
            let path = [Step::Elements, Step::Name(Name { text: "t".into(), exact: false })];
            let _ = walk(&mut bytes, &path[..noise.below(3)], &mut |_| Ok(Flow::On));
        }
    }
}
