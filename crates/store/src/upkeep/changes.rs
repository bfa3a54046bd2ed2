//! The change log's retention: by size and by age, and never past a cursor that has yet to read.

use std::ops::ControlFlow;

use cosette_kv::Range;
use cosette_model::Seq;

use super::Upkeep;
use crate::Table;
use crate::error::Result;
use crate::schema;

impl Upkeep {
    pub(super) fn forget_changes(&self) -> Result<()> {
        let oldest_kept = self.clock.now().minus(self.settings.changes_age);
        self.log.forget(self.settings.changes_bytes, oldest_kept, self.least_cursor()?)
    }

    /// The least sequence number that a cursor stands at. A row that is not one holds back all.
    fn least_cursor(&self) -> Result<Seq> {
        let mut least = u64::MAX;
        self.engine.scan(&Range::prefix(&schema::table(Table::Cursor, &[])), &mut |_, value| {
            least = least.min(<[u8; 8]>::try_from(value).map_or(0, u64::from_be_bytes));
            ControlFlow::Continue(())
        })?;
        Ok(Seq(least))
    }
}
