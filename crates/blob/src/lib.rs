//! Bodies: immutable runs of bytes, digested once while they are received, and read back in ranges.
//!
//! A body is `Staged` while it comes, `Sealed` when it has come whole, and belongs to somebody
//! once it is claimed; one that is never claimed is removed. What a body is part of, and who
//! refers to it, is not known here; neither are buckets, objects, journals and the network.

mod blocks;
mod bodies;
mod cipher;
mod digest;
mod disk;
mod read;
mod secret;
mod staged;

pub use bodies::{Bodies, BodyId, Removal, Unclaimed};
pub use cipher::sealed_len;
pub use digest::{Digester, combine, combine_crc64, crc64};
pub use disk::{Disk, Faults, Output, Step, Verdict};
pub use read::{Source, Span};
pub use secret::{SECRET_BYTES, Secret, random};
pub use staged::{Received, Sealed, Staged, Stored};

/// Why a body could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("disk: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes read are not the bytes that were stored.
    #[error("{what} is damaged")]
    Damaged { what: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
