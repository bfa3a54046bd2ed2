//! Host and path together: which bucket and key a request is for.

use cosette_model::op::Level;
use cosette_model::{BucketName, Error, ErrorCode, InvalidName, ObjectKey};

use crate::host::{Host, HostKind};
use crate::{DialectName, path};

/// What a request is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) bucket: Option<BucketName>,
    pub(crate) key: Option<ObjectKey>,
    /// The bucket came in the path.
    pub(crate) path_style: bool,
    /// Browsers ask here, not clients.
    pub(crate) website: bool,
}

impl Target {
    /// `raw_path` is as it came on the wire.
    pub(crate) fn parse(host: Host, raw_path: &str, dialect: DialectName) -> Result<Self, Error> {
        let path = path::decode(raw_path).ok_or(ErrorCode::InvalidUri)?;
        let rest = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key, path_style) = match &host.kind {
            HostKind::Bucket(bucket) | HostKind::Website(bucket) => (Some(bucket.as_str()), rest, false),
            HostKind::Service if rest.is_empty() => (None, "", false),
            HostKind::Service => {
                return Err(Error::with(ErrorCode::InvalidArgument, "This host only lists buckets."));
            }
            HostKind::Elsewhere => {
                return Err(Error::with(
                    ErrorCode::NotImplemented,
                    "What this host serves is not implemented; object and bucket hosts are.",
                ));
            }
            HostKind::Plain if rest.is_empty() => (None, "", false),
            HostKind::Plain => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                (Some(bucket), key, true)
            }
        };
        let bucket = bucket
            .map(|name| {
                BucketName::new(name)
                    .map_err(|_| Error::new(ErrorCode::InvalidBucketName).detail("BucketName", name))
            })
            .transpose()?;
        let key = (!key.is_empty()).then(|| self::key(key, dialect)).transpose()?;
        let website = matches!(host.kind, HostKind::Website(_));
        Ok(Self { host, bucket, key, path_style, website })
    }

    pub(crate) fn level(&self) -> Level {
        match (&self.bucket, &self.key) {
            (None, _) => Level::Service,
            (Some(_), None) => Level::Bucket,
            (Some(_), Some(_)) => Level::Object,
        }
    }
}

/// The longest key of the dialect, in bytes.
pub(crate) fn key_bytes_max(dialect: DialectName) -> usize {
    match dialect {
        DialectName::Cos => ObjectKey::COS_MAX,
        DialectName::S3 => ObjectKey::S3_MAX,
    }
}

/// Checks a key by the dialect's rules: its length, and the four bytes COS forbids (cos-api 1.2).
pub(crate) fn key(text: &str, dialect: DialectName) -> Result<ObjectKey, Error> {
    let max = key_bytes_max(dialect);
    if text.len() > max {
        return Err(Error::new(ErrorCode::KeyTooLong)
            .detail("Size", text.len().to_string())
            .detail("MaxSizeAllowed", max.to_string()));
    }
    if dialect == DialectName::Cos && text.bytes().any(|b| (0x18..=0x1b).contains(&b)) {
        return Err(ErrorCode::InvalidObjectName.into());
    }
    ObjectKey::new(text).map_err(|why| match why {
        InvalidName::KeyTooLong { .. } => ErrorCode::KeyTooLong.into(),
        _ => ErrorCode::InvalidObjectName.into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(host: &str, path: &str, dialect: DialectName) -> Result<(String, String), ErrorCode> {
        let target = Target::parse(Host::parse(host), path, dialect).map_err(|e| e.code)?;
        let text = |o: Option<&str>| o.unwrap_or("-").to_owned();
        Ok((
            text(target.bucket.as_ref().map(BucketName::as_str)),
            text(target.key.as_ref().map(ObjectKey::as_str)),
        ))
    }

    #[test]
    fn buckets_and_keys() {
        use DialectName::{Cos, S3};
        use ErrorCode::*;
        let ok = |b: &str, k: &str| Ok((b.to_owned(), k.to_owned()));
        let long = "k".repeat(851);
        let b = "b-1250000000.cos.ap-beijing.myqcloud.com";
        for (host, path, dialect, want) in [
            (b, "/", Cos, ok("b-1250000000", "-")),
            (b, "/dir%2Fkey", Cos, ok("b-1250000000", "dir/key")),
            (b, "/a/.%2Fb/..%2Fc", Cos, ok("b-1250000000", "a/./b/../c")),
            (b, "/a+b", Cos, ok("b-1250000000", "a+b")),
            (b, "/%", Cos, Err(InvalidUri)),
            (b, "/%ff", Cos, Err(InvalidUri)),
            (b, "/%1a", Cos, Err(InvalidObjectName)),
            (b, "/%1a", S3, ok("b-1250000000", "\u{1a}")),
            (b, &*format!("/{long}"), Cos, Err(KeyTooLong)),
            (b, &format!("/{long}"), S3, ok("b-1250000000", &long)),
            (b, &format!("/{}", "k".repeat(1025)), S3, Err(KeyTooLong)),
            ("localhost", "/", S3, ok("-", "-")),
            ("localhost", "/bucket", S3, ok("bucket", "-")),
            ("localhost", "/bucket/", S3, ok("bucket", "-")),
            ("localhost", "/bucket//k", S3, ok("bucket", "/k")),
            ("localhost", "/bucket/a/b/", S3, ok("bucket", "a/b/")),
            ("localhost", "/Bad_Bucket/k", S3, Err(InvalidBucketName)),
            ("cos.ap-beijing.myqcloud.com", "/b-1250000000/k", Cos, ok("b-1250000000", "k")),
            ("service.cos.myqcloud.com", "/", Cos, ok("-", "-")),
            ("service.cos.myqcloud.com", "/b", Cos, Err(InvalidArgument)),
            ("b-1250000000.cos-website.ap-beijing.myqcloud.com", "/a/", Cos, ok("b-1250000000", "a/")),
            ("1.cos-control.ap-beijing.myqcloud.com", "/", Cos, Err(NotImplemented)),
            ("_x.localhost", "/", S3, Err(InvalidBucketName)),
        ] {
            assert_eq!(parse(host, path, dialect), want, "{host}{path}");
        }
    }
}
