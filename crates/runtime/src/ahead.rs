//! Instances that are started ahead of any event and never grow too old.

use cosette_model::Chain;
use tokio::sync::watch;
use uuid::Uuid;

use crate::instance::Fate;
use crate::{Runtime, Spec};

impl Runtime {
    /// From now on so many instances of `id` are kept however long they wait. Starting them is a matter of
    /// [`start_ahead`](Self::start_ahead); what is more than so many ends.
    pub fn keep(&self, id: &str, number: usize) {
        self.shared.pool.keep(id, number);
    }

    /// How many instances of `id` there are, those that are being started among them, and how many of them are ready
    /// or run.
    pub fn instances(&self, id: &str) -> (usize, usize) {
        self.shared.pool.count(id)
    }

    /// Told when of an id there have come to be fewer than are kept.
    pub fn losses(&self) -> watch::Receiver<()> {
        self.shared.pool.losses()
    }

    /// Starts one more instance, to wait for its first event; `false` if as many are there as are kept. What it prints
    /// meanwhile is in the log of its first run.
    ///
    /// # Errors
    /// What the first run would have failed with, in words.
    pub async fn start_ahead(&self, spec: &Spec) -> Result<bool, String> {
        let Some(lease) = self.shared.pool.lease_ahead(&spec.id) else { return Ok(false) };
        let id = Uuid::new_v4().to_string();
        let begun = self.begin(None, spec, &id, &Chain::default()).await;
        let (mut instance, started) = begun.map_err(|failed| failed.failure.text)?;
        if let Some(started) = started {
            instance.early = started.output;
        }
        lease.give_back(instance, Fate::Keep).await;
        Ok(true)
    }
}
