//! Settings of few fields.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::{BucketName, Grant, Region};

/// Where requests are logged to; S3 may name the objects by date, and grant them to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// The service that it was set for, in whose form lines are written.
    pub form: ServiceForm,
    pub bucket: String,
    pub prefix: String,
    pub key_format: Option<LogKeyFormat>,
    pub grants: Vec<Grant>,
}

/// In whose form the service writes what it writes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceForm {
    S3,
    Cos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogKeyFormat {
    Simple,
    ByEventTime,
    ByDeliveryTime,
}

/// Whether the accelerated host name serves the bucket. Once set it can only be suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerate {
    pub status: Status,
}

/// Who pays for requests (S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestPayment {
    BucketOwner,
    Requester,
}

/// Host names of the user's own (COS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domains {
    pub rules: Vec<DomainRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRule {
    pub status: Status,
    pub name: String,
    pub kind: DomainKind,
    /// Takes the name from another bucket if the record proves it to be the user's.
    pub force: Option<ForcedBy>,
}

/// What a host name is bound to by the rule of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub bucket: BucketName,
    pub region: Region,
    pub kind: DomainKind,
}

/// What the name is another name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DomainKind {
    Rest,
    Website,
    Accelerate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForcedBy {
    Cname,
    Txt,
}
