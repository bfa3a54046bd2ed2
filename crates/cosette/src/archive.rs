//! A folder as a zip archive: the same bytes for the same files, wherever and whenever it is made.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What no function needs: other tools' own files.
pub(crate) const SKIPPED: &[&str] = &[".git", ".hg", ".svn", "__pycache__", ".DS_Store", ".cosette"];

/// Folders of what others have written, often large: what is watched goes without them.
pub(crate) const DEPENDENCIES: &[&str] = &["node_modules", "vendor", ".venv", "venv"];

/// Of these, what only a watched folder is searched for, and the cloud never.
pub(crate) const ENVIRONMENTS: &[&str] = &[".venv", "venv"];

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("cannot read {}: {why}", path.display())]
    Read { path: PathBuf, why: std::io::Error },
    #[error("{} is not UTF-8 and cannot be put into an archive", .0.display())]
    Name(PathBuf),
    #[error("{} is a link to a folder that holds it", .0.display())]
    Loop(PathBuf),
    #[error("there is no file in {}", .0.display())]
    Empty(PathBuf),
    #[error("cannot make the archive: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Packs what `source` holds, less what has one of these names; a zip file is taken as it is.
pub(crate) fn pack(source: &Path, without: &[&str]) -> Result<Vec<u8>, ArchiveError> {
    let unreadable = |why| ArchiveError::Read { path: source.to_owned(), why };
    if source.is_file() {
        return fs::read(source).map_err(unreadable);
    }
    let mut files = Vec::new();
    let root = source.canonicalize().map_err(unreadable)?;
    collect(source, "", without, &mut vec![root], &mut files)?;
    if files.is_empty() {
        return Err(ArchiveError::Empty(source.to_owned()));
    }
    files.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, path) in files {
        let unreadable = |why| ArchiveError::Read { path: path.clone(), why };
        let mode = mode(&fs::metadata(&path).map_err(unreadable)?);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(mode);
        zip.start_file(name, options)?;
        zip.write_all(&fs::read(&path).map_err(unreadable)?).map_err(zip::result::ZipError::from)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Finds the files below `folder`, each with its name in the archive. Links are followed: what a link
/// of `node_modules` leads to must come along. `above` are the real folders that lead here.
fn collect(
    folder: &Path,
    prefix: &str,
    without: &[&str],
    above: &mut Vec<PathBuf>,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), ArchiveError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |why| ArchiveError::Read { path, why }
    };
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| ArchiveError::Name(path.clone()))?;
        if SKIPPED.contains(&name) || without.contains(&name) {
            continue;
        }
        let inner = format!("{prefix}{name}");
        // Reads through links; one that leads nowhere is an error, not a file less.
        let kind = fs::metadata(&path).map_err(unreadable(&path))?;
        if kind.is_dir() {
            let real = path.canonicalize().map_err(unreadable(&path))?;
            if above.contains(&real) {
                return Err(ArchiveError::Loop(path));
            }
            above.push(real);
            collect(&path, &format!("{inner}/"), without, above, files)?;
            above.pop();
        } else if kind.is_file() {
            files.push((inner, path));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

/// Where there are no modes, everything may be run.
#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0o755
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A folder that is gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cosette-archive-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        (0..zip.len()).map(|at| zip.by_index(at).unwrap().name().unwrap().into_owned()).collect()
    }

    #[test]
    fn equal_folders_make_equal_archives() {
        let (a, b) = (Folder::new("a"), Folder::new("b"));
        for (folder, order) in
            [(&a, ["index.py", "lib/z.py", "lib/a.py"]), (&b, ["lib/a.py", "lib/z.py", "index.py"])]
        {
            for name in order {
                folder.write(name, name);
            }
        }
        let archive = pack(&a.0, &[]).unwrap();
        assert_eq!(archive, pack(&b.0, &[]).unwrap());
        assert_eq!(names(&archive), ["index.py", "lib/a.py", "lib/z.py"]);
        let mut zip = zip::ZipArchive::new(Cursor::new(&archive)).unwrap();
        let mut text = String::new();
        zip.by_name("lib/a.py").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "lib/a.py");
    }

    #[test]
    fn other_tools_files_stay_out() {
        let folder = Folder::new("skip");
        // The last is a server's data, with the key of its authority.
        for name in [
            "index.js",
            ".git/HEAD",
            "__pycache__/x.pyc",
            "lib/__pycache__/y.pyc",
            "node_modules/m/index.js",
            ".cosette/ca/key.pem",
        ] {
            folder.write(name, "x");
        }
        assert_eq!(names(&pack(&folder.0, &[]).unwrap()), ["index.js", "node_modules/m/index.js"]);
        assert_eq!(names(&pack(&folder.0, DEPENDENCIES).unwrap()), ["index.js"]);
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_linked_files_come_along() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = Folder::new("mode");
        let program = folder.write("bootstrap", "#!/bin/sh\n");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&program, folder.0.join("linked")).unwrap();
        let archive = pack(&folder.0, &[]).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(&archive)).unwrap();
        for name in ["bootstrap", "linked"] {
            assert_eq!(zip.by_name(name).unwrap().unix_mode().unwrap() & 0o777, 0o755, "{name}");
        }
        symlink(&folder.0, folder.0.join("loop")).unwrap();
        assert!(matches!(pack(&folder.0, &[]), Err(ArchiveError::Loop(_))));
    }

    #[test]
    fn nothing_to_pack_is_said() {
        let folder = Folder::new("empty");
        assert!(matches!(pack(&folder.0, &[]), Err(ArchiveError::Empty(_))));
        assert!(matches!(pack(&folder.0.join("missing"), &[]), Err(ArchiveError::Read { .. })));
    }

    #[test]
    fn a_zip_is_taken_as_it_is() {
        let folder = Folder::new("zip");
        let file = folder.write("code.zip", "PK");
        assert_eq!(pack(&file, &[]).unwrap(), b"PK");
    }
}
