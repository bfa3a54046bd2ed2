//! The admin API's switch for debugging a function.

use cosette_function::{Error, Functions};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Debug {
    function: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    port: Option<u16>,
    /// Ends it.
    #[serde(default)]
    stop: bool,
}

fn default_namespace() -> String {
    "default".into()
}

pub(crate) async fn debug(functions: &Functions, asked: Debug) -> Result<Value, Refused> {
    let Debug { function, namespace, port, stop } = asked;
    let refused = |error: Error| match error {
        Error::NoSuchFunction(_) | Error::NoSuchNamespace(_) => {
            Refused(StatusCode::NOT_FOUND, error.to_string())
        }
        Error::Invalid { message, .. } => Refused::bad(message),
        error => Refused::internal(error),
    };
    if stop {
        functions.end_debugging(&namespace, &function).await.map_err(refused)?;
        return Ok(json!({ "function": function, "port": null }));
    }
    let found = functions.debug(&namespace, &function, port).await.map_err(refused)?;
    Ok(json!({
        "function": function,
        "runtime": found.runtime,
        "port": found.port,
        "root": found.root.to_string_lossy(),
    }))
}
