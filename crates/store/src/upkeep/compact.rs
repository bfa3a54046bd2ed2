//! Compaction: when too much of the journal is dead, the small bodies that live in the worst
//! segments are written anew at its end, and the segments go.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use cosette_blob::crc64;
use cosette_kv::Range;

use super::Upkeep;
use crate::error::{Error, Result};
use crate::holder::{Holder, each_home};
use crate::journal::Segments;
use crate::open::applied;
use crate::record::{Small, decode};
use crate::schema;

/// What a small body takes in the journal besides its bytes, about: rows that are written again
/// when it is moved.
const ROWS_BYTES: u64 = 600;
/// A segment of which a larger share lives is not worth moving, in percent.
const LIVE_MAX: u64 = 80;
/// Bytes moved by one commit, so that nobody waits long behind it.
const MOVED_PER_COMMIT: u64 = 1 << 20;

impl Upkeep {
    /// Moves bodies out of segments, the deadest first, until the journal's waste is bounded.
    pub(super) fn compact(&mut self, busy: bool) -> Result<()> {
        let percent = if busy { self.settings.waste_percent_busy } else { self.settings.waste_percent };
        let mut tried = HashSet::new();
        while let Some(segment) = self.worst_segment(&tried, percent)? {
            tried.insert(segment);
            if self.chores.is_stopping() || !self.empty_segment(segment)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The segment with the greatest share of waste, if there is too much in all.
    fn worst_segment(&self, tried: &HashSet<u64>, percent: u64) -> Result<Option<u64>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let Some(at) = applied(&*self.engine)? else { return Ok(None) };
        let (mut live, mut waste) = (0, 0);
        let mut worst: Option<(u64, u64)> = None;
        for (number, bytes) in kept.segments.list()? {
            // The end of the journal is still growing, and a start needs what is not snapshot yet.
            if number >= at.position.segment {
                continue;
            }
            let lives = self.live(number)?;
            let weight = lives.bytes + lives.refs * ROWS_BYTES;
            live += weight;
            if number >= kept.needed_from || lives.refs == 0 {
                continue;
            }
            waste += bytes.saturating_sub(weight);
            let share = weight * 100 / bytes.max(1);
            if share <= LIVE_MAX && !tried.contains(&number) && worst.is_none_or(|(least, _)| share < least) {
                worst = Some((share, number));
            }
        }
        let allowed = self.settings.waste_min.max(live / 100 * percent);
        Ok(worst.filter(|_| waste > allowed).map(|(_, number)| number))
    }

    /// Moves what lives in a segment to the journal's end; false if it was told to stop.
    fn empty_segment(&self, segment: u64) -> Result<bool> {
        let Some(kept) = &self.kept else { return Ok(false) };
        let file = kept.segments.file(segment)?;
        let mut moved = 0u64;
        for batch in batches(self.small_bodies(&kept.segments, segment)?) {
            if self.chores.is_stopping() {
                return Ok(false);
            }
            let mut read = Vec::with_capacity(batch.len());
            for (offset, body) in batch {
                let mut bytes = vec![0; body.len as usize];
                file.read_exact_at(&mut bytes, offset)?;
                if crc64(&bytes) != body.crc64 {
                    // It stays where it is, for a scrub to name and its owner to write anew.
                    tracing::error!(segment, offset, "a small body is damaged and is not moved");
                    continue;
                }
                read.push((offset, Bytes::from(bytes), body.home));
            }
            moved += read.len() as u64;
            self.commit(move |tx| {
                for (offset, bytes, home) in read {
                    tx.move_small((segment, offset), &bytes, home.as_ref())?;
                }
                Ok(())
            })?;
        }
        tracing::debug!(segment, moved, "moved the small bodies of a segment");
        Ok(true)
    }

    /// The bodies that live in a segment, by offset.
    fn small_bodies(&self, segments: &Segments, segment: u64) -> Result<BTreeMap<u64, SmallBody>> {
        let mut found = BTreeMap::new();
        each_home(segments, segment, &mut |holder, piece, offset| {
            let now = holder.find(|row| Ok(self.engine.get(row)?))?;
            if now.is_some_and(|(_, now)| now.pieces().iter().any(|now| now.place == piece.place)) {
                let body = SmallBody { len: piece.stored(), crc64: piece.crc64, home: Some(holder.clone()) };
                found.insert(offset, body);
            }
            Ok(())
        })?;
        let mut listed = Vec::new();
        let of_segment = schema::key(schema::Kind::Small, &[&segment.to_be_bytes()]);
        self.engine.scan(&Range::prefix(&of_segment), &mut |key, value| {
            let offset = schema::number8(key, 9).ok_or_else(|| Error::corrupt("a small body's key"));
            listed.push(offset.and_then(|offset| Ok((offset, decode::<Small>("a small body", value)?))));
            ControlFlow::Continue(())
        })?;
        for row in listed {
            let (offset, Small { len, crc64, .. }) = row?;
            found.entry(offset).or_insert(SmallBody { len, crc64, home: None });
        }
        Ok(found)
    }
}

/// A body in a segment.
struct SmallBody {
    /// Bytes.
    len: u64,
    crc64: u64,
    /// Who refers to it without being listed.
    home: Option<Holder>,
}

/// Cuts the list where a commit would become long.
fn batches(bodies: BTreeMap<u64, SmallBody>) -> Vec<Vec<(u64, SmallBody)>> {
    let mut batches: Vec<Vec<(u64, SmallBody)>> = Vec::new();
    let mut room = 0;
    for (offset, body) in bodies {
        let takes = body.len + ROWS_BYTES;
        match batches.last_mut() {
            Some(last) if room >= takes => {
                last.push((offset, body));
                room -= takes;
            }
            _ => {
                batches.push(vec![(offset, body)]);
                room = MOVED_PER_COMMIT.saturating_sub(takes);
            }
        }
    }
    batches
}
