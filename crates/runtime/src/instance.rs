//! One instance: a child process with its private directory, its port and its pipe, from start to
//! end. Starts, is given one event after another, and ends with everything it has started.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosette_model::function::StatusCode;
use cosette_model::{Chain, RoleKey};
use rustix::process::Pid;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::contain::keeper::{Keeper, Sights};
use crate::contain::{Seen, error_in};
use crate::debugging;
use crate::environment::{self, Home};
use crate::failure::Failure;
use crate::go::{self, About};
use crate::interpreter::{Family, Interpreter};
use crate::java;
use crate::launch::{self, Cannot};
use crate::links::Before;
use crate::output::Output;
use crate::outward::{Gateway, Way};
use crate::process::{Launch, Spawner, Tree};
use crate::protocol::{Answer, Endpoint, Offer, Signal};
use crate::reach::Reach;
use crate::watching::{Event, Watcher, limit};
use crate::web::{self, ports::Ports};
use crate::{Ran, Spec};

/// The longest that a function which is waited for may run (scf.md 3.8).
const RUN_MAX: Duration = Duration::from_secs(900);

/// How long killed processes may take to be gone before a person is told.
const BURIAL: Duration = Duration::from_secs(5);

/// What an instance is made of, besides the function.
pub(crate) struct Parts<'a> {
    pub(crate) spawner: &'a Spawner,
    pub(crate) interpreter: Interpreter,
    pub(crate) family: Family,
    /// Who keeps it apart, if it can be.
    pub(crate) keeper: Option<&'a Keeper>,
    /// Whether it also has a network of its own.
    pub(crate) own_network: bool,
    /// Where the bootstraps are.
    pub(crate) bootstraps: PathBuf,
    /// Where a web function finds interpreters by SCF's paths.
    pub(crate) lang: Option<PathBuf>,
    /// Where its calls go.
    pub(crate) way: Option<&'a Way>,
    /// The instance's own directory; made here and removed at its end.
    pub(crate) folder: PathBuf,
}

/// What came of a successful start.
pub(crate) struct Started {
    pub(crate) output: String,
    pub(crate) duration: Duration,
    /// Of `duration`, the time until the process first spoke to us.
    pub(crate) runtime_duration: Duration,
    pub(crate) memory_bytes: u64,
}

/// What came of one that failed. Nothing of it is left.
pub(crate) struct NotStarted {
    pub(crate) failure: Failure,
    pub(crate) output: String,
    pub(crate) duration: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) refused: Vec<String>,
}

impl NotStarted {
    /// Nothing was started at all.
    pub(crate) fn of(status: StatusCode, text: impl Into<String>, request_id: &str) -> Self {
        let failure = Failure::new(status, text, request_id);
        Self {
            failure,
            output: String::new(),
            duration: Duration::ZERO,
            memory_bytes: 0,
            refused: Vec::new(),
        }
    }
}

/// Whether an instance may be given another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Spent,
}

pub(crate) struct Instance {
    pub(crate) endpoint: Endpoint,
    _gateway: Option<Gateway>,
    /// Leads debuggers in.
    relay: Option<JoinHandle<()>>,
    pub(crate) output: Output,
    pub(crate) tree: Tree,
    /// How the root process ended, once it has.
    pub(crate) exit: watch::Receiver<Option<String>>,
    pub(crate) key: Arc<RoleKey>,
    folder: PathBuf,
    reach: Reach,
    /// Of a web function.
    ports: Option<Ports>,
    ended: bool,
    /// What it printed while it was started ahead, for the log of its first run.
    pub(crate) early: String,
}

impl Instance {
    pub(crate) async fn start(
        parts: Parts<'_>,
        spec: &Spec,
        request_id: &str,
        chain: &Chain,
        closing: &mut watch::Receiver<bool>,
    ) -> Result<(Self, Started), NotStarted> {
        let began = Instant::now();
        let mut instance = match Self::spawn(parts, spec, request_id, chain).await {
            Ok(instance) => instance,
            Err(cannot) => {
                let (status, text) = match cannot {
                    Cannot::Find(text) => (StatusCode::HandlerNotFound, text),
                    Cannot::Start(error) => {
                        let text = format!("the runtime {} cannot be started: {error}", spec.runtime);
                        (StatusCode::ContainerInitError, text)
                    }
                };
                return Err(NotStarted {
                    failure: Failure::new(status, text, request_id),
                    output: String::new(),
                    duration: began.elapsed(),
                    memory_bytes: 0,
                    refused: Vec::new(),
                });
            }
        };
        let mut connected = None;
        let mut watcher = Watcher::new(spec, began + limit(spec, spec.init_timeout));
        let failure = loop {
            let fail = |status, text: String| Failure::new(status, text, request_id);
            match watcher.next(&mut instance, closing).await {
                Event::Said(Signal::Connected(at)) => connected = Some(at),
                Event::Said(Signal::Ready(at)) => {
                    let started = Started {
                        output: instance.output.take(),
                        duration: at.saturating_duration_since(began),
                        runtime_duration: connected.unwrap_or(at).saturating_duration_since(began),
                        memory_bytes: watcher.peak.max(instance.tree.first_memory()),
                    };
                    return Ok((instance, started));
                }
                Event::Said(Signal::InitError(fault)) => break Failure::reported(&fault, request_id),
                Event::Said(_) => {}
                Event::Closing => break fail(StatusCode::InternalError, CLOSING.into()),
                Event::Exited(how) => {
                    break match error_in(&instance.folder) {
                        Some(error) => {
                            let text = format!("the runtime {} cannot be started: {error}", spec.runtime);
                            fail(StatusCode::ContainerInitError, text)
                        }
                        None => {
                            let text = format!("the runtime exited during initialization ({how})");
                            let (status, text) = match &instance.ports {
                                Some(ports) if ports.is_taken() => ports.unbound(text),
                                _ => (StatusCode::BootstrapExited, text),
                            };
                            fail(status, text)
                        }
                    };
                }
                Event::TimedOut => {
                    let text = format!("Initialization timed out after {}", seconds(spec.init_timeout));
                    let (status, text) = match &instance.ports {
                        Some(ports) => ports.unbound(text),
                        None => (StatusCode::InitTimeout, text),
                    };
                    break fail(status, text);
                }
                Event::OutOfMemory => break fail(StatusCode::MemoryLimitReached, memory_text(spec)),
            }
        };
        instance.tree.kill();
        let output = instance.output.take();
        let duration = began.elapsed();
        let refused = instance.key.take_refused();
        instance.end().await;
        Err(NotStarted { failure, output, duration, memory_bytes: watcher.peak, refused })
    }

    async fn spawn(parts: Parts<'_>, spec: &Spec, request_id: &str, chain: &Chain) -> Result<Self, Cannot> {
        let secret = (parts.family != Family::Custom).then(|| uuid::Uuid::new_v4().simple().to_string());
        let folder = parts.folder;
        for private in ["home", "tmp"] {
            std::fs::create_dir_all(folder.join(private))?;
        }
        // From here on the folder is removed on failure as well.
        let folder = Private(Some(folder));
        let seen = match parts.keeper {
            Some(_) => Seen::contained(),
            None => Seen::real(&spec.code, &spec.layers, &parts.bootstraps, folder.path()),
        };
        let key = spec.keys.give();
        // What it does while it starts is the doing of the invocation that it starts for.
        key.begin(chain.clone());
        let listens_itself = matches!(parts.family, Family::Go | Family::Web);
        let (links, line) = match parts.way.filter(|_| parts.own_network) {
            Some(way) => {
                let (links, line) = Before::in_its_own_network(way, &key)?;
                (links, Some(line))
            }
            None => (Before::on_the_machine(listens_itself, parts.way, &key).await?, None),
        };
        let ports = (parts.family == Family::Web).then(|| match line {
            Some(_) => Ports::own(),
            None => Ports::shared(links.port),
        });
        let port = ports.as_ref().map_or(links.port, |ports| ports.told);
        let way = links.gateway_port.zip(parts.way);
        let (interpreter, bootstraps) = (&parts.interpreter, &parts.bootstraps);
        let (program, args) =
            launch::command(parts.family, interpreter, bootstraps, &seen, folder.path(), spec, way)?;
        let home = Home {
            folder: folder.path(),
            seen: &seen,
            port,
            secret: secret.as_deref(),
            request_id,
            key: &key,
            gateway: way,
            programs: interpreter.program.parent().filter(|_| parts.family == Family::Web),
        };
        if parts.family == Family::Java {
            java::tell(folder.path(), &environment::boot(spec, &home))?;
        }
        let environment = environment::of(spec, parts.family, &home);
        let (reader, output) = io::pipe()?;
        let directory = spec.code.clone();
        let mut launch = Launch { program, args, environment, directory, output, input: None };
        let mut launchers = 0;
        if let Some(keeper) = parts.keeper {
            let sights = Sights {
                bootstraps: &parts.bootstraps,
                trust: parts.way.and_then(|way| Path::new(&way.bundle).parent()),
                lang: parts.lang.as_deref().map(|lang| (interpreter.program.as_path(), lang)),
            };
            let network = line.map(|line| (line, listens_itself));
            launch = keeper.keep(launch, spec, &sights, folder.path(), network)?;
            launchers = Keeper::LAUNCHERS;
        }
        let mut child = parts.spawner.spawn(launch).await?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the process has no id"))?;
        let mut unmet = Unmet(Some(Tree::new(pid, folder.path(), launchers)));
        let (exited, exit) = watch::channel(None);
        // The child is always waited for, whatever becomes of the instance.
        tokio::spawn(async move {
            let how = match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            exited.send_replace(Some(how));
        });
        let met = async {
            let output = Output::new(reader)?;
            let links = links.started().await?;
            let relay = match spec.debug {
                Some(port) => debugging::relay(port, &links.reach).await?,
                None => None,
            };
            Ok((output, links, relay))
        };
        let (output, links, relay) = match met.await {
            Ok(met) => met,
            Err(error) => {
                let error: io::Error = error;
                return Err(error_in(folder.path()).map_or(error, io::Error::other).into());
            }
        };
        let reach = links.reach;
        let endpoint = match (&ports, parts.family, links.runtime) {
            (Some(ports), ..) => {
                let (ports, reach, folder) = (ports.clone(), reach.clone(), folder.path().to_owned());
                Endpoint::driven(|line| ports.knock(line, reach, folder))
            }
            (None, Family::Go, _) => {
                let (reach, about) = (reach.clone(), About::new(spec));
                Endpoint::driven(|line| go::drive(line, reach, port, about))
            }
            (None, _, Some(listener)) => Endpoint::at(listener, secret),
            (None, _, None) => return Err(io::Error::other("nobody listens for it").into()),
        };
        let tree = unmet.0.take().ok_or_else(|| io::Error::other("the process has ended"))?;
        key.log_to(output.log());
        Ok(Self {
            endpoint,
            _gateway: links.gateway,
            relay,
            output,
            tree,
            exit,
            key,
            folder: folder.keep(),
            reach,
            ports,
            ended: false,
            early: String::new(),
        })
    }

    /// Gives the instance an event and waits for what comes of it. The future may be dropped, and
    /// the instance must be then.
    pub(crate) async fn invoke(
        &mut self,
        spec: &Spec,
        request_id: &str,
        chain: &Chain,
        event: &str,
        closing: &mut watch::Receiver<bool>,
    ) -> (Ran, Fate) {
        let offered = Instant::now();
        self.tree.forget_peak();
        self.key.begin(chain.clone());
        self.endpoint.offer(Offer::new(request_id, event, spec.memory_mb, spec.timeout));
        let mut watcher = Watcher::new(spec, offered + limit(spec, spec.timeout));
        let mut began = offered;
        let fail = |status, text: String| Err(Failure::new(status, text, request_id));
        let (result, ended, mut fate) = loop {
            match watcher.next(self, closing).await {
                Event::Said(Signal::Fetched(at)) => {
                    began = at;
                    watcher.deadline = at + limit(spec, spec.timeout);
                }
                Event::Said(Signal::Answer(at, answer)) => {
                    let last = matches!(&answer, Answer::Error(fault) if fault.last);
                    let fate = if last { Fate::Spent } else { Fate::Keep };
                    break (result(answer, request_id), at, fate);
                }
                Event::Said(_) => {}
                Event::Closing => {
                    break (fail(StatusCode::InternalError, CLOSING.into()), Instant::now(), Fate::Spent);
                }
                Event::Exited(how) => {
                    let text = format!("User process exit when running ({how})");
                    break (fail(StatusCode::ProcessExited, text), Instant::now(), Fate::Spent);
                }
                Event::TimedOut => {
                    let text = format!("Invoking task timed out after {}", seconds(spec.timeout));
                    break (fail(StatusCode::TimeLimitReached, text), began + spec.timeout, Fate::Spent);
                }
                Event::OutOfMemory => {
                    let text = memory_text(spec);
                    break (fail(StatusCode::MemoryLimitReached, text), Instant::now(), Fate::Spent);
                }
            }
        };
        let memory_bytes = watcher.peak.max(self.tree.first_peak());
        let mut result = result;
        if result.is_err() && spec.ends_failed {
            fate = Fate::Spent;
        }
        if fate == Fate::Keep && memory_bytes > watcher.memory_max {
            // It was over the limit for a moment, between two looks.
            result = fail(StatusCode::MemoryLimitReached, memory_text(spec));
            fate = Fate::Spent;
        }
        if fate == Fate::Spent {
            self.tree.kill();
        }
        let (status, result, error) = match result {
            Ok(result) => (StatusCode::Success, result, String::new()),
            Err(failure) => (failure.status, failure.document, failure.text),
        };
        let ran = Ran {
            status,
            result,
            error,
            init_output: std::mem::take(&mut self.early),
            output: self.output.take(),
            init_duration: None,
            runtime_duration: None,
            duration: ended.saturating_duration_since(began),
            memory_bytes,
            refused: self.key.take_refused(),
        };
        (ran, fate)
    }

    /// Whether its keys last for another event; one that may run for longer has to get itself others.
    pub(crate) fn has_keys_for(&self, spec: &Spec) -> bool {
        spec.keys.lasts(&self.key, spec.timeout.min(RUN_MAX))
    }

    /// What it signs from now on comes of `chain`.
    pub(crate) fn begin(&self, chain: &Chain) {
        self.key.begin(chain.clone());
    }

    /// The way to its ports.
    pub(crate) fn reach(&self) -> Reach {
        self.reach.clone()
    }

    /// Where its server listens, if it is one of a web function.
    pub(crate) fn port(&self) -> u16 {
        self.ports.as_ref().map_or(web::PORT, Ports::found)
    }

    /// What it has printed since this was asked last.
    pub(crate) fn take_output(&self) -> String {
        self.output.take()
    }

    pub(crate) fn take_refused(&self) -> Vec<String> {
        self.key.take_refused()
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Another way to hear of the root's end.
    pub(crate) fn exit(&self) -> watch::Receiver<Option<String>> {
        self.exit.clone()
    }

    /// Ends the process and everything it has started; returns when they are gone.
    pub(crate) async fn end(mut self) {
        self.tree.kill();
        self.ended = true;
        if let Some(relay) = self.relay.take() {
            relay.abort();
            // Its port is free then.
            let _ = relay.await;
        }
        let root = self.exit.wait_for(Option::is_some);
        let mut gone = tokio::time::timeout(BURIAL, root).await.is_ok();
        let deadline = Instant::now() + BURIAL;
        while gone {
            self.tree.reap();
            if self.tree.is_gone() {
                break;
            }
            gone = Instant::now() < deadline;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !gone {
            tracing::error!(folder = %self.folder.display(), "processes of an instance do not die");
        }
        let folder = std::mem::take(&mut self.folder);
        let _ = tokio::task::spawn_blocking(move || remove(&folder)).await;
    }
}

impl Drop for Instance {
    /// Whoever ran it has given up: it ends here, without being waited for.
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.abort();
        }
        if !self.ended {
            self.tree.kill();
            self.tree.reap();
            remove(&self.folder);
        }
    }
}

/// Processes that are ended, unless taken: whoever starts them may give up while it waits.
struct Unmet(Option<Tree>);

impl Drop for Unmet {
    fn drop(&mut self) {
        if let Some(tree) = &mut self.0 {
            tree.kill();
            tree.reap();
        }
    }
}

/// A directory that is removed, unless kept.
struct Private(Option<PathBuf>);

impl Private {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    fn keep(mut self) -> PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            remove(folder);
        }
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "an instance's directory cannot be removed");
    }
}

pub(crate) const CLOSING: &str = "the server is stopping";

pub(crate) fn memory_text(spec: &Spec) -> String {
    format!("Memory limit of {} MB reached", spec.memory_mb)
}

pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} seconds", duration.as_secs())
    } else {
        format!("{} seconds", duration.as_secs_f64())
    }
}

pub(crate) fn result(answer: Answer, request_id: &str) -> Result<String, Failure> {
    match answer {
        Answer::Result(body) => {
            let text = String::from_utf8_lossy(&body).into_owned();
            // A custom runtime may answer with any text; RetMsg is JSON all the same (scf.md 6.1).
            match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => Ok(text),
                Err(_) => Ok(serde_json::Value::String(text).to_string()),
            }
        }
        Answer::TooLarge => {
            Err(Failure::new(StatusCode::ResponseTooLarge, "body size is too long", request_id))
        }
        Answer::Error(fault) => Err(Failure::reported(&fault, request_id)),
    }
}
