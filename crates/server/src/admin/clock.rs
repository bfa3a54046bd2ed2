//! The server's clock: what time it is, and moving it.

use std::time::Duration;

use cosette_model::{Timestamp, duration};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, Refused, WAIT_MS_MAX, asked, half_a_minute};

impl Admin {
    pub(super) fn clock(&self) -> Value {
        let clock = &self.traveller.clock;
        let times = clock.times();
        json!({
            "now": times.now.iso_millis(),
            "machine": times.machine.iso_millis(),
            "frozen": clock.is_frozen(),
        })
    }

    pub(super) async fn move_clock(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Move {
            advance: Option<String>,
            set: Option<String>,
            freeze: Option<bool>,
            #[serde(default = "half_a_minute")]
            timeout_ms: u64,
        }
        let asked: Move = asked(body).await?;
        let clock = &self.traveller.clock;
        // One after the other: how far an advance goes counts from where the clock is when its turn comes.
        let turn = self.traveller.turn().await;
        let to = match (&asked.advance, &asked.set) {
            (Some(by), None) => Some(clock.now().plus(duration::parse(by).map_err(Refused::bad)?)),
            (None, Some(to)) => {
                let wrong = || Refused::bad(format!("{to} is not a time such as 2030-01-01T00:00:00Z"));
                let to = Timestamp::parse_rfc3339(to).ok_or_else(wrong)?;
                if to < clock.now() {
                    return Err(Refused::bad("the clock does not go back"));
                }
                Some(to)
            }
            (None, None) if asked.freeze.is_some() => None,
            _ => return Err(Refused::bad("advance or set, or freeze alone")),
        };
        if to.is_some_and(|to| to > Timestamp::END) {
            return Err(Refused::bad("the clock ends with the year 9999"));
        }
        if let Some(freeze) = asked.freeze {
            clock.freeze(freeze);
        }
        let patience = Duration::from_millis(asked.timeout_ms.min(WAIT_MS_MAX));
        let to = to.unwrap_or_else(|| clock.now());
        // To its end, even if nobody waits for the answer any more.
        let traveller = self.traveller.clone();
        let journey = tokio::spawn(async move {
            let _turn = turn;
            traveller.go(to, patience).await
        });
        let settled = journey.await.map_err(Refused::internal)?;
        let mut answer = self.clock();
        answer["settled"] = json!(settled);
        Ok(answer)
    }
}
