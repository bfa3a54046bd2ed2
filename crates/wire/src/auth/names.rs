//! The names a signature may have been made for.
//!
//! A client signs the host and path it believes it talks to. Behind a port mapping, a container
//! name or a proxy that is not the host and path that arrive, so besides the literal ones the
//! server's other names for the same bucket and key are tried (design 4; strict mode does not).

use cosette_model::{BucketName, Region};

use crate::host;

/// Host and decoded path of one spelling of the request's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) host: String,
    pub(crate) path: String,
}

pub(crate) struct Names<'a> {
    /// The `Host` header as sent.
    pub(crate) host: &'a str,
    /// The authority of an absolute-form target.
    pub(crate) authority: Option<&'a str>,
    /// Decoded.
    pub(crate) path: &'a str,
    pub(crate) bucket: Option<&'a BucketName>,
    /// Empty for bucket-level requests.
    pub(crate) key: &'a str,
    /// The region of the host, else the default one.
    pub(crate) region: &'a Region,
    /// Names other than the literal ones count too.
    pub(crate) aliases: bool,
}

impl Names<'_> {
    /// What arrived, with and without its port (cos-api 1.6).
    pub(crate) fn literal(&self) -> Vec<Name> {
        let mut names = Vec::with_capacity(2);
        for host in [Some(self.host), self.authority].into_iter().flatten() {
            push(&mut names, host.to_owned(), self.path.to_owned());
            push(&mut names, host::name(host), self.path.to_owned());
            push(&mut names, host.to_ascii_lowercase(), self.path.to_owned());
        }
        names
    }

    /// The server's other names for the same target.
    pub(crate) fn aliases(&self) -> Vec<Name> {
        let mut names = Vec::new();
        if !self.aliases {
            return names;
        }
        let host = self.authority.unwrap_or(self.host);
        let port = host::port(host);
        let regional = ["myqcloud.com", "tencentcos.cn"].map(|s| format!("cos.{}.{s}", self.region));
        let s3 = [format!("s3.{}.amazonaws.com", self.region), "s3.amazonaws.com".to_owned()];
        let own = ["localhost", "127.0.0.1"].map(|name| format!("{name}{port}"));
        let Some(bucket) = self.bucket else {
            for service in ["service.cos.myqcloud.com", "service.cos.tencentcos.cn"] {
                push(&mut names, service.to_owned(), "/".to_owned());
            }
            for host in regional.into_iter().chain(s3).chain(own) {
                push(&mut names, host, "/".to_owned());
            }
            return names;
        };
        let virtual_path = format!("/{}", self.key);
        let mut path_paths = vec![format!("/{bucket}/{}", self.key)];
        if self.key.is_empty() {
            path_paths.push(format!("/{bucket}"));
        }
        for host in regional.iter().chain(&s3) {
            push(&mut names, format!("{bucket}.{host}"), virtual_path.clone());
        }
        for own in &own {
            push(&mut names, format!("{bucket}.{own}"), virtual_path.clone());
        }
        for host in [host.to_owned(), host::name(host)].into_iter().chain(regional).chain(s3).chain(own) {
            push(&mut names, host.clone(), virtual_path.clone());
            for path in &path_paths {
                push(&mut names, host.clone(), path.clone());
            }
        }
        names
    }
}

fn push(names: &mut Vec<Name>, host: String, path: String) {
    let name = Name { host, path };
    if !names.contains(&name) {
        names.push(name);
    }
}
