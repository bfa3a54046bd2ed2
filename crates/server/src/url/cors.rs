//! What browsers are told of requests that pages of other origins make (Fetch standard), as a URL's `CorsConfig` says.

use cosette_trigger::Cors;
use cosette_wire::ReplyBody;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::body::Outgoing;

/// One request that crosses origins; nothing of it is kept where a URL has no such configuration, as the function
/// answers for itself then.
pub(super) struct Crossing<'a> {
    cors: Option<&'a Cors>,
    origin: Option<HeaderValue>,
    /// The method that a page asks for first.
    asks: bool,
}

impl<'a> Crossing<'a> {
    pub(super) fn of(cors: Option<&'a Cors>, headers: &HeaderMap) -> Self {
        let cors = cors.filter(|cors| cors.enabled);
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Self { cors, origin: headers.get(header::ORIGIN).cloned(), asks }
    }

    /// The answer to a page that asks whether it may.
    pub(super) fn preflight(&self, method: &Method) -> Option<Response<Outgoing>> {
        let cors = self.cors.filter(|_| self.asks && self.origin.is_some() && method == Method::OPTIONS)?;
        let mut response = Response::new(Outgoing::from(ReplyBody::Empty));
        *response.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed().is_some() {
            let headers = response.headers_mut();
            list(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &cors.methods);
            list(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age.into());
        }
        Some(response)
    }

    /// Says of an answer who may read it.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        let Some(cors) = self.cors else { return };
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let Some(origin) = self.allowed() else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if cors.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        list(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &cors.exposed);
    }

    /// What is said of the origin, if it may.
    fn allowed(&self) -> Option<HeaderValue> {
        let (cors, origin) = (self.cors?, self.origin.as_ref()?);
        // With credentials the wildcard itself would mean nothing.
        if cors.origins.iter().any(|one| one == "*") && !cors.credentials {
            return Some(HeaderValue::from_static("*"));
        }
        let fits = |one: &String| one == "*" || one.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        cors.origins.iter().any(fits).then(|| origin.clone())
    }
}

fn list(headers: &mut HeaderMap, name: HeaderName, values: &[String]) {
    if values.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&values.join(",")) {
        headers.insert(name, value);
    }
}
