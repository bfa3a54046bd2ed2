//! COS's lists of the pages that may show a bucket's objects.

use serde::{Deserialize, Serialize};

use super::Status;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referer {
    pub status: Status,
    /// Only these may; else all but these.
    pub white: bool,
    pub domains: Vec<String>,
    /// Whether a request without `Referer` is let in.
    pub allow_empty: bool,
    /// Whether signed requests are looked at as well; COS lets them in unseen otherwise
    /// (product document 436/13319).
    pub signed_too: bool,
}

impl Referer {
    /// Whether a request from this page, if it names one, may read.
    pub fn admits(&self, referer: Option<&str>, signed: bool) -> bool {
        if self.status == Status::Disabled || signed && !self.signed_too {
            return true;
        }
        match referer.filter(|referer| !referer.is_empty()) {
            None => self.allow_empty,
            Some(referer) => self.white == self.domains.iter().any(|domain| covers(domain, referer)),
        }
    }
}

/// A domain, with port or path if it has them, is a prefix of the page without its protocol. `*`
/// stands for anything within a host or a folder, and `*.` also for nothing.
fn covers(domain: &str, referer: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim();
        text.split_once("://").map_or(text, |(_, rest)| rest).to_ascii_lowercase()
    };
    let (domain, page) = (bare(domain), bare(referer));
    begins(&domain, &page) || domain.strip_prefix("*.").is_some_and(|rest| begins(rest, &page))
}

/// Whether `text` begins with something that `pattern` stands for. Each star takes as little as it
/// can: what comes after one may be anywhere later within the same folder, so the first place is as
/// good as any.
fn begins(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for piece in pieces {
        let folder = rest.find('/').unwrap_or(rest.len());
        match rest.find(piece) {
            Some(at) if at <= folder => rest = &rest[at + piece.len()..],
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_prefixes_with_stars() {
        for (domain, page, want) in [
            ("www.qq.com", "http://www.qq.com/a", true),
            ("www.qq.com", "https://WWW.qq.com:8080/", true),
            ("www.qq.com:8080", "http://www.qq.com/", false),
            ("www.qq.com/example", "http://www.qq.com/example/1", true),
            ("www.qq.com/example", "http://www.qq.com/other", false),
            ("*.qq.com", "http://a.b.qq.com/", true),
            ("*.qq.com", "http://qq.com/", true),
            ("*.qq.com", "http://evil.com/?x=.qq.com", false),
            ("*", "http://any.where/", true),
            ("192.168.1.2:8080", "http://192.168.1.2:8080/x", true),
            ("qq.com", "http://www.qq.com", false),
        ] {
            assert_eq!(covers(domain, page), want, "{domain} {page}");
        }
    }

    #[test]
    fn lists_let_in_or_keep_out() {
        let list = Referer {
            status: Status::Enabled,
            white: true,
            domains: vec!["good.com".into()],
            allow_empty: false,
            signed_too: false,
        };
        assert!(list.admits(Some("http://good.com/"), false) && !list.admits(Some("http://bad.com/"), false));
        assert!(!list.admits(None, false) && !list.admits(Some(""), false));
        assert!(list.admits(None, true));
        let black = Referer { white: false, allow_empty: true, signed_too: true, ..list.clone() };
        assert!(!black.admits(Some("http://good.com/"), true) && black.admits(Some("http://bad.com/"), true));
        assert!(black.admits(None, true));
        assert!(Referer { status: Status::Disabled, ..list }.admits(None, false));
    }
}
