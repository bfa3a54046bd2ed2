//! What COS refuses although a local run gains from it: taken and noted, in strict mode refused
//! (docs/strictness.md).

use cosette_model::{Attributes, BucketName, Error, ErrorCode};
use http::Method;

use super::Incoming;
use crate::header::META;
use crate::{DialectName, payload};

/// Longest host name of a bucket on COS, in characters (cos-api 1.2).
const HOST_CHARACTERS_MAX: usize = 60;

impl Incoming<'_> {
    /// One pass: noted, or refused.
    pub(super) fn lenient(&mut self, what: &str, refusal: impl FnOnce() -> Error) -> Result<(), Error> {
        if self.config.strict {
            return Err(refusal());
        }
        self.notes.push(format!("lenient: {what}"));
        Ok(())
    }

    /// COS would have to take the request.
    fn is_for_cos(&self) -> bool {
        self.dialect == DialectName::Cos || self.target.host.cos
    }

    /// COS wants to know how much comes, even if it is nothing (cos-api 3.0).
    pub(crate) fn check_length(&mut self, method: &Method) -> Result<(), Error> {
        let told = ["content-length", "transfer-encoding"].into_iter().any(|name| self.headers.has(name));
        if told || !matches!(*method, Method::PUT | Method::POST) || !self.is_for_cos() {
            return Ok(());
        }
        self.lenient("no Content-Length", || ErrorCode::MissingContentLength.into())
    }

    /// A trailer is more than COS takes (cos-api 2.12).
    pub(super) fn check_trailer(&mut self) -> Result<(), Error> {
        if !self.is_for_cos() || !payload::has_trailer(&self.headers)? {
            return Ok(());
        }
        self.lenient("body with trailing checksums", || {
            Error::with(
                ErrorCode::NotImplemented,
                "A body with trailing checksums (x-amz-content-sha256: STREAMING-...-TRAILER) is not implemented.",
            )
        })
    }

    /// No bucket here is of several zones (cos-api 5), and COS takes no `_` in names of metadata
    /// (cos-api 3.6; the code is not known).
    pub(super) fn check_attributes(&mut self, attributes: &Attributes) -> Result<(), Error> {
        let class = attributes.storage_class;
        if class.is_maz() {
            let what = format!("{} in a bucket of one zone", class.name());
            self.lenient(&what, || ErrorCode::MazOperationNotSupportOnOazBucket.into())?;
        }
        let cos = self.dialect == DialectName::Cos;
        if let Some(name) = attributes.user.keys().find(|name| cos && name.contains('_')) {
            self.lenient("metadata with _ in its name", || {
                Error::with(ErrorCode::InvalidArgument, "The name of metadata is of letters, digits and -.")
                    .detail("ArgumentName", format!("{}{name}", META.of(DialectName::Cos)))
            })?;
        }
        Ok(())
    }

    /// What COS asks of the name of a bucket, which S3 does not (cos-api 1.2).
    pub(super) fn check_new_bucket(&mut self, bucket: &BucketName) -> Result<(), Error> {
        if self.dialect != DialectName::Cos {
            return Ok(());
        }
        let name = bucket.as_str();
        if name.contains('.') {
            return Err(Error::new(ErrorCode::InvalidBucketName).detail("BucketName", name));
        }
        if bucket.split_appid().1.is_none() {
            self.lenient("bucket name without appid", || {
                Error::with(
                    ErrorCode::InvalidRequest,
                    "The bucket name must have the form <bucketname>-<appid>; the required Appid is missing.",
                )
            })?;
        }
        let region = self.target.host.region.as_ref().unwrap_or(&self.config.default_region);
        if format!("{name}.cos.{region}.myqcloud.com").len() > HOST_CHARACTERS_MAX {
            self.lenient("bucket name too long for its host", || {
                Error::new(ErrorCode::BucketNameTooLong).detail("BucketName", name)
            })?;
        }
        Ok(())
    }
}
