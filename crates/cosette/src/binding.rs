//! `--trigger BUCKET,EVENT[,PREFIX[,SUFFIX]]`: which events of which bucket a deployed function gets.

use cosette_model::{EventPattern, EventType};
use serde_json::{Value, json};

/// A wanted trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// A bucket's name, or its whole domain.
    bucket: String,
    event: EventPattern,
    prefix: String,
    suffix: String,
}

const DOMAIN: &str = ".myqcloud.com";

/// For clap.
pub(crate) fn parse(text: &str) -> Result<Binding, String> {
    let mut parts = text.splitn(4, ',').map(str::trim);
    let bucket = parts.next().unwrap_or_default().to_owned();
    let event = parts.next().unwrap_or_default();
    if bucket.is_empty() || event.is_empty() {
        return Err(
            "a trigger is BUCKET,EVENT[,PREFIX[,SUFFIX]], such as photos-1250000000,created,in/,.jpg".into(),
        );
    }
    let event = parse_event(event)
        .ok_or_else(|| format!("{event} is not an event; try created, removed or cos:ObjectCreated:Put"))?;
    let prefix = parts.next().unwrap_or_default().to_owned();
    let suffix = parts.next().unwrap_or_default().to_owned();
    if !suffix.is_empty() && !suffix.starts_with('.') {
        return Err(format!("the suffix {suffix} must begin with a dot"));
    }
    Ok(Binding { bucket, event, prefix, suffix })
}

/// One of the twelve names, with or without `cos:`, in any case; or `created`, `removed`.
fn parse_event(text: &str) -> Option<EventPattern> {
    let lower = text.to_ascii_lowercase();
    let short = lower.strip_prefix("cos:").unwrap_or(&lower);
    let known = ["cos:ObjectCreated:*", "cos:ObjectRemove:*"]
        .into_iter()
        .chain(EventType::ALL.map(EventType::name))
        .filter_map(EventPattern::parse);
    match short {
        "created" | "objectcreated" => EventPattern::parse("cos:ObjectCreated:*"),
        "removed" | "deleted" | "objectremove" => EventPattern::parse("cos:ObjectRemove:*"),
        _ => known.into_iter().find(|event| {
            event.name().strip_prefix("cos:").is_some_and(|name| name.eq_ignore_ascii_case(short))
        }),
    }
}

impl Binding {
    /// The `TriggerName` the API wants.
    pub(crate) fn trigger_name(&self, region: &str) -> String {
        if self.bucket.ends_with(DOMAIN) {
            self.bucket.clone()
        } else {
            format!("{}.cos.{region}{DOMAIN}", self.bucket)
        }
    }

    /// The `TriggerDesc` the API wants.
    pub(crate) fn trigger_desc(&self) -> String {
        let filter = json!({"Prefix": self.prefix, "Suffix": self.suffix});
        json!({"event": self.event.name(), "filter": filter}).to_string()
    }

    /// The events of a rule, as the admin API wants them.
    pub(crate) fn rule(&self) -> Value {
        let bucket = self.bucket.split_once(".cos.").map_or(self.bucket.as_str(), |(name, _)| name);
        json!({"bucket": bucket, "event": self.event.name(), "prefix": self.prefix, "suffix": self.suffix})
    }

    /// Whether a trigger of `ListTriggers` is this one.
    pub(crate) fn is(&self, trigger: &Value, region: &str) -> bool {
        let text = |name: &str| trigger.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(description) = serde_json::from_str::<Value>(text("TriggerDesc")) else { return false };
        let filter = |name: &str| description["filter"][name].as_str().unwrap_or_default();
        text("Type") == "cos"
            && self.names(text("TriggerName"), region)
            && description["event"].as_str() == Some(self.event.name())
            && filter("Prefix") == self.prefix
            && filter("Suffix") == self.suffix
    }

    /// Equal, or equal but for the APPID: the server finds `photos-1250000000` for `photos`.
    fn names(&self, found: &str, region: &str) -> bool {
        let wanted = self.trigger_name(region);
        if found == wanted {
            return true;
        }
        let label = |name: &str| name.split_once(".cos.").map(|(a, b)| (a.to_owned(), b.to_owned()));
        match (label(found), label(&wanted)) {
            (Some((found, place)), Some((wanted, wanted_place))) => {
                place == wanted_place
                    && found
                        .strip_prefix(&wanted)
                        .and_then(|rest| rest.strip_prefix('-'))
                        .is_some_and(|appid| !appid.is_empty() && appid.bytes().all(|b| b.is_ascii_digit()))
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.event, self.bucket)?;
        for (name, value) in [("prefix", &self.prefix), ("suffix", &self.suffix)] {
            if !value.is_empty() {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_split() {
        let full = parse("photos-1250000000,ObjectCreated:Put,in/,.jpg").unwrap();
        assert_eq!(full.trigger_name("ap-beijing"), "photos-1250000000.cos.ap-beijing.myqcloud.com");
        assert_eq!(
            full.trigger_desc(),
            r#"{"event":"cos:ObjectCreated:Put","filter":{"Prefix":"in/","Suffix":".jpg"}}"#
        );
        let bare = parse("b-1250000000.cos.ap-chengdu.myqcloud.com,removed").unwrap();
        assert_eq!(bare.trigger_name("ap-beijing"), "b-1250000000.cos.ap-chengdu.myqcloud.com");
        assert_eq!(
            bare.trigger_desc(),
            r#"{"event":"cos:ObjectRemove:*","filter":{"Prefix":"","Suffix":""}}"#
        );
        for bad in ["", "photos", "photos,", ",created", "photos,nothing", "photos,created,in/,jpg"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn events_have_short_names() {
        for (text, name) in [
            ("created", "cos:ObjectCreated:*"),
            ("removed", "cos:ObjectRemove:*"),
            ("deleted", "cos:ObjectRemove:*"),
            ("ObjectCreated:*", "cos:ObjectCreated:*"),
            ("objectcreated:put", "cos:ObjectCreated:Put"),
            ("cos:ObjectRestore:Completed", "cos:ObjectRestore:Completed"),
            ("ObjectRemove:DeleteMarkerCreated", "cos:ObjectRemove:DeleteMarkerCreated"),
        ] {
            assert_eq!(parse_event(text).map(EventPattern::name), Some(name), "{text}");
        }
        for event in EventType::ALL {
            assert_eq!(parse_event(event.name()), Some(EventPattern::One(event)));
        }
        assert_eq!(parse_event("ObjectRestore:*"), None);
    }

    #[test]
    fn an_equal_trigger_is_recognized() {
        let wanted = parse("photos,created,in/").unwrap();
        let trigger = |name: &str, prefix: &str| {
            json!({
                "Type": "cos",
                "TriggerName": format!("{name}.cos.ap-guangzhou.myqcloud.com"),
                "TriggerDesc": json!({"bucketUrl": "x", "event": "cos:ObjectCreated:*",
                                      "filter": {"Prefix": prefix, "Suffix": ""}}).to_string(),
            })
        };
        assert!(wanted.is(&trigger("photos", "in/"), "ap-guangzhou"));
        assert!(wanted.is(&trigger("photos-1250000000", "in/"), "ap-guangzhou"));
        assert!(!wanted.is(&trigger("photos-old", "in/"), "ap-guangzhou"));
        assert!(!wanted.is(&trigger("photos", ""), "ap-guangzhou"));
        assert!(!wanted.is(&trigger("photos", "in/"), "ap-beijing"));
    }
}
