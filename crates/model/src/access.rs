//! A request that has been answered, as access logs tell of it, and where they are written.

use crate::op::Op;
use crate::setting::{LogKeyFormat, ServiceForm};
use crate::{BucketName, Grant, Region, Timestamp};

#[derive(Clone, Debug)]
pub struct Access {
    pub bucket: BucketName,
    pub region: Region,
    /// UIN of who owns the bucket.
    pub owner: String,
    pub part: AccessPart,
    /// When its head had come, when its answer began, when that had gone.
    pub came: Timestamp,
    pub answered: Timestamp,
    pub ended: Timestamp,
    pub remote: String,
    /// UIN of who asked; `None` is nobody known.
    pub requester: Option<String>,
    pub access_key: Option<String>,
    pub request_id: String,
    /// S3's second id of the request.
    pub host_id: Option<String>,
    /// `None`: what was asked for is not known.
    pub op: Option<Op>,
    /// COS's name of it.
    pub event: Option<&'static str>,
    pub key: Option<String>,
    pub method: String,
    /// Path and query, as they were sent but for keys of customers.
    pub target: String,
    pub host: Option<String>,
    pub status: u16,
    /// Code and message.
    pub error: Option<(&'static str, String)>,
    /// Bytes of bodies.
    pub received: u64,
    pub sent: u64,
    pub object_size: Option<u64>,
    pub version: Option<String>,
    pub class: Option<String>,
    pub referer: Option<String>,
    pub agent: Option<String>,
    pub signed: Signed,
}

/// S3 writes more than one line about some requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessPart {
    /// The request itself.
    Whole,
    /// One key of a request that removes many.
    Removal,
    /// The source of a copy.
    Source,
}

/// How a request was signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// `SigV4`, `SigV2`; `None` of COS's own and of none.
    pub version: Option<&'static str>,
    pub place: Option<SignedIn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedIn {
    Header,
    Query,
}

/// Where lines about a bucket go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    pub bucket: BucketName,
    pub prefix: String,
    pub form: ServiceForm,
    pub keys: LogKeyFormat,
    /// Of the objects that are written.
    pub grants: Vec<Grant>,
}
