//! Provisioned concurrency: instances of a version that are started ahead and kept (scf.md 3.9).

use cosette_function::{Action, Function, Provisioned, Version};
use serde_json::{Value, json};

use super::{function_of, reference, reply};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn put(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let version = version(call, &function, params.needed("Qualifier")?)?;
    match params.text("ProvisionedType")? {
        None | Some("" | "Default") => {}
        Some("ConcurrencyUtilizationTracking") => {
            let message = "ProvisionedType ConcurrencyUtilizationTracking is not supported: only Default";
            return Err(ApiError::unsupported(message));
        }
        Some(other) => {
            let message = format!("ProvisionedType {other} is not known");
            return Err(ApiError::invalid_value("ProvisionType", message));
        }
    }
    for tracking in ["TrackingTarget", "MinCapacity", "MaxCapacity"] {
        if params.get(tracking).is_some_and(|value| value.as_f64() != Some(0.0)) {
            let message = format!("{tracking} is of ProvisionedType ConcurrencyUtilizationTracking only");
            return Err(ApiError::invalid_value(tracking, message));
        }
    }
    let name = "VersionProvisionedConcurrencyNum";
    let number: u32 = params.count(name)?.ok_or_else(|| ApiError::missing(name))?;
    let actions = actions(&params)?;
    if number == 0 && actions.is_empty() {
        let message = format!("{name} must be 1 or more; DeleteProvisionedConcurrencyConfig takes all away");
        return Err(ApiError::invalid_value(name, message));
    }
    call.functions.provision(&version, number, actions).await?;
    Ok(Reply::new())
}

/// `TriggerActions`: what else the number is to be, and when.
fn actions(params: &Params<'_>) -> Result<Vec<Action>, ApiError> {
    let action = |action: Params<'_>| {
        match action.text("ProvisionedType")? {
            None | Some("" | "Default") => {}
            Some(other) => {
                let message = format!("ProvisionedType of an action is Default, not {other}");
                return Err(ApiError::invalid_value("ProvisionType", message));
            }
        }
        let number = "TriggerProvisionedConcurrencyNum";
        Ok(Action {
            name: action.needed("TriggerName")?.to_owned(),
            cron: action.needed("TriggerCronConfig")?.trim().to_owned(),
            number: action.count(number)?.ok_or_else(|| ApiError::missing(number))?,
        })
    };
    params.objects("TriggerActions")?.unwrap_or_default().into_iter().map(action).collect()
}

/// Of all versions that have any, or of one.
pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let wanted = match params.text("Qualifier")?.filter(|text| !text.is_empty()) {
        Some(qualifier) => Some(version(call, &function, qualifier)?.version),
        None => None,
    };
    let mut all = call.functions.provisioned(&function)?;
    all.retain(|one| wanted.is_none_or(|wanted| wanted == Version::Number(one.version)));
    let all: Vec<Value> = all.iter().map(shown).collect();
    let left = call.functions.provisionable(&function)?;
    Ok(reply(json!({"UnallocatedConcurrencyNum": left, "Allocated": all})))
}

/// Nothing that is provisioned is not an error.
pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let version = version(call, &function, params.needed("Qualifier")?)?;
    call.functions.provision(&version, 0, Vec::new()).await?;
    Ok(Reply::new())
}

/// The version with this number: aliases and `$LATEST` have no instances of their own that could be kept.
fn version(call: &Call<'_>, function: &Function, qualifier: &str) -> Result<Function, ApiError> {
    if !matches!(Version::parse(qualifier), Some(Version::Number(_))) {
        let message = format!("Qualifier {qualifier} is not the number of a version");
        return Err(ApiError::invalid_value("Qualifier", message));
    }
    Ok(call.functions.qualified(&reference(function, qualifier))?)
}

fn shown(one: &Provisioned) -> Value {
    let status = match &one.failure {
        Some(_) => "Failed",
        None if one.ready == one.wanted => "Done",
        None => "InProgress",
    };
    let actions: Vec<Value> = one
        .actions
        .iter()
        .map(|action| {
            json!({
                "TriggerName": action.name,
                "TriggerProvisionedConcurrencyNum": action.number,
                "TriggerCronConfig": action.cron,
                "ProvisionedType": "Default",
            })
        })
        .collect();
    json!({
        "Qualifier": one.version.to_string(),
        "AllocatedProvisionedConcurrencyNum": one.wanted,
        "AvailableProvisionedConcurrencyNum": one.ready,
        "Status": status,
        "StatusReason": one.failure.as_deref().unwrap_or_default(),
        "TriggerActions": actions,
    })
}
