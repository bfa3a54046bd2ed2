//! The two spellings, as data: prefixes, namespaces, declarations, fixed header values.
//! Nothing here decides anything; a difference in meaning belongs to `op::Policy`.

use cosette_model::StorageClass;

use crate::DialectName;

/// Everything the two services write differently in every answer.
pub(crate) struct Dialect {
    pub(crate) name: DialectName,
    /// The `Server` header.
    pub(crate) server: &'static str,
    /// Carries the request's id on every response.
    pub(crate) request_id: &'static str,
    /// The second id: S3 sends it always, COS on errors.
    pub(crate) trace_id: &'static str,
    /// Default namespace of result documents; COS has none (cos-api 3.0).
    pub(crate) namespace: Option<&'static str>,
    /// First line of every document.
    pub(crate) declaration: &'static str,
    /// One element a line, indented with tabs.
    pub(crate) indented: bool,
    /// How `encoding-type=url` writes a space (cos-api 8).
    pub(crate) encoded_space: &'static str,
    /// Shown for an object stored without a type.
    pub(crate) content_type: &'static str,
    /// The namespace of a completed upload's document.
    pub(crate) complete_namespace: &'static str,
}

const S3_NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

pub(crate) static COS: Dialect = Dialect {
    name: DialectName::Cos,
    server: "tencent-cos",
    request_id: "x-cos-request-id",
    trace_id: "x-cos-trace-id",
    namespace: None,
    declaration: "<?xml version='1.0' encoding='utf-8' ?>\n",
    indented: true,
    encoded_space: "%20",
    content_type: "application/octet-stream",
    complete_namespace: "http://www.qcloud.com/document/product/436/7751",
};

pub(crate) static S3: Dialect = Dialect {
    name: DialectName::S3,
    server: "AmazonS3",
    request_id: "x-amz-request-id",
    trace_id: "x-amz-id-2",
    namespace: Some(S3_NAMESPACE),
    declaration: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    indented: false,
    encoded_space: "+",
    content_type: "binary/octet-stream",
    complete_namespace: S3_NAMESPACE,
};

impl Dialect {
    /// A storage class by the name that the service has for it, or for the one most like it.
    pub(crate) fn class(&self, class: StorageClass) -> &'static str {
        match self.name {
            DialectName::Cos => class.in_cos().name(),
            DialectName::S3 => class.in_s3().name(),
        }
    }
}

impl DialectName {
    pub(crate) fn dialect(self) -> &'static Dialect {
        match self {
            Self::Cos => &COS,
            Self::S3 => &S3,
        }
    }
}
