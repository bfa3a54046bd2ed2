//! Who is told of something, as the command line names it: `function:NAME[:QUALIFIER]`, `webhook:NAME`,
//! `bucket:NAME[/PREFIX]`.

use cosette_control::client::Client;
use serde_json::{Value, json};

/// Triggers go to the alias every function has, as the cloud's console makes them.
pub(crate) const QUALIFIER: &str = "$DEFAULT";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Function { name: String, qualifier: String },
    Webhook(String),
    Bucket { name: String, prefix: String },
}

/// For clap.
pub(crate) fn parse(text: &str) -> Result<Goal, String> {
    let (kind, name) = text.split_once(':').unwrap_or_default();
    let goal = match kind {
        "function" => {
            let (name, qualifier) = name.split_once(':').unwrap_or((name, QUALIFIER));
            Goal::Function { name: name.into(), qualifier: qualifier.into() }
        }
        "webhook" => Goal::Webhook(name.into()),
        "bucket" => {
            let (name, prefix) = name.split_once('/').unwrap_or((name, ""));
            Goal::Bucket { name: name.into(), prefix: prefix.into() }
        }
        _ => return Err("it is function:NAME[:QUALIFIER], webhook:NAME or bucket:NAME[/PREFIX]".into()),
    };
    if name.is_empty() {
        return Err(format!("{kind}: needs a name"));
    }
    Ok(goal)
}

impl Goal {
    /// As the admin API takes it. A function's region is for the server to find.
    pub(crate) fn asked(&self, client: &Client) -> Value {
        match self {
            Self::Function { name, qualifier } => json!({"function": {
                "account": client.account, "region": "", "namespace": client.namespace,
                "name": name, "qualifier": qualifier,
            }}),
            Self::Webhook(name) => json!({"webhook": name}),
            Self::Bucket { name, prefix } => json!({"bucket": name, "prefix": prefix}),
        }
    }
}

/// As the admin API shows it, in the words of the command line.
pub(crate) fn shown(target: &Value) -> String {
    let text = |name: &str| target[name].as_str();
    let of = |name: &str| target["function"][name].as_str();
    match (of("name"), text("webhook"), text("bucket")) {
        (Some(name), ..) => match of("qualifier") {
            Some(qualifier) if qualifier != QUALIFIER => format!("function:{name}:{qualifier}"),
            _ => format!("function:{name}"),
        },
        (_, Some(name), _) => format!("webhook:{name}"),
        (.., Some(name)) => match text("prefix") {
            Some(prefix) if !prefix.is_empty() => format!("bucket:{name}/{prefix}"),
            _ => format!("bucket:{name}"),
        },
        _ => target.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read() {
        let (name, qualifier) = ("thumb".to_owned(), "v2".to_owned());
        assert_eq!(parse("function:thumb:v2").unwrap(), Goal::Function { name, qualifier });
        assert_eq!(parse("webhook:orders").unwrap(), Goal::Webhook("orders".into()));
        let (name, prefix) = ("late-1".to_owned(), "a/b".to_owned());
        assert_eq!(parse("bucket:late-1/a/b").unwrap(), Goal::Bucket { name, prefix });
        for wrong in ["", "orders", "function:", "webhook:", "bucket:", "queue:a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn goals_are_shown() {
        for (target, words) in [
            (json!({"function": {"name": "thumb", "qualifier": QUALIFIER}}), "function:thumb"),
            (json!({"function": {"name": "thumb", "qualifier": "v2"}}), "function:thumb:v2"),
            (json!({"webhook": "orders"}), "webhook:orders"),
            (json!({"bucket": "b", "prefix": "p/"}), "bucket:b/p/"),
            (json!({"bucket": "b", "prefix": ""}), "bucket:b"),
        ] {
            assert_eq!(shown(&target), words);
        }
    }
}
