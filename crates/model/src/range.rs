//! The one byte range of a `Range` header.

/// A requested range, before the size of the body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=a-b`, both ends included.
    FromTo(u64, u64),
    /// `bytes=a-`.
    From(u64),
    /// `bytes=-n`, the last n bytes.
    Last(u64),
}

impl ByteRange {
    /// Reads a `Range` header's value. `None` for what is to be ignored: another unit, several
    /// ranges, or no valid range at all (RFC 9110 14.2 lets a server ignore those, and S3 does).
    pub fn parse(value: &str) -> Option<Self> {
        let spec = value.trim().strip_prefix("bytes=")?.trim();
        let (first, last) = spec.split_once('-')?;
        let number = |s: &str| -> Option<u64> {
            let s = s.trim();
            if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Some(s.parse().unwrap_or(u64::MAX))
        };
        match (first.trim().is_empty(), last.trim().is_empty()) {
            (true, true) => None,
            (true, false) => number(last).map(Self::Last),
            (false, true) => number(first).map(Self::From),
            (false, false) => {
                let (a, b) = (number(first)?, number(last)?);
                (a <= b).then_some(Self::FromTo(a, b))
            }
        }
    }

    /// The half-open byte positions `start..end` within a body of `size` bytes;
    /// `None` when nothing of it can be satisfied (416).
    pub fn resolve(self, size: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Self::FromTo(a, b) => (a, b.saturating_add(1).min(size)),
            Self::From(a) => (a, size),
            Self::Last(n) => (size.saturating_sub(n), size),
        };
        (start < end).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::ByteRange::{self, *};

    #[test]
    fn forms() {
        for (text, want) in [
            ("bytes=0-4", Some(FromTo(0, 4))),
            ("bytes=3-", Some(From(3))),
            ("bytes=-2", Some(Last(2))),
            ("bytes=99999999999999999999-", Some(From(u64::MAX))),
            ("bytes=4-3", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
        ] {
            assert_eq!(ByteRange::parse(text), want, "{text}");
        }
    }

    #[test]
    fn resolution() {
        assert_eq!(FromTo(1, 2).resolve(5), Some((1, 3)));
        assert_eq!(FromTo(3, 99).resolve(5), Some((3, 5)));
        assert_eq!(From(5).resolve(5), None);
        assert_eq!(Last(99).resolve(5), Some((0, 5)));
        assert_eq!(Last(0).resolve(5), None);
        assert_eq!(From(0).resolve(0), None);
    }
}
