//! CAST.

use cosette_model::{Error, ErrorCode};

use crate::decimal::Decimal;
use crate::moment::Moment;
use crate::value::{Number, Value, boolean};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Moment,
}

impl Type {
    /// By the name that stands first in a type.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bool" | "boolean" => Self::Bool,
            "int" | "integer" | "smallint" => Self::Int,
            "float" | "real" | "double" => Self::Float,
            "decimal" | "numeric" | "dec" => Self::Decimal,
            "string" | "char" | "character" | "varchar" => Self::Text,
            "timestamp" => Self::Moment,
            _ => return None,
        })
    }
}

/// What is not there stays so.
pub(crate) fn cast(value: Value, to: Type) -> Result<Value, Error> {
    if value.is_absent() {
        return Ok(value);
    }
    converted(&value, to).ok_or_else(|| {
        let mut text = String::new();
        value.write_text(&mut text);
        let shown: String = text.chars().take(64).collect();
        Error::with(
            ErrorCode::CastFailed,
            format!("{} The value is \"{shown}\".", ErrorCode::CastFailed.message()),
        )
    })
}

fn converted(value: &Value, to: Type) -> Option<Value> {
    let number = match value {
        Value::Bool(value) => Some(Number::Int(i64::from(*value))),
        Value::Text(text) | Value::Field(text) => Number::parse(text),
        other => other.number(),
    };
    Some(match to {
        Type::Bool => Value::Bool(match (value, number) {
            (Value::Bool(value), _) => *value,
            (_, _) if value.text().is_some() => boolean(value.text()?)?,
            (_, Some(Number::Int(number))) => number != 0,
            (_, Some(Number::Decimal(number))) => !number.is_zero(),
            (_, Some(Number::Float(number))) => number != 0.0,
            _ => return None,
        }),
        Type::Int => Value::Int(match number? {
            Number::Int(number) => number,
            // Text that is a number with places is no whole number.
            _ if value.text().is_some() => return None,
            Number::Decimal(number) => number.to_i64()?,
            Number::Float(number) => Decimal::from_f64(number)?.to_i64()?,
        }),
        Type::Float => Value::Float(number?.to_f64()),
        Type::Decimal => Value::Decimal(number?.to_decimal()?),
        Type::Text => match value {
            Value::List(_) | Value::Struct(_) => return None,
            value => {
                let mut text = String::new();
                value.write_text(&mut text);
                Value::Text(text)
            }
        },
        Type::Moment => match value {
            Value::Moment(moment) => Value::Moment(*moment),
            value => Value::Moment(Moment::parse(value.text()?)?),
        },
    })
}
