//! Restores of archived objects: told of when they are finished. That the object can be read then follows from
//! the clock alone (docs/decisions/0010-archives.md).

use cosette_model::Timestamp;
use cosette_store::Store;

use crate::{Error, Job, Next, Stop};

pub(crate) struct Restores(pub(crate) Store);

impl Job for Restores {
    const NAME: &'static str = "restores";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        let mut finished = 0_u64;
        while self.0.finish_restore(now).await? {
            finished += 1;
            stop.check()?;
        }
        if finished > 0 {
            tracing::info!(finished, "restores");
        }
        // Taken before the row is looked for: what is begun later is looked at again.
        let restores = Some(self.0.last_restoring());
        Ok(Next { at: self.0.next_restored()?, restores })
    }
}
