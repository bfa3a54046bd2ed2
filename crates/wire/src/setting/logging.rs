//! `BucketLoggingStatus{ LoggingEnabled?{ TargetBucket, TargetPrefix } }` (cos-api 3.3); S3's has grants and
//! ways to name the objects besides.

use cosette_model::setting::{LogKeyFormat, Logging, ServiceForm};
use cosette_model::{Error, Grant, Grantee, Permission, canonical_id};

use super::malformed;
use crate::dialect::Dialect;
use crate::request::{MACHINE_IMAGES, acl_grantee};
use crate::xml::{Element, Writer};
use crate::{Accounts, DialectName};

const PERMISSIONS: [(Permission, &str); 3] =
    [(Permission::Read, "READ"), (Permission::Write, "WRITE"), (Permission::FullControl, "FULL_CONTROL")];

/// Without a target, none.
pub(super) fn read(
    root: &Element,
    dialect: &Dialect,
    accounts: &dyn Accounts,
) -> Result<Option<Logging>, Error> {
    let Some(target) = root.child("LoggingEnabled")? else { return Ok(None) };
    let grants = match target.child("TargetGrants")? {
        None => Vec::new(),
        Some(list) => {
            list.all("Grant").map(|item| grant(item, dialect, accounts)).collect::<Result<Vec<_>, _>>()?
        }
    };
    let key_format = match target.child("TargetObjectKeyFormat")? {
        None => None,
        Some(format) => Some(match (format.child("SimplePrefix")?, format.child("PartitionedPrefix")?) {
            (Some(_), None) => LogKeyFormat::Simple,
            (None, Some(by)) => match by.text_of("PartitionDateSource")? {
                Some("EventTime") => LogKeyFormat::ByEventTime,
                Some("DeliveryTime") | None => LogKeyFormat::ByDeliveryTime,
                Some(_) => return Err(malformed()),
            },
            _ => return Err(malformed()),
        }),
    };
    let form = match dialect.name {
        DialectName::Cos if key_format.is_some() || !grants.is_empty() => return Err(malformed()),
        DialectName::Cos => ServiceForm::Cos,
        DialectName::S3 => ServiceForm::S3,
    };
    Ok(Some(Logging {
        form,
        bucket: target.text_of("TargetBucket")?.ok_or_else(malformed)?.to_owned(),
        prefix: target.child("TargetPrefix")?.map(|prefix| prefix.text.clone()).unwrap_or_default(),
        key_format,
        grants,
    }))
}

fn grant(element: &Element, dialect: &Dialect, accounts: &dyn Accounts) -> Result<Grant, Error> {
    let grantee = acl_grantee(element.child("Grantee")?.ok_or_else(malformed)?, dialect.name, accounts)?;
    let said = element.need("Permission")?.trim();
    let permission = PERMISSIONS.iter().find(|(_, name)| *name == said).ok_or_else(malformed)?.0;
    Ok(Grant { grantee, permission })
}

pub(super) fn write(logging: &Logging, xml: &mut Writer) {
    xml.element("LoggingEnabled", |xml| {
        xml.text("TargetBucket", &logging.bucket);
        if !logging.grants.is_empty() {
            xml.element("TargetGrants", |xml| {
                for grant in &logging.grants {
                    xml.element("Grant", |xml| write_grant(grant, xml));
                }
            });
        }
        xml.text("TargetPrefix", &logging.prefix);
        let source = match logging.key_format {
            None => return,
            Some(LogKeyFormat::Simple) => {
                return xml.element("TargetObjectKeyFormat", |xml| xml.element("SimplePrefix", |_| {}));
            }
            Some(LogKeyFormat::ByEventTime) => "EventTime",
            Some(LogKeyFormat::ByDeliveryTime) => "DeliveryTime",
        };
        xml.element("TargetObjectKeyFormat", |xml| {
            xml.element("PartitionedPrefix", |xml| xml.text("PartitionDateSource", source));
        });
    });
}

fn write_grant(grant: &Grant, xml: &mut Writer) {
    const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
    let group = |name: &str| ("Group", "URI", format!("http://acs.amazonaws.com/groups/{name}"));
    let (kind, name, value) = match &grant.grantee {
        Grantee::Account(uin) => ("CanonicalUser", "ID", canonical_id(uin)),
        Grantee::MachineImages => ("CanonicalUser", "ID", MACHINE_IMAGES.to_owned()),
        Grantee::AuthenticatedUsers => group("global/AuthenticatedUsers"),
        Grantee::LogDelivery => group("s3/LogDelivery"),
        Grantee::AllUsers => group("global/AllUsers"),
    };
    xml.element_with("Grantee", &[("xmlns:xsi", XSI), ("xsi:type", kind)], |xml| xml.text(name, &value));
    let named = PERMISSIONS.iter().find(|(permission, _)| *permission == grant.permission);
    xml.maybe("Permission", named.map(|(_, name)| *name));
}
