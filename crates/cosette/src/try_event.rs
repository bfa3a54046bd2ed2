//! `cosette function test`: runs a function with an event of a template.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::exit::Failure;
use crate::function::{Show, call};
use crate::remote::Scope;
use crate::rows::{query, quoted};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette function test --list
  cosette function test thumb --template cos-put --bucket photos-1250000000 --key in/cat.jpg
  cosette function test thumb --template cos-delete --key gone.jpg --print > event.json

The event is what the server would send: of an object that exists it has the size, the ETag and the
metadata. Templates cos-created and cos-removed stand for each event of their family, one after the
other. The result goes to standard output, the log to standard error. The exit status is 1 when the
function failed.")]
pub(crate) struct Test {
    /// The function's name
    #[arg(required_unless_present = "list")]
    name: Option<String>,

    /// Which event; --list shows them
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "list")]
    template: Option<String>,

    /// The bucket of a COS event [default: examplebucket]
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,

    /// The object's key of a COS event [default: testfile]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Print the event and run nothing
    #[arg(long)]
    print: bool,

    /// Print everything the service answers, as JSON, a line for each event
    #[arg(long, conflicts_with = "print")]
    json: bool,

    /// Show the templates
    #[arg(long, conflicts_with_all = ["name", "template", "bucket", "key", "print"])]
    list: bool,

    #[command(flatten)]
    scope: Scope,
}

impl Test {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let (Some(name), Some(template)) = (self.name, self.template) else {
            let answer = client.get("/_cosette/templates").await?;
            return list(&answer, self.json);
        };
        let mut asked = vec![
            ("function", name.as_str()),
            ("region", client.region.as_str()),
            ("namespace", client.namespace.as_str()),
            ("account", client.account.as_str()),
            ("secret_id", client.secret_id.as_str()),
        ];
        asked.extend(self.bucket.as_deref().map(|bucket| ("bucket", bucket)));
        asked.extend(self.key.as_deref().map(|key| ("key", key)));
        let path = format!("/_cosette/templates/{}?{}", quoted(&template), query(&asked));
        let answer = client.get(&path).await?;
        let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        if events.is_empty() {
            return Err(Failure::Failed(format!("template {template} has made no event")));
        }
        let mut failed = Vec::new();
        for event in events {
            if self.print {
                let mut out = std::io::stdout().lock();
                writeln!(out, "{event}")?;
                out.flush()?;
                continue;
            }
            let event_name = event.pointer("/Records/0/event/eventName").and_then(Value::as_str);
            if let Some(event_name) = event_name {
                eprintln!("{event_name}");
            }
            let show = if self.json { Show::Json { is_async: false } } else { Show::Result };
            // The others of a family are tried all the same.
            match call(&client, &name, &event.to_string(), show).await {
                Ok(()) => {}
                Err(Failure::Failed(why)) => failed.push(match event_name {
                    Some(event_name) => format!("{event_name}: {why}"),
                    None => why,
                }),
                Err(other) => return Err(other),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Failure::Failed(failed.join("\n"))) }
    }
}

fn list(answer: &Value, json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{answer}")?;
        return Ok(out.flush()?);
    }
    for row in answer.get("templates").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        writeln!(out, "{:30} {}", text("name"), text("about"))?;
    }
    Ok(out.flush()?)
}
