//! `cosette events`: what happens to buckets and objects, and how deliveries end.

use clap::Args;
use serde_json::Value;

use crate::exit::Failure;
use crate::remote::Remote;
use crate::rows::{self, quoted};

/// How long the server waits for something to tell, each time.
const WAIT_MS: u64 = 20_000;
/// Commits before now among which past changes are looked for.
const PAST_COMMITS: u64 = 10_000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette events                                   the last 20 changes, oldest first
  cosette events --follow                          and those to come, with the ends of deliveries
  cosette events -f --bucket photos-1250000000 --key-prefix in/
  cosette events -f --json | jq .                  one JSON object a line")]
pub(crate) struct Events {
    /// Go on with the changes to come and with the ends of deliveries, until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// Only of this bucket
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,

    /// Only of keys that begin so
    #[arg(long, value_name = "TEXT")]
    key_prefix: Option<String>,

    /// How many past changes to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print each as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl Events {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut filter = String::new();
        for (name, value) in [("bucket", &self.bucket), ("key_prefix", &self.key_prefix)] {
            if let Some(value) = value {
                filter.push_str(&format!("&{name}={}", quoted(value)));
            }
        }
        let client = self.remote.client();
        let number = |answer: &Value, name: &str| answer[name].as_u64().unwrap_or_default();
        let list = |answer: &Value, name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let show = |rows: &[Value]| rows::show(rows, self.json, text);
        // What has ended before is not told of.
        let mut ended_after = 0;
        loop {
            let path = format!("/_cosette/changes?max=0&after={}&ended_after={ended_after}", u64::MAX);
            let answer = client.get(&path).await?;
            let next = number(&answer, "ended_next");
            if next == ended_after {
                break;
            }
            ended_after = next;
        }
        let head = number(&client.get("/_cosette/health").await?, "head");
        let mut after = head.saturating_sub(PAST_COMMITS);
        let mut past = Vec::new();
        loop {
            let answer = client.get(&format!("/_cosette/changes?after={after}{filter}")).await?;
            let found = list(&answer, "changes");
            after = number(&answer, "next").max(after);
            let is_past = !found.is_empty() && after < head;
            past.extend(found);
            // Who writes all the time would keep this from ever ending.
            if !is_past {
                break;
            }
        }
        show(&past[past.len().saturating_sub(self.limit)..])?;
        if !self.follow {
            return Ok(());
        }
        loop {
            let path = format!(
                "/_cosette/changes?after={after}&ended_after={ended_after}&wait_ms={WAIT_MS}{filter}"
            );
            let answer = client.get(&path).await?;
            (after, ended_after) = (number(&answer, "next").max(after), number(&answer, "ended_next"));
            show(&list(&answer, "changes"))?;
            show(&list(&answer, "ended"))?;
        }
    }
}

/// A change or a delivery in one line.
pub(crate) fn text(row: &Value) -> String {
    let word = |name: &str| row[name].as_str().unwrap_or_default();
    if row.get("state").is_none() {
        let by = match row["invocation"].as_str() {
            Some(invocation) => format!("invocation {invocation}"),
            None => format!("request {}", word("requestId")),
        };
        return format!("{} {} {}/{} by {by}", word("time"), word("kind"), word("bucket"), word("key"));
    }
    let target = row["function"]["name"]
        .as_str()
        .map_or_else(|| row["target"].to_string(), |name| format!("function {name}"));
    let source = &row["source"];
    let of = match source["key"].as_str() {
        Some(key) => format!(" of {}/{key}", source["bucket"].as_str().unwrap_or_default()),
        None => row["timer"].as_str().map(|timer| format!(" of timer {timer}")).unwrap_or_default(),
    };
    let last = row["attempts"].as_array().and_then(|attempts| attempts.last());
    let time = last.map_or(word("created"), |last| last["ended"].as_str().unwrap_or_default());
    let why = row["detail"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{time} delivery {}{of} to {target} {}{why}", word("id"), word("state"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_what_happened() {
        let mut change = json!({"time": "T", "kind": "cos:ObjectCreated:Put", "bucket": "b", "key": "k",
                                "requestId": "r", "invocation": null});
        assert_eq!(text(&change), "T cos:ObjectCreated:Put b/k by request r");
        change["invocation"] = json!("i");
        assert_eq!(text(&change), "T cos:ObjectCreated:Put b/k by invocation i");
        let ended = json!({"id": "i", "state": "dead", "detail": "430", "created": "C",
                           "function": {"name": "f"}, "source": {"bucket": "b", "key": "k"},
                           "attempts": [{"ended": "E"}]});
        assert_eq!(text(&ended), "E delivery i of b/k to function f dead: 430");
    }
}
