//! Parsers as functions of any bytes, for `scripts/fuzz`.

use bytes::Bytes;
use http::Request;

use crate::request::ApiRequest;

/// A request to the Cloud API: its body, read as a form and as JSON.
pub fn action(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for (kind, head) in [("application/x-www-form-urlencoded", false), ("application/json", true)] {
        let mut request = Request::post("/").header("content-type", kind);
        if head {
            request = request.header("x-tc-action", "ListFunctions").header("x-tc-version", "2018-04-16");
        }
        let Ok(request) = request.body(()) else { return };
        let (parts, ()) = request.into_parts();
        let _ = ApiRequest::read(&parts, &body).and_then(|request| request.params(&parts, &body));
    }
}
