//! Installs what a folder's code asks for, with the language's own tool, into the folder.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::exit::Failure;

/// What is asked for in which file, and who brings it. Their output goes to standard error as it comes.
///
/// # Errors
/// In words that name the tool, when it is not there or fails; when the folder asks for nothing.
pub(crate) fn run(folder: &Path) -> Result<(), Failure> {
    let mut found = false;
    for (file, install) in
        [("requirements.txt", pip as fn(&Path) -> Result<(), Failure>), ("package.json", npm), ("go.mod", go)]
    {
        if folder.join(file).is_file() {
            found = true;
            install(folder)?;
        }
    }
    if found {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "nothing to install in {}: it has no requirements.txt, package.json or go.mod",
        folder.display()
    )))
}

fn pip(folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--disable-pip-version-check", "--upgrade"]);
    command.args(["--requirement", "requirements.txt", "--target", "."]);
    finish(command, "python3 -m pip", folder)
}

fn npm(folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new("npm");
    command.args(["install", "--omit=dev", "--no-audit", "--no-fund"]);
    finish(command, "npm", folder)
}

/// The executable that a handler of runtime Go1 names is `main`.
fn go(folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new("go");
    command.args(["build", "-o", "main", "."]).env("CGO_ENABLED", "0");
    finish(command, "go build", folder)
}

fn finish(mut command: Command, tool: &str, folder: &Path) -> Result<(), Failure> {
    eprintln!("{tool}: in {}", folder.display());
    // Standard output is for data.
    let status = command.current_dir(folder).stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Failed(format!("{tool} failed: {status}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::Failed(format!("{tool} is needed and not installed")))
        }
        Err(error) => Err(Failure::Failed(format!("{tool} cannot be started: {error}"))),
    }
}
