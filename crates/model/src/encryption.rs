//! Encryption at rest: how a write asks for it, and how answers say it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key that its owner brings along with each request (SSE-C). Only its digest is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    pub key: [u8; 32],
    /// Of the key, as the request gave it.
    pub md5: [u8; 16],
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey")
    }
}

/// A key of the key management service, and how it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsKey {
    /// As it was named; `None` for the account's own one.
    pub id: Option<String>,
    /// What the encryption is bound to: JSON, an object of strings.
    pub context: Option<String>,
    /// S3: by way of a key of the bucket, which saves requests to the service. `None` leaves it to the
    /// bucket.
    pub bucket_key: Option<bool>,
}

/// How what is written is to be encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Under a key of the store's (SSE-S3, SSE-COS).
    Service,
    Kms(KmsKey),
    Customer(CustomerKey),
}

/// How something is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encrypted {
    Service,
    Kms(KmsKey),
    Customer {
        /// Of the key that came with the request; `None` if none did, as none need with a complete.
        md5: Option<[u8; 16]>,
    },
}
