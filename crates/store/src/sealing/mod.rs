//! Encryption of contents ([why so](../../../../docs/decisions/0015-encryption.md)).
//!
//! An encrypted object (or upload) has a content key of its own, made by chance. Each body it is made
//! of is encrypted under a key that is derived from the content key and the body's salt. The record
//! holds the content key wrapped: under the store's master key, under a key of the key management
//! service (which here is derived from the master key), or under the customer's own. So whoever copies
//! an object shares its bodies and wraps its key anew.

mod master;

use cosette_blob::Secret;
use cosette_model::{CustomerKey, Encryption, KmsKey};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::Store;

pub(crate) use master::Master;

/// How an object's content key is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    pub by: SealedBy,
    wrapped: Vec<u8>,
}

/// Under which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedBy {
    #[serde(rename = "s")]
    Service,
    #[serde(rename = "k")]
    Kms(KmsKey),
    /// One that is not here. `check` tells another key from damage, and says nothing of the key.
    #[serde(rename = "c")]
    Customer { salt: u128, check: u128 },
}

/// What tells a body's key from those of the others of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Salt(pub(crate) u128);

/// An open content key: what bodies are received under, and read.
#[derive(Clone, Debug)]
pub struct Seal {
    pub sealing: Sealing,
    key: Secret,
}

impl Sealing {
    /// The ETag is no MD5 of the content (S3: "Object" of the API reference; COS alike).
    pub fn hides_md5(&self) -> bool {
        self.by != SealedBy::Service
    }

    /// Only with a key that comes with the request can it be read.
    pub fn needs_customer(&self) -> bool {
        matches!(self.by, SealedBy::Customer { .. })
    }

    /// What the content key is bound to besides the key it is wrapped under.
    fn about(by: &SealedBy) -> &[u8] {
        match by {
            SealedBy::Kms(KmsKey { context: Some(context), .. }) => context.as_bytes(),
            _ => &[],
        }
    }
}

impl Seal {
    /// Of a body.
    pub(crate) fn key_of(&self, salt: Salt) -> Secret {
        self.key.derive("body", &salt.0.to_be_bytes())
    }

    /// What stands for the MD5 of a content in ETags: the MD5, or something that is as much the
    /// content's own and says nothing of it.
    pub fn tag(&self, md5: [u8; 16]) -> [u8; 16] {
        if self.sealing.hides_md5() { self.key.check("etag", &md5).to_be_bytes() } else { md5 }
    }
}

/// A salt of its own for each body.
pub(crate) fn salt() -> Result<Salt> {
    Ok(Salt(u128::from_be_bytes(cosette_blob::random()?)))
}

impl Store {
    /// A new content key, kept as asked. Makes the master key if it is the first that needs one.
    ///
    /// # Errors
    /// `MasterKey` when the master key is gone.
    pub async fn seal(&self, how: &Encryption) -> Result<Seal> {
        self.wrap(Secret::random()?, how).await
    }

    /// The same content key, kept in another way.
    ///
    /// # Errors
    /// As `seal`.
    pub async fn reseal(&self, seal: &Seal, how: &Encryption) -> Result<Seal> {
        self.wrap(seal.key.clone(), how).await
    }

    async fn wrap(&self, key: Secret, how: &Encryption) -> Result<Seal> {
        let (by, outer) = match how {
            Encryption::Service => (SealedBy::Service, service_key(&self.make_master().await?)),
            Encryption::Kms(kms) => (SealedBy::Kms(kms.clone()), kms_key(&self.make_master().await?, kms)),
            Encryption::Customer(customer) => {
                let outer = Secret::from(customer.key);
                let Salt(salt) = salt()?;
                (SealedBy::Customer { salt, check: outer.check("check", &salt.to_be_bytes()) }, outer)
            }
        };
        let wrapped = outer.wrap(&key, Sealing::about(&by))?;
        Ok(Seal { sealing: Sealing { by, wrapped }, key })
    }

    /// Opens a content key.
    ///
    /// # Errors
    /// `CustomerKeyMissing`, `CustomerKeyWrong`; `MasterKey` when the master key is gone or another
    /// one; `Corrupt` when the key is right and what it should open is damaged.
    pub fn unseal(&self, sealing: &Sealing, customer: Option<&CustomerKey>) -> Result<Seal> {
        let outer = match &sealing.by {
            SealedBy::Service => service_key(&self.master()?),
            SealedBy::Kms(kms) => kms_key(&self.master()?, kms),
            SealedBy::Customer { .. } => {
                self.customer_key(sealing, customer)?.ok_or(Error::CustomerKeyMissing)?
            }
        };
        let key = outer.unwrap(&sealing.wrapped, Sealing::about(&sealing.by));
        let key = key.ok_or_else(|| Error::corrupt("the key of a content"))?;
        Ok(Seal { sealing: sealing.clone(), key })
    }

    /// The customer's key, if it is the one; `None` where none is needed.
    ///
    /// # Errors
    /// `CustomerKeyMissing`, `CustomerKeyWrong`.
    fn customer_key(&self, sealing: &Sealing, customer: Option<&CustomerKey>) -> Result<Option<Secret>> {
        let SealedBy::Customer { salt, check } = sealing.by else { return Ok(None) };
        let key = Secret::from(customer.ok_or(Error::CustomerKeyMissing)?.key);
        if key.check("check", &salt.to_be_bytes()) == check {
            Ok(Some(key))
        } else {
            Err(Error::CustomerKeyWrong)
        }
    }

    /// Whether something that is kept so may be told of to who brings this key, or none.
    ///
    /// # Errors
    /// `CustomerKeyMissing`, `CustomerKeyWrong`, `CustomerKeyUnwanted` where the key is not the customer's.
    pub fn check_customer(&self, sealing: Option<&Sealing>, customer: Option<&CustomerKey>) -> Result<()> {
        match sealing.filter(|sealing| sealing.needs_customer()) {
            Some(sealing) => self.customer_key(sealing, customer).map(drop),
            None if customer.is_some() => Err(Error::CustomerKeyUnwanted),
            None => Ok(()),
        }
    }
}

fn service_key(master: &Secret) -> Secret {
    master.derive("service", &[])
}

/// Every key of the service is there: each is derived from its name.
fn kms_key(master: &Secret, key: &KmsKey) -> Secret {
    master.derive("kms", key.id.as_deref().unwrap_or_default().as_bytes())
}
