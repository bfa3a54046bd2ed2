//! What a message says of the one connection that it came by (RFC 9110, 7.6.1), which whoever passes it on takes off.

use http::header::{self, HeaderMap, HeaderName};

/// Taken off whether or not `Connection` names it, as some name none of it.
const ALWAYS: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes off what concerns one connection only, and what `Connection` says does; but for `Host`, without which there is
/// no request, and what `added` says was put there by who passes it on: a client must not have that taken away again.
pub fn strip(headers: &mut HeaderMap, added: impl Fn(&HeaderName) -> bool) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != header::HOST && !added(name))
        .collect();
    for name in ALWAYS.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_concerns_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private,,not a name"),
            ("connection", "keep-alive, host, x-added, absent"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-private", "1"),
            ("x-private", "2"),
            ("x-added", "ours"),
            ("host", "example.com"),
            ("accept", "text/plain"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("connection", HeaderValue::from_bytes(b"\xff").unwrap());
        strip(&mut headers, |name| name.as_str() == "x-added");
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host", "x-added"]);
    }
}
