//! One copy: what it is to be like, and whether it may be made at all.

use cosette_model::setting::{BucketRef, ObjectLock, ReplicaOrder};
use cosette_model::{
    BucketName, Cause, Encryption, KmsKey, ObjectKey, Properties, Setting, SettingName, Timestamp, VersionId,
    Versioning,
};
use cosette_store::{Error as StoreError, Object, Replica, Replicate, Replicated, SealedBy, Sealing, View};

use super::{RETRY_AFTER, Replicator, TRIES, Task};
use crate::Error;

impl Replicator {
    /// Makes the copies of a change that are left; returns it if one is to be tried again later.
    ///
    /// # Errors
    /// Nothing can be done any more.
    pub(super) async fn copy_all(&self, mut task: Task) -> Result<Option<Task>, Error> {
        let (Some(key), Some(version)) = (task.change.key.clone(), task.change.version_id.clone()) else {
            return Ok(None);
        };
        while let Some(order) = task.change.replicas.get(task.done).cloned() {
            let what = what(&task, &order, &key, &version);
            match self.copy(what.clone(), order.clone()).await {
                Ok(Replicated::Failed(why)) => tell(&task, &order, &key, &why),
                Ok(Replicated::Done | Replicated::Nothing) => {}
                Err(error) if is_end(&error) => return Err(error),
                Err(error) if task.tries + 1 < TRIES => {
                    task.tries += 1;
                    return Ok(Some(self.later(task, &order, &key, &error)));
                }
                Err(error) => {
                    let (why, told) = (error.to_string(), error.to_string());
                    match self.store.replicate(what, |_, _, _| Err(why)).await.map_err(Error::from) {
                        Err(error) if is_end(&error) => return Err(error),
                        // It is not given up before a full disk takes it that it has been.
                        Err(error @ Error::Store(StoreError::Unavailable(_))) => {
                            return Ok(Some(self.later(task, &order, &key, &error)));
                        }
                        Err(error) => {
                            tracing::error!(bucket = %task.change.bucket, %key, %error, "replication")
                        }
                        Ok(_) => tell(&task, &order, &key, &told),
                    }
                }
            }
            task.done += 1;
            task.tries = 0;
        }
        Ok(None)
    }

    /// A change whose next copy the store has refused.
    fn later(&self, mut task: Task, order: &ReplicaOrder, key: &ObjectKey, error: &Error) -> Task {
        let (bucket, to) = (&task.change.bucket, &order.bucket.name);
        tracing::warn!(%bucket, %key, to, %error, "to be replicated later");
        task.at = self.clock.now().plus(RETRY_AFTER);
        task
    }

    /// The bucket that is meant: one that an S3 client has made without APPID answers to the name with it.
    fn destination(&self, to: &BucketRef) -> Result<Option<BucketName>, Error> {
        let Ok(name) = BucketName::new(to.name.as_str()) else { return Ok(None) };
        if self.store.bucket(&name)?.is_some() {
            return Ok(Some(name));
        }
        let (short, Some(appid)) = name.split_appid() else { return Ok(None) };
        let Ok(short) = BucketName::new(short) else { return Ok(None) };
        let found = self.store.bucket(&short)?.filter(|bucket| bucket.owner_appid == appid);
        Ok(found.map(|bucket| bucket.name))
    }

    async fn copy(&self, mut what: Replicate, order: ReplicaOrder) -> Result<Replicated, Error> {
        what.to = self.destination(&order.bucket)?;
        let sealing = self.sealing(&what, &order).await?;
        let now = self.clock.now();
        let decide = move |from: &View, to: Option<&View>, object: Option<&Object>| {
            let to = to.ok_or("the destination does not exist")?;
            accepts(from, to, &order)?;
            replica(from, to, &order, object, sealing, now)
        };
        Ok(self.store.replicate(what, decide).await?)
    }

    /// How the copy's key is kept, if the version's is kept in key management: under the key that the rule names.
    async fn sealing(&self, what: &Replicate, order: &ReplicaOrder) -> Result<Option<Sealing>, Error> {
        let object = match self.store.object(&what.bucket, &what.key, Some(&what.version)) {
            Ok(object) => object,
            // What is not there, or a marker, needs no key.
            Err(
                StoreError::NoSuchBucket(_)
                | StoreError::NoSuchObject(_)
                | StoreError::NoSuchVersion
                | StoreError::DeleteMarker { .. },
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(sealing) = object.sealing else { return Ok(None) };
        let (SealedBy::Kms(key), Some(to)) = (&sealing.by, &order.kms_key) else { return Ok(Some(sealing)) };
        let seal = self.store.unseal(&sealing, None)?;
        let key = KmsKey { id: Some(to.clone()), ..key.clone() };
        Ok(Some(self.store.reseal(&seal, &Encryption::Kms(key)).await?.sealing))
    }
}

/// The first of the copies that are left.
fn what(task: &Task, order: &ReplicaOrder, key: &ObjectKey, version: &VersionId) -> Replicate {
    let (change, after) = (&task.change, task.change.replicas.len() - task.done - 1);
    Replicate {
        bucket: change.bucket.clone(),
        key: key.clone(),
        version: version.clone(),
        after: u16::try_from(after).unwrap_or(u16::MAX),
        to: None,
        cause: Cause {
            request_id: change.cause.request_id.clone(),
            source_ip: change.cause.source_ip.clone(),
            rule: Some(order.rule.clone()),
            ..Cause::default()
        }
        .of(change.cause.chain()),
    }
}

/// The store takes nothing any more.
fn is_end(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Closed | StoreError::Poisoned(_)) | Error::Stopping)
}

fn tell(task: &Task, order: &ReplicaOrder, key: &ObjectKey, why: &str) {
    let (bucket, rule, to) = (&task.change.bucket, &order.rule, &order.bucket.name);
    tracing::warn!(%bucket, %key, rule, to, why, "not replicated");
}

/// Whether a bucket takes copies from another.
fn accepts(from: &View, to: &View, order: &ReplicaOrder) -> Result<(), &'static str> {
    let region = order.bucket.region.as_deref();
    if region.is_some_and(|region| region != to.bucket.region.as_str()) {
        return Err("the destination is in another region");
    }
    if to.bucket.id == from.bucket.id {
        return Err("the destination is the source");
    }
    if to.bucket.owner_uin != from.bucket.owner_uin {
        return Err("the destination is another account's");
    }
    if to.bucket.versioning != Versioning::Enabled {
        return Err("the destination has no versioning enabled");
    }
    Ok(())
}

fn replica(
    from: &View,
    to: &View,
    order: &ReplicaOrder,
    object: Option<&Object>,
    sealing: Option<Sealing>,
    now: Timestamp,
) -> Result<Replica, String> {
    let Some(object) = object else {
        let (storage_class, properties) = Default::default();
        return Ok(Replica { storage_class, properties, sealing: None });
    };
    let before = &object.properties;
    let (owner, acl) = if order.owner_destination {
        (None, None)
    } else {
        let owner = before.owner.as_ref().unwrap_or(&from.bucket.owner_uin);
        (Some(owner).filter(|owner| **owner != to.bucket.owner_uin).cloned(), before.acl.clone())
    };
    let mut lock = before.lock();
    match lock_of(to)? {
        None if lock != Default::default() => {
            return Err("the destination has no object lock".to_owned());
        }
        None => {}
        Some(set) => lock.retention = lock.retention.or(set.default.map(|default| default.of(now))),
    }
    let properties =
        Properties { tags: before.tags.clone(), acl, owner, ..Properties::default() }.locked(lock);
    let storage_class = order.class.unwrap_or(object.attributes.storage_class);
    Ok(Replica { storage_class, properties, sealing })
}

/// The object lock of a bucket.
fn lock_of(view: &View) -> Result<Option<ObjectLock>, String> {
    let name = SettingName::ObjectLock;
    match view.setting(name.row()).map(|row| name.decode(row)) {
        None => Ok(None),
        Some(Ok(Setting::ObjectLock(lock))) => Ok(Some(lock)),
        Some(_) => Err("the destination's object lock cannot be read".to_owned()),
    }
}
