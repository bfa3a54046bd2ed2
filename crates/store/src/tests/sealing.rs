//! Encrypted contents: what lies on disk, what comes back, what copies share, and what a master key
//! that is gone means.

use cosette_model::{CustomerKey, Encryption, KmsKey};

use super::*;
use crate::{SealedBy, Seen};

fn kms(id: &str, context: Option<&str>) -> Encryption {
    Encryption::Kms(KmsKey { id: Some(id.to_owned()), context: context.map(str::to_owned), bucket_key: None })
}

fn customer(byte: u8) -> CustomerKey {
    CustomerKey { key: [byte; 32], md5: [0; 16] }
}

fn ways() -> Vec<Encryption> {
    vec![Encryption::Service, kms("one", None), kms("two", Some("{}")), Encryption::Customer(customer(7))]
}

fn key_of(how: &Encryption) -> Option<&CustomerKey> {
    match how {
        Encryption::Customer(customer) => Some(customer),
        _ => None,
    }
}

async fn received(store: &Store, body: &[u8], seal: Option<Seal>) -> Sealed {
    let mut staged = store.stage_under(None, Wanted::default(), seal).unwrap();
    for chunk in body.chunks(77_777) {
        staged.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    staged.seal().await.unwrap()
}

async fn put_under(store: &Store, object: &str, body: &[u8], how: &Encryption) -> Object {
    let seal = store.seal(how).await.unwrap();
    let put = PutObject {
        bucket: name("bucket").into(),
        key: key(object),
        attributes: Attributes::default(),
        properties: Properties::default(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        symlink: None,
        body: received(store, body, Some(seal)).await,
        event: cosette_model::EventType::CreatedPut,
        cause: cause(),
    };
    store.put_object(put).await.unwrap()
}

async fn read(
    store: &Store,
    object: &str,
    range: Option<(u64, u64)>,
    customer: Option<&CustomerKey>,
) -> Result<Vec<u8>> {
    let found = store.object(&name("bucket"), &key(object), None)?;
    let stream = store.read_for(&name("bucket"), &key(object), &found, range, customer)?;
    drain(stream).await.map_err(|error| Error::corrupt(error.to_string()))
}

/// Whether any file below holds the text.
fn holds(dir: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text)
    })
}

const MARK: &[u8] = b"a text that is not to be found on the disk";

#[tokio::test]
async fn nothing_of_an_encrypted_body_is_on_disk() {
    for size in [100, 300_000] {
        let body: Vec<u8> = MARK.iter().copied().cycle().take(size).collect();
        for encrypted in [false, true] {
            let scratch = Scratch::new();
            let store = begun(&scratch).await;
            if encrypted {
                for (number, how) in ways().iter().enumerate() {
                    put_under(&store, &number.to_string(), &body, how).await;
                }
            } else {
                put(&store, "bucket", "0", &body).await.unwrap();
            }
            store.close().await.unwrap();
            assert_eq!(holds(scratch.path(), MARK), !encrypted, "{size} bytes");
        }
    }
}

async fn begun(scratch: &Scratch) -> Store {
    let store = open(scratch.path());
    if store.bucket(&name("bucket")).unwrap().is_none() {
        create(&store, "bucket").await.unwrap();
    }
    store
}

#[tokio::test]
async fn every_range_comes_back_after_a_restart() {
    const CHUNK: usize = 65_520;
    let scratch = Scratch::new();
    let sizes = [0, 1, 1_000, 32 << 10, CHUNK, CHUNK + 1, 700_000, 3 * (512 << 10) + 5];
    let store = begun(&scratch).await;
    for (number, how) in ways().iter().enumerate() {
        for size in sizes {
            let body = bytes(size, size as u64);
            let object = put_under(&store, &format!("{number}/{size}"), &body, how).await;
            assert_eq!(object.size, size as u64);
            assert_eq!(object.crc64, cosette_blob::crc64(&body));
            let md5 = ETag::of_md5(seal(&store, &body).await.digests.md5);
            assert_eq!(object.etag == md5, *how == Encryption::Service, "{how:?}");
        }
    }
    store.close().await.unwrap();
    let store = begun(&scratch).await;
    for (number, how) in ways().iter().enumerate() {
        for size in sizes {
            let (body, object) = (bytes(size, size as u64), format!("{number}/{size}"));
            assert!(read(&store, &object, None, key_of(how)).await.unwrap() == body, "{object}");
            for (start, end) in
                [(0, 1), (1, 500), (CHUNK - 1, CHUNK + 1), (CHUNK, size), (size.max(1) - 1, size)]
            {
                if start < end && end <= size {
                    let range = Some((start as u64, end as u64));
                    let found = read(&store, &object, range, key_of(how)).await.unwrap();
                    assert!(found == body[start..end], "{start}..{end} of {object}");
                }
            }
        }
    }
    let report = store.scrub(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
    store.close().await.unwrap();
    let report = crate::verify(scratch.path(), &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn a_customers_content_is_opened_by_its_key_only() {
    let scratch = Scratch::new();
    let store = begun(&scratch).await;
    put_under(&store, "c", b"theirs", &Encryption::Customer(customer(1))).await;
    put(&store, "bucket", "plain", b"open").await.unwrap();
    assert_eq!(read(&store, "c", None, Some(&customer(1))).await.unwrap(), b"theirs");
    assert!(matches!(read(&store, "c", None, None).await, Err(Error::CustomerKeyMissing)));
    assert!(matches!(read(&store, "c", None, Some(&customer(2))).await, Err(Error::CustomerKeyWrong)));
    let plain = store.object(&name("bucket"), &key("plain"), None).unwrap();
    let unwanted = store.check_customer(plain.sealing.as_ref(), Some(&customer(1)));
    assert!(matches!(unwanted, Err(Error::CustomerKeyUnwanted)));
    // No master key is needed for it.
    assert!(!scratch.path().join("master.key").exists());
    let object = store.object(&name("bucket"), &key("c"), None).unwrap();
    assert!(matches!(object.sealing.unwrap().by, SealedBy::Customer { .. }));
}

fn bucket_of(store: &Store) -> Bucket {
    store.bucket(&name("bucket")).unwrap().unwrap()
}

async fn copied(store: &Store, from: &str, to: &str, content: CopiedContent) -> Result<Object> {
    let found = store.object(&name("bucket"), &key(from), None).unwrap();
    let digests = match &content {
        CopiedContent::Anew(body) => Some(body.digests.clone()),
        CopiedContent::Shared(_) => None,
    };
    let copy = copy_of(("bucket", from), ("bucket", to));
    let copy = CopyObject { seen: Some(Seen::of(&bucket_of(store), &found)), content, digests, ..copy };
    store.copy_object(copy).await.map(|(object, _)| object)
}

/// Between ways of encryption a copy wraps the key anew and shares the bodies, also those of a
/// manifest; from and to none it is written anew.
#[tokio::test]
async fn a_copy_shares_what_it_can() {
    let scratch = Scratch::new();
    let store = begun(&scratch).await;
    let body = bytes(200_000, 3);
    put_under(&store, "from", &body, &Encryption::Service).await;
    let files = || {
        let count = |dir: PathBuf| std::fs::read_dir(dir).map_or(0, |entries| entries.count());
        count(scratch.path().join("bodies/1"))
    };
    let before = files();
    for (number, how) in ways().iter().enumerate() {
        let found = store.object(&name("bucket"), &key("from"), None).unwrap();
        let seal = store.unseal(found.sealing.as_ref().unwrap(), None).unwrap();
        let seal = store.reseal(&seal, how).await.unwrap();
        let to = format!("to/{number}");
        let copy = copied(&store, "from", &to, CopiedContent::Shared(Some(seal))).await.unwrap();
        assert_eq!(copy.etag == found.etag, *how == Encryption::Service, "{how:?}");
        assert!(read(&store, &to, None, key_of(how)).await.unwrap() == body);
    }
    assert_eq!(files(), before);
    let plain = received(&store, &body, None).await;
    copied(&store, "from", "plain", CopiedContent::Anew(plain)).await.unwrap();
    assert!(read(&store, "plain", None, None).await.unwrap() == body);
    assert_eq!(files(), before + 1);
    // What was seen is not what is there any more.
    let found = store.object(&name("bucket"), &key("from"), None).unwrap();
    let seal = store.unseal(found.sealing.as_ref().unwrap(), None).unwrap();
    put_under(&store, "from", b"other", &Encryption::Service).await;
    let copy = copy_of(("bucket", "from"), ("bucket", "late"));
    let content = CopiedContent::Shared(Some(seal));
    let late = store
        .copy_object(CopyObject { seen: Some(Seen::of(&bucket_of(&store), &found)), content, ..copy })
        .await;
    assert!(matches!(late, Err(Error::Changed)));
    // The first one is gone, and the copies are not.
    delete(&store, "bucket", "from").await.unwrap();
    assert!(read(&store, "to/0", Some((100_000, 100_001)), None).await.unwrap() == body[100_000..100_001]);
}

#[tokio::test]
async fn parts_of_any_number_and_size_are_one_object() {
    let scratch = Scratch::new();
    let store = begun(&scratch).await;
    for (number, how) in ways().iter().enumerate() {
        let object = format!("parts/{number}");
        let sealing = store.seal(how).await.unwrap().sealing;
        let (attributes, properties) = (Attributes::default(), Properties::default());
        let (bucket, at) = (name("bucket"), key(&object));
        let upload = store
            .create_upload(bucket.clone(), at.clone(), attributes, properties, None, Some(sealing.clone()))
            .await
            .unwrap();
        let mut whole = Vec::new();
        let mut named = Vec::new();
        for number in 1..=40u16 {
            let body = bytes(usize::from(number) * 2_111, number.into());
            let seal = store.unseal(&sealing, key_of(how)).unwrap();
            let body_sealed = received(&store, &body, Some(seal)).await;
            let part = PutPart {
                bucket: bucket.clone().into(),
                key: at.clone(),
                upload: upload.id.clone(),
                number: PartNumber::new(number.into()).unwrap(),
                body: body_sealed,
            };
            let part = store.put_part(part).await.unwrap();
            named.push((part.number, ETag::of_md5(part.md5)));
            whole.extend_from_slice(&body);
        }
        let complete = CompleteUpload {
            bucket: bucket.clone().into(),
            key: at.clone(),
            upload: upload.id,
            parts: named,
            part_size_min: 0,
            checksums: Vec::new(),
            checksum_type: None,
            conditions: WriteConditions::default(),
            cause: cause(),
        };
        let done = store.complete_upload(complete).await.unwrap();
        assert_eq!(done.crc64, cosette_blob::crc64(&whole));
        assert!(read(&store, &object, None, key_of(how)).await.unwrap() == whole);
        let range = Some((77_777, 900_001));
        assert!(read(&store, &object, range, key_of(how)).await.unwrap() == whole[77_777..900_001]);
        // A copy of it wraps one key, not forty.
        let seal = store.unseal(&sealing, key_of(how)).unwrap();
        let seal = store.reseal(&seal, &Encryption::Customer(customer(9))).await.unwrap();
        let to = format!("copy/{number}");
        copied(&store, &object, &to, CopiedContent::Shared(Some(seal))).await.unwrap();
        assert!(read(&store, &to, None, Some(&customer(9))).await.unwrap() == whole);
    }
    store.close().await.unwrap();
    let report = crate::verify(scratch.path(), &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn a_master_key_that_is_gone_or_another_is_told_and_none_is_made_in_its_place() {
    let scratch = Scratch::new();
    let store = begun(&scratch).await;
    put_under(&store, "s", b"ours", &Encryption::Service).await;
    put_under(&store, "c", b"theirs", &Encryption::Customer(customer(1))).await;
    put(&store, "bucket", "plain", b"open").await.unwrap();
    store.close().await.unwrap();
    let path = scratch.path().join("master.key");
    let master = std::fs::read(&path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!((master.len(), mode & 0o777), (32, 0o600));
    for found in [None, Some(vec![1; 32]), Some(vec![1; 31]), Some(Vec::new())] {
        match &found {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let store = begun(&scratch).await;
        assert!(matches!(read(&store, "s", None, None).await, Err(Error::MasterKey(_))), "{found:?}");
        assert!(matches!(store.seal(&Encryption::Service).await, Err(Error::MasterKey(_))), "{found:?}");
        assert_eq!(std::fs::read(&path).ok(), found);
        assert_eq!(read(&store, "c", None, Some(&customer(1))).await.unwrap(), b"theirs");
        assert_eq!(read(&store, "plain", None, None).await.unwrap(), b"open");
        store.close().await.unwrap();
    }
    std::fs::write(&path, master).unwrap();
    let store = begun(&scratch).await;
    assert_eq!(read(&store, "s", None, None).await.unwrap(), b"ours");
}

#[tokio::test]
async fn in_memory_the_key_is_in_memory() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    for (number, how) in ways().iter().enumerate() {
        for size in [10, 300_000] {
            let (body, object) = (bytes(size, 5), format!("{number}/{size}"));
            put_under(&store, &object, &body, how).await;
            assert!(read(&store, &object, None, key_of(how)).await.unwrap() == body);
        }
    }
}

/// Small bodies are moved, encrypted as they are.
#[tokio::test]
async fn appends_go_on_under_the_objects_key() {
    let scratch = Scratch::new();
    let store = begun(&scratch).await;
    let mut whole = Vec::new();
    for number in 0..40u64 {
        let seal = match store.object(&name("bucket"), &key("log"), None) {
            Ok(object) => store.unseal(object.sealing.as_ref().unwrap(), None).unwrap(),
            Err(_) => store.seal(&Encryption::Service).await.unwrap(),
        };
        let body = bytes(500, number);
        let append = crate::AppendObject {
            bucket: name("bucket").into(),
            key: key("log"),
            position: whole.len() as u64,
            attributes: Attributes::default(),
            properties: Properties::default(),
            body: received(&store, &body, Some(seal)).await,
            cause: cause(),
        };
        store.append_object(append).await.unwrap();
        whole.extend_from_slice(&body);
        assert!(read(&store, "log", None, None).await.unwrap() == whole);
    }
    let other = store.seal(&Encryption::Service).await.unwrap();
    let append = crate::AppendObject {
        bucket: name("bucket").into(),
        key: key("log"),
        position: whole.len() as u64,
        attributes: Attributes::default(),
        properties: Properties::default(),
        body: received(&store, b"x", Some(other)).await,
        cause: cause(),
    };
    assert!(matches!(store.append_object(append).await, Err(Error::Changed)));
}
