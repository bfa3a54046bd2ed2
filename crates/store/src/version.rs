//! The versions of a key: which one is current, what a write or a delete does to the others.
//!
//! A current object lies in the table `Object`, where listings find it; every other version, and
//! every delete marker, in `Version`, newest first. So a key whose first row in `Version` is a
//! marker, and that has none in `Object`, is deleted.

use std::ops::ControlFlow;

use cosette_kv::{Engine, Range, Visit};
use cosette_model::{ObjectKey, VersionId, Versioning};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::record::{Bucket, Object, Summary, Version};
use crate::schema::{self, Kind};
use crate::tx::Tx;

/// What a key has now.
pub(crate) struct Current {
    /// `None` when there is nothing, or a delete marker.
    pub(crate) object: Option<Object>,
    /// The newest version's stamp; 0 when there is none.
    newest: u64,
}

/// What a version is.
pub(crate) enum Found {
    Object(Box<Object>),
    Marker(Summary),
}

impl Found {
    fn version(&self) -> Version {
        match self {
            Self::Object(object) => object.version,
            Self::Marker(marker) => marker.version,
        }
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        Ok(match Object::decode(record)? {
            Some(object) => Self::Object(Box::new(object)),
            None => Self::Marker(Summary::decode(record)?),
        })
    }
}

/// Where versions are looked up: what is committed, or what a commit in progress sees.
pub(crate) trait Rows {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Those of the range, in order.
    fn rows(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()>;
}

impl Rows for dyn Engine + '_ {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(key)?)
    }

    fn rows(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        Ok(self.scan(range, visit)?)
    }
}

impl Rows for Tx<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.row(key)
    }

    fn rows(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.rows(range, visit)
    }
}

/// Who may remove a version that is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bypass(pub(crate) bool);

impl Tx<'_> {
    pub(crate) fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Current> {
        let row = self.row(&schema::object(bucket.id, key))?;
        let object = row.map_or(Ok(None), |row| Object::decode(&row))?;
        let newest = match (&object, bucket.versioning) {
            (Some(object), _) => object.version.stamp,
            (None, Versioning::Off) => 0,
            (None, Versioning::Enabled | Versioning::Suspended) => {
                newest(self, bucket, key)?.map_or(Ok(0), |(row, _)| schema::stamp_of(&row))?
            }
        };
        Ok(Current { object, newest })
    }

    /// The place of the version that a write makes now.
    pub(crate) fn next_version(&self, bucket: &Bucket, current: &Current) -> Version {
        Version {
            stamp: self.now().as_micros().max(current.newest + 1).max(bucket.floor + 1),
            null: bucket.versioning != Versioning::Enabled,
        }
    }

    /// Makes room for `new` as the newest version: what was current becomes an older version, or is
    /// gone, and the null version goes if the new one is to be it.
    ///
    /// # Errors
    /// `Locked` when what would go is locked.
    pub(crate) fn make_room(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        current: Current,
        new: Version,
    ) -> Result<()> {
        let null = new.null;
        match current.object {
            Some(object) if object.version.null && null => {
                self.destroy(bucket, key, &object, Bypass::default())?;
                self.remove(schema::object(bucket.id, key));
            }
            Some(object) => {
                if object.version.null {
                    let stamp = object.version.stamp.to_be_bytes().to_vec();
                    self.put_row(schema::null(bucket.id, key), stamp);
                }
                self.put_row(schema::version(bucket.id, key, object.version.stamp), object.encode()?);
                self.remove(schema::object(bucket.id, key));
            }
            None => {}
        }
        if null && bucket.versioning != Versioning::Off {
            self.take(bucket, key, &VersionId::Null, Bypass::default())?;
        }
        Ok(())
    }

    /// Makes room for a version that is not null, and says which row it is to have. It may be an older one than
    /// those that are there; then they stay as they are.
    pub(crate) fn make_room_among(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        current: Current,
        new: Version,
    ) -> Result<Vec<u8>> {
        if new.stamp < current.newest {
            return Ok(schema::version(bucket.id, key, new.stamp));
        }
        self.make_room(bucket, key, current, new)?;
        Ok(schema::object(bucket.id, key))
    }

    /// Puts a delete marker among the versions: on top, if it is the newest.
    pub(crate) fn put_marker(&mut self, bucket: &Bucket, key: &ObjectKey, marker: &Summary) -> Result<()> {
        let version = marker.version;
        if version.null {
            self.put_row(schema::null(bucket.id, key), version.stamp.to_be_bytes().to_vec());
        }
        self.put_row(schema::version(bucket.id, key, version.stamp), marker.encode()?);
        Ok(())
    }

    /// Takes one version away for good; the next older one becomes current if it was.
    pub(crate) fn remove_version(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: &VersionId,
        bypass: Bypass,
    ) -> Result<Option<Found>> {
        let removed = self.take(bucket, key, id, bypass)?;
        if removed.is_some() && bucket.versioning != Versioning::Off {
            self.promote(bucket, key)?;
        }
        Ok(removed)
    }

    /// Takes one version away, whatever is left.
    fn take(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: &VersionId,
        bypass: Bypass,
    ) -> Result<Option<Found>> {
        let Some((row, found)) = find(self, bucket, key, Some(id))? else { return Ok(None) };
        self.retire(bucket, found.version())?;
        if let Found::Object(object) = &found {
            self.destroy(bucket, key, object, bypass)?;
        }
        if *id == VersionId::Null && row != schema::object(bucket.id, key) {
            self.remove(schema::null(bucket.id, key));
        }
        self.remove(row);
        Ok(Some(found))
    }

    /// A version's id must not come back. Later ones are after it as the clock is, unless that stands still.
    fn retire(&mut self, bucket: &Bucket, version: Version) -> Result<()> {
        if version.null || version.stamp < self.now().as_micros() {
            return Ok(());
        }
        let mut bucket = self.need_bucket(&bucket.name)?;
        if bucket.floor < version.stamp {
            bucket.floor = version.stamp;
            self.write(schema::bucket(&bucket.name), &bucket)?;
        }
        Ok(())
    }

    /// The object version of that stamp, with the row it lies in.
    pub(crate) fn stamped(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        stamp: u64,
    ) -> Result<Option<(Vec<u8>, Object)>> {
        for row in [schema::object(bucket.id, key), schema::version(bucket.id, key, stamp)] {
            let record = self.row(&row)?;
            let object = record.as_deref().map_or(Ok(None), Object::decode)?;
            if let Some(object) = object.filter(|object| object.version.stamp == stamp) {
                return Ok(Some((row, object)));
            }
        }
        Ok(None)
    }

    /// Makes the newest version current if it is an object and nothing is.
    fn promote(&mut self, bucket: &Bucket, key: &ObjectKey) -> Result<()> {
        let current = schema::object(bucket.id, key);
        if self.row(&current)?.is_none()
            && let Some((row, record)) = newest(self, bucket, key)?
            && let Some(object) = Object::decode(&record)?
        {
            self.remove(row);
            if object.version.null {
                self.remove(schema::null(bucket.id, key));
            }
            self.put_row(current, record);
        }
        Ok(())
    }

    /// A version is going for good: its bytes are let go of.
    fn destroy(&mut self, bucket: &Bucket, key: &ObjectKey, object: &Object, bypass: Bypass) -> Result<()> {
        if object.properties.is_locked(self.now(), bypass.0) {
            return Err(Error::Locked(key.clone()));
        }
        if let Some(list) = object.part_list {
            self.remove_all(&schema::part_list_of(list))?;
        }
        self.let_go(&object.content, &Holder::version(bucket.id, key, object.version.stamp))
    }
}

/// A version of the key, the current object if none is named, with the row it lies in. The newest
/// version tells of itself if it is a marker.
pub(crate) fn find(
    rows: &(impl Rows + ?Sized),
    bucket: &Bucket,
    key: &ObjectKey,
    id: Option<&VersionId>,
) -> Result<Option<(Vec<u8>, Found)>> {
    let row = schema::object(bucket.id, key);
    loop {
        let record = rows.row(&row)?;
        let current = record.as_deref().map_or(Ok(None), Object::decode)?;
        if let Some(object) = current
            && id.is_none_or(|id| object.version.id() == *id)
        {
            return Ok(Some((row, Found::Object(Box::new(object)))));
        }
        let older = match id {
            Some(id) => older(rows, bucket, key, id)?,
            None if bucket.versioning == Versioning::Off => return Ok(None),
            None => newest(rows, bucket, key)?,
        };
        let found = match older {
            Some((row, record)) => Some((row, Found::decode(&record)?)),
            None => None,
        };
        // A commit between the two reads may have made an older version current, which then was
        // in neither place.
        let is_sure = match &found {
            Some((_, Found::Object(_))) => id.is_some(),
            Some((_, Found::Marker(_))) => true,
            None => false,
        };
        if is_sure || rows.row(&row)? == record {
            return Ok(found);
        }
    }
}

/// The key's first row in `Version`, and its record.
pub(crate) fn newest(
    rows: &(impl Rows + ?Sized),
    bucket: &Bucket,
    key: &ObjectKey,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut found = None;
    let range = Range::prefix(&schema::of_key(Kind::Version, bucket.id, key.as_str()));
    rows.rows(&range, &mut |row, record| {
        found = Some((row.to_vec(), record.to_vec()));
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// A version's row in `Version`, and its record.
fn older(
    rows: &(impl Rows + ?Sized),
    bucket: &Bucket,
    key: &ObjectKey,
    id: &VersionId,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let null = *id == VersionId::Null;
    let stamp = if null {
        rows.row(&schema::null(bucket.id, key))?.and_then(|value| schema::number8(&value, 0))
    } else {
        id.stamp()
    };
    let Some(stamp) = stamp else { return Ok(None) };
    let row = schema::version(bucket.id, key, stamp);
    let Some(record) = rows.row(&row)? else { return Ok(None) };
    // The null version has a stamp as well, by which it cannot be asked for.
    Ok((Summary::decode(&record)?.version.null == null).then_some((row, record)))
}
