//! Every table of the one keyspace: its kind, the first byte of its keys, and how the rest of the
//! key is laid out. Numbers are big-endian, so that byte order is their order.
//!
//! A kind is never reused; one that is retired stays listed here.

use cosette_blob::BodyId;
use cosette_model::{BucketName, ObjectKey, PartNumber, Seq, Timestamp, UploadId};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::{Kept, Table};

/// The engine's own tables. Those of subsystems are [`Table`], 0x40 and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A name -> the value that name says.
    Meta = 0x01,
    /// Bucket name -> `Bucket`.
    Bucket = 0x02,
    /// Bucket id, key -> the current `Object`. The key is last and needs no escape.
    Object = 0x03,
    /// Bucket id, escaped key, inverted stamp -> `Object` or delete marker: every version but a
    /// current object. Newest first, so a current marker is the first of its key.
    Version = 0x04,
    /// Bucket id, escaped key, upload id -> `UploadRecord`.
    Upload = 0x05,
    /// Upload number, part number -> `Part`.
    Part = 0x06,
    /// Sequence number -> `Change`: only in the journal, from where it goes into the change log.
    Change = 0x07,
    /// Bucket id, escaped key -> stamp, 8 bytes: which of the key's rows in `Version` is the null
    /// version, if one of them is.
    Null = 0x08,
    /// Bucket id, name -> a setting of the bucket, in its owner's own form.
    Setting = 0x09,
    /// Body id -> `Owned`: who refers to a body in a file.
    Body = 0x10,
    /// Manifest id -> `Owned`.
    Manifest = 0x11,
    /// Manifest id, offset of the first piece -> `Vec<Piece>`.
    Pieces = 0x12,
    /// Body id -> nothing: a file to be removed.
    Garbage = 0x13,
    /// Segment number -> `Live`: the references to small bodies in a journal segment.
    Segment = 0x14,
    /// Epoch -> nothing: strays of this epoch's bodies have been removed.
    Swept = 0x15,
    /// Manifest id -> nothing: a manifest to be removed, with its references.
    Discarded = 0x16,
    /// Segment, offset, holder -> `Small`: who refers to a body in the journal, besides the record
    /// that was written in one commit with it.
    Small = 0x17,
    /// List id, first part number -> `Vec<ObjectPart>`: the parts of a completed object.
    PartList = 0x18,
    /// Sequence number, count -> `Content` that is kept for a subsystem.
    Kept = 0x19,
    /// Time, sequence number -> `Restoring`: a restore that will be finished then.
    Restoring = 0x1a,
}

#[cfg(test)]
pub(crate) const KINDS: &[Kind] = &[
    Kind::Meta,
    Kind::Bucket,
    Kind::Object,
    Kind::Version,
    Kind::Upload,
    Kind::Part,
    Kind::Change,
    Kind::Null,
    Kind::Setting,
    Kind::Body,
    Kind::Manifest,
    Kind::Pieces,
    Kind::Garbage,
    Kind::Segment,
    Kind::Swept,
    Kind::Discarded,
    Kind::Small,
    Kind::PartList,
    Kind::Kept,
    Kind::Restoring,
];

/// The row that says up to where in the journal the index has been brought.
pub(crate) fn applied() -> Vec<u8> {
    key(Kind::Meta, &[b"applied"])
}

/// The row by which the master key of encrypted contents is known.
pub(crate) fn master() -> Vec<u8> {
    key(Kind::Meta, &[b"master"])
}

pub(crate) fn key(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind as u8);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(crate) fn table(table: Table, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(table as u8);
    key.extend_from_slice(rest);
    key
}

pub(crate) fn bucket(name: &BucketName) -> Vec<u8> {
    key(Kind::Bucket, &[name.as_str().as_bytes()])
}

pub(crate) fn object(bucket: u64, name: &ObjectKey) -> Vec<u8> {
    key(Kind::Object, &[&bucket.to_be_bytes(), name.as_str().as_bytes()])
}

/// The bucket's id and the key in the row of an object or version.
pub(crate) fn object_of(row: &[u8]) -> Result<(u64, String)> {
    let bucket = number8(row, 1).ok_or_else(|| Error::corrupt("an object's row"))?;
    // There are nine bytes at least.
    let key = if row[0] == Kind::Object as u8 {
        String::from_utf8(row[9..].to_vec()).map_err(|_| Error::corrupt("an object's row"))?
    } else {
        unescape(&row[9..])?.0
    };
    Ok((bucket, key))
}

/// The prefix of a key's rows in one of the tables where something can follow the key.
pub(crate) fn of_key(kind: Kind, bucket: u64, name: &str) -> Vec<u8> {
    key(kind, &[&bucket.to_be_bytes(), &escape(name), END])
}

pub(crate) fn version(bucket: u64, name: &ObjectKey, stamp: u64) -> Vec<u8> {
    let mut row = of_key(Kind::Version, bucket, name.as_str());
    row.extend_from_slice(&(!stamp).to_be_bytes());
    row
}

/// The stamp at the end of a key of `Version`.
pub(crate) fn stamp_of(row: &[u8]) -> Result<u64> {
    let at = row.len().checked_sub(8).ok_or_else(|| Error::corrupt("a version's key"))?;
    number8(row, at).map(|inverted| !inverted).ok_or_else(|| Error::corrupt("a version's key"))
}

pub(crate) fn null(bucket: u64, name: &ObjectKey) -> Vec<u8> {
    of_key(Kind::Null, bucket, name.as_str())
}

/// The row of a restore that a commit begins; they are in the order of their ends.
pub(crate) fn restoring(at: Timestamp, seq: Seq) -> Vec<u8> {
    key(Kind::Restoring, &[&at.as_micros().to_be_bytes(), &seq.0.to_be_bytes()])
}

/// Of all rows of restores that are finished at the same time.
pub(crate) fn restoring_at(at: Timestamp) -> Vec<u8> {
    key(Kind::Restoring, &[&at.as_micros().to_be_bytes()])
}

/// When the restore of this row will be finished.
pub(crate) fn restored_at(row: &[u8]) -> Result<Timestamp> {
    number8(row, 1).map(Timestamp::from_micros).ok_or_else(|| Error::corrupt("a restore's row"))
}

pub(crate) fn is_restoring(row: &[u8]) -> bool {
    row.first() == Some(&(Kind::Restoring as u8))
}

/// Whether a row says something of a bucket itself.
pub(crate) fn is_of_bucket(row: &[u8]) -> bool {
    row.first().is_some_and(|kind| *kind == Kind::Bucket as u8 || *kind == Kind::Setting as u8)
}

pub(crate) fn setting(bucket: u64, name: &str) -> Vec<u8> {
    key(Kind::Setting, &[&bucket.to_be_bytes(), name.as_bytes()])
}

/// The prefix of all rows of a bucket in one of the tables that begin with a bucket's id.
pub(crate) fn of_bucket(kind: Kind, bucket: u64) -> Vec<u8> {
    key(kind, &[&bucket.to_be_bytes()])
}

pub(crate) fn upload(bucket: u64, name: &ObjectKey, id: &UploadId) -> Vec<u8> {
    key(Kind::Upload, &[&bucket.to_be_bytes(), &escape(name.as_str()), END, id.as_str().as_bytes()])
}

pub(crate) fn part(upload: u64, number: PartNumber) -> Vec<u8> {
    key(Kind::Part, &[&upload.to_be_bytes(), &number.get().to_be_bytes()])
}

pub(crate) fn parts(upload: u64) -> Vec<u8> {
    key(Kind::Part, &[&upload.to_be_bytes()])
}

pub(crate) fn change(seq: Seq) -> Vec<u8> {
    key(Kind::Change, &[&seq.0.to_be_bytes()])
}

/// The number of the change whose row this is.
pub(crate) fn change_of(row: &[u8]) -> Option<Seq> {
    number8(row, 1).filter(|_| row[0] == Kind::Change as u8).map(Seq)
}

pub(crate) fn body(kind: Kind, id: BodyId) -> Vec<u8> {
    key(kind, &[&id.epoch.to_be_bytes(), &id.number.to_be_bytes()])
}

/// The body whose row this is, for `Body` and `Garbage`.
pub(crate) fn body_of(key: &[u8]) -> Result<BodyId> {
    let (Some(epoch), Some(number)) = (number4(key, 1), number8(key, 5)) else {
        return Err(Error::corrupt("a body's key"));
    };
    Ok(BodyId { epoch, number })
}

pub(crate) fn manifest(id: u64) -> Vec<u8> {
    key(Kind::Manifest, &[&id.to_be_bytes()])
}

pub(crate) fn discarded(id: u64) -> Vec<u8> {
    key(Kind::Discarded, &[&id.to_be_bytes()])
}

pub(crate) fn pieces(manifest: u64, offset: u64) -> Vec<u8> {
    key(Kind::Pieces, &[&manifest.to_be_bytes(), &offset.to_be_bytes()])
}

pub(crate) fn pieces_of(manifest: u64) -> Vec<u8> {
    key(Kind::Pieces, &[&manifest.to_be_bytes()])
}

pub(crate) fn segment(number: u64) -> Vec<u8> {
    key(Kind::Segment, &[&number.to_be_bytes()])
}

pub(crate) fn small(segment: u64, offset: u64, holder: &Holder) -> Vec<u8> {
    let mut row = small_at(segment, offset);
    holder.write(&mut row);
    row
}

pub(crate) fn small_at(segment: u64, offset: u64) -> Vec<u8> {
    key(Kind::Small, &[&segment.to_be_bytes(), &offset.to_be_bytes()])
}

/// Offset and holder in a key of `Small`.
pub(crate) fn small_of(row: &[u8]) -> Result<(u64, Holder)> {
    let offset = number8(row, 9).ok_or_else(|| Error::corrupt("a small body's key"))?;
    Ok((offset, Holder::read(&row[17..])?))
}

pub(crate) fn part_list(id: u64, first: PartNumber) -> Vec<u8> {
    key(Kind::PartList, &[&id.to_be_bytes(), &first.get().to_be_bytes()])
}

pub(crate) fn part_list_of(id: u64) -> Vec<u8> {
    key(Kind::PartList, &[&id.to_be_bytes()])
}

pub(crate) fn kept(id: Kept) -> Vec<u8> {
    key(Kind::Kept, &[&id.0.to_be_bytes(), &id.1.to_be_bytes()])
}

pub(crate) fn kept_of(row: &[u8]) -> Option<Kept> {
    Some(Kept(number8(row, 1)?, u16::from_be_bytes(row.get(9..11)?.try_into().ok()?)))
}

pub(crate) fn swept(epoch: u32) -> Vec<u8> {
    key(Kind::Swept, &[&epoch.to_be_bytes()])
}

/// Eight bytes of a key as a number.
pub(crate) fn number8(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

pub(crate) fn number4(key: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?))
}

/// Ends an escaped text; sorts before everything that can follow a shorter one.
pub(crate) const END: &[u8] = &[0x00, 0x01];

/// A text as part of a key that goes on after it: NUL becomes `00 FF`, so `END` occurs in no text
/// and escaped texts sort as the texts do. The escape of a prefix is a prefix of the escape.
pub(crate) fn escape(text: &str) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len() + 4);
    for byte in text.bytes() {
        escaped.push(byte);
        if byte == 0 {
            escaped.push(0xff);
        }
    }
    escaped
}

/// The text at the beginning of `bytes`, and what follows its end.
pub(crate) fn unescape(bytes: &[u8]) -> Result<(String, &[u8])> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (*byte, bytes.get(at + 1)) {
            (0, Some(0xff)) => {
                text.push(0);
                at += 2;
            }
            (0, Some(0x01)) => {
                let text = String::from_utf8(text).map_err(|_| Error::corrupt("a key that is no UTF-8"))?;
                return Ok((text, &bytes[at + 2..]));
            }
            (0, _) => break,
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    Err(Error::corrupt("an escaped key"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_distinct_and_below_the_subsystems() {
        let mut kinds: Vec<u8> = KINDS.iter().map(|kind| *kind as u8).collect();
        kinds.dedup();
        assert_eq!(kinds.len(), KINDS.len());
        assert!(kinds.is_sorted());
        assert!(kinds.iter().all(|kind| *kind < Table::Function as u8));
    }

    #[test]
    fn escaped_texts_sort_as_the_texts() {
        let mut texts = vec![
            "",
            "\0",
            "\0\0",
            "\0\u{1}",
            "a",
            "a\0",
            "a\0b",
            "a\u{1}",
            "ab",
            "b",
            "\u{7f}",
            "é",
            "\u{10ffff}",
        ];
        texts.sort_unstable();
        let keys: Vec<Vec<u8>> = texts.iter().map(|text| [&escape(text), END, b"tail"].concat()).collect();
        assert!(keys.is_sorted());
        for (text, key) in texts.iter().zip(&keys) {
            let (back, rest) = unescape(key).unwrap();
            assert_eq!((back.as_str(), rest), (*text, &b"tail"[..]));
        }
        assert!(unescape(b"abc").is_err());
        assert!(unescape(b"a\0\x02").is_err());
    }
}
