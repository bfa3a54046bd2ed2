//! What queries are refused with.

use super::*;

#[test]
fn expressions() {
    use ErrorCode::*;
    let mut wrong = Vec::new();
    for (expression, want) in [
        ("", ParseUnsupportedSelect),
        ("DELETE FROM S3Object", ParseUnsupportedSelect),
        ("SELECT", ParseEmptySelect),
        ("SELECT FROM S3Object", ParseEmptySelect),
        ("SELECT name", ParseSelectMissingFrom),
        ("SELECT *, name FROM S3Object", ParseAsteriskIsNotAloneInSelectList),
        ("SELECT name, * FROM S3Object", ParseAsteriskIsNotAloneInSelectList),
        ("SELECT name, s.* FROM S3Object s", ParseInvalidContextForWildcardInSelectList),
        ("SELECT q.* FROM S3Object s", ParseInvalidContextForWildcardInSelectList),
        ("SELECT DISTINCT name FROM S3Object", UnsupportedSqlStructure),
        ("SELECT * FROM S3Object GROUP BY name", UnsupportedSqlStructure),
        ("SELECT * FROM S3Object ORDER BY name", ParseUnexpectedKeyword),
        ("SELECT * FROM S3Object s, S3Object t", UnsupportedSqlStructure),
        ("SELECT * FROM S3Object s JOIN S3Object t", ParseMalformedJoin),
        ("SELECT * FROM (SELECT * FROM S3Object)", UnsupportedSqlStructure),
        ("SELECT * FROM S3Object WHERE name IN (SELECT name FROM S3Object)", UnsupportedSqlStructure),
        ("SELECT * FROM people", InvalidTableAlias),
        ("SELECT * FROM S3Object[*].a", InvalidKeyPath),
        ("SELECT * FROM S3Object.a", InvalidKeyPath),
        ("SELECT * FROM S3Object[x]", ParseInvalidPathComponent),
        ("SELECT * FROM S3Object AS 1", ParseExpectedIdentForAlias),
        ("SELECT name AS date FROM S3Object", ParseExpectedIdentForAlias),
        ("SELECT * FROM S3Object WHERE", ParseExpectedExpression),
        ("SELECT name + FROM S3Object", ParseExpectedExpression),
        ("SELECT (1 + 2 FROM S3Object", ParseExpectedRightParenBuiltinFunctionCall),
        ("SELECT * FROM S3Object LIMIT x", ParseExpectedNumber),
        ("SELECT * FROM S3Object LIMIT -1", EvaluatorNegativeLimit),
        ("SELECT * FROM S3Object; SELECT", ParseUnexpectedKeyword),
        ("SELECT * FROM S3Object name name", ParseUnexpectedToken),
        ("SELECT s.cast FROM S3Object s", ParseInvalidPathComponent),
        ("SELECT day FROM S3Object s", ParseUnexpectedKeyword),
        ("SELECT 'open FROM S3Object", LexerInvalidLiteral),
        ("SELECT name ? 1 FROM S3Object", LexerInvalidOperator),
        ("SELECT name == 1 FROM S3Object", LexerInvalidOperator),
        ("SELECT X'ff' FROM S3Object", LexerInvalidLiteral),
        ("SELECT `later` FROM S3Object", LexerInvalidIonLiteral),
        ("SELECT town FROM S3Object", MissingHeaders),
        ("SELECT s.\"city\" FROM S3Object s", MissingHeaders),
        ("SELECT s._0 FROM S3Object s", InvalidColumnIndex),
        ("SELECT s.name.given FROM S3Object s", InvalidKeyPath),
        ("SELECT FOO(name) FROM S3Object", UnsupportedFunction),
        ("SELECT name IS UNKNOWN FROM S3Object", ParseUnexpectedKeyword),
        ("SELECT UPPER(name, name) FROM S3Object", EvaluatorInvalidArguments),
        ("SELECT UPPER(*) FROM S3Object", ParseUnsupportedCallWithStar),
        ("SELECT SUM(*) FROM S3Object", ParseUnsupportedCallWithStar),
        ("SELECT SUM(name, age) FROM S3Object", ParseNonUnaryAggregateFunctionCall),
        ("SELECT COUNT(DISTINCT name) FROM S3Object", UnsupportedSqlStructure),
        ("SELECT name, COUNT(*) FROM S3Object", UnsupportedSqlStructure),
        ("SELECT SUM(COUNT(*)) FROM S3Object", UnsupportedSqlStructure),
        ("SELECT * FROM S3Object WHERE COUNT(*) > 1", UnsupportedSqlStructure),
        ("SELECT CAST(name AS BLOB) FROM S3Object", InvalidDataType),
        ("SELECT CAST(name, INT) FROM S3Object", ParseCastArity),
        ("SELECT DATE_ADD(century, 1, `2010T`) FROM S3Object", ParseExpectedDatePart),
        ("SELECT DATE_ADD(year, 1) FROM S3Object", EvaluatorInvalidArguments),
        ("SELECT CAST FROM S3Object", ParseExpectedLeftParenAfterCast),
        ("SELECT COUNT FROM S3Object", ParseExpectedLeftParenBuiltinFunctionCall),
        ("SELECT CASE name END FROM S3Object", ParseExpectedWhenClause),
        // Those of data.
        ("SELECT CAST(name AS INT) FROM S3Object", CastFailed),
        ("SELECT CAST('1.5' AS INT) FROM S3Object", CastFailed),
        ("SELECT CAST('later' AS TIMESTAMP) FROM S3Object", CastFailed),
        ("SELECT CAST('yes' AS BOOL) FROM S3Object", CastFailed),
        ("SELECT TO_TIMESTAMP(name) FROM S3Object", ValueParseFailure),
        ("SELECT TO_STRING(`2010T`, 'Q') FROM S3Object", EvaluatorInvalidTimestampFormatPatternSymbol),
        ("SELECT name + 1 FROM S3Object", InvalidDataType),
        ("SELECT -name FROM S3Object", InvalidDataType),
        ("SELECT SUM(name) FROM S3Object", IncorrectSqlFunctionArgumentType),
        ("SELECT UPPER(1) FROM S3Object", IncorrectSqlFunctionArgumentType),
        ("SELECT 1 || 'a' FROM S3Object", IncorrectSqlFunctionArgumentType),
        ("SELECT 1 LIKE 'a' FROM S3Object", LikeInvalidInputs),
        ("SELECT 'a' LIKE 'a' ESCAPE 'xy' FROM S3Object", LikeInvalidInputs),
        ("SELECT 'a' LIKE 'a!b' ESCAPE '!' FROM S3Object", EvaluatorLikePatternInvalidEscapeSequence),
        ("SELECT 1 / 0 FROM S3Object", ExternalEvalException),
        ("SELECT 9223372036854775807 + 1 FROM S3Object", IntegerOverflow),
        ("SELECT * FROM S3Object WHERE 1", InvalidDataType),
    ] {
        let asked = query(expression, csv(FileHeader::Use), to_csv());
        let got = answer(&asked, PEOPLE.as_bytes());
        if got != Err(want) {
            wrong.push(format!("{expression}: {got:?}, not {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let long = format!("SELECT '{}' FROM S3Object", "x".repeat(256 << 10));
    let wide = format!("SELECT 1 {} FROM S3Object", "+ 1".repeat(100_000 / 3));
    let deep = format!("SELECT {}1 FROM S3Object", "(".repeat(10_000));
    for (expression, want) in
        [(long, ExpressionTooLong), (wide, MaxOperatorsExceeded), (deep, MaxOperatorsExceeded)]
    {
        let asked = query(&expression, csv(FileHeader::None), to_csv());
        assert_eq!(answer(&asked, b"x"), Err(want));
    }
    // Operators of the parser that no service has.
    for operator in ["XOR 1", "DIV 1", "RLIKE 1", "OVERLAPS 1", "COLLATE b", "AT TIME ZONE 'UTC'"] {
        let asked = format!("SELECT 1 {} FROM S3Object", format!("{operator} ").repeat(10_000));
        assert_eq!(
            answer(&query(&asked, csv(FileHeader::None), to_csv()), b"x"),
            Err(MaxOperatorsExceeded),
            "{operator}"
        );
    }
    // As deep as it gets.
    let wide = format!("SELECT 1 {} FROM S3Object", "+ 1".repeat(399));
    assert_eq!(answer(&query(&wide, csv(FileHeader::None), to_csv()), b"x").as_deref(), Ok("400\n"));
    // What is asked about stands there once.
    let ranges = format!("SELECT 1 FROM S3Object WHERE 5{}", " BETWEEN 1 AND 9".repeat(199));
    assert_eq!(answer(&query(&ranges, csv(FileHeader::None), to_csv()), b"x").as_deref(), Ok(""));
}

/// A small expression does not make much of a large record.
#[test]
fn sizes() {
    let data = [b'x'; 1 << 19];
    for expression in [
        // Measured while it is made: what would fail last is not come to.
        format!("SELECT _1{}, CAST('x' AS INT) FROM S3Object", ", _1".repeat(3)),
        format!("SELECT CHAR_LENGTH(_1{}) FROM S3Object", "|| _1".repeat(390)),
    ] {
        let asked = query(&expression, csv(FileHeader::None), to_csv());
        assert_eq!(answer(&asked, &data), Err(ErrorCode::OverMaxRecordSize));
    }
}

#[test]
fn objects() {
    use ErrorCode::*;
    let json = || Input::Json { lines: false };
    let lines = || Input::Json { lines: true };
    for (input, data, expression, want) in [
        (csv(FileHeader::Use), "NAME,name\n1,2\n", "SELECT s.name FROM S3Object s", AmbiguousFieldName),
        (json(), r#"{"NAME":1,"name":2}"#, "SELECT s.name FROM S3Object s", AmbiguousFieldName),
        (csv(FileHeader::None), "\"a\nb\"\n", "SELECT * FROM S3Object", CsvEscapingRecordDelimiter),
        (csv(FileHeader::None), "\"a", "SELECT * FROM S3Object", CsvUnescapedQuote),
        (json(), "{\"a\":", "SELECT * FROM S3Object", JsonParsingError),
        (json(), "{a:1}", "SELECT * FROM S3Object", JsonParsingError),
        (lines(), "{\"a\":1}\n{\n", "SELECT * FROM S3Object", JsonParsingError),
        (Input::Parquet, "PAR1 not", "SELECT * FROM S3Object", ParquetParsingError),
        (Input::Parquet, "", "SELECT * FROM S3Object", ParquetParsingError),
        (json(), r#"{"a":1}"#, "SELECT * FROM S3Object.a", InvalidKeyPath),
        (json(), r#"{"a":"x"}"#, "SELECT s.a + 1 FROM S3Object s", InvalidDataType),
    ] {
        assert_eq!(
            answer(&query(expression, input, to_csv()), data.as_bytes()),
            Err(want),
            "{expression} {data}"
        );
    }
}
