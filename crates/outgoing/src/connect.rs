//! From a name to a connection on which requests can be sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Error, Sender, Step, refused, unusable};

/// Largest head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Who is spoken to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// As it was written.
    pub(crate) authority: String,
}

impl Peer {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Error> {
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(unusable(uri)),
        };
        let authority = uri.authority().filter(|it| !it.as_str().contains('@'));
        let authority = authority.ok_or_else(|| unusable(uri))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16();
        // Text after the host that is no port.
        let odd = port.is_none() && authority.as_str().len() > authority.host().len();
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        if host.is_empty() || odd {
            return Err(unusable(uri));
        }
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, authority: authority.to_string() })
    }

    /// A place to connect to; whether there is TLS is nobody's business here.
    pub(crate) fn at(host: &str, port: u16) -> Self {
        let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
        let authority = format!("{}{host}{}:{port}", brackets.0, brackets.1);
        Self { tls: false, host: host.to_ascii_lowercase(), port, authority }
    }

    pub(crate) fn late(&self, step: Step) -> Error {
        Error::Timeout { to: self.authority.clone(), step }
    }

    pub(crate) fn garbled(&self, error: &hyper::Error) -> Error {
        Error::Protocol { to: self.authority.clone(), why: reason(error) }
    }

    fn unreachable(&self, why: impl ToString) -> Error {
        Error::Connect { to: self.authority.clone(), why: why.to_string() }
    }

    fn untrusted(&self, why: impl ToString) -> Error {
        Error::Tls { to: self.authority.clone(), why: why.to_string() }
    }

    /// Those of its addresses that may be connected to.
    pub(crate) fn allowed(
        &self,
        found: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Error> {
        let (refused, allowed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| refused(address.ip()));
        match (allowed.is_empty(), refused.first()) {
            (false, _) => Ok(allowed),
            (true, Some(address)) => Err(Error::Refused { host: self.host.clone(), address: address.ip() }),
            (true, None) => Err(self.unreachable("the name has no address")),
        }
    }
}

/// The innermost cause says most.
pub(crate) fn reason(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[derive(Default)]
pub(crate) struct Connector {
    /// Read from the system when TLS is first needed.
    tls: OnceCell<TlsConnector>,
}

impl Connector {
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { tls: OnceCell::from(connector(roots).unwrap_or_else(|e| panic!("{e}"))) }
    }

    /// All of it may take `limit`, and so may reaching the peer alone.
    pub(crate) async fn connect(&self, peer: &Peer, limit: Duration) -> Result<Sender, Error> {
        let stream = dial(peer, limit).await?;
        if !peer.tls {
            return handshake(peer, stream).await;
        }
        let name = ServerName::try_from(peer.host.clone()).map_err(|error| peer.untrusted(error))?;
        let tls = self.tls.get_or_try_init(of_the_system).await.map_err(|why| peer.untrusted(why))?;
        let stream = tls.connect(name, stream).await.map_err(|error| peer.untrusted(error))?;
        handshake(peer, stream).await
    }
}

/// Tries the addresses one after another; together they may take `limit`.
pub(crate) async fn dial(peer: &Peer, limit: Duration) -> Result<TcpStream, Error> {
    let found = lookup_host((peer.host.as_str(), peer.port)).await;
    let addresses = peer.allowed(found.map_err(|error| peer.unreachable(error))?)?;
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failed = peer.late(Step::Connect);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| peer.unreachable(error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failed = peer.unreachable(error),
            Err(_) => failed = peer.late(Step::Connect),
        }
    }
    Err(failed)
}

async fn handshake<S>(peer: &Peer, stream: S) -> Result<Sender, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| peer.garbled(&error))?;
    // Ends with the last of its sender and its body; what goes wrong reaches these.
    tokio::spawn(connection);
    Ok(sender)
}

/// Trusts whom the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
async fn of_the_system() -> Result<TlsConnector, String> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|error| error.to_string())?;
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("the system trusts no certificate (SSL_CERT_FILE may name a file of some)".into());
    }
    connector(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
