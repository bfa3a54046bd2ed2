//! From replies and errors to bytes, in the dialect of the request. Cannot fail: a stored value
//! that no header can hold is left out.

mod access;
mod attributes;
mod encryption;
mod error;
mod list;
mod lock;
mod object;
mod origin;
mod post;
mod select;
mod setting;
mod upload;
mod version;
mod website;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cosette_model::op::{ChecksumType, Owner, Reply};
use cosette_model::{Checksum, ETag, Error, Timestamp, VersionId, canonical_id};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, SERVER,
};
use http::{Response, StatusCode};

use crate::dialect::Dialect;
use crate::header::{self, Concept};
use crate::xml::Writer;
use crate::{Asked, DialectName, ReplyBody, path};

const CRC64: &str = "x-cos-hash-crc64ecma";
const XML: &str = "application/xml";

pub(crate) fn encode(asked: &Asked, outcome: Result<Reply, Error>) -> Response<ReplyBody> {
    let mut answer = Answer::new(asked);
    match outcome {
        Ok(reply) => answer.reply(reply),
        Err(error) => answer.error(error),
    }
    if asked.charged {
        answer.set("x-amz-request-charged", "requester");
    }
    answer.cross_origin();
    answer.finish()
}

/// A response being put together.
struct Answer<'a> {
    asked: &'a Asked,
    dialect: &'static Dialect,
    response: Response<ReplyBody>,
}

impl<'a> Answer<'a> {
    fn new(asked: &'a Asked) -> Self {
        let dialect = asked.dialect.dialect();
        let mut answer = Self { asked, dialect, response: Response::new(ReplyBody::Empty) };
        answer.name(SERVER, dialect.server);
        answer.name(DATE, &http_date(asked.now));
        answer.set(dialect.request_id, asked.request_id.as_str());
        if dialect.name == DialectName::S3 {
            answer.set(dialect.trace_id, &answer.trace_id());
            // COS clients look for this one on every answer, whatever signed the request (cos-api 1.7).
            answer.set("x-cos-request-id", asked.request_id.as_str());
        }
        answer
    }

    /// The second id of a request, derived from the first.
    fn trace_id(&self) -> String {
        self.asked.request_id.trace_id()
    }

    fn is_cos(&self) -> bool {
        self.dialect.name == DialectName::Cos
    }

    fn status(&mut self, status: StatusCode) {
        *self.response.status_mut() = status;
    }

    fn name(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.response.headers_mut().insert(name, value);
        }
    }

    /// Sets a header by a name that may come from stored metadata.
    fn set(&mut self, name: &str, value: &str) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            self.name(name, value);
        }
    }

    fn concept(&mut self, concept: Concept, value: &str) {
        self.set(concept.of(self.dialect.name), value);
    }

    fn etag(&mut self, etag: &ETag) {
        self.name(ETAG, &etag.quoted());
    }

    fn last_modified(&mut self, modified: Timestamp) {
        self.name(LAST_MODIFIED, &http_date(modified));
    }

    fn version(&mut self, version: Option<&VersionId>) {
        if let Some(version) = version {
            self.concept(header::VERSION_ID, version.as_str());
        }
    }

    /// COS shows it in every reply that has one (cos-api 3.6); S3 has no such header.
    fn crc64(&mut self, crc64: u64) {
        if self.is_cos() {
            self.set(CRC64, &crc64.to_string());
        }
    }

    /// `x-amz-checksum-*`, and the type when there is a checksum at all.
    fn checksums(&mut self, checksums: &[Checksum], kind: Option<ChecksumType>, parts: Option<u32>) {
        for checksum in checksums {
            let name = format!("x-amz-checksum-{}", checksum.algorithm.name().to_ascii_lowercase());
            self.set(&name, &checksum_text(checksum, kind, parts));
        }
        if !checksums.is_empty() {
            self.set("x-amz-checksum-type", checksum_type(kind.unwrap_or(ChecksumType::FullObject)));
        }
    }

    fn document(&mut self, bytes: Bytes) {
        self.name(CONTENT_TYPE, XML);
        self.response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        *self.response.body_mut() = ReplyBody::Full(bytes);
    }

    fn finish(mut self) -> Response<ReplyBody> {
        // A 304 gives the length of the body it leaves out (RFC 9110 8.6); everything else empty
        // says so (cos-api 9.1).
        // S3 says nothing on 204 either.
        let silent = match self.response.status() {
            _ if matches!(self.response.body(), ReplyBody::Events(_)) => true,
            StatusCode::NOT_MODIFIED => true,
            StatusCode::NO_CONTENT => !self.is_cos(),
            _ => false,
        };
        let headers = self.response.headers_mut();
        if !silent && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        if self.asked.head {
            *self.response.body_mut() = ReplyBody::Empty;
        }
        self.response
    }

    fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::ListBuckets(r) => self.list_buckets(&r),
            Reply::CreateBucket(r) => {
                if !self.is_cos() {
                    self.name(LOCATION, &format!("/{}", r.bucket));
                }
            }
            Reply::HeadBucket(r) => self.concept(header::BUCKET_REGION, r.region.as_str()),
            Reply::DeleteBucket(_) | Reply::AbortMultipartUpload(_) => self.status(StatusCode::NO_CONTENT),
            Reply::GetBucketLocation(r) => {
                // S3's first region has no name here.
                let name = match r.region.as_str() {
                    "us-east-1" if !self.is_cos() => "",
                    name => name,
                };
                self.document(Writer::new(self.dialect, "LocationConstraint").root_text(name));
            }
            Reply::GetBucketAcl(r) => self.acl(&r.owner, &r.grants),
            Reply::GetObjectAcl(r) => {
                // Node shows this in place of what it would read from the grants (cos-api 2.13).
                if self.is_cos() && r.inherits {
                    self.concept(header::ACL, "default");
                }
                self.acl(&r.owner, &r.grants);
            }
            Reply::PutBucketAcl(_)
            | Reply::PutObjectAcl(_)
            | Reply::PutPublicAccessBlock(_)
            | Reply::PutBucketOwnershipControls(_) => {}
            Reply::PutBucketPolicy(_)
            | Reply::DeleteBucketPolicy(_)
            | Reply::DeletePublicAccessBlock(_)
            | Reply::DeleteBucketOwnershipControls(_) => self.status(StatusCode::NO_CONTENT),
            Reply::GetBucketPolicy(r) => self.json(r.policy),
            Reply::GetBucketPolicyStatus(r) => self.policy_status(r.public),
            Reply::GetPublicAccessBlock(r) => self.public_access_block(r.block),
            Reply::GetBucketOwnershipControls(r) => self.ownership(r.ownership),
            Reply::ListObjects(r) => self.list_objects(&r),
            Reply::ListObjectsV2(r) => self.list_objects_v2(&r),
            Reply::PutBucketVersioning(_) => {}
            Reply::GetBucketVersioning(r) => self.get_versioning(&r),
            Reply::ListObjectVersions(r) => self.list_versions(&r),
            Reply::ListMultipartUploads(r) => self.list_uploads(&r),
            Reply::DeleteObjects(r) => self.delete_objects(&r),
            Reply::PostObject(r) => self.post_object(&r),
            Reply::PutObjectRetention(_) | Reply::PutObjectLegalHold(_) => {}
            Reply::GetObjectRetention(r) => self.retention(r.retention),
            Reply::GetObjectLegalHold(r) => self.legal_hold(r.held),
            Reply::RestoreObject(r) => self.restore_object(&r),
            Reply::SelectObjectContent(r) => self.select(r),
            Reply::PutObject(r) => self.put_object(&r),
            Reply::GetObject(r) => self.get_object(r),
            Reply::HeadObject(r) => self.head_object(&r),
            Reply::DeleteObject(r) => self.delete_object(&r),
            Reply::CopyObject(r) => self.copy_object(&r),
            Reply::CreateMultipartUpload(r) => self.create_upload(&r),
            Reply::UploadPart(r) => self.upload_part(&r),
            Reply::UploadPartCopy(r) => self.upload_part_copy(&r),
            Reply::AppendObject(r) => self.append_object(&r),
            Reply::PutSymlink(r) => {
                self.etag(&r.etag);
                self.crc64(r.crc64);
                self.written(r.version.as_ref());
            }
            Reply::GetSymlink(r) => {
                self.concept(header::SYMLINK_TARGET, r.target.as_str());
                self.etag(&r.etag);
                self.last_modified(r.modified);
                self.version(r.version.as_ref());
            }
            Reply::GetObjectAttributes(r) => self.object_attributes(&r),
            Reply::ListParts(r) => self.list_parts(&r),
            Reply::CompleteMultipartUpload(r) => self.complete_upload(&r),
            Reply::PutObjectTagging(r) => self.version(r.version.as_ref()),
            Reply::GetObjectTagging(r) => self.get_object_tagging(&r),
            Reply::DeleteObjectTagging(r) => {
                self.status(StatusCode::NO_CONTENT);
                self.version(r.version.as_ref());
            }
            Reply::OptionsObject(r) => self.options(&r),
            Reply::ServeWebsite(r) => self.serve_website(r),
            Reply::PutSetting(r) => self.put_setting(&r),
            Reply::GetSetting(r) => self.get_setting(&r),
            Reply::PostBucketInventory(r) => self.post_inventory(&r),
            Reply::ListSettings(r) => self.list_settings(&r),
            Reply::DeleteSetting(_) => self.status(StatusCode::NO_CONTENT),
            Reply::FromOrigin(r) => self.of_origin(r),
        }
    }

    /// A document without a namespace, in either dialect.
    fn xml_plain(&self, root: &'static str) -> Writer {
        Writer::with_namespace(self.dialect, root, None)
    }

    fn xml(&self, root: &'static str) -> Writer {
        Writer::new(self.dialect, root)
    }

    /// A name in a listing, percent-encoded when that was asked for (cos-api 3.2, 8).
    fn listed(&self, text: &str, url_encode: bool) -> String {
        if !url_encode {
            return text.to_owned();
        }
        let encoded = path::encode_path(text);
        match self.dialect.encoded_space {
            "%20" => encoded.into_owned(),
            space => encoded.replace("%20", space),
        }
    }

    /// Who owns a listed object: the APPID on COS, a canonical id on S3 (cos-api 8).
    fn object_owner(&self, xml: &mut Writer, name: &'static str, owner: &Owner) {
        if self.is_cos() {
            pair(xml, name, &owner.appid, &owner.appid);
        } else {
            pair(xml, name, &canonical_id(&owner.uin), &owner.name);
        }
    }

    /// Who owns or does something else: the CAM name on COS.
    fn account_owner(&self, xml: &mut Writer, name: &'static str, owner: &Owner) {
        if self.is_cos() {
            pair(xml, name, &format!("qcs::cam::uin/{0}:uin/{0}", owner.uin), &owner.uin);
        } else {
            pair(xml, name, &canonical_id(&owner.uin), &owner.name);
        }
    }
}

fn pair(xml: &mut Writer, name: &'static str, id: &str, display: &str) {
    xml.element(name, |xml| {
        xml.text("ID", id);
        xml.text("DisplayName", display);
    });
}

fn checksum_type(kind: ChecksumType) -> &'static str {
    match kind {
        ChecksumType::Composite => "COMPOSITE",
        ChecksumType::FullObject => "FULL_OBJECT",
    }
}

/// Base64; a composite one says of how many parts it was made.
fn checksum_text(checksum: &Checksum, kind: Option<ChecksumType>, parts: Option<u32>) -> String {
    let value = BASE64_STANDARD.encode(&checksum.value);
    match (kind, parts) {
        (Some(ChecksumType::Composite), Some(parts)) => format!("{value}-{parts}"),
        _ => value,
    }
}

/// RFC 1123.
fn http_date(when: Timestamp) -> String {
    // The formatter ends at year 9999.
    let seconds = when.as_secs().min(253_402_300_799);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}
