//! Settings of buckets as documents: one file each, the same document to read and to write.

mod cors;
mod lifecycle;
mod lock;
mod plain;
mod referer;
mod tagging;
mod website;

pub(crate) use lock::{mode as retention_mode, mode_name as retention_mode_name};
pub(crate) use tagging::{
    invalid as invalid_tag, new_bucket as bucket_tags, object as object_tags, write as write_tags,
};

use bytes::Bytes;
use cosette_model::setting::RequestPayment;
use cosette_model::{Error, ErrorCode, Setting, SettingName};

use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

/// The document's root.
pub(crate) fn root(name: SettingName) -> &'static str {
    match name {
        SettingName::Tagging => "Tagging",
        SettingName::Cors => "CORSConfiguration",
        SettingName::Website => "WebsiteConfiguration",
        SettingName::Referer => "RefererConfiguration",
        SettingName::ObjectLock => "ObjectLockConfiguration",
        SettingName::Lifecycle => "LifecycleConfiguration",
        SettingName::Logging => "BucketLoggingStatus",
        SettingName::Accelerate => "AccelerateConfiguration",
        SettingName::Domain => "DomainConfiguration",
        SettingName::RequestPayment => "RequestPaymentConfiguration",
    }
}

/// Longest document, in bytes, where the service has a limit of its own (cos-api 3.7).
pub(crate) fn bytes_max(name: SettingName) -> Option<usize> {
    matches!(name, SettingName::Cors | SettingName::Website).then_some(64 << 10)
}

/// Whether a request without a body removes the setting.
fn removed_by_nothing(name: SettingName) -> bool {
    name == SettingName::Referer
}

/// What a document sets; `None` when it is one that removes the setting.
///
/// # Errors
/// `MalformedXML`, and the setting's own.
pub(crate) fn read(dialect: &Dialect, name: SettingName, document: &[u8]) -> Result<Option<Setting>, Error> {
    if removed_by_nothing(name) && document.trim_ascii().is_empty() {
        return Ok(None);
    }
    let root = Element::parse(document, root(name))?;
    Ok(match name {
        SettingName::Tagging => Some(Setting::Tagging(tagging::bucket(&root)?)),
        SettingName::Cors => Some(Setting::Cors(cors::read(&root)?)),
        SettingName::ObjectLock => Some(Setting::ObjectLock(lock::read(&root)?)),
        SettingName::Website => Some(Setting::Website(website::read(&root)?)),
        SettingName::Referer => referer::read(&root)?.map(Setting::Referer),
        SettingName::Lifecycle => Some(Setting::Lifecycle(lifecycle::read(&root, dialect)?)),
        SettingName::Logging => plain::read_logging(&root)?.map(Setting::Logging),
        SettingName::Accelerate => Some(Setting::Accelerate(plain::read_accelerate(&root)?)),
        SettingName::Domain => Some(Setting::Domain(plain::read_domains(&root)?)),
        SettingName::RequestPayment => Some(Setting::RequestPayment(plain::read_payment(&root)?)),
    })
}

/// A document of what is set, or an empty one.
pub(crate) fn write(dialect: &Dialect, name: SettingName, setting: Option<&Setting>) -> Bytes {
    let mut xml = Writer::new(dialect, root(name));
    let cos = dialect.name == DialectName::Cos;
    match setting {
        // Somebody always pays.
        None if name == SettingName::RequestPayment => {
            plain::write_payment(RequestPayment::BucketOwner, &mut xml);
        }
        None => {}
        Some(Setting::Tagging(tags)) => tagging::write(tags, &mut xml),
        Some(Setting::Cors(cors)) => cors::write(cors, &mut xml),
        Some(Setting::Website(site)) => website::write(site, cos, &mut xml),
        Some(Setting::Referer(referer)) => referer::write(referer, &mut xml),
        Some(Setting::ObjectLock(lock)) => lock::write(lock, &mut xml),
        Some(Setting::Lifecycle(lifecycle)) => lifecycle::write(lifecycle, dialect, &mut xml),
        Some(Setting::Logging(logging)) => plain::write_logging(logging, &mut xml),
        Some(Setting::Accelerate(accelerate)) => plain::write_accelerate(*accelerate, cos, &mut xml),
        Some(Setting::Domain(domains)) => plain::write_domains(domains, &mut xml),
        Some(Setting::RequestPayment(payment)) => plain::write_payment(*payment, &mut xml),
    }
    xml.finish()
}

fn malformed() -> Error {
    ErrorCode::MalformedXml.into()
}

/// An element that says `Enabled` or something else for off.
fn enabled(element: &Element, name: &str) -> Result<Option<bool>, Error> {
    match element.text_of(name)? {
        None => Ok(None),
        Some("Enabled") => Ok(Some(true)),
        Some("Disabled") => Ok(Some(false)),
        Some(_) => Err(malformed()),
    }
}
