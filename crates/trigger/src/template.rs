//! Events to try a function with before anything has happened (scf.md 8.1). Those of COS are made by the code that
//! makes the real ones, of the object as it is if it exists; the others have the fields that the service documents.

use std::net::Ipv4Addr;

use cosette_model::function::FunctionRef;
use cosette_model::{
    Attributes, BucketName, Cause, Change, ChangeKind, ETag, EventFamily, EventPattern, EventType, ObjectKey,
    Region, Seq, StorageClass, Target, Timestamp, VersionId, Versioning,
};
use cosette_store::{Bucket, Error as StoreError, Object, Store};
use serde_json::{Value, json};

use crate::Error;
use crate::asked::Asked;
use crate::event::message;

/// Size in bytes, and MD5, of an object that does not exist: so many zeros.
const SIZE: u64 = 1024;
const MD5: &str = "0f343b0931126a20f133d67c2b018a3b";

/// A kind of event.
pub struct Template {
    /// What it is asked for by: `cos-put`.
    pub name: &'static str,
    /// The type of trigger that brings it, as `CreateTrigger` names it; empty for one that none brings.
    pub kind: &'static str,
    pub about: &'static str,
    made: Made,
}

enum Made {
    Cos(EventPattern),
    /// Without a change of an object.
    Other(fn(&Subject) -> Value),
}

/// Of whom the events tell, and to whom.
pub struct Subject {
    pub function: FunctionRef,
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// Of a bucket that does not exist.
    pub region: Region,
    pub appid: String,
    /// Whose request it was.
    pub secret_id: String,
    pub request_id: String,
    pub now: Timestamp,
}

/// All of them, those of COS first.
pub const TEMPLATES: &[Template] = &[
    cos("cos-put", EventType::CreatedPut, "an object was put"),
    cos("cos-post", EventType::CreatedPost, "an object was sent by a form"),
    cos("cos-copy", EventType::CreatedCopy, "an object was copied"),
    cos(
        "cos-complete-multipart-upload",
        EventType::CreatedCompleteMultipartUpload,
        "a multipart upload was completed",
    ),
    cos("cos-origin", EventType::CreatedOrigin, "an object was fetched from the origin"),
    cos("cos-replication", EventType::CreatedReplication, "a replication rule made an object"),
    cos("cos-delete", EventType::RemovedDelete, "an object was deleted"),
    cos("cos-delete-marker-created", EventType::RemovedDeleteMarkerCreated, "a delete marker was made"),
    cos("cos-restore-post", EventType::RestorePost, "an archived object's restore began"),
    cos("cos-restore-completed", EventType::RestoreCompleted, "an archived object was restored"),
    family("cos-created", EventFamily::Created, "each event of cos:ObjectCreated:*, one after the other"),
    family("cos-removed", EventFamily::Removed, "each event of cos:ObjectRemove:*, one after the other"),
    other(
        "hello",
        "",
        "two keys and their values",
        |_| json!({"key1": "test value 1", "key2": "test value 2"}),
    ),
    other("timer", "timer", "a timer went off", timer),
    other("http", "http", "a request to the function's URL", http),
    other("apigw", "apigw", "a request to an API gateway", apigw),
    other("ckafka", "ckafka", "a message of a CKafka topic", ckafka),
    other("cmq", "cmq", "a message of a CMQ topic", cmq),
    other("cls", "cls", "lines of a log topic, as gzip in base64", cls),
];

const fn cos(name: &'static str, event: EventType, about: &'static str) -> Template {
    Template { name, kind: "cos", about, made: Made::Cos(EventPattern::One(event)) }
}

const fn family(name: &'static str, family: EventFamily, about: &'static str) -> Template {
    Template { name, kind: "cos", about, made: Made::Cos(EventPattern::Family(family)) }
}

const fn other(
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    make: fn(&Subject) -> Value,
) -> Template {
    Template { name, kind, about, made: Made::Other(make) }
}

impl Template {
    pub fn named(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// Whether it tells of an object.
    pub fn is_of_object(&self) -> bool {
        matches!(self.made, Made::Cos(_))
    }

    /// Its events as JSON texts: one, or those of its family.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, store: &Store, subject: &Subject) -> Result<Vec<String>, Error> {
        let pattern = match self.made {
            Made::Cos(pattern) => pattern,
            Made::Other(make) => return Ok(vec![make(subject).to_string()]),
        };
        let bucket = store.bucket(&subject.bucket)?;
        let object = match &bucket {
            None => None,
            Some(bucket) => match store.object_of(bucket, &subject.key, None) {
                Ok(object) => Some(object),
                Err(StoreError::NoSuchObject(_) | StoreError::DeleteMarker { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        let target = Target::Function(subject.function.clone());
        let events = EventType::ALL.into_iter().filter(|&event| pattern.covers(event));
        Ok(events
            .map(|event| message(&change(subject, event, bucket.as_ref(), object.as_ref()), event, &target))
            .collect())
    }
}

/// The change that would raise this event of the object as it is, or of a made-up one.
fn change(subject: &Subject, event: EventType, bucket: Option<&Bucket>, object: Option<&Object>) -> Change {
    let versioning = bucket.map_or(Versioning::Off, |bucket| bucket.versioning);
    let of_object = object.map(|object| object.version.id());
    let version_id = match event {
        _ if versioning == Versioning::Off => None,
        EventType::RemovedDeleteMarkerCreated if versioning == Versioning::Suspended => Some(VersionId::Null),
        EventType::RemovedDeleteMarkerCreated => Some(VersionId::of_stamp(subject.now.as_micros())),
        _ => Some(of_object.unwrap_or(VersionId::of_stamp(subject.now.as_micros()))),
    };
    let mut attributes = object.map_or_else(
        || Attributes { content_type: Some("application/octet-stream".to_owned()), ..Attributes::default() },
        |object| object.attributes.clone(),
    );
    if event.family() == EventFamily::Restore && !attributes.storage_class.is_archive() {
        attributes.storage_class = StorageClass::Archive;
    }
    let etag = object.map_or_else(
        || match event {
            EventType::CreatedCompleteMultipartUpload => ETag::parse(&format!("{MD5}-1")),
            _ => ETag::parse(MD5),
        },
        |object| object.etag.clone(),
    );
    Change {
        seq: Seq(0),
        time: subject.now,
        kind: ChangeKind::Object(event),
        bucket: subject.bucket.clone(),
        region: bucket.map_or(&subject.region, |bucket| &bucket.region).clone(),
        appid: bucket.map_or(&subject.appid, |bucket| &bucket.owner_appid).clone(),
        key: Some(subject.key.clone()),
        version_id,
        size: object.map_or(SIZE, |object| object.size),
        etag: Some(etag),
        attributes,
        cause: Cause {
            request_id: subject.request_id.clone(),
            source_ip: "127.0.0.1".to_owned(),
            authorization: authorization(subject),
            access_key: subject.secret_id.clone(),
            ..Cause::default()
        },
        restored_until: None,
        replicas: Vec::new(),
    }
}

/// In the form of COS's signatures, of no use as one.
fn authorization(subject: &Subject) -> String {
    let (id, from) = (&subject.secret_id, subject.now.as_secs());
    let times = format!("{from};{}", from.saturating_add(3600));
    format!(
        "q-sign-algorithm=sha1&q-ak={id}&q-sign-time={times}&q-key-time={times}&q-header-list=host\
         &q-url-param-list=&q-signature={:040}",
        0
    )
}

fn timer(subject: &Subject) -> Value {
    crate::timer::message("EveryDay", subject.now, "user define msg body")
}

fn http(_: &Subject) -> Value {
    let headers = [
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("host", "127.0.0.1"),
        ("user-agent", "cosette"),
    ];
    let asked = Asked {
        method: "POST",
        path: "/test/value",
        query: "foo=bar",
        headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
        peer: Ipv4Addr::LOCALHOST.into(),
        body: Some(br#"{"test":"body"}"#),
    };
    asked.event()
}

fn apigw(subject: &Subject) -> Value {
    json!({
        "requestContext": {
            "serviceId": "service-f94sy04v",
            "path": "/test/{path}",
            "httpMethod": "POST",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"secretId": subject.secret_id},
            "sourceIp": "127.0.0.1",
            "stage": "release",
        },
        "headers": {"Accept": "text/html", "Host": "127.0.0.1", "User-Agent": "cosette"},
        "body": "{\"test\":\"body\"}",
        "pathParameters": {"path": "value"},
        "queryStringParameters": {"foo": "bar"},
        "headerParameters": {"Refer": "127.0.0.1"},
        "stageVariables": {"stage": "release"},
        "path": "/test/value",
        "queryString": {"foo": "bar", "bob": "alice"},
        "httpMethod": "POST",
    })
}

fn ckafka(_: &Subject) -> Value {
    json!({"Records": [{"Ckafka": {
        "topic": "test-topic",
        "partition": 1,
        "offset": 36,
        "msgKey": "None",
        "msgBody": "Hello from Ckafka!",
    }}]})
}

fn cmq(subject: &Subject) -> Value {
    json!({"Records": [{"CMQ": {
        "type": "topic",
        "topicOwner": subject.appid.parse::<u64>().unwrap_or_default(),
        "topicName": "testtopic",
        "subscriptionName": "testsubscription",
        "publishTime": subject.now.iso_millis(),
        "msgId": "123345346",
        "requestId": "123345346",
        "msgBody": "Hello from CMQ!",
        "msgTag": "tag1,tag2",
    }}]})
}

/// One line, `Hello from CLS!`.
fn cls(_: &Subject) -> Value {
    let data = "H4sIAAAAAAACA6tWKskvyEyOz0xRslIyTE4xTrNINNI1AAJdExBhASIMEMBQSQeqIy8xNxWopyS1uAQsAJQoSk3OL0opVrKKrlYqycwFyiTmFoDMNTMwNTW3MLCEGgJUmpyfV5KaVwKU9EjNyclXSCvKz1Vw9glWVKqNrQUAjwdmxJUAAAA=";
    json!({"clslogs": {"data": data}})
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn subject() -> Subject {
        let (name, qualifier) = ("myfunc".into(), "$DEFAULT".into());
        Subject {
            function: FunctionRef {
                appid: "1250000000".into(),
                region: "ap-guangzhou".into(),
                namespace: "default".into(),
                name,
                qualifier,
                routed: None,
            },
            bucket: BucketName::new("examplebucket-1250000000").unwrap(),
            key: ObjectKey::new("dir/a b.txt").unwrap(),
            region: Region::new("ap-guangzhou").unwrap(),
            appid: "1250000000".into(),
            secret_id: "AKIDEXAMPLE".into(),
            request_id: "id".into(),
            now: Timestamp::from_secs(1_700_000_000),
        }
    }

    #[test]
    fn every_event_of_the_service_has_one_and_both_families() {
        let patterns: BTreeSet<EventPattern> = TEMPLATES
            .iter()
            .filter_map(|template| match template.made {
                Made::Cos(pattern) => Some(pattern),
                Made::Other(_) => None,
            })
            .collect();
        assert_eq!(patterns.len(), 12);
        for event in EventType::ALL {
            assert!(patterns.contains(&EventPattern::One(event)), "{event}");
        }
        let names: BTreeSet<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        assert_eq!(names.len(), TEMPLATES.len());
    }

    #[test]
    fn a_made_up_object_has_what_each_event_has() {
        for (event, etag) in [
            (EventType::CreatedPut, MD5.to_owned()),
            (EventType::CreatedCompleteMultipartUpload, format!("{MD5}-1")),
        ] {
            let made = change(&subject(), event, None, None);
            assert_eq!((made.size, made.etag.unwrap().as_str()), (SIZE, etag.as_str()));
            assert_eq!(made.version_id, None);
        }
        let restored = change(&subject(), EventType::RestorePost, None, None);
        assert_eq!(restored.attributes.storage_class, StorageClass::Archive);
    }

    #[test]
    fn others_are_objects() {
        for template in TEMPLATES {
            if let Made::Other(make) = template.made {
                assert!(make(&subject()).is_object(), "{}", template.name);
            }
        }
        assert_eq!(timer(&subject())["Time"], "2023-11-14T22:13:20Z");
    }
}
