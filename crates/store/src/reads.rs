//! When objects of intelligent tiering were last read by clients.
//!
//! A read is noted in memory, which costs it no commit. What is noted is written down from time to time,
//! many objects in one commit, and counts beside what is written from the moment it is noted. A crash
//! loses what had not been written down: its objects are as if not read since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cosette_model::{BucketName, ObjectKey, Timestamp};

use tokio::sync::Notify;

use crate::error::Result;
use crate::record::{Bucket, Object};
use crate::store::Store;
use crate::tx::Tx;

/// So many objects are to be written down soon.
const MANY: usize = 20_000;

/// Objects that are noted at most, some ten megabytes; reads of further ones are forgotten.
const NOTED_MAX: usize = 50_000;

/// Objects written in one commit.
const TOGETHER: usize = 200;

/// A version: its bucket's id, its key, its stamp.
type Of = (u64, ObjectKey, u64);

#[derive(Clone, Debug, Default)]
pub(crate) struct Reads(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    noted: Mutex<HashMap<Of, (BucketName, Timestamp)>>,
    many: Notify,
}

impl Reads {
    fn noted(&self) -> MutexGuard<'_, HashMap<Of, (BucketName, Timestamp)>> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last(&self, bucket: u64, key: &ObjectKey, stamp: u64) -> Option<Timestamp> {
        let noted = self.noted();
        if noted.is_empty() {
            return None;
        }
        noted.get(&(bucket, key.clone(), stamp)).map(|(_, last)| *last)
    }
}

impl Store {
    /// Notes that a client has read the object, if it is one of intelligent tiering.
    pub fn note_read(&self, bucket: &Bucket, key: &ObjectKey, object: &Object, now: Timestamp) {
        if !object.attributes.storage_class.is_tiered() {
            return;
        }
        let of = (bucket.id, key.clone(), object.version.stamp);
        let mut noted = self.reads().noted();
        if noted.len() < NOTED_MAX || noted.contains_key(&of) {
            noted.insert(of, (bucket.name.clone(), now));
        }
        if noted.len() >= MANY {
            self.reads().0.many.notify_one();
        }
    }

    /// Whether so many are noted that they are to be written down now.
    pub fn has_many_reads(&self) -> bool {
        self.reads().noted().len() >= MANY
    }

    /// Returns once that is so.
    pub async fn many_reads(&self) {
        while !self.has_many_reads() {
            self.reads().0.many.notified().await;
        }
    }

    /// When an object was last read, if that is not yet written down.
    pub fn last_read(&self, bucket: &Bucket, key: &ObjectKey, stamp: u64) -> Option<Timestamp> {
        self.reads().last(bucket.id, key, stamp)
    }

    /// Writes down all that is noted. Returns of how many objects.
    pub async fn write_reads(&self) -> Result<usize> {
        let all: Vec<(Of, (BucketName, Timestamp))> =
            self.reads().noted().iter().map(|(of, last)| (of.clone(), last.clone())).collect();
        for some in all.chunks(TOGETHER) {
            let written = some.to_vec();
            self.commit(move |tx| written.iter().try_for_each(|(of, last)| tx.write_read(of, last))).await?;
            let mut noted = self.reads().noted();
            for (of, last) in some {
                // It may have been read again.
                if noted.get(of) == Some(last) {
                    noted.remove(of);
                }
            }
        }
        Ok(all.len())
    }
}

impl Tx<'_> {
    fn write_read(
        &mut self,
        (bucket, key, stamp): &Of,
        (name, last): &(BucketName, Timestamp),
    ) -> Result<()> {
        let Some(bucket) = self.bucket(name)?.filter(|found| found.id == *bucket) else { return Ok(()) };
        let Some((row, mut object)) = self.stamped(&bucket, key, *stamp)? else { return Ok(()) };
        let tiering = &mut object.properties.tiering;
        if object.attributes.storage_class.is_tiered() && tiering.accessed < Some(*last) {
            tiering.accessed = Some(*last);
            self.put_row(row, object.encode()?);
        }
        Ok(())
    }
}
