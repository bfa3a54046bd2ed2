//! `cosette webhook`: named URLs that messages are posted to.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use cosette_model::duration;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::goal::{self, Goal};
use crate::remote::Scope;
use crate::rows;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Make a webhook, or change it
    Add(Add),
    /// List the webhooks
    List(List),
    /// Remove a webhook
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  SECRET=$(cosette webhook add orders http://localhost:8000/orders)
  cosette webhook add orders http://localhost:8000/orders --unsigned --dead-letter bucket:late-1250000000/

The secret that posts are signed with goes to standard output when it is set; it is not shown again. One
that is changed keeps its secret, and has the defaults for all else that is left out.")]
pub(crate) struct Add {
    /// Its name, which is also the queue's or the topic's that it stands for
    name: String,

    /// Where messages are posted to
    url: String,

    /// What posts are signed with [default: one is made]
    #[arg(long, value_name = "TEXT", conflicts_with = "unsigned")]
    secret: Option<String>,

    /// Sign nothing
    #[arg(long)]
    unsigned: bool,

    /// How long an answer may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Further attempts after an answer that says no [default: 2]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// How old a message may be that is still tried [default: 6h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    max_age: Option<Duration>,

    /// Posts at once [default: 8]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,

    /// Who is told of what could not be delivered
    #[arg(long, value_name = "TARGET", value_parser = goal::parse)]
    dead_letter: Option<Goal>,

    /// Print the server's answer, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name
    name: String,

    #[command(flatten)]
    scope: Scope,
}

impl Webhook {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => {
                let answer = list.scope.client().get("/_cosette/webhooks").await?;
                rows::show(answer["webhooks"].as_array().map_or(&[], Vec::as_slice), list.json, words)
            }
            Self::Remove(remove) => {
                let path = format!("/_cosette/webhooks/{}", rows::quoted(&remove.name));
                remove.scope.client().delete(&path).await?;
                eprintln!("removed webhook {}", remove.name);
                Ok(())
            }
        }
    }
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let mut ask = json!({"name": self.name, "url": self.url});
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let dead_letter = self.dead_letter.as_ref().map(|to| to.asked(&client));
        for (name, value) in [
            ("secret", self.secret.map(Value::from).or(self.unsigned.then(|| "".into()))),
            ("timeout_ms", self.timeout.map(|time| millis(time).into())),
            ("retries", self.retries.map(Value::from)),
            ("max_age_secs", self.max_age.map(|time| time.as_secs().into())),
            ("concurrency", self.concurrency.map(Value::from)),
            ("dead_letter", dead_letter),
        ] {
            if let Some(value) = value {
                ask[name] = value;
            }
        }
        let made = client.post("/_cosette/webhooks", &ask).await?;
        eprintln!("webhook {}", words(&made));
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{made}")?;
        } else if let Some(secret) = made["secret"].as_str().filter(|secret| !secret.is_empty()) {
            writeln!(out, "{secret}")?;
        }
        Ok(out.flush()?)
    }
}

fn words(webhook: &Value) -> String {
    let text = |name: &str| webhook[name].as_str().unwrap_or_default();
    let signed = if webhook["signed"] == json!(true) { "signed" } else { "unsigned" };
    let late = match &webhook["dead_letter"] {
        Value::Null => String::new(),
        to => format!(", dead letters to {}", goal::shown(to)),
    };
    format!("{}  {}  {signed}{late}", text("name"), text("url"))
}
