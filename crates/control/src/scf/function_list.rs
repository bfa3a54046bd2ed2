//! Functions in lists, and what these are narrowed by (scf.md 3.7, 3.8).

use cosette_function::Function;
use serde_json::{Value, json};

use super::function::shown_tags;
use super::{Paging, asynchronous, descending, known_namespace, reply, sort_by_key, time, web};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    let filters = filters(&params)?;
    let name = params.text("SearchKey")?.unwrap_or_default();
    let description = params.text("Description")?.unwrap_or_default();
    let namespace = known_namespace(call, &params)?;
    let mut found = call.functions.list(&call.account.appid, call.region.as_str(), namespace)?;
    found.retain(|function| {
        function.name.contains(name)
            && function.configuration.description.contains(description)
            && filters
                .iter()
                .all(|(filter, values)| filter.of(function).is_some_and(|value| values.contains(&value)))
    });
    let descending = descending(&params, true)?;
    match params.text("Orderby")? {
        None | Some("" | "ModTime") => sort_by_key(&mut found, descending, |f| f.modified),
        Some("AddTime") => sort_by_key(&mut found, descending, |f| f.created),
        Some("FunctionName") => sort_by_key(&mut found, descending, |f| f.name.clone()),
        Some(other) => {
            let message = format!("Orderby {other} is not AddTime, ModTime or FunctionName");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    }
    let total = found.len();
    let page = paging.page(found).map(|function| {
        let reserved = call.functions.reserved_mb(&function.full_name())?;
        let provisioned = call.functions.provisioned_mb(&function)?;
        Ok(item(&function, reserved, (provisioned > 0).then_some(provisioned)))
    });
    let page: Vec<Value> = page.collect::<Result<_, ApiError>>()?;
    Ok(reply(json!({"Functions": page, "TotalCount": total})))
}

/// A function as lists show it (scf.md 3.7).
fn item(function: &Function, reserved_mb: Option<u64>, provisioned_mb: Option<u64>) -> Value {
    json!({
        "FunctionName": function.name,
        "FunctionId": function.id,
        "Namespace": function.namespace,
        "Runtime": function.configuration.runtime,
        "Type": web::kind(function),
        "Status": "Active",
        "StatusDesc": function.status_desc,
        "StatusReasons": [],
        "Description": function.configuration.description,
        "Tags": shown_tags(function),
        "AddTime": time(function.created),
        "ModTime": time(function.modified),
        "TotalProvisionedConcurrencyMem": provisioned_mb,
        "ReservedConcurrencyMem": reserved_mb,
        "AsyncRunEnable": asynchronous::word(function.configuration.async_run),
        "TraceEnable": asynchronous::word(function.configuration.trace),
    })
}

/// Filters of one request (scf.md 3.8).
const FILTERS_MAX: usize = 10;

/// What `ListFunctions` can be narrowed by.
#[derive(Clone, Copy)]
enum Filter<'a> {
    Runtime,
    Role,
    /// The value of a tag with this key.
    Tag(&'a str),
    AsyncRun,
    Trace,
    FunctionType,
    /// A property that is the same for every function here.
    Always(&'static str),
}

impl<'a> Filter<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "Runtime" => Self::Runtime,
            "Role" => Self::Role,
            "Status" => Self::Always("Active"),
            "FunctionType" => Self::FunctionType,
            "PublicNetStatus" => Self::Always("ENABLE"),
            "AsyncRunEnable" => Self::AsyncRun,
            "TraceEnable" => Self::Trace,
            "VpcId" | "SubnetId" | "ClsTopicId" | "ClsLogsetId" | "CfsId" | "CfsMountInsId" | "Eip" => {
                Self::Always("")
            }
            _ => Self::Tag(name.strip_prefix("tag-")?),
        })
    }

    /// What a function has of it, if it can have it and does.
    fn of<'b>(&self, function: &'b Function) -> Option<&'b str>
    where
        'a: 'b,
    {
        Some(match self {
            Self::Runtime => &function.configuration.runtime,
            Self::Role => &function.configuration.role,
            Self::Tag(key) => {
                let tag = function.configuration.tags.iter().find(|(of, _)| of == key)?;
                &tag.1
            }
            Self::AsyncRun => asynchronous::word(function.configuration.async_run),
            Self::Trace => asynchronous::word(function.configuration.trace),
            Self::FunctionType => web::kind(function),
            Self::Always(value) => value,
        })
    }
}

fn filters<'a>(params: &Params<'a>) -> Result<Vec<(Filter<'a>, Vec<&'a str>)>, ApiError> {
    let list = params.objects("Filters")?.unwrap_or_default();
    if list.len() > FILTERS_MAX {
        return Err(ApiError::invalid_value("Filters", format!("there are more than {FILTERS_MAX} filters")));
    }
    list.iter()
        .map(|entry| {
            let name = entry.needed("Name")?;
            let filter = Filter::parse(name).ok_or_else(|| {
                ApiError::invalid_value("Filters", format!("functions cannot be filtered by {name}"))
            })?;
            Ok((filter, entry.texts("Values")?.unwrap_or_default()))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_filter_is_known() {
        for name in [
            "VpcId",
            "SubnetId",
            "ClsTopicId",
            "ClsLogsetId",
            "Role",
            "CfsId",
            "CfsMountInsId",
            "Eip",
            "Status",
            "Runtime",
            "FunctionType",
            "PublicNetStatus",
            "AsyncRunEnable",
            "TraceEnable",
            "tag-team",
        ] {
            assert!(Filter::parse(name).is_some(), "{name}");
        }
        let bad = json!({"Filters": [{"Name": "Colour", "Values": ["red"]}]});
        assert_eq!(
            filters(&Params::new(bad.as_object().unwrap())).map(|_| ()).unwrap_err().code,
            "InvalidParameterValue.Filters"
        );
    }
}
