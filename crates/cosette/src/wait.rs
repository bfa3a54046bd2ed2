//! `cosette wait`: until everything that happened has been reacted to.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use cosette_model::duration;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::remote::Remote;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette wait                            until every event has been delivered
  cosette wait --request-id NjU1OGRmMTc=  only what one request caused, and print what that was

The request id is what a PUT answered in x-cos-request-id or x-amz-request-id. The exit status is
1 when the time is over first; what is pending is then printed.")]
pub(crate) struct Wait {
    /// The longest to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,

    /// Wait only for what this request caused
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,

    /// Print the server's answer, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl Wait {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut ask = json!({"timeout_ms": u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)});
        if let Some(id) = &self.request_id {
            ask["request_id"] = json!(id);
        }
        let answer = self.remote.client().post("/_cosette/wait", &ask).await?;
        let pending = answer["pending"].as_array().map_or(&[][..], Vec::as_slice);
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{answer}")?;
        } else {
            for row in ["changes", "deliveries"].iter().filter_map(|name| answer[name].as_array()).flatten() {
                writeln!(out, "{}", crate::events::text(row))?;
            }
            for id in pending.iter().filter_map(Value::as_str) {
                writeln!(out, "{id}")?;
            }
        }
        out.flush()?;
        if answer["quiet"] == json!(true) {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "not quiet after {:?}: {} invocations pending, changes up to {} of {} looked at",
            self.timeout,
            pending.len(),
            answer["cursor"],
            answer["head"]
        )))
    }
}
