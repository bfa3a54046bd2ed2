//! Dead letters: what is told of a delivery that nothing more is tried for. Pure.
//!
//! The text has SCF's members (scf.md 6.5) and, beside them, what SCF leaves out: the reason and the attempts.

use cosette_model::function::{Description, StatusCode};
use cosette_model::{Target, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::delivery::{Attempt, DeliveryState, Filed, Progress};

/// The letter that the end of a delivery brings, if it is dead and its target has somebody to be told. A letter that
/// is dead itself brings none.
pub(crate) fn of(dead: &Filed, progress: &Progress, target: Description, now: Timestamp) -> Option<Filed> {
    let DeliveryState::Dead { why } = &progress.state else { return None };
    let to = target.dead_letter.as_ref().filter(|_| dead.letter_of.is_none())?;
    Some(Filed {
        id: Uuid::new_v4().to_string(),
        source: dead.source.clone(),
        timer: dead.timer.clone(),
        target: to.clone(),
        event: text(dead, progress, why, &target, now),
        created: now,
        chain: dead.chain.clone().then(dead.link()),
        letter_of: Some(dead.id.clone()),
        repeats: None,
    })
}

fn text(dead: &Filed, progress: &Progress, why: &str, target: &Description, now: Timestamp) -> String {
    let last = progress.attempts.last();
    let code = match last.map(|attempt| attempt.status) {
        // So SCF's own letters have it.
        None | Some(StatusCode::UserCodeException) => -1,
        Some(status) => i32::from(status.number()),
    };
    let mut body = json!({
        "RequestSource": match dead.kind() {
            "API" => "API".to_owned(),
            kind => format!("TRIGGER_{kind}"),
        },
        "InvocationType": "Event",
        "ClientContext": dead.event,
        "RequestId": dead.id,
        "PushTime": now.iso_millis(),
        "RetryNum": progress.tries.saturating_sub(1),
        "Ttl": 0,
    });
    if let Some(home) = &target.home {
        body["AppId"] = home.appid.parse::<u64>().map_or(json!(home.appid), Value::from);
    }
    match &dead.target {
        Target::Function(function) => {
            body["FunctionName"] = json!(function.name);
            body["Namespace"] = json!(function.namespace);
            body["Qualifier"] = json!(function.qualifier);
        }
        Target::Webhook { webhook } => body["Webhook"] = json!(webhook),
        Target::Bucket { .. } => {}
    }
    let attempt = |attempt: &Attempt| {
        json!({
            "Started": attempt.started.iso_millis(),
            "Ended": attempt.ended.iso_millis(),
            "StatusCode": attempt.status.number(),
            "Error": attempt.error,
        })
    };
    let letter = json!({
        "RequestId": dead.id,
        "ErrorCode": code,
        "ErrorMessage": last.map_or("", |attempt| &attempt.error),
        "Reason": why,
        "Attempts": progress.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "Body": body,
    });
    letter.to_string()
}
