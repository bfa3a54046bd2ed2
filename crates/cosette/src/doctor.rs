//! `cosette doctor`: the languages, the data directory, the server and the keys, each looked at as it would be used.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use cosette_control::client::CallError;
use cosette_server::contain::Kept;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::remote::Remote;

#[derive(Debug, Args)]
#[command(after_help = "\
A language that is not installed is no fault; the exit status is 1 when something is wrong with the data
directory, with what answers at the endpoint, or with the keys.")]
pub(crate) struct Doctor {
    /// The data directory to look at
    #[arg(long, env = "COSETTE_DATA_DIR", value_name = "DIR", default_value = ".cosette")]
    data_dir: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// What was looked at.
struct Look {
    what: &'static str,
    is_well: bool,
    text: String,
}

impl Doctor {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let languages = cosette_server::languages().await;
        let mut looks = vec![directory(&self.data_dir)];
        let client = self.remote.client();
        let (endpoint, id) = (client.endpoint.clone(), client.secret_id.clone());
        let mut look = |what, is_well, text| looks.push(Look { what, is_well, text });
        // No fault either: functions run without it.
        look(
            "isolation",
            true,
            match cosette_server::contain::check().await {
                (Kept::Alone, _) => "functions are kept apart from this machine and each other".to_owned(),
                (Kept::Apart, why) => {
                    format!(
                        "functions are kept apart, but for this machine's network, which they share: {why}"
                    )
                }
                (Kept::Walled, why) => {
                    format!("functions share this machine, but most of its files are closed to them: {why}")
                }
                (Kept::Not, why) => format!("functions see this machine as the server does: {why}"),
            },
        );
        look(
            "system calls",
            true,
            match cosette_server::contain::refuses_calls() {
                true => "isolated functions are refused those that none needs".to_owned(),
                false => "functions may make all: this kernel has no seccomp".to_owned(),
            },
        );
        look(
            "memory",
            true,
            match cosette_server::contain::check_fence() {
                Ok(()) => "functions' memory is measured, and fenced by the kernel".to_owned(),
                Err(why) => format!("functions' memory is measured, but not fenced: {why}"),
            },
        );
        match client.get("/_cosette/health").await {
            Ok(health) => {
                let version = health["version"].as_str().unwrap_or("?");
                look("server", true, format!("version {version} answers at {endpoint}"));
                match client.call("ListFunctions", &json!({"Limit": 1})).await {
                    Ok(_) => look("keys", true, format!("{id} is known")),
                    Err(error) => look("keys", false, format!("{id}: {error}")),
                }
            }
            Err(CallError::Connect { .. }) => {
                look("server", true, format!("none runs at {endpoint}; start it with cosette serve"));
                look("keys", true, format!("{id} will be asked with"));
            }
            Err(error) => look("server", false, error.to_string()),
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            let languages: Vec<Value> = languages
                .iter()
                .map(|language| {
                    let found = language.found.as_ref();
                    let program = found.map(|found| found.program.display().to_string());
                    json!({
                        "name": language.name,
                        "runtimes": language.runtimes,
                        "version": found.map(|found| &found.version),
                        "program": program.filter(|program| !program.is_empty()),
                        "get": language.get,
                    })
                })
                .collect();
            let checks: Vec<Value> =
                looks.iter().map(|l| json!({"what": l.what, "ok": l.is_well, "text": l.text})).collect();
            writeln!(out, "{}", json!({"languages": languages, "checks": checks}))?;
        } else {
            for language in &languages {
                let text = match &language.found {
                    Some(found) if found.program.is_absolute() => {
                        format!("{} ({})", found.version, found.program.display())
                    }
                    Some(found) => found.version.clone(),
                    None => format!("not installed: {}", language.get),
                };
                let mark = if language.found.is_some() { "ok" } else { "-" };
                writeln!(out, "{mark:4} {:15} {text}; runs {}", language.name, language.runtimes)?;
            }
            for look in &looks {
                let mark = if look.is_well { "ok" } else { "BAD" };
                writeln!(out, "{mark:4} {:15} {}", look.what, look.text)?;
            }
        }
        out.flush()?;
        match looks.iter().filter(|look| !look.is_well).count() {
            0 => Ok(()),
            1 => Err(Failure::Failed("one thing is wrong".to_owned())),
            number => Err(Failure::Failed(format!("{number} things are wrong"))),
        }
    }
}

/// Whether it can be used, or made where it is not there.
fn directory(folder: &Path) -> Look {
    let shown = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let nearest = shown.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    // Asking is not enough: modes do not tell of file systems that are full or read-only.
    let probe = nearest.join(format!(".cosette-doctor-{}", std::process::id()));
    let tried = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .and_then(|mut file| file.write_all(b"x"))
        .and_then(|()| fs::remove_file(&probe));
    let is_there = nearest == shown;
    let (is_well, text) = match tried {
        Ok(()) if is_there => (true, format!("{} can be written", shown.display())),
        Ok(()) => (true, format!("{} is not there and can be made", shown.display())),
        Err(error) => (false, format!("{}: {error}", nearest.display())),
    };
    Look { what: "data directory", is_well, text }
}
