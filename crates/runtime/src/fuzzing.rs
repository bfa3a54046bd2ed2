//! Parsers as functions of any bytes, for `scripts/fuzz`.

use crate::gob::{Types, further};
use crate::names::Names;

pub use crate::web::fuzzing::head;

/// Messages of Go's encoding, each after its length, as a function in Go sends them.
pub fn gob(mut bytes: &[u8]) {
    let mut types = Types::default();
    while let Some((&first, rest)) = bytes.split_first() {
        let Ok(more) = further(first) else { return };
        let Some((number, rest)) = rest.split_at_checked(more.unwrap_or(0)) else { return };
        let length = match more {
            None => u64::from(first),
            Some(_) => number.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let Some((message, rest)) = usize::try_from(length).ok().and_then(|at| rest.split_at_checked(at))
        else {
            return;
        };
        if types.read(message).is_err() {
            return;
        }
        bytes = rest;
    }
}

/// A message to the name server of a network of its own.
pub fn name(message: &[u8]) {
    let names = Names::default();
    let Some(answer) = names.answer(message) else { return };
    assert!(answer.len() <= message.len() + 16 && answer[..2] == message[..2]);
    assert!(answer[2] & 0x80 != 0, "it says that it is an answer");
    assert_eq!(names.answer(message), Some(answer), "the same each time");
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_messages() {
        for message in [
            &b"\x07\xff\x82\x01\x03\x01\x02\x00"[..],
            b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x01\x00",
            b"",
        ] {
            super::gob(message);
        }
        super::name(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01");
        super::name(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01");
        for answer in
            ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 101 x\r\n\r\n", "no HTTP", ""]
        {
            super::head(answer.as_bytes());
        }
    }
}
