//! Functions that run asynchronously for whoever calls them (`AsyncRunEnable`, scf.md 6.2).

use cosette_function::{Configuration, DeadLetter, Function};
use cosette_model::function::RetryPolicy;
use serde_json::json;

use super::reply;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

const RUN: &str = "AsyncRunEnable";
const TRACE: &str = "TraceEnable";

/// What a new function is asked to be: `AsyncRunEnable` and `TraceEnable`.
pub(super) fn asked(params: &Params<'_>) -> Result<(bool, bool), ApiError> {
    let is_asked = |name| Ok::<_, ApiError>(params.flag(name)? == Some(true));
    let (run, trace) = (is_asked(RUN)?, is_asked(TRACE)?);
    if trace && !run {
        return Err(ApiError::unsupported(format!("{TRACE} is of functions with {RUN} only")));
    }
    Ok((run, trace))
}

/// # Errors
/// `InvalidParameterValue` for a change, as there is none (scf.md 3.8).
pub(super) fn unchanged(params: &Params<'_>, function: &Function) -> Result<(), ApiError> {
    let Configuration { async_run, trace, .. } = &function.configuration;
    for (name, now) in [(RUN, async_run), (TRACE, trace)] {
        if params.flag(name)?.is_some_and(|asked| asked != *now) {
            let message = format!("{name} is set when a function is made and cannot be changed");
            return Err(ApiError::invalid_value(name, message));
        }
    }
    Ok(())
}

/// Nothing is tried again that nobody waits for.
pub(super) fn retry(async_run: bool) -> RetryPolicy {
    let retry = RetryPolicy::default();
    if async_run { RetryPolicy { retries: 0, ..retry } } else { retry }
}

/// # Errors
/// `UnsupportedOperation.AsyncRunEnable`, as there are no dead letters of such functions.
pub(super) fn letter(async_run: bool, letter: Option<DeadLetter>) -> Result<Option<DeadLetter>, ApiError> {
    if async_run && letter.is_some() {
        let message = format!("functions with {RUN} have no DeadLetterConfig");
        return Err(ApiError::new("UnsupportedOperation.AsyncRunEnable", message));
    }
    Ok(letter)
}

pub(super) fn word(is_set: bool) -> &'static str {
    if is_set { "TRUE" } else { "FALSE" }
}

pub(super) fn shown(configuration: &Configuration) -> Reply {
    reply(json!({RUN: word(configuration.async_run), TRACE: word(configuration.trace)}))
}
