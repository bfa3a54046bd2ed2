//! The source of a copy, in every form clients write it (cos-api 3.4).

use cosette_model::op::{CopyObject, CopySource, UploadPartCopy};
use cosette_model::{BucketName, Error, ErrorCode, VersionId};

use super::version::known_form;
use super::{Incoming, algorithm, attributes, condition, invalid, lock, not_implemented, owner, setting};
use crate::header::{self, COPY_SOURCE, COPY_SOURCE_RANGE, Headers, SOURCE_EXPECTED_OWNER};
use crate::host::{self, Host, HostKind};
use crate::{DialectName, path, target};

impl Incoming<'_> {
    pub(super) fn copy_object(mut self) -> Result<CopyObject, Error> {
        if self.headers.concept(COPY_SOURCE_RANGE)?.is_some() {
            return Err(not_implemented(COPY_SOURCE_RANGE.of(self.dialect)));
        }
        let replace = match self.headers.concept(header::METADATA_DIRECTIVE)? {
            None => false,
            Some(directive) if directive.eq_ignore_ascii_case("copy") => false,
            Some(directive)
                if directive.eq_ignore_ascii_case("replace")
                    || directive.eq_ignore_ascii_case("replaced") =>
            {
                true
            }
            Some(other) => {
                let name = header::METADATA_DIRECTIVE.of(self.dialect);
                return Err(invalid(name, other, "Unknown metadata directive."));
            }
        };
        let attributes = attributes::read(&self.headers)?;
        self.check_attributes(&attributes)?;
        Ok(CopyObject {
            bucket: self.bucket()?,
            key: self.key()?,
            source: self.copy_source()?,
            storage_class: attributes.storage_class,
            website_redirect: attributes.website_redirect.clone(),
            replace: replace.then_some(attributes),
            tags: setting::copied_tags(&self.headers)?,
            lock: lock::asked(&self.headers)?,
            acl: self.asked_acl()?,
            encryption: self.encryption()?,
            conditions: condition::write(&self.headers)?,
            checksum: algorithm(&self.headers, header::CHECKSUM_ALGORITHM)?,
        })
    }

    pub(super) fn upload_part_copy(mut self) -> Result<UploadPartCopy, Error> {
        Ok(UploadPartCopy {
            bucket: self.bucket()?,
            key: self.key()?,
            upload: self.upload(),
            number: self.part_number()?,
            customer: self.customer_key()?,
            source: self.copy_source()?,
            range: match self.headers.concept(COPY_SOURCE_RANGE)? {
                None => None,
                Some(text) => Some(range(text).ok_or_else(|| {
                    invalid(
                        COPY_SOURCE_RANGE.of(self.dialect),
                        text,
                        "The copy source range must be of the form bytes=first-last where first and last are \
                         the zero-based offsets of the first and last bytes to copy",
                    )
                })?),
            },
        })
    }
}

impl Incoming<'_> {
    /// What is to be read, with the key that its customer keeps.
    fn copy_source(&mut self) -> Result<CopySource, Error> {
        let customer = self.source_customer_key()?;
        Ok(CopySource { customer, ..source(&self.headers)? })
    }
}

/// `bytes=first-last`, and no other form of a range.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

pub(super) fn source(headers: &Headers) -> Result<CopySource, Error> {
    let text = headers.concept(COPY_SOURCE)?.unwrap_or_default();
    let (bucket, key, version) = parse(text, headers.dialect())
        .ok_or_else(|| Error::new(ErrorCode::InvalidCopySource).detail("CopySource", text))?;
    let bucket = BucketName::new(bucket).map_err(|_| Error::from(ErrorCode::InvalidBucketName))?;
    let key = target::key(&key, headers.dialect())?;
    let version = version.map(|id| known_form(headers.dialect(), "x-amz-copy-source", id)).transpose()?;
    let expected_owner = owner(headers, SOURCE_EXPECTED_OWNER)?;
    Ok(CopySource {
        bucket,
        key,
        version,
        conditions: condition::source(headers)?,
        expected_owner,
        customer: None,
    })
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
    fn a_range_has_both_ends() {
        for (text, want) in [
            ("bytes=0-0", Some((0, 0))),
            ("bytes=5-99999999999999999999", Some((5, u64::MAX))),
            ("bytes=1-0", None),
            ("bytes=0", None),
            ("bytes=0-", None),
            ("bytes=-5", None),
            ("0-2", None),
            ("bytes=0-bar", None),
            ("bytes=0-2,3-5", None),
            ("bytes=+0-2", None),
        ] {
            assert_eq!(range(text), want, "{text}");
        }
    }

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
