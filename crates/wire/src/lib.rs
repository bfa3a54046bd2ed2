//! Bytes to operations and back, in both dialects. Knows header names, hosts, signatures and
//! XML; knows no store, no socket, no disk.
//!
//! The two ways through: [`Wire::decode`] and [`Wire::encode`].

// PINNED INTERFACE; bodies to be filled in.

use std::net::IpAddr;

use bytes::Bytes;
use cosette_model::op::{Call, Context, Op, Reply};
use cosette_model::{Account, ByteStream, Error, Region, RequestId, Timestamp};
use http::{Request, Response};

/// How names and headers are spelled: one of two constants, chosen once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialectName {
    Cos,
    S3,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub default_region: Region,
    /// For requests that nothing marks as COS or S3.
    pub default_dialect: DialectName,
    /// Refuse what COS refuses although a local run would profit (path style, buckets without APPID).
    pub strict: bool,
    /// XML request bodies, in bytes.
    pub xml_bytes_max: usize,
}

/// Looks up who owns a secret id.
pub trait Accounts: Send + Sync {
    fn by_secret_id(&self, secret_id: &str) -> Option<Account>;
    /// The token a temporary key must be sent with; `None` for permanent keys (which take none).
    fn token_of(&self, secret_id: &str) -> Option<String> {
        let _ = secret_id;
        None
    }
}

/// A reply's body: nothing, a document, or an object's bytes of known length.
pub enum ReplyBody {
    Empty,
    Full(Bytes),
    Stream { length: u64, stream: ByteStream },
}

/// What the answer needs to know of its request. Made before anything can fail.
#[derive(Clone, Debug)]
pub struct Asked {
    pub request_id: RequestId,
    pub dialect: DialectName,
    /// `None` until the route is known.
    pub op: Option<Op>,
    /// HEAD: no body, whatever happens.
    pub head: bool,
    /// `host/key` for error documents (cos-api 7.1).
    pub resource: String,
    /// `http://host[:port]` as the client wrote it, for `Location`.
    pub origin: String,
    pub now: Timestamp,
    /// For the request log: bucket, key, who, and lenient passes taken (design 4).
    pub notes: Vec<String>,
}

/// A request understood: what is asked, by whom, in which spelling to answer.
pub struct Decoded {
    pub asked: Asked,
    pub outcome: Result<(Context, Call), Error>,
}

pub struct Wire {
    _config: Config,
}

#[allow(unused_variables)]
impl Wire {
    pub fn new(config: Config) -> Self {
        Self { _config: config }
    }

    /// Target, dialect, route, signature, then headers, query and XML to a typed call.
    /// An absolute-form request target counts as the host. Errors come back ready to be encoded.
    pub async fn decode(
        &self,
        request: Request<ByteStream>,
        peer: IpAddr,
        request_id: RequestId,
        now: Timestamp,
        accounts: &dyn Accounts,
    ) -> Decoded {
        unimplemented!()
    }

    /// Headers are given in the spelling table's case by the server (see [`HEADER_SPELLINGS`]).
    pub fn encode(&self, asked: &Asked, outcome: Result<Reply, Error>) -> Response<ReplyBody> {
        unimplemented!()
    }
}

/// Response header names whose case clients depend on (cos-api 9.1): the server sends them so.
pub const HEADER_SPELLINGS: &[&str] = &[
    "ETag",
    "Last-Modified",
    "Content-Type",
    "Content-Length",
    "Content-Range",
    "Accept-Ranges",
    "Date",
    "Server",
    "Connection",
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
    "Location",
    "Transfer-Encoding",
    "Vary",
    "Allow",
];
