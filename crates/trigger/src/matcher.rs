//! Which rules a change fires (scf.md 2.2). Pure: a function of the change and the rules.

use std::collections::HashMap;
use std::sync::Arc;

use cosette_model::{BucketName, Change, ChangeKind, Happened, Seq, Target};

use crate::Rule;

/// Rules by bucket, with what every delivery of a rule shares.
#[derive(Default)]
pub(crate) struct RuleSet {
    by_bucket: HashMap<BucketName, Vec<(Rule, Arc<Target>)>>,
}

impl RuleSet {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut by_bucket: HashMap<_, Vec<_>> = HashMap::new();
        for rule in rules {
            let target = Arc::new(rule.target.clone());
            by_bucket.entry(rule.bucket.clone()).or_default().push((rule, target));
        }
        Self { by_bucket }
    }

    /// The rules that `change` fires, oldest first.
    pub(crate) fn fired<'a>(
        &'a self,
        change: &'a Change,
    ) -> impl Iterator<Item = (&'a Rule, &'a Arc<Target>, Happened)> {
        let rules = self.by_bucket.get(&change.bucket).map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter_map(|(rule, target)| Some((rule, target, fires(rule, change)?)))
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

    /// Deleted rules that nothing after `cursor` can fire.
    pub(crate) fn spent(&self, cursor: Seq) -> Vec<String> {
        let rules = self.by_bucket.values().flatten();
        rules
            .filter(|(rule, _)| rule.deleted && rule.is_passed(cursor))
            .map(|(rule, _)| rule.id.clone())
            .collect()
    }
}

/// The event that `change` is for `rule`, if it fires it. The region is compared as well: a bucket
/// may have been deleted and made anew elsewhere while its rules stayed.
fn fires(rule: &Rule, change: &Change) -> Option<Happened> {
    let event = rule.events.covered(change.kind)?;
    let key = change.key.as_ref()?.as_str();
    let is_match = rule.bucket == change.bucket
        && rule.region == change.region.as_str()
        && key.starts_with(&rule.prefix)
        && key.ends_with(&rule.suffix)
        && rule.is_active_at(change.seq);
    is_match.then_some(event)
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
            target: FunctionRef { namespace: "default".into(), name: "f".into(), qualifier: "1".into() }
                .into(),
            style: Style::Cos,
            description: String::new(),
            created: Timestamp::default(),
            modified: Timestamp::default(),
            active: vec![Interval { from: Seq(10), to: None }],
            deleted: false,
            configuration: None,
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
            let fired = fires(&rule(event, prefix, suffix), &change(happened, key));
            assert_eq!(fired, want.then_some(Happened::Cos(happened)), "{event} {prefix} {suffix} {key}");
        }
    }

    #[test]
    fn a_change_outside_the_interval_fires_nothing() {
        let mut change = change(EventType::CreatedPut, "a");
        change.seq = Seq(10);
        assert_eq!(fires(&rule("cos:ObjectCreated:*", "", ""), &change), None);
    }

    #[test]
    fn another_bucket_or_region_fires_nothing() {
        let set = RuleSet::new(vec![rule("cos:ObjectCreated:*", "", "")]);
        let here = change(EventType::CreatedPut, "a");
        assert_eq!(set.fired(&here).count(), 1);
        let elsewhere = Change { bucket: BucketName::new("other-1250000000").unwrap(), ..here.clone() };
        assert_eq!(set.fired(&elsewhere).count(), 0);
        let moved = Change { region: Region::new("ap-shanghai").unwrap(), ..here };
        assert_eq!(set.fired(&moved).count(), 0);
    }

    #[test]
    fn bucket_changes_fire_nothing() {
        let mut change = change(EventType::CreatedPut, "a");
        change.kind = ChangeKind::BucketCreated;
        change.key = None;
        assert_eq!(fires(&rule("cos:ObjectCreated:*", "", ""), &change), None);
    }

    #[test]
    fn only_deleted_rules_that_are_passed_are_spent() {
        let mut gone = rule("cos:ObjectCreated:*", "", "");
        gone.deleted = true;
        gone.active[0].to = Some(Seq(20));
        let set = RuleSet::new(vec![gone, rule("cos:ObjectRemove:*", "", "")]);
        assert!(set.spent(Seq(19)).is_empty());
        assert_eq!(set.spent(Seq(20)), ["rule-1"]);
    }
}
