//! Listings of buckets and objects, elements in each service's own order (cos-api 3.1, 3.2).

use cosette_model::op::Listing;
use cosette_model::op::reply::{Entry, ListBuckets, ListObjects, ListObjectsV2, Page};
use cosette_model::{AccessTier, Restore};

use super::Answer;
use crate::header;
use crate::request::token;
use crate::xml::Writer;

impl Answer<'_> {
    pub(super) fn list_buckets(&mut self, r: &ListBuckets) {
        let mut xml = self.xml("ListAllMyBucketsResult");
        self.account_owner(&mut xml, "Owner", &r.owner);
        xml.element("Buckets", |xml| {
            for bucket in &r.buckets {
                xml.element("Bucket", |xml| {
                    xml.text("Name", bucket.name.as_str());
                    if self.is_cos() {
                        xml.text("Location", bucket.region.as_str());
                        xml.text("CreationDate", &bucket.created.iso_seconds());
                        xml.text("BucketType", "cos");
                    } else {
                        xml.text("CreationDate", &bucket.created.iso_millis());
                        xml.text("BucketRegion", bucket.region.as_str());
                    }
                });
            }
        });
        if !self.is_cos() {
            xml.maybe("ContinuationToken", r.next.as_deref().map(token).as_deref());
            xml.maybe("Prefix", r.prefix.as_deref());
        } else {
            // The Python SDK's tests read it of every page.
            xml.text("Marker", r.marker.as_deref().unwrap_or_default());
            xml.maybe("NextMarker", r.next.as_deref());
            xml.value("IsTruncated", r.next.is_some());
        }
        let document = xml.finish();
        self.document(document);
    }

    pub(super) fn list_objects(&mut self, r: &ListObjects) {
        self.concept(header::BUCKET_REGION, r.region.as_str());
        let show = |text: &str| self.listed(text, r.url_encode);
        let next = r.page.next.as_deref().map(show);
        let delimiter = r.listing.delimiter.as_deref().map(show);
        let encoding = r.url_encode.then_some("url");
        let mut xml = self.xml("ListBucketResult");
        xml.text("Name", r.bucket.as_str());
        if self.is_cos() {
            xml.maybe("EncodingType", encoding);
            self.head(&mut xml, &r.listing, show);
            xml.maybe("Delimiter", delimiter.as_deref());
            xml.value("IsTruncated", next.is_some());
            xml.maybe("NextMarker", next.as_deref());
            self.prefixes(&mut xml, &r.page, r.url_encode);
            self.contents(&mut xml, &r.page, r.url_encode);
        } else {
            xml.text("Prefix", &show(&r.listing.prefix));
            xml.text("Marker", &show(&r.listing.after));
            // S3 gives it only with a delimiter; without one the last key serves.
            xml.maybe("NextMarker", next.as_deref().filter(|_| delimiter.is_some()));
            xml.value("MaxKeys", r.listing.max);
            xml.maybe("Delimiter", delimiter.as_deref());
            xml.maybe("EncodingType", encoding);
            xml.value("IsTruncated", next.is_some());
            self.contents(&mut xml, &r.page, r.url_encode);
            self.prefixes(&mut xml, &r.page, r.url_encode);
        }
        let document = xml.finish();
        self.document(document);
    }

    fn head(&self, xml: &mut Writer, listing: &Listing, show: impl Fn(&str) -> String) {
        xml.text("Prefix", &show(&listing.prefix));
        xml.text("Marker", &show(&listing.after));
        xml.value("MaxKeys", listing.max);
    }

    pub(super) fn list_objects_v2(&mut self, r: &ListObjectsV2) {
        self.concept(header::BUCKET_REGION, r.region.as_str());
        let show = |text: &str| self.listed(text, r.url_encode);
        let mut xml = self.xml("ListBucketResult");
        xml.text("Name", r.bucket.as_str());
        xml.text("Prefix", &show(&r.listing.prefix));
        xml.maybe("ContinuationToken", r.continuation_token.as_deref());
        xml.maybe("NextContinuationToken", r.page.next.as_deref().map(token).as_deref());
        xml.maybe("StartAfter", r.start_after.as_deref().map(show).as_deref());
        xml.value("KeyCount", r.page.objects.len() + r.page.common_prefixes.len());
        xml.value("MaxKeys", r.listing.max);
        xml.maybe("Delimiter", r.listing.delimiter.as_deref().map(show).as_deref());
        xml.maybe("EncodingType", r.url_encode.then_some("url"));
        xml.value("IsTruncated", r.page.next.is_some());
        self.contents(&mut xml, &r.page, r.url_encode);
        self.prefixes(&mut xml, &r.page, r.url_encode);
        let document = xml.finish();
        self.document(document);
    }

    fn contents(&self, xml: &mut Writer, page: &Page, url_encode: bool) {
        for entry in &page.objects {
            xml.element("Contents", |xml| self.entry(xml, entry, url_encode));
        }
    }

    fn entry(&self, xml: &mut Writer, entry: &Entry, url_encode: bool) {
        xml.text("Key", &self.listed(entry.key.as_str(), url_encode));
        xml.text("LastModified", &entry.modified.iso_millis());
        xml.text("ETag", &entry.etag.quoted());
        xml.value("Size", entry.size);
        if let Some(owner) = &entry.owner {
            self.object_owner(xml, "Owner", owner);
        }
        xml.text("StorageClass", self.dialect.class(entry.storage_class));
        if self.is_cos() {
            xml.maybe("StorageTier", entry.tier.map(AccessTier::name));
            // S3 shows it to who asks for it.
            xml.maybe(
                "RestoreStatus",
                entry.restore.map(|restore| match restore {
                    Restore::Ongoing { .. } => "ONGOING",
                    Restore::Done { .. } => "DONE",
                }),
            );
        }
    }

    fn prefixes(&self, xml: &mut Writer, page: &Page, url_encode: bool) {
        for prefix in &page.common_prefixes {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &self.listed(prefix, url_encode)));
        }
    }
}
