//! The case of response header names. COS's SDKs look `ETag` or `Last-Modified` up by exactly
//! that spelling and `x-cos-*` in lower case (cos-api 9.1).
//!
//! hyper writes lower case, unless a message carries its private case map, which only hyper's
//! own parser makes. So at start-up hyper's client reads one canned response with the wanted
//! spellings, and the extensions of that response go into every response we send.

use http::Extensions;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use bytes::Bytes;

/// The case map, in the form hyper's server takes it back.
#[derive(Clone)]
pub(crate) struct Spelling(Extensions);

impl Spelling {
    /// # Errors
    /// When hyper's client cannot read the canned response: a fault of this build.
    pub(crate) async fn learn(names: &[&str]) -> std::io::Result<Self> {
        let (near, mut far) = tokio::io::duplex(16 << 10);
        let mut canned = String::from("HTTP/1.1 200 OK\r\n");
        for name in names {
            // Two framing headers in one message would be refused; the value is of no matter.
            let value = match *name {
                "Content-Length" => "0",
                "Transfer-Encoding" => continue,
                "Connection" => "close",
                _ => "x",
            };
            canned.push_str(&format!("{name}: {value}\r\n"));
        }
        canned.push_str("\r\n");
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(near))
            .await
            .map_err(std::io::Error::other)?;
        let answer = async {
            // The request must have come before its answer, or the client takes it for noise.
            let mut request = [0_u8; 1024];
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                match far.read(&mut request).await? {
                    0 => break,
                    n => seen.extend_from_slice(&request[..n]),
                }
            }
            far.write_all(canned.as_bytes()).await?;
            far.shutdown().await
        };
        let request = http::Request::new(Empty::new());
        let (response, _, answered) = tokio::join!(sender.send_request(request), connection, answer);
        answered?;
        let (parts, _) = response.map_err(std::io::Error::other)?.into_parts();
        Ok(Self(parts.extensions))
    }

    pub(crate) fn apply(&self, extensions: &mut Extensions) {
        extensions.extend(self.0.clone());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use hyper::service::service_fn;

    use super::*;

    #[tokio::test]
    async fn names_leave_as_they_were_learned() {
        let spelling =
            Spelling::learn(&["ETag", "Last-Modified", "Content-Type", "Content-Length"]).await.unwrap();
        let (near, mut far) = tokio::io::duplex(16 << 10);
        let service = service_fn(|_| {
            let mut response = Response::new(http_body_util::Full::new(Bytes::from_static(b"body")));
            response.headers_mut().insert("etag", http::HeaderValue::from_static("\"x\""));
            response.headers_mut().insert("x-cos-request-id", http::HeaderValue::from_static("id"));
            spelling.apply(response.extensions_mut());
            async { Ok::<_, Infallible>(response) }
        });
        let server = hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(near), service);
        let client = async {
            far.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut text = String::new();
            far.read_to_string(&mut text).await.unwrap();
            text
        };
        let (served, text) = tokio::join!(server, client);
        served.unwrap();
        for line in ["ETag: \"x\"", "x-cos-request-id: id", "Content-Length: 4"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
