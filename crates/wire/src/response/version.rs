//! Replies about versions (cos-api 3.2, 4).

use cosette_model::op::reply::{GetBucketVersioning, ListObjectVersions, VersionEntry};
use cosette_model::{AccessTier, VersionId, Versioning};

use super::Answer;
use crate::xml::Writer;

impl Answer<'_> {
    pub(super) fn get_versioning(&mut self, r: &GetBucketVersioning) {
        let mut xml = self.xml("VersioningConfiguration");
        xml.maybe(
            "Status",
            match r.versioning {
                Versioning::Off => None,
                Versioning::Enabled => Some("Enabled"),
                Versioning::Suspended => Some("Suspended"),
            },
        );
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn list_versions(&mut self, r: &ListObjectVersions) {
        let show = |text: &str| self.listed(text, r.url_encode);
        let delimiter = r.listing.delimiter.as_deref().map(show);
        let encoding = r.url_encode.then_some("url");
        let mut xml = self.xml("ListVersionsResult");
        if self.is_cos() {
            xml.maybe("EncodingType", encoding);
        }
        xml.text("Name", r.bucket.as_str());
        xml.text("Prefix", &show(&r.listing.prefix));
        xml.text("KeyMarker", &show(&r.listing.after));
        xml.text("VersionIdMarker", r.version_marker.as_ref().map_or("", VersionId::as_str));
        if let Some((key, version)) = &r.next {
            xml.text("NextKeyMarker", &show(key));
            match version {
                Some(version) => xml.text("NextVersionIdMarker", version.as_str()),
                // COS says that there is none.
                None if self.is_cos() => xml.text("NextVersionIdMarker", ""),
                // Behind a version of a bucket that never had versioning; behind a prefix S3 says nothing.
                None if r.versions.last().is_some_and(|last| last.key.as_str() == key) => {
                    xml.text("NextVersionIdMarker", VersionId::Null.as_str());
                }
                None => {}
            }
        }
        xml.value("MaxKeys", r.listing.max);
        xml.maybe("Delimiter", delimiter.as_deref());
        if !self.is_cos() {
            xml.maybe("EncodingType", encoding);
        }
        xml.value("IsTruncated", r.next.is_some());
        if self.is_cos() {
            self.version_prefixes(&mut xml, r);
        }
        for entry in &r.versions {
            let name = if entry.body.is_some() { "Version" } else { "DeleteMarker" };
            xml.element(name, |xml| self.version_entry(xml, entry, r));
        }
        if !self.is_cos() {
            self.version_prefixes(&mut xml, r);
        }
        let document = xml.finish();
        self.document(document);
    }

    fn version_entry(&self, xml: &mut Writer, entry: &VersionEntry, r: &ListObjectVersions) {
        xml.text("Key", &self.listed(entry.key.as_str(), r.url_encode));
        // In a bucket that never had versioning COS leaves it empty (cos-api 3.2).
        let unnamed = if self.is_cos() { "" } else { "null" };
        xml.text("VersionId", entry.version.as_ref().map_or(unnamed, VersionId::as_str));
        xml.value("IsLatest", entry.latest);
        xml.text("LastModified", &entry.modified.iso_millis());
        if let Some(body) = &entry.body {
            xml.text("ETag", &body.etag.quoted());
            xml.value("Size", body.size);
            xml.text("StorageClass", self.dialect.class(body.storage_class));
            if self.is_cos() {
                xml.maybe("StorageTier", body.tier.map(AccessTier::name));
            }
        }
        self.object_owner(xml, "Owner", &entry.owner);
    }

    fn version_prefixes(&self, xml: &mut Writer, r: &ListObjectVersions) {
        for prefix in &r.common_prefixes {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &self.listed(prefix, r.url_encode)));
        }
    }
}
