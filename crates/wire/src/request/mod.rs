//! From headers, query and XML to a typed call, one function per operation.
//!
//! A header or parameter that would change the outcome and is not implemented is refused by
//! name, never accepted and ignored.

mod access;
mod acl;
mod append;
mod attributes;
pub(crate) mod condition;
mod copy;
mod document;
mod encryption;
mod lenient;
mod list;
mod lock;
mod parts;
mod post;
mod restore;
mod select;
mod setting;
mod symlink;
mod version;

#[cfg(test)]
pub(crate) use access::ownership_controls as read_ownership;
pub(crate) use acl::MACHINE_IMAGES;
pub(crate) use acl::grantee as acl_grantee;
#[cfg(test)]
pub(crate) use acl::read as read_acl;
pub(crate) use attributes::METADATA_BYTES_MAX;
pub(crate) use document::checksum_element;
pub(crate) use encryption::kms_method;
pub(crate) use list::token;
#[cfg(test)]
pub(crate) use select::read as read_query;
pub(crate) use setting::{TRANSITION_MINIMUM, crossing};

use std::sync::Arc;

use cosette_model::op::{
    AbortMultipartUpload, Call, ChecksumType, CompleteMultipartUpload, CreateBucket, CreateMultipartUpload,
    DeleteBucket, DeleteBucketOwnershipControls, DeleteBucketPolicy, DeleteObject, DeletePublicAccessBlock,
    GetBucketAcl, GetBucketLocation, GetBucketOwnershipControls, GetBucketPolicy, GetBucketPolicyStatus,
    GetBucketVersioning, GetObject, GetObjectAcl, GetPublicAccessBlock, GetSymlink, HeadBucket, HeadObject,
    Op, PutObject, ResponseOverrides, UploadPart,
};
use cosette_model::{
    BucketName, ByteRange, ChecksumAlgorithm, Error, ErrorCode, Identity, ObjectKey, Region, UploadId,
};

use crate::header::{self, Headers};
use crate::origin::AsSent;
use crate::payload::{self, Payload};
use crate::query::Query;
use crate::target::Target;
use crate::{Accounts, Config, DialectName, route};
use encryption::Takes;

/// A request whose operation and sender are known.
pub(crate) struct Incoming<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dialect: DialectName,
    pub(crate) target: Target,
    pub(crate) query: Arc<Query>,
    pub(crate) headers: Arc<Headers>,
    pub(crate) identity: &'a Identity,
    pub(crate) accounts: &'a dyn Accounts,
    pub(crate) payload: Payload,
    /// It came over TLS.
    pub(crate) secure: bool,
    /// Lenient passes taken while decoding.
    pub(crate) notes: &'a mut Vec<String>,
}

pub(crate) fn invalid(name: &str, value: &str, why: impl Into<String>) -> Error {
    Error::with(ErrorCode::InvalidArgument, why).detail("ArgumentName", name).detail("ArgumentValue", value)
}

fn not_implemented(header: &str) -> Error {
    Error::with(ErrorCode::NotImplemented, format!("The header {header} is not implemented."))
        .detail("Header", header)
}

impl Incoming<'_> {
    pub(crate) async fn decode(self, op: Op) -> Result<Call, Error> {
        if !op.supported() {
            return Err(route::unsupported(op));
        }
        if op == Op::OptionsObject {
            return Ok(Call::OptionsObject(self.options()?));
        }
        self.refuse_unknown(Takes::of(op, self.dialect))?;
        if let Some((name, verb)) = op.setting() {
            return self.setting(name, verb).await;
        }
        Ok(match op {
            Op::ListBuckets => Call::ListBuckets(self.list_buckets()?),
            Op::CreateBucket => Call::CreateBucket(self.create_bucket().await?),
            Op::HeadBucket => Call::HeadBucket(HeadBucket { bucket: self.bucket()? }),
            Op::DeleteBucket => Call::DeleteBucket(DeleteBucket { bucket: self.bucket()? }),
            Op::GetBucketLocation => Call::GetBucketLocation(GetBucketLocation { bucket: self.bucket()? }),
            Op::ListObjects => Call::ListObjects(self.list_objects()?),
            Op::ListObjectsV2 => Call::ListObjectsV2(self.list_objects_v2()?),
            Op::PutBucketVersioning => Call::PutBucketVersioning(self.put_versioning().await?),
            Op::GetBucketVersioning => {
                Call::GetBucketVersioning(GetBucketVersioning { bucket: self.bucket()? })
            }
            Op::ListObjectVersions => Call::ListObjectVersions(self.list_versions()?),
            Op::ListMultipartUploads => Call::ListMultipartUploads(self.list_uploads()?),
            Op::DeleteObjects => Call::DeleteObjects(self.delete_objects().await?),
            Op::PutBucketAcl => Call::PutBucketAcl(self.put_bucket_acl().await?),
            Op::GetBucketAcl => Call::GetBucketAcl(GetBucketAcl { bucket: self.bucket()? }),
            Op::PutObjectAcl => Call::PutObjectAcl(self.put_object_acl().await?),
            Op::GetObjectAcl => Call::GetObjectAcl(GetObjectAcl {
                bucket: self.bucket()?,
                key: self.key()?,
                version: self.version()?,
            }),
            Op::PutBucketPolicy => Call::PutBucketPolicy(self.put_bucket_policy().await?),
            Op::GetBucketPolicy => Call::GetBucketPolicy(GetBucketPolicy { bucket: self.bucket()? }),
            Op::DeleteBucketPolicy => Call::DeleteBucketPolicy(DeleteBucketPolicy { bucket: self.bucket()? }),
            Op::GetBucketPolicyStatus => {
                Call::GetBucketPolicyStatus(GetBucketPolicyStatus { bucket: self.bucket()? })
            }
            Op::PutPublicAccessBlock => Call::PutPublicAccessBlock(self.put_public_access_block().await?),
            Op::GetPublicAccessBlock => {
                Call::GetPublicAccessBlock(GetPublicAccessBlock { bucket: self.bucket()? })
            }
            Op::DeletePublicAccessBlock => {
                Call::DeletePublicAccessBlock(DeletePublicAccessBlock { bucket: self.bucket()? })
            }
            Op::PutBucketOwnershipControls => Call::PutBucketOwnershipControls(self.put_ownership().await?),
            Op::GetBucketOwnershipControls => {
                Call::GetBucketOwnershipControls(GetBucketOwnershipControls { bucket: self.bucket()? })
            }
            Op::DeleteBucketOwnershipControls => {
                Call::DeleteBucketOwnershipControls(DeleteBucketOwnershipControls { bucket: self.bucket()? })
            }
            Op::PostBucketInventory => Call::PostBucketInventory(self.post_inventory().await?),
            Op::PutObjectRetention => Call::PutObjectRetention(self.put_retention().await?),
            Op::GetObjectRetention => Call::GetObjectRetention(self.get_retention()?),
            Op::PutObjectLegalHold => Call::PutObjectLegalHold(self.put_legal_hold().await?),
            Op::GetObjectLegalHold => Call::GetObjectLegalHold(self.get_legal_hold()?),
            Op::RestoreObject => Call::RestoreObject(self.restore_object().await?),
            Op::SelectObjectContent => Call::SelectObjectContent(self.select().await?),
            Op::PutObject => Call::PutObject(self.put_object()?),
            Op::GetObject => Call::GetObject(self.get_object()?),
            Op::HeadObject => Call::HeadObject(self.head_object()?),
            Op::DeleteObject => Call::DeleteObject(self.delete_object()?),
            Op::CopyObject => Call::CopyObject(self.copy_object()?),
            Op::CreateMultipartUpload => Call::CreateMultipartUpload(self.create_upload()?),
            Op::UploadPart => Call::UploadPart(self.upload_part()?),
            Op::UploadPartCopy => Call::UploadPartCopy(self.upload_part_copy()?),
            Op::AppendObject => Call::AppendObject(self.append_object()?),
            Op::PutSymlink => Call::PutSymlink(self.put_symlink()?),
            Op::GetSymlink => Call::GetSymlink(GetSymlink {
                bucket: self.bucket()?,
                key: self.key()?,
                version: self.version()?,
            }),
            Op::GetObjectAttributes => Call::GetObjectAttributes(self.object_attributes()?),
            Op::ListParts => Call::ListParts(self.list_parts()?),
            Op::CompleteMultipartUpload => Call::CompleteMultipartUpload(self.complete_upload().await?),
            Op::AbortMultipartUpload => Call::AbortMultipartUpload(self.abort_upload()?),
            Op::ServeWebsite => Call::ServeWebsite(self.serve_website()?),
            Op::PutObjectTagging => Call::PutObjectTagging(self.put_object_tagging().await?),
            Op::GetObjectTagging => Call::GetObjectTagging(self.get_object_tagging()?),
            Op::DeleteObjectTagging => Call::DeleteObjectTagging(self.delete_object_tagging()?),
            other => return Err(route::unsupported(other)),
        })
    }

    fn bucket(&self) -> Result<BucketName, Error> {
        self.target.bucket.clone().ok_or_else(|| ErrorCode::InvalidBucketName.into())
    }

    fn key(&self) -> Result<ObjectKey, Error> {
        self.target.key.clone().ok_or_else(|| ErrorCode::InvalidObjectName.into())
    }

    /// Refuses every header that asks for something nobody here does.
    fn refuse_unknown(&self, takes: Takes) -> Result<(), Error> {
        for name in self.headers.names() {
            let Some(suffix) = name.strip_prefix("x-cos-").or_else(|| name.strip_prefix("x-amz-")) else {
                if matches!(name, "pic-operations") && self.headers.get(name)?.is_some() {
                    return Err(not_implemented(name));
                }
                continue;
            };
            if REFUSED.contains(&suffix) && self.headers.get(name)?.is_some() {
                return Err(not_implemented(name));
            }
        }
        takes.check(&self.headers)
    }

    async fn create_bucket(mut self) -> Result<CreateBucket, Error> {
        let bucket = self.bucket()?;
        let host_region = self.target.host.region.clone();
        let tags = setting::bucket_tags(&self.headers)?;
        let object_lock =
            self.headers.concept(header::BUCKET_LOCK)?.is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if object_lock && self.dialect == DialectName::Cos {
            // COS sets it on a bucket that exists, and without versions.
            return Err(not_implemented(header::BUCKET_LOCK.of(self.dialect)));
        }
        self.check_new_bucket(&bucket)?;
        let (acl, ownership) = (self.asked_acl()?, self.asked_ownership()?);
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        let (asked, listed) = match document.trim_ascii() {
            [] => (None, None),
            document => document::create_bucket(document)?,
        };
        let (region, tags) = (asked.or(host_region), listed.or(tags));
        Ok(CreateBucket { bucket, region, tags, object_lock, acl, ownership })
    }

    async fn delete_objects(mut self) -> Result<cosette_model::op::DeleteObjects, Error> {
        let bucket = self.bucket()?;
        let md5 = self.headers.get("content-md5")?.is_some();
        let checksum = !payload::checksums(&self.headers)?.is_empty() || payload::has_trailer(&self.headers)?;
        let missing = || {
            Error::with(ErrorCode::InvalidRequest, "Missing required header for this request: Content-MD5")
        };
        // COS wants Content-MD5 of everybody (cos-api 2.12); S3 takes a checksum as well.
        if !md5 && (self.dialect == DialectName::Cos || !checksum) {
            return Err(missing());
        }
        if !md5 && self.target.host.cos {
            self.lenient("multi-delete without Content-MD5", missing)?;
        }
        let bypass_governance = lock::bypass(&self.headers)?;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(cosette_model::op::DeleteObjects {
            bypass_governance,
            ..document::delete_objects(bucket, &document)?
        })
    }

    fn put_object(mut self) -> Result<PutObject, Error> {
        self.check_trailer()?;
        let attributes = attributes::read(&self.headers)?;
        self.check_attributes(&attributes)?;
        Ok(PutObject {
            bucket: self.bucket()?,
            key: self.key()?,
            attributes,
            properties: setting::properties(&self.headers)?,
            acl: self.asked_acl()?,
            encryption: self.encryption()?,
            conditions: condition::write(&self.headers)?,
            checksum: algorithm(&self.headers, header::SDK_CHECKSUM_ALGORITHM)?,
            body: self.payload.into_body(&self.headers)?,
        })
    }

    fn get_object(mut self) -> Result<GetObject, Error> {
        let mut range = self.headers.get("range")?.and_then(ByteRange::parse);
        let if_range = match self.headers.get("if-range")? {
            Some(tag) if tag.contains('"') => Some(cosette_model::ETag::parse(tag)),
            Some(tag) if condition::http_date(tag).is_none() => Some(cosette_model::ETag::parse(tag)),
            // Whether the object is unchanged since a date is not asked further on: the whole
            // object is always a right answer.
            Some(_) => {
                range = None;
                None
            }
            None => None,
        };
        Ok(GetObject {
            bucket: self.bucket()?,
            key: self.key()?,
            version: self.version()?,
            part: self.part(range)?,
            range,
            if_range,
            conditions: condition::read(&self.headers)?,
            overrides: self.overrides()?,
            checksums: self.checksum_mode()?,
            customer: self.customer_key()?,
            sent: Some(Arc::new(AsSent::new(self.headers, self.query, self.secure))),
        })
    }

    fn head_object(mut self) -> Result<HeadObject, Error> {
        let range = self.headers.get("range")?.and_then(ByteRange::parse);
        Ok(HeadObject {
            bucket: self.bucket()?,
            key: self.key()?,
            version: self.version()?,
            part: self.part(range)?,
            range,
            conditions: condition::read(&self.headers)?,
            overrides: self.overrides()?,
            checksums: self.checksum_mode()?,
            customer: self.customer_key()?,
            sent: Some(Arc::new(AsSent::new(self.headers, self.query, self.secure))),
        })
    }

    fn delete_object(self) -> Result<DeleteObject, Error> {
        // The others are of directory buckets only.
        for name in ["if-none-match", "x-amz-if-match-last-modified-time", "x-amz-if-match-size"] {
            if self.headers.get(name)?.is_some() {
                return Err(not_implemented(name));
            }
        }
        let version = self.version()?;
        let if_match = condition::of_current(&self.headers)?;
        if version.is_some() && if_match.is_some() {
            return Err(not_implemented("If-Match"));
        }
        Ok(DeleteObject {
            bucket: self.bucket()?,
            key: self.key()?,
            version,
            if_match,
            bypass_governance: lock::bypass(&self.headers)?,
        })
    }

    fn create_upload(mut self) -> Result<CreateMultipartUpload, Error> {
        let attributes = attributes::read(&self.headers)?;
        self.check_attributes(&attributes)?;
        Ok(CreateMultipartUpload {
            bucket: self.bucket()?,
            key: self.key()?,
            attributes,
            properties: setting::properties(&self.headers)?,
            acl: self.asked_acl()?,
            encryption: self.encryption()?,
            checksum: upload_checksum(&self.headers)?,
        })
    }

    fn upload_part(mut self) -> Result<UploadPart, Error> {
        self.check_trailer()?;
        Ok(UploadPart {
            bucket: self.bucket()?,
            key: self.key()?,
            upload: self.upload(),
            number: self.part_number()?,
            customer: self.customer_key()?,
            body: self.payload.into_body(&self.headers)?,
        })
    }

    async fn complete_upload(mut self) -> Result<CompleteMultipartUpload, Error> {
        let (bucket, key, upload) = (self.bucket()?, self.key()?, self.upload());
        let conditions = condition::write(&self.headers)?;
        let size = match self.headers.concept(header::MP_OBJECT_SIZE)? {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                invalid(
                    header::MP_OBJECT_SIZE.of(self.dialect),
                    text,
                    "The object size must be a number of bytes.",
                )
            })?),
        };
        // These headers speak of the object; the document's own digests have other names.
        let checksums = payload::checksums(&self.headers)?;
        let customer = self.customer_key()?;
        let headers = self.headers.without_checksums();
        let document = self.payload.into_document(&headers, self.config.xml_bytes_max).await?;
        let parts = document::complete(&document)?;
        Ok(CompleteMultipartUpload { bucket, key, upload, parts, conditions, checksums, size, customer })
    }

    fn abort_upload(self) -> Result<AbortMultipartUpload, Error> {
        Ok(AbortMultipartUpload { bucket: self.bucket()?, key: self.key()?, upload: self.upload() })
    }

    fn upload(&self) -> UploadId {
        UploadId::new(self.query.get("uploadId").unwrap_or_default())
    }

    fn checksum_mode(&self) -> Result<bool, Error> {
        Ok(self
            .headers
            .concept(header::CHECKSUM_MODE)?
            .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled")))
    }

    fn overrides(&self) -> Result<ResponseOverrides, Error> {
        let asked = self.query.pairs().any(|(name, _)| name.starts_with("response-"));
        if asked && *self.identity == Identity::Anonymous {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "Request specific response headers cannot be used for anonymous GET requests.",
            ));
        }
        let get = |name: &str| self.query.filled(name).map(str::to_owned);
        Ok(ResponseOverrides {
            content_type: get("response-content-type"),
            cache_control: get("response-cache-control"),
            content_disposition: get("response-content-disposition"),
            content_encoding: get("response-content-encoding"),
            content_language: get("response-content-language"),
            expires: get("response-expires"),
        })
    }
}

/// Whose the bucket must be, by UIN.
pub(crate) fn expected_owner(headers: &Headers) -> Result<Option<String>, Error> {
    owner(headers, header::EXPECTED_OWNER)
}

/// An account that a header names, which is a number in both services.
fn owner(headers: &Headers, concept: header::Concept) -> Result<Option<String>, Error> {
    let Some(text) = headers.concept(concept)? else { return Ok(None) };
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Some(text.to_owned()));
    }
    Err(Error::with(
        ErrorCode::InvalidBucketOwner,
        "The value of the expected bucket owner parameter must be an AWS Account ID...",
    )
    .detail("ArgumentValue", text))
}

/// The slowest and the fastest a client may ask for, in bits a second (cos-api 3.6).
const TRAFFIC: std::ops::RangeInclusive<u64> = 819_200..=838_860_800;

/// How fast a body may come or go, in bits a second.
pub(crate) fn traffic_limit(headers: &Headers) -> Result<Option<u64>, Error> {
    let Some(text) = headers.concept(header::TRAFFIC_LIMIT)? else { return Ok(None) };
    match text.parse() {
        Ok(limit) if TRAFFIC.contains(&limit) => Ok(Some(limit)),
        _ => Err(invalid(
            header::TRAFFIC_LIMIT.of(headers.dialect()),
            text,
            "The traffic limit must be a number of bits a second from 819200 to 838860800.",
        )),
    }
}

/// Whether the sender says that it pays (S3, "Using Requester Pays buckets").
pub(crate) fn pays(headers: &Headers) -> bool {
    let said = headers.get("x-amz-request-payer").ok().flatten();
    said.is_some_and(|said| said.eq_ignore_ascii_case("requester"))
}

/// Headers, without their service's prefix, that ask for features that are not here.
const REFUSED: &[&str] = &[
    "bucket-object-lock-token",
    "object-type",
    "mfa",
    "write-offset-bytes",
    "callback",
    "callback-var",
    "return-body",
    "mime-limit",
];

fn algorithm(headers: &Headers, concept: header::Concept) -> Result<Option<ChecksumAlgorithm>, Error> {
    let Some(name) = headers.concept(concept)? else { return Ok(None) };
    ChecksumAlgorithm::parse(name).map(Some).ok_or_else(|| {
        Error::with(
            ErrorCode::InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
             [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// The checksum an upload is begun with, and its type: the algorithm's own unless it is named.
fn upload_checksum(headers: &Headers) -> Result<Option<(ChecksumAlgorithm, ChecksumType)>, Error> {
    use ChecksumType::{Composite, FullObject};
    let algorithm = algorithm(headers, header::CHECKSUM_ALGORITHM)?;
    let kind = match headers.concept(header::CHECKSUM_TYPE)? {
        None => None,
        Some("COMPOSITE") => Some(Composite),
        Some("FULL_OBJECT") => Some(FullObject),
        Some(other) => {
            return Err(invalid(
                "x-amz-checksum-type",
                other,
                "Value for x-amz-checksum-type header is invalid.",
            ));
        }
    };
    let wrong = |why: String| Err(Error::with(ErrorCode::InvalidRequest, why));
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => wrong(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                .into(),
        ),
        (Some(a @ ChecksumAlgorithm::Crc64Nvme), Some(Composite))
        | (Some(a @ (ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256)), Some(FullObject)) => {
            wrong(format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                if kind == Some(Composite) { "COMPOSITE" } else { "FULL_OBJECT" },
                a.name().to_ascii_lowercase()
            ))
        }
        (Some(ChecksumAlgorithm::Crc64Nvme), None) => Ok(Some((ChecksumAlgorithm::Crc64Nvme, FullObject))),
        (Some(algorithm), kind) => Ok(Some((algorithm, kind.unwrap_or(Composite)))),
    }
}

/// A region a client named, or the error for one that cannot be.
fn region(text: &str) -> Result<Region, Error> {
    // The oldest spelling of the first European region.
    let text = if text == "EU" { "eu-west-1" } else { text };
    Region::new(text)
        .map_err(|_| Error::new(ErrorCode::IllegalLocationConstraint).detail("LocationConstraint", text))
}
