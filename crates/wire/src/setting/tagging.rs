//! `Tagging{ TagSet{ Tag*{ Key, Value } } }`, of buckets and objects (cos-api 3.3, 3.4).

use cosette_model::setting::InvalidTag;
use cosette_model::{Error, ErrorCode, Tags};

use crate::xml::{Element, Writer};

pub(super) fn bucket(root: &Element) -> Result<Tags, Error> {
    Tags::of_bucket(pairs(root)?).map_err(invalid)
}

pub(crate) fn object(document: &[u8]) -> Result<Tags, Error> {
    let root = Element::parse(document, "Tagging")?;
    Tags::of_object(pairs(&root)?).map_err(invalid)
}

/// The `Tag`s that a bucket is made with.
pub(crate) fn new_bucket(set: &Element) -> Result<Tags, Error> {
    Tags::of_bucket(of_set(set)?).map_err(invalid)
}

fn pairs(root: &Element) -> Result<Vec<(String, String)>, Error> {
    of_set(root.child("TagSet")?.ok_or(ErrorCode::MalformedXml)?)
}

fn of_set(set: &Element) -> Result<Vec<(String, String)>, Error> {
    set.all("Tag").map(|tag| Ok((tag.need("Key")?.to_owned(), tag.need("Value")?.to_owned()))).collect()
}

pub(crate) fn invalid(why: InvalidTag) -> Error {
    let message = why.to_string();
    match why {
        // S3's code for too many; COS's list has no other for it.
        InvalidTag::TooMany(_) => Error::with(ErrorCode::TooManyTags, message),
        InvalidTag::Key(key) | InvalidTag::Twice(key) => {
            Error::with(ErrorCode::InvalidTag, message).detail("TagKey", key)
        }
        InvalidTag::Value(value) => Error::with(ErrorCode::InvalidTag, message).detail("TagValue", value),
    }
}

pub(crate) fn write(tags: &Tags, xml: &mut Writer) {
    xml.element("TagSet", |xml| {
        for (key, value) in tags.iter() {
            xml.element("Tag", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
}
