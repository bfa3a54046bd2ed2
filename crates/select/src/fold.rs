//! The aggregate functions: many records, one value. What is null or missing does not count.

use std::cmp::Ordering;

use cosette_model::{Error, ErrorCode};

use crate::expr::{Arithmetic, Expr, Scope};
use crate::value::{Number, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Avg,
    Count,
    Max,
    Min,
    Sum,
}

impl Fold {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "avg" => Self::Avg,
            "count" => Self::Count,
            "max" => Self::Max,
            "min" => Self::Min,
            "sum" => Self::Sum,
            _ => return None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    fold: Fold,
    /// `None` counts records.
    of: Option<Expr>,
    count: i64,
    so_far: Option<Number>,
}

impl Aggregate {
    pub(crate) fn new(fold: Fold, of: Option<Expr>) -> Self {
        Self { fold, of, count: 0, so_far: None }
    }

    pub(crate) fn take(&mut self, scope: &Scope<'_>) -> Result<(), Error> {
        let Some(of) = &self.of else {
            self.count += 1;
            return Ok(());
        };
        let value = of.value(scope)?;
        if value.is_absent() {
            return Ok(());
        }
        self.count += 1;
        if self.fold == Fold::Count {
            return Ok(());
        }
        let number = value.number().ok_or(ErrorCode::IncorrectSqlFunctionArgumentType)?;
        self.so_far = Some(match (self.so_far, self.fold) {
            (None, _) => number,
            (Some(before), Fold::Max) if number.compare(before) != Ordering::Greater => before,
            (Some(before), Fold::Min) if number.compare(before) != Ordering::Less => before,
            (Some(_), Fold::Max | Fold::Min) => number,
            // The average of integers is a decimal, and so may its sum be.
            (Some(before), Fold::Avg) => match (before, number) {
                (Number::Int(_), Number::Int(_)) => {
                    let before = Number::Decimal(before.to_decimal().ok_or(ErrorCode::IntegerOverflow)?);
                    Arithmetic::Add.numbers(before, number)?
                }
                _ => Arithmetic::Add.numbers(before, number)?,
            },
            (Some(before), _) => Arithmetic::Add.numbers(before, number)?,
        });
        Ok(())
    }

    pub(crate) fn value(&self) -> Result<Value, Error> {
        let Some(so_far) = self.so_far else {
            return Ok(if self.fold == Fold::Count { Value::Int(self.count) } else { Value::Null });
        };
        if self.fold != Fold::Avg {
            return Ok(so_far.into());
        }
        let sum = match so_far {
            Number::Int(number) => Number::Decimal(number.into()),
            other => other,
        };
        Arithmetic::Divide.numbers(sum, Number::Int(self.count)).map(Value::from)
    }
}
