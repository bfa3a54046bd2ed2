//! Multipart uploads: what is refused, what is listed, what is let go of.

use cosette_model::ETag;

use super::*;

fn tag(part: &Part) -> ETag {
    ETag::of_md5(part.md5)
}

#[tokio::test]
async fn completing_checks_the_parts() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    let one = part(&store, "bucket", "key", &id, 1, b"12345").await.unwrap();
    let two = part(&store, "bucket", "key", &id, 2, b"1").await.unwrap();
    let three = part(&store, "bucket", "key", &id, 3, b"123").await.unwrap();
    let (one, two, three) = (tag(&one), tag(&two), tag(&three));
    let tried = async |parts: &[(u64, ETag)], min| complete(&store, "bucket", "key", &id, parts, min).await;
    assert!(matches!(tried(&[], 1).await, Err(Error::InvalidPart(0))));
    assert!(matches!(tried(&[(2, two.clone()), (1, one.clone())], 1).await, Err(Error::InvalidPartOrder)));
    assert!(matches!(tried(&[(1, one.clone()), (1, one.clone())], 1).await, Err(Error::InvalidPartOrder)));
    assert!(matches!(tried(&[(1, two.clone())], 1).await, Err(Error::InvalidPart(1))));
    assert!(matches!(tried(&[(1, one.clone()), (4, one.clone())], 1).await, Err(Error::InvalidPart(4))));
    assert!(matches!(
        tried(&[(1, one.clone()), (2, two.clone()), (3, three.clone())], 5).await,
        Err(Error::PartTooSmall { number: 2, size: 1, min: 5 })
    ));
    assert!(store.object(&name("bucket"), &key("key"), None).is_err());
    tried(&[(1, one.clone()), (3, three.clone())], 5).await.unwrap();
    assert_eq!(get(&store, "bucket", "key").await.unwrap(), b"12345123");
    assert!(matches!(tried(&[(1, one)], 1).await, Err(Error::NoSuchUpload)));
}

/// The ETag that S3 and COS give to two parts "a" and "b": MD5 of both MD5s, then the count.
#[tokio::test]
async fn the_etag_of_parts_is_the_services_own() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    let a = part(&store, "bucket", "key", &id, 1, b"a").await.unwrap();
    let b = part(&store, "bucket", "key", &id, 2, b"b").await.unwrap();
    let object = complete(&store, "bucket", "key", &id, &[(1, tag(&a)), (2, tag(&b))], 1).await.unwrap();
    assert_eq!(object.etag.as_str(), "96e024ba2074fe77e8e965ba43a704be-2");
}

#[tokio::test]
async fn a_part_may_be_sent_again() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    assert_eq!(id.as_str().len(), 74);
    assert!(id.as_str().starts_with("1700000000"));
    assert!(id.as_str().bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
    for seed in 0..3 {
        part(&store, "bucket", "key", &id, 7, &bytes(100_000, seed)).await.unwrap();
    }
    part(&store, "bucket", "key", &id, 9, b"last").await.unwrap();
    let parts = store.parts(&name("bucket"), &key("key"), &id, 0, 10).unwrap();
    assert_eq!(
        parts.iter().map(|part| (part.number.get(), part.size)).collect::<Vec<_>>(),
        [(7, 100_000), (9, 4)]
    );
    assert_eq!(store.parts(&name("bucket"), &key("key"), &id, 7, 10).unwrap().len(), 1);
    assert_eq!(store.parts(&name("bucket"), &key("key"), &id, 0, 1).unwrap().len(), 1);
    assert!(matches!(store.parts(&name("bucket"), &key("else"), &id, 0, 1), Err(Error::NoSuchUpload)));
    store.abort_upload(name("bucket"), key("key"), id.clone()).await.unwrap();
    assert!(matches!(
        store.abort_upload(name("bucket"), key("key"), id.clone()).await,
        Err(Error::NoSuchUpload)
    ));
    assert!(matches!(part(&store, "bucket", "key", &id, 1, b"").await, Err(Error::NoSuchUpload)));
    recovery::until_no_body_is_left(&store, scratch.path()).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_long_manifest_is_shared_and_freed() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    let id = begin(&store, "bucket", "key").await.unwrap();
    let (mut etags, mut whole) = (Vec::new(), Vec::new());
    for number in 1..=600 {
        let body = bytes(if number % 100 == 0 { 40_000 } else { 10 }, number);
        etags.push((number, tag(&part(&store, "bucket", "key", &id, number, &body).await.unwrap())));
        whole.extend(body);
    }
    complete(&store, "bucket", "key", &id, &etags, 1).await.unwrap();
    let copy = copy_of(("bucket", "key"), ("bucket", "copy"));
    let (object, _) = store.copy_object(copy).await.unwrap();
    delete(&store, "bucket", "key").await.unwrap();
    assert!(get(&store, "bucket", "copy").await.unwrap() == whole);
    for (start, end) in [(2_549, 2_561), (whole.len() - 41_000, whole.len()), (45_000, 45_001)] {
        let stream =
            store.read(&name("bucket"), &key("key"), &object, Some((start as u64, end as u64))).unwrap();
        assert!(drain(stream).await.unwrap() == whole[start..end], "{start}..{end}");
    }
    delete(&store, "bucket", "copy").await.unwrap();
    recovery::until_no_body_is_left(&store, scratch.path()).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn uploads_are_listed_by_key_then_id() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    let mut all = Vec::new();
    for object in ["a/1", "a/1", "a/2", "b", "b", "b", "b\0c"] {
        all.push((object.to_owned(), begin(&store, "bucket", object).await.unwrap().into_string()));
    }
    all.sort();
    for max in 1..9 {
        let (mut seen, mut after, mut upload) = (Vec::new(), String::new(), String::new());
        loop {
            let page = store.list_uploads(&name("bucket"), &listing("", "", &after, max), &upload).unwrap();
            seen.extend(page.uploads.into_iter().map(|u| (u.key.into_string(), u.id.into_string())));
            let Some(next) = page.next else { break };
            (after, upload) = next;
        }
        assert_eq!(seen, all, "pages of {max}");
    }
    let page = |prefix: &str, after: &str, upload: &str, max| {
        let page = store.list_uploads(&name("bucket"), &listing(prefix, "/", after, max), upload).unwrap();
        let keys: Vec<String> = page.uploads.iter().map(|upload| upload.key.to_string()).collect();
        (keys, page.common_prefixes, page.next)
    };
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(page("", "", "", 9), (owned(&["b", "b", "b", "b\0c"]), owned(&["a/"]), None));
    assert_eq!(page("", "", "", 1), (vec![], owned(&["a/"]), Some(("a/".to_owned(), String::new()))));
    assert_eq!(page("", "a/", "", 9), (owned(&["b", "b", "b", "b\0c"]), vec![], None));
    assert_eq!(page("", "b", "", 9), (owned(&["b\0c"]), vec![], None));
    assert_eq!(page("", "", "ignored", 9).0.len(), 4);
    assert_eq!(page("a/", "", "", 9), (owned(&["a/1", "a/1", "a/2"]), vec![], None));
}

#[tokio::test]
async fn uploads_may_go_with_their_bucket() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    create(&store, "other").await.unwrap();
    for (bucket, key) in [("bucket", "a"), ("bucket", "b"), ("other", "a")] {
        let id = begin(&store, bucket, key).await.unwrap();
        part(&store, bucket, key, &id, 1, b"12345").await.unwrap();
    }
    put(&store, "bucket", "key", b"x").await.unwrap();
    let remove = async |with_uploads| store.delete_bucket(name("bucket"), with_uploads, cause()).await;
    let open = |bucket: &str| {
        let listing = Listing { max: 9, ..Listing::default() };
        store.list_uploads(&name(bucket), &listing, "").unwrap().uploads.len()
    };
    assert!(matches!(remove(true).await, Err(Error::BucketNotEmpty(_))));
    assert_eq!(open("bucket"), 2);
    delete(&store, "bucket", "key").await.unwrap();
    assert!(matches!(remove(false).await, Err(Error::BucketNotEmpty(_))));
    remove(true).await.unwrap();
    create(&store, "bucket").await.unwrap();
    assert_eq!((open("bucket"), open("other")), (0, 1));
    consistent::check(&store, None).await;
}
