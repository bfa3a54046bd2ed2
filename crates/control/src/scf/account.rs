//! What an account has in a region, and what it may have (scf.md 3.8).

use cosette_function::{
    AT_ONCE, FUNCTIONS_MAX, INIT_TIMEOUT_SECS_MAX, MSG_TTL_SECS, NAMESPACES_MAX, RETRIES_MAX,
    TIMEOUT_SECS_MAX, TOTAL_MB,
};
use cosette_trigger::{RULES_PER_FUNCTION_MAX, TIMERS_PER_FUNCTION_MAX};
use serde_json::{Value, json};

use super::reply;
use super::test_model::MODELS_MAX;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Kinds of triggers that no function has here.
const OTHER_TRIGGERS: [&str; 9] = ["Cmq", "Ckafka", "Apigw", "Cls", "Clb", "Mps", "Cm", "Vod", "Eb"];

pub(crate) async fn get(call: &Call<'_>, _params: Params<'_>) -> Result<Reply, ApiError> {
    let (appid, region) = (&call.account.appid, call.region.as_str());
    let mut usage = Vec::new();
    let mut limits = Vec::new();
    let mut reserved_together = 0;
    for namespace in call.functions.namespaces(appid, region)? {
        let functions = call.functions.list(appid, region, &namespace.name)?;
        let (mut reserved, mut provisioned) = (0, 0);
        for function in &functions {
            reserved += call.functions.reserved_mb(&function.full_name())?.unwrap_or_default();
            provisioned += call.functions.provisioned_mb(function)?;
        }
        reserved_together += reserved;
        usage.push(json!({
            "Namespace": namespace.name,
            "Functions": functions.iter().map(|function| &function.name).collect::<Vec<_>>(),
            "FunctionsCount": functions.len(),
            "TotalConcurrencyMem": call.functions.total_mb(appid, region)?,
            "TotalAllocatedConcurrencyMem": reserved,
            "TotalAllocatedProvisionedMem": provisioned,
        }));
        limits.push(json!({
            "Namespace": namespace.name,
            "FunctionsCount": FUNCTIONS_MAX,
            "Trigger": triggers(),
            "ConcurrentExecutions": AT_ONCE,
            "TimeoutLimit": TIMEOUT_SECS_MAX,
            "TestModelLimit": MODELS_MAX,
            "InitTimeoutLimit": INIT_TIMEOUT_SECS_MAX,
            "RetryNumLimit": RETRIES_MAX,
            "MinMsgTTL": MSG_TTL_SECS.start(),
            "MaxMsgTTL": MSG_TTL_SECS.end(),
        }));
    }
    Ok(reply(json!({
        "AccountUsage": {
            "NamespacesCount": usage.len(),
            "Namespace": usage,
            "TotalConcurrencyMem": TOTAL_MB,
            "TotalAllocatedConcurrencyMem": reserved_together,
            "UserConcurrencyMemLimit": call.functions.total_mb(appid, region)?,
        },
        "AccountLimit": {"NamespacesCount": NAMESPACES_MAX, "Namespace": limits},
    })))
}

/// How many triggers of each kind a function may have.
fn triggers() -> Value {
    let mut most = json!({
        "Cos": RULES_PER_FUNCTION_MAX,
        "Timer": TIMERS_PER_FUNCTION_MAX,
        "Total": RULES_PER_FUNCTION_MAX + TIMERS_PER_FUNCTION_MAX,
    });
    for kind in OTHER_TRIGGERS {
        most[kind] = json!(0);
    }
    most
}
