//! How much may run at once. SCF counts it in memory (scf.md 3.9): a function may have a part of the account's memory
//! reserved for itself; the others share what is left of the region. What goes beyond fails with 432.
//!
//! Table `Concurrency`, three kinds of row, told apart by the key's first byte; the first two hold a number of MB:
//! - `m <full name>`: what is reserved for a function;
//! - `t appid 0x00 region`: what an account has in a region, if it was set;
//! - `q ...`: what is provisioned of a version, see `provisioned`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cosette_model::function::FunctionName;
use cosette_store::{Store, Table, Tx};

use crate::invocation::{Slots, instance_id};
use crate::provisioned::{self, Provision};
use crate::{Error, Function, Functions, row, versions};

/// What an account has in a region if it sets nothing, in MB; a region's whole quota, so also the most (scf.md 3.9).
pub const TOTAL_MB: u64 = 128_000;

pub(crate) fn reserved_key(of: &FunctionName) -> Vec<u8> {
    row::kind(b'm', &row::function_key(of))
}

fn total_key(appid: &str, region: &str) -> Vec<u8> {
    row::kind(b't', &[appid.as_bytes(), region.as_bytes()].join(&0))
}

/// What the keys of an account's rows of one kind and region begin with.
pub(crate) fn place(kind: u8, appid: &str, region: &str) -> Vec<u8> {
    row::kind(kind, &row::below(&[appid, region]))
}

fn number(value: Option<Vec<u8>>) -> Result<Option<u64>, Error> {
    Ok(value.map(|value| row::decode("memory for concurrency", &value)).transpose()?)
}

type Rows = cosette_store::Result<Vec<(Vec<u8>, Vec<u8>)>>;

/// How an account's memory of one region is divided, in MB.
pub(crate) struct Division {
    pub(crate) total: u64,
    /// The parts that functions have for themselves, by the functions' ids.
    reserved: Vec<(String, u64)>,
    pub(crate) provisions: Vec<Provision>,
}

impl Division {
    fn read(
        appid: &str,
        region: &str,
        scan: impl Fn(&[u8]) -> Rows,
        get: impl Fn(Table, &[u8]) -> cosette_store::Result<Option<Vec<u8>>>,
    ) -> Result<Self, Error> {
        let total = number(get(Table::Concurrency, &total_key(appid, region))?)?.unwrap_or(TOTAL_MB);
        let mut reserved = Vec::new();
        for (key, value) in scan(&place(b'm', appid, region))? {
            let function = key.get(1..).map(|key| get(Table::Function, key)).transpose()?.flatten();
            let Some(function) = function else { continue };
            let function: Function = row::decode("function", &function)?;
            reserved.push((function.id, number(Some(value))?.unwrap_or_default()));
        }
        let provisions = provisioned::read(scan(&place(provisioned::ALL, appid, region))?)?;
        Ok(Self { total, reserved, provisions })
    }

    pub(crate) fn in_commit(tx: &Tx<'_>, appid: &str, region: &str) -> Result<Self, Error> {
        let scan = |prefix: &[u8]| tx.scan(Table::Concurrency, prefix, usize::MAX);
        Self::read(appid, region, scan, |table, key| tx.get(table, key))
    }

    pub(crate) fn now(store: &Store, appid: &str, region: &str) -> Result<Self, Error> {
        let scan = |prefix: &[u8]| store.scan(Table::Concurrency, prefix, None, usize::MAX);
        Self::read(appid, region, scan, |table, key| store.get(table, key))
    }

    /// What a function has for itself.
    pub(crate) fn part(&self, id: &str) -> Option<u64> {
        self.reserved.iter().find(|(of, _)| of == id).map(|(_, mb)| *mb)
    }

    fn set_part(&mut self, id: &str, mb: Option<u64>) {
        self.reserved.retain(|(of, _)| of != id);
        self.reserved.extend(mb.map(|mb| (id.to_owned(), mb)));
    }

    fn reserved(&self) -> u64 {
        self.reserved.iter().fold(0, |sum, (_, mb)| sum.saturating_add(*mb))
    }

    /// What all functions without a part of their own share.
    pub(crate) fn shared(&self) -> u64 {
        self.total.saturating_sub(self.reserved())
    }

    /// What instances that are kept take of a function's part, or of what is shared.
    pub(crate) fn provisioned(&self, part_of: Option<&str>) -> u64 {
        let is_of = |provision: &&Provision| match part_of {
            Some(id) => provision.function == id,
            None => self.part(&provision.function).is_none(),
        };
        self.provisions.iter().filter(is_of).map(Provision::mb).sum()
    }

    /// Sets what is provisioned of a version, if there is room for it.
    pub(crate) fn admit(&mut self, provision: Provision) -> Result<(), Error> {
        let (of, key) = (provision.function.clone(), provision.key());
        self.provisions.retain(|other| other.key() != key);
        self.provisions.push(provision);
        let numbers = self.provisions.iter().filter(|one| one.function == of).map(|one| one.number);
        let (all, most) = (numbers.map(u64::from).sum::<u64>(), Slots::EACH);
        if all > most as u64 {
            let message = format!("at most {most} instances of a function are provisioned, not {all}");
            let code = "LimitExceeded.FunctionTotalProvisionedConcurrencyNum";
            return Err(Error::Refused { code, message });
        }
        self.check()
    }

    /// Whether the instances that are kept find room.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (id, mb) in &self.reserved {
            let provisioned = self.provisioned(Some(id));
            if provisioned > *mb {
                let message = format!("{provisioned} MB are provisioned, of {mb} MB that are reserved");
                return Err(Error::Refused { code: "FailedOperation.ProvisionedExceedReserved", message });
            }
        }
        let (provisioned, shared) = (self.provisioned(None), self.shared());
        if provisioned > shared {
            let message =
                format!("{provisioned} MB are provisioned, of {shared} MB that nobody has reserved");
            return Err(Error::Refused { code: "FailedOperation.ProvisionedExceedAvailable", message });
        }
        Ok(())
    }
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
    pub async fn reserve(&self, of: &Function, mb: Option<u64>) -> Result<(), Error> {
        let of = of.clone();
        let reserve = move |tx: &mut Tx<'_>| {
            let function = versions::same(tx, &of)?;
            let key = reserved_key(&of.full_name());
            let mut division = Division::in_commit(tx, &function.appid, &function.region)?;
            division.set_part(&function.id, None);
            let (others, total) = (division.reserved(), division.total);
            if others.saturating_add(mb.unwrap_or_default()) > total {
                let message = format!("{others} MB of {total} MB are reserved for other functions");
                return Err(Error::Limit { what: "FunctionReservedConcurrencyMemory", message });
            }
            division.set_part(&function.id, mb);
            division.check()?;
            match mb {
                Some(mb) => {
                    tx.put(Table::Concurrency, &key, row::encode("memory for concurrency", &mb)?);
                }
                None => tx.delete(Table::Concurrency, &key),
            }
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
            let division = Division::in_commit(tx, &appid, &region)?;
            let least = (division.reserved() + division.provisioned(None)).max(1);
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
        let division = Division::now(&self.shared.store, &function.appid, &function.region);
        let division = match division {
            Ok(division) => division,
            Err(error) => {
                tracing::error!(function = function.name, %error, "what is reserved cannot be read");
                return Slots::EACH;
            }
        };
        let Some(part) = division.part(&function.id) else { return Slots::EACH };
        // Not what is kept for other versions.
        let own = division.provisions.iter().find(|provision| provision.is_of(function));
        let others = division.provisioned(Some(&function.id)) - own.map_or(0, Provision::mb);
        let fit = part.saturating_sub(others) / u64::from(function.configuration.memory_mb.max(1));
        usize::try_from(fit).unwrap_or(Slots::EACH).min(Slots::EACH)
    }

    /// Counts one more invocation until the value that is returned is dropped; or says, as SCF does, why there is no
    /// room for it.
    pub(crate) fn take_share(&self, function: &Function) -> Result<Result<Share, String>, Error> {
        let Function { id, name, appid, region, .. } = function;
        // Those that an instance has at once share its memory.
        let at_once = function.configuration.served().map_or(1, |web| web.concurrency.max(1));
        let bytes = (u64::from(function.configuration.memory_mb) << 20) / u64::from(at_once);
        let division = Division::now(&self.shared.store, appid, region)?;
        if let Some(own) = division.provisions.iter().find(|provision| provision.is_of(function))
            && let Some(share) = self.shared.shares.take(instance_id(function), bytes, own.mb())
        {
            // What is provisioned has been counted when it was.
            return Ok(Ok(share));
        }
        let (whose, kind, quota, taken) = match division.part(id) {
            Some(part) => (id.clone(), "reserved quota", part, division.provisioned(Some(id))),
            None => {
                let whose = format!("{appid} {region}");
                (whose, "region unreserved quota", division.shared(), division.provisioned(None))
            }
        };
        Ok(self
            .shared
            .shares
            .take(whose, bytes, quota.saturating_sub(taken))
            .ok_or_else(|| format!("Function [ {name} ] concurrency exceeded {kind} {quota} MB")))
    }
}

/// The memory of all invocations under way, in bytes: of each function that has its own part, and of each account and
/// region for the others.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<String, u64>>>);

impl Shares {
    fn used(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, whose: String, bytes: u64, quota_mb: u64) -> Option<Share> {
        let mut all = self.used();
        let used = all.entry(whose.clone()).or_default();
        if *used + bytes > quota_mb.saturating_mul(1 << 20) {
            if *used == 0 {
                all.remove(&whose);
            }
            return None;
        }
        *used += bytes;
        Some(Share { shares: self.clone(), whose, bytes })
    }
}

/// Memory taken until this is dropped.
pub(crate) struct Share {
    shares: Shares,
    whose: String,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.used();
        if let Some(used) = all.get_mut(&self.whose) {
            *used = used.saturating_sub(self.bytes);
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
        let take = |whose: &str, mb: u64| shares.take(whose.into(), mb << 20, 300);
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
