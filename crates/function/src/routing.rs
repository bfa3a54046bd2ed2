//! Which calls of an alias go to its additional version (scf.md 3.9). Pure; knows no store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Version};

/// Bytes of a `RoutingKey` (scf.md 6.3).
const KEY_BYTES_MAX: usize = 1024;

/// What a rule's key begins with.
const HEADERS: &str = "invoke.headers.";

/// A second version of an alias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Additional {
    pub version: Version,
    pub when: When,
}

/// Which calls it gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum When {
    /// This share of them, from 0 to 1, at random.
    Weight(f64),
    /// Those with a `RoutingKey` that fits.
    Rule {
        /// `invoke.headers.` and a name.
        key: String,
        method: Method,
        /// `exact`: the text. `range`: `(a,b)` or `[a,b]`, whole numbers.
        expression: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Exact,
    Range,
}

/// `RoutingKey` of a call: texts by name.
pub struct RoutingKey(BTreeMap<String, String>);

impl RoutingKey {
    /// Of a JSON object of texts.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |message: String| Error::Invalid { field: "RoutingKey", message };
        if text.len() > KEY_BYTES_MAX {
            return Err(invalid(format!("RoutingKey has more than {KEY_BYTES_MAX} bytes")));
        }
        let texts = serde_json::from_str(text);
        texts.map(Self).map_err(|error| invalid(format!("RoutingKey is no JSON object of texts: {error}")))
    }
}

/// The least and the greatest number of `(a,b)`, without its ends, or `[a,b]`, with them.
fn range(expression: &str) -> Option<(i64, i64)> {
    let between = |open, close| expression.trim().strip_prefix(open)?.strip_suffix(close)?.split_once(',');
    let number = |text: &str| text.trim().parse::<i64>().ok();
    if let Some((from, to)) = between('(', ')') {
        return Some((number(from)?.checked_add(1)?, number(to)?.checked_sub(1)?));
    }
    let (from, to) = between('[', ']')?;
    Some((number(from)?, number(to)?))
}

impl Additional {
    /// Whether it can stand beside the alias's main version.
    pub(crate) fn check(&self, main: Version) -> Result<(), Error> {
        let invalid = |message: String| Err(Error::Invalid { field: "RoutingConfig", message });
        if self.version == main {
            return invalid(format!("the additional version {main} is the alias's own"));
        }
        match &self.when {
            When::Weight(weight) if !(0.0..=1.0).contains(weight) => Err(Error::Invalid {
                field: "AdditionalVersionWeights",
                message: format!("Weight {weight} is not from 0 to 1"),
            }),
            When::Rule { key, .. } if key.strip_prefix(HEADERS).is_none_or(str::is_empty) => {
                invalid(format!("Key {key} is not {HEADERS}<name>"))
            }
            When::Rule { method: Method::Range, expression, .. } if range(expression).is_none() => {
                invalid(format!("Expression {expression} is neither (a,b) nor [a,b]"))
            }
            When::Rule { expression, .. } if expression.is_empty() => invalid("Expression is empty".into()),
            When::Weight(_) | When::Rule { .. } => Ok(()),
        }
    }
}

impl When {
    /// Whether a rule takes a call with this key; nothing for what is no rule.
    pub(crate) fn fits(&self, key: &RoutingKey) -> Option<bool> {
        let Self::Rule { key: wanted, method, expression } = self else { return None };
        let Some(value) = wanted.strip_prefix(HEADERS).and_then(|name| key.0.get(name)) else {
            return Some(false);
        };
        Some(match method {
            Method::Exact => value == expression,
            Method::Range => match (range(expression), value.trim().parse::<i64>()) {
                (Some((from, to)), Ok(number)) => (from..=to).contains(&number),
                _ => false,
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(method: Method, expression: &str) -> Additional {
        let (key, expression) = ("invoke.headers.User".to_owned(), expression.to_owned());
        Additional { version: Version::Number(2), when: When::Rule { key, method, expression } }
    }

    #[test]
    fn rules_take_what_fits() {
        let fits = |method, expression: &str, value: &str| {
            let key = RoutingKey::parse(&serde_json::json!({ "User": value }).to_string()).unwrap();
            rule(method, expression).when.fits(&key).unwrap()
        };
        assert!(fits(Method::Exact, "B", "B"));
        assert!(!fits(Method::Exact, "B", "b"));
        for (value, open, closed) in [
            ("1", false, true),
            ("2", true, true),
            ("5", false, true),
            ("6", false, false),
            ("x", false, false),
        ] {
            assert_eq!(fits(Method::Range, "(1,5)", value), open, "{value}");
            assert_eq!(fits(Method::Range, "[1, 5]", value), closed, "{value}");
        }
        let other = RoutingKey::parse(r#"{"Other":"B"}"#).unwrap();
        assert_eq!(rule(Method::Exact, "B").when.fits(&other), Some(false));
        assert_eq!(When::Weight(1.0).fits(&other), None);
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused() {
        let one = Version::Number(1);
        assert!(rule(Method::Exact, "B").check(one).is_ok());
        assert!(rule(Method::Exact, "B").check(Version::Number(2)).is_err());
        assert!(rule(Method::Exact, "").check(one).is_err());
        for bad in ["", "1,5", "(1,5]", "(a,b)", "(1)", "(9223372036854775807,2)"] {
            assert!(rule(Method::Range, bad).check(one).is_err(), "{bad}");
        }
        let mut unnamed = rule(Method::Exact, "B");
        unnamed.when = When::Rule { key: "User".into(), method: Method::Exact, expression: "B".into() };
        assert!(unnamed.check(one).is_err());
        let weight = |weight| Additional { version: Version::Number(2), when: When::Weight(weight) };
        assert!(weight(0.5).check(one).is_ok());
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(weight(bad).check(one).is_err());
        }
        for bad in ["", "[]", r#"{"User":1}"#, &format!(r#"{{"User":"{}"}}"#, "x".repeat(1024))] {
            assert!(RoutingKey::parse(bad).is_err(), "{bad}");
        }
    }
}
