//! The actions on triggers, whatever their type.

mod item;
mod rule;
mod timer;
mod url;

use cosette_function::Function;
use serde_json::{Value, json};

use self::item::{Item, enable};
use super::{Paging, descending, function_of, reply, sort_by_key, web};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// The types that SCF has and that do not work here (scf.md 2.6).
const OTHER_TYPES: &[&str] = &["apigw", "ckafka", "cmq", "cls", "mps", "clb", "eb", "vod", "cm"];

/// The types that work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cos,
    Timer,
    /// A function URL.
    Http,
}

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let kind = Kind::of(&params)?;
    kind.refuse_argument(&params)?;
    if kind != Kind::Http {
        web::refuse(&function, "other triggers")?;
    }
    let item = match kind {
        Kind::Cos => rule::create(call, &params, &function).await?,
        Kind::Timer => timer::create(call, &params, &function).await?,
        Kind::Http => url::create(call, &params, &function).await?,
    };
    Ok(reply(json!({"TriggerInfo": item.shown})))
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
        Kind::Cos => rule::set_enabled(call, &params, &function, enabled).await?,
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
        Kind::Cos => rule::delete(call, &params, &function).await?,
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
    let mut items = rule::of_function(call, function)?;
    items.extend(timer::of_function(call, function)?);
    items.extend(url::of_function(call, function)?);
    items.sort_by_key(|item| item.created);
    Ok(items)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
