//! COS triggers: the API's spelling of rules (scf.md 2.1). Which rules may stand beside each other is for the triggers to
//! say.

use cosette_function::Function;
use cosette_model::{BucketName, EventPattern, Style};
use cosette_trigger::{NewRule, Rule, RuleSelector};
use serde_json::{Map, Value, json};

use super::item::{Item, TRIGGER_DESC, description, enabled, resource_id};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::scf::{LATEST, qualified, time, triggers_of};

pub(super) async fn create(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<Item, ApiError> {
    let host = BucketHost::parse(params.needed("TriggerName")?)?;
    let described = TriggerDesc::parse(params.needed(TRIGGER_DESC)?)?;
    if let Some(url) = described.bucket_url.as_deref().filter(|url| *url != host.text()) {
        let message = format!("bucketUrl {url} is not the TriggerName");
        return Err(ApiError::invalid_value(TRIGGER_DESC, message));
    }
    if call.strict && !described.has_filter {
        return Err(ApiError::invalid_value(TRIGGER_DESC, "TriggerDesc has no filter"));
    }
    // Left out, it is on: who makes a trigger by hand expects it to work (scf.md 2.1).
    let enabled = enabled(params)?.unwrap_or(true);
    let reference = qualified(call, params, function, LATEST)?;
    if host.region != function.region {
        let message = format!(
            "the bucket is in {}, function {} in {}; a COS trigger needs both in one region",
            host.region, function.name, function.region
        );
        return Err(ApiError::new("UnauthorizedOperation.Region", message));
    }
    let new = NewRule {
        bucket: existing_bucket(call, &host)?,
        event: described.event,
        prefix: described.prefix.unwrap_or_default(),
        suffix: described.suffix.unwrap_or_default(),
        target: reference.into(),
        style: Style::Cos,
        description: description(params)?.unwrap_or_default(),
        enabled,
    };
    Ok(item(&triggers_of(call, function).create_rule(new).await?, function))
}

pub(super) async fn set_enabled(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
    enabled: bool,
) -> Result<(), ApiError> {
    triggers_of(call, function).set_enabled(selector(call, params, function)?, enabled).await?;
    Ok(())
}

pub(super) async fn delete(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<(), ApiError> {
    triggers_of(call, function).delete_rule(selector(call, params, function)?).await?;
    Ok(())
}

pub(super) fn of_function(call: &Call<'_>, function: &Function) -> Result<Vec<Item>, ApiError> {
    Ok(rules_of(call, function)?.iter().map(|rule| item(rule, function)).collect())
}

fn rules_of(call: &Call<'_>, function: &Function) -> Result<Vec<Rule>, ApiError> {
    let name = function.full_name();
    let mut rules = call.triggers.rules()?;
    rules.retain(|rule| rule.as_trigger().is_some_and(|(of, _)| of.is_of(&name)));
    Ok(rules)
}

/// Which rule a request means. Without `Qualifier` it is the one that the named rules share, if they
/// do share one: clients differ in what they leave out.
fn selector(call: &Call<'_>, params: &Params<'_>, function: &Function) -> Result<RuleSelector, ApiError> {
    let host = BucketHost::parse(params.needed("TriggerName")?)?;
    let description = TriggerDesc::parse(params.needed(TRIGGER_DESC)?)?;
    let bucket = find_bucket(call, &host)?.unwrap_or_else(|| host.bucket.clone());
    let qualifier = match params.text("Qualifier")?.filter(|text| !text.is_empty()) {
        Some(qualifier) => qualifier.to_owned(),
        None => {
            let mut named: Vec<String> = rules_of(call, function)?
                .into_iter()
                .filter(|rule| rule.bucket == bucket && rule.events.cos() == Some(description.event))
                .map(|rule| qualifier_of(&rule))
                .collect();
            named.sort();
            named.dedup();
            match <[String; 1]>::try_from(named) {
                Ok([qualifier]) => qualifier,
                Err(_) => LATEST.to_owned(),
            }
        }
    };
    Ok(RuleSelector {
        target: function.full_name().under(&qualifier).into(),
        bucket,
        event: description.event,
        prefix: description.prefix,
        suffix: description.suffix,
    })
}

/// A `TriggerName` of a COS trigger: the bucket's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BucketHost {
    bucket: BucketName,
    region: String,
}

impl BucketHost {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let split = text.strip_suffix(".myqcloud.com").and_then(|rest| rest.rsplit_once(".cos."));
        split
            .filter(|(_, region)| cosette_model::Region::new(*region).is_ok())
            .and_then(|(name, region)| {
                Some(Self { bucket: BucketName::new(name).ok()?, region: region.to_owned() })
            })
            .ok_or_else(|| {
                let message = format!(
                    "TriggerName {text} is not a bucket's domain <name>-<appid>.cos.<region>.myqcloud.com"
                );
                ApiError::invalid_value("TriggerName", message)
            })
    }

    fn text(&self) -> String {
        format!("{}.cos.{}.myqcloud.com", self.bucket, self.region)
    }
}

/// The bucket of the host. A name without the caller's appid means, unless strict, the bucket with
/// it when there is none without: S3 clients make the one kind, COS clients the other.
fn find_bucket(call: &Call<'_>, host: &BucketHost) -> Result<Option<BucketName>, ApiError> {
    let mut names = vec![host.bucket.clone()];
    match host.bucket.split_appid() {
        // A bucket that an S3 client made without APPID (decision 3).
        (short, Some(appid)) if appid == call.account.appid => names.extend(BucketName::new(short)),
        (short, None) if !call.strict => {
            names.extend(BucketName::new(format!("{short}-{}", call.account.appid)));
        }
        _ => {}
    }
    for name in names {
        if let Some(bucket) = call.store.bucket(&name)?
            && bucket.region.as_str() == host.region
        {
            return Ok(Some(bucket.name));
        }
    }
    Ok(None)
}

fn existing_bucket(call: &Call<'_>, host: &BucketHost) -> Result<BucketName, ApiError> {
    find_bucket(call, host)?.ok_or_else(|| {
        let message = format!("there is no bucket {} in {}", host.bucket, host.region);
        ApiError::new("ResourceNotFound.Cos", message)
    })
}

/// What `TriggerDesc` holds, as JSON in a string.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TriggerDesc {
    event: EventPattern,
    prefix: Option<String>,
    suffix: Option<String>,
    has_filter: bool,
    bucket_url: Option<String>,
}

impl TriggerDesc {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let wrong = |message: String| ApiError::invalid_value(TRIGGER_DESC, message);
        let fields: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| wrong(format!("TriggerDesc is not a JSON object: {error}")))?;
        let params = Params::new(&fields);
        params.only(TRIGGER_DESC, &["event", "filter", "bucketUrl"])?;
        // A wrong type inside is a wrong TriggerDesc.
        let read = |read: Result<Option<&str>, ApiError>| {
            read.map(|text| text.map(str::to_owned)).map_err(|error| wrong(error.message))
        };
        let event = read(params.text("event"))?.ok_or_else(|| wrong("TriggerDesc has no event".into()))?;
        let event = EventPattern::parse(&event)
            .ok_or_else(|| wrong(format!("{event} is not an event of COS, such as cos:ObjectCreated:*")))?;
        let filter = params.object("filter").map_err(|error| wrong(error.message))?;
        let (mut prefix, mut suffix) = (None, None);
        if let Some(filter) = &filter {
            filter.only(TRIGGER_DESC, &["Prefix", "Suffix"])?;
            prefix = read(filter.text("Prefix"))?;
            suffix = read(filter.text("Suffix"))?;
        }
        if let Some(suffix) = suffix.as_deref().filter(|s| !s.is_empty() && !s.starts_with('.')) {
            return Err(wrong(format!("the suffix {suffix} does not begin with a dot")));
        }
        let bucket_url = read(params.text("bucketUrl"))?;
        Ok(Self { event, prefix, suffix, has_filter: filter.is_some(), bucket_url })
    }
}

fn host_of(rule: &Rule) -> String {
    format!("{}.cos.{}.myqcloud.com", rule.bucket, rule.region)
}

fn qualifier_of(rule: &Rule) -> String {
    rule.target.function().map(|function| function.qualifier.clone()).unwrap_or_default()
}

/// A rule as the API answers it. The Serverless component compares the parsed description: `filter`
/// must have `Prefix`, then `Suffix`, both always.
fn item(rule: &Rule, function: &Function) -> Item {
    let host = host_of(rule);
    let quote = |text: &str| Value::from(text).to_string();
    let description = format!(
        r#"{{"bucketUrl":{},"event":{},"filter":{{"Prefix":{},"Suffix":{}}}}}"#,
        quote(&host),
        quote(&rule.events.to_string()),
        quote(&rule.prefix),
        quote(&rule.suffix)
    );
    let shown = json!({
        "AddTime": time(rule.created),
        "ModTime": time(rule.modified),
        "Type": "cos",
        "TriggerName": host,
        "TriggerDesc": description,
        "Enable": i32::from(rule.enabled()),
        "Qualifier": qualifier_of(rule),
        "CustomArgument": "",
        "AvailableStatus": "Available",
        "ResourceId": resource_id(function, &host),
        "BindStatus": "on",
        "TriggerAttribute": "single",
        "Description": rule.description,
    });
    Item {
        created: rule.created,
        modified: rule.modified,
        name: host,
        qualifier: qualifier_of(rule),
        description: rule.description.clone(),
        shown,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn trigger_names_are_bucket_domains() {
        let host = BucketHost::parse("examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com").unwrap();
        assert_eq!(host.bucket.as_str(), "examplebucket-1250000000");
        assert_eq!(host.region, "ap-guangzhou");
        assert_eq!(host.text(), "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com");
        for bad in [
            "",
            "mytrigger",
            "examplebucket-1250000000",
            "b.cos.ap-guangzhou.example.com",
            "examplebucket-1250000000.cos..myqcloud.com",
            "UPPER-1250000000.cos.ap-guangzhou.myqcloud.com",
            "examplebucket-1250000000.ap-guangzhou.myqcloud.com",
        ] {
            assert_eq!(
                BucketHost::parse(bad).unwrap_err().code,
                "InvalidParameterValue.TriggerName",
                "{bad}"
            );
        }
    }

    #[test]
    fn descriptions_are_read_however_they_are_spelled() {
        let full = TriggerDesc::parse(
            r#" { "filter": {"Suffix": ".zip", "Prefix": "a/"}, "event": "cos: ObjectCreated:*", "bucketUrl": "u" }"#,
        )
        .unwrap();
        assert_eq!(full.event.name(), "cos:ObjectCreated:*");
        assert_eq!((full.prefix.as_deref(), full.suffix.as_deref()), (Some("a/"), Some(".zip")));
        let bare = TriggerDesc::parse(r#"{"event":"cos:ObjectRemove:Delete"}"#).unwrap();
        assert_eq!((bare.prefix, bare.suffix, bare.has_filter), (None, None, false));
    }

    #[test]
    fn wrong_descriptions_are_told_so() {
        for bad in [
            "cos:ObjectCreated:*",
            "[]",
            "{}",
            r#"{"event":"cos:ObjectRestore:*"}"#,
            r#"{"event":"s3:ObjectCreated:*"}"#,
            r#"{"event":1}"#,
            r#"{"event":"cos:ObjectCreated:*","filter":"a"}"#,
            r#"{"event":"cos:ObjectCreated:*","filter":{"Prefix":1}}"#,
            r#"{"event":"cos:ObjectCreated:*","filter":{"Suffix":"zip"}}"#,
            r#"{"event":"cos:ObjectCreated:*","filter":{"Size":1}}"#,
            r#"{"event":"cos:ObjectCreated:*","prefix":"a/"}"#,
        ] {
            assert_eq!(
                TriggerDesc::parse(bad).unwrap_err().code,
                "InvalidParameterValue.TriggerDesc",
                "{bad}"
            );
        }
    }
}
