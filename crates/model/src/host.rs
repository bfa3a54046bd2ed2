//! Host names that are the services' or this server's own: they are nobody's domain.

use std::sync::Arc;

/// Names of the services, with all names below them: the object services, the Cloud API, function URLs, CNAMEs of
/// the CDN, AWS; and this machine.
pub const SERVICES: [&str; 10] = [
    "myqcloud.com",
    "tencentcos.cn",
    "tencentcloudapi.com",
    "tencentcloudapi.cn",
    "api.qcloud.com",
    "tencentscf.com",
    "dnsv1.com",
    "amazonaws.com",
    "amazonaws.com.cn",
    LOCALHOST,
];

/// This machine, without a look at any name service (RFC 6761, 6.3).
const LOCALHOST: &str = "localhost";

/// Whether `name` is `end` or a name below it. Both in small letters, without a port.
fn is_below(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the name is one of the services'. In small letters, without a port.
pub fn is_service(name: &str) -> bool {
    SERVICES.into_iter().any(|end| is_below(name, end))
}

/// Whether the name leads to this machine wherever it is looked up, or has no look-up at all: `localhost`, and names
/// below it.
pub fn is_localhost(name: &str) -> bool {
    is_below(name, LOCALHOST)
}

/// What can be nobody's domain: the services' names, and those that this server is called by. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Reserved(Arc<[String]>);

impl Reserved {
    /// `own` are the names that the server is called by.
    pub fn new(own: impl IntoIterator<Item = String>) -> Self {
        Self(own.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether this server is called so. In small letters, without a port.
    pub fn is_own(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }

    /// Whether nobody can have the name. In small letters, without a port.
    pub fn holds(&self, name: &str) -> bool {
        is_service(name) || self.is_own(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_services_and_our_own_are_nobodys() {
        let reserved = Reserved::new(["Build.example.com".to_owned()]);
        for name in [
            "scf.tencentcloudapi.com",
            "scf.tencentcloudapi.cn",
            "scf.api.qcloud.com",
            "myqcloud.com",
            "localhost",
            "a.localhost",
            "build.example.com",
        ] {
            assert!(reserved.holds(name), "{name}");
        }
        for name in ["www.example.com", "mytencentcloudapi.cn", "a.build.example.com", "notlocalhost"] {
            assert!(!reserved.holds(name), "{name}");
        }
    }
}
