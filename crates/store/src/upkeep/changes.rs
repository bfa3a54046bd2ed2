//! The change log's retention: by size and by age, and never past a cursor that has yet to read.

use std::ops::{Bound, ControlFlow};

use cosette_kv::Range;
use cosette_model::{Change, Seq};

use super::{ROWS_PER_COMMIT, Upkeep};
use crate::Table;
use crate::error::Result;
use crate::record::decode;
use crate::schema::{self, Kind};

impl Upkeep {
    /// How much the changes take that an earlier process has left.
    pub(super) fn count_changes(&mut self) -> Result<()> {
        let mut bytes = 0;
        self.engine.scan(&Range::prefix(&schema::key(Kind::Change, &[])), &mut |key, value| {
            bytes += (key.len() + value.len()) as u64;
            ControlFlow::Continue(())
        })?;
        // Of this process's own, those that were there already are in the list as well.
        self.chores.list().changes_bytes = 0;
        self.changes_bytes = bytes;
        Ok(())
    }

    /// Forgets changes, the oldest first, while there are too many bytes of them or they are too
    /// old, up to the least cursor.
    pub(super) fn forget_changes(&mut self) -> Result<()> {
        self.changes_bytes += std::mem::take(&mut self.chores.list().changes_bytes);
        let least = self.least_cursor()?;
        let oldest_kept = self.clock.now().minus(self.settings.changes_age);
        let all = Range::prefix(&schema::key(Kind::Change, &[]));
        let read = Range { to: Bound::Excluded(schema::change(Seq(least))), ..all };
        loop {
            let mut over = self.changes_bytes.saturating_sub(self.settings.changes_bytes);
            let mut old = Vec::new();
            let mut freed = 0;
            let mut failed = None;
            self.engine.scan(&read, &mut |key, value| {
                let bytes = (key.len() + value.len()) as u64;
                if over == 0 {
                    match decode::<Change>("change", value) {
                        Ok(change) if change.time < oldest_kept => {}
                        Ok(_) => return ControlFlow::Break(()),
                        Err(error) => {
                            failed = Some(error);
                            return ControlFlow::Break(());
                        }
                    }
                }
                over = over.saturating_sub(bytes);
                freed += bytes;
                old.push(key.to_vec());
                if old.len() < ROWS_PER_COMMIT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if old.is_empty() {
                return Ok(());
            }
            self.changes_bytes = self.changes_bytes.saturating_sub(freed);
            self.commit(move |tx| {
                old.into_iter().for_each(|key| tx.remove(key));
                Ok(())
            })?;
        }
    }

    /// The least sequence number that a cursor stands at. A row that is not one holds back all.
    fn least_cursor(&self) -> Result<u64> {
        let mut least = u64::MAX;
        self.engine.scan(&Range::prefix(&schema::table(Table::Cursor, &[])), &mut |_, value| {
            least = least.min(<[u8; 8]>::try_from(value).map_or(0, u64::from_be_bytes));
            ControlFlow::Continue(())
        })?;
        Ok(least)
    }
}
