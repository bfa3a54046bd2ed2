//! Web functions: the API's spelling of what makes a function one (scf.md 3.7, 3.8, 5.8).

use cosette_function::{Function, Web};
use serde_json::json;

use super::reply;
use crate::error::ApiError;
use crate::parameters::asks_nothing;
use crate::params::Params;
use crate::reply::Reply;

/// Where a server listens.
pub(super) const PORT: u16 = 9000;

/// Seconds that a WebSocket may be silent if nobody says otherwise.
const IDLE_DEFAULT_SECS: u32 = 15;

/// Concurrency where the service would find it out by itself: what it begins with is not documented.
const DYNAMIC: u32 = 10;

/// What a new function is to be; `None` for one that takes events.
pub(super) fn created(params: &Params<'_>) -> Result<Option<Web>, ApiError> {
    match params.text("Type")? {
        None | Some("" | "Event") => {
            refuse_of_events(params)?;
            Ok(None)
        }
        Some("HTTP") => Ok(Some(read(params, Web::default())?)),
        Some(other) => {
            let message = format!("Type {other} is neither Event nor HTTP");
            Err(ApiError::invalid_value("FunctionType", message))
        }
    }
}

/// What is to be different of a function; `None` if nothing of this.
pub(super) fn changed(params: &Params<'_>, function: &Function) -> Result<Option<Web>, ApiError> {
    match &function.configuration.web {
        Some(web) => Ok(Some(read(params, web.clone())?)),
        None => {
            refuse_of_events(params)?;
            Ok(None)
        }
    }
}

fn refuse_of_events(params: &Params<'_>) -> Result<(), ApiError> {
    let names = ["InstanceConcurrencyConfig", "ProtocolType", "ProtocolParams"];
    match names.into_iter().find(|name| params.get(name).is_some_and(|value| !asks_nothing(value))) {
        Some(name) => Err(ApiError::unsupported(format!("{name} is for web functions (Type HTTP) only"))),
        None => Ok(()),
    }
}

fn read(params: &Params<'_>, mut web: Web) -> Result<Web, ApiError> {
    if let Some(config) = params.object("InstanceConcurrencyConfig")? {
        if let Some(other) = config.text("Type")?.filter(|kind| !kind.is_empty() && *kind != "Request-Based")
        {
            return Err(ApiError::unsupported(format!("concurrency of type {other} is not supported")));
        }
        let is_dynamic = config.flag("DynamicEnabled")? == Some(true);
        web.concurrency = match config.count("MaxConcurrency")? {
            Some(concurrency) => concurrency,
            None if is_dynamic => DYNAMIC,
            None => 1,
        };
    }
    match params.text("ProtocolType")? {
        None | Some("") => {}
        Some("WS") => web.websocket_secs = web.websocket_secs.or(Some(IDLE_DEFAULT_SECS)),
        Some(other) => {
            let message = format!("ProtocolType {other} is not WS");
            return Err(ApiError::invalid_value("ProtocolType", message));
        }
    }
    if let Some(params) = params.object("ProtocolParams")?
        && let Some(ws) = params.object("WSParams")?
        && let Some(secs) = ws.count("IdleTimeOut")?
    {
        if web.websocket_secs.is_none() {
            let message = "WSParams are for functions with ProtocolType WS";
            return Err(ApiError::invalid_value("ProtocolParams", message));
        }
        web.websocket_secs = Some(secs);
    }
    Ok(web)
}

/// `Type` of answers.
pub(super) fn kind(function: &Function) -> &'static str {
    if function.configuration.web.is_some() { "HTTP" } else { "Event" }
}

/// The fields of `GetFunction` that only web functions have.
pub(super) fn shown(function: &Function) -> Reply {
    let Some(web) = &function.configuration.web else { return Reply::new() };
    let mut shown = reply(json!({
        "InstanceConcurrencyConfig": {
            "DynamicEnabled": "FALSE",
            "MaxConcurrency": web.concurrency,
            "InstanceIsolationEnabled": "FALSE",
            "Type": "Request-Based",
        },
    }));
    if let Some(secs) = web.websocket_secs {
        shown.extend(reply(json!({
            "ProtocolType": "WS",
            "ProtocolParams": {"WSParams": {"IdleTimeOut": secs}},
        })));
    }
    shown
}

/// An action that only functions with events have.
///
/// # Errors
/// `UnsupportedOperation` for a web function.
pub(super) fn refuse(function: &Function, what: &str) -> Result<(), ApiError> {
    if function.configuration.web.is_none() {
        return Ok(());
    }
    let message = format!(
        "function {} is a web function (Type HTTP), which answers requests of its URL and has no {what}",
        function.name
    );
    Err(ApiError::unsupported(message))
}
