//! Where a message goes: a function, a webhook, or an object of its own below a prefix of a bucket.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::BucketName;
use crate::function::FunctionRef;

/// Whom an event is for. Told apart by its fields when it is stored, so that rows which knew functions only are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    Function(FunctionRef),
    /// One that has been registered, by its name.
    Webhook {
        webhook: String,
    },
    /// What is put there is named after the message's id.
    Bucket {
        bucket: BucketName,
        prefix: String,
    },
}

impl Target {
    pub fn function(&self) -> Option<&FunctionRef> {
        match self {
            Self::Function(function) => Some(function),
            Self::Webhook { .. } | Self::Bucket { .. } => None,
        }
    }

    /// What shares one queue and one concurrency: a function's qualifiers do.
    #[must_use]
    pub fn without_qualifier(&self) -> Self {
        match self {
            Self::Function(function) => {
                Self::Function(FunctionRef { qualifier: String::new(), routed: None, ..function.clone() })
            }
            other => other.clone(),
        }
    }
}

impl From<FunctionRef> for Target {
    fn from(function: FunctionRef) -> Self {
        Self::Function(function)
    }
}

/// For people.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(FunctionRef { namespace, name, .. }) if namespace == "default" => {
                write!(f, "function {name}")
            }
            Self::Function(FunctionRef { namespace, name, .. }) => write!(f, "function {namespace}/{name}"),
            Self::Webhook { webhook } => write!(f, "webhook {webhook}"),
            Self::Bucket { bucket, prefix } => write!(f, "bucket {bucket}/{prefix}"),
        }
    }
}

/// In which form a message tells of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Style {
    /// COS's record, as SCF hands it to functions.
    #[default]
    Cos,
    /// S3's notification record.
    S3,
    /// S3's event on the account's event bus.
    EventBridge,
}
