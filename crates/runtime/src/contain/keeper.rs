//! The server's side: finds out once whether functions can be isolated, and turns the start of a
//! program into the start of a launcher that starts it inside.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::sync::Mutex;

use super::plan::{BOOTSTRAPS, CODE, Plan, Show, TOLD};
use super::{Isolation, command, try_out};
use crate::process::{Launch, MARK};
use crate::web::lang::SEEN_AT;
use crate::{Keeping, Spec};

pub(crate) struct Keeper {
    keeping: Keeping,
    /// The runtime's own folder.
    scratch: PathBuf,
    /// Of each program that was asked for, whether it can be started inside.
    known: Mutex<HashMap<PathBuf, bool>>,
    /// Whether there may be networks of their own, once that is known.
    networks: OnceLock<bool>,
}

/// What an instance sees of ours, besides its code and its own folder.
pub(crate) struct Sights<'a> {
    pub(crate) bootstraps: &'a Path,
    /// The folder of certificates, and of what names them, that variables lead to.
    pub(crate) trust: Option<&'a Path>,
    /// An interpreter, and the folder of links to it.
    pub(crate) lang: Option<(&'a Path, &'a Path)>,
}

impl Keeper {
    /// Processes of ours between the server and the function.
    pub(crate) const LAUNCHERS: usize = 2;

    pub(crate) fn new(keeping: Keeping, scratch: PathBuf) -> Self {
        // Of folders that are not there nothing is seen.
        let real = |path: &PathBuf| path.canonicalize().ok();
        let keeping = Keeping {
            shared: keeping.shared.iter().filter_map(real).collect(),
            hidden: keeping.hidden.as_ref().and_then(real),
            ..keeping
        };
        Self { keeping, scratch, known: Mutex::default(), networks: OnceLock::new() }
    }

    /// Whether a program is to be started inside. Finds out, and says it when it is not, the first time.
    pub(crate) async fn keeps(&self, program: &Path) -> bool {
        if self.keeping.isolation == Isolation::Off {
            return false;
        }
        let mut known = self.known.lock().await;
        // What is no path is the function's own: for it nothing more is needed than for none.
        let any = PathBuf::new();
        let able = match known.get(&any) {
            Some(able) => *able,
            None => {
                let able = self.find_out().await;
                known.insert(any, able);
                able
            }
        };
        if !able || !program.is_absolute() {
            return able;
        }
        if let Some(able) = known.get(program) {
            return *able;
        }
        let able = super::plan::trees(program).is_empty() || self.try_out(Some(program)).await;
        known.insert(program.to_owned(), able);
        able
    }

    /// Whether functions may have networks of their own; asked after [`Self::keeps`].
    pub(crate) fn has_networks(&self) -> bool {
        self.networks.get().copied().unwrap_or(false)
    }

    fn trial(&self) -> PathBuf {
        self.scratch.join("instances").join("trial")
    }

    async fn find_out(&self) -> bool {
        let network = self.keeping.isolation == Isolation::Auto;
        let why = match network {
            true => try_out(&self.trial(), None, true).await.err(),
            false => None,
        };
        let networks = network && why.is_none();
        // Asked once only.
        let _ = self.networks.set(networks);
        let able = networks || self.try_out(None).await;
        if let Some(why) = why.filter(|_| able) {
            tracing::warn!(%why, "functions share the machine's network");
        }
        if able && !super::refuses_calls() {
            tracing::warn!("this kernel has no seccomp: functions may make all system calls");
        }
        able
    }

    async fn try_out(&self, program: Option<&Path>) -> bool {
        match try_out(&self.trial(), program, false).await {
            Ok(()) => true,
            Err(why) => {
                let program = program.map_or_else(|| "any".into(), |program| program.display().to_string());
                tracing::warn!(%program, %why, "functions are not isolated; they see the machine as the server does");
                false
            }
        }
    }

    /// The start of a launcher in place of the start of a program. `network` is the launcher's end of the line to the
    /// server, and whether the program listens itself.
    pub(crate) fn keep(
        &self,
        launch: Launch,
        spec: &Spec,
        sights: &Sights<'_>,
        folder: &Path,
        network: Option<(OwnedFd, bool)>,
    ) -> io::Result<Launch> {
        let mut plan = Plan::new(folder, self.keeping.hidden.clone());
        let line = network.map(|(line, listens_itself)| {
            (plan.network, plan.listens_itself) = (true, listens_itself);
            line
        });
        for shared in &self.keeping.shared {
            plan.show.push(Show { from: shared.clone(), to: shared.clone(), writable: true });
        }
        if !launch.program.starts_with(&spec.code) {
            plan.show_program(&launch.program);
        }
        if let Some((program, links)) = sights.lang {
            plan.show_program(program);
            plan.show(links, SEEN_AT);
        }
        if let Some(trust) = sights.trust {
            plan.show(trust, trust);
        }
        plan.show(sights.bootstraps, BOOTSTRAPS);
        plan.show.push(Show { from: folder.join("home"), to: TOLD.into(), writable: true });
        plan.show(&spec.code, CODE);
        plan.layers.clone_from(&spec.layers);
        plan.program = Some(plan.seen(&launch.program));
        plan.args = launch.args.iter().map(|arg| plan.seen(Path::new(arg)).into()).collect();
        plan.environment = launch.environment;
        plan.directory = CODE.into();
        let (program, args) = command(plan.write()?)?;
        // The launcher is outside: nothing that the function's variables say is to reach it.
        let environment = vec![(MARK.to_owned(), folder.as_os_str().to_owned())];
        let directory = "/".into();
        Ok(Launch { program, args, environment, directory, output: launch.output, input: line, gate: None })
    }
}
