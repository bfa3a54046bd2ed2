//! The values that queries work on, how they compare, and how they are written.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::decimal::Decimal;
use crate::moment::Moment;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A path or column that the record does not have.
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    Text(String),
    /// A field of a CSV record: text that is taken for what it is compared with (the services' examples
    /// compare columns with numbers).
    Field(String),
    Moment(Moment),
    List(Vec<Value>),
    /// In the order of the object.
    Struct(Vec<(String, Value)>),
}

/// A number of any kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    Decimal(Decimal),
    Float(f64),
}

impl Number {
    /// Digits with an optional sign, point and exponent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Int(number));
        }
        if let Some(number) = Decimal::parse(text) {
            return Some(Self::Decimal(number));
        }
        // Not the names that Rust takes for numbers, such as "inf".
        let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
        if !text.bytes().all(plain) {
            return None;
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float)
    }

    pub(crate) fn to_f64(self) -> f64 {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Self::Int(number) => number as f64,
            Self::Decimal(number) => number.to_f64(),
            Self::Float(number) => number,
        }
    }

    /// Without what a float cannot say: `None` for a float that is no decimal.
    pub(crate) fn to_decimal(self) -> Option<Decimal> {
        match self {
            Self::Int(number) => Some(number.into()),
            Self::Decimal(number) => Some(number),
            Self::Float(number) => Decimal::from_f64(number),
        }
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(_), _) | (_, Self::Float(_)) => {
                self.to_f64().partial_cmp(&other.to_f64()).unwrap_or(Ordering::Equal)
            }
            (Self::Int(_) | Self::Decimal(_), Self::Int(_) | Self::Decimal(_)) => {
                match (self.to_decimal(), other.to_decimal()) {
                    (Some(a), Some(b)) => a.compare(b),
                    _ => self.to_f64().total_cmp(&other.to_f64()),
                }
            }
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(number) => Self::Int(number),
            Number::Decimal(number) => Self::Decimal(number),
            Number::Float(number) => Self::Float(number),
        }
    }
}

impl Value {
    /// Null, or not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Null | Self::Missing)
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Self::Int(number) => Some(Number::Int(*number)),
            Self::Decimal(number) => Some(Number::Decimal(*number)),
            Self::Float(number) => Some(Number::Float(*number)),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Field(text) => Some(text),
            _ => None,
        }
    }

    /// The order of two values that have one; `None` for kinds that do not compare.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            return Some(a.cmp(b));
        }
        match (self, other) {
            (Self::Field(text), known) => taken_for(text, known)?.compare(known),
            (known, Self::Field(text)) => known.compare(&taken_for(text, known)?),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Moment(a), Self::Moment(b)) => Some(a.compare(b)),
            _ => Some(self.number()?.compare(other.number()?)),
        }
    }

    /// Whether two values that are there are the same; kinds that do not compare are not.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Self::Struct(a), Self::Struct(b)) => {
                let held =
                    |(name, value): &(String, Self)| b.iter().any(|(n, v)| n == name && v.equals(value));
                a.len() == b.len() && a.iter().all(held)
            }
            (a, b) if a.is_absent() && b.is_absent() => true,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// That it takes when it is written, at the least.
    pub(crate) fn least_bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Field(text) => text.len(),
            Self::List(values) => values.iter().map(|value| 1 + value.least_bytes()).sum(),
            Self::Struct(fields) => {
                fields.iter().map(|(name, value)| 1 + name.len() + value.least_bytes()).sum()
            }
            _ => 0,
        }
    }

    /// As a field of a CSV record; what is not there is empty.
    pub(crate) fn write_text(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Null => {}
            Self::Text(text) | Self::Field(text) => out.push_str(text),
            Self::Moment(moment) => {
                let _ = write!(out, "{moment}");
            }
            other => other.write_json(out),
        }
    }

    pub(crate) fn write_json(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Decimal(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Float(number) => write_float(*number, out),
            Self::Text(text) | Self::Field(text) => write_string(text, out),
            Self::Moment(moment) => write_string(&moment.to_string(), out),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write_json(out);
                }
                out.push(']');
            }
            Self::Struct(fields) => {
                write_struct(fields.iter().map(|(name, value)| (name.as_str(), value)), out)
            }
        }
    }
}

/// An object without the fields that are missing.
pub(crate) fn write_struct<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (name, value) in fields.filter(|(_, value)| !matches!(value, Value::Missing)) {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn write_float(number: f64, out: &mut String) {
    // JSON has no other numbers.
    let _ = if !number.is_finite() {
        write!(out, "null")
    } else if number != 0.0 && !(1e-7..1e17).contains(&number.abs()) {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A CSV field as the kind of value it is compared with.
fn taken_for(text: &str, known: &Value) -> Option<Value> {
    let text = text.trim();
    match known {
        Value::Bool(_) => boolean(text).map(Value::Bool),
        Value::Moment(_) => Moment::parse(text).map(Value::Moment),
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => Number::parse(text).map(Value::from),
        _ => None,
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
