//! Ordered keys and values: the narrow boundary behind which the index lives.
//!
//! It promises four things and no more, so that a weaker or a distributed engine can stand
//! behind it: `get`, `scan` in key order, `apply` of a batch, and `flush` (or the stronger `sync`).
//! Readers see a batch whole or not at all; a crash may leave any of it, but for marks: a mark is
//! there only with all that was applied before it.
//! Order is promised, a snapshot is not: a scan may see a batch that is applied while it runs.
//! It knows nothing of buckets, objects or records.

use std::ops::{Bound, ControlFlow};
use std::path::Path;

mod engine;
#[cfg(test)]
mod suite;

pub use engine::buffered::Buffered;
pub use engine::memory::Memory;
pub use engine::sled::Sled;

/// Why the engine could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the index cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// What is on disk is not what was written.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    #[error("{0}")]
    Engine(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Puts and deletes that become visible together. Of several entries for one key the last counts.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The last entry is a mark.
    marked: bool,
}

impl Batch {
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.rows.push((key.into(), Some(value.into())));
    }

    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.rows.push((key.into(), None));
    }

    /// The last entry: a row that a crash leaves only if it leaves all that was applied before, in
    /// this batch and in all earlier ones.
    pub fn mark(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.put(key, value);
        self.marked = true;
    }

    /// The key of the mark, if it has one.
    fn marked(&self) -> Option<&[u8]> {
        self.rows.last().filter(|_| self.marked).map(|(key, _)| key.as_slice())
    }

    /// The entries of `other` after its own.
    pub fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
    }

    /// Keys with the values they are to have; `None` for those that are to go.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl IntoIterator for Batch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

/// The keys between two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: Bound<Vec<u8>>,
    pub to: Bound<Vec<u8>>,
}

impl Range {
    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let to = successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { from: Bound::Included(prefix.to_vec()), to }
    }

    /// Only the keys greater than `key`.
    pub fn after(mut self, key: &[u8]) -> Self {
        if !self.begins_after(key) {
            self.from = Bound::Excluded(key.to_vec());
        }
        self
    }

    /// Only the keys not less than `key`.
    pub fn at_least(mut self, key: &[u8]) -> Self {
        let later = match &self.from {
            Bound::Unbounded => false,
            Bound::Included(from) | Bound::Excluded(from) => from.as_slice() >= key,
        };
        if !later {
            self.from = Bound::Included(key.to_vec());
        }
        self
    }

    /// No key can lie within.
    pub fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
                from >= to
            }
        }
    }

    fn begins_after(&self, key: &[u8]) -> bool {
        match &self.from {
            Bound::Unbounded => false,
            Bound::Included(from) => from.as_slice() > key,
            Bound::Excluded(from) => from.as_slice() >= key,
        }
    }

    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice))
    }
}

/// The least key greater than every key that begins with `prefix`; `None` if there is none.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|b| *b != u8::MAX)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

/// Called for each row of a scan; `Break` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key-value engine.
///
/// One writer at a time calls `apply`; readers may run beside it.
pub trait Engine: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Visits rows in ascending key order, seeking to the first: the cost is that of the rows
    /// visited, not of those before. `visit` must not call `apply` of the same engine.
    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()>;

    /// The same, in descending order.
    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()>;

    /// Readers see all of the batch or nothing of it. It need not be durable when this returns, and
    /// what of it a crash leaves is not said, but for marks (`Batch::mark`): while one is there, so is
    /// all that was applied before it, or what was written over that later. After an error the
    /// engine is not to be written to any more.
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Everything applied before the call outlives the process, not yet a loss of power, when
    /// this returns.
    fn flush(&self) -> Result<()>;

    /// Everything applied before the call is on disk, safe from power loss, when this returns and
    /// until the next call of `apply` or `tidy`.
    fn sync(&self) -> Result<()>;

    /// Gives back space that rows no longer there take, when that is worth it. To be called from
    /// time to time, from a thread that may be kept for long; all others go on meanwhile. `stop` is
    /// asked often, and ends it with nothing lost but its work. An error leaves the engine as it was.
    fn tidy(&self, stop: &dyn Fn() -> bool) -> Result<()>;

    /// `sync` for the last time, which also makes the next open fast. Reads may fail after it.
    fn close(&self) -> Result<()>;
}

/// Opens the engine of this build that keeps its data in `dir`, which is its own: it removes what
/// it has no use for. Nobody else may open it meanwhile.
///
/// # Errors
/// `Damaged` when what is there cannot be an index; `Io` or `Engine` for the rest.
pub fn open(dir: &Path, cache_bytes: u64) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Sled::open(dir, cache_bytes)?))
}

/// The same with what is applied gathered in memory, where readers see it at once, and brought to
/// the engine by a thread of its own.
///
/// # Errors
/// When no thread can be had.
pub fn buffered(engine: Box<dyn Engine>) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Buffered::over(engine)?))
}

/// An engine that keeps nothing beyond the process.
pub fn memory() -> Box<dyn Engine> {
    Box::new(Memory::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_skips_all_with_the_prefix() {
        assert_eq!(successor(b"a"), Some(b"b".to_vec()));
        assert_eq!(successor(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xff"), None);
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn ranges_only_narrow() {
        let range = Range::prefix(b"b").after(b"a");
        assert_eq!(range, Range::prefix(b"b"));
        assert_eq!(Range::prefix(b"b").after(b"bc").from, Bound::Excluded(b"bc".to_vec()));
        assert_eq!(Range::prefix(b"b").at_least(b"a"), Range::prefix(b"b"));
        assert!(Range::prefix(b"b").after(b"c").is_empty());
        assert!(!Range::prefix(b"").is_empty());
    }
}
