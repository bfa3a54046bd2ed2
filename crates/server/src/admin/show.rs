//! How the admin API shows what there is: one JSON object a change, delivery and invocation.

use cosette_function::Record;
use cosette_model::function::{FunctionRef, StatusCode as FunctionStatus};
use cosette_model::{Change, Target};
use cosette_trigger::{Delivery, DeliveryState};
use serde_json::{Value, json};

pub(crate) fn change(change: &Change) -> Value {
    json!({
        "seq": change.seq,
        "time": change.time.iso_millis(),
        "kind": change.kind.name(),
        "bucket": change.bucket,
        "region": change.region,
        "key": change.key,
        "versionId": change.version_id.as_ref().map(|version| version.as_str()),
        "size": change.size,
        "etag": change.etag,
        "requestId": change.cause.request_id,
        "sourceIp": change.cause.source_ip,
        "invocation": change.cause.invocation(),
        "depth": change.cause.depth,
        "rule": change.cause.rule,
    })
}

pub(crate) fn delivery(delivery: &Delivery) -> Value {
    let (state, detail) = match &delivery.state {
        DeliveryState::Pending => ("pending", None),
        DeliveryState::Held => ("held", None),
        DeliveryState::Running => ("running", None),
        DeliveryState::Retrying { at } => ("retrying", Some(at.iso_millis())),
        DeliveryState::Succeeded => ("succeeded", None),
        DeliveryState::Dead { why } => ("dead", Some(why.clone())),
    };
    json!({
        "id": delivery.id,
        "state": state,
        "detail": detail,
        "function": delivery.target.function().map(function),
        "target": target(&delivery.target),
        "created": delivery.created.iso_millis(),
        "letterOf": delivery.letter_of,
        "event": serde_json::from_str(&delivery.event).unwrap_or(Value::Null),
        "timer": delivery.timer,
        "source": delivery.source.as_ref().map(|source| json!({
            "seq": source.seq,
            "rule": source.rule,
            "event": source.event.name(),
            "bucket": source.bucket,
            "key": source.key,
            "requestId": source.request_id,
        })),
        "chain": delivery.chain.links.iter().map(|link| json!({
            "requestId": link.request_id,
            "what": link.what,
            "function": link.function,
            "invocation": link.invocation,
        })).collect::<Vec<_>>(),
        "depth": delivery.chain.depth,
        "repeats": delivery.repeats,
        "attempts": delivery.attempts.iter().map(|attempt| json!({
            "started": attempt.started.iso_millis(),
            "ended": attempt.ended.iso_millis(),
            "status": attempt.status.number(),
            "error": attempt.error,
            "answer": attempt.answer,
        })).collect::<Vec<_>>(),
    })
}

pub(crate) fn invocation(record: &Record) -> Value {
    let outcome = record.outcome.as_ref();
    json!({
        "requestId": record.request_id,
        "function": function(&record.function),
        "version": record.version.map(|version| version.to_string()),
        "source": record.source,
        "retry": record.retry,
        "started": record.started.iso_millis(),
        "status": outcome.map(|outcome| FunctionStatus::number(outcome.status)),
        "durationMs": outcome.map(|outcome| outcome.duration_ms),
        "memoryBytes": outcome.map(|outcome| outcome.memory_bytes),
        "result": outcome.map(|outcome| &outcome.result),
        "error": outcome.map(|outcome| &outcome.error),
        "log": outcome.map(|outcome| &outcome.log),
        "by": record.by,
        "refused": record.refused,
        "event": record.event,
    })
}

fn function(function: &FunctionRef) -> Value {
    json!({
        "account": function.appid,
        "region": function.region,
        "namespace": function.namespace,
        "name": function.name,
        "qualifier": function.qualifier,
    })
}

pub(crate) fn target(target: &Target) -> Value {
    match target {
        Target::Function(of) => json!({ "function": function(of) }),
        Target::Webhook { webhook } => json!({ "webhook": webhook }),
        Target::Bucket { bucket, prefix } => json!({ "bucket": bucket, "prefix": prefix }),
    }
}
