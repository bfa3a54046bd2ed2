//! What is asked of an origin, what it answers, and who does the asking.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::{Attributes, ByteRange, ByteStream};

/// Where something is at an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginUrl {
    /// By https.
    pub secure: bool,
    /// With a port if one was named.
    pub host: String,
    /// Begins with a slash; not encoded.
    pub path: String,
    /// Encoded, without the question mark; may be empty.
    pub query: String,
}

/// What happens when an origin sends on to another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRedirection {
    /// That is the answer.
    Stop,
    Follow {
        /// To other hosts too with the headers that are meant for the first.
        with_headers: bool,
        /// Its path is taken as decoded, and encoded anew.
        decode: bool,
    },
}

/// One request to an origin.
#[derive(Clone, Debug)]
pub struct OriginRequest {
    pub url: OriginUrl,
    pub headers: Vec<(String, String)>,
    pub range: Option<ByteRange>,
    pub on_redirection: OnRedirection,
    /// Names those through whom the request has come, us last.
    pub via: String,
}

/// The head of an origin's answer, and its body as it comes.
pub struct OriginAnswer {
    pub status: u16,
    pub location: Option<String>,
    /// What of it is kept with an object.
    pub attributes: Attributes,
    /// Bytes of the body, if the origin says so.
    pub length: Option<u64>,
    pub content_range: Option<String>,
    /// Ends with `Incomplete` if not all of it comes.
    pub body: ByteStream,
}

impl fmt::Debug for OriginAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// There was no answer; in words, for whoever set the rule.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// The future of an answer.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<OriginAnswer, NoAnswer>> + Send + 'a>>;

/// Asks origins. The server gives it to the handlers, which know no HTTP.
pub trait Origins: Send + Sync + 'static {
    /// Sends the request and waits for the head of the answer.
    fn ask(&self, request: OriginRequest) -> Answering<'_>;
}

/// The request of a client as it came, for origins that are to hear of it. Read only when one is asked.
pub trait Sent: fmt::Debug + Send + Sync {
    /// Every header that can be passed on: none that proves who asks, is about the connection, or is
    /// answered here.
    fn headers(&self) -> Vec<(String, String)>;

    /// One header, if it is there and can be passed on.
    fn header(&self, name: &str) -> Option<String>;

    /// The query, encoded, without what signs it.
    fn query(&self) -> String;

    /// It came by https.
    fn secure(&self) -> bool;

    /// Those through whom it came.
    fn via(&self) -> String;
}
