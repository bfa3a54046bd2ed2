//! Which rules a change fires (scf.md 2.2), and why others do not. Pure: a function of the change and the rules.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cosette_model::{BucketName, Change, ChangeKind, Events, Happened, ObjectKey, Seq, Target};

use crate::Rule;

/// Rules by bucket, with what every delivery of a rule shares.
#[derive(Default)]
pub(crate) struct RuleSet {
    by_bucket: HashMap<BucketName, Vec<(Rule, Arc<Target>)>>,
}

impl RuleSet {
    /// Of these rules, those that something after `cursor` can fire.
    pub(crate) fn new(rules: Vec<Rule>, cursor: Seq) -> Self {
        let mut by_bucket: HashMap<_, Vec<_>> = HashMap::new();
        for rule in rules.into_iter().filter(|rule| !(rule.deleted && rule.is_passed(cursor))) {
            let target = Arc::new(rule.target.clone());
            by_bucket.entry(rule.bucket.clone()).or_default().push((rule, target));
        }
        Self { by_bucket }
    }

    /// The rules that `change` fires, oldest first, and those that only the loop guard stops.
    pub(crate) fn fired<'a>(
        &'a self,
        change: &'a Change,
        loop_limit: u32,
    ) -> impl Iterator<Item = (&'a Rule, &'a Arc<Target>, Result<Happened, Why>)> {
        let rules = self.by_bucket.get(&change.bucket).map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter_map(move |(rule, target)| match fires(rule, change, loop_limit) {
            Err(why) if !matches!(why, Why::Loop { .. }) => None,
            judged => Some((rule, target, judged)),
        })
    }

    /// The rules that began with `change` and whose targets are to be told so.
    pub(crate) fn greeting<'a>(
        &'a self,
        change: &'a Change,
    ) -> impl Iterator<Item = &'a (Rule, Arc<Target>)> {
        let rules = match change.kind {
            ChangeKind::SettingChanged => self.by_bucket.get(&change.bucket),
            _ => None,
        };
        let rules = rules.map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter(|(rule, _)| rule.greets_at(change.seq))
    }
}

/// Why a rule does not tell of a change: the first thing that is against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    OtherBucket,
    /// What happened is an event of the other service at most.
    NoEvent(&'static str),
    OtherEvent(&'static str),
    /// The bucket was in another region then: it may have been deleted and made anew while its rules stayed.
    OtherRegion(String),
    Prefix(String),
    Suffix(String),
    CreatedLater,
    Disabled,
    Deleted,
    /// All else is for it, but `depth` invocations led to the change, and no more than `limit` may.
    Loop {
        depth: u32,
        limit: u32,
        event: Happened,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherBucket => f.write_str("the change is in another bucket"),
            Self::NoEvent(kind) => write!(f, "{kind} is no event that the service tells of"),
            Self::OtherEvent(event) => write!(f, "the rule does not listen to {event}"),
            Self::OtherRegion(region) => {
                write!(f, "the bucket was in {region} then, another region than the rule's")
            }
            Self::Prefix(prefix) => write!(f, "the key does not begin with \"{prefix}\""),
            Self::Suffix(suffix) => write!(f, "the key does not end with \"{suffix}\""),
            Self::CreatedLater => f.write_str("the rule was created later"),
            Self::Disabled => f.write_str("the rule was disabled at that time"),
            Self::Deleted => f.write_str("the rule had been deleted before"),
            Self::Loop { depth, limit, .. } => {
                write!(f, "loop guard: {depth} invocations led to this change, and the limit is {limit}")
            }
        }
    }
}

/// The event that `change` is for `rule`, if it fires it. No more than `loop_limit` invocations may have led to it;
/// 0 lets any number.
pub(crate) fn fires(rule: &Rule, change: &Change, loop_limit: u32) -> Result<Happened, Why> {
    if rule.bucket != change.bucket {
        return Err(Why::OtherBucket);
    }
    let is_event = match rule.events {
        Events::Cos(_) => change.kind.event().is_some(),
        Events::S3(_) => change.kind.s3_event().is_some(),
    };
    let Some(key) = change.key.as_ref().filter(|_| is_event).map(ObjectKey::as_str) else {
        return Err(Why::NoEvent(change.kind.name()));
    };
    let event = rule.events.covered(change.kind).ok_or(Why::OtherEvent(change.kind.name()))?;
    if rule.region != change.region.as_str() {
        return Err(Why::OtherRegion(change.region.as_str().to_owned()));
    }
    if !key.starts_with(&rule.prefix) {
        return Err(Why::Prefix(rule.prefix.clone()));
    }
    if !key.ends_with(&rule.suffix) {
        return Err(Why::Suffix(rule.suffix.clone()));
    }
    if let Some(why) = rule.inactive_at(change.seq) {
        return Err(why);
    }
    let depth = change.cause.depth;
    if loop_limit > 0 && depth >= loop_limit {
        return Err(Why::Loop { depth, limit: loop_limit, event });
    }
    Ok(event)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::function::FunctionRef;
    use cosette_model::{
        Attributes, Cause, EventPattern, EventType, Events, ObjectKey, Region, Style, Timestamp,
    };

    use super::*;
    use crate::Interval;

    fn rule(event: &str, prefix: &str, suffix: &str) -> Rule {
        Rule {
            id: "rule-1".into(),
            bucket: BucketName::new("examplebucket-1250000000").unwrap(),
            region: "ap-guangzhou".into(),
            events: Events::Cos(EventPattern::parse(event).unwrap()),
            prefix: prefix.into(),
            suffix: suffix.into(),
            target: FunctionRef {
                appid: "1250000000".into(),
                region: "ap-guangzhou".into(),
                namespace: "default".into(),
                name: "f".into(),
                qualifier: "1".into(),
                routed: None,
            }
            .into(),
            style: Style::Cos,
            description: String::new(),
            created: Timestamp::default(),
            modified: Timestamp::default(),
            active: vec![Interval { from: Seq(10), to: None }],
            deleted: false,
            configuration: None,
            ended: None,
        }
    }

    fn change(event: EventType, key: &str) -> Change {
        Change {
            seq: Seq(11),
            time: Timestamp::default(),
            kind: ChangeKind::Object(event),
            bucket: BucketName::new("examplebucket-1250000000").unwrap(),
            region: Region::new("ap-guangzhou").unwrap(),
            appid: "1250000000".into(),
            key: Some(ObjectKey::new(key).unwrap()),
            version_id: None,
            size: 0,
            etag: None,
            attributes: Attributes::default(),
            cause: Cause::default(),
            restored_until: None,
            replicas: Vec::new(),
        }
    }

    #[test]
    fn event_and_both_filters_must_hold() {
        use EventType::*;
        for (event, prefix, suffix, happened, key, want) in [
            ("cos:ObjectCreated:*", "", "", CreatedPut, "a", true),
            ("cos:ObjectCreated:*", "", "", RemovedDelete, "a", false),
            ("cos:ObjectCreated:Put", "", "", CreatedCopy, "a", false),
            ("cos:ObjectRemove:*", "", "", RemovedDeleteMarkerCreated, "a", true),
            ("cos:ObjectRestore:Post", "", "", RestoreCompleted, "a", false),
            ("cos:ObjectCreated:Put", "test/", "", CreatedPut, "test/x", true),
            ("cos:ObjectCreated:Put", "test/", "", CreatedPut, "hello/x", false),
            ("cos:ObjectCreated:Put", "test/", "", CreatedPut, "Test/x", false),
            ("cos:ObjectCreated:Put", "", ".jpg", CreatedPut, "x.jpg", true),
            ("cos:ObjectCreated:Put", "", ".jpg", CreatedPut, "x.png", false),
            ("cos:ObjectCreated:Put", "a/", ".jpg", CreatedPut, "a/.jpg", true),
            ("cos:ObjectCreated:Put", "a/", ".jpg", CreatedPut, "b/.jpg", false),
            // The filters may lie over each other within the key.
            ("cos:ObjectCreated:Put", "a.j", ".jpg", CreatedPut, "a.jpg", true),
        ] {
            let fired = fires(&rule(event, prefix, suffix), &change(happened, key), 16).ok();
            assert_eq!(fired, want.then_some(Happened::Cos(happened)), "{event} {prefix} {suffix} {key}");
        }
    }

    #[test]
    fn a_change_outside_the_interval_fires_nothing() {
        let mut change = change(EventType::CreatedPut, "a");
        change.seq = Seq(10);
        assert_eq!(fires(&rule("cos:ObjectCreated:*", "", ""), &change, 16), Err(Why::Disabled));
    }

    #[test]
    fn the_reason_is_the_first_that_holds() {
        let put = |key| change(EventType::CreatedPut, key);
        let on = rule("cos:ObjectCreated:Put", "a/", ".jpg");
        let why = |rule: &Rule, change: Change| fires(rule, &change, 3).unwrap_err();
        assert!(fires(&on, &put("a/b.jpg"), 3).is_ok());
        let copy = change(EventType::CreatedCopy, "b");
        assert_eq!(why(&on, copy), Why::OtherEvent("cos:ObjectCreated:Copy"));
        assert_eq!(why(&on, put("b/b.png")), Why::Prefix("a/".into()));
        assert_eq!(why(&on, put("a/b.png")), Why::Suffix(".jpg".into()));
        let setting = Change { kind: ChangeKind::SettingChanged, ..put("a/b.jpg") };
        assert_eq!(why(&on, setting), Why::NoEvent("SettingChanged"));
        let moved = Change { region: Region::new("ap-shanghai").unwrap(), ..put("a/b.jpg") };
        assert_eq!(why(&on, moved), Why::OtherRegion("ap-shanghai".into()));
        let elsewhere = Change { bucket: BucketName::new("other-1250000000").unwrap(), ..put("a/b.jpg") };
        assert_eq!(why(&on, elsewhere), Why::OtherBucket);
        // Made by 10, off from 20 to 30, deleted by 40.
        let mut gone =
            Rule { id: format!("rule-{:016x}", 10), deleted: true, ended: Some(Seq(40)), ..on.clone() };
        let interval = |from, to| Interval { from: Seq(from), to: Some(Seq(to)) };
        gone.active = vec![interval(10, 20), interval(30, 40)];
        let at = |seq| fires(&gone, &Change { seq: Seq(seq), ..put("a/b.jpg") }, 3);
        assert_eq!(at(10), Err(Why::CreatedLater));
        assert!(at(11).is_ok() && at(20).is_ok() && at(31).is_ok() && at(40).is_ok());
        assert_eq!(at(21), Err(Why::Disabled));
        assert_eq!(at(30), Err(Why::Disabled));
        assert_eq!(at(41), Err(Why::Deleted));
        // Deleted while it was off.
        gone.active = vec![interval(10, 20)];
        let at = |seq| fires(&gone, &Change { seq: Seq(seq), ..put("a/b.jpg") }, 3);
        assert_eq!([at(30), at(41)], [Err(Why::Disabled), Err(Why::Deleted)]);
    }

    #[test]
    fn no_more_invocations_than_the_limit_may_lead_to_a_change_that_fires() {
        let on = rule("cos:ObjectCreated:Put", "", "");
        let deep = |depth| {
            let change = change(EventType::CreatedPut, "a");
            Change { cause: Cause { depth, ..Cause::default() }, ..change }
        };
        assert!(fires(&on, &deep(2), 3).is_ok());
        let event = Happened::Cos(EventType::CreatedPut);
        assert_eq!(fires(&on, &deep(3), 3), Err(Why::Loop { depth: 3, limit: 3, event }));
        assert!(fires(&on, &deep(1000), 0).is_ok(), "0 is no limit");
        // Only what would have fired is stopped.
        let other = Change { key: Some(ObjectKey::new("b").unwrap()), ..deep(3) };
        assert_eq!(fires(&rule("cos:ObjectCreated:Put", "a", ""), &other, 3), Err(Why::Prefix("a".into())));
        let set = RuleSet::new(vec![on, rule("cos:ObjectCreated:Copy", "", "")], Seq(0));
        assert!(set.fired(&deep(3), 3).all(|(.., judged)| judged.is_err()));
        assert_eq!(set.fired(&deep(3), 3).count(), 1);
    }

    #[test]
    fn another_bucket_or_region_fires_nothing() {
        let set = RuleSet::new(vec![rule("cos:ObjectCreated:*", "", "")], Seq(0));
        let here = change(EventType::CreatedPut, "a");
        assert_eq!(set.fired(&here, 16).count(), 1);
        let elsewhere = Change { bucket: BucketName::new("other-1250000000").unwrap(), ..here.clone() };
        assert_eq!(set.fired(&elsewhere, 16).count(), 0);
        let moved = Change { region: Region::new("ap-shanghai").unwrap(), ..here };
        assert_eq!(set.fired(&moved, 16).count(), 0);
    }

    #[test]
    fn bucket_changes_fire_nothing() {
        let mut change = change(EventType::CreatedPut, "a");
        change.kind = ChangeKind::BucketCreated;
        change.key = None;
        let why = Why::NoEvent("BucketCreated");
        assert_eq!(fires(&rule("cos:ObjectCreated:*", "", ""), &change, 16), Err(why));
    }

    #[test]
    fn deleted_rules_that_are_passed_are_not_asked() {
        let mut gone = rule("cos:ObjectCreated:*", "", "");
        gone.deleted = true;
        gone.active[0].to = Some(Seq(20));
        let asked = |cursor| {
            let set = RuleSet::new(vec![gone.clone(), rule("cos:ObjectRemove:*", "", "")], Seq(cursor));
            set.by_bucket.values().flatten().count()
        };
        assert_eq!((asked(19), asked(20)), (2, 1));
    }
}
