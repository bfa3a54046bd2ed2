//! Timestamps by a pattern (`TO_STRING`), with the symbols of the services' SQL reference.

use std::fmt::Write;

use cosette_model::{Error, ErrorCode};

use crate::moment::Moment;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Symbols are runs of one letter; text stands in single quotes, which are doubled to mean themselves;
/// what is no letter stands for itself.
pub(crate) fn format(moment: &Moment, pattern: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        let run = rest.len() - rest.trim_start_matches(first).len();
        let run = if first.is_ascii_alphabetic() { run } else { first.len_utf8() };
        let (symbol, after) = rest.split_at(run);
        rest = after;
        if first.is_ascii_alphabetic() {
            field(moment, symbol, &mut out)?;
        } else {
            out.push_str(symbol);
        }
    }
    Ok(out)
}

/// Text up to the closing quote; what is behind it.
fn quoted<'a>(mut rest: &'a str, out: &mut String) -> Result<&'a str, Error> {
    // Two at once are one quote.
    if let Some(after) = rest.strip_prefix('\'') {
        out.push('\'');
        return Ok(after);
    }
    loop {
        let end = rest.find('\'').ok_or(ErrorCode::EvaluatorUnterminatedTimestampFormatPatternToken)?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Ok(rest),
        }
    }
}

fn field(moment: &Moment, symbol: &str, out: &mut String) -> Result<(), Error> {
    let (date, time) = (moment.local.date(), moment.local.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let month_name = MONTHS[usize::from(month.clamp(1, 12) - 1)];
    let hour = time.hour();
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    // Writing to a text cannot fail.
    let _ = match symbol {
        "y" => write!(out, "{year}"),
        "yy" => write!(out, "{:02}", year % 100),
        "yyyy" => write!(out, "{year:04}"),
        "M" => write!(out, "{month}"),
        "MM" => write!(out, "{month:02}"),
        "MMM" => write!(out, "{}", &month_name[..3]),
        "MMMM" => write!(out, "{month_name}"),
        "MMMMM" => write!(out, "{}", &month_name[..1]),
        "d" => write!(out, "{day}"),
        "dd" => write!(out, "{day:02}"),
        "a" => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
        "h" => write!(out, "{twelve}"),
        "hh" => write!(out, "{twelve:02}"),
        "H" => write!(out, "{hour}"),
        "HH" => write!(out, "{hour:02}"),
        "m" => write!(out, "{}", time.minute()),
        "mm" => write!(out, "{:02}", time.minute()),
        "s" => write!(out, "{}", time.second()),
        "ss" => write!(out, "{:02}", time.second()),
        "n" => write!(out, "{}", time.nanosecond()),
        _ if symbol.starts_with('S') && symbol.len() <= 9 => {
            let nanos = format!("{:09}", time.nanosecond());
            write!(out, "{}", &nanos[..symbol.len()])
        }
        "X" | "XX" | "XXX" | "XXXX" | "XXXXX" if moment.offset.unwrap_or(0) == 0 => write!(out, "Z"),
        "X" | "XX" | "XXX" | "XXXX" | "XXXXX" | "x" | "xx" | "xxx" | "xxxx" | "xxxxx" => {
            let offset = moment.offset.unwrap_or(0);
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            match symbol.len() {
                1 if minutes == 0 => write!(out, "{sign}{hours:02}"),
                1 | 2 | 4 => write!(out, "{sign}{hours:02}{minutes:02}"),
                _ => write!(out, "{sign}{hours:02}:{minutes:02}"),
            }
        }
        _ if matches!(
            &symbol[..1],
            "y" | "M" | "d" | "a" | "h" | "H" | "m" | "s" | "S" | "n" | "X" | "x"
        ) =>
        {
            return Err(ErrorCode::EvaluatorInvalidTimestampFormatPatternToken.into());
        }
        _ => return Err(ErrorCode::EvaluatorInvalidTimestampFormatPatternSymbol.into()),
    };
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Those of the S3 user guide's page on TO_STRING, but for the one whose timestamp is none.
    #[test]
    fn the_guides_examples() {
        for (when, pattern, want) in [
            ("1969-07-20T20:18Z", "MMMM d, y", "July 20, 1969"),
            ("1969-07-20T20:18Z", "MMM d, yyyy", "Jul 20, 1969"),
            ("1969-07-20T20:18Z", "M-d-yy", "7-20-69"),
            ("1969-07-20T20:18Z", "MM-d-y", "07-20-1969"),
            ("1969-07-20T20:18Z", "MMMM d, y h:m a", "July 20, 1969 8:18 PM"),
            ("1969-07-20T20:18Z", "y-MM-dd'T'H:mm:ssX", "1969-07-20T20:18:00Z"),
            ("1969-07-20T20:18+08:00", "y-MM-dd'T'H:m:ssXXXX", "1969-07-20T20:18:00+0800"),
            ("1969-07-20T20:18+08:00", "y-MM-dd'T'H:m:ssXXXXX", "1969-07-20T20:18:00+08:00"),
            ("1969-07-20T20:18Z", "x", "+00"),
            ("1969-07-20T00:05:07.25Z", "hh 'o''clock' SSS ''", "12 o'clock 250 '"),
        ] {
            assert_eq!(format(&Moment::parse(when).unwrap(), pattern).unwrap(), want, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        use ErrorCode::*;
        for (pattern, want) in [
            ("yyyyyyy", EvaluatorInvalidTimestampFormatPatternToken),
            ("q", EvaluatorInvalidTimestampFormatPatternSymbol),
            ("'open", EvaluatorUnterminatedTimestampFormatPatternToken),
        ] {
            assert_eq!(format(&Moment::parse("2000T").unwrap(), pattern).unwrap_err().code, want);
        }
    }
}
