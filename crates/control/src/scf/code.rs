//! Where a function's code comes from: base64 in the request, or an object of a bucket.

use std::future::poll_fn;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cosette_model::{BucketName, ObjectKey};

use crate::Call;
use crate::error::ApiError;
use crate::params::Params;

/// The largest archive read from a bucket, in bytes: SCF's limit for code, unpacked.
const ARCHIVE_BYTES_MAX: u64 = 500 << 20;

/// The code a request names in `Code`, or beside it (`UpdateFunctionCode` takes both), as a zip.
pub(super) async fn read(call: &Call<'_>, params: &Params<'_>) -> Result<Bytes, ApiError> {
    let nested = params.object("Code")?;
    for place in nested.iter().chain([params]) {
        for other in ["DemoId", "TempCosObjectName"] {
            if place.text(other)?.is_some_and(|text| !text.is_empty()) {
                return Err(ApiError::unsupported(format!("code by {other} is not supported")));
            }
        }
        if let Some(zip) = place.text("ZipFile")?.filter(|zip| !zip.is_empty()) {
            return decode(zip);
        }
        let part = |name| place.text(name).map(|text| text.filter(|text| !text.is_empty()));
        match (part("CosBucketName")?, part("CosObjectName")?) {
            (Some(bucket), Some(object)) => {
                return fetch(call, bucket, object, part("CosBucketRegion")?).await;
            }
            (Some(_), None) => return Err(ApiError::missing("CosObjectName")),
            (None, Some(_)) => return Err(ApiError::missing("CosBucketName")),
            (None, None) => {}
        }
    }
    Err(ApiError::missing("Code"))
}

fn decode(text: &str) -> Result<Bytes, ApiError> {
    // Tools that write MIME base64 break its lines.
    let decoded = if text.bytes().any(|b| b.is_ascii_whitespace()) {
        STANDARD.decode(text.split_ascii_whitespace().collect::<String>())
    } else {
        STANDARD.decode(text)
    };
    decoded.map(Bytes::from).map_err(|error| {
        ApiError::invalid_value("ZipFileBase64BinasciiError", format!("ZipFile is not base64: {error}"))
    })
}

/// Reads the archive from the caller's own bucket `<name>-<appid>` (scf.md 3.7).
async fn fetch(call: &Call<'_>, bucket: &str, object: &str, region: Option<&str>) -> Result<Bytes, ApiError> {
    let appid = &call.account.appid;
    let whole = match bucket.strip_suffix(appid.as_str()).and_then(|rest| rest.strip_suffix('-')) {
        // Named in full. The cloud takes the short name only.
        Some(_) if !call.strict => bucket.to_owned(),
        _ => format!("{bucket}-{appid}"),
    };
    let name = BucketName::new(whole)
        .map_err(|_| ApiError::invalid_value("CosBucketName", format!("{bucket} is not a bucket's name")))?;
    let key = ObjectKey::new(object.strip_prefix('/').unwrap_or(object))
        .map_err(|error| ApiError::invalid_value("CosObjectName", error.to_string()))?;
    let found = call
        .store
        .bucket(&name)?
        .filter(|bucket| bucket.owner_appid == *appid)
        .ok_or_else(|| ApiError::new("ResourceNotFound.Cos", format!("bucket {name} does not exist")))?;
    let wanted = region.unwrap_or(call.region.as_str());
    if found.region.as_str() != wanted {
        let message = format!("bucket {name} is in {}, not in {wanted}", found.region);
        return Err(ApiError::invalid_value("CosBucketRegion", message));
    }
    let object = call.store.object(&name, &key, None)?;
    if object.size > ARCHIVE_BYTES_MAX {
        let message = format!("object {key} has {} bytes; at most {ARCHIVE_BYTES_MAX}", object.size);
        return Err(ApiError::new("InvalidParameter.RequestTooLarge", message));
    }
    let mut stream = call.store.read(&name, &key, &object, None)?;
    let mut archive = BytesMut::with_capacity(usize::try_from(object.size).unwrap_or_default());
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        archive.extend_from_slice(&chunk.map_err(ApiError::internal)?);
    }
    Ok(archive.freeze())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_have_line_breaks_but_no_other_fault() {
        assert_eq!(decode("UEsFBg==").unwrap(), "PK\x05\x06");
        assert_eq!(decode("UEs\nFBg==\n").unwrap(), "PK\x05\x06");
        for bad in ["UEsFBg", "U*==", "not base64"] {
            assert_eq!(decode(bad).unwrap_err().code, "InvalidParameterValue.ZipFileBase64BinasciiError");
        }
    }
}
