//! Who sent a request: finds the signature, checks it under every name the server is known by.
//!
//! Knows hashes and canonical forms; knows no operation.

pub(crate) mod cos;
pub(crate) mod names;
mod sigv2;
pub(crate) mod sigv4;

pub(crate) use cosette_model::session::equal;
use cosette_model::{Error, ErrorCode, Identity, Key, KeyRefused, Signed, SignedIn, Times, Timestamp};
use http::{HeaderMap, Method};

use crate::query::Query;
use crate::{Accounts, DialectName};
use names::Names;
use sigv4::ChunkSigner;

/// How far clocks may differ, in seconds (both services: 15 minutes).
pub(crate) const SKEW_MAX: u64 = 15 * 60;

/// Where a signature is and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Anonymous,
    CosHeader,
    CosQuery,
    /// `?sign=<the whole authorization>`.
    CosMerged,
    AwsHeader,
    AwsQuery,
    /// AWS signature version 2, in either place.
    AwsV2,
    /// An `Authorization` of no known kind.
    Unknown,
}

impl Scheme {
    pub(crate) fn find(headers: &HeaderMap, query: Option<&Query>) -> Self {
        let header = headers.get(http::header::AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes()).trim_ascii();
        if header.starts_with(b"AWS4-") {
            return Self::AwsHeader;
        }
        if header.starts_with(b"AWS ") {
            return Self::AwsV2;
        }
        if header.windows(17).any(|w| w == b"q-sign-algorithm=") {
            return Self::CosHeader;
        }
        if let Some(query) = query {
            let aws = |name| query.get_any_case(name).is_some();
            if aws("X-Amz-Algorithm") || aws("X-Amz-Signature") || aws("X-Amz-Credential") {
                return Self::AwsQuery;
            }
            if query.has("q-sign-algorithm") || query.has("q-signature") {
                return Self::CosQuery;
            }
            if query.get("sign").is_some_and(|sign| sign.contains("q-sign-algorithm=")) {
                return Self::CosMerged;
            }
            if query.has("AWSAccessKeyId") && query.has("Signature") {
                return Self::AwsV2;
            }
        }
        if header.is_empty() { Self::Anonymous } else { Self::Unknown }
    }

    /// As access logs tell of it.
    pub(crate) fn signed(self, headers: &HeaderMap) -> Signed {
        let in_header = headers.contains_key(http::header::AUTHORIZATION);
        let (version, place) = match self {
            Self::Anonymous | Self::Unknown => return Signed::default(),
            Self::CosHeader => (None, SignedIn::Header),
            Self::CosQuery | Self::CosMerged => (None, SignedIn::Query),
            Self::AwsHeader => (Some("SigV4"), SignedIn::Header),
            Self::AwsQuery => (Some("SigV4"), SignedIn::Query),
            Self::AwsV2 if in_header => (Some("SigV2"), SignedIn::Header),
            Self::AwsV2 => (Some("SigV2"), SignedIn::Query),
        };
        Signed { version, place: Some(place) }
    }

    /// The dialect a signed request is in.
    pub(crate) fn dialect(self) -> Option<DialectName> {
        match self {
            Self::CosHeader | Self::CosQuery | Self::CosMerged => Some(DialectName::Cos),
            Self::AwsHeader | Self::AwsQuery | Self::AwsV2 => Some(DialectName::S3),
            Self::Anonymous | Self::Unknown => None,
        }
    }
}

/// What a signature is made of and checked against.
pub(crate) struct Presented<'a> {
    pub(crate) method: &'a Method,
    /// The path as it came.
    pub(crate) raw_path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) names: Names<'a>,
    pub(crate) dialect: DialectName,
    pub(crate) times: Times,
    pub(crate) accounts: &'a dyn Accounts,
    /// Whose signature an AWS one must be: `s3`, `sts`.
    pub(crate) service: &'static str,
    /// Hash of the whole body, in hexadecimal, where that and nothing else can have been signed.
    pub(crate) body_hash: Option<&'a str>,
}

/// A request whose sender is known.
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    /// The signature as sent, for the change record.
    pub(crate) authorization: String,
    /// For bodies whose chunks are signed on.
    pub(crate) chunks: Option<ChunkSigner>,
    /// Another name of the server that the signature was made for.
    pub(crate) alias: Option<String>,
}

impl Verified {
    fn anonymous() -> Self {
        Self { identity: Identity::Anonymous, authorization: String::new(), chunks: None, alias: None }
    }
}

/// Checks whatever signature the request carries.
pub(crate) fn verify(scheme: Scheme, presented: &Presented<'_>) -> Result<Verified, Error> {
    match scheme {
        Scheme::Anonymous => Ok(Verified::anonymous()),
        // They sign no body, and of the parameters what their sender chooses: whoever holds a URL
        // for one object must not ask for keys with it.
        Scheme::CosHeader | Scheme::CosQuery | Scheme::CosMerged | Scheme::AwsV2
            if presented.service != "s3" =>
        {
            Err(Error::with(ErrorCode::InvalidRequest, "Only AWS signature version 4 is for other services."))
        }
        Scheme::CosHeader | Scheme::CosQuery | Scheme::CosMerged => cos::verify(scheme, presented),
        Scheme::AwsHeader => {
            if presented.query.get_any_case("X-Amz-Signature").is_some() {
                return Err(Error::with(ErrorCode::InvalidArgument, "Only one auth mechanism allowed."));
            }
            sigv4::verify_header(presented)
        }
        Scheme::AwsQuery => sigv4::verify_query(presented),
        Scheme::AwsV2 => sigv2::verify(presented),
        // A COS request whose sender cannot be told is anonymous (cos-api 2.5.6).
        Scheme::Unknown => match presented.dialect {
            DialectName::Cos => Ok(Verified::anonymous()),
            DialectName::S3 => Err(Error::with(ErrorCode::InvalidArgument, "Unsupported Authorization Type")),
        },
    }
}

/// A key by its id, if it signs with this token now.
pub(crate) fn key(
    accounts: &dyn Accounts,
    secret_id: &str,
    token: Option<&str>,
    now: Timestamp,
) -> Result<Key, Error> {
    let unknown = || Error::new(ErrorCode::InvalidAccessKeyId).detail("AWSAccessKeyId", secret_id);
    let key = accounts.by_secret_id(secret_id).ok_or_else(unknown)?;
    match key.check(token, now) {
        Ok(()) => Ok(key),
        Err(KeyRefused::Token) => Err(unknown()),
        Err(KeyRefused::Expired) => Err(ErrorCode::ExpiredToken.into()),
    }
}

impl Presented<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok().map(str::trim).filter(|v| !v.is_empty())
    }

    /// A key, once the session token that it may need has been checked.
    fn key(&self, secret_id: &str) -> Result<Key, Error> {
        let token = ["x-cos-security-token", "x-amz-security-token"]
            .into_iter()
            .find_map(|name| self.header(name).or_else(|| self.query.get_any_case(name)));
        key(self.accounts, secret_id, token, self.times.now)
    }

    fn skewed(&self, sent: String) -> Error {
        Error::new(ErrorCode::RequestTimeTooSkewed)
            .detail("RequestTime", sent)
            .detail("ServerTime", self.times.machine.iso_seconds())
            .detail("MaxAllowedSkewMilliseconds", (SKEW_MAX * 1000).to_string())
    }

    fn expired(&self, expires: Timestamp) -> Error {
        Error::new(ErrorCode::RequestExpired)
            .detail("Expires", expires.iso_seconds())
            .detail("ServerTime", self.times.machine.iso_seconds())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
