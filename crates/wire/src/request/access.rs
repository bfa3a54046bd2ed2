//! Bucket policies, public access block and object ownership.

use cosette_model::op::{
    ObjectOwnership, PublicAccessBlock, PutBucketAcl, PutBucketOwnershipControls, PutBucketPolicy,
    PutObjectAcl, PutPublicAccessBlock,
};
use cosette_model::{Error, ErrorCode};

use super::{Incoming, invalid};
use crate::xml::Element;
use crate::{DialectName, header};

impl Incoming<'_> {
    pub(super) async fn put_bucket_acl(self) -> Result<PutBucketAcl, Error> {
        Ok(PutBucketAcl { bucket: self.bucket()?, acl: self.new_acl().await? })
    }

    pub(super) async fn put_object_acl(self) -> Result<PutObjectAcl, Error> {
        Ok(PutObjectAcl {
            bucket: self.bucket()?,
            key: self.key()?,
            version: self.version()?,
            acl: self.new_acl().await?,
        })
    }

    pub(super) async fn put_bucket_policy(self) -> Result<PutBucketPolicy, Error> {
        let bucket = self.bucket()?;
        let confirmed = self.headers.get("x-amz-confirm-remove-self-bucket-access")?;
        // COS asks for no such word.
        let confirmed = self.dialect == DialectName::Cos
            || confirmed.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(PutBucketPolicy { bucket, policy: document.to_vec(), confirmed })
    }

    pub(super) async fn put_public_access_block(self) -> Result<PutPublicAccessBlock, Error> {
        let bucket = self.bucket()?;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(PutPublicAccessBlock { bucket, block: public_access_block(&document)? })
    }

    pub(super) async fn put_ownership(self) -> Result<PutBucketOwnershipControls, Error> {
        let bucket = self.bucket()?;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(PutBucketOwnershipControls { bucket, ownership: ownership_controls(&document)? })
    }

    /// `x-amz-object-ownership` of a bucket to be made.
    pub(super) fn asked_ownership(&self) -> Result<Option<ObjectOwnership>, Error> {
        let Some(name) = self.headers.concept(header::OBJECT_OWNERSHIP)? else { return Ok(None) };
        ownership(name).map(Some).ok_or_else(|| {
            let header = header::OBJECT_OWNERSHIP.of(self.dialect);
            invalid(header, name, "Invalid x-amz-object-ownership header")
        })
    }
}

pub(crate) fn public_access_block(document: &[u8]) -> Result<PublicAccessBlock, Error> {
    let root = Element::parse(document, "PublicAccessBlockConfiguration")?;
    let flag = |name: &str| match root.text_of(name)?.map(str::to_ascii_lowercase).as_deref() {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(Error::new(ErrorCode::MalformedXml)),
    };
    Ok(PublicAccessBlock {
        block_public_acls: flag("BlockPublicAcls")?,
        ignore_public_acls: flag("IgnorePublicAcls")?,
        block_public_policy: flag("BlockPublicPolicy")?,
        restrict_public_buckets: flag("RestrictPublicBuckets")?,
    })
}

pub(crate) fn ownership_controls(document: &[u8]) -> Result<ObjectOwnership, Error> {
    let root = Element::parse(document, "OwnershipControls")?;
    let rule = root.child("Rule")?.ok_or(ErrorCode::MalformedXml)?;
    ownership(rule.need("ObjectOwnership")?.trim()).ok_or_else(|| ErrorCode::MalformedXml.into())
}

fn ownership(name: &str) -> Option<ObjectOwnership> {
    Some(match name {
        "BucketOwnerEnforced" => ObjectOwnership::BucketOwnerEnforced,
        "BucketOwnerPreferred" => ObjectOwnership::BucketOwnerPreferred,
        "ObjectWriter" => ObjectOwnership::ObjectWriter,
        _ => return None,
    })
}
