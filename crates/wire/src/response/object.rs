//! Replies of operations on whole objects.

use cosette_model::op::{Expiry, ObjectInfo, ResponseOverrides, reply};
use cosette_model::{AccessTier, Attributes, ReplicaState, Restore, StorageClass, VersionId};
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, EXPIRES, HeaderValue,
};

use super::{Answer, checksum_text, http_date};
use crate::request::checksum_element;
use crate::{DialectName, ReplyBody};
use crate::{header, path};

impl Answer<'_> {
    /// When a lifecycle rule ends the object, and which (S3; COS in the same form, cos-api 3.6).
    pub(super) fn expiry(&mut self, expiry: Option<&Expiry>) {
        if let Some(Expiry { at, rule }) = expiry {
            let rule = path::encode(rule);
            let text = format!("expiry-date=\"{}\", rule-id=\"{rule}\"", http_date(*at));
            self.concept(header::EXPIRATION, &text);
        }
    }

    pub(super) fn put_object(&mut self, r: &reply::PutObject) {
        self.expiry(r.expiry.as_ref());
        self.etag(&r.etag);
        self.crc64(r.crc64);
        self.written(r.version.as_ref());
        self.encrypted(r.encryption.as_ref());
        self.checksums(&r.checksums, None, None);
    }

    /// The version a put made; a suspended bucket's null version is shown by S3 alone (cos-api 4.1).
    pub(super) fn written(&mut self, version: Option<&VersionId>) {
        self.version(version.filter(|v| !self.is_cos() || v.as_str() != "null"));
    }

    pub(super) fn get_object(&mut self, r: reply::GetObject) {
        self.parts_count(&r.info, r.by_part);
        let length = self.object(&r.info, r.range, r.by_part, &r.overrides);
        if length > 0 {
            *self.response.body_mut() = ReplyBody::Stream { length, stream: r.body };
        }
    }

    pub(super) fn head_object(&mut self, r: &reply::HeadObject) {
        self.parts_count(&r.info, r.by_part);
        self.object(&r.info, r.range, r.by_part, &r.overrides);
    }

    /// Shown to who asks for a part (S3; COS's spelling is inferred).
    fn parts_count(&mut self, info: &ObjectInfo, by_part: bool) {
        if let Some(count) = info.parts.filter(|_| by_part) {
            self.concept(header::MP_PARTS_COUNT, &count.to_string());
        }
    }

    /// `x-cos-content-sha1` carries the MD5 of what was appended, whatever it is called (cos-api 3.4).
    pub(super) fn append_object(&mut self, r: &reply::AppendObject) {
        self.etag(&r.etag);
        self.crc64(r.crc64);
        self.encrypted(r.encryption.as_ref());
        self.set("x-cos-next-append-position", &r.length.to_string());
        self.concept(header::CONTENT_SHA1, &hex::encode(r.md5));
    }

    /// The headers of a GET or HEAD; the length of the body.
    fn object(
        &mut self,
        info: &ObjectInfo,
        range: Option<(u64, u64)>,
        by_part: bool,
        overrides: &ResponseOverrides,
    ) -> u64 {
        self.about(info);
        self.name(ACCEPT_RANGES, "bytes");
        self.last_modified(info.modified);
        self.attributes(&info.attributes, overrides);
        self.expiry(info.expiry.as_ref());
        self.restore(info.restore);
        self.tier(info.tier);
        self.replica(info.replica);
        self.lock(info.lock);
        self.encryption(info.encryption.as_ref());
        self.version(info.version.as_ref());
        if info.tags > 0 {
            self.concept(header::TAGGING_COUNT, &info.tags.to_string());
        }
        if info.appendable && self.is_cos() {
            self.set("x-cos-object-type", "appendable");
        }
        let length = match range {
            Some((start, end)) => {
                self.status(StatusCode::PARTIAL_CONTENT);
                let last = end.saturating_sub(1);
                self.name(CONTENT_RANGE, &format!("bytes {start}-{last}/{}", info.size));
                if by_part {
                    // Of the part, so it is of no number of parts.
                    self.checksums(&info.checksums, info.checksum_type, None);
                }
                end.saturating_sub(start)
            }
            None => {
                // A checksum of the whole says nothing of a part.
                self.checksums(&info.checksums, info.checksum_type, info.parts);
                info.size
            }
        };
        self.response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        length
    }

    pub(super) fn not_modified(&mut self, info: &ObjectInfo) {
        self.about(info);
        self.last_modified(info.modified);
        let none = ResponseOverrides::default();
        let kept = Attributes {
            content_type: info.attributes.content_type.clone(),
            cache_control: info.attributes.cache_control.clone(),
            expires: info.attributes.expires.clone(),
            ..Attributes::default()
        };
        self.attributes(&kept, &none);
        self.version(info.version.as_ref());
        self.name(CONTENT_LENGTH, &info.size.to_string());
    }

    fn about(&mut self, info: &ObjectInfo) {
        self.etag(&info.etag);
        self.crc64(info.crc64);
    }

    pub(super) fn attributes(&mut self, stored: &Attributes, overrides: &ResponseOverrides) {
        let content_type = overrides.content_type.as_ref().or(stored.content_type.as_ref());
        self.name(CONTENT_TYPE, content_type.map_or(self.dialect.content_type, String::as_str));
        for (name, over, kept) in [
            (CACHE_CONTROL, &overrides.cache_control, &stored.cache_control),
            (CONTENT_DISPOSITION, &overrides.content_disposition, &stored.content_disposition),
            (CONTENT_ENCODING, &overrides.content_encoding, &stored.content_encoding),
            (CONTENT_LANGUAGE, &overrides.content_language, &stored.content_language),
            (EXPIRES, &overrides.expires, &stored.expires),
        ] {
            if let Some(value) = over.as_ref().or(kept.as_ref()) {
                self.name(name, value);
            }
        }
        let prefix = header::META.of(self.dialect.name);
        for (name, value) in &stored.user {
            self.set(&format!("{prefix}{name}"), value);
        }
        if let Some(to) = stored.website_redirect.as_ref().filter(|_| !self.asked.website) {
            self.concept(header::WEBSITE_REDIRECT, to);
        }
        self.class(stored.storage_class);
    }

    /// The storage class, unless it is the ordinary one.
    pub(super) fn class(&mut self, class: StorageClass) {
        let name = self.dialect.class(class);
        if name != StorageClass::Standard.name() {
            self.concept(header::STORAGE_CLASS, name);
        }
    }

    /// Where the copies stand that rules ask for, or that it is one. COS's `Replica` was seen live; its other words
    /// are inferred (cos-api 3.6).
    fn replica(&mut self, state: Option<ReplicaState>) {
        let word = match state {
            None => return,
            Some(ReplicaState::Pending { .. }) => ["PENDING", "Pending"],
            Some(ReplicaState::Completed) => ["COMPLETED", "Complete"],
            Some(ReplicaState::Failed) => ["FAILED", "Failed"],
            Some(ReplicaState::Replica) => ["REPLICA", "Replica"],
        };
        self.concept(header::REPLICATION_STATUS, word[usize::from(self.is_cos())]);
    }

    /// Where a restore stands (cos-api 5; S3's `x-amz-restore`).
    fn restore(&mut self, restore: Option<Restore>) {
        match restore {
            None => {}
            Some(Restore::Done { expires }) => {
                let text = format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(expires));
                self.concept(header::RESTORE, &text);
            }
            Some(Restore::Ongoing { tier, requested, .. }) => {
                self.concept(header::RESTORE, "ongoing-request=\"true\"");
                if self.is_cos() {
                    let tier = tier.name().to_ascii_lowercase();
                    let text = format!("tier=\"{tier}\"; request-date=\"{}\"", http_date(requested));
                    self.set("x-cos-restore-status", &text);
                }
            }
        }
    }

    /// Where an object of intelligent tiering lies (cos-api 3.6); S3 tells of archives alone.
    pub(super) fn tier(&mut self, tier: Option<AccessTier>) {
        match tier {
            Some(tier) if self.is_cos() => self.set("x-cos-storage-tier", tier.name()),
            Some(AccessTier::Archived(tier)) => self.set("x-amz-archive-status", tier.name()),
            Some(_) | None => {}
        }
    }

    pub(super) fn restore_object(&mut self, r: &reply::RestoreObject) {
        if r.begun {
            self.status(StatusCode::ACCEPTED);
        }
    }

    pub(super) fn delete_object(&mut self, r: &reply::DeleteObject) {
        self.status(StatusCode::NO_CONTENT);
        self.version(r.version.as_ref());
        if r.delete_marker {
            self.concept(header::DELETE_MARKER, "true");
        }
    }

    pub(super) fn copy_object(&mut self, r: &reply::CopyObject) {
        if let Some(version) = &r.source_version {
            self.concept(header::COPY_SOURCE_VERSION_ID, version.as_str());
        }
        self.expiry(r.expiry.as_ref());
        self.version(r.version.as_ref());
        self.encrypted(r.encryption.as_ref());
        let mut xml = self.xml("CopyObjectResult");
        match self.dialect.name {
            DialectName::Cos => {
                xml.text("ETag", &r.etag.quoted());
                xml.value("CRC64", r.crc64);
                xml.text("LastModified", &r.modified.iso_seconds());
                xml.maybe("VersionId", r.version.as_ref().map(|v| v.as_str()));
            }
            DialectName::S3 => {
                xml.text("LastModified", &r.modified.iso_millis());
                xml.text("ETag", &r.etag.quoted());
                for checksum in &r.checksums {
                    xml.text(checksum_element(checksum.algorithm), &checksum_text(checksum, None, None));
                }
            }
        }
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn delete_objects(&mut self, r: &reply::DeleteObjects) {
        let mut xml = self.xml("DeleteResult");
        for deleted in &r.deleted {
            xml.element("Deleted", |xml| {
                xml.text("Key", &deleted.key);
                if let Some(marker) = &deleted.delete_marker {
                    xml.text("DeleteMarker", "true");
                    xml.text("DeleteMarkerVersionId", marker.as_str());
                }
                xml.maybe("VersionId", deleted.version.as_ref().map(|v| v.as_str()));
            });
        }
        for failed in &r.failed {
            let code = &failed.error.code;
            xml.element("Error", |xml| {
                xml.text("Key", &failed.key);
                xml.maybe("VersionId", failed.version.as_ref().map(|v| v.as_str()));
                xml.text("Code", if self.is_cos() { code.cos() } else { code.s3() });
                xml.text("Message", failed.error.message());
            });
        }
        let document = xml.finish();
        self.document(document);
    }
}
