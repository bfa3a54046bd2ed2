//! How asynchronous events of a function are tried again (scf.md 3.10, 6.5).

use cosette_function::ConfigurationPatch;
use serde_json::json;

use super::{LATEST, function_of, qualified, reply};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    qualified(call, &params, &function, LATEST)?;
    let retry = function.configuration.retry;
    // The first entry is for failures of the function; the second, -1, for those of the platform,
    // which are tried until the event is too old.
    Ok(reply(json!({"AsyncTriggerConfig": {
        "RetryConfig": [{"RetryNum": retry.retries}, {"RetryNum": -1}],
        "MsgTTL": retry.max_age_secs,
    }})))
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    if function.configuration.async_run {
        let message = format!(
            "function {} runs asynchronously (AsyncRunEnable): nothing is tried again",
            function.name
        );
        return Err(ApiError::new("UnsupportedOperation.AsyncRunEnable", message));
    }
    let config =
        params.object("AsyncTriggerConfig")?.ok_or_else(|| ApiError::missing("AsyncTriggerConfig"))?;
    let mut retry = function.configuration.retry;
    if let Some(first) = config.objects("RetryConfig")?.unwrap_or_default().first()
        && let Some(retries) = first.count("RetryNum")?
    {
        retry.retries = retries;
    }
    if let Some(age) = config.count("MsgTTL")? {
        retry.max_age_secs = age;
    }
    let patch = ConfigurationPatch { retry: Some(retry), ..ConfigurationPatch::default() };
    call.functions.update_configuration(&function, patch).await?;
    Ok(Reply::new())
}
