//! The network of an isolated function: a loopback of its own, and sockets in there that are the server's. Sockets
//! belong to the namespace they were made in, whoever holds them; so they are made here and handed over, and nobody
//! stands between the function and the server.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, bind, recvmsg, sendmsg, socket_with,
};

use super::netlink;
use super::outside::of;

/// Where the function finds the runtime's API, and where a program of Go is told to listen.
pub(crate) const RUNTIME_PORT: u16 = 28_901;
/// Where it finds its proxy.
pub(crate) const GATEWAY_PORT: u16 = 28_903;
/// Where connections to elsewhere come out.
const CALLS_PORT: u16 = 28_904;
const NAMES_PORT: u16 = 53;

/// Connections from here are the server's own: they go where they say.
const OURS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// What the server is given at first, in this order: listeners for the runtime's API, for the proxy and for
/// connections to elsewhere, the socket that is asked for names, and, if the kernel has IPv6, a listener for what is
/// called by it.
pub(crate) const SOCKETS: usize = 5;

/// Makes the network of the namespace that this process is in, and gives the server its sockets.
pub(super) fn open(server: &UnixStream, listens_itself: bool) -> io::Result<()> {
    of("loopback", netlink::loopback_up())?;
    of("an address", netlink::add_address(OURS))?;
    of("a route to loopback", netlink::everything_is_local())?;
    of("a rule for connections", netlink::give_to(CALLS_PORT, OURS))?;
    let calls = calls_to(Ipv4Addr::LOCALHOST.into())?;
    // A program of Go has the runtime's port for itself.
    let runtime = TcpListener::bind((Ipv4Addr::LOCALHOST, if listens_itself { 0 } else { RUNTIME_PORT }))?;
    let gateway = TcpListener::bind((Ipv4Addr::LOCALHOST, GATEWAY_PORT))?;
    let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, NAMES_PORT))?;
    let mut sockets = vec![runtime.as_fd(), gateway.as_fd(), calls.as_fd(), names.as_fd()];
    // Where there is no IPv6, or the rule cannot be had for it, nobody is reached by it.
    let by_ipv6 = by_ipv6().ok();
    sockets.extend(by_ipv6.as_ref().map(AsFd::as_fd));
    give(server, &sockets)
}

fn by_ipv6() -> io::Result<socket2::Socket> {
    let calls = calls_to(Ipv6Addr::LOCALHOST.into())?;
    netlink::give_ipv6_to(CALLS_PORT)?;
    netlink::everything_of_ipv6_is_local()?;
    Ok(calls)
}

/// A listener that connections to any address may be given to.
fn calls_to(loopback: IpAddr) -> io::Result<socket2::Socket> {
    let at = SocketAddr::new(loopback, CALLS_PORT);
    let calls = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None)?;
    match loopback {
        IpAddr::V4(_) => calls.set_ip_transparent_v4(true)?,
        IpAddr::V6(_) => calls.set_ip_transparent_v6(true)?,
    }
    calls.bind(&at.into())?;
    calls.listen(1024)?;
    Ok(calls)
}

/// Gives the server a socket for a byte that it has sent. False when it has closed the line, or wants no more.
pub(super) fn serve(server: &mut UnixStream) -> bool {
    matches!(server.read(&mut [0]), Ok(1)) && one().and_then(|socket| give(server, &[socket.as_fd()])).is_ok()
}

fn one() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(OURS, 0))?;
    Ok(socket)
}

fn give(to: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(sockets));
    sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The server's end of [`give`]. Does not wait where the line does not.
pub(crate) fn take(from: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(rights.flatten().collect())
}
