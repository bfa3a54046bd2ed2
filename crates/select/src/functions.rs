//! The scalar functions, by the services' SQL reference.

use cosette_model::{Error, ErrorCode};

use crate::moment::{Moment, Part};
use crate::pattern;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    CharLength,
    Coalesce,
    DateAdd(Part),
    DateDiff(Part),
    Extract(Part),
    Lower,
    NullIf,
    Substring,
    ToString,
    ToTimestamp,
    Trim(Side),
    Upper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Leading,
    Trailing,
    Both,
}

impl Function {
    /// Those that are written as plain calls, and how many arguments each takes.
    pub(crate) fn named(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        Some(match name {
            "char_length" | "character_length" => (Self::CharLength, 1..=1),
            "coalesce" => (Self::Coalesce, 1..=usize::MAX),
            "lower" => (Self::Lower, 1..=1),
            "nullif" => (Self::NullIf, 2..=2),
            "substring" => (Self::Substring, 2..=3),
            "to_string" => (Self::ToString, 2..=2),
            "to_timestamp" => (Self::ToTimestamp, 1..=1),
            "trim" => (Self::Trim(Side::Both), 1..=1),
            "upper" => (Self::Upper, 1..=1),
            _ => return None,
        })
    }
}

fn wrong_type() -> Error {
    ErrorCode::IncorrectSqlFunctionArgumentType.into()
}

fn text(value: &Value) -> Result<&str, Error> {
    value.text().ok_or_else(wrong_type)
}

fn int(value: &Value) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(wrong_type()),
    }
}

fn moment(value: &Value) -> Result<&Moment, Error> {
    match value {
        Value::Moment(moment) => Ok(moment),
        _ => Err(wrong_type()),
    }
}

/// Null for an argument that is not there, but where a function says otherwise.
pub(crate) fn call(function: Function, of: Vec<Value>) -> Result<Value, Error> {
    if function == Function::NullIf {
        let [a, b] = &of[..] else { return Err(ErrorCode::EvaluatorInvalidArguments.into()) };
        return Ok(if a.is_absent() || a.equals(b) { Value::Null } else { a.clone() });
    }
    if of.iter().any(Value::is_absent) {
        return Ok(Value::Null);
    }
    let failed = || Error::from(ErrorCode::EvaluatorInvalidArguments);
    Ok(match (function, &of[..]) {
        (Function::CharLength, [of]) => {
            Value::Int(i64::try_from(text(of)?.chars().count()).unwrap_or(i64::MAX))
        }
        (Function::Lower, [of]) => Value::Text(text(of)?.to_lowercase()),
        (Function::Upper, [of]) => Value::Text(text(of)?.to_uppercase()),
        (Function::Substring, [of, from]) => Value::Text(substring(text(of)?, int(from)?, None)),
        (Function::Substring, [of, from, length]) => {
            let length = int(length)?;
            if length < 0 {
                return Err(failed());
            }
            Value::Text(substring(text(of)?, int(from)?, Some(length)))
        }
        (Function::Trim(side), [of]) => Value::Text(trimmed(text(of)?, side, " ")),
        (Function::Trim(side), [of, what]) => Value::Text(trimmed(text(of)?, side, text(what)?)),
        (Function::ToString, [of, by]) => Value::Text(pattern::format(moment(of)?, text(by)?)?),
        (Function::ToTimestamp, [of]) => {
            Value::Moment(Moment::parse(text(of)?).ok_or(ErrorCode::ValueParseFailure)?)
        }
        (Function::DateAdd(part), [quantity, of]) => {
            let later = moment(of)?.add(part, int(quantity)?);
            Value::Moment(later.ok_or(ErrorCode::ValueParseFailure)?)
        }
        (Function::DateDiff(part), [from, to]) => {
            Value::Int(moment(from)?.difference(part, moment(to)?).ok_or(ErrorCode::IntegerOverflow)?)
        }
        (Function::Extract(part), [of]) => Value::Int(moment(of)?.part(part)),
        _ => return Err(failed()),
    })
}

/// By characters from 1; a start before that takes from the length what lies before.
fn substring(text: &str, from: i64, length: Option<i64>) -> String {
    let end = length.map(|length| from.saturating_add(length));
    let start = from.max(1);
    let skipped = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let rest = text.chars().skip(skipped);
    match end {
        None => rest.collect(),
        Some(end) => rest.take(usize::try_from(end.saturating_sub(start)).unwrap_or(0)).collect(),
    }
}

fn trimmed(text: &str, side: Side, what: &str) -> String {
    let any = |c: char| what.contains(c);
    match side {
        Side::Leading => text.trim_start_matches(any),
        Side::Trailing => text.trim_end_matches(any),
        Side::Both => text.trim_matches(any),
    }
    .to_owned()
}

enum Mark {
    /// `%`
    Any,
    /// `_`
    One,
    This(char),
}

/// Characters that one LIKE compares at most: a second's work. Both sides may come from records, where a pattern
/// can be made that fits nowhere and nearly fits everywhere.
const LIKE_STEPS_MAX: u64 = 1 << 28;

/// LIKE, on values that are there.
pub(crate) fn like(of: &Value, pattern: &Value, escape: Option<&Value>) -> Result<bool, Error> {
    let invalid = || Error::from(ErrorCode::LikeInvalidInputs);
    let escape = match escape {
        None => None,
        Some(escape) => {
            let mut characters = escape.text().ok_or_else(invalid)?.chars();
            match (characters.next(), characters.next()) {
                (Some(escape), None) => Some(escape),
                _ => return Err(invalid()),
            }
        }
    };
    let mut marks = Vec::new();
    let mut rest = pattern.text().ok_or_else(invalid)?.chars();
    while let Some(c) = rest.next() {
        marks.push(match c {
            c if Some(c) == escape => match rest.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => Mark::This(next),
                _ => return Err(ErrorCode::EvaluatorLikePatternInvalidEscapeSequence.into()),
            },
            '%' => Mark::Any,
            '_' => Mark::One,
            c => Mark::This(c),
        });
    }
    let text: Vec<char> = of.text().ok_or_else(invalid)?.chars().collect();
    // Where to go on from the last `%` when what follows it does not fit.
    let (mut at, mut mark, mut back) = (0, 0, None);
    for _ in 0..LIKE_STEPS_MAX {
        match marks.get(mark) {
            Some(Mark::Any) => {
                mark += 1;
                back = Some((at, mark));
                continue;
            }
            Some(Mark::One) if at < text.len() => {
                (at, mark) = (at + 1, mark + 1);
                continue;
            }
            Some(Mark::This(c)) if text.get(at) == Some(c) => {
                (at, mark) = (at + 1, mark + 1);
                continue;
            }
            None if at == text.len() => return Ok(true),
            _ => {}
        }
        match back {
            Some((from, behind)) if from < text.len() => {
                (at, mark) = (from + 1, behind);
                back = Some((at, behind));
            }
            _ => return Ok(false),
        }
    }
    let why = "The text and the pattern of a LIKE take too long to compare.";
    Err(Error::with(ErrorCode::LikeInvalidInputs, why))
}
