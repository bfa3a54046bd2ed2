//! Where a URL leads: the domain, and the name under which the edge keeps what is there.

use percent_encoding::percent_decode_str;

use crate::domain;
use crate::error::Error;

/// Longest URL taken, in bytes.
const URL_MAX: usize = 4096;

/// A thing on a domain. Its path is decoded, as a bucket reads it: `%e4%bd%a0`, `%E4%BD%A0` and the letters
/// themselves are one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) domain: String,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<String>,
}

impl Place {
    /// `path` and `query` as in a request.
    pub(crate) fn of(domain: &str, path: &str, query: Option<&str>) -> Self {
        Self {
            domain: domain.to_owned(),
            path: percent_decode_str(path).collect(),
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
        }
    }

    /// # Errors
    /// `Invalid` for what is no URL of a thing, `Wildcard` for one of many domains.
    pub(crate) fn read(url: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Invalid(format!("{url} {why}"));
        if url.len() > URL_MAX {
            return Err(Error::Invalid(format!("a URL has at most {URL_MAX} bytes")));
        }
        let scheme =
            |scheme: &str| url.get(..scheme.len()).is_some_and(|got| got.eq_ignore_ascii_case(scheme));
        let rest = match ["http://", "https://"].into_iter().find(|name| scheme(name)) {
            Some(name) => &url[name.len()..],
            None => return Err(bad("does not begin with http:// or https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (host, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.contains('*') {
            return Err(Error::Wildcard(url.to_owned()));
        }
        let (name, port) = host.split_once(':').unwrap_or((host, "80"));
        let name = name.to_ascii_lowercase();
        if !domain::is_name(&name) || port.parse::<u16>().is_err() {
            return Err(bad("names no domain"));
        }
        if after.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(bad("has spaces in it"));
        }
        let (path, query) = after.split_once('?').map_or((after, None), |(path, query)| (path, Some(query)));
        Ok(Self::of(&name, if path.is_empty() { "/" } else { path }, query))
    }

    /// The path as text, for rules.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    /// The path and the query as a request has them.
    pub(crate) fn target(&self) -> String {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
        const KEPT: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let path = percent_encode(&self.path, KEPT);
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_however_it_is_written() {
        let want =
            Place { domain: "a.example.com".into(), path: "/x y/\u{4f60}".into(), query: Some("v=1".into()) };
        for url in [
            "http://a.example.com/x%20y/%E4%BD%A0?v=1",
            "HTTPS://A.Example.com:443/x%20y/%e4%bd%a0?v=1#part",
            "https://a.example.com/x%20y/\u{4f60}?v=1",
        ] {
            assert_eq!(Place::read(url).unwrap(), want, "{url}");
        }
        assert_eq!(want.target(), "/x%20y/%E4%BD%A0?v=1");
        assert_eq!(Place::read("http://a.b").unwrap(), Place::of("a.b", "/", None));
        assert_eq!(Place::read("http://a.b?x").unwrap(), Place::of("a.b", "/", Some("x")));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let long = format!("http://a.b/{}", "x".repeat(URL_MAX));
        for url in [
            "",
            "a.b/c",
            "ftp://a.b/c",
            "http://",
            "http:///c",
            "http://a/c",
            "http://a.b:x/",
            "http://a.b/c d",
            "http://u@a.b/",
            &long,
        ] {
            assert!(matches!(Place::read(url), Err(Error::Invalid(_))), "{url}");
        }
        assert!(matches!(Place::read("http://*.a.b/"), Err(Error::Wildcard(_))));
    }
}
