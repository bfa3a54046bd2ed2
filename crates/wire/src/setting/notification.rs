//! S3's `NotificationConfiguration`: topics, queues and functions, and the account's event bus.

use std::collections::BTreeSet;

use cosette_model::Error;
use cosette_model::setting::{KeyFilter, Notification, NotificationKind, NotificationRule, is_event};
use sha2::{Digest, Sha256};

use super::{filter, malformed};
use crate::xml::{Element, Writer};

const RULES_MAX: usize = 100;
/// Longest value of a filter, in bytes.
const VALUE_MAX: usize = 1_024;
const ID_MAX: usize = 255;

/// Element of a rule, element of its target, and the service that the target's ARN names.
const KINDS: [(NotificationKind, &str, &str, &str); 3] = [
    (NotificationKind::Topic, "TopicConfiguration", "Topic", "sns"),
    (NotificationKind::Queue, "QueueConfiguration", "Queue", "sqs"),
    (NotificationKind::Function, "CloudFunctionConfiguration", "CloudFunction", "lambda"),
];

/// A document without a rule removes them all.
pub(super) fn read(root: &Element) -> Result<Option<Notification>, Error> {
    let mut rules = Vec::new();
    for (kind, name, target, service) in KINDS {
        for element in root.all(name) {
            rules.push(rule(element, kind, target, service)?);
        }
    }
    let event_bridge = root.child("EventBridgeConfiguration")?.is_some();
    if rules.is_empty() && !event_bridge {
        return Ok(None);
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = rules.iter().find(|rule| !ids.insert(rule.id.as_str())) {
        return Err(filter::argument("Same ID used for multiple configurations. IDs must be unique")
            .detail("ArgumentName", "Id")
            .detail("ArgumentValue", &twice.id));
    }
    if rules.len() > RULES_MAX {
        return Err(filter::argument("A bucket has at most 100 notification configurations."));
    }
    let notification = Notification { rules, event_bridge };
    if notification.overlaps() {
        let why =
            "Configurations overlap. Configurations on the same bucket cannot share a common event type.";
        return Err(filter::argument(why));
    }
    Ok(Some(notification))
}

fn rule(
    element: &Element,
    kind: NotificationKind,
    target: &str,
    service: &str,
) -> Result<NotificationRule, Error> {
    let arn = element.text_of(target)?.ok_or_else(malformed)?;
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, named, region, account, resource]
            if partition.starts_with("aws")
                && named == service
                && ![region, account, resource].contains(&"") => {}
        _ => {
            return Err(filter::argument("The ARN could not be parsed")
                .detail("ArgumentName", if service == "lambda" { "CloudFunction" } else { "ARN" })
                .detail("ArgumentValue", arn));
        }
    }
    let events: Vec<_> = element.all("Event").map(|event| event.text.trim().to_owned()).collect();
    if events.is_empty() {
        return Err(malformed());
    }
    if let Some(unknown) = events.iter().find(|event| !is_event(event)) {
        return Err(filter::argument("The event is not supported for notifications")
            .detail("ArgumentName", "Event")
            .detail("ArgumentValue", unknown));
    }
    let key_filter = element.child("Filter")?.map(read_filter).transpose()?.flatten();
    let id = match element.text_of("Id")? {
        Some(id) if id.chars().count() > ID_MAX => {
            return Err(filter::argument("ID length should not exceed allowed limit of 255"));
        }
        Some(id) => id.to_owned(),
        // S3 names a rule that has no name; ours is the same for the same rule.
        None => hex::encode(&Sha256::digest(format!("{element:?}"))[..16]),
    };
    Ok(NotificationRule { id, kind, target: arn.to_owned(), events, filter: key_filter })
}

/// `S3Key{ FilterRule*{ Name=prefix|suffix, Value } }`
fn read_filter(element: &Element) -> Result<Option<KeyFilter>, Error> {
    let Some(keys) = element.child("S3Key")? else { return Ok(None) };
    let mut found = KeyFilter::default();
    for rule in keys.all("FilterRule") {
        let name = rule.text_of("Name")?.ok_or_else(malformed)?.to_ascii_lowercase();
        let value = rule.need("Value")?;
        if value.len() > VALUE_MAX {
            return Err(filter::argument(
                "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
            ));
        }
        let slot = match name.as_str() {
            "prefix" => &mut found.prefix,
            "suffix" => &mut found.suffix,
            _ => return Err(filter::argument("filter rule name must be either prefix or suffix")),
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(filter::argument(format!("Cannot specify more than one {name} rule in a filter.")));
        }
    }
    Ok(Some(found))
}

pub(super) fn write(notification: &Notification, xml: &mut Writer) {
    for (kind, name, target, _) in KINDS {
        for rule in notification.rules.iter().filter(|rule| rule.kind == kind) {
            xml.element(name, |xml| {
                xml.text("Id", &rule.id);
                xml.text(target, &rule.target);
                for event in &rule.events {
                    xml.text("Event", event);
                }
                let Some(filter) = &rule.filter else { return };
                xml.element("Filter", |xml| {
                    xml.element("S3Key", |xml| {
                        for (name, value) in [("Prefix", &filter.prefix), ("Suffix", &filter.suffix)] {
                            let Some(value) = value else { continue };
                            xml.element("FilterRule", |xml| {
                                xml.text("Name", name);
                                xml.text("Value", value);
                            });
                        }
                    });
                });
            });
        }
    }
    if notification.event_bridge {
        xml.element("EventBridgeConfiguration", |_| {});
    }
}
