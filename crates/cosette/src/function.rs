//! `cosette function`: deploy, invoke, list, delete.

use std::io::{Read, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use cosette_control::client::Client;
use serde_json::{Map, Value, json};

use crate::archive::{self, DEPENDENCIES, ENVIRONMENTS};
use crate::binding::{self, Binding};
use crate::exit::Failure;
use crate::goal::QUALIFIER;
use crate::kind::Kind;
use crate::remote::Scope;
use crate::watch::Watch;
use crate::{install, url};

/// The runtime that starts the package's own program.
const CUSTOM: &str = "CustomRuntime";
/// Rows asked for at once.
const PAGE: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # A folder with index.py that has `def main_handler(event, context)`
  cosette function deploy hello/ --name hello --runtime Python3.9 --handler index.main_handler

  # Run it for each .jpg put under in/ of a bucket
  cosette function deploy thumb/ --name thumb --runtime Nodejs16.13 --handler index.main_handler \\
      --trigger photos-1250000000,created,in/,.jpg

  # A web function: a folder or zip with scf_bootstrap
  cosette function deploy site/ --name site --runtime Nodejs18.15

  # A custom runtime: a folder or zip with bootstrap
  cosette function deploy program.zip --name program

  # Let what is saved in the folder count at once
  cosette function deploy hello/ --name hello --runtime Python3.9 --handler index.main_handler --watch

Deploying again replaces the code, changes the settings that are named, and adds triggers that are
not there yet; other triggers stay. Events are created, removed, or a name such as ObjectCreated:Put.")]
pub(crate) struct Deploy {
    /// The folder with the code, or a zip file
    #[arg(value_name = "DIR")]
    source: PathBuf,

    /// The function's name
    #[arg(long)]
    name: String,

    /// What runs it, such as Python3.9 or Nodejs16.13 [default: CustomRuntime for a package with bootstrap or
    /// scf_bootstrap]
    #[arg(long)]
    runtime: Option<String>,

    /// What is called, such as index.main_handler; a package with bootstrap or scf_bootstrap needs none
    #[arg(long)]
    handler: Option<String>,

    /// Give it a URL, if it has none, and print that; a web function gets one anyway
    #[arg(long)]
    url: bool,

    /// Run it on events of a bucket; may be given more than once
    #[arg(long = "trigger", value_name = "BUCKET,EVENT[,PREFIX[,SUFFIX]]", value_parser = binding::parse)]
    triggers: Vec<Binding>,

    /// Memory: 64, or 128 to 3072 in steps of 128
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,

    /// Longest run, in seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,

    /// A variable of its environment; may be given more than once, and together they replace the old ones
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = parse_variable)]
    environment: Vec<(String, String)>,

    /// First install what requirements.txt, package.json or go.mod asks for, into the folder
    #[arg(long)]
    install: bool,

    /// Run it from the folder itself, on a server of this machine, until Ctrl-C: what is saved there
    /// counts for the next run
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette function invoke hello --event '{\"name\":\"Ada\"}'
  cosette function invoke hello --event-file event.json
  echo '{}' | cosette function invoke hello --event-file -

The result goes to standard output, the log to standard error. The exit status is 1 when the
function failed.")]
pub(crate) struct Invoke {
    /// The function's name
    name: String,

    /// The event, as JSON [default: {}]
    #[arg(long, value_name = "JSON", conflicts_with = "event_file")]
    event: Option<String>,

    /// A file with the event; - is standard input
    #[arg(long, value_name = "FILE")]
    event_file: Option<PathBuf>,

    /// Do not wait for it: print the request id at once
    #[arg(long = "async")]
    asynchronous: bool,

    /// Print everything the service answers, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print everything the service answers, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The function's name
    name: String,

    #[command(flatten)]
    scope: Scope,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a variable is KEY=VALUE".into()),
    }
}

impl Deploy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if (self.install || self.watch) && !self.source.is_dir() {
            return Err(Failure::Usage(format!("{} is no folder", self.source.display())));
        }
        if self.install {
            install::run(&self.source)?;
        }
        // What is watched is not run from the archive.
        let code = code_of(&self.source, if self.watch { DEPENDENCIES } else { &[] })?;
        let bytes = code.len();
        let kind = match Kind::of(&code) {
            // Named so by chance.
            Kind::Program if self.runtime.as_ref().is_some_and(|runtime| runtime != CUSTOM) => Kind::Handler,
            kind => kind,
        };
        let name = self.name;
        let client = self.scope.client();
        let watch = self.watch.then(|| Watch::new(&client, &name, &self.source, &code)).transpose()?;
        let code = json!({"ZipFile": STANDARD.encode(code)});
        let mut settings = Map::new();
        settings.insert("FunctionName".into(), json!(name));
        if let Some(runtime) = &self.runtime {
            settings.insert("Runtime".into(), json!(runtime));
        }
        if let Some(memory) = self.memory {
            settings.insert("MemorySize".into(), json!(memory));
        }
        if let Some(timeout) = self.timeout {
            settings.insert("Timeout".into(), json!(timeout));
        }
        if !self.environment.is_empty() {
            let variables: Vec<Value> =
                self.environment.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            settings.insert("Environment".into(), json!({"Variables": variables}));
        }
        // What it is stays.
        let (exists, is_web) = match client.call("GetFunction", &json!({"FunctionName": name})).await {
            Ok(found) => (true, found.get("Type") == Some(&json!("HTTP"))),
            Err(error) if error.is_not_found() => (false, kind == Kind::Web),
            Err(error) => return Err(error.into()),
        };
        if exists {
            if is_web != (kind == Kind::Web) {
                let (is, has) = if is_web { ("a web function", "no") } else { ("no web function", "an") };
                eprintln!(
                    "function {name} is {is} and stays that, though the package has {has} scf_bootstrap"
                );
            }
            // Settings first: a runtime that cannot be is refused before the code changes.
            client.call("UpdateFunctionConfiguration", &Value::Object(settings)).await?;
            let update = json!({"FunctionName": name, "Handler": self.handler, "Code": code});
            client.call("UpdateFunctionCode", &update).await?;
        } else {
            if let Some(reason) = kind.reason() {
                let runtime = self.runtime.as_deref().unwrap_or(CUSTOM);
                eprintln!("{reason}; runtime {runtime}");
                settings.insert("Runtime".into(), json!(runtime));
            } else if self.runtime.is_none() || self.handler.is_none() {
                return Err(Failure::Usage(
                    "a new function needs --runtime and --handler, but for a package with bootstrap or scf_bootstrap"
                        .into(),
                ));
            }
            settings.insert("Handler".into(), json!(self.handler));
            settings.insert("Type".into(), json!(if is_web { "HTTP" } else { "Event" }));
            settings.insert("Code".into(), code);
            client.call("CreateFunction", &Value::Object(settings)).await?;
        }
        let done = if exists { "updated" } else { "created" };
        eprintln!("{done} function {name} ({bytes} bytes of code)");
        bind(&client, &name, &self.triggers).await?;
        if is_web || self.url {
            url::deployed(&client, &name).await?;
        }
        let Some(watch) = watch else { return Ok(()) };
        watch.run().await?;
        let code = code_of(&self.source, ENVIRONMENTS)?;
        if let Some(left) = ENVIRONMENTS.iter().find(|name| self.source.join(name).is_dir()) {
            eprintln!(
                "left out {left}, where a function is not searched for packages; --install brings them"
            );
        }
        let bytes = code.len();
        let update = json!({
            "FunctionName": name, "Handler": self.handler, "Code": {"ZipFile": STANDARD.encode(code)},
        });
        watch.deploy(&update).await?;
        eprintln!("updated function {name} ({bytes} bytes of code)");
        Ok(())
    }
}

fn code_of(source: &std::path::Path, without: &[&str]) -> Result<Vec<u8>, Failure> {
    archive::pack(source, without).map_err(|error| Failure::Usage(error.to_string()))
}

/// Makes the triggers that are not there and opens those that are closed.
async fn bind(client: &Client, function: &str, wanted: &[Binding]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let listed = client.call("ListTriggers", &json!({"FunctionName": function, "Limit": PAGE})).await?;
    let present = listed.get("Triggers").and_then(Value::as_array).cloned().unwrap_or_default();
    for binding in wanted {
        match present.iter().find(|trigger| binding.is(trigger, &client.region)) {
            None => {
                let new = json!({
                    "FunctionName": function,
                    "Type": "cos",
                    "TriggerName": binding.trigger_name(&client.region),
                    "TriggerDesc": binding.trigger_desc(),
                    "Qualifier": QUALIFIER,
                    "Enable": "OPEN",
                });
                client.call("CreateTrigger", &new).await?;
                eprintln!("added trigger: {binding}");
            }
            Some(trigger) if trigger.get("Enable") == Some(&json!(0)) => {
                let mut change = json!({"FunctionName": function, "Enable": "OPEN"});
                for field in ["Type", "TriggerName", "TriggerDesc", "Qualifier"] {
                    change[field] = trigger[field].clone();
                }
                client.call("UpdateTriggerStatus", &change).await?;
                eprintln!("opened trigger: {binding}");
            }
            Some(_) => eprintln!("trigger is there: {binding}"),
        }
    }
    Ok(())
}

impl Invoke {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let event = match (self.event, self.event_file) {
            (Some(event), _) => event,
            (None, None) => "{}".to_owned(),
            (None, Some(file)) => read_event(&file)
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?,
        };
        let show = match (self.json, self.asynchronous) {
            (true, is_async) => Show::Json { is_async },
            (false, true) => Show::Id,
            (false, false) => Show::Result,
        };
        call(&self.scope.client(), &self.name, &event, show).await
    }
}

/// What is shown of a call.
#[derive(Clone, Copy)]
pub(crate) enum Show {
    /// Its result and, on standard error, its log.
    Result,
    /// Its request id: it is not waited for.
    Id,
    /// All that the service answers.
    Json { is_async: bool },
}

/// Runs a function and shows what came of it.
pub(crate) async fn call(client: &Client, name: &str, event: &str, show: Show) -> Result<(), Failure> {
    let is_async = matches!(show, Show::Id | Show::Json { is_async: true });
    let call = json!({
        "FunctionName": name,
        "Qualifier": QUALIFIER,
        "InvocationType": if is_async { "Event" } else { "RequestResponse" },
        "LogType": "Tail",
        "ClientContext": event,
    });
    let answer = client.call("Invoke", &call).await?;
    let result = answer.get("Result").cloned().unwrap_or_default();
    let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    match show {
        Show::Json { .. } => writeln!(out, "{result}")?,
        Show::Id => writeln!(out, "{}", text("FunctionRequestId"))?,
        Show::Result => {
            let log = text("Log");
            if !log.is_empty() {
                eprintln!("{}", log.trim_end());
            }
            writeln!(out, "{}", text("RetMsg"))?;
        }
    }
    out.flush()?;
    if result.get("InvokeResult").and_then(Value::as_i64) == Some(0) {
        return Ok(());
    }
    let why = match text("ErrMsg") {
        "" => "no reason given",
        why => why,
    };
    Err(Failure::Failed(format!("function {name} failed: {why}")))
}

fn read_event(file: &std::path::Path) -> std::io::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

impl List {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let mut functions = Vec::new();
        loop {
            let ask = json!({
                "Orderby": "FunctionName", "Order": "ASC", "Offset": functions.len(), "Limit": PAGE,
            });
            let answer = client.call("ListFunctions", &ask).await?;
            let page = answer.get("Functions").and_then(Value::as_array).cloned().unwrap_or_default();
            let full = page.len() == PAGE;
            functions.extend(page);
            if !full {
                break;
            }
        }
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", Value::Array(functions))?;
        } else {
            write!(out, "{}", table(&functions))?;
        }
        Ok(out.flush()?)
    }
}

/// Functions in columns; nothing, not even a head, when there are none.
fn table(functions: &[Value]) -> String {
    let columns =
        [("NAME", "FunctionName"), ("RUNTIME", "Runtime"), ("STATUS", "Status"), ("MODIFIED", "ModTime")];
    if functions.is_empty() {
        return String::new();
    }
    let mut rows = vec![columns.map(|(head, _)| head)];
    rows.extend(
        functions.iter().map(|function| columns.map(|(_, field)| function[field].as_str().unwrap_or("-"))),
    );
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

impl Delete {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        self.scope.client().call("DeleteFunction", &json!({"FunctionName": self.name})).await?;
        eprintln!("deleted function {}", self.name);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_split_at_the_first_equals_sign() {
        assert_eq!(parse_variable("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert_eq!(parse_variable("A=").unwrap(), ("A".into(), String::new()));
        assert!(parse_variable("A").is_err());
        assert!(parse_variable("=b").is_err());
    }

    #[test]
    fn the_list_is_in_columns() {
        let function = |name: &str, runtime: &str| json!({"FunctionName": name, "Runtime": runtime, "Status": "Active", "ModTime": "2024-05-06 07:08:09"});
        assert_eq!(
            table(&[function("hello", "Python3.9"), function("a", "Nodejs16.13")]),
            "NAME   RUNTIME      STATUS  MODIFIED\n\
             hello  Python3.9    Active  2024-05-06 07:08:09\n\
             a      Nodejs16.13  Active  2024-05-06 07:08:09\n"
        );
        assert_eq!(table(&[]), "");
    }
}
