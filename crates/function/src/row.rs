//! How functions and invocation records lie in the store's tables: keys and versioned values.
//!
//! Keys that begin with an account are `appid 0x00 region 0x00 ...`: what an account has somewhere is one range.
//!
//! Table `Function`: key `appid 0x00 region 0x00 namespace 0x00 name`, a function's *full name*; of a version, that and
//! `0x00 <number>`, 8 bytes, big-endian.
//! Table `Invocation`, four kinds of row, told apart by the key's first byte:
//! - `l <owner> 0x00 <started> <seq>`: the record;
//! - `t <started> <seq>`: the key of that record, for reading all functions' newest first;
//! - `k <owner>`: how many records the owner has;
//! - `d <owner>`: that these are being deleted.
//!
//! `<owner>` is a function's id, so that another one that is made of its name has none of its records; what was asked of
//! a function that is not there lies under its full name.
//! `<started>` is in microseconds and `<seq>` the commit's number, both big-endian in 8 bytes, so
//! that keys sort by time.

use cosette_model::function::FunctionName;
use cosette_model::{Seq, Timestamp};
use cosette_store::{Store, Table, Tx};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Record;

/// The first byte of each value. A reader refuses what it does not know.
const VERSION: u8 = 1;

/// Records kept of one function, if nobody says otherwise.
pub(crate) const RECORDS_MAX: u64 = 1000;

/// Records forgotten in one commit.
const FORGOTTEN_MAX: usize = 64;

type Result<T> = cosette_store::Result<T>;

fn damaged(what: &str, why: &dyn std::fmt::Display) -> cosette_store::Error {
    cosette_store::Error::Corrupt { what: format!("{what}: {why}") }
}

pub(crate) fn encode<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    let body = rmp_serde::to_vec_named(value).map_err(|error| damaged(what, &error))?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, body)) => rmp_serde::from_slice(body).map_err(|error| damaged(what, &error)),
        Some((version, _)) => Err(damaged(what, &format_args!("unknown version {version}"))),
        None => Err(damaged(what, &"empty")),
    }
}

pub(crate) fn function_key(function: &FunctionName) -> Vec<u8> {
    let mut key = functions_of(&function.appid, &function.region, &function.namespace);
    key.extend_from_slice(function.name.as_bytes());
    key
}

/// What the keys of a namespace's functions begin with.
pub(crate) fn functions_of(appid: &str, region: &str, namespace: &str) -> Vec<u8> {
    below(&[appid, region, namespace])
}

/// What the keys of all that lies below these begin with.
pub(crate) fn below(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for part in parts {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key
}

pub(crate) fn kind(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(rest);
    key
}

/// Under what records are kept: of a function with this id, or of one that is not there.
pub(crate) fn owner(id: Option<&str>, name: &FunctionName) -> Vec<u8> {
    id.map_or_else(|| function_key(name), |id| id.as_bytes().to_vec())
}

/// What the keys of an owner's records begin with.
pub(crate) fn records_of(owner: &[u8]) -> Vec<u8> {
    let mut key = kind(b'l', owner);
    key.push(0);
    key
}

/// The key of how many there are.
pub(crate) fn count_of(owner: &[u8]) -> Vec<u8> {
    kind(b'k', owner)
}

/// What the keys of owners begin with whose records are being deleted.
pub(crate) const DELETED: u8 = b'd';

/// What the keys of all records by time begin with.
pub(crate) fn by_time() -> Vec<u8> {
    vec![b't']
}

fn time_key(started: Timestamp, seq: Seq) -> Vec<u8> {
    let mut key = by_time();
    key.extend_from_slice(&started.as_micros().to_be_bytes());
    key.extend_from_slice(&seq.0.to_be_bytes());
    key
}

/// The last key by time of what began before `from`.
pub(crate) fn before(from: Timestamp) -> Vec<u8> {
    let mut key = by_time();
    key.extend_from_slice(&from.as_micros().to_be_bytes());
    key
}

/// Of a record's key.
pub(crate) fn time_key_of(record: &[u8]) -> Vec<u8> {
    kind(b't', &record[record.len().saturating_sub(16)..])
}

/// Writes a finished record and forgets the function's oldest, if there are more than `max`.
pub(crate) fn add(tx: &mut Tx<'_>, record: &Record, max: u64) -> Result<()> {
    let owner = owner(record.id.as_deref(), &record.function.full_name());
    let value = encode("invocation record", record)?;
    let by_time = time_key(record.started, tx.seq());
    let prefix = records_of(&owner);
    let mut key = prefix.clone();
    key.extend_from_slice(&by_time[1..]);
    let count_key = count_of(&owner);
    let count = match tx.get(Table::Invocation, &count_key)? {
        Some(bytes) => decode::<u64>("count of invocation records", &bytes)?,
        None => 0,
    };
    let mut count = count + 1;
    if count > max {
        let surplus = usize::try_from(count - max).unwrap_or(FORGOTTEN_MAX).min(FORGOTTEN_MAX);
        for (oldest, _) in tx.scan(Table::Invocation, &prefix, surplus)? {
            tx.delete(Table::Invocation, &time_key_of(&oldest));
            tx.delete(Table::Invocation, &oldest);
            count -= 1;
        }
    }
    tx.put(Table::Invocation, &by_time, key.clone());
    tx.put(Table::Invocation, &key, value);
    tx.put(Table::Invocation, &count_key, encode("count of invocation records", &count)?);
    Ok(())
}

/// Deletes an owner's records, a few in each commit so that others have their turn.
pub(crate) async fn purge(store: &Store, owner: Vec<u8>) -> Result<()> {
    loop {
        let owner = owner.clone();
        let purge = move |tx: &mut Tx<'_>| purge_some(tx, &owner, 20);
        let (_, is_done) = store.commit::<_, cosette_store::Error, _>(purge).await?;
        if is_done {
            return Ok(());
        }
    }
}

/// Takes away up to `max` of an owner's records; true when none is left.
fn purge_some(tx: &mut Tx<'_>, owner: &[u8], max: usize) -> Result<bool> {
    let rows = tx.scan(Table::Invocation, &records_of(owner), max)?;
    for (key, _) in &rows {
        tx.delete(Table::Invocation, &time_key_of(key));
        tx.delete(Table::Invocation, key);
    }
    let last = rows.len() < max;
    if last {
        tx.delete(Table::Invocation, &count_of(owner));
        tx.delete(Table::Invocation, &kind(DELETED, owner));
    }
    Ok(last)
}
