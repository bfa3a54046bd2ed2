//! Header names by concept, and reading them: an empty value counts as absent (cos-api 1.6),
//! and both services' prefixes are understood in either dialect.

use cosette_model::{Error, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::DialectName;
use crate::query::Query;

/// A header both services have under their own prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Concept {
    cos: &'static str,
    s3: &'static str,
}

macro_rules! concepts {
    ($($name:ident $suffix:literal;)*) => {
        $(pub(crate) const $name: Concept =
            Concept { cos: concat!("x-cos-", $suffix), s3: concat!("x-amz-", $suffix) };)*
    };
}

concepts! {
    ACL "acl";
    CHECKSUM_ALGORITHM "checksum-algorithm";
    CHECKSUM_MODE "checksum-mode";
    CHECKSUM_TYPE "checksum-type";
    CONTENT_SHA1 "content-sha1";
    COPY_SOURCE "copy-source";
    COPY_SOURCE_IF_MATCH "copy-source-if-match";
    COPY_SOURCE_IF_MODIFIED_SINCE "copy-source-if-modified-since";
    COPY_SOURCE_IF_NONE_MATCH "copy-source-if-none-match";
    COPY_SOURCE_IF_UNMODIFIED_SINCE "copy-source-if-unmodified-since";
    COPY_SOURCE_RANGE "copy-source-range";
    COPY_SOURCE_SSE_CUSTOMER_ALGORITHM "copy-source-server-side-encryption-customer-algorithm";
    COPY_SOURCE_SSE_CUSTOMER_KEY "copy-source-server-side-encryption-customer-key";
    COPY_SOURCE_SSE_CUSTOMER_KEY_MD5 "copy-source-server-side-encryption-customer-key-md5";
    COPY_SOURCE_VERSION_ID "copy-source-version-id";
    BUCKET_LOCK "bucket-object-lock-enabled";
    BUCKET_REGION "bucket-region";
    BYPASS_GOVERNANCE "bypass-governance-retention";
    DELETE_MARKER "delete-marker";
    EXPIRATION "expiration";
    EXPECTED_OWNER "expected-bucket-owner";
    SOURCE_EXPECTED_OWNER "source-expected-bucket-owner";
    FORBID_OVERWRITE "forbid-overwrite";
    LEGAL_HOLD "object-lock-legal-hold";
    LOCK_MODE "object-lock-mode";
    LOCK_UNTIL "object-lock-retain-until-date";
    GRANT_FULL_CONTROL "grant-full-control";
    GRANT_READ "grant-read";
    GRANT_READ_ACP "grant-read-acp";
    GRANT_WRITE "grant-write";
    GRANT_WRITE_ACP "grant-write-acp";
    OBJECT_OWNERSHIP "object-ownership";
    META "meta-";
    MAX_PARTS "max-parts";
    METADATA_DIRECTIVE "metadata-directive";
    MP_OBJECT_SIZE "mp-object-size";
    MP_PARTS_COUNT "mp-parts-count";
    OBJECT_ATTRIBUTES "object-attributes";
    PART_NUMBER_MARKER "part-number-marker";
    REPLICATION_STATUS "replication-status";
    RESTORE "restore";
    SDK_CHECKSUM_ALGORITHM "sdk-checksum-algorithm";
    SSE "server-side-encryption";
    SSE_BUCKET_KEY "server-side-encryption-bucket-key-enabled";
    SSE_CONTEXT "server-side-encryption-context";
    SSE_CUSTOMER_ALGORITHM "server-side-encryption-customer-algorithm";
    SSE_CUSTOMER_KEY "server-side-encryption-customer-key";
    SSE_CUSTOMER_KEY_MD5 "server-side-encryption-customer-key-md5";
    STORAGE_CLASS "storage-class";
    SYMLINK_TARGET "symlink-target";
    TAGGING "tagging";
    TAGGING_COUNT "tagging-count";
    TAGGING_DIRECTIVE "tagging-directive";
    TRAFFIC_LIMIT "traffic-limit";
    TRAILER "trailer";
    VERSION_ID "version-id";
    WEBSITE_REDIRECT "website-redirect-location";
}

/// The services name the key by the names of their own key management.
pub(crate) const SSE_KMS_KEY_ID: Concept = Concept {
    cos: "x-cos-server-side-encryption-cos-kms-key-id",
    s3: "x-amz-server-side-encryption-aws-kms-key-id",
};

impl Concept {
    pub(crate) const fn of(self, dialect: DialectName) -> &'static str {
        match dialect {
            DialectName::Cos => self.cos,
            DialectName::S3 => self.s3,
        }
    }

    /// The rest of `name` when this concept, in either spelling, is its prefix.
    pub(crate) fn strip(self, name: &str) -> Option<&str> {
        name.strip_prefix(self.cos).or_else(|| name.strip_prefix(self.s3))
    }
}

/// A request's headers. `x-amz-*` and `x-cos-*` query parameters count as headers, since
/// presigning clients move headers there and S3 takes them from there.
pub(crate) struct Headers {
    /// Each name once. They are few and asked for often, also those that are not there: looking through
    /// them is cheaper than hashing.
    all: Vec<(HeaderName, HeaderValue)>,
    dialect: DialectName,
}

impl Headers {
    pub(crate) fn new(map: &HeaderMap, query: &Query, dialect: DialectName) -> Self {
        let mut all = if map.len() == map.keys_len() {
            map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        } else {
            combined(map)
        };
        for (name, value) in query.pairs() {
            let prefixed = name
                .get(..6)
                .is_some_and(|p| p.eq_ignore_ascii_case("x-amz-") || p.eq_ignore_ascii_case("x-cos-"));
            if !prefixed {
                continue;
            }
            let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
            if let (Ok(name), Ok(value)) = parsed
                && !all.iter().any(|(there, _)| *there == name)
            {
                all.push((name, value));
            }
        }
        Self { all, dialect }
    }

    pub(crate) fn dialect(&self) -> DialectName {
        self.dialect
    }

    fn find(&self, name: &str) -> Option<&HeaderValue> {
        self.all.iter().find(|(there, _)| there.as_str() == name).map(|(_, value)| value)
    }

    /// The value of one header, by its name in lower case; empty is absent.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let text = utf8(name, value)?.trim();
        Ok((!text.is_empty()).then_some(text))
    }

    /// Present at all, even empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The concept under the dialect's own name, else under the other's.
    pub(crate) fn concept(&self, concept: Concept) -> Result<Option<&str>, Error> {
        let (own, other) = match self.dialect {
            DialectName::Cos => (concept.cos, concept.s3),
            DialectName::S3 => (concept.s3, concept.cos),
        };
        Ok(match self.get(own)? {
            None => self.get(other)?,
            found => found,
        })
    }

    /// The same without `x-amz-checksum-*`, for operations where those do not speak of the body.
    pub(crate) fn without_checksums(&self) -> Self {
        let speaks = |(name, _): &&(HeaderName, HeaderValue)| !name.as_str().starts_with("x-amz-checksum-");
        Self { all: self.all.iter().filter(speaks).cloned().collect(), dialect: self.dialect }
    }

    /// Every header, values that are not UTF-8 refused.
    pub(crate) fn all(&self) -> impl Iterator<Item = Result<(&str, &str), Error>> {
        self.all.iter().map(|(name, value)| Ok((name.as_str(), utf8(name.as_str(), value)?.trim())))
    }

    /// The names alone.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(name, _)| name.as_str())
    }
}

/// The lines of one name as one, in order (RFC 9110 5.3): a list goes on, a single value becomes none.
fn combined(map: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let line = |name: &HeaderName| {
        let lines: Vec<&[u8]> = map.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        // Made of what are values, it is one.
        Some((name.clone(), HeaderValue::from_bytes(&lines.join(&b","[..])).ok()?))
    };
    map.keys().filter_map(line).collect()
}

fn utf8<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Error> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| {
        Error::with(ErrorCode::InvalidArgument, format!("The value of the header {name} is not UTF-8."))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_name_are_one() {
        let mut map = HeaderMap::new();
        for (name, value) in [("if-match", "\"a\""), ("x-cos-acl", "private"), ("if-match", "\"b\", \"c\"")] {
            map.append(name, HeaderValue::from_static(value));
        }
        map.append("x-cos-meta-n", HeaderValue::from_bytes(b"\xff").unwrap());
        map.append("x-cos-meta-n", HeaderValue::from_static(""));
        let headers = Headers::new(&map, &Query::parse("x-cos-acl=public-read").unwrap(), DialectName::Cos);
        assert_eq!(headers.get("if-match").unwrap(), Some("\"a\",\"b\", \"c\""));
        assert_eq!(headers.get("x-cos-acl").unwrap(), Some("private"), "the header before the parameter");
        assert!(headers.get("x-cos-meta-n").is_err());
        assert_eq!(headers.names().count(), 3);
    }
}
