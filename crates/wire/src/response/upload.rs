//! Replies of multipart uploads (cos-api 3.5).

use cosette_model::op::{Expiry, reply};
use cosette_model::{ETag, Encrypted};

use super::{Answer, checksum_text, checksum_type, http_date};
use crate::request::checksum_element;
use crate::xml::Writer;
use crate::{header, path};

impl Answer<'_> {
    /// When a lifecycle rule ends the upload, and which: S3 alone says so.
    fn abort(&mut self, abort: Option<&Expiry>) {
        if let Some(Expiry { at, rule }) = abort.filter(|_| !self.is_cos()) {
            self.set("x-amz-abort-date", &http_date(*at));
            self.set("x-amz-abort-rule-id", rule);
        }
    }

    pub(super) fn create_upload(&mut self, r: &reply::CreateMultipartUpload) {
        self.abort(r.abort.as_ref());
        if let Some((algorithm, kind)) = r.checksum {
            self.set("x-amz-checksum-algorithm", algorithm.name());
            self.set("x-amz-checksum-type", checksum_type(kind));
        }
        self.encrypted(r.encryption.as_ref());
        let mut xml = self.xml("InitiateMultipartUploadResult");
        xml.text("Bucket", r.bucket.as_str());
        xml.text("Key", r.key.as_str());
        xml.text("UploadId", r.upload.as_str());
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn upload_part(&mut self, r: &reply::UploadPart) {
        self.etag(&r.etag);
        self.crc64(r.crc64);
        self.encryption(r.encryption.as_ref());
        for checksum in &r.checksums {
            let name = format!("x-amz-checksum-{}", checksum.algorithm.name().to_ascii_lowercase());
            self.set(&name, &checksum_text(checksum, None, None));
        }
    }

    pub(super) fn upload_part_copy(&mut self, r: &reply::UploadPartCopy) {
        if let Some(version) = &r.source_version {
            self.concept(header::COPY_SOURCE_VERSION_ID, version.as_str());
        }
        self.crc64(r.crc64);
        self.encryption(r.encryption.as_ref());
        let mut xml = self.xml("CopyPartResult");
        if self.is_cos() {
            xml.text("ETag", &r.etag.quoted());
            xml.text("LastModified", &r.modified.iso_seconds());
            // Where it stands is not known: clients look here and in the header (cos-api 3.5).
            xml.value("CRC64", r.crc64);
        } else {
            xml.text("LastModified", &r.modified.iso_millis());
            xml.text("ETag", &r.etag.quoted());
            for checksum in &r.checksums {
                xml.text(checksum_element(checksum.algorithm), &checksum_text(checksum, None, None));
            }
        }
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn complete_upload(&mut self, r: &reply::CompleteMultipartUpload) {
        self.crc64(r.crc64);
        self.expiry(r.expiry.as_ref());
        self.version(r.version.as_ref());
        // COS says so of a customer's key as well, which need not have come; S3 does not.
        let shown =
            r.encryption.as_ref().filter(|how| self.is_cos() || !matches!(how, Encrypted::Customer { .. }));
        self.encryption(shown);
        let mut xml = Writer::with_namespace(
            self.dialect,
            "CompleteMultipartUploadResult",
            Some(self.dialect.complete_namespace),
        );
        let (_, path) = self.asked.resource.split_once('/').unwrap_or_default();
        xml.text("Location", &format!("{}/{}", self.asked.origin, path::encode_path(path)));
        xml.text("Bucket", r.bucket.as_str());
        xml.text("Key", r.key.as_str());
        xml.text("ETag", &r.etag.quoted());
        if !self.is_cos() {
            for checksum in &r.checksums {
                let text = checksum_text(checksum, r.checksum_type, parts_of(&r.etag));
                xml.text(checksum_element(checksum.algorithm), &text);
            }
            xml.maybe("ChecksumType", r.checksum_type.map(checksum_type));
        }
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn list_parts(&mut self, r: &reply::ListParts) {
        self.abort(r.abort.as_ref());
        let mut xml = self.xml("ListPartsResult");
        let next = r.parts.last().map_or(r.after, |part| part.number.get());
        let encoding = r.url_encode.then_some("url");
        xml.text("Bucket", r.bucket.as_str());
        if self.is_cos() {
            // Clients read one spelling or the other (cos-api 3.5).
            xml.maybe("Encoding-type", encoding);
        }
        xml.maybe("EncodingType", encoding);
        xml.text("Key", &self.listed(r.key.as_str(), r.url_encode));
        xml.text("UploadId", r.upload.as_str());
        if self.is_cos() {
            self.object_owner(&mut xml, "Owner", &r.owner);
            self.account_owner(&mut xml, "Initiator", &r.owner);
        } else {
            self.account_owner(&mut xml, "Initiator", &r.owner);
            self.object_owner(&mut xml, "Owner", &r.owner);
            xml.text("StorageClass", self.dialect.class(r.storage_class));
        }
        xml.value("PartNumberMarker", r.after);
        if r.truncated || !self.is_cos() {
            xml.value("NextPartNumberMarker", next);
        }
        if self.is_cos() {
            xml.text("StorageClass", self.dialect.class(r.storage_class));
        }
        xml.value("MaxParts", r.max);
        xml.value("IsTruncated", r.truncated);
        for part in &r.parts {
            xml.element("Part", |xml| {
                xml.value("PartNumber", part.number.get());
                xml.text("LastModified", &part.modified.iso_millis());
                xml.text("ETag", &part.etag.quoted());
                xml.value("Size", part.size);
                for checksum in part.checksums.iter().filter(|_| !self.is_cos()) {
                    xml.text(checksum_element(checksum.algorithm), &checksum_text(checksum, None, None));
                }
            });
        }
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn list_uploads(&mut self, r: &reply::ListMultipartUploads) {
        let show = |text: &str| self.listed(text, r.url_encode);
        let encoding = r.url_encode.then_some("url");
        let mut xml = self.xml("ListMultipartUploadsResult");
        xml.text("Bucket", r.bucket.as_str());
        if self.is_cos() {
            xml.maybe("Encoding-Type", encoding);
            xml.maybe("EncodingType", encoding);
        }
        xml.text("KeyMarker", &show(&r.key_marker));
        xml.text("UploadIdMarker", &r.upload_marker);
        if let Some((key, upload)) = &r.next {
            xml.text("NextKeyMarker", &show(key));
            xml.text("NextUploadIdMarker", upload);
        }
        let delimiter = r.delimiter.as_deref().map(show);
        if self.is_cos() {
            xml.value("MaxUploads", r.max);
            xml.value("IsTruncated", r.next.is_some());
            xml.text("Prefix", &show(&r.prefix));
            xml.maybe("Delimiter", delimiter.as_deref());
        } else {
            xml.maybe("Delimiter", delimiter.as_deref());
            xml.text("Prefix", &show(&r.prefix));
            xml.value("MaxUploads", r.max);
            xml.maybe("EncodingType", encoding);
            xml.value("IsTruncated", r.next.is_some());
        }
        for upload in &r.uploads {
            xml.element("Upload", |xml| {
                xml.text("Key", &show(upload.key.as_str()));
                xml.text("UploadId", upload.upload.as_str());
                if self.is_cos() {
                    xml.text("StorageClass", self.dialect.class(upload.storage_class));
                }
                self.account_owner(xml, "Initiator", &upload.owner);
                self.account_owner(xml, "Owner", &upload.owner);
                if !self.is_cos() {
                    xml.text("StorageClass", self.dialect.class(upload.storage_class));
                }
                xml.text("Initiated", &upload.initiated.iso_millis());
            });
        }
        for prefix in &r.common_prefixes {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &show(prefix)));
        }
        let document = xml.finish();
        self.document(document);
    }
}

/// `9` of `...-9`.
fn parts_of(etag: &ETag) -> Option<u32> {
    etag.as_str().rsplit_once('-')?.1.parse().ok()
}
