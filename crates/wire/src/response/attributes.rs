//! The reply of GetObjectAttributes.

use cosette_model::op::ChecksumType;
use cosette_model::op::reply::{AttributeParts, GetObjectAttributes};

use super::{Answer, checksum_text, checksum_type};
use crate::request::checksum_element;
use crate::xml::Writer;

impl Answer<'_> {
    pub(super) fn object_attributes(&mut self, r: &GetObjectAttributes) {
        let (info, shown) = (&r.info, r.shown);
        self.last_modified(info.modified);
        self.version(info.version.as_ref());
        let mut xml = self.xml("GetObjectAttributesResponse");
        if shown.etag {
            // Without quotes, here alone.
            xml.text("ETag", info.etag.as_str());
        }
        if shown.checksum && !info.checksums.is_empty() {
            xml.element("Checksum", |xml| {
                for checksum in &info.checksums {
                    // Nor does it say of how many parts it was made.
                    xml.text(checksum_element(checksum.algorithm), &checksum_text(checksum, None, None));
                }
                xml.text(
                    "ChecksumType",
                    checksum_type(info.checksum_type.unwrap_or(ChecksumType::FullObject)),
                );
            });
        }
        if let Some(parts) = &r.parts {
            xml.element("ObjectParts", |xml| object_parts(xml, parts));
        }
        if shown.storage_class {
            xml.text("StorageClass", info.attributes.storage_class.name());
        }
        if shown.size {
            xml.value("ObjectSize", info.size);
        }
        let document = xml.finish();
        self.document(document);
    }
}

fn object_parts(xml: &mut Writer, r: &AttributeParts) {
    xml.value("PartsCount", r.count);
    if !r.parts.is_empty() || r.truncated {
        xml.value("PartNumberMarker", r.after);
        xml.value("NextPartNumberMarker", r.parts.last().map_or(r.after, |part| part.number.get()));
        xml.value("MaxParts", r.max);
        xml.value("IsTruncated", r.truncated);
    }
    for part in &r.parts {
        xml.element("Part", |xml| {
            xml.value("PartNumber", part.number.get());
            xml.value("Size", part.size);
            for checksum in &part.checksums {
                xml.text(checksum_element(checksum.algorithm), &checksum_text(checksum, None, None));
            }
        });
    }
}
