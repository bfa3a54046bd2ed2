//! `cosette function debug`: lets a function wait for a debugger.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::remote::Scope;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette function debug thumb             then invoke it, and attach to the port that is shown
  cosette function debug thumb --port 4000
  cosette function debug thumb --stop

The next run waits for the debugger before it loads the code: debugpy (pip install debugpy) for Python, the
inspector for Node.js, JDWP for Java. There is one instance, one event at a time, and no limit of time and
memory, until it is stopped or the server ends.")]
pub(crate) struct Debug {
    /// The function's name
    name: String,

    /// Where the debugger waits, on loopback [default: 5678 for Python, 9229 for Node.js, 5005 for Java]
    #[arg(long, conflicts_with = "stop", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Let it run as ever
    #[arg(long)]
    stop: bool,

    /// Print the server's answer, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

impl Debug {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let ask = json!({
            "function": self.name, "namespace": client.namespace, "region": client.region,
            "account": client.account, "port": self.port, "stop": self.stop,
        });
        let answer = client.post("/_cosette/debug", &ask).await?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{answer}")?;
        } else if self.stop {
            writeln!(out, "{} runs without a debugger", self.name)?;
        } else {
            let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "{} ({}) waits for a debugger in its next run:", self.name, text("runtime"))?;
            writeln!(out, "  address      127.0.0.1:{}", answer["port"])?;
            writeln!(out, "  remote root  {}", text("root"))?;
        }
        Ok(out.flush()?)
    }
}
