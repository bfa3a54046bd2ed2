//! Provisioned concurrency (scf.md 3.9): of a version, so many instances are started ahead of any event and kept
//! however long they wait. Their memory counts as used, also while nothing runs.
//!
//! Rows of table `Concurrency`, key `q appid 0x00 region 0x00 <function's id> 0x00 <version's number>`, the number
//! big-endian in 8 bytes. By the id, not the name: another function of that name has none of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cosette_model::Timestamp;
use cosette_store::{Table, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::concurrency::Division;
use crate::invocation::{Slots, version_id};
use crate::scaling::{self, Action};
use crate::{Error, Function, Functions, Shared, Version, row, versions};

/// What the keys of all rows begin with.
pub(crate) const ALL: u8 = b'q';

/// Pauses after an instance that could not be started: the first, which also lies between one that has ended and the
/// next, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is provisioned of one version. What stands before the number is the version's own, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provision {
    /// The function's id.
    pub(crate) function: String,
    pub(crate) version: u64,
    pub(crate) appid: String,
    pub(crate) region: String,
    pub(crate) memory_mb: u32,
    pub(crate) number: u32,
    /// What changes the number by the clock.
    #[serde(default)]
    pub(crate) actions: Vec<Action>,
    /// When the number was set; of what came due until then nothing counts.
    #[serde(default)]
    pub(crate) since: Timestamp,
    /// Why an action could not set it, if the last could not.
    #[serde(default)]
    pub(crate) refused: Option<String>,
}

impl Provision {
    pub(crate) fn mb(&self) -> u64 {
        u64::from(self.memory_mb) * u64::from(self.number)
    }

    pub(crate) fn is_of(&self, function: &Function) -> bool {
        self.function == function.id && Version::Number(self.version) == function.version
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = of_function(&self.appid, &self.region, &self.function);
        key.extend_from_slice(&self.version.to_be_bytes());
        key
    }
}

/// What is provisioned of a version, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    pub version: u64,
    /// How many instances are to be there.
    pub wanted: u32,
    /// How many of these are.
    pub ready: u32,
    /// Why the last one could not be started, while one is missing, or why an action could not set the number.
    pub failure: Option<String>,
    pub actions: Vec<Action>,
}

fn of_function(appid: &str, region: &str, id: &str) -> Vec<u8> {
    row::kind(ALL, &row::below(&[appid, region, id]))
}

/// What the keys of all of a function's begin with.
fn all_of(Function { appid, region, id, .. }: &Function) -> Vec<u8> {
    of_function(appid, region, id)
}

pub(crate) fn read(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<Provision>, Error> {
    let read = rows.into_iter().map(|(_, value)| row::decode("provisioned concurrency", &value));
    Ok(read.collect::<cosette_store::Result<_>>()?)
}

/// Forgets what is provisioned of a version, or of all versions of a function, in the commit that deletes them.
pub(crate) fn forget(tx: &mut Tx<'_>, function: &Function) -> Result<(), Error> {
    let mut prefix = all_of(function);
    if let Version::Number(number) = function.version {
        prefix.extend_from_slice(&number.to_be_bytes());
    }
    for (key, _) in tx.scan(Table::Concurrency, &prefix, usize::MAX)? {
        tx.delete(Table::Concurrency, &key);
    }
    Ok(())
}

/// Who sees to it that instances are there, by the instances' id.
#[derive(Default)]
pub(crate) struct Keepers(Mutex<HashMap<String, Keeper>>);

/// What its task is told, until it is dropped, and what the task tells.
struct Keeper {
    wanted: watch::Sender<u32>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Keepers {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Keeper>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is started any more.
    pub(crate) fn stop(&self) {
        self.all().clear();
    }
}

impl Functions {
    /// Has so many instances of a version started and kept until an action sets another number; none, and nothing is
    /// known of it any more, if `number` is 0 and there are no actions.
    ///
    /// # Errors
    /// `InvalidParameterValue.Qualifier` of `$LATEST`, `NoSuchQualifier` of a version that is gone, `LimitExceeded` and
    /// `FailedOperation.ProvisionedExceed...` for more than there is room for, SCF's codes for what no action can be, and
    /// the store's.
    pub async fn provision(
        &self,
        version: &Function,
        number: u32,
        actions: Vec<Action>,
    ) -> Result<(), Error> {
        scaling::check(&actions)?;
        let Version::Number(numbered) = version.version else {
            let message = "$LATEST cannot have provisioned concurrency, only a version".to_owned();
            return Err(Error::Invalid { field: "Qualifier", message });
        };
        let provision = Provision {
            function: version.id.clone(),
            version: numbered,
            appid: version.appid.clone(),
            region: version.region.clone(),
            memory_mb: version.configuration.memory_mb,
            number,
            actions,
            since: self.shared.clock.now(),
            refused: None,
        };
        let key = versions::key(&version.full_name(), version.version);
        let write = move |tx: &mut Tx<'_>| {
            let there = tx.get(Table::Function, &key)?;
            let there = there.map(|value| row::decode("function", &value)).transpose()?;
            if !there.is_some_and(|function| provision.is_of(&function)) {
                return Err(Error::NoSuchQualifier(numbered.to_string()));
            }
            let mut division = Division::in_commit(tx, &provision.appid, &provision.region)?;
            let key = provision.key();
            if number == 0 && provision.actions.is_empty() {
                tx.delete(Table::Concurrency, &key);
                return Ok(());
            }
            let row = row::encode("provisioned concurrency", &provision)?;
            division.admit(provision)?;
            tx.put(Table::Concurrency, &key, row);
            Ok(())
        };
        self.shared.store.commit(write).await?;
        self.provision_anew()
    }

    /// What is provisioned of a function's versions, by their numbers.
    ///
    /// # Errors
    /// The store's.
    pub fn provisioned(&self, function: &Function) -> Result<Vec<Provisioned>, Error> {
        let keepers = self.shared.provisioned.all();
        let rows = self.shared.store.scan(Table::Concurrency, &all_of(function), None, usize::MAX)?;
        let show = |provision: Provision| {
            let id = version_id(&provision.function, provision.version);
            let (_, ready) = self.shared.runtime.instances(&id);
            let ready = provision.number.min(u32::try_from(ready).unwrap_or(u32::MAX));
            let failure = keepers.get(&id).filter(|_| ready < provision.number);
            let failure = failure.and_then(|keeper| lock(&keeper.failure).clone()).or(provision.refused);
            let (version, wanted) = (provision.version, provision.number);
            Provisioned { version, wanted, ready, failure, actions: provision.actions }
        };
        Ok(read(rows)?.into_iter().map(show).collect())
    }

    /// The memory of all instances that are provisioned of a function, in MB.
    ///
    /// # Errors
    /// The store's.
    pub fn provisioned_mb(&self, function: &Function) -> Result<u64, Error> {
        let division = Division::now(&self.shared.store, &function.appid, &function.region)?;
        Ok(division.provisioned(Some(&function.id)))
    }

    /// How many more instances of a function can be provisioned.
    ///
    /// # Errors
    /// The store's.
    pub fn provisionable(&self, function: &Function) -> Result<u64, Error> {
        let division = Division::now(&self.shared.store, &function.appid, &function.region)?;
        let left = match division.part(&function.id) {
            Some(part) => part.saturating_sub(division.provisioned(Some(&function.id))),
            None => division.shared().saturating_sub(division.provisioned(None)),
        };
        let taken: u32 = self.provisioned(function)?.iter().map(|one| one.wanted).sum();
        let fit = left / u64::from(function.configuration.memory_mb.max(1));
        Ok(fit.min((Slots::EACH as u64).saturating_sub(taken.into())))
    }

    /// Keeps as many instances as the store says from now on: to be called once the server can be called by what is
    /// started, and after each change.
    ///
    /// # Errors
    /// The store's.
    pub fn provision_anew(&self) -> Result<(), Error> {
        let runtime = &self.shared.runtime;
        let mut keepers = self.shared.provisioned.all();
        // Read under the lock: who comes later has read later.
        let provisions = read(self.shared.store.scan(Table::Concurrency, &[ALL], None, usize::MAX)?)?;
        let mut before = std::mem::take(&mut *keepers);
        for provision in provisions {
            let id = version_id(&provision.function, provision.version);
            runtime.keep(&id, usize::try_from(provision.number).unwrap_or(Slots::EACH));
            let keeper = before.remove(&id).unwrap_or_else(|| self.keeper(provision.clone()));
            keeper
                .wanted
                .send_if_modified(|wanted| std::mem::replace(wanted, provision.number) != provision.number);
            keepers.insert(id, keeper);
        }
        for id in before.into_keys() {
            runtime.keep(&id, 0);
        }
        drop(keepers);
        self.scale_anew();
        Ok(())
    }

    fn keeper(&self, provision: Provision) -> Keeper {
        let (wanted, told) = watch::channel(provision.number);
        let failure = Arc::default();
        let losses = self.shared.runtime.losses();
        // It does not keep the registry: that may be dropped as long as nothing is being started.
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(keep_up(shared, provision, told, losses, Arc::clone(&failure)));
        Keeper { wanted, failure }
    }

    /// Starts what is missing; whether anything was.
    async fn start_missing(&self, provision: &Provision) -> Result<bool, String> {
        let spec = self.spec_ahead(provision).await.map_err(|error| error.to_string())?;
        let mut has_started = false;
        while self.shared.runtime.start_ahead(&spec).await? {
            has_started = true;
        }
        Ok(has_started)
    }

    async fn spec_ahead(&self, provision: &Provision) -> Result<cosette_runtime::Spec, Error> {
        let place = row::below(&[&provision.appid, &provision.region]);
        let rows = self.shared.store.scan(Table::Function, &place, None, usize::MAX)?;
        let functions = rows.iter().map(|(_, value)| row::decode::<Function>("function", value));
        let functions = functions.collect::<cosette_store::Result<Vec<_>>>()?;
        let function = functions.into_iter().find(|function| provision.is_of(function));
        let function = function.ok_or_else(|| Error::NoSuchQualifier(provision.version.to_string()))?;
        let (code, layers) = (self.code(&function).await?, self.layer_folders(&function).await?);
        // It waits for no debugger.
        Ok(cosette_runtime::Spec { debug: None, ..self.spec(&function, code, layers) })
    }
}

/// One version's instances, until nobody wants them any more.
async fn keep_up(
    shared: Weak<Shared>,
    provision: Provision,
    mut wanted: watch::Receiver<u32>,
    mut losses: watch::Receiver<()>,
    failure: Arc<Mutex<Option<String>>>,
) {
    let mut pause = PAUSE.0;
    loop {
        wanted.borrow_and_update();
        losses.borrow_and_update();
        let Some(shared) = shared.upgrade() else { return };
        let started = Functions { shared }.start_missing(&provision).await;
        let rest = Instant::now() + pause;
        match &started {
            Ok(false) => {}
            Ok(true) => pause = PAUSE.0,
            Err(error) => {
                let (function, version) = (&provision.function, provision.version);
                tracing::warn!(function, version, error, "an instance cannot be started ahead");
                pause = (pause * 2).min(PAUSE.1);
            }
        }
        let is_missing = started.is_err();
        *lock(&failure) = started.err();
        let again = async {
            if !is_missing && losses.changed().await.is_err() {
                return;
            }
            // What ends as soon as it is started does not keep the machine busy.
            tokio::time::sleep_until(rest).await;
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

fn lock(failure: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}
