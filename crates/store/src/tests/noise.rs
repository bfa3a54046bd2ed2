//! Every reader of stored bytes takes any bytes: what is not right is `Corrupt`, never a panic.

use cosette_kv::Batch;
use cosette_model::Seq;

use super::*;
use crate::holder::Holder;
use crate::journal::{Frame, Group};
use crate::record::{Content, Live, ObjectPart, Owned, Piece, Small, UploadRecord, decode};
use crate::schema;
use crate::tx::Writes;
use crate::{Kept, Summary};

/// A copy of one of the samples with some bytes changed, cut off, doubled or made up.
fn noise(random: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(samples).clone();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => bytes.extend_from_within(at..),
            3 => bytes = (0..random.below(60)).map(|_| random.below(256) as u8).collect(),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}

const ROUNDS: usize = 30_000;

#[tokio::test]
async fn records_of_noise_are_corrupt_or_records() {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    put(&store, "bucket", "key", b"body").await.unwrap();
    store.set_versioning(name("bucket"), true, cause()).await.unwrap();
    delete(&store, "bucket", "key").await.unwrap();
    let upload = begin(&store, "bucket", "upload").await.unwrap();
    part(&store, "bucket", "upload", &upload, 1, b"part").await.unwrap();
    let rows = store.rows_of(&[]).unwrap();
    let samples: Vec<Vec<u8>> = rows.into_iter().flat_map(|(key, value)| [key, value]).collect();
    let mut random = Random(3);
    let mut read = 0;
    for _ in 0..ROUNDS {
        let bytes = noise(&mut random, &samples);
        read += usize::from(Object::decode(&bytes).is_ok());
        read += usize::from(Summary::decode(&bytes).is_ok());
        read += usize::from(decode::<Bucket>("noise", &bytes).is_ok());
        let _ = decode::<cosette_model::Change>("noise", &bytes);
        let _ = decode::<UploadRecord>("noise", &bytes);
        let _ = decode::<Part>("noise", &bytes);
        let _ = decode::<Content>("noise", &bytes);
        let _ = decode::<Vec<Piece>>("noise", &bytes);
        let _ = decode::<Vec<ObjectPart>>("noise", &bytes);
        let _ = (decode::<Owned>("noise", &bytes), decode::<Live>("noise", &bytes));
        let _ = (decode::<Small>("noise", &bytes), decode::<Kept>("noise", &bytes));
        let _ = (schema::small_of(&bytes), schema::body_of(&bytes), schema::stamp_of(&bytes));
        let _ = (schema::unescape(&bytes), schema::kept_of(&bytes));
    }
    assert!(read > 100, "all was noise: {read}");
}

#[test]
fn holders_come_back_as_they_were() {
    let number = PartNumber::new(7).unwrap();
    for holder in [
        Holder::Version { bucket: 1, key: key("a\0b"), stamp: u64::MAX },
        Holder::Part { upload: 2, number },
        Holder::Pieces { manifest: 3, offset: 4 },
    ] {
        let row = schema::small(5, 6, &holder);
        assert_eq!(schema::small_of(&row).unwrap(), (6, holder));
        assert!(schema::small_of(&row[..18]).is_err());
    }
}

/// A frame with a good checksum may still be laid out as none is.
#[test]
fn frames_of_noise_are_refused() {
    let mut writes = Writes { bodies: vec![Bytes::from_static(b"a small body")], ..Writes::default() };
    writes.rows.insert(b"put".to_vec(), Some(b"value".to_vec()));
    writes.rows.insert(b"gone".to_vec(), None);
    let mut group = Group::new(Seq(7), Vec::new());
    group.push(&writes);
    group.push(&writes);
    let good = group.seal(5, Seq(6)).to_vec();
    let mut random = Random(11);
    let mut read = 0;
    for _ in 0..ROUNDS {
        let mut bytes = noise(&mut random, std::slice::from_ref(&good));
        crate::journal::reseal(5, &mut bytes);
        if let Some(frame) = Frame::parse(5, &bytes) {
            let mut batch = Batch::default();
            read += usize::from(frame.rows(&mut batch).is_some());
        }
    }
    assert!(read > 1_000, "{read}");
}
