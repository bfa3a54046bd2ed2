//! Answers for objects that are not here, by rules for origins.

use cosette_model::op::reply::{FromOrigin, Location};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, LOCATION};

use super::Answer;
use crate::{ReplyBody, origin};

impl Answer<'_> {
    pub(super) fn of_origin(&mut self, reply: FromOrigin) {
        match reply {
            FromOrigin::Elsewhere { status, location } => {
                self.status(StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND));
                let location = match location {
                    Location::Made(url) => origin::url(&url),
                    Location::Told(text) => text,
                };
                self.name(LOCATION, &location);
            }
            FromOrigin::Body { attributes, overrides, length, content_range, body } => {
                self.attributes(&attributes, &overrides);
                if let Some(range) = content_range {
                    self.status(StatusCode::PARTIAL_CONTENT);
                    self.name(CONTENT_RANGE, &range);
                }
                *self.response.body_mut() = match length {
                    Some(length) => {
                        self.response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                        ReplyBody::Stream { length, stream: body }
                    }
                    None => ReplyBody::Events(body),
                };
            }
        }
    }
}
