//! The function registry: functions and their code, running them, and the record of each invocation.
//! Knows no HTTP and no trigger; which process runs a function is the runtime's matter.
//!
//! `registry` makes and changes functions, `versions` freezes and names what they were, `code` unpacks them,
//! `invocation` runs them, `log` is the text the user reads, `row` how all of it lies in the store, `limits` what is
//! allowed, `concurrency` how much of it at once, `provisioned` what is started ahead, `upgrade` what rows of older data
//! directories become.

mod code;
mod concurrency;
mod debugging;
mod download;
mod folder;
mod image;
mod invocation;
mod layers;
mod limits;
mod log;
mod namespaces;
mod provisioned;
mod registry;
mod routing;
mod row;
mod running;
mod scaling;
#[cfg(test)]
mod tests;
mod upgrade;
mod versions;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::function::{
    Description, FunctionName, FunctionRef, Home, Invocation, Invoke, Outcome, RetryPolicy,
};
use cosette_model::{KeyGiver, Target, Timestamp};
use cosette_runtime::Runtime;
use cosette_store::{Store, Table};
use serde::{Deserialize, Serialize};

pub use crate::concurrency::TOTAL_MB;
pub use crate::debugging::Debugged;
pub use crate::image::{Image, image_package};
pub use crate::invocation::AT_ONCE;
use crate::invocation::Slots;
pub use crate::layers::{Layer, LayerRef, NewLayer};
pub use crate::limits::{FUNCTIONS_MAX, INIT_TIMEOUT_SECS_MAX, MSG_TTL_SECS, RETRIES_MAX, TIMEOUT_SECS_MAX};
pub use crate::namespaces::{DEFAULT_NAMESPACE, NAMESPACES_MAX, Namespace};
pub use crate::provisioned::Provisioned;
pub use crate::routing::{Additional, Method, RoutingKey, When};
use crate::running::Running;
pub use crate::scaling::Action;
pub use crate::upgrade::upgrade;
pub use crate::versions::{Alias, AliasChange, Version};
pub use cosette_runtime::Exchange;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("function {0} does not exist")]
    NoSuchFunction(String),
    #[error("namespace {0} does not exist")]
    NoSuchNamespace(String),
    #[error("qualifier {0} does not exist")]
    NoSuchQualifier(String),
    /// Name and number.
    #[error("layer {0} does not exist")]
    NoSuchLayer(String),
    #[error("layer {layer} is in use by function {function}")]
    LayerInUse { layer: String, function: String },
    #[error("function {0} already exists")]
    Exists(String),
    /// `field` is SCF's parameter name; the control API makes `InvalidParameterValue.<field>` of it.
    #[error("{message}")]
    Invalid { field: &'static str, message: String },
    /// `LimitExceeded.<what>`.
    #[error("{message}")]
    Limit { what: &'static str, message: String },
    /// `code` is SCF's own, such as `ResourceInUse.Alias`.
    #[error("{message}")]
    Refused { code: &'static str, message: String },
    #[error("function {0} has other code by now")]
    OtherCode(String),
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What can be set of a function, with SCF's defaults and limits (scf.md 3.8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    pub description: String,
    pub runtime: String,
    pub handler: String,
    pub memory_mb: u32,
    pub timeout_secs: u32,
    pub init_timeout_secs: u32,
    pub environment: Vec<(String, String)>,
    pub role: String,
    pub retry: RetryPolicy,
    /// Who is told of asynchronous events that could not be delivered.
    #[serde(default)]
    pub dead_letter: Option<DeadLetter>,
    /// In the order in which they lie over each other.
    #[serde(default)]
    pub layers: Vec<LayerRef>,
    /// Keys and values, only shown and searched by.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// Whether every call is only filed, may run for a day and is tried once (`AsyncRunEnable`). Never changes.
    #[serde(default)]
    pub async_run: bool,
    /// `TraceEnable`, of such a function: that its events are listed, which they always are.
    #[serde(default)]
    pub trace: bool,
    /// Set of a web function: one that answers HTTP requests and takes no events (scf.md 5.8).
    #[serde(default)]
    pub web: Option<Web>,
    /// Set of a function that was made of an image.
    #[serde(default)]
    pub image: Option<Image>,
}

impl Configuration {
    /// How its server is asked, if it has one: a web function's, or an image's.
    fn served(&self) -> Option<Web> {
        self.web.clone().or_else(|| self.image.as_ref().map(|_| Web::default()))
    }
}

/// How a web function is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// Requests that one instance may have at once: 1 to 100.
    pub concurrency: u32,
    /// For how many seconds a WebSocket may be silent; `None` where there are to be none.
    #[serde(default)]
    pub websocket_secs: Option<u32>,
}

impl Default for Web {
    fn default() -> Self {
        Self { concurrency: 1, websocket_secs: None }
    }
}

/// Who is told of what a function could not be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub to: Target,
    /// The type that SCF's `DeadLetterConfig` gave it; nothing for one that was set otherwise.
    pub kind: String,
}

/// A function as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Function {
    /// `lam-xxxxxxxx`.
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub region: String,
    pub appid: String,
    pub uin: String,
    pub configuration: Configuration,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// Grows with every change of code or configuration.
    pub revision: u64,
    pub code_size: u64,
    /// Bytes of its files; 0 in rows from before this was kept.
    #[serde(default)]
    pub unpacked: u64,
    /// Hex SHA-256 of the zip.
    pub code_sha256: String,
    /// Said in `StatusDesc`: which interpreter stands in for the runtime.
    pub status_desc: String,
    pub code: cosette_store::Kept,
    /// Which version this is.
    #[serde(default)]
    pub version: Version,
    /// The greatest number that a version was given.
    #[serde(default)]
    published: u64,
    /// Those that were made, and `$DEFAULT` if it was changed.
    #[serde(default)]
    aliases: Vec<Alias>,
}

impl Function {
    pub fn full_name(&self) -> FunctionName {
        let Self { appid, region, namespace, name, .. } = self;
        full_name(appid, region, namespace, name)
    }
}

fn full_name(appid: &str, region: &str, namespace: &str, name: &str) -> FunctionName {
    let [appid, region, namespace, name] = [appid, region, namespace, name].map(str::to_owned);
    FunctionName { appid, region, namespace, name }
}

pub struct NewFunction {
    pub namespace: String,
    pub name: String,
    pub region: String,
    pub appid: String,
    pub uin: String,
    pub configuration: Configuration,
    /// A zip archive.
    pub code: Bytes,
}

impl NewFunction {
    fn full_name(&self) -> FunctionName {
        let Self { appid, region, namespace, name, .. } = self;
        full_name(appid, region, namespace, name)
    }
}

/// Only what is `Some` changes.
#[derive(Default)]
pub struct ConfigurationPatch {
    pub description: Option<String>,
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub memory_mb: Option<u32>,
    pub timeout_secs: Option<u32>,
    pub init_timeout_secs: Option<u32>,
    pub environment: Option<Vec<(String, String)>>,
    pub role: Option<String>,
    pub retry: Option<RetryPolicy>,
    /// `Some(None)` takes it away.
    pub dead_letter: Option<Option<DeadLetter>>,
    pub layers: Option<Vec<LayerRef>>,
    /// Of web functions only.
    pub web: Option<Web>,
}

/// One attempt, as the log keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub request_id: String,
    pub function: FunctionRef,
    /// The function's; `None` if there was none of that name.
    #[serde(default)]
    pub id: Option<String>,
    /// What the qualifier stood for; `None` if for nothing.
    #[serde(default)]
    pub version: Option<Version>,
    /// The event's JSON text, cut at 64 KiB.
    pub event: String,
    pub source: String,
    pub retry: u32,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
    pub started: Timestamp,
    /// The invocation that called it or made the write it is for, if one did.
    #[serde(default)]
    pub by: Option<String>,
    /// `HOST:PORT` of what it was kept from calling.
    #[serde(default)]
    pub refused: Vec<String>,
}

/// Where the instances of a function get their keys.
type Keys = dyn Fn(&Function) -> KeyGiver + Send + Sync;

/// A number from 0 up to and without 1: which calls of an alias get its additional version.
type Draw = dyn Fn() -> f64 + Send + Sync;

/// A handle; clones share one registry.
#[derive(Clone)]
pub struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    runtime: Runtime,
    clock: Clock,
    cache: code::Cache,
    running: Running,
    slots: Slots,
    debugging: debugging::Debugging,
    shares: concurrency::Shares,
    provisioned: provisioned::Keepers,
    scaler: scaling::Scaler,
    downloads: download::Downloads,
    folders: folder::Folders,
    keys: OnceLock<Box<Keys>>,
    draw: OnceLock<Box<Draw>>,
    records_max: OnceLock<u64>,
}

impl Functions {
    /// `cache` is where code is unpacked; it may be lost at any time.
    pub fn start(store: Store, runtime: Runtime, clock: Clock, cache: PathBuf) -> Result<Self, Error> {
        let cache = code::Cache::open(cache, &registry::packages(&store)?)?;
        let shared = Shared {
            store,
            runtime,
            clock,
            cache,
            running: Running::new(),
            slots: Slots::default(),
            debugging: debugging::Debugging::default(),
            shares: concurrency::Shares::default(),
            provisioned: provisioned::Keepers::default(),
            scaler: scaling::Scaler::default(),
            downloads: download::Downloads::default(),
            folders: folder::Folders::default(),
            keys: OnceLock::new(),
            draw: OnceLock::new(),
            records_max: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Says where functions' keys come from; without it they have empty ones. The first call counts.
    #[must_use]
    pub fn with_keys(self, of: impl Fn(&Function) -> KeyGiver + Send + Sync + 'static) -> Self {
        let _ = self.shared.keys.set(Box::new(of));
        self
    }

    /// Says how aliases with weights draw; at random if nobody does. The first call counts.
    #[must_use]
    pub fn drawing(self, draw: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        let _ = self.shared.draw.set(Box::new(draw));
        self
    }

    /// Says how many records are kept of each function; 1000 if nobody does. The first call counts.
    #[must_use]
    pub fn keeping(self, records_max: u64) -> Self {
        let _ = self.shared.records_max.set(records_max.max(1));
        self
    }

    /// Records newest first, those that are running among them: of one function, or of all. At most `max`.
    pub fn records(&self, function: Option<&FunctionName>, max: usize) -> Result<Vec<Record>, Error> {
        // First, so that one that ends meanwhile is seen twice rather than not at all.
        let mut running = self.shared.running.list();
        let store = &self.shared.store;
        let rows: Vec<Vec<u8>> = match function {
            Some(of) => {
                let id = match self.get(of) {
                    Ok(function) => Some(function.id),
                    Err(Error::NoSuchFunction(_)) => None,
                    Err(error) => return Err(error),
                };
                running.retain(|record| record.id == id && record.function.is_of(of));
                let owner = row::owner(id.as_deref(), of);
                let rows = store.scan_back(Table::Invocation, &row::records_of(&owner), max)?;
                rows.into_iter().map(|(_, value)| value).collect()
            }
            None => {
                let mut values = Vec::new();
                for (_, key) in store.scan_back(Table::Invocation, &row::by_time(), max)? {
                    // It may have been deleted since the scan.
                    values.extend(store.get(Table::Invocation, &key)?);
                }
                values
            }
        };
        let mut records: Vec<Record> = rows
            .iter()
            .map(|value| row::decode("invocation record", value))
            .collect::<cosette_store::Result<_>>()?;
        running.retain(|record| {
            let same = |stored: &Record| {
                stored.started == record.started
                    && stored.request_id == record.request_id
                    && stored.retry == record.retry
            };
            !records.iter().any(same)
        });
        records.extend(running);
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
        records.truncate(max);
        Ok(records)
    }

    /// Of the records of what began at `from` or later, and of what runs, those that are picked, oldest first; and
    /// whether all were looked at, which are `max` at most.
    pub fn records_since(
        &self,
        from: Timestamp,
        max: usize,
        mut pick: impl FnMut(&Record) -> bool,
    ) -> Result<(Vec<Record>, bool), Error> {
        /// Records read at a time.
        const PAGE: usize = 1000;
        let mut running = self.shared.running.list();
        running.reverse();
        let store = &self.shared.store;
        let (mut found, mut after, mut left) = (Vec::new(), row::before(from), max);
        let is_whole = loop {
            let page = PAGE.min(left);
            let rows = store.scan(Table::Invocation, &row::by_time(), Some(&after), page)?;
            let is_last = rows.len() < page;
            left -= rows.len();
            for (key, record) in rows {
                after = key;
                let Some(value) = store.get(Table::Invocation, &record)? else { continue };
                let record: Record = row::decode("invocation record", &value)?;
                running
                    .retain(|other| (&other.request_id, other.retry) != (&record.request_id, record.retry));
                if pick(&record) {
                    found.push(record);
                }
            }
            if is_last || left == 0 {
                break is_last;
            }
        };
        found.extend(running.into_iter().filter(|record| pick(record)));
        Ok((found, is_whole))
    }

    /// The log of an invocation that runs, as far as it has come; `None` while its handler does not.
    pub fn log_so_far(&self, request_id: &str) -> Option<String> {
        let output = self.shared.runtime.output_so_far(request_id)?;
        Some(format!("START RequestId:{request_id}\n{output}"))
    }

    /// How many invocations are running now, or are not on record yet.
    pub fn running(&self) -> usize {
        self.shared.running.count()
    }

    /// Ends all invocations and instances, and returns when the last is on record.
    pub async fn stop(&self) {
        self.shared.scaler.stop();
        self.shared.provisioned.stop();
        self.shared.slots.close();
        self.shared.runtime.stop().await;
        self.shared.running.none().await;
    }
}

impl Invoke for Functions {
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(self.run(invocation, None))
    }

    fn signal(&self, request_id: &str) -> bool {
        self.shared.runtime.signal(request_id)
    }

    fn describe(&self, target: &Target) -> Option<Description> {
        let function = target.function()?;
        let found = self.qualified(function).and_then(|found| {
            // How events are retried is a matter of the whole function.
            let retry = match found.version {
                Version::Latest => found.configuration.retry,
                Version::Number(_) => self.get(&found.full_name())?.configuration.retry,
            };
            Ok((found, retry))
        });
        match found {
            Ok((found, retry)) => Some(Description {
                concurrency: self.at_once(&found),
                home: Some(Home { region: found.region, appid: found.appid }),
                retry,
                dead_letter: found.configuration.dead_letter.map(|letter| letter.to),
            }),
            Err(Error::NoSuchFunction(_) | Error::NoSuchNamespace(_) | Error::NoSuchQualifier(_)) => None,
            Err(error) => {
                tracing::error!(function = function.name, %error, "a function cannot be read");
                None
            }
        }
    }
}
