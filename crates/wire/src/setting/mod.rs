//! Settings of buckets as documents: one file each, the same document to read and to write.

mod cors;
mod tagging;

pub(crate) use tagging::{invalid as invalid_tag, object as object_tags, write as write_tags};

use bytes::Bytes;
use cosette_model::{Error, Setting, SettingName};

use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

/// The document's root.
pub(crate) fn root(name: SettingName) -> &'static str {
    match name {
        SettingName::Tagging => "Tagging",
        SettingName::Cors => "CORSConfiguration",
    }
}

/// Longest document, in bytes, where the service has a limit of its own (cos-api 3.7).
pub(crate) fn bytes_max(name: SettingName) -> Option<usize> {
    match name {
        SettingName::Cors => Some(64 << 10),
        SettingName::Tagging => None,
    }
}

/// What a document sets; `None` when it is one that removes the setting.
///
/// # Errors
/// `MalformedXML`, and the setting's own.
pub(crate) fn read(name: SettingName, document: &[u8]) -> Result<Option<Setting>, Error> {
    let root = Element::parse(document, root(name))?;
    Ok(Some(match name {
        SettingName::Tagging => Setting::Tagging(tagging::bucket(&root)?),
        SettingName::Cors => Setting::Cors(cors::read(&root)?),
    }))
}

/// A document of what is set, or an empty one.
pub(crate) fn write(dialect: &Dialect, name: SettingName, setting: Option<&Setting>) -> Bytes {
    let mut xml = Writer::new(dialect, root(name));
    match setting {
        None => {}
        Some(Setting::Tagging(tags)) => tagging::write(tags, &mut xml),
        Some(Setting::Cors(cors)) => cors::write(cors, &mut xml),
    }
    xml.finish()
}
