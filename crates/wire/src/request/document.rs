//! The XML documents requests carry.

use cosette_model::op::{CompletedPart, DeleteEntry, DeleteObjects};
use cosette_model::{
    BucketName, ChecksumAlgorithm, ETag, Error, ErrorCode, PartNumber, Region, Tags, VersionId,
};

use super::{condition, region};
use crate::xml::Element;
use crate::{payload, setting};

/// Most keys of one multi-delete (cos-api 3.7).
const KEYS_MAX: usize = 1000;

fn malformed() -> Error {
    ErrorCode::MalformedXml.into()
}

/// `CreateBucketConfiguration` of either service: the region S3 names, and the tags, if any.
pub(super) fn create_bucket(document: &[u8]) -> Result<(Option<Region>, Option<Tags>), Error> {
    let root = Element::parse(document, "CreateBucketConfiguration")?;
    for (name, plain) in
        [("BucketAZConfig", "OAZ"), ("BucketArchConfig", ""), ("BucketStorageClass", "STANDARD")]
    {
        match root.text_of(name)? {
            Some(value) if !value.eq_ignore_ascii_case(plain) => {
                let why = format!("The {name} {value} is not implemented.");
                return Err(Error::with(ErrorCode::NotImplemented, why));
            }
            _ => {}
        }
    }
    for name in ["Location", "Bucket"] {
        if root.child(name)?.is_some_and(|element| !element.children.is_empty()) {
            let why = format!("The element {name} of CreateBucketConfiguration is not implemented.");
            return Err(Error::with(ErrorCode::NotImplemented, why));
        }
    }
    let tags = root.child("Tags")?.filter(|tags| !tags.children.is_empty());
    let tags = tags.map(setting::bucket_tags).transpose()?;
    Ok((root.text_of("LocationConstraint")?.map(region).transpose()?, tags))
}

/// `Delete`.
pub(super) fn delete_objects(bucket: BucketName, document: &[u8]) -> Result<DeleteObjects, Error> {
    let root = Element::parse(document, "Delete")?;
    let quiet = match root.text_of("Quiet")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) if other.eq_ignore_ascii_case("true") => true,
        Some(other) if other.eq_ignore_ascii_case("false") => false,
        Some(_) => return Err(malformed()),
    };
    let entries = root
        .all("Object")
        .map(|object| {
            for name in ["LastModifiedTime", "Size"] {
                if object.text_of(name)?.is_some() {
                    let why = format!("The condition {name} of a multi-delete is not implemented.");
                    return Err(Error::with(ErrorCode::NotImplemented, why));
                }
            }
            let key = object.need("Key")?;
            if key.is_empty() {
                return Err(malformed());
            }
            let version = object.text_of("VersionId")?.map(VersionId::parse);
            let if_match = object.text_of("ETag")?.map(condition::tags);
            Ok(DeleteEntry { key: key.to_owned(), version, if_match })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    if entries.is_empty() || entries.len() > KEYS_MAX {
        return Err(malformed());
    }
    Ok(DeleteObjects { bucket, entries, quiet, bypass_governance: false })
}

/// `VersioningConfiguration`: whether versioning is to be enabled, or suspended.
pub(super) fn versioning(document: &[u8]) -> Result<bool, Error> {
    let root = Element::parse(document, "VersioningConfiguration")?;
    match root.text_of("MfaDelete")? {
        None | Some("Disabled") => {}
        Some("Enabled") => {
            let why = "The element MfaDelete of VersioningConfiguration is not implemented.";
            return Err(Error::with(ErrorCode::NotImplemented, why));
        }
        Some(_) => return Err(malformed()),
    }
    match root.text_of("Status")? {
        Some("Enabled") => Ok(true),
        Some("Suspended") => Ok(false),
        Some(_) => Err(malformed()),
        None => Err(ErrorCode::IllegalVersioningConfiguration.into()),
    }
}

/// `CompleteMultipartUpload`.
pub(super) fn complete(document: &[u8]) -> Result<Vec<CompletedPart>, Error> {
    let root = Element::parse(document, "CompleteMultipartUpload")?;
    let parts = root
        .all("Part")
        .map(|part| {
            let number: u64 = part.need("PartNumber")?.trim().parse().map_err(|_| malformed())?;
            let number = PartNumber::new(number).map_err(|_| {
                Error::with(
                    ErrorCode::InvalidArgument,
                    "Part number must be an integer between 1 and 10000, inclusive",
                )
            })?;
            let etag = ETag::parse(part.need("ETag")?);
            let mut checksums = Vec::new();
            for algorithm in ChecksumAlgorithm::ALL {
                if let Some(text) = part.text_of(checksum_element(algorithm))? {
                    checksums.push(payload::checksum(algorithm, text)?);
                }
            }
            Ok(CompletedPart { number, etag, checksums })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    if parts.is_empty() || parts.len() > usize::from(PartNumber::MAX) {
        return Err(malformed());
    }
    Ok(parts)
}

/// The element that carries a checksum, in requests and replies.
pub(crate) fn checksum_element(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64Nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
    }
}
