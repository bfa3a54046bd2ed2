//! Conditions of a statement: an operator, a key, and the values it is compared with.

use std::net::IpAddr;

use cosette_model::Timestamp;
use cosette_model::op::Facts;

use super::keys;
use super::wildcard::{Pattern, Variables};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    /// Without the service's prefix, in lower case but for what follows a stroke.
    pub(super) key: String,
    test: Test,
    negated: bool,
    /// A key that the request does not have is met.
    if_exists: bool,
    set: Set,
}

/// What of a key with several values must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// Nothing is said: one of them, or for a negation each.
    Plain,
    Any,
    All,
}

/// What a single value is compared with; any of the list will do.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Like(Vec<Pattern>),
    EqualIgnoringCase(Vec<Pattern>),
    Number(Order, Vec<f64>),
    Date(Order, Vec<Timestamp>),
    Bool(Vec<bool>),
    Ip(Vec<(IpAddr, u8)>),
    /// The key is not there.
    Null(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
        }
    }
}

impl Condition {
    /// `StringLikeIfExists`, `string_like_if_exist`: the two services' operators differ in spelling.
    pub(super) fn new(
        operator: &str,
        key: &str,
        values: Vec<String>,
        variables: Variables,
    ) -> Result<Self, String> {
        let invalid = || format!("Invalid Condition type : {operator}");
        let plain: String = operator.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
        let (set, plain) = match plain.split_once(':') {
            None => (Set::Plain, plain.as_str()),
            Some(("foranyvalue", rest)) => (Set::Any, rest),
            Some(("forallvalues" | "forallvalue", rest)) => (Set::All, rest),
            Some(_) => return Err(invalid()),
        };
        let (plain, if_exists) = match plain.strip_suffix("ifexists").or(plain.strip_suffix("ifexist")) {
            Some(rest) => (rest, true),
            None => (plain, false),
        };
        // Each service's word for the same: `StringEquals` and `string_equal`.
        let plain = plain.replace("equals", "equal");
        let (kind, rest) = ["string", "numeric", "date", "arn"]
            .iter()
            .find_map(|kind| plain.strip_prefix(kind).map(|rest| (*kind, rest)))
            .unwrap_or(("", plain.as_str()));
        let (negated, rest) = rest.strip_prefix("not").map_or((false, rest), |rest| (true, rest));
        let order = || {
            Ok(match rest {
                "equal" => Order::Equal,
                "lessthan" if !negated => Order::Less,
                "lessthanequal" if !negated => Order::LessEqual,
                "greaterthan" if !negated => Order::Greater,
                "greaterthanequal" if !negated => Order::GreaterEqual,
                _ => return Err(invalid()),
            })
        };
        let texts = |read: fn(&str, Variables) -> Result<Pattern, String>| {
            values.iter().map(|value| read(value, variables)).collect::<Result<Vec<_>, _>>()
        };
        let all = |parse: fn(&str) -> Option<f64>| each(&values, operator, parse);
        let test = match (kind, rest) {
            ("string", "equal") => Test::Like(texts(Pattern::text_with)?),
            ("string", "equalignorecase") => Test::EqualIgnoringCase(texts(Pattern::text_with)?),
            ("string", "like") | ("arn", "like" | "equal") => Test::Like(texts(Pattern::with)?),
            ("numeric", _) => {
                Test::Number(order()?, all(|v| v.parse().ok().filter(|n: &f64| n.is_finite()))?)
            }
            ("date", _) => Test::Date(order()?, each(&values, operator, date)?),
            ("", "bool" | "boolequal") if !negated => Test::Bool(each(&values, operator, boolean)?),
            ("", "ipaddress" | "ipequal") => Test::Ip(each(&values, operator, network)?),
            // `ip_not_equal`, with the negation in the middle.
            ("", "ipnotequal") if !negated => {
                let test = Test::Ip(each(&values, operator, network)?);
                return Ok(Self { key: keys::fact(key)?, test, negated: true, if_exists, set });
            }
            ("", "null" | "nullequal") if !negated && !if_exists => {
                match each(&values, operator, boolean)?[..] {
                    [absent] => Test::Null(absent),
                    _ => return Err(format!("{operator} takes one value")),
                }
            }
            _ => return Err(invalid()),
        };
        Ok(Self { key: keys::fact(key)?, test, negated, if_exists, set })
    }

    /// Whether only some can meet it, of those that a policy for everybody names.
    pub(super) fn narrows(&self) -> bool {
        // `ForAllValues` is met by whoever has no value.
        if self.negated
            || self.if_exists
            || self.set == Set::All
            || !keys::NARROW.contains(&self.key.as_str())
        {
            return false;
        }
        match &self.test {
            Test::Ip(networks) => networks.iter().all(|(_, bits)| *bits > 0),
            Test::Like(patterns) => !patterns.iter().any(|pattern| pattern.matches("")),
            Test::EqualIgnoringCase(_) => true,
            _ => false,
        }
    }

    /// A key that is not there meets a negation only, unless `IfExists` says otherwise.
    pub(super) fn holds(&self, facts: &Facts) -> bool {
        let values = facts.get(&self.key).map_or(&[][..], Vec::as_slice);
        if let Test::Null(absent) = self.test {
            return values.is_empty() == absent;
        }
        if values.is_empty() {
            return self.if_exists
                || match self.set {
                    Set::Plain => self.negated,
                    Set::Any => false,
                    Set::All => true,
                };
        }
        let meets = |value: &String| self.test.holds(value, facts) != self.negated;
        match self.set {
            // Of a plain negation with several values all must differ.
            Set::Plain if self.negated => values.iter().all(meets),
            Set::Plain | Set::Any => values.iter().any(meets),
            Set::All => values.iter().all(meets),
        }
    }
}

impl Test {
    fn holds(&self, value: &str, facts: &Facts) -> bool {
        let any = |list: &[Pattern], matches: fn(&Pattern, &str) -> bool| {
            list.iter().any(|one| one.of(facts).is_some_and(|pattern| matches(&pattern, value)))
        };
        match self {
            Self::EqualIgnoringCase(list) => any(list, Pattern::matches_ignoring_case),
            Self::Like(list) => any(list, Pattern::matches),
            Self::Number(order, list) => {
                value.parse::<f64>().is_ok_and(|n| list.iter().any(|v| order.holds(n, *v)))
            }
            Self::Date(order, list) => date(value).is_some_and(|t| list.iter().any(|v| order.holds(t, *v))),
            Self::Bool(list) => boolean(value).is_some_and(|b| list.contains(&b)),
            Self::Ip(list) => value.parse().is_ok_and(|ip| list.iter().any(|network| within(ip, *network))),
            Self::Null(_) => false,
        }
    }
}

fn each<T>(values: &[String], operator: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    values
        .iter()
        .map(|value| parse(value).ok_or_else(|| format!("{value} is no value for {operator}")))
        .collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// ISO 8601, or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_secs).or_else(|| Timestamp::parse_rfc3339(text))
}

/// An address, or one with the length of its prefix.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().ok()?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((ip, bits))
}

fn within(ip: IpAddr, (network, bits): (IpAddr, u8)) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width - u32::from(bits);
        a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
    };
    match (ip.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}
