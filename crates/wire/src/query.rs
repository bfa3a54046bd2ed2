//! A query string, decoded: `+` is a space here (never in paths), a parameter without `=` has
//! an empty value, and order is kept.

use cosette_model::{Error, ErrorCode};
use http::Uri;

use crate::path;

/// Decoded parameters in the order of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let decode =
            |text: &str| path::decode_with(text, true).ok_or_else(|| Error::new(ErrorCode::InvalidUri));
        let mut pairs = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value under this exact name, which may be empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Like [`get`](Self::get), for names clients write in any case (cos-api 3.4).
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value under this name unless it is absent or empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// What a log does not show of a query: whoever has it could use it. Names in lower case; all signatures and
/// tokens that a presigned URL has (SigV4, V2, COS's own in both its forms).
const HIDDEN: &[&str] =
    &["x-amz-signature", "x-amz-security-token", "signature", "q-signature", "x-cos-security-token", "sign"];

/// Path and query as they came, for logs: without signatures and tokens, and without the keys of customers,
/// which clients that presign move from headers to the query.
pub fn logged_target(uri: &Uri) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else { return path.to_owned() };
    let shown = |part: &str| {
        let name = part.split_once('=').map_or(part, |(name, _)| name);
        let read = path::decode_with(name, true).unwrap_or_default().to_ascii_lowercase();
        let hidden = HIDDEN.contains(&read.as_str()) || read.ends_with("server-side-encryption-customer-key");
        if hidden && part.contains('=') { format!("{name}=-") } else { part.to_owned() }
    };
    let parts: Vec<_> = query.split('&').map(shown).collect();
    format!("{path}?{}", parts.join("&"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_log_has_what_opens_something() {
        for (target, want) in [
            ("/k", "/k"),
            ("/k?", "/k?"),
            ("/k?a=%20&&b", "/k?a=%20&&b"),
            (
                "/k?X-Amz-Server-Side-Encryption-Customer-Key=c2VjcmV0&x=1",
                "/k?X-Amz-Server-Side-Encryption-Customer-Key=-&x=1",
            ),
            (
                "/k?x-cos-copy-source-server%2Dside-encryption-customer-key=c2VjcmV0",
                "/k?x-cos-copy-source-server%2Dside-encryption-customer-key=-",
            ),
            (
                "/k?X-Amz-Date=1&X-Amz-Security-Token=t%3D&X-Amz-Signature=ab12&X-Amz-SignedHeaders=host",
                "/k?X-Amz-Date=1&X-Amz-Security-Token=-&X-Amz-Signature=-&X-Amz-SignedHeaders=host",
            ),
            (
                "/k?AWSAccessKeyId=AKID&Signature=s%2B&Expires=1",
                "/k?AWSAccessKeyId=AKID&Signature=-&Expires=1",
            ),
            (
                "/k?q-sign-algorithm=sha1&q-ak=A&q-signature=00ff&x%2dcos-security-token=t",
                "/k?q-sign-algorithm=sha1&q-ak=A&q-signature=-&x%2dcos-security-token=-",
            ),
            ("/k?sign=q-sign-algorithm%3Dsha1%26q-signature%3D00", "/k?sign=-"),
            ("/k?signature", "/k?signature"),
            (
                "/k?x-amz-server-side-encryption-customer-key-MD5=d",
                "/k?x-amz-server-side-encryption-customer-key-MD5=d",
            ),
        ] {
            assert_eq!(logged_target(&target.parse().unwrap()), want);
        }
    }

    #[test]
    fn plus_is_space_and_missing_value_is_empty() {
        let query = Query::parse("prefix=%E7%85%A7%E7%89%87%2F2024+a&acl&marker=&a=1=2&&x=%2B").unwrap();
        assert_eq!(query.get("prefix"), Some("照片/2024 a"));
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.filled("marker"), None);
        assert_eq!(query.get("a"), Some("1=2"));
        assert_eq!(query.get("x"), Some("+"));
        assert_eq!(query.get_any_case("PREFIX"), query.get("prefix"));
        assert_eq!(query.pairs().count(), 5);
    }

    #[test]
    fn bad_escapes_are_refused() {
        for bad in ["a=%", "a=%g0", "%zz", "a=%ff"] {
            assert_eq!(Query::parse(bad).unwrap_err().code, ErrorCode::InvalidUri, "{bad}");
        }
    }
}
