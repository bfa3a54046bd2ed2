//! SCF's names of runtimes, and the installed programs that stand in for them.

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::closure::CLOSURE;
use crate::process;

/// Which program a runtime name maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    pub program: PathBuf,
    /// What it said of its version, e.g. `Python 3.11.7`.
    pub version: String,
}

/// What has to be started for a runtime name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Python3,
    Node,
    /// The function's own executable `bootstrap`.
    Custom,
    /// A closure of this process.
    Closure,
    /// A name of SCF's that nothing here runs yet.
    Unsupported,
}

impl Family {
    /// `None` when SCF has no such runtime. Minor versions of Python 3 and versions of Node.js are
    /// not listed one by one, so that code for a newer one can be deployed (scf.md 5.1 `[local]`).
    pub(crate) fn of(runtime: &str) -> Option<Self> {
        let number =
            |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(minor) = runtime.strip_prefix("Python3.") {
            return number(minor).then_some(Self::Python3);
        }
        if let Some(version) = runtime.strip_prefix("Nodejs") {
            return version
                .split_once('.')
                .is_some_and(|(major, minor)| number(major) && number(minor))
                .then_some(Self::Node);
        }
        match runtime {
            "CustomRuntime" => Some(Self::Custom),
            CLOSURE => Some(Self::Closure),
            "Python2.7" | "Php5" | "Php5.6" | "Php7" | "Php7.2" | "Php7.4" | "Php8.0" | "Java8"
            | "Java11" | "Java17" | "Java21" | "Go1" => Some(Self::Unsupported),
            _ => None,
        }
    }
}

/// The installed interpreters; each is looked for until it is found. One that did not answer in time, on
/// a machine that is busy, is no reason to do without it for good.
#[derive(Default)]
pub(crate) struct Interpreters {
    python: OnceCell<Interpreter>,
    node: OnceCell<Interpreter>,
}

impl Interpreters {
    pub(crate) async fn get(&self, family: Family) -> Option<Interpreter> {
        // Each is asked for its real path: what PATH names may be a shim that works only with
        // the variables of a login shell.
        match family {
            Family::Python3 => {
                let script = "import sys, platform\n\
                              print(sys.executable)\n\
                              print('Python ' + platform.python_version())";
                let look =
                    async || find(&["python3", "python"], &["-c", script], "Python 3.").await.ok_or(());
                self.python.get_or_try_init(look).await.ok().cloned()
            }
            Family::Node => {
                let script = "console.log(process.execPath + '\\nNode.js ' + process.versions.node)";
                let look = async || find(&["node", "nodejs"], &["-e", script], "Node.js ").await.ok_or(());
                self.node.get_or_try_init(look).await.ok().cloned()
            }
            Family::Custom => {
                Some(Interpreter { program: PathBuf::from("bootstrap"), version: "its own bootstrap".into() })
            }
            Family::Closure => Some(Interpreter {
                program: PathBuf::new(),
                version: "a closure of the server's process".into(),
            }),
            Family::Unsupported => None,
        }
    }
}

/// The first program of one of these names whose answer's second line begins with `version`.
async fn find(names: &[&str], args: &[&str], version: &str) -> Option<Interpreter> {
    let folders = std::env::var_os("PATH")?;
    for name in names {
        for folder in std::env::split_paths(&folders).filter(|folder| folder.is_absolute()) {
            let candidate = folder.join(name);
            if !candidate.is_file() {
                continue;
            }
            let Some(answer) = process::ask(&candidate, args).await else { continue };
            let mut lines = answer.lines();
            if let (Some(program), Some(said)) = (lines.next(), lines.next())
                && said.starts_with(version)
            {
                let program = if Path::new(program).is_file() { PathBuf::from(program) } else { candidate };
                tracing::info!(program = %program.display(), version = said, "found an interpreter");
                return Some(Interpreter { program, version: said.to_owned() });
            }
        }
    }
    tracing::info!(program = names.first(), "no such interpreter in PATH");
    None
}

#[cfg(test)]
mod tests {
    use super::Family::{self, *};

    #[test]
    fn names_of_runtimes() {
        for (name, family) in [
            ("Python3.6", Some(Python3)),
            ("Python3.13", Some(Python3)),
            ("Nodejs16.13", Some(Node)),
            ("Nodejs24.11", Some(Node)),
            ("CustomRuntime", Some(Custom)),
            ("Python2.7", Some(Unsupported)),
            ("Go1", Some(Unsupported)),
            ("Python3", None),
            ("Python3.x", None),
            ("Nodejs16", None),
            ("python3.9", None),
            ("", None),
        ] {
            assert_eq!(Family::of(name), family, "{name}");
        }
    }
}
