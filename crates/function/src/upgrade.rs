//! Brings the rows of older data directories into the form of today. A function's name used to be taken once on a
//! server, wherever and whose it was, and later once in each namespace of each region: its key, and those of what is
//! kept of it, had no account, and before that no region either. Whose a function is, its row has always said.

use std::collections::HashMap;

use cosette_model::Target;
use cosette_model::function::{FunctionName, FunctionRef, Home};
use cosette_store::{Store, Table, Tx};

use crate::provisioned::{self, Provision};
use crate::{DEFAULT_NAMESPACE, Error, Function, Record, Version, concurrency, row, versions};

/// Rows moved in one commit.
const PAGE: usize = 100;

/// Before anything looks at functions. It finds nothing to do but for the first time; interrupted, it goes on where
/// it was. Records of functions that are there no more come to `home`. Deletions that were interrupted are finished.
///
/// # Errors
/// The store's.
pub async fn upgrade(store: &Store, home: &Home) -> Result<(), Error> {
    let mut old = Vec::new();
    let mut known = Known { home: home.clone(), by_name: HashMap::new() };
    for (key, value) in store.scan(Table::Function, &[], None, usize::MAX)? {
        let function: Function = row::decode("function", &value)?;
        if versions::key(&function.full_name(), function.version) != key {
            old.push((key, function.clone()));
        }
        if function.version == Version::Latest {
            let full = function.full_name();
            known.by_name.entry(full.name.clone()).or_default().push((full, function.id));
        }
    }
    if !old.is_empty() {
        tracing::info!(rows = old.len(), "bringing an older data directory up to date");
        let known = known.clone();
        store.commit(move |tx| functions(tx, old, &known)).await?;
    }
    for (table, old, move_rows) in MOVES {
        while !store.scan(*table, &[*old], None, 1)?.is_empty() {
            let (old, known) = (*old, known.clone());
            store.commit(move |tx| move_rows(tx, old, &known)).await?;
        }
    }
    for (key, _) in store.scan(Table::Invocation, &[row::DELETED], None, usize::MAX)? {
        row::purge(store, key.get(1..).unwrap_or_default().to_vec()).await?;
    }
    Ok(())
}

/// Moves some rows of a kind that is no more.
type Move = fn(&mut Tx<'_>, u8, &Known) -> Result<(), Error>;

/// By the first byte of the keys of then: those without a region, and those without an account.
const MOVES: &[(Table, u8, Move)] = &[
    (Table::Concurrency, b'r', reserved),
    (Table::Concurrency, b'f', reserved),
    (Table::Concurrency, b'p', provisions),
    (Table::Invocation, b'r', records),
    (Table::Invocation, b'i', records),
    (Table::Invocation, b'n', counts),
    (Table::Invocation, b'c', counts),
];

/// The functions there are, with their ids.
#[derive(Clone)]
struct Known {
    home: Home,
    by_name: HashMap<String, Vec<(FunctionName, String)>>,
}

impl Known {
    /// Which function was meant when nobody said whose; where it was not said either, the last one counts.
    fn find(&self, region: &str, namespace: &str, name: &str) -> Option<&(FunctionName, String)> {
        let is_it = |(full, _): &&(FunctionName, String)| {
            full.namespace == namespace && (region.is_empty() || full.region == region)
        };
        self.by_name.get(name)?.iter().rfind(is_it)
    }

    /// The same of a key's rest; of one that is not there, what it is called now, and no id.
    fn named(&self, rest: &[u8]) -> (FunctionName, Option<String>) {
        let rest = String::from_utf8_lossy(rest);
        let mut parts: Vec<&str> = rest.split('\0').collect();
        let name = parts.pop().unwrap_or_default();
        let namespace = parts.pop().unwrap_or(DEFAULT_NAMESPACE);
        let region = parts.pop().unwrap_or_default();
        match self.find(region, namespace, name) {
            Some((full, id)) => (full.clone(), Some(id.clone())),
            None => {
                let region = if region.is_empty() { &self.home.region } else { region };
                (crate::full_name(&self.home.appid, region, namespace, name), None)
            }
        }
    }

    /// Completes what an older row says of a function; its id, if it is there.
    fn complete(&self, of: &mut FunctionRef, owner: &str) -> Option<String> {
        let found = self.find(&of.region, &of.namespace, &of.name);
        if of.appid.is_empty() {
            of.appid = found.map_or(owner, |(full, _)| &full.appid).to_owned();
        }
        if let Some((full, _)) = found.filter(|_| of.region.is_empty()) {
            of.region.clone_from(&full.region);
        }
        found.map(|(_, id)| id.clone())
    }
}

fn functions(tx: &mut Tx<'_>, old: Vec<(Vec<u8>, Function)>, known: &Known) -> Result<(), Error> {
    for (key, mut function) in old {
        let letter = function.configuration.dead_letter.as_mut().map(|letter| &mut letter.to);
        if let Some(Target::Function(to)) = letter {
            known.complete(to, &function.appid);
        }
        tx.delete(Table::Function, &key);
        let key = versions::key(&function.full_name(), function.version);
        tx.put(Table::Function, &key, row::encode("function", &function)?);
    }
    Ok(())
}

fn reserved(tx: &mut Tx<'_>, old: u8, known: &Known) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Concurrency, &[old], PAGE)? {
        tx.delete(Table::Concurrency, &key);
        if let (full, Some(_)) = known.named(key.get(1..).unwrap_or_default()) {
            tx.put(Table::Concurrency, &concurrency::reserved_key(&full), value);
        }
    }
    Ok(())
}

fn provisions(tx: &mut Tx<'_>, old: u8, _: &Known) -> Result<(), Error> {
    for row in tx.scan(Table::Concurrency, &[old], PAGE)? {
        tx.delete(Table::Concurrency, &row.0);
        let value = row.1.clone();
        for provision in provisioned::read(vec![row])? {
            tx.put(Table::Concurrency, &Provision::key(&provision), value.clone());
        }
    }
    Ok(())
}

fn records(tx: &mut Tx<'_>, old: u8, known: &Known) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Invocation, &[old], PAGE)? {
        tx.delete(Table::Invocation, &key);
        let mut record: Record = row::decode("invocation record", &value)?;
        record.id = known.complete(&mut record.function, &known.home.appid);
        if record.function.region.is_empty() {
            record.function.region.clone_from(&known.home.region);
        }
        let by_time = row::time_key_of(&key);
        let owner = row::owner(record.id.as_deref(), &record.function.full_name());
        let mut key = row::records_of(&owner);
        key.extend_from_slice(by_time.get(1..).unwrap_or_default());
        tx.put(Table::Invocation, &by_time, key.clone());
        tx.put(Table::Invocation, &key, row::encode("invocation record", &record)?);
    }
    Ok(())
}

fn counts(tx: &mut Tx<'_>, old: u8, known: &Known) -> Result<(), Error> {
    for (key, value) in tx.scan(Table::Invocation, &[old], PAGE)? {
        tx.delete(Table::Invocation, &key);
        let (full, id) = known.named(key.get(1..).unwrap_or_default());
        tx.put(Table::Invocation, &row::count_of(&row::owner(id.as_deref(), &full)), value);
    }
    Ok(())
}
