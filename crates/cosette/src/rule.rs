//! `cosette rule`: which events of which bucket go where.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::binding::{self, Binding};
use crate::exit::Failure;
use crate::goal::{self, Goal};
use crate::remote::Scope;
use crate::rows;

#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// Make a rule
    Add(Add),
    /// List the rules
    List(List),
    /// End a rule
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette rule add photos-1250000000,created,in/,.jpg webhook:orders
  cosette rule add photos-1250000000,ObjectRemove:Delete function:thumb --style s3

The rule's id goes to standard output. TARGET is webhook:NAME or function:NAME[:QUALIFIER].")]
pub(crate) struct Add {
    /// BUCKET,EVENT[,PREFIX[,SUFFIX]] as in `function deploy --trigger`
    #[arg(value_name = "EVENTS", value_parser = binding::parse)]
    events: Binding,

    /// Who is told
    #[arg(value_name = "TARGET", value_parser = goal::parse)]
    target: Goal,

    /// Whose messages are sent
    #[arg(long, value_name = "STYLE", default_value = "cos")]
    style: Style,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Make it without switching it on
    #[arg(long)]
    disabled: bool,

    /// Print the rule, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Style {
    Cos,
    S3,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this bucket
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,

    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its id
    id: String,

    #[command(flatten)]
    scope: Scope,
}

impl Rule {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => {
                let answer = list.scope.client().get("/_cosette/rules").await?;
                let is_meant =
                    |rule: &&Value| list.bucket.as_ref().is_none_or(|name| rule["bucket"] == name.as_str());
                let rules: Vec<Value> =
                    answer["rules"].as_array().into_iter().flatten().filter(is_meant).cloned().collect();
                rows::show(&rules, list.json, words)
            }
            Self::Remove(remove) => {
                let path = format!("/_cosette/rules/{}", rows::quoted(&remove.id));
                let ended = remove.scope.client().delete(&path).await?;
                eprintln!("ended rule {}", words(&ended));
                Ok(())
            }
        }
    }
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let mut ask = self.events.rule();
        ask["target"] = self.target.asked(&client);
        ask["style"] = match self.style {
            Style::Cos => "cos".into(),
            Style::S3 => "s3".into(),
        };
        ask["description"] = self.description.unwrap_or_default().into();
        ask["enabled"] = (!self.disabled).into();
        let made = client.post("/_cosette/rules", &ask).await?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{made}")?;
        } else {
            eprintln!("rule {}", words(&made));
            writeln!(out, "{}", made["id"].as_str().unwrap_or_default())?;
        }
        Ok(out.flush()?)
    }
}

fn words(rule: &Value) -> String {
    let text = |name: &str| rule[name].as_str().unwrap_or_default();
    let events: Vec<&str> =
        rule["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut line = format!("{}  {},{}", text("id"), text("bucket"), events.join("+"));
    match (text("prefix"), text("suffix")) {
        ("", "") => {}
        (prefix, "") => line.push_str(&format!(",{prefix}")),
        (prefix, suffix) => line.push_str(&format!(",{prefix},{suffix}")),
    }
    line.push_str(&format!("  {}  {}", goal::shown(&rule["target"]), text("style")));
    if rule["enabled"] == json!(false) {
        line.push_str("  off");
    }
    for (name, words) in [("configuration", "of the bucket's notification"), ("description", "")] {
        if let Some(value) = rule[name].as_str().filter(|value| !value.is_empty()) {
            line.push_str(&format!("  {words}{}{value}", if words.is_empty() { "" } else { " " }));
        }
    }
    line
}
