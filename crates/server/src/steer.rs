//! Steering deliveries by hand, as the admin API offers it.

use cosette_model::duration;
use cosette_trigger::{Error, Hold, Release, Triggers};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{Refused, delivery};

/// A request that has nothing to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToHold {
    rule: Option<String>,
    function: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToRelease {
    ids: Option<Vec<String>>,
    seed: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    event: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    by: String,
}

fn refused(error: Error) -> Refused {
    match &error {
        Error::NoSuchDelivery(_) => Refused(StatusCode::NOT_FOUND, error.to_string()),
        Error::NotNow { .. } => Refused(StatusCode::CONFLICT, error.to_string()),
        _ => Refused::internal(error),
    }
}

pub(crate) fn holds(triggers: &Triggers) -> Value {
    json!({ "holds": triggers.holds() })
}

pub(crate) fn hold(triggers: &Triggers, asked: ToHold) -> Result<Value, Refused> {
    let hold = match (asked.rule, asked.function) {
        (None, None) => Hold::All,
        (Some(rule), None) => Hold::Rule(rule),
        (None, Some(function)) => Hold::Function(function),
        _ => return Err(Refused::bad("rule or function, or neither")),
    };
    triggers.hold(hold);
    Ok(holds(triggers))
}

pub(crate) fn release(triggers: &Triggers, asked: ToRelease) -> Result<Value, Refused> {
    let how = match (asked.ids, asked.seed) {
        (None, None) => Release::All,
        (None, Some(seed)) => Release::Shuffled(seed),
        (Some(ids), None) => Release::These(ids),
        _ => return Err(Refused::bad("ids or seed, or neither")),
    };
    let released = triggers.release(how).map_err(refused)?;
    Ok(json!({ "released": released, "holds": triggers.holds() }))
}

pub(crate) async fn replay(triggers: &Triggers, id: &str, asked: Replay) -> Result<Value, Refused> {
    let event = asked.event.map(|event| event.to_string());
    let new = triggers.repeat(id, event).await.map_err(refused)?;
    shown(triggers, &new).await
}

pub(crate) async fn drop(triggers: &Triggers, id: &str) -> Result<Value, Refused> {
    triggers.drop_delivery(id).await.map_err(refused)?;
    shown(triggers, id).await
}

pub(crate) async fn delay(triggers: &Triggers, id: &str, asked: Delay) -> Result<Value, Refused> {
    let by = duration::parse(&asked.by).map_err(Refused::bad)?;
    triggers.delay(id, by).await.map_err(refused)?;
    shown(triggers, id).await
}

/// A delivery as it is now. On a thread of its own: it may read all of them.
async fn shown(triggers: &Triggers, id: &str) -> Result<Value, Refused> {
    let (triggers, id) = (triggers.clone(), id.to_owned());
    let found =
        tokio::task::spawn_blocking(move || triggers.delivery(&id)).await.map_err(Refused::internal)?;
    Ok(delivery(&found.map_err(refused)?))
}
