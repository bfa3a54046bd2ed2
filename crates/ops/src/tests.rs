//! Handlers over a store in memory: what the store alone does not decide.

#![allow(clippy::unwrap_used)]

mod policies;
mod races;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::RestoreTier;
use cosette_model::op::{self, Call, CompleteMultipartUpload, RestoreObject};
use cosette_model::op::{
    ChecksumType, CompletedPart, Conditions, Context, CopyObject, CopySource, CreateBucket,
    CreateMultipartUpload, DeleteEntry, DeleteObjects, GetObject, HeadBucket, Policy, PostAnswer, PostObject,
    PutObject, Reply, ResponseOverrides, TagMatch, UploadPart,
};
use cosette_model::{
    Account, Attributes, Body, BodyError, BucketName, ByteRange, Cause, ChangeKind, Checksum,
    ChecksumAlgorithm, ErrorCode, EventType, Expected, Identity, Key, ObjectKey, PartNumber, Region,
    RequestId, Seq, StorageClass, Tags, Trailer,
};
use cosette_store::{Durability, Options, Store};

use crate::Ops;

pub(crate) fn ops() -> Ops {
    let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 1 << 20 };
    Ops::new(Store::open(options, Clock::real()).unwrap(), region("ap-guangzhou"), Vec::new())
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

/// A request of the account with this uin; its APPID is 1250000000.
pub(crate) fn by(uin: &str) -> Context {
    let account = Account {
        secret_id: format!("AKID{uin}"),
        secret_key: "key".into(),
        appid: "1250000000".into(),
        uin: uin.into(),
        name: uin.into(),
    };
    Context {
        request_id: RequestId::new("id"),
        identity: Identity::Known(Key { account: account.into(), session: None }),
        cause: Cause::default(),
        region: None,
        referer: None,
        expected_owner: None,
        facts: Default::default(),
        now: cosette_model::Timestamp::from_secs(1_700_000_000),
        accelerated: false,
        pays: false,
        traffic_limit: None,
        policy: Policy {
            part_size_min: 4,
            complete_again: false,
            uploads_keep_bucket: true,
            marker_code: ErrorCode::MethodNotAllowed,
            copy_source_code: ErrorCode::NoSuchCopySource,
            console_origin: None,
            lock_by_version: true,
            guess_content_type: true,
            acl_adds_up: true,
            buckets_max: None,
            replicas_stay: false,
            removal_finds: true,
            create_again_region: Some("us-east-1"),
            tier_days: false,
        },
    }
}

fn body(bytes: &'static [u8], expected: Expected) -> Body {
    let stream = Box::pin(futures_util::stream::iter([Ok::<_, BodyError>(Bytes::from_static(bytes))]));
    Body { stream, length: Some(bytes.len() as u64), expected }
}

fn put(bucket_name: &str, name: &str, body: Body) -> Call {
    Call::PutObject(PutObject {
        encryption: None,
        bucket: bucket(bucket_name),
        key: key(name),
        attributes: Attributes::default(),
        properties: Default::default(),
        acl: Default::default(),
        conditions: Default::default(),
        checksum: None,
        body,
    })
}

/// A copy of `photos/a` under the same key.
fn copy_to(bucket_name: &str) -> Call {
    Call::CopyObject(CopyObject {
        encryption: None,
        bucket: bucket(bucket_name),
        key: key("a"),
        source: CopySource {
            customer: None,
            bucket: bucket("photos"),
            key: key("a"),
            version: None,
            conditions: Conditions::default(),
            expected_owner: None,
        },
        replace: None,
        acl: Default::default(),
        storage_class: StorageClass::Standard,
        tags: None,
        website_redirect: None,
        lock: Default::default(),
        conditions: Default::default(),
        checksum: None,
    })
}

pub(crate) fn get(bucket_name: &str, name: &str) -> GetObject {
    GetObject {
        sent: None,
        customer: None,
        bucket: bucket(bucket_name),
        key: key(name),
        version: None,
        range: None,
        part: None,
        if_range: None,
        conditions: Conditions::default(),
        overrides: ResponseOverrides::default(),
        checksums: true,
    }
}

async fn created(ops: &Ops, name: &str) {
    let call = Call::CreateBucket(CreateBucket {
        bucket: bucket(name),
        region: None,
        tags: None,
        object_lock: false,
        acl: Default::default(),
        ownership: None,
    });
    ops.handle(&by("1"), call).await.unwrap();
}

async fn code(ops: &Ops, context: &Context, call: Call) -> Option<ErrorCode> {
    ops.handle(context, call).await.err().map(|error| error.code)
}

fn head(name: &str) -> Call {
    Call::HeadBucket(HeadBucket { bucket: bucket(name) })
}

#[tokio::test]
async fn only_the_owner_gets_in_and_only_by_the_right_region() {
    let ops = ops();
    created(&ops, "photos-1250000000").await;
    let anonymous = Context { identity: Identity::Anonymous, ..by("1") };
    let here = Context { region: Some(region("ap-guangzhou")), ..by("1") };
    let elsewhere = Context { region: Some(region("ap-beijing")), ..by("1") };
    let name = "photos-1250000000";
    assert_eq!(code(&ops, &by("1"), head(name)).await, None);
    assert_eq!(code(&ops, &here, head(name)).await, None);
    assert_eq!(code(&ops, &elsewhere, head(name)).await, Some(ErrorCode::NoSuchBucket));
    assert_eq!(code(&ops, &by("2"), head(name)).await, Some(ErrorCode::AccessDenied));
    assert_eq!(code(&ops, &anonymous, head(name)).await, Some(ErrorCode::AccessDenied));
    let again = || {
        Call::CreateBucket(CreateBucket {
            bucket: bucket(name),
            region: None,
            tags: None,
            object_lock: false,
            acl: Default::default(),
            ownership: None,
        })
    };
    assert_eq!(code(&ops, &by("1"), again()).await, Some(ErrorCode::BucketAlreadyOwnedByYou));
    assert_eq!(code(&ops, &by("2"), again()).await, Some(ErrorCode::BucketAlreadyExists));
}

#[tokio::test]
async fn in_one_region_a_bucket_may_be_created_again_which_resets_its_acl() {
    let ops = ops();
    let create = |region_name: &str, canned| {
        let acl = op::AskedAcl { canned, ..Default::default() };
        Call::CreateBucket(CreateBucket {
            bucket: bucket("photos-1250000000"),
            region: Some(region(region_name)),
            tags: None,
            object_lock: false,
            acl,
            ownership: None,
        })
    };
    let anonymous = Context { identity: Identity::Anonymous, ..by("1") };
    let list = || {
        Call::ListObjects(op::ListObjects {
            bucket: bucket("photos-1250000000"),
            listing: Default::default(),
            url_encode: false,
        })
    };
    let public = Some(op::CannedAcl::PublicRead);
    assert_eq!(code(&ops, &by("1"), create("us-east-1", public)).await, None);
    assert_eq!(code(&ops, &anonymous, list()).await, None);
    let elsewhere = create("eu-west-1", None);
    assert_eq!(code(&ops, &by("1"), elsewhere).await, Some(ErrorCode::BucketAlreadyOwnedByYou));
    let others = create("us-east-1", public);
    assert_eq!(code(&ops, &by("2"), others).await, Some(ErrorCode::BucketAlreadyExists));
    assert_eq!(code(&ops, &by("1"), create("us-east-1", None)).await, None);
    assert_eq!(code(&ops, &anonymous, list()).await, Some(ErrorCode::AccessDenied));
}

#[tokio::test]
async fn a_bucket_is_made_with_all_it_is_to_have_in_one_commit() {
    let ops = ops();
    let create = |tag: Option<&str>| {
        Call::CreateBucket(CreateBucket {
            bucket: bucket("photos"),
            region: Some(region("us-east-1")),
            tags: tag.map(|value| Tags::new([("k".to_owned(), value.to_owned())]).unwrap()),
            object_lock: true,
            acl: op::AskedAcl { canned: Some(op::CannedAcl::PublicRead), ..Default::default() },
            ownership: Some(op::ObjectOwnership::BucketOwnerPreferred),
        })
    };
    let tags = || ops.setting::<Tags>(&bucket("photos")).unwrap().unwrap().into_map()["k"].clone();
    for (asked, then) in [(Some("one"), "one"), (Some("two"), "two"), (None, "two")] {
        let before = ops.store.head().0;
        ops.handle(&by("1"), create(asked)).await.unwrap();
        assert_eq!(ops.store.head().0, before + 1);
        assert_eq!(tags(), then);
    }
    let limited = Context { policy: Policy { buckets_max: Some(1), ..by("1").policy }, ..by("1") };
    assert_eq!(code(&ops, &limited, create(None)).await, None);
    let more = Call::CreateBucket(CreateBucket {
        bucket: bucket("more"),
        region: None,
        tags: None,
        object_lock: false,
        acl: Default::default(),
        ownership: None,
    });
    assert_eq!(code(&ops, &limited, more).await, Some(ErrorCode::TooManyBuckets));
}

#[tokio::test]
async fn a_bucket_without_appid_answers_to_its_name_with_it() {
    let ops = ops();
    created(&ops, "photos").await;
    assert_eq!(code(&ops, &by("1"), head("photos-1250000000")).await, None);
    assert_eq!(code(&ops, &by("1"), head("photos-1250000001")).await, Some(ErrorCode::NoSuchBucket));
}

#[tokio::test]
async fn a_body_that_breaks_a_promise_is_not_stored() {
    let ops = ops();
    created(&ops, "photos").await;
    let crc = |value: &[u8]| vec![Checksum { algorithm: ChecksumAlgorithm::Crc32, value: value.to_vec() }];
    let trailer = Trailer::default();
    trailer.fill(crc(&[0, 0, 0, 0]));
    let cases = [
        (Expected { md5: Some([0; 16]), ..Expected::default() }, ErrorCode::BadDigest),
        (Expected { sha256: Some([0; 32]), ..Expected::default() }, ErrorCode::ContentSha256Mismatch),
        (Expected { sha1: Some([0; 20]), ..Expected::default() }, ErrorCode::InvalidSha1Digest),
        (Expected { checksums: crc(&[0, 0, 0, 0]), ..Expected::default() }, ErrorCode::BadDigest),
        (
            Expected { trailing: vec![ChecksumAlgorithm::Crc32], ..Expected::default() },
            ErrorCode::InvalidRequest,
        ),
        (
            Expected { trailing: vec![ChecksumAlgorithm::Crc32], trailer, ..Expected::default() },
            ErrorCode::BadDigest,
        ),
    ];
    for (expected, want) in cases {
        assert_eq!(code(&ops, &by("1"), put("photos", "a", body(b"123456789", expected))).await, Some(want));
    }
    let short = Body { length: Some(10), ..body(b"123456789", Expected::default()) };
    assert_eq!(code(&ops, &by("1"), put("photos", "a", short)).await, Some(ErrorCode::IncompleteBody));
    let missing = code(&ops, &by("1"), Call::GetObject(get("photos", "a"))).await;
    assert_eq!(missing, Some(ErrorCode::NoSuchKey));

    let kept = Expected { checksums: crc(&[0xcb, 0xf4, 0x39, 0x26]), ..Expected::default() };
    ops.handle(&by("1"), put("photos", "a.png", body(b"123456789", kept))).await.unwrap();
    let Reply::GetObject(got) = ops.handle(&by("1"), Call::GetObject(get("photos", "a.png"))).await.unwrap()
    else {
        panic!("another reply")
    };
    assert_eq!(got.info.checksums, crc(&[0xcb, 0xf4, 0x39, 0x26]));
    assert_eq!(got.info.crc64, 11_051_210_869_376_104_954);
    assert_eq!(got.info.attributes.content_type.as_deref(), Some("image/png"));
}

#[tokio::test]
async fn conditions_come_before_ranges() {
    let ops = ops();
    created(&ops, "photos").await;
    ops.handle(&by("1"), put("photos", "a", body(b"hello", Expected::default()))).await.unwrap();
    let beyond = GetObject { range: Some(ByteRange::From(5)), ..get("photos", "a") };
    assert_eq!(code(&ops, &by("1"), Call::GetObject(beyond)).await, Some(ErrorCode::InvalidRange));
    let conditions = Conditions { if_none_match: Some(TagMatch::Any), ..Conditions::default() };
    let both = GetObject { range: Some(ByteRange::From(5)), conditions, ..get("photos", "a") };
    let error = ops.handle(&by("1"), Call::GetObject(both)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotModified);
    assert_eq!(error.object.unwrap().etag.as_str(), "5d41402abc4b2a76b9719d911017c592");
}

#[tokio::test]
async fn a_copy_must_have_a_source_and_change_something() {
    let ops = ops();
    created(&ops, "photos").await;
    ops.handle(&by("1"), put("photos", "a", body(b"hello", Expected::default()))).await.unwrap();
    let copy = |from: &str, class: StorageClass| {
        Call::CopyObject(CopyObject {
            bucket: bucket("photos"),
            key: key("a"),
            source: CopySource {
                bucket: bucket("photos-1250000000"),
                key: key(from),
                version: None,
                conditions: Conditions::default(),
                expected_owner: None,
                customer: None,
            },
            replace: None,
            acl: Default::default(),
            encryption: None,
            storage_class: class,
            tags: None,
            website_redirect: None,
            lock: Default::default(),
            conditions: Default::default(),
            checksum: None,
        })
    };
    let (same, ia) = (StorageClass::Standard, StorageClass::StandardIa);
    assert_eq!(code(&ops, &by("1"), copy("a", same)).await, Some(ErrorCode::InvalidRequest));
    assert_eq!(code(&ops, &by("1"), copy("b", same)).await, Some(ErrorCode::NoSuchCopySource));
    assert_eq!(code(&ops, &by("1"), copy("a", ia)).await, None);
}

#[tokio::test]
async fn a_multi_delete_fails_key_by_key() {
    let ops = ops();
    created(&ops, "photos").await;
    let entry = |key: &str| DeleteEntry { key: key.into(), version: None, if_match: None };
    let delete = DeleteObjects {
        bucket: bucket("photos"),
        entries: vec![entry("missing"), entry("")],
        quiet: false,
        bypass_governance: false,
    };
    let Reply::DeleteObjects(reply) = ops.handle(&by("1"), Call::DeleteObjects(delete)).await.unwrap() else {
        panic!("another reply")
    };
    assert_eq!(reply.deleted.len(), 1);
    assert_eq!(reply.failed[0].error.code, ErrorCode::InvalidObjectName);
}

#[tokio::test]
async fn a_full_object_checksum_is_that_of_the_whole() {
    let ops = ops();
    created(&ops, "photos").await;
    let create = CreateMultipartUpload {
        encryption: None,
        bucket: bucket("photos"),
        key: key("a"),
        properties: Default::default(),
        acl: Default::default(),
        attributes: Attributes::default(),
        checksum: Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject)),
    };
    let Reply::CreateMultipartUpload(upload) =
        ops.handle(&by("1"), Call::CreateMultipartUpload(create)).await.unwrap()
    else {
        panic!("another reply")
    };
    let mut parts = Vec::new();
    for (number, bytes) in [(1, &b"12345"[..]), (2, b"6789")] {
        let number = PartNumber::new(number).unwrap();
        let part = UploadPart {
            customer: None,
            bucket: bucket("photos"),
            key: key("a"),
            upload: upload.upload.clone(),
            number,
            body: body(bytes, Expected::default()),
        };
        let Reply::UploadPart(part) = ops.handle(&by("1"), Call::UploadPart(part)).await.unwrap() else {
            panic!("another reply")
        };
        parts.push(CompletedPart { number, etag: part.etag, checksums: part.checksums });
    }
    let complete = |checksum: [u8; 4]| {
        Call::CompleteMultipartUpload(CompleteMultipartUpload {
            customer: None,
            bucket: bucket("photos"),
            key: key("a"),
            upload: upload.upload.clone(),
            parts: parts.clone(),
            conditions: Default::default(),
            checksums: vec![Checksum { algorithm: ChecksumAlgorithm::Crc32, value: checksum.to_vec() }],
            size: Some(9),
        })
    };
    assert_eq!(code(&ops, &by("1"), complete([0; 4])).await, Some(ErrorCode::BadDigest));
    let Reply::CompleteMultipartUpload(done) =
        ops.handle(&by("1"), complete([0xcb, 0xf4, 0x39, 0x26])).await.unwrap()
    else {
        panic!("another reply")
    };
    assert_eq!(done.crc64, 11_051_210_869_376_104_954);
    assert_eq!(done.checksum_type, Some(ChecksumType::FullObject));
}

#[tokio::test]
async fn a_form_is_bounded_and_has_an_event_of_its_own() {
    let ops = ops();
    created(&ops, "photos").await;
    let post = |size| {
        Call::PostObject(PostObject {
            encryption: None,
            bucket: bucket("photos"),
            key: key("a"),
            attributes: Attributes::default(),
            properties: Default::default(),
            acl: Default::default(),
            conditions: Default::default(),
            size: Some(size),
            answer: PostAnswer::Status(204),
            body: Body { length: None, ..body(b"12345", Expected::default()) },
        })
    };
    assert_eq!(code(&ops, &by("1"), post((6, 9))).await, Some(ErrorCode::EntityTooSmall));
    assert_eq!(code(&ops, &by("1"), post((0, 4))).await, Some(ErrorCode::EntityTooLarge));
    assert_eq!(code(&ops, &by("1"), post((5, 5))).await, None);
    let changes = ops.store.changes(Seq(0), 10).unwrap();
    assert_eq!(changes.last().unwrap().kind, ChangeKind::Object(EventType::CreatedPost));
    assert_eq!(changes.len(), 2);
}

#[tokio::test]
async fn an_archived_object_is_readable_while_it_is_restored() {
    let clock = Clock::frozen(by("1").now);
    let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 1 << 20 };
    let ops = Ops::new(Store::open(options, clock).unwrap(), region("ap-guangzhou"), Vec::new());
    created(&ops, "photos").await;
    let Call::PutObject(mut cold) = put("photos", "a", body(b"cold", Expected::default())) else {
        panic!("another call")
    };
    cold.attributes.storage_class = StorageClass::Archive;
    ops.handle(&by("1"), Call::PutObject(cold)).await.unwrap();
    let after = |minutes: u64| {
        let now = by("1").now.plus(std::time::Duration::from_secs(60 * minutes));
        Context { now, ..by("1") }
    };
    let read = async |minutes| code(&ops, &after(minutes), Call::GetObject(get("photos", "a"))).await;
    assert_eq!(read(0).await, Some(ErrorCode::InvalidObjectState));
    let ask = || {
        let (days, tier) = (Some(1), RestoreTier::Expedited);
        Call::RestoreObject(RestoreObject {
            customer: None,
            bucket: bucket("photos"),
            key: key("a"),
            version: None,
            days,
            tier,
        })
    };
    assert_eq!(code(&ops, &by("1"), ask()).await, None);
    assert_eq!(code(&ops, &by("1"), ask()).await, Some(ErrorCode::RestoreAlreadyInProgress));
    let events: Vec<_> = ops.store.changes(Seq(2), 10).unwrap().into_iter().map(|c| c.kind).collect();
    assert_eq!(events, [ChangeKind::Object(EventType::RestorePost)]);
    assert_eq!(read(0).await, Some(ErrorCode::InvalidObjectState));
    assert_eq!(read(1).await, None);
    assert_eq!(read(3 * 24 * 60).await, Some(ErrorCode::InvalidObjectState));
}
