//! The server's side: finds out once whether functions can be isolated, and turns the start of a
//! program into the start of a launcher that starts it inside.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use super::plan::{CODE, Plan, Seen, Show, TOLD};
use super::{Isolation, Kept, command, try_out};
use crate::process::{Launch, MARK};
use crate::web::lang::SEEN_AT;
use crate::{Keeping, Spec};

pub(crate) struct Keeper {
    keeping: Keeping,
    /// The runtime's own folder.
    scratch: PathBuf,
    /// Of each program that was asked for, how far it is kept from the machine.
    known: Mutex<HashMap<PathBuf, Kept>>,
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
        Self { keeping, scratch, known: Mutex::default() }
    }

    /// How far a program is kept from the machine when it is started. Finds out, and says it when that is not all, the
    /// first time.
    pub(crate) async fn keeps(&self, program: &Path) -> Kept {
        if self.keeping.isolation == Isolation::Off {
            return Kept::Not;
        }
        let mut known = self.known.lock().await;
        // What is no path is the function's own: for it nothing more is needed than for none.
        let any = PathBuf::new();
        let most = match known.get(&any) {
            Some(kept) => *kept,
            None => {
                let kept = self.find_out().await;
                known.insert(any, kept);
                kept
            }
        };
        if most == Kept::Not || !program.is_absolute() {
            return most;
        }
        if let Some(kept) = known.get(program) {
            return *kept;
        }
        let starts = super::plan::trees(program).is_empty() || self.starts(program, most).await;
        let kept = if starts { most } else { Kept::Not };
        known.insert(program.to_owned(), kept);
        kept
    }

    fn trial(&self) -> PathBuf {
        self.scratch.join("instances").join("trial")
    }

    async fn find_out(&self) -> Kept {
        let (kept, why) = super::how_far(&self.trial()).await;
        match kept {
            Kept::Alone => {}
            Kept::Apart => tracing::warn!(%why, "functions share the machine's network"),
            Kept::Walled => tracing::warn!(
                %why,
                "functions are not isolated; they share the machine, but most of its files are closed to them (Landlock)"
            ),
            Kept::Not => self.say_not("any", &why),
        }
        if kept == Kept::Walled
            && let Some(hidden) = &self.keeping.hidden
            && let Some(open) = super::walls::stays_open(hidden, &self.keeping.shared)
        {
            tracing::warn!(folder = %open.display(), "functions can read the data directory: it is in a folder of theirs");
        }
        if kept != Kept::Not && !super::refuses_calls() {
            tracing::warn!("this kernel has no seccomp: functions may make all system calls");
        }
        kept
    }

    async fn starts(&self, program: &Path, kept: Kept) -> bool {
        match try_out(&self.trial(), Some(program), kept.min(Kept::Apart)).await {
            Ok(()) => true,
            Err(why) => {
                self.say_not(&program.display().to_string(), &why);
                false
            }
        }
    }

    fn say_not(&self, program: &str, why: &str) {
        tracing::warn!(%program, %why, "functions are not isolated; they see the machine as the server does");
    }

    /// What an instance sees of the machine, of its own and of ours, `at` the places where it finds it.
    fn show(&self, plan: &mut Plan, launch: &Launch, spec: &Spec, sights: &Sights<'_>, at: &Seen) {
        for shared in &self.keeping.shared {
            plan.show.push(Show { from: shared.clone(), to: shared.clone(), writable: true });
        }
        if !launch.program.starts_with(&spec.code) {
            plan.show_program(&launch.program);
        }
        if let Some((program, _)) = sights.lang {
            plan.show_program(program);
        }
        if let Some(trust) = sights.trust {
            plan.show(trust, trust);
        }
        plan.show(sights.bootstraps, &at.bootstraps);
        plan.show(&spec.code, &at.code);
        plan.layers.clone_from(&spec.layers);
    }

    /// The start of a launcher that becomes the program, with walls around it.
    pub(crate) fn wall(
        &self,
        launch: Launch,
        spec: &Spec,
        sights: &Sights<'_>,
        folder: &Path,
    ) -> io::Result<Launch> {
        let mut plan = Plan::new(folder, None);
        plan.walls = true;
        let real = Seen::real(&spec.code, &spec.layers, sights.bootstraps, folder);
        self.show(&mut plan, &launch, spec, sights, &real);
        if let Some((_, links)) = sights.lang {
            plan.show(links, links);
        }
        for own in [real.home, real.tmp] {
            plan.show.push(Show { from: own.clone(), to: own, writable: true });
        }
        plan.program = Some(launch.program.clone());
        plan.args.clone_from(&launch.args);
        plan.directory.clone_from(&launch.directory);
        Self::launched(launch, plan, folder, None)
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
        self.show(&mut plan, &launch, spec, sights, &Seen::contained());
        if let Some((_, links)) = sights.lang {
            plan.show(links, SEEN_AT);
        }
        plan.show.push(Show { from: folder.join("home"), to: TOLD.into(), writable: true });
        plan.program = Some(plan.seen(&launch.program));
        plan.args = launch.args.iter().map(|arg| plan.seen(Path::new(arg)).into()).collect();
        plan.directory = CODE.into();
        Self::launched(launch, plan, folder, line)
    }

    fn launched(launch: Launch, mut plan: Plan, folder: &Path, line: Option<OwnedFd>) -> io::Result<Launch> {
        plan.environment = launch.environment;
        let (program, args) = command(plan.write()?)?;
        // The launcher is outside: nothing that the function's variables say is to reach it.
        let environment = vec![(MARK.to_owned(), folder.as_os_str().to_owned())];
        let directory = "/".into();
        Ok(Launch { program, args, environment, directory, output: launch.output, input: line, gate: None })
    }
}
