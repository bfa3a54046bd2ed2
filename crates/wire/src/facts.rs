//! What of a request the conditions of policies may ask for (S3: "Condition keys for Amazon S3";
//! COS: its list of condition keys).

use std::net::IpAddr;

use cosette_model::Timestamp;
use cosette_model::op::Facts;

use crate::DialectName;
use crate::auth::Scheme;
use crate::header::Headers;
use crate::query::Query;

/// Parameters that have keys of their own.
const PARAMETERS: [&str; 4] = ["prefix", "delimiter", "max-keys", "versionId"];

/// Plain headers, and the keys they have.
const HEADERS: [(&str, &str); 7] = [
    ("referer", "referer"),
    ("user-agent", "useragent"),
    ("content-type", "content-type"),
    ("content-length", "content-length"),
    ("host", "host"),
    ("if-match", "if-match"),
    ("if-none-match", "if-none-match"),
];

pub(crate) fn facts(
    headers: &Headers,
    query: &Query,
    scheme: Scheme,
    peer: IpAddr,
    secure: bool,
    now: Timestamp,
) -> Facts {
    let mut facts = Facts::new();
    let mut put = |key: String, value: &str| facts.entry(key).or_default().push(value.to_owned());
    put("sourceip".into(), &peer.to_canonical().to_string());
    put("securetransport".into(), if secure { "true" } else { "false" });
    put("currenttime".into(), &now.iso_seconds());
    put("epochtime".into(), &now.as_secs().to_string());
    let (version, place) = match scheme {
        Scheme::CosHeader => ("", "REST-HEADER"),
        Scheme::CosQuery | Scheme::CosMerged => ("", "REST-QUERY-STRING"),
        Scheme::AwsHeader => ("AWS4-HMAC-SHA256", "REST-HEADER"),
        Scheme::AwsQuery => ("AWS4-HMAC-SHA256", "REST-QUERY-STRING"),
        Scheme::AwsV2 if headers.has("authorization") => ("AWS", "REST-HEADER"),
        Scheme::AwsV2 => ("AWS", "REST-QUERY-STRING"),
        Scheme::Anonymous | Scheme::Unknown => ("", ""),
    };
    for (key, value) in [("signatureversion", version), ("authtype", place)] {
        if !value.is_empty() {
            put(key.into(), value);
        }
    }
    for name in PARAMETERS {
        if let Some(value) = query.get_any_case(name) {
            put(name.to_ascii_lowercase(), value);
        }
    }
    of_headers(headers, &mut facts);
    facts
}

/// What the fields of a form say in place of headers, of which the form's request may have had its own.
pub(crate) fn of_form(fields: &Headers, facts: &mut Facts) {
    facts.retain(|key, _| {
        !key.starts_with("x-")
            && !key.starts_with("requestobjecttag")
            && !key.starts_with("object-lock-")
            && key != "content-type"
    });
    of_headers(fields, facts);
}

fn of_headers(headers: &Headers, facts: &mut Facts) {
    let mut put = |key: String, value: &str| facts.entry(key).or_default().push(value.to_owned());
    for (name, key) in HEADERS {
        if let Ok(Some(value)) = headers.get(name) {
            put(key.into(), value);
        }
    }
    for (name, value) in headers.all().flatten() {
        let (own, other) = match headers.dialect() {
            DialectName::Cos => ("x-cos-", "x-amz-"),
            DialectName::S3 => ("x-amz-", "x-cos-"),
        };
        let rest = match name.strip_prefix(own) {
            Some(rest) => rest,
            // Of two spellings the dialect's own counts, as it does for what is done.
            None => match name.strip_prefix(other) {
                Some(rest) if !headers.has(&format!("{own}{rest}")) => rest,
                _ => continue,
            },
        };
        put(format!("x-{rest}"), value);
        if rest == "tagging" {
            for (name, value) in Query::parse(value).unwrap_or_default().pairs() {
                put(format!("requestobjecttag/{name}"), value);
                put("requestobjecttagkeys".into(), name);
            }
        }
        if matches!(rest, "object-lock-mode" | "object-lock-legal-hold" | "object-lock-retain-until-date") {
            put(rest.to_owned(), value);
        }
    }
}
