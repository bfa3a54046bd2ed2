//! Concurrency, which SCF counts in MB (scf.md 3.9).

use serde_json::json;

use super::{function_of, known_namespace, reply};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn put_reserved(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let mb = megabytes(&params, "ReservedConcurrencyMem")?;
    call.functions.reserve(&function, Some(mb)).await?;
    Ok(Reply::new())
}

/// Without a part of its own a function shows none.
pub(crate) async fn get_reserved(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    Ok(reply(json!({"ReservedMem": call.functions.reserved_mb(&function.full_name())?})))
}

pub(crate) async fn delete_reserved(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    call.functions.reserve(&function, None).await?;
    Ok(Reply::new())
}

/// What all namespaces share: there is one quota a region.
pub(crate) async fn put_total(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    known_namespace(call, &params)?;
    let mb = megabytes(&params, "TotalConcurrencyMem")?;
    call.functions.set_total_mb(&call.account.appid, call.region.as_str(), mb).await?;
    Ok(Reply::new())
}

fn megabytes(params: &Params<'_>, name: &str) -> Result<u64, ApiError> {
    params.count(name)?.ok_or_else(|| ApiError::missing(name))
}
