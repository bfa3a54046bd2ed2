//! What policies decide, through the handlers.

use cosette_model::op::{
    DeleteObject, PublicAccessBlock, PutBucketPolicy, PutObjectRetention, PutObjectTagging,
    PutPublicAccessBlock, PutSetting,
};
use cosette_model::setting::{Accelerate, ObjectLock, Status};
use cosette_model::{
    Persona, Properties, Retention, RetentionMode, Session, Setting, SettingName, Tags, Timestamp, VersionId,
};

use super::*;

const DENIED: Option<ErrorCode> = Some(ErrorCode::AccessDenied);

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
}

/// Sets the statements as the owner's policy of `photos`.
async fn policy(ops: &Ops, statements: &str) {
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#).into_bytes();
    let call = PutBucketPolicy { bucket: bucket("photos"), policy, confirmed: false };
    ops.handle(&by("1"), Call::PutBucketPolicy(call)).await.unwrap();
}

fn allow(action: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"2"}},"Action":[{action}],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"],"Condition":{{{condition}}}}}"#
    )
}

fn tagged(pairs: &[(&str, &str)]) -> Call {
    let Call::PutObject(put) = put("photos", "a", body(b"hello", Expected::default())) else { panic!() };
    let properties = Properties { tags: tags(pairs).into_map(), ..put.properties.clone() };
    Call::PutObject(PutObject { properties, ..put })
}

#[tokio::test]
async fn tags_of_a_new_object_are_for_who_may_set_tags() {
    let ops = ops();
    created(&ops, "photos").await;
    policy(&ops, &allow(r#""s3:PutObject""#, "")).await;
    assert_eq!(code(&ops, &by("2"), tagged(&[])).await, None);
    assert_eq!(code(&ops, &by("2"), tagged(&[("k", "v")])).await, DENIED);
    policy(&ops, &allow(r#""s3:PutObject","s3:PutObjectTagging""#, "")).await;
    assert_eq!(code(&ops, &by("2"), tagged(&[("k", "v")])).await, None);
}

#[tokio::test]
async fn conditions_see_the_tags_of_a_document() {
    let ops = ops();
    created(&ops, "photos").await;
    ops.handle(&by("1"), tagged(&[])).await.unwrap();
    let team = r#""StringEquals":{"s3:RequestObjectTag/team":"red"}"#;
    policy(&ops, &allow(r#""s3:PutObjectTagging""#, team)).await;
    let set = |value: &str| {
        let tags = tags(&[("team", value)]);
        let call = PutObjectTagging { bucket: bucket("photos"), key: key("a"), version: None, tags };
        Call::PutObjectTagging(call)
    };
    assert_eq!(code(&ops, &by("2"), set("blue")).await, DENIED);
    assert_eq!(code(&ops, &by("2"), set("red")).await, None);
}

#[tokio::test]
async fn a_multi_delete_has_an_action_of_its_own_on_cos() {
    let ops = ops();
    created(&ops, "photos").await;
    let many = || {
        let entry = |key: &str| DeleteEntry { key: key.into(), version: None, if_match: None };
        Call::DeleteObjects(DeleteObjects {
            bucket: bucket("photos"),
            entries: vec![entry("a")],
            quiet: false,
            bypass_governance: false,
        })
    };
    let one = || {
        Call::DeleteObject(DeleteObject {
            bucket: bucket("photos"),
            key: key("a"),
            version: None,
            if_match: None,
            bypass_governance: false,
        })
    };
    let failed = async |call| match ops.handle(&by("2"), call).await.unwrap() {
        Reply::DeleteObjects(done) => done.failed.len(),
        _ => panic!("another reply"),
    };
    for (action, single, multiple) in
        [("DeleteMultipleObjects", DENIED, 0), ("DeleteObject", None, 1), ("Delete*", None, 0)]
    {
        let policy = format!(
            r#"{{"version":"2.0","statement":[{{"effect":"allow","principal":{{"qcs":["qcs::cam::uin/2:uin/2"]}},"action":["name/cos:{action}"],"resource":["qcs::cos:::photos/*","qcs::cos:::photos-1250000000/*"]}}]}}"#
        );
        let call =
            PutBucketPolicy { bucket: bucket("photos"), policy: policy.into_bytes(), confirmed: false };
        ops.handle(&by("1"), Call::PutBucketPolicy(call)).await.unwrap();
        assert_eq!(code(&ops, &by("2"), one()).await, single, "{action}");
        assert_eq!(failed(many()).await, multiple, "{action}");
    }
}

#[tokio::test]
async fn to_go_past_governance_retention_is_an_action() {
    let ops = ops();
    let now = Timestamp::from_secs(4_000_000_000);
    let late = |uin: &str| Context { now, ..by(uin) };
    let create = CreateBucket {
        bucket: bucket("photos"),
        region: None,
        tags: None,
        object_lock: true,
        acl: Default::default(),
        ownership: None,
    };
    ops.handle(&by("1"), Call::CreateBucket(create)).await.unwrap();
    let lock = PutSetting {
        bucket: bucket("photos"),
        name: SettingName::ObjectLock,
        setting: Some(Setting::ObjectLock(ObjectLock::default())),
        unchecked: false,
    };
    ops.handle(&by("1"), Call::PutSetting(lock)).await.unwrap();
    let version = async || {
        let put = put("photos", "a", body(b"hello", Expected::default()));
        let Reply::PutObject(done) = ops.handle(&by("1"), put).await.unwrap() else { panic!() };
        let until = Timestamp::from_secs(4_100_000_000);
        let retain = PutObjectRetention {
            bucket: bucket("photos"),
            key: key("a"),
            version: done.version.clone(),
            retention: Some(Retention { mode: RetentionMode::Governance, until }),
            bypass_governance: false,
        };
        ops.handle(&late("1"), Call::PutObjectRetention(retain)).await.unwrap();
        done.version.unwrap()
    };
    let delete = |version: VersionId| {
        Call::DeleteObject(DeleteObject {
            bucket: bucket("photos"),
            key: key("a"),
            version: Some(version),
            if_match: None,
            bypass_governance: true,
        })
    };
    policy(&ops, &allow(r#""s3:DeleteObjectVersion""#, "")).await;
    assert_eq!(code(&ops, &by("2"), delete(version().await)).await, Some(ErrorCode::ObjectLocked));
    policy(&ops, &allow(r#""s3:DeleteObjectVersion","s3:BypassGovernanceRetention""#, "")).await;
    assert_eq!(code(&ops, &by("2"), delete(version().await)).await, None);
    assert_eq!(code(&ops, &by("1"), delete(version().await)).await, None);
    policy(
        &ops,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:BypassGovernanceRetention","Resource":"arn:aws:s3:::photos/*"}"#,
    )
    .await;
    assert_eq!(code(&ops, &by("1"), delete(version().await)).await, Some(ErrorCode::ObjectLocked));
}

#[tokio::test]
async fn who_would_lock_itself_out_must_say_that_it_knows() {
    let ops = ops();
    created(&ops, "photos").await;
    let role = || {
        let Identity::Known(known) = by("1").identity else { panic!() };
        let persona = Persona::Role { name: "r".into(), session: "s".into() };
        let session = Session { token: String::new(), expires: None, persona, policy: None };
        Context { identity: Identity::Known(Key { session: Some(session.into()), ..known }), ..by("1") }
    };
    let lock_out = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:PutBucketPolicy","Resource":"arn:aws:s3:::photos"}}"#;
    let put = |confirmed| {
        let policy = lock_out.as_bytes().to_vec();
        Call::PutBucketPolicy(PutBucketPolicy { bucket: bucket("photos"), policy, confirmed })
    };
    assert_eq!(code(&ops, &role(), put(false)).await, DENIED);
    assert_eq!(code(&ops, &role(), put(true)).await, None);
    assert_eq!(code(&ops, &role(), put(true)).await, DENIED);
    // The account itself can always mend it.
    assert_eq!(code(&ops, &by("1"), put(false)).await, None);
}

#[tokio::test]
async fn that_nothing_is_there_is_for_who_may_list() {
    let ops = ops();
    created(&ops, "photos").await;
    ops.handle(&by("1"), put("photos", "a", body(b"hello", Expected::default()))).await.unwrap();
    let read = async |uin: &str, name: &str| code(&ops, &by(uin), Call::GetObject(get("photos", name))).await;
    policy(&ops, &allow(r#""s3:GetObject""#, "")).await;
    assert_eq!((read("2", "a").await, read("2", "b").await), (None, DENIED));
    policy(&ops, &allow(r#""s3:GetObject","s3:ListBucket""#, r#""StringEquals":{"s3:prefix":"b"}"#)).await;
    assert_eq!((read("2", "b").await, read("2", "c").await), (Some(ErrorCode::NoSuchKey), DENIED));

    // A policy that is not heeded lets nobody list, and one that denies has the last word.
    let everybody = r#"{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}"#;
    policy(&ops, everybody).await;
    assert_eq!(read("2", "b").await, Some(ErrorCode::NoSuchKey));
    let block = PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
    let call = PutPublicAccessBlock { bucket: bucket("photos"), block };
    ops.handle(&by("1"), Call::PutPublicAccessBlock(call)).await.unwrap();
    assert_eq!((read("2", "b").await, read("1", "b").await), (DENIED, Some(ErrorCode::NoSuchKey)));
    policy(
        &ops,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos"}"#,
    )
    .await;
    assert_eq!((read("1", "a").await, read("1", "b").await), (None, DENIED));
}

#[tokio::test]
async fn conditions_of_a_temporary_key_see_who_asks_and_where() {
    let ops = ops();
    let with = |condition: &str| {
        let Identity::Known(known) = by("1").identity else { panic!() };
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{{{condition}}}}}}}"#
        );
        let persona = Persona::Role { name: "r".into(), session: "s".into() };
        let session = Session { token: String::new(), expires: None, persona, policy: Some(policy) };
        Context { identity: Identity::Known(Key { session: Some(session.into()), ..known }), ..by("1") }
    };
    let list = || Call::ListBuckets(op::ListBuckets::default());
    for (condition, allowed) in [
        (r#""StringEquals":{"aws:RequestedRegion":"ap-guangzhou"}"#, true),
        (r#""StringNotEquals":{"aws:RequestedRegion":"ap-guangzhou"}"#, false),
        (r#""StringEquals":{"aws:PrincipalType":"AssumedRole"}"#, true),
        (r#""StringNotEquals":{"aws:PrincipalAccount":"1"}"#, false),
    ] {
        let refused = code(&ops, &with(condition), list()).await;
        assert_eq!(refused, if allowed { None } else { DENIED }, "{condition}");
    }
}

#[tokio::test]
async fn only_the_bucket_that_a_request_is_sent_to_must_be_accelerated() {
    let ops = ops();
    created(&ops, "photos").await;
    created(&ops, "copies").await;
    ops.handle(&by("1"), put("photos", "a", body(b"hello", Expected::default()))).await.unwrap();
    let accelerate = PutSetting {
        bucket: bucket("copies"),
        name: SettingName::Accelerate,
        setting: Some(Setting::Accelerate(Accelerate { status: Status::Enabled })),
        unchecked: false,
    };
    ops.handle(&by("1"), Call::PutSetting(accelerate)).await.unwrap();
    let context = Context { accelerated: true, ..by("1") };
    let refused = code(&ops, &context, Call::GetObject(get("photos", "a"))).await;
    assert_eq!(refused, Some(ErrorCode::BucketAccelerateNotEnabled));
    let copy = copy_to("copies");
    assert_eq!(code(&ops, &context, copy).await, None);
}
