//! One line of a log, in the form of either service. A field never holds a space that is not within
//! quotes, nor a line break, whatever a request said.

use std::fmt::Write;

use cosette_model::op::{Level, Op};
use cosette_model::setting::ServiceForm;
use cosette_model::{Access, AccessPart, SignedIn, Timestamp, canonical_id};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays of a key.
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');
/// What would end a field.
const BARE: &AsciiSet = &CONTROLS.add(b' ').add(b'"');
/// What would end a field in quotes.
const QUOTED: &AsciiSet = &CONTROLS.add(b'"');

pub(super) fn write(form: ServiceForm, access: &Access, out: &mut String) {
    let fields: &[String] = match form {
        ServiceForm::S3 => &s3(access),
        ServiceForm::Cos if access.part != AccessPart::Whole => return,
        ServiceForm::Cos => &cos(access),
    };
    out.push_str(&fields.join(" "));
    out.push('\n');
}

fn or_none(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

fn bare(text: Option<&str>) -> String {
    or_none(text.filter(|text| !text.is_empty()).map(|text| utf8_percent_encode(text, BARE)))
}

fn quoted(text: Option<&str>) -> String {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => format!("\"{}\"", utf8_percent_encode(text, QUOTED)),
        None => "\"-\"".to_owned(),
    }
}

fn millis(from: Timestamp, to: Timestamp) -> u128 {
    to.since(from).as_millis()
}

fn some(bytes: u64) -> Option<u64> {
    (bytes > 0).then_some(bytes)
}

/// "Amazon S3 server access log format", in its order.
fn s3(access: &Access) -> [String; 26] {
    let whole = access.part == AccessPart::Whole;
    let request = format!("{} {} HTTP/1.1", access.method, access.target);
    [
        canonical_id(&access.owner),
        access.bucket.to_string(),
        format!("[{}]", common_log_time(access.came)),
        access.remote.clone(),
        or_none(access.requester.as_deref().map(canonical_id)),
        access.request_id.clone(),
        operation(access),
        or_none(access.key.as_ref().map(|key| utf8_percent_encode(key, KEY).to_string())),
        quoted(Some(&request).filter(|_| whole).map(String::as_str)),
        access.status.to_string(),
        or_none(access.error.as_ref().map(|(code, _)| code)),
        or_none(some(access.sent).filter(|_| whole)),
        or_none(access.object_size),
        or_none(whole.then(|| millis(access.came, access.ended))),
        or_none(whole.then(|| millis(access.came, access.answered))),
        quoted(access.referer.as_deref()),
        quoted(access.agent.as_deref()),
        bare(access.version.as_deref()),
        bare(access.host_id.as_deref()),
        or_none(access.signed.version),
        // No encrypted connections, no access points.
        "-".to_owned(),
        or_none(access.signed.place.map(|place| match place {
            SignedIn::Header => "AuthHeader",
            SignedIn::Query => "QueryString",
        })),
        bare(access.host.as_deref()),
        "-".to_owned(),
        "-".to_owned(),
        "-".to_owned(),
    ]
}

/// `06/Feb/2019:00:00:38 +0000`
fn common_log_time(time: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 2019-02-06T00:00:38Z
    let iso = time.iso_seconds();
    let month = iso.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let part = |range: std::ops::Range<usize>| iso.get(range).unwrap_or_default();
    let name = MONTHS.get(month.saturating_sub(1)).unwrap_or(&"Jan");
    format!("{}/{name}/{}:{} +0000", part(8..10), part(0..4), part(11..19))
}

/// `REST.PUT.OBJECT`, `BATCH.DELETE.OBJECT`...
fn operation(access: &Access) -> String {
    match (access.part, access.op) {
        (AccessPart::Removal, _) => "BATCH.DELETE.OBJECT".to_owned(),
        (AccessPart::Source, Some(Op::UploadPartCopy)) => "REST.COPY.PART_GET".to_owned(),
        (AccessPart::Source, _) => "REST.COPY.OBJECT_GET".to_owned(),
        (AccessPart::Whole, Some(Op::ServeWebsite)) => format!("WEBSITE.{}.OBJECT", access.method),
        (AccessPart::Whole, Some(Op::CopyObject)) => "REST.COPY.OBJECT".to_owned(),
        (AccessPart::Whole, Some(Op::UploadPartCopy)) => "REST.COPY.PART".to_owned(),
        (AccessPart::Whole, Some(Op::SelectObjectContent)) => "REST.SELECT.OBJECT".to_owned(),
        (AccessPart::Whole, Some(op)) => format!("REST.{}.{}", access.method, resource(op)),
        (AccessPart::Whole, None) => {
            let level = if access.key.is_some() { "OBJECT" } else { "BUCKET" };
            format!("REST.{}.{level}", access.method)
        }
    }
}

/// The resource in the name: that of the operation without its verb, but for those that have old names.
fn resource(op: Op) -> String {
    match op {
        Op::ListBuckets => "SERVICE".to_owned(),
        Op::ListObjects | Op::ListObjectsV2 => "BUCKET".to_owned(),
        Op::ListObjectVersions => "BUCKETVERSIONS".to_owned(),
        Op::DeleteObjects => "MULTI_OBJECT_DELETE".to_owned(),
        Op::CreateMultipartUpload | Op::ListMultipartUploads => "UPLOADS".to_owned(),
        Op::CompleteMultipartUpload | Op::AbortMultipartUpload | Op::ListParts => "UPLOAD".to_owned(),
        Op::UploadPart => "PART".to_owned(),
        Op::OptionsObject => "PREFLIGHT".to_owned(),
        Op::RestoreObject => "RESTORE".to_owned(),
        Op::AppendObject | Op::PostObject => "OBJECT".to_owned(),
        Op::PutObjectAcl | Op::GetObjectAcl | Op::PutBucketAcl | Op::GetBucketAcl => "ACL".to_owned(),
        Op::PutBucketPolicy | Op::GetBucketPolicy | Op::DeleteBucketPolicy => "BUCKETPOLICY".to_owned(),
        Op::GetBucketLogging | Op::PutBucketLogging => "LOGGING_STATUS".to_owned(),
        op => {
            let name = op.name();
            let verb = name.find(|c: char| c.is_ascii_lowercase()).unwrap_or(0);
            let end = name[verb..].find(|c: char| c.is_ascii_uppercase()).map_or(name.len(), |at| verb + at);
            let noun = match name[end..].strip_prefix("Bucket") {
                Some(rest) if !rest.is_empty() => rest,
                _ => &name[end..],
            };
            let mut words = String::new();
            for c in noun.chars() {
                if c.is_ascii_uppercase() && !words.is_empty() {
                    words.push('_');
                }
                words.push(c.to_ascii_uppercase());
            }
            words
        }
    }
}

/// COS's fields of a log, in their order (436/16920).
fn cos(access: &Access) -> [String; 30] {
    let mut path = String::from("/");
    let _ = write!(path, "{}", utf8_percent_encode(access.key.as_deref().unwrap_or_default(), KEY));
    let object = access.op.is_some_and(|op| op.level() == Level::Object) && access.status < 300;
    let (code, message) = match &access.error {
        Some((code, message)) => (Some(*code), Some(message.as_str())),
        None => (None, None),
    };
    let class = access.class.as_deref().or(object.then_some("STANDARD"));
    let copies = matches!(access.op, Some(Op::CopyObject | Op::UploadPartCopy));
    let request = format!("{} {} HTTP/1.1", access.method, access.target);
    [
        "1.0".to_owned(),
        access.bucket.to_string(),
        access.region.to_string(),
        access.ended.iso_seconds(),
        bare(access.host.as_deref()),
        or_none(access.event),
        access.remote.clone(),
        bare(access.access_key.as_deref()),
        "-".to_owned(),
        access.received.to_string(),
        // How much more is stored than before is not known here.
        "-".to_owned(),
        path,
        access.method.clone(),
        bare(access.agent.as_deref()),
        access.status.to_string(),
        bare(code),
        bare(message),
        access.sent.to_string(),
        millis(access.came, access.ended).to_string(),
        "USER".to_owned(),
        or_none(class),
        access.owner.clone(),
        millis(access.came, access.answered).to_string(),
        or_none(access.requester.as_ref().map(|uin| format!("{uin}:{uin}"))),
        access.request_id.clone(),
        or_none(access.object_size),
        bare(access.version.as_deref()),
        or_none(class.filter(|_| copies)),
        quoted(access.referer.as_deref()),
        quoted(Some(&request)),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access_log::tests::access;

    fn line(form: ServiceForm, access: &Access) -> String {
        let mut out = String::new();
        write(form, access, &mut out);
        out
    }

    #[test]
    fn a_line_is_as_the_services_write_it() {
        let access = access("b-1250000000", "a b\"照");
        assert_eq!(
            line(ServiceForm::S3, &access),
            format!(
                "{} b-1250000000 [14/Nov/2023:22:13:20 +0000] 127.0.0.1 {} id REST.GET.OBJECT a%20b%22%E7%85%A7 \
                 \"GET /a%20b?x=1 HTTP/1.1\" 200 - 5 5 30 20 \"-\" \"agent 1\" - host-id SigV4 - AuthHeader h - - -\n",
                canonical_id("100000000001"),
                canonical_id("100000000002"),
            )
        );
        assert_eq!(
            line(ServiceForm::Cos, &access),
            "1.0 b-1250000000 ap-guangzhou 2023-11-14T22:13:20Z h GetObject 127.0.0.1 AKID - 0 - \
             /a%20b%22%E7%85%A7 GET agent%201 200 - - 5 30 USER STANDARD 100000000001 20 \
             100000000002:100000000002 id 5 - - \"-\" \"GET /a%20b?x=1 HTTP/1.1\"\n"
        );
    }

    #[test]
    fn nothing_a_request_says_makes_a_field_or_a_line() {
        let mut hostile = access("b-1250000000", "k\n1 2");
        let text = "a \"b\"\r\nREST.GET.OBJECT x";
        for field in [&mut hostile.agent, &mut hostile.referer, &mut hostile.host, &mut hostile.version] {
            *field = Some(text.to_owned());
        }
        hostile.error = Some(("NoSuchKey", text.to_owned()));
        for (form, fields) in [(ServiceForm::S3, 26), (ServiceForm::Cos, 30)] {
            let line = line(form, &hostile);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            let outside: Vec<_> = line.split('"').step_by(2).collect();
            // A date in brackets has one space; what is in quotes counts as one.
            let spaces = outside.concat().matches(' ').count() - usize::from(form == ServiceForm::S3);
            assert_eq!(spaces + 1, fields, "{line}");
        }
    }

    #[test]
    fn operations_have_the_names_that_logs_know() {
        for (op, method, name) in [
            (Op::PutObject, "PUT", "REST.PUT.OBJECT"),
            (Op::HeadBucket, "HEAD", "REST.HEAD.BUCKET"),
            (Op::GetBucketVersioning, "GET", "REST.GET.VERSIONING"),
            (Op::PutObjectTagging, "PUT", "REST.PUT.OBJECT_TAGGING"),
            (Op::GetPublicAccessBlock, "GET", "REST.GET.PUBLIC_ACCESS_BLOCK"),
            (Op::CompleteMultipartUpload, "POST", "REST.POST.UPLOAD"),
            (Op::CopyObject, "PUT", "REST.COPY.OBJECT"),
            (Op::DeleteObjects, "POST", "REST.POST.MULTI_OBJECT_DELETE"),
        ] {
            let access = Access { op: Some(op), method: method.to_owned(), ..access("b-1250000000", "k") };
            assert_eq!(operation(&access), name);
        }
    }
}
