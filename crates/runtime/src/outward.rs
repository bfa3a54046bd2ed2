//! How what an instance calls leaves it: by a port of its own, or out of a network of its own, so that whoever answers there knows who is calling.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cosette_model::RoleKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

use crate::contain::network::GATEWAY_PORT;
use crate::names::Names;

/// A connection, of whatever kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Answers the calls that instances make.
pub trait Outward: Send + Sync {
    /// Takes a connection of an instance, and returns at once. It begins as one to a proxy (HTTP,
    /// SOCKS 5) or as one to whom it is for (TLS with a name, HTTP with `Host`), after a line of HAProxy's protocol or
    /// without one.
    fn serve(self: Arc<Self>, stream: Box<dyn Duplex>, call: Call);
}

/// What is known of a connection of an instance.
pub struct Call {
    /// The instance's key.
    pub by: Arc<RoleKey>,
    /// The port of this machine's loopback that it came by: what is passed on there would come back.
    pub port: Option<u16>,
    /// The host, by name or address, and the port that the instance has connected to, where it has a network of its own.
    pub to: Option<(String, u16)>,
}

/// Where the calls of instances go, and the files that make them trust who answers.
#[derive(Clone)]
pub struct Way {
    pub to: Arc<dyn Outward>,
    /// PEM.
    pub bundle: PathBuf,
    /// Java's key store.
    pub java: PathBuf,
    /// A folder of settings for PHP.
    pub php: PathBuf,
}

/// What an instance has to know of its way out.
#[derive(Clone, Copy)]
pub(crate) struct Exit<'a> {
    /// Of its proxy.
    pub(crate) port: u16,
    pub(crate) way: &'a Way,
    /// Whether its connections go elsewhere unless it leads them to the proxy itself: its network is the machine's.
    pub(crate) redirects: bool,
}

/// Where an instance's calls come out; closed when dropped, and what came by it ends with its process.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    tasks: Vec<AbortHandle>,
}

impl Gateway {
    /// On this machine, at any port.
    pub(crate) async fn open(to: Arc<dyn Outward>, by: Arc<RoleKey>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let proxied = move |_: &TcpStream| Call { by: by.clone(), port: Some(port), to: None };
        Ok(Self { port, tasks: vec![accept(listener, to, proxied)] })
    }

    /// In the instance's own network.
    pub(crate) fn inside(
        to: Arc<dyn Outward>,
        by: Arc<RoleKey>,
        gateway: TcpListener,
        calls: impl Iterator<Item = TcpListener>,
        asked: UdpSocket,
    ) -> Self {
        let names = Arc::new(Names::default());
        let key = by.clone();
        let proxied = move |_: &TcpStream| Call { by: key.clone(), port: None, to: None };
        let known = names.clone();
        let calling = to.clone();
        let direct = move |stream: &TcpStream| {
            // The address that was called is our own here.
            let to = stream.local_addr().ok().map(|to| {
                let name = match to.ip() {
                    IpAddr::V4(address) => known.of(address),
                    IpAddr::V6(_) => None,
                };
                (name.unwrap_or_else(|| to.ip().to_string()), to.port())
            });
            Call { by: by.clone(), port: None, to }
        };
        let serving = tokio::spawn(async move { names.serve(asked).await }).abort_handle();
        let mut tasks = vec![accept(gateway, to, proxied), serving];
        tasks.extend(calls.map(|listener| accept(listener, calling.clone(), direct.clone())));
        Self { port: GATEWAY_PORT, tasks }
    }
}

fn accept(
    listener: TcpListener,
    to: Arc<dyn Outward>,
    known: impl Fn(&TcpStream) -> Call + Send + 'static,
) -> AbortHandle {
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let call = known(&stream);
                    to.clone().serve(Box::new(stream), call);
                }
                Err(error) => {
                    tracing::warn!(%error, "a call of an instance cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    task.abort_handle()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
