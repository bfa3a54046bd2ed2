//! Namespaces (scf.md 3.8).

use cosette_function::Namespace;
use serde_json::{Value, json};

use super::{Paging, descending, reply, sort_by_key, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = params.needed("Namespace")?;
    let description = params.text("Description")?.unwrap_or_default();
    call.functions.create_namespace(&call.account.appid, call.region.as_str(), name, description).await?;
    Ok(Reply::new())
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let (name, description) = (params.needed("Namespace")?, params.text("Description")?);
    call.functions.update_namespace(&call.account.appid, call.region.as_str(), name, description).await?;
    Ok(Reply::new())
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = params.needed("Namespace")?;
    call.functions.delete_namespace(&call.account.appid, call.region.as_str(), name).await?;
    Ok(Reply::new())
}

/// In the order of their names, unless asked otherwise.
pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    let mut found = call.functions.namespaces(&call.account.appid, call.region.as_str())?;
    for search in params.objects("SearchKey")?.unwrap_or_default() {
        let value = search.text("Value")?.unwrap_or_default();
        match search.needed("Key")? {
            "Namespace" => found.retain(|namespace| namespace.name.contains(value)),
            "Description" => found.retain(|namespace| namespace.description.contains(value)),
            other => {
                let message = format!("SearchKey {other} is neither Namespace nor Description");
                return Err(ApiError::invalid_value("SearchKey", message));
            }
        }
    }
    let descending = descending(&params, false)?;
    match params.text("Orderby")? {
        None | Some("" | "Name") => sort_by_key(&mut found, descending, |namespace| namespace.name.clone()),
        Some("Updatetime") => sort_by_key(&mut found, descending, |namespace| namespace.modified),
        Some(other) => {
            let message = format!("Orderby {other} is neither Name nor Updatetime");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    }
    let total = found.len();
    let page: Vec<Value> = paging.page(found).map(|namespace| shown(&namespace)).collect();
    Ok(reply(json!({"Namespaces": page, "TotalCount": total})))
}

fn shown(namespace: &Namespace) -> Value {
    json!({
        "Name": namespace.name,
        "Description": namespace.description,
        "Type": "default",
        "AddTime": time(namespace.created),
        "ModTime": time(namespace.modified),
    })
}
