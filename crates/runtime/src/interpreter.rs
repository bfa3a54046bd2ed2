//! SCF's names of runtimes, and the installed programs that stand in for them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::closure::CLOSURE;
use crate::process;
use crate::web::image::IMAGE;

/// Which program a runtime name maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    pub program: PathBuf,
    /// What it said of its version, e.g. `Python 3.11.7`.
    pub version: String,
}

/// How long a program may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has to be started for a runtime name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Python3,
    Node,
    Php,
    Java,
    /// The function's own executable, which speaks the protocol of the library for Go.
    Go,
    /// The function's own executable `bootstrap`.
    Custom,
    /// The server of a web function, which its `scf_bootstrap` starts.
    Web,
    /// A closure of this process.
    Closure,
    /// A name of SCF's that nothing here runs.
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
            // Of an image the command that stands for it.
            "CustomRuntime" | IMAGE => Some(Self::Custom),
            CLOSURE => Some(Self::Closure),
            "Php5" | "Php5.6" | "Php7" | "Php7.2" | "Php7.4" | "Php8.0" => Some(Self::Php),
            "Go1" => Some(Self::Go),
            "Java8" | "Java11" | "Java17" | "Java21" => Some(Self::Java),
            "Python2.7" => Some(Self::Unsupported),
            _ => None,
        }
    }

    /// Where debuggers of the language usually listen; `None` where there is none that waits.
    pub(crate) fn debug_port(self) -> Option<u16> {
        match self {
            Self::Python3 => Some(5678),
            Self::Node => Some(9229),
            Self::Java => Some(5005),
            Self::Php | Self::Go | Self::Custom | Self::Web | Self::Closure | Self::Unsupported => None,
        }
    }

    /// Why nothing runs it here, and what would help.
    pub(crate) fn missing(self, runtime: &str) -> String {
        let (program, package) = match self {
            Self::Python3 => ("python3", "python3"),
            Self::Node => ("node", "nodejs"),
            Self::Php => ("php", "php-cli"),
            Self::Java => ("java", "default-jdk-headless"),
            Self::Unsupported => {
                return format!("the runtime {runtime} is not supported: make the function with Python3.9");
            }
            // These bring their own.
            Self::Go | Self::Custom | Self::Web | Self::Closure => {
                return format!("the runtime {runtime} has no program");
            }
        };
        format!(
            "the runtime {runtime} needs the program {program}, which is not in the server's PATH: \
             install it (on Debian and Ubuntu: apt-get install {package}) and invoke the function again"
        )
    }
}

/// The installed interpreters; each is looked for until it is found. One that did not answer in time, on
/// a machine that is busy, is no reason to do without it for good.
#[derive(Default)]
pub(crate) struct Interpreters {
    python: OnceCell<Interpreter>,
    node: OnceCell<Interpreter>,
    php: OnceCell<Interpreter>,
    java: OnceCell<Interpreter>,
}

impl Interpreters {
    pub(crate) async fn get(&self, family: Family) -> Option<Interpreter> {
        // Each is asked for its real path: what PATH names may be a shim that works only with
        // the variables of a login shell.
        let (cell, names, args, version): (_, &[&str], [&str; 2], _) = match family {
            Family::Python3 => (
                &self.python,
                &["python3", "python"],
                [
                    "-c",
                    "import sys, platform\n\
                     print(sys.executable)\n\
                     print('Python ' + platform.python_version())",
                ],
                "Python 3.",
            ),
            Family::Node => (
                &self.node,
                &["node", "nodejs"],
                ["-e", "console.log(process.execPath + '\\nNode.js ' + process.versions.node)"],
                "Node.js ",
            ),
            Family::Php => {
                let script = "echo PHP_BINARY, PHP_EOL, 'PHP ', PHP_VERSION, PHP_EOL;";
                (&self.php, &["php"], ["-r", script], "PHP ")
            }
            Family::Java => (&self.java, &["java"], ["-XshowSettings:properties", "-version"], "Java "),
            Family::Go => return own("its own executable"),
            Family::Custom => return own("its own bootstrap"),
            Family::Web => return own("its own server"),
            Family::Closure => return own("a closure of the server's process"),
            Family::Unsupported => return None,
        };
        let look = async || find(names, &args, version).await.ok_or(());
        cell.get_or_try_init(look).await.ok().cloned()
    }
}

fn own(what: &str) -> Option<Interpreter> {
    Some(Interpreter::own(what))
}

impl Interpreter {
    /// No program of this machine, but what is `what`.
    pub(crate) fn own(what: &str) -> Self {
        Self { program: PathBuf::new(), version: what.into() }
    }
}

/// The first program of one of these names that says of itself where it is and, beginning with `version`, what.
async fn find(names: &[&str], args: &[&str], version: &str) -> Option<Interpreter> {
    let folders = std::env::var_os("PATH")?;
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    for name in names {
        for folder in std::env::split_paths(&folders).filter(|folder| folder.is_absolute()) {
            let candidate = folder.join(name);
            if !candidate.is_file() {
                continue;
            }
            let Ok(answer) = process::ask(&candidate, &args, PATIENCE).await else { continue };
            let Some((program, said)) = said(&answer) else { continue };
            if said.starts_with(version) {
                let program = if program.is_file() { program } else { candidate };
                tracing::info!(program = %program.display(), version = said, "found an interpreter");
                return Some(Interpreter { program, version: said });
            }
        }
    }
    tracing::info!(program = names.first(), "no such interpreter in PATH");
    None
}

/// Program and version: two lines, or what Java tells of its settings.
fn said(answer: &str) -> Option<(PathBuf, String)> {
    let setting = |name: &str| {
        answer.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix("= "))
    };
    if let (Some(home), Some(version)) = (setting("java.home"), setting("java.version")) {
        return Some((Path::new(home).join("bin/java"), format!("Java {version}")));
    }
    let mut lines = answer.lines();
    Some((lines.next()?.into(), lines.next()?.to_owned()))
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
            ("Go1", Some(Go)),
            ("Php7.4", Some(Php)),
            ("Java11", Some(Java)),
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
