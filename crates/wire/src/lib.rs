//! Bytes to operations and back, in both dialects. Knows header names, hosts, signatures and
//! XML; knows no store, no socket, no disk.
//!
//! The two ways through: [`Wire::decode`] and [`Wire::encode`].

mod accelerate;
mod auth;
mod chunked;
mod dialect;
mod facts;
mod form;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
mod header;
mod host;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod noise;
mod origin;
mod path;
mod payload;
mod query;
mod request;
mod response;
mod route;
mod setting;
mod signing;
mod sts;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod support;
mod target;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
mod testing;
mod xml;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
pub use cosette_model::Accounts;
use cosette_model::op::{Call, Context, LazyFacts, Op, Policy, Reply, Subject};
use cosette_model::setting::{Allowed, Bound, Crossing};
use cosette_model::{
    BucketName, ByteStream, Cause, Error, ErrorCode, Identity, ObjectKey, Region, RequestId, Signed, Times,
    Timestamp, VersionId,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};

use auth::names::Names;
use auth::{Presented, Scheme};
use header::Headers;
use host::Host;
pub use origin::{origin_attributes, origin_redirection, origin_request};
use payload::Payload;
use query::Query;
pub use query::logged_target;
use request::Incoming;
pub use signing::sign;
pub use sts::StsAnswer;
use target::Target;

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

/// A reply's body: nothing, a document, an object's bytes of known length, or events until they end.
pub enum ReplyBody {
    Empty,
    Full(Bytes),
    Stream { length: u64, stream: ByteStream },
    Events(ByteStream),
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
    pub cross: Cross,
    /// On a website host: errors are pages for people.
    pub website: bool,
    /// Its sender has paid for it, and is told.
    pub charged: bool,
    pub signed: Signed,
    pub key: Option<ObjectKey>,
    /// Who asks, once that is known.
    pub identity: Option<Identity>,
    /// Lenient passes taken (design 4), for the request log.
    pub notes: Vec<String>,
}

/// Whether scripts of other origins may read the answer. Who answers fills in what the bucket's
/// rules allow, however the request went.
#[derive(Clone, Debug, Default)]
pub struct Cross {
    /// Whose rules count.
    pub bucket: Option<BucketName>,
    pub asked: Option<Crossing>,
    pub allowed: Option<Allowed>,
    pub vary: bool,
}

/// A request understood: what is asked, by whom, in which spelling to answer.
pub struct Decoded {
    pub asked: Asked,
    pub outcome: Result<(Context, Call), Error>,
    /// Beside an error of headers or document.
    pub faulty: Option<Box<Faulty>>,
}

/// A request of a known sender whose headers or document are wrong. That the bucket is not there, or
/// is not for the sender, is told before that (cos-api 7.4): whoever answers looks first.
pub struct Faulty {
    pub context: Context,
    pub op: Op,
    pub subject: Subject,
}

pub struct Wire {
    config: Config,
}

impl Wire {
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// A name of the user's own by which the request calls its host: one that a bucket may be bound to.
    /// Whoever knows of such a bucket gives its [`Bound`] to `decode`, among the request's extensions.
    pub fn own_name(parts: &Parts) -> Option<String> {
        let named = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let name = host::name(parts.uri.authority().map(|authority| authority.as_str()).or(named)?);
        host::is_own(&name).then_some(name)
    }

    /// Target, dialect, route, signature, then headers, query and XML to a typed call.
    /// An absolute-form request target counts as the host. Errors come back ready to be encoded.
    pub async fn decode(
        &self,
        request: Request<ByteStream>,
        peer: IpAddr,
        request_id: RequestId,
        times: impl Into<Times>,
        accounts: &dyn Accounts,
    ) -> Decoded {
        let times = times.into();
        let (parts, stream) = request.into_parts();
        let named = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let effective = authority.or(named).unwrap_or_default();
        let host = match parts.extensions.get::<Bound>() {
            Some(bound) => Host::bound(bound),
            None => Host::parse(&host::name(effective)),
        };
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let scheme = Scheme::find(&parts.headers, query.as_ref().ok());
        let dialect = scheme
            .dialect()
            .or_else(|| dialect_of_host(&host))
            .or_else(|| dialect_of_headers(&parts.headers))
            .unwrap_or(self.config.default_dialect);
        let raw_path = parts.uri.path();
        let shown = path::decode(raw_path).unwrap_or_else(|| raw_path.to_owned());
        let mut asked = Asked {
            request_id,
            dialect,
            op: None,
            head: parts.method == Method::HEAD,
            resource: format!("{effective}{shown}"),
            origin: format!("{}://{effective}", parts.uri.scheme_str().unwrap_or("http")),
            now: times.now,
            cross: Cross::default(),
            signed: scheme.signed(&parts.headers),
            website: matches!(host.kind, host::HostKind::Website(_)),
            charged: false,
            key: None,
            identity: None,
            notes: Vec::new(),
        };
        let hosts = Hosts { host, named: named.unwrap_or_default(), authority };
        let mut faulty = None;
        let understood = async {
            let query = query?;
            self.understand(
                &parts,
                hosts,
                query,
                scheme,
                stream,
                peer,
                times,
                &mut asked,
                accounts,
                &mut faulty,
            )
            .await
        };
        let outcome = understood.await;
        Decoded { asked, outcome, faulty }
    }

    #[allow(clippy::too_many_arguments)]
    async fn understand(
        &self,
        parts: &Parts,
        hosts: Hosts<'_>,
        query: Query,
        scheme: Scheme,
        stream: ByteStream,
        peer: IpAddr,
        times: Times,
        asked: &mut Asked,
        accounts: &dyn Accounts,
        faulty: &mut Option<Box<Faulty>>,
    ) -> Result<(Context, Call), Error> {
        let dialect = asked.dialect;
        if parts.headers.get_all(http::header::HOST).iter().count() > 1 {
            return Err(Error::with(ErrorCode::BadRequest, "A request must have one Host header."));
        }
        let target = Target::parse(hosts.host, parts.uri.path(), dialect)?;
        self.note_target(&target, asked)?;
        let headers = Arc::new(Headers::new(&parts.headers, &query, dialect));
        let query = Arc::new(query);
        asked.cross.asked = request::crossing(&headers, parts.method.as_str()).unwrap_or_default();
        let op = if target.website {
            route::website(&parts.method)?
        } else {
            route::route(&parts.method, target.level(), &query, &headers)?
        };
        asked.op = Some(op);
        accelerate::check(&target, op)?;

        let path = path::decode(parts.uri.path()).ok_or(ErrorCode::InvalidUri)?;
        let presented = Presented {
            method: &parts.method,
            raw_path: parts.uri.path(),
            query: &query,
            headers: &parts.headers,
            names: Names {
                host: hosts.named,
                authority: hosts.authority,
                path: &path,
                bucket: target.bucket.as_ref(),
                key: target.key.as_ref().map_or("", ObjectKey::as_str),
                region: target.host.region.as_ref().unwrap_or(&self.config.default_region),
                aliases: !self.config.strict,
            },
            dialect,
            times,
            accounts,
            service: "s3",
            body_hash: None,
        };
        // A browser asks about a presigned URL with another method than the one that is signed.
        // S3's website hosts know no signatures.
        let unsigned = op == Op::OptionsObject || target.website && dialect == DialectName::S3;
        let scheme = if unsigned { Scheme::Anonymous } else { scheme };
        let verified = auth::verify(scheme, &presented)?;
        let access_key = verified.identity.account().map(|account| account.secret_id.clone());
        asked.identity = Some(verified.identity.clone());
        if let Some(alias) = verified.alias {
            asked.notes.push(format!("lenient: signed for another name of this server, {alias}"));
        }

        let chain = access_key.as_deref().map(|id| accounts.chain(id)).unwrap_or_default();
        let secure = asked.origin.starts_with("https:");
        let mut context = Context {
            request_id: asked.request_id.clone(),
            identity: verified.identity.clone(),
            cause: Cause {
                request_id: asked.request_id.as_str().to_owned(),
                source_ip: peer.to_canonical().to_string(),
                authorization: verified.authorization,
                access_key: access_key.unwrap_or_default(),
                ..Cause::default()
            }
            .of(chain),
            region: target.host.region.clone(),
            referer: headers.get("referer")?.map(str::to_owned),
            accelerated: target.host.accelerate,
            pays: request::pays(&headers),
            traffic_limit: None,
            expected_owner: None,
            facts: LazyFacts::new({
                let (headers, query) = (Arc::clone(&headers), Arc::clone(&query));
                move || facts::facts(&headers, &query, scheme, peer, secure, times)
            }),
            now: asked.now,
            policy: self.policy(dialect),
        };
        let subject = Subject {
            bucket: target.bucket.clone(),
            key: target.key.clone(),
            version: query.get_any_case("versionId").map(VersionId::parse),
        };
        let (owner, limit) = (request::expected_owner(&headers), request::traffic_limit(&headers));
        let read = async {
            let mut incoming = Incoming {
                config: &self.config,
                dialect,
                target,
                query,
                headers,
                identity: &verified.identity,
                accounts,
                payload: Payload { stream, chunks: verified.chunks },
                secure,
                notes: &mut asked.notes,
            };
            context.expected_owner = owner?;
            context.traffic_limit = limit?;
            incoming.check_length(&parts.method)?;
            if op != Op::PostObject {
                return incoming.decode(op).await;
            }
            let (post, signed, limit, pays) =
                incoming.post_object(times, accounts, &mut asked.dialect, &mut context.facts).await?;
            context.traffic_limit = limit;
            context.pays |= pays;
            context.policy = self.policy(asked.dialect);
            if let Some(signed) = signed {
                let id = &signed.key.account.secret_id;
                context.cause.access_key.clone_from(id);
                context.cause = std::mem::take(&mut context.cause).of(accounts.chain(id));
                context.cause.authorization = signed.authorization;
                context.identity = Identity::Known(signed.key);
                asked.identity = Some(context.identity.clone());
            }
            Ok(Call::PostObject(post))
        };
        match read.await {
            Ok(call) => Ok((context, call)),
            Err(error) => {
                *faulty = Some(Box::new(Faulty { context, op, subject }));
                Err(error)
            }
        }
    }

    /// Notes what the request is for, and whether COS itself would take it so.
    fn note_target(&self, target: &Target, asked: &mut Asked) -> Result<(), Error> {
        asked.cross.bucket = target.bucket.clone();
        asked.key = target.key.clone();
        if target.path_style && (asked.dialect == DialectName::Cos || target.host.cos) {
            if self.config.strict {
                return Err(ErrorCode::PathStyleDomainForbidden.into());
            }
            asked.notes.push("lenient: path style".to_owned());
        }
        // COS documents such keys as not allowed (cos-api 1.2), and its SDKs take the slash off.
        let rooted = target.key.as_ref().is_some_and(|key| key.as_str().starts_with(['/', '\\']));
        if rooted && asked.dialect == DialectName::Cos {
            if self.config.strict {
                return Err(ErrorCode::InvalidObjectName.into());
            }
            asked.notes.push("lenient: key that begins with a slash".to_owned());
        }
        Ok(())
    }

    fn policy(&self, dialect: DialectName) -> Policy {
        let buckets_max = (self.config.strict && dialect == DialectName::Cos).then_some(COS_BUCKETS_MAX);
        Policy { buckets_max, ..policy(dialect) }
    }

    /// Headers are given in the spelling table's case by the server (see [`HEADER_SPELLINGS`]).
    pub fn encode(&self, asked: &Asked, outcome: Result<Reply, Error>) -> Response<ReplyBody> {
        response::encode(asked, outcome)
    }
}

/// A request's host in the forms that matter.
struct Hosts<'a> {
    host: Host,
    /// The `Host` header.
    named: &'a str,
    /// Of an absolute-form target.
    authority: Option<&'a str>,
}

fn dialect_of_host(host: &Host) -> Option<DialectName> {
    match (host.cos, host.s3) {
        (true, _) => Some(DialectName::Cos),
        (_, true) => Some(DialectName::S3),
        _ => None,
    }
}

/// COS headers mark COS even beside S3's, which COS understands too.
fn dialect_of_headers(headers: &HeaderMap) -> Option<DialectName> {
    // A browser asks about headers that it has yet to send.
    let announced = headers.get("access-control-request-headers").and_then(|value| value.to_str().ok());
    let any = |prefix: &str| {
        headers.keys().any(|name| name.as_str().starts_with(prefix))
            || announced.is_some_and(|names| names.to_ascii_lowercase().contains(prefix))
    };
    if any("x-cos-") {
        Some(DialectName::Cos)
    } else if any("x-amz-") {
        Some(DialectName::S3)
    } else {
        None
    }
}

/// Most buckets of one account on COS (cos-api 3.7).
const COS_BUCKETS_MAX: usize = 200;

fn policy(dialect: DialectName) -> Policy {
    const MIB: u64 = 1 << 20;
    match dialect {
        DialectName::Cos => Policy {
            part_size_min: MIB,
            complete_again: false,
            uploads_keep_bucket: true,
            marker_code: ErrorCode::NoSuchKey,
            // COS has a code of its own as well; which it uses is not known, and clients look
            // for this one (cos-api 3.4).
            copy_source_code: ErrorCode::NoSuchKey,
            console_origin: Some("https://console.cloud.tencent.com"),
            lock_by_version: false,
            guess_content_type: true,
            acl_adds_up: true,
            buckets_max: None,
            replicas_stay: true,
            removal_finds: false,
            create_again_region: None,
            tier_days: true,
        },
        DialectName::S3 => Policy {
            part_size_min: 5 * MIB,
            complete_again: true,
            uploads_keep_bucket: false,
            marker_code: ErrorCode::MethodNotAllowed,
            copy_source_code: ErrorCode::NoSuchKey,
            console_origin: None,
            lock_by_version: true,
            guess_content_type: false,
            acl_adds_up: false,
            buckets_max: None,
            replicas_stay: false,
            removal_finds: true,
            create_again_region: Some("us-east-1"),
            tier_days: false,
        },
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
    "Age",
    "X-Cache-Lookup",
    "X-NWS-LOG-UUID",
    "Allow",
    "x-amz-server-side-encryption-customer-key-MD5",
    "x-cos-server-side-encryption-customer-key-MD5",
];
