//! Restores under way, in the order in which they will be finished.
//!
//! The commit that begins a restore writes a row of when it ends. That an object can be read then follows from the
//! clock alone; the row is there for the change that tells of it, which is written once, whatever happens between.

use std::ops::ControlFlow;

use cosette_kv::Range;
use cosette_model::{BucketName, Cause, ChangeKind, EventType, ObjectKey, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::object::subject;
use crate::record::{Bucket, Object, decode};
use crate::schema::{self, Kind};
use crate::store::Store;
use crate::tx::Tx;

/// A restore that will be finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Restoring {
    /// The bucket's id: another of its name is another one.
    bucket: u64,
    name: BucketName,
    key: ObjectKey,
    /// Of the version.
    stamp: u64,
    /// The request that has begun it.
    cause: Cause,
    /// It was finished while the object showed it, and the object shows something else since.
    #[serde(default)]
    over: bool,
}

/// When the restore that the object is in will be finished.
fn finished_at(object: &Object) -> Option<Timestamp> {
    let properties = &object.properties;
    properties.restore?.ends(properties.tiering.class(object.attributes.storage_class))
}

impl Tx<'_> {
    /// Notes when a restore that has just begun will be finished.
    pub(crate) fn begin_restore(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        object: &Object,
        cause: &Cause,
    ) -> Result<()> {
        let Some(at) = finished_at(object) else { return Ok(()) };
        let (bucket, name) = (bucket.id, bucket.name.clone());
        let stamp = object.version.stamp;
        let restoring =
            Restoring { bucket, name, key: key.clone(), stamp, cause: cause.clone(), over: false };
        self.write(schema::restoring(at, self.seq()), &restoring)
    }

    /// The object, as it was `before`, comes to show another restore or none. One that is finished by now is
    /// told of all the same, one that is not never is.
    pub(crate) fn leave_restore(&mut self, bucket: &Bucket, key: &ObjectKey, before: &Object) -> Result<()> {
        let Some(at) = finished_at(before) else { return Ok(()) };
        for (row, record) in self.collect(&schema::restoring_at(at))? {
            let mut restoring: Restoring = decode("a restore", &record)?;
            let is_it = restoring.bucket == bucket.id && restoring.key == *key && !restoring.over;
            if !is_it || restoring.stamp != before.version.stamp {
                continue;
            }
            if at <= self.now() {
                restoring.over = true;
                self.write(row, &restoring)?;
            } else {
                self.remove(row);
            }
        }
        Ok(())
    }

    /// Tells of the restore in this row, unless the object is gone, or another restore has taken its place.
    fn end_restore(&mut self, row: Vec<u8>) -> Result<()> {
        let at = schema::restored_at(&row)?;
        let Some(record) = self.row(&row)? else { return Ok(()) };
        self.remove(row);
        let Restoring { bucket: id, name, key, stamp, cause, over } = decode("a restore", &record)?;
        let Some(bucket) = self.bucket(&name)?.filter(|bucket| bucket.id == id) else { return Ok(()) };
        let Some((row, mut object)) = self.stamped(&bucket, &key, stamp)? else { return Ok(()) };
        if !over && finished_at(&object) != Some(at) {
            return Ok(());
        }
        if !over && object.properties.tiering.archived.is_some() {
            // It is where it was before it was archived.
            let (class, properties) = (object.attributes.storage_class, &mut object.properties);
            (properties.tiering, properties.restore) = properties.tiering.at(class, properties.restore, at);
            self.put_row(row, object.encode()?);
        }
        let kind = ChangeKind::Object(EventType::RestoreCompleted);
        self.change(kind, &bucket, Some(subject(&bucket, &key, &object)), cause)
    }
}

impl Store {
    /// When the next restore will be finished.
    pub fn next_restored(&self) -> Result<Option<Timestamp>> {
        self.first_restoring()?.as_deref().map(schema::restored_at).transpose()
    }

    fn first_restoring(&self) -> Result<Option<Vec<u8>>> {
        let mut first = None;
        let range = Range::prefix(&schema::key(Kind::Restoring, &[]));
        self.engine()?.scan(&range, &mut |row, _| {
            first = Some(row.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Tells, in one commit, of the next restore that is finished by now; `false` when there is none.
    pub async fn finish_restore(&self, now: Timestamp) -> Result<bool> {
        let Some(row) = self.first_restoring()? else { return Ok(false) };
        if schema::restored_at(&row)? > now {
            return Ok(false);
        }
        self.commit(move |tx| tx.end_restore(row)).await?;
        Ok(true)
    }

    /// The last commit that has begun or finished a restore, as far as this process knows.
    pub fn last_restoring(&self) -> Seq {
        *self.restoring().borrow()
    }

    /// Returns once a commit after `after` has begun or finished a restore.
    pub async fn restores(&self, after: Seq) {
        // The sender lives as long as `self`.
        let _ = self.restoring().subscribe().wait_for(|last| *last > after).await;
    }
}
