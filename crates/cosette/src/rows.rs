//! Rows of the server's answers: asked for by name, shown a line each.

use std::io::Write;

use serde_json::Value;

use crate::exit::Failure;

/// A name as a query carries it.
pub(crate) fn quoted(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

/// Names and values as a query.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    pairs.join("&")
}

/// Prints them: as they are, or in words.
pub(crate) fn show(rows: &[Value], json: bool, words: impl Fn(&Value) -> String) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for row in rows {
        if json {
            writeln!(out, "{row}")?;
        } else {
            writeln!(out, "{}", words(row))?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a b&c"), "a%20b%26c");
    }
}
