//! Encryption at rest, as requests ask for it (cos-api 3.6; the S3 API reference). What the services say
//! of wrong headers is S3's own words; COS's are not known.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cosette_model::op::Op;
use cosette_model::{CustomerKey, Encryption, Error, ErrorCode, KmsKey};
use md5::{Digest, Md5};

use super::{Incoming, invalid, not_implemented};
use crate::DialectName;
use crate::header::{self, Concept, Headers};

/// Which headers of encryption an operation takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Takes {
    /// How what is written is to be encrypted.
    write: bool,
    /// The key of a customer.
    customer: bool,
    /// The same of a copy's source.
    source: bool,
}

impl Takes {
    pub(super) fn of(op: Op, dialect: DialectName) -> Self {
        let (write, customer, source) = match op {
            Op::PutObject | Op::PostObject | Op::AppendObject => (true, true, false),
            // COS's SDKs send what they will copy parts with.
            Op::CreateMultipartUpload => (true, true, dialect == DialectName::Cos),
            Op::CopyObject => (true, true, true),
            Op::UploadPartCopy => (false, true, true),
            Op::UploadPart
            | Op::CompleteMultipartUpload
            | Op::ListParts
            | Op::GetObject
            | Op::HeadObject
            | Op::GetObjectAttributes
            | Op::SelectObjectContent => (false, true, false),
            // COS's Python SDK's own tests bring it; S3 knows no such header there.
            Op::RestoreObject => (false, dialect == DialectName::Cos, false),
            _ => (false, false, false),
        };
        Self { write, customer, source }
    }

    /// The outer request of a form takes none: its fields do.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Refuses headers of encryption where they say nothing.
    ///
    /// # Errors
    /// `SseHeaderNotAllowed`; `NotImplemented` for one that is not known.
    pub(super) fn check(self, headers: &Headers) -> Result<(), Error> {
        for name in headers.names() {
            let Some(suffix) = name.strip_prefix("x-cos-").or_else(|| name.strip_prefix("x-amz-")) else {
                continue;
            };
            let taken = match suffix {
                "server-side-encryption"
                | "server-side-encryption-context"
                | "server-side-encryption-bucket-key-enabled" => self.write,
                // Of the two services' words only these are read.
                _ if [DialectName::Cos, DialectName::S3]
                    .map(|of| header::SSE_KMS_KEY_ID.of(of))
                    .contains(&name) =>
                {
                    self.write
                }
                "server-side-encryption-customer-algorithm"
                | "server-side-encryption-customer-key"
                | "server-side-encryption-customer-key-md5" => self.customer,
                "copy-source-server-side-encryption-customer-algorithm"
                | "copy-source-server-side-encryption-customer-key"
                | "copy-source-server-side-encryption-customer-key-md5" => self.source,
                _ if suffix.starts_with("server-side-encryption")
                    || suffix.starts_with("copy-source-server-side-encryption") =>
                {
                    return Err(not_implemented(name));
                }
                _ => continue,
            };
            if !taken && let Some(value) = headers.get(name)? {
                let shown = if suffix.ends_with("-customer-key") { "" } else { value };
                let why = format!("{name} header is not supported for this operation.");
                return Err(Error::with(ErrorCode::SseHeaderNotAllowed, why)
                    .detail("ArgumentName", name)
                    .detail("ArgumentValue", shown));
            }
        }
        Ok(())
    }
}

/// The three headers of a customer's key.
struct CustomerHeaders {
    algorithm: Concept,
    key: Concept,
    md5: Concept,
}

const CUSTOMER: CustomerHeaders = CustomerHeaders {
    algorithm: header::SSE_CUSTOMER_ALGORITHM,
    key: header::SSE_CUSTOMER_KEY,
    md5: header::SSE_CUSTOMER_KEY_MD5,
};

const SOURCE: CustomerHeaders = CustomerHeaders {
    algorithm: header::COPY_SOURCE_SSE_CUSTOMER_ALGORITHM,
    key: header::COPY_SOURCE_SSE_CUSTOMER_KEY,
    md5: header::COPY_SOURCE_SSE_CUSTOMER_KEY_MD5,
};

impl Incoming<'_> {
    /// How what is written is to be encrypted; `None` leaves it to the bucket.
    pub(super) fn encryption(&mut self) -> Result<Option<Encryption>, Error> {
        let customer = self.customer_key()?;
        let headers = &self.headers;
        let name = header::SSE.of(self.dialect);
        let method = headers.concept(header::SSE)?;
        let (id, context) = (headers.concept(header::SSE_KMS_KEY_ID)?, headers.concept(header::SSE_CONTEXT)?);
        let bucket_key = match headers.concept(header::SSE_BUCKET_KEY)? {
            None => None,
            Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Some(other) => {
                let name = header::SSE_BUCKET_KEY.of(self.dialect);
                return Err(invalid(name, other, "The value must be true or false."));
            }
        };
        let kms_only = id.is_some() || context.is_some() || bucket_key.is_some();
        match (method, customer) {
            (Some(method), Some(_)) => Err(invalid(
                name,
                method,
                "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                 specified",
            )),
            (None, Some(_)) | (None, None) | (Some("AES256"), None) if kms_only => {
                let why = match self.dialect {
                    DialectName::Cos => "Headers of a key of KMS need x-cos-server-side-encryption: cos/kms",
                    DialectName::S3 => {
                        "Server Side Encryption with AWS KMS managed key requires HTTP header \
                         x-amz-server-side-encryption : aws:kms"
                    }
                };
                Err(invalid(name, method.unwrap_or_default(), why))
            }
            (None, Some(customer)) => Ok(Some(Encryption::Customer(customer))),
            (None, None) => Ok(None),
            (Some("AES256"), None) => Ok(Some(Encryption::Service)),
            (Some("aws:kms" | "cos/kms"), None) => {
                let context = context.map(|text| self.context(text)).transpose()?;
                Ok(Some(Encryption::Kms(KmsKey { id: id.map(str::to_owned), context, bucket_key })))
            }
            (Some("aws:kms:dsse"), None) => Err(not_implemented(name).detail("Value", "aws:kms:dsse")),
            (Some(other), None) => {
                Err(invalid(name, other, "The encryption method specified is not supported"))
            }
        }
    }

    /// Base64 of JSON, an object of strings.
    fn context(&self, text: &str) -> Result<String, Error> {
        let strings: fn(&[u8]) -> Option<String> = |json| {
            serde_json::from_slice::<std::collections::BTreeMap<String, String>>(json).ok()?;
            String::from_utf8(json.to_vec()).ok()
        };
        BASE64_STANDARD.decode(text).ok().and_then(|json| strings(&json)).ok_or_else(|| {
            let name = header::SSE_CONTEXT.of(self.dialect);
            invalid(
                name,
                text,
                format!(
                    "The header '{name}' shall be Base64-encoded UTF-8 string holding JSON which represents a \
                     string-string map"
                ),
            )
        })
    }

    /// The customer's key that the request brings.
    pub(super) fn customer_key(&mut self) -> Result<Option<CustomerKey>, Error> {
        let key = customer_key(&self.headers, &CUSTOMER)?;
        self.secure(key)
    }

    /// The key of a copy's source.
    pub(super) fn source_customer_key(&mut self) -> Result<Option<CustomerKey>, Error> {
        let key = customer_key(&self.headers, &SOURCE)?;
        self.secure(key)
    }

    /// Both services refuse a key that is not sent over TLS.
    fn secure(&mut self, key: Option<CustomerKey>) -> Result<Option<CustomerKey>, Error> {
        if key.is_some() && !self.secure {
            self.lenient("a customer's key over plain http", || {
                Error::with(
                    ErrorCode::InvalidRequest,
                    "Requests specifying Server Side Encryption with Customer provided keys must be made over a \
                     secure connection.",
                )
            })?;
        }
        Ok(key)
    }
}

fn customer_key(headers: &Headers, names: &CustomerHeaders) -> Result<Option<CustomerKey>, Error> {
    let dialect = headers.dialect();
    let algorithm = headers.concept(names.algorithm)?;
    let (key, md5) = (headers.concept(names.key)?, headers.concept(names.md5)?);
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    // What is wrong with a key is not said with it.
    let wrong = |concept: Concept, value: &str, what: &str| {
        let why = format!(
            "Requests specifying Server Side Encryption with Customer provided keys must provide {what}"
        );
        invalid(concept.of(dialect), value, why)
    };
    match algorithm {
        Some("AES256") => {}
        other => {
            let what = "a valid encryption algorithm.";
            return Err(wrong(names.algorithm, other.unwrap_or_default(), what));
        }
    }
    let key = key.ok_or_else(|| wrong(names.key, "", "an appropriate secret key."))?;
    let md5 = md5.ok_or_else(|| wrong(names.md5, "", "the client calculated MD5 of the secret key."))?;
    let bytes = BASE64_STANDARD.decode(key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| {
        invalid(names.key.of(dialect), "", "The secret key was invalid for the specified algorithm.")
    })?;
    let digest: [u8; 16] = Md5::digest(bytes).into();
    if BASE64_STANDARD.decode(md5).ok().as_deref() != Some(&digest[..]) {
        let why = "The calculated MD5 hash of the key did not match the hash that was provided.";
        return Err(invalid(names.md5.of(dialect), md5, why));
    }
    Ok(Some(CustomerKey { key: bytes, md5: digest }))
}

/// How a key of the key management service is spelled as a method.
pub(crate) fn kms_method(dialect: DialectName) -> &'static str {
    match dialect {
        DialectName::Cos => "cos/kms",
        DialectName::S3 => "aws:kms",
    }
}
