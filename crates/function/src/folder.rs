//! Functions that run from a folder of this machine instead of their package, while their author works on it. In
//! memory only, and only for the revision it was said of: whatever changes the function ends it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cosette_model::function::FunctionName;
use cosette_runtime::Spec;

use crate::invocation::instance_id;
use crate::{Error, Function, Functions, Version};

/// Where packages of a Python virtual environment may be, below the folder.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// By the functions' ids.
#[derive(Default)]
pub(crate) struct Folders(Mutex<HashMap<String, Folder>>);

#[derive(Clone)]
struct Folder {
    path: PathBuf,
    revision: u64,
    /// How often it was said to have changed.
    turn: u64,
}

impl Functions {
    /// Runs the function from a folder from now on, or again from its package; said again, from the folder as it
    /// has become. Instances of before end with what they are doing. Gives the hex SHA-256 of the package.
    ///
    /// # Errors
    /// `NoSuchFunction`; `Invalid` when it is no folder of this machine; `OtherCode` when the package is not the one
    /// that is `expected`, by its SHA-256.
    pub async fn run_from(
        &self,
        of: &FunctionName,
        path: Option<PathBuf>,
        expected: Option<&str>,
    ) -> Result<String, Error> {
        // What is deployed from here on has another revision, which no folder is kept for.
        let function = self.get(of)?;
        if expected.is_some_and(|expected| expected != function.code_sha256) {
            return Err(Error::OtherCode(function.name));
        }
        let path = path.map(|path| existing(&path)).transpose()?;
        let before = {
            let mut all = self.shared.folders.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = all.remove(&function.id);
            if let Some(path) = path {
                let turn = before.as_ref().map_or(0, |before| before.turn) + 1;
                all.insert(function.id.clone(), Folder { path, revision: function.revision, turn });
            }
            before
        };
        let before = match before {
            Some(folder) => folder.instance_id(&function),
            None => instance_id(&function),
        };
        self.shared.runtime.retire(&before).await;
        Ok(function.code_sha256)
    }

    /// What the function runs from: a folder of its author's, or its package.
    pub(crate) async fn code_or_folder(&self, function: &Function) -> Result<PathBuf, Error> {
        match self.folder(function) {
            Some(folder) => Ok(folder.path),
            None => self.code(function).await,
        }
    }

    fn folder(&self, function: &Function) -> Option<Folder> {
        // A version has the revision that it was made of, and code of its own.
        if function.version != Version::Latest {
            return None;
        }
        let all = self.shared.folders.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&function.id).filter(|folder| folder.revision == function.revision).cloned()
    }

    /// Forgets the folder of a function that is another by now, or gone.
    pub(crate) async fn leave_folder(&self, was: &Function) {
        let left = {
            let mut all = self.shared.folders.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_of_then = all.get(&was.id).is_some_and(|folder| folder.revision <= was.revision);
            if is_of_then { all.remove(&was.id) } else { None }
        };
        if let Some(folder) = left {
            self.shared.runtime.retire(&folder.instance_id(was)).await;
        }
    }

    /// Lets the instances be those of the folder as it is now, with the packages of its virtual environment.
    pub(crate) fn in_folder(&self, function: &Function, spec: &mut Spec) {
        let Some(folder) = self.folder(function).filter(|folder| folder.path == spec.code) else { return };
        spec.id = folder.instance_id(function);
        if spec.runtime.starts_with("Python") {
            spec.packages = packages(&folder.path);
        }
    }
}

impl Folder {
    fn instance_id(&self, function: &Function) -> String {
        format!("{}-{}-folder-{}", function.id, self.revision, self.turn)
    }
}

fn existing(path: &Path) -> Result<PathBuf, Error> {
    let wrong = |why: String| Error::Invalid { field: "Code", message: format!("{}: {why}", path.display()) };
    if !path.is_absolute() {
        return Err(wrong("not an absolute path".to_owned()));
    }
    let path = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
    if path.is_dir() { Ok(path) } else { Err(wrong("not a folder".to_owned())) }
}

/// `.venv/lib/python3.11/site-packages`, below the folder, if there is one.
fn packages(folder: &Path) -> Option<PathBuf> {
    ENVIRONMENTS.iter().find_map(|environment| {
        let versions = std::fs::read_dir(folder.join(environment).join("lib")).ok()?;
        let found = versions.flatten().map(|version| version.path().join("site-packages"));
        found.into_iter().find(|path| path.is_dir())?.strip_prefix(folder).ok().map(Path::to_owned)
    })
}
