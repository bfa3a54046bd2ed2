//! Which function URL a request is for: by the service's own host names, by a name below `localhost`, which browsers
//! and curl find without asking anybody, and by a path of this server, for clients that find neither.

use cosette_trigger::{Domain, UrlSettings};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, header};

const CLOUD: &str = ".tencentscf.com";
const LOCAL: &str = ".scf.localhost";
/// Before the id.
const PATH: &str = "/_cosette/url/";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: String,
    /// What is said of the function by the host, or is known of the domain.
    pub(super) appid: Option<String>,
    pub(super) region: Option<String>,
    how: How,
    /// As the function sees it.
    pub(crate) path: PathAndQuery,
    /// What the client calls this server.
    port: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Extranet,
    Intranet,
    Localhost,
    Path,
    Domain,
}

/// The host that a request is for, in small letters, and the port.
pub(crate) fn host(parts: &Parts) -> (String, &str) {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    };
    (host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(), port)
}

/// What stands before the end that browsers find on this machine: a URL's id, or a domain.
pub(super) fn local(host: &str) -> Option<&str> {
    host.strip_suffix(LOCAL)
}

impl Place {
    /// `is_ours` says that the request names no other host; `is_there` whether there is a URL of an id.
    pub(super) fn of(parts: &Parts, is_ours: bool, is_there: impl Fn(&str) -> bool) -> Option<Self> {
        let (host, port) = host(parts);
        let root = || PathAndQuery::from_static("/");
        let path = || parts.uri.path_and_query().cloned().unwrap_or_else(root);
        let place = |id: &str, how, path| Self {
            id: id.to_owned(),
            appid: None,
            region: None,
            how,
            path,
            port: port.to_owned(),
        };
        if let Some(rest) = host.strip_suffix(CLOUD) {
            let (first, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let (how, region) = match rest.strip_prefix("in.") {
                Some(region) => (How::Intranet, region),
                None => (How::Extranet, rest),
            };
            let (appid, id) = first.split_once('-').unwrap_or(("", first));
            let (appid, region) = (Some(appid.to_owned()), Some(region.to_owned()));
            return Some(Self { appid, region, ..place(id, how, path()) });
        }
        if let Some(id) = local(&host) {
            // A bucket may be called like this, too.
            return is_there(id).then(|| place(id, How::Localhost, path()));
        }
        let rest = parts.uri.path_and_query()?.as_str().strip_prefix(PATH).filter(|_| is_ours)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (id, rest) = rest.split_at(end);
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Some(place(id, How::Path, rest.parse().unwrap_or_else(|_| root())))
    }

    /// Of the URL that a domain's path leads to.
    pub(super) fn by_domain(domain: &Domain, id: String, path: PathAndQuery, port: &str) -> Self {
        let (appid, region) = (Some(domain.appid.clone()), Some(domain.region.clone()));
        Self { id, appid, region, how: How::Domain, path, port: port.to_owned() }
    }

    pub(super) fn is_open(&self, settings: &UrlSettings) -> bool {
        match self.how {
            How::Extranet => settings.extranet,
            How::Intranet => settings.intranet,
            How::Localhost | How::Path | How::Domain => settings.extranet || settings.intranet,
        }
    }

    /// Where a browser is to go instead: by a path, the function's pages would be pages of this server, and could do
    /// what those may.
    pub(super) fn for_browsers(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.how != How::Path || !headers.contains_key("sec-fetch-site") {
            return None;
        }
        let port = if self.port.is_empty() { String::new() } else { format!(":{}", self.port) };
        HeaderValue::from_str(&format!("http://{}{LOCAL}{port}{}", self.id, self.path)).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;

    fn place(host: &str, uri: &str) -> Option<Place> {
        let request = Request::builder().uri(uri).header("host", host).body(()).unwrap();
        Place::of(&request.into_parts().0, true, |id| id == "abcdefghij")
    }

    #[test]
    fn by_host_and_by_path() {
        let found = place("1250000000-abcdefghij.ap-guangzhou.tencentscf.com", "/a/b?c").unwrap();
        assert_eq!(
            (found.id.as_str(), found.path.as_str(), found.how),
            ("abcdefghij", "/a/b?c", How::Extranet)
        );
        assert_eq!(found.appid.as_deref(), Some("1250000000"));
        assert_eq!(found.region.as_deref(), Some("ap-guangzhou"));
        let inside = place("1250000000-abcdefghij.in.ap-guangzhou.tencentscf.com:443", "/").unwrap();
        assert_eq!((inside.how, inside.region.as_deref()), (How::Intranet, Some("ap-guangzhou")));
        let local = place("ABCDEFGHIJ.scf.localhost:9000", "/x").unwrap();
        assert_eq!((local.id.as_str(), local.how), ("abcdefghij", How::Localhost));
        assert_eq!(place("other.scf.localhost", "/x"), None, "may be a bucket");
        for (uri, path) in [("", "/"), ("/", "/"), ("?a=b", "/?a=b"), ("/x%20y?z", "/x%20y?z")] {
            let found = place("127.0.0.1:9000", &format!("/_cosette/url/abcdefghij{uri}")).unwrap();
            assert_eq!((found.path.as_str(), found.how), (path, How::Path), "{uri}");
        }
        assert_eq!(place("127.0.0.1:9000", "/_cosette/rules"), None);
        assert_eq!(place("b.cos.ap-guangzhou.myqcloud.com", "/"), None);
    }

    #[test]
    fn browsers_are_sent_to_a_host_of_its_own() {
        let mut headers = HeaderMap::new();
        let by_path = place("127.0.0.1:9000", "/_cosette/url/abcdefghij/x?y").unwrap();
        assert_eq!(by_path.for_browsers(&headers), None);
        headers.insert("sec-fetch-site", HeaderValue::from_static("none"));
        assert_eq!(by_path.for_browsers(&headers).unwrap(), "http://abcdefghij.scf.localhost:9000/x?y");
        assert_eq!(place("abcdefghij.scf.localhost:9000", "/x").unwrap().for_browsers(&headers), None);
    }
}
