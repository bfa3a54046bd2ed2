//! Looking for damage: a scrub of a store that is in use, and the verification of a whole data
//! directory that is not. Nothing here mends anything; what is found is said, with whose it is.

mod references;
mod scrub;
mod verify;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cosette_kv::{Engine, Range};
use cosette_model::BucketName;

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::record::{Bucket, Content, Layout, Object, Part, Piece, Summary, UploadRecord, decode};
use crate::schema::{self, Kind, object_of};
use crate::snapshot::TakeRow;

pub use verify::verify;

/// Findings that are listed one by one; more are only counted.
const FINDINGS_MAX: usize = 1_000;
/// Rows read at once, so that nobody who writes waits for who looks.
const ROWS_PER_PAGE: usize = 256;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose: a bucket and key with its version, a part, a table's row, a file.
    pub what: String,
    pub problem: String,
}

/// How far a check has come, in bytes of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// What a check looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Versions of objects; delete markers are not counted.
    pub objects: u64,
    /// Parts of open uploads.
    pub parts: u64,
    /// Bodies that were read, each once, and their bytes.
    pub bodies: u64,
    pub bytes: u64,
    /// Rows of the index that were compared with snapshot and journal; 0 for a scrub.
    pub rows: u64,
    /// Changes that were held against the objects; 0 for a scrub.
    pub changes: u64,
    /// What is worth knowing and no damage.
    pub notes: Vec<String>,
    /// At most a thousand of them.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.found == 0
    }

    fn find(&mut self, what: impl Into<String>, problem: impl Into<String>) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { what: what.into(), problem: problem.into() });
        }
    }
}

/// Hands out rows page by page.
fn each(engine: &dyn Engine, prefix: &[u8], visit: &mut TakeRow<'_>) -> Result<()> {
    let mut range = Range::prefix(prefix);
    loop {
        let mut page = Vec::with_capacity(ROWS_PER_PAGE);
        engine.scan(&range, &mut |key, value| {
            page.push((key.to_vec(), value.to_vec()));
            if page.len() == ROWS_PER_PAGE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        range = range.after(last);
        for (key, value) in &page {
            visit(key, value)?;
        }
    }
}

/// A record that refers to bodies.
struct Held {
    /// For people.
    name: String,
    /// The record's row, to see later whether it is still there.
    row: Vec<u8>,
    value: Vec<u8>,
    content: Content,
    holder: Holder,
}

/// The buckets by id, for names.
fn bucket_names(engine: &dyn Engine) -> Result<BTreeMap<u64, BucketName>> {
    let mut names = BTreeMap::new();
    each(engine, &schema::key(Kind::Bucket, &[]), &mut |_, value| {
        let bucket: Bucket = decode("bucket", value)?;
        names.insert(bucket.id, bucket.name);
        Ok(())
    })?;
    Ok(names)
}

/// Hands out every record that refers to bodies. A record that cannot be read is a finding.
fn each_held(
    engine: &dyn Engine,
    report: &mut Report,
    visit: &mut dyn FnMut(&mut Report, Held) -> Result<()>,
) -> Result<()> {
    let buckets = bucket_names(engine)?;
    let bucket_name = |id: u64| buckets.get(&id).map_or_else(|| format!("bucket {id}"), ToString::to_string);
    for kind in [Kind::Object, Kind::Version] {
        each(engine, &schema::key(kind, &[]), &mut |row, value| {
            let (bucket, key) = match object_of(row) {
                Ok(found) => found,
                Err(error) => {
                    report.find(format!("row {}", hex(row)), error.to_string());
                    return Ok(());
                }
            };
            let name = format!("{}/{key}", bucket_name(bucket));
            let decoded = Object::decode(value).and_then(|object| Ok((object, Summary::decode(value)?)));
            let (object, summary) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    report.find(name, error.to_string());
                    return Ok(());
                }
            };
            let Some(object) = object else { return Ok(()) };
            let id = summary.version.id();
            let name = if summary.version.null { name } else { format!("{name} version {}", id.as_str()) };
            report.objects += 1;
            if object.content.len() != object.size {
                report.find(&name, format!("{} bytes of {}", object.content.len(), object.size));
            }
            let Ok(key) = cosette_model::ObjectKey::new(key) else {
                report.find(name, "a key that cannot be one");
                return Ok(());
            };
            let holder = Holder::Version { bucket, key, stamp: object.version.stamp };
            let (row, value) = (row.to_vec(), value.to_vec());
            visit(report, Held { name, row, value, content: object.content, holder })
        })?;
    }
    each(engine, &schema::key(Kind::Upload, &[]), &mut |row, value| {
        let record: UploadRecord = match decode("upload", value) {
            Ok(record) => record,
            Err(error) => {
                report.find(format!("row {}", hex(row)), error.to_string());
                return Ok(());
            }
        };
        let bucket = bucket_name(schema::number8(row, 1).unwrap_or_default());
        each(engine, &schema::parts(record.number), &mut |row, value| {
            let name = format!("{bucket}/{} upload {}", record.upload.key, record.upload.id);
            let part: Part = match decode("part", value) {
                Ok(part) => part,
                Err(error) => {
                    report.find(name, error.to_string());
                    return Ok(());
                }
            };
            report.parts += 1;
            let name = format!("{name} part {}", part.number.get());
            let holder = Holder::Part { upload: record.number, number: part.number };
            let (row, value) = (row.to_vec(), value.to_vec());
            visit(report, Held { name, row, value, content: part.content, holder })
        })
    })?;
    each(engine, &schema::key(Kind::Kept, &[]), &mut |row, value| {
        let name = format!("kept body {}", hex(&row[1..]));
        let (Some(holder), content) = (schema::kept_of(row), decode::<Content>("kept", value)) else {
            report.find(name, "a row that cannot be one");
            return Ok(());
        };
        match content {
            Ok(content) => {
                let (row, value) = (row.to_vec(), value.to_vec());
                visit(report, Held { name, row, value, content, holder: Holder::Kept(holder) })
            }
            Err(error) => {
                report.find(name, error.to_string());
                Ok(())
            }
        }
    })
}

/// Hands out the pieces of a content with who holds each of them.
fn each_piece(
    engine: &dyn Engine,
    content: &Content,
    holder: &Holder,
    visit: &mut dyn FnMut(&Piece, &Holder) -> Result<()>,
) -> Result<()> {
    match &content.0 {
        Layout::Pieces(pieces) => pieces.iter().try_for_each(|piece| visit(piece, holder)),
        Layout::Manifest { id: manifest, len } => {
            let mut found = 0;
            each(engine, &schema::pieces_of(*manifest), &mut |row, value| {
                let offset = schema::number8(row, 9).ok_or_else(|| Error::corrupt("key of pieces"))?;
                if offset != found {
                    return Err(Error::corrupt(format!("manifest {manifest} at {found}")));
                }
                for piece in decode::<Vec<Piece>>("pieces", value)? {
                    found += piece.len;
                    visit(&piece, &Holder::Pieces { manifest: *manifest, offset })?;
                }
                Ok(())
            })?;
            if found == *len {
                Ok(())
            } else {
                Err(Error::corrupt(format!("manifest {manifest} at {found}")))
            }
        }
    }
}

/// A row of the index, for people.
fn name_of(row: &[u8]) -> String {
    let is = |kind: Kind| row.first() == Some(&(kind as u8));
    match object_of(row) {
        Ok((bucket, key)) if is(Kind::Object) => format!("object bucket {bucket}/{key}"),
        Ok((bucket, key)) if is(Kind::Version) => format!("version of bucket {bucket}/{key}"),
        _ => format!("row {}", hex(row)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
