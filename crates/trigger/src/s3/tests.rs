//! The records against the samples of the Amazon S3 User Guide.

use cosette_model::{
    Attributes, BucketName, Cause, ETag, ObjectKey, Region, Seq, StorageClass, Timestamp, VersionId,
};
use serde_json::{Value, json};

use super::*;

/// The guide's sample of a put ("Event message structure"), with the ids that are ours.
const PUT: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2","eventTime":"1970-01-01T00:00:00.000Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AKIDEXAMPLE"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"HOST"},"s3":{"s3SchemaVersion":"1.0","configurationId":"testConfigRule","bucket":{"name":"mybucket","ownerIdentity":{"principalId":"100000000001"},"arn":"arn:aws:s3:::mybucket"},"object":{"key":"HappyFace.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"00000000000000FF"}}}]}"#;

fn of() -> Configuration {
    Configuration { id: "testConfigRule".into(), owner: "100000000001".into(), greets: true }
}

fn put() -> Change {
    Change {
        seq: Seq(255),
        time: Timestamp::default(),
        kind: ChangeKind::Object(EventType::CreatedPut),
        bucket: BucketName::new("mybucket").unwrap(),
        region: Region::new("us-west-2").unwrap(),
        appid: "1250000000".into(),
        key: Some(ObjectKey::new("HappyFace.jpg").unwrap()),
        version_id: Some(VersionId::parse("096fKKXTRTtl3on89fVO.nfljtsv6qko")),
        size: 1024,
        etag: Some(ETag::parse("d41d8cd98f00b204e9800998ecf8427e")),
        attributes: Attributes::default(),
        cause: Cause {
            request_id: "C3D13FE58DE4C810".into(),
            source_ip: "127.0.0.1".into(),
            access_key: "AKIDEXAMPLE".into(),
            ..Cause::default()
        },
        restored_until: None,
        replicas: Vec::new(),
    }
}

fn parsed(change: &Change) -> Value {
    let text = record(change, change.kind.s3_event().unwrap(), &of());
    serde_json::from_str::<Value>(&text).unwrap()["Records"][0].clone()
}

#[test]
fn put_is_the_guides_record_to_the_byte() {
    let expected = PUT.replace("HOST", &put().request_id().trace_id());
    assert_eq!(record(&put(), "s3:ObjectCreated:Put", &of()), expected);
}

#[test]
fn keys_are_encoded_as_in_forms() {
    for (key, encoded) in
        [("red flower.jpg", "red+flower.jpg"), ("a/b+c%d", "a/b%2Bc%25d"), ("\u{fc}*~", "%C3%BC*%7E")]
    {
        let change = Change { key: Some(ObjectKey::new(key).unwrap()), ..put() };
        assert_eq!(parsed(&change)["s3"]["object"]["key"], encoded);
    }
}

#[test]
fn removals_say_no_more_than_what_is_gone() {
    let change = |kind| Change { kind, ..put() };
    let object = |kind| parsed(&change(kind))["s3"]["object"].clone();
    let (key, version, sequencer) = ("HappyFace.jpg", "096fKKXTRTtl3on89fVO.nfljtsv6qko", "00000000000000FF");
    for kind in
        [ChangeKind::Object(EventType::RemovedDelete), ChangeKind::Lifecycle(LifecycleChange::Deleted)]
    {
        assert_eq!(object(kind), json!({"key": key, "versionId": version, "sequencer": sequencer}));
    }
    let marked = json!({"key": key, "eTag": EMPTY_ETAG, "versionId": version, "sequencer": sequencer});
    for kind in [ChangeKind::Object(EventType::RemovedDeleteMarkerCreated), ChangeKind::MarkerReplicated] {
        assert_eq!(object(kind), marked);
    }
}

#[test]
fn a_finished_restore_says_until_when() {
    let mut change = Change {
        kind: ChangeKind::Object(EventType::RestoreCompleted),
        restored_until: Some(Timestamp::from_secs(60)),
        ..put()
    };
    change.attributes.storage_class = StorageClass::Archive;
    let record = parsed(&change);
    assert_eq!(
        record["glacierEventData"],
        json!({"restoreEventData": {
            "lifecycleRestorationExpiryTime": "1970-01-01T00:01:00.000Z",
            "lifecycleRestoreStorageClass": "GLACIER",
        }})
    );
    assert_eq!(record["s3"]["object"].get("sequencer"), None);
}

#[test]
fn what_a_lifecycle_rule_does_is_the_services_own_doing() {
    let mut change = Change { kind: ChangeKind::Lifecycle(LifecycleChange::Transitioned), ..put() };
    change.attributes.storage_class = StorageClass::StandardIa;
    change.cause = Cause { rule: Some("r".into()), ..Cause::default() };
    let record = parsed(&change);
    assert_eq!(
        (&record["eventVersion"], &record["eventName"]),
        (&json!("2.3"), &json!("LifecycleTransition"))
    );
    assert_eq!(record["userIdentity"], json!({"principalId": "s3.amazonaws.com"}));
    assert_eq!(record["requestParameters"], json!({"sourceIPAddress": "s3.amazonaws.com"}));
    assert_eq!(
        record["lifecycleEventData"],
        json!({"transitionEventData": {"destinationStorageClass": "STANDARD_IA"}})
    );
}

#[test]
fn a_bucket_without_versions_gives_none() {
    let change = Change { version_id: None, ..put() };
    assert_eq!(parsed(&change)["s3"]["object"].get("versionId"), None);
}

/// The guide's sample of a created object ("EventBridge event message structure").
#[test]
fn the_bus_is_told_in_its_own_form() {
    let event = bus_event(&put(), "17793124-05d4-b198-2fde-7ededc63b103", &of()).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&event).unwrap(),
        json!({
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "100000000001",
            "time": "1970-01-01T00:00:00Z",
            "region": "us-west-2",
            "resources": ["arn:aws:s3:::mybucket"],
            "detail": {
                "version": "0",
                "bucket": {"name": "mybucket"},
                "object": {
                    "key": "HappyFace.jpg",
                    "size": 1024,
                    "etag": "d41d8cd98f00b204e9800998ecf8427e",
                    "version-id": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                    "sequencer": "00000000000000FF",
                },
                "request-id": "C3D13FE58DE4C810",
                "requester": "100000000001",
                "source-ip-address": "127.0.0.1",
                "reason": "PutObject",
            },
        })
    );
    assert_eq!(bus_event(&Change { kind: ChangeKind::SettingChanged, ..put() }, "i", &of()), None);
}
