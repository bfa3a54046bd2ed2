//! Replies about versions.

use cosette_model::op::Reply;
use cosette_model::op::reply::{self, VersionBody, VersionEntry};
use cosette_model::{Error, ErrorCode, StorageClass, VersionId, Versioning};

use super::{bucket, etag, key, listing, now, owner, version};

fn entry(version: Option<VersionId>, latest: bool, marker: bool) -> VersionEntry {
    let body = VersionBody { etag: etag(), size: 5, storage_class: StorageClass::Standard, tier: None };
    VersionEntry {
        key: key("a +\u{1}.txt"),
        version,
        latest,
        modified: now(),
        owner: owner().into(),
        body: (!marker).then_some(body),
    }
}

fn page(versions: Vec<VersionEntry>, next: Option<(String, Option<VersionId>)>) -> Reply {
    Reply::ListObjectVersions(reply::ListObjectVersions {
        bucket: bucket(),
        listing: listing(),
        version_marker: version(),
        url_encode: next.is_some(),
        versions,
        common_prefixes: vec!["照片/a +b/".into()],
        next,
    })
}

pub(super) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let state = |versioning| Reply::GetBucketVersioning(reply::GetBucketVersioning { versioning });
    let marker = |code| Error { delete_marker: version(), ..Error::new(code) };
    vec![
        ("PutBucketVersioning", Ok(Reply::PutBucketVersioning(reply::PutBucketVersioning {}))),
        ("GetBucketVersioning: never", Ok(state(Versioning::Off))),
        ("GetBucketVersioning: enabled", Ok(state(Versioning::Enabled))),
        ("GetBucketVersioning: suspended", Ok(state(Versioning::Suspended))),
        (
            "ListObjectVersions: all kinds",
            Ok(page(
                vec![entry(version(), true, true), entry(Some(VersionId::Null), false, false)],
                Some(("照片/a +".into(), version())),
            )),
        ),
        ("ListObjectVersions: ends on a prefix", Ok(page(Vec::new(), Some(("照片/a +b/".into(), None))))),
        ("ListObjectVersions: never versioned", Ok(page(vec![entry(None, true, false)], None))),
        (
            "ListObjectVersions: never versioned, and more",
            Ok(page(vec![entry(None, true, false)], Some(("a +\u{1}.txt".into(), None)))),
        ),
        ("error: a delete marker", Err(marker(ErrorCode::NoSuchKey))),
        (
            "error: a delete marker by its version",
            Err(marker(ErrorCode::MethodNotAllowed).detail("ResourceType", "DeleteMarker")),
        ),
    ]
}
