//! The text of the message that tells a function of a change: COS's own JSON (scf.md 1.6).
//! Knows nothing of who receives it when, nor of the store.
//!
//! The members stand in alphabetical order, as in the messages the cloud sends, and are
//! plain structs so that no setting of the JSON library can reorder them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cosette_model::{Change, EventFamily, EventType, Target, VersionId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// What stays as it is in the path of `url`: RFC 3986's unreserved characters and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Most messages are shorter.
const BYTES: usize = 1536;

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
struct Record<'a> {
    cos: Cos<'a>,
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cos<'a> {
    cos_bucket: Bucket<'a>,
    /// Spelt so by the service (scf.md 1.4).
    cos_notification_id: &'static str,
    cos_object: Object<'a>,
    cos_schema_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket<'a> {
    appid: &'a str,
    cos_region: &'a str,
    name: &'a str,
    region: &'a str,
    #[serde(rename = "s3Region")]
    s3_region: &'a str,
}

#[derive(Serialize)]
struct Object<'a> {
    key: String,
    meta: BTreeMap<String, String>,
    size: u64,
    url: String,
    vid: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event_name: &'static str,
    event_queue: String,
    event_source: &'static str,
    event_time: u64,
    event_version: &'static str,
    reqid: u64,
    request_parameters: RequestParameters<'a>,
    reserved_info: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestParameters<'a> {
    request_headers: RequestHeaders<'a>,
    #[serde(rename = "requestSourceIP")]
    request_source_ip: &'a str,
}

#[derive(Serialize)]
struct RequestHeaders<'a> {
    #[serde(rename = "Authorization")]
    authorization: &'a str,
}

/// The JSON text that tells `target` of `change`, which is an `event`.
pub(crate) fn message(change: &Change, event: EventType, target: &Target) -> String {
    let appid = change.appid.as_str();
    let region = change.region.as_str();
    let name = short_name(change.bucket.as_str(), appid);
    let key = change.key.as_ref().map_or("", |key| key.as_str());
    let mut url = format!("http://{name}-{appid}.cos.{region}.myqcloud.com/");
    // Writing to a String cannot fail.
    let _ = write!(url, "{}", utf8_percent_encode(key, PATH));
    let message = Message {
        records: [Record {
            cos: Cos {
                cos_bucket: Bucket {
                    appid,
                    cos_region: region,
                    name,
                    region: region_code(region),
                    s3_region: region,
                },
                cos_notification_id: "unkown",
                cos_object: Object {
                    key: format!("/{appid}/{name}/{key}"),
                    meta: meta(change, event),
                    size: if event == EventType::RemovedDeleteMarkerCreated { 0 } else { change.size },
                    url,
                    vid: vid(change, event),
                },
                cos_schema_version: "1.0",
            },
            event: Event {
                event_name: event.name(),
                event_queue: queue(target, region, appid),
                event_source: "qcs::cos",
                event_time: change.time.as_secs(),
                event_version: "1.0",
                reqid: 0,
                request_parameters: RequestParameters {
                    request_headers: RequestHeaders { authorization: authorization(change, event) },
                    request_source_ip: &change.cause.source_ip,
                },
                reserved_info: "",
            },
        }],
    };
    let mut text = Vec::with_capacity(BYTES);
    // Only a map with keys that are not text could fail, and there is none.
    let _ = serde_json::to_writer(&mut text, &message);
    String::from_utf8(text).unwrap_or_default()
}

/// Where the message waits for its target. Only functions have such a queue in the cloud.
fn queue(target: &Target, region: &str, appid: &str) -> String {
    let (kind, name) = match target {
        Target::Function(f) => ("scf", format!("{}.{}.{}", f.namespace, f.name, f.qualifier)),
        Target::Webhook { webhook } => ("webhook", webhook.clone()),
        Target::Bucket { bucket, prefix } => ("cos", format!("{bucket}/{prefix}")),
    };
    format!("qcs:0:{kind}:{region}:appid/{appid}:{name}")
}

/// The bucket's name without the owner's APPID; the whole name where it does not end in it,
/// as S3 clients may leave the APPID out.
fn short_name<'a>(bucket: &'a str, appid: &str) -> &'a str {
    bucket.strip_suffix(appid).and_then(|name| name.strip_suffix('-')).unwrap_or(bucket)
}

/// Headers of the object, by event (scf.md 1.5). A removal has only the request's id and an empty type.
fn meta(change: &Change, event: EventType) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::new();
    let mut put = |name: &str, value: &str| meta.insert(name.to_owned(), value.to_owned());
    put("x-cos-request-id", &change.cause.request_id);
    if event.family() == EventFamily::Removed {
        put("Content-Type", "");
        return meta;
    }
    let attributes = &change.attributes;
    put("Content-Type", attributes.content_type.as_deref().unwrap_or_default());
    for (name, value) in [
        ("Cache-Control", &attributes.cache_control),
        ("Content-Disposition", &attributes.content_disposition),
        ("Content-Encoding", &attributes.content_encoding),
        ("Content-Language", &attributes.content_language),
        ("Expires", &attributes.expires),
    ] {
        if let Some(value) = value {
            put(name, value);
        }
    }
    for (name, value) in &attributes.user {
        put(&format!("x-cos-meta-{name}"), value);
    }
    put("x-cos-storage-class", attributes.storage_class.in_cos().event_name());
    if event.family() == EventFamily::Created
        && let Some(etag) = &change.etag
    {
        put("ETag", &etag.quoted());
    }
    meta
}

/// `""` for an object without a version of its own; a removal names even the null version it removed.
fn vid(change: &Change, event: EventType) -> &str {
    match &change.version_id {
        None => "",
        Some(VersionId::Null) if event.family() != EventFamily::Removed => "",
        Some(version) => version.as_str(),
    }
}

/// `""` where no signed request of a client stands behind the event (scf.md 1.5).
fn authorization(change: &Change, event: EventType) -> &str {
    match event {
        EventType::CreatedOrigin | EventType::CreatedReplication | EventType::RestoreCompleted => "",
        _ => &change.cause.authorization,
    }
}

/// The short code that messages and some resource names carry; the full name where none is known (scf.md 1.8).
pub fn region_code(region: &str) -> &str {
    match region {
        "ap-guangzhou" => "gz",
        "ap-shanghai" => "sh",
        "ap-beijing" => "bj",
        "ap-chengdu" => "cd",
        "ap-chongqing" => "cq",
        "ap-nanjing" => "nj",
        "ap-shenzhen" => "szx",
        "ap-hongkong" => "hk",
        "ap-singapore" => "sg",
        "ap-mumbai" => "in",
        "ap-seoul" => "kr",
        "ap-bangkok" => "th",
        "ap-tokyo" => "jp",
        "ap-jakarta" => "jkt",
        "na-siliconvalley" => "usw",
        "na-ashburn" => "use",
        "na-toronto" => "ca",
        "eu-frankfurt" => "de",
        "eu-moscow" => "ru",
        "sa-saopaulo" => "sao",
        "ap-beijing-1" => "tsn",
        "ap-shanghai-fsi" => "shjr",
        "ap-shenzhen-fsi" => "szjr",
        "ap-beijing-fsi" => "bjjr",
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::function::FunctionRef;
    use cosette_model::{
        Attributes, BucketName, Cause, ChangeKind, ETag, ObjectKey, Region, Seq, StorageClass, Timestamp,
    };
    use serde_json::{Value, json};

    use super::*;

    /// The record of scf.md 1.6, as it stands there.
    const PUT: &str = r#"{"Records":[{"cos":{"cosBucket":{"appid":"1250000000","cosRegion":"ap-guangzhou","name":"examplebucket","region":"gz","s3Region":"ap-guangzhou"},"cosNotificationId":"unkown","cosObject":{"key":"/1250000000/examplebucket/dir/a b.txt","meta":{"Content-Type":"text/plain","ETag":"\"5d41402abc4b2a76b9719d911017c592\"","x-cos-meta-mykey":"myvalue","x-cos-request-id":"NjI1OGRmMTdfMThiMjU4NjRfMTUyMV8xYWY=","x-cos-storage-class":"Standard"},"size":5,"url":"http://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/dir/a%20b.txt","vid":""},"cosSchemaVersion":"1.0"},"event":{"eventName":"cos:ObjectCreated:Put","eventQueue":"qcs:0:scf:ap-guangzhou:appid/1250000000:default.myfunc.$DEFAULT","eventSource":"qcs::cos","eventTime":1700000000,"eventVersion":"1.0","reqid":0,"requestParameters":{"requestHeaders":{"Authorization":"q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE&q-sign-time=1699999990;1700003590&q-key-time=1699999990;1700003590&q-header-list=host&q-url-param-list=&q-signature=0000000000000000000000000000000000000000"},"requestSourceIP":"127.0.0.1"},"reservedInfo":""}}]}"#;

    fn function() -> Target {
        let (name, qualifier) = ("myfunc".into(), "$DEFAULT".into());
        let [appid, region, namespace] = ["1250000000", "ap-guangzhou", "default"].map(str::to_owned);
        FunctionRef { appid, region, namespace, name, qualifier, routed: None }.into()
    }

    fn put() -> Change {
        let sent: Value = serde_json::from_str(PUT).unwrap();
        let authorization =
            &sent["Records"][0]["event"]["requestParameters"]["requestHeaders"]["Authorization"];
        Change {
            seq: Seq(7),
            time: Timestamp::from_micros(1_700_000_000_654_321),
            kind: ChangeKind::Object(EventType::CreatedPut),
            bucket: BucketName::new("examplebucket-1250000000").unwrap(),
            region: Region::new("ap-guangzhou").unwrap(),
            appid: "1250000000".into(),
            key: Some(ObjectKey::new("dir/a b.txt").unwrap()),
            version_id: None,
            size: 5,
            etag: Some(ETag::parse("5d41402abc4b2a76b9719d911017c592")),
            attributes: Attributes {
                content_type: Some("text/plain".into()),
                user: [("mykey".to_owned(), "myvalue".to_owned())].into(),
                ..Attributes::default()
            },
            cause: Cause {
                request_id: "NjI1OGRmMTdfMThiMjU4NjRfMTUyMV8xYWY=".into(),
                source_ip: "127.0.0.1".into(),
                authorization: authorization.as_str().unwrap().into(),
                access_key: "AKIDEXAMPLE".into(),
                ..Cause::default()
            },
            restored_until: None,
            replicas: Vec::new(),
        }
    }

    fn parsed(change: &Change, event: EventType) -> (Value, Value) {
        let message: Value = serde_json::from_str(&message(change, event, &function())).unwrap();
        (message["Records"][0]["cos"]["cosObject"].clone(), message["Records"][0]["event"].clone())
    }

    #[test]
    fn put_is_the_documented_text_to_the_byte() {
        assert_eq!(message(&put(), EventType::CreatedPut, &function()), PUT);
    }

    #[test]
    fn copy_differs_from_put_only_in_name_and_key() {
        let mut change = put();
        change.key = Some(ObjectKey::new("copy.txt").unwrap());
        let expected = PUT
            .replace("cos:ObjectCreated:Put", "cos:ObjectCreated:Copy")
            .replace("dir/a b.txt", "copy.txt")
            .replace("dir/a%20b.txt", "copy.txt");
        assert_eq!(message(&change, EventType::CreatedCopy, &function()), expected);
    }

    #[test]
    fn complete_carries_the_composite_etag_and_total_size() {
        let mut change = put();
        change.attributes =
            Attributes { content_type: Some("application/zip".into()), ..Attributes::default() };
        change.etag = Some(ETag::parse("9b2cf535f27731c974343645a3985328-2"));
        change.size = 9_755_203;
        change.cause.request_id = "...".into();
        let (object, event) = parsed(&change, EventType::CreatedCompleteMultipartUpload);
        assert_eq!(event["eventName"], "cos:ObjectCreated:CompleteMultipartUpload");
        assert_eq!(object["size"], 9_755_203);
        assert_eq!(
            object["meta"],
            json!({"Content-Type":"application/zip","ETag":"\"9b2cf535f27731c974343645a3985328-2\"","x-cos-request-id":"...","x-cos-storage-class":"Standard"})
        );
    }

    #[test]
    fn removals_carry_no_metadata() {
        let mut change = put();
        change.cause.request_id = "...".into();
        let (object, event) = parsed(&change, EventType::RemovedDelete);
        assert_eq!(event["eventName"], "cos:ObjectRemove:Delete");
        assert_eq!(object["meta"], json!({"Content-Type":"","x-cos-request-id":"..."}));
        assert_eq!((object["size"].as_u64(), object["vid"].as_str()), (Some(5), Some("")));

        change.version_id = Some(VersionId::parse("MTg0NDUxNTc1NjIzMTQ1MDAwODg"));
        let (object, event) = parsed(&change, EventType::RemovedDeleteMarkerCreated);
        assert_eq!(event["eventName"], "cos:ObjectRemove:DeleteMarkerCreated");
        assert_eq!(object["size"], 0);
        assert_eq!(object["vid"], "MTg0NDUxNTc1NjIzMTQ1MDAwODg");
    }

    #[test]
    fn events_without_a_client_carry_no_signature() {
        for event in [EventType::CreatedOrigin, EventType::CreatedReplication, EventType::RestoreCompleted] {
            let (_, event) = parsed(&put(), event);
            assert_eq!(event["requestParameters"]["requestHeaders"], json!({"Authorization":""}));
        }
    }

    #[test]
    fn restore_names_the_archive_class_in_mixed_case() {
        let mut change = put();
        change.attributes.user.clear();
        change.attributes.storage_class = StorageClass::DeepArchive;
        change.cause.request_id = "...".into();
        let (object, _) = parsed(&change, EventType::RestorePost);
        assert_eq!(
            object["meta"],
            json!({"Content-Type":"text/plain","x-cos-request-id":"...","x-cos-storage-class":"DeepArchive"})
        );
    }

    #[test]
    fn stored_headers_reach_meta() {
        let mut change = put();
        change.attributes.cache_control = Some("no-cache".into());
        change.attributes.expires = Some("0".into());
        change.attributes.content_type = None;
        let (object, _) = parsed(&change, EventType::CreatedPut);
        assert_eq!(object["meta"]["Cache-Control"], "no-cache");
        assert_eq!(object["meta"]["Expires"], "0");
        assert_eq!(object["meta"]["Content-Type"], "");
    }

    #[test]
    fn a_bucket_without_the_owners_appid_keeps_its_whole_name() {
        for (bucket, short) in [("photos", "photos"), ("photos-2024", "photos-2024")] {
            let mut change = put();
            change.bucket = BucketName::new(bucket).unwrap();
            let (object, _) = parsed(&change, EventType::CreatedPut);
            assert_eq!(object["key"], format!("/1250000000/{short}/dir/a b.txt"));
            assert_eq!(
                object["url"],
                format!("http://{short}-1250000000.cos.ap-guangzhou.myqcloud.com/dir/a%20b.txt")
            );
        }
    }

    #[test]
    fn the_urls_path_decodes_to_the_key() {
        let mut keys: Vec<String> = (0_u32..0x3000).filter_map(char::from_u32).map(String::from).collect();
        keys.extend(["a//b/", "/lead", "!$&'()*+,;=:@%20?#[]", "图片/照片 1.jpg", "😀"].map(String::from));
        for key in keys {
            let mut change = put();
            change.key = Some(ObjectKey::new(key.as_str()).unwrap());
            let (object, _) = parsed(&change, EventType::CreatedPut);
            let url = object["url"].as_str().unwrap();
            let path =
                url.strip_prefix("http://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/").unwrap();
            assert_eq!(path.matches('/').count(), key.matches('/').count());
            assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~/%".contains(&b)), "{path}");
            assert_eq!(percent_encoding::percent_decode_str(path).decode_utf8().unwrap(), key);
            assert_eq!(object["key"], format!("/1250000000/examplebucket/{key}"));
        }
    }

    #[test]
    fn an_unknown_region_is_its_own_code() {
        assert_eq!(region_code("ap-shenzhen"), "szx");
        assert_eq!(region_code("xx-nowhere"), "xx-nowhere");
    }
}
