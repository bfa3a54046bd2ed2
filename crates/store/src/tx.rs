//! One mutation in progress: reads see what is committed, what the commits before it in the same
//! group have written, and its own writes; writes are collected until it is accepted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use cosette_blob::{BodyId, Unclaimed};
use cosette_kv::{Engine, Range};
use cosette_model::setting::ReplicaOrder;
use cosette_model::{BucketName, Cause, Change, ChangeKind, ObjectKey, Restore, Seq, Timestamp, VersionId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::record::{Bucket, Object, Place, Position, decode, encode};
use crate::schema;
use crate::{Kept, Table};

/// Rows written and not yet in the index; `None` for deleted ones.
pub(crate) type Overlay = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// One mutation in progress. Sees committed state and its own writes.
pub struct Tx<'a> {
    engine: &'a dyn Engine,
    group: &'a Overlay,
    seq: Seq,
    now: Timestamp,
    /// Where the first small body of this commit will lie in the journal; `None` without a journal.
    bodies_at: Option<Position>,
    pub(crate) writes: Writes,
}

/// What a commit brings.
#[derive(Default)]
pub(crate) struct Writes {
    pub(crate) rows: Overlay,
    /// Small bodies, to be laid one after another.
    pub(crate) bodies: Vec<Bytes>,
    /// Files that belong to this commit if it is accepted, and to nobody otherwise.
    pub(crate) adopted: Vec<Unclaimed>,
    /// What nothing refers to after this commit.
    pub(crate) freed: Vec<Freed>,
    /// Bodies kept for subsystems so far.
    pub(crate) kept: u16,
}

/// Something to be removed once no reader can be about to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    Body(BodyId),
    /// A manifest, with the references it holds.
    Manifest(u64),
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        engine: &'a dyn Engine,
        group: &'a Overlay,
        seq: Seq,
        now: Timestamp,
        bodies_at: Option<Position>,
    ) -> Self {
        Self { engine, group, seq, now, bodies_at, writes: Writes::default() }
    }

    /// This commit's place in the order of all commits. Changes of later commits have greater ones.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.row(&schema::table(table, key))
    }

    /// Rows whose key begins with `prefix`, in key order, at most `max`.
    pub fn scan(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut rows = Vec::new();
        if max == 0 {
            return Ok(rows);
        }
        self.rows(&Range::prefix(&schema::table(table, prefix)), &mut |key, value| {
            rows.push((key[1..].to_vec(), value.to_vec()));
            if rows.len() == max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(rows)
    }

    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.put_row(schema::table(table, key), value);
    }

    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.remove(schema::table(table, key));
    }

    pub fn bucket(&self, name: &BucketName) -> Result<Option<Bucket>> {
        self.record("bucket", &schema::bucket(name))
    }

    pub(crate) fn need_bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.bucket(name)?.ok_or_else(|| Error::NoSuchBucket(name.clone()))
    }

    pub(crate) fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.writes.rows.get(key).or_else(|| self.group.get(key)) {
            Some(written) => Ok(written.clone()),
            None => Ok(self.engine.get(key)?),
        }
    }

    pub(crate) fn record<T: DeserializeOwned>(&self, what: &str, key: &[u8]) -> Result<Option<T>> {
        self.row(key)?.map(|row| decode(what, &row)).transpose()
    }

    pub(crate) fn write<T: Serialize>(&mut self, key: Vec<u8>, record: &T) -> Result<()> {
        self.put_row(key, encode(record)?);
        Ok(())
    }

    pub(crate) fn put_row(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.rows.insert(key, Some(value));
    }

    pub(crate) fn mark(&mut self, key: Vec<u8>) {
        self.put_row(key, Vec::new());
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.writes.rows.insert(key, None);
    }

    /// Rows of the range in order, as they will be after this commit.
    pub(crate) fn rows(&self, range: &Range, visit: &mut cosette_kv::Visit<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let bounds = || (range.from.as_ref().map(Vec::as_slice), range.to.as_ref().map(Vec::as_slice));
        let mut pending: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for overlay in [self.group, &self.writes.rows] {
            let rows = overlay.range::<[u8], _>(bounds());
            pending.extend(rows.map(|(key, value)| (key.as_slice(), value.as_deref())));
        }
        let mut pending = pending.into_iter().peekable();
        let mut ended = false;
        self.engine.scan(range, &mut |key, value| {
            while let Some((at, written)) = pending.next_if(|(at, _)| *at <= key) {
                if let Some(written) = written
                    && visit(at, written).is_break()
                {
                    ended = true;
                    return ControlFlow::Break(());
                }
                if at == key {
                    return ControlFlow::Continue(());
                }
            }
            let flow = visit(key, value);
            ended = flow.is_break();
            flow
        })?;
        for (key, written) in pending {
            if ended {
                break;
            }
            if let Some(written) = written {
                ended = visit(key, written).is_break();
            }
        }
        Ok(())
    }

    /// All rows that begin with `prefix`, in order.
    pub(crate) fn collect(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut rows = Vec::new();
        self.rows(&Range::prefix(prefix), &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// The last row that begins with `prefix`.
    pub(crate) fn last(&self, prefix: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let range = Range::prefix(prefix);
        let bounds = || (range.from.as_ref().map(Vec::as_slice), range.to.as_ref().map(Vec::as_slice));
        let mut pending: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for overlay in [self.group, &self.writes.rows] {
            let rows = overlay.range::<[u8], _>(bounds());
            pending.extend(rows.map(|(key, value)| (key.as_slice(), value.as_deref())));
        }
        let mut last =
            pending.iter().rev().find_map(|(key, value)| value.map(|value| (key.to_vec(), value.to_vec())));
        self.engine.scan_back(&range, &mut |key, value| {
            if pending.contains_key(key) {
                return ControlFlow::Continue(());
            }
            if last.as_ref().is_none_or(|(pending, _)| key > pending.as_slice()) {
                last = Some((key.to_vec(), value.to_vec()));
            }
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    pub(crate) fn remove_all(&mut self, prefix: &[u8]) -> Result<()> {
        self.collect(prefix)?.into_iter().for_each(|(key, _)| self.remove(key));
        Ok(())
    }

    pub(crate) fn any(&self, prefix: &[u8]) -> Result<bool> {
        let mut found = false;
        self.rows(&Range::prefix(prefix), &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    pub(crate) fn next_kept(&mut self) -> Kept {
        self.writes.kept += 1;
        Kept(self.seq.0, self.writes.kept)
    }

    /// Puts a small body into this commit.
    pub(crate) fn place(&mut self, bytes: Bytes) -> Place {
        let Some(at) = self.bodies_at else { return Place::Inline(bytes) };
        let before: usize = self.writes.bodies.iter().map(Bytes::len).sum();
        let offset = at.offset + before as u64;
        self.writes.bodies.push(bytes);
        Place::Journal { segment: at.segment, offset, listed: false }
    }

    /// Writes this commit's change; a commit has at most one.
    pub(crate) fn change(
        &mut self,
        kind: ChangeKind,
        bucket: &Bucket,
        what: Option<Subject<'_>>,
        cause: Cause,
    ) -> Result<()> {
        let object = what.as_ref().and_then(|what| what.object);
        let (key, version_id, replicas) = match &what {
            Some(what) => (Some(what.key.clone()), what.version.clone(), what.replicas.clone()),
            None => Default::default(),
        };
        let change = Change {
            seq: self.seq,
            time: self.now,
            kind,
            bucket: bucket.name.clone(),
            region: bucket.region.clone(),
            appid: bucket.owner_appid.clone(),
            size: object.map_or(0, |object| object.size),
            etag: object.map(|object| object.etag.clone()),
            attributes: object.map(|object| object.attributes.clone()).unwrap_or_default(),
            key,
            version_id,
            restored_until: object.and_then(|object| restored_until(object, self.now)),
            cause,
            replicas,
        };
        self.write(schema::change(self.seq), &change)
    }
}

/// Until when a restored copy of the object can be read, if there is one at `now`.
fn restored_until(object: &Object, now: Timestamp) -> Option<Timestamp> {
    match object.properties.restore?.at(object.attributes.storage_class, now)? {
        Restore::Done { expires } => Some(expires),
        Restore::Ongoing { .. } => None,
    }
}

/// What a change is about.
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a ObjectKey,
    /// Only where the bucket gives versions ids.
    pub(crate) version: Option<VersionId>,
    /// As it was written or removed; `None` for a delete marker.
    pub(crate) object: Option<&'a Object>,
    /// Copies that are to be made of it.
    pub(crate) replicas: Vec<ReplicaOrder>,
}
