//! The environment an instance begins with (scf.md 5.9). Nothing of the server's own is inherited
//! but the tail of PATH; where SCF names a path of its own machines, the one stands at which the instance
//! finds the same: SCF's own, or a real one of this machine where it is not isolated.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use cosette_model::{Key, RoleKey};
use serde_json::{Value, json};

use crate::Spec;
use crate::contain::Seen;
use crate::debugging::DebugSession;
use crate::interpreter::Family;
use crate::outward::Exit;
use crate::process::MARK;
use crate::protocol::RESULT_BYTES_MAX;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where an instance lives.
pub(crate) struct Home<'a> {
    /// Its private directory, which is also its mark.
    pub(crate) folder: &'a Path,
    /// Where it finds its things.
    pub(crate) seen: &'a Seen,
    pub(crate) port: u16,
    /// For our own bootstraps.
    pub(crate) secret: Option<&'a str>,
    /// Of the invocation that causes the start.
    pub(crate) request_id: &'a str,
    pub(crate) key: &'a RoleKey,
    pub(crate) exit: Option<Exit<'a>>,
    /// Where the interpreter is, for a function that starts it by its name.
    pub(crate) programs: Option<&'a Path>,
}

pub(crate) fn of(spec: &Spec, family: Family, home: &Home<'_>) -> Vec<(String, OsString)> {
    let mut all: BTreeMap<String, OsString> = BTreeMap::new();
    let mut set = |name: &str, value: OsString| {
        all.insert(name.to_owned(), value);
    };
    let code = home.seen.code.as_os_str();
    let joined = |parts: &[&str]| {
        let mut text = code.to_owned();
        for part in parts {
            text.push(part);
        }
        text
    };

    set("LANG", "C.UTF-8".into());
    set("LC_ALL", "C.UTF-8".into());
    set("TZ", "UTC".into());
    set("USER", "qcloud".into());
    set("LOGNAME", "qcloud".into());
    set("SHELL", "/bin/bash".into());
    set("SHLVL", "3".into());
    set("HOSTNAME", "cosette".into());
    set("PATH", path(home.programs));
    let searched = |below: &[&str]| {
        let mut list = OsString::new();
        for folder in std::iter::once(&home.seen.code).chain(&home.seen.layers) {
            for below in below {
                if !list.is_empty() {
                    list.push(":");
                }
                list.push(folder);
                list.push(below);
            }
        }
        list
    };
    let mut python_path = OsString::new();
    if let Some(packages) = &spec.packages {
        // After the code itself, before the layers.
        python_path.push(joined(&[":"]));
        python_path.push(home.seen.code.join(packages));
        python_path.push(":");
    }
    python_path.push(searched(&[""]));
    set("PYTHONPATH", python_path);
    set("LD_LIBRARY_PATH", searched(&["", "/lib"]));
    set("PYTHONDONTWRITEBYTECODE", "x".into());
    set("PYTHONUNBUFFERED", "1".into());
    set("NODE_PATH", searched(&["", "/node_modules"]));
    set("CLASSPATH", searched(&["", "/*", "/lib/*", "/java/lib/*"]));
    set("HOME", home.seen.home.as_os_str().into());
    set("TMPDIR", home.seen.tmp.as_os_str().into());
    set("PWD", code.to_owned());

    if let Some(Exit { port, way, .. }) = home.exit {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            set(name, format!("http://127.0.0.1:{port}").into());
        }
        for name in ["NO_PROXY", "no_proxy"] {
            set(name, "localhost,127.0.0.1,::1".into());
        }
        let bundle =
            ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
        for name in bundle {
            set(name, way.bundle.clone().into());
        }
        // With the folders that PHP was built with.
        let mut php = OsString::from(":");
        php.push(&way.php);
        set("PHP_INI_SCAN_DIR", php);
    }

    for (name, value) in &spec.environment {
        set(name, value.into());
    }

    set("USER_CODE_ROOT", joined(&["/"]));
    set("_SCF_SERVER_PORT", "28902".into());
    set("SCF_RUNTIME", spec.runtime.as_str().into());
    set("SCF_FUNCTIONNAME", spec.name.as_str().into());
    set("SCF_FUNCTIONVERSION", spec.version.as_str().into());
    set("SCF_NAMESPACE", spec.namespace.as_str().into());
    // What published functions compare it with.
    set("SCF_ASYNC_RUN_ENABLE", if spec.asynchronous { "1" } else { "0" }.into());
    set("TENCENTCLOUD_RUNENV", "SCF".into());
    set("TENCENTCLOUD_REGION", spec.region.as_str().into());
    set("TENCENTCLOUD_APPID", spec.appid.as_str().into());
    set("TENCENTCLOUD_UIN", spec.uin.as_str().into());
    set("TENCENTCLOUD_TZ", "UTC".into());
    let Key { account, session } = &home.key.key;
    let (id, key) = (&account.secret_id, &account.secret_key);
    let token = session.as_ref().map_or("", |session| session.token.as_str());
    if !id.is_empty() {
        set("TENCENTCLOUD_SECRETID", id.into());
        set("TENCENTCLOUD_SECRETKEY", key.into());
        set("TENCENTCLOUD_SESSIONTOKEN", token.into());
        // The spelling of other products of the cloud, which much code reads.
        set("TENCENTCLOUD_SECRET_ID", id.into());
        set("TENCENTCLOUD_SECRET_KEY", key.into());
    }
    set(MARK, home.folder.into());

    if family == Family::Custom {
        set("SCF_RUNTIME_API", "127.0.0.1".into());
        set("SCF_RUNTIME_API_PORT", home.port.to_string().into());
        set("_HANDLER", spec.handler.as_str().into());
    } else if family == Family::Web {
        set("PORT", home.port.to_string().into());
    } else if family == Family::Go {
        // What the library for Go reads (scf.md 5.5).
        set("_LAMBDA_SERVER_PORT", home.port.to_string().into());
        set("FUNCTION_NAME", spec.name.as_str().into());
        set("FUNCTION_VERSION", spec.version.as_str().into());
        set("FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string().into());
    } else if family != Family::Java {
        set("COSETTE_BOOT", boot(spec, home).to_string().into());
    }
    all.into_iter().collect()
}

/// The interpreter's, the cloud's own folders, then the server's, where this machine's programs are.
fn path(first: Option<&Path>) -> OsString {
    let mut path = OsString::new();
    if let Some(first) = first.filter(|first| first.is_absolute()) {
        path.push(first);
        path.push(":");
    }
    path.push(PATH);
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        if folder.is_absolute() && !std::env::split_paths(&path).any(|known| known == folder) {
            path.push(":");
            path.push(folder);
        }
    }
    path
}

/// Who sends the events of timers.
pub(crate) const TIMER: &str = "TIMER";

/// The variable that says so.
pub(crate) const TRIGGER_SRC: &str = "TRIGGER_SRC";

/// What [`TRIGGER_SRC`] is while an event of `source` is run (scf.md 5.9), empty for no such variable. `None` where it is
/// the function's own.
pub(crate) fn trigger_src(spec: &Spec, source: &str) -> Option<&'static str> {
    let is_own = spec.environment.iter().any(|(name, _)| name == TRIGGER_SRC);
    (!is_own).then_some(if source == TIMER { "timer" } else { "" })
}

/// `environment` and `environ` of a context: the namespace and the user's variables (scf.md 5.6),
/// as JSON and as `name=value;name=value`.
pub(crate) fn for_context(spec: &Spec) -> (String, String) {
    let namespace = ("SCF_NAMESPACE".to_owned(), spec.namespace.clone());
    let variables: Vec<&(String, String)> = std::iter::once(&namespace).chain(&spec.environment).collect();
    let environment: serde_json::Map<String, Value> =
        variables.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    // The form has no escape: a value that holds its separator is left to the environment itself.
    let environ: Vec<String> = variables
        .iter()
        .filter(|(_, value)| !value.contains(';'))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (Value::Object(environment).to_string(), environ.join(";"))
}

/// What our bootstraps need to know; they take the variable away before user code is loaded.
pub(crate) fn boot(spec: &Spec, home: &Home<'_>) -> Value {
    let (environment, environ) = for_context(spec);
    json!({
        "address": "127.0.0.1",
        "port": home.port,
        "secret": home.secret,
        "gateway": home.exit.map(|exit| json!({
            "port": exit.port,
            "bundle": exit.way.bundle,
            "redirects": exit.redirects,
        })),
        "code": home.seen.code.to_string_lossy(),
        "layers": home.seen.layers.iter().map(|layer| layer.to_string_lossy()).collect::<Vec<_>>(),
        "handler": spec.handler,
        "debug": spec.debug.as_ref().map(DebugSession::port),
        "request_id": home.request_id,
        "result_bytes_max": RESULT_BYTES_MAX,
        "context": {
            "function_name": spec.name,
            "function_version": spec.version,
            "namespace": spec.namespace,
            "environment": environment,
            "environ": environ,
            "tencentcloud_region": spec.region,
            "tencentcloud_appid": spec.appid,
            "tencentcloud_uin": spec.uin,
        },
    })
}
