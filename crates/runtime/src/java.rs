//! What Java needs besides a program to start: its bootstrap is compiled on this machine, by the JDK
//! that runs it (docs/decisions/0020-java.md).

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::contain::Seen;
use crate::interpreter::Interpreter;
use crate::outward::Exit;
use crate::process;

const SOURCES: [(&str, &str); 5] = [
    ("cosette/Bootstrap.java", include_str!("../bootstrap/java/cosette/Bootstrap.java")),
    ("cosette/Beans.java", include_str!("../bootstrap/java/cosette/Beans.java")),
    ("cosette/Names.java", include_str!("../bootstrap/java/cosette/Names.java")),
    ("cosette/Json.java", include_str!("../bootstrap/java/cosette/Json.java")),
    (
        "com/qcloud/scf/runtime/Context.java",
        include_str!("../bootstrap/java/com/qcloud/scf/runtime/Context.java"),
    ),
];

const COMPILING: Duration = Duration::from_secs(60);

/// Of the machine's memory that an instance may take, what is not the heap's: the JVM's own code,
/// classes and threads, in MB, and a share that grows with the heap.
const BESIDE_HEAP_MB: u32 = 64;

/// Compiled once, at first need.
#[derive(Default)]
pub(crate) struct Bootstrap(OnceCell<()>);

fn classes(bootstraps: &Path) -> PathBuf {
    bootstraps.join("java")
}

impl Bootstrap {
    pub(crate) async fn compile(&self, interpreter: &Interpreter, bootstraps: &Path) -> Result<(), String> {
        self.0.get_or_try_init(async || compile(&interpreter.program, &classes(bootstraps)).await).await?;
        Ok(())
    }
}

async fn compile(java: &Path, classes: &Path) -> Result<(), String> {
    // Beside `java`; that of Java 8 is one level below the compiler's.
    let folders = java.parent().into_iter().flat_map(|bin| [bin.to_owned(), bin.join("../../bin")]);
    let Some(javac) = folders.map(|bin| bin.join("javac")).find(|javac| javac.is_file()) else {
        return Err(format!(
            "functions in Java need a JDK, and {} has no javac beside it: install a JDK \
             (on Debian and Ubuntu: apt-get install default-jdk-headless) and invoke the function again",
            java.display()
        ));
    };
    let mut args: Vec<OsString> =
        ["-encoding", "UTF-8", "-proc:none", "-nowarn", "-d"].map(Into::into).into();
    args.push(classes.into());
    for (name, text) in SOURCES {
        let file = classes.join(name);
        let written = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        written.and_then(|()| std::fs::write(&file, text)).map_err(|error| error.to_string())?;
        args.push(file.into());
    }
    process::ask(&javac, &args, COMPILING).await.map(|_| ()).map_err(|said| {
        let said = said.trim();
        format!("{} cannot compile the bootstrap: {said}", javac.display())
    })
}

/// Where an instance finds what it is told; it removes the file.
fn told(folder: &Path) -> PathBuf {
    folder.join("home/.boot.json")
}

pub(crate) fn tell(folder: &Path, boot: &Value) -> io::Result<()> {
    // Nobody else is to read the secret in it.
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(told(folder))?;
    file.write_all(boot.to_string().as_bytes())
}

/// `folder` is the instance's own, where it finds what it is told.
pub(crate) fn arguments(memory_mb: u32, seen: &Seen, folder: &Path, exit: Option<Exit<'_>>) -> Vec<OsString> {
    // Classes of the package come first: it may bring its own `Context`. A `*` is any jar.
    let mut class_path = OsString::new();
    for root in std::iter::once(&seen.code).chain(&seen.layers) {
        for jars in ["", "/*", "/lib/*", "/java/lib/*"] {
            class_path.push(root);
            class_path.push(jars);
            class_path.push(":");
        }
    }
    class_path.push(classes(&seen.bootstraps));
    let property = |name: &str, value: &Path| {
        let mut argument = OsString::from(format!("-D{name}="));
        argument.push(value);
        argument
    };
    // One processor's worth of collector and compiler: what starts soonest and takes the least memory.
    let mut arguments: Vec<OsString> = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Xshare:auto",
        "-Dfile.encoding=UTF-8",
    ]
    .map(Into::into)
    .into();
    arguments.push(format!("-Xmx{}m", heap_mb(memory_mb)).into());
    arguments.push(property("java.io.tmpdir", &seen.tmp));
    arguments.push(property("user.home", &seen.home));
    if let Some(exit) = exit {
        arguments.extend(home(exit));
    }
    arguments.extend(["-cp".into(), class_path, "cosette.Bootstrap".into(), told(folder).into()]);
    arguments
}

/// What leads its calls to the gateway. In the machine's network clients that know no proxy are caught by SOCKS, once
/// `Names` has given addresses to names; for that the class must be open to it.
fn home(Exit { port, way, redirects }: Exit<'_>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let kinds: &[&str] =
        if redirects { &["http.proxy", "https.proxy", "socksProxy"] } else { &["http.proxy", "https.proxy"] };
    for kind in kinds {
        all.push(format!("-D{kind}Host=127.0.0.1").into());
        all.push(format!("-D{kind}Port={port}").into());
    }
    all.push("-Dhttp.nonProxyHosts=localhost|127.*|[::1]".into());
    if redirects {
        all.push("-DsocksNonProxyHosts=localhost|127.*|[::1]".into());
        // Java 8 does not know the latter, and needs it not.
        all.push("-XX:+IgnoreUnrecognizedVMOptions".into());
        all.push("--add-opens=java.base/java.net=ALL-UNNAMED".into());
    }
    let mut store = OsString::from("-Djavax.net.ssl.trustStore=");
    store.push(&way.java);
    all.push(store);
    all.push("-Djavax.net.ssl.trustStorePassword=changeit".into());
    all.push("-Djavax.net.ssl.trustStoreType=JKS".into());
    all
}

/// A heap that could grow to the whole limit would be full of what nobody holds any more, and the
/// instance be ended for it.
fn heap_mb(memory_mb: u32) -> u32 {
    memory_mb.saturating_sub(BESIDE_HEAP_MB + memory_mb / 16).max(16)
}

/// Lets the JVM wait for a debugger before it runs anything.
pub(crate) fn debugger(port: u16) -> OsString {
    format!("-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:{port}").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_it_is_told_nobody_else_reads() {
        let folder = std::env::temp_dir().join(format!("cosette-told-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("home")).unwrap();
        tell(&folder, &Value::from("secret")).unwrap();
        let mode = std::fs::metadata(told(&folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
