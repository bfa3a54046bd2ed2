//! Conditions are decided where the write is, so exactly one of many writers wins.

use cosette_model::ETag;
use cosette_model::op::TagMatch;

use super::*;

fn if_match(tag: TagMatch) -> WriteConditions {
    WriteConditions { if_match: Some(tag), ..Default::default() }
}

fn if_none_match(tag: TagMatch) -> WriteConditions {
    WriteConditions { if_none_match: Some(tag), ..Default::default() }
}

fn forbid() -> WriteConditions {
    WriteConditions { forbid_overwrite: true, ..Default::default() }
}

#[tokio::test]
async fn each_condition_is_checked_against_the_current_object() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    let other = || TagMatch::Tags(vec![ETag::parse("other")]);
    let write = async |conditions| put_if(&store, "bucket", "key", b"body", conditions).await;
    assert!(matches!(write(if_match(TagMatch::Any)).await, Err(Error::NoSuchObject(_))));
    assert!(matches!(write(if_match(other())).await, Err(Error::NoSuchObject(_))));
    write(if_none_match(other())).await.unwrap();
    let tag = TagMatch::Tags(vec![write(WriteConditions::default()).await.unwrap().etag]);
    assert!(matches!(write(if_match(other())).await, Err(Error::PreconditionFailed)));
    assert!(matches!(write(if_none_match(TagMatch::Any)).await, Err(Error::PreconditionFailed)));
    assert!(matches!(write(if_none_match(tag.clone())).await, Err(Error::PreconditionFailed)));
    assert!(matches!(write(forbid()).await, Err(Error::OverwriteForbidden)));
    let head = store.head();
    write(if_match(tag)).await.unwrap();
    write(if_match(TagMatch::Any)).await.unwrap();
    assert_eq!(store.head().0, head.0 + 2);
    assert!(matches!(put(&store, "absent", "key", b"").await, Err(Error::NoSuchBucket(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_writers_wins() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    for round in 0..20 {
        let object = format!("key-{round}");
        let writers: Vec<_> = (0..16u8)
            .map(|n| {
                let (store, object) = (store.clone(), object.clone());
                tokio::spawn(async move {
                    let condition = if n % 2 == 0 { if_none_match(TagMatch::Any) } else { forbid() };
                    put_if(&store, "bucket", &object, &[n; 10], condition).await.map(|_| n)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                Ok(n) => winners.push(n),
                Err(Error::PreconditionFailed | Error::OverwriteForbidden) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(get(&store, "bucket", &object).await.unwrap(), [winners[0]; 10]);
    }
    store.close().await.unwrap();
}

fn copy(from: &str, to: &str, conditions: Conditions) -> CopyObject {
    let mut copy = copy_of(("bucket", from), ("bucket", to));
    copy.source.conditions = conditions;
    copy.storage_class = StorageClass::StandardIa;
    copy
}

#[tokio::test]
async fn copies_share_a_body_until_the_last_is_gone() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    for len in [100, 100_000] {
        let body = bytes(len, 1);
        put(&store, "bucket", "a", &body).await.unwrap();
        let (copied, version) = store.copy_object(copy("a", "b", Conditions::default())).await.unwrap();
        assert_eq!((copied.size, version), (len as u64, None));
        assert_eq!(copied.attributes.storage_class, StorageClass::StandardIa);
        store.copy_object(copy("b", "b", Conditions::default())).await.unwrap();
        store.copy_object(copy("b", "c", Conditions::default())).await.unwrap();
        for gone in ["a", "b"] {
            assert!(delete(&store, "bucket", gone).await.unwrap());
            assert!(get(&store, "bucket", "c").await.unwrap() == body);
        }
        assert!(delete(&store, "bucket", "c").await.unwrap());
    }
    assert!(matches!(
        store.copy_object(copy("a", "b", Conditions::default())).await,
        Err(Error::NoSuchObject(_))
    ));
    put(&store, "bucket", "a", b"a").await.unwrap();
    let unmet = Conditions { if_none_match: Some(TagMatch::Any), ..Default::default() };
    assert!(matches!(store.copy_object(copy("a", "b", unmet)).await, Err(Error::PreconditionFailed)));
    recovery::until_no_body_is_left(&store, scratch.path()).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn versions_are_null_or_not_there() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "key", b"").await.unwrap();
    let unknown = VersionId::parse("MTg0NDUxNTc1NjIzMTQ1");
    let (bucket, object) = (name("bucket"), key("key"));
    assert!(store.object(&bucket, &object, Some(&VersionId::Null)).is_ok());
    assert!(matches!(store.object(&bucket, &object, Some(&unknown)), Err(Error::NoSuchVersion)));
    assert!(!delete_version(&store, "bucket", "key", Some(unknown)).await.unwrap().existed);
    assert!(delete_version(&store, "bucket", "key", Some(VersionId::Null)).await.unwrap().existed);
}

#[tokio::test]
async fn a_bucket_goes_only_when_empty() {
    let store = memory();
    let first = create(&store, "bucket").await.unwrap();
    assert!(matches!(create(&store, "bucket").await, Err(Error::BucketExists(_))));
    put(&store, "bucket", "key", b"").await.unwrap();
    let remove = async || store.delete_bucket(name("bucket"), false, cause()).await;
    assert!(matches!(remove().await, Err(Error::BucketNotEmpty(_))));
    delete(&store, "bucket", "key").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    assert!(matches!(remove().await, Err(Error::BucketNotEmpty(_))));
    store.abort_upload(name("bucket"), key("key"), id).await.unwrap();
    remove().await.unwrap();
    assert!(matches!(remove().await, Err(Error::NoSuchBucket(_))));
    let second = create(&store, "bucket").await.unwrap();
    assert_ne!(first.id, second.id);
    create(&store, "another").await.unwrap();
    let names: Vec<String> =
        store.buckets().unwrap().into_iter().map(|bucket| bucket.name.into_string()).collect();
    assert_eq!(names, ["another", "bucket"]);
}
