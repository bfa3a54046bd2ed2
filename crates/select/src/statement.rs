//! From text to a statement. The tokens and expressions are read by `sqlparser`; the frame around them
//! (`SELECT ... FROM S3Object[*].path alias WHERE ... LIMIT ...`) is the services' own.

use cosette_model::{Error, ErrorCode};
use sqlparser::ast::Expr;
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer, Word};

use crate::json::{Name, Step};
use crate::{plan, words};

/// Longest expression, in bytes (both services: 256 KB).
const EXPRESSION_BYTES_MAX: usize = 256 << 10;
/// Most operators of one, so that no tree is too deep to be walked. The services have such a limit
/// (`MaxOperatorsExceeded`) and do not say which.
const OPERATORS_MAX: usize = 400;
/// Deepest nesting of parentheses.
const NESTING_MAX: usize = 48;

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) items: Items,
    /// Behind `S3Object[*]`.
    pub(crate) path: Vec<Step>,
    /// What rows are called.
    pub(crate) alias: Name,
    pub(crate) filter: Option<Expr>,
    pub(crate) limit: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Items {
    /// `*`
    All,
    List(Vec<Item>),
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) expr: Expr,
    pub(crate) alias: Option<String>,
}

/// Names in double quotes, literals of Ion in backticks.
#[derive(Debug)]
struct Spoken;

impl Dialect for Spoken {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }
}

impl Statement {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ErrorCode::ExpressionTooLong.into());
        }
        let tokens = tokens(text)?;
        let parser = Parser::new(&Spoken).with_recursion_limit(NESTING_MAX).with_tokens(tokens);
        Frame { parser }.statement()
    }
}

/// Those that the language has.
fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let all = Tokenizer::new(&Spoken, text).tokenize().map_err(|error| {
        let why = error.to_string();
        let code = if why.contains("nterminated") {
            ErrorCode::LexerInvalidLiteral
        } else {
            ErrorCode::LexerInvalidChar
        };
        Error::with(code, format!("The SQL expression cannot be read: {why}."))
    })?;
    let mut tokens: Vec<Token> = Vec::with_capacity(all.len());
    let mut operators = 0;
    for token in all {
        if let (Some(before), Token::Word(word)) = (tokens.last(), &token)
            && wants_operand(before)
            && GO_ON.iter().any(|keyword| is_keyword(word, keyword))
        {
            return Err(ErrorCode::ParseExpectedExpression.into());
        }
        match &token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if is_keyword(word, "missing") => {
                let before = |at: usize| tokens.len().checked_sub(at).and_then(|at| tokens.get(at));
                let is = |at| matches!(before(at), Some(Token::Word(word)) if is_keyword(word, "is"));
                let not = matches!(before(1), Some(Token::Word(word)) if is_keyword(word, "not"));
                // The parser knows no IS MISSING; IS UNKNOWN, which it knows, is none of the services'.
                if is(1) || not && is(2) {
                    tokens.push(Token::make_keyword("UNKNOWN"));
                    continue;
                }
            }
            Token::Word(word) if is_keyword(word, "from") => {
                // The parser wants the character that is trimmed if it is told the side.
                if let Some(Token::Word(side)) = tokens.last()
                    && ["leading", "trailing", "both"].iter().any(|keyword| is_keyword(side, keyword))
                {
                    tokens.push(Token::SingleQuotedString(" ".to_owned()));
                }
            }
            Token::Word(word) if is_keyword(word, "unknown") => {
                return Err(ErrorCode::ParseUnexpectedKeyword.into());
            }
            Token::Word(word) => {
                operators += usize::from(OPERATORS.iter().any(|keyword| is_keyword(word, keyword)));
            }
            Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat => operators += 1,
            Token::Number(_, false)
            | Token::SingleQuotedString(_)
            | Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::Period
            | Token::LBracket
            | Token::RBracket
            | Token::SemiColon => {}
            Token::Char(_) => return Err(ErrorCode::LexerInvalidChar.into()),
            Token::Number(..) => return Err(ErrorCode::LexerInvalidLiteral.into()),
            other if other.to_string().contains('\'') => return Err(ErrorCode::LexerInvalidLiteral.into()),
            _ => return Err(ErrorCode::LexerInvalidOperator.into()),
        }
        tokens.push(token);
    }
    if operators > OPERATORS_MAX {
        return Err(ErrorCode::MaxOperatorsExceeded.into());
    }
    Ok(tokens)
}

/// Words that make a tree deeper; the second half are the parser's alone, and refused once it is built.
const OPERATORS: &[&str] = &[
    "and", "or", "not", "in", "like", "between", "is", "case", "when", "at", "collate", "div", "glob",
    "global", "ilike", "match", "member", "notnull", "operator", "overlaps", "regexp", "rlike", "similar",
    "xor",
];

/// Words that go on with a statement or an expression, which the parser would take for operands.
const GO_ON: &[&str] =
    &["from", "where", "limit", "as", "and", "or", "when", "then", "else", "end", "escape"];

fn wants_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            ["and", "or", "not", "like", "where"].iter().any(|keyword| is_keyword(word, keyword))
        }
        // Not the star, which may stand for all columns.
        Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Comma => true,
        _ => false,
    }
}

fn is_keyword(word: &Word, text: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text)
}

struct Frame<'a> {
    parser: Parser<'a>,
}

impl Frame<'_> {
    fn peek(&self) -> Token {
        self.parser.peek_token().token
    }

    fn next(&mut self) -> Token {
        self.parser.next_token().token
    }

    fn took(&mut self, token: &Token) -> bool {
        let there = self.peek() == *token;
        if there {
            self.next();
        }
        there
    }

    fn keyword(&mut self, keyword: Keyword) -> bool {
        self.parser.parse_keyword(keyword)
    }

    fn expr(&mut self) -> Result<Expr, Error> {
        let head = self.parser.peek_token().token;
        if matches!(head, Token::EOF | Token::Comma | Token::SemiColon) {
            return Err(ErrorCode::ParseExpectedExpression.into());
        }
        self.parser.parse_expr().map_err(refused)
    }

    fn statement(mut self) -> Result<Statement, Error> {
        if !self.keyword(Keyword::SELECT) {
            return Err(ErrorCode::ParseUnsupportedSelect.into());
        }
        let items = self.items()?;
        if !self.keyword(Keyword::FROM) {
            return Err(match self.peek() {
                Token::EOF | Token::SemiColon => ErrorCode::ParseSelectMissingFrom.into(),
                _ => unexpected(&self.peek()),
            });
        }
        let (path, alias) = self.table()?;
        let filter = if self.keyword(Keyword::WHERE) { Some(self.expr()?) } else { None };
        let limit = if self.keyword(Keyword::LIMIT) { Some(self.limit()?) } else { None };
        self.took(&Token::SemiColon);
        match self.next() {
            Token::EOF => Ok(Statement { items, path, alias, filter, limit }),
            other => Err(unexpected(&other)),
        }
    }

    fn items(&mut self) -> Result<Items, Error> {
        match self.peek() {
            Token::EOF | Token::SemiColon => return Err(ErrorCode::ParseEmptySelect.into()),
            Token::Word(word) if is_keyword(&word, "from") => return Err(ErrorCode::ParseEmptySelect.into()),
            Token::Word(word) if is_keyword(&word, "distinct") || is_keyword(&word, "all") => {
                return Err(ErrorCode::UnsupportedSqlStructure.into());
            }
            Token::Mul => {
                self.next();
                return match self.peek() {
                    Token::Comma => Err(ErrorCode::ParseAsteriskIsNotAloneInSelectList.into()),
                    _ => Ok(Items::All),
                };
            }
            _ => {}
        }
        let mut items = Vec::new();
        loop {
            match self.peek() {
                Token::Mul => return Err(ErrorCode::ParseAsteriskIsNotAloneInSelectList.into()),
                Token::EOF | Token::SemiColon => return Err(ErrorCode::ParseExpectedExpression.into()),
                _ => {}
            }
            let expr = self.parser.parse_wildcard_expr().map_err(refused)?;
            // The parser takes a form that it cannot read for a column.
            if let Expr::Identifier(name) = &expr
                && name.quote_style.is_none()
                && words::is_reserved(&name.value)
                && !name.value.eq_ignore_ascii_case("missing")
            {
                return Err(plan::alone(&name.value).into());
            }
            let alias = self.alias()?.map(|name| name.text);
            items.push(Item { expr, alias });
            if !self.took(&Token::Comma) {
                return Ok(Items::List(items));
            }
        }
    }

    /// `AS name`, or a name that is no reserved word.
    fn alias(&mut self) -> Result<Option<Name>, Error> {
        if self.keyword(Keyword::AS) {
            return match self.next() {
                Token::Word(word) => Ok(Some(name(&word).ok_or(ErrorCode::ParseExpectedIdentForAlias)?)),
                _ => Err(ErrorCode::ParseExpectedIdentForAlias.into()),
            };
        }
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let found = name(&word);
        if found.is_some() {
            self.next();
        }
        Ok(found)
    }

    /// `S3Object`, or COS's name for it, and the path to the rows.
    fn table(&mut self) -> Result<(Vec<Step>, Name), Error> {
        let table = match self.next() {
            Token::Word(word) => name(&word).ok_or(ErrorCode::ParseUnexpectedKeyword)?,
            Token::LParen => return Err(ErrorCode::UnsupportedSqlStructure.into()),
            other => return Err(unexpected(&other)),
        };
        if !["s3object", "cosobject"].contains(&table.text.to_ascii_lowercase().as_str()) {
            return Err(ErrorCode::InvalidTableAlias.into());
        }
        let mut steps = Vec::new();
        loop {
            if self.took(&Token::Period) {
                steps.push(match self.next() {
                    Token::Mul => Step::Fields,
                    Token::Word(word) => Step::Name(name(&word).ok_or(ErrorCode::ParseInvalidPathComponent)?),
                    _ => return Err(ErrorCode::ParseInvalidPathComponent.into()),
                });
            } else if self.took(&Token::LBracket) {
                steps.push(match self.next() {
                    Token::Mul => Step::Elements,
                    Token::SingleQuotedString(text) => Step::Name(Name { text, exact: true }),
                    Token::Number(digits, _) => {
                        Step::Index(digits.parse().map_err(|_| ErrorCode::ParseInvalidPathComponent)?)
                    }
                    _ => return Err(ErrorCode::ParseInvalidPathComponent.into()),
                });
                if !self.took(&Token::RBracket) {
                    return Err(ErrorCode::ParseInvalidPathComponent.into());
                }
            } else {
                break;
            }
        }
        let path = match steps.split_first() {
            None => Vec::new(),
            Some((Step::Elements, path)) => path.to_vec(),
            // A document is an array of the root's values: a path begins with the wildcard.
            Some(_) => return Err(ErrorCode::InvalidKeyPath.into()),
        };
        let implied = match path.last() {
            Some(Step::Name(name)) => name.clone(),
            Some(_) => Name { text: "_1".into(), exact: true },
            None => Name { exact: false, ..table },
        };
        let alias = self.alias()?.unwrap_or(implied);
        match self.peek() {
            Token::Comma => Err(ErrorCode::UnsupportedSqlStructure.into()),
            Token::Word(word)
                if ["join", "inner", "left", "right", "full", "cross", "natural"]
                    .iter()
                    .any(|keyword| is_keyword(&word, keyword)) =>
            {
                Err(ErrorCode::ParseMalformedJoin.into())
            }
            _ => Ok((path, alias)),
        }
    }

    fn limit(&mut self) -> Result<u64, Error> {
        match self.next() {
            Token::Number(digits, _) => digits.parse().map_err(|_| ErrorCode::ParseExpectedNumber.into()),
            Token::Minus => Err(ErrorCode::EvaluatorNegativeLimit.into()),
            _ => Err(ErrorCode::ParseExpectedNumber.into()),
        }
    }
}

/// A word as a name, unless it is reserved.
fn name(word: &Word) -> Option<Name> {
    match word.quote_style {
        Some('"') => Some(Name { text: word.value.clone(), exact: true }),
        None if !words::is_reserved(&word.value) => Some(Name { text: word.value.clone(), exact: false }),
        _ => None,
    }
}

fn unexpected(token: &Token) -> Error {
    let code = match token {
        Token::Word(word)
            if ["group", "having", "union", "intersect", "except"].iter().any(|k| is_keyword(word, k)) =>
        {
            ErrorCode::UnsupportedSqlStructure
        }
        Token::Word(word) if word.quote_style.is_none() && words::is_reserved(&word.value) => {
            ErrorCode::ParseUnexpectedKeyword
        }
        _ => ErrorCode::ParseUnexpectedToken,
    };
    Error::with(code, format!("{} Found {token}.", code.message()))
}

/// The parser says what it expected in words.
fn refused(error: ParserError) -> Error {
    use ErrorCode::*;
    let why = match error {
        ParserError::RecursionLimitExceeded => return Error::new(MaxOperatorsExceeded),
        ParserError::TokenizerError(why) | ParserError::ParserError(why) => why,
    };
    let expected = why.strip_prefix("Expected: ").unwrap_or_default();
    let expected = expected.split(", found").next().unwrap_or_default();
    let code = match expected {
        "an expression" => ParseExpectedExpression,
        "(" => ParseExpectedLeftParenBuiltinFunctionCall,
        ")" => ParseExpectedRightParenBuiltinFunctionCall,
        "," => ParseExpectedArgumentDelimiter,
        "WHEN" => ParseExpectedWhenClause,
        "AS" => ParseCastArity,
        "a data type name" | "a data type" | "literal int" => ParseExpectedTypeName,
        "date/time field" => ParseExpectedDatePart,
        "literal string" | "identifier" => ParseUnexpectedToken,
        word if !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') => {
            ParseExpectedKeyword
        }
        _ => ParseUnexpectedToken,
    };
    Error::with(code, format!("{} {}.", code.message(), why.trim_end_matches('.')))
}
