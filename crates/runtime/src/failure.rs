//! Failures of an invocation: the status, the text for a person, and the error document that
//! stands in the result's place (scf.md 5.3, 6.1, 6.4).

use cosette_model::function::StatusCode;
use serde_json::{Map, Value, json};

use crate::protocol::Fault;

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// JSON.
    pub(crate) document: String,
}

impl Failure {
    /// A failure that the platform has seen, not one that user code has reported.
    pub(crate) fn new(status: StatusCode, text: impl Into<String>, request_id: &str) -> Self {
        let text = text.into();
        let document = json!({
            "errorCode": -1,
            "errorMessage": text,
            "requestId": request_id,
            "statusCode": status.number(),
        });
        Self { status, document: document.to_string(), text }
    }

    /// One that the instance has reported: our bootstraps with a document, others with any text.
    pub(crate) fn reported(fault: &Fault, request_id: &str) -> Self {
        let status = match fault.status {
            Some(434) => StatusCode::MemoryLimitReached,
            Some(407) => StatusCode::ResponseTooLarge,
            Some(437) => StatusCode::HandlerNotFound,
            Some(443) => StatusCode::UserCodeError,
            _ => StatusCode::UserCodeException,
        };
        let own: Option<Map<String, Value>> =
            fault.status.and_then(|_| serde_json::from_slice(&fault.body).ok());
        let mut document = own.unwrap_or_else(|| {
            let mut document = Map::new();
            document.insert("errorCode".into(), (-1).into());
            document.insert("errorMessage".into(), "user code exception caught".into());
            document.insert("stackTrace".into(), String::from_utf8_lossy(&fault.body).into());
            document
        });
        document.insert("requestId".into(), request_id.into());
        document.insert("statusCode".into(), status.number().into());
        let text = document.get("errorMessage").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { status, text, document: Value::Object(document).to_string() }
    }
}
