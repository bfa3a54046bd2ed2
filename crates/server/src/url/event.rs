//! What a function that takes events is told of a request, and how its result answers it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cosette_trigger::Asked;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{OWN, Place, joined};
use crate::body::{Outgoing, typed};

/// The event. Without a body it is only what is kept of the request.
pub(super) fn of_request(place: &Place, parts: &Parts, peer: IpAddr, body: Option<&Bytes>) -> Value {
    let own = |name: &&HeaderName| name.as_str().starts_with(OWN);
    let names = parts.headers.keys().filter(|name| !own(name));
    let asked = Asked {
        method: parts.method.as_str(),
        path: place.path.path(),
        query: place.path.query().unwrap_or_default(),
        headers: names.map(|name| (name.as_str(), joined(&parts.headers, name))).collect(),
        peer,
        body: body.map(AsRef::as_ref),
    };
    asked.event()
}

/// The response that a result stands for: one with a `statusCode` says all of it itself, any other is the body.
///
/// # Errors
/// What is wrong with the one that it says.
pub(super) fn response(result: &str) -> Result<Response<Outgoing>, String> {
    let parsed: Value = serde_json::from_str(result).map_err(|error| error.to_string())?;
    let Some(said) = parsed.as_object().filter(|object| object.contains_key("statusCode")) else {
        return Ok(typed(StatusCode::OK, "application/json", result.to_owned()));
    };
    let status = said.get("statusCode").and_then(|status| match status {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    });
    let status = status.and_then(|number: u16| StatusCode::from_u16(number).ok());
    // What comes before the final answer is none.
    let status = status.filter(|status| !status.is_informational()).ok_or("statusCode is no HTTP status")?;
    let is_base64 = said.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false);
    let body = match said.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if is_base64 => {
            STANDARD.decode(text).map_err(|error| format!("body is not base64: {error}"))?.into()
        }
        Some(Value::String(text)) => text.clone().into(),
        Some(_) => return Err("body is not a string".to_owned()),
    };
    let mut response = typed(status, "application/json", body);
    for field in ["headers", "multiValueHeaders"] {
        let headers = match said.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(headers)) => headers,
            Some(_) => return Err(format!("{field} is not an object")),
        };
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header's name"))?;
            // It follows from the body.
            if matches!(name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION) {
                continue;
            }
            response.headers_mut().remove(&name);
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => return Err(format!("the value of header {name} is no text")),
                };
                let value = HeaderValue::from_str(&text);
                let value = value.map_err(|_| format!("the value of header {name} cannot be sent"))?;
                response.headers_mut().append(&name, value);
            }
        }
    }
    Ok(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn results_become_responses() {
        let plain = response(r#""Hello""#).unwrap();
        assert_eq!(
            (plain.status(), &plain.headers()["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let said = response(
            r#"{"statusCode":201,"headers":{"Content-Type":"text/html","X-Number":5,"Content-Length":"7"},
                "multiValueHeaders":{"Set-Cookie":["a=1","b=2"]},"body":"PGI+","isBase64Encoded":true}"#,
        )
        .unwrap();
        assert_eq!(said.status(), StatusCode::CREATED);
        assert_eq!(said.headers()["content-type"], "text/html");
        assert_eq!(said.headers()["x-number"], "5");
        assert_eq!(said.headers().get_all("set-cookie").iter().count(), 2);
        assert!(!said.headers().contains_key("content-length"));
        for wrong in [
            r#"{"statusCode":99}"#,
            r#"{"statusCode":"x"}"#,
            r#"{"statusCode":101}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"body":"*","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":{"a":"\n"}}"#,
            r#"{"statusCode":200,"headers":{"a":{}}}"#,
        ] {
            assert!(response(wrong).is_err(), "{wrong}");
        }
    }
}
