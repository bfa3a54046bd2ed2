//! Real interpreters, real processes. `House` is one runtime with a place for code.

#![allow(clippy::unwrap_used)]

mod closure;
mod custom;
mod debugging;
mod limits;
mod node;
mod python;
mod reuse;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_model::{Account, Chain, Key, KeyGiver, RoleKey, Timestamp};
use serde_json::Value;

use crate::{DebugSession, Keeping, Ran, Runtime, Spec};

pub(super) const ID: &str = "6add56fa-58f1-11e8-89a9-5254005d5fdb";

pub(super) struct House {
    pub(super) runtime: Runtime,
    pub(super) folder: PathBuf,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with_idle(Duration::from_secs(300))
    }

    pub(super) fn with_idle(idle: Duration) -> Self {
        let name = format!("cosette-runtime-{}", uuid::Uuid::new_v4().simple());
        Self::at(std::env::temp_dir().canonicalize().unwrap().join(name), idle)
    }

    pub(super) fn at(folder: PathBuf, idle: Duration) -> Self {
        let runtime = Runtime::open(folder.join("scratch"), idle, Keeping::default()).unwrap();
        Self { runtime, folder }
    }

    /// A function of the given files, with limits that no test here reaches by accident.
    pub(super) fn function(&self, runtime: &str, handler: &str, files: &[(&str, &str)]) -> Spec {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let code = self.folder.join("code").join(&id);
        for (name, text) in files {
            let file = code.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Spec {
            id,
            namespace: "default".into(),
            name: "thumbnail".into(),
            version: "$LATEST".into(),
            runtime: runtime.into(),
            handler: handler.into(),
            code,
            layers: Vec::new(),
            packages: None,
            memory_mb: 512,
            timeout: Duration::from_secs(60),
            init_timeout: Duration::from_secs(60),
            environment: vec![("GREETING".into(), "grüß dich".into())],
            region: "ap-guangzhou".into(),
            appid: "1250000000".into(),
            uin: "100000000001".into(),
            keys: KeyGiver::new(
                || RoleKey::new(key()),
                || Timestamp::from_secs(0),
                |_| std::future::pending(),
            ),
            asynchronous: false,
            debug: None,
            web: None,
        }
    }

    pub(super) fn python(&self, text: &str) -> Spec {
        self.function("Python3.9", "index.main_handler", &[("index.py", text)])
    }

    pub(super) fn node(&self, text: &str) -> Spec {
        self.function("Nodejs18.15", "index.main_handler", &[("index.js", text)])
    }

    pub(super) async fn run(&self, spec: &Spec, event: &str) -> Ran {
        self.runtime.run(spec, ID, &Chain::default(), "API", event).await
    }

    /// Private directories of instances that are there now.
    pub(super) fn instances(&self) -> usize {
        std::fs::read_dir(self.folder.join("scratch/instances")).unwrap().count()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
pub(super) fn succeeded(ran: &Ran) -> Value {
    assert_eq!(ran.status, StatusCode::Success, "{ran:#?}");
    assert_eq!(ran.error, "");
    serde_json::from_str(&ran.result).unwrap()
}

#[track_caller]
pub(super) fn failed(ran: &Ran, status: StatusCode) -> Value {
    assert_eq!(ran.status, status, "{ran:#?}");
    assert_ne!(ran.error, "");
    let document: Value = serde_json::from_str(&ran.result).unwrap();
    assert_eq!(document["statusCode"], status.number());
    assert_eq!(document["requestId"], ID);
    document
}

/// Waits for a condition on the machine that nothing signals.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// Whether a process is there and runs (a dead one that nobody has reaped does not).
pub(super) fn lives(pid: i64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(stat.rsplit_once(')').unwrap().1.trim_start().as_bytes()[0], b'Z' | b'X'))
}

pub(super) fn pids_in(file: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// What an instance's environment shows of its key.
fn key() -> Key {
    let name = |text: &str| text.to_owned();
    let session = cosette_model::Session {
        token: name("token"),
        expires: None,
        persona: cosette_model::Persona::Account,
        policy: None,
    };
    let account = Account {
        secret_id: name("id"),
        secret_key: name("key"),
        appid: name("1"),
        uin: name("2"),
        name: name("me"),
    };
    Key { account: account.into(), session: Some(std::sync::Arc::new(session)) }
}
