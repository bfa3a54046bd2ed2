//! The Cloud API's two signature schemes. Computing them is shared by the server and the client.

pub(crate) mod tc3;
pub(crate) mod v1;

use cosette_model::Timestamp;
use http::request::Parts;

use crate::error::ApiError;

/// A request is refused when its time and ours are further apart (scf.md 3.1), in seconds.
const SKEW_MAX_SECS: u64 = 300;

fn check_time(secs: u64, now: Timestamp) -> Result<(), ApiError> {
    let skew = now.as_secs().abs_diff(secs);
    if skew <= SKEW_MAX_SECS {
        return Ok(());
    }
    let message = format!("the request's time is {skew} s away from the server's; at most {SKEW_MAX_SECS} s");
    Err(ApiError::new("AuthFailure.SignatureExpire", message))
}

fn unknown_key(secret_id: &str) -> ApiError {
    ApiError::new("AuthFailure.SecretIdNotFound", format!("the SecretId {secret_id} is not known here"))
}

fn mismatch() -> ApiError {
    let message = "the signature does not match; check the SecretKey and what was signed";
    ApiError::new("AuthFailure.SignatureFailure", message)
}

/// What a client may have signed as its host (scf.md 4.1): the header as it is, which can be a whole
/// `http://host:port`, and that without scheme, without port, without both.
fn hosts(parts: &Parts) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |host: &str| {
        if !host.is_empty() && !list.iter().any(|known| known == host) {
            list.push(host.to_owned());
        }
    };
    let header = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    for host in header.into_iter().chain(target) {
        let bare = host.split_once("://").map_or(host, |(_, rest)| rest);
        for form in [host, bare] {
            add(form);
            add(without_port(form));
            // Lower case is what the service's own text asks for.
            add(&form.to_ascii_lowercase());
        }
    }
    list
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `/` and what was really asked for: most clients sign `/` whatever their endpoint's path is.
fn paths(parts: &Parts) -> Vec<&str> {
    match parts.uri.path() {
        "" | "/" => vec!["/"],
        path => vec!["/", path],
    }
}
