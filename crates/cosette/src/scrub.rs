//! `cosette scrub`: whether all that a running server stores can be read back.

use clap::Args;
use serde_json::{Value, json};

use crate::check::{Bar, show};
use crate::exit::Failure;
use crate::remote::Remote;

/// The longest to wait for one answer, so that the bar moves, or while there is none.
const LOOK_EVERY_MS: u64 = 200;
const WAIT_MS: u64 = 60_000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette scrub                     read every body, and name each object with a damaged one
  cosette scrub --json | jq .       the report as the admin API has it

The server goes on serving, and scrubs on when this is interrupted; the next joins what is under
way. The exit status is 5 when there is damage.")]
pub(crate) struct Scrub {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl Scrub {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client();
        let mut bar = Bar::new();
        let wait_ms = if bar.is_shown() { LOOK_EVERY_MS } else { WAIT_MS };
        let mut ask = json!({"wait_ms": wait_ms});
        let report = loop {
            let mut answer = client.post("/_cosette/scrub", &ask).await?;
            if answer["running"] != json!(true) {
                break answer["report"].take();
            }
            let number = |name: &str| answer[name].as_u64().unwrap_or_default();
            bar.at(number("done_bytes"), number("total_bytes"));
            ask["start"] = json!(false);
        };
        drop(bar);
        match report {
            Value::Null => Err(Failure::Failed("the server is stopping".into())),
            report => show(&report, self.json),
        }
    }
}
