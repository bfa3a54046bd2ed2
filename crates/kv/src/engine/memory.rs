//! A sorted map behind a lock: the engine of memory mode and of tests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{PoisonError, RwLock};

use crate::{Batch, Engine, Range, Result, Visit};

#[derive(Debug, Default)]
pub struct Memory {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Engine for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.rows.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.walk(range, visit, false)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.walk(range, visit, true)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.rows {
            match value {
                Some(value) => {
                    rows.insert(key, value);
                }
                None => {
                    rows.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn tidy(&self, _: &dyn Fn() -> bool) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Memory {
    fn walk(&self, range: &Range, visit: &mut Visit<'_>, back: bool) -> Result<()> {
        // The map's own range panics on an empty one.
        if range.is_empty() {
            return Ok(());
        }
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = rows.range::<[u8], _>(range.bounds());
        while let Some((key, value)) = if back { found.next_back() } else { found.next() } {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}
