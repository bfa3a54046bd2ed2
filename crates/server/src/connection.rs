//! Accepting connections and ending them: limits, time-outs, and an orderly stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cosette_model::RoleKey;
use cosette_runtime::Duplex;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::gateway::{FUNCTIONS, Gateway, Tunnel};

/// A request's head must have come whole within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest request head, in bytes; hyper answers 431 to a larger one.
const HEAD_BYTES_MAX: usize = 256 << 10;

/// Tunnels in tunnels. A line of HAProxy's protocol, a proxy and TLS are three; each takes room on the stack, and
/// without a bound a client could have all of it.
const DEPTH_MAX: u8 = 4;

/// The open connections, and the way to tell them to end.
pub(crate) struct Connections {
    accepting: JoinHandle<()>,
    stop: watch::Sender<bool>,
    /// Every connection holds a clone of the sender; when the last is gone, `gone` ends.
    gone: mpsc::Receiver<()>,
}

struct Acceptor {
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    alive: mpsc::Sender<()>,
}

/// Whose a connection is, and how long it may last.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) peer: SocketAddr,
    /// The instance of a function that called, if it came by its own port.
    pub(crate) by: Option<Arc<RoleKey>>,
    /// That port.
    pub(crate) port: Option<u16>,
    /// How many tunnels, one in another, it is in.
    depth: u8,
    /// Turns true when it is to end; those of functions end with their processes.
    stop: Option<watch::Receiver<bool>>,
    _alive: Option<mpsc::Sender<()>>,
}

impl Line {
    pub(crate) fn of_a_function(by: Arc<RoleKey>, port: Option<u16>) -> Self {
        let peer = (FUNCTIONS, 0).into();
        Self { peer, by: Some(by), port, depth: 0, stop: None, _alive: None }
    }

    /// Comes when it is to end.
    pub(crate) async fn stopped(&self) {
        match self.stop.clone() {
            // Without the sender there is no server.
            Some(mut stop) => drop(stop.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    }

    /// The same in one more tunnel, of which there may be [`DEPTH_MAX`].
    pub(crate) fn deeper(&self) -> Option<Self> {
        (self.depth < DEPTH_MAX).then(|| Self { depth: self.depth + 1, ..self.clone() })
    }
}

impl Connections {
    /// Accepts until `stopped` turns true.
    pub(crate) fn serve(
        gateway: Arc<Gateway>,
        listener: TcpListener,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let (alive, gone) = mpsc::channel(1);
        let stop = watch::Sender::new(false);
        let acceptor = Acceptor { gateway, stop: stop.clone(), alive };
        let accepting = tokio::spawn(acceptor.accept(listener, stopped));
        Self { accepting, stop, gone }
    }

    /// Lets requests under way end, for at most `grace`.
    pub(crate) async fn finish(mut self, grace: Duration) {
        // It ends by itself, having been told.
        let _ = self.accepting.await;
        let _ = self.stop.send(true);
        if tokio::time::timeout(grace, self.gone.recv()).await.is_err() {
            tracing::warn!("connections cut off that did not end in time");
        }
    }
}

impl Acceptor {
    async fn accept(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // The sender goes with the server.
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match accepted {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(error) => {
                    // Out of descriptors, usually: connections that end make room again.
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr) {
        let gateway = Arc::clone(&self.gateway);
        let line = Line {
            peer,
            by: None,
            port: None,
            depth: 0,
            stop: Some(self.stop.subscribe()),
            _alive: Some(self.alive.clone()),
        };
        tokio::spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "connection lost before its first request");
                return;
            }
            converse(stream, line, gateway, None).await;
        });
    }
}

/// Answers one request after another, until the client has had enough or the server is to stop.
pub(crate) async fn converse<S: Duplex + 'static>(
    stream: S,
    line: Line,
    gateway: Arc<Gateway>,
    tunnel: Option<Tunnel>,
) {
    let service = service_fn(|request| {
        let (gateway, line, tunnel) = (&gateway, &line, tunnel.as_ref());
        async move { Ok::<_, std::convert::Infallible>(gateway.answer(request, line, tunnel).await) }
    });
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = line.stopped() => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = Some(connection.await);
    }
    if let Some(Err(error)) = ended {
        log_end(line.peer, &error);
    }
}

/// What a client sent that is no request is worth a line; that it went away is not.
fn log_end(peer: SocketAddr, error: &hyper::Error) {
    if error.is_parse() {
        tracing::warn!(%peer, %error, "refused what is not a request");
    } else {
        tracing::debug!(%peer, %error, "connection ended");
    }
}
