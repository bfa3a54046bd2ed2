//! From a rule and a request to what origins are asked.

use cosette_model::setting::{OriginFile, OriginHeaders, OriginHost, OriginProtocol, OriginRule};
use cosette_model::{ObjectKey, OnRedirection, OriginUrl, Sent};

/// What is asked, of whom, and how answers are taken.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) url: OriginUrl,
    /// Asked next, in this order.
    pub(super) standby: Vec<OriginUrl>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) on_redirection: OnRedirection,
    /// An origin's error keeps its status.
    pub(super) transparent: bool,
    /// Statuses besides 5xx at which the next host is asked.
    pub(super) standby_codes: Vec<u16>,
    /// What comes is kept.
    pub(super) store: bool,
}

impl Plan {
    /// `turn`: counts the requests, among which the hosts are shared out by their weights.
    /// `None` if the rule names no host, or the key climbs: at most servers `..` would lead out of the folder that
    /// the rule means.
    pub(super) fn of(rule: &OriginRule, key: &ObjectKey, sent: Option<&dyn Sent>, turn: u64) -> Option<Self> {
        let fixed = matches!(rule.file, Some(OriginFile::Fixed(_)));
        if !fixed && key.as_str().split(['/', '\\']).any(|part| part == "..") {
            return None;
        }
        let host = by_weight(&rule.hosts, turn)?;
        let parameter = &rule.parameter;
        let query = match sent {
            Some(sent) if parameter.follow_query.unwrap_or(true) => sent.query(),
            _ => String::new(),
        };
        let url = |host: &str| OriginUrl {
            secure: match parameter.protocol.unwrap_or(OriginProtocol::Follow) {
                OriginProtocol::Http => false,
                OriginProtocol::Https => true,
                OriginProtocol::Follow => sent.is_some_and(|sent| sent.secure()),
            },
            host: host.to_owned(),
            path: path(rule.file.as_ref(), key),
            query: query.clone(),
        };
        let how = parameter.redirection.unwrap_or_default();
        Some(Self {
            url: url(&host.name),
            standby: host.standby.iter().map(|(_, name)| url(name)).collect(),
            headers: headers(parameter.headers.as_ref(), sent),
            on_redirection: if parameter.follow_redirection.unwrap_or(true) {
                OnRedirection::Follow {
                    with_headers: how.follow_headers.unwrap_or(false),
                    decode: how.url_decode.unwrap_or(false),
                }
            } else {
                OnRedirection::Stop
            },
            transparent: parameter.transparent_error_code.unwrap_or(false),
            standby_codes: rule.standby_codes.clone().unwrap_or_default(),
            store: parameter.copy_data.unwrap_or(true),
        })
    }
}

/// The host whose turn it is: over the sum of the weights each has as many turns as its weight.
fn by_weight(hosts: &[OriginHost], turn: u64) -> Option<&OriginHost> {
    let weight = |host: &OriginHost| u64::from(host.weight.unwrap_or(1));
    let all: u64 = hosts.iter().map(weight).sum();
    if all == 0 {
        return hosts.first();
    }
    let mut left = turn % all;
    hosts.iter().find(|host| {
        let mine = left < weight(host);
        left = left.saturating_sub(weight(host));
        mine
    })
}

/// A prefix is a folder (guide 436/31508: `test` makes `/test/prefix123.jpg` of `prefix123.jpg`).
fn path(file: Option<&OriginFile>, key: &ObjectKey) -> String {
    match file {
        None => format!("/{key}"),
        Some(OriginFile::Fixed(path)) => format!("/{}", path.trim_start_matches('/')),
        Some(OriginFile::Around { prefix, suffix }) => {
            let folder = prefix.as_deref().unwrap_or_default().trim_matches('/');
            let slash = if folder.is_empty() { "" } else { "/" };
            format!("/{folder}{slash}{key}{}", suffix.as_deref().unwrap_or_default())
        }
    }
}

/// Those of the client that the rule lets through, then those that it adds.
fn headers(rule: Option<&OriginHeaders>, sent: Option<&dyn Sent>) -> Vec<(String, String)> {
    let Some(rule) = rule else { return Vec::new() };
    let mut headers = match sent {
        Some(sent) if rule.follow_all == Some(true) => sent.headers(),
        Some(sent) => {
            let one = |name: &String| Some((name.clone(), sent.header(name)?));
            rule.follow.iter().filter_map(one).collect()
        }
        None => Vec::new(),
    };
    headers.retain(|(name, _)| !rule.forbid.iter().any(|other| other.eq_ignore_ascii_case(name)));
    headers.extend(rule.new.iter().cloned());
    headers
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::setting::OriginKind;

    use super::*;

    fn host(name: &str, weight: Option<u32>) -> OriginHost {
        OriginHost { name: name.into(), weight, standby: Vec::new() }
    }

    #[test]
    fn hosts_share_by_weight() {
        let hosts = [host("a", Some(3)), host("none", Some(0)), host("b", None)];
        let names: String = (0..8).map(|turn| by_weight(&hosts, turn).unwrap().name.as_str()).collect();
        assert_eq!(names, "aaabaaab");
        assert_eq!(by_weight(&[host("a", Some(0))], 7).unwrap().name, "a");
        assert!(by_weight(&[], 0).is_none());
    }

    #[test]
    fn no_key_leads_out_of_the_folder_of_a_rule() {
        let rule = OriginRule {
            priority: None,
            kind: OriginKind::Mirror,
            condition: Default::default(),
            parameter: Default::default(),
            standby_codes: None,
            hosts: vec![host("a", None)],
            file: Some(OriginFile::Around { prefix: Some("mine".into()), suffix: None }),
        };
        let asked = |key| Plan::of(&rule, &ObjectKey::new(key).unwrap(), None, 0).map(|plan| plan.url.path);
        for key in ["../k", "a/../../k", "a/..", "..\\k"] {
            assert_eq!(asked(key), None, "{key}");
        }
        assert_eq!(asked("a..b/...").as_deref(), Some("/mine/a..b/..."));
    }

    #[test]
    fn a_path_is_made_of_the_key() {
        let key = ObjectKey::new("d/prefix123").unwrap();
        let around = |prefix: Option<&str>, suffix: Option<&str>| {
            Some(OriginFile::Around { prefix: prefix.map(Into::into), suffix: suffix.map(Into::into) })
        };
        for (file, want) in [
            (None, "/d/prefix123"),
            (Some(OriginFile::Fixed("one.jpg".into())), "/one.jpg"),
            (Some(OriginFile::Fixed("/a/one.jpg".into())), "/a/one.jpg"),
            (around(Some("test"), None), "/test/d/prefix123"),
            (around(Some("/test/"), Some(".jpg")), "/test/d/prefix123.jpg"),
            (around(None, Some(".jpg")), "/d/prefix123.jpg"),
        ] {
            assert_eq!(path(file.as_ref(), &key), want);
        }
    }
}
