//! What is started for an instance: the program, its arguments, and the bootstraps of the languages.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::Spec;
use crate::contain::Seen;
use crate::interpreter::{Family, Interpreter};
use crate::java;
use crate::outward::Exit;

/// Why there is nothing to start, or why it does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cannot {
    /// What the handler names is not there.
    #[error("{0}")]
    Find(String),
    #[error(transparent)]
    Start(#[from] io::Error),
}

const BOOTSTRAPS: [(&str, &str); 5] = [
    ("python3.py", include_str!("../bootstrap/python3.py")),
    ("cosette_home.py", include_str!("../bootstrap/cosette_home.py")),
    ("node.js", include_str!("../bootstrap/node.js")),
    ("home.js", include_str!("../bootstrap/home.js")),
    ("php.php", include_str!("../bootstrap/php.php")),
];

pub(crate) fn write_bootstraps(folder: &Path) -> io::Result<()> {
    for (name, text) in BOOTSTRAPS {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// The program and its arguments. It is started in the root of the code; `folder` is the instance's own.
pub(crate) fn command(
    family: Family,
    interpreter: &Interpreter,
    bootstraps: &Path,
    seen: &Seen,
    folder: &Path,
    spec: &Spec,
    exit: Option<Exit<'_>>,
) -> Result<(PathBuf, Vec<OsString>), Cannot> {
    let with = |name: &str| bootstraps.join(name).into();
    let args = match family {
        Family::Python3 => vec![with("python3.py")],
        Family::Node => vec![with("node.js")],
        Family::Php => {
            // The function's memory is limited by us, its output is its log.
            let mut args = Vec::new();
            for setting in ["memory_limit=-1", "display_errors=1", "html_errors=0", "log_errors=0"] {
                args.extend(["-d".into(), setting.into()]);
            }
            args.push(with("php.php"));
            args
        }
        Family::Java => {
            let mut args = java::arguments(spec.memory_mb, seen, folder, exit);
            args.splice(..0, spec.debug.as_ref().map(|session| java::debugger(session.port())));
            args
        }
        Family::Go => return Ok((own_executable(&spec.code, &spec.handler)?, Vec::new())),
        Family::Custom | Family::Closure | Family::Unsupported => {
            return Ok((own_bootstrap(&spec.code, "bootstrap")?, Vec::new()));
        }
        Family::Web => return Ok((own_bootstrap(&spec.code, "scf_bootstrap")?, Vec::new())),
    };
    Ok((interpreter.program.clone(), args))
}

/// The executable that the handler of a Go function names.
fn own_executable(code: &Path, handler: &str) -> Result<PathBuf, Cannot> {
    let inside = !handler.is_empty()
        && Path::new(handler)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(Cannot::Find(format!("handler {handler}: it is no file of the code")));
    }
    match executable(&code.join(handler)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Cannot::Find(format!("handler {handler}: there is no file {handler}")))
        }
        found => {
            let program = found?;
            for_this_machine(&program)?;
            Ok(program)
        }
    }
}

/// A program that was built for another system would be taken for a script by the C library.
fn for_this_machine(program: &Path) -> io::Result<()> {
    let (machine, name): (&[u8], &str) = match std::env::consts::ARCH {
        "x86_64" => (&[62, 0], "amd64"),
        "aarch64" => (&[183, 0], "arm64"),
        _ => return Ok(()),
    };
    let mut head = Vec::new();
    std::fs::File::open(program)?.take(20).read_to_end(&mut head)?;
    let fits = head.starts_with(b"#!") || head.starts_with(b"\x7fELF") && head.get(18..20) == Some(machine);
    if fits {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "it is no program for this machine: build it with GOOS=linux GOARCH={name}"
    )))
}

/// The `bootstrap` of a custom runtime, or the `scf_bootstrap` of a web function, if it can be run.
fn own_bootstrap(code: &Path, name: &str) -> io::Result<PathBuf> {
    executable(&code.join(name)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other(format!("there is no file {name} in the root of the code"))
        }
        _ => error,
    })
}

fn executable(program: &Path) -> io::Result<PathBuf> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let found = std::fs::metadata(program)?;
    if !found.is_file() {
        return Err(io::Error::other(format!("{name} is not a file")));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::other(format!("{name} is not executable")));
    }
    Ok(program.to_owned())
}
