//! The store's tests, and what they share: a directory of their own, short ways to do things.
#![allow(clippy::unwrap_used)]

mod basics;
mod changes;
mod check;
mod conditions;
mod consistent;
mod faults;
mod fixtures;
mod kill;
mod limits;
mod linear;
mod listings;
mod noise;
mod power;
mod recovery;
mod reference;
mod relaxed;
mod replicas;
mod restores;
mod sealing;
mod targets;
mod uploads;
mod versions;

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cosette_blob::Disk;
use cosette_clock::Clock;
use cosette_model::op::{Conditions, CopySource, Listing, Owner, WriteConditions};
use cosette_model::{
    Attributes, BodyError, BucketName, ByteStream, Cause, ETag, ObjectKey, PartNumber, Properties, Region,
    StorageClass, Timestamp, UploadId, VersionId, Wanted,
};

use crate::settings::Settings;
use crate::{
    Bucket, CompleteUpload, CopiedContent, CopyObject, DeleteObject, Deleted, Durability, Error, Object,
    Options, Part, PutObject, PutPart, Result, Seal, Sealed, Store,
};

/// A directory that is removed with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("cosette-store-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// A copy of everything as it is now: what a crash at this moment would leave.
    fn image(&self) -> Self {
        let image = Self::new();
        copy_tree(&self.0, &image.0);
        image
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A small seeded generator; no more is needed of it than that it repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

fn clock() -> Clock {
    Clock::frozen(Timestamp::from_secs(1_700_000_000))
}

/// No waiting anywhere, small measures.
fn quick() -> Settings {
    Settings { garbage_grace: Duration::ZERO, checkpoint_after: Duration::ZERO, ..Settings::default() }
}

fn open_with(dir: Option<&Path>, disk: Disk, settings: Settings) -> Result<Store> {
    let options =
        Options { dir: dir.map(Path::to_owned), durability: Durability::Strict, cache_bytes: 8 << 20 };
    Store::open_with(options, clock(), disk, settings)
}

fn open(dir: &Path) -> Store {
    open_with(Some(dir), Disk::default(), quick()).unwrap()
}

fn memory() -> Store {
    open_with(None, Disk::default(), quick()).unwrap()
}

fn name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

fn cause() -> Cause {
    Cause { request_id: "request".to_owned(), ..Cause::default() }
}

async fn create(store: &Store, bucket: &str) -> Result<Bucket> {
    let owner = Owner { uin: "100".to_owned(), appid: "1250000000".to_owned(), name: String::new() };
    store.create_bucket(name(bucket), Region::new("ap-guangzhou").unwrap(), owner, cause()).await
}

async fn seal(store: &Store, body: &[u8]) -> Sealed {
    try_seal(store, body).await.unwrap()
}

async fn try_seal(store: &Store, body: &[u8]) -> Result<Sealed> {
    seal_under(store, body, None).await
}

/// The same, encrypted under a content key.
async fn seal_under(store: &Store, body: &[u8], seal: Option<Seal>) -> Result<Sealed> {
    let mut staged = store.stage_under(Some(body.len() as u64), Wanted::default(), seal)?;
    for chunk in body.chunks(100_000) {
        staged.write(Bytes::copy_from_slice(chunk)).await?;
    }
    staged.seal().await
}

async fn put(store: &Store, bucket: &str, object: &str, body: &[u8]) -> Result<Object> {
    put_if(store, bucket, object, body, WriteConditions::default()).await
}

async fn put_if(
    store: &Store,
    bucket: &str,
    object: &str,
    body: &[u8],
    conditions: WriteConditions,
) -> Result<Object> {
    put_body(store, bucket, object, try_seal(store, body).await?, conditions).await
}

async fn put_body(
    store: &Store,
    bucket: &str,
    object: &str,
    body: Sealed,
    conditions: WriteConditions,
) -> Result<Object> {
    let put = PutObject {
        bucket: name(bucket).into(),
        key: key(object),
        attributes: Attributes::default(),
        properties: Properties::default(),
        checksum_type: None,
        conditions,
        symlink: None,
        body,
        event: cosette_model::EventType::CreatedPut,
        cause: cause(),
    };
    store.put_object(put).await
}

async fn delete(store: &Store, bucket: &str, object: &str) -> Result<bool> {
    Ok(delete_version(store, bucket, object, None).await?.existed)
}

async fn delete_version(
    store: &Store,
    bucket: &str,
    object: &str,
    version: Option<VersionId>,
) -> Result<Deleted> {
    let delete = DeleteObject {
        bucket: name(bucket).into(),
        key: key(object),
        version,
        conditions: WriteConditions::default(),
        bypass_governance: false,
        cause: cause(),
    };
    store.delete_object(delete).await
}

/// A copy of the current object, with nothing asked of it.
fn copy_of(from: (&str, &str), to: (&str, &str)) -> CopyObject {
    CopyObject {
        seen: None,
        source: CopySource {
            bucket: name(from.0),
            key: key(from.1),
            version: None,
            expected_owner: None,
            customer: None,
            conditions: Conditions::default(),
        },
        bucket: name(to.0).into(),
        key: key(to.1),
        replace: None,
        properties: None,
        storage_class: StorageClass::default(),
        digests: None,
        content: CopiedContent::Shared(None),
        website_redirect: None,
        conditions: WriteConditions::default(),
        cause: cause(),
    }
}

async fn drain(mut stream: ByteStream) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

async fn get(store: &Store, bucket: &str, object: &str) -> Result<Vec<u8>> {
    let found = store.object(&name(bucket), &key(object), None)?;
    let bytes = drain(store.read(&name(bucket), &key(object), &found, None)?)
        .await
        .map_err(|error| Error::corrupt(error.to_string()))?;
    assert_eq!(bytes.len() as u64, found.size);
    Ok(bytes)
}

/// Bytes that differ from each other by seed, and do not repeat soon.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn listing(prefix: &str, delimiter: &str, after: &str, max: u32) -> Listing {
    Listing {
        prefix: prefix.to_owned(),
        delimiter: (!delimiter.is_empty()).then(|| delimiter.to_owned()),
        after: after.to_owned(),
        max,
    }
}

async fn begin(store: &Store, bucket: &str, object: &str) -> Result<UploadId> {
    Ok(store
        .create_upload(name(bucket), key(object), Attributes::default(), Properties::default(), None, None)
        .await?
        .id)
}

async fn part(
    store: &Store,
    bucket: &str,
    object: &str,
    id: &UploadId,
    number: u64,
    body: &[u8],
) -> Result<Part> {
    let part = PutPart {
        bucket: name(bucket).into(),
        key: key(object),
        upload: id.clone(),
        number: PartNumber::new(number).unwrap(),
        body: try_seal(store, body).await?,
    };
    store.put_part(part).await
}

async fn complete(
    store: &Store,
    bucket: &str,
    object: &str,
    id: &UploadId,
    parts: &[(u64, ETag)],
    part_size_min: u64,
) -> Result<Object> {
    let complete = CompleteUpload {
        bucket: name(bucket).into(),
        key: key(object),
        upload: id.clone(),
        parts: parts.iter().map(|(n, etag)| (PartNumber::new(*n).unwrap(), etag.clone())).collect(),
        part_size_min,
        checksums: Vec::new(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        cause: cause(),
    };
    store.complete_upload(complete).await
}
