//! Encryption of a bucket's new objects, where a write asks for none.

use serde::{Deserialize, Serialize};

use crate::{Encryption, KmsKey};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEncryption {
    pub method: DefaultMethod,
    /// S3: keys of the key management service are used by way of a key of the bucket.
    pub bucket_key: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultMethod {
    Service,
    /// With the key of this name, or the account's own.
    Kms(Option<String>),
}

impl BucketEncryption {
    /// Of an object that is written now.
    pub fn of(&self) -> Encryption {
        match &self.method {
            DefaultMethod::Service => Encryption::Service,
            DefaultMethod::Kms(id) => {
                Encryption::Kms(KmsKey { id: id.clone(), context: None, bucket_key: Some(self.bucket_key) })
            }
        }
    }
}
