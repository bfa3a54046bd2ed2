//! Requests to origins, in place of those of clients, and their answers (cos-api 6.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cosette_model::{Attributes, ByteRange, OriginRequest, OriginUrl, Sent};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, HeaderMap, HeaderName,
    HeaderValue, RANGE, USER_AGENT, VIA,
};
use http::{Request, Uri};

use crate::DialectName;
use crate::auth::cos;
use crate::header::{self, Headers};
use crate::path;
use crate::query::Query;
use crate::request::METADATA_BYTES_MAX;

/// Headers that no origin hears of, besides [`OURS`]: who asks, and what is answered here, as the object is not the
/// client's alone.
const KEPT_BACK: [&str; 10] = [
    "authorization",
    "content-md5",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "proxy-authorization",
    "x-amz-content-sha256",
];

/// What signs a query, besides COS's seven fields and everything that begins with `x-cos-` or `x-amz-`.
const SIGNING: [&str; 4] = ["sign", "awsaccesskeyid", "signature", "expires"];

/// A request as it came.
pub(crate) struct AsSent {
    headers: Arc<Headers>,
    query: Arc<Query>,
    secure: bool,
}

impl AsSent {
    pub(crate) fn new(headers: Arc<Headers>, query: Arc<Query>, secure: bool) -> Self {
        Self { headers, query, secure }
    }
}

impl std::fmt::Debug for AsSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsSent")
    }
}

/// What signs a URL counts as headers as well, where it begins as theirs do.
const SIGNING_HEADERS: [&str; 6] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// What no rule may add to a request: where it ends and how it came is not for a rule to say.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn kept_back(name: &str) -> bool {
    OURS.contains(&name)
        || KEPT_BACK.contains(&name)
        || SIGNING_HEADERS.contains(&name)
        || name.ends_with("-security-token")
        || name.contains("-customer-")
}

/// The header that a rule adds to requests, if it can be one and is not ours to set.
pub(crate) fn added(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
    (!OURS.contains(&name.as_str())).then_some((name, value))
}

impl Sent for AsSent {
    fn headers(&self) -> Vec<(String, String)> {
        // An encoding that one client takes is not for all that come after; where a rule names this header
        // it is meant.
        let all = self.headers.all().flatten().filter(|(name, _)| *name != "accept-encoding");
        all.filter(|(name, _)| !kept_back(name)).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    fn header(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        if kept_back(&name) {
            return None;
        }
        self.headers.get(&name).ok().flatten().map(str::to_owned)
    }

    fn query(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.query.pairs() {
            let low = name.to_ascii_lowercase();
            let signs = SIGNING.contains(&&*low) || cos::FIELDS.contains(&&*low);
            if signs || low.starts_with("x-cos-") || low.starts_with("x-amz-") {
                continue;
            }
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&path::encode(name));
            if !value.is_empty() {
                text.push('=');
                text.push_str(&path::encode(value));
            }
        }
        text
    }

    fn secure(&self) -> bool {
        self.secure
    }

    fn via(&self) -> String {
        self.headers.get("via").ok().flatten().unwrap_or_default().to_owned()
    }
}

/// As a client is sent there.
pub(crate) fn url(url: &OriginUrl) -> String {
    let scheme = if url.secure { "https" } else { "http" };
    let mark = if url.query.is_empty() { "" } else { "?" };
    format!("{scheme}://{}{}{mark}{}", url.host, path::encode_path(&url.path), url.query)
}

/// The request for an origin; `None` if a rule makes of it what is none.
pub fn origin_request(asked: &OriginRequest) -> Option<Request<Bytes>> {
    let mut request = Request::get(url(&asked.url)).body(Bytes::new()).ok()?;
    let headers = request.headers_mut();
    for (name, value) in &asked.headers {
        if let Some((name, value)) = added(name, value) {
            headers.insert(name, value);
        }
    }
    let agent = HeaderValue::from_static(concat!("cosette/", env!("CARGO_PKG_VERSION")));
    headers.entry(USER_AGENT).or_insert(agent);
    if let Ok(via) = HeaderValue::from_bytes(asked.via.as_bytes()) {
        headers.insert(VIA, via);
    }
    let range = match asked.range {
        Some(ByteRange::FromTo(first, last)) => format!("bytes={first}-{last}"),
        Some(ByteRange::From(first)) => format!("bytes={first}-"),
        Some(ByteRange::Last(count)) => format!("bytes=-{count}"),
        None => return Some(request),
    };
    request.headers_mut().insert(RANGE, HeaderValue::from_str(&range).ok()?);
    Some(request)
}

/// What of an answer is kept with the object (guide 436/31508); `None` if it has more metadata than an object may.
pub fn origin_attributes(headers: &HeaderMap) -> Option<Attributes> {
    let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).ok();
    let get = |name: HeaderName| headers.get(name).and_then(text).filter(|value| !value.is_empty());
    let mut user = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        if let (Some(name), Some(value)) =
            (name.as_str().strip_prefix(header::META.of(DialectName::Cos)), text(value))
            && !name.is_empty()
        {
            // As those of a client that sends one twice.
            user.entry(name.to_owned())
                .and_modify(|before| before.extend([",", value.as_str()]))
                .or_insert_with(|| value.clone());
        }
    }
    let bytes: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    (bytes <= METADATA_BYTES_MAX).then(|| Attributes {
        content_type: get(CONTENT_TYPE),
        cache_control: get(CACHE_CONTROL),
        content_disposition: get(CONTENT_DISPOSITION),
        content_encoding: get(CONTENT_ENCODING),
        expires: get(EXPIRES),
        user,
        ..Attributes::default()
    })
}

/// Where an answer of `from` sends on to; `None` if that is no http URL.
/// `decode`: its path is taken as decoded, and encoded anew.
pub fn origin_redirection(from: &Uri, location: &str, decode: bool) -> Option<OriginUrl> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let whole = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"))
        || location.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    {
        location.to_owned()
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let whole = whole.split('#').next().unwrap_or_default();
    let (scheme, rest) = whole.split_once("://")?;
    let (host, target) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (raw, query) = target.split_once('?').unwrap_or((target, ""));
    let raw = if raw.is_empty() { "/" } else { raw };
    let path = if decode { raw.to_owned() } else { path::decode(raw)? };
    let secure = scheme.eq_ignore_ascii_case("https");
    Some(OriginUrl { secure, host: host.to_owned(), path, query: query.to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::OnRedirection;

    use super::*;

    fn sent(headers: &[(&'static str, &'static str)], query: &str) -> AsSent {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let query = Query::parse(query).unwrap();
        let headers = Headers::new(&map.collect(), &query, DialectName::Cos);
        AsSent::new(Arc::new(headers), query.into(), false)
    }

    #[test]
    fn what_proves_who_asks_is_not_passed_on() {
        let sent = sent(
            &[
                ("authorization", "q-sign-algorithm=sha1&q-signature=secret"),
                ("host", "b-1.cos.ap-guangzhou.myqcloud.com"),
                ("x-cos-security-token", "secret"),
                ("x-cos-server-side-encryption-customer-key", "secret"),
                ("range", "bytes=0-1"),
                ("if-none-match", "*"),
                ("accept-encoding", "gzip"),
                ("cookie", "a=b"),
                ("x-tenant", "7"),
                ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ],
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID&X-Amz-Date=d&X-Amz-Expires=60\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=secret&X-Amz-Security-Token=secret&q-ak=AKID&q-signature=secret&x-cos-security-token=secret&Signature=s&v=1%202&flag&w=%E7%85%A7",
        );
        let mut headers = sent.headers();
        headers.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [pair("cookie", "a=b"), pair("x-tenant", "7")]);
        assert_eq!(sent.header("Accept-Encoding").as_deref(), Some("gzip"));
        assert_eq!(sent.header("Authorization"), None);
        assert_eq!(sent.header("X-Amz-Signature"), None);
        assert_eq!(sent.query(), "v=1%202&flag&w=%E7%85%A7");
    }

    #[test]
    fn a_request_has_its_path_encoded_and_its_headers_last_word_from_the_rule() {
        let asked = OriginRequest {
            url: OriginUrl {
                secure: false,
                host: "[::1]:8080".into(),
                path: "/a b/照%.jpg".into(),
                query: "v=1".into(),
            },
            headers: vec![
                ("X-One".into(), "client".into()),
                ("x-one".into(), "rule".into()),
                ("bad name".into(), "x".into()),
                ("x-bad".into(), "a\r\nb: c".into()),
                ("Content-Length".into(), "50".into()),
                ("Transfer-Encoding".into(), "chunked".into()),
            ],
            range: Some(ByteRange::Last(5)),
            on_redirection: OnRedirection::Stop,
            via: "1.1 x".into(),
        };
        let request = origin_request(&asked).unwrap();
        assert_eq!(request.uri().to_string(), "http://[::1]:8080/a%20b/%E7%85%A7%25.jpg?v=1");
        assert_eq!(request.headers()["x-one"], "rule");
        assert_eq!(request.headers()["range"], "bytes=-5");
        assert_eq!(request.headers().len(), 4, "{:?}", request.headers());
    }

    #[test]
    fn redirections_lead_where_they_say() {
        let from: Uri = "http://a:80/dir/file?x".parse().unwrap();
        let to = |location| origin_redirection(&from, location, false).map(|to| url(&to));
        for (location, want) in [
            ("https://b/c?d=%20", "https://b/c?d=%20"),
            ("HTTP://b", "http://b/"),
            ("//b/c#part", "http://b/c"),
            ("/c%20d", "http://a:80/c%20d"),
            ("c", "http://a:80/dir/c"),
            ("https://b?d", "https://b/?d"),
        ] {
            assert_eq!(to(location).as_deref(), Some(want), "{location}");
        }
        assert_eq!(to("/%zz"), None);
        let anew = origin_redirection(&from, "/50%25 照", true).unwrap();
        assert_eq!(url(&anew), "http://a:80/50%2525%20%E7%85%A7");
    }

    #[test]
    fn only_some_headers_stay_with_the_object() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/plain"),
            ("expires", "0"),
            ("x-cos-meta-a", "1"),
            ("x-amz-meta-b", "2"),
            ("set-cookie", "c"),
            ("content-language", "de"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.append("x-cos-meta-a", HeaderValue::from_static("2"));
        let kept = origin_attributes(&headers).unwrap();
        let wanted = Attributes {
            content_type: Some("text/plain".into()),
            expires: Some("0".into()),
            user: [("a".to_owned(), "1,2".to_owned())].into(),
            ..Attributes::default()
        };
        assert_eq!(kept, wanted);
        let much = "x".repeat(METADATA_BYTES_MAX);
        headers.insert("x-cos-meta-b", HeaderValue::from_str(&much).unwrap());
        assert_eq!(origin_attributes(&headers), None);
    }
}
