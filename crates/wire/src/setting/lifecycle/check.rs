//! What must fit together in lifecycle rules, by itself and with one another. The services' wording
//! is S3's; COS documents no more than that it refuses (cos-api 3.3).

use cosette_model::setting::{Expiration, LifecycleFilter, LifecycleRule, When};
use cosette_model::{Error, StorageClass};

use super::{argument, request};
use crate::DialectName;
use crate::dialect::Dialect;

/// Longest time on COS, in days (cos-api 3.3).
const COS_DAYS_MAX: u32 = 3650;
/// What S3 keeps an object in an infrequent class for at least, in days.
const INFREQUENT_DAYS_MIN: u32 = 30;
/// Most `NewerNoncurrentVersions`.
const NEWER_MAX: u32 = 100;

fn is_infrequent(class: StorageClass) -> bool {
    matches!(class, StorageClass::StandardIa | StorageClass::OneZoneIa)
}

/// As S3 names a filter in its messages.
fn shown(filter: &LifecycleFilter) -> String {
    format!("(prefix={})", filter.prefix.as_deref().unwrap_or_default())
}

/// A rule by itself.
pub(super) fn rule(rule: &LifecycleRule, dialect: &Dialect) -> Result<(), Error> {
    if rule.transitions.is_empty()
        && rule.expiration.is_none()
        && rule.noncurrent_transitions.is_empty()
        && rule.noncurrent_expiration.is_none()
        && rule.abort_uploads.is_none()
    {
        return Err(request("At least one action needs to be specified in a rule"));
    }
    filter(rule)?;
    times(rule, dialect)?;
    current(rule)?;
    noncurrent(rule)
}

/// Uploads and delete markers have neither tags nor a size.
fn filter(rule: &LifecycleRule) -> Result<(), Error> {
    let filter = &rule.filter;
    if let (Some(larger), Some(smaller)) = (filter.larger, filter.smaller)
        && larger >= smaller
    {
        return Err(request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."));
    }
    let asks = [
        (!filter.tags.is_empty(), "Tags"),
        (filter.larger.is_some(), "ObjectSizeGreaterThan"),
        (filter.smaller.is_some(), "ObjectSizeLessThan"),
    ];
    let Some((_, what)) = asks.into_iter().find(|(asked, _)| *asked) else { return Ok(()) };
    if rule.abort_uploads.is_some() {
        return Err(request(&format!("AbortIncompleteMultipartUpload cannot be specified with {what}.")));
    }
    if matches!(rule.expiration, Some(Expiration::Marker(_))) {
        return Err(request(&format!("ExpiredObjectDeleteMarker cannot be specified with {what}.")));
    }
    Ok(())
}

/// How many days there may be.
fn times(rule: &LifecycleRule, dialect: &Dialect) -> Result<(), Error> {
    let transitions = rule.transitions.iter().filter_map(|step| match step.when {
        When::Days(days) => Some(("Days", "Transition", days, step.class)),
        When::Date(_) => None,
    });
    let noncurrent = rule.noncurrent_transitions.iter();
    let noncurrent =
        noncurrent.map(|step| ("NoncurrentDays", "NoncurrentVersionTransition", step.after.days, step.class));
    let steps: Vec<_> = transitions.chain(noncurrent).collect();
    if dialect.name == DialectName::S3 {
        for (name, action, days, class) in &steps {
            if is_infrequent(*class) && *days < INFREQUENT_DAYS_MIN {
                return Err(argument(&format!(
                    "'{name}' in {action} action must be greater than or equal to {INFREQUENT_DAYS_MIN} for storageClass '{}'",
                    class.name()
                )));
            }
        }
    } else {
        let ends = match rule.expiration {
            Some(Expiration::At(When::Days(days))) => Some(days),
            _ => None,
        };
        let others = ends.into_iter().chain(rule.noncurrent_expiration.map(|after| after.days));
        let all = steps.iter().map(|step| step.2).chain(others).chain(rule.abort_uploads);
        if let Some(days) = all.max().filter(|days| *days > COS_DAYS_MAX) {
            return Err(argument(&format!("{days} days are more than {COS_DAYS_MAX}.")));
        }
    }
    let keeps = rule.noncurrent_transitions.iter().map(|step| step.after).chain(rule.noncurrent_expiration);
    if keeps.filter_map(|after| after.keep).any(|keep| keep > NEWER_MAX) {
        return Err(argument(&format!("'NewerNoncurrentVersions' must be between 1 and {NEWER_MAX}")));
    }
    Ok(())
}

/// Of current objects: each step goes further down and is later, and the end is the last.
fn current(rule: &LifecycleRule) -> Result<(), Error> {
    let end = match rule.expiration {
        Some(Expiration::At(when)) => Some(when),
        _ => None,
    };
    let is_date = |when: When| matches!(when, When::Date(_));
    let mut whens = rule.transitions.iter().map(|step| step.when).chain(end);
    if let Some(first) = whens.next()
        && whens.any(|when| is_date(when) != is_date(first))
    {
        return Err(request(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule",
        ));
    }
    let mut steps: Vec<(u64, StorageClass)> = Vec::new();
    for step in &rule.transitions {
        match (step.when, end) {
            (When::Days(step), Some(When::Days(end))) if step >= end => {
                return Err(argument(
                    "'Days' in the Expiration action must be greater than 'Days' in the Transition action",
                ));
            }
            (When::Date(step), Some(When::Date(end))) if step >= end => {
                return Err(argument(
                    "'Date' in the Expiration action must be later than 'Date' in the Transition action",
                ));
            }
            _ => {}
        }
        steps.push(match step.when {
            When::Days(days) => (days.into(), step.class),
            When::Date(date) => (date.as_secs() / (24 * 3600), step.class),
        });
    }
    let name = if rule.transitions.iter().any(|step| is_date(step.when)) { "Date" } else { "Days" };
    descends(steps, name, "Transition", &rule.filter)
}

fn noncurrent(rule: &LifecycleRule) -> Result<(), Error> {
    if let Some(end) = rule.noncurrent_expiration
        && rule.noncurrent_transitions.iter().any(|step| step.after.days >= end.days)
    {
        return Err(argument(&format!(
            "'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '{}' must be greater than \
             'NoncurrentDays' in the NoncurrentVersionTransition action",
            shown(&rule.filter)
        )));
    }
    let steps = rule.noncurrent_transitions.iter().map(|step| (step.after.days.into(), step.class)).collect();
    descends(steps, "NoncurrentDays", "NoncurrentVersionTransition", &rule.filter)
}

/// Steps in days, each with its class.
fn descends(
    mut steps: Vec<(u64, StorageClass)>,
    name: &str,
    action: &str,
    filter: &LifecycleFilter,
) -> Result<(), Error> {
    steps.sort_by_key(|step| step.0);
    for (at, (_, class)) in steps.iter().enumerate() {
        if steps[..at].iter().any(|(_, before)| before == class) {
            return Err(request(&format!(
                "'StorageClass' must be different for '{action}' actions in same 'Rule' with filter '{}'",
                shown(filter)
            )));
        }
    }
    for pair in steps.windows(2) {
        let [(sooner, from), (later, to)] = [pair[0], pair[1]];
        let apart = if is_infrequent(from) { INFREQUENT_DAYS_MIN.into() } else { 1 };
        // Where both are of one day, the class that comes first is the one that is higher.
        let (from, to) = if sooner == later && to.falls_to(from) { (to, from) } else { (from, to) };
        if !from.falls_to(to) || later - sooner < apart {
            let (higher, lower) = if to.falls_to(from) { (to, from) } else { (from, to) };
            let more = if apart > 1 { format!("{apart} days more") } else { "greater".to_owned() };
            return Err(argument(&format!(
                "'{name}' in the '{action}' action for StorageClass '{}' for filter '{}' must be {more} than \
                 '{name}' in the '{action}' action for StorageClass '{}'",
                lower.name(),
                shown(filter),
                higher.name()
            )));
        }
    }
    Ok(())
}

/// Rules with one another.
pub(super) fn rules(rules: &[LifecycleRule], dialect: &Dialect) -> Result<(), Error> {
    if dialect.name == DialectName::Cos {
        return Ok(());
    }
    let old = rules.iter().filter(|rule| rule.filter.old_form).count();
    if old > 0 && old < rules.len() {
        return Err(request(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
        ));
    }
    // Where there are filters rules may be for the same objects.
    if old == 0 {
        return Ok(());
    }
    type Has = fn(&LifecycleRule) -> bool;
    let actions: [(&str, Has); 5] = [
        ("Expiration", |rule| rule.expiration.is_some()),
        ("Transition", |rule| !rule.transitions.is_empty()),
        ("NoncurrentVersionExpiration", |rule| rule.noncurrent_expiration.is_some()),
        ("NoncurrentVersionTransition", |rule| !rule.noncurrent_transitions.is_empty()),
        ("AbortIncompleteMultipartUpload", |rule| rule.abort_uploads.is_some()),
    ];
    for (action, has) in actions {
        let mut prefixes: Vec<&str> =
            rules.iter().filter(|rule| has(rule)).filter_map(|rule| rule.filter.prefix.as_deref()).collect();
        prefixes.sort_unstable();
        if let Some(pair) = prefixes.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
            return Err(request(&format!(
                "Found overlapping prefixes '{}' and '{}' for same action type '{action}'",
                pair[0], pair[1]
            )));
        }
    }
    Ok(())
}
