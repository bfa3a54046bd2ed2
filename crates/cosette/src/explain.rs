//! `cosette explain`: what happened to an object, and what came of it or did not.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::remote::Remote;
use crate::rows::quoted;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette explain photos-1250000000/in/a.jpg            every change of the object and what came of it
  cosette explain photos-1250000000/in/a.jpg --max 1    only the latest change

Below each change stand the bucket's rules, with the reason why each did or did not match; below
a rule its delivery, with each attempt and its log; below these what the function wrote.")]
pub(crate) struct Explain {
    /// The bucket's name, a slash, and the object's key
    #[arg(value_name = "BUCKET/KEY")]
    object: String,

    /// Only the changes of this version
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    /// How many changes to explain at most, the latest ones
    #[arg(long, value_name = "N", default_value_t = 100)]
    max: usize,

    /// Print the server's answer, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl Explain {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (bucket, key) = match self.object.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => (bucket, key),
            _ => return Err(Failure::Usage(format!("{} is not BUCKET/KEY", self.object))),
        };
        let mut path =
            format!("/_cosette/explain?bucket={}&key={}&max={}", quoted(bucket), quoted(key), self.max);
        if let Some(version) = &self.version_id {
            path.push_str(&format!("&version_id={}", quoted(version)));
        }
        let answer = self.remote.client().get(&path).await?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{answer}")?;
            return Ok(out.flush()?);
        }
        let entries = answer["timeline"].as_array().map_or(&[][..], Vec::as_slice);
        if entries.is_empty() {
            writeln!(out, "no change of {} is known", self.object)?;
        }
        for entry in entries {
            writeln!(out, "{}", text(entry))?;
        }
        if answer["truncated"] == json!(true) {
            writeln!(out, "there is more than is shown here")?;
        }
        Ok(out.flush()?)
    }
}

/// Its time, and below what it stands; a log follows line by line.
fn text(entry: &Value) -> String {
    let depth = entry["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or_default();
    let indent = "  ".repeat(depth);
    let time = entry["time"].as_str().unwrap_or_default();
    let mut text = format!("{time:24}  {indent}{}", entry["text"].as_str().unwrap_or_default());
    for line in entry["log"].as_str().unwrap_or_default().lines() {
        text.push_str(&format!("\n{:24}  {indent}  | {line}", ""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_below_what_they_came_of() {
        let change = json!({"depth": 0, "time": "2024-05-06T07:08:09.000Z", "text": "put"});
        assert_eq!(text(&change), "2024-05-06T07:08:09.000Z  put");
        let attempt = json!({"depth": 2, "time": null, "text": "attempt", "log": "a\nb"});
        let gap = " ".repeat(26);
        assert_eq!(text(&attempt), format!("{gap}    attempt\n{gap}      | a\n{gap}      | b"));
    }
}
