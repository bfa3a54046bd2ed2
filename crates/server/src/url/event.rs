//! What a function that takes events is told of a request, and how its result answers it: as the service's gateway did
//! it, with fewer members (scf.md 6.7, 8.1).

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{OWN, Place, joined};
use crate::body::{Outgoing, typed};

/// The event. Without a body it is only what is kept of the request.
pub(super) fn of_request(place: &Place, parts: &Parts, peer: IpAddr, body: Option<&Bytes>) -> Value {
    let mut headers = Map::new();
    for name in parts.headers.keys().filter(|name| !name.as_str().starts_with(OWN)) {
        headers.insert(name.as_str().to_owned(), joined(&parts.headers, name).into());
    }
    headers.insert("x-scf-remote-addr".to_owned(), peer.to_string().into());
    let mut event = json!({
        "headers": headers,
        "httpMethod": parts.method.as_str(),
        "path": percent_decode_str(place.path.path()).decode_utf8_lossy(),
        "queryString": query(place.path.query().unwrap_or_default()),
    });
    match body.map(|body| std::str::from_utf8(body)) {
        None => {}
        Some(Ok(text)) => event["body"] = text.into(),
        Some(Err(_)) => {
            event["body"] = STANDARD.encode(body.map(|body| body.as_ref()).unwrap_or_default()).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

/// Of several values of a name, all with commas.
fn query(text: &str) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let (name, value) = (plain(name), plain(value));
        let value = match all.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        all.insert(name, value.into());
    }
    all
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
    fn queries() {
        let all = query("a=1&b=x%20y+z&a=2&c&=d");
        assert_eq!(Value::Object(all), json!({"a": "1,2", "b": "x y z", "c": "", "": "d"}));
    }

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
