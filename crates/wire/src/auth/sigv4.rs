//! AWS signature version 4, in the header and in the query, and the signatures of chunks that
//! follow from it.

use std::fmt::Write;

use cosette_model::{Error, ErrorCode, Identity, Timestamp};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::names::Name;
use super::{Presented, SKEW_MAX, Verified, equal};
use crate::path;

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The longest life of a presigned request, in seconds.
const EXPIRES_MAX: u64 = 7 * 24 * 3600;
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `AK/20130524/us-east-1/s3/aws4_request`.
pub(crate) struct Credential<'a> {
    pub(crate) secret_id: &'a str,
    pub(crate) date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Credential<'a> {
    /// The error's text on failure.
    pub(crate) fn parse(text: &'a str, wanted: &str) -> Result<Self, &'static str> {
        let mut parts = text.rsplitn(5, '/');
        let mut next = || {
            parts.next().filter(|part| !part.is_empty()).ok_or(
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            )
        };
        let (terminal, service, region, date, secret_id) = (next()?, next()?, next()?, next()?, next()?);
        if terminal != "aws4_request" {
            return Err("incorrect terminal in the Credential. This endpoint uses \"aws4_request\".");
        }
        if service != wanted {
            return Err(match wanted {
                "s3" => "incorrect service in the Credential. This endpoint belongs to \"s3\".",
                _ => "incorrect service in the Credential. This endpoint belongs to \"sts\".",
            });
        }
        if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
            return Err(
                "incorrect date format in the Credential. This date must be in the format \"yyyyMMdd\".",
            );
        }
        Ok(Self { secret_id, date, region, service })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }

    pub(crate) fn key(&self, secret: &str) -> [u8; 32] {
        let key = hmac(format!("AWS4{secret}").as_bytes(), self.date.as_bytes());
        let key = hmac(&key, self.region.as_bytes());
        let key = hmac(&key, self.service.as_bytes());
        hmac(&key, b"aws4_request")
    }
}

/// A signature with all it was made from, wherever it was carried.
struct Signature<'a> {
    credential: Credential<'a>,
    signed_headers: Vec<String>,
    signature: &'a str,
    when: Timestamp,
    payload: &'a str,
    authorization: String,
}

pub(crate) fn verify_header(presented: &Presented<'_>) -> Result<Verified, Error> {
    let malformed = |what: &str| {
        Error::with(
            ErrorCode::AuthorizationHeaderMalformed,
            format!("The authorization header is malformed; {what}"),
        )
    };
    let header = presented.header("authorization").ok_or_else(|| malformed("it is not text."))?;
    let fields = header
        .strip_prefix(ALGORITHM)
        .filter(|rest| rest.starts_with([' ', ',']))
        .ok_or_else(|| malformed("only AWS4-HMAC-SHA256 is supported."))?;
    let field = |name: &'static str| {
        fields
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| malformed(&format!("{name} is missing.")))
    };
    let credential = Credential::parse(field("Credential")?, presented.service).map_err(malformed)?;
    let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
    let when = match presented.header("x-amz-date") {
        Some(date) => Timestamp::parse_basic(date),
        None => presented.header("date").and_then(|date| {
            Timestamp::parse_basic(date).or_else(|| crate::request::condition::http_date(date))
        }),
    }
    .ok_or_else(|| {
        Error::with(ErrorCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    })?;
    if !when.basic().starts_with(credential.date) {
        return Err(malformed("the date of the Credential is not that of the request."));
    }
    let payload =
        presented.body_hash.or_else(|| presented.header("x-amz-content-sha256")).ok_or_else(|| {
            Error::with(
                ErrorCode::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            )
        })?;
    let signature = Signature {
        credential,
        signed_headers: split_headers(signed_headers),
        signature,
        when,
        payload,
        authorization: header.to_owned(),
    };
    check(presented, signature, |when| {
        let (now, then) = (presented.times.machine.as_secs(), when.as_secs());
        if now.abs_diff(then) > SKEW_MAX { Err(presented.skewed(when.basic())) } else { Ok(()) }
    })
}

pub(crate) fn verify_query(presented: &Presented<'_>) -> Result<Verified, Error> {
    let wrong = |what: &str| Error::with(ErrorCode::AuthorizationQueryParametersError, what);
    let field = |name: &str| {
        presented.query.get_any_case(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            wrong(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        })
    };
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(wrong("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let credential = Credential::parse(field("X-Amz-Credential")?, presented.service)
        .map_err(|what| wrong(&format!("Error parsing the X-Amz-Credential parameter; {what}")))?;
    let (date, signed_headers) = (field("X-Amz-Date")?, field("X-Amz-SignedHeaders")?);
    let (signature, expires) = (field("X-Amz-Signature")?, field("X-Amz-Expires")?);
    let when = Timestamp::parse_basic(date)
        .ok_or_else(|| wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    if !when.basic().starts_with(credential.date) {
        return Err(wrong("Invalid credential date. This date is not the same as X-Amz-Date."));
    }
    let expires = match expires.parse::<i64>() {
        Err(_) => return Err(wrong("X-Amz-Expires should be a number")),
        Ok(seconds) => u64::try_from(seconds).map_err(|_| wrong("X-Amz-Expires must be non-negative"))?,
    };
    if expires > EXPIRES_MAX {
        return Err(wrong(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be \
             less than 604800 seconds",
        ));
    }
    let payload = presented
        .body_hash
        .or_else(|| presented.query.get_any_case("X-Amz-Content-Sha256"))
        .or_else(|| presented.header("x-amz-content-sha256"))
        .unwrap_or("UNSIGNED-PAYLOAD");
    let authorization = presented
        .query
        .pairs()
        .filter(|(name, _)| name.get(..6).is_some_and(|p| p.eq_ignore_ascii_case("X-Amz-")))
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let signature = Signature {
        credential,
        signed_headers: split_headers(signed_headers),
        signature,
        when,
        payload,
        authorization,
    };
    check(presented, signature, |when| {
        if when.as_secs() > presented.times.machine.as_secs().saturating_add(SKEW_MAX) {
            return Err(presented.skewed(when.basic()));
        }
        let end = Timestamp::from_secs(when.as_secs().saturating_add(expires));
        if presented.times.machine > end { Err(presented.expired(end)) } else { Ok(()) }
    })
}

fn split_headers(list: &str) -> Vec<String> {
    let mut names: Vec<_> = list.split(';').map(str::to_ascii_lowercase).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Key, time, completeness, then the signature itself under each name.
fn check(
    presented: &Presented<'_>,
    sent: Signature<'_>,
    timely: impl FnOnce(Timestamp) -> Result<(), Error>,
) -> Result<Verified, Error> {
    let signer = presented.key(sent.credential.secret_id)?;
    timely(sent.when)?;
    let unsigned: Vec<_> = presented
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| *name == "host" || must_be_signed(name))
        .filter(|name| !sent.signed_headers.iter().any(|signed| signed == name))
        .collect();
    if !unsigned.is_empty() {
        return Err(Error::with(
            ErrorCode::AccessDenied,
            "There were headers present in the request which were not signed",
        )
        .detail("HeadersNotSigned", unsigned.join(", ")));
    }

    let key = sent.credential.key(&signer.account.secret_key);
    let (scope, timestamp) = (sent.credential.scope(), sent.when.basic());
    let canon = Canon::new(presented, &sent);
    let string_to_sign = |host: &str, uri: &str| {
        let hash = hex::encode(Sha256::digest(canon.request(host, uri)));
        format!("{ALGORITHM}\n{timestamp}\n{scope}\n{hash}")
    };
    let matches = |host: &str, uri: &str| {
        let expected = hex::encode(hmac(&key, string_to_sign(host, uri).as_bytes()));
        equal(expected.as_bytes(), sent.signature.as_bytes())
    };
    let matches_name = |name: &Name| matches(&name.host, &path::encode_path(&name.path));
    let verified = |alias| Verified {
        identity: Identity::Known(signer.clone()),
        authorization: sent.authorization.clone(),
        chunks: Some(ChunkSigner {
            key,
            timestamp: timestamp.clone(),
            scope: scope.clone(),
            previous: sent.signature.to_owned(),
        }),
        alias,
    };
    let literal = presented.names.literal();
    // Some clients sign the path as they sent it, in an encoding of their own.
    let as_sent = |name: &Name| matches(&name.host, presented.raw_path);
    if literal.iter().any(|name| matches_name(name) || as_sent(name)) {
        return Ok(verified(None));
    }
    if let Some(name) = presented.names.aliases().iter().find(|name| matches_name(name)) {
        return Ok(verified(Some(format!("{}{}", name.host, name.path))));
    }
    let mut error =
        Error::new(ErrorCode::SignatureDoesNotMatch).detail("AWSAccessKeyId", sent.credential.secret_id);
    if let Some(name) = literal.first() {
        let uri = path::encode_path(&name.path);
        error = error
            .detail("StringToSign", string_to_sign(&name.host, &uri))
            .detail("SignatureProvided", sent.signature)
            .detail("CanonicalRequest", canon.request(&name.host, &uri));
    }
    Err(error)
}

/// S3 refuses `x-amz-*` headers nobody signed, for they could have been added on the way; COS's say
/// as much here. The two left out change nothing that is stored.
fn must_be_signed(name: &str) -> bool {
    (name.starts_with("x-amz-") || name.starts_with("x-cos-"))
        && !matches!(name, "x-amz-content-sha256" | "x-amz-user-agent")
}

/// The parts of the canonical request that are the same under every name.
struct Canon<'a> {
    method: &'a str,
    query: String,
    /// `None` stands for the host.
    headers: Vec<(&'a str, Option<String>)>,
    signed_headers: String,
    payload: &'a str,
}

impl<'a> Canon<'a> {
    fn new(presented: &'a Presented<'_>, sent: &'a Signature<'_>) -> Self {
        let mut pairs: Vec<_> = presented
            .query
            .pairs()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("X-Amz-Signature"))
            .map(|(name, value)| (path::encode(name), path::encode(value)))
            .collect();
        pairs.sort_unstable();
        let query = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&");
        let headers = sent
            .signed_headers
            .iter()
            .map(|name| {
                let value = (name != "host").then(|| {
                    let values = presented.headers.get_all(name.as_str()).iter();
                    values
                        .map(|v| squeeze(&String::from_utf8_lossy(v.as_bytes())))
                        .collect::<Vec<_>>()
                        .join(",")
                });
                (name.as_str(), value)
            })
            .collect();
        Self {
            method: presented.method.as_str(),
            query,
            headers,
            signed_headers: sent.signed_headers.join(";"),
            payload: sent.payload,
        }
    }

    fn request(&self, host: &str, uri: &str) -> String {
        let mut text = format!("{}\n{uri}\n{}\n", self.method, self.query);
        for (name, value) in &self.headers {
            let _ = writeln!(text, "{name}:{}", value.as_deref().unwrap_or(host));
        }
        let _ = write!(text, "\n{}\n{}", self.signed_headers, self.payload);
        text
    }
}

/// Trims, and makes one space of several.
fn squeeze(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Checks the chain of signatures over the chunks of a streaming body.
#[derive(Clone)]
pub(crate) struct ChunkSigner {
    key: [u8; 32],
    timestamp: String,
    scope: String,
    previous: String,
}

impl ChunkSigner {
    #[cfg(test)]
    pub(crate) fn for_tests(key: [u8; 32], timestamp: &str, scope: &str, seed: &str) -> Self {
        Self { key, timestamp: timestamp.into(), scope: scope.into(), previous: seed.into() }
    }

    /// Checks the next chunk's signature against the hash of its data.
    pub(crate) fn chunk(&mut self, data: Sha256, signature: &str) -> bool {
        let text = format!(
            "{ALGORITHM}-PAYLOAD\n{}\n{}\n{}\n{EMPTY_SHA256}\n{}",
            self.timestamp,
            self.scope,
            self.previous,
            hex::encode(data.finalize())
        );
        self.next(&text, signature)
    }

    /// Checks the signature over the trailing headers, written as `name:value\n` each.
    pub(crate) fn trailer(&mut self, headers: &str, signature: &str) -> bool {
        let text = format!(
            "{ALGORITHM}-TRAILER\n{}\n{}\n{}\n{}",
            self.timestamp,
            self.scope,
            self.previous,
            hex::encode(Sha256::digest(headers))
        );
        self.next(&text, signature)
    }

    fn next(&mut self, text: &str, signature: &str) -> bool {
        self.previous = hex::encode(hmac(&self.key, text.as_bytes()));
        equal(self.previous.as_bytes(), signature.as_bytes())
    }
}

#[cfg(test)]
pub(super) fn sign(secret: &str, date: &str, region: &str, text: &str) -> String {
    let key = Credential { secret_id: "", date, region, service: "s3" }.key(secret);
    hex::encode(hmac(&key, text.as_bytes()))
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this cannot fail; an empty digest would match nothing.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mut mac| {
        mac.update(message);
        mac.finalize().into_bytes().into()
    })
}
