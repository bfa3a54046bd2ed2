//! Static websites: what a request on a bucket's website host is answered with.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Website {
    /// Stands for a folder: `index.html`. Empty only beside an S3 redirect of everything.
    pub index: String,
    pub error: Option<ErrorDocument>,
    pub redirect_all: Option<RedirectAll>,
    /// COS: a name without an extension is looked for with `.html` as well.
    pub auto_addressing: bool,
    pub rules: Vec<RoutingRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    pub key: String,
    /// Sent with the status of what failed; else with 200 (COS).
    pub original_status: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectAll {
    /// `None` for the host that was asked (COS).
    pub host: Option<String>,
    pub protocol: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingRule {
    pub if_prefix: Option<String>,
    /// Status of what failed.
    pub if_status: Option<u16>,
    pub redirect: Redirect,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    pub protocol: Option<String>,
    pub host: Option<String>,
    /// `None` for 302.
    pub status: Option<u16>,
    pub replace: Option<Replace>,
    /// COS (`URLRedirect` switched off): the other key's content is answered, the browser sent nowhere.
    #[serde(default)]
    pub in_place: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replace {
    Key(String),
    /// Instead of the prefix of the rule's condition.
    Prefix(String),
}

/// Where a browser is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onward {
    pub status: u16,
    pub to: Target,
    /// The content of the key is meant, not the way to it.
    pub in_place: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// As it is.
    Url(String),
    /// To a key, on the host and by the protocol that were asked unless others are named.
    Key { protocol: Option<String>, host: Option<String>, key: String },
}

impl Website {
    /// The key that a path stands for.
    pub fn key(&self, path: &str) -> String {
        if path.is_empty() || path.ends_with('/') { format!("{path}{}", self.index) } else { path.to_owned() }
    }

    /// Where a request for a path is sent before anything is looked for.
    pub fn onward(&self, path: &str) -> Option<Onward> {
        if let Some(all) = &self.redirect_all {
            let (protocol, host) = (all.protocol.clone(), all.host.clone());
            return Some(Onward {
                status: 301,
                to: Target::Key { protocol, host, key: path.to_owned() },
                in_place: false,
            });
        }
        self.rules.iter().filter(|rule| rule.if_status.is_none()).find_map(|rule| rule.onward(path))
    }

    /// The same once it has failed.
    pub fn onward_after(&self, path: &str, status: u16) -> Option<Onward> {
        self.rules.iter().filter(|rule| rule.if_status == Some(status)).find_map(|rule| rule.onward(path))
    }
}

impl RoutingRule {
    fn onward(&self, path: &str) -> Option<Onward> {
        let prefix = self.if_prefix.as_deref().unwrap_or_default();
        let rest = path.strip_prefix(prefix)?;
        let Redirect { protocol, host, status, replace, in_place } = &self.redirect;
        let key = match replace {
            None => path.to_owned(),
            Some(Replace::Key(key)) => key.clone(),
            Some(Replace::Prefix(new)) => format!("{new}{rest}"),
        };
        let to = Target::Key { protocol: protocol.clone(), host: host.clone(), key };
        Some(Onward { status: status.unwrap_or(302), to, in_place: *in_place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(if_prefix: Option<&str>, if_status: Option<u16>, redirect: Redirect) -> RoutingRule {
        RoutingRule { if_prefix: if_prefix.map(str::to_owned), if_status, redirect }
    }

    fn key(onward: Option<Onward>) -> Option<String> {
        match onward?.to {
            Target::Key { key, .. } => Some(key),
            Target::Url(url) => Some(url),
        }
    }

    #[test]
    fn paths_lead_to_keys_and_elsewhere() {
        let prefix =
            |new: &str| Redirect { replace: Some(Replace::Prefix(new.into())), ..Redirect::default() };
        let whole = |key: &str| Redirect { replace: Some(Replace::Key(key.into())), ..Redirect::default() };
        let site = Website {
            index: "index.html".into(),
            rules: vec![
                rule(Some("docs/"), None, prefix("documents/")),
                rule(Some("images/"), Some(404), whole("none.png")),
                rule(None, Some(404), Redirect { host: Some("h".into()), ..Redirect::default() }),
            ],
            ..Website::default()
        };
        assert_eq!(site.key(""), "index.html");
        assert_eq!(site.key("a/"), "a/index.html");
        assert_eq!(site.key("a"), "a");
        assert_eq!(key(site.onward("docs/a")), Some("documents/a".into()));
        assert_eq!(key(site.onward("images/a")), None);
        assert_eq!(key(site.onward_after("images/a", 404)), Some("none.png".into()));
        assert_eq!(key(site.onward_after("a", 404)), Some("a".into()));
        assert_eq!(key(site.onward_after("a", 403)), None);
        let all = RedirectAll { host: Some("other".into()), protocol: None };
        let moved = Website { redirect_all: Some(all), ..site };
        assert_eq!(moved.onward("docs/a").map(|onward| onward.status), Some(301));
    }
}
