//! The storage engine: buckets, objects, uploads, the change log, and the records of the
//! subsystems that react to changes. Knows nothing of HTTP, XML, processes or dialects.
//!
//! Reads go straight to the index. Every mutation is one closure over [`Tx`], run by the one
//! committer: it reads, decides, writes; its writes and its change become one journal record,
//! durable before the caller hears of it.

// PINNED INTERFACE (other crates are written against it); bodies to be filled in.

use std::path::PathBuf;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::op::{ChecksumType, Conditions, CopySource, Listing, Owner, WriteConditions};
use cosette_model::{
    Attributes, BucketName, ByteStream, Cause, Change, Checksum, ChecksumAlgorithm, Digests, ETag, ObjectKey,
    PartNumber, Region, Seq, StorageClass, Timestamp, UploadId, VersionId, Wanted,
};
use serde::{Deserialize, Serialize};

/// What went wrong, not what to answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such bucket: {0}")]
    NoSuchBucket(BucketName),
    #[error("bucket exists: {0}")]
    BucketExists(BucketName),
    #[error("bucket is not empty: {0}")]
    BucketNotEmpty(BucketName),
    #[error("no such object: {0}")]
    NoSuchObject(ObjectKey),
    #[error("no such version")]
    NoSuchVersion,
    #[error("no such upload")]
    NoSuchUpload,
    #[error("part {0} is missing or its ETag differs")]
    InvalidPart(u16),
    #[error("parts are not in ascending order")]
    InvalidPartOrder,
    #[error("part {number} has {size} bytes, fewer than {min}")]
    PartTooSmall { number: u16, size: u64, min: u64 },
    #[error("a precondition does not hold")]
    PreconditionFailed,
    #[error("the object exists and may not be overwritten")]
    OverwriteForbidden,
    /// Damage; never served silently. `what` names the record or body.
    #[error("damaged: {what}")]
    Corrupt { what: String },
    /// A failed sync or append: writes are refused until restart, reads go on.
    #[error("the store refuses writes: {0}")]
    Poisoned(String),
    #[error("the store is closing")]
    Closed,
    #[error("disk: {0}")]
    Io(#[from] std::io::Error),
    #[error("index: {0}")]
    Index(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an acknowledgement promises (design 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means on disk.
    #[default]
    Strict,
    /// No sync: consistent after a crash, may lose the last moments.
    Relaxed,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// `None` keeps everything in memory; large bodies spill to files that die with the process.
    pub dir: Option<PathBuf>,
    pub durability: Durability,
    /// Index cache, in bytes.
    pub cache_bytes: u64,
}

/// A bucket as it is stored. `id` is never used again, even by a bucket of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub id: u64,
    pub name: BucketName,
    pub region: Region,
    pub owner_uin: String,
    pub owner_appid: String,
    pub created: Timestamp,
    // versioning state and settings are added here by later issues (append-only, serde(default))
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub version: VersionId,
    pub size: u64,
    pub etag: ETag,
    pub modified: Timestamp,
    pub attributes: Attributes,
    pub crc64: u64,
    pub checksums: Vec<Checksum>,
    pub checksum_type: Option<ChecksumType>,
    /// Number of parts, when made by a multipart upload.
    pub parts: Option<u32>,
    /// Where the bytes are; opaque to everybody outside the engine.
    pub content: Content,
}

/// Where an object's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content(/* private */ ());

/// A body that has been received whole, with its digests; not yet referred to by any record.
/// Dropping it discards the bytes.
pub struct Sealed {
    pub size: u64,
    pub digests: Digests,
}

/// An open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    pub id: UploadId,
    pub key: ObjectKey,
    pub initiated: Timestamp,
    pub attributes: Attributes,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// A stored part of an open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub number: PartNumber,
    pub size: u64,
    pub md5: [u8; 16],
    pub crc64: u64,
    pub checksums: Vec<Checksum>,
    pub modified: Timestamp,
    pub content: Content,
}

/// The tables of subsystems, in the one keyspace. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    Function = 0x40,
    FunctionVersion = 0x41,
    Invocation = 0x42,
    Rule = 0x48,
    Delivery = 0x49,
    Cursor = 0x4a,
}

/// A handle; clones share one store.
#[derive(Clone)]
pub struct Store {}

/// One mutation in progress. Sees committed state and its own writes.
pub struct Tx<'a> {
    _p: std::marker::PhantomData<&'a ()>,
}

impl Tx<'_> {
    /// This commit's place in the order of all commits. Changes of later commits have greater ones.
    pub fn seq(&self) -> Seq {
        unimplemented!()
    }
    pub fn now(&self) -> Timestamp {
        unimplemented!()
    }
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let _ = (table, key);
        unimplemented!()
    }
    /// Rows whose key begins with `prefix`, in key order, at most `max`.
    pub fn scan(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let _ = (table, prefix, max);
        unimplemented!()
    }
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        let _ = (table, key, value);
    }
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        let _ = (table, key);
    }
    pub fn bucket(&self, name: &BucketName) -> Result<Option<Bucket>> {
        let _ = name;
        unimplemented!()
    }
}

/// What a write of an object needs besides its bytes.
pub struct PutObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub attributes: Attributes,
    pub checksum_type: Option<ChecksumType>,
    pub conditions: WriteConditions,
    pub body: Sealed,
    pub cause: Cause,
}

pub struct CopyObject {
    pub source: CopySource,
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub replace: Option<Attributes>,
    pub storage_class: StorageClass,
    pub conditions: WriteConditions,
    pub cause: Cause,
}

pub struct PutPart {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub number: PartNumber,
    pub body: Sealed,
}

pub struct CompleteUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    /// Part numbers with the ETags the client saw.
    pub parts: Vec<(PartNumber, ETag)>,
    /// Smallest part but the last, in bytes.
    pub part_size_min: u64,
    /// Whole-object or composite checksum, computed by the caller from the parts' own.
    pub checksums: Vec<Checksum>,
    pub checksum_type: Option<ChecksumType>,
    pub conditions: WriteConditions,
    pub cause: Cause,
}

/// What a committed delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub version: Option<VersionId>,
    pub delete_marker: bool,
    /// False when there was nothing to delete (still a success).
    pub existed: bool,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub objects: Vec<(ObjectKey, Object)>,
    pub common_prefixes: Vec<String>,
    /// The last key or common prefix of this page, when there are more.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    pub uploads: Vec<Upload>,
    pub common_prefixes: Vec<String>,
    /// Key (or common prefix) and upload id of the last entry, when there are more.
    pub next: Option<(String, String)>,
}

/// A body being received. Bytes go to disk (or memory) while digests are computed.
pub struct Staged {}

impl Staged {
    /// Takes the next chunk. Returns when there is room for more, so a fast sender is slowed to the disk.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let _ = chunk;
        unimplemented!()
    }
    /// All bytes have come: they are on disk (durably, if strict) when this returns.
    pub async fn seal(self) -> Result<Sealed> {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl Store {
    pub fn open(options: Options, clock: Clock) -> Result<Self> {
        unimplemented!()
    }
    /// Finishes what was accepted, flushes, lets go of the directory.
    pub async fn close(&self) -> Result<()> {
        unimplemented!()
    }

    // --- buckets ---
    pub fn bucket(&self, name: &BucketName) -> Result<Option<Bucket>> {
        unimplemented!()
    }
    /// All buckets in name order.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        unimplemented!()
    }
    pub async fn create_bucket(
        &self,
        name: BucketName,
        region: Region,
        owner: Owner,
        cause: Cause,
    ) -> Result<Bucket> {
        unimplemented!()
    }
    pub async fn delete_bucket(&self, name: BucketName, cause: Cause) -> Result<()> {
        unimplemented!()
    }

    // --- objects ---
    /// `NoSuchBucket`, `NoSuchObject` or `NoSuchVersion` when it is not there.
    pub fn object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Object> {
        unimplemented!()
    }
    pub fn list_objects(&self, bucket: &BucketName, listing: &Listing) -> Result<Page> {
        unimplemented!()
    }
    /// Begins to receive a body. `length` is a hint for where to put it.
    pub fn stage(&self, length: Option<u64>, wanted: Wanted) -> Result<Staged> {
        unimplemented!()
    }
    /// The bytes `start..end` of an object; damage ends the stream with an error.
    pub fn read(&self, object: &Object, range: Option<(u64, u64)>) -> Result<ByteStream> {
        unimplemented!()
    }
    pub async fn put_object(&self, put: PutObject) -> Result<Object> {
        unimplemented!()
    }
    /// Copies without copying large bodies. Returns the new object and the source's version, if it has one.
    pub async fn copy_object(&self, copy: CopyObject) -> Result<(Object, Option<VersionId>)> {
        unimplemented!()
    }
    pub async fn delete_object(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        cause: Cause,
    ) -> Result<Deleted> {
        unimplemented!()
    }

    // --- uploads ---
    pub async fn create_upload(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        attributes: Attributes,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    ) -> Result<Upload> {
        unimplemented!()
    }
    pub fn upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> Result<Upload> {
        unimplemented!()
    }
    pub async fn put_part(&self, part: PutPart) -> Result<Part> {
        unimplemented!()
    }
    /// Parts with numbers above `after`, at most `max`, in order.
    pub fn parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
        after: u16,
        max: usize,
    ) -> Result<Vec<Part>> {
        unimplemented!()
    }
    pub fn list_uploads(
        &self,
        bucket: &BucketName,
        listing: &Listing,
        upload_marker: &str,
    ) -> Result<UploadPage> {
        unimplemented!()
    }
    pub async fn complete_upload(&self, complete: CompleteUpload) -> Result<Object> {
        unimplemented!()
    }
    pub async fn abort_upload(&self, bucket: BucketName, key: ObjectKey, id: UploadId) -> Result<()> {
        unimplemented!()
    }

    // --- change log ---
    /// The greatest committed sequence number.
    pub fn head(&self) -> Seq {
        unimplemented!()
    }
    /// Changes after `after`, in order, at most `max`. (Commits that only touch subsystem tables have none.)
    pub fn changes(&self, after: Seq, max: usize) -> Result<Vec<Change>> {
        unimplemented!()
    }
    /// Returns once `head()` is greater than `after`. No polling.
    pub async fn changed(&self, after: Seq) {
        unimplemented!()
    }

    // --- records of subsystems ---
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
    /// Rows with keys that begin with `prefix` and are greater than `after` (whole keys), in order.
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        unimplemented!()
    }
    /// Rows that begin with `prefix`, greatest key first.
    pub fn scan_back(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        unimplemented!()
    }
    /// One atomic, durable, serial mutation. An `Err` from the closure writes nothing.
    /// The commit's sequence number comes back with the closure's value.
    pub async fn commit<T, E, F>(&self, decide: F) -> std::result::Result<(Seq, T), E>
    where
        F: FnOnce(&mut Tx<'_>) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        unimplemented!()
    }
    /// Keeps a sealed body for a subsystem (a function's code): the reference to put into its record.
    /// The body lives until `release`d in a commit.
    pub fn keep(&self, tx: &mut Tx<'_>, body: Sealed) -> Result<Content> {
        unimplemented!()
    }
    pub fn release(&self, tx: &mut Tx<'_>, content: &Content) -> Result<()> {
        unimplemented!()
    }
    pub fn read_content(&self, content: &Content) -> Result<ByteStream> {
        unimplemented!()
    }
}

#[allow(unused)]
fn unused(_: Conditions) {}
