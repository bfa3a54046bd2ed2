//! Appends (cos-api 3.4).

use cosette_model::op::AppendObject;
use cosette_model::{Error, ErrorCode};

use super::{Incoming, attributes, invalid, setting};

impl Incoming<'_> {
    pub(super) fn append_object(mut self) -> Result<AppendObject, Error> {
        self.check_trailer()?;
        let text = self.query.get("position").unwrap_or_default();
        let position = Some(text)
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| invalid("position", text, "The position must be a number of bytes."))?;
        let attributes = attributes::read(&self.headers)?;
        self.check_attributes(&attributes)?;
        let acl = self.asked_acl()?;
        let encryption = self.encryption()?;
        let body = self.payload.into_body(&self.headers)?;
        if body.length.is_none() {
            return Err(ErrorCode::MissingContentLength.into());
        }
        Ok(AppendObject {
            bucket: self.target.bucket.clone().ok_or(ErrorCode::InvalidBucketName)?,
            key: self.target.key.clone().ok_or(ErrorCode::InvalidObjectName)?,
            position,
            attributes,
            properties: setting::properties(&self.headers)?,
            acl,
            encryption,
            body,
        })
    }
}
