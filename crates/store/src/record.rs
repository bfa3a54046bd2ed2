//! The values of the engine's tables, and how they are written: one version byte, then the fields
//! in order as a MessagePack array. New fields are added at the end with a default, so that older
//! records still read; a change that cannot be made so takes the next version byte.
//!
//! An object's record has two such arrays, the length of the first before it: what a listing
//! shows, and the rest, which a listing does not read.

use bytes::Bytes;
use cosette_blob::{BodyId, sealed_len};
use cosette_model::op::ChecksumType;
use cosette_model::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ETag, ObjectKey, PartNumber, Properties, Region,
    ReplicaState, Restore, StorageClass, Tiering, Timestamp, UploadId, VersionId, Versioning,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sealing::{Salt, Sealing};

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
    pub versioning: Versioning,
    /// The greatest stamp of a version that went before the clock had passed it: none is given again.
    #[serde(default)]
    pub(crate) floor: u64,
}

impl Bucket {
    /// The id of the key that its account has without making one, used where none is named: one that no
    /// key of a user has.
    pub fn own_kms_key(&self) -> String {
        format!("00000000-0000-0000-0000-{:0>12}", self.owner_appid)
    }
}

/// A version's place among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Microseconds since 1970, made greater where needed so that a newer version of a key has the
    /// greater stamp.
    pub stamp: u64,
    /// Written while versioning was not enabled; a key has at most one such version.
    pub null: bool,
}

impl Version {
    pub fn id(self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::of_stamp(self.stamp) }
    }
}

/// What a listing shows of a version: an object's, or a delete marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub version: Version,
    /// Nothing else of a marker counts but version and time.
    pub delete_marker: bool,
    pub size: u64,
    pub etag: ETag,
    pub modified: Timestamp,
    pub storage_class: StorageClass,
    pub checksums: Vec<ChecksumAlgorithm>,
    pub checksum_type: Option<ChecksumType>,
    pub restore: Option<Restore>,
    /// UIN of who owns it, if that is not the bucket's owner.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub tiering: Tiering,
    #[serde(default)]
    pub replica: Option<ReplicaState>,
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub version: Version,
    pub size: u64,
    pub etag: ETag,
    pub modified: Timestamp,
    pub attributes: Attributes,
    pub properties: Properties,
    pub crc64: u64,
    pub checksums: Vec<Checksum>,
    pub checksum_type: Option<ChecksumType>,
    /// Number of parts, when made by a multipart upload.
    pub parts: Option<u32>,
    /// Made by appends, and open to more.
    pub appendable: bool,
    /// It is a symlink: where it leads, in its bucket. Its bytes are that key.
    pub symlink: Option<ObjectKey>,
    /// How its content is encrypted, if it is.
    pub sealing: Option<Sealing>,
    /// Whether it is a copy made by a rule, or has such copies.
    pub replica: Option<ReplicaState>,
    /// Where the bytes are; opaque to everybody outside the engine.
    pub content: Content,
    /// The list of its parts, if it has one.
    pub(crate) part_list: Option<u64>,
}

/// What a listing does not read of an object.
#[derive(Deserialize)]
struct Details {
    attributes: Attributes,
    properties: Properties,
    crc64: u64,
    checksums: Vec<Checksum>,
    parts: Option<u32>,
    appendable: bool,
    content: Content,
    part_list: Option<u64>,
    #[serde(default)]
    symlink: Option<ObjectKey>,
    #[serde(default)]
    sealing: Option<Sealing>,
}

impl Object {
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            version: self.version,
            delete_marker: false,
            size: self.size,
            etag: self.etag.clone(),
            modified: self.modified,
            storage_class: self.attributes.storage_class,
            checksums: self.checksums.iter().map(|checksum| checksum.algorithm).collect(),
            checksum_type: self.checksum_type,
            restore: self.properties.restore,
            owner: self.properties.owner.clone(),
            tiering: self.properties.tiering,
            replica: self.replica,
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = self.summary().encode()?;
        let details = (
            &self.attributes,
            &self.properties,
            self.crc64,
            &self.checksums,
            self.parts,
            self.appendable,
            &self.content,
            self.part_list,
            &self.symlink,
            &self.sealing,
        );
        write(&mut bytes, &details)?;
        Ok(bytes)
    }

    /// `None` for a delete marker.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>> {
        let (summary, rest) = Summary::split(bytes)?;
        if summary.delete_marker {
            return Ok(None);
        }
        let details: Details = read("object", rest)?;
        Ok(Some(Self {
            version: summary.version,
            size: summary.size,
            etag: summary.etag,
            modified: summary.modified,
            attributes: details.attributes,
            properties: details.properties,
            crc64: details.crc64,
            checksums: details.checksums,
            checksum_type: summary.checksum_type,
            parts: details.parts,
            appendable: details.appendable,
            symlink: details.symlink,
            sealing: details.sealing,
            replica: summary.replica,
            content: details.content,
            part_list: details.part_list,
        }))
    }
}

impl Summary {
    pub(crate) fn marker(version: Version, modified: Timestamp) -> Self {
        Self {
            version,
            delete_marker: true,
            size: 0,
            etag: ETag::parse(""),
            modified,
            storage_class: StorageClass::default(),
            checksums: Vec::new(),
            checksum_type: None,
            restore: None,
            owner: None,
            tiering: Tiering::default(),
            replica: None,
        }
    }

    /// The whole record of a marker; the beginning of an object's.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[VERSION, 0, 0]);
        write(&mut bytes, self)?;
        let len = u16::try_from(bytes.len() - SUMMARY_AT).map_err(|_| Error::Index("summary".to_owned()))?;
        bytes[1..SUMMARY_AT].copy_from_slice(&len.to_le_bytes());
        Ok(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self::split(bytes)?.0)
    }

    fn split(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let fields = fields("object", bytes)?;
        let parts = fields
            .split_at_checked(2)
            .and_then(|(len, rest)| rest.split_at_checked(u16::from_le_bytes([len[0], len[1]]).into()));
        let (summary, rest) = parts.ok_or_else(|| Error::corrupt("object: cut short"))?;
        Ok((read("object", summary)?, rest))
    }
}

/// Version byte, then the summary's length in two bytes, little-endian.
const SUMMARY_AT: usize = 3;

/// A part of an object that was made by a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectPart {
    pub number: PartNumber,
    /// Where in the object it begins, in bytes.
    pub offset: u64,
    pub size: u64,
    pub checksums: Vec<Checksum>,
}

/// An open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    pub id: UploadId,
    pub key: ObjectKey,
    pub initiated: Timestamp,
    pub attributes: Attributes,
    /// What the object will have.
    pub properties: Properties,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// How its parts are encrypted, and the object will be.
    #[serde(default)]
    pub sealing: Option<Sealing>,
}

/// A stored part of an open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub number: PartNumber,
    pub size: u64,
    /// Of the content, or what stands for it in ETags where that is encrypted.
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
    /// Bytes, as they are read.
    pub(crate) len: u64,
    /// CRC-64/XZ of these bytes, as they lie where they are.
    pub(crate) crc64: u64,
    pub(crate) place: Place,
    /// Of the key they are encrypted under, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) salt: Option<Salt>,
}

impl Piece {
    /// Bytes where they lie.
    pub(crate) fn stored(&self) -> u64 {
        if self.salt.is_some() { sealed_len(self.len) } else { self.len }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// `listed` if a row of the table `Small` says so; else this record was written in one commit
    /// with the body, and whoever reads that commit finds it.
    #[serde(rename = "j")]
    Journal { segment: u64, offset: u64, listed: bool },
    /// From `at` on, in a file with a payload of `size` bytes.
    #[serde(rename = "b")]
    Body { id: BodyId, size: u64, at: u64 },
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

/// A record's references to a small body in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Small {
    /// Pieces of the record that are this body.
    pub(crate) refs: u64,
    /// Bytes of the body.
    pub(crate) len: u64,
    /// CRC-64/XZ of them.
    pub(crate) crc64: u64,
}

/// What lives in a journal segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// References to small bodies.
    pub(crate) refs: u64,
    /// Bytes of those bodies that have a reference which is not listed; no body has two.
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
    write(&mut bytes, record)?;
    Ok(bytes)
}

/// `what` names the record in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    read(what, fields(what, bytes)?)
}

fn write<T: Serialize>(bytes: &mut Vec<u8>, fields: &T) -> Result<()> {
    rmp_serde::encode::write(bytes, fields).map_err(|error| Error::Index(error.to_string()))
}

fn read<T: DeserializeOwned>(what: &str, fields: &[u8]) -> Result<T> {
    rmp_serde::from_slice(fields).map_err(|error| Error::corrupt(format!("{what}: {error}")))
}

/// What follows the version byte.
fn fields<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.split_first() {
        Some((&VERSION, fields)) => Ok(fields),
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
                salt: None,
            }]),
            Layout::Pieces(vec![
                Piece {
                    len: 1,
                    crc64: 2,
                    place: Place::Journal { segment: 3, offset: 4, listed: true },
                    salt: Some(Salt(u128::MAX)),
                },
                Piece {
                    len: 1,
                    crc64: 2,
                    place: Place::Body { id: BodyId { epoch: 1, number: 9 }, size: 4, at: 3 },
                    salt: None,
                },
            ]),
            Layout::Manifest { id: 1, len: 2 },
        ] {
            let content = Content(layout);
            assert_eq!(decode::<Content>("content", &encode(&content).unwrap()).unwrap(), content);
        }
    }
}
