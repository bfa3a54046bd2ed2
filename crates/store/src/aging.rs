//! What lifecycle rules do to versions: decided on what is there in the commit that does it, so that
//! no write of a client is overtaken.

use std::ops::ControlFlow;

use cosette_kv::Range;
use cosette_model::setting::{Act, Aged, Standing};
use cosette_model::{
    Cause, ChangeKind, LifecycleChange, ObjectKey, Restore, Tiering, Timestamp, VersionId, Versioning,
};

use crate::error::{Error, Result};
use crate::object::{named, subject};
use crate::reads::Reads;
use crate::record::{Bucket, Object, Summary};
use crate::schema::{self, Kind};
use crate::store::Store;
use crate::target::Target;
use crate::tx::{Subject, Tx};
use crate::version::{Bypass, Current, Found, newest};
use crate::views::View;

/// How many newer versions are counted: no rule asks for more (S3's `NewerNoncurrentVersions`).
const NEWER_MAX: u32 = 101;

/// A version that a rule may be for.
#[derive(Clone, Debug)]
pub struct Age {
    pub bucket: Target,
    pub key: ObjectKey,
    /// Of the version.
    pub stamp: u64,
    /// Of the version after it, unless it is the newest.
    pub after: Option<u64>,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aging {
    Done(Act),
    /// Nothing was due, and nothing will be before that, as far as it is known.
    Nothing(Option<Timestamp>),
}

/// The standing of the version at `place` among those of its key, newest first.
pub fn standing(versioning: Versioning, versions: &[Summary], place: usize) -> Standing {
    match (place.checked_sub(1), versioning) {
        (None, Versioning::Off) => Standing::Only,
        (None, _) => Standing::Current { alone: versions.len() == 1 },
        (Some(after), _) => Standing::Noncurrent {
            since: versions[after].modified,
            newer: u32::try_from(after).unwrap_or(u32::MAX),
        },
    }
}

impl Summary {
    /// As rules see it; tags and lock are not known here.
    pub fn aged<'a>(&self, key: &'a ObjectKey, standing: Standing) -> Aged<'a> {
        Aged {
            key: key.as_str(),
            standing,
            marker: self.delete_marker,
            written: self.modified,
            size: self.size,
            class: self.storage_class,
            tags: None,
            lock: Default::default(),
            tiering: self.tiering,
            restore: self.restore,
        }
    }
}

impl Object {
    pub fn aged<'a>(&'a self, key: &'a ObjectKey, standing: Standing) -> Aged<'a> {
        Aged {
            key: key.as_str(),
            standing,
            marker: false,
            written: self.modified,
            size: self.size,
            class: self.attributes.storage_class,
            tags: Some(&self.properties.tags),
            lock: self.properties.lock(),
            tiering: self.properties.tiering,
            restore: self.properties.restore,
        }
    }
}

impl Store {
    /// Does to a version what `decide` says of the bucket and of the version as they are then, or
    /// when it may say so. Nothing if the version is not there any more, or not in that place.
    pub async fn age<F>(&self, what: Age, decide: F) -> Result<Aging>
    where
        F: FnOnce(&View, &Aged<'_>, Timestamp) -> Result<(Act, Cause), Option<Timestamp>> + Send + 'static,
    {
        let reads = self.reads().clone();
        let (_, aging) = self.commit(move |tx| tx.age(&what, &reads, decide)).await?;
        Ok(aging)
    }
}

impl Tx<'_> {
    fn age<F>(&mut self, what: &Age, reads: &Reads, decide: F) -> Result<Aging>
    where
        F: FnOnce(&View, &Aged<'_>, Timestamp) -> Result<(Act, Cause), Option<Timestamp>>,
    {
        let view = self.need_view(&what.bucket)?;
        let (bucket, key) = (&view.bucket, &what.key);
        let current = self.current(bucket, key)?;
        let Some((row, found, standing)) = self.standing(bucket, what, &current)? else {
            return Ok(Aging::Nothing(None));
        };
        let mut aged = match &found {
            Found::Object(object) => object.aged(key, standing),
            Found::Marker(marker) => marker.aged(key, standing),
        };
        aged.tiering.accessed = aged.tiering.accessed.max(reads.last(bucket.id, key, what.stamp));
        let tiering = aged.tiering;
        let (act, cause) = match decide(&view, &aged, self.now()) {
            Ok(decided) => decided,
            Err(next) => return Ok(Aging::Nothing(next)),
        };
        match (act, found) {
            (Act::Mark, _) => {
                let kind = ChangeKind::Lifecycle(LifecycleChange::DeleteMarkerCreated);
                self.mark_deleted(bucket, key, current, kind, cause)?;
            }
            (Act::Move(class), Found::Object(mut object)) => {
                // How far a restore is follows from the class it was asked for: what has been restored
                // stays for its time, and what has not yet been is not by this restore.
                let (from, now) = (object.attributes.storage_class, self.now());
                self.leave_restore(bucket, key, &object)?;
                let restore = object.properties.restore.and_then(|restore| restore.at(from, now));
                object.properties.restore = restore.filter(|at| matches!(at, Restore::Done { .. }));
                object.attributes.storage_class = class;
                let accessed = class.is_tiered().then_some(now);
                object.properties.tiering = Tiering { accessed, archived: None };
                self.put_row(row, object.encode()?);
                let kind = ChangeKind::Lifecycle(LifecycleChange::Transitioned);
                self.change(kind, bucket, Some(subject(bucket, key, &object)), cause)?;
            }
            (Act::Archive(tier), Found::Object(mut object)) => {
                let (class, restore) = (object.attributes.storage_class, object.properties.restore);
                self.leave_restore(bucket, key, &object)?;
                let (tiering, restore) = tiering.at(class, restore, self.now());
                object.properties.tiering = Tiering { archived: Some(tier), ..tiering };
                object.properties.restore = restore;
                self.put_row(row, object.encode()?);
                let kind = ChangeKind::Lifecycle(LifecycleChange::Archived(tier));
                self.change(kind, bucket, Some(subject(bucket, key, &object)), cause)?;
            }
            (Act::Move(_) | Act::Archive(_), Found::Marker(_)) => return Ok(Aging::Nothing(None)),
            (Act::Remove, found) => {
                let (version, object) = match &found {
                    Found::Object(object) => (object.version, Some(&**object)),
                    Found::Marker(marker) => (marker.version, None),
                };
                let id: VersionId = version.id();
                self.remove_version(bucket, key, &id, Bypass::default())?;
                let version = named(bucket, version);
                let what = Subject { key, version, object, replicas: Vec::new() };
                self.change(ChangeKind::Lifecycle(LifecycleChange::Deleted), bucket, Some(what), cause)?;
            }
        }
        Ok(Aging::Done(act))
    }

    /// The row of a version, what it is, and its standing; `None` if it is not there, or no longer
    /// has that other one after it. Only a copy from another bucket is ever put between two that are there, and
    /// then the older one has been so for longer than is thought here.
    fn standing(
        &self,
        bucket: &Bucket,
        what: &Age,
        current: &Current,
    ) -> Result<Option<(Vec<u8>, Found, Standing)>> {
        let key = &what.key;
        if let Some(object) = current.object.as_ref().filter(|object| object.version.stamp == what.stamp) {
            let standing = match bucket.versioning {
                Versioning::Off => Standing::Only,
                // Of objects nothing asks whether there are others.
                Versioning::Enabled | Versioning::Suspended => Standing::Current { alone: false },
            };
            let found = Found::Object(Box::new(object.clone()));
            return Ok(Some((schema::object(bucket.id, key), found, standing)));
        }
        let row = schema::version(bucket.id, key, what.stamp);
        let Some(record) = self.row(&row)? else { return Ok(None) };
        let found = Found::decode(&record)?;
        let standing = match what.after {
            None => {
                let is_newest = current.object.is_none()
                    && newest(self, bucket, key)?.is_some_and(|(newest, _)| newest == row);
                if !is_newest {
                    return Ok(None);
                }
                Standing::Current { alone: self.newer(bucket, key, 0, 2)? == 1 }
            }
            Some(after) => {
                let since = match &current.object {
                    Some(object) if object.version.stamp == after => Some(object.modified),
                    _ => self
                        .row(&schema::version(bucket.id, key, after))?
                        .map(|record| Summary::decode(&record))
                        .transpose()?
                        .map(|summary| summary.modified),
                };
                let Some(since) = since else { return Ok(None) };
                let newer = self.newer(bucket, key, what.stamp, NEWER_MAX)?;
                // A marker that is current lies in the same table.
                let newer = newer.saturating_sub(u32::from(current.object.is_none()));
                Standing::Noncurrent { since, newer }
            }
        };
        Ok(Some((row, found, standing)))
    }

    /// How many rows of the key in `Version` are newer than a stamp, counted up to `max`.
    fn newer(&self, bucket: &Bucket, key: &ObjectKey, stamp: u64, max: u32) -> Result<u32> {
        let mut newer = 0;
        let mut damaged = None;
        let range = Range::prefix(&schema::of_key(Kind::Version, bucket.id, key.as_str()));
        self.rows(&range, &mut |row, _| {
            match schema::stamp_of(row) {
                Ok(other) if other > stamp && newer < max => newer += 1,
                Ok(_) => return ControlFlow::Break(()),
                Err(error) => {
                    damaged = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        damaged.map_or(Ok(newer), Err::<u32, Error>)
    }
}
