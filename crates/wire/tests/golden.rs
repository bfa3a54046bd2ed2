//! Requests and what they mean, replies and how they look, for every operation in both dialects.
//!
//! The requests in `golden/requests-*.txt` are written by hand; what is below `--- call`, and all of
//! `golden/replies-*.txt`, is written by `COSETTE_UPDATE_GOLDEN=1` and read by people. Where the facts in them are from is in
//! `golden/sources-*.txt`, by operation or pair; a pair without a source fails.
#![allow(clippy::unwrap_used)]

#[path = "golden/replies_objects.rs"]
mod replies_objects;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cosette_model::op::reply::{
    self, BucketEntry, DeleteFailed, Deleted, Entry, Page, PartEntry, UploadEntry,
};
use cosette_model::op::{ChecksumType, Expiry, Listing, ObjectInfo, Op, Owner, Reply, ResponseOverrides};
use cosette_model::setting::{Allowed, Onward, Target};
use cosette_model::{
    AccessTier, Attributes, BodyError, BucketName, ByteStream, Checksum, ChecksumAlgorithm, ETag, Error,
    ErrorCode, Key, Lock, ObjectKey, PartNumber, Region, RequestId, Restore, StorageClass, Tags, Timestamp,
    UploadId, VersionId, canonical_id,
};
use cosette_wire::{Accounts, Asked, Config, Decoded, DialectName, ReplyBody, Wire};
use futures_core::Stream;
use http::{Request, Response};
use md5::{Digest, Md5};

#[path = "golden/replies_access.rs"]
mod replies_access;
#[path = "golden/replies_encryption.rs"]
mod replies_encryption;
#[path = "golden/replies_origin.rs"]
mod replies_origin;
#[path = "golden/replies_parts.rs"]
mod replies_parts;
#[path = "golden/replies_versions.rs"]
mod replies_versions;
#[path = "golden/settings.rs"]
mod settings;
#[path = "golden/sources.rs"]
mod sources;

struct Nobody;

impl Accounts for Nobody {
    fn by_secret_id(&self, _: &str) -> Option<Key> {
        None
    }

    fn uin_of_canonical_id(&self, id: &str) -> Option<String> {
        (id == canonical_id("100000000001")).then(|| "100000000001".to_owned())
    }
}

struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

fn stream(bytes: &[u8]) -> ByteStream {
    Box::pin(Once((!bytes.is_empty()).then(|| Bytes::copy_from_slice(bytes))))
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

fn wire(strict: bool) -> Wire {
    Wire::new(Config {
        default_region: Region::new("ap-guangzhou").unwrap(),
        default_dialect: DialectName::Cos,
        strict,
        xml_bytes_max: 1 << 20,
    })
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

/// Sends a request written as text.
fn send(wire: &Wire, text: &str) -> Decoded {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let body = body.trim_end_matches('\n');
    // A form's lines end as RFC 2046 has them.
    let form = head.contains("multipart/form-data");
    let body = if form { body.replace('\n', "\r\n") } else { body.to_owned() };
    let md5 = BASE64_STANDARD.encode(Md5::digest(&body));
    let crc32 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body.as_bytes());
    let crc32 = BASE64_STANDARD.encode(u32::try_from(crc32).unwrap().to_be_bytes());
    let head = head.replace("{md5}", &md5).replace("{crc32}", &crc32);
    let mut lines = head.lines();
    let mut start = lines.next().unwrap().split(' ');
    let mut request = Request::builder().method(start.next().unwrap()).uri(start.next().unwrap());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim().as_bytes());
    }
    let request = request.body(stream(body.as_bytes())).unwrap();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ready(wire.decode(request, peer, RequestId::new("NjU1M2YxMDBfMQ=="), now(), &Nobody))
}

/// A decoded request on a few lines.
fn meaning(decoded: &Decoded) -> String {
    match &decoded.outcome {
        Ok((context, call)) => {
            let region = context.region.as_ref().map_or("-", Region::as_str);
            format!("{:?} {region} {call:?}", decoded.asked.dialect)
        }
        Err(error) => {
            format!("{:?} {:?} {} {:?}", decoded.asked.dialect, error.code, error.message(), error.details)
        }
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Compares with the file, or rewrites it when asked to.
fn same(name: &str, now: &str) {
    if std::env::var_os("COSETTE_UPDATE_GOLDEN").is_some() {
        std::fs::write(path(name), now).unwrap();
    }
    let then = std::fs::read_to_string(path(name)).unwrap_or_default();
    for (line, (a, b)) in then.lines().zip(now.lines()).enumerate() {
        assert_eq!(a, b, "{name}:{}", line + 1);
    }
    assert_eq!(then, now, "{name}");
}

/// Files of requests in one dialect, which together ask for every operation.
fn requests(names: &[&str], dialect: DialectName) {
    let mut seen = Vec::new();
    for name in names {
        let file = std::fs::read_to_string(path(name)).unwrap();
        let wire = wire(false);
        let mut out = String::new();
        for case in file.split("=== ").skip(1) {
            let (title, rest) = case.split_once('\n').unwrap();
            let text = rest.split("--- call\n").next().unwrap().trim_end_matches('\n');
            let decoded = send(&wire, text);
            assert_eq!(decoded.asked.dialect, dialect, "{title}");
            let op = title.split(':').next().unwrap();
            if let Some(found) = decoded.asked.op {
                assert_eq!(found.name(), op, "{title}");
            }
            if decoded.outcome.is_ok() {
                seen.push(op.to_owned());
            }
            let _ = writeln!(out, "=== {title}\n{text}\n--- call\n{}\n", meaning(&decoded));
        }
        same(name, &out);
    }
    for op in Op::ALL.iter().filter(|op| op.supported() && op.setting().is_none()) {
        assert!(seen.iter().any(|s| s == op.name()), "{names:?} have no request for {}", op.name());
    }
}

#[test]
fn requests_of_cos() {
    requests(
        &[
            "requests-cos.txt",
            "requests-access-cos.txt",
            "requests-symlinks-cos.txt",
            "requests-encryption-cos.txt",
            "requests-select-cos.txt",
        ],
        DialectName::Cos,
    );
}

#[test]
fn requests_of_s3() {
    requests(
        &[
            "requests-s3.txt",
            "requests-access-s3.txt",
            "requests-symlinks-s3.txt",
            "requests-encryption-s3.txt",
            "requests-select-s3.txt",
        ],
        DialectName::S3,
    );
}

fn show(response: Response<ReplyBody>) -> String {
    let (parts, body) = response.into_parts();
    let mut out = format!("{}\n", parts.status);
    for (name, value) in &parts.headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    match body {
        ReplyBody::Empty => {}
        ReplyBody::Full(bytes) => {
            let _ = write!(out, "\n{}\n", String::from_utf8_lossy(&bytes));
        }
        ReplyBody::Stream { length, .. } => {
            let _ = write!(out, "\n<{length} bytes>\n");
        }
        ReplyBody::Events(mut stream) => {
            while let Some(message) = ready(std::future::poll_fn(|cx| stream.as_mut().poll_next(cx))) {
                let _ = write!(out, "\n{}", message.unwrap().escape_ascii());
            }
            out.push('\n');
        }
    }
    out
}

fn asked(dialect: DialectName, head: bool) -> Asked {
    let host = match dialect {
        DialectName::Cos => "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
        DialectName::S3 => "examplebucket.s3.amazonaws.com",
    };
    Asked {
        charged: false,
        request_id: RequestId::new("NjU1M2YxMDBfMQ=="),
        dialect,
        op: None,
        head,
        resource: format!("{host}/dir/a b&c.txt"),
        origin: format!("http://{host}"),
        now: now(),
        cross: Default::default(),
        website: false,
        signed: Default::default(),
        key: None,
        identity: None,
        notes: Vec::new(),
    }
}

fn bucket() -> BucketName {
    BucketName::new("examplebucket-1250000000").unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

fn region() -> Region {
    Region::new("ap-beijing").unwrap()
}

fn owner() -> Owner {
    Owner { uin: "100000000001".into(), appid: "1250000000".into(), name: "me".into() }
}

fn etag() -> ETag {
    ETag::parse("5d41402abc4b2a76b9719d911017c592")
}

const CRC64: u64 = 11_177_612_005_948_864_433;

fn sums() -> Vec<Checksum> {
    vec![Checksum { algorithm: ChecksumAlgorithm::Crc32, value: vec![0x36, 0x10, 0xa6, 0x86] }]
}

fn version() -> Option<VersionId> {
    Some(VersionId::Id("MTg0NDUxMzY1MDIzNjQ3NTcwMDk".into()))
}

/// What a lifecycle rule with an id like that makes of an object.
fn expiry() -> Expiry {
    Expiry { at: Timestamp::from_secs(1_700_006_400), rule: "all of \"it\"".to_owned() }
}

fn info() -> ObjectInfo {
    ObjectInfo {
        encryption: None,
        size: 5,
        etag: etag(),
        modified: now(),
        attributes: Attributes {
            content_type: Some("text/plain".into()),
            cache_control: Some("no-cache".into()),
            user: [("note".to_owned(), "报告".to_owned()), ("bad".to_owned(), "a\nb".to_owned())].into(),
            storage_class: StorageClass::StandardIa,
            ..Attributes::default()
        },
        crc64: CRC64,
        version: version(),
        checksums: sums(),
        checksum_type: None,
        tags: 2,
        parts: None,
        restore: None,
        appendable: false,
        lock: Lock::default(),
        expiry: Some(expiry()),
        tier: None,
        replica: None,
    }
}

fn listing() -> Listing {
    Listing { prefix: "照片/a +".into(), delimiter: Some("/".into()), after: "照片/a".into(), max: 2 }
}

fn page(full: bool) -> Page {
    if !full {
        return Page::default();
    }
    Page {
        objects: vec![Entry {
            key: key("照片/a +\u{1}<1>.txt"),
            modified: now(),
            etag: etag(),
            size: 5,
            storage_class: StorageClass::Archive,
            restore: Some(Restore::Done { expires: now() }),
            tier: Some(AccessTier::Infrequent),
            owner: Some(owner().into()),
        }],
        common_prefixes: vec!["照片/a +b/".into()],
        next: Some("照片/a +b/".into()),
    }
}

fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let objects = |full: bool, url_encode| {
        Reply::ListObjects(reply::ListObjects {
            bucket: bucket(),
            region: region(),
            listing: if full { listing() } else { Listing { max: 1000, ..Listing::default() } },
            url_encode,
            page: page(full),
        })
    };
    let objects_v2 = |full: bool| {
        Reply::ListObjectsV2(reply::ListObjectsV2 {
            bucket: bucket(),
            region: region(),
            listing: if full { listing() } else { Listing { max: 1000, ..Listing::default() } },
            continuation_token: full.then(|| "dG9rZW4".into()),
            start_after: full.then(|| "a b".into()),
            url_encode: full,
            page: page(full),
        })
    };
    let entry = BucketEntry { name: bucket(), region: region(), created: now() };
    let deleted = |key: &str, version, delete_marker| Deleted { key: key.into(), version, delete_marker };
    let mut all = vec![
        (
            "ListBuckets",
            Ok(Reply::ListBuckets(reply::ListBuckets {
                owner: owner(),
                buckets: vec![entry.clone()],
                prefix: Some("exa".into()),
                marker: Some("a".into()),
                next: Some("examplebucket-1250000000".into()),
            })),
        ),
        (
            "ListBuckets: none",
            Ok(Reply::ListBuckets(reply::ListBuckets {
                owner: owner(),
                buckets: Vec::new(),
                prefix: None,
                marker: None,
                next: None,
            })),
        ),
        ("CreateBucket", Ok(Reply::CreateBucket(reply::CreateBucket { bucket: bucket() }))),
        ("HeadBucket", Ok(Reply::HeadBucket(reply::HeadBucket { region: region() }))),
        ("DeleteBucket", Ok(Reply::DeleteBucket(reply::DeleteBucket {}))),
        ("GetBucketLocation", Ok(Reply::GetBucketLocation(reply::GetBucketLocation { region: region() }))),
        (
            "GetBucketLocation: the first region",
            Ok(Reply::GetBucketLocation(reply::GetBucketLocation {
                region: Region::new("us-east-1").unwrap(),
            })),
        ),
        ("ListObjects: empty", Ok(objects(false, false))),
        ("ListObjects: encoded", Ok(objects(true, true))),
        ("ListObjects: as it is", Ok(objects(true, false))),
        ("ListObjectsV2: empty", Ok(objects_v2(false))),
        ("ListObjectsV2: encoded", Ok(objects_v2(true))),
        (
            "ListMultipartUploads",
            Ok(Reply::ListMultipartUploads(reply::ListMultipartUploads {
                bucket: bucket(),
                prefix: "p q".into(),
                delimiter: Some("/".into()),
                key_marker: "k m".into(),
                upload_marker: "u".into(),
                max: 1,
                url_encode: true,
                uploads: vec![UploadEntry {
                    owner: owner(),
                    key: key("p q"),
                    upload: UploadId::new("u1"),
                    storage_class: StorageClass::Standard,
                    initiated: now(),
                }],
                common_prefixes: vec!["p q/".into()],
                next: Some(("p q".into(), "u1".into())),
            })),
        ),
        (
            "DeleteObjects",
            Ok(Reply::DeleteObjects(reply::DeleteObjects {
                deleted: vec![
                    deleted("a & b", None, None),
                    deleted("marked", None, version()),
                    deleted("unmarked", version(), version()),
                    deleted("version", version(), None),
                ],
                failed: vec![DeleteFailed {
                    key: "bad".into(),
                    version: None,
                    error: ErrorCode::InvalidObjectName.into(),
                }],
            })),
        ),
        (
            "DeleteObjects: quiet",
            Ok(Reply::DeleteObjects(reply::DeleteObjects { deleted: Vec::new(), failed: Vec::new() })),
        ),
        (
            "PutObject",
            Ok(Reply::PutObject(reply::PutObject {
                encryption: None,
                expiry: None,
                etag: etag(),
                crc64: CRC64,
                version: version(),
                checksums: sums(),
            })),
        ),
        (
            "PutObject: suspended versioning",
            Ok(Reply::PutObject(reply::PutObject {
                encryption: None,
                expiry: None,
                etag: etag(),
                crc64: CRC64,
                version: Some(VersionId::Null),
                checksums: Vec::new(),
            })),
        ),
        (
            "GetObject",
            Ok(Reply::GetObject(reply::GetObject {
                info: info(),
                range: None,
                by_part: false,
                overrides: ResponseOverrides::default(),
                body: stream(b"hello"),
            })),
        ),
        (
            "GetObject: range and overrides",
            Ok(Reply::GetObject(reply::GetObject {
                info: info(),
                range: Some((1, 3)),
                by_part: false,
                overrides: ResponseOverrides {
                    content_type: Some("application/x".into()),
                    content_disposition: Some("attachment".into()),
                    ..ResponseOverrides::default()
                },
                body: stream(b"el"),
            })),
        ),
        (
            "GetObject: empty and bare",
            Ok(Reply::GetObject(reply::GetObject {
                info: ObjectInfo {
                    size: 0,
                    attributes: Attributes::default(),
                    version: None,
                    checksums: Vec::new(),
                    ..info()
                },
                range: None,
                by_part: false,
                overrides: ResponseOverrides::default(),
                body: stream(b""),
            })),
        ),
        (
            "HeadObject: of parts",
            Ok(Reply::HeadObject(reply::HeadObject {
                info: ObjectInfo { checksum_type: Some(ChecksumType::Composite), parts: Some(3), ..info() },
                range: None,
                by_part: false,
                overrides: ResponseOverrides::default(),
            })),
        ),
        ("DeleteObject", Ok(Reply::DeleteObject(reply::DeleteObject::default()))),
        (
            "DeleteObject: a marker",
            Ok(Reply::DeleteObject(reply::DeleteObject { version: version(), delete_marker: true })),
        ),
        (
            "CopyObject",
            Ok(Reply::CopyObject(reply::CopyObject {
                encryption: None,
                expiry: None,
                etag: etag(),
                crc64: CRC64,
                modified: now(),
                version: version(),
                source_version: Some(VersionId::Null),
                checksums: sums(),
            })),
        ),
        (
            "CreateMultipartUpload",
            Ok(Reply::CreateMultipartUpload(reply::CreateMultipartUpload {
                encryption: None,
                abort: Some(expiry()),
                bucket: bucket(),
                key: key("a & b"),
                upload: UploadId::new("u1"),
                checksum: Some((ChecksumAlgorithm::Crc32, ChecksumType::Composite)),
            })),
        ),
        (
            "UploadPart",
            Ok(Reply::UploadPart(reply::UploadPart {
                encryption: None,
                etag: etag(),
                crc64: CRC64,
                checksums: sums(),
            })),
        ),
        (
            "ListParts",
            Ok(Reply::ListParts(reply::ListParts {
                abort: Some(expiry()),
                bucket: bucket(),
                key: key("a b"),
                upload: UploadId::new("u1"),
                owner: owner(),
                storage_class: StorageClass::Standard,
                after: 1,
                max: 1,
                url_encode: true,
                parts: vec![PartEntry {
                    number: PartNumber::new(2).unwrap(),
                    modified: now(),
                    etag: etag(),
                    size: 5,
                    checksums: sums(),
                }],
                truncated: true,
            })),
        ),
        (
            "CompleteMultipartUpload",
            Ok(Reply::CompleteMultipartUpload(reply::CompleteMultipartUpload {
                encryption: None,
                expiry: None,
                bucket: bucket(),
                key: key("dir/a b&c.txt"),
                etag: ETag::parse("\"aa-3\""),
                crc64: CRC64,
                version: Some(VersionId::Null),
                checksums: sums(),
                checksum_type: Some(ChecksumType::Composite),
            })),
        ),
        ("AbortMultipartUpload", Ok(Reply::AbortMultipartUpload(reply::AbortMultipartUpload {}))),
        (
            "OptionsObject",
            Ok(Reply::OptionsObject(reply::OptionsObject {
                allowed: Allowed {
                    origin: "http://a".into(),
                    methods: vec!["PUT".into(), "GET".into()],
                    headers: vec!["x-one".into(), "x-two".into()],
                    expose: vec!["ETag".into()],
                    max_age: Some(500),
                    credentials: true,
                },
            })),
        ),
        (
            "ServeWebsite: the error document",
            Ok(Reply::ServeWebsite(reply::ServeWebsite::Object {
                object: Box::new(reply::GetObject {
                    info: ObjectInfo { version: None, ..info() },
                    range: None,
                    by_part: false,
                    overrides: ResponseOverrides::default(),
                    body: stream(b"hello"),
                }),
                status: Some(404),
            })),
        ),
        (
            "ServeWebsite: elsewhere",
            Ok(Reply::ServeWebsite(reply::ServeWebsite::Elsewhere(Onward {
                status: 302,
                to: Target::Key { protocol: None, host: None, key: "a b/".into() },
                in_place: false,
            }))),
        ),
        ("PutObjectTagging", Ok(Reply::PutObjectTagging(reply::PutObjectTagging { version: version() }))),
        (
            "GetObjectTagging",
            Ok(Reply::GetObjectTagging(reply::GetObjectTagging {
                version: None,
                tags: Tags::new([("a b".to_owned(), "1".to_owned())]).unwrap(),
            })),
        ),
        ("DeleteObjectTagging", Ok(Reply::DeleteObjectTagging(reply::DeleteObjectTagging { version: None }))),
        ("error: no such key", Err(Error::new(ErrorCode::NoSuchKey).detail("Key", "dir/a b&c.txt"))),
        ("error: long key", Err(ErrorCode::KeyTooLong.into())),
        ("error: range", Err(Error::new(ErrorCode::InvalidRange).detail("ActualObjectSize", "5"))),
        (
            "error: not modified",
            Err(Error { object: Some(Box::new(info())), ..Error::new(ErrorCode::NotModified) }),
        ),
        ("error: ours", Err(Error::internal("the disk is on fire"))),
    ];
    all.extend(replies_objects::replies());
    all
}

fn all_replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let mut all = replies();
    all.extend(replies_access::replies());
    all.extend(replies_versions::replies());
    all.extend(replies_parts::replies());
    all.extend(replies_encryption::replies());
    all.extend(replies_origin::replies());
    all
}

fn encoded(name: &str, dialect: DialectName) {
    let wire = wire(false);
    let (mut out, mut seen) = (String::new(), Vec::new());
    for (title, outcome) in all_replies() {
        if let Ok(reply) = &outcome {
            assert_eq!(reply.op().name(), title.split(':').next().unwrap());
            seen.push(reply.op());
        }
        let head = title.starts_with("Head");
        let _ = writeln!(out, "=== {title}\n{}", show(wire.encode(&asked(dialect, head), outcome)));
    }
    for op in Op::ALL.iter().filter(|op| op.supported() && op.setting().is_none()) {
        assert!(seen.contains(op), "{}", op.name());
    }
    let head_error = wire.encode(&asked(dialect, true), Err(ErrorCode::NoSuchKey.into()));
    let site = Asked { website: true, ..asked(dialect, false) };
    let page = wire.encode(&site, Err(Error::new(ErrorCode::NoSuchKey).detail("Key", "<a>&b")));
    let _ = writeln!(out, "=== error: of a website\n{}", show(page));
    let _ = writeln!(out, "=== error: of a HEAD\n{}", show(head_error));
    same(name, &out);
}

#[test]
fn replies_of_cos() {
    encoded("replies-cos.txt", DialectName::Cos);
}

#[test]
fn replies_of_s3() {
    encoded("replies-s3.txt", DialectName::S3);
}

#[test]
fn every_response_names_its_request() {
    for dialect in [DialectName::Cos, DialectName::S3] {
        for (title, outcome) in all_replies() {
            let response = wire(false).encode(&asked(dialect, false), outcome);
            assert_eq!(response.headers()["x-cos-request-id"], "NjU1M2YxMDBfMQ==", "{title}");
        }
    }
}

#[test]
fn strict_answers_as_cos_does() {
    let code = |strict, text: &str| send(&wire(strict), text).outcome.map(drop).map_err(|e| e.code);
    let trailer = "PUT /k HTTP/1.1\nHost: examplebucket-1250000000.cos.ap-beijing.myqcloud.com\nContent-Length: 0\n\
                   x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\nx-amz-decoded-content-length: 0";
    for (text, refused) in [
        (
            "GET /b-1250000000/k HTTP/1.1\nHost: cos.ap-beijing.myqcloud.com",
            ErrorCode::PathStyleDomainForbidden,
        ),
        ("GET /b-1250000000/k HTTP/1.1\nHost: 127.0.0.1:9000", ErrorCode::PathStyleDomainForbidden),
        (
            "PUT / HTTP/1.1\nHost: bucket.localhost\nContent-Length: 0\nx-cos-acl: private",
            ErrorCode::InvalidRequest,
        ),
        ("PUT / HTTP/1.1\nHost: bucket.localhost\nx-cos-acl: private", ErrorCode::MissingContentLength),
        (
            "GET //k HTTP/1.1\nHost: examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
            ErrorCode::InvalidObjectName,
        ),
        (trailer, ErrorCode::NotImplemented),
    ] {
        assert_eq!(code(false, text), Ok(()), "{text}");
        let notes = send(&wire(false), text).asked.notes;
        assert!(notes.iter().any(|note| note.starts_with("lenient: ")), "{text} {notes:?}");
        assert_eq!(code(true, text), Err(refused), "{text}");
    }
    // S3 has path style, and strictness is about COS.
    let s3 = "GET /bucket/k HTTP/1.1\nHost: 127.0.0.1:9000\nx-amz-checksum-mode: ENABLED";
    assert_eq!(code(true, s3), Ok(()));
}

#[test]
fn documents_are_bounded() {
    let object = "<Object><Key>k</Key></Object>";
    let ask = |body: &str| {
        let text =
            format!("POST /bucket?delete HTTP/1.1\nHost: s3.amazonaws.com\nContent-MD5: {{md5}}\n\n{body}");
        send(&wire(false), &text).outcome.map(drop).map_err(|e| e.code)
    };
    assert_eq!(ask(&format!("<Delete>{}</Delete>", object.repeat(1000))), Ok(()));
    assert_eq!(ask(&format!("<Delete>{}</Delete>", object.repeat(1001))), Err(ErrorCode::MalformedXml));
    let large = format!("<Delete><!-- {} -->{object}</Delete>", "x".repeat(1 << 20));
    assert_eq!(ask(&large), Err(ErrorCode::MaxMessageLengthExceeded));
}

#[test]
fn metadata_is_bounded() {
    let ask = |bytes: usize| {
        let value = "v".repeat(bytes - 1);
        let text = format!(
            "PUT /bucket/k HTTP/1.1\nHost: s3.amazonaws.com\nContent-Length: 0\nx-amz-meta-n: {value}"
        );
        send(&wire(false), &text).outcome.map(drop).map_err(|e| e.code)
    };
    assert_eq!(ask(2048), Ok(()));
    assert_eq!(ask(2049), Err(ErrorCode::MetadataTooLarge));
}

/// A future on its way to another thread.
#[test]
fn decoding_can_move_between_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let wire = wire(false);
    let request = Request::builder().uri("/").body(stream(b"")).unwrap();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let decoded = ready(send(wire.decode(request, peer, RequestId::new("id"), now(), &Nobody)));
    assert!(decoded.outcome.is_ok());
}
