//! The engine's own measures, in one place so that tests can make them small.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bodies up to this many bytes lie in the journal; larger ones have a file. A file of its own
    /// costs a body about a millisecond of syncs, a journal body is copied once more instead.
    pub(crate) small_max: usize,
    /// A segment with this many bytes is followed by a new one.
    pub(crate) segment_max: u64,
    pub(crate) group_commits_max: usize,
    pub(crate) group_bytes_max: usize,
    /// The index is made durable when it has been behind the journal for so long ...
    pub(crate) checkpoint_after: Duration,
    /// ... or by so many bytes, which bounds what a start has to replay.
    pub(crate) checkpoint_bytes: u64,
    /// A file that nothing refers to stays so long, for readers that have just looked up its record.
    pub(crate) garbage_grace: Duration,
    /// Segments are kept, needed or not, while the journal is smaller than this: while it is whole,
    /// a lost index can be rebuilt from it.
    pub(crate) journal_kept: u64,
    /// Changes with the last so many sequence numbers are kept, and all that a cursor has not passed.
    pub(crate) changes_kept: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            small_max: 32 << 10,
            segment_max: 64 << 20,
            group_commits_max: 512,
            group_bytes_max: 8 << 20,
            checkpoint_after: Duration::from_secs(5),
            checkpoint_bytes: 64 << 20,
            garbage_grace: Duration::from_secs(10),
            journal_kept: 512 << 20,
            changes_kept: 1_000_000,
        }
    }
}
