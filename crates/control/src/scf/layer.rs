//! Layers (scf.md 3.9).

use cosette_function::{Layer, LayerRef, NewLayer};
use serde_json::{Value, json};

use super::{Paging, code, reply, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn publish(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let runtimes =
        params.texts("CompatibleRuntimes")?.ok_or_else(|| ApiError::missing("CompatibleRuntimes"))?;
    let content = params.object("Content")?.ok_or_else(|| ApiError::missing("Content"))?;
    let new = NewLayer {
        name: params.needed("LayerName")?.to_owned(),
        appid: call.account.appid.clone(),
        region: call.region.to_string(),
        description: params.text("Description")?.unwrap_or_default().to_owned(),
        license: params.text("LicenseInfo")?.unwrap_or_default().to_owned(),
        runtimes: runtimes.into_iter().map(str::to_owned).collect(),
        code: code::read(call, &content).await?,
    };
    let layer = call.functions.publish_layer(new).await?;
    Ok(reply(json!({"LayerVersion": layer.version})))
}

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let layer = call.functions.layer(&call.account.appid, call.region.as_str(), &named(&params)?)?;
    let location = call.link(layer.code);
    let mut shown = reply(info(&layer));
    shown.extend(reply(json!({"CodeSha256": layer.code_sha256, "Location": location})));
    Ok(shown)
}

/// The latest version of each layer.
pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let word = params.text("SearchKey")?.unwrap_or_default();
    let runtime = params.text("CompatibleRuntime")?.unwrap_or_default();
    let all = call.functions.layers(&call.account.appid, call.region.as_str(), None)?;
    let mut latest: Vec<Layer> = Vec::new();
    for layer in all {
        match latest.last_mut().filter(|last| last.name == layer.name) {
            Some(last) => *last = layer,
            None => latest.push(layer),
        }
    }
    latest.retain(|layer| {
        layer.name.contains(word) && (runtime.is_empty() || layer.runtimes.iter().any(|one| one == runtime))
    });
    let total = latest.len();
    let page: Vec<Value> = Paging::of(&params)?.page(latest).map(|layer| info(&layer)).collect();
    Ok(reply(json!({"Layers": page, "TotalCount": total})))
}

/// All versions of one, the latest first.
pub(crate) async fn list_versions(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = params.needed("LayerName")?;
    let runtimes = params.texts("CompatibleRuntime")?.unwrap_or_default();
    let mut versions = call.functions.layers(&call.account.appid, call.region.as_str(), Some(name))?;
    versions.retain(|layer| {
        runtimes.is_empty() || layer.runtimes.iter().any(|one| runtimes.contains(&one.as_str()))
    });
    let shown: Vec<Value> = versions.iter().rev().map(info).collect();
    Ok(reply(json!({"LayerVersions": shown})))
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    call.functions.delete_layer(&call.account.appid, call.region.as_str(), named(&params)?).await?;
    Ok(Reply::new())
}

/// The layers that a function is to have, if it is said. One without a name means none, as clients clear them
/// (scf.md 3.8).
pub(super) fn layers(params: &Params<'_>) -> Result<Option<Vec<LayerRef>>, ApiError> {
    let Some(list) = params.objects("Layers")? else { return Ok(None) };
    let mut layers = Vec::new();
    for layer in &list {
        let is_none = layer.text("LayerName")?.unwrap_or_default().is_empty();
        if !is_none {
            layers.push(named(layer)?);
        }
    }
    Ok(Some(layers))
}

/// A function's layers as `GetFunction` shows them.
pub(super) fn of_function(call: &Call<'_>, layers: &[LayerRef]) -> Result<Vec<Value>, ApiError> {
    let (appid, region) = (&call.account.appid, call.region.as_str());
    layers.iter().map(|layer| Ok(info(&call.functions.layer(appid, region, layer)?))).collect()
}

fn named(params: &Params<'_>) -> Result<LayerRef, ApiError> {
    let name = params.needed("LayerName")?.to_owned();
    let version = params.count("LayerVersion")?.ok_or_else(|| ApiError::missing("LayerVersion"))?;
    Ok(LayerRef { name, version })
}

/// A version as all answers show it (scf.md 3.7).
fn info(layer: &Layer) -> Value {
    json!({
        "LayerName": layer.name,
        "LayerVersion": layer.version,
        "CompatibleRuntimes": layer.runtimes,
        "Description": layer.description,
        "LicenseInfo": layer.license,
        "AddTime": time(layer.created),
        "Status": "Active",
        "Stamp": "",
        "Tags": [],
    })
}
