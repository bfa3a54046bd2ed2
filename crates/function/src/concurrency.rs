//! How much may run at once. SCF counts it in memory (scf.md 3.9): a function may have a part of the account's memory
//! reserved for itself; the others share what is left of the region. What goes beyond fails with 432.
//!
//! Table `Concurrency`, two kinds of row, told apart by the key's first byte; both hold a number of MB:
//! - `f <full name>`: what is reserved for a function;
//! - `t appid 0x00 region`: what an account has in a region, if it was set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cosette_model::function::FunctionName;
use cosette_store::{Table, Tx};

use crate::invocation::Slots;
use crate::{Error, Function, Functions, row, versions};

/// What an account has in a region if it sets nothing, in MB; a region's whole quota, so also the most (scf.md 3.9).
pub const TOTAL_MB: u64 = 128_000;

pub(crate) fn reserved_key(of: &FunctionName) -> Vec<u8> {
    row::kind(b'f', &row::function_key(of))
}

fn total_key(appid: &str, region: &str) -> Vec<u8> {
    row::kind(b't', &[appid.as_bytes(), region.as_bytes()].join(&0))
}

fn number(value: Option<Vec<u8>>) -> Result<Option<u64>, Error> {
    Ok(value.map(|value| row::decode("memory for concurrency", &value)).transpose()?)
}

/// What an account's functions of one region have reserved together, of these rows.
fn reserved_together(
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    appid: &str,
    region: &str,
    get: impl Fn(&[u8]) -> cosette_store::Result<Option<Vec<u8>>>,
) -> Result<u64, Error> {
    let mut sum = 0;
    for (key, value) in rows {
        let Some(function) = key.get(1..).map(&get).transpose()?.flatten() else { continue };
        let function: Function = row::decode("function", &function)?;
        if function.appid == appid && function.region == region {
            sum += number(Some(value))?.unwrap_or_default();
        }
    }
    Ok(sum)
}

/// Forgets what is reserved for a function, in the commit that deletes it.
pub(crate) fn forget(tx: &mut Tx<'_>, of: &FunctionName) {
    tx.delete(Table::Concurrency, &reserved_key(of));
}

impl Functions {
    /// What is reserved for a function, in MB.
    ///
    /// # Errors
    /// The store's.
    pub fn reserved_mb(&self, of: &FunctionName) -> Result<Option<u64>, Error> {
        number(self.shared.store.get(Table::Concurrency, &reserved_key(of))?)
    }

    /// Reserves memory for a function, which then has no more than this, or lets it share again. None at all (0) lets
    /// nothing run.
    ///
    /// # Errors
    /// `NoSuchFunction`, `Limit` for more than there is, and the store's.
    pub async fn reserve(&self, of: &FunctionName, mb: Option<u64>) -> Result<(), Error> {
        let of = of.clone();
        let reserve = move |tx: &mut Tx<'_>| {
            let function = versions::latest(tx, &of)?;
            let key = reserved_key(&of);
            let Some(mb) = mb else {
                tx.delete(Table::Concurrency, &key);
                return Ok(());
            };
            let Function { appid, region, .. } = &function;
            let total = number(tx.get(Table::Concurrency, &total_key(appid, region))?)?.unwrap_or(TOTAL_MB);
            let mut rows = tx.scan(Table::Concurrency, b"f", usize::MAX)?;
            rows.retain(|(other, _)| *other != key);
            let others = reserved_together(rows, appid, region, |key| tx.get(Table::Function, key))?;
            if others.saturating_add(mb) > total {
                let message = format!("{others} MB of {total} MB are reserved for other functions");
                return Err(Error::Limit { what: "FunctionReservedConcurrencyMemory", message });
            }
            tx.put(Table::Concurrency, &key, row::encode("memory for concurrency", &mb)?);
            Ok(())
        };
        self.shared.store.commit(reserve).await?;
        Ok(())
    }

    /// What an account's functions may have in a region, in MB.
    ///
    /// # Errors
    /// The store's.
    pub fn total_mb(&self, appid: &str, region: &str) -> Result<u64, Error> {
        Ok(number(self.shared.store.get(Table::Concurrency, &total_key(appid, region))?)?.unwrap_or(TOTAL_MB))
    }

    /// # Errors
    /// `Limit` for more than there is, or less than what is reserved, and the store's.
    pub async fn set_total_mb(&self, appid: &str, region: &str, mb: u64) -> Result<(), Error> {
        let (appid, region) = (appid.to_owned(), region.to_owned());
        let set = move |tx: &mut Tx<'_>| {
            let rows = tx.scan(Table::Concurrency, b"f", usize::MAX)?;
            let least = reserved_together(rows, &appid, &region, |key| tx.get(Table::Function, key))?.max(1);
            if !(least..=TOTAL_MB).contains(&mb) {
                let message = format!("TotalConcurrencyMem must be {least} to {TOTAL_MB} MB");
                return Err(Error::Limit { what: "TotalConcurrencyMemory", message });
            }
            let value = row::encode("memory for concurrency", &mb)?;
            tx.put(Table::Concurrency, &total_key(&appid, &region), value);
            Ok(())
        };
        self.shared.store.commit(set).await?;
        Ok(())
    }

    /// How many events of a function are let run at once, so that none has to fail with 432 for the others. 0 if
    /// nothing is to run.
    pub(crate) fn at_once(&self, function: &Function) -> usize {
        match self.reserved_mb(&function.full_name()) {
            Ok(Some(mb)) => {
                let fit = mb / u64::from(function.configuration.memory_mb.max(1));
                usize::try_from(fit).unwrap_or(Slots::EACH).min(Slots::EACH)
            }
            Ok(None) => Slots::EACH,
            Err(error) => {
                tracing::error!(function = function.name, %error, "what is reserved cannot be read");
                Slots::EACH
            }
        }
    }

    /// Counts one more invocation until the value that is returned is dropped; or says, as SCF does, why there is no
    /// room for it.
    pub(crate) fn take_share(&self, function: &Function) -> Result<Result<Share, String>, Error> {
        let Function { name, appid, region, .. } = function;
        let (whose, kind, quota) = match self.reserved_mb(&function.full_name())? {
            Some(mb) => (function.id.clone(), "reserved quota", mb),
            None => {
                let store = &self.shared.store;
                let rows = store.scan(Table::Concurrency, b"f", None, usize::MAX)?;
                let reserved = reserved_together(rows, appid, region, |key| store.get(Table::Function, key))?;
                let shared = self.total_mb(appid, region)?.saturating_sub(reserved);
                (format!("{appid} {region}"), "region unreserved quota", shared)
            }
        };
        let mb = function.configuration.memory_mb.into();
        Ok(self
            .shared
            .shares
            .take(whose, mb, quota)
            .ok_or_else(|| format!("Function [ {name} ] concurrency exceeded {kind} {quota} MB")))
    }
}

/// The memory of all invocations under way, in MB: of each function that has its own part, and of each account and
/// region for the others.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<String, u64>>>);

impl Shares {
    fn used(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, whose: String, mb: u64, quota: u64) -> Option<Share> {
        let mut all = self.used();
        let used = all.entry(whose.clone()).or_default();
        if *used + mb > quota {
            if *used == 0 {
                all.remove(&whose);
            }
            return None;
        }
        *used += mb;
        Some(Share { shares: self.clone(), whose, mb })
    }
}

/// Memory taken until this is dropped.
pub(crate) struct Share {
    shares: Shares,
    whose: String,
    mb: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.used();
        if let Some(used) = all.get_mut(&self.whose) {
            *used = used.saturating_sub(self.mb);
            if *used == 0 {
                all.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_where_the_quota_does_and_come_back() {
        let shares = Shares::default();
        let take = |whose: &str, mb| shares.take(whose.into(), mb, 300);
        let first = take("a", 128).unwrap();
        let second = take("a", 128).unwrap();
        assert!(take("a", 128).is_none());
        assert!(take("b", 300).is_some(), "each has its own");
        drop(first);
        let third = take("a", 128).unwrap();
        drop((second, third));
        assert!(take("a", 301).is_none());
        assert!(shares.used().is_empty(), "nothing is left of what ended");
    }
}
