//! Encryption at rest: how what is written is encrypted, and who may read it.

use cosette_model::setting::BucketEncryption;
use cosette_model::{CustomerKey, Encrypted, Encryption, Error, ErrorCode, KmsKey};
use cosette_store::{Bucket, Error as StoreError, Object, Seal, SealedBy, Sealing, Upload};

use crate::Ops;
use crate::error::{Failure, Result};

impl Ops {
    /// How what is written into the bucket is encrypted: as asked, else as the bucket says, else not.
    pub(crate) fn how(&self, bucket: &Bucket, asked: Option<Encryption>) -> Result<Option<Encryption>> {
        let default: Option<BucketEncryption> = self.setting(&bucket.name)?;
        let how = match asked {
            Some(asked) => Some(asked),
            None => default.as_ref().map(BucketEncryption::of),
        };
        Ok(match how {
            Some(Encryption::Kms(key)) => {
                let bucket_key = key.bucket_key.or(default.map(|default| default.bucket_key));
                let id = Some(kms_key(bucket, key.id)?);
                Some(Encryption::Kms(KmsKey { id, bucket_key, ..key }))
            }
            other => other,
        })
    }

    /// A content key for what is written into the bucket; `None` if it is not encrypted.
    pub(crate) async fn new_seal(&self, bucket: &Bucket, asked: Option<Encryption>) -> Result<Option<Seal>> {
        match self.how(bucket, asked)? {
            Some(how) => Ok(Some(self.store.seal(&how).await?)),
            None => Ok(None),
        }
    }

    /// The content key of an object for who brings this key, or none.
    pub(crate) fn seal_of(&self, object: &Object, customer: Option<&CustomerKey>) -> Result<Option<Seal>> {
        self.store.check_customer(object.sealing.as_ref(), customer)?;
        Ok(object.sealing.as_ref().map(|sealing| self.store.unseal(sealing, customer)).transpose()?)
    }

    /// The content key that a part of the upload is to be encrypted under. A customer's key comes with each.
    pub(crate) fn part_seal(&self, upload: &Upload, customer: Option<&CustomerKey>) -> Result<Option<Seal>> {
        self.of_upload(upload, customer)?;
        Ok(upload.sealing.as_ref().map(|sealing| self.store.unseal(sealing, customer)).transpose()?)
    }

    /// Whether the key that comes with a complete is the upload's. It must come only where the upload was
    /// begun with a checksum (S3).
    pub(crate) fn complete_with(&self, upload: &Upload, customer: Option<&CustomerKey>) -> Result<()> {
        if customer.is_none() && upload.checksum.is_none() {
            return Ok(());
        }
        self.of_upload(upload, customer)
    }

    /// The same for a list of parts, where it need not come.
    pub(crate) fn listed_with(&self, upload: &Upload, customer: Option<&CustomerKey>) -> Result<()> {
        if customer.is_none() { Ok(()) } else { self.of_upload(upload, customer) }
    }

    pub(crate) fn of_upload(&self, upload: &Upload, customer: Option<&CustomerKey>) -> Result<()> {
        let why = match self.store.check_customer(upload.sealing.as_ref(), customer) {
            Ok(()) => return Ok(()),
            Err(StoreError::CustomerKeyMissing) => {
                "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                 appropriate encryption parameters."
            }
            Err(StoreError::CustomerKeyWrong) => {
                "The provided encryption parameters did not match the ones used originally."
            }
            Err(StoreError::CustomerKeyUnwanted) => {
                "The multipart upload initiate did not request encryption. Please resend the request without \
                 sending encryption parameters."
            }
            Err(other) => return Err(other.into()),
        };
        Err(Error::with(ErrorCode::SsecDecryptHeaderInvalid, why).into())
    }
}

/// How something is encrypted, for who brought this key.
pub(crate) fn shown(sealing: Option<&Sealing>, customer: Option<&CustomerKey>) -> Option<Encrypted> {
    Some(match &sealing?.by {
        SealedBy::Service => Encrypted::Service,
        SealedBy::Kms(key) => Encrypted::Kms(key.clone()),
        SealedBy::Customer { .. } => Encrypted::Customer { md5: customer.map(|customer| customer.md5) },
    })
}

/// The customer's key among the ways to ask for encryption.
pub(crate) fn customer_of(asked: Option<&Encryption>) -> Option<&CustomerKey> {
    match asked {
        Some(Encryption::Customer(customer)) => Some(customer),
        _ => None,
    }
}

/// A key of the key management service. Here all are there whose name can be one.
pub(crate) fn kms_key(bucket: &Bucket, id: Option<String>) -> Result<String> {
    let Some(id) = id else { return Ok(bucket.own_kms_key()) };
    let plain = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/');
        (1..=256).contains(&text.len()) && text.bytes().all(allowed)
    };
    let known = match id.strip_prefix("arn:") {
        None => plain(&id),
        Some(arn) => {
            let fields: Vec<&str> = arn.splitn(5, ':').collect();
            matches!(
                fields[..],
                [partition, "kms", region, account, key]
                    if partition.starts_with("aws")
                        && region == bucket.region.as_str()
                        && !account.is_empty()
                        && account.bytes().all(|b| b.is_ascii_digit())
                        && (key.starts_with("key/") || key.starts_with("alias/"))
                        && plain(key)
            )
        }
    };
    if known {
        return Ok(id);
    }
    let why = format!("Key '{id}' does not exist");
    Err(Failure::from(Error::with(ErrorCode::KmsKeyNotExist, why)))
}
