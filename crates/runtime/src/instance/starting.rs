//! An instance's start: what it is made of, and what came of it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cosette_model::Chain;
use cosette_model::function::StatusCode;
use rustix::process::Pid;
use tokio::sync::watch;

use super::{CLOSING, Instance, RUN_MAX, memory_text, remove, seconds};
use crate::Spec;
use crate::contain::keeper::{Keeper, Sights};
use crate::contain::{Kept, Seen, error_in};
use crate::debugging;
use crate::environment::{self, Home};
use crate::failure::Failure;
use crate::fence::{Fence, Fences};
use crate::go::{self, About};
use crate::interpreter::{Family, Interpreter};
use crate::java;
use crate::launch::{self, Cannot};
use crate::links::Before;
use crate::output::Output;
use crate::outward::{Exit, Way};
use crate::process::{Launch, Spawner, Tree};
use crate::protocol::{Endpoint, Signal};
use crate::watching::{Event, Watcher, limit};
use crate::web::ports::Ports;

/// What an instance is made of, besides the function.
pub(crate) struct Parts<'a> {
    pub(crate) spawner: &'a Spawner,
    pub(crate) interpreter: Interpreter,
    pub(crate) family: Family,
    pub(crate) keeper: &'a Keeper,
    /// How far it is kept from the machine.
    pub(crate) kept: Kept,
    /// Where its memory is fenced, if it can be.
    pub(crate) fences: Option<&'a Fences>,
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
                        memory_bytes: watcher.peak.max(instance.tree.glance()),
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
        let seen = match parts.kept >= Kept::Apart {
            true => Seen::contained(),
            false => Seen::real(&spec.code, &spec.layers, &parts.bootstraps, folder.path()),
        };
        let key = spec.keys.give();
        // What it does while it starts is the doing of the invocation that it starts for.
        key.begin(chain.clone());
        let listens_itself = matches!(parts.family, Family::Go | Family::Web);
        let (links, line) = match parts.way.filter(|_| parts.kept == Kept::Alone) {
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
        let exit = links.gateway_port.zip(parts.way).map(|(port, way)| Exit {
            port,
            way,
            redirects: line.is_none(),
        });
        let (interpreter, bootstraps) = (&parts.interpreter, &parts.bootstraps);
        let (program, args) =
            launch::command(parts.family, interpreter, bootstraps, &seen, folder.path(), spec, exit)?;
        let home = Home {
            folder: folder.path(),
            seen: &seen,
            port,
            secret: secret.as_deref(),
            request_id,
            key: &key,
            exit,
            programs: interpreter.program.parent().filter(|_| parts.family == Family::Web),
        };
        if parts.family == Family::Java {
            java::tell(folder.path(), &environment::boot(spec, &home))?;
        }
        let environment = environment::of(spec, parts.family, &home);
        let (reader, output) = io::pipe()?;
        let directory = spec.code.clone();
        let mut launch = Launch { program, args, environment, directory, output, input: None, gate: None };
        let mut launchers = 0;
        let sights = Sights {
            bootstraps: &parts.bootstraps,
            trust: parts.way.and_then(|way| Path::new(&way.bundle).parent()),
            lang: parts.lang.as_deref().map(|lang| (interpreter.program.as_path(), lang)),
        };
        match parts.kept {
            Kept::Not => {}
            Kept::Walled => launch = parts.keeper.wall(launch, spec, &sights, folder.path())?,
            Kept::Apart | Kept::Alone => {
                let network = line.map(|line| (line, listens_itself));
                launch = parts.keeper.keep(launch, spec, &sights, folder.path(), network)?;
                launchers = Keeper::LAUNCHERS;
            }
        }
        let fence = match parts.fences.filter(|_| spec.debug.is_none()) {
            Some(fences) => Some(fences.make(u64::from(spec.memory_mb) << 20, parts.kept >= Kept::Apart)?),
            None => None,
        };
        launch.gate = fence.as_ref().map(Fence::gate).transpose()?;
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
            let relay = match &spec.debug {
                Some(session) => debugging::relay(session.port(), &links.reach).await?,
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
        key.log_to(output.teller());
        Ok(Self {
            endpoint,
            _gateway: links.gateway,
            relay,
            output,
            tree,
            fence,
            exit,
            key,
            keys: spec.keys.clone(),
            run_max: spec.timeout.min(RUN_MAX),
            folder: folder.keep(),
            reach,
            ports,
            ended: false,
            early: String::new(),
        })
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
