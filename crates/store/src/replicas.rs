//! Copies of versions in other buckets, as their buckets' rules ask for (docs/replication.md).
//!
//! The commit that writes a version notes with its change which copies the rules in force ask for, and
//! with the version how many are to be made. Each copy is a commit: it makes the copy and counts it, so none
//! is made twice, whatever is tried again. A copy shares its bodies with what it is a copy of.

use cosette_model::setting::{ReplicaOrder, SealedFor, Written};
use cosette_model::{
    BucketName, Cause, ChangeKind, EventType, ObjectKey, Properties, ReplicaState, Setting, SettingName,
    StorageClass, VersionId, Versioning,
};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::object::subject;
use crate::record::{Bucket, Object, Summary, Version};
use crate::schema;
use crate::sealing::{SealedBy, Sealing};
use crate::store::Store;
use crate::tx::{Subject, Tx};
use crate::version::{Found, find};
use crate::views::View;

/// One of the copies that are to be made of a version.
#[derive(Clone, Debug)]
pub struct Replicate {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: VersionId,
    /// How many of its copies come after this one.
    pub after: u16,
    /// Where it is to be made; `None` if there is no such bucket.
    pub to: Option<BucketName>,
    /// Of the copy.
    pub cause: Cause,
}

/// What of a copy is not as in the version that it is of.
#[derive(Clone, Debug)]
pub struct Replica {
    pub storage_class: StorageClass,
    pub properties: Properties,
    /// How its key is kept, if the version is encrypted: the same key.
    pub sealing: Option<Sealing>,
}

/// What has become of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicated {
    Done,
    /// It cannot be made, and is not tried again; why not, for people.
    Failed(String),
    /// The version is gone, or this has been dealt with before.
    Nothing,
}

impl Store {
    /// Makes a copy, if `decide` says what it is to be: of its source's bucket, of that which it is to be in, if there
    /// is one, and of the version; `None` is a delete marker.
    ///
    /// # Errors
    /// The store's; then nothing has happened, and it may be tried again.
    pub async fn replicate<F>(&self, what: Replicate, decide: F) -> Result<Replicated>
    where
        F: FnOnce(&View, Option<&View>, Option<&Object>) -> Result<Replica, String> + Send + 'static,
    {
        let (_, replicated) = self.commit(move |tx| tx.replicate(what, decide)).await?;
        Ok(replicated)
    }
}

impl Tx<'_> {
    /// The copies that the rules of the bucket ask for of a version that this commit writes; `None` is a marker.
    pub(crate) fn orders(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Version,
        object: Option<&Object>,
    ) -> Result<Vec<ReplicaOrder>> {
        // Rules need versions; what has no part in them, as appendable objects, has none in rules.
        if version.null || bucket.versioning != Versioning::Enabled {
            return Ok(Vec::new());
        }
        let name = SettingName::Replication;
        let Some(row) = self.row(&schema::setting(bucket.id, name.row()))? else { return Ok(Vec::new()) };
        let Ok(Setting::Replication(rules)) = name.decode(&row) else {
            return Err(Error::corrupt(format!("replication of bucket {}", bucket.name)));
        };
        let sealed = object.and_then(|object| match object.sealing.as_ref()?.by {
            SealedBy::Service => None,
            SealedBy::Kms(_) => Some(SealedFor::Kms),
            SealedBy::Customer { .. } => Some(SealedFor::Customer),
        });
        let tags = object.map(|object| &object.properties.tags);
        let mut orders = rules.orders(&Written { key: key.as_str(), tags, sealed });
        orders.truncate(u16::MAX.into());
        Ok(orders)
    }

    fn replicate<F>(&mut self, what: Replicate, decide: F) -> Result<Replicated>
    where
        F: FnOnce(&View, Option<&View>, Option<&Object>) -> Result<Replica, String>,
    {
        let Replicate { bucket, key, version, after, to, cause } = what;
        let Some(from) = self.bucket(&bucket)? else { return Ok(Replicated::Nothing) };
        let from = self.view_of(from)?;
        let Some((row, found)) = find(self, &from.bucket, &key, Some(&version))? else {
            return Ok(Replicated::Nothing);
        };
        let (object, state) = match &found {
            Found::Object(object) => (Some(&**object), object.replica),
            Found::Marker(marker) => (None, marker.replica),
        };
        let turn = |fails| state.and_then(|state| state.next(after, fails));
        let Some(done) = turn(false) else { return Ok(Replicated::Nothing) };
        let to = to.map(|to| self.bucket(&to)).transpose()?.flatten();
        let to = to.map(|to| self.view_of(to)).transpose()?;
        let (replicated, state) = match (decide(&from, to.as_ref(), object), to) {
            (Ok(replica), Some(to)) => {
                match &found {
                    Found::Object(object) => self.put_replica(&to.bucket, &key, object, replica, cause)?,
                    Found::Marker(marker) => self.put_marker_replica(&to.bucket, &key, marker, cause)?,
                }
                (Replicated::Done, Some(done))
            }
            (Ok(_), None) => (Replicated::Failed("the destination does not exist".to_owned()), turn(true)),
            (Err(why), _) => (Replicated::Failed(why), turn(true)),
        };
        let record = match found {
            Found::Object(object) => Object { replica: state, ..*object }.encode()?,
            Found::Marker(marker) => Summary { replica: state, ..marker }.encode()?,
        };
        self.put_row(row, record);
        Ok(replicated)
    }

    fn put_replica(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        original: &Object,
        replica: Replica,
        cause: Cause,
    ) -> Result<()> {
        let Replica { storage_class, properties, sealing } = replica;
        let version = self.free_version(bucket, key, original.version)?;
        let content = self.share(&original.content, &Holder::version(bucket.id, key, version.stamp))?;
        let mut object = Object {
            version,
            properties,
            sealing,
            replica: Some(ReplicaState::Replica),
            content,
            part_list: self.copy_part_list(original.part_list)?,
            ..original.clone()
        };
        object.attributes.storage_class = storage_class;
        let current = self.current(bucket, key)?;
        let row = self.make_room_among(bucket, key, current, version)?;
        self.put_row(row, object.encode()?);
        let kind = ChangeKind::Object(EventType::CreatedReplication);
        self.change(kind, bucket, Some(subject(bucket, key, &object)), cause)
    }

    fn put_marker_replica(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        original: &Summary,
        cause: Cause,
    ) -> Result<()> {
        let version = self.free_version(bucket, key, original.version)?;
        let marker = Summary { version, replica: Some(ReplicaState::Replica), ..original.clone() };
        let current = self.current(bucket, key)?;
        self.make_room_among(bucket, key, current, version)?;
        self.put_marker(bucket, key, &marker)?;
        let what = Subject { key, version: Some(version.id()), object: None, replicas: Vec::new() };
        self.change(ChangeKind::MarkerReplicated, bucket, Some(what), cause)
    }

    /// The version's own place; where that is another's, written in both buckets in the same microsecond, the next
    /// one below that is free, so that it comes over nothing that is newer.
    fn free_version(&self, bucket: &Bucket, key: &ObjectKey, version: Version) -> Result<Version> {
        let current = self.current(bucket, key)?.object.map(|object| object.version.stamp);
        let mut stamp = version.stamp;
        while current == Some(stamp) || self.row(&schema::version(bucket.id, key, stamp))?.is_some() {
            stamp = stamp.checked_sub(1).ok_or_else(|| Error::corrupt("the versions of a key"))?;
        }
        Ok(Version { stamp, null: false })
    }

    /// The list of an object's parts, for another object.
    fn copy_part_list(&mut self, list: Option<u64>) -> Result<Option<u64>> {
        let Some(list) = list else { return Ok(None) };
        let (prefix, copy) = (schema::part_list_of(list), self.seq().0);
        for (row, parts) in self.collect(&prefix)? {
            self.put_row([&schema::part_list_of(copy), &row[prefix.len()..]].concat(), parts);
        }
        Ok(Some(copy))
    }
}
