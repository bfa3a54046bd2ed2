//! Expressions, and what they give for a record.

use std::cmp::Ordering;

use cosette_model::{Error, ErrorCode};

use crate::cast::{Type, cast};
use crate::csv::Record;
use crate::functions::{self, Function};
use crate::input::RECORD_BYTES_MAX;
use crate::json::{Name, Step};
use crate::value::{Number, Value};

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Literal(Value),
    Column(Column),
    Not(Box<Expr>),
    Negated(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>),
    IsMissing(Box<Expr>),
    Between {
        of: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    In(Box<Expr>, Vec<Expr>),
    Like {
        text: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
    },
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast(Box<Expr>, Type),
    Call(Function, Vec<Expr>),
    /// What an aggregate function has come to, by its place in the plan.
    Aggregate(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// Of a CSV record, from 0.
    Field(usize),
    /// A path into a record that is a tree. If its first name is the row's own, and the row has no such
    /// field, it begins at the row.
    Path { steps: Vec<Step>, or_row: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What a query works on, one after the other.
#[derive(Debug)]
pub(crate) enum Row {
    Csv(Record),
    Tree(Value),
}

/// What expressions may look at.
pub(crate) struct Scope<'a> {
    pub(crate) row: &'a Row,
    pub(crate) aggregates: &'a [Value],
}

impl Column {
    fn of(&self, row: &Row) -> Result<Value, Error> {
        match (self, row) {
            (Self::Field(at), Row::Csv(record)) => {
                Ok(record.get(*at).map_or(Value::Missing, |text| Value::Field(text.to_owned())))
            }
            (Self::Path { steps, or_row }, Row::Tree(value)) => {
                let found = at(value, steps)?;
                let found = match found {
                    None if *or_row => at(value, steps.get(1..).unwrap_or_default())?,
                    found => found,
                };
                Ok(found.cloned().unwrap_or(Value::Missing))
            }
            _ => Ok(Value::Missing),
        }
    }
}

fn at<'a>(mut value: &'a Value, steps: &[Step]) -> Result<Option<&'a Value>, Error> {
    for step in steps {
        let within = match (step, value) {
            (Step::Name(name), Value::Struct(fields)) => field(fields, name)?,
            (Step::Index(index), Value::List(values)) => values.get(*index),
            _ => None,
        };
        match within {
            Some(within) => value = within,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn field<'a>(fields: &'a [(String, Value)], name: &Name) -> Result<Option<&'a Value>, Error> {
    let mut matching = fields.iter().filter(|(field, _)| name.is(field));
    let first = matching.next();
    // The same name twice is the document's fault, another spelling of it the query's.
    if let Some((first, _)) = first
        && matching.any(|(other, _)| other != first)
    {
        return Err(ErrorCode::AmbiguousFieldName.into());
    }
    Ok(first.map(|(_, value)| value))
}

/// `None` for what is neither true nor false.
fn truth(value: &Value) -> Result<Option<bool>, Error> {
    match value {
        Value::Bool(value) => Ok(Some(*value)),
        Value::Null | Value::Missing => Ok(None),
        Value::Field(text) => Ok(crate::value::boolean(text)),
        _ => Err(ErrorCode::InvalidDataType.into()),
    }
}

fn boolean(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Bool)
}

impl Expr {
    /// Whether a record passes a condition.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Error> {
        Ok(truth(&self.value(scope)?)? == Some(true))
    }

    pub(crate) fn value(&self, scope: &Scope<'_>) -> Result<Value, Error> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Column(column) => column.of(scope.row)?,
            Self::Not(of) => boolean(truth(&of.value(scope)?)?.map(|value| !value)),
            Self::Negated(of) => negated(&of.value(scope)?)?,
            Self::And(a, b) => match truth(&a.value(scope)?)? {
                Some(false) => Value::Bool(false),
                first => match truth(&b.value(scope)?)? {
                    Some(false) => Value::Bool(false),
                    second => boolean(first.and(second)),
                },
            },
            Self::Or(a, b) => match truth(&a.value(scope)?)? {
                Some(true) => Value::Bool(true),
                first => match truth(&b.value(scope)?)? {
                    Some(true) => Value::Bool(true),
                    second => boolean(first.and(second)),
                },
            },
            Self::Compare(how, a, b) => boolean(how.of(&a.value(scope)?, &b.value(scope)?)),
            Self::Arithmetic(how, a, b) => how.of(&a.value(scope)?, &b.value(scope)?)?,
            Self::Concat(a, b) => {
                let (a, b) = (a.value(scope)?, b.value(scope)?);
                match (a.text(), b.text()) {
                    (Some(a), Some(b)) if a.len() + b.len() > RECORD_BYTES_MAX => {
                        return Err(ErrorCode::OverMaxRecordSize.into());
                    }
                    (Some(a), Some(b)) => Value::Text(format!("{a}{b}")),
                    _ if a.is_absent() || b.is_absent() => Value::Null,
                    _ => return Err(ErrorCode::IncorrectSqlFunctionArgumentType.into()),
                }
            }
            Self::IsNull(of) => Value::Bool(of.value(scope)?.is_absent()),
            Self::IsMissing(of) => Value::Bool(matches!(of.value(scope)?, Value::Missing)),
            Self::Between { of, low, high } => {
                let of = of.value(scope)?;
                match Comparison::GreaterOrEqual.of(&of, &low.value(scope)?) {
                    Some(false) => Value::Bool(false),
                    first => match Comparison::LessOrEqual.of(&of, &high.value(scope)?) {
                        Some(false) => Value::Bool(false),
                        second => boolean(first.and(second)),
                    },
                }
            }
            Self::In(of, list) => {
                let of = of.value(scope)?;
                let mut found = Some(false);
                for candidate in list {
                    match Comparison::Equal.of(&of, &candidate.value(scope)?) {
                        Some(true) => return Ok(Value::Bool(true)),
                        Some(false) => {}
                        None => found = None,
                    }
                }
                boolean(found)
            }
            Self::Like { text, pattern, escape } => {
                let (text, pattern) = (text.value(scope)?, pattern.value(scope)?);
                let escape = escape.as_ref().map(|escape| escape.value(scope)).transpose()?;
                if text.is_absent() || pattern.is_absent() || escape.as_ref().is_some_and(Value::is_absent) {
                    return Ok(Value::Null);
                }
                Value::Bool(functions::like(&text, &pattern, escape.as_ref())?)
            }
            Self::Case { operand, arms, otherwise } => {
                let operand = operand.as_ref().map(|operand| operand.value(scope)).transpose()?;
                for (when, then) in arms {
                    let taken = match &operand {
                        None => when.holds(scope)?,
                        Some(operand) => Comparison::Equal.of(operand, &when.value(scope)?) == Some(true),
                    };
                    if taken {
                        return then.value(scope);
                    }
                }
                match otherwise {
                    Some(otherwise) => otherwise.value(scope)?,
                    None => Value::Null,
                }
            }
            Self::Cast(of, to) => cast(of.value(scope)?, *to)?,
            Self::Call(Function::Coalesce, of) => {
                for of in of {
                    let value = of.value(scope)?;
                    if !value.is_absent() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Self::Call(function, of) => {
                let of = of.iter().map(|of| of.value(scope)).collect::<Result<Vec<_>, _>>()?;
                functions::call(*function, of)?
            }
            Self::Aggregate(at) => scope.aggregates.get(*at).cloned().unwrap_or(Value::Null),
        })
    }
}

impl Comparison {
    fn of(self, a: &Value, b: &Value) -> Option<bool> {
        if a.is_absent() || b.is_absent() {
            return None;
        }
        match self {
            Self::Equal => return Some(a.equals(b)),
            Self::NotEqual => return Some(!a.equals(b)),
            _ => {}
        }
        let order = a.compare(b)?;
        Some(match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })
    }
}

impl Arithmetic {
    fn of(self, a: &Value, b: &Value) -> Result<Value, Error> {
        if a.is_absent() || b.is_absent() {
            return Ok(Value::Null);
        }
        // Text is no number before it is cast (both services' rule on data types).
        let (Some(a), Some(b)) = (a.number(), b.number()) else {
            return Err(ErrorCode::InvalidDataType.into());
        };
        self.numbers(a, b).map(Value::from)
    }

    pub(crate) fn numbers(self, a: Number, b: Number) -> Result<Number, Error> {
        let zero = match b {
            Number::Int(b) => b == 0,
            Number::Decimal(b) => b.is_zero(),
            Number::Float(b) => b == 0.0,
        };
        if zero && matches!(self, Self::Divide | Self::Modulo) {
            return Err(Error::with(ErrorCode::ExternalEvalException, "Division by zero."));
        }
        let overflow = || Error::from(ErrorCode::IntegerOverflow);
        if let (Number::Int(a), Number::Int(b)) = (a, b) {
            let result = match self {
                Self::Add => a.checked_add(b),
                Self::Subtract => a.checked_sub(b),
                Self::Multiply => a.checked_mul(b),
                Self::Divide => a.checked_div(b),
                Self::Modulo => a.checked_rem(b),
            };
            return result.map(Number::Int).ok_or_else(overflow);
        }
        if let (Number::Float(_), _) | (_, Number::Float(_)) = (a, b) {
            let (a, b) = (a.to_f64(), b.to_f64());
            let result = match self {
                Self::Add => a + b,
                Self::Subtract => a - b,
                Self::Multiply => a * b,
                Self::Divide => a / b,
                Self::Modulo => a % b,
            };
            return if result.is_finite() { Ok(Number::Float(result)) } else { Err(overflow()) };
        }
        let (a, b) = a.to_decimal().zip(b.to_decimal()).ok_or_else(overflow)?;
        let result = match self {
            Self::Add => a.add(b),
            Self::Subtract => a.add(b.negated()),
            Self::Multiply => a.mul(b),
            Self::Divide => a.div(b),
            Self::Modulo => a.rem(b),
        };
        result.map(Number::Decimal).ok_or_else(overflow)
    }
}

fn negated(of: &Value) -> Result<Value, Error> {
    Ok(match of {
        Value::Int(number) => Value::Int(number.checked_neg().ok_or(ErrorCode::IntegerOverflow)?),
        Value::Decimal(number) => Value::Decimal(number.negated()),
        Value::Float(number) => Value::Float(-number),
        Value::Null | Value::Missing => Value::Null,
        _ => return Err(ErrorCode::InvalidDataType.into()),
    })
}
