//! Which addresses are never connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether nothing is ever sent to this address: link-local ones and a few more, where a cloud's machines find
/// their credentials, and those that are no single host (unspecified, multicast, broadcast, reserved). IPv6 addresses
/// that carry one of IPv4 are judged by that one too. Loopback and private networks are the usual
/// case here, and fine.
pub fn refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => refused_v6(address),
    }
}

fn refused_v4(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    // 0/8 is "this network", 240/4 reserved with broadcast at its end.
    address.is_link_local()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || METADATA_V4.contains(&address)
}

/// Where the machines of Alibaba Cloud, Oracle's (classic) and Azure find what is theirs alone.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// The same over IPv6: EC2's machines, EKS's pods, Google's machines, Scaleway's.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

fn refused_v6(address: Ipv6Addr) -> bool {
    if address.is_loopback() {
        return false;
    }
    address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || METADATA_V6.contains(&address)
        || carried(address).into_iter().flatten().any(refused_v4)
}

/// The IPv4 addresses that are in this one, by the ways there are to put one there.
fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bytes = address.octets();
    let at = |places: [usize; 4]| Some(places.map(|place| bytes[place]).into());
    let last = at([12, 13, 14, 15]);
    match address.segments() {
        // IPv4-mapped, IPv4-translated (RFC 2765) and IPv4-compatible.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [last, None],
        // NAT64 (RFC 6052): the well-known prefix, and the local one, where the address may also stand after 48 bits
        // (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [last, None],
        [0x64, 0xff9b, 1, ..] => [last, at([6, 7, 9, 10]).filter(|it| !it.is_unspecified())],
        // 6to4.
        [0x2002, ..] => [at([2, 3, 4, 5]), None],
        _ => [None, None],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_machines_are_out_of_reach() {
        for address in [
            "169.254.169.254",
            "169.254.0.23",
            "169.254.0.0",
            "169.254.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "::ffff:100.100.100.200",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(refused(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn ones_own_machines_are_not() {
        for address in [
            "127.0.0.1",
            "127.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "8.8.8.8",
            "::1",
            "fd00::1",
            "fd00:ec2::253",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1:a00:0:100:8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "2002:a00:1::1",
        ] {
            assert!(!refused(address.parse().unwrap()), "{address}");
        }
    }
}
