//! The admin API's switch for debugging a function.

use cosette_function::{DEFAULT_NAMESPACE, Error};
use cosette_model::function::FunctionName;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{Admin, Refused};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Debug {
    function: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default)]
    region: String,
    account: Option<String>,
    port: Option<u16>,
    /// Ends it.
    #[serde(default)]
    stop: bool,
}

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.into()
}

pub(crate) async fn debug(admin: &Admin, asked: Debug) -> Result<Value, Refused> {
    let Debug { function, namespace, region, account, port, stop } = asked;
    let functions = &admin.functions;
    let appid = admin.account(account.as_deref())?;
    let named = admin.located(FunctionName { appid, region, namespace, name: function.clone() })?;
    let refused = |error: Error| match error {
        Error::NoSuchFunction(_) | Error::NoSuchNamespace(_) => {
            Refused(StatusCode::NOT_FOUND, error.to_string())
        }
        Error::Invalid { message, .. } => Refused::bad(message),
        error => Refused::internal(error),
    };
    if stop {
        functions.end_debugging(&named).await.map_err(refused)?;
        return Ok(json!({ "function": function, "port": null }));
    }
    let found = functions.debug(&named, port).await.map_err(refused)?;
    Ok(json!({
        "function": function,
        "runtime": found.runtime,
        "port": found.port,
        "root": found.root.to_string_lossy(),
    }))
}
