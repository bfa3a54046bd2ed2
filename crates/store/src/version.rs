//! The versions of a key: which one is current, what a write or a delete does to the others.
//!
//! A current object lies in the table `Object`, where listings find it; every other version, and
//! every delete marker, in `Version`, newest first. So a key whose first row in `Version` is a
//! marker, and that has none in `Object`, is deleted.

use std::ops::ControlFlow;

use cosette_kv::Range;
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

/// A version that was taken away.
pub(crate) enum Removed {
    Object(Box<Object>),
    Marker,
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
                self.newest(bucket, key)?.map_or(0, |(stamp, _)| stamp)
            }
        };
        Ok(Current { object, newest })
    }

    /// Stamp and record of the key's first row in `Version`.
    fn newest(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<(u64, Vec<u8>)>> {
        let mut found = None;
        let range = Range::prefix(&schema::of_key(Kind::Version, bucket.id, key.as_str()));
        self.rows(&range, &mut |row, value| {
            found = Some(schema::stamp_of(row).map(|stamp| (stamp, value.to_vec())));
            ControlFlow::Break(())
        })?;
        found.transpose()
    }

    /// The place of the version that a write makes now.
    pub(crate) fn next_version(&self, bucket: &Bucket, current: &Current) -> Version {
        Version {
            stamp: self.now().as_micros().max(current.newest + 1),
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
            self.remove_older(bucket, key, &VersionId::Null, Bypass::default())?;
        }
        Ok(())
    }

    /// Puts a delete marker on top.
    pub(crate) fn put_marker(&mut self, bucket: &Bucket, key: &ObjectKey, version: Version) -> Result<()> {
        let marker = Summary::marker(version, self.now());
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
    ) -> Result<Option<Removed>> {
        let current = self.current(bucket, key)?;
        let removed = match current.object {
            Some(object) if object.version.id() == *id => {
                self.destroy(bucket, key, &object, bypass)?;
                self.remove(schema::object(bucket.id, key));
                Removed::Object(Box::new(object))
            }
            Some(_) => return self.remove_older(bucket, key, id, bypass),
            None => match self.remove_older(bucket, key, id, bypass)? {
                Some(removed) => removed,
                None => return Ok(None),
            },
        };
        self.promote(bucket, key)?;
        Ok(Some(removed))
    }

    /// Makes the newest version current if it is an object and nothing is.
    fn promote(&mut self, bucket: &Bucket, key: &ObjectKey) -> Result<()> {
        if bucket.versioning == Versioning::Off {
            return Ok(());
        }
        if let Some((stamp, record)) = self.newest(bucket, key)?
            && let Some(object) = Object::decode(&record)?
        {
            self.remove(schema::version(bucket.id, key, stamp));
            if object.version.null {
                self.remove(schema::null(bucket.id, key));
            }
            self.put_row(schema::object(bucket.id, key), record);
        }
        Ok(())
    }

    /// Takes away a version that lies in `Version`.
    fn remove_older(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: &VersionId,
        bypass: Bypass,
    ) -> Result<Option<Removed>> {
        let Some((row, record)) = self.older(bucket, key, id)? else { return Ok(None) };
        let removed = match Object::decode(&record)? {
            Some(object) => {
                self.destroy(bucket, key, &object, bypass)?;
                Removed::Object(Box::new(object))
            }
            None => Removed::Marker,
        };
        if *id == VersionId::Null {
            self.remove(schema::null(bucket.id, key));
        }
        self.remove(row);
        Ok(Some(removed))
    }

    fn older(&self, bucket: &Bucket, key: &ObjectKey, id: &VersionId) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        older(bucket, key, id, |row| self.row(row))
    }

    /// A version of the key with the row it lies in; `None` if there is none or it is a marker.
    pub(crate) fn version(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<&VersionId>,
    ) -> Result<Option<(Vec<u8>, Object)>> {
        let row = schema::object(bucket.id, key);
        let current = self.row(&row)?.map_or(Ok(None), |record| Object::decode(&record))?;
        match (current, id) {
            (Some(object), id) if id.is_none_or(|id| object.version.id() == *id) => Ok(Some((row, object))),
            (_, None) => Ok(None),
            (_, Some(id)) => match self.older(bucket, key, id)? {
                Some((row, record)) => Ok(Object::decode(&record)?.map(|object| (row, object))),
                None => Ok(None),
            },
        }
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

/// Key and record of a version's row in `Version`, marker or object, read through `get`.
pub(crate) fn older(
    bucket: &Bucket,
    key: &ObjectKey,
    id: &VersionId,
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let null = *id == VersionId::Null;
    let stamp = if null {
        get(&schema::null(bucket.id, key))?.and_then(|value| schema::number8(&value, 0))
    } else {
        id.stamp()
    };
    let Some(stamp) = stamp else { return Ok(None) };
    let row = schema::version(bucket.id, key, stamp);
    let Some(record) = get(&row)? else { return Ok(None) };
    // The null version has a stamp as well, by which it cannot be asked for.
    Ok((Summary::decode(&record)?.version.null == null).then_some((row, record)))
}
