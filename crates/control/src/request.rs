//! The five forms a Cloud API request comes in (scf.md 3.2), made one. Knows headers and
//! encodings, no action.

use bytes::Bytes;
use cosette_model::{Accounts, Key, KeyRefused, Times};
use http::Method;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::params::unflatten;
use crate::signature::{tc3, v1};

/// A request whose form is understood; nothing of it is believed yet.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) action: String,
    pub(crate) version: String,
    pub(crate) region: Option<String>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// TC3: what is asked is in the headers, the parameters in the body or the query.
    Tc3,
    /// v1: everything is one list of pairs.
    V1(Vec<(String, String)>),
}

/// Names that say what is asked and by whom; all others are the action's own.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "Region",
    "Timestamp",
    "Nonce",
    "SecretId",
    "Signature",
    "SignatureMethod",
    "Token",
    "Language",
    "RequestClient",
];

/// Pairs taken of a query or form. No action has so many, and a form is read before its signature.
const PAIRS_MAX: usize = 10_000;

const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the request is for the Cloud API and not for the object services. Looks at nothing but
/// the head, and never takes the host for a bucket's (scf.md 3.2, 4.1).
pub(crate) fn is_for_us(parts: &Parts) -> bool {
    if parts.headers.contains_key("x-tc-action") {
        return true;
    }
    let authorization = header(parts, "authorization").unwrap_or_default().trim_start();
    if authorization.starts_with(tc3::SCHEME) {
        return true;
    }
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    if target.or_else(|| header(parts, "host")).is_some_and(is_api_host) {
        return true;
    }
    let query = parts.uri.query().unwrap_or_default();
    // A client of the object services has signed, and says so in its own way; AWS's own query API
    // also has Action and Version.
    let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair)).collect();
    let object_service = authorization.starts_with("q-sign-algorithm")
        || authorization.starts_with("AWS")
        || names.iter().any(|name| {
            matches!(*name, "q-sign-algorithm" | "X-Amz-Algorithm" | "X-Amz-Signature" | "AWSAccessKeyId")
        });
    if object_service {
        return false;
    }
    if names.contains(&"Action") && names.contains(&"Version") {
        return true;
    }
    // v1 by POST names its action in the body. No query: a multi-delete sent with a careless content
    // type has one.
    parts.method == Method::POST
        && matches!(parts.uri.path(), "" | "/")
        && query.is_empty()
        && header(parts, "content-type").is_some_and(is_form)
}

fn is_api_host(host: &str) -> bool {
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let name = host.split(['/', ':']).next().unwrap_or(host).to_ascii_lowercase();
    name.ends_with(".tencentcloudapi.com") || name.ends_with(".api.qcloud.com")
}

fn is_form(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

impl ApiRequest {
    pub(crate) fn read(parts: &Parts, body: &Bytes) -> Result<Self, ApiError> {
        let tc3 = parts.headers.contains_key("x-tc-action")
            || header(parts, "authorization").is_some_and(|a| a.trim_start().starts_with(tc3::SCHEME));
        let (form, action, version, region) = if tc3 {
            let get = |name: &str| header(parts, name).map(str::to_owned);
            (Form::Tc3, get("x-tc-action"), get("x-tc-version"), get("x-tc-region"))
        } else {
            let pairs = match parts.method {
                Method::POST => pairs(body)?,
                _ => pairs(parts.uri.query().unwrap_or_default().as_bytes())?,
            };
            let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
            let (action, version, region) = (get("Action"), get("Version"), get("Region"));
            (Form::V1(pairs), action, version, region)
        };
        let needed = |value: Option<String>, name| {
            value.filter(|text| !text.is_empty()).ok_or_else(|| ApiError::missing(name))
        };
        Ok(Self {
            action: needed(action, "Action")?,
            version: needed(version, "Version")?,
            region: region.filter(|text| !text.is_empty()),
            form,
        })
    }

    pub(crate) fn authenticate(
        &self,
        parts: &Parts,
        body: &[u8],
        accounts: &dyn Accounts,
        times: Times,
    ) -> Result<Key, ApiError> {
        let (key, token) = match &self.form {
            Form::Tc3 => (tc3::verify(parts, body, accounts, times.machine)?, header(parts, "x-tc-token")),
            Form::V1(pairs) => {
                let token = pairs.iter().find(|(name, _)| name == "Token");
                (v1::verify(parts, pairs, accounts, times.machine)?, token.map(|(_, value)| value.as_str()))
            }
        };
        checked(key, token, times)
    }

    /// The action's own parameters.
    pub(crate) fn params(self, parts: &Parts, body: &Bytes) -> Result<Map<String, Value>, ApiError> {
        match self.form {
            Form::V1(pairs) => {
                unflatten(pairs.into_iter().filter(|(name, _)| !COMMON.contains(&name.as_str())))
            }
            Form::Tc3 if parts.method == Method::POST => {
                let kind = header(parts, "content-type").unwrap_or_default();
                if is_form(kind) {
                    unflatten(pairs(body)?)
                } else if kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
                    let message = "multipart/form-data is not taken; send application/json";
                    Err(ApiError::new("UnsupportedProtocol", message))
                } else {
                    json(body)
                }
            }
            Form::Tc3 => unflatten(pairs(parts.uri.query().unwrap_or_default().as_bytes())?),
        }
    }
}

/// The key, if its token is the right one and it has not ended.
pub(crate) fn checked(key: Key, token: Option<&str>, times: Times) -> Result<Key, ApiError> {
    let refused = |why| Err(ApiError::new("AuthFailure.TokenFailure", why));
    match key.check(token, times.now) {
        Ok(()) => Ok(key),
        Err(KeyRefused::Token) => refused("a temporary key needs the token it was given with"),
        Err(KeyRefused::Expired) => refused("the temporary key has expired"),
    }
}

fn json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new("InvalidParameter", "the request's body is not a JSON object")),
        Err(error) => {
            Err(ApiError::new("InvalidParameter", format!("the request's body is not JSON: {error}")))
        }
    }
}

/// The pairs of a query or form; `+` is a space in both.
fn pairs(text: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let part = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        let text: Vec<u8> = percent_encoding::percent_decode(&bytes).collect();
        String::from_utf8(text)
            .map_err(|_| ApiError::new("InvalidParameter", "a parameter is not UTF-8 text"))
    };
    if text.iter().filter(|b| **b == b'&').count() >= PAIRS_MAX {
        let message = format!("the request has more than {PAIRS_MAX} parameters");
        return Err(ApiError::new("InvalidParameter", message));
    }
    text.split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let value = pair.get(at + 1..).unwrap_or_default();
            Ok((part(&pair[..at])?, part(value)?))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;
    use serde_json::json;

    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    const TC3: (&str, &str) = ("Authorization", "TC3-HMAC-SHA256 Credential=x");
    const FORM_TYPE: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

    #[test]
    fn api_requests_are_told_from_object_requests() {
        let cos = ("Authorization", "q-sign-algorithm=sha1&q-ak=AKID");
        let aws = ("Authorization", "AWS4-HMAC-SHA256 Credential=x");
        let host = ("Host", "b-1250000000.cos.ap-guangzhou.myqcloud.com");
        for (want, case) in [
            (true, parts("POST", "/", &[("X-TC-Action", "ListFunctions")])),
            (true, parts("POST", "/", &[TC3])),
            (true, parts("GET", "/", &[("Host", "scf.tencentcloudapi.com")])),
            (true, parts("GET", "/", &[("Host", "http://scf.ap-guangzhou.tencentcloudapi.com:80/")])),
            (true, parts("GET", "http://scf.api.qcloud.com/v2/index.php", &[])),
            (true, parts("GET", "/?Action=ListFunctions&Version=2018-04-16", &[])),
            (true, parts("POST", "/", &[FORM_TYPE])),
            (
                true,
                parts("POST", "/", &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]),
            ),
            (false, parts("POST", "/", &[FORM_TYPE, cos, host])),
            (false, parts("POST", "/", &[FORM_TYPE, aws])),
            (false, parts("POST", "/?delete", &[FORM_TYPE, host])),
            (false, parts("GET", "/?Action=AssumeRole&Version=2011-06-15", &[aws])),
            (false, parts("GET", "/?Action=a&Version=b&X-Amz-Signature=0", &[])),
            (false, parts("POST", "/b", &[FORM_TYPE])),
            (false, parts("PUT", "/b/k", &[FORM_TYPE])),
            (false, parts("GET", "/", &[host])),
            (false, parts("GET", "/tencentcloudapi.com", &[("Host", "tencentcloudapi.com.evil.example")])),
        ] {
            assert_eq!(is_for_us(&case), want, "{} {} {:?}", case.method, case.uri, case.headers);
        }
    }

    #[test]
    fn four_forms_say_the_same() {
        let want = json!({"FunctionName": "a b", "Filters": [{"Name": "Runtime", "Values": ["x"]}]});
        let flat = "FunctionName=a+b&Filters.0.Name=Runtime&Filters.0.Values.0=x";
        let common =
            "Action=ListFunctions&Version=2018-04-16&Region=ap-beijing&SecretId=s&Signature=x&Nonce=1";
        let tc3 = [
            ("X-TC-Action", "ListFunctions"),
            ("X-TC-Version", "2018-04-16"),
            ("X-TC-Region", "ap-beijing"),
            ("Content-Type", "application/json; charset=utf-8"),
        ];
        let tc3_get = [tc3[0], tc3[1], tc3[2], FORM_TYPE];
        for (parts, body) in [
            (parts("POST", "/", &tc3), want.to_string()),
            (parts("GET", &format!("/?{}", flat.replace('+', "%20")), &tc3_get), String::new()),
            (parts("POST", "/", &[FORM_TYPE]), format!("{common}&{flat}")),
            (parts("GET", &format!("/?{common}&{flat}"), &[]), String::new()),
        ] {
            let body = Bytes::from(body);
            let request = ApiRequest::read(&parts, &body).unwrap();
            assert_eq!(request.action, "ListFunctions");
            assert_eq!(request.version, "2018-04-16");
            assert_eq!(request.region.as_deref(), Some("ap-beijing"));
            assert_eq!(Value::Object(request.params(&parts, &body).unwrap()), want);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let read = |parts: Parts, body: &[u8]| {
            let body = Bytes::copy_from_slice(body);
            let params = ApiRequest::read(&parts, &body).and_then(|r| r.params(&parts, &body));
            params.map_err(|error| error.code.into_owned())
        };
        let head = [("X-TC-Action", "A"), ("X-TC-Version", "1")];
        assert_eq!(read(parts("POST", "/", &head), b""), Ok(Map::new()));
        assert_eq!(read(parts("POST", "/", &head), b"[]"), Err("InvalidParameter".into()));
        assert_eq!(read(parts("POST", "/", &head), b"{"), Err("InvalidParameter".into()));
        assert_eq!(read(parts("POST", "/", &head[..1]), b"{}"), Err("MissingParameter".into()));
        assert_eq!(read(parts("POST", "/", &[TC3]), b"{}"), Err("MissingParameter".into()));
        assert_eq!(
            read(parts("POST", "/", &[FORM_TYPE]), b"Action=A&Version=%FF"),
            Err("InvalidParameter".into())
        );
        let many = "a=b&".repeat(PAIRS_MAX);
        assert_eq!(read(parts("POST", "/", &[FORM_TYPE]), many.as_bytes()), Err("InvalidParameter".into()));
        let multipart = [head[0], head[1], ("Content-Type", "multipart/form-data; boundary=x")];
        assert_eq!(read(parts("POST", "/", &multipart), b"--x"), Err("UnsupportedProtocol".into()));
    }
}
