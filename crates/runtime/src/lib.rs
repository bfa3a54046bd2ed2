//! Functions as child processes, over SCF's custom-runtime HTTP protocol. Knows no store, no trigger.

// PINNED INTERFACE; bodies to be filled in.

use std::path::PathBuf;
use std::time::Duration;

use cosette_model::function::StatusCode;

/// Everything needed to run one revision of one function.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Instances are shared by invocations of equal `id` only; a new revision has a new id.
    pub id: String,
    pub namespace: String,
    pub name: String,
    /// The resolved version (`$LATEST`, `1`...).
    pub version: String,
    /// SCF's runtime name: `Python3.9`, `Nodejs16.13`...
    pub runtime: String,
    pub handler: String,
    /// The unpacked code; read-only to us.
    pub code: PathBuf,
    pub memory_mb: u32,
    pub timeout: Duration,
    pub init_timeout: Duration,
    /// The user's variables.
    pub environment: Vec<(String, String)>,
    pub region: String,
    pub appid: String,
    pub uin: String,
    /// TENCENTCLOUD_SECRETID / _SECRETKEY / _SESSIONTOKEN.
    pub credentials: (String, String, String),
}

/// What came of one run; the caller adds SCF's platform lines.
#[derive(Clone, Debug)]
pub struct Ran {
    pub status: StatusCode,
    /// JSON text of the result, or the error document.
    pub result: String,
    /// `""` on success.
    pub error: String,
    /// Standard output and error of initialization (cold start only) and of the run, in order, bounded.
    pub init_output: String,
    pub output: String,
    /// Set on a cold start.
    pub init_duration: Option<Duration>,
    pub duration: Duration,
    pub memory_bytes: u64,
}

/// Which program a runtime name maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    pub program: PathBuf,
    /// What it said of its version, e.g. `Python 3.11.7`.
    pub version: String,
}

/// A handle; clones share one pool of instances.
#[derive(Clone)]
pub struct Runtime {}

#[allow(unused_variables)]
impl Runtime {
    /// `scratch` holds instances' private directories and the bootstraps; emptied at start.
    pub fn start(scratch: PathBuf) -> std::io::Result<Self> {
        unimplemented!()
    }
    /// Whether SCF knows the runtime's name at all.
    pub fn known(runtime: &str) -> bool {
        unimplemented!()
    }
    /// The installed program for it; `None` when none of its family is installed or supported.
    pub async fn interpreter(&self, runtime: &str) -> Option<Interpreter> {
        unimplemented!()
    }
    /// Runs one event to its end, on a warm instance if there is one.
    pub async fn run(&self, spec: &Spec, request_id: &str, event: &str) -> Ran {
        unimplemented!()
    }
    /// Ends idle instances of `id` now and busy ones after their run (code or configuration changed).
    pub async fn retire(&self, id: &str) {
        unimplemented!()
    }
    /// Ends every instance and its descendants.
    pub async fn stop(&self) {
        unimplemented!()
    }
}
