//! Keys of 256 bits: made by chance, derived from each other, and kept encrypted under each other.

use std::fmt;
use std::io;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce, Tag};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a key.
pub const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Bytes of a key that is kept under another: salt, key, tag.
const WRAPPED_BYTES: usize = SALT_BYTES + SECRET_BYTES + TAG_BYTES;

/// A key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<[u8; SECRET_BYTES]> for Secret {
    fn from(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }
}

/// Bytes of chance: the one place where keys and salts come from.
///
/// # Errors
/// When the system has none to give.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

impl Secret {
    /// # Errors
    /// As `random`.
    pub fn random() -> io::Result<Self> {
        Ok(Self(random()?))
    }

    /// For the file it is kept in.
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Another key, for one purpose: the first block of HKDF-Expand (RFC 5869) over HMAC-SHA-256.
    #[must_use]
    pub fn derive(&self, purpose: &str, info: &[u8]) -> Self {
        Self(self.expand(purpose, info))
    }

    /// A value by which it can be told later whether a key is this one, and that says nothing of it.
    #[must_use]
    pub fn check(&self, purpose: &str, info: &[u8]) -> u128 {
        let bytes = self.expand(purpose, info);
        bytes[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    fn expand(&self, purpose: &str, info: &[u8]) -> [u8; SECRET_BYTES] {
        // A key of any length is one for HMAC.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.0) else { return [0; SECRET_BYTES] };
        for part in [purpose.as_bytes(), &[0], info, &[1]] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&self.0))
    }

    /// `inner` encrypted under a key that is derived for it alone, and bound to `about`.
    ///
    /// # Errors
    /// As `random`.
    pub fn wrap(&self, inner: &Self, about: &[u8]) -> io::Result<Vec<u8>> {
        let salt: [u8; SALT_BYTES] = random()?;
        let mut wrapped = [&salt[..], &inner.0].concat();
        let cipher = self.derive("wrap", &salt).cipher();
        let tag = cipher
            .encrypt_in_place_detached(&Nonce::default(), about, &mut wrapped[SALT_BYTES..])
            .map_err(|_| io::Error::other("a key cannot be encrypted"))?;
        wrapped.extend_from_slice(&tag);
        Ok(wrapped)
    }

    /// What was wrapped; `None` if it was not by this key, or not bound to this, or is damaged.
    pub fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Option<Self> {
        if wrapped.len() != WRAPPED_BYTES {
            return None;
        }
        let (salt, rest) = wrapped.split_at(SALT_BYTES);
        let (inner, tag) = rest.split_at(SECRET_BYTES);
        let mut inner: [u8; SECRET_BYTES] = inner.try_into().ok()?;
        let cipher = self.derive("wrap", salt).cipher();
        cipher
            .decrypt_in_place_detached(&Nonce::default(), about, &mut inner, Tag::from_slice(tag))
            .ok()
            .map(|()| Self(inner))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_comes_back_to_its_own_key_only() {
        let (outer, inner) = (Secret::random().unwrap(), Secret::random().unwrap());
        let wrapped = outer.wrap(&inner, b"about").unwrap();
        assert_eq!(outer.unwrap(&wrapped, b"about"), Some(inner.clone()));
        assert_eq!(outer.unwrap(&wrapped, b"other"), None);
        assert_eq!(Secret::random().unwrap().unwrap(&wrapped, b"about"), None);
        assert_ne!(outer.wrap(&inner, b"about").unwrap(), wrapped);
        for at in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[at] ^= 1;
            assert_eq!(outer.unwrap(&damaged, b"about"), None, "{at}");
            assert_eq!(outer.unwrap(&wrapped[..at], b"about"), None, "{at}");
        }
    }

    /// RFC 5869, test case 1: the first 32 bytes of its output, of its own pseudorandom key.
    #[test]
    fn derivation_is_the_first_block_of_hkdf() {
        let key = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let want = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
        mac.update(&hex("f0f1f2f3f4f5f6f7f8f9"));
        mac.update(&[1]);
        assert_eq!(mac.finalize().into_bytes()[..], want);
        // Ours is the same over another info.
        let key = Secret::from(<[u8; 32]>::try_from(key).unwrap());
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.bytes()).unwrap();
        mac.update(b"purpose\0info\x01");
        assert_eq!(key.derive("purpose", b"info").0[..], mac.finalize().into_bytes()[..]);
        assert_ne!(key.derive("purpose", b"x").0, key.derive("other", b"x").0);
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::from([7; 32])), "Secret");
    }
}
