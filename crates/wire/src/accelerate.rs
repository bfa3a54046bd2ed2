//! What the acceleration hosts do (cos-api 1.1; S3, "Configuring fast, secure file transfers using Amazon S3
//! Transfer Acceleration"): they move data. Whether a bucket has them is asked where buckets are known.

use cosette_model::op::{Level, Op};
use cosette_model::{Error, ErrorCode};

use crate::target::Target;

/// Refuses what is not for such a host.
pub(crate) fn check(target: &Target, op: Op) -> Result<(), Error> {
    let host = &target.host;
    if !host.accelerate {
        return Ok(());
    }
    if !host.s3 {
        return if moves_data(op) { Ok(()) } else { Err(ErrorCode::ActionAccelerateNotSupported.into()) };
    }
    let refuse = |why: &str| Err(Error::with(ErrorCode::InvalidRequest, why));
    match &target.bucket {
        Some(bucket) if bucket.as_str().contains('.') && !target.path_style => {
            refuse("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
        }
        Some(_) if !target.path_style && !matches!(op, Op::CreateBucket | Op::DeleteBucket) => Ok(()),
        Some(_) if !target.path_style => Err(ErrorCode::ActionAccelerateNotSupported.into()),
        _ => refuse("Amazon S3 Transfer Accelerate endpoint only supports virtual style requests"),
    }
}

/// Of a bucket COS's hosts give its lists and take forms and multi-deletes; its settings they do not
/// ("several management calls" are refused, the pages do not say which).
fn moves_data(op: Op) -> bool {
    op.level() == Level::Object
        || matches!(
            op,
            Op::HeadBucket
                | Op::ListObjects
                | Op::ListObjectsV2
                | Op::ListObjectVersions
                | Op::ListMultipartUploads
                | Op::DeleteObjects
                | Op::PostObject
        )
}
