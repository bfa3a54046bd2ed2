//! Parsers as functions of any bytes, for `scripts/fuzz`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::opening::{HOST_BYTES_MAX, Opening};

/// What comes first on a connection, HAProxy's line, SOCKS or TLS: all that was not for us is there to be read again.
pub fn opening(bytes: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(bytes.len() + 1024);
        if client.write_all(bytes).await.and(client.shutdown().await).is_err() {
            return;
        }
        let Ok((opening, mut stream)) = Opening::of(server).await else { return };
        let mut rest = Vec::new();
        if stream.read_to_end(&mut rest).await.is_err() {
            return;
        }
        assert!(bytes.ends_with(&rest));
        match opening {
            Opening::To { target, .. } => {
                assert!(!target.host.is_empty() && target.host.len() <= HOST_BYTES_MAX);
            }
            Opening::Tls(_) | Opening::Plain => assert_eq!(rest, bytes),
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_connections() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 10.0.0.1 db.test 1 5432\r\nrest",
            b"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50rest",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            b"",
        ] {
            super::opening(bytes);
        }
    }
}
