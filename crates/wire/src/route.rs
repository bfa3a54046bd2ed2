//! From method, level, query keys and headers to an operation: one table, most specific row wins.
//!
//! A query key that names a sub-resource and is not answered by a row is refused, so that no
//! request for a feature is ever taken for a plain object or listing request.

use cosette_model::op::{Level, Op};
use cosette_model::{Error, ErrorCode};
use http::Method;

use crate::header::{COPY_SOURCE, Headers};
use crate::query::Query;

/// What must hold of a request, besides method and level, for a row to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The query has this key.
    Key(&'static str),
    /// The query has this key with this value.
    Value(&'static str, &'static str),
    /// A copy source header is present.
    CopySource,
    /// The query names one of several by `id`, which is no sub-resource by itself.
    Id,
}

impl Condition {
    fn holds(self, query: &Query, headers: &Headers) -> bool {
        match self {
            Self::Key(key) => query.has(key),
            Self::Value(key, value) => query.get(key) == Some(value),
            Self::Id => query.filled("id").is_some(),
            Self::CopySource => headers.concept(COPY_SOURCE).is_ok_and(|value| value.is_some()),
        }
    }

    fn key(self) -> Option<&'static str> {
        match self {
            Self::Key(key) | Self::Value(key, _) => Some(key),
            Self::CopySource | Self::Id => None,
        }
    }
}

/// One way to ask for an operation.
struct Row {
    op: Op,
    method: Method,
    level: Level,
    conditions: &'static [Condition],
}

macro_rules! table {
    ($($method:ident $level:ident [$($condition:expr),*] $op:ident;)*) => {
        static ROWS: &[Row] = &[$(Row {
            op: Op::$op,
            method: Method::$method,
            level: Level::$level,
            conditions: &{
                #[allow(unused_imports)]
                use Condition::{CopySource, Id, Key, Value};
                [$($condition),*]
            },
        },)*];
    };
}

table! {
    GET Service [] ListBuckets;
    OPTIONS Service [] OptionsObject;

    PUT Bucket [] CreateBucket;
    HEAD Bucket [] HeadBucket;
    DELETE Bucket [] DeleteBucket;
    GET Bucket [Key("location")] GetBucketLocation;
    GET Bucket [] ListObjects;
    GET Bucket [Value("list-type", "2")] ListObjectsV2;
    GET Bucket [Key("uploads")] ListMultipartUploads;
    POST Bucket [Key("delete")] DeleteObjects;

    PUT Object [] PutObject;
    GET Object [] GetObject;
    GET Object [Key("partNumber")] GetObject;
    HEAD Object [] HeadObject;
    HEAD Object [Key("partNumber")] HeadObject;
    DELETE Object [] DeleteObject;
    PUT Object [CopySource] CopyObject;
    POST Object [Key("uploads")] CreateMultipartUpload;
    PUT Object [Key("uploadId"), Key("partNumber")] UploadPart;
    GET Object [Key("uploadId")] ListParts;
    POST Object [Key("uploadId")] CompleteMultipartUpload;
    DELETE Object [Key("uploadId")] AbortMultipartUpload;

    POST Bucket [] PostObject;
    PUT Object [Key("uploadId"), Key("partNumber"), CopySource] UploadPartCopy;
    POST Object [Key("append")] AppendObject;
    GET Object [Key("attributes")] GetObjectAttributes;
    POST Object [Key("restore")] RestoreObject;
    POST Object [Key("select")] SelectObjectContent;
    OPTIONS Bucket [] OptionsObject;
    OPTIONS Object [] OptionsObject;
    PUT Object [Key("acl")] PutObjectAcl;
    GET Object [Key("acl")] GetObjectAcl;
    PUT Object [Key("tagging")] PutObjectTagging;
    GET Object [Key("tagging")] GetObjectTagging;
    DELETE Object [Key("tagging")] DeleteObjectTagging;
    PUT Object [Key("retention")] PutObjectRetention;
    GET Object [Key("retention")] GetObjectRetention;
    PUT Object [Key("legal-hold")] PutObjectLegalHold;
    GET Object [Key("legal-hold")] GetObjectLegalHold;
    PUT Object [Key("symlink")] PutSymlink;
    GET Object [Key("symlink")] GetSymlink;
    PUT Object [Key("rename")] RenameObject;
    PUT Object [Key("renameObject")] RenameObject;

    GET Bucket [Key("versions")] ListObjectVersions;
    PUT Bucket [Key("versioning")] PutBucketVersioning;
    GET Bucket [Key("versioning")] GetBucketVersioning;
    PUT Bucket [Key("acl")] PutBucketAcl;
    GET Bucket [Key("acl")] GetBucketAcl;
    PUT Bucket [Key("policy")] PutBucketPolicy;
    GET Bucket [Key("policy")] GetBucketPolicy;
    DELETE Bucket [Key("policy")] DeleteBucketPolicy;
    GET Bucket [Key("policyStatus")] GetBucketPolicyStatus;
    PUT Bucket [Key("cors")] PutBucketCors;
    GET Bucket [Key("cors")] GetBucketCors;
    DELETE Bucket [Key("cors")] DeleteBucketCors;
    PUT Bucket [Key("lifecycle")] PutBucketLifecycle;
    GET Bucket [Key("lifecycle")] GetBucketLifecycle;
    DELETE Bucket [Key("lifecycle")] DeleteBucketLifecycle;
    PUT Bucket [Key("tagging")] PutBucketTagging;
    GET Bucket [Key("tagging")] GetBucketTagging;
    DELETE Bucket [Key("tagging")] DeleteBucketTagging;
    PUT Bucket [Key("website")] PutBucketWebsite;
    GET Bucket [Key("website")] GetBucketWebsite;
    DELETE Bucket [Key("website")] DeleteBucketWebsite;
    PUT Bucket [Key("referer")] PutBucketReferer;
    GET Bucket [Key("referer")] GetBucketReferer;
    PUT Bucket [Key("logging")] PutBucketLogging;
    GET Bucket [Key("logging")] GetBucketLogging;
    PUT Bucket [Key("notification")] PutBucketNotification;
    GET Bucket [Key("notification")] GetBucketNotification;
    PUT Bucket [Key("replication")] PutBucketReplication;
    GET Bucket [Key("replication")] GetBucketReplication;
    DELETE Bucket [Key("replication")] DeleteBucketReplication;
    PUT Bucket [Key("origin")] PutBucketOrigin;
    GET Bucket [Key("origin")] GetBucketOrigin;
    DELETE Bucket [Key("origin")] DeleteBucketOrigin;
    PUT Bucket [Key("encryption")] PutBucketEncryption;
    GET Bucket [Key("encryption")] GetBucketEncryption;
    DELETE Bucket [Key("encryption")] DeleteBucketEncryption;
    PUT Bucket [Key("inventory")] PutBucketInventory;
    POST Bucket [Key("inventory")] PostBucketInventory;
    GET Bucket [Key("inventory")] ListBucketInventory;
    GET Bucket [Key("inventory"), Id] GetBucketInventory;
    DELETE Bucket [Key("inventory")] DeleteBucketInventory;
    PUT Bucket [Key("accelerate")] PutBucketAccelerate;
    GET Bucket [Key("accelerate")] GetBucketAccelerate;
    PUT Bucket [Key("domain")] PutBucketDomain;
    GET Bucket [Key("domain")] GetBucketDomain;
    DELETE Bucket [Key("domain")] DeleteBucketDomain;
    PUT Bucket [Key("intelligenttiering")] PutBucketDefaultTiering;
    GET Bucket [Key("intelligenttiering")] GetBucketDefaultTiering;
    PUT Bucket [Key("intelligent-tiering")] PutBucketIntelligentTiering;
    GET Bucket [Key("intelligent-tiering")] ListBucketIntelligentTiering;
    GET Bucket [Key("intelligent-tiering"), Id] GetBucketIntelligentTiering;
    DELETE Bucket [Key("intelligent-tiering")] DeleteBucketIntelligentTiering;
    PUT Bucket [Key("object-lock")] PutObjectLockConfiguration;
    GET Bucket [Key("object-lock")] GetObjectLockConfiguration;
    PUT Bucket [Key("requestPayment")] PutBucketRequestPayment;
    GET Bucket [Key("requestPayment")] GetBucketRequestPayment;
    PUT Bucket [Key("publicAccessBlock")] PutPublicAccessBlock;
    GET Bucket [Key("publicAccessBlock")] GetPublicAccessBlock;
    DELETE Bucket [Key("publicAccessBlock")] DeletePublicAccessBlock;
    PUT Bucket [Key("ownershipControls")] PutBucketOwnershipControls;
    GET Bucket [Key("ownershipControls")] GetBucketOwnershipControls;
    DELETE Bucket [Key("ownershipControls")] DeleteBucketOwnershipControls;
    PUT Bucket [Key("analytics")] PutBucketAnalytics;
    GET Bucket [Key("analytics")] ListBucketAnalytics;
    GET Bucket [Key("analytics"), Id] GetBucketAnalytics;
    DELETE Bucket [Key("analytics")] DeleteBucketAnalytics;
    PUT Bucket [Key("metrics")] PutBucketMetrics;
    GET Bucket [Key("metrics")] ListBucketMetrics;
    GET Bucket [Key("metrics"), Id] GetBucketMetrics;
    DELETE Bucket [Key("metrics")] DeleteBucketMetrics;
}

/// Sub-resources no row has (cos-api 1.2 and 3.3, and the S3 API reference).
const FURTHER_RESERVED: &[&str] = &[
    "live",
    "strict-signature",
    "response-control",
    "domaincertificate",
    "torrent",
    "session",
    "metadataTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "abac",
];

/// Whether a query key names a sub-resource.
pub(crate) fn reserved(key: &str) -> bool {
    FURTHER_RESERVED.contains(&key)
        || ROWS.iter().flat_map(|row| row.conditions).any(|c| matches!(c, Condition::Key(k) if *k == key))
}

/// The operation a request asks for.
pub(crate) fn route(method: &Method, level: Level, query: &Query, headers: &Headers) -> Result<Op, Error> {
    // About any request that is to come, whatever its parameters will be.
    if *method == Method::OPTIONS {
        return Ok(Op::OptionsObject);
    }
    let mut best: Option<&Row> = None;
    let mut tied = false;
    for row in ROWS.iter().filter(|row| row.level == level && row.method == *method) {
        if !row.conditions.iter().all(|c| c.holds(query, headers)) {
            continue;
        }
        let rank = row.conditions.len();
        match best.map(|b| b.conditions.len()) {
            Some(other) if other > rank => {}
            Some(other) if other == rank => tied = true,
            _ => (best, tied) = (Some(row), false),
        }
    }
    let used =
        |key: &str| best.is_some_and(|row| row.conditions.iter().any(|c| c.key().is_some_and(|k| k == key)));
    if let Some((key, _)) = query.pairs().find(|(key, _)| reserved(key) && !used(key)) {
        return Err(refuse(method, level, key, tied));
    }
    match best {
        Some(row) if !tied => Ok(row.op),
        Some(_) => Err(Error::with(ErrorCode::InvalidArgument, "Conflicting query string parameters.")),
        None => Err(not_allowed(method)),
    }
}

/// The same on a website host, where nothing is a parameter.
pub(crate) fn website(method: &Method) -> Result<Op, Error> {
    match *method {
        Method::GET | Method::HEAD => Ok(Op::ServeWebsite),
        Method::OPTIONS => Ok(Op::OptionsObject),
        _ => Err(not_allowed(method)),
    }
}

/// Why a request with this sub-resource is not served.
fn refuse(method: &Method, level: Level, key: &str, tied: bool) -> Error {
    if tied {
        return Error::with(ErrorCode::InvalidArgument, "Conflicting query string parameters.");
    }
    let alone = |row: &&Row| row.conditions == [Condition::Key(key_of(key))];
    let of_level = || ROWS.iter().filter(|row| row.level == level).filter(alone);
    if of_level().next().is_some() && !of_level().any(|row| row.method == *method) {
        return not_allowed(method);
    }
    Error::with(ErrorCode::NotImplemented, format!("The query parameter {key} is not implemented here."))
        .detail("Parameter", key)
}

/// The table's own copy of a key, or nothing that equals any.
fn key_of(key: &str) -> &'static str {
    ROWS.iter().flat_map(|row| row.conditions).filter_map(|c| c.key()).find(|k| *k == key).unwrap_or("")
}

fn not_allowed(method: &Method) -> Error {
    Error::new(ErrorCode::MethodNotAllowed).detail("Method", method.as_str())
}

/// How an operation is asked for, such as `PUT ?acl`, one text for each row.
#[cfg(test)]
pub(crate) fn forms(op: Op) -> impl Iterator<Item = String> {
    ROWS.iter().filter(move |row| row.op == op && row.level == op.level()).map(|row| {
        let mut form = row.method.to_string();
        let mut joint = " ?";
        for condition in row.conditions {
            match condition {
                Condition::Key(key) => form.push_str(&format!("{joint}{key}")),
                Condition::Value(key, value) => form.push_str(&format!("{joint}{key}={value}")),
                Condition::Id => form.push_str("&id"),
                Condition::CopySource => {
                    form.push_str(" with a copy source");
                    continue;
                }
            }
            joint = "&";
        }
        form
    })
}

/// An operation that has no handler, by its name.
pub(crate) fn unsupported(op: Op) -> Error {
    Error::with(ErrorCode::NotImplemented, format!("The operation {} is not implemented.", op.name()))
        .detail("Operation", op.name())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::DialectName;

    fn ask(method: &Method, level: Level, query: &str, copy: bool) -> Result<Op, ErrorCode> {
        let query = Query::parse(query).unwrap();
        let mut map = HeaderMap::new();
        if copy {
            map.insert("x-amz-copy-source", HeaderValue::from_static("/b/k"));
        }
        let headers = Headers::new(&map, &query, DialectName::S3);
        route(method, level, &query, &headers).map_err(|e| e.code)
    }

    /// The smallest request that a row answers.
    fn example(row: &Row) -> (String, bool) {
        let query = row.conditions.iter().filter_map(|c| match c {
            Condition::Key(key) => Some((*key).to_owned()),
            Condition::Value(key, value) => Some(format!("{key}={value}")),
            Condition::Id => Some("id=one".to_owned()),
            Condition::CopySource => None,
        });
        (query.collect::<Vec<_>>().join("&"), row.conditions.contains(&Condition::CopySource))
    }

    #[test]
    fn every_operation_has_a_row_at_its_level() {
        for op in Op::ALL.iter().filter(|op| **op != Op::ServeWebsite) {
            assert!(ROWS.iter().any(|row| row.op == *op && row.level == op.level()), "{}", op.name());
        }
    }

    #[test]
    fn every_row_can_win() {
        for row in ROWS {
            let (query, copy) = example(row);
            assert_eq!(ask(&row.method, row.level, &query, copy), Ok(row.op), "{} {query}", row.method);
            let noisy = format!(
                "x-id={0}&{query}&X-Amz-Date=1&q-ak=2&response-expires=3&ci-process=4",
                row.op.name()
            );
            assert_eq!(ask(&row.method, row.level, &noisy, copy), Ok(row.op), "{noisy}");
        }
    }

    #[test]
    fn no_two_rows_tie() {
        for (i, a) in ROWS.iter().enumerate() {
            for b in &ROWS[i + 1..] {
                let same =
                    a.method == b.method && a.level == b.level && a.conditions.len() == b.conditions.len();
                let equal = a.conditions.iter().all(|c| b.conditions.contains(c));
                assert!(!(same && equal), "{} and {}", a.op.name(), b.op.name());
            }
        }
    }

    #[test]
    fn sub_resources_are_never_ignored() {
        use ErrorCode::*;
        use Level::*;
        for (method, level, query, want) in [
            (Method::GET, Object, "live", NotImplemented),
            (Method::GET, Object, "torrent", NotImplemented),
            (Method::GET, Object, "uploadId=1&partNumber=1", InvalidArgument),
            (Method::PUT, Object, "uploadId=1", MethodNotAllowed),
            (Method::PUT, Object, "partNumber=1", MethodNotAllowed),
            (Method::PUT, Object, "cors", NotImplemented),
            (Method::GET, Service, "acl", NotImplemented),
            (Method::DELETE, Bucket, "versioning", MethodNotAllowed),
            (Method::POST, Object, "acl", MethodNotAllowed),
            (Method::HEAD, Object, "tagging", MethodNotAllowed),
            (Method::POST, Object, "", MethodNotAllowed),
            (Method::PUT, Service, "", MethodNotAllowed),
            (Method::PATCH, Object, "", MethodNotAllowed),
            (Method::GET, Bucket, "acl&cors", InvalidArgument),
            (Method::GET, Bucket, "list-type=2&acl", InvalidArgument),
            (Method::PUT, Bucket, "strict-signature", NotImplemented),
        ] {
            assert_eq!(ask(&method, level, query, false), Err(want), "{method} {query}");
        }
        assert_eq!(ask(&Method::GET, Bucket, "list-type=1", false), Ok(Op::ListObjects));
        assert_eq!(ask(&Method::GET, Bucket, "location=", false), Ok(Op::GetBucketLocation));
        assert_eq!(ask(&Method::GET, Object, "versionId=x&imageMogr2", false), Ok(Op::GetObject));
    }
}
