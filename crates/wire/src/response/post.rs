//! The reply to a POST form upload (cos-api 3.4; S3's "POST Object").

use cosette_model::op::{PostAnswer, reply};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};

use super::Answer;
use crate::path;

impl Answer<'_> {
    pub(super) fn post_object(&mut self, r: &reply::PostObject) {
        self.etag(&r.etag);
        self.crc64(r.crc64);
        self.expiry(r.expiry.as_ref());
        let shown = r.version.as_ref().filter(|v| !self.is_cos() || v.as_str() != "null");
        self.version(shown);
        self.checksums(&r.checksums, None, None);
        self.encrypted(r.encryption.as_ref());
        let key = r.key.as_str();
        if let PostAnswer::Redirect(to) = &r.answer {
            let joint = if to.contains('?') { '&' } else { '?' };
            let etag = path::encode(&r.etag.quoted()).into_owned();
            let told = format!("{to}{joint}bucket={}&key={}&etag={etag}", r.bucket, path::encode(key));
            self.status(StatusCode::SEE_OTHER);
            self.name(LOCATION, &told);
            return;
        }
        // The request's own path is that of the bucket, in the style of the request.
        let (_, path) = self.asked.resource.split_once('/').unwrap_or_default();
        let path = path::encode_path(path.trim_end_matches('/'));
        let joint = if path.is_empty() { "" } else { "/" };
        let location = format!("{}/{path}{joint}{}", self.asked.origin, path::encode_path(key));
        self.name(LOCATION, &location);
        let status = match r.answer {
            PostAnswer::Status(200) => StatusCode::OK,
            PostAnswer::Status(201) => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        };
        self.status(status);
        if status == StatusCode::CREATED {
            let mut xml = self.xml_plain("PostResponse");
            xml.text("Location", &location);
            xml.text("Bucket", r.bucket.as_str());
            xml.text("Key", key);
            xml.text("ETag", &r.etag.quoted());
            let document = xml.finish();
            self.document(document);
        } else if status == StatusCode::OK {
            self.name(CONTENT_TYPE, "text/plain");
        }
    }
}
