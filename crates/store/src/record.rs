//! The values of the engine's tables, and how they are written: one version byte, then the fields
//! in order as a MessagePack array. New fields are added at the end with a default, so that older
//! records still read; a change that cannot be made so takes the next version byte.

use bytes::Bytes;
use cosette_blob::BodyId;
use cosette_model::op::ChecksumType;
use cosette_model::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ETag, ObjectKey, PartNumber, Region, Timestamp,
    UploadId, VersionId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const VERSION: u8 = 1;

/// A bucket as it is stored. `id` is never used again, even by a bucket of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub id: u64,
    pub name: BucketName,
    pub region: Region,
    pub owner_uin: String,
    pub owner_appid: String,
    pub created: Timestamp,
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

/// Where an object's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content(pub(crate) Layout);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// One after another; none for an empty body.
    #[serde(rename = "p")]
    Pieces(Vec<Piece>),
    /// Too many for one record: rows of the table `Pieces`.
    #[serde(rename = "m")]
    Manifest { id: u64, len: u64 },
}

/// A run of bytes that was received as one body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) len: u64,
    /// CRC-64/XZ of these bytes.
    pub(crate) crc64: u64,
    pub(crate) place: Place,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    #[serde(rename = "j")]
    Journal { segment: u64, offset: u64 },
    #[serde(rename = "b")]
    Body(BodyId),
    /// In the record itself; only where there is no journal.
    #[serde(rename = "i")]
    Inline(#[serde(with = "inline")] Bytes),
}

/// An open upload with the number its parts are kept under.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) number: u64,
    pub(crate) upload: Upload,
}

/// Something that several records may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owned {
    pub(crate) refs: u64,
    /// Bytes.
    pub(crate) len: u64,
}

/// What lives in a journal segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) bodies: u64,
    pub(crate) bytes: u64,
}

/// A place in the journal: everything before `offset` of `segment`, and before that segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// How far the index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) position: Position,
    /// The last sequence number that it holds.
    pub(crate) seq: u64,
}

pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    rmp_serde::encode::write(&mut bytes, record).map_err(|error| Error::Index(error.to_string()))?;
    Ok(bytes)
}

/// `what` names the record in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, fields)) => {
            rmp_serde::from_slice(fields).map_err(|error| Error::corrupt(format!("{what}: {error}")))
        }
        Some((version, _)) => Err(Error::corrupt(format!("{what}: unknown record version {version}"))),
        None => Err(Error::corrupt(format!("{what}: empty record"))),
    }
}

/// Bytes as MessagePack's binary, which `Bytes` does not write by itself.
mod inline {
    use bytes::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Binary;
        impl Visitor<'_> for Binary {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("binary")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(bytes.into())
            }
        }
        from.deserialize_byte_buf(Binary)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_may_grow_at_its_end() {
        #[derive(Serialize)]
        struct Before {
            a: u64,
            b: String,
        }
        #[derive(Deserialize, PartialEq, Debug)]
        struct After {
            a: u64,
            b: String,
            #[serde(default)]
            c: Option<u32>,
        }
        let bytes = encode(&Before { a: 7, b: "x".to_owned() }).unwrap();
        assert_eq!(decode::<After>("it", &bytes).unwrap(), After { a: 7, b: "x".to_owned(), c: None });
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let mut bytes = encode(&Live::default()).unwrap();
        bytes[0] = 2;
        assert!(matches!(decode::<Live>("it", &bytes), Err(Error::Corrupt { .. })));
        assert!(matches!(decode::<Live>("it", &[]), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn contents_round_trip() {
        for layout in [
            Layout::Pieces(vec![]),
            Layout::Pieces(vec![Piece {
                len: 5,
                crc64: u64::MAX,
                place: Place::Inline(Bytes::from_static(b"\xff\x00abc")),
            }]),
            Layout::Pieces(vec![
                Piece { len: 1, crc64: 2, place: Place::Journal { segment: 3, offset: 4 } },
                Piece { len: 1, crc64: 2, place: Place::Body(BodyId { epoch: 1, number: 9 }) },
            ]),
            Layout::Manifest { id: 1, len: 2 },
        ] {
            let content = Content(layout);
            assert_eq!(decode::<Content>("content", &encode(&content).unwrap()).unwrap(), content);
        }
    }
}
