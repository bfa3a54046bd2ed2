//! Whether the tables agree with each other: who refers to a body, how often, and whose versions
//! come in what order.

use std::collections::HashMap;

use cosette_blob::BodyId;
use cosette_kv::Engine;

use super::{Report, each, each_held, each_piece, hex, object_of};
use crate::error::{Error, Result};
use crate::record::{Layout, Live, Object, Owned, Place, Small, Summary, decode};
use crate::schema::{self, Kind};

/// Counts every reference by walking the records, and holds the tables of counts against that.
pub(super) fn check(engine: &dyn Engine, report: &mut Report) -> Result<()> {
    let mut bodies: HashMap<BodyId, u64> = HashMap::new();
    let mut manifests: HashMap<u64, u64> = HashMap::new();
    let mut smalls = 0u64;
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
                Place::Journal { segment, offset } => {
                    smalls += 1;
                    let row = schema::small(*segment, *offset, holder);
                    let small =
                        engine.get(&row)?.map(|row| decode::<Small>("a small body", &row)).transpose()?;
                    if small != Some(Small { len: piece.len, crc64: piece.crc64 }) {
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
            for piece in decode::<Vec<crate::record::Piece>>("pieces", value)? {
                match piece.place {
                    Place::Body { id, .. } => *bodies.entry(id).or_default() += 1,
                    Place::Journal { .. } => smalls += 1,
                    Place::Inline(_) => {}
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
    segments(engine, report, smalls)?;
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

/// What lives in each segment is what the rows of its bodies add up to.
fn segments(engine: &dyn Engine, report: &mut Report, smalls: u64) -> Result<()> {
    let mut lives: HashMap<u64, Live> = HashMap::new();
    let mut rows = 0;
    let mut last = None;
    each(engine, &schema::key(Kind::Small, &[]), &mut |row, value| {
        rows += 1;
        let segment = schema::number8(row, 1).ok_or_else(|| Error::corrupt("a small body's key"))?;
        let (offset, _) = schema::small_of(row)?;
        let small: Small = decode("a small body", value)?;
        if last.replace((segment, offset)) != Some((segment, offset)) {
            let live = lives.entry(segment).or_default();
            live.bodies += 1;
            live.bytes += small.len;
        }
        Ok(())
    })?;
    if rows != smalls {
        report.find("small bodies", format!("{rows} rows for {smalls} references"));
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
        let (bucket, key) = object_of(row)?;
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
