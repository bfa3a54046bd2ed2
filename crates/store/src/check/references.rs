//! Whether the tables agree with each other: who refers to a body, how often, and whose versions
//! come in what order.

use std::collections::{HashMap, HashSet};

use cosette_blob::BodyId;
use cosette_kv::Engine;

use super::{Report, each, each_held, each_piece, hex};
use crate::error::{Error, Result};
use crate::holder::each_home;
use crate::journal::Segments;
use crate::record::{Layout, Live, Object, Owned, Piece, Place, Small, Summary, decode};
use crate::schema::{self, Kind};

/// References to small bodies.
#[derive(Default)]
struct Smalls {
    lives: HashMap<u64, Live>,
    /// How many of the references are listed.
    listed: u64,
    /// Segment and offset of those that are not.
    homes: HashSet<(u64, u64)>,
}

impl Smalls {
    /// Counts a reference; false if it is a second one to its body that is not listed.
    fn count(&mut self, piece: &Piece) -> bool {
        let Place::Journal { segment, offset, listed } = piece.place else { return true };
        let live = self.lives.entry(segment).or_default();
        live.refs += 1;
        if listed {
            self.listed += 1;
            return true;
        }
        live.bytes += piece.stored();
        self.homes.insert((segment, offset))
    }
}

/// Counts every reference by walking the records, and holds the tables of counts, and what the
/// journal says of who refers to a small body, against that.
pub(super) fn check(engine: &dyn Engine, segments: &Segments, report: &mut Report) -> Result<()> {
    let mut bodies: HashMap<BodyId, u64> = HashMap::new();
    let mut manifests: HashMap<u64, u64> = HashMap::new();
    let mut smalls = Smalls::default();
    // A list is counted where it is held; its own pieces once, however many hold it.
    let mut taken_apart: HashMap<u64, ()> = HashMap::new();
    let mut ignored = Report::default();
    each_held(engine, &mut ignored, &mut |_, held| {
        if let Layout::Manifest { id, .. } = &held.content.0 {
            *manifests.entry(*id).or_default() += 1;
            if taken_apart.insert(*id, ()).is_some() {
                return Ok(());
            }
        }
        let checked = each_piece(engine, &held.content, &held.holder, &mut |piece, holder| {
            match &piece.place {
                Place::Inline(_) => {}
                Place::Body { id, .. } => *bodies.entry(*id).or_default() += 1,
                Place::Journal { segment, offset, listed } => {
                    if !smalls.count(piece) {
                        report.find(
                            &held.name,
                            format!("its body in segment {segment} at {offset} has another"),
                        );
                    }
                    let row = schema::small(*segment, *offset, holder);
                    let small =
                        engine.get(&row)?.map(|row| decode::<Small>("a small body", &row)).transpose()?;
                    let known =
                        small.is_some_and(|small| (small.len, small.crc64) == (piece.stored(), piece.crc64));
                    if *listed && !known {
                        report.find(
                            &held.name,
                            format!("no row for its body in segment {segment} at {offset}"),
                        );
                    }
                }
            }
            Ok(())
        });
        match checked {
            Err(error @ Error::Corrupt { .. }) => report.find(held.name, error.to_string()),
            other => other?,
        }
        Ok(())
    })?;
    // What is let go of and not taken apart yet still holds its references.
    each(engine, &schema::key(Kind::Discarded, &[]), &mut |row, _| {
        let manifest = schema::number8(row, 1).ok_or_else(|| Error::corrupt("a manifest's key"))?;
        each(engine, &schema::pieces_of(manifest), &mut |_, value| {
            for piece in decode::<Vec<Piece>>("pieces", value)? {
                smalls.count(&piece);
                if let Place::Body { id, .. } = piece.place {
                    *bodies.entry(id).or_default() += 1;
                }
            }
            Ok(())
        })
    })?;
    counts(engine, report, Kind::Body, |row| schema::body_of(row).map(|id| bodies.remove(&id).unwrap_or(0)))?;
    for (id, refs) in bodies {
        report.find(format!("body {id}"), format!("{refs} refer to it, and it has no row"));
    }
    counts(engine, report, Kind::Manifest, |row| {
        let id = schema::number8(row, 1).ok_or_else(|| Error::corrupt("a manifest's key"))?;
        Ok(manifests.remove(&id).unwrap_or(0))
    })?;
    for (id, refs) in manifests {
        report.find(format!("manifest {id}"), format!("{refs} refer to it, and it has no row"));
    }
    small_bodies(engine, segments, report, smalls)?;
    versions(engine, report)
}

/// Holds each row's count against what was found.
fn counts(
    engine: &dyn Engine,
    report: &mut Report,
    kind: Kind,
    mut found: impl FnMut(&[u8]) -> Result<u64>,
) -> Result<()> {
    each(engine, &schema::key(kind, &[]), &mut |row, value| {
        let owned: Owned = decode("references", value)?;
        let found = found(row)?;
        if found != owned.refs {
            let what = format!("{kind:?} {}", hex(&row[1..]));
            report.find(what, format!("{found} refer to it, and its row says {}", owned.refs));
        }
        Ok(())
    })
}

/// What is listed is what refers; what is not listed stands in the journal beside its body; and what
/// lives in each segment is what its references add up to.
fn small_bodies(engine: &dyn Engine, segments: &Segments, report: &mut Report, found: Smalls) -> Result<()> {
    let Smalls { mut lives, listed, mut homes } = found;
    let mut rows = 0;
    each(engine, &schema::key(Kind::Small, &[]), &mut |_, value| {
        rows += decode::<Small>("a small body", value)?.refs;
        Ok(())
    })?;
    if rows != listed {
        report.find("small bodies", format!("{rows} rows for {listed} references"));
    }
    for (segment, _) in segments.list()? {
        each_home(segments, segment, &mut |_, _, offset| {
            homes.remove(&(segment, offset));
            Ok(())
        })?;
    }
    for (segment, offset) in homes {
        report.find(
            format!("segment {segment}"),
            format!("nothing beside the body at {offset} says whose it is"),
        );
    }
    each(engine, &schema::key(Kind::Segment, &[]), &mut |row, value| {
        let segment = schema::number8(row, 1).ok_or_else(|| Error::corrupt("a segment's key"))?;
        let said: Live = decode("segment", value)?;
        let found = lives.remove(&segment).unwrap_or_default();
        if said != found {
            report.find(
                format!("segment {segment}"),
                format!("{found:?} lives in it, and its row says {said:?}"),
            );
        }
        Ok(())
    })?;
    for (segment, live) in lives {
        report.find(format!("segment {segment}"), format!("{live:?} lives in it, and it has no row"));
    }
    Ok(())
}

/// A current object is newer than the other versions of its key, and pointers to null versions
/// point at them.
fn versions(engine: &dyn Engine, report: &mut Report) -> Result<()> {
    each(engine, &schema::key(Kind::Version, &[]), &mut |row, value| {
        let (bucket, key) = schema::object_of(row)?;
        let name = format!("bucket {bucket}/{key}");
        let summary = Summary::decode(value)?;
        if schema::stamp_of(row)? != summary.version.stamp {
            report.find(&name, "a version under another stamp than its own");
        }
        let Ok(key) = cosette_model::ObjectKey::new(key) else { return Ok(()) };
        let current = engine.get(&schema::object(bucket, &key))?;
        if let Some(current) = current.map_or(Ok(None), |current| Object::decode(&current))? {
            if current.version.stamp <= summary.version.stamp {
                report.find(&name, "a version that is newer than the current object");
            }
            if current.version.null && summary.version.null {
                report.find(&name, "two null versions");
            }
        }
        let pointer = engine.get(&schema::null(bucket, &key))?.and_then(|row| schema::number8(&row, 0));
        if summary.version.null && pointer != Some(summary.version.stamp) {
            report.find(&name, "a null version that nothing points to");
        }
        Ok(())
    })?;
    each(engine, &schema::key(Kind::Null, &[]), &mut |row, value| {
        let bucket = schema::number8(row, 1).ok_or_else(|| Error::corrupt("a null version's key"))?;
        let (key, _) = schema::unescape(&row[9..])?;
        let Ok(key) = cosette_model::ObjectKey::new(key) else { return Ok(()) };
        let stamp = schema::number8(value, 0).unwrap_or_default();
        let version = engine.get(&schema::version(bucket, &key, stamp))?;
        if !version
            .map_or(Ok(None), |row| Summary::decode(&row).map(Some))?
            .is_some_and(|found| found.version.null)
        {
            report.find(format!("bucket {bucket}/{key}"), "a pointer to a null version that is not there");
        }
        Ok(())
    })?;
    Ok(())
}
