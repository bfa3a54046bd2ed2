//! By what names this server is asked: which of them are its own, and which may ask its admin API.
//!
//! A page in a browser can have its own name lead to this machine (DNS rebinding) and then read what is answered to
//! that name. So the admin API answers to names only that no page's owner can have lead here.

use std::net::IpAddr;

use cosette_model::host::{Reserved, is_localhost, is_service};
use cosette_wire::Wire;
use http::header;
use http::request::Parts;

use crate::url::host;

/// Names below these have no public name service (RFC 6762, 3; ICANN's resolution 2024.07.29.06).
const PRIVATE: [&str; 2] = [".local", ".internal"];

/// The names that the server is called by: this machine's, and those that it was told.
pub(crate) fn own(told: &[String]) -> Reserved {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Reserved::new(told.iter().cloned().chain([machine]).filter(|name| !name.is_empty()))
}

/// A name of the user's own by which a request calls its host: what a domain may be called.
pub(crate) fn domain(parts: &Parts, own: &Reserved) -> Option<String> {
    Wire::own_name(parts).filter(|name| !own.is_own(name))
}

/// Whether a request that names no other host may ask the admin API by the name that it says: none, an address, this
/// machine's or one that was told, and what public name services do not have, as names without a dot.
pub(crate) fn may_administer(parts: &Parts, own: &Reserved) -> bool {
    let (name, _) = host(parts);
    if name.is_empty() {
        // Only a browser is led astray, and it always says it, in letters that can be read.
        return !parts.headers.contains_key(header::HOST);
    }
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || is_localhost(&name)
        || own.is_own(&name)
        || PRIVATE.iter().any(|end| name.ends_with(end))
}

/// Whether a name is one of the services' in the cloud, below which nothing is ours but what is theirs.
pub(crate) fn is_of_a_service(parts: &Parts) -> bool {
    let (name, _) = host(parts);
    is_service(&name) && !is_localhost(&name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(host: Option<&[u8]>) -> Parts {
        let mut request = Request::builder().uri("/_cosette/health");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn names_that_a_page_cannot_have() {
        let own = own(&["build.example.com".to_owned()]);
        let may = |host: &str| may_administer(&parts(Some(host.as_bytes())), &own);
        for host in [
            "127.0.0.1:9000",
            "127.0.0.1",
            "[::1]:9000",
            "[::1]",
            "192.168.1.7:9000",
            "localhost:9000",
            "LocalHost.",
            "b-1250000000.localhost:9000",
            "cosette:9000",
            "host.docker.internal:9000",
            "cosette.default.svc.cluster.local",
            "Build.example.com:9000",
        ] {
            assert!(may(host), "{host}");
        }
        for host in [
            "evil.example.com:9000",
            "127.0.0.1.evil.example.com",
            "localhost.evil.example.com",
            "a.build.example.com",
            "evil.example.com.:9000",
            "internal.example.com",
            "127.0.0.1:x",
        ] {
            assert!(!may(host), "{host}");
        }
        assert!(may_administer(&parts(None), &own), "no browser");
        for unreadable in [&b""[..], b"\xe4.example.com"] {
            assert!(!may_administer(&parts(Some(unreadable)), &own));
        }
    }

    #[test]
    fn what_leads_home_by_right_is_nobodys() {
        for end in cosette_egress::SERVICES {
            assert!(is_service(end.trim_start_matches('.')), "{end}");
        }
    }
}
