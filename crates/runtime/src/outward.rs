//! How what an instance calls leaves it: by a port of its own, so that whoever answers there knows who is calling.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use cosette_model::RoleKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A connection, of whatever kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Answers the calls that instances make.
pub trait Outward: Send + Sync {
    /// Takes a connection of the instance that has this key, and returns at once. It came by `port` of loopback, and
    /// what is passed on there would come back. It begins as one to a proxy (HTTP,
    /// SOCKS 5) or as one to whom it is for (TLS with a name, HTTP with `Host`), after a line of HAProxy's protocol or
    /// without one.
    fn serve(self: Arc<Self>, stream: Box<dyn Duplex>, by: Arc<RoleKey>, port: u16);
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

/// An instance's port; closed when dropped, and what came by it ends with its process.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    task: AbortHandle,
}

impl Gateway {
    pub(crate) async fn open(to: Arc<dyn Outward>, by: Arc<RoleKey>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        to.clone().serve(Box::new(stream), by.clone(), port);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a call of an instance cannot be accepted");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                }
            }
        });
        Ok(Self { port, task: task.abort_handle() })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}
