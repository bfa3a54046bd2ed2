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
    /// A snapshot of the index is taken when the journal since the last one has so many bytes, and
    /// four times those of the snapshot. Until then its segments stay, for a start that needs them.
    pub(crate) snapshot_after: u64,
    /// So many bytes of the journal may be dead ...
    pub(crate) waste_min: u64,
    /// ... or so much of what lives in it, in percent, before small bodies are moved together.
    pub(crate) waste_percent: u64,
    /// The same while much is written: the closer the bound, the more is moved for each byte that
    /// comes in.
    pub(crate) waste_percent_busy: u64,
    /// Bytes of the disk that bodies leave free.
    pub(crate) reserve: u64,
    /// Changes are kept up to so many bytes ...
    pub(crate) changes_bytes: u64,
    /// ... and so long; and all that a cursor has not passed.
    pub(crate) changes_age: Duration,
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
            snapshot_after: 64 << 20,
            waste_min: 32 << 20,
            waste_percent: 20,
            waste_percent_busy: 60,
            reserve: 64 << 20,
            changes_bytes: 16 << 20,
            changes_age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
