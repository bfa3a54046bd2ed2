//! Where COS fetches what a bucket does not hold.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// In the order in which they are tried.
    pub rules: Vec<OriginRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginRule {
    pub priority: Option<u32>,
    pub kind: OriginKind,
    pub condition: OriginCondition,
    pub parameter: OriginParameter,
    /// Statuses besides 5xx at which the next host is asked.
    pub standby_codes: Option<Vec<u16>>,
    pub hosts: Vec<OriginHost>,
    pub file: Option<OriginFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginKind {
    /// Fetched while the client waits, and kept.
    Mirror,
    /// The client is sent there, and it is fetched besides.
    Proxy,
    /// The client is sent there.
    Redirect,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginCondition {
    pub status: Option<u16>,
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginParameter {
    pub protocol: Option<OriginProtocol>,
    pub transparent_error_code: Option<bool>,
    pub follow_query: Option<bool>,
    pub headers: Option<OriginHeaders>,
    pub follow_redirection: Option<bool>,
    pub redirection: Option<Redirection>,
    pub redirect_code: Option<u16>,
    pub copy_data: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginProtocol {
    Http,
    Https,
    Follow,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginHeaders {
    pub follow_all: Option<bool>,
    pub new: Vec<(String, String)>,
    pub follow: Vec<String>,
    pub forbid: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirection {
    pub follow_headers: Option<bool>,
    pub url_decode: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginHost {
    /// With a port if one was named.
    pub name: String,
    pub weight: Option<u32>,
    /// Asked next, in this order, with the number each was given.
    pub standby: Vec<(u32, String)>,
}

/// The path that is asked for, made of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginFile {
    Fixed(String),
    /// Put before and after the key.
    Around {
        prefix: Option<String>,
        suffix: Option<String>,
    },
}
