//! From a statement to what is done with each record: names become columns, calls become functions, and
//! what the services do not have is refused by their codes.

use cosette_model::{Error, ErrorCode};
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, Expr as Ast, Function as AstCall, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, InTarget, ObjectNamePart, Subscript, TrimWhereField, UnaryOperator,
    Value as Literal,
};

use crate::cast::Type;
use crate::expr::{Arithmetic, Column, Comparison, Expr};
use crate::fold::{Aggregate, Fold};
use crate::functions::{Function, Side};
use crate::header::Header;
use crate::json::{Name, Step};
use crate::moment::{Moment, Part};
use crate::statement::{Items, Statement};
use crate::value::{Number, Value};
use crate::words;

/// What names there are.
pub(crate) enum Names<'a> {
    /// Positions, and the header's names if it is used.
    Csv(Option<Header<'a>>),
    /// Each record has its own.
    Tree,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) output: Output,
    pub(crate) filter: Option<Expr>,
    pub(crate) limit: Option<u64>,
    /// Not empty when the whole input gives one record.
    pub(crate) aggregates: Vec<Aggregate>,
}

#[derive(Debug)]
pub(crate) enum Output {
    /// The record as it is.
    All,
    /// Names and what gives their values.
    Columns(Vec<(String, Expr)>),
}

impl Plan {
    pub(crate) fn new(statement: Statement, names: &Names<'_>, now: Option<Moment>) -> Result<Self, Error> {
        let mut lowering =
            Lowering { names, alias: &statement.alias, now, aggregates: Vec::new(), within: Within::Select };
        let output = match statement.items {
            Items::All => Output::All,
            Items::List(items) => {
                let alone = items.len() == 1;
                let mut columns = Vec::new();
                let mut all = false;
                for (at, item) in items.into_iter().enumerate() {
                    if let Ast::QualifiedWildcard(of, _) = &item.expr {
                        if !alone || !lowering.is_row(&of.0) {
                            return Err(ErrorCode::ParseInvalidContextForWildcardInSelectList.into());
                        }
                        all = true;
                        continue;
                    }
                    let name =
                        item.alias.or_else(|| own_name(&item.expr)).unwrap_or_else(|| format!("_{}", at + 1));
                    columns.push((name, lowering.expr(item.expr)?));
                }
                if all { Output::All } else { Output::Columns(columns) }
            }
        };
        lowering.within = Within::Where;
        let filter = statement.filter.map(|filter| lowering.expr(filter)).transpose()?;
        let aggregates = lowering.aggregates;
        if let (Output::Columns(columns), false) = (&output, aggregates.is_empty())
            && columns.iter().any(|(_, expr)| looks_at_record(expr))
        {
            return Err(ErrorCode::UnsupportedSqlStructure.into());
        }
        Ok(Self { output, filter, limit: statement.limit, aggregates })
    }
}

/// A column is called what it was called in the record.
fn own_name(expr: &Ast) -> Option<String> {
    match expr {
        Ast::Identifier(name) if name.quote_style != Some('`') => Some(name.value.clone()),
        Ast::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        Ast::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
            AccessExpr::Dot(Ast::Identifier(name)) => Some(name.value.clone()),
            _ => None,
        },
        Ast::Nested(expr) => own_name(expr),
        _ => None,
    }
}

/// Whether it needs more of a record than aggregates.
fn looks_at_record(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Literal(_) | Expr::Aggregate(_) => false,
        Expr::Not(a) | Expr::Negated(a) | Expr::IsNull(a) | Expr::IsMissing(a) | Expr::Cast(a, _) => {
            looks_at_record(a)
        }
        Expr::And(a, b)
        | Expr::Or(a, b)
        | Expr::Compare(_, a, b)
        | Expr::Arithmetic(_, a, b)
        | Expr::Concat(a, b) => looks_at_record(a) || looks_at_record(b),
        Expr::Between { of, low, high } => [of, low, high].into_iter().any(|expr| looks_at_record(expr)),
        Expr::In(a, list) => looks_at_record(a) || list.iter().any(looks_at_record),
        Expr::Like { text, pattern, escape } => {
            looks_at_record(text)
                || looks_at_record(pattern)
                || escape.as_ref().is_some_and(|escape| looks_at_record(escape))
        }
        Expr::Case { operand, arms, otherwise } => {
            operand.as_ref().is_some_and(|operand| looks_at_record(operand))
                || arms.iter().any(|(when, then)| looks_at_record(when) || looks_at_record(then))
                || otherwise.as_ref().is_some_and(|otherwise| looks_at_record(otherwise))
        }
        Expr::Call(_, of) => of.iter().any(looks_at_record),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Select,
    Aggregate,
    Where,
}

struct Lowering<'a> {
    names: &'a Names<'a>,
    alias: &'a Name,
    now: Option<Moment>,
    aggregates: Vec<Aggregate>,
    within: Within,
}

impl Lowering<'_> {
    fn is_row(&self, parts: &[ObjectNamePart]) -> bool {
        match parts {
            [ObjectNamePart::Identifier(name)] => self.is_alias(name),
            _ => false,
        }
    }

    /// Quotes on either side make case count.
    fn is_alias(&self, name: &Ident) -> bool {
        Name { exact: self.alias.exact && name.quote_style.is_some(), text: name.value.clone() }
            .is(&self.alias.text)
    }

    fn boxed(&mut self, expr: Ast) -> Result<Box<Expr>, Error> {
        self.expr(expr).map(Box::new)
    }

    fn all(&mut self, exprs: Vec<Ast>) -> Result<Vec<Expr>, Error> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }

    fn expr(&mut self, expr: Ast) -> Result<Expr, Error> {
        let not = |negated: bool, expr: Expr| if negated { Expr::Not(Box::new(expr)) } else { expr };
        Ok(match expr {
            Ast::Nested(expr) => self.expr(*expr)?,
            Ast::Value(value) => Expr::Literal(literal(value.value)?),
            Ast::Identifier(name) => self.name(vec![name], Vec::new())?,
            Ast::CompoundIdentifier(names) => self.name(names, Vec::new())?,
            Ast::CompoundFieldAccess { root, access_chain } => {
                let names = match *root {
                    Ast::Identifier(name) => vec![name],
                    Ast::CompoundIdentifier(names) => names,
                    _ => return Err(ErrorCode::ParseInvalidPathComponent.into()),
                };
                let steps = access_chain.into_iter().map(step).collect::<Result<_, _>>()?;
                self.name(names, steps)?
            }
            Ast::UnaryOp { op: UnaryOperator::Not, expr } => Expr::Not(self.boxed(*expr)?),
            Ast::UnaryOp { op: UnaryOperator::Minus, expr } => match *expr {
                // The smallest integer is no negated one.
                Ast::Value(value) => match literal(value.value)? {
                    Value::Decimal(number) => Expr::Literal(
                        number
                            .negated()
                            .to_i64()
                            .filter(|n| *n == i64::MIN && number.to_string() == "9223372036854775808")
                            .map_or(Value::Decimal(number.negated()), Value::Int),
                    ),
                    value => Expr::Negated(Box::new(Expr::Literal(value))),
                },
                expr => Expr::Negated(self.boxed(expr)?),
            },
            Ast::UnaryOp { op: UnaryOperator::Plus, expr } => self.expr(*expr)?,
            Ast::BinaryOp { left, op, right } => self.binary(*left, &op, *right)?,
            Ast::IsNull(expr) => Expr::IsNull(self.boxed(*expr)?),
            Ast::IsNotNull(expr) => not(true, Expr::IsNull(self.boxed(*expr)?)),
            // What the statement's tokens made of MISSING.
            Ast::IsUnknown(expr) => Expr::IsMissing(self.boxed(*expr)?),
            Ast::IsNotUnknown(expr) => not(true, Expr::IsMissing(self.boxed(*expr)?)),
            Ast::In { expr, target: InTarget::List(list), negated, .. } => {
                not(negated, Expr::In(self.boxed(*expr)?, self.all(list)?))
            }
            Ast::Between { expr, negated, low, high } => {
                let (of, low, high) = (self.boxed(*expr)?, self.boxed(*low)?, self.boxed(*high)?);
                not(negated, Expr::Between { of, low, high })
            }
            Ast::Like { negated, any: false, expr, pattern, escape_char } => {
                let escape = escape_char.map(|escape| self.boxed(*escape)).transpose()?;
                not(negated, Expr::Like { text: self.boxed(*expr)?, pattern: self.boxed(*pattern)?, escape })
            }
            Ast::Case { operand, conditions, else_result, .. } => Expr::Case {
                operand: operand.map(|operand| self.boxed(*operand)).transpose()?,
                arms: conditions
                    .into_iter()
                    .map(|arm| Ok((self.expr(arm.condition)?, self.expr(arm.result)?)))
                    .collect::<Result<_, Error>>()?,
                otherwise: else_result.map(|otherwise| self.boxed(*otherwise)).transpose()?,
            },
            Ast::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
                let shown = data_type.to_string();
                let name = shown.split([' ', '(', '<']).next().unwrap_or_default();
                let to = Type::named(name).ok_or_else(|| {
                    Error::with(ErrorCode::InvalidDataType, format!("The type {shown} is not supported."))
                })?;
                Expr::Cast(self.boxed(*expr)?, to)
            }
            Ast::Extract { field, expr, .. } => {
                let part = Part::parse(&field.to_string()).ok_or(ErrorCode::ParseExpectedDatePart)?;
                Expr::Call(Function::Extract(part), vec![self.expr(*expr)?])
            }
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                let mut of = vec![*expr];
                of.extend(substring_from.map(|from| *from));
                of.extend(substring_for.map(|length| *length));
                if of.len() < 2 {
                    return Err(ErrorCode::EvaluatorInvalidArguments.into());
                }
                Expr::Call(Function::Substring, self.all(of)?)
            }
            Ast::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let side = match trim_where {
                    Some(TrimWhereField::Leading) => Side::Leading,
                    Some(TrimWhereField::Trailing) => Side::Trailing,
                    Some(TrimWhereField::Both) | None => Side::Both,
                };
                let mut of = vec![self.expr(*expr)?];
                if let Some(what) = trim_what {
                    of.push(self.expr(*what)?);
                }
                Expr::Call(Function::Trim(side), of)
            }
            Ast::Function(call) => self.call(call)?,
            Ast::Wildcard(_) | Ast::QualifiedWildcard(..) => {
                return Err(ErrorCode::ParseInvalidContextForWildcardInSelectList.into());
            }
            Ast::Subquery(_) | Ast::Exists { .. } | Ast::In { .. } => {
                return Err(ErrorCode::UnsupportedSqlStructure.into());
            }
            _ => return Err(ErrorCode::ParseUnsupportedSyntax.into()),
        })
    }

    fn binary(&mut self, left: Ast, op: &BinaryOperator, right: Ast) -> Result<Expr, Error> {
        let (left, right) = (self.boxed(left)?, self.boxed(right)?);
        let compare = |how, left, right| Expr::Compare(how, left, right);
        Ok(match op {
            BinaryOperator::And => Expr::And(left, right),
            BinaryOperator::Or => Expr::Or(left, right),
            BinaryOperator::Eq => compare(Comparison::Equal, left, right),
            BinaryOperator::NotEq => compare(Comparison::NotEqual, left, right),
            BinaryOperator::Lt => compare(Comparison::Less, left, right),
            BinaryOperator::LtEq => compare(Comparison::LessOrEqual, left, right),
            BinaryOperator::Gt => compare(Comparison::Greater, left, right),
            BinaryOperator::GtEq => compare(Comparison::GreaterOrEqual, left, right),
            BinaryOperator::Plus => Expr::Arithmetic(Arithmetic::Add, left, right),
            BinaryOperator::Minus => Expr::Arithmetic(Arithmetic::Subtract, left, right),
            BinaryOperator::Multiply => Expr::Arithmetic(Arithmetic::Multiply, left, right),
            BinaryOperator::Divide => Expr::Arithmetic(Arithmetic::Divide, left, right),
            BinaryOperator::Modulo => Expr::Arithmetic(Arithmetic::Modulo, left, right),
            BinaryOperator::StringConcat => Expr::Concat(left, right),
            _ => return Err(ErrorCode::UnsupportedSqlOperation.into()),
        })
    }

    /// A column, or a literal that looks like one.
    fn name(&mut self, names: Vec<Ident>, steps: Vec<Step>) -> Result<Expr, Error> {
        if let ([name], true) = (&names[..], steps.is_empty()) {
            match name.quote_style {
                Some('`') => return Ok(Expr::Literal(ion(&name.value)?)),
                None if name.value.eq_ignore_ascii_case("missing") => {
                    return Ok(Expr::Literal(Value::Missing));
                }
                _ => {}
            }
        }
        let named = names.first().is_some_and(|first| self.is_alias(first));
        let mut all = Vec::with_capacity(names.len() + steps.len());
        for (at, name) in names.iter().enumerate() {
            if name.quote_style.is_none() && words::is_reserved(&name.value) {
                let code = if at == 0 { alone(&name.value) } else { ErrorCode::ParseInvalidPathComponent };
                return Err(Error::with(code, format!("{} Found {}.", code.message(), name.value)));
            }
            all.push(Step::Name(Name { text: name.value.clone(), exact: name.quote_style.is_some() }));
        }
        all.extend(steps);
        match self.names {
            Names::Tree => {
                if named && all.len() > 1 {
                    all.remove(0);
                    return Ok(Expr::Column(Column::Path { steps: all, or_row: false }));
                }
                // The row itself is named by its alias, and `_1` when nothing else is called so.
                let or_row = named || names.first().is_some_and(|first| first.value == "_1");
                Ok(Expr::Column(Column::Path { steps: all, or_row }))
            }
            Names::Csv(header) => {
                let path = if named && all.len() > 1 { &all[1..] } else { &all[..] };
                let [Step::Name(name)] = path else { return Err(ErrorCode::InvalidKeyPath.into()) };
                column(name, header.as_ref()).map(Expr::Column)
            }
        }
    }

    fn call(&mut self, call: AstCall) -> Result<Expr, Error> {
        let name = call.name.to_string().to_ascii_lowercase();
        let FunctionArguments::List(list) = call.args else {
            return Err(ErrorCode::UnsupportedFunction.into());
        };
        let odd = call.over.is_some()
            || call.filter.is_some()
            || call.null_treatment.is_some()
            || !call.within_group.is_empty()
            || !list.clauses.is_empty()
            || list.duplicate_treatment.is_some();
        if odd {
            return Err(ErrorCode::UnsupportedSqlStructure.into());
        }
        if let Some(fold) = Fold::named(&name) {
            return self.aggregate(fold, list.args);
        }
        let mut args = Vec::with_capacity(list.args.len());
        for arg in list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(expr),
                FunctionArg::Unnamed(_) => return Err(ErrorCode::ParseUnsupportedCallWithStar.into()),
                _ => return Err(ErrorCode::ParseUnsupportedSyntax.into()),
            }
        }
        if name == "utcnow" {
            return match (args.is_empty(), self.now) {
                (true, Some(now)) => Ok(Expr::Literal(Value::Moment(now))),
                (false, _) => Err(ErrorCode::EvaluatorInvalidArguments.into()),
                (true, None) => Err(ErrorCode::ExternalEvalException.into()),
            };
        }
        if let "date_add" | "date_diff" = &name[..] {
            let part = match args.first() {
                Some(Ast::Identifier(part)) if part.quote_style.is_none() => Part::parse(&part.value),
                _ => None,
            };
            let part = part.filter(|part| !matches!(part, Part::TimezoneHour | Part::TimezoneMinute));
            let part = part.ok_or(ErrorCode::ParseExpectedDatePart)?;
            if args.len() != 3 {
                return Err(ErrorCode::EvaluatorInvalidArguments.into());
            }
            args.remove(0);
            let function =
                if name == "date_add" { Function::DateAdd(part) } else { Function::DateDiff(part) };
            return Ok(Expr::Call(function, self.all(args)?));
        }
        // What the parser falls back to when the words within are not those of the form.
        match &name[..] {
            "cast" => return Err(ErrorCode::ParseCastArity.into()),
            "extract" => return Err(ErrorCode::ParseExpectedDatePart.into()),
            _ => {}
        }
        let Some((function, arity)) = Function::named(&name) else {
            return Err(Error::with(
                ErrorCode::UnsupportedFunction,
                format!("{} Found {name}.", ErrorCode::UnsupportedFunction.message()),
            ));
        };
        if !arity.contains(&args.len()) {
            return Err(ErrorCode::EvaluatorInvalidArguments.into());
        }
        Ok(Expr::Call(function, self.all(args)?))
    }

    fn aggregate(&mut self, fold: Fold, args: Vec<FunctionArg>) -> Result<Expr, Error> {
        if self.within != Within::Select {
            return Err(ErrorCode::UnsupportedSqlStructure.into());
        }
        let of = match <[FunctionArg; 1]>::try_from(args) {
            Ok([FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))]) => {
                self.within = Within::Aggregate;
                let of = self.expr(expr)?;
                self.within = Within::Select;
                Some(of)
            }
            Ok([FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) if fold == Fold::Count => None,
            Ok([FunctionArg::Unnamed(_)]) => return Err(ErrorCode::ParseUnsupportedCallWithStar.into()),
            _ => return Err(ErrorCode::ParseNonUnaryAggregateFunctionCall.into()),
        };
        self.aggregates.push(Aggregate::new(fold, of));
        Ok(Expr::Aggregate(self.aggregates.len() - 1))
    }
}

/// What is wrong with a reserved word that stands as a name.
pub(crate) fn alone(word: &str) -> ErrorCode {
    match &word.to_ascii_lowercase()[..] {
        "case" => ErrorCode::ParseExpectedWhenClause,
        "cast" => ErrorCode::ParseExpectedLeftParenAfterCast,
        "extract" => ErrorCode::ParseExpectedLeftParenBuiltinFunctionCall,
        name if Fold::named(name).is_some() || Function::named(name).is_some() => {
            ErrorCode::ParseExpectedLeftParenBuiltinFunctionCall
        }
        _ => ErrorCode::ParseUnexpectedKeyword,
    }
}

/// `_n` by position, any other name by the header.
fn column(name: &Name, header: Option<&Header<'_>>) -> Result<Column, Error> {
    match header.and_then(|header| header.place(name)) {
        Some(Some(at)) => return Ok(Column::Field(at)),
        Some(None) => return Err(ErrorCode::AmbiguousFieldName.into()),
        None => {}
    }
    if let Some(digits) = name.text.strip_prefix('_')
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        let at = digits.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
        return Ok(Column::Field(at.ok_or(ErrorCode::InvalidColumnIndex)?));
    }
    Err(Error::with(
        ErrorCode::MissingHeaders,
        format!("{} The name is \"{}\".", ErrorCode::MissingHeaders.message(), name.text),
    ))
}

fn step(access: AccessExpr) -> Result<Step, Error> {
    let invalid = || Error::from(ErrorCode::ParseInvalidPathComponent);
    match access {
        AccessExpr::Dot(Ast::Identifier(name)) => {
            if name.quote_style.is_none() && words::is_reserved(&name.value) {
                return Err(invalid());
            }
            Ok(Step::Name(Name { exact: name.quote_style.is_some(), text: name.value }))
        }
        AccessExpr::Subscript(Subscript::Index { index: Ast::Value(value) }) => match literal(value.value)? {
            Value::Int(index) => Ok(Step::Index(usize::try_from(index).map_err(|_| invalid())?)),
            Value::Text(text) => Ok(Step::Name(Name { text, exact: true })),
            _ => Err(invalid()),
        },
        _ => Err(invalid()),
    }
}

fn literal(value: Literal) -> Result<Value, Error> {
    match value {
        Literal::Number(digits, false) => {
            Number::parse(&digits).map(Value::from).ok_or_else(|| ErrorCode::LexerInvalidLiteral.into())
        }
        Literal::SingleQuotedString(text) => Ok(Value::Text(text)),
        Literal::Boolean(value) => Ok(Value::Bool(value)),
        Literal::Null => Ok(Value::Null),
        _ => Err(ErrorCode::LexerInvalidLiteral.into()),
    }
}

/// The scalar literals of Ion: timestamps, numbers, strings, `true`, `false` and `null`.
fn ion(text: &str) -> Result<Value, Error> {
    let text = text.trim();
    let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    let value = match text {
        "null" => Some(Value::Null),
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if quoted => crate::json::parse(text.as_bytes()).ok(),
        _ => Moment::parse(text).map(Value::Moment).or_else(|| Number::parse(text).map(Value::from)),
    };
    value.ok_or_else(|| ErrorCode::LexerInvalidIonLiteral.into())
}
