//! Error documents (cos-api 7.1) and the headers that go with some codes.

use std::borrow::Cow;

use cosette_model::{AccessTier, Error, ErrorCode};
use http::StatusCode;
use http::header::{ALLOW, CONTENT_RANGE};

use super::Answer;
use crate::xml::Writer;
use crate::{header, path};

impl Answer<'_> {
    pub(super) fn error(&mut self, error: Error) {
        let own = if self.is_cos() { error.code.status() } else { error.code.s3_status() };
        let status = error.status.unwrap_or(own);
        self.status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if error.code == ErrorCode::NotModified {
            if let Some(info) = &error.object {
                self.not_modified(info);
            }
            return;
        }
        if let Some(marker) = &error.delete_marker {
            self.concept(header::DELETE_MARKER, "true");
            self.version(Some(marker));
            if error.code == ErrorCode::MethodNotAllowed {
                self.name(ALLOW, "DELETE");
            }
        }
        if error.code == ErrorCode::InvalidRange
            && let Some((_, size)) = error.details.iter().find(|(name, _)| *name == "ActualObjectSize")
        {
            self.name(CONTENT_RANGE, &format!("bytes */{size}"));
        }
        let archived = match (&error.object, error.code) {
            (Some(info), ErrorCode::InvalidObjectState) => Some((info.attributes.storage_class, info.tier)),
            _ => None,
        };
        if let Some((class, tier)) = archived {
            self.class(class);
            if self.is_cos() {
                self.tier(tier);
            }
        }
        let trace_id = self.trace_id();
        if self.is_cos() {
            self.set(self.dialect.trace_id, &trace_id);
        }
        if self.asked.website {
            return self.error_page(&error);
        }
        if self.asked.head {
            return;
        }
        // Errors have no namespace in either service.
        let mut xml = Writer::with_namespace(self.dialect, "Error", None);
        xml.text("Code", if self.is_cos() { error.code.cos() } else { error.code.s3() });
        xml.text("Message", &readable(error.message()));
        let fixed = |name: &str| matches!(name, "Code" | "Message" | "Resource" | "RequestId");
        if self.is_cos() {
            xml.text("Resource", &readable(&self.asked.resource));
            xml.text("RequestId", self.asked.request_id.as_str());
            xml.text("TraceId", &trace_id);
        }
        for (name, value) in error.details.iter().filter(|(name, _)| !fixed(name)) {
            xml.text(name, &readable(value));
        }
        if let Some((class, tier)) = archived.filter(|_| !self.is_cos()) {
            xml.text("StorageClass", self.dialect.class(class));
            xml.maybe("AccessTier", tier.map(AccessTier::name));
        }
        if !self.is_cos() {
            let (_, rest) = self.asked.resource.split_once('/').unwrap_or_default();
            xml.text("Resource", &readable(&format!("/{rest}")));
            xml.text("RequestId", self.asked.request_id.as_str());
            xml.text("HostId", &trace_id);
        }
        let document = xml.finish();
        self.document(document);
    }
}

/// What a client must be able to read has no character that XML 1.0 cannot hold: it is shown as in
/// a URL. (A listing writes such keys as references, as S3 does, or encoded as a whole.)
fn readable(text: &str) -> Cow<'_, str> {
    let foreign =
        |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !text.contains(foreign) {
        return text.into();
    }
    let show =
        |c: char| if foreign(c) { path::encode(c.encode_utf8(&mut [0; 4])).into_owned() } else { c.into() };
    text.chars().map(show).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_can_be_read() {
        assert_eq!(readable("a/照 b\n"), "a/照 b\n");
        assert_eq!(readable("a\u{1a}b\u{ffff}"), "a%1Ab%EF%BF%BF");
    }
}
