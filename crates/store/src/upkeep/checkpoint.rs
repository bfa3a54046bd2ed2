//! Checkpoints: what may be asked of the next start is bounded, and segments that no start and no
//! reader can ask for any more are removed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosette_blob::Disk;
use cosette_model::Seq;

use super::Upkeep;
use crate::error::Result;
use crate::journal::{Durable, Segments, mark_durable};
use crate::open::applied;
use crate::record::{Applied, Live, decode};
use crate::schema;
use crate::settings::Settings;
use crate::snapshot::{self, Snapshot};

/// What of a store that is kept on disk the upkeep looks after.
pub(crate) struct OnDisk {
    pub(super) segments: Arc<Segments>,
    snapshots: PathBuf,
    disk: Disk,
    /// Whether every commit is on disk before anybody hears of it; if not, checkpoints see to it.
    sync: bool,
    durable: Arc<Durable>,
    newest: Option<Snapshot>,
    /// Segments that nothing needs, since when.
    unneeded: HashMap<u64, Instant>,
    /// When the first of them may go.
    removal: Option<Instant>,
    /// The segments from here on are needed by a start.
    pub(super) needed_from: u64,
}

impl OnDisk {
    pub(crate) fn new(
        segments: Arc<Segments>,
        snapshots: PathBuf,
        disk: Disk,
        sync: bool,
        durable: Arc<Durable>,
    ) -> Result<Self> {
        let newest = snapshot::list(&snapshots, &disk)?.into_iter().next();
        Ok(Self {
            segments,
            snapshots,
            disk,
            sync,
            newest,
            durable,
            unneeded: HashMap::new(),
            removal: None,
            needed_from: 0,
        })
    }

    pub(super) fn next_removal(&self) -> Option<Instant> {
        self.removal
    }

    /// Whether there is enough of the journal since the last snapshot to be worth the next.
    fn wants_snapshot(&self, segments: &[(u64, u64)], settings: &Settings) -> bool {
        let from = self.newest.as_ref().map_or(0, |newest| newest.applied.position.segment);
        let since: u64 = segments.iter().filter(|(number, _)| *number > from).map(|(_, bytes)| bytes).sum();
        let last = self.newest.as_ref().map_or(0, |newest| newest.bytes);
        since >= settings.snapshot_after.max(4 * last)
    }
}

impl Upkeep {
    pub(super) fn is_durable(&self, seq: Seq) -> bool {
        self.kept.as_ref().is_none_or(|kept| seq <= kept.durable.get())
    }

    /// Bounds what a start has to replay, takes a snapshot if one is due, and removes segments.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let Some(before) = applied(&*self.engine)? else { return Ok(()) };
        let segments = kept.segments.list()?;
        let dead: Vec<u64> = segments
            .iter()
            .filter(|(number, _)| *number < before.position.segment)
            .filter_map(|(number, _)| match self.engine.get(&schema::segment(*number)) {
                Ok(Some(_)) => None,
                Ok(None) => Some(Ok(*number)),
                Err(error) => Some(Err(error.into())),
            })
            .collect::<Result<_>>()?;
        // The journal first: what is dead in the index has to be so in the journal before it goes,
        // and the index must not get ahead of it.
        let sync = |at: Applied| -> Result<()> {
            if !kept.sync {
                kept.disk.sync_all(kept.segments.dir())?;
                mark_durable(kept.segments.dir(), &kept.disk, Seq(at.seq))?;
                kept.durable.raise(Seq(at.seq));
            }
            Ok(())
        };
        sync(before)?;
        // All up to here have been pushed, and are on disk before a snapshot lets the journal go.
        self.log.settle(before)?;
        self.engine.flush()?;
        if kept.wants_snapshot(&segments, &self.settings) {
            self.log.sync()?;
            let began = Instant::now();
            let stop = || self.chores.is_stopping();
            let durable = || applied(&*self.engine)?.map_or(Ok(()), sync);
            let taken = snapshot::write(&kept.snapshots, &kept.disk, &*self.engine, before, &stop, &durable)?;
            if let Some(taken) = taken {
                let millis = began.elapsed().as_millis() as u64;
                tracing::info!(seq = before.seq, bytes = taken.bytes, millis, "took a snapshot of the index");
                for older in snapshot::list(&kept.snapshots, &kept.disk)? {
                    if older != taken {
                        older.remove(&kept.disk)?;
                    }
                }
                kept.newest = Some(taken);
            }
        }
        let snapshot = kept.newest.as_ref().map_or(0, |newest| newest.applied.position.segment);
        kept.needed_from = snapshot.min(before.position.segment);
        kept.remove_segments(&dead, self.settings.garbage_grace)
    }

    /// What lives in a segment.
    pub(super) fn live(&self, segment: u64) -> Result<Live> {
        match self.engine.get(&schema::segment(segment))? {
            Some(row) => decode("segment", &row),
            None => Ok(Live::default()),
        }
    }
}

impl OnDisk {
    /// Removes those of the dead segments that no start needs, once no reader can be about to.
    fn remove_segments(&mut self, dead: &[u64], grace: Duration) -> Result<()> {
        let now = Instant::now();
        let may_go: Vec<u64> = dead.iter().copied().filter(|number| *number < self.needed_from).collect();
        self.unneeded.retain(|number, _| may_go.contains(number));
        self.removal = None;
        for number in may_go {
            let at = *self.unneeded.entry(number).or_insert(now) + grace;
            if at <= now {
                self.disk.remove(&self.segments.path(number))?;
                self.segments.close(number);
                self.unneeded.remove(&number);
                tracing::debug!(number, "removed a journal segment");
            } else {
                self.removal = Some(self.removal.map_or(at, |first| first.min(at)));
            }
        }
        Ok(())
    }
}
