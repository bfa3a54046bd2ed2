//! The actions of the CDN, 2018-06-06 (scf.md 9): domains with a bucket behind them, and what is purged and
//! prefetched. It is the same in all regions.

use cosette_cdn::{Area, Error as E};

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::{reply, time};

pub(crate) mod domain;
mod setup;
pub(crate) mod task;

pub(crate) const SERVICE: &str = "cdn";

/// What an action is about, as policies call it: the domain, or those of its URLs.
pub(crate) fn resources(call: &Call<'_>, params: &Params<'_>) -> Result<Vec<String>, ApiError> {
    let uin = &call.account.uin;
    let mut names = Vec::new();
    if let Some(name) = params.text("Domain")? {
        names.push(name.to_ascii_lowercase());
    }
    for list in ["Urls", "Paths"] {
        for url in params.texts(list)?.unwrap_or_default() {
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            let host = rest.split(['/', '?', ':', '#']).next().unwrap_or_default();
            names.push(host.to_ascii_lowercase());
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(vec![format!("qcs::cdn::uin/{uin}:*")]);
    }
    Ok(names.iter().map(|name| format!("qcs::cdn::uin/{uin}:domain/{name}")).collect())
}

/// `mainland`, `overseas` or `global`.
fn area(params: &Params<'_>) -> Result<Option<Area>, ApiError> {
    match params.text("Area")? {
        None | Some("") => Ok(None),
        Some("mainland") => Ok(Some(Area::Mainland)),
        Some("overseas") => Ok(Some(Area::Overseas)),
        Some("global") => Ok(Some(Area::Global)),
        Some(other) => Err(wrong(format!("Area {other} is none of mainland, overseas and global"))),
    }
}

fn area_name(area: Area) -> &'static str {
    match area {
        Area::Mainland => "mainland",
        Area::Overseas => "overseas",
        Area::Global => "global",
    }
}

/// The service's code for a parameter that it does not take.
fn wrong(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameter.CdnParamError", message)
}

/// Which part of a list to answer.
fn page<T>(params: &Params<'_>, default: usize, max: usize, items: Vec<T>) -> Result<Vec<T>, ApiError> {
    let whole = |name: &str, default| {
        let number = params.integer(name)?.map(usize::try_from).transpose();
        Ok::<_, ApiError>(number.map_err(|_| wrong(format!("{name} is negative")))?.unwrap_or(default))
    };
    let (offset, limit) = (whole("Offset", 0)?, whole("Limit", default)?);
    if limit > max {
        return Err(wrong(format!("Limit is at most {max}")));
    }
    Ok(items.into_iter().skip(offset).take(limit).collect())
}

impl From<E> for ApiError {
    fn from(error: E) -> Self {
        use cosette_cdn::Kind;
        let text = error.to_string();
        let code = match error {
            E::NoSuchDomain(_) => "ResourceNotFound.CdnHostNotExists",
            E::NotYours(_) => "UnauthorizedOperation.CdnHostUnauthorized",
            E::UsedByOther(_) => "UnauthorizedOperation.CdnHostIsUsedByOther",
            E::Exists(_) | E::Taken { .. } => "ResourceInUse.CdnHostExists",
            E::TooMany(_) => "LimitExceeded.CdnUserTooManyHosts",
            E::Running(_) => "ResourceUnavailable.CdnHostIsNotOffline",
            E::Stopped(_) => "ResourceUnavailable.CdnHostIsNotOnline",
            E::Invalid(_) => "InvalidParameter.CdnParamError",
            E::Wildcard(_) => "InvalidParameter.CdnPurgeWildcardNotAllowed",
            E::Batch { kind: Kind::Url, .. } => "LimitExceeded.CdnPurgeUrlExceedBatchLimit",
            E::Batch { kind: Kind::Path, .. } => "LimitExceeded.CdnPurgePathExceedBatchLimit",
            E::Batch { kind: Kind::Push, .. } => "LimitExceeded.CdnPushExceedBatchLimit",
            E::Day { kind: Kind::Url, .. } => "LimitExceeded.CdnPurgeUrlExceedDayLimit",
            E::Day { kind: Kind::Path, .. } => "LimitExceeded.CdnPurgePathExceedDayLimit",
            E::Day { kind: Kind::Push, .. } => "LimitExceeded.CdnPushExceedDayLimit",
            E::Store(error) => return error.into(),
        };
        Self::new(code, text)
    }
}
