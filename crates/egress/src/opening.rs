//! What a connection says of where it wants to, before anybody has said what it is: TLS, HTTP, SOCKS, each maybe after a
//! line of HAProxy's protocol.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// The first bytes must have come within this time, in real time.
const PATIENCE: Duration = Duration::from_secs(30);
/// A TLS client's first message; browsers with post-quantum keys need about 2 KiB.
const HELLO_BYTES_MAX: usize = 64 << 10;
/// A line of HAProxy's protocol, version 1 ("The PROXY protocol", 2.1).
/// A name may be longer than its addresses.
const LINE_BYTES_MAX: usize = 107 + HOST_BYTES_MAX;

/// Of a host's name, in SOCKS and in DNS.
pub(crate) const HOST_BYTES_MAX: usize = 255;

/// The alert `access_denied` (RFC 8446, 6.2): the only thing that can be said to a TLS client without a certificate.
pub const TLS_DENIED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

/// What comes first on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// TLS for this name, if it names one.
    Tls(Option<String>),
    /// Where to, in a line of HAProxy's protocol (whose target may be a name here) or, if it `waits` for
    /// [`socks_done`] or [`socks_refused`], in SOCKS 5 (RFC 1928). What is said there comes next.
    To { target: Target, waits: bool },
    /// Anything else: HTTP, if anything.
    Plain,
}

/// Where a connection wants to. An IPv6 address has no brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
}

impl Opening {
    /// Looks at what comes first. The stream gives these bytes again, but for those that were meant for us.
    ///
    /// # Errors
    /// The connection ends, or nothing comes in time.
    pub async fn of<S>(stream: S) -> io::Result<(Self, Rewound<S>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        timeout(PATIENCE, Self::read(stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn read<S>(stream: S) -> io::Result<(Self, Rewound<S>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = Rewound { seen: Vec::new(), at: 0, stream };
        stream.more().await?;
        // No method of HTTP begins so.
        const LINE: &[u8] = b"PROXY ";
        while stream.seen.len() < LINE.len() && LINE.starts_with(&stream.seen) {
            stream.more().await?;
        }
        let opening = match stream.seen[0] {
            0x16 => Self::Tls(stream.hello().await?),
            5 => Self::To { target: stream.socks().await?, waits: true },
            _ if stream.seen.starts_with(LINE) => Self::To { target: stream.line().await?, waits: false },
            _ => Self::Plain,
        };
        Ok((opening, stream))
    }
}

/// A stream whose first bytes have been read and are read again.
#[derive(Debug)]
pub struct Rewound<S> {
    seen: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Rewound<S> {
    /// Reads on.
    async fn more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.seen.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }

    /// The first `n` bytes, taken away.
    async fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.seen.len() < n {
            self.more().await?;
        }
        Ok(self.seen.drain(..n).collect())
    }

    /// HAProxy's line, taken away: `PROXY TCP4 FROM TO PORT PORT`.
    async fn line(&mut self) -> io::Result<Target> {
        let end = loop {
            match self.seen.iter().position(|byte| *byte == b'\n') {
                Some(end) => break end + 1,
                None if self.seen.len() > LINE_BYTES_MAX => return Err(io::ErrorKind::InvalidData.into()),
                None => self.more().await?,
            }
        };
        let line = self.take(end).await?;
        let words: Vec<&str> = text(&line)?.split_whitespace().collect();
        match words[..] {
            [_, "TCP4" | "TCP6", _, host, _, port] => {
                let port = port.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                Ok(Target { host: readable(host)?, port })
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The name in a TLS client's first message.
    async fn hello(&mut self) -> io::Result<Option<String>> {
        let mut acceptor = Acceptor::default();
        let mut fed = 0;
        loop {
            while fed < self.seen.len() {
                fed += acceptor.read_tls(&mut &self.seen[fed..])?;
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(accepted.client_hello().server_name().map(str::to_owned)),
                Ok(None) if self.seen.len() > HELLO_BYTES_MAX => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(None) => self.more().await?,
                Err((error, _)) => return Err(io::Error::other(error)),
            }
        }
    }

    /// SOCKS 5 up to its request (RFC 1928, 3 and 4), without authentication.
    async fn socks(&mut self) -> io::Result<Target> {
        let methods = usize::from(self.take(2).await?[1]);
        self.take(methods).await?;
        self.stream.write_all(&[5, 0]).await?;
        let head = self.take(4).await?;
        let host = match head[3] {
            1 => {
                let bytes: [u8; 4] = self.array().await?;
                Ipv4Addr::from(bytes).to_string()
            }
            3 => {
                let length = usize::from(self.take(1).await?[0]);
                readable(text(&self.take(length).await?)?)?
            }
            4 => {
                let bytes: [u8; 16] = self.array().await?;
                Ipv6Addr::from(bytes).to_string()
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let port = u16::from_be_bytes(self.array().await?);
        if head[..2] != [5, 1] {
            // Command not supported: nobody can be waited for, and no datagrams.
            self.stream.write_all(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Target { host, port })
    }

    async fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.take(N).await?;
        bytes.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// A host's name as it can be shown: it goes to logs, a line each.
fn readable(host: &str) -> io::Result<String> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if host.is_empty() || host.len() > HOST_BYTES_MAX || host.contains(odd) {
        Err(io::ErrorKind::InvalidData.into())
    } else {
        Ok(host.to_owned())
    }
}

/// Says to a SOCKS client that it is connected.
///
/// # Errors
/// The connection has ended.
pub async fn socks_done<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

/// Says to a SOCKS client that it may not be.
///
/// # Errors
/// The connection has ended.
pub async fn socks_refused<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.at < this.seen.len() {
            let n = into.remaining().min(this.seen.len() - this.at);
            into.put_slice(&this.seen[this.at..this.at + n]);
            this.at += n;
            if this.at == this.seen.len() {
                (this.seen, this.at) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn opened(bytes: &[u8]) -> io::Result<(Opening, String)> {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        // In pieces, as a network has them.
        for piece in bytes.chunks(3) {
            client.write_all(piece).await.unwrap();
        }
        client.shutdown().await.unwrap();
        let (opening, mut stream) = Opening::of(server).await?;
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        Ok((opening, rest))
    }

    fn to(host: &str, port: u16, waits: bool) -> Opening {
        Opening::To { target: Target { host: host.into(), port }, waits }
    }

    #[tokio::test]
    async fn http_is_read_again() {
        assert_eq!(
            opened(b"PUT / HTTP/1.1\r\n").await.unwrap(),
            (Opening::Plain, "PUT / HTTP/1.1\r\n".into())
        );
        let (opening, rest) =
            opened(b"PROXY TCP4 10.0.0.1 db.test 1 5432\r\nPUT / HTTP/1.1\r\n").await.unwrap();
        assert_eq!((opening, rest.as_str()), (to("db.test", 5432, false), "PUT / HTTP/1.1\r\n"));
        assert!(opened(b"PROXY x\r\n").await.is_err());
        assert!(opened(b"").await.is_err());
        assert!(opened(&[b"PROXY ".as_slice(), &[b'a'; 500]].concat()).await.is_err());
        // A name that is no text, and one that is longer than any.
        assert!(opened(b"PROXY TCP4 1 \xff 1 5432\r\n").await.is_err());
        for (length, is_taken) in [(HOST_BYTES_MAX, true), (HOST_BYTES_MAX + 1, false)] {
            let line = format!("PROXY TCP4 1 {} 1 5432\r\n", "a".repeat(length));
            assert_eq!(opened(line.as_bytes()).await.is_ok(), is_taken);
        }
    }

    #[tokio::test]
    async fn a_name_in_socks() {
        let bytes = [b"\x05\x01\x00\x05\x01\x00\x03\x09localhost\x15\x38".as_slice(), b"hello"].concat();
        let (opening, rest) = opened(&bytes).await.unwrap();
        assert_eq!((opening, rest.as_str()), (to("localhost", 5432, true), "hello"));
        // What would be more than a line of a log.
        assert!(opened(b"\x05\x01\x00\x05\x01\x00\x03\x04a\nb\x1b\x15\x38").await.is_err());
        assert!(opened(b"\x05\x01\x00\x05\x01\x00\x03\x01\xff\x15\x38").await.is_err());
        // To listen is not to be had.
        assert!(opened(b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50").await.is_err());
    }
}
