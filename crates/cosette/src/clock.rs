//! `cosette clock`: what time it is for the server, and making it later.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use cosette_model::duration;
use serde_json::json;

use crate::exit::Failure;
use crate::remote::Remote;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette clock                               what time it is for the server
  cosette clock --advance 3h                  three hours later: all that came due has been done
  cosette clock --set 2030-01-01T00:00:00Z
  cosette clock --freeze                      time stands still until it is moved

The clock goes forward only, and is the machine's again after a restart. Signatures count by the
machine's clock. The exit status is 1 when what came due was not done in time.")]
pub(crate) struct ClockCommand {
    /// Move forward by so much
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "set")]
    advance: Option<Duration>,

    /// Move forward to a point in time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    set: Option<String>,

    /// Let time stand still
    #[arg(long, conflicts_with = "unfreeze")]
    freeze: bool,

    /// Let time go on
    #[arg(long)]
    unfreeze: bool,

    /// The longest to wait for what comes due
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,

    /// Print the server's answer, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl ClockCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut ask = json!({});
        if let Some(by) = self.advance {
            ask["advance"] = json!(format!("{}ms", by.as_millis()));
        }
        if let Some(to) = &self.set {
            ask["set"] = json!(to);
        }
        if self.freeze || self.unfreeze {
            ask["freeze"] = json!(self.freeze);
        }
        let moves = ask != json!({});
        let client = self.remote.client();
        let answer = if moves {
            ask["timeout_ms"] = json!(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX));
            client.post("/_cosette/clock", &ask).await?
        } else {
            client.get("/_cosette/clock").await?
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{answer}")?;
        } else {
            let frozen = if answer["frozen"] == json!(true) { " (frozen)" } else { "" };
            writeln!(out, "{}{frozen}", answer["now"].as_str().unwrap_or_default())?;
        }
        out.flush()?;
        if moves && answer["settled"] != json!(true) {
            return Err(Failure::Failed(format!("what came due was not done after {:?}", self.timeout)));
        }
        Ok(())
    }
}
