//! What jobs write into buckets: encrypted as asked, else as the bucket says of what is written to it.

use bytes::Bytes;
use cosette_model::op::WriteConditions;
use cosette_model::{
    Acl, Attributes, BucketName, Cause, Encryption, EventType, KmsKey, ObjectKey, Properties, Setting,
    SettingName, Wanted,
};
use cosette_store::{Bucket, Error as StoreError, PutObject, Sealed, Staged, Store};

use crate::Error;

/// Begins the body of an object of a bucket.
///
/// # Errors
/// The store's; `Corrupt` when what the bucket says cannot be read.
pub(crate) async fn stage(
    store: &Store,
    bucket: &Bucket,
    length: Option<u64>,
    asked: Option<Encryption>,
) -> Result<Staged, Error> {
    let how = match asked {
        Some(asked) => Some(asked),
        None => default(store, bucket)?,
    };
    let seal = match how {
        None => None,
        Some(Encryption::Kms(key)) => {
            let id = Some(key.id.unwrap_or_else(|| bucket.own_kms_key()));
            Some(store.seal(&Encryption::Kms(KmsKey { id, ..key })).await?)
        }
        Some(how) => Some(store.seal(&how).await?),
    };
    Ok(store.stage_under(length, Wanted::default(), seal)?)
}

/// As the bucket says.
fn default(store: &Store, bucket: &Bucket) -> Result<Option<Encryption>, Error> {
    let name = SettingName::Encryption;
    let Some(row) = store.setting(&bucket.name, name.row())? else { return Ok(None) };
    match name.decode(&row) {
        Ok(Setting::Encryption(default)) => Ok(Some(default.of())),
        // Nothing is written in the clear because it is not known how it should be.
        _ => Err(StoreError::Corrupt { what: format!("encryption of bucket {}", bucket.name) }.into()),
    }
}

/// A body of one piece.
///
/// # Errors
/// The store's.
pub(crate) async fn whole(
    store: &Store,
    bucket: &Bucket,
    body: impl Into<Bytes>,
    asked: Option<Encryption>,
) -> Result<Sealed, Error> {
    let body = body.into();
    let mut staged = stage(store, bucket, Some(body.len() as u64), asked).await?;
    staged.write(body).await?;
    Ok(staged.seal().await?)
}

/// Makes it an object of its own name; one whose name cannot be is left out.
///
/// # Errors
/// The store's.
pub(crate) async fn put(
    store: &Store,
    bucket: &Bucket,
    name: &str,
    content_type: &str,
    acl: Option<Acl>,
    body: Sealed,
) -> Result<(), Error> {
    let cause = Cause {
        request_id: uuid::Uuid::new_v4().simple().to_string(),
        source_ip: "127.0.0.1".to_owned(),
        ..Cause::default()
    };
    put_by(store, bucket, name, content_type, acl, body, cause).await
}

/// Writes a document into a bucket, encrypted as the bucket says. Written again under its name it is replaced.
///
/// # Errors
/// The store's; `NoSuchBucket` when there is no such bucket.
pub async fn deposit(
    store: &Store,
    bucket: &BucketName,
    name: &str,
    document: String,
    cause: Cause,
) -> Result<(), StoreError> {
    let deposit = async {
        let found = store.bucket(bucket)?.ok_or_else(|| StoreError::NoSuchBucket(bucket.clone()))?;
        let body = whole(store, &found, document, None).await?;
        put_by(store, &found, name, "application/json", None, body, cause).await
    };
    deposit.await.map_err(|error| match error {
        Error::Store(error) => error,
        other => StoreError::Index(other.to_string()),
    })
}

async fn put_by(
    store: &Store,
    bucket: &Bucket,
    name: &str,
    content_type: &str,
    acl: Option<Acl>,
    body: Sealed,
    cause: Cause,
) -> Result<(), Error> {
    let Ok(key) = ObjectKey::new(name) else {
        tracing::warn!(bucket = %bucket.name, name, "not written: no object can have this name");
        return Ok(());
    };
    let put = PutObject {
        bucket: bucket.into(),
        key,
        attributes: Attributes { content_type: Some(content_type.to_owned()), ..Attributes::default() },
        properties: Properties { acl, ..Properties::default() },
        checksum_type: None,
        conditions: WriteConditions::default(),
        symlink: None,
        body,
        event: EventType::CreatedPut,
        cause,
    };
    store.put_object(put).await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_clock::Clock;
    use cosette_model::op::Owner;
    use cosette_model::setting::{BucketEncryption, DefaultMethod};
    use cosette_model::{BucketName, Region, Timestamp};
    use cosette_store::{Durability, Options};

    use super::*;

    #[tokio::test]
    async fn it_is_encrypted_as_the_bucket_says_or_not_written() {
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, Clock::frozen(Timestamp::from_secs(1_700_000_000))).unwrap();
        let owner = Owner { uin: "1".into(), appid: "1250000000".into(), name: String::new() };
        let region = Region::new("ap-guangzhou").unwrap();
        let name = BucketName::new("logs-1250000000").unwrap();
        let bucket = store.create_bucket(name.clone(), region, owner, Cause::default()).await.unwrap();
        let set = |row| store.set_setting(name.clone(), SettingName::Encryption.row(), row, Cause::default());
        let written = async || {
            let body = whole(&store, &bucket, "lines", None).await?;
            put(&store, &bucket, "log", "text/plain", None, body).await?;
            Ok::<_, Error>(store.object(&name, &ObjectKey::new("log").unwrap(), None)?.sealing.is_some())
        };
        assert!(!written().await.unwrap());
        let default = BucketEncryption { method: DefaultMethod::Service, bucket_key: false };
        set(Some(Setting::Encryption(default).encode().unwrap())).await.unwrap();
        assert!(written().await.unwrap());
        set(Some(b"{}".to_vec())).await.unwrap();
        assert!(matches!(written().await, Err(Error::Store(StoreError::Corrupt { .. }))));
        store.close().await.unwrap();
    }
}
