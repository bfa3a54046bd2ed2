//! The store that is measured, and what is done with it, as the product does it.

use std::future::poll_fn;
use std::path::Path;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::op::{Owner, WriteConditions};
use cosette_model::{Attributes, BucketName, Cause, ObjectKey, Region, Wanted};
use cosette_store::{Durability, Options, PutObject, Store};

/// `INDEX_CACHE_BYTES` of the server.
pub(crate) const CACHE_BYTES: u64 = 16 << 20;
/// For loading only, so that it does not take long.
const LOADING_CACHE_BYTES: u64 = 1 << 30;
pub(crate) const LOADERS: usize = 512;

pub(crate) fn open(dir: &Path) -> Store {
    let options =
        Options { dir: Some(dir.to_owned()), durability: Durability::Strict, cache_bytes: CACHE_BYTES };
    Store::open(options, Clock::real()).unwrap()
}

/// A store that nobody waits for, and that is no subject of a figure.
pub(crate) fn open_to_load(dir: &Path) -> Store {
    let options = Options {
        dir: Some(dir.to_owned()),
        durability: Durability::Relaxed,
        cache_bytes: LOADING_CACHE_BYTES,
    };
    Store::open(options, Clock::real()).unwrap()
}

pub(crate) fn name(bucket: &str) -> BucketName {
    BucketName::new(bucket).unwrap()
}

pub(crate) fn key(key: impl Into<String>) -> ObjectKey {
    ObjectKey::new(key.into()).unwrap()
}

pub(crate) async fn create(store: &Store, bucket: &BucketName) {
    let region = Region::new("ap-guangzhou").unwrap();
    store.create_bucket(bucket.clone(), region, Owner::default(), Cause::default()).await.unwrap();
}

/// As long as what a request leaves in the change log.
fn cause() -> Cause {
    Cause {
        request_id: "NWQxMjM0NTZfMTIzNDU2Nzg5".to_owned(),
        source_ip: "127.0.0.1".to_owned(),
        authorization: "q-sign-algorithm=sha1&q-ak=AKIDCosetteLocalDevelopment0000000000&\
                        q-sign-time=1700000000;1700003600&q-key-time=1700000000;1700003600&\
                        q-header-list=host&q-url-param-list=&\
                        q-signature=0123456789abcdef0123456789abcdef01234567"
            .to_owned(),
        access_key: "AKIDCosetteLocalDevelopment0000000000".to_owned(),
        ..Cause::default()
    }
}

pub(crate) async fn put(store: &Store, bucket: &BucketName, key: ObjectKey, body: &[Bytes]) {
    let length = body.iter().map(|chunk| chunk.len() as u64).sum();
    let mut staged = store.stage(Some(length), Wanted::default()).unwrap();
    for chunk in body {
        staged.write(chunk.clone()).await.unwrap();
    }
    let put = PutObject {
        bucket: bucket.clone().into(),
        key,
        attributes: Attributes {
            content_type: Some("application/octet-stream".to_owned()),
            ..Attributes::default()
        },
        properties: Default::default(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        symlink: None,
        body: staged.seal().await.unwrap(),
        event: cosette_model::EventType::CreatedPut,
        cause: cause(),
    };
    store.put_object(put).await.unwrap();
}

/// Gives back how many bytes came.
pub(crate) async fn get(store: &Store, bucket: &BucketName, key: &ObjectKey) -> usize {
    let object = store.object(bucket, key, None).unwrap();
    let mut stream = store.read(bucket, key, &object, None).unwrap();
    let mut bytes = 0;
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        bytes += chunk.unwrap().len();
    }
    bytes
}
