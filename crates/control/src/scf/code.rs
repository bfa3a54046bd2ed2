//! Where a function's code comes from: base64 in the request, or an object of a bucket.

use std::future::poll_fn;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cosette_model::{BucketName, ObjectKey};

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;

/// The largest archive read from a bucket, in bytes: SCF's limit for code, unpacked.
const ARCHIVE_BYTES_MAX: u64 = 500 << 20;

/// Where a request says its code is.
enum Source<'a> {
    Zip(&'a str),
    Cos { bucket: &'a str, object: &'a str, region: Option<&'a str> },
}

/// The code a request names in `Code`, or beside it (`UpdateFunctionCode` takes both), as a zip.
pub(super) async fn read(call: &Call<'_>, params: &Params<'_>) -> Result<Bytes, ApiError> {
    match source(params)? {
        Source::Zip(text) => decode(text),
        Source::Cos { bucket, object, region } => fetch(call, bucket, object, region).await,
    }
}

/// The one that there is, or that `CodeSource` says.
fn source<'a>(params: &Params<'a>) -> Result<Source<'a>, ApiError> {
    let mut found = Vec::new();
    let nested = params.object("Code")?;
    for place in nested.iter().chain([params]) {
        let part = |name| place.text(name).map(|text| text.filter(|text| !text.is_empty()));
        let region = part("CosBucketRegion")?;
        if let Some(zip) = part("ZipFile")? {
            found.push(Source::Zip(zip));
        }
        match (part("CosBucketName")?, part("CosObjectName")?) {
            (Some(bucket), Some(object)) => found.push(Source::Cos { bucket, object, region }),
            (Some(_), None) => return Err(ApiError::missing("CosObjectName")),
            (None, Some(_)) => return Err(ApiError::missing("CosBucketName")),
            (None, None) => {}
        }
    }
    let kind = |source: &Source<'_>| match source {
        Source::Zip(_) => "ZipFile",
        Source::Cos { .. } => "Cos",
    };
    let wrong = |message: String| Err(ApiError::invalid_value("CodeSource", message));
    let asked = params.text("CodeSource")?.filter(|text| !text.is_empty());
    if found.is_empty() {
        return Err(ApiError::missing("Code"));
    }
    found.retain(|source| asked.is_none_or(|asked| asked.eq_ignore_ascii_case(kind(source))));
    match found.len() {
        0 => wrong(format!("CodeSource is {}, and no code is there", asked.unwrap_or_default())),
        1 => Ok(found.remove(0)),
        _ => wrong("code is given more than once".into()),
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn code_comes_from_one_place() {
        let of = |value: serde_json::Value| {
            let found = source(&Params::new(value.as_object().unwrap())).map(|source| match source {
                Source::Zip(text) => text.to_owned(),
                Source::Cos { bucket, object, .. } => format!("{bucket}/{object}"),
            });
            found.map_err(|error| error.code.into_owned())
        };
        let cos = json!({"CosBucketName": "b", "CosObjectName": "o", "ZipFile": ""});
        let both = json!({"CosBucketName": "b", "CosObjectName": "o", "ZipFile": "z"});
        assert_eq!(of(json!({"ZipFile": "z", "CodeSource": "ZipFile"})), Ok("z".into()));
        assert_eq!(of(json!({"Code": cos, "CodeSource": "cos"})), Ok("b/o".into()));
        assert_eq!(of(json!({"Code": both, "CodeSource": "Cos"})), Ok("b/o".into()));
        let wrong = Err("InvalidParameterValue.CodeSource".to_owned());
        assert_eq!(of(json!({ "Code": both })), wrong);
        assert_eq!(of(json!({"Code": cos, "ZipFile": "z"})), wrong);
        assert_eq!(of(json!({"Code": cos, "CodeSource": "Git"})), wrong);
        assert_eq!(of(json!({"Code": {"CosBucketName": "b"}})), Err("MissingParameter".into()));
        assert_eq!(of(json!({"Code": {}})), Err("MissingParameter.Code".into()));
    }

    #[test]
    fn base64_may_have_line_breaks_but_no_other_fault() {
        assert_eq!(decode("UEsFBg==").unwrap(), "PK\x05\x06");
        assert_eq!(decode("UEs\nFBg==\n").unwrap(), "PK\x05\x06");
        for bad in ["UEsFBg", "U*==", "not base64"] {
            assert_eq!(decode(bad).unwrap_err().code, "InvalidParameterValue.ZipFileBase64BinasciiError");
        }
    }
}
