//! Whom changes of a bucket's objects are told to (S3's form).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    pub rules: Vec<NotificationRule>,
    /// Everything goes to the account's event bus as well.
    pub event_bridge: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRule {
    pub id: String,
    pub kind: NotificationKind,
    /// An ARN.
    pub target: String,
    /// As they are written: `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    pub filter: Option<KeyFilter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotificationKind {
    Topic,
    Queue,
    Function,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFilter {
    pub prefix: Option<String>,
    pub suffix: Option<String>,
}

/// Event names that S3 knows, without `s3:`.
const EVENTS: &[&str] = &[
    "ReducedRedundancyLostObject",
    "ObjectCreated:*",
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:*",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectRestore:*",
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "Replication:*",
    "Replication:OperationFailedReplication",
    "Replication:OperationNotTracked",
    "Replication:OperationMissedThreshold",
    "Replication:OperationReplicatedAfterThreshold",
    "LifecycleTransition",
    "IntelligentTiering",
    "ObjectAcl:Put",
    "LifecycleExpiration:*",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "ObjectTagging:*",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
];

/// Whether it names an event, or all of a kind.
pub fn is_event(name: &str) -> bool {
    name.strip_prefix("s3:").is_some_and(|name| EVENTS.contains(&name))
}

impl Notification {
    /// Whether one event of one object could be for two rules, which S3 refuses.
    pub fn overlaps(&self) -> bool {
        self.rules
            .iter()
            .enumerate()
            .any(|(at, one)| self.rules[at + 1..].iter().any(|other| one.meets(other)))
    }
}

impl NotificationRule {
    fn meets(&self, other: &Self) -> bool {
        let same = |a: &String, b: &String| {
            let within =
                |all: &str, one: &str| all.strip_suffix('*').is_some_and(|kind| one.starts_with(kind));
            a == b || within(a, b) || within(b, a)
        };
        // Each once, however often a rule names it: there are few.
        let (mine, theirs): (BTreeSet<_>, BTreeSet<_>) =
            (self.events.iter().collect(), other.events.iter().collect());
        let events = mine.iter().any(|event| theirs.iter().any(|their| same(event, their)));
        let text = |filter: &Option<KeyFilter>, suffix: bool| {
            let filter = filter.clone().unwrap_or_default();
            if suffix { filter.suffix } else { filter.prefix }.unwrap_or_default()
        };
        let (before, theirs) = (text(&self.filter, false), text(&other.filter, false));
        let (after, their_end) = (text(&self.filter, true), text(&other.filter, true));
        events
            && (before.starts_with(&theirs) || theirs.starts_with(&before))
            && (after.ends_with(&their_end) || their_end.ends_with(&after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(event: &str, prefix: &str, suffix: &str) -> NotificationRule {
        NotificationRule {
            id: String::new(),
            kind: NotificationKind::Queue,
            target: String::new(),
            events: vec![event.to_owned()],
            filter: Some(KeyFilter { prefix: Some(prefix.to_owned()), suffix: Some(suffix.to_owned()) }),
        }
    }

    #[test]
    fn rules_overlap_when_one_change_could_be_for_both() {
        let created = "s3:ObjectCreated:*";
        for (one, other, want) in [
            (rule(created, "", ""), rule("s3:ObjectCreated:Put", "", ""), true),
            (rule(created, "", ""), rule("s3:ObjectRemoved:*", "", ""), false),
            (rule(created, "images/", ""), rule(created, "images/a", ""), true),
            (rule(created, "images/", ""), rule(created, "docs/", ""), false),
            (rule(created, "images/", ".jpg"), rule(created, "images/", ".png"), false),
            (rule(created, "images/", ".jpg"), rule(created, "", "jpg"), true),
        ] {
            let both = Notification { rules: vec![one, other], event_bridge: false };
            assert_eq!(both.overlaps(), want, "{both:?}");
        }
    }

    #[test]
    fn events_named_over_and_over_are_compared_once() {
        let many = |event: &str| {
            let one = rule(event, "", "");
            NotificationRule { events: vec![event.to_owned(); 20_000], ..one }
        };
        let rules = vec![many("s3:ObjectCreated:Put"), many("s3:ObjectRemoved:Delete")];
        // Each with each would be hundreds of millions.
        assert!(!Notification { rules, event_bridge: false }.overlaps());
    }
}
