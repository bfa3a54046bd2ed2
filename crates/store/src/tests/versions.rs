//! Versions by example: what each request does in a bucket that never had them, that has them, and
//! that has them no more.

use std::cell::Cell;
use std::collections::BTreeMap;

use cosette_kv::{Range, Visit};
use cosette_model::op::TagMatch;
use cosette_model::{Change, ChangeKind, ETag, EventType, Retention, RetentionMode, Seq, Versioning};

use super::*;
use crate::record::Layout;
use crate::schema::Kind;
use crate::version::{Found, Rows, find};
use crate::{AppendObject, ReviseObject, Tx, VersionPage};

const ENABLED: bool = true;
const SUSPENDED: bool = false;

async fn versioning(store: &Store, enabled: bool) {
    store.set_versioning(name("bucket"), enabled, cause()).await.unwrap();
}

/// A store with a bucket that has versions.
async fn enabled() -> Store {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    versioning(&store, ENABLED).await;
    store
}

/// Puts and says what the version is called.
async fn add(store: &Store, object: &str, body: &str) -> VersionId {
    put(store, "bucket", object, body.as_bytes()).await.unwrap().version.id()
}

/// Deletes, and says what the marker is called.
async fn mark(store: &Store, object: &str) -> VersionId {
    let deleted = delete_version(store, "bucket", object, None).await.unwrap();
    assert!(deleted.delete_marker);
    deleted.version.unwrap()
}

async fn drop_version(store: &Store, object: &str, id: &VersionId) -> Deleted {
    delete_version(store, "bucket", object, Some(id.clone())).await.unwrap()
}

/// What a read of the key, or of a version of it, gives.
async fn read(store: &Store, object: &str, id: Option<&VersionId>) -> Result<String> {
    let found = store.object(&name("bucket"), &key(object), id)?;
    let stream = store.read(&name("bucket"), &key(object), &found, None)?;
    Ok(String::from_utf8(drain(stream).await.unwrap()).unwrap())
}

fn page(store: &Store, of: &Listing, marker: Option<&VersionId>) -> VersionPage {
    store.list_versions(&name("bucket"), of, marker).unwrap()
}

/// Key and version of each, a marker with a dash before it, the latest with a star after it.
fn shown(page: &VersionPage) -> Vec<String> {
    let versions = page.versions.iter().map(|listed| {
        let (marker, latest) = (listed.summary.delete_marker, listed.latest);
        let (dash, star) = (if marker { "-" } else { "" }, if latest { "*" } else { "" });
        format!("{dash}{} {}{star}", listed.key, listed.summary.version.id().as_str())
    });
    versions.collect()
}

fn all(store: &Store) -> Vec<String> {
    shown(&page(store, &listing("", "", "", 1_000), None))
}

fn keys(store: &Store) -> Vec<String> {
    let page = store.list_objects(&name("bucket"), &listing("", "", "", 1_000)).unwrap();
    page.objects.into_iter().map(|(key, _)| key.into_string()).collect()
}

fn last_change(store: &Store) -> Change {
    store.changes(Seq(0), usize::MAX).unwrap().pop().unwrap()
}

/// Kind, version and size of the last change.
fn said(store: &Store) -> (Option<EventType>, Option<VersionId>, u64) {
    let change = last_change(store);
    (change.kind.event(), change.version_id, change.size)
}

async fn revise(store: &Store, object: &str, id: Option<&VersionId>, to: Properties) -> Result<Object> {
    let what = ReviseObject {
        bucket: name("bucket").into(),
        key: key(object),
        version: id.cloned(),
        cause: cause(),
    };
    let revise = move |revision: &mut crate::Revision<'_>| {
        revision.properties = to;
        Ok::<_, Error>(())
    };
    store.revise_object(what, revise).await
}

#[tokio::test]
async fn a_bucket_that_never_had_versions_keeps_one() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    assert_eq!(store.bucket(&name("bucket")).unwrap().unwrap().versioning, Versioning::Off);
    assert_eq!(add(&store, "key", "1").await, VersionId::Null);
    assert_eq!(add(&store, "key", "22").await, VersionId::Null);
    assert_eq!(said(&store), (Some(EventType::CreatedPut), None, 2));
    assert_eq!(all(&store), ["key null*"]);
    assert_eq!(read(&store, "key", None).await.unwrap(), "22");
    assert_eq!(read(&store, "key", Some(&VersionId::Null)).await.unwrap(), "22");
    let other = VersionId::of_stamp(1);
    assert!(matches!(read(&store, "key", Some(&other)).await, Err(Error::NoSuchVersion)));
    let nothing = Deleted { version: Some(other.clone()), delete_marker: false, existed: false };
    assert_eq!(drop_version(&store, "key", &other).await, nothing);
    let deleted = delete_version(&store, "bucket", "key", None).await.unwrap();
    assert_eq!(deleted, Deleted { version: None, delete_marker: false, existed: true });
    assert_eq!(said(&store), (Some(EventType::RemovedDelete), None, 2));
    assert!(matches!(read(&store, "key", None).await, Err(Error::NoSuchObject(_))));
    assert!(all(&store).is_empty());
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn each_write_of_a_bucket_with_versions_adds_one() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    add(&store, "key", "before").await;
    versioning(&store, ENABLED).await;
    let (one, two) = (add(&store, "key", "1").await, add(&store, "key", "22").await);
    assert_eq!(said(&store), (Some(EventType::CreatedPut), Some(two.clone()), 2));
    assert!(two.as_str() < one.as_str() && one.as_str().len() == 27);
    let (o, t) = (one.as_str(), two.as_str());
    assert_eq!(all(&store), [format!("key {t}*"), format!("key {o}"), "key null".to_owned()]);
    for (id, body) in [(&one, "1"), (&two, "22"), (&VersionId::Null, "before")] {
        assert_eq!(read(&store, "key", Some(id)).await.unwrap(), body);
    }
    assert_eq!(read(&store, "key", None).await.unwrap(), "22");
    // The null version has a stamp, by which it cannot be asked for.
    let null = store.object(&name("bucket"), &key("key"), Some(&VersionId::Null)).unwrap();
    let by_stamp = VersionId::of_stamp(null.version.stamp);
    assert!(matches!(read(&store, "key", Some(&by_stamp)).await, Err(Error::NoSuchVersion)));
    assert!(!drop_version(&store, "key", &by_stamp).await.existed);
    assert!(matches!(read(&store, "key", Some(&VersionId::parse("x"))).await, Err(Error::NoSuchVersion)));
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn a_delete_adds_a_marker_and_deleting_that_undoes_it() {
    let store = enabled().await;
    let one = add(&store, "key", "1").await;
    let two = add(&store, "key", "2").await;
    let marker = mark(&store, "key").await;
    assert_eq!(said(&store), (Some(EventType::RemovedDeleteMarkerCreated), Some(marker.clone()), 0));
    assert_eq!(last_change(&store).etag, None);
    let (o, t, m) = (one.as_str(), two.as_str(), marker.as_str());
    assert_eq!(all(&store), [format!("-key {m}*"), format!("key {t}"), format!("key {o}")]);
    assert!(keys(&store).is_empty(), "a deleted key is not listed");
    match read(&store, "key", None).await {
        Err(Error::DeleteMarker { version, named: false, .. }) => assert_eq!(version, marker),
        other => panic!("{other:?}"),
    }
    match read(&store, "key", Some(&marker)).await {
        Err(Error::DeleteMarker { version, named: true, .. }) => assert_eq!(version, marker),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&store, "key", Some(&one)).await.unwrap(), "1");
    // A second marker, and one on a key that never was: nothing was there to delete.
    let deleted = delete_version(&store, "bucket", "key", None).await.unwrap();
    assert!(deleted.delete_marker && !deleted.existed);
    let again = deleted.version.unwrap();
    assert!(!delete_version(&store, "bucket", "other", None).await.unwrap().existed);
    assert_eq!(all(&store).len(), 5);
    // Taking the older marker away shows nothing yet, taking the newer one away shows the object.
    let gone = drop_version(&store, "key", &marker).await;
    assert_eq!(gone, Deleted { version: Some(marker.clone()), delete_marker: true, existed: true });
    assert_eq!(said(&store), (Some(EventType::RemovedDelete), Some(marker), 0));
    assert!(keys(&store).is_empty());
    assert!(drop_version(&store, "key", &again).await.delete_marker);
    assert_eq!(keys(&store), ["key"]);
    assert_eq!(read(&store, "key", None).await.unwrap(), "2");
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn deleting_the_newest_version_shows_the_next() {
    let store = enabled().await;
    let one = add(&store, "key", "1").await;
    let marker = mark(&store, "key").await;
    let two = add(&store, "key", "22").await;
    let three = add(&store, "key", "333").await;
    let gone = drop_version(&store, "key", &three).await;
    assert_eq!(gone, Deleted { version: Some(three.clone()), delete_marker: false, existed: true });
    assert_eq!(said(&store), (Some(EventType::RemovedDelete), Some(three.clone()), 3));
    assert_eq!(read(&store, "key", None).await.unwrap(), "22");
    assert!(matches!(read(&store, "key", Some(&three)).await, Err(Error::NoSuchVersion)));
    assert!(!drop_version(&store, "key", &three).await.existed, "it is gone already");
    drop_version(&store, "key", &two).await;
    assert!(matches!(read(&store, "key", None).await, Err(Error::DeleteMarker { .. })));
    drop_version(&store, "key", &one).await;
    assert_eq!(all(&store), [format!("-key {}*", marker.as_str())]);
    drop_version(&store, "key", &marker).await;
    assert!(all(&store).is_empty());
    assert!(matches!(read(&store, "key", None).await, Err(Error::NoSuchObject(_))));
    store.delete_bucket(name("bucket"), false, cause()).await.unwrap();
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn a_suspended_bucket_replaces_its_null_version_wherever_that_is() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    add(&store, "key", "before").await;
    versioning(&store, ENABLED).await;
    let one = add(&store, "key", "1").await;
    versioning(&store, SUSPENDED).await;
    // At the bottom: it goes, and the new one is on top of the other versions.
    assert_eq!(add(&store, "key", "null").await, VersionId::Null);
    assert_eq!(said(&store), (Some(EventType::CreatedPut), Some(VersionId::Null), 4));
    let o = one.as_str();
    assert_eq!(all(&store), ["key null*".to_owned(), format!("key {o}")]);
    // On top.
    add(&store, "key", "again").await;
    assert_eq!(all(&store), ["key null*".to_owned(), format!("key {o}")]);
    assert_eq!(read(&store, "key", Some(&VersionId::Null)).await.unwrap(), "again");
    // By a marker, which is the null version then, and which the next marker replaces.
    for existed in [true, false] {
        let deleted = delete_version(&store, "bucket", "key", None).await.unwrap();
        assert_eq!(deleted, Deleted { version: Some(VersionId::Null), delete_marker: true, existed });
        assert_eq!(all(&store), ["-key null*".to_owned(), format!("key {o}")]);
    }
    let null = Some(&VersionId::Null);
    assert!(matches!(read(&store, "key", null).await, Err(Error::DeleteMarker { named: true, .. })));
    assert_eq!(read(&store, "key", Some(&one)).await.unwrap(), "1");
    // In the middle, as a marker.
    versioning(&store, ENABLED).await;
    let two = add(&store, "key", "2").await;
    versioning(&store, SUSPENDED).await;
    let t = two.as_str();
    assert_eq!(all(&store), [format!("key {t}*"), "-key null".to_owned(), format!("key {o}")]);
    add(&store, "key", "last").await;
    assert_eq!(all(&store), ["key null*".to_owned(), format!("key {t}"), format!("key {o}")]);
    consistent::check(&store, None).await;
    // Deleted by its name, it shows what is below.
    assert!(drop_version(&store, "key", &VersionId::Null).await.existed);
    assert_eq!(read(&store, "key", None).await.unwrap(), "2");
    assert!(matches!(read(&store, "key", null).await, Err(Error::NoSuchVersion)));
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn a_null_version_that_is_shown_again_can_be_replaced() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    add(&store, "key", "before").await;
    versioning(&store, ENABLED).await;
    let one = add(&store, "key", "1").await;
    drop_version(&store, "key", &one).await;
    assert_eq!(all(&store), ["key null*"]);
    consistent::check(&store, None).await;
    versioning(&store, SUSPENDED).await;
    add(&store, "key", "after").await;
    assert_eq!(all(&store), ["key null*"]);
    assert_eq!(read(&store, "key", None).await.unwrap(), "after");
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn versions_that_are_left_keep_their_bucket() {
    let store = enabled().await;
    let one = add(&store, "key", "1").await;
    let marker = mark(&store, "key").await;
    let remove = async || store.delete_bucket(name("bucket"), false, cause()).await;
    assert!(matches!(remove().await, Err(Error::BucketNotEmpty(_))));
    drop_version(&store, "key", &one).await;
    assert!(matches!(remove().await, Err(Error::BucketNotEmpty(_))), "a marker is left");
    drop_version(&store, "key", &marker).await;
    store.set_setting(name("bucket"), "cors", Some(vec![1]), cause()).await.unwrap();
    remove().await.unwrap();
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn a_condition_takes_a_marker_for_nothing() {
    let store = enabled().await;
    add(&store, "key", "1").await;
    mark(&store, "key").await;
    let write = async |conditions| put_if(&store, "bucket", "key", b"", conditions).await;
    let any = || Some(TagMatch::Any);
    let present = WriteConditions { if_match: any(), ..Default::default() };
    assert!(matches!(write(present).await, Err(Error::NoSuchObject(_))));
    let forbid = || WriteConditions { forbid_overwrite: true, ..Default::default() };
    // Where there are versions it does not count.
    write(forbid()).await.unwrap();
    write(forbid()).await.unwrap();
    mark(&store, "key").await;
    write(WriteConditions { if_none_match: any(), ..Default::default() }).await.unwrap();
}

/// Keys with several versions, markers and null versions among them.
async fn mixed() -> Store {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    for object in ["a", "a/1", "b"] {
        add(&store, object, "before").await;
    }
    versioning(&store, ENABLED).await;
    for object in ["a", "a\0", "a/1", "a/2", "c"] {
        add(&store, object, "1").await;
        add(&store, object, "2").await;
    }
    for object in ["a/1", "c", "nothing"] {
        mark(&store, object).await;
    }
    versioning(&store, SUSPENDED).await;
    add(&store, "a", "null").await;
    mark(&store, "c").await;
    store
}

#[tokio::test]
async fn versions_are_listed_by_key_and_newest_first_in_pages_of_any_size() {
    let store = mixed().await;
    let whole = page(&store, &listing("", "", "", 1_000), None);
    let order: Vec<_> =
        whole.versions.iter().map(|v| (v.key.as_str(), std::cmp::Reverse(v.summary.version.stamp))).collect();
    assert!(order.is_sorted() && order.len() == 17);
    let latest: Vec<&str> = whole.versions.iter().filter(|v| v.latest).map(|v| v.key.as_str()).collect();
    assert_eq!(latest, ["a", "a\0", "a/1", "a/2", "b", "c", "nothing"]);
    assert_eq!(keys(&store), ["a", "a\0", "a/2", "b"]);
    for (prefix, delimiter) in [("", ""), ("", "/"), ("a", ""), ("a/", "/"), ("a", "/"), ("x", "")] {
        let whole = page(&store, &listing(prefix, delimiter, "", 1_000), None);
        assert!(whole.next.is_none());
        for max in 1..9 {
            let (mut versions, mut common) = (Vec::new(), Vec::new());
            let (mut after, mut marker) = (String::new(), None);
            loop {
                let one = page(&store, &listing(prefix, delimiter, &after, max), marker.as_ref());
                assert!(one.versions.len() + one.common_prefixes.len() <= max as usize);
                versions.extend(one.versions);
                common.extend(one.common_prefixes);
                let Some(next) = one.next else { break };
                (after, marker) = next;
            }
            assert_eq!((versions, &common), (whole.versions.clone(), &whole.common_prefixes), "{max}");
        }
    }
    assert_eq!(page(&store, &listing("", "/", "", 9), None).common_prefixes, ["a/"]);
    // A key marker alone leaves the whole key out.
    let after = shown(&page(&store, &listing("", "", "a/2", 9), None));
    assert_eq!(after[0], "b null*");
    let nothing = page(&store, &listing("", "", "", 0), None);
    assert!(nothing.versions.is_empty() && nothing.next.is_none());
    let odd = store.list_versions(&name("bucket"), &listing("", "", "a", 9), Some(&VersionId::parse("odd")));
    assert!(matches!(odd, Err(Error::NoSuchVersion)));
}

/// Whoever empties a bucket deletes each page before the next: what a page ended with is gone then,
/// and what was below it is current.
#[tokio::test]
async fn a_bucket_can_be_emptied_page_by_page() {
    for max in 1..8 {
        let store = mixed().await;
        let (mut after, mut marker) = (String::new(), None);
        loop {
            let one = page(&store, &listing("", "", &after, max), marker.as_ref());
            for listed in &one.versions {
                assert!(
                    drop_version(&store, listed.key.as_str(), &listed.summary.version.id()).await.existed
                );
            }
            let Some(next) = one.next else { break };
            (after, marker) = next;
        }
        assert!(all(&store).is_empty(), "pages of {max} leave {:?}", all(&store));
        consistent::check(&store, None).await;
    }
}

#[tokio::test]
async fn what_is_left_of_a_key_after_its_marker_says_if_it_is_latest() {
    let store = enabled().await;
    let ids = [add(&store, "key", "1").await, mark(&store, "key").await, add(&store, "key", "3").await];
    let after = |id: &VersionId| shown(&page(&store, &listing("", "", "key", 9), Some(id)));
    let (one, marker) = (ids[0].as_str(), ids[1].as_str());
    assert_eq!(after(&ids[2]), [format!("-key {marker}"), format!("key {one}")]);
    drop_version(&store, "key", &ids[2]).await;
    assert_eq!(after(&ids[2]), [format!("-key {marker}*"), format!("key {one}")]);
    drop_version(&store, "key", &ids[1]).await;
    assert_eq!(after(&ids[2]), [format!("key {one}*")]);
    assert_eq!(after(&ids[0]), Vec::<String>::new());
}

#[tokio::test]
async fn one_version_can_be_copied() {
    let store = enabled().await;
    let one = add(&store, "key", "1").await;
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let tagged = Properties { tags: tags.clone(), legal_hold: true, ..Properties::default() };
    revise(&store, "key", Some(&one), tagged).await.unwrap();
    let two = add(&store, "key", "2").await;
    let copied = async |id: Option<VersionId>, to: &str| {
        let mut copy = copy_of(("bucket", "key"), ("bucket", to));
        copy.source.version = id;
        store.copy_object(copy).await
    };
    let (object, source) = copied(Some(one.clone()), "copy").await.unwrap();
    assert_eq!(source, Some(one.clone()));
    assert_eq!((&object.properties.tags, object.properties.legal_hold), (&tags, false));
    assert_eq!(said(&store), (Some(EventType::CreatedCopy), Some(object.version.id()), 1));
    assert_eq!(read(&store, "copy", None).await.unwrap(), "1");
    // An old version copied over its key is the newest.
    copied(Some(one.clone()), "key").await.unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap(), "1");
    assert_eq!(all(&store).len(), 4);
    let (_, source) = copied(None, "copy").await.unwrap();
    assert!(source.is_some_and(|id| id != one && id != two));
    let marker = mark(&store, "key").await;
    assert!(matches!(copied(None, "copy").await, Err(Error::NoSuchObject(_))));
    assert!(matches!(copied(Some(marker), "copy").await, Err(Error::NoSuchVersion)));
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn what_may_change_of_a_version_changes_of_that_one() {
    let store = enabled().await;
    let one = add(&store, "key", "1").await;
    let two = add(&store, "key", "2").await;
    let tagged = |text: &str| Properties {
        tags: BTreeMap::from([("tag".to_owned(), text.to_owned())]),
        ..Properties::default()
    };
    revise(&store, "key", Some(&one), tagged("one")).await.unwrap();
    assert_eq!(last_change(&store).kind, ChangeKind::SettingChanged);
    assert_eq!(last_change(&store).version_id, Some(one.clone()));
    revise(&store, "key", None, tagged("two")).await.unwrap();
    let tag = |id: &VersionId| {
        let object = store.object(&name("bucket"), &key("key"), Some(id)).unwrap();
        object.properties.tags["tag"].clone()
    };
    assert_eq!((tag(&one), tag(&two)), ("one".to_owned(), "two".to_owned()));
    // What is refused changes nothing.
    let head = store.head();
    let what = ReviseObject { bucket: name("bucket").into(), key: key("key"), version: None, cause: cause() };
    let refused = store.revise_object(what, |revision| {
        revision.properties.tags.clear();
        Err::<(), _>(Error::PreconditionFailed)
    });
    assert!(matches!(refused.await, Err(Error::PreconditionFailed)));
    assert_eq!((store.head(), tag(&two)), (head, "two".to_owned()));
}

#[tokio::test]
async fn a_locked_version_cannot_be_removed() {
    let clock = clock();
    let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 8 << 20 };
    let store = Store::open_with(options, clock.clone(), Disk::default(), quick()).unwrap();
    create(&store, "bucket").await.unwrap();
    let until = clock.now().plus(Duration::from_secs(10));
    let retained = |mode| Properties { retention: Some(Retention { mode, until }), ..Properties::default() };
    let held = || Properties { legal_hold: true, ..Properties::default() };
    let remove = async |id: Option<VersionId>, bypass_governance| {
        let delete = DeleteObject {
            bucket: name("bucket").into(),
            key: key("key"),
            version: id,
            conditions: WriteConditions::default(),
            bypass_governance,
            cause: cause(),
        };
        store.delete_object(delete).await
    };
    // Where there are no versions, a write or a delete would remove it, and so would an upload.
    add(&store, "key", "1").await;
    revise(&store, "key", None, held()).await.unwrap();
    assert!(matches!(put(&store, "bucket", "key", b"").await, Err(Error::Locked(_))));
    assert!(matches!(
        store.copy_object(copy_of(("bucket", "key"), ("bucket", "key"))).await,
        Err(Error::Locked(_))
    ));
    let upload = begin(&store, "bucket", "key").await.unwrap();
    let etag = ETag::of_md5(part(&store, "bucket", "key", &upload, 1, b"x").await.unwrap().md5);
    let tried = complete(&store, "bucket", "key", &upload, &[(1, etag.clone())], 1).await;
    assert!(matches!(tried, Err(Error::Locked(_))));
    assert_eq!(store.parts(&name("bucket"), &key("key"), &upload, 0, 9).unwrap().len(), 1);
    assert!(matches!(remove(None, true).await, Err(Error::Locked(_))));
    assert_eq!(read(&store, "key", None).await.unwrap(), "1");
    // A bucket with versions adds one, or a marker; the locked one stays.
    versioning(&store, ENABLED).await;
    complete(&store, "bucket", "key", &upload, &[(1, etag)], 1).await.unwrap();
    mark(&store, "key").await;
    assert!(matches!(remove(Some(VersionId::Null), true).await, Err(Error::Locked(_))));
    // A suspended one would replace it.
    versioning(&store, SUSPENDED).await;
    assert!(matches!(put(&store, "bucket", "key", b"").await, Err(Error::Locked(_))));
    assert!(matches!(remove(None, true).await, Err(Error::Locked(_))));
    consistent::check(&store, None).await;
    // Governance may be bypassed, compliance not; both end.
    versioning(&store, ENABLED).await;
    for (mode, bypassed) in [(RetentionMode::Governance, true), (RetentionMode::Compliance, false)] {
        let id = add(&store, "key", "2").await;
        revise(&store, "key", Some(&id), retained(mode)).await.unwrap();
        assert!(matches!(remove(Some(id.clone()), false).await, Err(Error::Locked(_))));
        assert_eq!(remove(Some(id.clone()), true).await.is_ok(), bypassed);
    }
    clock.advance(Duration::from_secs(10));
    let last = store.object(&name("bucket"), &key("key"), None).unwrap().version.id();
    assert!(remove(Some(last), false).await.unwrap().existed);
    assert!(
        matches!(remove(Some(VersionId::Null), true).await, Err(Error::Locked(_))),
        "a hold does not end"
    );
    revise(&store, "key", Some(&VersionId::Null), Properties::default()).await.unwrap();
    assert!(remove(Some(VersionId::Null), false).await.unwrap().existed);
    consistent::check(&store, None).await;
}

async fn append(store: &Store, object: &str, position: usize, body: &[u8]) -> Result<Object> {
    let append = AppendObject {
        bucket: name("bucket").into(),
        key: key(object),
        position: position as u64,
        attributes: Attributes::default(),
        properties: Properties::default(),
        body: seal(store, body).await,
        cause: cause(),
    };
    store.append_object(append).await
}

#[tokio::test]
async fn an_append_goes_to_the_end_and_nowhere_else() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    assert!(matches!(append(&store, "key", 1, b"x").await, Err(Error::AppendPosition { length: 0 })));
    let one = append(&store, "key", 0, b"one").await.unwrap();
    let two = append(&store, "key", 3, b"-two").await.unwrap();
    assert_eq!(said(&store), (Some(EventType::CreatedPut), None, 7));
    assert_eq!((one.size, two.size, two.crc64), (3, 7, cosette_blob::crc64(b"one-two")));
    assert!(one.appendable && one.etag != two.etag && one.version == two.version);
    for position in [0, 3, 8] {
        let tried = append(&store, "key", position, b"x").await;
        assert!(matches!(tried, Err(Error::AppendPosition { length: 7 })));
    }
    append(&store, "key", 7, b"").await.unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap(), "one-two");
    // Not to what a put or a copy has made.
    add(&store, "put", "x").await;
    store.copy_object(copy_of(("bucket", "key"), ("bucket", "copy"))).await.unwrap();
    assert!(matches!(append(&store, "put", 1, b"x").await, Err(Error::NotAppendable(_))));
    assert!(matches!(append(&store, "copy", 7, b"x").await, Err(Error::NotAppendable(_))));
    revise(&store, "key", None, Properties { legal_hold: true, ..Properties::default() }).await.unwrap();
    assert!(matches!(append(&store, "key", 7, b"x").await, Err(Error::Locked(_))));
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn what_is_appended_is_the_null_version_everywhere() {
    let store = enabled().await;
    append(&store, "key", 0, b"one").await.unwrap();
    let two = append(&store, "key", 3, b"-two").await.unwrap();
    assert_eq!((two.version.id(), two.size), (VersionId::Null, 7));
    // A marker hides it; the next append begins anew, and the old one is gone.
    mark(&store, "key").await;
    assert!(matches!(append(&store, "key", 7, b"x").await, Err(Error::AppendPosition { length: 0 })));
    append(&store, "key", 0, b"three").await.unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap(), "three");
    assert_eq!(read(&store, "key", Some(&VersionId::Null)).await.unwrap(), "three");
    // A put keeps it as an older version, and is not appended to.
    let put = add(&store, "key", "put").await;
    assert_eq!(read(&store, "key", Some(&VersionId::Null)).await.unwrap(), "three");
    for state in [ENABLED, SUSPENDED] {
        versioning(&store, state).await;
        assert!(matches!(append(&store, "key", 3, b"x").await, Err(Error::NotAppendable(_))));
    }
    drop_version(&store, "key", &put).await;
    append(&store, "key", 5, b"!").await.unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap(), "three!");
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn a_long_append_has_a_manifest_and_a_copy_of_it_stays_as_it_was() {
    let scratch = Scratch::new();
    let store = open(scratch.path());
    create(&store, "bucket").await.unwrap();
    let mut whole = Vec::new();
    let mut copies = Vec::new();
    for n in 0..60u64 {
        let more = bytes(if n % 9 == 0 { 40_000 } else { 7 }, n);
        let object = append(&store, "key", whole.len(), &more).await.unwrap();
        whole.extend(more);
        assert_eq!(matches!(object.content.0, Layout::Manifest { .. }), n >= 16, "{n}");
        assert_eq!(object.crc64, cosette_blob::crc64(&whole));
        if [3, 15, 16, 17, 31, 32, 33, 50].contains(&n) {
            let copy = format!("copy-{n}");
            store.copy_object(copy_of(("bucket", "key"), ("bucket", &copy))).await.unwrap();
            copies.push((copy, whole.clone()));
        }
    }
    consistent::check(&store, Some(scratch.path())).await;
    assert!(get(&store, "bucket", "key").await.unwrap() == whole);
    let object = store.object(&name("bucket"), &key("key"), None).unwrap();
    for (start, end) in [(0, 1), (40_000, 40_008), (39_999, 120_010), (whole.len() - 1, whole.len())] {
        let range = Some((start as u64, end as u64));
        let stream = store.read(&name("bucket"), &key("key"), &object, range).unwrap();
        assert!(drain(stream).await.unwrap() == whole[start..end], "{start}..{end}");
    }
    for (copy, body) in &copies {
        assert!(get(&store, "bucket", copy).await.unwrap() == *body, "{copy}");
    }
    delete(&store, "bucket", "key").await.unwrap();
    for (copy, body) in &copies {
        assert!(get(&store, "bucket", copy).await.unwrap() == *body, "{copy}");
        delete(&store, "bucket", copy).await.unwrap();
    }
    recovery::until_no_body_is_left(&store, scratch.path()).await;
    consistent::check(&store, Some(scratch.path())).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_parts_of_an_object_are_listed_until_it_goes() {
    let store = enabled().await;
    let upload = begin(&store, "bucket", "key").await.unwrap();
    let mut named = Vec::new();
    for number in 1..=300u64 {
        let made =
            part(&store, "bucket", "key", &upload, number * 3, &bytes(number as usize % 7 + 1, 1)).await;
        named.push((number * 3, ETag::of_md5(made.unwrap().md5)));
    }
    let object = complete(&store, "bucket", "key", &upload, &named, 1).await.unwrap();
    let parts = store.object_parts(&object, 0, usize::MAX).unwrap();
    assert_eq!((object.parts, parts.len()), (Some(300), 300));
    assert!(parts.is_sorted_by(|a, b| a.number < b.number && a.offset + a.size == b.offset));
    assert_eq!(store.object_parts(&object, 600, 2).unwrap(), parts[200..202]);
    consistent::check(&store, None).await;
    store.copy_object(copy_of(("bucket", "key"), ("bucket", "copy"))).await.unwrap();
    let copy = store.object(&name("bucket"), &key("copy"), None).unwrap();
    assert!(store.object_parts(&copy, 0, 9).unwrap().is_empty());
    // An older version keeps its list, one that is gone does not.
    add(&store, "key", "over").await;
    assert_eq!(consistent::count(&store, &[Kind::PartList]).await, 2);
    drop_version(&store, "key", &object.version.id()).await;
    assert_eq!(consistent::count(&store, &[Kind::PartList]).await, 0);
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn settings_are_their_buckets_own() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    create(&store, "other").await.unwrap();
    let set = async |setting: &'static str, value: Option<&[u8]>| {
        store.set_setting(name("bucket"), setting, value.map(<[u8]>::to_vec), cause()).await
    };
    set("cors", Some(b"1")).await.unwrap();
    set("policy", Some(b"2")).await.unwrap();
    set("cors", Some(b"3")).await.unwrap();
    assert_eq!(last_change(&store).kind, ChangeKind::SettingChanged);
    let get = |bucket: &str, setting: &str| store.setting(&name(bucket), setting).unwrap();
    assert_eq!(get("bucket", "cors").as_deref(), Some(b"3".as_slice()));
    assert_eq!((get("other", "cors"), get("bucket", "cor")), (None, None));
    set("cors", None).await.unwrap();
    assert_eq!(get("bucket", "cors"), None);
    store.delete_bucket(name("bucket"), false, cause()).await.unwrap();
    assert!(matches!(store.setting(&name("bucket"), "policy"), Err(Error::NoSuchBucket(_))));
    assert!(matches!(set("cors", None).await, Err(Error::NoSuchBucket(_))));
    create(&store, "bucket").await.unwrap();
    assert_eq!(get("bucket", "policy"), None);
    consistent::check(&store, None).await;
}

#[tokio::test]
async fn kept_bodies_live_until_they_are_released() {
    let scratch = Scratch::new();
    let mut kept = Vec::new();
    {
        let store = open(scratch.path());
        for len in [0usize, 100, 100_000] {
            let (sealed, keeper) = (seal(&store, &bytes(len, 1)).await, store.clone());
            let keep = move |tx: &mut Tx<'_>| keeper.keep(tx, sealed);
            kept.push((len, store.commit(keep).await.unwrap().1));
        }
        // One whose commit is refused is nobody's.
        let (sealed, keeper) = (seal(&store, &bytes(100_000, 2)).await, store.clone());
        let refused = move |tx: &mut Tx<'_>| {
            keeper.keep(tx, sealed)?;
            Err::<(), _>(Error::PreconditionFailed)
        };
        assert!(store.commit(refused).await.is_err());
        recovery::until_bodies_are_left(&store, scratch.path(), 1).await;
    }
    let store = open(scratch.path());
    consistent::check(&store, Some(scratch.path())).await;
    for (len, id) in kept {
        assert!(drain(store.read_kept(id).unwrap()).await.unwrap() == bytes(len, 1));
        for _ in 0..2 {
            let keeper = store.clone();
            store.commit(move |tx: &mut Tx<'_>| keeper.release(tx, id)).await.unwrap();
        }
        assert!(store.read_kept(id).is_err());
    }
    recovery::until_no_body_is_left(&store, scratch.path()).await;
    assert_eq!(consistent::count(&store, &[Kind::Kept, Kind::Small, Kind::Body]).await, 0);
    store.close().await.unwrap();
}

/// A reader whose first reads see what was there before a commit, and whose later ones what came after.
struct Overtaken {
    rows: [BTreeMap<Vec<u8>, Vec<u8>>; 2],
    early: usize,
    reads: Cell<usize>,
}

impl Overtaken {
    fn now(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.rows[usize::from(self.reads.replace(self.reads.get() + 1) >= self.early)]
    }
}

impl Rows for Overtaken {
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.now().get(key).cloned())
    }

    fn rows(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        if let Some((key, record)) = self.now().range((range.from.clone(), range.to.clone())).next() {
            let _ = visit(key, record);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_version_that_becomes_current_is_never_missed() {
    let store = enabled().await;
    for removes_marker in [true, false] {
        let one = add(&store, "key", "1").await;
        let two = add(&store, "key", "2").await;
        let newest = match removes_marker {
            true => mark(&store, "key").await,
            false => add(&store, "key", "3").await,
        };
        let rows = async || consistent::rows(&store).await.into_iter().collect();
        let before = rows().await;
        drop_version(&store, "key", &newest).await;
        let rows = [before, rows().await];
        let bucket = store.bucket(&name("bucket")).unwrap().unwrap();
        for early in 0..5 {
            let look = |id: Option<&VersionId>| {
                let reader = Overtaken { rows: rows.clone(), early, reads: Cell::new(0) };
                let found = find(&reader, &bucket, &key("key"), id).unwrap();
                found.map(|(_, found)| match found {
                    Found::Object(object) => object.version.id(),
                    Found::Marker(marker) => marker.version.id(),
                })
            };
            assert_eq!(look(Some(&one)), Some(one.clone()));
            assert_eq!(look(Some(&two)), Some(two.clone()), "{early}");
            assert!([Some(&newest), Some(&two)].contains(&look(None).as_ref()), "{early}");
        }
    }
}

#[tokio::test]
async fn a_version_that_is_gone_does_not_come_back_while_the_clock_stands_still() {
    let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
    let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 8 << 20 };
    let store = Store::open_with(options, clock.clone(), Disk::default(), quick()).unwrap();
    create(&store, "bucket").await.unwrap();
    store.set_versioning(name("bucket"), true, cause()).await.unwrap();
    let mut seen = Vec::new();
    for round in 0..6 {
        let object = add(&store, "key", "x").await;
        if round == 3 {
            clock.advance(Duration::from_secs(1));
        }
        let marker = mark(&store, "key").await;
        for version in [marker, object] {
            drop_version(&store, "key", &version).await;
            seen.push(version.as_str().to_owned());
        }
    }
    let given = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), given);
}
