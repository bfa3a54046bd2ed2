//! What the edge asks of the buckets behind its domains, and how they answer.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use cosette_model::ByteStream;
use http::{HeaderValue, Request, Response, StatusCode, header};

/// The body of an answer.
pub enum Content {
    Empty,
    Full(Bytes),
    /// `length` in bytes, where it is known.
    Stream {
        length: Option<u64>,
        stream: ByteStream,
    },
}

/// A request to the bucket behind a domain.
pub struct Pull {
    /// With the whole URI and its `Host`.
    pub request: Request<()>,
    /// The APPID of the account in whose name it is made; `None` for nobody's.
    pub on_behalf: Option<String>,
    /// Who asks the edge.
    pub peer: IpAddr,
}

pub type Pulled<'a> = Pin<Box<dyn Future<Output = Response<Content>> + Send + 'a>>;

/// Where buckets are.
pub trait Origin: Send + Sync {
    /// Failures have become responses.
    fn pull(&self, pull: Pull) -> Pulled<'_>;
}

/// A few words for people.
pub(crate) fn words(status: StatusCode, text: String) -> Response<Content> {
    let mut response = Response::new(Content::Full(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
