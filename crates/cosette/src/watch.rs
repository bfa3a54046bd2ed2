//! `cosette function deploy DIR --watch`: the server runs the function from the folder itself, and is told when
//! something in it has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cosette_control::client::{CallError, Client};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::archive::{DEPENDENCIES, SKIPPED};
use crate::exit::Failure;

/// Between two looks at the folder.
const EVERY: Duration = Duration::from_millis(100);

/// A file's or dependency folder's name, time of change and length: what is equal is taken to be unchanged.
type Seen = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// A function that runs from a folder until it is deployed again.
pub(crate) struct Watch<'a> {
    client: &'a Client,
    function: &'a str,
    folder: PathBuf,
    /// Hex SHA-256 of the package that was deployed.
    code: String,
}

impl<'a> Watch<'a> {
    /// `code` is the package that was deployed: once the function has another one, it is left alone.
    pub(crate) fn new(
        client: &'a Client,
        function: &'a str,
        folder: &Path,
        code: &[u8],
    ) -> Result<Self, Failure> {
        let unreadable = |error| Failure::Usage(format!("cannot read {}: {error}", folder.display()));
        let folder = folder.canonicalize().map_err(unreadable)?;
        Ok(Self { client, function, folder, code: format!("{:x}", Sha256::digest(code)) })
    }

    /// Returns when it is interrupted.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let mut seen = look(&self.folder);
        self.tell().await?;
        eprintln!(
            "{} runs from {}; Ctrl-C ends that and deploys what is there",
            self.function,
            self.folder.display()
        );
        let mut interrupted = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                result = &mut interrupted => return Ok(result?),
                () = tokio::time::sleep(EVERY) => {}
            }
            let now = look(&self.folder);
            if now == seen {
                continue;
            }
            let began = Instant::now();
            let what = changed(&self.folder, &seen, &now);
            seen = now;
            match self.tell().await {
                Ok(()) => eprintln!("{what}; reloaded in {} ms", began.elapsed().as_millis()),
                // The server may come back, and is told with the next change.
                Err(Failure::Call(error)) => eprintln!("cosette: {what}; not reloaded: {error}"),
                Err(other) => return Err(other),
            }
        }
    }

    /// Has the function run from the folder as it is now.
    ///
    /// # Errors
    /// `Failed` if other code was deployed meanwhile, or the function was deleted.
    async fn tell(&self) -> Result<(), Failure> {
        let Self { client, function, folder, code } = self;
        let path = folder.to_str().ok_or_else(|| {
            Failure::Usage(format!("{} is not UTF-8 and cannot be watched", folder.display()))
        })?;
        let ask = json!({
            "function": function, "namespace": client.namespace, "region": client.region,
            "account": client.account, "path": path, "code": code,
        });
        client.post("/_cosette/folder", &ask).await.map_err(|error| self.lost(error))?;
        Ok(())
    }

    /// Deploys a package over the one that was deployed before, and over nobody else's.
    ///
    /// # Errors
    /// As of `tell`.
    pub(crate) async fn deploy(&self, update: &Value) -> Result<(), Failure> {
        self.client.update_code_if(&self.code, update).await.map_err(|error| self.lost(error))?;
        Ok(())
    }

    /// In words, when the function is not there any more as it was deployed.
    fn lost(&self, error: CallError) -> Failure {
        let Self { function, folder, .. } = self;
        let happened = if error.is_conflict() {
            "deployed from elsewhere and stays so"
        } else if error.is_not_found() {
            "deleted"
        } else {
            return error.into();
        };
        let folder = folder.display();
        Failure::Failed(format!("{function} was {happened}: {folder} is watched no more, and not deployed"))
    }
}

#[cfg(unix)]
async fn interrupted() -> std::io::Result<()> {
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = ended.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn interrupted() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// All below the folder, in the order of names. A look may meet a change that is under way: what is gone by then
/// is left out, and seen by the next look.
fn look(folder: &Path) -> Seen {
    let mut seen = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if SKIPPED.contains(&name) {
                continue;
            }
            // Not through links to folders: they may lead back here.
            let is_link = fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink());
            let Ok(about) = fs::metadata(&path) else { continue };
            if about.is_dir() && !is_link && !DEPENDENCIES.contains(&name) {
                folders.push(path);
            } else {
                seen.push((path, about.modified().ok(), about.len()));
            }
        }
    }
    seen.sort();
    seen
}

/// In words: the one file that differs, or how many.
fn changed(folder: &Path, before: &Seen, now: &Seen) -> String {
    let differs = |one: &Seen, other: &Seen| -> Vec<PathBuf> {
        one.iter().filter(|file| other.binary_search(file).is_err()).map(|(path, ..)| path.clone()).collect()
    };
    let mut paths = differs(now, before);
    paths.extend(differs(before, now));
    paths.sort();
    paths.dedup();
    match paths.as_slice() {
        [path] => format!("{} has changed", path.strip_prefix(folder).unwrap_or(path).display()),
        paths => format!("{} files have changed", paths.len()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_seen() {
        let folder = std::env::temp_dir().join(format!("cosette-watch-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for inner in ["lib", "node_modules/m", ".git"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        fs::write(folder.join("index.js"), "1").unwrap();
        fs::write(folder.join("lib/a.js"), "1").unwrap();
        let first = look(&folder);
        assert_eq!(first.len(), 3, "{first:?}");
        fs::write(folder.join(".git/HEAD"), "x").unwrap();
        fs::write(folder.join("node_modules/m/index.js"), "x").unwrap();
        assert_eq!(look(&folder), first);
        fs::write(folder.join("lib/a.js"), "12").unwrap();
        let second = look(&folder);
        assert_eq!(changed(&folder, &first, &second), "lib/a.js has changed");
        fs::remove_file(folder.join("lib/a.js")).unwrap();
        fs::write(folder.join("b.js"), "").unwrap();
        assert_eq!(changed(&folder, &second, &look(&folder)), "2 files have changed");
        fs::remove_dir_all(&folder).unwrap();
    }
}
