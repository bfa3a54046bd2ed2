//! What a launcher is told: what the function is to see, and what to start there.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::root::SYSTEM;

/// Where the function finds its things (scf.md 5.9, 5.10).
pub(crate) const CODE: &str = "/var/user";
pub(crate) const HOME: &str = "/home/qcloud";
pub(crate) const TMP: &str = "/tmp";
pub(crate) const LAYERS: &str = "/opt";
/// Ours, beside what the cloud has in `/var/runtime`.
pub(crate) const BOOTSTRAPS: &str = "/var/runtime/bootstrap";

/// What an instance is told by a file, and takes away.
pub(crate) const TOLD: &str = "/var/runtime/told";

/// One file or folder of the machine that the function sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) writable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// All is where it is, and what is not shown is closed; of the fields below it is only told `show`, layers and program.
    pub(crate) walls: bool,
    /// The instance's own folder; the new root is put on a folder below it.
    pub(crate) folder: PathBuf,
    /// Nothing below it is seen but what `show` names itself.
    pub(crate) hidden: Option<PathBuf>,
    pub(crate) show: Vec<Show>,
    /// Folders that are seen as one at `/opt`; what is in a later one hides what is in those before.
    pub(crate) layers: Vec<PathBuf>,
    /// Whether it has a network of its own; then standard input is the line to the server.
    pub(crate) network: bool,
    /// It has a program that listens where others are listened for.
    pub(crate) listens_itself: bool,
    /// As the function sees it; without one the namespaces are made and left again.
    pub(crate) program: Option<PathBuf>,
    pub(crate) args: Vec<OsString>,
    /// The whole environment.
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) directory: PathBuf,
}

/// What became of a launch that failed before the function's program ran.
#[derive(Serialize, Deserialize)]
struct Trouble {
    error: String,
}

const FILE: &str = "launch";

impl Plan {
    pub(crate) fn new(folder: &Path, hidden: Option<PathBuf>) -> Self {
        Self {
            walls: false,
            folder: folder.to_owned(),
            hidden,
            show: Vec::new(),
            layers: Vec::new(),
            network: false,
            listens_itself: false,
            program: None,
            args: Vec::new(),
            environment: Vec::new(),
            directory: "/".into(),
        }
    }

    /// The program, if there is one, with all that it is told.
    pub(crate) fn command(&self) -> Option<Command> {
        let mut command = Command::new(self.program.as_ref()?);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory);
        Some(command)
    }

    /// Shows a folder or file elsewhere, not to be written.
    pub(crate) fn show(&mut self, from: &Path, to: impl Into<PathBuf>) {
        self.show.push(Show { from: from.to_owned(), to: to.into(), writable: false });
    }

    /// Shows what a program of this machine is made of, where it is.
    pub(crate) fn show_program(&mut self, program: &Path) {
        for tree in trees(program) {
            self.show(&tree, &tree);
        }
    }

    /// The path at which the function sees a path of this machine.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        let moved = |show: &Show| Some(show.to.join(path.strip_prefix(&show.from).ok()?));
        // Joining nothing would add a slash.
        let exact = self.show.iter().find(|show| show.from == path).map(|show| show.to.clone());
        exact.or_else(|| self.show.iter().rev().find_map(moved)).unwrap_or_else(|| path.to_owned())
    }

    /// The plan as a file to be read by a launcher, and written to by one that fails.
    pub(crate) fn write(&self) -> io::Result<PathBuf> {
        std::fs::create_dir_all(self.folder.join("root"))?;
        let mut options = OpenOptions::new();
        // It holds the function's keys until it has been read.
        options.write(true).create(true).truncate(true).mode(0o600);
        let path = self.folder.join(FILE);
        options.open(&path)?.write_all(&serde_json::to_vec(self)?)?;
        Ok(path)
    }
}

/// Leaves word in the plan's file, which the server reads ([`error_in`]).
pub(super) fn leave(mut file: &File, error: &str) {
    let trouble = Trouble { error: error.to_owned() };
    // There is nobody else to tell.
    let _ = file.set_len(0).and_then(|()| file.rewind());
    let _ = serde_json::to_vec(&trouble).map(|text| file.write_all(&text));
}

/// Why a launch in this folder failed, if it did so before the function's program ran.
pub(crate) fn error_in(folder: &Path) -> Option<String> {
    let text = std::fs::read(folder.join(FILE)).ok()?;
    serde_json::from_slice::<Trouble>(&text).ok().map(|trouble| trouble.error)
}

/// Where things are for the function: the machine's own paths, or those of its own root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) code: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) tmp: PathBuf,
    /// Those that are searched first come first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) bootstraps: PathBuf,
}

impl Seen {
    pub(crate) fn contained() -> Self {
        Self {
            code: CODE.into(),
            home: HOME.into(),
            tmp: TMP.into(),
            layers: vec![LAYERS.into()],
            bootstraps: BOOTSTRAPS.into(),
        }
    }

    /// Those of this machine; `folder` is the instance's own.
    pub(crate) fn real(code: &Path, layers: &[PathBuf], bootstraps: &Path, folder: &Path) -> Self {
        // The last lies on top.
        let layers = layers.iter().rev().cloned().collect();
        Self {
            code: code.to_owned(),
            home: folder.join("home"),
            tmp: folder.join("tmp"),
            layers,
            bootstraps: bootstraps.to_owned(),
        }
    }
}

/// The folders a program needs to be seen where they are: for each name it goes by, through its
/// links, the folder above its `bin`. What is the system's is seen anyway.
pub(crate) fn trees(program: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut next = Some(program.to_owned());
    for _ in 0..16 {
        let Some(name) = next else { break };
        // The links of its folders are followed here, its own one by one.
        let (Some(folder), Some(file)) = (name.parent(), name.file_name()) else { break };
        let Ok(real) = folder.canonicalize() else { break };
        for folder in [folder, &real] {
            let tree = match folder.parent() {
                Some(above) if folder.ends_with("bin") && is_a_programs(above) => above,
                _ => folder,
            };
            let system = SYSTEM.iter().any(|name| tree.starts_with(Path::new("/").join(name)));
            if !system && tree.is_absolute() && !found.iter().any(|known| tree.starts_with(known)) {
                found.push(tree.to_owned());
            }
        }
        next = std::fs::read_link(real.join(file)).ok().map(|target| real.join(target));
    }
    found
}

/// Whether a folder may be a program's own: not the root, and nobody's home.
fn is_a_programs(folder: &Path) -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    folder.parent().is_some()
        && home.is_none_or(|home| !home.starts_with(folder))
        && folder != Path::new("/home")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("cosette-plan-{}", uuid::Uuid::new_v4().simple());
            let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_programs_trees() {
        assert_eq!(trees(Path::new("/usr/bin/env")), [""; 0].map(PathBuf::from));
        let folder = Folder::new();
        let (real, venv) = (folder.0.join("versions/3.11"), folder.0.join("project/venv"));
        for tree in [&real, &venv] {
            std::fs::create_dir_all(tree.join("bin")).unwrap();
        }
        std::fs::write(real.join("bin/python3.11"), "").unwrap();
        std::os::unix::fs::symlink("python3.11", real.join("bin/python3")).unwrap();
        std::os::unix::fs::symlink(real.join("bin/python3"), venv.join("bin/python")).unwrap();
        assert_eq!(trees(&venv.join("bin/python")), [venv, real.clone()]);
        assert_eq!(trees(&real.join("bin/python3")), [real]);
        // Not in a folder called bin: only the folder it is in.
        std::fs::write(folder.0.join("tool"), "").unwrap();
        let found = trees(&folder.0.join("tool"));
        assert_eq!(found, std::slice::from_ref(&folder.0));
    }

    #[test]
    fn what_a_launcher_leaves_is_found() {
        let folder = Folder::new();
        let mut plan = Plan::new(&folder.0, None);
        plan.environment = vec![("A".into(), "ü".into())];
        let path = plan.write().unwrap();
        assert_eq!(error_in(&folder.0), None, "a plan is no error");
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let read: Plan = serde_json::from_reader(&file).unwrap();
        assert_eq!(read.environment, plan.environment);
        leave(&file, "no");
        assert_eq!(error_in(&folder.0).as_deref(), Some("no"));
    }
}
