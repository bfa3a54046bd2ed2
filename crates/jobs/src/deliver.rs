//! What jobs write into buckets: encrypted as asked, else as the bucket says of what is written to it.

use bytes::Bytes;
use cosette_model::op::WriteConditions;
use cosette_model::setting::BucketEncryption;
use cosette_model::{
    Acl, Attributes, Cause, Encryption, EventType, KmsKey, ObjectKey, Properties, SettingName, Wanted,
};
use cosette_store::{Bucket, PutObject, Sealed, Staged, Store};

use crate::Error;

/// Begins the body of an object of a bucket.
///
/// # Errors
/// The store's.
pub(crate) async fn stage(
    store: &Store,
    bucket: &Bucket,
    length: Option<u64>,
    asked: Option<Encryption>,
) -> Result<Staged, Error> {
    let how = match asked {
        Some(asked) => Some(asked),
        None => store.setting(&bucket.name, SettingName::Encryption.row())?.and_then(|row| {
            let default: Option<BucketEncryption> = serde_json::from_slice(&row).ok();
            default.as_ref().map(BucketEncryption::of)
        }),
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
    let Ok(key) = ObjectKey::new(name) else {
        tracing::warn!(bucket = %bucket.name, name, "not written: no object can have this name");
        return Ok(());
    };
    let cause = Cause {
        request_id: uuid::Uuid::new_v4().simple().to_string(),
        source_ip: "127.0.0.1".to_owned(),
        ..Cause::default()
    };
    let put = PutObject {
        bucket: bucket.name.clone(),
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
