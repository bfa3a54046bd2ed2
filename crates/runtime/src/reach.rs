//! How the server reaches what listens in an instance: the program of a Go function, the server of a web function,
//! a debugger.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::network::Network;
use crate::outward::Duplex;

/// The way to the ports of one instance. Clones lead to the same.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// The instance has the machine's network: its ports are the machine's, on loopback.
    Machine,
    /// It has one of its own.
    Own(Arc<Network>),
}

impl Reach {
    /// A connection to what listens at the port in the instance. Refused while nothing does.
    pub(crate) async fn connect(&self, port: u16) -> io::Result<Box<dyn Duplex>> {
        let to = (Ipv4Addr::LOCALHOST, port).into();
        let stream = match self {
            Self::Machine => TcpStream::connect(to).await?,
            Self::Own(network) => network.socket().await?.connect(to).await?,
        };
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
