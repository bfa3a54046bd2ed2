//! A story as one timeline for people: each change, each rule and why it did or did not fire, each delivery and
//! attempt with its log, and below these what the invocation did.

use std::collections::HashSet;

use cosette_function::Record;
use cosette_model::{Change, Target, Timestamp};
use cosette_trigger::{Delivery, DeliveryState, Rule, Triggers};
use serde_json::{Value, json};

use crate::admin::{change as change_json, delivery as delivery_json, invocation as invocation_json, target};
use crate::story::Story;

/// The entries, parents before what came of them; `depth` says how far below. Each has `what` it is and a `text`, and
/// those that happened at a time have that.
pub(crate) fn timeline(story: &Story, triggers: &Triggers) -> Result<Vec<Value>, String> {
    let ids: HashSet<&str> = story
        .deliveries
        .iter()
        .map(|delivery| delivery.id.as_str())
        .chain(story.invocations.iter().map(|record| record.request_id.as_str()))
        .collect();
    let mut writer = Writer { story, triggers, entries: Vec::new() };
    let is_top = |change: &&Change| change.cause.invocation().is_none_or(|by| !ids.contains(by));
    for change in story.changes.iter().filter(is_top) {
        writer.change(change, 0)?;
    }
    Ok(writer.entries)
}

struct Writer<'a> {
    story: &'a Story,
    triggers: &'a Triggers,
    entries: Vec<Value>,
}

impl Writer<'_> {
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
            if filed.contains(record.request_id.as_str()) {
                continue;
            }
            let status = match &record.outcome {
                Some(outcome) => format!("status {}", outcome.status.number()),
                None => "runs".to_owned(),
            };
            let text = format!("call of function {}, {}: {status}", record.function.name, record.request_id);
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
