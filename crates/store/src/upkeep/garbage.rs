//! Bodies and manifests that nothing refers to any more, and files that never were referred to.

use std::ops::ControlFlow;
use std::time::Instant;

use cosette_blob::Removal;
use cosette_kv::Range;
use cosette_model::Seq;

use super::{Garbage, ROWS_PER_COMMIT, Upkeep};
use crate::error::{Error, Result};
use crate::schema::{self, Kind};
use crate::tx::Freed;

impl Upkeep {
    /// What the process before this one could not finish.
    pub(super) fn resume_garbage(&self) -> Result<()> {
        let mut freed: Vec<Result<Freed>> = Vec::new();
        self.engine.scan(&Range::prefix(&schema::key(Kind::Garbage, &[])), &mut |key, _| {
            freed.push(schema::body_of(key).map(Freed::Body));
            ControlFlow::Continue(())
        })?;
        self.engine.scan(&Range::prefix(&schema::key(Kind::Discarded, &[])), &mut |key, _| {
            let id = schema::number8(key, 1).ok_or_else(|| Error::corrupt("a manifest's key"));
            freed.push(id.map(Freed::Manifest));
            ControlFlow::Continue(())
        })?;
        let freed: Vec<Freed> = freed.into_iter().collect::<Result<_>>()?;
        // What was in the index at the start has been made durable by it.
        let (since, seq) = (Instant::now(), Seq(0));
        let garbage = freed.into_iter().map(|what| Garbage { since, seq, what });
        self.chores.list().garbage.extend(garbage);
        for epoch in self.bodies.epochs()?.into_iter().filter(|epoch| *epoch < self.bodies.epoch()) {
            if self.engine.get(&schema::swept(epoch))?.is_none() {
                self.sweep(epoch)?;
            }
            self.bodies.remove_empty(epoch);
        }
        Ok(())
    }

    /// Removes the bodies of an earlier epoch that no record ever referred to. Nothing can come to
    /// refer to them any more, so looking is enough.
    fn sweep(&self, epoch: u32) -> Result<()> {
        let mut strays = Vec::new();
        for id in self.bodies.of_epoch(epoch)? {
            if self.engine.get(&schema::body(Kind::Body, id))?.is_none()
                && self.engine.get(&schema::body(Kind::Garbage, id))?.is_none()
            {
                self.bodies.remove(id)?;
                strays.push(id);
            }
        }
        if !strays.is_empty() {
            self.bodies.sync_removals(&strays)?;
            tracing::info!(epoch, strays = strays.len(), "removed bodies that were never committed");
        }
        self.commit(move |tx| {
            tx.mark(schema::swept(epoch));
            Ok(())
        })
    }

    /// Removes what was freed; bodies that are being read are tried again later.
    pub(super) fn remove_garbage(&self, garbage: Vec<Garbage>) -> Result<()> {
        let mut removed = Vec::with_capacity(garbage.len());
        for one in garbage {
            let id = match one.what {
                Freed::Body(id) => id,
                Freed::Manifest(id) => {
                    self.commit(move |tx| tx.discard(id))?;
                    continue;
                }
            };
            match self.bodies.remove(id) {
                Ok(Removal::Done) => removed.push(id),
                Ok(Removal::InUse) => {
                    self.chores.list().garbage.push_back(Garbage { since: Instant::now(), ..one });
                }
                // Its row stays, so the next start tries again.
                Err(error) => tracing::warn!(?id, %error, "body not removed"),
            }
        }
        self.bodies.sync_removals(&removed)?;
        for ids in removed.chunks(ROWS_PER_COMMIT) {
            let ids = ids.to_vec();
            self.commit(move |tx| {
                ids.iter().for_each(|id| tx.remove(schema::body(Kind::Garbage, *id)));
                Ok(())
            })?;
        }
        Ok(())
    }
}
