//! Who may be called.

use std::net::IpAddr;
use std::str::FromStr;

/// A host, or all of them, that functions may call: `HOST`, `HOST:PORT`, `*`. `*.HOST` is every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    host: String,
    port: Option<u16>,
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not HOST, HOST:PORT or *");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(bad)?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or_else(bad)?)
            }
            None if text.matches(':').count() > 1 => (text, ""),
            None => text.split_once(':').map_or((text, ""), |(host, port)| (host, port)),
        };
        let colon = text.ends_with(':');
        let port = if port.is_empty() { None } else { Some(port.parse().map_err(|_| bad())?) };
        let odd = |c: char| c.is_whitespace() || c == '/' || c == '@';
        let rest = host.strip_prefix("*.").unwrap_or(host);
        if rest.is_empty() || host.contains(odd) || rest.contains('*') && host != "*" || colon {
            return Err(bad());
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl Allowed {
    fn covers(&self, host: &str, port: u16) -> bool {
        let named = match self.host.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|left| left.ends_with('.')),
            None => self.host == "*" || self.host == host,
        };
        named && self.port.is_none_or(|own| own == port)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is for one of the services that are here.
    Ours,
    /// It stays on this machine.
    Loopback,
    /// Whoever runs the server has allowed it.
    Allowed,
    Refused,
}

/// Who may be called, besides the services.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub Vec<Allowed>);

/// Ends of the host names of the object services, of the Cloud API, of function URLs and of AWS.
pub const SERVICES: [&str; 9] = [
    ".myqcloud.com",
    ".tencentcos.cn",
    ".tencentcloudapi.com",
    ".tencentcloudapi.cn",
    ".api.qcloud.com",
    ".tencentscf.com",
    ".amazonaws.com",
    ".amazonaws.com.cn",
    // Names that need no resolving, for buckets' hosts of this server.
    ".localhost",
];

impl Rules {
    /// Whether the name is one of the services'.
    pub fn is_service(host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        SERVICES.iter().any(|suffix| host.ends_with(suffix) && host.len() > suffix.len())
    }

    /// What becomes of a call to `host` (without brackets) and `port`.
    pub fn judge(&self, host: &str, port: u16) -> Verdict {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if Self::is_service(&host) {
            Verdict::Ours
        } else if host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
        {
            Verdict::Loopback
        } else if self.0.iter().any(|allowed| allowed.covers(&host, port)) {
            Verdict::Allowed
        } else {
            Verdict::Refused
        }
    }

    /// Whether `host` (without brackets) and `port` are allowed by name, and not only as everybody is.
    pub fn names(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.0.iter().any(|allowed| allowed.host != "*" && allowed.covers(&host, port))
    }

    /// Whether anything is allowed that has a certificate of the world's own authorities.
    pub fn leaves_home(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Rules {
        Rules(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn services_and_this_machine_need_no_allowance() {
        let none = Rules::default();
        for host in [
            "b-1.cos.ap-guangzhou.myqcloud.com",
            "SCF.tencentcloudapi.com",
            "s3.amazonaws.com.",
            "b.localhost",
        ] {
            assert_eq!(none.judge(host, 443), Verdict::Ours, "{host}");
        }
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(none.judge(host, 5432), Verdict::Loopback, "{host}");
        }
        for host in [
            "example.com",
            "myqcloud.com.evil.org",
            "evilmyqcloud.com",
            ".myqcloud.com",
            "10.0.0.1",
            "169.254.0.23",
        ] {
            assert_eq!(none.judge(host, 443), Verdict::Refused, "{host}");
        }
    }

    #[test]
    fn what_is_named_is_allowed() {
        let rules = rules(&["Example.com", "db.internal:5432", "*.api.test", "[fd00::1]:80", "fd00::2"]);
        for (host, port, verdict) in [
            ("example.com", 443, Verdict::Allowed),
            ("www.example.com", 443, Verdict::Refused),
            ("db.internal", 5432, Verdict::Allowed),
            ("db.internal", 80, Verdict::Refused),
            ("a.api.test", 1, Verdict::Allowed),
            ("api.test", 1, Verdict::Refused),
            ("aapi.test", 1, Verdict::Refused),
            ("fd00::1", 80, Verdict::Allowed),
            ("fd00::1", 81, Verdict::Refused),
            ("fd00::2", 81, Verdict::Allowed),
        ] {
            assert_eq!(rules.judge(host, port), verdict, "{host}:{port}");
        }
        assert_eq!(self::rules(&["*"]).judge("anything", 1), Verdict::Allowed);
        let both = self::rules(&["*", "example.com", "*.api.test:80"]);
        for (host, port, named) in [
            ("Example.com.", 1, true),
            ("a.api.test", 80, true),
            ("a.api.test", 81, false),
            ("anything", 1, false),
        ] {
            assert_eq!(both.names(host, port), named, "{host}:{port}");
        }
        assert_eq!(self::rules(&["*:443"]).judge("anything", 80), Verdict::Refused);
        for bad in ["", ":80", "a:b", "a:70000", "http://a", "a b", "*.", "a*", "*.*.b", "[::1", "a:"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }
}
