//! What is read back from the disk as functions of any bytes, for `scripts/fuzz`.

use cosette_kv::Batch;

use crate::journal::{Frame, reseal};
use crate::record::Object;

/// A frame of the journal, given a checksum that is right: what lies in it must still not be trusted.
pub fn frame(bytes: &[u8]) {
    let mut frame = bytes.to_vec();
    if let Some(magic) = frame.get_mut(..4) {
        magic.copy_from_slice(b"CsF1");
    }
    reseal(0, &mut frame);
    if let Some(frame) = Frame::parse(0, &frame) {
        let _ = frame.rows(&mut Batch::default());
    }
}

/// The row of an object.
pub fn object(bytes: &[u8]) {
    let _ = Object::decode(bytes);
}
