//! Percent-encoding of paths and queries, both ways.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but `A-Z a-z 0-9 - _ . ~`.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same, keeping `/`.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// Decodes `%XX`; `None` for a broken escape or for what is not UTF-8 afterwards.
pub(crate) fn decode(raw: &str) -> Option<String> {
    decode_with(raw, false)
}

/// [`decode`] with `+` optionally standing for a space.
pub(crate) fn decode_with(raw: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
                let high = digit()?;
                high << 4 | digit()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Encodes all but unreserved characters, escapes in upper case.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, STRICT).into()
}

/// [`encode`] that keeps `/`.
pub(crate) fn encode_path(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, PATH).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        for (raw, want) in [
            ("/a/.%2Fb/..%2Fc", Some("/a/./b/../c")),
            ("/dir%2Fkey", Some("/dir/key")),
            ("/a+b%20c%2B", Some("/a+b c+")),
            ("/%E6%8A%A5%e5%91%8a", Some("/报告")),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
            ("/%ff", None),
        ] {
            assert_eq!(decode(raw).as_deref(), want, "{raw}");
        }
        assert_eq!(decode_with("a+b", true).as_deref(), Some("a b"));
    }

    #[test]
    fn encoding() {
        assert_eq!(encode("a/b c~'"), "a%2Fb%20c~%27");
        assert_eq!(encode_path("照片/2020年/IMG 1"), "%E7%85%A7%E7%89%87/2020%E5%B9%B4/IMG%201");
    }
}
