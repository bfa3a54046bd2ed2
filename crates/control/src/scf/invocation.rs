//! Running functions for a caller (scf.md 3.10, 6.1, 6.2).

use cosette_function::RoutingKey;
use cosette_model::Link;
use cosette_model::function::{FunctionRef, Invocation, Invoke, Outcome, StatusCode};
use serde_json::{Value, json};

use super::{DEFAULT_ALIAS, LATEST, function_of, qualified, reply, web};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Limits of an event, in bytes (scf.md 6.3).
const SYNC_EVENT_BYTES_MAX: usize = 6 << 20;
const ASYNC_EVENT_BYTES_MAX: usize = 128 << 10;
/// How much of the log `LogType` `Tail` gives, in bytes.
const TAIL_BYTES: usize = 4 << 10;

pub(crate) async fn invoke(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    web::refuse(&function, "calls by the API")?;
    let reference = routed(call, &params, qualified(call, &params, &function, LATEST)?)?;
    let event = event(params.text("ClientContext")?, "ClientContext")?;
    match params.text("InvocationType")? {
        None | Some("" | "RequestResponse") if !function.configuration.async_run => {
            run(call, &params, reference, event).await
        }
        None | Some("" | "RequestResponse" | "Event") => file(call, reference, event).await,
        Some(other) => {
            let message = format!("InvocationType {other} is neither RequestResponse nor Event");
            Err(ApiError::invalid_value("InvokeType", message))
        }
    }
}

pub(crate) async fn invoke_function(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    web::refuse(&function, "calls by the API")?;
    let reference = routed(call, &params, qualified(call, &params, &function, DEFAULT_ALIAS)?)?;
    let event = event(params.text("Event")?, "Param")?;
    if function.configuration.async_run {
        return file(call, reference, event).await;
    }
    run(call, &params, reference, event).await
}

/// Only the id is answered: what comes of it, the logs and the asynchronous event's status tell.
async fn file(call: &Call<'_>, function: FunctionRef, event: String) -> Result<Reply, ApiError> {
    check_size(&event, ASYNC_EVENT_BYTES_MAX)?;
    let request_id = call.triggers.enqueue(function, event, call.chain.clone()).await?;
    Ok(reply(json!({"Result": queued(&request_id)})))
}

/// An alias with a rule leads by `RoutingKey` to a version when the call is taken, also one that waits in a queue.
fn routed(call: &Call<'_>, params: &Params<'_>, reference: FunctionRef) -> Result<FunctionRef, ApiError> {
    let Some(key) = params.text("RoutingKey")?.filter(|text| !text.is_empty()) else { return Ok(reference) };
    match call.functions.routed(&reference, &RoutingKey::parse(key)?)? {
        Some(version) => Ok(FunctionRef { routed: Some(version.to_string()), ..reference }),
        None => Ok(reference),
    }
}

async fn run(
    call: &Call<'_>,
    params: &Params<'_>,
    function: FunctionRef,
    event: String,
) -> Result<Reply, ApiError> {
    let tail = match params.text("LogType")? {
        None | Some("" | "None") => false,
        Some("Tail") => true,
        Some(other) => {
            let message = format!("LogType {other} is neither None nor Tail");
            return Err(ApiError::invalid_value("Param", message));
        }
    };
    check_size(&event, SYNC_EVENT_BYTES_MAX)?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let chain = call.chain.clone().then(Link::call(&function.name, &request_id));
    let invocation = Invocation {
        request_id: request_id.clone(),
        target: function.into(),
        event,
        retry: 0,
        source: "API".to_owned(),
        chain,
        subject: String::new(),
    };
    let functions = call.functions.clone();
    // In a task of its own, so that a caller who leaves does not cut the run off half way.
    let outcome =
        tokio::spawn(async move { functions.invoke(invocation).await }).await.map_err(ApiError::internal)?;
    Ok(reply(json!({"Result": finished(&request_id, &outcome, tail)})))
}

/// The event's text; nothing means an empty object. Only that it is JSON is checked: the function
/// gets it as the caller wrote it.
fn event(text: Option<&str>, field: &'static str) -> Result<String, ApiError> {
    match text {
        None | Some("") => Ok("{}".to_owned()),
        Some(text) => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(ApiError::invalid_value(field, format!("the event is not JSON text: {error}"))),
        },
    }
}

fn check_size(event: &str, max: usize) -> Result<(), ApiError> {
    if event.len() <= max {
        return Ok(());
    }
    let message = format!("the event has {} bytes; at most {max}", event.len());
    Err(ApiError::new("InvalidParameter.RequestTooLarge", message))
}

/// The `Result` of a call that was only put into the queue: the id, and nothing yet.
fn queued(request_id: &str) -> Value {
    json!({
        "FunctionRequestId": request_id,
        "InvokeResult": 0,
        "RetMsg": "",
        "ErrMsg": "",
        "Log": "",
        "Duration": 0,
        "BillDuration": 0,
        "MemUsage": 0,
    })
}

fn finished(request_id: &str, outcome: &Outcome, with_log: bool) -> Value {
    json!({
        "FunctionRequestId": request_id,
        "InvokeResult": invoke_result(outcome.status),
        "RetMsg": outcome.result,
        "ErrMsg": outcome.error,
        "Log": if with_log { tail(&outcome.log, TAIL_BYTES) } else { "" },
        "Duration": outcome.duration_ms,
        "BillDuration": bill_duration(outcome.duration_ms),
        "MemUsage": outcome.memory_bytes,
    })
}

/// 0 success, 1 the user's code failed, -1 anything else (scf.md 6.1).
fn invoke_result(status: StatusCode) -> i32 {
    match status {
        StatusCode::Success => 0,
        StatusCode::UserCodeException => 1,
        _ => -1,
    }
}

/// Whole milliseconds, each begun one counted.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, and durations are small
pub(super) fn bill_duration(duration_ms: f64) -> u64 {
    duration_ms.ceil() as u64
}

/// The last `max` bytes at most, beginning at a character.
fn tail(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::Timestamp;

    use super::*;

    fn outcome(status: StatusCode) -> Outcome {
        Outcome {
            status,
            result: "\"Hello World\"".into(),
            error: String::new(),
            log: format!("{}é the end", "x".repeat(TAIL_BYTES)),
            started: Timestamp::from_secs(1),
            duration_ms: 7.4,
            memory_bytes: 74_870_780,
        }
    }

    #[test]
    fn result_has_the_services_fields() {
        let result = finished("id", &outcome(StatusCode::Success), false);
        assert_eq!(
            result,
            json!({"FunctionRequestId": "id", "InvokeResult": 0, "RetMsg": "\"Hello World\"", "ErrMsg": "",
                   "Log": "", "Duration": 7.4, "BillDuration": 8, "MemUsage": 74_870_780})
        );
    }

    #[test]
    fn the_log_is_its_last_four_kilobytes() {
        let result = finished("id", &outcome(StatusCode::Success), true);
        let log = result["Log"].as_str().unwrap();
        assert_eq!(log.len(), TAIL_BYTES);
        assert!(log.ends_with("xé the end"));
        // A cut within a character moves to the next one.
        assert_eq!(tail("éa", 2), "a");
        assert_eq!(tail("é", 5), "é");
    }

    #[test]
    fn only_exceptions_of_user_code_are_one() {
        assert_eq!(invoke_result(StatusCode::Success), 0);
        assert_eq!(invoke_result(StatusCode::UserCodeException), 1);
        for status in [StatusCode::TimeLimitReached, StatusCode::HandlerNotFound, StatusCode::ProcessExited] {
            assert_eq!(invoke_result(status), -1);
        }
    }

    #[test]
    fn events_are_json_text_or_nothing() {
        assert_eq!(event(None, "ClientContext").unwrap(), "{}");
        assert_eq!(event(Some(""), "ClientContext").unwrap(), "{}");
        assert_eq!(event(Some(" [1] "), "ClientContext").unwrap(), " [1] ");
        let code = |field| event(Some("{'a':1}"), field).unwrap_err().code.into_owned();
        assert_eq!(code("ClientContext"), "InvalidParameterValue.ClientContext");
        assert_eq!(code("Param"), "InvalidParameterValue.Param");
    }

    #[test]
    fn large_events_are_refused() {
        assert!(check_size("{}", 2).is_ok());
        assert_eq!(check_size("{ }", 2).unwrap_err().code, "InvalidParameter.RequestTooLarge");
    }
}
