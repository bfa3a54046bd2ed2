//! Aliases of versions, with their routing (scf.md 3.9).

use cosette_function::{Additional, Alias, AliasChange, Method, Version, When};
use cosette_store::Tx;
use cosette_trigger::Triggers;
use serde_json::{Value, json};

use super::{Paging, function_of, reference, reply, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    set(call, &params, true).await
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    set(call, &params, false).await
}

async fn set(call: &Call<'_>, params: &Params<'_>, is_new: bool) -> Result<Reply, ApiError> {
    let function = function_of(call, params)?;
    let change = AliasChange {
        name: params.needed("Name")?.to_owned(),
        version: version(params.needed("FunctionVersion")?)?,
        additional: additional(params)?,
        description: params.text("Description")?.map(str::to_owned),
    };
    call.functions.set_alias(&function, change, is_new).await?;
    Ok(Reply::new())
}

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let alias = function_of(call, &params)?.alias(params.needed("Name")?)?;
    Ok(reply(shown(&alias)))
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    let mut aliases = function_of(call, &params)?.aliases();
    if let Some(text) = params.text("FunctionVersion")?.filter(|text| !text.is_empty()) {
        let version = version(text)?;
        aliases.retain(|alias| alias.is_of(version));
    }
    let total = aliases.len();
    let page: Vec<Value> = paging.page(aliases).map(|alias| shown(&alias)).collect();
    Ok(reply(json!({"Aliases": page, "TotalCount": total})))
}

/// With its triggers: without it they lead nowhere.
pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let name = params.needed("Name")?;
    let of = reference(&function, name);
    let also = move |tx: &mut Tx<'_>| Triggers::forget(tx, &of.full_name(), Some(&of.qualifier));
    call.functions.delete_alias(&function, name, also).await?;
    call.triggers.timers_have_changed()?;
    Ok(Reply::new())
}

fn version(text: &str) -> Result<Version, ApiError> {
    Version::parse(text).ok_or_else(|| {
        ApiError::new("ResourceNotFound.FunctionVersion", format!("{text} is not a version of a function"))
    })
}

/// `RoutingConfig`; nothing in it takes all routing away. An alias has one additional version at most.
fn additional(params: &Params<'_>) -> Result<Option<Additional>, ApiError> {
    let Some(config) = params.object("RoutingConfig")? else { return Ok(None) };
    let weights = config.objects("AdditionalVersionWeights")?.unwrap_or_default();
    let rules = config.objects("AddtionVersionMatchs")?.unwrap_or_default();
    match (&weights[..], &rules[..]) {
        ([], []) => Ok(None),
        ([weight], []) => {
            let wanted = || ApiError::invalid_value("AdditionalVersionWeights", "Weight must be a number");
            let share = weight.get("Weight").ok_or_else(wanted)?;
            // The GET form has it as text.
            let share = share.as_f64().or_else(|| share.as_str()?.trim().parse().ok()).ok_or_else(wanted)?;
            Ok(Some(Additional { version: version(weight.needed("Version")?)?, when: When::Weight(share) }))
        }
        ([], [rule]) => {
            let method = match rule.needed("Method")? {
                "exact" => Method::Exact,
                "range" => Method::Range,
                other => {
                    let message = format!("Method {other} is neither exact nor range");
                    return Err(ApiError::invalid_value("RoutingConfig", message));
                }
            };
            let text = |name| rule.needed(name).map(str::to_owned);
            let when = When::Rule { key: text("Key")?, method, expression: text("Expression")? };
            Ok(Some(Additional { version: version(rule.needed("Version")?)?, when }))
        }
        _ => {
            let message = "an alias has one additional version at most, by weight or by rule";
            Err(ApiError::invalid_value("RoutingConfig", message))
        }
    }
}

fn shown(alias: &Alias) -> Value {
    let (mut weights, mut rules) = (Vec::new(), Vec::new());
    match &alias.additional {
        Some(Additional { version, when: When::Weight(weight) }) => {
            weights.push(json!({"Version": version.to_string(), "Weight": weight}));
        }
        Some(Additional { version, when: When::Rule { key, method, expression } }) => {
            let method = match method {
                Method::Exact => "exact",
                Method::Range => "range",
            };
            rules.push(json!({
                "Version": version.to_string(),
                "Key": key,
                "Method": method,
                "Expression": expression,
            }));
        }
        None => {}
    }
    json!({
        "Name": alias.name,
        "FunctionVersion": alias.version.to_string(),
        "RoutingConfig": {"AdditionalVersionWeights": weights, "AddtionVersionMatchs": rules},
        "Description": alias.description,
        "AddTime": time(alias.created),
        "ModTime": time(alias.modified),
    })
}
