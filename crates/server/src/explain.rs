//! A story as one timeline for people: each change, each rule and why it did or did not fire, each delivery and
//! attempt with its log, and below these what the invocation did.

use std::collections::HashSet;

use cosette_function::Record;
use cosette_model::{Change, Target, Timestamp};
use cosette_trigger::{Delivery, DeliveryState, Rule, Triggers};
use serde_json::{Value, json};

use crate::admin::{change as change_json, delivery as delivery_json, invocation as invocation_json, target};
use crate::story::Story;

/// How far below the first an entry may stand. Functions that call each other make chains without end, and a stack
/// has one.
const DEPTH_MAX: usize = 100;

/// The entries, parents before what came of them; `depth` says how far below. Each has `what` it is and a `text`, and
/// those that happened at a time have that. And whether some stand too deep to be told.
pub(crate) fn timeline(story: &Story, triggers: &Triggers) -> Result<(Vec<Value>, bool), String> {
    let ids: HashSet<&str> = story
        .deliveries
        .iter()
        .map(|delivery| delivery.id.as_str())
        .chain(story.invocations.iter().map(|record| record.request_id.as_str()))
        .collect();
    let mut writer = Writer { story, triggers, entries: Vec::new(), is_cut: false };
    let is_top = |change: &&Change| change.cause.invocation().is_none_or(|by| !ids.contains(by));
    for change in story.changes.iter().filter(is_top) {
        writer.change(change, 0)?;
    }
    Ok((writer.entries, writer.is_cut))
}

struct Writer<'a> {
    story: &'a Story,
    triggers: &'a Triggers,
    entries: Vec<Value>,
    is_cut: bool,
}

impl Writer<'_> {
    fn is_too_deep(&mut self, depth: usize) -> bool {
        self.is_cut |= depth > DEPTH_MAX;
        depth > DEPTH_MAX
    }

    fn say(&mut self, depth: usize, time: Option<Timestamp>, what: &str, text: String, more: Value) {
        let mut entry = json!({
            "depth": depth,
            "time": time.map(Timestamp::iso_millis),
            "what": what,
            "text": text,
        });
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        self.entries.push(entry);
    }

    fn change(&mut self, change: &Change, depth: usize) -> Result<(), String> {
        if self.is_too_deep(depth) {
            return Ok(());
        }
        let object = format!("{}/{}", change.bucket, change.key.as_ref().map_or("", |key| key.as_str()));
        let version = change.version_id.as_ref().map(|version| format!(", version {}", version.as_str()));
        let by = match (change.cause.invocation(), &change.cause.rule) {
            (Some(invocation), _) => format!("written by invocation {invocation}"),
            (None, Some(rule)) => format!("by lifecycle rule {rule}"),
            (None, None) => format!("by request {}", change.cause.request_id),
        };
        let text = format!(
            "{} {object}, {by} (number {}, {} bytes{})",
            change.kind.name(),
            change.seq,
            change.size,
            version.unwrap_or_default()
        );
        self.say(depth, Some(change.time), "change", text, json!({ "change": change_json(change) }));
        let is_read = self.triggers.cursor() >= change.seq;
        let judged = self.triggers.judge(change).map_err(|error| error.to_string())?;
        if judged.is_empty() {
            let text = "the bucket has no rule".to_owned();
            self.say(depth + 1, None, "rule", text, json!({ "rule": null, "matched": false }));
        }
        let deliveries: Vec<&Delivery> = self
            .story
            .deliveries
            .iter()
            .filter(|delivery| delivery.source.as_ref().is_some_and(|source| source.seq == change.seq))
            .collect();
        for (rule, judged) in judged {
            let of_rule =
                |delivery: &&&Delivery| delivery.source.as_ref().is_some_and(|source| source.rule == rule.id);
            let is_there = deliveries.iter().any(|delivery| of_rule(&delivery));
            let (matched, why) = match judged {
                Err(why) => (false, Some(why.to_string())),
                Ok(_) if !is_read => (true, Some("has not been looked at yet".to_owned())),
                Ok(_) if !is_there => (true, Some("its delivery is no longer known".to_owned())),
                Ok(_) => (true, None),
            };
            let verdict = if matched { "matched" } else { "did not match" };
            let because = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let text = format!("{} for {}: {verdict}{because}", in_words(&rule), rule.target);
            let more = json!({ "rule": rule_json(&rule), "matched": matched, "why": why });
            self.say(depth + 1, None, "rule", text, more);
            for delivery in deliveries.iter().filter(of_rule) {
                self.delivery(delivery, depth + 2)?;
            }
        }
        Ok(())
    }

    fn delivery(&mut self, delivery: &Delivery, depth: usize) -> Result<(), String> {
        if self.is_too_deep(depth) {
            return Ok(());
        }
        let state = match &delivery.state {
            DeliveryState::Pending => "waits for its turn".to_owned(),
            DeliveryState::Held => "is held".to_owned(),
            DeliveryState::Running => "runs".to_owned(),
            DeliveryState::Retrying { at } => format!("waits until {}", at.iso_millis()),
            DeliveryState::Succeeded => "succeeded".to_owned(),
            DeliveryState::Dead { why } => format!("is dead: {why}"),
        };
        let repeats = delivery.repeats.as_ref().map(|id| format!(", which repeats {id},"));
        let text =
            format!("delivery {}{} to {} {state}", delivery.id, repeats.unwrap_or_default(), delivery.target);
        let more = json!({ "delivery": delivery_json(delivery) });
        self.say(depth, Some(delivery.created), "delivery", text, more);
        let tries = delivery.attempts.len();
        for (n, attempt) in delivery.attempts.iter().enumerate() {
            let number = attempt.status.number();
            let error = if attempt.error.is_empty() { String::new() } else { format!(", {}", attempt.error) };
            // A clock that stands still gives several the same time: they are in the same order.
            let earlier = delivery.attempts[..n].iter().filter(|one| one.started == attempt.started).count();
            let log = self
                .records(&delivery.id)
                .filter(|record| record.started >= attempt.started && record.started <= attempt.ended)
                .nth(earlier)
                .and_then(|record| record.outcome.as_ref())
                .map(|outcome| outcome.log.clone());
            let text = format!(
                "attempt {} of {tries}: status {number}{error}, until {}",
                n + 1,
                attempt.ended.iso_millis()
            );
            let more = json!({
                "status": number,
                "error": attempt.error,
                "ended": attempt.ended.iso_millis(),
                "requestId": delivery.id,
                "log": log,
            });
            self.say(depth + 1, Some(attempt.started), "attempt", text, more);
        }
        self.doings(&delivery.id, depth + 1)
    }

    fn records(&self, request_id: &str) -> impl Iterator<Item = &Record> {
        self.story.invocations.iter().filter(move |record| record.request_id == request_id)
    }

    /// What the invocation wrote and called.
    fn doings(&mut self, invocation: &str, depth: usize) -> Result<(), String> {
        let story = self.story;
        let is_by = |change: &&Change| change.cause.invocation() == Some(invocation);
        for change in story.changes.iter().filter(is_by) {
            self.change(change, depth)?;
        }
        let is_call = |delivery: &&Delivery| {
            delivery.source.is_none() && delivery.chain.invocation() == Some(invocation)
        };
        for delivery in story.deliveries.iter().filter(is_call) {
            self.delivery(delivery, depth)?;
        }
        let filed: HashSet<&str> = story.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        for record in story.invocations.iter().filter(|record| record.by.as_deref() == Some(invocation)) {
            if filed.contains(record.request_id.as_str()) || self.is_too_deep(depth) {
                continue;
            }
            let status = match &record.outcome {
                Some(outcome) => format!("status {}", outcome.status.number()),
                None => "runs".to_owned(),
            };
            let text =
                format!("call of {}, {}: {status}", Target::from(record.function.clone()), record.request_id);
            let more = json!({ "invocation": invocation_json(record) });
            self.say(depth, Some(record.started), "call", text, more);
            self.doings(&record.request_id, depth + 1)?;
        }
        Ok(())
    }
}

fn in_words(rule: &Rule) -> String {
    let filter = |name: &str, text: &str| match text {
        "" => String::new(),
        text => format!(", {name} \"{text}\""),
    };
    format!(
        "rule {} ({}{}{})",
        rule.id,
        rule.events,
        filter("prefix", &rule.prefix),
        filter("suffix", &rule.suffix)
    )
}

fn rule_json(rule: &Rule) -> Value {
    let to: &Target = &rule.target;
    json!({
        "id": rule.id,
        "events": rule.events.to_string(),
        "prefix": rule.prefix,
        "suffix": rule.suffix,
        "target": target(to),
        "enabled": rule.enabled(),
        "deleted": rule.deleted,
        "created": rule.created.iso_millis(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::time::Duration;

    use cosette_clock::Clock;
    use cosette_model::function::{Description, FunctionRef, Invocation, Invoke, Outcome, RetryPolicy};
    use cosette_model::op::Owner;
    use cosette_model::{
        BucketName, Cause, Chain, EventPattern, EventType, Happened, ObjectKey, Region, Seq, Style,
    };
    use cosette_store::{Durability, Store};
    use cosette_trigger::{NewRule, Options, Source};

    use super::*;

    /// A target that is there and that nothing reaches.
    struct Nobody;

    impl Invoke for Nobody {
        fn invoke<'a>(&'a self, _: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
            Box::pin(std::future::pending())
        }

        fn describe(&self, _: &Target) -> Option<Description> {
            let retry = RetryPolicy::default();
            Some(Description { home: None, retry, concurrency: 1, dead_letter: None })
        }
    }

    /// Functions that call each other, one of the next, need no more of the stack than there is.
    #[tokio::test]
    async fn a_chain_of_calls_without_end_is_cut() {
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let options =
            cosette_store::Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let bucket = BucketName::new("examplebucket-1250000000").unwrap();
        let owner = Owner { uin: "100000000001".into(), appid: "1250000000".into(), name: String::new() };
        let region = Region::new("ap-guangzhou").unwrap();
        store.create_bucket(bucket.clone(), region, owner, Cause::default()).await.unwrap();
        let options = Options { retry_interval: Duration::from_secs(60), finished_max: 10, loop_limit: 16 };
        let triggers = Triggers::start(store.clone(), clock.clone(), Arc::new(Nobody), options).unwrap();
        let function = FunctionRef {
            appid: "1250000000".into(),
            region: "ap-guangzhou".into(),
            namespace: "default".into(),
            name: "f".into(),
            qualifier: "$DEFAULT".into(),
            routed: None,
        };
        let rule = NewRule {
            bucket: bucket.clone(),
            event: EventPattern::One(EventType::CreatedPut),
            prefix: String::new(),
            suffix: String::new(),
            target: function.clone().into(),
            style: Style::Cos,
            description: String::new(),
            enabled: true,
        };
        let rule = triggers.create_rule(rule).await.unwrap();
        let changes = store.changes(Seq(0), 1).unwrap();
        let delivery = Delivery {
            id: "0".into(),
            source: Some(Source {
                seq: changes[0].seq,
                rule: rule.id,
                event: Happened::Cos(EventType::CreatedPut),
                bucket,
                key: ObjectKey::new("a").unwrap(),
                request_id: String::new(),
            }),
            timer: None,
            target: function.clone().into(),
            event: "{}".into(),
            created: clock.now(),
            state: DeliveryState::Succeeded,
            attempts: Vec::new(),
            chain: Chain::default(),
            letter_of: None,
            repeats: None,
        };
        let record = |n: usize| Record {
            request_id: n.to_string(),
            function: function.clone(),
            id: None,
            version: None,
            event: "{}".into(),
            source: "API".into(),
            retry: 0,
            outcome: None,
            started: clock.now(),
            by: Some((n - 1).to_string()),
            refused: Vec::new(),
        };
        let told = |calls: usize| {
            let (changes, deliveries) = (changes.clone(), vec![delivery.clone()]);
            let invocations = (1..=calls).map(record).collect();
            let story = Story { changes, deliveries, invocations, ..Story::default() };
            timeline(&story, &triggers).unwrap()
        };
        let (entries, is_cut) = told(10);
        assert_eq!((entries.len(), is_cut), (13, false), "a change, a rule, a delivery, and the calls");
        let (entries, is_cut) = told(5000);
        assert!(is_cut && entries.len() <= DEPTH_MAX + 1);
        triggers.stop(Duration::ZERO).await;
    }
}
