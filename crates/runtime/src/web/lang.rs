//! The interpreters at the places that SCF has them: an `scf_bootstrap` starts them by their paths (scf.md 5.1).

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::interpreter::Family;

/// Where functions find them.
pub(crate) const SEEN_AT: &str = "/var/lang";

const PYTHON: [&str; 6] = ["python3", "python36", "python37", "python39", "python310", "python312"];
const NODE: [&str; 7] = ["node10", "node12", "node14", "node16", "node18", "node20", "node22"];
const PHP: [&str; 5] = ["php5", "php7", "php72", "php74", "php80"];
const JAVA: [&str; 4] = ["java8", "java11", "java17", "java21"];
const PYTHONS: [&str; 8] =
    ["python", "python3", "python3.6", "python3.7", "python3.9", "python3.10", "python3.11", "python3.12"];

/// A folder with links to the program by all names of its family, below `folder`; made if it is not there.
///
/// # Errors
/// The file system's.
pub(crate) fn folder(folder: &Path, family: Family, program: &Path) -> io::Result<Option<PathBuf>> {
    let (name, homes, names): (&str, &[&str], &[&str]) = match family {
        Family::Python3 => ("python", &PYTHON, &PYTHONS),
        Family::Node => ("node", &NODE, &["node"]),
        Family::Php => ("php", &PHP, &["php"]),
        Family::Java => ("java", &JAVA, &["java"]),
        _ => return Ok(None),
    };
    let whole = folder.join(name);
    if whole.exists() {
        return Ok(Some(whole));
    }
    // Others find all of it or nothing.
    let making = folder.join(format!("{name}-{}", uuid::Uuid::new_v4().simple()));
    for home in homes {
        let bin = making.join(home).join("bin");
        std::fs::create_dir_all(&bin)?;
        for name in names {
            symlink(program, bin.join(name))?;
        }
    }
    if let Err(error) = std::fs::rename(&making, &whole) {
        let _ = std::fs::remove_dir_all(&making);
        if !whole.exists() {
            return Err(error);
        }
    }
    Ok(Some(whole))
}
