//! Functions as child processes, over SCF's custom-runtime HTTP protocol. Knows no store, no trigger.
//!
//! `pool` lends instances, `ahead` has some started before they are needed, `instance` is one from start to end, `launch` is what is started for it,
//! `protocol` is how it is spoken to (`go` for programs in Go), `process` is the machine's side of it,
//! `contain` what keeps it apart, `output` what it prints, `watching` what can happen to it
//! meanwhile. The bootstraps that run handlers of each language are in `bootstrap/`.

mod ahead;
mod closure;
pub mod contain;
mod debugging;
mod environment;
mod failure;
mod fence;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod go;
mod gob;
mod instance;
mod interpreter;
mod java;
mod languages;
mod launch;
mod links;
mod listening;
mod memory;
mod names;
mod network;
mod output;
mod outward;
mod pool;
mod process;
mod protocol;
mod reach;
#[cfg(test)]
mod tests;
mod under_way;
mod watching;
mod web;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_model::{Chain, KeyGiver};

use crate::closure::Closures;
pub use crate::closure::{CLOSURE, Closure, Context};
pub use crate::contain::Isolation;
use crate::contain::keeper::Keeper;
pub use crate::debugging::DebugSession;
use crate::debugging::Turns;
use crate::fence::Fences;
use crate::instance::{Instance, NotStarted, Parts, Started};
pub use crate::interpreter::Interpreter;
use crate::interpreter::{Family, Interpreters};
pub use crate::languages::{Language, languages};
pub use crate::output::{note, without_note};
pub use crate::outward::{Call, Duplex, Outward, Way};
use crate::pool::{Lease, Pool};
use crate::process::Spawner;
use crate::under_way::UnderWay;
pub use crate::web::{Exchange, Web};

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
    /// The unpacked layers; what is in a later one hides what is in those before.
    pub layers: Vec<PathBuf>,
    /// A folder of Python packages below the code, searched after it.
    pub packages: Option<PathBuf>,
    pub memory_mb: u32,
    pub timeout: Duration,
    pub init_timeout: Duration,
    /// The user's variables.
    pub environment: Vec<(String, String)>,
    pub region: String,
    pub appid: String,
    pub uin: String,
    /// Where each instance gets the key that its environment names.
    pub keys: KeyGiver,
    /// Whether it runs asynchronously for everybody: an instance whose run failed, however it did, is not used again.
    pub asynchronous: bool,
    /// Where the language's debugger waits for a client, before the code is loaded. Then there is one instance, and
    /// no limit of time and memory.
    pub debug: Option<DebugSession>,
    /// Set of a function that answers HTTP requests, or is an image.
    pub web: Option<Web>,
}

/// What functions may see of the machine.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    pub isolation: Isolation,
    /// Folders that every function sees and may write in, at their own paths.
    pub shared: Vec<PathBuf>,
    /// The server's own data, which none sees.
    pub hidden: Option<PathBuf>,
}

/// An event that is to be run.
struct Given<'a> {
    request_id: &'a str,
    /// How it came to be.
    chain: &'a Chain,
    /// Who sends it.
    source: &'a str,
    /// JSON text.
    event: &'a str,
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
    /// Of `init_duration`, the time until the process spoke to us; the rest was loading user code.
    pub runtime_duration: Option<Duration>,
    pub duration: Duration,
    pub memory_bytes: u64,
    /// `HOST:PORT` of what it was kept from calling.
    pub refused: Vec<String>,
}

/// A handle; clones share one pool of instances.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    scratch: PathBuf,
    spawner: Spawner,
    interpreters: Interpreters,
    java: java::Bootstrap,
    keeper: Keeper,
    /// Set where memory can be fenced.
    fences: Option<Fences>,
    pool: Pool,
    closures: Closures,
    way: OnceLock<Way>,
    turns: Turns,
    under_way: UnderWay,
    hosts: web::Hosts,
    next: AtomicU64,
}

impl Runtime {
    /// `scratch` holds instances' private directories and the bootstraps; emptied at start, and
    /// processes that an earlier server with the same `scratch` left behind are ended.
    /// Functions are not isolated.
    pub fn start(scratch: PathBuf) -> std::io::Result<Self> {
        Self::open(scratch, pool::IDLE, Keeping::default())
    }

    /// As [`Runtime::start`], with functions kept apart as `keeping` says.
    pub fn start_keeping(scratch: PathBuf, keeping: Keeping) -> std::io::Result<Self> {
        Self::open(scratch, pool::IDLE, keeping)
    }

    fn open(scratch: PathBuf, idle: Duration, keeping: Keeping) -> std::io::Result<Self> {
        std::fs::create_dir_all(&scratch)?;
        let scratch = scratch.canonicalize()?;
        let instances = scratch.join("instances");
        let left = process::sweep(&instances);
        if left > 0 {
            tracing::warn!(processes = left, "ended what an earlier server had left running");
        }
        for folder in [&instances, &scratch.join("bootstrap"), &scratch.join("lang")] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => std::fs::create_dir_all(folder)?,
            }
        }
        launch::write_bootstraps(&scratch.join("bootstrap"))?;
        let fences = match keeping.isolation {
            Isolation::Auto => Fences::find()
                .inspect(|_| tracing::info!("functions' memory is fenced by the kernel"))
                .inspect_err(|why| tracing::info!(%why, "functions' memory is measured, but not fenced"))
                .ok(),
            Isolation::Off => None,
        };
        let shared = Shared {
            keeper: Keeper::new(keeping, scratch.clone()),
            fences,
            scratch,
            spawner: Spawner::start()?,
            interpreters: Interpreters::default(),
            java: java::Bootstrap::default(),
            pool: Pool::new(idle),
            closures: Closures::default(),
            way: OnceLock::new(),
            turns: Turns::default(),
            under_way: UnderWay::default(),
            hosts: web::Hosts::default(),
            next: AtomicU64::new(1),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Has instances without work wait by another clock than the machine's. The first call counts.
    #[must_use]
    pub fn resting_by<W: Future<Output = ()> + Send + 'static>(
        self,
        rest: impl Fn(Duration) -> W + Send + Sync + 'static,
    ) -> Self {
        self.shared.pool.rest_by(rest);
        self
    }

    /// Lets the function of its name run it, from now on.
    pub fn install(&self, closure: Closure) {
        self.shared.closures.add(closure);
    }

    /// Whether a function of this name would find its closure.
    pub fn has_closure(&self, name: &str) -> bool {
        self.shared.closures.get(name).is_some()
    }

    /// Says where the calls of instances go; without it they have the network of the machine. The first call counts.
    #[must_use]
    pub fn with_way(self, way: Way) -> Self {
        let _ = self.shared.way.set(way);
        self
    }

    /// The port at which debuggers of the runtime's language usually wait; `None` when its functions
    /// cannot be debugged here.
    pub fn debug_port(runtime: &str) -> Option<u16> {
        Family::of(runtime)?.debug_port()
    }

    /// Whether SCF knows the runtime's name at all.
    pub fn known(runtime: &str) -> bool {
        Family::of(runtime).is_some()
    }

    /// The installed program for it; `None` when none of its family is installed or supported.
    /// For `CustomRuntime` it is the function's own `bootstrap`.
    pub async fn interpreter(&self, runtime: &str) -> Option<Interpreter> {
        self.shared.interpreters.get(Family::of(runtime)?).await
    }

    /// Runs one event to its end, on a warm instance if there is one. Dropping the future ends
    /// the instance and everything it has started. What the instance signs meanwhile comes of `chain`; `source` is who
    /// sends the event, as [`Invocation`](cosette_model::function::Invocation) has it.
    pub async fn run(&self, spec: &Spec, request_id: &str, chain: &Chain, source: &str, event: &str) -> Ran {
        let given = Given { request_id, chain, source, event };
        if spec.web.is_some() {
            return self.run_image(spec, &given).await;
        }
        if let Some(session) = &spec.debug {
            return self.run_debugged(spec, session, &given).await;
        }
        let (lease, warm) = self.shared.pool.lease(&spec.id);
        if spec.runtime == CLOSURE {
            // The lease is held meanwhile: a stop waits for it.
            let Some(closure) = self.shared.closures.get(&spec.name) else {
                let text = format!("this process has no closure for function {}", spec.name);
                return not_started(NotStarted::of(StatusCode::ContainerInitError, text, request_id));
            };
            let mut closing = self.shared.pool.closing();
            return closure.invoke(spec, request_id, chain, event, &mut closing).await;
        }
        let begun = self.begin(warm, spec, request_id, chain).await;
        self.go_on(lease, begun, spec, &given).await
    }

    /// An instance that is ready for an event: the warm one, or a new one.
    async fn begin(
        &self,
        warm: Option<Instance>,
        spec: &Spec,
        request_id: &str,
        chain: &Chain,
    ) -> Result<(Instance, Option<Started>), NotStarted> {
        let mut closing = self.shared.pool.closing();
        if *closing.borrow() {
            return Err(NotStarted::of(StatusCode::InternalError, instance::CLOSING, request_id));
        }
        if let Some(instance) = warm {
            if instance.has_keys() {
                return Ok((instance, None));
            }
            // New keys come with a new instance: code keeps clients that have the old ones.
            instance.end().await;
        }
        // Finding and preparing the language may take long, and a stop does not wait for that.
        let parts = tokio::select! {
            parts = self.parts(spec) => parts,
            _ = closing.wait_for(|closing| *closing) => {
                return Err(NotStarted::of(StatusCode::InternalError, instance::CLOSING, request_id));
            }
        };
        let parts = parts.map_err(|text| NotStarted::of(StatusCode::ContainerInitError, text, request_id))?;
        let (instance, started) = Instance::start(parts, spec, request_id, chain, &mut closing).await?;
        Ok((instance, Some(started)))
    }

    async fn go_on(
        &self,
        lease: Lease,
        begun: Result<(Instance, Option<Started>), NotStarted>,
        spec: &Spec,
        given: &Given<'_>,
    ) -> Ran {
        let (mut instance, started) = match begun {
            Ok(begun) => begun,
            Err(failed) => return not_started(failed),
        };
        let mut closing = self.shared.pool.closing();
        let early = started.as_ref().map_or(&instance.early, |started| &started.output);
        let log = instance.output.open();
        let under_way = self.shared.under_way.enter(given.request_id, &instance, early, &log);
        let (mut ran, fate) = instance.invoke(spec, given, log, &mut closing).await;
        drop(under_way);
        if let Some(started) = started {
            ran.init_output = started.output;
            ran.init_duration = Some(started.duration);
            ran.runtime_duration = Some(started.runtime_duration);
            ran.memory_bytes = ran.memory_bytes.max(started.memory_bytes);
        }
        lease.give_back(instance, fate).await;
        ran
    }

    async fn parts(&self, spec: &Spec) -> Result<Parts<'_>, String> {
        let shared = &*self.shared;
        let family =
            Family::of(&spec.runtime).ok_or_else(|| format!("there is no runtime {}", spec.runtime))?;
        let found = shared.interpreters.get(family).await;
        let (interpreter, lang) = match (&spec.web, found) {
            (None, found) => (found.ok_or_else(|| family.missing(&spec.runtime))?, None),
            // Its server may be written in whatever there is.
            (Some(_), None) => (Interpreter::own("nothing"), None),
            (Some(_), Some(found)) => {
                let lang = web::lang::folder(&shared.scratch.join("lang"), family, &found.program);
                (found, lang.map_err(|error| error.to_string())?)
            }
        };
        let family = if spec.web.is_some() { Family::Web } else { family };
        let bootstraps = shared.scratch.join("bootstrap");
        if family == Family::Java {
            shared.java.compile(&interpreter, &bootstraps).await?;
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let folder = shared.scratch.join("instances").join(number.to_string());
        let kept = shared.keeper.keeps(&interpreter.program).await;
        Ok(Parts {
            keeper: &shared.keeper,
            kept,
            fences: shared.fences.as_ref(),
            spawner: &shared.spawner,
            interpreter,
            family,
            bootstraps,
            lang,
            way: shared.way.get(),
            folder,
        })
    }

    /// Ends idle instances of `id` now and busy ones after their run (code or configuration changed).
    pub async fn retire(&self, id: &str) {
        let debugged = debugging::instances_of(id);
        self.shared.hosts.close_all(|one| one == id);
        self.shared.pool.retire_all(|one| one == id || one.starts_with(&debugged)).await;
    }

    /// Ends every instance and its descendants. Runs that are under way end with an internal
    /// error; later ones too.
    pub async fn stop(&self) {
        self.shared.pool.stop().await;
    }
}

/// A run that never got to the handler.
fn not_started(failed: NotStarted) -> Ran {
    Ran {
        status: failed.failure.status,
        result: failed.failure.document,
        error: failed.failure.text,
        init_output: failed.output,
        output: String::new(),
        init_duration: Some(failed.duration),
        runtime_duration: None,
        duration: Duration::ZERO,
        memory_bytes: failed.memory_bytes,
        refused: failed.refused,
    }
}
