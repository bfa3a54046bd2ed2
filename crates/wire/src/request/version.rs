//! Versions: naming one, switching them on, listing them.

use cosette_model::op::{ListObjectVersions, PutBucketVersioning};
use cosette_model::{Error, VersionId};

use super::{Incoming, document, invalid};
use crate::DialectName;

impl Incoming<'_> {
    /// `versionId` in any case (cos-api 3.4).
    pub(super) fn version(&self) -> Result<Option<VersionId>, Error> {
        match self.query.get_any_case("versionId") {
            None => Ok(None),
            Some("") if self.dialect == DialectName::Cos => Ok(None),
            Some("") => Err(invalid("versionId", "", "Version id cannot be the empty string")),
            Some(text) => known_form(self.dialect, "versionId", VersionId::parse(text)).map(Some),
        }
    }

    pub(super) async fn put_versioning(self) -> Result<PutBucketVersioning, Error> {
        let bucket = self.bucket()?;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(PutBucketVersioning { bucket, enabled: document::versioning(&document)? })
    }

    pub(super) fn list_versions(self) -> Result<ListObjectVersions, Error> {
        let marker = self.query.get("version-id-marker");
        let after = self.query.get("key-marker").unwrap_or_default().to_owned();
        let version_marker = match marker {
            None => None,
            // Clients send every parameter they have (cos-api 3.2).
            Some("") => None,
            Some(text) if after.is_empty() => {
                let why = "A version-id marker cannot be specified without a key marker.";
                return Err(invalid("version-id-marker", text, why));
            }
            Some(text) => Some(known_form(self.dialect, "version-id-marker", VersionId::parse(text))?),
        };
        Ok(ListObjectVersions {
            bucket: self.bucket()?,
            listing: self.listing(after)?,
            version_marker,
            url_encode: self.url_encode()?,
        })
    }
}

/// S3 refuses what cannot be an id; on COS it names no version (cos-api 4.3).
pub(super) fn known_form(dialect: DialectName, name: &str, id: VersionId) -> Result<VersionId, Error> {
    if dialect == DialectName::S3 && id != VersionId::Null && id.stamp().is_none() {
        return Err(invalid(name, id.as_str(), "Invalid version id specified"));
    }
    Ok(id)
}
