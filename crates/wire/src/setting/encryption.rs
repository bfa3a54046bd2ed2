//! `ServerSideEncryptionConfiguration{ Rule{ ApplyServerSideEncryptionByDefault{ SSEAlgorithm, KMSMasterKeyID? },
//! BucketKeyEnabled? } }`, of S3 and, without `BucketKeyEnabled`, of COS (cos-api 3.3).

use cosette_model::setting::{BucketEncryption, DefaultMethod};
use cosette_model::{Error, ErrorCode};

use super::malformed;
use crate::DialectName;
use crate::xml::{Element, Writer};

pub(super) fn read(root: &Element) -> Result<BucketEncryption, Error> {
    let mut rules = root.all("Rule");
    let (Some(rule), None) = (rules.next(), rules.next()) else { return Err(malformed()) };
    if rule.child("BlockedEncryptionTypes")?.is_some() {
        let why = "BlockedEncryptionTypes of encryption is not implemented.";
        return Err(Error::with(ErrorCode::NotImplemented, why));
    }
    // COS takes a second name, which its Python SDK's tests have, and answers by the first.
    let by_default = match rule.child("ApplyServerSideEncryptionByDefault")? {
        Some(found) => found,
        None => rule.child("ApplySideEncryptionConfiguration")?.ok_or_else(malformed)?,
    };
    if by_default.text_of("KMSAlgorithm")?.is_some_and(|algorithm| algorithm != "AES256") {
        let why = "Of KMSAlgorithm only AES256 is implemented.";
        return Err(Error::with(ErrorCode::NotImplemented, why));
    }
    let key = by_default.text_of("KMSMasterKeyID")?.map(str::to_owned);
    let method = match by_default.text_of("SSEAlgorithm")? {
        Some("AES256") if key.is_some() => {
            let why = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
            return Err(Error::with(ErrorCode::InvalidArgument, why));
        }
        Some("AES256") => DefaultMethod::Service,
        Some("aws:kms" | "KMS" | "cos/kms") => DefaultMethod::Kms(key),
        Some("aws:kms:dsse") => {
            return Err(Error::with(
                ErrorCode::NotImplemented,
                "The SSEAlgorithm aws:kms:dsse is not implemented.",
            ));
        }
        _ => return Err(malformed()),
    };
    let bucket_key = match rule.text_of("BucketKeyEnabled")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(malformed()),
    };
    Ok(BucketEncryption { method, bucket_key })
}

pub(super) fn write(encryption: &BucketEncryption, dialect: DialectName, xml: &mut Writer) {
    xml.element("Rule", |xml| {
        xml.element("ApplyServerSideEncryptionByDefault", |xml| match &encryption.method {
            DefaultMethod::Service => xml.text("SSEAlgorithm", "AES256"),
            DefaultMethod::Kms(key) => {
                xml.text("SSEAlgorithm", if dialect == DialectName::Cos { "KMS" } else { "aws:kms" });
                xml.maybe("KMSMasterKeyID", key.as_deref());
            }
        });
        if dialect == DialectName::S3 {
            xml.text("BucketKeyEnabled", if encryption.bucket_key { "true" } else { "false" });
        }
    });
}
