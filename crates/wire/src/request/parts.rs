//! Parts by their numbers, and the attributes of an object.

use cosette_model::op::{GetObjectAttributes, Shown};
use cosette_model::{ByteRange, Error, ErrorCode, PartNumber};

use super::{Incoming, invalid};
use crate::header;

/// Most parts of one page.
const PARTS_MAX: u32 = 1000;

impl Incoming<'_> {
    /// The number a request about one part must have.
    pub(super) fn part_number(&self) -> Result<PartNumber, Error> {
        let text = self.query.get("partNumber").unwrap_or_default();
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(|n| PartNumber::new(n).ok()).ok_or_else(|| {
            invalid("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
        })
    }

    /// The part that a read asks for.
    pub(super) fn part(&self, range: Option<ByteRange>) -> Result<Option<PartNumber>, Error> {
        if !self.query.has("partNumber") {
            return Ok(None);
        }
        if range.is_some() {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        self.part_number().map(Some)
    }

    pub(super) fn object_attributes(mut self) -> Result<GetObjectAttributes, Error> {
        let mut shown = Shown::default();
        let name = header::OBJECT_ATTRIBUTES.of(self.dialect);
        // Some clients send a line for each.
        for entry in self.headers.all() {
            let (header, list) = entry?;
            if header::OBJECT_ATTRIBUTES.strip(header) != Some("") {
                continue;
            }
            for attribute in list.split(',').map(str::trim).filter(|attribute| !attribute.is_empty()) {
                *match attribute {
                    "ETag" => &mut shown.etag,
                    "Checksum" => &mut shown.checksum,
                    "ObjectParts" => &mut shown.parts,
                    "StorageClass" => &mut shown.storage_class,
                    "ObjectSize" => &mut shown.size,
                    other => return Err(invalid(name, other, "Invalid attribute name specified.")),
                } = true;
            }
        }
        if shown == Shown::default() {
            return Err(invalid(name, "", "The request must name the attributes that are to be shown."));
        }
        let after = self.counted(header::PART_NUMBER_MARKER, 0, u32::from(u16::MAX))?;
        Ok(GetObjectAttributes {
            bucket: self.bucket()?,
            key: self.key()?,
            version: self.version()?,
            customer: self.customer_key()?,
            shown,
            parts_after: u16::try_from(after).unwrap_or(u16::MAX),
            parts_max: self.counted(header::MAX_PARTS, PARTS_MAX, PARTS_MAX)?,
        })
    }

    /// A count in a header.
    fn counted(&self, concept: header::Concept, default: u32, max: u32) -> Result<u32, Error> {
        match self.headers.concept(concept)? {
            None => Ok(default),
            Some(text) => super::list::count(concept.of(self.dialect), text, max),
        }
    }
}
