//! Answers of website hosts: pages, redirects, and errors for people to read.

use cosette_model::Error;
use cosette_model::op::reply;
use cosette_model::setting::{Onward, Target};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};

use super::Answer;
use crate::{ReplyBody, path};

impl Answer<'_> {
    pub(super) fn serve_website(&mut self, reply: reply::ServeWebsite) {
        match reply {
            reply::ServeWebsite::Object { object, status } => {
                self.get_object(*object);
                if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
                    self.status(status);
                }
            }
            reply::ServeWebsite::Elsewhere(onward) => self.elsewhere(&onward),
        }
    }

    fn elsewhere(&mut self, onward: &Onward) {
        self.status(StatusCode::from_u16(onward.status).unwrap_or(StatusCode::FOUND));
        let location = match &onward.to {
            Target::Url(url) => url.clone(),
            Target::Key { protocol, host, key } => {
                let (own_protocol, own_host) = self.asked.origin.split_once("://").unwrap_or_default();
                format!(
                    "{}://{}/{}",
                    protocol.as_deref().unwrap_or(own_protocol),
                    host.as_deref().unwrap_or(own_host),
                    path::encode_path(key)
                )
            }
        };
        self.name(LOCATION, &location);
    }

    /// What S3's website endpoints show; COS's own page is not known in detail.
    pub(super) fn error_page(&mut self, error: &Error) {
        let code = if self.is_cos() { error.code.cos() } else { error.code.s3() };
        if !self.is_cos() {
            self.set("x-amz-error-code", code);
            self.set("x-amz-error-message", error.message());
        }
        if self.asked.head {
            return;
        }
        let status = self.response.status();
        let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let mut page = format!(
            "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n\
             <li>Code: {code}</li>\n<li>Message: {}</li>\n",
            escape(error.message())
        );
        for (name, value) in &error.details {
            page.push_str(&format!("<li>{name}: {}</li>\n", escape(value)));
        }
        page.push_str(&format!(
            "<li>RequestId: {}</li>\n<li>HostId: {}</li>\n</ul>\n<hr/>\n</body>\n</html>\n",
            self.asked.request_id.as_str(),
            self.trace_id()
        ));
        self.name(CONTENT_TYPE, "text/html; charset=utf-8");
        self.response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(page.len()));
        *self.response.body_mut() = ReplyBody::Full(page.into());
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
