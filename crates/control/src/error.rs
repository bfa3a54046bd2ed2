//! What an action answers when it cannot do what was asked: a documented code and a sentence.
//! The only place that turns the other crates' errors into codes; no match here has a wildcard,
//! so a new error asks for its code.

use std::borrow::Cow;

/// Of `UpdateFunctionCode` where the function has other code than was said ([`IF_CODE`](crate::client::IF_CODE)).
pub(crate) const OTHER_CODE: &str = "FailedOperation.UpdateFunctionCode";

/// An API error (scf.md 3.1). It travels with HTTP status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    /// For the client.
    pub(crate) message: String,
    /// For the log, when it is our fault.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), cause: None }
    }

    /// `<family>.<field>` where the service documents that code, else the family alone.
    pub(crate) fn of_field(family: &'static str, field: &str, message: impl Into<String>) -> Self {
        let code = format!("{family}.{field}");
        let code =
            if FIELD_CODES.contains(&code.as_str()) { Cow::Owned(code) } else { Cow::Borrowed(family) };
        Self { code, message: message.into(), cause: None }
    }

    pub(crate) fn invalid_value(field: &str, message: impl Into<String>) -> Self {
        Self::of_field("InvalidParameterValue", field, message)
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::of_field("MissingParameter", field, format!("the required parameter {field} is missing"))
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("UnsupportedOperation", message)
    }

    /// Ours to look at: the client learns only that it was.
    pub(crate) fn internal(cause: impl ToString) -> Self {
        let message = "an internal error has occurred; the server's log says more";
        Self { cause: Some(cause.to_string()), ..Self::new("InternalError", message) }
    }

    pub(crate) fn no_function(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFound.FunctionName", message)
    }
}

/// The documented codes of scf 2018-04-16 that name a parameter we check.
const FIELD_CODES: &[&str] = &[
    "InvalidParameterValue.AdditionalVersionWeights",
    "InvalidParameterValue.Alias",
    "InvalidParameterValue.AsyncRunEnable",
    "InvalidParameterValue.AsyncTriggerConfig",
    "InvalidParameterValue.ClientContext",
    "InvalidParameterValue.Code",
    "InvalidParameterValue.CodeSource",
    "InvalidParameterValue.CompatibleRuntimes",
    "InvalidParameterValue.CosBucketName",
    "InvalidParameterValue.CosBucketRegion",
    "InvalidParameterValue.CosObjectName",
    "InvalidParameterValue.DateTime",
    "InvalidParameterValue.Description",
    "InvalidParameterValue.Domain",
    "InvalidParameterValue.Enable",
    "InvalidParameterValue.Environment",
    "InvalidParameterValue.EnvironmentExceededLimit",
    "InvalidParameterValue.EnvironmentSystemProtect",
    "InvalidParameterValue.Filters",
    "InvalidParameterValue.FunctionName",
    "InvalidParameterValue.FunctionRequestId",
    "InvalidParameterValue.FunctionType",
    "InvalidParameterValue.Handler",
    "InvalidParameterValue.InvokeType",
    "InvalidParameterValue.LayerName",
    "InvalidParameterValue.Limit",
    "InvalidParameterValue.Memory",
    "InvalidParameterValue.MemorySize",
    "InvalidParameterValue.Namespace",
    "InvalidParameterValue.NamespaceInvalid",
    "InvalidParameterValue.Offset",
    "InvalidParameterValue.Order",
    "InvalidParameterValue.OrderBy",
    "InvalidParameterValue.Param",
    "InvalidParameterValue.ProvisionType",
    "InvalidParameterValue.Qualifier",
    "InvalidParameterValue.RetCode",
    "InvalidParameterValue.RoutingConfig",
    "InvalidParameterValue.Runtime",
    "InvalidParameterValue.SearchKey",
    "InvalidParameterValue.StartTime",
    "InvalidParameterValue.StartTimeOrEndTime",
    "InvalidParameterValue.SystemEnvironment",
    "InvalidParameterValue.TriggerDesc",
    "InvalidParameterValue.TriggerName",
    "InvalidParameterValue.Type",
    "InvalidParameterValue.ZipFile",
    "InvalidParameterValue.ZipFileBase64BinasciiError",
    "LimitExceeded.Alias",
    "LimitExceeded.Function",
    "LimitExceeded.FunctionReservedConcurrencyMemory",
    "LimitExceeded.InitTimeout",
    "LimitExceeded.Layers",
    "LimitExceeded.Memory",
    "LimitExceeded.MsgTTL",
    "LimitExceeded.Namespace",
    "LimitExceeded.Offset",
    "LimitExceeded.Quota",
    "LimitExceeded.RetryNum",
    "LimitExceeded.Timeout",
    "LimitExceeded.TotalConcurrencyMemory",
    "LimitExceeded.Trigger",
    "MissingParameter.Code",
    "MissingParameter.Runtime",
];

impl From<cosette_store::Error> for ApiError {
    fn from(error: cosette_store::Error) -> Self {
        use cosette_store::Error as E;
        let message = error.to_string();
        match error {
            E::NoSuchBucket(_) => Self::new("ResourceNotFound.Cos", message),
            E::NoSuchObject(_) | E::NoSuchVersion | E::DeleteMarker { .. } => {
                Self::new("ResourceNotFound.CosObject", message)
            }
            E::CustomerKeyMissing | E::CustomerKeyWrong | E::CustomerKeyUnwanted => {
                Self::invalid_value("CosObjectName", message)
            }
            // No action of this API does what could end so.
            E::BucketExists(_)
            | E::TooManyBuckets
            | E::BucketNotEmpty(_)
            | E::NoSuchUpload
            | E::InvalidPart(_)
            | E::InvalidPartOrder
            | E::PartTooSmall { .. }
            | E::PreconditionFailed
            | E::Changed
            | E::OverwriteForbidden
            | E::Locked(_)
            | E::NotAppendable(_)
            | E::AppendPosition { .. } => Self::internal(message),
            E::Corrupt { .. }
            | E::MasterKey(_)
            | E::Poisoned(_)
            | E::Closed
            | E::Unavailable(_)
            | E::Io(_)
            | E::Index(_) => Self::internal(message),
        }
    }
}

impl From<cosette_function::Error> for ApiError {
    fn from(error: cosette_function::Error) -> Self {
        use cosette_function::Error as E;
        let text = error.to_string();
        match error {
            E::NoSuchFunction(_) => Self::no_function(text),
            E::NoSuchNamespace(_) => Self::new("ResourceNotFound.Namespace", text),
            E::NoSuchQualifier(_) => Self::new("ResourceNotFound.Qualifier", text),
            E::NoSuchLayer(_) => Self::new("ResourceNotFound.LayerVersion", text),
            E::LayerInUse { .. } => Self::new("ResourceInUse.LayerVersion", text),
            E::Exists(_) => Self::new("ResourceInUse.FunctionName", text),
            E::Invalid { field, message } => Self::invalid_value(field, message),
            E::Limit { what, message } => Self::of_field("LimitExceeded", what, message),
            E::Refused { code, message } => Self::new(code, message),
            // SCF has no code for it: its clients never say which code they expect.
            E::OtherCode(_) => Self::new(OTHER_CODE, text),
            E::Store(error) => error.into(),
            E::Io(error) => Self::internal(error),
        }
    }
}

impl From<cosette_trigger::Error> for ApiError {
    fn from(error: cosette_trigger::Error) -> Self {
        use cosette_trigger::Error as E;
        let text = error.to_string();
        match error {
            E::NoSuchBucket(_) => Self::new("ResourceNotFound.Cos", text),
            E::NoSuchFunction(_) | E::NoSuchTarget(_) => Self::no_function(text),
            E::OtherRegion { .. } => Self::new("UnauthorizedOperation.Region", text),
            E::OtherAccount => Self::new("UnauthorizedOperation.CreateTrigger", text),
            E::Conflict { .. } => Self::new("InvalidParameterValue.CosNotifyRuleConflict", text),
            E::Exists => Self::new("ResourceInUse.Trigger", text),
            E::NoSuchRule | E::NoUrl(_) => Self::new("ResourceNotFound.Trigger", text),
            E::NoSuchDomain(_) => Self::new("FailedOperation.Domain.UnExist", text),
            E::NameTaken { .. } => Self::new("ResourceInUse", text),
            E::UrlUsed(_) => Self::new("FailedOperation.DeleteTrigger.UrlUsed", text),
            E::Ambiguous => Self::invalid_value("TriggerDesc", text),
            E::Unchanged(_) => Self::new("FailedOperation.UpdateTriggerStatus", text),
            E::Limit(_) => Self::new("LimitExceeded.Trigger", text),
            E::Invalid { field, message } => Self::invalid_value(field, message),
            // No action asks for a delivery.
            E::NoSuchDelivery(_) | E::NotNow { .. } => Self::internal(text),
            E::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::{BucketName, ObjectKey};

    use super::*;

    #[test]
    fn each_function_error_has_its_code() {
        use cosette_function::Error as E;
        let name = || "f".to_owned();
        let invalid = |field| E::Invalid { field, message: "no".into() };
        for (error, code) in [
            (E::NoSuchFunction(name()), "ResourceNotFound.FunctionName"),
            (E::NoSuchNamespace(name()), "ResourceNotFound.Namespace"),
            (E::NoSuchQualifier(name()), "ResourceNotFound.Qualifier"),
            (E::NoSuchLayer(name()), "ResourceNotFound.LayerVersion"),
            (E::LayerInUse { layer: name(), function: name() }, "ResourceInUse.LayerVersion"),
            (E::Exists(name()), "ResourceInUse.FunctionName"),
            (invalid("Runtime"), "InvalidParameterValue.Runtime"),
            (invalid("MemorySize"), "InvalidParameterValue.MemorySize"),
            (invalid("ZipFile"), "InvalidParameterValue.ZipFile"),
            (invalid("NobodyDocumentsThis"), "InvalidParameterValue"),
            (E::Limit { what: "Timeout", message: "long".into() }, "LimitExceeded.Timeout"),
            (E::Limit { what: "Patience", message: "long".into() }, "LimitExceeded"),
            (E::Store(cosette_store::Error::Closed), "InternalError"),
            (E::Io(std::io::Error::other("disk")), "InternalError"),
        ] {
            assert_eq!(ApiError::from(error).code, code);
        }
    }

    #[test]
    fn each_trigger_error_has_its_code() {
        use cosette_trigger::Error as E;
        for (error, code) in [
            (E::NoSuchBucket("b".into()), "ResourceNotFound.Cos"),
            (E::NoSuchFunction("f".into()), "ResourceNotFound.FunctionName"),
            (E::OtherRegion { bucket: "a".into(), function: "b".into() }, "UnauthorizedOperation.Region"),
            (E::OtherAccount, "UnauthorizedOperation.CreateTrigger"),
            (E::Conflict { with: "r".into() }, "InvalidParameterValue.CosNotifyRuleConflict"),
            (E::Exists, "ResourceInUse.Trigger"),
            (E::NoSuchRule, "ResourceNotFound.Trigger"),
            (E::Ambiguous, "InvalidParameterValue.TriggerDesc"),
            (E::Unchanged(true), "FailedOperation.UpdateTriggerStatus"),
            (E::Limit("10".into()), "LimitExceeded.Trigger"),
            (E::NoSuchDomain("d".into()), "FailedOperation.Domain.UnExist"),
            (E::NameTaken { name: "d".into(), by: cosette_store::NameOf::Bucket }, "ResourceInUse"),
            (E::UrlUsed("d".into()), "FailedOperation.DeleteTrigger.UrlUsed"),
            (E::NoUrl("f".into()), "ResourceNotFound.Trigger"),
        ] {
            assert_eq!(ApiError::from(error).code, code);
        }
    }

    #[test]
    fn missing_code_objects_are_told_apart() {
        let bucket = BucketName::new("b-1250000000").unwrap();
        let key = ObjectKey::new("f.zip").unwrap();
        assert_eq!(ApiError::from(cosette_store::Error::NoSuchBucket(bucket)).code, "ResourceNotFound.Cos");
        assert_eq!(
            ApiError::from(cosette_store::Error::NoSuchObject(key)).code,
            "ResourceNotFound.CosObject"
        );
    }

    #[test]
    fn inner_causes_stay_inside() {
        let error = ApiError::from(cosette_store::Error::Index("secret path".into()));
        assert!(!error.message.contains("secret path"));
        assert!(error.cause.is_some_and(|c| c.contains("secret path")));
    }
}
