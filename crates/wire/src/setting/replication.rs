//! `ReplicationConfiguration` of both services (cos-api 6.2; S3's PutBucketReplication).

use std::collections::BTreeSet;

use cosette_model::setting::{Replication, ReplicationRule, ReplicationTarget, Status};
use cosette_model::{Error, ErrorCode, StorageClass};

use super::{filter, malformed};
use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

const RULES_MAX: usize = 1_000;
const ID_MAX: usize = 255;

fn request(why: impl Into<String>) -> Error {
    Error::with(ErrorCode::InvalidRequest, why)
}

pub(super) fn read(root: &Element, dialect: &Dialect) -> Result<Replication, Error> {
    let role = root.text_of("Role")?.ok_or_else(malformed)?.to_owned();
    let well_formed = match dialect.name {
        DialectName::Cos => role.starts_with("qcs::cam::uin/") && role.contains(":uin/"),
        DialectName::S3 => role.starts_with("arn:aws") && role.contains(":role/"),
    };
    if !well_formed {
        return Err(filter::argument("The role is not well-formed.")
            .detail("ArgumentName", "Role")
            .detail("ArgumentValue", role));
    }
    let rules = root.all("Rule").map(|element| rule(element, dialect)).collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(malformed());
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = rules.iter().filter_map(|rule| rule.id.as_ref()).find(|id| !ids.insert(*id)) {
        return Err(filter::argument("Rule Id must be unique")
            .detail("ArgumentName", "ID")
            .detail("ArgumentValue", twice));
    }
    if rules.iter().any(|rule| rule.filter.is_some()) && rules.iter().any(|rule| rule.prefix.is_some()) {
        return Err(request("Rules with and without a Filter cannot be mixed."));
    }
    let mut priorities = BTreeSet::new();
    if let Some(twice) =
        rules.iter().filter_map(|rule| rule.priority).find(|number| !priorities.insert(*number))
    {
        return Err(request(format!("Found duplicate priority {twice}. Priority must be unique.")));
    }
    if let Some((one, other)) = overlapping(&rules) {
        let why = format!("Found overlapping prefixes '{one}' and '{other}' for same Filter");
        return Err(request(why));
    }
    Ok(Replication { role, rules })
}

/// Of rules in the older form, which have nothing else to be told apart by.
fn overlapping(rules: &[ReplicationRule]) -> Option<(&str, &str)> {
    let old: Vec<_> = rules.iter().filter_map(|rule| rule.prefix.as_deref()).collect();
    old.iter().enumerate().find_map(|(at, one)| {
        let other = old[at + 1..].iter().find(|other| one.starts_with(**other) || other.starts_with(one))?;
        Some((*one, *other))
    })
}

fn rule(element: &Element, dialect: &Dialect) -> Result<ReplicationRule, Error> {
    let id = filter::text(element, "ID")?;
    if id.as_ref().is_some_and(|id| id.chars().count() > ID_MAX) {
        return Err(filter::argument("ID length should not exceed allowed limit of 255"));
    }
    let prefix = element.child("Prefix")?.map(|prefix| prefix.text.clone());
    let key_filter = filter::of(element)?;
    let s3 = dialect.name == DialectName::S3;
    let priority = filter::number(element, "Priority")?;
    let delete_markers = filter::status_in(element, "DeleteMarkerReplication")?;
    match (&prefix, &key_filter) {
        (Some(_), Some(_)) => return Err(malformed()),
        (None, None) if s3 => return Err(malformed()),
        (None, Some(found)) if s3 => {
            const SCHEMA: &str = "must be specified for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information.";
            if priority.is_none() {
                return Err(request(format!("Priority {SCHEMA}")));
            }
            if delete_markers.is_none() {
                return Err(request(format!("DeleteMarkerReplication {SCHEMA}")));
            }
            if !found.tags.is_empty() && delete_markers == Some(Status::Enabled) {
                return Err(request(
                    "Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer Guide for more information.",
                ));
            }
        }
        _ => {}
    }
    let criteria = element.child("SourceSelectionCriteria")?;
    let criterion = |name| criteria.map_or(Ok(None), |criteria| filter::status_in(criteria, name));
    let kms_encrypted = criterion("SseKmsEncryptedObjects")?;
    let destination = target(element.child("Destination")?.ok_or_else(malformed)?, dialect)?;
    if kms_encrypted == Some(Status::Enabled) && destination.kms_key.is_none() {
        return Err(request("ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."));
    }
    Ok(ReplicationRule {
        id,
        status: filter::status(element)?,
        priority,
        prefix,
        filter: key_filter,
        destination,
        delete_markers,
        existing_objects: filter::status_in(element, "ExistingObjectReplication")?,
        kms_encrypted,
        replica_modifications: criterion("ReplicaModifications")?,
    })
}

fn target(element: &Element, dialect: &Dialect) -> Result<ReplicationTarget, Error> {
    let class = match element.text_of("StorageClass")? {
        // COS's own documents write "Standard" here.
        Some(class) => Some(StorageClass::parse(&class.to_ascii_uppercase()).ok_or_else(malformed)?),
        None => None,
    };
    let owner_destination = match element.child("AccessControlTranslation")? {
        None => false,
        Some(to) if to.text_of("Owner")? == Some("Destination") => true,
        Some(_) => return Err(malformed()),
    };
    let account = filter::text(element, "Account")?;
    if owner_destination && account.is_none() {
        return Err(request("Account must be specified if AccessControlTranslation is present."));
    }
    let minutes = |outer: &Element, name| match outer.child(name)? {
        None => Ok::<_, Error>(None),
        Some(inner) => match filter::number(inner, "Minutes")? {
            // The only value there is.
            Some(15) => Ok(Some(15)),
            _ => Err(filter::argument("Minutes must be 15.")),
        },
    };
    let time = match element.child("ReplicationTime")? {
        None => None,
        Some(time) => Some((filter::status(time)?, minutes(time, "Time")?.ok_or_else(malformed)?)),
    };
    let metrics = match element.child("Metrics")? {
        None => None,
        Some(metrics) => Some((filter::status(metrics)?, minutes(metrics, "EventThreshold")?)),
    };
    let kms_key = match element.child("EncryptionConfiguration")? {
        None => None,
        Some(encryption) => Some(encryption.text_of("ReplicaKmsKeyID")?.ok_or_else(malformed)?.to_owned()),
    };
    Ok(ReplicationTarget {
        bucket: filter::bucket(element, dialect)?,
        class,
        account,
        owner_destination,
        kms_key,
        time,
        metrics,
    })
}

pub(super) fn write(replication: &Replication, dialect: &Dialect, xml: &mut Writer) {
    xml.text("Role", &replication.role);
    for rule in &replication.rules {
        xml.element("Rule", |xml| write_rule(rule, dialect, xml));
    }
}

fn write_rule(rule: &ReplicationRule, dialect: &Dialect, xml: &mut Writer) {
    let within = |xml: &mut Writer, name, status: Option<Status>| {
        if let Some(status) = status {
            xml.element(name, |xml| xml.text("Status", status.name()));
        }
    };
    xml.maybe("ID", rule.id.as_deref());
    if let Some(priority) = rule.priority {
        xml.value("Priority", priority);
    }
    xml.maybe("Prefix", rule.prefix.as_deref());
    filter::write(rule.filter.as_ref(), xml);
    xml.text("Status", rule.status.name());
    if rule.kms_encrypted.is_some() || rule.replica_modifications.is_some() {
        xml.element("SourceSelectionCriteria", |xml| {
            within(xml, "SseKmsEncryptedObjects", rule.kms_encrypted);
            within(xml, "ReplicaModifications", rule.replica_modifications);
        });
    }
    within(xml, "ExistingObjectReplication", rule.existing_objects);
    let to = &rule.destination;
    xml.element("Destination", |xml| {
        filter::write_bucket(&to.bucket, dialect, xml);
        xml.maybe("Account", to.account.as_deref());
        if let Some(class) = to.class {
            xml.text("StorageClass", dialect.class(class));
        }
        if to.owner_destination {
            xml.element("AccessControlTranslation", |xml| xml.text("Owner", "Destination"));
        }
        if let Some(key) = &to.kms_key {
            xml.element("EncryptionConfiguration", |xml| xml.text("ReplicaKmsKeyID", key));
        }
        if let Some((status, minutes)) = to.time {
            xml.element("ReplicationTime", |xml| {
                xml.text("Status", status.name());
                xml.element("Time", |xml| xml.value("Minutes", minutes));
            });
        }
        if let Some((status, minutes)) = to.metrics {
            xml.element("Metrics", |xml| {
                xml.text("Status", status.name());
                if let Some(minutes) = minutes {
                    xml.element("EventThreshold", |xml| xml.value("Minutes", minutes));
                }
            });
        }
    });
    within(xml, "DeleteMarkerReplication", rule.delete_markers);
}
