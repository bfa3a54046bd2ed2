//! The whole of a data directory that nobody has open: snapshot and journal say what the index
//! must hold; the index, the bodies and the change log are held against that. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cosette_blob::{Bodies, Disk};
use cosette_kv::{Batch, Engine};
use cosette_model::{
    BucketName, Change, ChangeKind, ETag, EventType, LifecycleChange, ObjectKey, Seq, VersionId, Versioning,
};

use super::scrub::Stored;
use super::{Progress, Report, each, name_of, references};
use crate::changelog::{ChangeLog, Changes, Settled};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::journal::{Segments, recover};
use crate::open::{applied, earlier, fill, rows_of};
use crate::record::{Bucket, decode, encode};
use crate::schema::{self, Kind};
use crate::version::{Found, find};

/// Rows compared, or brought into the scratch index, at once.
const ROWS_PER_BATCH: usize = 10_000;
const CACHE_BYTES: u64 = 64 << 20;

/// A directory of our own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let name = format!("cosette-verify-{}", uuid::Uuid::new_v4().simple());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Verifies the data directory `dir`, which no process may have open. Needs room for another index
/// in the temporary directory. Blocks, for long.
///
/// # Errors
/// `Io` with a message for a person when it is in use, of another format, or no data directory.
pub fn verify(dir: &Path, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Report> {
    let disk = Disk::default();
    let directory = Directory::open_existing(dir, disk.clone())?;
    let mut report = Report::default();
    let scratch = Scratch::new()?;
    let truth = cosette_kv::open(&scratch.0.join("index"), CACHE_BYTES)?;
    let index = open_index(&directory, &mut report)?;
    let (mut log, settled) = ChangeLog::look(&directory.changes(), &disk)?;
    let later =
        match replay(&directory, &disk, &*truth, index.as_ref().map(|index| index.seq), settled, &mut log) {
            Ok(later) => later,
            Err(Error::Corrupt { what }) => {
                report.find("journal", what);
                return Ok(report);
            }
            Err(error) => return Err(error),
        };
    match &index {
        Some(index) => compare(&*index.engine, &*truth, &later, &mut report)?,
        None => {
            let note = "the index will be made anew by the next start, and was not looked at";
            report.notes.push(note.to_owned());
        }
    }
    if let Some(index) = index {
        index.close(&directory)?;
    }
    let segments = Segments::new(directory.journal(), disk.clone());
    references::check(&*truth, &segments, &mut report)?;
    changes(&log, &*truth, &mut report)?;
    let bodies = Bodies::look(&directory.bodies(), disk);
    strays(&bodies, &*truth, &mut report)?;
    let stored = Stored { bodies: &bodies, segments: Some(&segments) };
    stored.scrub(&*truth, &mut report, progress)?;
    Ok(report)
}

/// The index that is there, up to a commit.
struct Index {
    engine: Box<dyn Engine>,
    seq: Seq,
    /// The store had been closed.
    clean: bool,
}

/// Opens the index if the next start would use it. Its own engine may write to its files while it
/// is open, so that is marked as it is for a store that is in use.
fn open_index(directory: &Directory, report: &mut Report) -> Result<Option<Index>> {
    if !directory.index_is_sound()? || !directory.index().exists() {
        return Ok(None);
    }
    let clean = directory.is_closed();
    directory.begin_running()?;
    let engine = match cosette_kv::open(&directory.index(), CACHE_BYTES) {
        Err(cosette_kv::Error::Damaged(what)) => {
            report.find("index", what);
            return Ok(None);
        }
        other => other?,
    };
    Ok(applied(&*engine)?.map(|applied| Index { engine, seq: Seq(applied.seq), clean }))
}

impl Index {
    fn close(self, directory: &Directory) -> Result<()> {
        self.engine.close()?;
        drop(self.engine);
        if self.clean { directory.end_running() } else { Ok(()) }
    }
}

/// The keys of the frames after a commit, which an index that is there may hold or not.
type Later = BTreeSet<Vec<u8>>;

/// Fills `truth` from the snapshot and the journal.
fn replay(
    directory: &Directory,
    disk: &Disk,
    truth: &dyn Engine,
    index: Option<Seq>,
    settled: Settled,
    log: &mut Changes,
) -> Result<Later> {
    fill(truth, &directory.snapshots(), disk)?;
    let mut keys = BTreeSet::new();
    let mut batch = Batch::default();
    let applied = applied(truth)?;
    let mut last = applied;
    recover(&directory.journal(), disk, earlier(applied, settled.upto), |frame, at| {
        let (rows, changes) = rows_of(frame)?;
        let changes = changes.into_iter().filter(|(number, _)| *number > settled.last);
        log.extend(changes);
        if applied.is_some_and(|applied| at.seq <= applied.seq) {
            return Ok(true);
        }
        if index.is_some_and(|index| at.seq > index.0) {
            keys.extend(rows.iter().map(|(key, _)| key.to_vec()));
        }
        batch.append(rows);
        last = Some(at);
        if batch.len() >= ROWS_PER_BATCH {
            truth.apply(std::mem::take(&mut batch))?;
        }
        Ok(true)
    })?;
    if let Some(last) = last {
        batch.mark(schema::applied(), encode(&last)?);
    }
    truth.apply(batch)?;
    Ok(keys)
}

/// Holds the index that is there against what it must be.
fn compare(index: &dyn Engine, truth: &dyn Engine, later: &Later, report: &mut Report) -> Result<()> {
    let own = schema::applied();
    let mut findings = Vec::new();
    let mut rows = 0u64;
    each(truth, &[], &mut |key, value| {
        rows += 1;
        if key != own && !later.contains(key) {
            match index.get(key)? {
                Some(found) if found == value => {}
                Some(_) => findings.push((key.to_vec(), "the index has another value for it")),
                None => findings.push((key.to_vec(), "the index does not have it")),
            }
        }
        Ok(())
    })?;
    each(index, &[], &mut |key, _| {
        if key != own && !later.contains(key) && truth.get(key)?.is_none() {
            findings.push((key.to_vec(), "only the index has it"));
        }
        Ok(())
    })?;
    report.rows = rows;
    for (key, problem) in findings {
        report.find(name_of(&key), problem);
    }
    if !later.is_empty() {
        let note = format!("{} rows are in the journal and not yet in the index", later.len());
        report.notes.push(note);
    }
    Ok(())
}

/// Files that no record knows are no damage: the next start removes them.
fn strays(bodies: &Bodies, truth: &dyn Engine, report: &mut Report) -> Result<()> {
    let mut strays = 0u64;
    for epoch in bodies.epochs()? {
        for id in bodies.of_epoch(epoch)? {
            let known = truth.get(&schema::body(Kind::Body, id))?.is_some()
                || truth.get(&schema::body(Kind::Garbage, id))?.is_some();
            strays += u64::from(!known);
        }
    }
    if strays > 0 {
        report.notes.push(format!("{strays} body files belong to nobody; the next start removes them"));
    }
    Ok(())
}

/// The last thing the change log says of a version: written with this tag, or gone.
enum Last {
    Written(Option<ETag>),
    Marker,
    Gone,
}

/// What the log says last of each version must be what is there.
fn changes(log: &Changes, truth: &dyn Engine, report: &mut Report) -> Result<()> {
    let mut last: BTreeMap<(BucketName, ObjectKey, VersionId), (Seq, Last)> = BTreeMap::new();
    let mut before = Seq(0);
    for (number, bytes) in log {
        let change: Change = match decode("change", bytes) {
            Ok(change) => change,
            Err(error) => {
                report.find(format!("change {number}"), error.to_string());
                continue;
            }
        };
        if change.seq <= before || change.seq != *number {
            report.find(format!("change {number}"), "it is not in its place");
        }
        before = change.seq;
        match (change.kind, change.key) {
            (ChangeKind::BucketDeleted, _) => last.retain(|(bucket, _, _), _| *bucket != change.bucket),
            (kind, Some(key)) => {
                let says = match kind {
                    ChangeKind::Object(EventType::RemovedDelete)
                    | ChangeKind::Lifecycle(LifecycleChange::Deleted) => Last::Gone,
                    ChangeKind::Object(EventType::RemovedDeleteMarkerCreated)
                    | ChangeKind::Lifecycle(LifecycleChange::DeleteMarkerCreated)
                    | ChangeKind::MarkerReplicated => Last::Marker,
                    _ => Last::Written(change.etag),
                };
                let version = change.version_id.unwrap_or(VersionId::Null);
                last.insert((change.bucket, key, version), (change.seq, says));
            }
            _ => {}
        }
    }
    report.changes = log.len() as u64;
    for ((bucket_name, key, version), (seq, says)) in last {
        let bucket = truth.get(&schema::bucket(&bucket_name))?;
        let Some(bucket) = bucket.map(|row| decode::<Bucket>("bucket", &row)).transpose()? else {
            report.find(format!("change {seq}"), format!("of the bucket {bucket_name}, which is not there"));
            continue;
        };
        let found = find(truth, &bucket, &key, Some(&version))?.map(|(_, found)| found);
        let agrees = match (&says, &found) {
            (Last::Written(Some(etag)), Some(Found::Object(object))) => object.etag == *etag,
            (Last::Written(None), Some(_)) | (Last::Gone, None) => true,
            (Last::Marker, Some(Found::Marker(_))) => true,
            _ => false,
        };
        if !agrees {
            let what = match bucket.versioning {
                Versioning::Off => format!("{bucket_name}/{key}"),
                _ => format!("{bucket_name}/{key} version {}", version.as_str()),
            };
            let says = match says {
                Last::Written(_) => "is written",
                Last::Marker => "is a delete marker",
                Last::Gone => "is gone",
            };
            report.find(what, format!("the change log says last that it {says} (change {seq})"));
        }
    }
    Ok(())
}
