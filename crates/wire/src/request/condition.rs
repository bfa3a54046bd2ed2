//! Preconditions in headers: entity tags and dates.

use std::time::UNIX_EPOCH;

use cosette_model::op::{Conditions, TagMatch, WriteConditions};
use cosette_model::{ETag, Error, Timestamp};

use crate::header::{self, Headers};

/// An HTTP date in any of its three forms; what is none counts as absent (RFC 9110 13.1.3).
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(since.as_secs()))
}

pub(super) fn tags(text: &str) -> TagMatch {
    if text == "*" {
        return TagMatch::Any;
    }
    TagMatch::Tags(text.split(',').map(ETag::parse).collect())
}

/// Conditions of a read.
pub(super) fn read(headers: &Headers) -> Result<Conditions, Error> {
    Ok(Conditions {
        if_match: headers.get("if-match")?.map(tags),
        if_none_match: headers.get("if-none-match")?.map(tags),
        if_modified_since: headers.get("if-modified-since")?.and_then(http_date),
        if_unmodified_since: headers.get("if-unmodified-since")?.and_then(http_date),
    })
}

/// Conditions on what a copy reads.
pub(super) fn source(headers: &Headers) -> Result<Conditions, Error> {
    Ok(Conditions {
        if_match: headers.concept(header::COPY_SOURCE_IF_MATCH)?.map(tags),
        if_none_match: headers.concept(header::COPY_SOURCE_IF_NONE_MATCH)?.map(tags),
        if_modified_since: headers.concept(header::COPY_SOURCE_IF_MODIFIED_SINCE)?.and_then(http_date),
        if_unmodified_since: headers.concept(header::COPY_SOURCE_IF_UNMODIFIED_SINCE)?.and_then(http_date),
    })
}

/// The condition on what a delete removes.
pub(super) fn of_current(headers: &Headers) -> Result<Option<TagMatch>, Error> {
    Ok(headers.get("if-match")?.map(tags))
}

/// Conditions on what a write replaces.
pub(super) fn write(headers: &Headers) -> Result<WriteConditions, Error> {
    Ok(WriteConditions {
        if_match: headers.get("if-match")?.map(tags),
        if_none_match: headers.get("if-none-match")?.map(tags),
        forbid_overwrite: headers
            .concept(header::FORBID_OVERWRITE)?
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_are_none_are_ignored() {
        let at = Some(Timestamp::from_secs(784_111_777));
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", at),
            ("Sunday, 06-Nov-94 08:49:37 GMT", at),
            ("Sun Nov  6 08:49:37 1994", at),
            ("yesterday", None),
            ("1994-11-06T08:49:37Z", None),
        ] {
            assert_eq!(http_date(text), want, "{text}");
        }
    }

    #[test]
    fn tags_come_in_lists_and_without_quotes() {
        let two = TagMatch::Tags(vec![ETag::parse("a"), ETag::parse("b")]);
        assert_eq!(tags("\"a\", W/\"b\""), two);
        assert_eq!(tags("a,b"), two);
        assert_eq!(tags("*"), TagMatch::Any);
    }
}
