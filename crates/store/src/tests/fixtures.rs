//! Data directories that were written by released formats are opened, and hold what they held.
//!
//! `COSETTE_WRITE_FIXTURE=1 cargo test -p cosette-store fixtures` writes the one of the format of
//! today, to be committed with the release that brings it, and never changed again.

use cosette_model::{Grant, Grantee, Permission, Retention, RetentionMode, Seq, StorageClass};

use super::*;
use crate::{AppendObject, Kept, ReviseObject, Table, verify};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn acl() -> cosette_model::Acl {
    let grantee = Grantee::AllUsers;
    cosette_model::Acl { grants: vec![Grant { grantee, permission: Permission::Read }] }
}

fn retention() -> Retention {
    Retention { mode: RetentionMode::Governance, until: Timestamp::from_secs(1_800_000_000) }
}

async fn append(store: &Store, position: u64, body: &[u8]) {
    let append = AppendObject {
        bucket: name("plain").into(),
        key: key("log"),
        position,
        attributes: Attributes::default(),
        properties: Properties::default(),
        body: seal(store, body).await,
        cause: cause(),
    };
    store.append_object(append).await.unwrap();
}

async fn set_versioning(store: &Store, enabled: bool) {
    store.set_versioning(name("versions"), enabled, cause()).await.unwrap();
}

/// Something of everything, half of it in a snapshot.
async fn write(dir: &Path) {
    let settings = Settings { segment_max: 2_000, snapshot_after: 0, ..quick() };
    let store = open_with(Some(dir), Disk::default(), settings).unwrap();
    create(&store, "plain").await.unwrap();
    create(&store, "versions").await.unwrap();
    put(&store, "plain", "small", b"small").await.unwrap();
    put(&store, "plain", "large", &bytes(33_000, 1)).await.unwrap();
    store.copy_object(copy_of(("plain", "large"), ("plain", "copy"))).await.unwrap();
    append(&store, 0, b"one ").await;
    put(&store, "versions", "key", b"null").await.unwrap();
    set_versioning(&store, true).await;
    put(&store, "versions", "key", b"first").await.unwrap();
    delete(&store, "versions", "key").await.unwrap();
    let so_far = store.head().0;
    let taken = |file: std::io::Result<std::fs::DirEntry>| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".rows").is_some_and(|seq| seq.parse::<u64>().unwrap() >= so_far)
    };
    let snapshot = async {
        while !std::fs::read_dir(dir.join("snapshot")).is_ok_and(|mut files| files.any(taken)) {
            put(&store, "plain", "small", b"small").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), snapshot).await.unwrap();
    put(&store, "versions", "key", b"second").await.unwrap();
    set_versioning(&store, false).await;
    delete(&store, "versions", "gone").await.unwrap();
    append(&store, 4, b"two").await;
    let upload = begin(&store, "plain", "parts").await.unwrap();
    let mut etags = Vec::new();
    for number in 1..=20 {
        let part = part(&store, "plain", "parts", &upload, number, &[number as u8; 3]).await.unwrap();
        etags.push((number, ETag::of_md5(part.md5)));
    }
    complete(&store, "plain", "parts", &upload, &etags, 1).await.unwrap();
    let upload = begin(&store, "plain", "open").await.unwrap();
    part(&store, "plain", "open", &upload, 1, b"part").await.unwrap();
    let revise =
        ReviseObject { bucket: name("plain").into(), key: key("copy"), version: None, cause: cause() };
    let revised = store.revise_object(revise, |revision| {
        revision.storage_class = StorageClass::Archive;
        revision.properties.tags.insert("tag".to_owned(), "value".to_owned());
        revision.properties.acl = Some(acl());
        revision.properties.retention = Some(retention());
        Ok::<_, Error>(())
    });
    revised.await.unwrap();
    store.set_setting(name("plain"), "cors", Some(b"rules".to_vec()), cause()).await.unwrap();
    let body = seal(&store, b"kept").await;
    let handle = store.clone();
    let kept = store.commit(move |tx| {
        let kept = handle.keep(tx, body)?;
        tx.put(Table::Function, b"code", crate::record::encode(&kept)?);
        Ok::<_, Error>(())
    });
    kept.await.unwrap();
    store.close().await.unwrap();
}

async fn check(dir: &Path) {
    let report = verify(dir, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let store = open(dir);
    assert_eq!(get(&store, "plain", "small").await.unwrap(), b"small");
    assert!(get(&store, "plain", "large").await.unwrap() == bytes(33_000, 1));
    assert!(get(&store, "plain", "copy").await.unwrap() == bytes(33_000, 1));
    assert_eq!(get(&store, "plain", "log").await.unwrap(), b"one two");
    let parts: Vec<u8> = (1..=20).flat_map(|n| [n; 3]).collect();
    assert_eq!(get(&store, "plain", "parts").await.unwrap(), parts);
    let object = store.object(&name("plain"), &key("parts"), None).unwrap();
    assert_eq!(store.object_parts(&object, 18, 9).unwrap().len(), 2);
    let object = store.object(&name("plain"), &key("copy"), None).unwrap();
    assert_eq!(object.attributes.storage_class, StorageClass::Archive);
    assert_eq!(object.properties.tags["tag"], "value");
    assert_eq!((object.properties.acl, object.properties.retention), (Some(acl()), Some(retention())));
    assert_eq!(store.setting(&name("plain"), "cors").unwrap(), Some(b"rules".to_vec()));
    let uploads = store.list_uploads(&name("plain"), &listing("", "", "", 9), "").unwrap().uploads;
    let parts = store.parts(&name("plain"), &key("open"), &uploads[0].id, 0, 9).unwrap();
    assert_eq!((uploads.len(), parts[0].size), (1, 4));
    let page = store.list_versions(&name("versions"), &listing("", "", "", 99), None).unwrap();
    let shown: Vec<(&str, bool, bool, bool, u64)> = page
        .versions
        .iter()
        .map(|v| {
            let summary = &v.summary;
            (v.key.as_str(), v.latest, summary.delete_marker, summary.version.null, summary.size)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("gone", true, true, true, 0),
            ("key", true, false, false, 6),
            ("key", false, true, false, 0),
            ("key", false, false, false, 5),
            ("key", false, false, true, 4),
        ]
    );
    let row = store.get(Table::Function, b"code").unwrap().unwrap();
    let kept: Kept = crate::record::decode("kept", &row).unwrap();
    assert_eq!(drain(store.read_kept(kept).unwrap()).await.unwrap(), b"kept");
    let changes = store.changes(Seq(0), usize::MAX).unwrap();
    assert!(changes.len() > 15 && changes[0].bucket == name("plain"));
    put(&store, "plain", "new", b"new").await.unwrap();
    store.close().await.unwrap();
    assert!(verify(dir, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().is_sound());
}

#[tokio::test]
async fn directories_of_released_formats_open() {
    let today = root().join("store-v3");
    if std::env::var_os("COSETTE_WRITE_FIXTURE").is_some() {
        let scratch = Scratch::new();
        write(scratch.path()).await;
        // The index is made anew; the lock is its process's own.
        std::fs::remove_dir_all(scratch.path().join("index")).unwrap();
        std::fs::remove_file(scratch.path().join("lock")).unwrap();
        let _ = std::fs::remove_dir_all(&today);
        copy_tree(scratch.path(), &today);
    }
    let mut checked = 0;
    for fixture in std::fs::read_dir(root()).unwrap() {
        let scratch = Scratch::new();
        copy_tree(&fixture.unwrap().path(), scratch.path());
        check(scratch.path()).await;
        let format = std::fs::read_to_string(scratch.path().join("format")).unwrap();
        assert_eq!(format, "cosette data format 3\n", "no older build opens it any more");
        checked += 1;
    }
    assert!(checked > 0);
    // What is written today is read so too, whether or not it is what was released.
    let scratch = Scratch::new();
    write(scratch.path()).await;
    check(scratch.path()).await;
}
