//! The root that a function sees: the system's programs and libraries, not to be written; its own
//! things where the cloud has them; an empty `/tmp`; and nothing else of the machine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::outside::{USER, of};
use super::plan::{CODE, HOME, LAYERS, Plan, TMP};

/// Folders of the machine's root that are seen as they are.
pub(super) const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store"];

/// What programs and libraries read of `/etc`. No passwords, no private keys, nothing of the
/// machine's services.
pub(super) const ETC: &[&str] = &[
    "ImageMagick-6",
    "ImageMagick-7",
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "host.conf",
    "java",
    "java-8-openjdk",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "php",
    "php.d",
    "php.ini",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "pki/java",
    "protocols",
    "python3",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];

pub(super) const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Writing to these changes the whole machine, when the server is run by root.
const KERNELS: [&str; 7] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"];

/// Reading these tells of the whole machine, when the server is run by root.
const SECRETS: [&str; 6] = ["kcore", "keys", "kpagecgroup", "kpagecount", "kpageflags", "timer_list"];

/// The function's own files: 512 MB (scf.md 5.10).
const TMP_OPTIONS: &CStr = c"size=512m,nr_inodes=1m,mode=1777";
const SHM_OPTIONS: &CStr = c"size=64m,mode=1777";
/// Folders to mount on and some small files.
const ROOT_OPTIONS: &CStr = c"size=4m,mode=755";

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Puts this process, the first of its process table, into the new root.
pub(super) fn build(plan: &Plan) -> io::Result<()> {
    rustix::system::sethostname(b"cosette")?;
    // What is mounted from here on is seen by nobody else.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let root = Root { path: plan.folder.join("root"), own: RefCell::default() };
    of("a root", mount("tmpfs", &root.path, "tmpfs", QUIET, ROOT_OPTIONS))?;
    root.owns(&root.path)?;
    for name in SYSTEM {
        root.system(name)?;
    }
    root.etc(plan.network)?;
    root.devices()?;
    root.folder(HOME)?;
    root.folder(CODE)?;
    root.folder(LAYERS)?;
    root.tmpfs(TMP, TMP_OPTIONS)?;
    let proc = root.folder("/proc")?;
    of("/proc", mount("proc", &proc, "proc", QUIET | MountFlags::NOEXEC, None::<&CStr>))?;
    let mut writable: Vec<PathBuf> =
        [TMP, "/proc", "/dev/shm"].iter().map(|path| root.at(Path::new(path))).collect();
    // Before what is shown of it.
    if let Some(hidden) = &plan.hidden
        && SYSTEM.iter().any(|name| hidden.starts_with(Path::new("/").join(name)))
    {
        root.hide(hidden)?;
    }
    for show in &plan.show {
        of(&show.from.display().to_string(), root.bind(&show.from, &show.to))?;
        if show.writable {
            writable.push(root.at(&show.to));
        }
        if let Some(hidden) = &plan.hidden
            && let Ok(below) = hidden.strip_prefix(&show.from)
        {
            root.hide(&show.to.join(below))?;
        }
    }
    of("the layers", root.lay(&plan.layers, Path::new(LAYERS)))?;
    root.close(
        &plan.show.iter().filter(|show| !show.writable).map(|show| root.at(&show.to)).collect::<Vec<_>>(),
        &writable,
    )?;
    of("the root", enter(&root.path))?;
    // The function makes no namespaces of its own, in which it would be privileged again.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    for name in KERNELS {
        let path = Path::new("/proc").join(name);
        if path.exists() {
            of("/proc", mount_bind_recursive(&path, &path))?;
            of("/proc", remount(&path, QUIET | MountFlags::NOEXEC))?;
        }
    }
    for name in SECRETS {
        let path = Path::new("/proc").join(name);
        if path.exists() {
            of("/proc", mount_bind_recursive("/dev/null", &path))?;
        }
    }
    Ok(())
}

/// The new root while it is being made.
struct Root {
    path: PathBuf,
    /// File systems of its own, by their numbers. All others are the machine's.
    own: RefCell<Vec<u64>>,
}

impl Root {
    fn at(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn owns(&self, path: &Path) -> io::Result<()> {
        self.own.borrow_mut().push(fs::metadata(path)?.dev());
        Ok(())
    }

    /// Fails where what is made in a folder would be made on the machine: there it would stay.
    fn may_make_in(&self, folder: &Path) -> io::Result<()> {
        if self.own.borrow().contains(&fs::metadata(folder)?.dev()) {
            return Ok(());
        }
        Err(io::Error::other("its place is in a folder of the machine that is shown"))
    }

    /// Makes a folder, and those it is in.
    fn make(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let above = folder.ancestors().find(|above| above.is_dir());
        self.may_make_in(above.unwrap_or(folder))?;
        fs::create_dir_all(folder)
    }

    fn folder(&self, path: &str) -> io::Result<PathBuf> {
        let path = self.at(Path::new(path));
        self.make(&path)?;
        Ok(path)
    }

    fn file(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.at(Path::new(path)), text)
    }

    fn tmpfs(&self, path: &str, options: &CStr) -> io::Result<()> {
        let folder = self.folder(path)?;
        of(path, mount("tmpfs", &folder, "tmpfs", QUIET, options))?;
        self.owns(&folder)
    }

    /// Makes a file or folder of the machine seen, with all that is mounted below it.
    fn bind(&self, from: &Path, to: &Path) -> io::Result<()> {
        let target = self.at(to);
        if from.is_dir() {
            self.make(&target)?;
        } else if let Some(folder) = target.parent()
            && !target.exists()
        {
            self.make(folder)?;
            self.may_make_in(folder)?;
            fs::write(&target, "")?;
        }
        Ok(mount_bind_recursive(from, &target)?)
    }

    /// Makes folders seen as one, of two things of one name the last one's.
    fn lay(&self, folders: &[PathBuf], to: &Path) -> io::Result<()> {
        let mut names = BTreeMap::<_, Vec<PathBuf>>::new();
        for folder in folders {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                names.entry(entry.file_name()).or_default().push(entry.path());
            }
        }
        if !names.is_empty() {
            self.may_make_in(&self.at(to))?;
        }
        for (name, mut found) in names {
            let to = to.join(name);
            let Some(top) = found.pop() else { continue };
            let is_folder = |path: &PathBuf| path.is_dir() && !path.is_symlink();
            if let Ok(target) = fs::read_link(&top) {
                symlink(target, self.at(&to))?;
            } else if is_folder(&top) && found.iter().any(is_folder) {
                self.make(&self.at(&to))?;
                found.retain(is_folder);
                found.push(top);
                self.lay(&found, &to)?;
            } else {
                self.bind(&top, &to)?;
            }
        }
        Ok(())
    }

    fn system(&self, name: &str) -> io::Result<()> {
        let path = Path::new("/").join(name);
        if let Ok(target) = fs::read_link(&path) {
            return symlink(target, self.at(&path));
        }
        if path.is_dir() { of(name, self.bind(&path, &path)) } else { Ok(()) }
    }

    fn etc(&self, own_network: bool) -> io::Result<()> {
        self.folder("/etc")?;
        for name in ETC {
            let path = Path::new("/etc").join(name);
            // Where a link leads nowhere there is nothing to show.
            if path.exists() {
                of(name, self.bind(&path, &path))?;
            }
        }
        // Links to what is not seen, often.
        let machines = |name: &str, own: &str| match own_network {
            // The server answers for all names.
            true => own.to_owned(),
            false => fs::read_to_string(name).unwrap_or_default(),
        };
        self.file("/etc/resolv.conf", &machines("/etc/resolv.conf", "nameserver 127.0.0.1\n"))?;
        let hosts = machines("/etc/hosts", "");
        self.file("/etc/hosts", &format!("{hosts}\n127.0.0.1 localhost cosette\n"))?;
        self.file(
            "/etc/passwd",
            &format!(
                "root:x:0:0:root:/root:/bin/sh\nqcloud:x:{USER}:{USER}:qcloud:{HOME}:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        )?;
        self.file("/etc/group", &format!("root:x:0:\nqcloud:x:{USER}:\nnogroup:x:65534:\n"))
    }

    fn devices(&self) -> io::Result<()> {
        self.tmpfs("/dev", ROOT_OPTIONS)?;
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            of(name, self.bind(&path, &path))?;
        }
        for (name, target) in
            [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
        {
            symlink(target, self.at(&Path::new("/dev").join(name)))?;
        }
        self.tmpfs("/dev/shm", SHM_OPTIONS)
    }

    /// Puts an empty folder over one that is not to be seen.
    fn hide(&self, path: &Path) -> io::Result<()> {
        let target = self.at(path);
        if !target.is_dir() {
            return Ok(());
        }
        of("what is hidden", mount("tmpfs", &target, "tmpfs", QUIET, ROOT_OPTIONS))?;
        self.owns(&target)
    }

    /// Makes everything read-only that is not named writable, or is below what is shown read-only.
    fn close(&self, read_only: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        for (path, flags) in table.lines().filter_map(mounted) {
            if !path.starts_with(&self.path) {
                continue;
            }
            let depth = |list: &[PathBuf]| {
                list.iter()
                    .filter(|above| path.starts_with(above))
                    .map(|above| above.components().count())
                    .max()
            };
            // The nearest that says something of it counts.
            if depth(writable) > depth(read_only) {
                continue;
            }
            of(&path.display().to_string(), remount(&path, flags))?;
        }
        Ok(())
    }
}

/// Makes a mount read-only; `flags` are those it has, which may not be taken away.
fn remount(path: &Path, flags: MountFlags) -> io::Result<()> {
    Ok(mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | flags, c"")?)
}

/// A line of mountinfo: where something is mounted, and how.
fn mounted(line: &str) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(' ').skip(4);
    let path = PathBuf::from(plain(fields.next()?));
    let mut flags = MountFlags::empty();
    for option in fields.next()?.split(',') {
        flags |= match option {
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
    }
    Some((path, flags))
}

/// Undoes the octal escapes of mountinfo.
fn plain(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

fn enter(root: &Path) -> io::Result<()> {
    chdir(root)?;
    // The old root comes to lie over the new one, and is taken off.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_on_the_machine() {
        let path = std::env::temp_dir().join(format!("cosette-root-{}", std::process::id()));
        fs::create_dir_all(path.join("shown")).unwrap();
        let root = Root { path, own: RefCell::default() };
        assert!(root.make(&root.at(Path::new("/shown/inner/folder"))).is_err());
        assert!(root.lay(std::slice::from_ref(&root.path), Path::new("/shown")).is_err());
        assert!(fs::read_dir(root.path.join("shown")).unwrap().next().is_none());
        root.owns(&root.path).unwrap();
        root.make(&root.at(Path::new("/shown/inner/folder"))).unwrap();
        assert!(root.path.join("shown/inner/folder").is_dir());
        fs::remove_dir_all(&root.path).unwrap();
    }

    #[test]
    fn lines_of_mountinfo() {
        let line =
            r"36 35 98:0 /mnt1 /a\040b/c\134 rw,nosuid,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (path, flags) = mounted(line).unwrap();
        assert_eq!(path, Path::new(r"/a b/c\"));
        assert_eq!(flags, MountFlags::NOSUID | MountFlags::NOATIME);
        assert_eq!(mounted("nonsense"), None);
    }
}
