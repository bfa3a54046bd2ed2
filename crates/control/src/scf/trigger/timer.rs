//! Timer triggers: the API's spelling of them (scf.md 2.6).

use cosette_function::Function;
use cosette_trigger::{NewTimer, Timer, TimerChange, TimerSelector};
use serde_json::{Map, Value, json};

use super::item::{Item, TRIGGER_DESC, description, enabled, resource_id};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::scf::{LATEST, qualified, time, triggers_of};

pub(super) async fn create(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<Item, ApiError> {
    let new = NewTimer {
        name: params.needed("TriggerName")?.to_owned(),
        function: qualified(call, params, function, LATEST)?,
        cron: cron(params.needed(TRIGGER_DESC)?)?,
        argument: params.text("CustomArgument")?.unwrap_or_default().to_owned(),
        description: description(params)?.unwrap_or_default(),
        enabled: enabled(params)?.unwrap_or(true),
    };
    Ok(item(&triggers_of(call, function).create_timer(new).await?, function))
}

/// What is left out stays as it is.
pub(super) async fn update(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<Item, ApiError> {
    let given = |name| params.text(name).map(|text| text.map(str::to_owned));
    let change = TimerChange {
        cron: params.text(TRIGGER_DESC)?.filter(|text| !text.is_empty()).map(cron).transpose()?,
        argument: given("CustomArgument")?,
        description: description(params)?,
        enabled: enabled(params)?,
    };
    Ok(item(&triggers_of(call, function).change_timer(named(params, function)?, change).await?, function))
}

pub(super) async fn set_enabled(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
    enabled: bool,
) -> Result<(), ApiError> {
    triggers_of(call, function).enable_timer(selector(params, function)?, enabled).await?;
    Ok(())
}

pub(super) async fn delete(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<(), ApiError> {
    triggers_of(call, function).delete_timer(selector(params, function)?).await?;
    Ok(())
}

/// Oldest first.
pub(super) fn of_function(call: &Call<'_>, function: &Function) -> Result<Vec<Item>, ApiError> {
    let timers = call.triggers.timers()?;
    let of = function.full_name();
    let mine = timers.iter().filter(|timer| timer.function.is_of(&of));
    Ok(mine.map(|timer| item(timer, function)).collect())
}

/// The timer that is to be switched or deleted. A `TriggerDesc` may be left out, and must be its own otherwise.
fn selector(params: &Params<'_>, function: &Function) -> Result<TimerSelector, ApiError> {
    let cron = params.text(TRIGGER_DESC)?.filter(|text| !text.is_empty()).map(cron).transpose()?;
    Ok(TimerSelector { cron, ..named(params, function)? })
}

/// Names are unique under a function, so that clients may leave out the qualifier.
fn named(params: &Params<'_>, function: &Function) -> Result<TimerSelector, ApiError> {
    Ok(TimerSelector {
        function: function.full_name(),
        qualifier: params.text("Qualifier")?.filter(|text| !text.is_empty()).map(str::to_owned),
        name: params.needed("TriggerName")?.to_owned(),
        cron: None,
    })
}

/// The expression of a `TriggerDesc`: as it is, or in `{"cron":"..."}`.
fn cron(text: &str) -> Result<String, ApiError> {
    if !text.trim_start().starts_with('{') {
        return Ok(text.trim().to_owned());
    }
    let wrong = |message: String| ApiError::invalid_value(TRIGGER_DESC, message);
    let fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| wrong(format!("TriggerDesc is not a JSON object: {error}")))?;
    Params::new(&fields).only(TRIGGER_DESC, &["cron"])?;
    match fields.get("cron").and_then(Value::as_str) {
        Some(cron) => Ok(cron.trim().to_owned()),
        None => Err(wrong("TriggerDesc has no cron".to_owned())),
    }
}

fn item(timer: &Timer, function: &Function) -> Item {
    let shown = json!({
        "AddTime": time(timer.created),
        "ModTime": time(timer.modified),
        "Type": "timer",
        "TriggerName": timer.name,
        "TriggerDesc": json!({"cron": timer.cron}).to_string(),
        "Enable": i32::from(timer.enabled),
        "Qualifier": timer.function.qualifier,
        "CustomArgument": timer.argument,
        "AvailableStatus": "Available",
        "ResourceId": resource_id(function, &timer.name),
        "BindStatus": "on",
        "TriggerAttribute": "single",
        "Description": timer.description,
    });
    Item {
        created: timer.created,
        modified: timer.modified,
        name: timer.name.clone(),
        qualifier: timer.function.qualifier.clone(),
        description: timer.description.clone(),
        shown,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn expressions_come_bare_or_in_json() {
        assert_eq!(cron(" 0 */5 * * * * * ").unwrap(), "0 */5 * * * * *");
        assert_eq!(cron(r#"{"cron":"0 */5 * * * * *"}"#).unwrap(), "0 */5 * * * * *");
        for wrong in ["{}", "{", r#"{"cron":5}"#, r#"{"cron":"0 0 0 1 1 * *","zone":"UTC"}"#] {
            assert_eq!(cron(wrong).unwrap_err().code, "InvalidParameterValue.TriggerDesc", "{wrong}");
        }
    }
}
