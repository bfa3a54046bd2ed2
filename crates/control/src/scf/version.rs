//! Versions of functions (scf.md 3.9).

use cosette_function::{Function, Version};
use cosette_store::Tx;
use cosette_trigger::Triggers;
use serde_json::{Value, json};

use super::{LATEST, Paging, descending, function_of, reference, reply, sort_by_key, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn publish(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let description = params.text("Description")?.map(str::to_owned);
    let version = call.functions.publish(&function, description, false).await?;
    let configuration = &version.configuration;
    Ok(reply(json!({
        "FunctionVersion": version.version.to_string(),
        "CodeSize": version.code_size,
        "MemorySize": configuration.memory_mb,
        "Description": configuration.description,
        "Handler": configuration.handler,
        "Timeout": configuration.timeout_secs,
        "Runtime": configuration.runtime,
        "Namespace": version.namespace,
    })))
}

/// Whether what a request makes is to become a version, too; to be read before anything is made.
pub(super) fn is_published(params: &Params<'_>) -> Result<bool, ApiError> {
    Ok(params.flag("Publish")? == Some(true))
}

pub(super) async fn publish_if(is_published: bool, call: &Call<'_>, made: &Function) -> Result<(), ApiError> {
    if is_published {
        call.functions.publish(made, None, true).await?;
    }
    Ok(())
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let paging = Paging::of(&params)?;
    let mut versions = call.functions.versions(&function.full_name())?;
    let descending = descending(&params, false)?;
    match params.text("OrderBy")? {
        None | Some("") => sort_by_key(&mut versions, descending, |version| version.version),
        Some("AddTime") => sort_by_key(&mut versions, descending, |version| version.created),
        Some("ModTime") => sort_by_key(&mut versions, descending, |version| version.modified),
        Some(other) => {
            let message = format!("OrderBy {other} is neither AddTime nor ModTime");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    }
    let total = versions.len();
    let page: Vec<Function> = paging.page(versions).collect();
    let names: Vec<String> = page.iter().map(|version| version.version.to_string()).collect();
    let shown: Vec<Value> = page.iter().map(shown).collect();
    Ok(reply(json!({"FunctionVersion": names, "Versions": shown, "TotalCount": total})))
}

fn shown(version: &Function) -> Value {
    json!({
        "Version": version.version.to_string(),
        "Description": version.configuration.description,
        "AddTime": time(version.created),
        "ModTime": time(version.modified),
        "Status": "Active",
    })
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    match Version::parse(params.needed("Qualifier")?) {
        Some(Version::Number(number)) => delete_one(call, &function, number).await,
        _ => {
            Err(ApiError::invalid_value("Qualifier", format!("Qualifier must be a version and not {LATEST}")))
        }
    }
}

/// Takes one version away, with its triggers.
pub(super) async fn delete_one(call: &Call<'_>, function: &Function, number: u64) -> Result<Reply, ApiError> {
    let of = reference(function, &number.to_string());
    let also = move |tx: &mut Tx<'_>| Triggers::forget(tx, &of.full_name(), Some(&of.qualifier));
    call.functions.delete_version(function, number, also).await?;
    call.triggers.timers_have_changed()?;
    Ok(Reply::new())
}
