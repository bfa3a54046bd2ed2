//! AWS signature version 2, in the header and in the query: S3's first, which COS still takes
//! (cos-api 2.12). The host plays no part in it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cosette_model::{Error, ErrorCode, Identity, Timestamp};

use super::{Presented, SKEW_MAX, Verified, cos, equal};
use crate::{path, route};

/// The parameters that are part of the signed resource ("Signing and authenticating REST
/// requests" of S3's guide, and what its SDKs added).
const SIGNED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Until when a signature holds.
enum Until {
    /// It was made at this time.
    Made(Timestamp),
    /// In seconds since 1970.
    Expires(u64),
}

pub(crate) fn verify(presented: &Presented<'_>) -> Result<Verified, Error> {
    let header = presented.header("authorization").and_then(|text| text.strip_prefix("AWS "));
    let query = |name: &str| presented.query.filled(name).unwrap_or_default();
    let (secret_id, sent) = match header {
        None => (query("AWSAccessKeyId"), query("Signature")),
        Some(text) => text.trim().rsplit_once(':').ok_or_else(|| {
            Error::with(
                ErrorCode::InvalidArgument,
                "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            )
        })?,
    };
    let key = presented.key(secret_id)?;
    refuse_unsigned(presented)?;
    // The second date wins; the line of the first is empty then.
    // An empty one is no date, and not none.
    let second = presented.headers.contains_key("x-amz-date");
    let dates =
        [second.then(|| presented.header("x-amz-date").unwrap_or_default()), presented.header("date")];
    let (until, line) = match header {
        Some(_) => {
            let date = dates[0].or(dates[1]).unwrap_or_default();
            let made =
                Timestamp::parse_rfc2822(date).or_else(|| Timestamp::parse_basic(date)).ok_or_else(|| {
                    Error::with(
                        ErrorCode::AccessDenied,
                        "AWS authentication requires a valid Date or x-amz-date header",
                    )
                })?;
            (Until::Made(made), if dates[0].is_some() { "" } else { date })
        }
        None => {
            let text = query("Expires");
            let expires = text.parse().map_err(|_| {
                let why = format!("Invalid date (should be seconds since epoch): {text}");
                Error::with(ErrorCode::AccessDenied, why)
            })?;
            (Until::Expires(expires), text)
        }
    };
    let now = presented.times.machine.as_secs();
    match until {
        Until::Made(when) if now.abs_diff(when.as_secs()) > SKEW_MAX => {
            return Err(presented.skewed(when.iso_seconds()));
        }
        Until::Expires(end) if now > end => return Err(presented.expired(Timestamp::from_secs(end))),
        _ => {}
    }
    let signed = |resource: &str| string_to_sign(presented, line, resource);
    let resources = resources(presented);
    let matches = |resource: &String| {
        let expected =
            BASE64_STANDARD.encode(cos::hmac(key.account.secret_key.as_bytes(), &signed(resource)));
        equal(expected.as_bytes(), sent.as_bytes())
    };
    if !resources.iter().any(matches) {
        return Err(Error::new(ErrorCode::SignatureDoesNotMatch)
            .detail("AWSAccessKeyId", secret_id)
            .detail("StringToSign", signed(resources.first().map_or("/", String::as_str)))
            .detail("SignatureProvided", sent));
    }
    let authorization = match header {
        Some(text) => format!("AWS {text}"),
        None => format!("AWSAccessKeyId={secret_id}&Expires={line}&Signature={sent}"),
    };
    Ok(Verified { identity: Identity::Known(key), authorization, chunks: None, alias: None })
}

/// What could have been added by whoever holds the request: it signs neither COS's headers nor the
/// sub-resources that came after it.
fn refuse_unsigned(presented: &Presented<'_>) -> Result<(), Error> {
    let cos = |name: &&str| name.starts_with("x-cos-") && *name != "x-cos-security-token";
    let header = presented.headers.keys().map(http::HeaderName::as_str).find(cos);
    let parameter = presented.query.pairs().map(|(name, _)| name).find(|name| {
        cos(&name.to_ascii_lowercase().as_str()) || route::reserved(name) && !SIGNED.contains(name)
    });
    match header.or(parameter) {
        None => Ok(()),
        Some(name) => Err(Error::with(
            ErrorCode::AccessDenied,
            "AWS signature version 2 does not sign a header or parameter of the request",
        )
        .detail("HeadersNotSigned", name)),
    }
}

/// The path with its bucket, in each way that clients write it.
fn resources(presented: &Presented<'_>) -> Vec<String> {
    let (names, raw) = (&presented.names, presented.raw_path);
    let Some(bucket) = names.bucket else { return vec![raw.to_owned()] };
    let hosted = names.path.strip_prefix('/') == Some(names.key);
    let sent = if hosted { format!("/{bucket}{raw}") } else { raw.to_owned() };
    let mut resources = vec![sent, format!("/{bucket}/{}", path::encode_path(names.key))];
    if names.key.is_empty() {
        resources.push(format!("/{bucket}"));
    }
    resources
}

fn string_to_sign(presented: &Presented<'_>, date: &str, resource: &str) -> String {
    // Presigning clients move headers into the query.
    let moved = |name: &str| presented.header(name).or_else(|| presented.query.get_any_case(name));
    let mut amz: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in presented.headers {
        if let (true, Ok(text)) = (name.as_str().starts_with("x-amz-"), std::str::from_utf8(value.as_bytes()))
        {
            amz.entry(name.as_str().to_owned()).or_default().push(text.trim());
        }
    }
    for (name, value) in presented.query.pairs() {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") && !presented.headers.contains_key(&name) {
            amz.entry(name).or_default().push(value);
        }
    }
    let mut text = format!(
        "{}\n{}\n{}\n{date}\n",
        presented.method,
        moved("content-md5").unwrap_or_default(),
        moved("content-type").unwrap_or_default()
    );
    for (name, values) in amz {
        text.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    text.push_str(resource);
    let mut parameters: Vec<_> = presented.query.pairs().filter(|(name, _)| SIGNED.contains(name)).collect();
    parameters.sort_unstable();
    for (at, (name, value)) in parameters.into_iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
