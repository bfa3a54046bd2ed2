//! The one place from which the server speaks HTTP to others: origins, webhooks.
//!
//! HTTP/1.1, plain or over TLS. It follows no redirect, knows no proxy and decodes no content: what it is
//! asked is sent, and what is answered comes back. Where a name leads is looked at after it is resolved,
//! and the address that was looked at is the one that is connected to ([`refused`]).

mod address;
mod body;
mod connect;
mod pool;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use crate::address::refused;
pub use crate::body::Body;
use crate::connect::{Connector, Peer};
use crate::pool::Pool;

type Sender = SendRequest<Full<Bytes>>;

/// How long each step of an exchange may take, in real time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To resolve the name, connect, and agree on TLS.
    pub connect: Duration,
    /// From the request to the head of the response.
    pub head: Duration,
    /// Between two pieces of the response's body.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (connect, head, idle) =
            (Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(30));
        Self { connect, head, idle }
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connect,
    Head,
    Body,
}

/// Why there is no response, or no more of its body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an absolute `http` or `https` URL, or one with a user in it.
    #[error("{0} is not a URL that can be asked")]
    Url(String),
    /// Nothing is ever sent there ([`refused`]).
    #[error("{host} is at {address}, where nothing is sent to")]
    Refused { host: String, address: IpAddr },
    #[error("cannot connect to {to}: {why}")]
    Connect { to: String, why: String },
    #[error("no TLS with {to}: {why}")]
    Tls { to: String, why: String },
    #[error("{to} took too long ({step:?})")]
    Timeout { to: String, step: Step },
    /// Connected, but what came is not a whole HTTP response.
    #[error("{to} did not answer as HTTP has it: {why}")]
    Protocol { to: String, why: String },
}

/// Sends requests; cheap to clone, and clones share their open connections.
#[derive(Clone, Default)]
pub struct Client {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

impl Client {
    /// Sends the request and waits for the head of its response. Its URI is absolute; `Host` is made of it if
    /// the request has none.
    ///
    /// A kept connection that turns out to be closed is replaced by a new one, if the request did not get
    /// out or can be sent twice.
    ///
    /// # Errors
    /// Each says where it was sent to and what went wrong.
    pub async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Body>, Error> {
        let (mut head, body) = request.into_parts();
        let peer = Peer::of(&head.uri)?;
        if !head.headers.contains_key(header::HOST) {
            let host = HeaderValue::from_str(&peer.authority).map_err(|_| unusable(&head.uri))?;
            head.headers.insert(header::HOST, host);
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path.parse().map_err(|_| unusable(&head.uri))?;
        let mut request = Request::from_parts(head, Full::new(body));
        if let Some(mut sender) = self.pool.take(&peer) {
            let again = request.method().is_idempotent().then(|| request.clone());
            let sent = timeout(limits.head, sender.try_send_request(request)).await;
            match sent.map_err(|_| peer.late(Step::Head))? {
                Ok(response) => return Ok(self.answered(&peer, sender, response, limits)),
                Err(mut failed) => match failed.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(peer.garbled(failed.error())),
                },
            }
        }
        let mut sender = timeout(limits.connect, self.connector.connect(&peer, limits.connect))
            .await
            .map_err(|_| peer.late(Step::Connect))??;
        let response = timeout(limits.head, sender.send_request(request))
            .await
            .map_err(|_| peer.late(Step::Head))?
            .map_err(|error| peer.garbled(&error))?;
        Ok(self.answered(&peer, sender, response, limits))
    }

    /// The connection is kept for the next request once the body has been read to its end.
    fn answered(
        &self,
        peer: &Peer,
        sender: Sender,
        response: Response<hyper::body::Incoming>,
        limits: Limits,
    ) -> Response<Body> {
        Pool::keep(&self.pool, peer.clone(), sender);
        response.map(|incoming| Body::new(incoming, peer.authority.clone(), limits.idle))
    }
}

/// A bare connection to `host` (an IPv6 address without brackets), for what others say on it; never to an address that
/// is [`refused`]. All of it may take `limit`.
///
/// # Errors
/// Each says where to and what went wrong.
pub async fn dial(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
    let peer = Peer::at(host, port);
    timeout(limit, connect::dial(&peer, limit)).await.map_err(|_| peer.late(Step::Connect))?
}

/// In words without its user and its query, which may be secret.
fn unusable(uri: &Uri) -> Error {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    Error::Url(format!("{scheme}{}{}", uri.host().unwrap_or_default(), uri.path()))
}
