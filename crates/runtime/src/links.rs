//! What leads from the server to an instance and back: by ports of this machine, or by sockets that the server has in
//! the instance's own network. Their numbers are known before it starts, as its environment names them.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use cosette_model::RoleKey;
use tokio::net::TcpListener;

use crate::contain::network::{GATEWAY_PORT, RUNTIME_PORT};
use crate::network::Network;
use crate::outward::{Gateway, Way};
use crate::reach::Reach;

/// Before it has started.
pub(crate) struct Before {
    /// Where it finds the runtime's API, or is to listen itself.
    pub(crate) port: u16,
    /// Of its proxy.
    pub(crate) gateway_port: Option<u16>,
    network: Option<Network>,
    runtime: Option<TcpListener>,
    gateway: Option<Gateway>,
    way: Option<(Way, Arc<RoleKey>)>,
}

/// Once it has a network.
pub(crate) struct Links {
    /// Where it calls, if it does not listen itself.
    pub(crate) runtime: Option<TcpListener>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) reach: Reach,
}

impl Before {
    /// Ports of this machine.
    pub(crate) async fn on_the_machine(
        listens_itself: bool,
        way: Option<&Way>,
        key: &Arc<RoleKey>,
    ) -> io::Result<Self> {
        let gateway = match way {
            Some(way) => Some(Gateway::open(way.to.clone(), key.clone()).await?),
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        // Let go of, it is one that nobody listens at.
        let runtime = (!listens_itself).then_some(listener);
        let gateway_port = gateway.as_ref().map(|gateway| gateway.port);
        Ok(Self { port, gateway_port, network: None, runtime, gateway, way: None })
    }

    /// Sockets in a network of its own; and what its launcher is to have for standard input.
    pub(crate) fn in_its_own_network(way: &Way, key: &Arc<RoleKey>) -> io::Result<(Self, OwnedFd)> {
        let (network, line) = Network::new()?;
        let before = Self {
            port: RUNTIME_PORT,
            gateway_port: Some(GATEWAY_PORT),
            network: Some(network),
            runtime: None,
            gateway: None,
            way: Some((way.clone(), key.clone())),
        };
        Ok((before, line))
    }

    /// Once its launcher has been started.
    pub(crate) async fn started(self) -> io::Result<Links> {
        let (Some(network), Some((way, key))) = (self.network, self.way) else {
            return Ok(Links { runtime: self.runtime, gateway: self.gateway, reach: Reach::Machine });
        };
        let sockets = network.sockets().await?;
        let calls = std::iter::once(sockets.calls).chain(sockets.calls_by_ipv6);
        let gateway = Gateway::inside(way.to, key, sockets.gateway, calls, sockets.names);
        Ok(Links {
            runtime: Some(sockets.runtime),
            gateway: Some(gateway),
            reach: Reach::Own(Arc::new(network)),
        })
    }
}
