//! Opening: bring the index to where the journal is, whatever the last process left.
//!
//! The truth is the newest snapshot and the journal from its position on. The index is used as it
//! is when its files can be trusted, and made anew from the truth when not.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use cosette_blob::{Bodies, Disk};
use cosette_kv::{Batch, Engine, Range};
use cosette_model::Seq;

use crate::changelog::{ChangeLog, Changes};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::journal::{Frame, Journal, last_promise, recover, remove_leftover};
use crate::record::{Applied, Owned, decode, encode};
use crate::schema::{self, Kind};
use crate::settings::Settings;
use crate::snapshot;

/// Rows brought into the index at once.
const ROWS_PER_BATCH: usize = 10_000;

/// What a start has found, and is to go on with.
pub(crate) struct Opened {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) log: ChangeLog,
    pub(crate) journal: Journal,
    pub(crate) head: Seq,
}

/// # Errors
/// `Corrupt` when something that had been made durable cannot be read back.
pub(crate) fn open(
    directory: &Directory,
    disk: &Disk,
    cache_bytes: u64,
    sync: bool,
    settings: &Settings,
) -> Result<Opened> {
    let sound = directory.index_is_sound()?;
    if !sound {
        tracing::warn!("the machine went down while the store was open: the index is made anew");
        remove_index(&directory.index())?;
    }
    directory.renew_format()?;
    directory.begin_running()?;
    let engine = open_index(directory, disk, cache_bytes)?;
    let applied = applied(&*engine)?;
    let (log, settled) = ChangeLog::open(&directory.changes(), disk)?;
    let from = earlier(applied, settled.upto);
    let dir = directory.journal();
    let promise = match sound {
        true => None,
        false => Some(last_promise(&dir, disk, from.map(|from| from.position))?),
    };
    let bodies = Bodies::look(&directory.bodies(), disk.clone());
    let mut batch = Batch::default();
    let mut replayed = 0u64;
    let found = recover(&dir, disk, from, |frame, at| {
        let (rows, changes) = rows_of(frame)?;
        if promise.is_some_and(|promise| at.seq > promise.0) && !are_there(&bodies, &rows)? {
            return Ok(false);
        }
        for (number, change) in changes.into_iter().filter(|(number, _)| *number > settled.last) {
            log.push(number, change);
        }
        if applied.is_some_and(|applied| at.seq <= applied.seq) {
            return Ok(true);
        }
        batch.append(rows);
        replayed += 1;
        if batch.len() >= ROWS_PER_BATCH {
            batch.mark(schema::applied(), encode(&at)?);
            engine.apply(std::mem::take(&mut batch))?;
        }
        Ok(true)
    })?;
    remove_leftover(&dir, disk, &found)?;
    let head = found.head;
    let mut journal = match found.end {
        Some(end) => Journal::resume(&dir, disk.clone(), end, settings.segment_max, sync, head)?,
        None => Journal::begin(&dir, disk.clone(), found.segment, settings.segment_max, sync, head)?,
    };
    let now = Applied { position: journal.next()?, seq: head.0 };
    if applied != Some(now) {
        batch.mark(schema::applied(), encode(&now)?);
        engine.apply(batch)?;
    }
    tracing::info!(%head, replayed, segment = now.position.segment, "opened the store");
    Ok(Opened { engine: cosette_kv::buffered(engine)?, log, journal, head })
}

/// The place that comes first in the journal; its beginning if there is none.
pub(crate) fn earlier(one: Option<Applied>, other: Option<Applied>) -> Option<Applied> {
    one.zip(other).map(|(one, other)| if one.position <= other.position { one } else { other })
}

/// What a frame has for the index, and its changes with their numbers.
pub(crate) fn rows_of(frame: &Frame<'_>) -> Result<(Batch, Changes)> {
    let mut all = Batch::default();
    frame.rows(&mut all).ok_or_else(|| Error::corrupt("rows of a journal frame"))?;
    let (mut rows, mut changes) = (Batch::default(), Changes::new());
    for (key, value) in all {
        match (schema::change_of(&key), value) {
            (Some(number), Some(change)) => changes.push((number, change.into())),
            (_, Some(value)) => rows.put(key, value),
            (_, None) => rows.delete(key),
        }
    }
    Ok((rows, changes))
}

/// Whether the bodies that these rows refer to have outlived a loss of power.
fn are_there(bodies: &Bodies, rows: &Batch) -> Result<bool> {
    for (key, value) in rows.iter().filter(|(key, _)| key.first() == Some(&(Kind::Body as u8))) {
        let Some(value) = value else { continue };
        let owned: Owned = decode("references to a body", value)?;
        match bodies.check(schema::body_of(key)?, owned.len) {
            Ok(_) => {}
            Err(cosette_blob::Error::Damaged { what }) => {
                tracing::warn!(what, "lost with the power, and nobody was promised it");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

pub(crate) fn applied(engine: &dyn Engine) -> Result<Option<Applied>> {
    engine.get(&schema::applied())?.map(|row| decode("applied", &row)).transpose()
}

/// Opens the index; one that is damaged is put aside, and one that does not say up to where it is
/// (it is new, or was never finished) is filled from the newest snapshot.
fn open_index(directory: &Directory, disk: &Disk, cache_bytes: u64) -> Result<Box<dyn Engine>> {
    let path = directory.index();
    let engine = match cosette_kv::open(&path, cache_bytes) {
        Err(cosette_kv::Error::Damaged(what)) => {
            let aside = directory.damaged_index();
            tracing::error!(what, aside = %aside.display(), "the index is damaged and is made anew");
            disk.rename(&path, &aside)?;
            cosette_kv::open(&path, cache_bytes)?
        }
        other => other?,
    };
    if applied(&*engine)?.is_some() {
        return Ok(engine);
    }
    let engine = if is_empty(&*engine)? {
        engine
    } else {
        drop(engine);
        remove_index(&path)?;
        cosette_kv::open(&path, cache_bytes)?
    };
    fill(&*engine, &directory.snapshots(), disk)?;
    Ok(engine)
}

/// Puts the rows of the newest snapshot into an empty index, and last the position they are of.
pub(crate) fn fill(engine: &dyn Engine, dir: &Path, disk: &Disk) -> Result<()> {
    let Some(newest) = snapshot::list(dir, disk)?.into_iter().next() else { return Ok(()) };
    let mut batch = Batch::default();
    let mut rows = 0u64;
    newest.read(disk, &mut |key, value| {
        batch.put(key, value);
        rows += 1;
        if batch.len() >= ROWS_PER_BATCH {
            engine.apply(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    batch.mark(schema::applied(), encode(&newest.applied)?);
    engine.apply(batch)?;
    tracing::info!(rows, seq = newest.applied.seq, "filled the index from a snapshot");
    Ok(())
}

fn is_empty(engine: &dyn Engine) -> Result<bool> {
    let mut empty = true;
    engine.scan(&Range::prefix(&[]), &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// The index's files are its engine's own and nothing that must last: they go past the seam.
fn remove_index(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
