//! How a post shows that it is ours, and when it was made: an HMAC-SHA-256, under the webhook's secret, of the
//! time and the body. What is verified is in `docs/webhooks.md`.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header that carries it.
pub const HEADER: &str = "x-cosette-signature";

/// The header's value: `t=<seconds since 1970>,v1=<hex of the HMAC of "<seconds>.<body>">`.
pub fn sign(secret: &str, seconds: u64, body: &[u8]) -> String {
    // Any length of key is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac`.
    #[test]
    fn the_signature_is_openssls() {
        let signed = sign("secret", 1_700_000_000, b"{}");
        assert_eq!(
            signed,
            "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
        );
    }
}
