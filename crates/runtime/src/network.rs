//! The server's side of an instance's own network: the sockets it has in there, and more of them when it wants to
//! reach what listens there.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket, UdpSocket, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::contain::network::take;

/// How long a launcher may take to hand a socket over.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line to the launcher of one instance.
#[derive(Debug)]
pub(crate) struct Network {
    /// Held while a socket is asked for.
    launcher: Mutex<UnixStream>,
}

/// What the server has in there from the beginning.
pub(crate) struct Sockets {
    pub(crate) runtime: TcpListener,
    pub(crate) gateway: TcpListener,
    /// Whose connections are to elsewhere: they say so by their own address.
    pub(crate) calls: TcpListener,
    pub(crate) names: UdpSocket,
    /// As `calls`, by IPv6.
    pub(crate) calls_by_ipv6: Option<TcpListener>,
}

impl Network {
    /// The server's end, and what the launcher has for standard input.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self { launcher: Mutex::new(UnixStream::from_std(ours)?) }, theirs.into()))
    }

    /// What the launcher hands over when it has made the network.
    pub(crate) async fn sockets(&self) -> io::Result<Sockets> {
        let launcher = self.launcher.lock().await;
        let sockets = handed_over(&launcher).await?;
        let odd = || io::Error::other("the launcher handed over something else");
        let mut sockets = sockets.into_iter();
        let mut next = || sockets.next().ok_or_else(odd);
        let [runtime, gateway, calls, names] = [next()?, next()?, next()?, next()?];
        let by_ipv6 = sockets.next();
        let listener = |socket: OwnedFd| {
            let socket = std::net::TcpListener::from(socket);
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        };
        let names = std::net::UdpSocket::from(names);
        names.set_nonblocking(true)?;
        Ok(Sockets {
            runtime: listener(runtime)?,
            gateway: listener(gateway)?,
            calls: listener(calls)?,
            names: UdpSocket::from_std(names)?,
            calls_by_ipv6: by_ipv6.map(listener).transpose()?,
        })
    }

    /// A socket that connects to what listens in there.
    pub(crate) async fn socket(&self) -> io::Result<TcpSocket> {
        let mut launcher = self.launcher.lock().await;
        launcher.write_all(&[0]).await?;
        let socket = handed_over(&launcher).await?.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(TcpSocket::from_std_stream(socket))
    }
}

async fn handed_over(launcher: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    timeout(PATIENCE, launcher.async_io(Interest::READABLE, || take(launcher)))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
