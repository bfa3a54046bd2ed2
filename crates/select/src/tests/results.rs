//! What queries answer.

use super::*;

fn check(input: &Input, output: &Output, data: &str, rows: &[(&str, &str)]) {
    for (expression, want) in rows {
        let got = answer(&query(expression, input.clone(), output.clone()), data.as_bytes());
        let want: String =
            want.split('/').filter(|row| !row.is_empty()).map(|row| format!("{row}\n")).collect();
        assert_eq!(got.as_deref(), Ok(&want[..]), "{expression}");
    }
}

/// One expression over one record of no matter.
fn values(rows: &[(&str, &str)]) {
    for (expression, want) in rows {
        let asked = query(&format!("SELECT {expression} FROM S3Object"), csv(FileHeader::None), to_csv());
        let got = answer(&asked, b"x,5,1.5,,true\n");
        assert_eq!(got.as_deref().map(|got| got.trim_end_matches('\n')), Ok(*want), "{expression}");
    }
}

#[test]
fn columns() {
    check(
        &csv(FileHeader::Use),
        &to_csv(),
        PEOPLE,
        &[
            // guide: attribute access, case sensitivity.
            ("SELECT s.name FROM S3Object s", "Ann/Bob/Cyd"),
            ("select NAME from s3object", "Ann/Bob/Cyd"),
            ("SELECT s.\"City\" FROM COSObject AS s LIMIT 2;", "Oslo/\"New York, NY\""),
            ("SELECT S3Object._2, _1 FROM S3Object", "31,Ann/7,Bob/,Cyd"),
            ("SELECT * FROM S3Object s WHERE s.name = 'Bob'", "Bob,7,\"New York, NY\""),
            ("SELECT s.* FROM S3Object s WHERE _1 = 'Ann'", "Ann,31,Oslo"),
            // api: columns compare with numbers.
            ("SELECT name FROM S3Object s WHERE s.age > 8", "Ann"),
            ("SELECT name FROM S3Object WHERE age < 8.5", "Bob"),
            ("SELECT name FROM S3Object WHERE age BETWEEN 7 AND 31", "Ann/Bob"),
            ("SELECT name FROM S3Object WHERE age NOT BETWEEN 8 AND 31", "Bob"),
            ("SELECT name FROM S3Object WHERE age IN (7, 8)", "Bob"),
            ("SELECT name FROM S3Object WHERE name NOT IN ('Ann')", "Bob/Cyd"),
            ("SELECT name FROM S3Object WHERE age = ''", "Cyd"),
            ("SELECT name FROM S3Object WHERE _4 IS MISSING AND _4 IS NULL LIMIT 1", "Ann"),
            ("SELECT name FROM S3Object WHERE _3 IS NOT MISSING AND NOT name LIKE 'A%'", "Bob/Cyd"),
            ("SELECT name, _9, name FROM S3Object LIMIT 1", "Ann,,Ann"),
            ("SELECT name FROM S3Object LIMIT 0", ""),
            // guide: aggregates.
            ("SELECT COUNT(*) FROM S3Object s WHERE s.age > 6", "2"),
            ("SELECT count(*), COUNT(_9), COUNT(age), COUNT(0) FROM S3Object", "3,0,3,3"),
            ("SELECT SUM(CAST(age AS INT)), AVG(CAST(age AS INT)) FROM S3Object WHERE age <> ''", "38,19"),
            (
                "SELECT MIN(CAST(age AS INT)) + 1, MAX(CAST(age AS DECIMAL)) FROM S3Object WHERE age > 0",
                "8,31",
            ),
            (
                "SELECT SUM(CAST(age AS INT)), AVG(CAST(age AS INT)), COUNT(*) FROM S3Object WHERE age > 99",
                ",,0",
            ),
            ("SELECT COUNT(*) FROM S3Object LIMIT 0", ""),
            ("SELECT AVG(CAST(age AS FLOAT)) FROM S3Object WHERE age > 0", "19"),
        ],
    );
    check(
        &csv(FileHeader::Ignore),
        &to_json(),
        PEOPLE,
        &[
            ("SELECT * FROM S3Object LIMIT 1", r#"{"_1":"Ann","_2":"31","_3":"Oslo"}"#),
            (
                "SELECT _1, _2 AS age, CAST(_2 AS INT) FROM S3Object LIMIT 1",
                r#"{"_1":"Ann","age":"31","_3":31}"#,
            ),
            ("SELECT _7 FROM S3Object LIMIT 1", "{}"),
            ("SELECT COUNT(*) AS n FROM S3Object", r#"{"n":3}"#),
        ],
    );
    check(
        &csv(FileHeader::Use),
        &to_json(),
        PEOPLE,
        &[("SELECT * FROM S3Object LIMIT 1", r#"{"name":"Ann","age":"31","City":"Oslo"}"#)],
    );
    // Case counts in quotes, and resolves what else is ambiguous (guide: case sensitivity).
    check(
        &csv(FileHeader::Use),
        &to_csv(),
        "\u{feff}NAME,name,CAST\n1,2,3\n",
        &[("SELECT s.\"NAME\", s.\"name\", s.\"CAST\" FROM S3Object s", "1,2,3")],
    );
}

#[test]
fn documents() {
    let rules = r#"{ "Rules": [ {"id": "1"}, {"expr": "y > x"}, {"id": "2", "expr": "z = DEBUG"} ]}
                   { "created": "June 27", "modified": "July 6" }"#;
    check(
        &Input::Json { lines: false },
        &to_json(),
        rules,
        &[
            // guide: FROM clause, example 1.
            ("SELECT id FROM S3Object[*].Rules[*].id", r#"{"id":"1"}/{}/{"id":"2"}/{}"#),
            ("SELECT id FROM S3Object[*].Rules[*].id WHERE id IS NOT MISSING", r#"{"id":"1"}/{"id":"2"}"#),
            ("SELECT r.id FROM S3Object[*].Rules[*] r WHERE r.expr LIKE '%DEBUG'", r#"{"id":"2"}"#),
            ("SELECT _1.id FROM S3Object[*].Rules[*] WHERE _1.expr IS NULL", r#"{"id":"1"}/{}"#),
            ("SELECT _1.id FROM S3Object[*]['Rules'][2]", r#"{"id":"2"}/{}"#),
            ("SELECT COUNT(id) FROM S3Object[*].Rules[*].id", r#"{"_1":2}"#),
            ("SELECT s.created FROM S3Object[*] s WHERE s.modified = 'July 6'", r#"{"created":"June 27"}"#),
            (
                "SELECT * FROM S3Object s WHERE s.Rules IS MISSING",
                r#"{"created":"June 27","modified":"July 6"}"#,
            ),
            (
                "SELECT s.Rules[1].expr AS e, s.\"Rules\"[0]['id'] FROM S3Object s LIMIT 1",
                r#"{"e":"y > x","_2":"1"}"#,
            ),
        ],
    );
    let files = concat!(
        r#"{ "created": "936864000", "dir_name": "important_docs", "files": [ { "name": "." }, { "name": ".aws" } ], "owner": "AWS S3" }"#,
        "\n",
        r#"{ "created": "936864000", "dir_name": "other_docs", "files": [ { "name": "my stuff" } ], "owner": "User" }"#,
    );
    for lines in [false, true] {
        check(
            &Input::Json { lines },
            &to_json(),
            files,
            &[
                // guide: FROM clause, example 2.
                (
                    "SELECT d.dir_name, d.files FROM S3Object[*] d",
                    r#"{"dir_name":"important_docs","files":[{"name":"."},{"name":".aws"}]}/{"dir_name":"other_docs","files":[{"name":"my stuff"}]}"#,
                ),
                (
                    "SELECT _1.dir_name, _1.owner FROM S3Object[*]",
                    r#"{"dir_name":"important_docs","owner":"AWS S3"}/{"dir_name":"other_docs","owner":"User"}"#,
                ),
                (
                    "SELECT f.name FROM COSObject[*].files[*] f",
                    r#"{"name":"."}/{"name":".aws"}/{"name":"my stuff"}"#,
                ),
            ],
        );
    }
    check(
        &Input::Json { lines: false },
        &to_csv(),
        r#"{"n":1.50,"b":true,"z":null,"o":{"x":[1]},"s":"a,\"b\"","e":1e2} [1,2] 7"#,
        &[
            ("SELECT * FROM S3Object LIMIT 1", r#"1.50,true,,"{""x"":[1]}","a,""b""",100"#),
            ("SELECT * FROM S3Object", r#"1.50,true,,"{""x"":[1]}","a,""b""",100/"[1,2]"/7"#),
            ("SELECT s.n * 2, s.n + 1, s.e FROM S3Object s LIMIT 1", "3.00,2.50,100"),
            ("SELECT COALESCE(s[1], 0) FROM S3Object s", "0/2/0"),
            (
                "SELECT z IS NULL, z IS MISSING, q IS NULL, q IS MISSING FROM S3Object LIMIT 1",
                "true,false,true,true",
            ),
        ],
    );
    // Rows in an array that is the root (api: a document is an array of root-level values).
    check(
        &Input::Json { lines: false },
        &to_json(),
        r#"[{"a":1},{"a":2}]"#,
        &[
            ("SELECT s.a FROM S3Object[*][*] s WHERE s.a > 1", r#"{"a":2}"#),
            ("SELECT * FROM S3Object", r#"{"_1":[{"a":1},{"a":2}]}"#),
        ],
    );
}

/// guide: operators and their precedence.
#[test]
fn operators() {
    values(&[
        ("1 + 2 * 3 - 4 / 2 % 3", "5"),
        ("-2 * -3", "6"),
        ("7 / 2", "3"),
        ("7 / 2.0", "3.5"),
        ("1.0 / 3", "0.33333333333333333333333333333333333333"),
        ("0.1 + 0.2", "0.3"),
        ("CAST(1 AS FLOAT) / 3", "0.3333333333333333"),
        ("1e2", "100"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1 + null", ""),
        ("1 < 2 AND NOT 2 < 1", "true"),
        ("null = null", ""),
        ("1 = 1 OR null", "true"),
        ("1 = 2 AND null", "false"),
        ("1 = 1 AND null", ""),
        ("1 != 2 and 1 <> 2 and 2 >= 2 and 2 <= 2", "true"),
        ("'a' || 'b' || _1", "abx"),
        ("1 = '1'", "false"),
        ("1 = 1.0", "true"),
        ("_2 = 5.0", "true"),
        ("_5 = true", "true"),
        ("_1 = 5", "false"),
        ("_1 < 5", ""),
        ("3 IN (1, 2, 3)", "true"),
        ("3 IN (1, null)", ""),
        ("3 NOT IN (1)", "true"),
        ("2 BETWEEN 1 AND 3", "true"),
        ("'abc' LIKE 'a%' AND 'abc' LIKE '_b_' AND 'abc' LIKE '%%c' AND NOT 'abc' LIKE 'b%'", "true"),
        ("'a%c' LIKE 'a!%c' ESCAPE '!'", "true"),
        ("'abc' LIKE 'a!%c' ESCAPE '!'", "false"),
        ("'abc' NOT LIKE 'x'", "true"),
        ("'' LIKE '%'", "true"),
        ("'aaab' LIKE '%a%ab'", "true"),
        ("_4 IS NULL", "false"),
        ("_4 = ''", "true"),
        ("_6 IS NULL", "true"),
        ("null IS NOT NULL", "false"),
        ("missing IS MISSING", "true"),
    ]);
}

/// guide: conditional, conversion, date and string functions; examples as there unless a value differs in how
/// it is written.
#[test]
fn functions() {
    values(&[
        ("COALESCE(1)", "1"),
        ("COALESCE(null, null)", ""),
        ("COALESCE(missing, 1)", "1"),
        ("COALESCE(null, 'string')", "string"),
        ("NULLIF(1, 1)", ""),
        ("NULLIF(1, 2)", "1"),
        ("NULLIF(1.0, 1)", ""),
        ("NULLIF(1, '1')", "1"),
        ("NULLIF(1, NULL)", "1"),
        ("NULLIF(NULL, 1)", ""),
        ("CASE _1 WHEN 'x' THEN 'Big Apple' ELSE 'other' END", "Big Apple"),
        ("CASE WHEN _2 < 5 THEN 'a' WHEN _2 > 4 THEN 'b' ELSE 'c' END", "b"),
        ("CASE WHEN 1 = 2 THEN 1 END", ""),
        ("CAST('2007-04-05T14:30Z' AS TIMESTAMP)", "2007-04-05T14:30Z"),
        ("CAST(0.456 AS FLOAT)", "0.456"),
        ("CAST('12' AS INT) + CAST(_2 AS INTEGER)", "17"),
        ("CAST(1.9 AS INT)", "1"),
        ("CAST('1.50' AS DECIMAL)", "1.50"),
        ("CAST(_3 AS DECIMAL(10, 2)) + 1", "2.5"),
        ("CAST(_3 AS NUMERIC)", "1.5"),
        ("CAST('True' AS BOOL)", "true"),
        ("CAST(0 AS BOOLEAN)", "false"),
        ("CAST(5 AS STRING) || 'x'", "5x"),
        ("CAST(true AS INT)", "1"),
        ("CAST(null AS INT)", ""),
        ("CAST('1e3' AS FLOAT)", "1000"),
        ("CHAR_LENGTH('')", "0"),
        ("CHARACTER_LENGTH('abcdéfg')", "7"),
        ("LOWER('AbCdEfG!@#$')", "abcdefg!@#$"),
        ("UPPER('AbCdEfG!@#$')", "ABCDEFG!@#$"),
        ("SUBSTRING('123456789', 0)", "123456789"),
        ("SUBSTRING('123456789', 2)", "23456789"),
        ("SUBSTRING('123456789', -4)", "123456789"),
        ("SUBSTRING('123456789', 0, 999)", "123456789"),
        ("SUBSTRING('123456789', 1, 5)", "12345"),
        ("SUBSTRING('123456789', -1, 4)", "12"),
        ("SUBSTRING('123456789' FROM 3 FOR 2)", "34"),
        ("SUBSTRING('123' FROM 9)", ""),
        ("'<' || TRIM('       foobar         ') || '>'", "<foobar>"),
        ("'<' || TRIM(LEADING FROM '   foobar   ') || '>'", "<foobar   >"),
        ("'<' || TRIM(TRAILING FROM '   foobar   ') || '>'", "<   foobar>"),
        ("TRIM(BOTH FROM '       foobar         ')", "foobar"),
        ("TRIM(BOTH '12' FROM '1112211foobar22211122')", "foobar"),
        ("DATE_ADD(year, 5, `2010-01-01T`)", "2015-01-01"),
        ("DATE_ADD(second, 1, `2017-01-02T03:04:05.006Z`)", "2017-01-02T03:04:06.006Z"),
        ("DATE_DIFF(month, `2010T`, `2011T`)", "12"),
        ("DATE_DIFF(day, TO_TIMESTAMP('2010-01-01T23:00Z'), `2010-01-02T01:00Z`)", "0"),
        ("EXTRACT(YEAR FROM `2010-01-01T`)", "2010"),
        ("EXTRACT(TIMEZONE_HOUR FROM `2017-01-02T03:04:05+07:08`)", "7"),
        ("EXTRACT(TIMEZONE_MINUTE FROM `2017-01-02T03:04:05+07:08`)", "8"),
        ("TO_STRING(`1969-07-20T20:18Z`, 'MMM d, yyyy')", "\"Jul 20, 1969\""),
        ("TO_STRING(`1969-07-20T20:18+08:00`, 'y-MM-dd''T''H:m:ssXXXXX')", "1969-07-20T20:18:00+08:00"),
        ("TO_TIMESTAMP('2007T')", "2007T"),
        ("TO_TIMESTAMP('2007-02-23T12:14:33.079-08:00')", "2007-02-23T12:14:33.079-08:00"),
        ("UTCNOW()", "2017-07-14T02:40:00.000Z"),
        ("`1.5` + `2`", "3.5"),
        ("`2010-01-01T` < `2011T` AND CAST('2011T' AS TIMESTAMP) = `2011-01-01T`", "true"),
        ("'2010-01-01' = CAST(`2010-01-01T` AS STRING)", "true"),
    ]);
}

#[test]
fn forms_of_csv() {
    let output = |quote_always, escape: &str| {
        Output::Csv(CsvOutput {
            quote_always,
            record_delimiter: "\r\n".into(),
            field_delimiter: ";".into(),
            quote: "'".into(),
            escape: escape.into(),
        })
    };
    let data = b"a;b,it's,\n";
    let ask = |output| answer(&query("SELECT * FROM S3Object", csv(FileHeader::None), output), data);
    assert_eq!(ask(output(false, "'")).as_deref(), Ok("'a;b';'it''s';\r\n"));
    assert_eq!(ask(output(true, "\\")).as_deref(), Ok("'a;b';'it\\'s';''\r\n"));
    let json = Output::Json { record_delimiter: "|".into() };
    assert_eq!(ask(json).as_deref(), Ok("{\"_1\":\"a;b\",\"_2\":\"it's\",\"_3\":\"\"}|"));
}
