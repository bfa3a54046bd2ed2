//! The server's side: finds out once whether functions can be isolated, and turns the start of a
//! program into the start of a launcher that starts it inside.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

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
                let able = self.try_out(None).await;
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

    async fn try_out(&self, program: Option<&Path>) -> bool {
        let folder = self.scratch.join("instances").join("trial");
        match try_out(&folder, program).await {
            Ok(()) => true,
            Err(why) => {
                let program = program.map_or_else(|| "any".into(), |program| program.display().to_string());
                tracing::warn!(%program, %why, "functions are not isolated; they see the machine as the server does");
                false
            }
        }
    }

    /// The start of a launcher in place of the start of a program. `trust` is the folder of certificates,
    /// and of what names them, that variables lead to; `lang` a program that is to be seen, and the folder of links
    /// to it.
    pub(crate) fn keep(
        &self,
        launch: Launch,
        spec: &Spec,
        bootstraps: &Path,
        trust: Option<&Path>,
        folder: &Path,
        lang: Option<(&Path, &Path)>,
    ) -> io::Result<Launch> {
        let mut plan = Plan::new(folder, self.keeping.hidden.clone());
        for shared in &self.keeping.shared {
            plan.show.push(Show { from: shared.clone(), to: shared.clone(), writable: true });
        }
        if !launch.program.starts_with(&spec.code) {
            plan.show_program(&launch.program);
        }
        if let Some((program, links)) = lang {
            plan.show_program(program);
            plan.show(links, SEEN_AT);
        }
        if let Some(trust) = trust {
            plan.show(trust, trust);
        }
        plan.show(bootstraps, BOOTSTRAPS);
        plan.show.push(Show { from: folder.join("home"), to: TOLD.into(), writable: true });
        plan.show(&spec.code, CODE);
        plan.layers.clone_from(&spec.layers);
        plan.program = Some(plan.seen(&launch.program));
        plan.args = launch.args.iter().map(|arg| plan.seen(Path::new(arg)).into()).collect();
        plan.environment = launch.environment;
        plan.directory = CODE.into();
        let (program, args) = command()?;
        // The launcher is outside: nothing that the function's variables say is to reach it.
        let environment = vec![(MARK.to_owned(), folder.as_os_str().to_owned())];
        let input = Some(plan.write()?);
        Ok(Launch { program, args, environment, directory: "/".into(), output: launch.output, input })
    }
}
