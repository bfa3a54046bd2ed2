//! Replies that say how something is encrypted.

use cosette_model::op::reply;
use cosette_model::op::{ObjectInfo, Reply, ResponseOverrides};
use cosette_model::{Encrypted, Error, ErrorCode, KmsKey};

use super::{CRC64, etag, info, version};

pub(super) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let put = |encryption| {
        Ok(Reply::PutObject(reply::PutObject {
            etag: etag(),
            crc64: CRC64,
            version: version(),
            checksums: Vec::new(),
            encryption: Some(encryption),
            expiry: None,
        }))
    };
    let kms = || {
        Encrypted::Kms(KmsKey {
            id: Some("key-1".into()),
            context: Some("{}".into()),
            bucket_key: Some(true),
        })
    };
    vec![
        ("PutObject: under a key of the service", put(Encrypted::Service)),
        ("PutObject: under a key of key management", put(kms())),
        ("PutObject: under the customer's key", put(Encrypted::Customer { md5: Some([7; 16]) })),
        (
            "HeadObject: under a key of key management",
            Ok(Reply::HeadObject(reply::HeadObject {
                info: ObjectInfo { encryption: Some(kms()), ..info() },
                range: None,
                by_part: false,
                overrides: ResponseOverrides::default(),
            })),
        ),
        ("error: no customer's key", Err(ErrorCode::SsecDecryptHeaderInvalid.into())),
        ("error: another customer's key", Err(ErrorCode::SsecKeyWrong.into())),
        ("error: a customer's key and no use for it", Err(ErrorCode::SseNotApplicable.into())),
        ("error: no default encryption", Err(ErrorCode::NoSuchEncryptionConfiguration.into())),
        ("error: no such key of key management", Err(ErrorCode::KmsKeyNotExist.into())),
    ]
}
