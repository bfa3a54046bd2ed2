//! Messages to the kernel that set up the network of a namespace: its loopback, the route that leads everything
//! there, and the rule by which the server answers it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rustix::net::netlink::NETFILTER;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt,
};

/// Of the kernel's headers `linux/netlink.h`, `linux/rtnetlink.h` and `linux/netfilter/nf_tables.h`.
const ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NESTED: u16 = 0x8000;
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const TABLES: u16 = 10;
const NEW_TABLE: u16 = TABLES << 8;
const NEW_CHAIN: u16 = TABLES << 8 | 3;
const NEW_RULE: u16 = TABLES << 8 | 6;
/// The first protocol of netlink.
const ROUTE: Option<Protocol> = None;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// The first register of four bytes.
const REGISTER: u32 = 8;
const VERDICT: u32 = 0;
const EQUAL: u32 = 0;

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Brings loopback up.
pub(super) fn loopback_up() -> io::Result<()> {
    let (loopback, up) = (1_u32, 1_u32);
    let mut body = vec![0; 4];
    for word in [loopback, up, up] {
        body.extend(word.to_ne_bytes());
    }
    talk(ROUTE, &[(NEW_LINK, REQUEST | ACK, body)])
}

/// Gives loopback one more address. A resolver that is asked for addresses of the kinds that the machine itself has
/// (`AI_ADDRCONFIG`) does not count 127.0.0.1.
pub(super) fn add_address(address: Ipv4Addr) -> io::Result<()> {
    let (whole, permanent, on_this_host) = (32, 0x80, 254);
    let mut body = vec![IPV4, whole, permanent, on_this_host];
    body.extend(1_u32.to_ne_bytes());
    for kind in [1, 2] {
        body.extend(attribute(kind, &address.octets()));
    }
    talk(ROUTE, &[(NEW_ADDRESS, REQUEST | ACK | CREATE, body)])
}

/// Whatever address is called is called here.
pub(super) fn everything_is_local() -> io::Result<()> {
    let mut body = a_local_route(IPV4);
    let preferred_source = 7;
    body.extend(attribute(preferred_source, &Ipv4Addr::LOCALHOST.octets()));
    talk(ROUTE, &[(NEW_ROUTE, REQUEST | ACK | CREATE, body)])
}

/// The same of addresses of IPv6.
pub(super) fn everything_of_ipv6_is_local() -> io::Result<()> {
    talk(ROUTE, &[(NEW_ROUTE, REQUEST | ACK | CREATE, a_local_route(IPV6))])
}

fn a_local_route(family: u8) -> Vec<u8> {
    let (table_of_local, by_an_administrator, on_this_host, local) = (255, 4, 254, 2);
    let head = [family, 0, 0, 0, table_of_local, by_an_administrator, on_this_host, local, 0, 0, 0, 0];
    let out_of = 4;
    [head.to_vec(), attribute(out_of, &1_u32.to_ne_bytes())].concat()
}

/// Each new TCP connection is given to who listens at `port` of loopback with `IP_TRANSPARENT`; but for those to
/// 127.0.0.0/8 at whose port somebody listens, and those from `ours`.
pub(super) fn give_to(port: u16, ours: Ipv4Addr) -> io::Result<()> {
    let (source, destination) = (12, 16);
    let [from, is_ours] = address_is(source, &ours.octets());
    let [to, is_loopback] = address_is(destination, &[127]);
    give(IPV4, port, &[vec![from, is_ours], vec![to, is_loopback, anybody()]])
}

/// The same of those to addresses of IPv6, whose loopback is one address.
pub(super) fn give_ipv6_to(port: u16) -> io::Result<()> {
    let destination = 24;
    let [to, is_loopback] = address_is(destination, &Ipv6Addr::LOCALHOST.octets());
    give(IPV6, port, &[vec![to, is_loopback, anybody()]])
}

/// Goes on where somebody listens.
fn anybody() -> Vec<u8> {
    expression("socket", &[number(1, 0), number(2, REGISTER)])
}

/// But for those that one of `but_for` holds of.
fn give(family: u8, port: u16, but_for: &[Vec<Vec<u8>>]) -> io::Result<()> {
    let headed = |body: &[Vec<u8>]| [vec![family, 0, 0, 0], body.concat()].concat();
    let table = attribute(1, b"cosette\0");
    let (before_routing, mangling) = (0_u32, -150_i32);
    let hook = [attribute(1, &before_routing.to_be_bytes()), attribute(2, &mangling.to_be_bytes())].concat();
    let chain = headed(&[table.clone(), attribute(3, b"calls\0"), nest(4, &hook), attribute(7, b"filter\0")]);
    let rule = |expressions: &[Vec<u8>]| {
        let body = headed(&[table.clone(), attribute(2, b"calls\0"), nest(4, &expressions.concat())]);
        (NEW_RULE, REQUEST | ACK | CREATE | APPEND, body)
    };
    let accept = expression("immediate", &[number(1, VERDICT), nest(2, &nest(2, &number(1, 1)))]);
    let place = expression("immediate", &[number(1, REGISTER), nest(2, &attribute(1, &port.to_be_bytes()))]);
    let give = expression("tproxy", &[number(1, family.into()), number(3, REGISTER)]);
    let batch = |kind| (kind, REQUEST, vec![0, 0, 0, TABLES.to_be_bytes()[1]]);
    let mut messages = vec![
        batch(BATCH_BEGIN),
        (NEW_TABLE, REQUEST | ACK | CREATE, headed(std::slice::from_ref(&table))),
        (NEW_CHAIN, REQUEST | ACK | CREATE, chain),
    ];
    messages.extend(but_for.iter().map(|holds| rule(&[holds.concat(), accept.clone()])));
    messages.extend([rule(&[place, give]), batch(BATCH_END)]);
    talk(Some(NETFILTER), &messages)
}

/// Goes on where an address of the packet's head, at this place in it, begins so.
fn address_is(at: u32, begins: &[u8]) -> [Vec<u8>; 2] {
    let network_header = 1;
    let length = u32::try_from(begins.len()).unwrap_or(4);
    let load = [number(1, REGISTER), number(2, network_header), number(3, at), number(4, length)];
    let compare = [number(1, REGISTER), number(2, EQUAL), nest(3, &attribute(1, begins))];
    [expression("payload", &load), expression("cmp", &compare)]
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    let name = attribute(1, &[name.as_bytes(), &[0]].concat());
    nest(1, &[name, nest(2, &data.concat())].concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn nest(kind: u16, inner: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, inner)
}

fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + data.len()).unwrap_or(u16::MAX);
    let mut all = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    all.extend(data);
    all.resize(all.len().next_multiple_of(4), 0);
    all
}

/// Says all at once, and waits until what is to be acknowledged is.
fn talk(with: Option<Protocol>, messages: &[(u16, u16, Vec<u8>)]) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, with)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    let mut said = Vec::new();
    let mut waits = 0;
    for (sequence, (kind, flags, body)) in (1_u32..).zip(messages) {
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        said.extend(length.to_ne_bytes());
        said.extend(kind.to_ne_bytes());
        said.extend(flags.to_ne_bytes());
        said.extend(sequence.to_ne_bytes());
        said.extend([0; 4]);
        said.extend(body);
        waits += usize::from(flags & ACK != 0);
    }
    send(&socket, &said, SendFlags::empty())?;
    let mut answer = vec![0; 1 << 16];
    while waits > 0 {
        let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
        waits -= acknowledged(&answer[..length])?.min(waits);
    }
    Ok(())
}

/// How many messages an answer acknowledges; the first error in it.
fn acknowledged(mut answer: &[u8]) -> io::Result<usize> {
    let word = |bytes: &[u8], at: usize| Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut count = 0;
    while let (Some(length), Some(kind)) = (word(answer, 0), answer.get(4..6)) {
        if kind == ERROR.to_ne_bytes() {
            match word(answer, 16) {
                Some(0) => count += 1,
                Some(error) => return Err(io::Error::from_raw_os_error(-error)),
                None => break,
            }
        }
        let next = usize::try_from(length).unwrap_or(0).next_multiple_of(4).max(16);
        answer = answer.get(next..).unwrap_or_default();
    }
    Ok(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_but_not_counted_so() {
        assert_eq!(attribute(3, b"ab")[..2], 6_u16.to_ne_bytes());
        assert_eq!(attribute(3, b"ab").len(), 8);
        assert_eq!(nest(3, &attribute(1, b"abcd")).len(), 12);
    }

    #[test]
    fn answers_are_counted() {
        let ack = |error: i32| {
            let mut one = [20_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4], error.to_ne_bytes()].concat();
            one[4..6].copy_from_slice(&ERROR.to_ne_bytes());
            one
        };
        assert_eq!(acknowledged(&[ack(0), ack(0)].concat()).unwrap(), 2);
        assert_eq!(acknowledged(&[ack(0), ack(-1)].concat()).unwrap_err().raw_os_error(), Some(1));
        assert_eq!(acknowledged(b"short").unwrap(), 0);
        assert_eq!(acknowledged(&[0; 64]).unwrap(), 0);
    }
}
