//! The actions of SCF, 2018-04-16. Each reads its parameters, asks the registry or the triggers,
//! and makes the reply of scf.md 3; rules about functions and triggers are theirs, not ours.

use cosette_function::{DEFAULT_NAMESPACE, Function, Functions};
use cosette_model::function::{FunctionName, FunctionRef, Invoke};
use cosette_trigger::{Error as TriggerError, Triggers};

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::{reply, time};

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod async_event;
mod asynchronous;
mod code;
pub(crate) mod concurrency;
pub(crate) mod domain;
pub(crate) mod function;
pub(crate) mod function_list;
mod image;
pub(crate) mod invocation;
pub(crate) mod layer;
mod letter;
pub(crate) mod log;
pub(crate) mod namespace;
pub(crate) mod provisioned;
pub(crate) mod retry;
pub(crate) mod test_model;
pub(crate) mod trigger;
pub(crate) mod version;
mod web;

/// The one editable version, and the API's default qualifier.
const LATEST: &str = "$LATEST";
/// The alias every function has; at first it points at `$LATEST`.
const DEFAULT_ALIAS: &str = "$DEFAULT";

/// `Namespace`, or `default`.
fn namespace_of<'a>(params: &Params<'a>) -> Result<&'a str, ApiError> {
    Ok(params.text("Namespace")?.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_NAMESPACE))
}

/// What an action is about, as policies call it: a copy also of the function that is made or replaced.
pub(crate) fn resources(call: &Call<'_>, params: &Params<'_>) -> Result<Vec<String>, ApiError> {
    let uin = &call.account.uin;
    let function = |region: &str, namespace: &str, name: &str| {
        format!("qcs::scf:{region}:uin/{uin}:namespace/{namespace}/function/{name}")
    };
    let region = call.region.as_str();
    let Some(name) = params.text("FunctionName")? else {
        return Ok(vec![format!("qcs::scf:{region}:uin/{uin}:*")]);
    };
    let mut resources = vec![function(region, namespace_of(params)?, name)];
    if let Some(copy) = params.text("NewFunctionName")? {
        let given = |field| Ok::<_, ApiError>(params.text(field)?.filter(|text| !text.is_empty()));
        let region = given("TargetRegion")?.unwrap_or(region);
        resources.push(function(region, given("TargetNamespace")?.unwrap_or(DEFAULT_NAMESPACE), copy));
    }
    Ok(resources)
}

/// The namespace a request is about, checked to exist.
fn known_namespace<'a>(call: &Call<'_>, params: &Params<'a>) -> Result<&'a str, ApiError> {
    let name = namespace_of(params)?;
    call.functions.namespace(&call.account.appid, call.region.as_str(), name)?;
    Ok(name)
}

/// The function a request names, if it is the caller's and in the request's region and namespace. One that is only
/// in another region does not exist here, as in the cloud; the message says where it is.
fn function_of(call: &Call<'_>, params: &Params<'_>) -> Result<Function, ApiError> {
    let name = params.needed("FunctionName")?;
    let namespace = known_namespace(call, params)?.to_owned();
    let (appid, region) = (call.account.appid.clone(), call.region.to_string());
    let mut wanted = FunctionName { appid, region, namespace, name: name.to_owned() };
    match call.functions.get(&wanted) {
        Ok(function) => return Ok(function),
        Err(cosette_function::Error::NoSuchFunction(_)) => {}
        Err(error) => return Err(error.into()),
    }
    wanted.region.clear();
    let message = match call.functions.get(&wanted) {
        Ok(other) => format!(
            "function {name} does not exist in {}; there is one of this name in {}",
            call.region, other.region
        ),
        _ => format!("function {name} does not exist"),
    };
    Err(ApiError::no_function(message))
}

/// A function under one of its qualifiers.
fn reference(function: &Function, qualifier: &str) -> FunctionRef {
    function.full_name().under(qualifier)
}

/// The triggers, for whoever changes some of this function: none of another one that was made of its name since.
fn triggers_of(call: &Call<'_>, function: &Function) -> Triggers {
    let function = function.clone();
    call.triggers.checking(move |tx| match Functions::still(tx, &function)? {
        true => Ok(()),
        false => Err(TriggerError::NoSuchFunction(function.name.clone())),
    })
}

/// The version or alias a request names, checked to exist.
fn qualified(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
    default: &str,
) -> Result<FunctionRef, ApiError> {
    let qualifier = params.text("Qualifier")?.filter(|text| !text.is_empty()).unwrap_or(default);
    let reference = reference(function, qualifier);
    match call.functions.describe(&reference.clone().into()) {
        Some(_) => Ok(reference),
        None => {
            let message = format!("function {} has no version or alias {qualifier}", function.name);
            Err(ApiError::new("ResourceNotFound.Qualifier", message))
        }
    }
}

/// Which part of a list to answer.
struct Paging {
    offset: usize,
    limit: usize,
}

impl Paging {
    const LIMIT_DEFAULT: usize = 20;

    fn of(params: &Params<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            offset: params.count("Offset")?.unwrap_or(0),
            limit: params.count("Limit")?.unwrap_or(Self::LIMIT_DEFAULT),
        })
    }

    fn page<T>(&self, items: Vec<T>) -> impl Iterator<Item = T> + use<T> {
        items.into_iter().skip(self.offset).take(self.limit)
    }
}

/// `Order`: whether the greatest comes first.
fn descending(params: &Params<'_>, default: bool) -> Result<bool, ApiError> {
    match params.text("Order")? {
        None | Some("") => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("desc") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("asc") => Ok(false),
        Some(text) => Err(ApiError::invalid_value("Order", format!("Order {text} is neither ASC nor DESC"))),
    }
}

/// Sorts by a key; equal ones keep their order.
fn sort_by_key<T, K: Ord>(items: &mut [T], descending: bool, key: impl Fn(&T) -> K) {
    if descending {
        items.sort_by_key(|item| std::cmp::Reverse(key(item)));
    } else {
        items.sort_by_key(key);
    }
}
