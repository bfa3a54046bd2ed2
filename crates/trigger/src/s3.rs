//! The text of the messages that S3 sends: notification records, the test message that a new configuration
//! sends, and the event bus's events. Sources: the Amazon S3 User Guide, "Event message structure" and
//! "EventBridge event message structure". Knows nothing of who receives them when, nor of the store.

use cosette_model::{
    Change, ChangeKind, EventFamily, EventType, LifecycleChange, ObjectSetting, Timestamp, VersionId,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::rule::Configuration;

/// What stays as it is in a key: what Java's `URLEncoder` leaves, and the slash. A space becomes a plus sign.
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

/// Who acts where no client does, in the place of a principal and of an address.
const SERVICE: &str = "s3.amazonaws.com";

/// Of an object without content, which is what a delete marker is taken for.
const EMPTY_ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'a str,
    user_identity: Principal<'a>,
    request_parameters: RequestParameters<'a>,
    response_elements: ResponseElements<'a>,
    s3: Entity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    glacier_event_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle_event_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intelligent_tiering_event_data: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Principal<'a> {
    principal_id: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct RequestParameters<'a> {
    #[serde(rename = "sourceIPAddress")]
    source_ip: &'a str,
}

#[derive(Serialize)]
struct ResponseElements<'a> {
    #[serde(rename = "x-amz-request-id")]
    request_id: &'a str,
    #[serde(rename = "x-amz-id-2")]
    host_id: String,
}

#[derive(Serialize)]
struct Entity<'a> {
    #[serde(rename = "s3SchemaVersion")]
    version: &'static str,
    #[serde(rename = "configurationId")]
    configuration: &'a str,
    bucket: Bucket<'a>,
    object: Object<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket<'a> {
    name: &'a str,
    owner_identity: Principal<'a>,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
}

/// A notification record of `change`, whose name to S3 is `event`, for a configuration of its bucket.
pub(crate) fn record(change: &Change, event: &str, of: &Configuration) -> String {
    let bucket = change.bucket.as_str();
    let name = event.strip_prefix("s3:").unwrap_or(event);
    let message = Message {
        records: [Record {
            event_version: version(change.kind),
            event_source: "aws:s3",
            aws_region: change.region.as_str(),
            event_time: change.time.iso_millis(),
            event_name: name,
            user_identity: Principal { principal_id: principal(change).into() },
            request_parameters: RequestParameters { source_ip: source_ip(change) },
            response_elements: ResponseElements {
                request_id: &change.cause.request_id,
                host_id: change.request_id().trace_id(),
            },
            s3: Entity {
                version: "1.0",
                configuration: &of.id,
                bucket: Bucket {
                    name: bucket,
                    owner_identity: Principal { principal_id: of.owner.as_str().into() },
                    arn: format!("arn:aws:s3:::{bucket}"),
                },
                object: object(change),
            },
            glacier_event_data: restored(change),
            lifecycle_event_data: transitioned(change),
            intelligent_tiering_event_data: archived(change),
        }],
    };
    // Only a map with keys that are not text could fail, and there is none.
    serde_json::to_string(&message).unwrap_or_default()
}

/// Those that carry data of their own are newer; the others are compatible with 2.1.
fn version(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Lifecycle(_) | ChangeKind::ObjectSetting(_) => "2.3",
        _ => "2.1",
    }
}

fn object(change: &Change) -> Object<'_> {
    let key = change.key.as_ref().map_or("", |key| key.as_str());
    let etag = change.etag.as_ref().map(|etag| etag.as_str());
    let (size, e_tag) = match removal(change.kind) {
        Some(Removal::Gone) => (None, None),
        Some(Removal::Marked) => (None, Some(EMPTY_ETAG)),
        None => (Some(change.size), etag),
    };
    Object {
        key: utf8_percent_encode(key, KEY).to_string().replace(' ', "+"),
        size,
        e_tag,
        version_id: version_id(change),
        sequencer: is_ordered(change.kind).then(|| sequencer(change)),
    }
}

/// Left out where the bucket gives no versions.
fn version_id(change: &Change) -> Option<&str> {
    change.version_id.as_ref().filter(|id| **id != VersionId::Null).map(|id| id.as_str())
}

enum Removal {
    Gone,
    Marked,
}

fn removal(kind: ChangeKind) -> Option<Removal> {
    match kind {
        ChangeKind::Object(EventType::RemovedDelete) | ChangeKind::Lifecycle(LifecycleChange::Deleted) => {
            Some(Removal::Gone)
        }
        ChangeKind::Object(EventType::RemovedDeleteMarkerCreated)
        | ChangeKind::Lifecycle(LifecycleChange::DeleteMarkerCreated)
        | ChangeKind::MarkerReplicated => Some(Removal::Marked),
        _ => None,
    }
}

/// Writes and removals alone have a sequencer.
fn is_ordered(kind: ChangeKind) -> bool {
    removal(kind).is_some() || kind.event().is_some_and(|event| event.family() == EventFamily::Created)
}

/// Greater for what came later; S3 promises that for one key, here it holds for all.
fn sequencer(change: &Change) -> String {
    format!("{:016X}", change.seq.0)
}

fn principal(change: &Change) -> String {
    match (change.cause.rule.is_some(), change.cause.access_key.as_str()) {
        (true, _) => SERVICE.to_owned(),
        (false, "") => "Anonymous".to_owned(),
        (false, key) => format!("AWS:{key}"),
    }
}

fn source_ip(change: &Change) -> &str {
    if change.cause.rule.is_some() { SERVICE } else { &change.cause.source_ip }
}

fn restored(change: &Change) -> Option<Value> {
    let expires = change.restored_until?;
    (change.kind == ChangeKind::Object(EventType::RestoreCompleted)).then(|| {
        json!({"restoreEventData": {
            "lifecycleRestorationExpiryTime": expires.iso_millis(),
            "lifecycleRestoreStorageClass": change.attributes.storage_class.in_s3().name(),
        }})
    })
}

/// S3, "Viewing the archive status of an object within S3 Intelligent-Tiering".
fn archived(change: &Change) -> Option<Value> {
    match change.kind {
        ChangeKind::Lifecycle(LifecycleChange::Archived(tier)) => {
            Some(json!({"destinationAccessTier": tier.name()}))
        }
        _ => None,
    }
}

fn transitioned(change: &Change) -> Option<Value> {
    (change.kind == ChangeKind::Lifecycle(LifecycleChange::Transitioned)).then(|| {
        let class = change.attributes.storage_class.in_s3().name();
        json!({"transitionEventData": {"destinationStorageClass": class}})
    })
}

/// What a queue or a topic is sent when it becomes the target of a configuration.
pub(crate) fn test(change: &Change) -> String {
    let (bucket, request) = (change.bucket.as_str(), change.request_id());
    let message = json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": change.time.iso_millis(),
        "Bucket": bucket,
        "RequestId": change.cause.request_id,
        "HostId": request.trace_id(),
    });
    message.to_string()
}

/// The event bus's event of `change`, under an id of its own; `None` for what the bus is not told.
pub(crate) fn bus_event(change: &Change, id: &str, of: &Configuration) -> Option<String> {
    let class = change.attributes.storage_class.in_s3().name();
    let (kind, reason, more): (_, _, Value) = match change.kind {
        ChangeKind::Object(
            EventType::CreatedPut | EventType::CreatedOrigin | EventType::CreatedReplication,
        ) => ("Object Created", Some("PutObject"), json!({})),
        ChangeKind::Object(EventType::CreatedPost) => ("Object Created", Some("POST Object"), json!({})),
        ChangeKind::Object(EventType::CreatedCopy) => ("Object Created", Some("CopyObject"), json!({})),
        ChangeKind::Object(EventType::CreatedCompleteMultipartUpload) => {
            ("Object Created", Some("CompleteMultipartUpload"), json!({}))
        }
        ChangeKind::Object(EventType::RemovedDelete) => {
            ("Object Deleted", Some("DeleteObject"), json!({"deletion-type": "Permanently Deleted"}))
        }
        ChangeKind::Object(EventType::RemovedDeleteMarkerCreated) | ChangeKind::MarkerReplicated => {
            ("Object Deleted", Some("DeleteObject"), json!({"deletion-type": "Delete Marker Created"}))
        }
        ChangeKind::Object(EventType::RestorePost) => {
            ("Object Restore Initiated", None, json!({"source-storage-class": class}))
        }
        ChangeKind::Object(EventType::RestoreCompleted) => {
            let expires = change.restored_until.map(Timestamp::iso_seconds);
            let more = json!({"restore-expiry-time": expires, "source-storage-class": class});
            ("Object Restore Completed", None, more)
        }
        ChangeKind::Lifecycle(LifecycleChange::Deleted) => {
            ("Object Deleted", Some("Lifecycle Expiration"), json!({"deletion-type": "Permanently Deleted"}))
        }
        ChangeKind::Lifecycle(LifecycleChange::DeleteMarkerCreated) => (
            "Object Deleted",
            Some("Lifecycle Expiration"),
            json!({"deletion-type": "Delete Marker Created"}),
        ),
        ChangeKind::Lifecycle(LifecycleChange::Transitioned) => {
            ("Object Storage Class Changed", None, json!({"destination-storage-class": class}))
        }
        ChangeKind::Lifecycle(LifecycleChange::Archived(tier)) => {
            ("Object Access Tier Changed", None, json!({"destination-access-tier": tier.name()}))
        }
        ChangeKind::ObjectSetting(ObjectSetting::TagsPut) => ("Object Tags Added", None, json!({})),
        ChangeKind::ObjectSetting(ObjectSetting::TagsDeleted) => ("Object Tags Deleted", None, json!({})),
        ChangeKind::ObjectSetting(ObjectSetting::AclPut) => ("Object ACL Updated", None, json!({})),
        ChangeKind::BucketCreated | ChangeKind::BucketDeleted | ChangeKind::SettingChanged => return None,
    };
    let seen = object(change);
    let mut object = Map::new();
    // The bus is told keys as they are.
    object.insert("key".into(), json!(change.key));
    let fields = [
        ("size", seen.size.map(Value::from)),
        ("etag", seen.e_tag.map(Value::from)),
        ("version-id", seen.version_id.map(Value::from)),
        ("sequencer", seen.sequencer.map(Value::from)),
    ];
    object.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let bucket = change.bucket.as_str();
    let mut detail = json!({
        "version": "0",
        "bucket": {"name": bucket},
        "object": object,
        "request-id": change.cause.request_id,
        "requester": if change.cause.rule.is_some() { SERVICE } else { &of.owner },
    });
    if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
        if change.cause.rule.is_none() {
            detail.insert("source-ip-address".into(), json!(change.cause.source_ip));
        }
        detail.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
        detail.extend(more);
    }
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": kind,
        "source": "aws.s3",
        "account": of.owner,
        "time": change.time.iso_seconds(),
        "region": change.region,
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": detail,
    });
    Some(event.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
