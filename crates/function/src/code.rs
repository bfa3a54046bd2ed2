//! Code packages: zip archives unpacked into directories named by their SHA-256. The directories
//! are a cache; what is kept is the zip. Knows no function and no store.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use zip::ZipArchive;

/// Bytes of all files of a package, unpacked, and of those of a function and its layers (scf.md 5.10).
pub(crate) const UNPACKED_BYTES_MAX: u64 = 500 * 1024 * 1024;

const ENTRIES_MAX: usize = 100_000;

/// A symbolic link's target, in bytes.
const TARGET_BYTES_MAX: u64 = 4096;

/// What custom runtimes and web functions are started by: always executable, because zips made
/// elsewhere carry no modes (scf.md 5.7, 5.8).
const STARTERS: [&str; 2] = ["bootstrap", "scf_bootstrap"];

pub(crate) fn sha256(zip: &[u8]) -> String {
    hex::encode(Sha256::digest(zip))
}

/// Why a package cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The archive's own fault.
    #[error("{0}")]
    Package(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<zip::result::ZipError> for Error {
    fn from(error: zip::result::ZipError) -> Self {
        // The archive is in memory, so every error of reading it is the archive's.
        Self::Package(error.to_string())
    }
}

/// The directory of unpacked packages.
pub(crate) struct Cache {
    folder: PathBuf,
    /// Held while unpacking: the same package is not unpacked twice at once.
    unpacking: Mutex<()>,
}

impl Cache {
    /// Takes away everything but the packages named in `wanted`.
    pub(crate) fn open(folder: PathBuf, wanted: &HashSet<String>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| wanted.contains(name)) {
                remove(&entry.path());
            }
        }
        Ok(Self { folder, unpacking: Mutex::default() })
    }

    /// The unpacked package, if it is there.
    pub(crate) fn find(&self, sha256: &str) -> Option<PathBuf> {
        let folder = self.folder.join(sha256);
        folder.is_dir().then_some(folder)
    }

    /// Unpacks the package, if it is not there yet. It appears whole or not at all.
    pub(crate) async fn unpack(&self, sha256: &str, zip: Bytes) -> Result<PathBuf, Error> {
        let _held = self.unpacking.lock().await;
        if let Some(folder) = self.find(sha256) {
            return Ok(folder);
        }
        let target = self.folder.join(sha256);
        let partial = self.folder.join(format!("{sha256}.partial"));
        let work = tokio::task::spawn_blocking(move || {
            remove(&partial);
            fs::create_dir_all(&partial)?;
            match extract(zip, &partial).and_then(|()| Ok(fs::rename(&partial, &target)?)) {
                Ok(()) => Ok(target),
                Err(error) => {
                    remove(&partial);
                    Err(error)
                }
            }
        });
        work.await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }
}

/// Bytes of all files in a folder. Links are not followed.
pub(crate) fn bytes_in(folder: &Path) -> io::Result<u64> {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "unpacked code cannot be removed");
    }
}

/// An entry's path below the package's root. Archives made on Windows may hold back-slashes.
fn inside(name: &str) -> Result<PathBuf, Error> {
    let name = name.replace('\\', "/");
    let mut path = PathBuf::new();
    for component in Path::new(&name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(Error::Package(format!("the entry {name:?} points outside of the package"))),
        }
    }
    if name.contains('\0') {
        return Err(Error::Package("an entry's name holds a null character".into()));
    }
    Ok(path)
}

fn extract(zip: Bytes, root: &Path) -> Result<(), Error> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    if archive.len() > ENTRIES_MAX {
        return Err(Error::Package(format!("the package has more than {ENTRIES_MAX} entries")));
    }
    let too_large =
        || Error::Package(format!("the package has more than {UNPACKED_BYTES_MAX} bytes unpacked"));
    let mut left = UNPACKED_BYTES_MAX;
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let path = inside(&entry.name()?)?;
        if path.as_os_str().is_empty() {
            continue;
        }
        if entry.is_dir() {
            fs::create_dir_all(root.join(&path))?;
            continue;
        }
        if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry).take(TARGET_BYTES_MAX).read_to_string(&mut target).map_err(unreadable)?;
            links.push((path, PathBuf::from(target)));
            continue;
        }
        // What the entry says of its size is not believed.
        let mode = entry.unix_mode();
        let mut file = create(root, &path)?;
        let size = copy(&mut (&mut entry).take(left + 1), &mut file)?;
        left = left.checked_sub(size).ok_or_else(too_large)?;
        drop(file);
        let full = root.join(&path);
        // As above: an archive made elsewhere has no modes, and a Go function is a program.
        let program = mode.unwrap_or(0) & 0o111 == 0 && is_program(&full)?;
        let mode = if program { Some(0o755) } else { mode };
        fs::set_permissions(full, fs::Permissions::from_mode(permissions(&path, mode)))?;
    }
    // Last, so that no file is ever written through one.
    for (path, target) in links {
        link(root, &path, &target)?;
    }
    Ok(())
}

/// A damaged entry shows as an error of reading it.
fn unreadable(error: io::Error) -> Error {
    Error::Package(error.to_string())
}

/// Two entries may disagree, for instance on whether a name is a file or a directory.
fn clash(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidFilename => {
            Error::Package(format!("the entry {:?} cannot be unpacked: {error}", path.display()))
        }
        _ => Error::Io(error),
    }
}

fn create(root: &Path, path: &Path) -> Result<fs::File, Error> {
    let full = root.join(path);
    if let Some(parent) = full.parent() {
        fs::create_dir_all(parent).map_err(clash(path))?;
    }
    fs::OpenOptions::new().write(true).create_new(true).open(&full).map_err(clash(path))
}

fn copy(entry: &mut impl Read, file: &mut fs::File) -> Result<u64, Error> {
    let mut chunk = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let n = match entry.read(&mut chunk) {
            Ok(0) => return Ok(size),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        io::Write::write_all(file, &chunk[..n])?;
        size += n as u64;
    }
}

/// Whether a file is a program of Linux, by how it begins.
fn is_program(file: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    fs::File::open(file)?.take(4).read_to_end(&mut head)?;
    Ok(head == b"\x7fELF")
}

/// Readable, executable as in the archive, and not writable, as code is in the cloud.
fn permissions(path: &Path, mode: Option<u32>) -> u32 {
    let starter = STARTERS.iter().any(|name| path == Path::new(name));
    let executable = mode.unwrap_or(0) & 0o111 != 0;
    if starter {
        0o755
    } else if executable {
        0o555
    } else {
        0o444
    }
}

fn link(root: &Path, path: &Path, target: &Path) -> Result<(), Error> {
    let outside = || Error::Package(format!("the link {:?} points outside of the package", path.display()));
    let mut depth = path.components().count().saturating_sub(1);
    for component in target.components() {
        depth = match component {
            Component::Normal(_) => depth + 1,
            Component::CurDir => depth,
            Component::ParentDir => depth.checked_sub(1).ok_or_else(outside)?,
            _ => return Err(outside()),
        };
    }
    let full = root.join(path);
    if let Some(parent) = full.parent() {
        fs::create_dir_all(parent).map_err(clash(path))?;
        // Below another link, the depth counted above would be wrong.
        if parent.canonicalize()? != *parent {
            return Err(outside());
        }
    }
    std::os::unix::fs::symlink(target, &full).map_err(clash(path))
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A zip of files with their modes.
    pub(crate) fn zip(files: &[(&str, u32, &str)]) -> Bytes {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, mode, text) in files {
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner().into()
    }

    fn linked(links: &[(&str, &str)]) -> Bytes {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("a/real", SimpleFileOptions::default()).unwrap();
        writer.write_all(b"real").unwrap();
        for (name, target) in links {
            writer.add_symlink(*name, *target, SimpleFileOptions::default()).unwrap();
        }
        writer.finish().unwrap().into_inner().into()
    }

    pub(crate) struct Folder(pub(crate) PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            let name = format!("cosette-function-{}", uuid::Uuid::new_v4().simple());
            Self(std::env::temp_dir().canonicalize().unwrap().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn unpacked(zip: Bytes) -> Result<(Folder, PathBuf), Error> {
        let folder = Folder::new();
        let cache = Cache::open(folder.0.clone(), &HashSet::new()).unwrap();
        let code = cache.unpack(&sha256(&zip), zip).await;
        if code.is_err() {
            assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is left of a failure");
        }
        Ok((folder, code?))
    }

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn files_and_modes() {
        let zip = zip(&[
            ("index.py", 0o644, "x = 1"),
            ("src/tool", 0o755, "tool"),
            ("bootstrap", 0o644, "#!/bin/sh"),
            ("win\\dows.txt", 0o666, "w"),
        ]);
        let (_folder, code) = unpacked(zip).await.unwrap();
        assert_eq!(fs::read_to_string(code.join("index.py")).unwrap(), "x = 1");
        assert_eq!(mode(&code.join("index.py")), 0o444);
        assert_eq!(mode(&code.join("src/tool")), 0o555);
        assert_eq!(mode(&code.join("bootstrap")), 0o755);
        assert_eq!(mode(&code.join("win/dows.txt")), 0o444);
        assert_eq!(bytes_in(&code).unwrap(), 5 + 4 + 9 + 1);
    }

    #[tokio::test]
    async fn what_is_not_a_package_is_refused() {
        let whole = zip(&[("index.py", 0o644, &"x = 1\n".repeat(1000))]);
        let mut damaged = whole.to_vec();
        damaged[60] ^= 0xff;
        for bad in [
            Bytes::from_static(b"not a zip"),
            Bytes::new(),
            whole.slice(..whole.len() / 2),
            damaged.into(),
            zip(&[("../out", 0o644, "")]),
            zip(&[("a/../../out", 0o644, "")]),
            zip(&[("/etc/passwd", 0o644, "")]),
            zip(&[("..\\out", 0o644, "")]),
            zip(&[("a", 0o644, ""), ("a/b", 0o644, "")]),
        ] {
            assert!(matches!(unpacked(bad).await, Err(Error::Package(_))));
        }
    }

    #[tokio::test]
    async fn links_stay_inside() {
        let (_folder, code) = unpacked(linked(&[("b/near", "../a/real"), ("dir", "a")])).await.unwrap();
        assert_eq!(fs::read_to_string(code.join("b/near")).unwrap(), "real");
        assert_eq!(fs::read_to_string(code.join("dir/real")).unwrap(), "real");
        for links in [
            vec![("out", "/etc/passwd")],
            vec![("out", "../x")],
            vec![("b/out", "a/../../../x")],
            vec![("here", "."), ("here/out", "../x")],
        ] {
            assert!(matches!(unpacked(linked(&links)).await, Err(Error::Package(_))), "{links:?}");
        }
    }

    #[tokio::test]
    async fn an_archive_that_grows_too_large_is_stopped() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let megabyte = vec![0; 1 << 20];
        for n in 0..3 {
            writer.start_file(format!("zeros{n}"), SimpleFileOptions::default()).unwrap();
            for _ in 0..170 {
                writer.write_all(&megabyte).unwrap();
            }
        }
        let bomb: Bytes = writer.finish().unwrap().into_inner().into();
        assert!(bomb.len() < 1 << 20);
        let Err(Error::Package(message)) = unpacked(bomb).await else { panic!("it was unpacked") };
        assert_eq!(message, "the package has more than 524288000 bytes unpacked");
    }

    #[tokio::test]
    async fn only_wanted_packages_survive_a_start() {
        let folder = Folder::new();
        let cache = Cache::open(folder.0.clone(), &HashSet::new()).unwrap();
        let (one, two) = (zip(&[("one", 0o644, "")]), zip(&[("two", 0o644, "")]));
        cache.unpack(&sha256(&one), one.clone()).await.unwrap();
        cache.unpack(&sha256(&two), two.clone()).await.unwrap();
        let cache = Cache::open(folder.0.clone(), &HashSet::from([sha256(&one)])).unwrap();
        assert!(cache.find(&sha256(&one)).is_some());
        assert!(cache.find(&sha256(&two)).is_none());
    }
}
