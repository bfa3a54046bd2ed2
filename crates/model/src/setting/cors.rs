//! Cross-origin resource sharing: a bucket's rules, and what they allow a request of a browser.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// The first that matches counts.
    pub rules: Vec<CorsRule>,
    /// COS: every answer says that it varies with the origin, also to requests that name none.
    pub vary: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    pub id: Option<String>,
    /// May hold one `*`.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    /// May hold one `*`; compared without case.
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub max_age: Option<u32>,
}

/// A request that a script of another origin may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// `Origin`.
    pub origin: String,
    /// What will be done, or is being done.
    pub method: String,
    /// Headers that the script wants to send; asked only before the request itself.
    pub headers: Vec<String>,
}

/// What the answer says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The request's own, or `*`.
    pub origin: String,
    pub methods: Vec<String>,
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    /// Seconds.
    pub max_age: Option<u32>,
    pub credentials: bool,
}

impl Cors {
    /// What the first rule that matches allows; `None` if none does.
    pub fn allow(&self, asked: &Crossing) -> Option<Allowed> {
        self.rules.iter().find_map(|rule| rule.allow(asked))
    }
}

impl CorsRule {
    fn allow(&self, asked: &Crossing) -> Option<Allowed> {
        let origin = self.origins.iter().find(|pattern| matches(pattern, &asked.origin))?;
        if !self.methods.contains(&asked.method) {
            return None;
        }
        let header_allowed = |name: &String| {
            let name = name.to_ascii_lowercase();
            self.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
        };
        if !asked.headers.iter().all(header_allowed) {
            return None;
        }
        let any = origin == "*";
        Some(Allowed {
            origin: if any { "*".to_owned() } else { asked.origin.clone() },
            methods: self.methods.clone(),
            // A rule of patterns has no list to show: what was asked is shown instead.
            headers: if self.headers.iter().any(|header| header.contains('*')) {
                asked.headers.clone()
            } else {
                self.headers.clone()
            },
            expose: self.expose.clone(),
            max_age: self.max_age,
            credentials: !any,
        })
    }
}

/// A pattern with at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn one_star_matches_what_lies_between() {
        for (pattern, text, want) in [
            ("*", "http://a", true),
            ("*suffix", "foo.suffix", true),
            ("*suffix", "foo.suffix.x", false),
            ("start*end", "startend", true),
            ("start*end", "start12end", true),
            ("start*end", "0startend", false),
            ("ab*ba", "aba", false),
            ("http://a", "http://a", true),
            ("http://a", "http://A", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |origin: &str, methods: &[&str], headers: &[&str]| CorsRule {
            origins: list(&[origin]),
            methods: list(methods),
            headers: list(headers),
            ..CorsRule::default()
        };
        let cors = Cors {
            rules: vec![
                rule("http://a", &["GET"], &["X-One", "x-two"]),
                rule("http://a", &["PUT", "GET"], &["*"]),
                rule("*", &["GET"], &[]),
            ],
            vary: false,
        };
        let ask = |origin: &str, method: &str, headers: &[&str]| {
            cors.allow(&Crossing {
                origin: origin.to_owned(),
                method: method.to_owned(),
                headers: list(headers),
            })
        };
        let first = ask("http://a", "GET", &["x-one"]).unwrap();
        assert_eq!(first.headers, list(&["X-One", "x-two"]));
        assert!(first.credentials && first.origin == "http://a");
        let second = ask("http://a", "GET", &["x-three"]).unwrap();
        assert_eq!((second.headers, second.methods), (list(&["x-three"]), list(&["PUT", "GET"])));
        let third = ask("http://b", "GET", &[]).unwrap();
        assert!(third.origin == "*" && !third.credentials);
        assert_eq!(ask("http://b", "GET", &["x-one"]), None);
        assert_eq!(ask("http://b", "PUT", &[]), None);
    }
}
