//! The storage engine: buckets, objects, uploads, the change log, and the records of the
//! subsystems that react to changes. Knows nothing of HTTP, XML, processes or dialects.
//!
//! Reads go straight to the index. Every mutation is one closure over [`Tx`], run by the one
//! committer: it reads, decides, writes; its writes and its change become one journal record,
//! durable before the caller hears of it. How, and what a crash can do to it: `docs/engine.md`.

mod aging;
mod bucket;
mod changelog;
mod check;
mod commit;
mod content;
mod directory;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod holder;
mod journal;
mod listing;
mod little;
mod names;
mod object;
mod open;
mod read;
mod reads;
mod record;
mod replicas;
mod restores;
mod schema;
mod sealing;
mod settings;
mod snapshot;
mod space;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod tx;
mod upkeep;
mod upload;
mod version;
mod views;

pub use aging::{Age, Aging, standing};
pub use bucket::{NewBucket, Settings};
pub use check::{Finding, Progress, Report, verify};
pub use cosette_blob::{Digester, Disk, Faults, Step, Verdict, combine, combine_crc64};
pub use error::{Error, Result};
pub use listing::{ListedVersion, Page, UploadPage, VersionPage};
pub use names::{FUNCTION_DOMAIN, NameOf};
pub use object::{
    AppendObject, CopiedContent, CopyObject, DeleteObject, Deleted, PutObject, ReviseObject, Revision, Seen,
};
pub use record::{Bucket, Content, Object, ObjectPart, Part, Summary, Upload, Version};
pub use replicas::{Replica, Replicate, Replicated};
pub use sealing::{Seal, SealedBy, Sealing};
pub use store::{Durability, Options, Sealed, Staged, Store};
pub use target::Target;
pub use tx::Tx;
pub use upload::{CompleteUpload, PutPart};
pub use views::View;

/// The tables of subsystems, in the one keyspace. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    Function = 0x40,
    FunctionVersion = 0x41,
    Invocation = 0x42,
    Rule = 0x48,
    Delivery = 0x49,
    /// A cursor's name -> the sequence number it has passed, 8 bytes, big-endian. No change after
    /// the least of them is forgotten.
    Cursor = 0x4a,
    /// The trigger subsystem's own notes: counters and marks, by name.
    TriggerNote = 0x4b,
    /// Inventories: which are to be written once, and when the others come next.
    Report = 0x4c,
    /// Webhooks, by name.
    Webhook = 0x4d,
    /// Layers of functions, by version.
    Layer = 0x4e,
    /// How much may run at once, of a function or of an account.
    Concurrency = 0x4f,
    /// Events to try functions with, by the function's id and a name.
    TestModel = 0x51,
    /// Namespaces of functions, by account and region.
    Namespace = 0x52,
    /// Domains of the CDN, by name.
    CdnDomain = 0x58,
    /// What was asked to be purged and prefetched, in that order: sequence number, 8 bytes, and a place, 2.
    CdnTask = 0x59,
    /// How much of that an account has asked for on a day, by APPID, kind and area.
    CdnQuota = 0x5a,
}

/// A body that the store keeps for a subsystem, which puts this into its own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept(u64, u16);
