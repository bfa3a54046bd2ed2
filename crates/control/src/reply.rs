//! What an action answers with.

use cosette_model::Timestamp;
use serde_json::{Map, Value};

/// The reply's fields, without `RequestId`.
pub(crate) type Reply = Map<String, Value>;

/// A `json!` object as a reply.
pub(crate) fn reply(value: Value) -> Reply {
    match value {
        Value::Object(fields) => fields,
        _ => Reply::new(),
    }
}

/// `2020-04-15 21:48:55`, in UTC wherever the server is.
pub(crate) fn time(at: Timestamp) -> Value {
    Value::String(at.plain())
}
