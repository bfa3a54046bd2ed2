//! `cosette logs`: what a function wrote, one invocation after the other, and those to come.

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use cosette_control::client::Client;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::remote::Scope;
use crate::rows::{self, query};

/// Between two looks at a server that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Invocations looked at each time, at least; more of them between two looks would be missed.
const LOOK_AT: usize = 1000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette logs hello                 the last 20 invocations, oldest first
  cosette logs hello --follow        and those to come, until Ctrl-C
  cosette logs hello --json | jq .   one JSON object an invocation")]
pub(crate) struct Logs {
    /// The function's name
    name: String,

    /// Go on with the invocations to come
    #[arg(long, short)]
    follow: bool,

    /// How many past invocations to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print each invocation as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

impl Logs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let show = |records: &[Value]| rows::show(records, self.json, text);
        let max = self.limit.max(LOOK_AT);
        let first = look(&client, &self.name, max).await?;
        if first.is_empty() {
            // Nothing was logged: is that because there is no such function?
            client.call("GetFunction", &json!({"FunctionName": self.name})).await?;
        }
        let mut seen = Seen::default();
        let mut past = seen.take_new(first, self.follow);
        past.drain(..past.len().saturating_sub(self.limit));
        show(&past)?;
        if !self.follow {
            return Ok(());
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            show(&seen.take_new(look(&client, &self.name, max).await?, true))?;
        }
    }
}

async fn look(client: &Client, function: &str, max: usize) -> Result<Vec<Value>, Failure> {
    let of = query(&[
        ("function", function),
        ("region", client.region.as_str()),
        ("namespace", client.namespace.as_str()),
        ("account", client.account.as_str()),
    ]);
    let answer = client.get(&format!("/_cosette/invocations?{of}&max={max}")).await?;
    Ok(answer.get("invocations").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Which attempts have been shown, of those the server still shows.
#[derive(Default)]
struct Seen(HashSet<(String, u64)>);

impl Seen {
    /// Of `records`, newest first, those not seen, oldest first. With `finished_only`, those that still
    /// run are left for later.
    fn take_new(&mut self, records: Vec<Value>, finished_only: bool) -> Vec<Value> {
        let mut shown = HashSet::new();
        let mut new = Vec::new();
        for record in records.into_iter().rev() {
            if finished_only && record["status"].is_null() {
                continue;
            }
            let id = record["requestId"].as_str().unwrap_or_default().to_owned();
            let attempt = (id, record["retry"].as_u64().unwrap_or_default());
            if !self.0.contains(&attempt) {
                new.push(record);
            }
            shown.insert(attempt);
        }
        self.0 = shown;
        new
    }
}

/// An invocation for people: its log, or what is known while there is none.
fn text(record: &Value) -> String {
    let part = |name: &str| record[name].as_str().unwrap_or_default().trim_end();
    match part("log") {
        "" if record["status"].is_null() => format!("{} {} is running", part("started"), part("requestId")),
        "" => format!("{} {} {} {}", part("started"), part("requestId"), record["status"], part("error")),
        log => log.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, retry: u64, status: Option<u16>) -> Value {
        json!({"requestId": id, "retry": retry, "status": status, "started": "2024-05-06T07:08:09.000Z", "log": "",
               "error": ""})
    }

    fn ids(records: &[Value]) -> Vec<String> {
        records.iter().map(|r| format!("{}/{}", r["requestId"].as_str().unwrap_or("?"), r["retry"])).collect()
    }

    #[test]
    fn each_attempt_is_shown_once_when_it_has_ended() {
        let mut seen = Seen::default();
        let first = vec![record("b", 0, None), record("a", 0, Some(430))];
        assert_eq!(ids(&seen.take_new(first, true)), ["a/0"]);
        let second = vec![record("a", 1, Some(200)), record("b", 0, Some(200)), record("a", 0, Some(430))];
        assert_eq!(ids(&seen.take_new(second.clone(), true)), ["b/0", "a/1"]);
        assert_eq!(ids(&seen.take_new(second, true)), [""; 0]);
    }

    #[test]
    fn running_ones_show_when_nobody_follows() {
        let running = record("a", 0, None);
        assert_eq!(ids(&Seen::default().take_new(vec![running.clone()], false)), ["a/0"]);
        assert_eq!(text(&running), "2024-05-06T07:08:09.000Z a is running");
    }
}
