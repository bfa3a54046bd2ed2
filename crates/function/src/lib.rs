//! The function registry: functions and their code, running them, and the record of each invocation.

// PINNED INTERFACE; bodies to be filled in.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::Timestamp;
use cosette_model::function::{Description, FunctionRef, Invocation, Invoke, Outcome, RetryPolicy};
use cosette_runtime::Runtime;
use cosette_store::Store;
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("function {0} does not exist")]
    NoSuchFunction(String),
    #[error("namespace {0} does not exist")]
    NoSuchNamespace(String),
    #[error("qualifier {0} does not exist")]
    NoSuchQualifier(String),
    #[error("function {0} already exists")]
    Exists(String),
    /// `field` is SCF's parameter name; the control API makes `InvalidParameterValue.<field>` of it.
    #[error("{message}")]
    Invalid { field: &'static str, message: String },
    /// `LimitExceeded.<what>`.
    #[error("{message}")]
    Limit { what: &'static str, message: String },
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
    /// Hex SHA-256 of the zip.
    pub code_sha256: String,
    /// Said in `StatusDesc`: which interpreter stands in for the runtime.
    pub status_desc: String,
    pub code: cosette_store::Content,
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
}

/// One attempt, as the log keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub request_id: String,
    pub function: FunctionRef,
    /// The event's JSON text, cut at 64 KiB.
    pub event: String,
    pub source: String,
    pub retry: u32,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
    pub started: Timestamp,
}

#[derive(Clone)]
pub struct Functions {}

#[allow(unused_variables)]
impl Functions {
    /// `cache` is where code is unpacked; it may be lost at any time.
    pub fn start(store: Store, runtime: Runtime, clock: Clock, cache: PathBuf) -> Result<Self, Error> {
        unimplemented!()
    }
    pub async fn create(&self, new: NewFunction) -> Result<Function, Error> {
        unimplemented!()
    }
    pub async fn update_code(
        &self,
        namespace: &str,
        name: &str,
        handler: Option<String>,
        code: Bytes,
    ) -> Result<Function, Error> {
        unimplemented!()
    }
    pub async fn update_configuration(
        &self,
        namespace: &str,
        name: &str,
        patch: ConfigurationPatch,
    ) -> Result<Function, Error> {
        unimplemented!()
    }
    pub async fn delete(&self, namespace: &str, name: &str) -> Result<(), Error> {
        unimplemented!()
    }
    pub fn get(&self, namespace: &str, name: &str) -> Result<Function, Error> {
        unimplemented!()
    }
    /// All functions of a namespace in name order.
    pub fn list(&self, namespace: &str) -> Result<Vec<Function>, Error> {
        unimplemented!()
    }
    /// The text of the handler's file, if it is at most 1 MB.
    pub async fn entry_file(&self, function: &Function) -> Result<Option<String>, Error> {
        unimplemented!()
    }
    /// Records newest first: of one function, or of all. At most `max`.
    pub fn records(&self, function: Option<(&str, &str)>, max: usize) -> Result<Vec<Record>, Error> {
        unimplemented!()
    }
    /// How many invocations are running now.
    pub fn running(&self) -> usize {
        unimplemented!()
    }
    pub async fn stop(&self) {
        unimplemented!()
    }
}

impl Invoke for Functions {
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let _ = invocation;
        unimplemented!()
    }
    fn describe(&self, function: &FunctionRef) -> Option<Description> {
        let _ = function;
        unimplemented!()
    }
}
