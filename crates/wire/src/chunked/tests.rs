//! The decoder fed in every way a network can feed it.

use hmac::{Hmac, Mac};

use super::*;
use crate::testing::{Noise, collect, pieces};

type Outcome = (Result<Vec<u8>, BodyError>, Trailer);

fn decode(input: Vec<Vec<u8>>, length: u64, trailing: bool, announced: &[ChecksumAlgorithm]) -> Outcome {
    let framing = Framing { signer: None, trailing, announced: announced.to_vec(), length };
    let trailer = Trailer::default();
    (collect(Box::pin(Chunked::new(pieces(input), framing, trailer.clone()))), trailer)
}

fn plain(input: &str, length: u64) -> Result<Vec<u8>, BodyError> {
    decode(vec![input.as_bytes().to_vec()], length, false, &[]).0
}

const CRC: &[ChecksumAlgorithm] = &[ChecksumAlgorithm::Crc32];

#[test]
fn every_split_position_gives_the_same() {
    let whole = b"5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
    for first in 0..=whole.len() {
        for second in first..=whole.len() {
            let cut = vec![whole[..first].to_vec(), whole[first..second].to_vec(), whole[second..].to_vec()];
            let (body, trailer) = decode(cut, 11, true, CRC);
            assert_eq!(body.as_deref(), Ok(&b"hello world"[..]), "{first} {second}");
            assert_eq!(trailer.checksums()[0].value, [0x0d, 0x4a, 0x11, 0x85]);
        }
    }
    let bytes = whole.iter().map(|b| vec![*b]).collect();
    assert_eq!(decode(bytes, 11, true, CRC).0.as_deref(), Ok(&b"hello world"[..]));
}

#[test]
fn ends_that_clients_leave_out_or_vary() {
    for end in ["0\r\n\r\n", "0\r\n", "0\n\n"] {
        assert_eq!(plain(&format!("2\r\nhi\r\n{end}"), 2), Ok(b"hi".to_vec()), "{end:?}");
    }
    assert_eq!(plain("0\r\n\r\n", 0), Ok(Vec::new()));
    let (body, trailer) = decode(vec![b"0\r\nX-Amz-Checksum-CRC32: AAAAAA==\n\r\n".to_vec()], 0, true, CRC);
    assert_eq!((body, trailer.checksums().len()), (Ok(Vec::new()), 1));
}

#[test]
fn broken_framing_is_told_apart() {
    let is_malformed = |outcome: Result<Vec<u8>, BodyError>| matches!(outcome, Err(BodyError::Malformed(_)));
    for bad in [
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "\r\n",
        "2\r\nhiX\r\n0\r\n\r\n",
        "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        "2\r\nhi\r\n0\r\n\r\nmore",
    ] {
        let length = if bad.starts_with('0') { 0 } else { 2 };
        assert!(is_malformed(plain(bad, length)), "{bad:?}");
    }
    assert!(is_malformed(plain(&"0".repeat(10_000), 0)));
    for (bad, length) in [
        ("", 0),
        ("2\r\nh", 2),
        ("2\r\nhi\r\n", 2),
        ("2\r\nhi\r\n0\r\n\r\n", 3),
        ("2\r\nhi\r\n0\r\n\r\n", 1),
        ("ffffffffffffffff\r\n", 2),
        ("0", 0),
    ] {
        assert_eq!(plain(bad, length), Err(BodyError::Incomplete), "{bad:?} {length}");
    }
    assert!(is_malformed(plain("fffffffffffffffff\r\n", 2)));
    for bad in [
        "0\r\n\r\n",
        "0\r\nx-amz-checksum-crc32:!\r\n\r\n",
        "0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nx-amz-checksum-sha1:AAAAAA==\r\n\r\n",
    ] {
        assert!(is_malformed(decode(vec![bad.as_bytes().to_vec()], 0, true, CRC).0), "{bad:?}");
    }
    let long = format!("0\r\n{}\r\n", "a:b\r\n".repeat(10_000));
    assert!(is_malformed(decode(vec![long.into_bytes()], 0, true, CRC).0));
}

/// A signer and the body it signs, made by hand.
fn signed(data: &[&[u8]], trailer: &str) -> (ChunkSigner, Vec<u8>) {
    let hmac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let sha = |data: &[u8]| hex::encode(Sha256::digest(data));
    let (mut previous, mut body) = ("seed".to_owned(), Vec::new());
    for chunk in data {
        previous = hmac(&format!("AWS4-HMAC-SHA256-PAYLOAD\nt\ns\n{previous}\n{}\n{}", sha(b""), sha(chunk)));
        body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if !trailer.is_empty() {
        let signature =
            hmac(&format!("AWS4-HMAC-SHA256-TRAILER\nt\ns\n{previous}\n{}", sha(trailer.as_bytes())));
        body.extend_from_slice(trailer.as_bytes());
        body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    (ChunkSigner::for_tests([7; 32], "t", "s", "seed"), body)
}

fn decode_signed(signer: &ChunkSigner, input: Vec<Vec<u8>>, trailing: bool) -> Result<Vec<u8>, BodyError> {
    let announced = if trailing { CRC.to_vec() } else { Vec::new() };
    let framing = Framing { signer: Some(signer.clone()), trailing, announced, length: 11 };
    collect(Box::pin(Chunked::new(pieces(input), framing, Trailer::default())))
}

#[test]
fn one_changed_byte_anywhere_is_noticed() {
    for trailer in ["", "x-amz-checksum-crc32:DUoRhQ==\n"] {
        let (signer, body) = signed(&[b"hello ", b"world", b""], trailer);
        let trailing = !trailer.is_empty();
        for at in 0..=body.len() {
            let cut = vec![body[..at].to_vec(), body[at..].to_vec()];
            assert_eq!(decode_signed(&signer, cut, trailing).as_deref(), Ok(&b"hello world"[..]), "{at}");
        }
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 0x10;
            let outcome = decode_signed(&signer, vec![changed], trailing);
            // Line ends after the last signature may vary; nothing that counts may.
            if outcome.is_ok() {
                assert!(matches!(body[at], b'\r' | b'\n' | b';'), "{at} {:?}", char::from(body[at]));
            }
        }
        for at in 0..body.len() - 4 {
            let outcome = decode_signed(&signer, vec![body[..at].to_vec()], trailing);
            assert!(outcome.is_err(), "cut at {at}");
        }
    }
    let (signer, body) = signed(&[b"hello ", b"world", b""], "");
    let text = String::from_utf8(body).unwrap().replacen(";chunk-signature=", ";", 1);
    assert!(matches!(decode_signed(&signer, vec![text.into_bytes()], false), Err(BodyError::Malformed(_))));
}

#[test]
fn noise_never_panics() {
    let mut noise = Noise(0x5eed);
    for _ in 0..20_000 {
        let input = (0..noise.below(4)).map(|_| noise.bytes(b"0123af;\r\n\r\n:x=", 40)).collect();
        let length = noise.next() % 20;
        let _ = decode(input, length, noise.below(2) == 0, CRC);
    }
}
