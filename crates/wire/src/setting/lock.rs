//! `ObjectLockConfiguration{ ObjectLockEnabled, Rule{ DefaultRetention{ Mode, Days | Years } } }`,
//! of S3 and, without mode and years, of COS (cos-api 3.3).

use cosette_model::setting::{DefaultRetention, ObjectLock, Period};
use cosette_model::{Error, ErrorCode, RetentionMode};

use crate::xml::{Element, Writer};

fn malformed() -> Error {
    ErrorCode::MalformedXml.into()
}

pub(super) fn read(root: &Element) -> Result<ObjectLock, Error> {
    if root.text_of("ObjectLockEnabled")?.is_some_and(|text| text != "Enabled") {
        return Err(malformed());
    }
    let Some(rule) = root.child("Rule")? else { return Ok(ObjectLock { default: None }) };
    let default = rule.child("DefaultRetention")?.ok_or_else(malformed)?;
    let number = |name: &str| {
        let Some(text) = default.text_of(name)? else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| malformed())?;
        u32::try_from(number).map(Some).map_err(|_| Error::from(ErrorCode::InvalidRetentionPeriod))
    };
    let mode = default.text_of("Mode")?.map(|text| mode(text).ok_or_else(malformed)).transpose()?;
    let period = match (number("Days")?, number("Years")?) {
        (Some(days), None) => Period::Days(days),
        (None, Some(years)) => Period::Years(years),
        _ => return Err(malformed()),
    };
    Ok(ObjectLock { default: Some(DefaultRetention { mode, period }) })
}

pub(super) fn write(lock: &ObjectLock, xml: &mut Writer) {
    xml.text("ObjectLockEnabled", "Enabled");
    let Some(default) = &lock.default else { return };
    xml.element("Rule", |xml| {
        xml.element("DefaultRetention", |xml| {
            xml.maybe("Mode", default.mode.map(mode_name));
            match default.period {
                Period::Days(days) => xml.value("Days", days),
                Period::Years(years) => xml.value("Years", years),
            }
        });
    });
}

pub(crate) fn mode(text: &str) -> Option<RetentionMode> {
    match text {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

pub(crate) fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}
