//! What a script is made of, how scripts are drawn, and what their numbers mean.
//!
//! Everything is named by a small number, so that shrinking is quick: a bucket, a key, a text by its
//! place in the lists below, a version or an upload by its place among those that were ever seen,
//! modulo their count. An operation's debug text is how it is written in a script.

use std::time::Duration;

use cosette_model::RestoreTier;
use cosette_model::op::Listing;
use proptest::prelude::*;

use super::model::{Place, When};
use super::sealed::Way;
use crate::tests::{bytes, listing};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(u8),
    Remove(u8),
    Versioning(u8, bool),
    Put(At, Body, When, Way),
    /// With the right position (0), with one that is off, or with bytes that are encrypted under a key
    /// of their own (2). The way counts for an object that this makes.
    Append(At, Body, u8, Way),
    Copy {
        from: At,
        version: Option<u8>,
        to: At,
        when: When,
        way: Way,
    },
    Delete(At, Option<u8>, When),
    Begin(At, Way),
    Part(u8, u8, Body),
    /// The parts whose bits are set.
    Complete(u8, u8, When),
    Abort(u8),
    Tag(At, Option<u8>, u8),
    Hold(At, Option<u8>, bool),
    /// A lifecycle rule ends the version at this place among the key's, or moves it.
    Age(At, u8, bool),
    /// Asks for a restore, of a tier.
    Restore(At, Option<u8>, u8),
    /// Tells of the next restore that is finished.
    Finish,
    Set(u8, u8, Option<u8>),
    Keep(Body),
    Release(u8),
    /// Writes or removes a row of a subsystem.
    Report(u8, Option<u8>),
    ListObjects(u8, Pages),
    ListVersions(u8, Pages, Option<u8>),
    ListUploads(u8, Pages, Option<u8>),
    /// From one share of the length to another, in 16ths.
    Read(At, Option<u8>, (u8, u8)),
    /// Moves the clock, by so many microseconds.
    Later(u8),
    /// The same, until restores are finished.
    MuchLater(u8),
    Restart,
    Crash,
    /// Until nothing waits to be removed.
    Rest,
}

/// Bucket and key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) u8, pub(crate) u8);

/// Length and seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body(pub(crate) u8, pub(crate) u8);

/// Prefix, delimiter, where to begin and entries per page: a listing page by page to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages(pub(crate) u8, pub(crate) u8, pub(crate) u8, pub(crate) u8);

pub(super) const SETTINGS: &[&str] = &["cors", "policy"];
const BUCKETS: &[&str] = &["one", "two"];
const KEYS: &[&str] = &["a", "a/", "a/b", "a\0", "b", "ü/ü"];
const PREFIXES: &[&str] = &["", "a", "a/", "ü", "x"];
const DELIMITERS: &[&str] = &["", "/", "b"];
const AFTERS: &[&str] = &["", "a", "a/", "a/b", "a\0", "b", "zz"];
/// Seconds; the tiers take a minute, three hours and five.
const WAITS: &[u64] = &[40, 70, 2 * 3600, 4 * 3600];
const LENS: &[usize] = &[0, 1, 10, 300, 1_500, 5_000, 40_000];

fn pick(of: &[&'static str], number: u8) -> &'static str {
    of[number as usize % of.len()]
}

pub(super) fn bucket(number: u8) -> &'static str {
    pick(BUCKETS, number)
}

pub(super) fn setting(number: u8) -> &'static str {
    pick(SETTINGS, number)
}

pub(super) fn wait(number: u8) -> Duration {
    Duration::from_secs(WAITS[number as usize % WAITS.len()])
}

pub(super) fn tier(number: u8) -> RestoreTier {
    [RestoreTier::Expedited, RestoreTier::Standard, RestoreTier::Bulk][number as usize % 3]
}

impl At {
    pub(super) fn place(self) -> Place {
        (bucket(self.0), pick(KEYS, self.1))
    }
}

impl Body {
    pub(super) fn bytes(self) -> Vec<u8> {
        bytes(LENS[self.0 as usize % LENS.len()], u64::from(self.1) + 1)
    }
}

impl Pages {
    pub(super) fn listing(self) -> Listing {
        let (prefix, delimiter) = (pick(PREFIXES, self.0), pick(DELIMITERS, self.1));
        listing(prefix, delimiter, pick(AFTERS, self.2), self.3.into())
    }

    /// The key that the listing begins after, if it is one.
    pub(super) fn begins_after(self) -> Option<&'static str> {
        KEYS.iter().copied().find(|key| *key == pick(AFTERS, self.2))
    }
}

/// Any operation.
pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let at = || (0..4u8, 0..KEYS.len() as u8).prop_map(|(bucket, key)| At(bucket / 3, key));
    let body =
        || (prop_oneof![8 => 0..5u8, 1 => 5..6u8, 1 => 6..7u8], 0..200u8).prop_map(|(l, s)| Body(l, s));
    let version = || prop_oneof![1 => Just(None), 2 => (0..12u8).prop_map(Some)];
    let when = || {
        prop_oneof![
            10 => Just(When::Always),
            1 => Just(When::Absent),
            1 => Just(When::Present),
            1 => any::<bool>().prop_map(When::Matches),
            1 => Just(When::Differs),
            1 => Just(When::Forbid),
        ]
    };
    let way = || prop_oneof![2 => Just(Way(0)), 3 => (0..Way::COUNT).prop_map(Way)];
    let pages = || {
        let texts = (0..PREFIXES.len() as u8, 0..DELIMITERS.len() as u8);
        (texts, prop_oneof![1 => Just(0), 1 => 0..AFTERS.len() as u8], 0..5u8)
            .prop_map(|((prefix, delimiter), after, max)| Pages(prefix, delimiter, after, max))
    };
    let bucket = || prop_oneof![3 => Just(0u8), 1 => Just(1u8)];
    prop_oneof![
        2 => bucket().prop_map(Op::Create),
        1 => bucket().prop_map(Op::Remove),
        3 => (bucket(), any::<bool>()).prop_map(|(bucket, enabled)| Op::Versioning(bucket, enabled)),
        14 => (at(), body(), when(), way()).prop_map(|(at, body, when, way)| Op::Put(at, body, when, way)),
        8 => (at(), body(), prop_oneof![9 => Just(0u8), 1 => Just(1u8), 1 => Just(2u8)], way())
            .prop_map(|(at, body, off, way)| Op::Append(at, body, off, way)),
        8 => (at(), version(), at(), when(), way())
            .prop_map(|(from, version, to, when, way)| Op::Copy { from, version, to, when, way }),
        8 => (at(), prop_oneof![Just(None), version()], when())
            .prop_map(|(at, version, when)| Op::Delete(at, version, when)),
        3 => (at(), way()).prop_map(|(at, way)| Op::Begin(at, way)),
        6 => (0..6u8, 0..6u8, body()).prop_map(|(upload, part, body)| Op::Part(upload, part, body)),
        3 => (0..6u8, any::<u8>(), when()).prop_map(|(upload, parts, when)| Op::Complete(upload, parts, when)),
        1 => (0..6u8).prop_map(Op::Abort),
        3 => (at(), version(), any::<u8>()).prop_map(|(at, version, tag)| Op::Tag(at, version, tag)),
        2 => (at(), version(), prop_oneof![Just(false), any::<bool>()])
            .prop_map(|(at, version, hold)| Op::Hold(at, version, hold)),
        4 => (at(), prop_oneof![1 => Just(0u8), 2 => any::<u8>()], prop_oneof![2 => Just(false), 1 => Just(true)])
            .prop_map(|(at, place, moves)| Op::Age(at, place, moves)),
        3 => (at(), version(), 0..3u8).prop_map(|(at, version, tier)| Op::Restore(at, version, tier)),
        2 => Just(Op::Finish),
        2 => (0..3u8, any::<Option<u8>>()).prop_map(|(row, to)| Op::Report(row, to)),
        2 => (bucket(), 0..2u8, any::<Option<u8>>()).prop_map(|(bucket, setting, to)| Op::Set(bucket, setting, to)),
        1 => body().prop_map(Op::Keep),
        1 => any::<u8>().prop_map(Op::Release),
        3 => (bucket(), pages()).prop_map(|(bucket, pages)| Op::ListObjects(bucket, pages)),
        4 => (bucket(), pages(), prop_oneof![Just(None), version()])
            .prop_map(|(bucket, pages, marker)| Op::ListVersions(bucket, pages, marker)),
        2 => (bucket(), pages(), any::<Option<u8>>())
            .prop_map(|(bucket, pages, marker)| Op::ListUploads(bucket, pages, marker)),
        6 => (at(), version(), (0..17u8, 0..17u8)).prop_map(|(at, version, range)| Op::Read(at, version, range)),
        2 => any::<u8>().prop_map(Op::Later),
        1 => any::<u8>().prop_map(Op::MuchLater),
        1 => Just(Op::Restart),
        2 => Just(Op::Crash),
        1 => Just(Op::Rest),
    ]
}
