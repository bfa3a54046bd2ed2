//! How functions and invocation records lie in the store's tables: keys and versioned values.
//!
//! Table `Function`: key `region 0x00 namespace 0x00 name`, a function's *full name*; of a version, that and
//! `0x00 <number>`, 8 bytes, big-endian.
//! Table `Invocation`, three kinds of row, told apart by the key's first byte:
//! - `i <full name> 0x00 <started> <seq>`: the record;
//! - `t <started> <seq>`: the key of that record, for reading all functions' newest first;
//! - `c <full name>`: how many records the function has.
//!
//! `<started>` is in microseconds and `<seq>` the commit's number, both big-endian in 8 bytes, so
//! that keys sort by time.

use cosette_model::function::FunctionName;
use cosette_model::{Seq, Timestamp};
use cosette_store::{Table, Tx};
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
    let mut key = functions_of(&function.region, &function.namespace);
    key.extend_from_slice(function.name.as_bytes());
    key
}

/// What the keys of a namespace's functions begin with.
pub(crate) fn functions_of(region: &str, namespace: &str) -> Vec<u8> {
    let mut key = Vec::new();
    for part in [region, namespace] {
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

/// What the keys of a function's records begin with.
pub(crate) fn records_of(function: &FunctionName) -> Vec<u8> {
    let mut key = kind(b'i', &function_key(function));
    key.push(0);
    key
}

/// The key of how many there are.
pub(crate) fn count_of(function: &FunctionName) -> Vec<u8> {
    kind(b'c', &function_key(function))
}

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
    let function = record.function.full_name();
    let value = encode("invocation record", record)?;
    let by_time = time_key(record.started, tx.seq());
    let prefix = records_of(&function);
    let mut key = prefix.clone();
    key.extend_from_slice(&by_time[1..]);
    let count_key = count_of(&function);
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

/// Takes away up to `max` of a function's records; true when none is left.
pub(crate) fn purge(tx: &mut Tx<'_>, function: &FunctionName, max: usize) -> Result<bool> {
    let rows = tx.scan(Table::Invocation, &records_of(function), max)?;
    for (key, _) in &rows {
        tx.delete(Table::Invocation, &time_key_of(key));
        tx.delete(Table::Invocation, key);
    }
    let last = rows.len() < max;
    if last {
        tx.delete(Table::Invocation, &count_of(function));
    }
    Ok(last)
}
