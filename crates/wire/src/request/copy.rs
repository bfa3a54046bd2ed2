//! The source of a copy, in every form clients write it (cos-api 3.4).

use cosette_model::op::CopySource;
use cosette_model::{BucketName, Error, ErrorCode, VersionId};

use super::condition;
use crate::header::{COPY_SOURCE, Headers};
use crate::host::{self, Host, HostKind};
use crate::{DialectName, path, target};

pub(super) fn source(headers: &Headers) -> Result<CopySource, Error> {
    let text = headers.concept(COPY_SOURCE)?.unwrap_or_default();
    let (bucket, key, version) = parse(text, headers.dialect())
        .ok_or_else(|| Error::new(ErrorCode::InvalidCopySource).detail("CopySource", text))?;
    let bucket = BucketName::new(bucket).map_err(|_| Error::from(ErrorCode::InvalidBucketName))?;
    let key = target::key(&key, headers.dialect())?;
    Ok(CopySource { bucket, key, version, conditions: condition::source(headers)? })
}

/// `host/key`, `bucket/key`, `/bucket/key` or `http://host/...`, with `?versionId=` behind it,
/// percent-encoded in part or as a whole.
fn parse(text: &str, dialect: DialectName) -> Option<(String, String, Option<VersionId>)> {
    let (location, version) = split_version(text);
    let location = path::decode(location)?;
    // Wholly encoded, the version was hidden until now.
    let (location, version) = match version {
        Some(version) => (location.as_str(), Some(path::decode(version)?)),
        None => {
            let wholly = !text.contains('/');
            let (location, hidden) = if wholly { split_version(&location) } else { (&*location, None) };
            (location, hidden.map(str::to_owned))
        }
    };
    let version = version.filter(|v| !v.is_empty()).map(|v| VersionId::parse(&v));
    let rest = location.strip_prefix("http://").or_else(|| location.strip_prefix("https://"));
    let has_scheme = rest.is_some();
    let rest = rest.unwrap_or(location);
    let (path_form, rest) = match rest.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (first, key) = rest.split_once('/')?;
    let parsed = Host::parse(&host::name(first));
    let is_host = !path_form
        && (has_scheme || first.contains(':') || parsed.cos || parsed.s3 || dialect == DialectName::Cos);
    let (bucket, key) = match parsed.kind {
        HostKind::Bucket(bucket) if is_host => (bucket, key),
        // A path-style address written out.
        HostKind::Plain if is_host && (has_scheme || first.contains(':') || parsed.cos || parsed.s3) => {
            let (bucket, key) = key.split_once('/')?;
            (bucket.to_owned(), key)
        }
        _ => (first.to_owned(), key),
    };
    (!key.is_empty()).then(|| (bucket, key.to_owned(), version))
}

fn split_version(text: &str) -> (&str, Option<&str>) {
    let mark = "?versionid=";
    match text.to_ascii_lowercase().rfind(mark) {
        Some(at) => {
            let id = &text[at + mark.len()..];
            (&text[..at], Some(id.split('&').next().unwrap_or(id)))
        }
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_source() {
        use DialectName::{Cos, S3};
        let b = "examplebucket-1250000000";
        let host = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com";
        let key = "%E6%BA%90%20a%2B.txt";
        for (text, dialect, want) in [
            (format!("{host}/{key}"), Cos, Some((b, "源 a+.txt", None))),
            (format!("{host}/{key}?versionId=MTg0"), Cos, Some((b, "源 a+.txt", Some("MTg0")))),
            (format!("http://{host}/{key}?versionid=null"), Cos, Some((b, "源 a+.txt", Some("null")))),
            (format!("{b}.localhost:9000/{key}"), Cos, Some((b, "源 a+.txt", None))),
            (format!("{b}.cos.local/{key}"), Cos, Some((b, "源 a+.txt", None))),
            (format!("{host}/{key}"), S3, Some((b, "源 a+.txt", None))),
            (format!("%2F{b}%2Fa%2520b"), Cos, Some((b, "a%20b", None))),
            (format!("%2F{b}%2Fa%20b%3FversionId%3Dx"), Cos, Some((b, "a b", Some("x")))),
            (format!("/{b}/a/b"), Cos, Some((b, "a/b", None))),
            (format!("{b}/a/b"), Cos, Some((b, "a/b", None))),
            ("/my.bucket/a+b".into(), S3, Some(("my.bucket", "a+b", None))),
            ("my.bucket-2024/a".into(), S3, Some(("my.bucket-2024", "a", None))),
            ("bucket/a?b".into(), S3, Some(("bucket", "a?b", None))),
            ("bucket/a%3FversionId=1".into(), S3, Some(("bucket", "a?versionId=1", None))),
            ("http://127.0.0.1:9000/bucket/k".into(), S3, Some(("bucket", "k", None))),
            ("localhost:9000/bucket/k".into(), S3, Some(("bucket", "k", None))),
            ("bucket.s3.us-east-1.amazonaws.com/k".into(), S3, Some(("bucket", "k", None))),
            (
                "cos.ap-beijing.myqcloud.com/bucket-1250000000/k".into(),
                Cos,
                Some(("bucket-1250000000", "k", None)),
            ),
            ("bucket/".into(), S3, None),
            ("bucket".into(), S3, None),
            ("/".into(), S3, None),
            ("".into(), S3, None),
            ("bucket/%zz".into(), S3, None),
        ] {
            let want = want.map(|(b, k, v): (&str, &str, Option<&str>)| {
                (b.to_owned(), k.to_owned(), v.map(VersionId::parse))
            });
            assert_eq!(parse(&text, dialect), want, "{text}");
        }
    }
}
