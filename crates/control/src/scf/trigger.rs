//! The actions on triggers, and COS triggers: the API's spelling of rules (scf.md 2.1). Which rules may stand beside
//! each other is for the triggers to say.

use cosette_function::Function;
use cosette_model::{BucketName, EventPattern, Style, Timestamp};
use cosette_trigger::{NewRule, Rule, RuleSelector, region_code};
use serde_json::{Map, Value, json};

use super::{
    LATEST, Paging, descending, function_of, qualified, reply, sort_by_key, time, timer, triggers_of, url,
    web,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// The types that SCF has and that do not work here (scf.md 2.6).
const OTHER_TYPES: &[&str] = &["apigw", "ckafka", "cmq", "cls", "mps", "clb", "eb", "vod", "cm"];
const TRIGGER_DESC: &str = "TriggerDesc";

/// The types that work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cos,
    Timer,
    /// A function URL.
    Http,
}

/// A trigger of any type, as lists have it.
pub(super) struct Item {
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) name: String,
    pub(super) qualifier: String,
    pub(super) description: String,
    /// The `TriggerInfo`.
    pub(super) shown: Value,
}

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let kind = Kind::of(&params)?;
    kind.refuse_argument(&params)?;
    if kind != Kind::Http {
        web::refuse(&function, "other triggers")?;
    }
    let item = match kind {
        Kind::Cos => create_rule(call, &params, &function).await?,
        Kind::Timer => timer::create(call, &params, &function).await?,
        Kind::Http => url::create(call, &params, &function).await?,
    };
    Ok(reply(json!({"TriggerInfo": item.shown})))
}

async fn create_rule(call: &Call<'_>, params: &Params<'_>, function: &Function) -> Result<Item, ApiError> {
    let host = BucketHost::parse(params.needed("TriggerName")?)?;
    let description = TriggerDesc::parse(params.needed(TRIGGER_DESC)?)?;
    if let Some(url) = description.bucket_url.as_deref().filter(|url| *url != host.text()) {
        let message = format!("bucketUrl {url} is not the TriggerName");
        return Err(ApiError::invalid_value(TRIGGER_DESC, message));
    }
    if call.strict && !description.has_filter {
        return Err(ApiError::invalid_value(TRIGGER_DESC, "TriggerDesc has no filter"));
    }
    // Left out, it is on: who makes a trigger by hand expects it to work (scf.md 2.1).
    let enabled = params.text("Enable")?.filter(|t| !t.is_empty()).map(enable).transpose()?.unwrap_or(true);
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
        event: description.event,
        prefix: description.prefix.unwrap_or_default(),
        suffix: description.suffix.unwrap_or_default(),
        target: reference.into(),
        style: Style::Cos,
        description: super::description(params)?.unwrap_or_default(),
        enabled,
    };
    Ok(item(&triggers_of(call, function).create_rule(new).await?, function))
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let paging = Paging::of(&params)?;
    let mut items = items(call, &function)?;
    for filter in params.objects("Filters")?.unwrap_or_default() {
        let values = filter.texts("Values")?.unwrap_or_default();
        let property: fn(&Item) -> &String = match filter.needed("Name")? {
            "Qualifier" => |item| &item.qualifier,
            "TriggerName" => |item| &item.name,
            "Description" => |item| &item.description,
            other => {
                let message = format!("triggers cannot be filtered by {other}");
                return Err(ApiError::invalid_value("Filters", message));
            }
        };
        items.retain(|item| values.contains(&property(item).as_str()));
    }
    let descending = descending(&params, true)?;
    match params.text("OrderBy")? {
        None | Some("" | "mod_time") => sort_by_key(&mut items, descending, |item| item.modified),
        Some("add_time") => sort_by_key(&mut items, descending, |item| item.created),
        Some(other) => {
            let message = format!("OrderBy {other} is neither mod_time nor add_time");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    }
    let total = items.len();
    let page: Vec<Value> = paging.page(items).map(|item| item.shown).collect();
    Ok(reply(json!({"Triggers": page, "TotalCount": total})))
}

pub(crate) async fn update_status(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let kind = Kind::of(&params)?;
    let enabled = enable(params.needed("Enable")?)?;
    match kind {
        Kind::Cos => {
            triggers_of(call, &function).set_enabled(selector(call, &params, &function)?, enabled).await?;
        }
        Kind::Timer => timer::set_enabled(call, &params, &function, enabled).await?,
        Kind::Http => url::set_enabled(call, &params, &function, enabled).await?,
    }
    Ok(Reply::new())
}

/// COS triggers are made anew instead, as in the cloud.
pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let kind = Kind::of(&params)?;
    kind.refuse_argument(&params)?;
    let item = match kind {
        Kind::Cos => {
            return Err(ApiError::unsupported("a COS trigger is changed by deleting and creating it"));
        }
        Kind::Timer => timer::update(call, &params, &function).await?,
        Kind::Http => url::update(call, &params, &function).await?,
    };
    Ok(reply(json!({"TriggerInfo": item.shown})))
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    match Kind::of(&params)? {
        Kind::Cos => {
            triggers_of(call, &function).delete_rule(selector(call, &params, &function)?).await?;
        }
        Kind::Timer => timer::delete(call, &params, &function).await?,
        Kind::Http => url::delete(call, &params, &function).await?,
    }
    Ok(Reply::new())
}

/// The triggers of a function as `GetFunction` shows them, oldest first.
pub(super) fn of_function(call: &Call<'_>, function: &Function) -> Result<Vec<Value>, ApiError> {
    Ok(items(call, function)?.into_iter().map(|item| item.shown).collect())
}

fn items(call: &Call<'_>, function: &Function) -> Result<Vec<Item>, ApiError> {
    let mut items: Vec<Item> = rules_of(call, function)?.iter().map(|rule| item(rule, function)).collect();
    items.extend(timer::of_function(call, function)?);
    items.extend(url::of_function(call, function)?);
    items.sort_by_key(|item| item.created);
    Ok(items)
}

fn rules_of(call: &Call<'_>, function: &Function) -> Result<Vec<Rule>, ApiError> {
    let name = function.full_name();
    let mut rules = call.triggers.rules()?;
    rules.retain(|rule| rule.as_trigger().is_some_and(|(of, _)| of.is_of(&name)));
    Ok(rules)
}

impl Kind {
    fn of(params: &Params<'_>) -> Result<Self, ApiError> {
        match params.needed("Type")? {
            "cos" => Ok(Self::Cos),
            "timer" => Ok(Self::Timer),
            "http" => Ok(Self::Http),
            other if OTHER_TYPES.contains(&other) => {
                let message = format!("triggers of type {other} are not supported; cos, timer and http are");
                Err(ApiError::unsupported(message))
            }
            other => Err(ApiError::invalid_value("Type", format!("{other} is not a type of trigger"))),
        }
    }

    /// Only a timer's event has a place for it.
    fn refuse_argument(self, params: &Params<'_>) -> Result<(), ApiError> {
        match params.text("CustomArgument")? {
            Some(text) if self != Self::Timer && !text.is_empty() => {
                Err(ApiError::unsupported("CustomArgument is of triggers of type timer"))
            }
            _ => Ok(()),
        }
    }
}

/// `Enable` of requests: `OPEN` or `CLOSE`. Answers have 1 or 0.
pub(super) fn enable(text: &str) -> Result<bool, ApiError> {
    match text {
        "OPEN" => Ok(true),
        "CLOSE" => Ok(false),
        _ => Err(ApiError::invalid_value("Enable", format!("Enable {text} is neither OPEN nor CLOSE"))),
    }
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

/// What policies call a trigger (scf.md 2.1).
pub(super) fn resource_id(function: &Function, trigger: &str) -> String {
    let region = region_code(&function.region);
    format!("qcs::scf:{region}:uin/{}:function/{}/{trigger}", function.uin, function.name)
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

    #[test]
    fn other_types_are_known_but_not_supported() {
        let code = |kind: &str| {
            let value = json!({"Type": kind});
            Kind::of(&Params::new(value.as_object().unwrap())).map_err(|error| error.code.into_owned())
        };
        assert_eq!([code("cos"), code("timer")], [Ok(Kind::Cos), Ok(Kind::Timer)]);
        assert_eq!(code("ckafka"), Err("UnsupportedOperation".into()));
        assert_eq!(code("COS"), Err("InvalidParameterValue.Type".into()));
        assert_eq!(enable("1").unwrap_err().code, "InvalidParameterValue.Enable");
    }
}
