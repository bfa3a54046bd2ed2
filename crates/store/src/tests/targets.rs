//! What was decided of one bucket is not done to another of its name.

use cosette_model::EventType;

use super::*;
use crate::{AppendObject, ReviseObject, Seen, Target};

fn is_gone<T>(found: Result<T>) -> bool {
    matches!(found, Err(Error::NoSuchBucket(_)))
}

#[tokio::test]
async fn no_commit_meets_another_bucket_of_the_name() {
    let store = memory();
    let old = create(&store, "bucket").await.unwrap();
    let other = create(&store, "other").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    let body = || seal(&store, b"x");
    let put = async |bucket: Target| {
        let put = PutObject {
            bucket,
            key: key("key"),
            attributes: Attributes::default(),
            properties: Properties::default(),
            checksum_type: None,
            conditions: WriteConditions::default(),
            symlink: None,
            body: body().await,
            event: EventType::CreatedPut,
            cause: cause(),
        };
        store.put_object(put).await
    };
    put((&old).into()).await.unwrap();
    let seen = Seen::of(&old, &store.object(&name("bucket"), &key("key"), None).unwrap());
    delete(&store, "bucket", "key").await.unwrap();
    store.delete_bucket(&old, true, cause()).await.unwrap();
    assert!(is_gone(put((&old).into()).await));
    let new = create(&store, "bucket").await.unwrap();
    assert_ne!(old.id, new.id);

    assert!(is_gone(put((&old).into()).await));
    let append = |bucket: Target, body| AppendObject {
        bucket,
        key: key("key"),
        position: 0,
        attributes: Attributes::default(),
        properties: Properties::default(),
        body,
        cause: cause(),
    };
    assert!(is_gone(store.append_object(append((&old).into(), body().await)).await));
    let (attributes, properties) = (Attributes::default(), Properties::default());
    assert!(is_gone(store.create_upload(&old, key("key"), attributes, properties, None, None).await));
    let part = PutPart {
        bucket: (&old).into(),
        key: key("key"),
        upload: id.clone(),
        number: PartNumber::new(1).unwrap(),
        body: body().await,
    };
    assert!(is_gone(store.put_part(part).await));
    let complete = CompleteUpload {
        bucket: (&old).into(),
        key: key("key"),
        upload: id.clone(),
        parts: Vec::new(),
        part_size_min: 1,
        checksums: Vec::new(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        cause: cause(),
    };
    assert!(is_gone(store.complete_upload(complete).await));
    assert!(is_gone(store.abort_upload(&old, key("key"), id).await));
    assert!(is_gone(store.set_setting(&old, "cors", Some(vec![1]), cause()).await));
    let revised = store.revise_setting(&old, "cors", cause(), |_| Ok::<_, Error>(Some(vec![1]))).await;
    assert!(is_gone(revised));
    assert!(is_gone(store.claim_setting(&old, "cors", cause(), |_, _, _| Ok::<_, Error>(None)).await));
    assert!(is_gone(store.set_versioning(&old, true, cause()).await));
    assert!(is_gone(store.delete_bucket(&old, true, cause()).await));

    put((&new).into()).await.unwrap();
    let gone = DeleteObject {
        bucket: (&old).into(),
        key: key("key"),
        version: None,
        conditions: WriteConditions::default(),
        bypass_governance: false,
        cause: cause(),
    };
    assert!(is_gone(store.delete_object(gone).await));
    let what = ReviseObject { bucket: (&old).into(), key: key("key"), version: None, cause: cause() };
    assert!(is_gone(store.revise_object(what, |_| Ok::<_, Error>(())).await));
    // The clock stands still: the object has the stamp and the ETag of that in the old bucket.
    let copy = CopyObject { seen: Some(seen), ..copy_of(("bucket", "key"), ("other", "key")) };
    assert!(matches!(store.copy_object(copy).await, Err(Error::Changed)));
    let copy = CopyObject { bucket: (&old).into(), ..copy_of(("bucket", "key"), ("bucket", "key")) };
    assert!(is_gone(store.copy_object(copy).await));
    put((&other).into()).await.unwrap();
}
