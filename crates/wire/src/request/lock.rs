//! Object lock of objects: documents, and the headers of writes.

use cosette_model::op::{GetObjectLegalHold, GetObjectRetention, PutObjectLegalHold, PutObjectRetention};
use cosette_model::{Error, ErrorCode, Lock, Retention, RetentionMode, Timestamp};

use super::{Incoming, invalid};
use crate::DialectName;
use crate::header::{self, Headers};
use crate::setting::retention_mode;
use crate::xml::Element;

fn malformed() -> Error {
    ErrorCode::MalformedXml.into()
}

impl Incoming<'_> {
    pub(super) async fn put_retention(self) -> Result<PutObjectRetention, Error> {
        let (bucket, key, version) = (self.bucket()?, self.key()?, self.version()?);
        let bypass_governance = bypass(&self.headers)?;
        let dialect = self.dialect;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        let retention = retention(&document, dialect)?;
        Ok(PutObjectRetention { bucket, key, version, retention, bypass_governance })
    }

    pub(super) fn get_retention(&self) -> Result<GetObjectRetention, Error> {
        Ok(GetObjectRetention { bucket: self.bucket()?, key: self.key()?, version: self.version()? })
    }

    pub(super) async fn put_legal_hold(self) -> Result<PutObjectLegalHold, Error> {
        let (bucket, key, version) = (self.bucket()?, self.key()?, self.version()?);
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        let root = Element::parse(&document, "LegalHold")?;
        let held = match root.text_of("Status")? {
            Some("ON") => true,
            Some("OFF") => false,
            _ => return Err(malformed()),
        };
        Ok(PutObjectLegalHold { bucket, key, version, held })
    }

    pub(super) fn get_legal_hold(&self) -> Result<GetObjectLegalHold, Error> {
        Ok(GetObjectLegalHold { bucket: self.bucket()?, key: self.key()?, version: self.version()? })
    }
}

/// `Retention{ Mode, RetainUntilDate }`; without either it takes the retention away. COS may
/// leave the mode out.
fn retention(document: &[u8], dialect: DialectName) -> Result<Option<Retention>, Error> {
    let root = Element::parse(document, "Retention")?;
    let mode = root.text_of("Mode")?.map(|text| retention_mode(text).ok_or_else(malformed)).transpose()?;
    let until = root.text_of("RetainUntilDate")?;
    let until = until.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(malformed)).transpose()?;
    match (mode, until) {
        (Some(mode), Some(until)) => Ok(Some(Retention { mode, until })),
        (None, Some(until)) if dialect == DialectName::Cos => {
            Ok(Some(Retention { mode: RetentionMode::Compliance, until }))
        }
        (None, None) => Ok(None),
        _ => Err(malformed()),
    }
}

/// What a write asks to be locked by.
pub(super) fn asked(headers: &Headers) -> Result<Lock, Error> {
    let (mode_name, date_name) =
        (header::LOCK_MODE.of(headers.dialect()), header::LOCK_UNTIL.of(headers.dialect()));
    let mode = headers.concept(header::LOCK_MODE)?;
    let until = headers.concept(header::LOCK_UNTIL)?;
    let retention = match (mode, until) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(Retention {
            mode: retention_mode(mode)
                .ok_or_else(|| invalid(mode_name, mode, "Unknown wormMode directive."))?,
            until: Timestamp::parse_rfc3339(until).ok_or_else(|| {
                invalid(date_name, until, "The retain until date must be provided in ISO 8601 format")
            })?,
        }),
        _ => {
            let why = format!("{date_name} and {mode_name} must both be supplied");
            return Err(invalid(if mode.is_some() { date_name } else { mode_name }, "", why));
        }
    };
    let legal_hold = match headers.concept(header::LEGAL_HOLD)? {
        None | Some("OFF") => false,
        Some("ON") => true,
        Some(other) => {
            let name = header::LEGAL_HOLD.of(headers.dialect());
            return Err(invalid(name, other, "Legal Hold must be either of 'ON' or 'OFF'"));
        }
    };
    Ok(Lock { retention, legal_hold })
}

/// Whether governance retention is to be gone past.
pub(super) fn bypass(headers: &Headers) -> Result<bool, Error> {
    Ok(headers.concept(header::BYPASS_GOVERNANCE)?.is_some_and(|text| text.eq_ignore_ascii_case("true")))
}
