//! Digests that a client may ask for or send, and those every body gets.

use serde::{Deserialize, Serialize};

/// The additional checksums of S3 (`x-amz-checksum-*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl ChecksumAlgorithm {
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name as S3 writes it in XML and in `x-amz-sdk-checksum-algorithm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// Length of the digest in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// One checksum with its value: the digest's bytes, big-endian for CRCs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: ChecksumAlgorithm,
    pub value: Vec<u8>,
}

/// What to compute besides MD5 and CRC-64/XZ, which every body gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub checksums: Vec<ChecksumAlgorithm>,
}

/// What was computed of one body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    pub md5: [u8; 16],
    /// CRC-64/XZ (ECMA-182 reflected), what COS calls `x-cos-hash-crc64ecma`.
    pub crc64: u64,
    pub checksums: Vec<Checksum>,
}

impl Digests {
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<&[u8]> {
        self.checksums.iter().find(|c| c.algorithm == algorithm).map(|c| c.value.as_slice())
    }
}
