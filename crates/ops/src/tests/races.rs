//! What is decided on one state of things is done to that state: requests that meet others on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cosette_model::op::{
    AskedAcl, CannedAcl, GetBucketAcl, NewAcl, ObjectOwnership, PutBucketAcl, PutBucketOwnershipControls,
    PutBucketVersioning, PutObjectAcl, PutSetting,
};
use cosette_model::setting::ObjectLock;
use cosette_model::{Grant, Grantee, Permission, Setting, SettingName, Versioning};

use tokio::sync::oneshot;

use super::*;

const SECRET: &[u8] = b"a secret";
const PUBLIC: &[u8] = b"public";

fn to(uin: &str, permission: Permission) -> Grant {
    Grant { grantee: Grantee::Account(uin.to_owned()), permission }
}

/// Something public that account 2 may even share, and something secret, put in turn.
async fn put_one(ops: &Ops, secret: bool) {
    let (bytes, acl) = match secret {
        true => (SECRET, AskedAcl { canned: Some(CannedAcl::Private), grants: Vec::new() }),
        false => {
            let grants = vec![to("2", Permission::WriteAcp), to("2", Permission::Read)];
            (PUBLIC, AskedAcl { canned: Some(CannedAcl::PublicRead), grants })
        }
    };
    let Call::PutObject(put) = put("photos", "a", body(bytes, Expected::default())) else { panic!() };
    ops.handle(&by("1"), Call::PutObject(PutObject { acl, ..put })).await.unwrap();
}

/// Runs `each` so many times while the object changes.
async fn meanwhile<T>(ops: &Ops, times: usize, mut each: impl AsyncFnMut() -> T) -> Vec<T> {
    created(ops, "photos").await;
    put_one(ops, false).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (writer, until) = (ops.clone(), Arc::clone(&ended));
    let writer = tokio::spawn(async move {
        while !until.load(Ordering::Relaxed) {
            put_one(&writer, true).await;
            put_one(&writer, false).await;
        }
    });
    let mut seen = Vec::new();
    for _ in 0..times {
        seen.push(each().await);
    }
    ended.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_what_was_allowed() {
    let ops = ops();
    let sizes = meanwhile(&ops, 20_000, async || {
        match ops.handle(&by("2"), Call::GetObject(get("photos", "a"))).await {
            Ok(Reply::GetObject(got)) => Some(got.info.size),
            Ok(_) => panic!("another reply"),
            Err(refused) => {
                assert_eq!(refused.code, ErrorCode::AccessDenied);
                None
            }
        }
    })
    .await;
    assert!(sizes.contains(&None) && sizes.contains(&Some(PUBLIC.len() as u64)));
    assert!(!sizes.contains(&Some(SECRET.len() as u64)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_copied_is_what_was_allowed() {
    let ops = ops();
    let create = Call::CreateBucket(CreateBucket {
        bucket: bucket("mine"),
        region: None,
        tags: None,
        object_lock: false,
        acl: Default::default(),
        ownership: None,
    });
    ops.handle(&by("2"), create).await.unwrap();
    let etags = meanwhile(&ops, 3_000, async || {
        let copy = copy_to("mine");
        match ops.handle(&by("2"), copy).await {
            Ok(Reply::CopyObject(copied)) => Some(copied.etag.as_str().to_owned()),
            _ => None,
        }
    })
    .await;
    let mut etags: Vec<_> = etags.into_iter().flatten().collect();
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 1, "the public one alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_set_on_what_was_allowed() {
    let ops = ops();
    let leaks = meanwhile(&ops, 3_000, async || {
        let acl = NewAcl::Document { owner: None, grants: vec![to("2", Permission::FullControl)] };
        let set = PutObjectAcl { bucket: bucket("photos"), key: key("a"), version: None, acl };
        let _ = ops.handle(&by("2"), Call::PutObjectAcl(set)).await;
        match ops.handle(&by("2"), Call::GetObject(get("photos", "a"))).await {
            Ok(Reply::GetObject(got)) => got.info.size == SECRET.len() as u64,
            _ => false,
        }
    })
    .await;
    assert!(!leaks.contains(&true));
}

#[tokio::test]
async fn settings_that_exclude_each_other_are_never_both_set() {
    let ops = ops();
    for round in 0..200 {
        let name = format!("bucket-{round}");
        created(&ops, &name).await;
        let own = |ownership| {
            let call = PutBucketOwnershipControls { bucket: bucket(&name), ownership };
            Call::PutBucketOwnershipControls(call)
        };
        let acl = NewAcl::Asked(AskedAcl { canned: Some(CannedAcl::PublicRead), grants: Vec::new() });
        let share = Call::PutBucketAcl(PutBucketAcl { bucket: bucket(&name), acl });
        let by = by("1");
        let _ =
            tokio::join!(ops.handle(&by, own(ObjectOwnership::BucketOwnerEnforced)), ops.handle(&by, share));
        // What a list says while it counts for nothing is seen when it counts again.
        let enforced = ops.access_rules(&bucket(&name)).unwrap().ownership;
        ops.handle(&by, own(ObjectOwnership::ObjectWriter)).await.unwrap();
        let shown = ops.handle(&by, Call::GetBucketAcl(GetBucketAcl { bucket: bucket(&name) })).await;
        let Ok(Reply::GetBucketAcl(shown)) = shown else { panic!("another reply") };
        assert!(enforced != ObjectOwnership::BucketOwnerEnforced || shown.grants.len() == 1);

        let version =
            |enabled| Call::PutBucketVersioning(PutBucketVersioning { bucket: bucket(&name), enabled });
        ops.handle(&by, version(true)).await.unwrap();
        let lock = Call::PutSetting(PutSetting {
            bucket: bucket(&name),
            name: SettingName::ObjectLock,
            setting: Some(Setting::ObjectLock(ObjectLock::default())),
            unchecked: false,
        });
        let _ = tokio::join!(ops.handle(&by, lock), ops.handle(&by, version(false)));
        let versioning = ops.store.bucket(&bucket(&name)).unwrap().unwrap().versioning;
        let locks = ops.store.setting(&bucket(&name), SettingName::ObjectLock.row()).unwrap();
        assert!(versioning == Versioning::Enabled || locks.is_none());
    }
}

/// A body that says when it is asked for, and comes when it is told to.
fn slow(asked: oneshot::Sender<()>, come: oneshot::Receiver<()>) -> Body {
    let whole = futures_util::stream::once(async move {
        asked.send(()).unwrap();
        come.await.unwrap();
        Ok::<_, BodyError>(Bytes::from_static(SECRET))
    });
    Body { stream: Box::pin(whole), length: Some(SECRET.len() as u64), expected: Expected::default() }
}

fn form(body: Body) -> Call {
    Call::PostObject(PostObject {
        encryption: None,
        bucket: bucket("photos"),
        key: key("a"),
        attributes: Attributes::default(),
        properties: Default::default(),
        acl: Default::default(),
        conditions: Default::default(),
        size: None,
        answer: PostAnswer::Status(204),
        body,
    })
}

fn append(body: Body) -> Call {
    Call::AppendObject(op::AppendObject {
        encryption: None,
        bucket: bucket("photos"),
        key: key("a"),
        position: 0,
        attributes: Attributes::default(),
        properties: Default::default(),
        acl: Default::default(),
        body,
    })
}

/// While a body comes its bucket goes, and another account takes the name.
#[tokio::test]
async fn a_body_does_not_land_in_another_bucket_of_the_name() {
    let put = |body| put("photos", "a", body);
    for write in [&put as &dyn Fn(Body) -> Call, &form, &append] {
        let ops = ops();
        created(&ops, "photos").await;
        let ((asked, is_asked), (go, come)) = (oneshot::channel(), oneshot::channel());
        let (writer, call) = (ops.clone(), write(slow(asked, come)));
        let written = tokio::spawn(async move { code(&writer, &by("1"), call).await });
        is_asked.await.unwrap();
        let remove = Call::DeleteBucket(op::DeleteBucket { bucket: bucket("photos") });
        assert_eq!(code(&ops, &by("1"), remove).await, None);
        let create = Call::CreateBucket(CreateBucket {
            bucket: bucket("photos"),
            region: None,
            tags: None,
            object_lock: false,
            acl: Default::default(),
            ownership: None,
        });
        assert_eq!(code(&ops, &by("2"), create).await, None);
        go.send(()).unwrap();
        assert_eq!(written.await.unwrap(), Some(ErrorCode::NoSuchBucket));
        let listing = Default::default();
        assert!(ops.store.list_objects(&bucket("photos"), &listing).unwrap().objects.is_empty());
    }
}
