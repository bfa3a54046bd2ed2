//! Brings the rows of older data directories into the form of today: functions used to be one of a name on a server,
//! wherever they were, and their keys, and those of what is kept of them, had no region.

use std::collections::HashMap;

use cosette_model::Target;
use cosette_model::function::FunctionName;
use cosette_store::{Store, Table, Tx};

use crate::{DEFAULT_NAMESPACE, Error, Function, Record, concurrency, row, versions};

/// Rows moved in one commit.
const PAGE: usize = 100;

/// Before anything looks at functions. It finds nothing to do but for the first time; interrupted, it goes on where
/// it was. Records of functions that are there no more come to the region `home`.
///
/// # Errors
/// The store's.
pub async fn upgrade(store: &Store, home: &str) -> Result<(), Error> {
    let mut old = Vec::new();
    let mut regions = HashMap::new();
    for (key, value) in store.scan(Table::Function, &[], None, usize::MAX)? {
        let function: Function = row::decode("function", &value)?;
        // The last one counts where there are several: there were none then.
        regions.insert(function.name.clone(), function.region.clone());
        if versions::key(&function.full_name(), function.version) != key {
            old.push((key, function));
        }
    }
    if !old.is_empty() {
        tracing::info!(rows = old.len(), "bringing an older data directory up to date");
        let known = regions.clone();
        store.commit(move |tx| functions(tx, old, &known)).await?;
    }
    let known = regions.clone();
    if !store.scan(Table::Concurrency, b"r", None, 1)?.is_empty() {
        store.commit(move |tx| reserved(tx, &known)).await?;
    }
    while !store.scan(Table::Invocation, b"r", None, 1)?.is_empty() {
        let (known, home) = (regions.clone(), home.to_owned());
        store.commit(move |tx| records(tx, &known, &home)).await?;
    }
    while !store.scan(Table::Invocation, b"n", None, 1)?.is_empty() {
        let (known, home) = (regions.clone(), home.to_owned());
        store.commit(move |tx| counts(tx, &known, &home)).await?;
    }
    Ok(())
}

fn named(name: &str, region: &str) -> FunctionName {
    FunctionName { region: region.to_owned(), namespace: DEFAULT_NAMESPACE.to_owned(), name: name.to_owned() }
}

fn functions(
    tx: &mut Tx<'_>,
    old: Vec<(Vec<u8>, Function)>,
    regions: &HashMap<String, String>,
) -> Result<(), Error> {
    for (key, mut function) in old {
        let letter = function.configuration.dead_letter.as_mut().map(|letter| &mut letter.to);
        if let Some(Target::Function(to)) = letter
            && to.region.is_empty()
            && let Some(region) = regions.get(&to.name)
        {
            to.region.clone_from(region);
        }
        tx.delete(Table::Function, &key);
        let key = versions::key(&function.full_name(), function.version);
        tx.put(Table::Function, &key, row::encode("function", &function)?);
    }
    Ok(())
}

/// The name in a key of then that ends with it.
fn name_of(key: &[u8]) -> String {
    // A letter, the only namespace there was, and a zero byte.
    let name = key.get(1 + DEFAULT_NAMESPACE.len() + 1..).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn reserved(tx: &mut Tx<'_>, regions: &HashMap<String, String>) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Concurrency, b"r", usize::MAX)? {
        tx.delete(Table::Concurrency, &key);
        let name = name_of(&key);
        if let Some(region) = regions.get(&name) {
            tx.put(Table::Concurrency, &concurrency::reserved_key(&named(&name, region)), value);
        }
    }
    Ok(())
}

fn records(tx: &mut Tx<'_>, regions: &HashMap<String, String>, home: &str) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Invocation, b"r", PAGE)? {
        tx.delete(Table::Invocation, &key);
        let mut record: Record = row::decode("invocation record", &value)?;
        if record.function.region.is_empty() {
            let region = regions.get(&record.function.name);
            record.function.region = region.map_or(home, String::as_str).to_owned();
        }
        let by_time = row::time_key_of(&key);
        let mut key = row::records_of(&record.function.full_name());
        key.extend_from_slice(by_time.get(1..).unwrap_or_default());
        tx.put(Table::Invocation, &by_time, key.clone());
        tx.put(Table::Invocation, &key, row::encode("invocation record", &record)?);
    }
    Ok(())
}

fn counts(tx: &mut Tx<'_>, regions: &HashMap<String, String>, home: &str) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Invocation, b"n", PAGE)? {
        tx.delete(Table::Invocation, &key);
        let name = name_of(&key);
        let region = regions.get(&name).map_or(home, String::as_str);
        tx.put(Table::Invocation, &row::count_of(&named(&name, region)), value);
    }
    Ok(())
}
