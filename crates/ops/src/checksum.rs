//! Checksums of whole objects made of parts.

use cosette_model::op::ChecksumType;
use cosette_model::{Checksum, ChecksumAlgorithm};
use cosette_store::Part;
use crc_fast::CrcAlgorithm;
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The whole object's checksum from its parts' own, or `None` if a part lacks it.
///
/// Composite: the algorithm over the parts' digests, one after the other. Full object: the CRC
/// of all bytes, combined from the parts' CRCs; SHA digests have no such form.
pub(crate) fn of_parts(algorithm: ChecksumAlgorithm, kind: ChecksumType, parts: &[Part]) -> Option<Checksum> {
    let own = |part: &Part| part.checksums.iter().find(|c| c.algorithm == algorithm).map(|c| c.value.clone());
    let value = match kind {
        ChecksumType::Composite => {
            let mut joined = Vec::with_capacity(parts.len() * algorithm.len());
            for part in parts {
                joined.extend_from_slice(&own(part)?);
            }
            digest(algorithm, &joined)
        }
        ChecksumType::FullObject => {
            let crc = crc(algorithm)?;
            let mut whole = 0;
            for part in parts {
                whole = crc_fast::checksum_combine(crc, whole, number(&own(part)?), part.size);
            }
            bytes(algorithm, whole)
        }
    };
    Some(Checksum { algorithm, value })
}

fn crc(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

fn digest(algorithm: ChecksumAlgorithm, data: &[u8]) -> Vec<u8> {
    match algorithm {
        ChecksumAlgorithm::Sha1 => Sha1::digest(data).to_vec(),
        ChecksumAlgorithm::Sha256 => Sha256::digest(data).to_vec(),
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c | ChecksumAlgorithm::Crc64Nvme => {
            crc(algorithm).map(|crc| bytes(algorithm, crc_fast::checksum(crc, data))).unwrap_or_default()
        }
    }
}

/// A CRC as its digest's bytes, big-endian.
fn bytes(algorithm: ChecksumAlgorithm, crc: u64) -> Vec<u8> {
    crc.to_be_bytes()[8 - algorithm.len()..].to_vec()
}

fn number(digest: &[u8]) -> u64 {
    digest.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        let hex = |a| digest(a, b"123456789").iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(ChecksumAlgorithm::Crc32), "cbf43926");
        assert_eq!(hex(ChecksumAlgorithm::Crc32c), "e3069283");
        assert_eq!(hex(ChecksumAlgorithm::Crc64Nvme), "ae8b14860a799888");
    }
}
