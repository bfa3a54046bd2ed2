//! How long the edge keeps what it has fetched: the rules of a domain, and what the origin says.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// What is not kept of a domain for web pages, and how long all else is, by default.
const DYNAMIC: [&str; 4] = ["php", "jsp", "asp", "aspx"];
const KEPT: u64 = 30 * DAY;
/// The longest that may be chosen, in seconds.
pub const SECONDS_MAX: u64 = 365 * DAY;

/// What is served, by which the default rules of the cache differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Web,
    Download,
    Media,
}

/// A domain's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caching {
    /// The last that fits counts.
    pub rules: Vec<Rule>,
    /// What no rule is for is kept as long as the origin says, if it says so; else not at all.
    pub follow_origin: bool,
    /// `no-store`, `no-cache` and `private` do not count.
    pub ignore_cache_control: bool,
    /// The shorter of the rule's time and the origin's counts.
    pub compare_max_age: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub to: To,
    /// Zero for what is not kept.
    pub seconds: u64,
}

/// What a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    All,
    /// Endings, without their dots.
    File(Vec<String>),
    /// Folders, `/a/b`.
    Directory(Vec<String>),
    /// Whole paths.
    Path(Vec<String>),
    /// The page at `/`.
    Index,
}

impl To {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::File(endings) => {
                let name = path.rsplit('/').next().unwrap_or_default();
                name.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|one| one == ending))
            }
            Self::Directory(folders) => folders.iter().any(|folder| {
                let folder = folder.trim_end_matches('/');
                path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
            }),
            Self::Path(paths) => paths.iter().any(|one| one == path),
            Self::Index => path == "/",
        }
    }
}

impl Caching {
    /// Those that a domain has if nothing else is said (guide 228/38424).
    pub fn of(service: Service) -> Self {
        let mut rules = vec![Rule { to: To::All, seconds: KEPT }];
        if service == Service::Web {
            let dynamic = DYNAMIC.iter().map(|&ending| ending.to_owned()).collect();
            rules.push(Rule { to: To::File(dynamic), seconds: 0 });
        }
        Self { rules, follow_origin: false, ignore_cache_control: false, compare_max_age: false }
    }

    /// The origin's headers as a cache that knows HTTP only is to see them; `None` if the thing is not kept.
    /// `path` is decoded.
    pub(crate) fn apply(&self, path: &str, origin: &HeaderMap) -> Option<HeaderMap> {
        let said = Said::of(origin);
        if said.forbids && !self.ignore_cache_control {
            return None;
        }
        let seconds = match self.rules.iter().rev().find(|rule| rule.to.fits(path)) {
            Some(rule) if self.compare_max_age => {
                said.max_age.map_or(rule.seconds, |own| own.min(rule.seconds))
            }
            Some(rule) => rule.seconds,
            None if self.follow_origin => said.max_age?,
            None => return None,
        };
        if seconds == 0 {
            return None;
        }
        let mut shown = origin.clone();
        for name in [header::EXPIRES, header::PRAGMA, header::DATE, header::AGE, header::SET_COOKIE] {
            shown.remove(name);
        }
        let age = HeaderValue::from_str(&format!("max-age={seconds}")).ok()?;
        shown.insert(header::CACHE_CONTROL, age);
        Some(shown)
    }
}

/// What an origin's `Cache-Control` says to a cache.
#[derive(Default)]
struct Said {
    forbids: bool,
    max_age: Option<u64>,
}

impl Said {
    fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" | "private" => said.forbids = true,
                "max-age" => said.max_age = value.trim().trim_matches('"').parse().ok(),
                _ => {}
            }
        }
        said
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(caching: &Caching, path: &str, cache_control: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !cache_control.is_empty() {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        }
        let shown = caching.apply(path, &headers)?;
        Some(shown[header::CACHE_CONTROL].to_str().unwrap().to_owned())
    }

    #[test]
    fn defaults_keep_all_but_pages_that_are_made() {
        let (web, download) = (Caching::of(Service::Web), Caching::of(Service::Download));
        assert_eq!(kept(&web, "/a.png", "").as_deref(), Some("max-age=2592000"));
        assert_eq!(kept(&web, "/a.php", ""), None);
        assert_eq!(kept(&download, "/a.php", "max-age=5").as_deref(), Some("max-age=2592000"));
        for word in ["no-store", "max-age=60, no-cache", "Private"] {
            assert_eq!(kept(&web, "/a.png", word), None, "{word}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_counts() {
        let rule = |to, seconds| Rule { to, seconds };
        let of = |text: &str| vec![text.to_owned()];
        let mut caching = Caching {
            rules: vec![
                rule(To::File(of("jpg")), 10),
                rule(To::Directory(of("/a/b/")), 20),
                rule(To::Path(of("/a/b/c.jpg")), 30),
                rule(To::Index, 40),
            ],
            follow_origin: true,
            ignore_cache_control: true,
            compare_max_age: false,
        };
        for (path, want) in [("/x.jpg", 10), ("/a/b/x.jpg", 20), ("/a/b/c.jpg", 30), ("/", 40)] {
            assert_eq!(kept(&caching, path, "max-age=5"), Some(format!("max-age={want}")), "{path}");
        }
        assert_eq!(kept(&caching, "/a/bc", "no-store, max-age=5").as_deref(), Some("max-age=5"));
        assert_eq!(kept(&caching, "/a/bc", ""), None);
        caching.compare_max_age = true;
        assert_eq!(kept(&caching, "/x.jpg", "max-age=5").as_deref(), Some("max-age=5"));
        caching.follow_origin = false;
        assert_eq!(kept(&caching, "/other", "max-age=5"), None);
    }
}
