//! Calls that come as to a proxy, and those of functions, which come by a port of each instance: the services' names
//! are answered here, over TLS with a certificate of ours; this machine and what is allowed are passed on to; and
//! nothing else is, which the function's log and record say.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use cosette_egress::{
    Authority, Opening, Rewound, Rules, TLS_DENIED, Target, Verdict, socks_done, socks_refused,
};
use cosette_runtime::{Call, Duplex, Outward};
use cosette_wire::ReplyBody;
use http::request::Parts;
use http::uri::{Authority as HostPort, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::body::{Outgoing, incoming, plain};
use crate::connection::{Line, converse};
use crate::door::Door;
use crate::pipe::pipe;

/// How long it may take to connect to somebody, in real time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to agree on TLS, in real time.
const TLS_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest name of a host (RFC 1035); what is refused is told and kept.
const HOST_BYTES_MAX: usize = 255;

/// What stands between functions and others.
pub(crate) struct Gateway {
    /// Set once everything is there; until then nobody calls. What is behind it leads back here.
    door: OnceLock<Weak<Door>>,
    authority: Arc<Authority>,
    rules: Rules,
}

/// What a connection is known to be for, where its requests are as to that host itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tunnel {
    pub(crate) scheme: Scheme,
    /// If anybody has said so but the requests.
    pub(crate) target: Option<Target>,
}

impl Gateway {
    pub(crate) fn new(authority: Arc<Authority>, rules: Rules) -> Arc<Self> {
        Arc::new(Self { door: OnceLock::new(), authority, rules })
    }

    /// The first call counts. Whoever calls keeps the door.
    pub(crate) fn leads_to(&self, door: &Arc<Door>) {
        let _ = self.door.set(Arc::downgrade(door));
    }

    fn door(&self) -> Option<Arc<Door>> {
        self.door.get()?.upgrade()
    }

    fn own_port(&self) -> Option<u16> {
        Some(self.door()?.address.port())
    }

    /// The authority's certificate as PEM.
    pub(crate) fn certificate(&self) -> &str {
        self.authority.pem()
    }

    /// Answers a request of any connection.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        line: &Line,
        tunnel: Option<&Tunnel>,
    ) -> Response<Outgoing> {
        let Some(door) = self.door() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
        };
        if request.method() == Method::CONNECT {
            return self.connect(request, line).await;
        }
        if line.by.is_none() && tunnel.is_none() {
            return door.answer(request, line.peer.ip()).await;
        }
        let (mut parts, body) = request.into_parts();
        let Some((uri, target)) = absolute(&parts, tunnel) else {
            return plain(StatusCode::BAD_REQUEST, "the request does not say which host it is for\n");
        };
        parts.uri = uri;
        match self.judge(&target, line) {
            // It could have any folder run as a function.
            Verdict::Ours if line.by.is_some() && door.is_closed_to_functions(&parts) => {
                plain(StatusCode::FORBIDDEN, "the admin API is not for functions\n")
            }
            Verdict::Ours => {
                if let Some(key) = &line.by {
                    parts.extensions.insert(Arc::clone(key));
                }
                door.answer(Request::from_parts(parts, body), line.peer.ip()).await
            }
            Verdict::Loopback | Verdict::Allowed if line.by.is_some() => {
                self.forward(parts, body, &target, line).await
            }
            _ => self.refused(&target, line),
        }
    }

    /// Somebody's domain is led to whom it belongs, whoever calls it, as by any name service; but what functions may call
    /// by its name goes out: that says who runs the server. (`*` names nobody.)
    fn judge(&self, target: &Target, line: &Line) -> Verdict {
        let bound = || self.door().is_some_and(|door| door.has_name(&target.host.to_ascii_lowercase()));
        match self.rules.judge(&target.host, target.port) {
            Verdict::Loopback if Some(target.port) == self.own_port() => Verdict::Ours,
            Verdict::Allowed if line.by.is_some() && self.rules.names(&target.host, target.port) => {
                Verdict::Allowed
            }
            Verdict::Refused | Verdict::Allowed if bound() => Verdict::Ours,
            verdict => verdict,
        }
    }

    /// A tunnel to a host. Nobody but functions is passed on.
    async fn connect(self: &Arc<Self>, request: Request<Incoming>, line: &Line) -> Response<Outgoing> {
        let target = request.uri().authority().and_then(|authority| target(authority, 443));
        let Some(target) = target else {
            return plain(StatusCode::BAD_REQUEST, "CONNECT wants HOST:PORT\n");
        };
        let Some(deeper) = line.deeper() else {
            return plain(StatusCode::BAD_REQUEST, "there are too many tunnels in one another\n");
        };
        let peer = match self.judge(&target, line) {
            Verdict::Ours => None,
            Verdict::Loopback | Verdict::Allowed if line.by.is_some() => match self.dial(&target, line).await
            {
                Ok(stream) => Some(stream),
                Err(why) => return plain(StatusCode::BAD_GATEWAY, &format!("{why}\n")),
            },
            _ => return self.refused(&target, line),
        };
        let (this, line) = (Arc::clone(self), deeper);
        tokio::spawn(async move {
            let stream = match hyper::upgrade::on(request).await {
                Ok(stream) => TokioIo::new(stream),
                Err(error) => return tracing::debug!(%error, "a tunnel was not begun"),
            };
            match peer {
                Some(peer) => pipe(stream, peer).await,
                None => this.take(Box::new(stream), line, Some(target)).await,
            }
        });
        plain(StatusCode::OK, "")
    }

    /// A connection whose first bytes say what it is; `target` is what has been said before.
    fn take(
        self: Arc<Self>,
        stream: Box<dyn Duplex>,
        line: Line,
        target: Option<Target>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if let Err(error) = self.opened(stream, line, target).await {
                tracing::debug!(%error, "a call did not get far");
            }
        })
    }

    async fn opened(
        self: Arc<Self>,
        stream: Box<dyn Duplex>,
        line: Line,
        target: Option<Target>,
    ) -> io::Result<()> {
        let (opening, stream) = unless_stopped(&line, Opening::of(stream)).await?;
        match opening {
            Opening::To { target, waits } => self.led(Box::new(stream), line, target, waits).await,
            Opening::Tls(name) => self.secured(stream, line, name, target).await,
            Opening::Plain => {
                let tunnel = target.map(|target| Tunnel { scheme: Scheme::HTTP, target: Some(target) });
                converse(stream, line, self, tunnel).await;
                Ok(())
            }
        }
    }

    /// A connection that was led here on its way to `target`; a client of SOCKS waits for word.
    async fn led(
        self: Arc<Self>,
        mut stream: Box<dyn Duplex>,
        line: Line,
        target: Target,
        waits: bool,
    ) -> io::Result<()> {
        // Of an address that stands for a name the name is still to come.
        if !stands_for_a_name(&target) {
            match self.judge(&target, &line) {
                Verdict::Ours => {}
                // Those who speak first can be told why not, in their own way.
                Verdict::Refused if matches!(target.port, 80 | 443) => {}
                Verdict::Loopback | Verdict::Allowed if line.by.is_some() => {
                    let peer = self.dial(&target, &line).await.map_err(io::Error::other)?;
                    if waits {
                        socks_done(&mut stream).await?;
                    }
                    pipe(stream, peer).await;
                    return Ok(());
                }
                _ => {
                    self.refuse(&target, &line);
                    return if waits { socks_refused(&mut stream).await } else { Ok(()) };
                }
            }
        }
        let line = line.deeper().ok_or(io::ErrorKind::InvalidData)?;
        if waits {
            socks_done(&mut stream).await?;
        }
        self.take(stream, line, Some(target)).await;
        Ok(())
    }

    async fn secured(
        self: Arc<Self>,
        mut stream: Rewound<Box<dyn Duplex>>,
        line: Line,
        name: Option<String>,
        target: Option<Target>,
    ) -> io::Result<()> {
        let port = target.as_ref().map_or(443, |target| target.port);
        let named = name.map(|host| Target { host, port });
        let Some(target) = named.or(target) else {
            return stream.write_all(&TLS_DENIED).await;
        };
        match self.judge(&target, &line) {
            Verdict::Ours => {
                let config = self.authority.server(&target.host).map_err(io::Error::other)?;
                let agreed = tokio::time::timeout(TLS_TIMEOUT, TlsAcceptor::from(config).accept(stream));
                let stream = unless_stopped(&line, async { agreed.await? }).await?;
                let tunnel = Tunnel { scheme: Scheme::HTTPS, target: Some(target) };
                converse(stream, line, self, Some(tunnel)).await;
            }
            Verdict::Loopback | Verdict::Allowed if line.by.is_some() => {
                pipe(stream, self.dial(&target, &line).await.map_err(io::Error::other)?).await;
            }
            _ => {
                self.refuse(&target, &line);
                stream.write_all(&TLS_DENIED).await?;
                stream.shutdown().await?;
            }
        }
        Ok(())
    }

    /// Not to the port that the call came by, whatever name leads there: it would come back for ever. Nor to the server's
    /// own, where nobody would know who calls.
    async fn dial(&self, target: &Target, line: &Line) -> Result<TcpStream, String> {
        let mut dialled = cosette_outgoing::dial(&target.host, target.port, CONNECT_TIMEOUT).await;
        if dialled.is_err() && target.host.parse() == Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)) {
            // Its connection has been accepted, so a client that means this machine tries no other address of it.
            dialled = cosette_outgoing::dial("127.0.0.1", target.port, CONNECT_TIMEOUT).await;
        }
        let itself = |stream: &TcpStream| {
            let (Ok(to), Ok(from)) = (stream.peer_addr(), stream.local_addr()) else { return false };
            let here = to.ip().to_canonical().is_loopback() || to.ip() == from.ip();
            here && [line.port, self.own_port()].contains(&Some(to.port()))
        };
        match dialled {
            Ok(stream) if itself(&stream) => Err(format!("{} is the proxy itself", shown(target))),
            Ok(stream) => Ok(stream),
            Err(error) => Err(error.to_string()),
        }
        .inspect_err(|why| tracing::info!(why, "a function's call did not get through"))
    }

    /// One plain request to somebody else, and the answer.
    async fn forward(
        &self,
        mut parts: Parts,
        body: Incoming,
        target: &Target,
        line: &Line,
    ) -> Response<Outgoing> {
        let gone = |why: String| plain(StatusCode::BAD_GATEWAY, &format!("{why}\n"));
        let stream = match self.dial(target, line).await {
            Ok(stream) => stream,
            Err(why) => return gone(why),
        };
        // Whatever the client says beside the target (RFC 9112, 3.2.2).
        let host = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            parts.headers.insert(header::HOST, host);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = match path.parse() {
            Ok(path) => path,
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the request's path is none\n"),
        };
        let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
        cosette_hop::strip(&mut parts.headers, |_| false);
        if chunked {
            // Without it the body of a GET would be taken for none.
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let (mut sender, connection) =
            match http1::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await {
                Ok(joined) => joined,
                Err(error) => return gone(error.to_string()),
            };
        tokio::spawn(connection);
        match sender.send_request(Request::from_parts(parts, body)).await {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                cosette_hop::strip(&mut head.headers, |_| false);
                Response::from_parts(head, ReplyBody::Events(incoming(body).0).into())
            }
            Err(error) => gone(format!("{} did not answer: {error}", shown(target))),
        }
    }

    fn refused(&self, target: &Target, line: &Line) -> Response<Outgoing> {
        self.refuse(target, line);
        let words = format!("Cosette does not pass requests on to {}: {}\n", shown(target), why(target));
        plain(StatusCode::FORBIDDEN, &words)
    }

    fn refuse(&self, target: &Target, line: &Line) {
        let shown = shown(target);
        match &line.by {
            Some(key) => {
                let (chain, suspects) = (key.chain(), key.suspects());
                let function = chain.links.last().map_or("-", |link| &link.function);
                let invocation = match suspects.as_slice() {
                    [] => "-".to_owned(),
                    [one] => one.clone(),
                    several => format!("one of {}", several.join(", ")),
                };
                tracing::warn!(target = %shown, function, invocation, "refused a function's call to elsewhere");
                key.refuse(&shown, &why(target));
            }
            None => tracing::warn!(target = %shown, "refused to act as a proxy for a foreign host"),
        }
    }
}

impl Outward for Gateway {
    fn serve(self: Arc<Self>, stream: Box<dyn Duplex>, call: Call) {
        let line = Line::of_a_function(call.by, call.port);
        let Some((host, port)) = call.to else {
            tokio::spawn(self.take(stream, line, None));
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = self.led(stream, line, Target { host, port }, false).await {
                tracing::debug!(%error, "a call did not get far");
            }
        });
    }
}

fn why(target: &Target) -> String {
    format!("only the services that are here are answered; serve --allow-egress {} allows it", shown(target))
}

fn shown(Target { host, port }: &Target) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// An address where a name was meant: those that our bootstraps give to names (RFC 2544), and loopback where the
/// connection was caught on its way to a well-known port.
fn stands_for_a_name(Target { host, port }: &Target) -> bool {
    host.parse().is_ok_and(|ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) if ip.octets()[0] == 198 && matches!(ip.octets()[1], 18 | 19) => true,
        ip => ip.is_loopback() && matches!(port, 80 | 443),
    })
}

fn target(authority: &HostPort, port: u16) -> Option<Target> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let odd = authority.as_str().contains('@') || host.is_empty() || host.len() > HOST_BYTES_MAX;
    (!odd).then(|| Target { host: host.to_owned(), port: authority.port_u16().unwrap_or(port) })
}

/// The request's URI with the host that it is for, and that host.
fn absolute(parts: &Parts, tunnel: Option<&Tunnel>) -> Option<(Uri, Target)> {
    let scheme = match (parts.uri.scheme(), tunnel) {
        // Inside of TLS everything is.
        (_, Some(tunnel)) if tunnel.scheme == Scheme::HTTPS => Scheme::HTTPS,
        (Some(scheme), _) => scheme.clone(),
        (None, Some(tunnel)) => tunnel.scheme.clone(),
        (None, None) => Scheme::HTTP,
    };
    let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let told = || {
        let target = tunnel?.target.as_ref().filter(|target| !stands_for_a_name(target))?;
        shown(target).parse().ok()
    };
    let authority: HostPort = parts.uri.authority().cloned().or_else(named).or_else(told)?;
    let port = if scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = tunnel.and_then(|tunnel| tunnel.target.as_ref()).map_or(port, |target| target.port);
    let target = target(&authority, port)?;
    let path =
        parts.uri.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()?;
    Some((uri, target))
}

/// What a client is waited for, unless the server is to stop: it has asked for nothing yet.
async fn unless_stopped<T>(line: &Line, waited: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::select! {
        come = waited => come,
        () = line.stopped() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Where functions' connections come from.
pub(crate) const FUNCTIONS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
