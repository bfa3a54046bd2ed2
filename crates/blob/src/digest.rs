//! All digests of a body in one pass, and how CRCs of pieces make the CRC of the whole.

use cosette_model::{Checksum, ChecksumAlgorithm, Digests, Wanted};
use crc_fast::CrcAlgorithm;
use md5::Digest as _;

/// Takes bytes, gives [`Digests`].
#[derive(Clone)]
pub struct Digester {
    md5: md5::Md5,
    crc64: crc_fast::Digest,
    others: Vec<(ChecksumAlgorithm, Other)>,
}

#[derive(Clone)]
enum Other {
    Crc(crc_fast::Digest),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

/// The parameters of those S3 checksums that are CRCs.
fn crc_of(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

/// A CRC's value in as many bytes as its algorithm has, big-endian.
fn crc_bytes(algorithm: ChecksumAlgorithm, value: u64) -> Vec<u8> {
    value.to_be_bytes()[8 - algorithm.len()..].to_vec()
}

impl Digester {
    /// MD5 and CRC-64/XZ always, `wanted` besides; an algorithm named twice is computed once.
    pub fn new(wanted: &Wanted) -> Self {
        let mut algorithms = wanted.checksums.clone();
        algorithms.sort_unstable();
        algorithms.dedup();
        let others = algorithms
            .into_iter()
            .map(|algorithm| {
                let other = match (algorithm, crc_of(algorithm)) {
                    (_, Some(crc)) => Other::Crc(crc_fast::Digest::new(crc)),
                    (ChecksumAlgorithm::Sha1, None) => Other::Sha1(sha1::Sha1::new()),
                    (_, None) => Other::Sha256(sha2::Sha256::new()),
                };
                (algorithm, other)
            })
            .collect();
        Self { md5: md5::Md5::new(), crc64: crc_fast::Digest::new(CrcAlgorithm::Crc64Xz), others }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.update(bytes);
        for (_, other) in &mut self.others {
            match other {
                Other::Crc(crc) => crc.update(bytes),
                Other::Sha1(sha) => sha.update(bytes),
                Other::Sha256(sha) => sha.update(bytes),
            }
        }
    }

    pub fn finish(self) -> Digests {
        let checksums = self
            .others
            .into_iter()
            .map(|(algorithm, other)| Checksum {
                algorithm,
                value: match other {
                    Other::Crc(crc) => crc_bytes(algorithm, crc.finalize()),
                    Other::Sha1(sha) => sha.finalize().to_vec(),
                    Other::Sha256(sha) => sha.finalize().to_vec(),
                },
            })
            .collect();
        Digests { md5: self.md5.finalize().into(), crc64: self.crc64.finalize(), checksums }
    }
}

/// CRC-64/XZ, what COS calls `x-cos-hash-crc64ecma`.
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Xz, bytes)
}

/// The CRC-64/XZ of two runs of bytes put together, the second `second_len` bytes long.
pub fn combine_crc64(first: u64, second: u64, second_len: u64) -> u64 {
    // Shifting by nothing is not the identity in the library's arithmetic.
    if second_len == 0 {
        return first;
    }
    crc_fast::checksum_combine(CrcAlgorithm::Crc64Xz, first, second, second_len)
}

/// The same for a checksum of S3; `None` when it is no CRC or a value has the wrong length.
pub fn combine(
    algorithm: ChecksumAlgorithm,
    first: &[u8],
    second: &[u8],
    second_len: u64,
) -> Option<Vec<u8>> {
    let crc = crc_of(algorithm)?;
    let number = |bytes: &[u8]| {
        (bytes.len() == algorithm.len()).then(|| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)))
    };
    let (first, second) = (number(first)?, number(second)?);
    if second_len == 0 {
        return Some(crc_bytes(algorithm, first));
    }
    Some(crc_bytes(algorithm, crc_fast::checksum_combine(crc, first, second, second_len)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> Digests {
        let mut digester = Digester::new(&Wanted { checksums: ChecksumAlgorithm::ALL.to_vec() });
        for chunk in bytes.chunks(3) {
            digester.update(chunk);
        }
        digester.finish()
    }

    /// The check values of the CRC catalogue, RFC 1321, RFC 3174 and FIPS 180, over "123456789".
    #[test]
    fn published_check_values() {
        let digests = digest(b"123456789");
        assert_eq!(digests.crc64, 0x995d_c9bb_df19_39fa);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&digests.md5), "25f9e794323b453885f5181f1b624d0b");
        for (algorithm, want) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            assert_eq!(hex(digests.checksum(algorithm).unwrap()), want, "{algorithm:?}");
        }
    }

    #[test]
    fn crcs_of_pieces_make_the_crc_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n * 31 % 251) as u8).collect();
        let whole = digest(&bytes);
        for cut in [0, 1, 8, 4096, 65_537, 99_999, 100_000] {
            let (a, b) = bytes.split_at(cut);
            let (first, second) = (digest(a), digest(b));
            let len = b.len() as u64;
            assert_eq!(combine_crc64(first.crc64, second.crc64, len), whole.crc64, "{cut}");
            for algorithm in
                [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme]
            {
                let value = combine(
                    algorithm,
                    first.checksum(algorithm).unwrap(),
                    second.checksum(algorithm).unwrap(),
                    len,
                );
                assert_eq!(value.as_deref(), whole.checksum(algorithm), "{algorithm:?} at {cut}");
            }
        }
        assert_eq!(combine(ChecksumAlgorithm::Sha1, &[0; 20], &[0; 20], 1), None);
        assert_eq!(combine(ChecksumAlgorithm::Crc32, &[0; 8], &[0; 4], 1), None);
    }
}
