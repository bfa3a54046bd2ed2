//! `LifecycleConfiguration` of both services (cos-api 3.3; S3's "Lifecycle configuration elements").

mod check;

use std::collections::BTreeSet;

use cosette_model::setting::{
    Expiration, Lifecycle, LifecycleFilter, LifecycleRule, Noncurrent, NoncurrentTransition, SmallObjects,
    Status, Transition, When,
};
use cosette_model::{Error, ErrorCode, StorageClass, Tags, Timestamp};
use sha2::{Digest, Sha256};

use super::filter::write_prefix_and_tags;
use super::{enabled, invalid_tag, malformed};
use crate::DialectName;
use crate::dialect::Dialect;
use crate::xml::{Element, Writer};

const RULES_MAX: usize = 1000;
const ID_MAX: usize = 255;

pub(super) fn read(root: &Element, dialect: &Dialect) -> Result<Lifecycle, Error> {
    let rules = root
        .all("Rule")
        .enumerate()
        .map(|(at, element)| rule(element, at, dialect))
        .collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(malformed());
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = rules.iter().find(|rule| !ids.insert(rule.id.as_str())) {
        let why = "Rule ID must be unique. Found same ID for more than one rule";
        return Err(argument(why).detail("ArgumentName", "ID").detail("ArgumentValue", &twice.id));
    }
    check::rules(&rules, dialect)?;
    Ok(Lifecycle { rules, small: SmallObjects::default(), written_before: dialect.name == DialectName::Cos })
}

fn argument(why: &str) -> Error {
    Error::with(ErrorCode::InvalidArgument, why)
}

fn request(why: &str) -> Error {
    Error::with(ErrorCode::InvalidRequest, why)
}

fn rule(rule: &Element, at: usize, dialect: &Dialect) -> Result<LifecycleRule, Error> {
    let id = match rule.text_of("ID")? {
        // The services name a rule that has no name; ours is the same for the same rule.
        None => hex::encode(&Sha256::digest(format!("{at} {rule:?}"))[..16]),
        Some(id) if id.chars().count() > ID_MAX => {
            return Err(argument("ID length should not exceed allowed limit of 255"));
        }
        Some(id) => id.to_owned(),
    };
    let status = match enabled(rule, "Status")?.ok_or_else(malformed)? {
        true => Status::Enabled,
        false => Status::Disabled,
    };
    let filter = filter(rule, dialect)?;
    let transitions =
        rule.all("Transition").map(|t| transition(t, dialect)).collect::<Result<Vec<_>, _>>()?;
    let expiration = rule.child("Expiration")?.map(|e| expiration(e, dialect)).transpose()?;
    let noncurrent_transitions = rule
        .all("NoncurrentVersionTransition")
        .map(|t| Ok(NoncurrentTransition { after: noncurrent(t, 0)?, class: class(t, dialect)? }))
        .collect::<Result<Vec<_>, Error>>()?;
    let noncurrent_expiration =
        rule.child("NoncurrentVersionExpiration")?.map(|e| noncurrent(e, 1)).transpose()?;
    let abort_uploads = match rule.child("AbortIncompleteMultipartUpload")? {
        Some(abort) => Some(days(abort, "DaysAfterInitiation", 1)?.ok_or_else(malformed)?),
        None => None,
    };
    let rule = LifecycleRule {
        id,
        status,
        filter,
        transitions,
        expiration,
        noncurrent_transitions,
        noncurrent_expiration,
        abort_uploads,
    };
    check::rule(&rule, dialect)?;
    Ok(rule)
}

fn filter(rule: &Element, dialect: &Dialect) -> Result<LifecycleFilter, Error> {
    let old = rule.child("Prefix")?;
    let Some(filter) = rule.child("Filter")? else {
        return match old {
            Some(prefix) => Ok(LifecycleFilter {
                prefix: Some(prefix.text.clone()),
                old_form: true,
                ..LifecycleFilter::default()
            }),
            // COS takes a rule for everything without either.
            None if dialect.name == DialectName::Cos => Ok(LifecycleFilter::default()),
            None => Err(malformed()),
        };
    };
    let said = |element: &Element| {
        let names =
            ["Prefix", "Tag", "And", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "PrefixNotEquals"];
        names.iter().map(|name| element.all(name).count()).sum::<usize>()
    };
    if old.is_some() || said(filter) > 1 {
        return Err(malformed());
    }
    let inner = filter.child("And")?.unwrap_or(filter);
    let number = |name| match inner.text_of(name)? {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| malformed()),
    };
    let tags = inner
        .all("Tag")
        .map(|tag| Ok((tag.need("Key")?.to_owned(), tag.need("Value")?.to_owned())))
        .collect::<Result<Vec<_>, Error>>()?;
    let keys: BTreeSet<_> = tags.iter().map(|(key, _)| key).collect();
    if keys.len() != tags.len() {
        return Err(request("Duplicate Tag Keys are not allowed."));
    }
    Tags::new(tags.iter().cloned()).map_err(invalid_tag)?;
    let text = |name| Ok::<_, Error>(inner.child(name)?.map(|element| element.text.clone()));
    Ok(LifecycleFilter {
        prefix: text("Prefix")?,
        tags,
        not_prefix: text("PrefixNotEquals")?,
        larger: number("ObjectSizeGreaterThan")?,
        smaller: number("ObjectSizeLessThan")?,
        old_form: false,
    })
}

/// A class that something can be moved to; S3's clients may name COS's (docs/decisions/0010), which
/// are then S3's.
fn class(element: &Element, dialect: &Dialect) -> Result<StorageClass, Error> {
    use StorageClass::{MazStandard, Standard};
    StorageClass::parse(element.need("StorageClass")?.trim())
        .filter(|class| dialect.name == DialectName::S3 || class.in_cos() == *class)
        .map(|class| if dialect.name == DialectName::S3 { class.in_s3() } else { class })
        .filter(|class| [Standard, MazStandard].iter().any(|from| from.falls_to(*class)))
        .ok_or_else(malformed)
}

fn transition(element: &Element, dialect: &Dialect) -> Result<Transition, Error> {
    if element.child("AccessFrequency")?.is_some() {
        return Err(Error::with(
            ErrorCode::NotImplemented,
            "AccessFrequency in a lifecycle rule is not implemented.",
        ));
    }
    Ok(Transition {
        when: when(element, 0, dialect)?.ok_or_else(malformed)?,
        class: class(element, dialect)?,
    })
}

fn expiration(element: &Element, dialect: &Dialect) -> Result<Expiration, Error> {
    let marker = match element.text_of("ExpiredObjectDeleteMarker")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| malformed())?),
    };
    match (when(element, 1, dialect)?, marker) {
        (Some(when), None) => Ok(Expiration::At(when)),
        (None, Some(marker)) => Ok(Expiration::Marker(marker)),
        _ => Err(malformed()),
    }
}

/// `min` is the fewest days.
fn when(element: &Element, min: u32, dialect: &Dialect) -> Result<Option<When>, Error> {
    match (days(element, "Days", min)?, element.text_of("Date")?) {
        (None, None) => Ok(None),
        (Some(days), None) => Ok(Some(When::Days(days))),
        (None, Some(text)) => {
            let date = Timestamp::parse_rfc3339(text)
                .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
                .ok_or_else(malformed)?;
            // COS shows dates of other time zones in its documentation.
            if dialect.name == DialectName::S3 && date.as_micros() % 86_400_000_000 != 0 {
                return Err(argument("'Date' must be at midnight GMT"));
            }
            Ok(Some(When::Date(date)))
        }
        _ => Err(malformed()),
    }
}

fn noncurrent(element: &Element, min: u32) -> Result<Noncurrent, Error> {
    Ok(Noncurrent {
        days: days(element, "NoncurrentDays", min)?.ok_or_else(malformed)?,
        keep: days(element, "NewerNoncurrentVersions", 1)?,
    })
}

fn days(element: &Element, name: &str, min: u32) -> Result<Option<u32>, Error> {
    let Some(text) = element.text_of(name)? else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| malformed())?;
    match u32::try_from(number) {
        Ok(number) if number >= min && number <= i32::MAX.unsigned_abs() => Ok(Some(number)),
        _ => {
            let which = if min == 0 { "nonnegative" } else { "a positive integer" };
            Err(argument(&format!("'{name}' for {} action must be {which}", element.name)))
        }
    }
}

pub(super) fn write(lifecycle: &Lifecycle, dialect: &Dialect, xml: &mut Writer) {
    for rule in &lifecycle.rules {
        xml.element("Rule", |xml| {
            xml.text("ID", &rule.id);
            write_filter(&rule.filter, xml);
            xml.text("Status", rule.status.name());
            for step in &rule.transitions {
                xml.element("Transition", |xml| {
                    write_when(step.when, xml);
                    xml.text("StorageClass", dialect.class(step.class));
                });
            }
            match rule.expiration {
                None => {}
                Some(Expiration::At(when)) => xml.element("Expiration", |xml| write_when(when, xml)),
                Some(Expiration::Marker(marker)) => {
                    xml.element("Expiration", |xml| xml.value("ExpiredObjectDeleteMarker", marker));
                }
            }
            for step in &rule.noncurrent_transitions {
                xml.element("NoncurrentVersionTransition", |xml| {
                    write_noncurrent(step.after, xml);
                    xml.text("StorageClass", dialect.class(step.class));
                });
            }
            if let Some(after) = rule.noncurrent_expiration {
                xml.element("NoncurrentVersionExpiration", |xml| write_noncurrent(after, xml));
            }
            if let Some(days) = rule.abort_uploads {
                xml.element("AbortIncompleteMultipartUpload", |xml| xml.value("DaysAfterInitiation", days));
            }
        });
    }
}

fn write_filter(filter: &LifecycleFilter, xml: &mut Writer) {
    if filter.old_form {
        return xml.text("Prefix", filter.prefix.as_deref().unwrap_or_default());
    }
    let parts = usize::from(filter.prefix.is_some())
        + filter.tags.len()
        + usize::from(filter.not_prefix.is_some())
        + usize::from(filter.larger.is_some())
        + usize::from(filter.smaller.is_some());
    let all = |xml: &mut Writer| {
        write_prefix_and_tags(filter.prefix.as_deref(), &filter.tags, xml);
        xml.maybe("PrefixNotEquals", filter.not_prefix.as_deref());
        for (name, bytes) in
            [("ObjectSizeGreaterThan", filter.larger), ("ObjectSizeLessThan", filter.smaller)]
        {
            if let Some(bytes) = bytes {
                xml.value(name, bytes);
            }
        }
    };
    xml.element("Filter", |xml| if parts > 1 { xml.element("And", all) } else { all(xml) });
}

fn write_when(when: When, xml: &mut Writer) {
    match when {
        When::Days(days) => xml.value("Days", days),
        When::Date(date) => xml.text("Date", &date.iso_millis()),
    }
}

fn write_noncurrent(after: Noncurrent, xml: &mut Writer) {
    xml.value("NoncurrentDays", after.days);
    if let Some(keep) = after.keep {
        xml.value("NewerNoncurrentVersions", keep);
    }
}
