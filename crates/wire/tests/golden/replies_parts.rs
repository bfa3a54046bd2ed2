//! Replies about copied parts, appends, symlinks, parts by number and attributes.

use cosette_model::op::reply::{self, AttributePart, AttributeParts};
use cosette_model::op::{ChecksumType, ObjectInfo, Reply, ResponseOverrides, Shown};
use cosette_model::{Error, ErrorCode, PartNumber};

use super::{CRC64, etag, info, key, now, stream, sums, version};

pub(super) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let of_parts =
        || ObjectInfo { checksum_type: Some(ChecksumType::Composite), parts: Some(3), size: 9, ..info() };
    let all = Shown { etag: true, checksum: true, parts: true, storage_class: true, size: true };
    vec![
        (
            "UploadPartCopy",
            Ok(Reply::UploadPartCopy(reply::UploadPartCopy {
                encryption: None,
                etag: etag(),
                crc64: CRC64,
                modified: now(),
                source_version: version(),
                checksums: sums(),
            })),
        ),
        (
            "AppendObject",
            Ok(Reply::AppendObject(reply::AppendObject {
                encryption: None,
                etag: etag(),
                crc64: CRC64,
                md5: [0x5d; 16],
                length: 11,
            })),
        ),
        (
            "PutSymlink",
            Ok(Reply::PutSymlink(reply::PutSymlink { etag: etag(), crc64: CRC64, version: version() })),
        ),
        (
            "GetSymlink",
            Ok(Reply::GetSymlink(reply::GetSymlink {
                target: key("dir/照片 1.jpg"),
                etag: etag(),
                modified: now(),
                version: version(),
            })),
        ),
        (
            "GetObject: a part",
            Ok(Reply::GetObject(reply::GetObject {
                info: of_parts(),
                range: Some((3, 6)),
                by_part: true,
                overrides: ResponseOverrides::default(),
                body: stream(b"abc"),
            })),
        ),
        (
            "HeadObject: appendable",
            Ok(Reply::HeadObject(reply::HeadObject {
                info: ObjectInfo { appendable: true, checksums: Vec::new(), ..info() },
                range: None,
                by_part: false,
                overrides: ResponseOverrides::default(),
            })),
        ),
        (
            "GetObjectAttributes: all",
            Ok(Reply::GetObjectAttributes(reply::GetObjectAttributes {
                info: of_parts(),
                shown: all,
                parts: Some(AttributeParts {
                    count: 3,
                    after: 1,
                    max: 1,
                    parts: vec![AttributePart {
                        number: PartNumber::new(2).unwrap(),
                        size: 3,
                        checksums: sums(),
                    }],
                    truncated: true,
                }),
            })),
        ),
        (
            "GetObjectAttributes: parts without checksums",
            Ok(Reply::GetObjectAttributes(reply::GetObjectAttributes {
                info: ObjectInfo { checksums: Vec::new(), ..of_parts() },
                shown: Shown { parts: true, checksum: true, ..Shown::default() },
                parts: Some(AttributeParts {
                    count: 3,
                    after: 0,
                    max: 1000,
                    parts: Vec::new(),
                    truncated: false,
                }),
            })),
        ),
        ("error: no such part", Err(ErrorCode::InvalidPartNumber.into())),
    ]
}
