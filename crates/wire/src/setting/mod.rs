//! Settings of buckets as documents: one file each, the same document to read and to write.

mod by_id;
mod cors;
mod encryption;
mod filter;
mod inventory;
mod lifecycle;
mod lock;
mod logging;
mod notification;
mod origin;
mod plain;
mod referer;
mod replication;
mod tagging;
mod website;

pub(crate) use lock::{mode as retention_mode, mode_name as retention_mode_name};
pub(crate) use tagging::{
    invalid as invalid_tag, new_bucket as bucket_tags, object as object_tags, write as write_tags,
};

use bytes::Bytes;
use cosette_model::op::reply;
use cosette_model::setting::{Inventory, RequestPayment};
use cosette_model::{Error, ErrorCode, Setting, SettingName};

use crate::dialect::Dialect;
use crate::request;
use crate::xml::{Element, Writer};
use crate::{Accounts, DialectName};

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
        SettingName::Encryption => "ServerSideEncryptionConfiguration",
        SettingName::Notification => "NotificationConfiguration",
        SettingName::Replication => "ReplicationConfiguration",
        SettingName::Origin => "OriginConfiguration",
        SettingName::DefaultTiering | SettingName::IntelligentTiering => "IntelligentTieringConfiguration",
        SettingName::Inventory => "InventoryConfiguration",
        SettingName::Analytics => "AnalyticsConfiguration",
        SettingName::Metrics => "MetricsConfiguration",
    }
}

/// The root of a list of them; both services' pages, and S3's on its types.
fn list_root(dialect: &Dialect, name: SettingName) -> &'static str {
    match name {
        SettingName::Inventory if dialect.name == DialectName::Cos => "ListInventoryConfigurationResult",
        SettingName::Inventory => "ListInventoryConfigurationsResult",
        SettingName::Analytics => "ListBucketAnalyticsConfigurationResult",
        SettingName::Metrics => "ListMetricsConfigurationsResult",
        _ => "ListBucketIntelligentTieringConfigurationsOutput",
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
pub(crate) fn read(
    dialect: &Dialect,
    accounts: &dyn Accounts,
    name: SettingName,
    document: &[u8],
) -> Result<Option<Setting>, Error> {
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
        SettingName::Logging => logging::read(&root, dialect, accounts)?.map(Setting::Logging),
        SettingName::Accelerate => Some(Setting::Accelerate(plain::read_accelerate(&root)?)),
        SettingName::Domain => Some(Setting::Domain(plain::read_domains(&root)?)),
        SettingName::RequestPayment => Some(Setting::RequestPayment(plain::read_payment(&root)?)),
        SettingName::Encryption => Some(Setting::Encryption(encryption::read(&root)?)),
        SettingName::Notification => notification::read(&root)?.map(Setting::Notification),
        SettingName::Replication => Some(Setting::Replication(replication::read(&root, dialect)?)),
        SettingName::Origin => Some(Setting::Origin(origin::read(&root)?)),
        SettingName::DefaultTiering => Some(Setting::DefaultTiering(by_id::read_default(&root, dialect)?)),
        SettingName::IntelligentTiering => {
            Some(Setting::IntelligentTiering(by_id::read_tiering(&root, dialect)?))
        }
        SettingName::Inventory => Some(Setting::Inventory(inventory::read(&root, dialect, false)?)),
        SettingName::Analytics => Some(Setting::Analytics(by_id::read_analytics(&root, dialect)?)),
        SettingName::Metrics => Some(Setting::Metrics(by_id::read_metrics(&root)?)),
    })
}

/// An inventory that is to be written once.
///
/// # Errors
/// As those of [`read`].
pub(crate) fn inventory_once(dialect: &Dialect, document: &[u8]) -> Result<Inventory, Error> {
    inventory::read(&Element::parse(document, root(SettingName::Inventory))?, dialect, true)
}

/// A document of what is set, or an empty one.
pub(crate) fn write(dialect: &Dialect, name: SettingName, setting: Option<&Setting>) -> Bytes {
    let mut xml = Writer::new(dialect, root(name));
    match setting {
        // Somebody always pays.
        None if name == SettingName::RequestPayment => {
            plain::write_payment(RequestPayment::BucketOwner, &mut xml);
        }
        None => {}
        Some(setting) => write_inside(setting, dialect, &mut xml),
    }
    xml.finish()
}

/// A page of those a bucket has several of.
pub(crate) fn write_list(dialect: &Dialect, list: &reply::ListSettings) -> Bytes {
    let mut xml = Writer::new(dialect, list_root(dialect, list.name));
    let token = |at: u64| request::token(&at.to_string());
    for setting in &list.settings {
        xml.element(root(list.name), |xml| write_inside(setting, dialect, xml));
    }
    xml.value("IsTruncated", list.next.is_some());
    xml.maybe("ContinuationToken", list.after.map(token).as_deref());
    xml.maybe("NextContinuationToken", list.next.map(token).as_deref());
    xml.finish()
}

fn write_inside(setting: &Setting, dialect: &Dialect, xml: &mut Writer) {
    let cos = dialect.name == DialectName::Cos;
    match setting {
        Setting::Tagging(tags) => tagging::write(tags, xml),
        Setting::Cors(cors) => cors::write(cors, xml),
        Setting::Website(site) => website::write(site, cos, xml),
        Setting::Referer(referer) => referer::write(referer, xml),
        Setting::ObjectLock(lock) => lock::write(lock, xml),
        Setting::Lifecycle(lifecycle) => lifecycle::write(lifecycle, dialect, xml),
        Setting::Logging(logging) => logging::write(logging, xml),
        Setting::Accelerate(accelerate) => plain::write_accelerate(*accelerate, cos, xml),
        Setting::Domain(domains) => plain::write_domains(domains, xml),
        Setting::RequestPayment(payment) => plain::write_payment(*payment, xml),
        Setting::Encryption(encryption) => encryption::write(encryption, dialect.name, xml),
        Setting::Notification(notification) => notification::write(notification, xml),
        Setting::Replication(replication) => replication::write(replication, dialect, xml),
        Setting::Origin(origin) => origin::write(origin, xml),
        Setting::DefaultTiering(tiering) => by_id::write_default(tiering, xml),
        Setting::IntelligentTiering(tiering) => by_id::write_tiering(tiering, xml),
        Setting::Inventory(inventory) => inventory::write(inventory, dialect, xml),
        Setting::Analytics(analytics) => by_id::write_analytics(analytics, dialect, xml),
        Setting::Metrics(metrics) => by_id::write_metrics(metrics, xml),
    }
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
