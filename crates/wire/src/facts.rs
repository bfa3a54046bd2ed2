//! What of a request the conditions of policies may ask for (S3: "Condition keys for Amazon S3";
//! COS: its list of condition keys).

use std::net::IpAddr;

use cosette_model::op::Facts;
use cosette_model::{Times, Timestamp};

use crate::DialectName;
use crate::auth::Scheme;
use crate::form::signature::Version;
use crate::header::{self, Headers};
use crate::query::Query;
use crate::request::condition::http_date;

/// Parameters that have keys of their own.
const PARAMETERS: [&str; 9] = [
    "prefix",
    "delimiter",
    "max-keys",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];

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
    Times { now, machine }: Times,
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
    // Each as it is read for what is done, or a second spelling would be judged in its place.
    for name in PARAMETERS {
        if let Some(value) = query.get(name) {
            put(name.to_owned(), value);
        }
    }
    if let Some(version) = query.get_any_case("versionId") {
        put("versionid".to_owned(), version);
    }
    let header = |name| headers.get(name).ok().flatten();
    let signed = match scheme {
        Scheme::AwsQuery => query.get_any_case("X-Amz-Date"),
        Scheme::AwsHeader => header("x-amz-date").or_else(|| header("date")),
        _ => None,
    };
    let signed = signed.and_then(|date| Timestamp::parse_basic(date).or_else(|| http_date(date)));
    let age = signed.map(|signed| age(signed, machine));
    // Of S3's second signature the age is always 0 (S3, "Signature Version 4 authentication-specific policy keys").
    let age = if scheme == Scheme::AwsV2 { Some("0".to_owned()) } else { age };
    if let Some(age) = age {
        put("signatureage".into(), &age);
    }
    of_headers(headers, now, &mut facts);
    facts
}

/// How old a signature is, in milliseconds.
fn age(signed: Timestamp, now: Timestamp) -> String {
    (now.as_micros().saturating_sub(signed.as_micros()) / 1000).to_string()
}

/// What tags a request gives, in a header or in a document.
pub(crate) fn of_tags<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>, facts: &mut Facts) {
    for (name, value) in tags {
        facts.entry(format!("requestobjecttag/{name}")).or_default().push(value.to_owned());
        facts.entry("requestobjecttagkeys".into()).or_default().push(name.to_owned());
    }
}

/// What the fields of a form say in place of headers, of which the form's request may have had its own.
pub(crate) fn of_form(
    fields: &Headers,
    signed: Option<Version>,
    Times { now, machine }: Times,
    facts: &mut Facts,
) {
    facts.retain(|key, _| {
        !key.starts_with("x-")
            && !key.starts_with("requestobjecttag")
            && !key.starts_with("object-lock-")
            && !["content-type", "authtype", "signatureversion", "signatureage"].contains(&key.as_str())
    });
    let signed = match signed {
        Some(Version::AwsV4(made)) => Some(("AWS4-HMAC-SHA256", age(made, machine))),
        Some(Version::AwsV2) => Some(("AWS", "0".to_owned())),
        Some(Version::Cos) | None => None,
    };
    if let Some((version, age)) = signed {
        for (key, value) in [("authtype", "POST"), ("signatureversion", version), ("signatureage", &age)] {
            facts.insert(key.to_owned(), vec![value.to_owned()]);
        }
    }
    of_headers(fields, now, facts);
}

fn of_headers(headers: &Headers, now: Timestamp, facts: &mut Facts) {
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
                Some(rest) if matches!(headers.get(&format!("{own}{rest}")), Ok(None)) => rest,
                _ => continue,
            },
        };
        // An empty one is absent. Nobody asks for a customer's key, and it is better not kept. A key of the
        // key management service has two names.
        if value.is_empty()
            || rest.ends_with("server-side-encryption-customer-key")
            || rest.ends_with("-kms-key-id")
        {
            continue;
        }
        put(format!("x-{rest}"), value);
        if rest == "object-lock-retain-until-date"
            && let Some(until) = Timestamp::parse_rfc3339(value)
        {
            put(
                "object-lock-remaining-retention-days".to_owned(),
                &until.since(now).as_secs().div_ceil(86_400).to_string(),
            );
        }
        if matches!(rest, "object-lock-mode" | "object-lock-legal-hold" | "object-lock-retain-until-date") {
            put(rest.to_owned(), value);
        }
    }
    if let Ok(Some(id)) = headers.concept(header::SSE_KMS_KEY_ID) {
        for service in ["aws", "cos"] {
            put(format!("x-server-side-encryption-{service}-kms-key-id"), id);
        }
    }
    if let Ok(Some(tags)) = headers.concept(header::TAGGING) {
        of_tags(Query::parse(tags).unwrap_or_default().pairs(), facts);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn asked(scheme: Scheme, uri: &str, names: &[(&'static str, &str)]) -> Facts {
        let mut map = HeaderMap::new();
        for (name, value) in names {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let query = Query::parse(uri).unwrap();
        let headers = Headers::new(&map, &query, DialectName::S3);
        let now = Timestamp::parse_basic("20240101T000010Z").unwrap();
        facts(&headers, &query, scheme, Ipv4Addr::LOCALHOST.into(), false, now.into())
    }

    #[test]
    fn how_old_a_signature_is() {
        let age = |facts: &Facts| facts.get("signatureage").map(|age| age[0].clone());
        let query = "X-Amz-Date=20240101T000000Z";
        assert_eq!(age(&asked(Scheme::AwsQuery, query, &[])).as_deref(), Some("10000"));
        let header = [("x-amz-date", "20240101T000009Z")];
        assert_eq!(age(&asked(Scheme::AwsHeader, "", &header)).as_deref(), Some("1000"));
        let plain = [("date", "Mon, 01 Jan 2024 00:00:08 GMT")];
        assert_eq!(age(&asked(Scheme::AwsHeader, "", &plain)).as_deref(), Some("2000"));
        assert_eq!(age(&asked(Scheme::AwsV2, "", &header)).as_deref(), Some("0"));
        assert_eq!(age(&asked(Scheme::Anonymous, query, &header)), None);
    }

    #[test]
    fn what_a_form_says_takes_the_place_of_its_request() {
        let mut facts = asked(Scheme::Anonymous, "", &[("x-amz-tagging", "a=1"), ("content-type", "x")]);
        assert_eq!(facts["requestobjecttag/a"], ["1"]);
        let fields = Headers::new(&HeaderMap::new(), &Query::default(), DialectName::S3);
        let now = Timestamp::parse_basic("20240101T000010Z").unwrap();
        let signed = Timestamp::parse_basic("20240101T000000Z").map(Version::AwsV4);
        of_form(&fields, signed, now.into(), &mut facts);
        assert_eq!(
            (&facts["authtype"][..], &facts["signatureage"][..]),
            (&["POST".into()][..], &["10000".into()][..])
        );
        assert!(!facts.contains_key("requestobjecttag/a") && !facts.contains_key("content-type"));
    }

    #[test]
    fn a_parameter_counts_as_it_is_read() {
        // Lists read `prefix` and no other spelling of it.
        let facts = asked(Scheme::Anonymous, "Prefix=home/&prefix=other/&VersionID=v", &[]);
        assert_eq!(
            (&facts["prefix"][..], &facts["versionid"][..]),
            (&["other/".into()][..], &["v".into()][..])
        );
        assert!(!asked(Scheme::Anonymous, "Prefix=home/", &[]).contains_key("prefix"));
    }

    #[test]
    fn an_empty_header_is_absent_here_as_well() {
        let headers = [("x-amz-acl", ""), ("x-cos-acl", "public-read"), ("x-amz-grant-read", "")];
        let facts = asked(Scheme::Anonymous, "", &headers);
        assert_eq!(facts["x-acl"], ["public-read"]);
        assert!(!facts.contains_key("x-grant-read"));
        let both = [("x-amz-acl", "private"), ("x-cos-acl", "public-read")];
        assert_eq!(asked(Scheme::Anonymous, "", &both)["x-acl"], ["private"]);
    }

    #[test]
    fn a_key_of_the_key_service_has_both_its_names() {
        for name in
            ["x-cos-server-side-encryption-cos-kms-key-id", "x-amz-server-side-encryption-aws-kms-key-id"]
        {
            let facts = asked(Scheme::Anonymous, "", &[(name, "k")]);
            for key in ["x-server-side-encryption-aws-kms-key-id", "x-server-side-encryption-cos-kms-key-id"]
            {
                assert_eq!(
                    facts.get(key).map(|values| &values[..]),
                    Some(&["k".to_owned()][..]),
                    "{name} {key}"
                );
            }
        }
    }

    #[test]
    fn days_of_a_retention() {
        let until = [("x-amz-object-lock-retain-until-date", "2024-01-03T00:00:00Z")];
        let facts = asked(Scheme::Anonymous, "", &until);
        assert_eq!(facts["object-lock-remaining-retention-days"], ["2"]);
    }
}
