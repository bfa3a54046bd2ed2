//! Test models (scf.md 3.11): events that are kept with a function to try it with. Rows of a table of their own, under
//! the function's id: a function that is made anew has none.

use cosette_function::{Function, Functions};
use cosette_model::Timestamp;
use cosette_store::{Table, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{function_of, reply, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Models of one function.
pub(super) const MODELS_MAX: usize = 20;
/// Bytes of a model.
const VALUE_MAX: usize = 64 << 10;
/// Letters of a name.
const NAME_MAX: usize = 60;

#[derive(Serialize, Deserialize)]
struct Model {
    value: String,
    created: Timestamp,
    modified: Timestamp,
}

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let (name, value) = (named(&params)?, value_of(&params)?);
    let (prefix, key) = (prefix(&function), key(&function, name));
    let name = name.to_owned();
    let write = move |tx: &mut Tx<'_>| {
        if !Functions::still(tx, &function)? {
            return Err(ApiError::no_function(format!("function {} does not exist", function.name)));
        }
        if tx.get(Table::TestModel, &key)?.is_some() {
            return Err(ApiError::new("ResourceInUse.TestModel", format!("the test model {name} exists")));
        }
        if tx.scan(Table::TestModel, &prefix, MODELS_MAX)?.len() >= MODELS_MAX {
            let message = format!("a function has at most {MODELS_MAX} test models");
            return Err(ApiError::new("LimitExceeded.TestModel", message));
        }
        let (created, modified) = (tx.now(), tx.now());
        tx.put(Table::TestModel, &key, encode(&Model { value, created, modified })?);
        Ok(())
    };
    call.store.commit::<_, ApiError, _>(write).await?;
    Ok(Reply::new())
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let (name, value) = (named(&params)?.to_owned(), value_of(&params)?);
    let key = key(&function, &name);
    let write = move |tx: &mut Tx<'_>| {
        let row = tx.get(Table::TestModel, &key)?.ok_or_else(|| unknown(&name))?;
        let model = Model { value, modified: tx.now(), ..decode(&row)? };
        tx.put(Table::TestModel, &key, encode(&model)?);
        Ok(())
    };
    call.store.commit::<_, ApiError, _>(write).await?;
    Ok(Reply::new())
}

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let name = named(&params)?;
    let row = call.store.get(Table::TestModel, &key(&function, name))?.ok_or_else(|| unknown(name))?;
    let model = decode(&row)?;
    Ok(reply(json!({
        "TestModelValue": model.value,
        "CreatedTime": time(model.created),
        "ModifiedTime": time(model.modified),
    })))
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let prefix = prefix(&function_of(call, &params)?);
    let rows = call.store.scan(Table::TestModel, &prefix, None, MODELS_MAX)?;
    let name = |key: &[u8]| String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
    let names: Vec<String> = rows.iter().map(|(key, _)| name(key)).collect();
    Ok(reply(json!({"TestModels": names, "TotalCount": names.len()})))
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let name = named(&params)?.to_owned();
    let key = key(&function, &name);
    let write = move |tx: &mut Tx<'_>| {
        tx.get(Table::TestModel, &key)?.ok_or_else(|| unknown(&name))?;
        tx.delete(Table::TestModel, &key);
        Ok(())
    };
    call.store.commit::<_, ApiError, _>(write).await?;
    Ok(Reply::new())
}

/// The function goes by this commit, and its models with it.
pub(super) fn forget(tx: &mut Tx<'_>, function: &Function) -> cosette_store::Result<()> {
    for (key, _) in tx.scan(Table::TestModel, &prefix(function), MODELS_MAX)? {
        tx.delete(Table::TestModel, &key);
    }
    Ok(())
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("ResourceNotFound.TestModel", format!("there is no test model {name}"))
}

fn named<'a>(params: &Params<'a>) -> Result<&'a str, ApiError> {
    let name = params.needed("TestModelName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && name.len() <= NAME_MAX && name.chars().all(fits) {
        return Ok(name);
    }
    let message = format!("TestModelName has at most {NAME_MAX} letters, digits, - and _, a letter first");
    Err(ApiError::invalid_value("TestModelName", message))
}

fn value_of(params: &Params<'_>) -> Result<String, ApiError> {
    let value = params.needed("TestModelValue")?;
    if value.len() > VALUE_MAX {
        let message = format!("TestModelValue has at most {VALUE_MAX} bytes");
        return Err(ApiError::invalid_value("TestModelValue", message));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => {
            let message = format!("TestModelValue is not JSON text: {error}");
            Err(ApiError::invalid_value("TestModelValue", message))
        }
    }
}

fn prefix(function: &Function) -> Vec<u8> {
    format!("{}/", function.id).into_bytes()
}

fn key(function: &Function, name: &str) -> Vec<u8> {
    format!("{}/{name}", function.id).into_bytes()
}

fn encode(model: &Model) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(model).map_err(ApiError::internal)
}

fn decode(row: &[u8]) -> Result<Model, ApiError> {
    serde_json::from_slice(row).map_err(|error| ApiError::internal(format!("test model row: {error}")))
}
