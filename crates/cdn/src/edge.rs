//! The edge: answers for a domain out of its cache, and asks the bucket for what is not there. When a thing may be
//! used is for `http_cache_semantics` to say (RFC 9111), of headers that the domain's rules have been applied to.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use cosette_clock::Clock;
use cosette_model::ByteStream;
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};

use crate::cache::{BODY_MAX, Cache, Epoch, Thing, beside};
use crate::domain::{self, Domain};
use crate::place::Place;
use crate::serve::serve;
use crate::task::Status;

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

/// How an answer came about, as `X-Cache-Lookup` says it.
const LOOKUP: HeaderName = HeaderName::from_static("x-cache-lookup");
const LOG_ID: HeaderName = HeaderName::from_static("x-nws-log-uuid");
const HIT: HeaderValue = HeaderValue::from_static("Cache Hit");
const MISS: HeaderValue = HeaderValue::from_static("Cache Miss");

/// What concerns one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::UPGRADE,
    header::EXPECT,
    header::TRANSFER_ENCODING,
];
/// What the edge itself sees to, and does not ask of the origin when it asks for the whole.
const PARTIAL: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];
/// Who asks; goes where the edge asks for somebody else.
const IDENTITY: [HeaderName; 3] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-cos-security-token"),
    HeaderName::from_static("x-amz-security-token"),
];
/// The last second that a date in a header can show.
const END_OF_TIME: u64 = 253_402_300_799;

pub(crate) struct Edge {
    pub(crate) cache: Cache,
    clock: Clock,
    /// Set once everything is there.
    origin: OnceLock<Weak<dyn Origin>>,
}

/// One request on its way.
struct Visit<'a> {
    domain: &'a Domain,
    place: Place,
    /// As the client sent them, without what is about its connection.
    headers: HeaderMap,
    method: Method,
    /// Path and query for the origin.
    target: String,
    /// `http` or `https`.
    scheme: &'a str,
    peer: IpAddr,
    epoch: Epoch,
}

impl Edge {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { cache: Cache::default(), clock, origin: OnceLock::new() }
    }

    /// The first call counts.
    pub(crate) fn leads_to(&self, origin: Weak<dyn Origin>) {
        let _ = self.origin.set(origin);
    }

    fn origin(&self) -> Option<Arc<dyn Origin>> {
        self.origin.get()?.upgrade()
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now().as_secs().min(END_OF_TIME))
    }

    pub(crate) async fn answer(
        &self,
        domain: &Domain,
        parts: &Parts,
        peer: IpAddr,
        id: &str,
    ) -> Response<Content> {
        let (mut response, lookup) = self.look(domain, parts, peer).await;
        for name in HOP_BY_HOP {
            response.headers_mut().remove(name);
        }
        response.headers_mut().insert(LOOKUP, lookup);
        if let Ok(id) = HeaderValue::from_str(id) {
            response.headers_mut().insert(LOG_ID, id);
        }
        response
    }

    async fn look(&self, domain: &Domain, parts: &Parts, peer: IpAddr) -> (Response<Content>, HeaderValue) {
        if !domain.online {
            return (words(StatusCode::NOT_FOUND, format!("the domain {} is stopped\n", domain.name)), MISS);
        }
        if !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            let mut response =
                words(StatusCode::METHOD_NOT_ALLOWED, "the edge takes GET, HEAD and OPTIONS\n".into());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            return (response, MISS);
        }
        let mut headers = parts.headers.clone();
        for name in HOP_BY_HOP.iter().chain([&header::CONTENT_LENGTH]) {
            headers.remove(name);
        }
        if domain.setup.origin.private {
            IDENTITY.iter().for_each(|name| drop(headers.remove(name)));
        }
        let query = parts.uri.query().filter(|_| domain.setup.full_url);
        let visit = Visit {
            domain,
            place: Place::of(&domain.name, parts.uri.path(), query),
            headers,
            method: parts.method.clone(),
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            scheme: match domain.setup.origin.protocol.as_str() {
                "follow" => parts.uri.scheme_str().unwrap_or("http"),
                protocol => protocol,
            },
            peer,
            epoch: self.cache.epoch(),
        };
        if visit.method == Method::OPTIONS {
            return (self.pull(&visit, visit.method.clone(), visit.headers.clone()).await, MISS);
        }
        self.find(&visit).await
    }

    /// A GET or HEAD.
    async fn find(&self, visit: &Visit<'_>) -> (Response<Content>, HeaderValue) {
        let whole = visit.whole();
        if let Some(thing) = self.cache.get(&visit.place) {
            let mut asked = visit.asked(whole.clone());
            if thing.flushed {
                asked.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            }
            match thing.policy.before_request(&asked, self.now()) {
                BeforeRequest::Fresh(_) => return (self.hit(visit, &thing), HIT),
                BeforeRequest::Stale { request, matches } if matches && is_check(&request.headers) => {
                    let mut headers = whole.clone();
                    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
                        if let Some(value) = request.headers.get(&name) {
                            headers.insert(name, value.clone());
                        }
                    }
                    let response = self.pull(visit, Method::GET, headers).await;
                    if response.status() != StatusCode::NOT_MODIFIED {
                        return (self.fill(visit, response).await, MISS);
                    }
                    if let Some(thing) = self.renew(visit, &thing, response.headers()) {
                        return (self.hit(visit, &thing), HIT);
                    }
                }
                BeforeRequest::Stale { .. } => {}
            }
        }
        if visit.method == Method::HEAD {
            return (self.pull(visit, Method::HEAD, visit.headers.clone()).await, MISS);
        }
        let response = self.pull(visit, Method::GET, whole).await;
        (self.fill(visit, response).await, MISS)
    }

    fn hit(&self, visit: &Visit<'_>, thing: &Thing) -> Response<Content> {
        let mut response = serve(&visit.method, &visit.headers, &thing.headers, &thing.body);
        let age = HeaderValue::from(thing.policy.age(self.now()).as_secs());
        response.headers_mut().insert(header::AGE, age);
        response
    }

    /// The origin says that the thing is what it was.
    fn renew(&self, visit: &Visit<'_>, thing: &Thing, said: &HeaderMap) -> Option<Thing> {
        let mut headers = thing.headers.clone();
        for name in [header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL, header::EXPIRES] {
            if let Some(value) = said.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let shown = visit.domain.setup.caching.apply(&visit.place.shown(), &headers)?;
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.headers_mut() = shown;
        match thing.policy.after_response(&visit.asked(visit.whole()), &answer, self.now()) {
            AfterResponse::NotModified(policy, _) => {
                let thing = visit.thing(headers, thing.body.clone(), policy);
                self.cache.put(visit.place.clone(), thing.clone(), visit.epoch);
                Some(thing)
            }
            AfterResponse::Modified(..) => None,
        }
    }

    /// The origin's answer to a request for the whole: kept if it can be, and what the client wants of it.
    async fn fill(&self, visit: &Visit<'_>, response: Response<Content>) -> Response<Content> {
        let partial =
            visit.method == Method::HEAD || PARTIAL.iter().any(|name| visit.headers.contains_key(name));
        let policy = visit.policy(&response, self.now());
        match policy.zip(length(&response).filter(|length| *length <= BODY_MAX)) {
            Some((policy, length)) => {
                let (head, content) = response.into_parts();
                let Some(body) = collect(content, length).await else {
                    return words(StatusCode::BAD_GATEWAY, "the origin's answer did not come whole\n".into());
                };
                let thing = visit.thing(head.headers, body, policy);
                let answer = serve(&visit.method, &visit.headers, &thing.headers, &thing.body);
                self.cache.put(visit.place.clone(), thing, visit.epoch);
                answer
            }
            None if partial && response.status().is_success() => {
                self.pull(visit, visit.method.clone(), visit.headers.clone()).await
            }
            None => response,
        }
    }

    async fn pull(&self, visit: &Visit<'_>, method: Method, mut headers: HeaderMap) -> Response<Content> {
        let Some(origin) = self.origin() else {
            return words(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n".into());
        };
        let domain::Origin { host, server_name, private, .. } = &visit.domain.setup.origin;
        let uri = format!("{}://{host}{}", visit.scheme, visit.target).parse::<Uri>();
        let (Ok(uri), Ok(name)) = (uri, HeaderValue::from_str(server_name)) else {
            return words(StatusCode::BAD_REQUEST, "the request's path is none\n".into());
        };
        headers.insert(header::HOST, name);
        let mut request = Request::new(());
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        let on_behalf = private.then(|| visit.domain.appid.clone());
        origin.pull(Pull { request, on_behalf, peer: visit.peer }).await
    }

    /// Fetches a thing before anybody asks for it.
    pub(crate) async fn push(
        &self,
        domain: &Domain,
        place: Place,
        headers: HeaderMap,
        peer: IpAddr,
    ) -> Status {
        let visit = Visit {
            domain,
            target: place.target(),
            place,
            headers,
            method: Method::GET,
            scheme: if domain.setup.origin.protocol == "https" { "https" } else { "http" },
            peer,
            epoch: self.cache.epoch(),
        };
        let response = self.pull(&visit, Method::GET, visit.headers.clone()).await;
        if response.status().as_u16() >= 400 {
            return Status::Invalid;
        }
        let Some((policy, length)) =
            visit.policy(&response, self.now()).zip(length(&response).filter(|length| *length <= BODY_MAX))
        else {
            return Status::Fail;
        };
        let (head, content) = response.into_parts();
        let Some(body) = collect(content, length).await else { return Status::Fail };
        let thing = visit.thing(head.headers, body, policy);
        // What a purge has met on its way is fetched when it is asked for.
        self.cache.put(visit.place.clone(), thing, visit.epoch);
        Status::Done
    }
}

impl Visit<'_> {
    /// Headers of a request for the whole thing, whatever the client's own cache wants.
    fn whole(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        for name in PARTIAL.iter().chain([&header::CACHE_CONTROL, &header::PRAGMA]) {
            headers.remove(name);
        }
        headers
    }

    /// The request as the cache knows it.
    fn asked(&self, mut headers: HeaderMap) -> Request<()> {
        headers.remove(header::HOST);
        let mut request = Request::new(());
        *request.headers_mut() = headers;
        request
    }

    fn thing(&self, headers: HeaderMap, body: Bytes, policy: CachePolicy) -> Thing {
        let beside = beside(&self.place, &self.headers, &headers);
        Thing { headers, body, policy, flushed: false, beside }
    }

    /// When the answer may be used, if it may be kept.
    fn policy(&self, response: &Response<Content>, now: SystemTime) -> Option<CachePolicy> {
        if response.status() != StatusCode::OK {
            return None;
        }
        let mut shown = Response::new(());
        *shown.headers_mut() = self.domain.setup.caching.apply(&self.place.shown(), response.headers())?;
        let options = CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&self.asked(self.whole()), &shown, now, options);
        policy.is_storable().then_some(policy)
    }
}

fn is_check(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_NONE_MATCH) || headers.contains_key(header::IF_MODIFIED_SINCE)
}

fn length(response: &Response<Content>) -> Option<usize> {
    match response.body() {
        Content::Empty => Some(0),
        Content::Full(bytes) => Some(bytes.len()),
        Content::Stream { length, .. } => usize::try_from((*length)?).ok(),
    }
}

async fn collect(content: Content, length: usize) -> Option<Bytes> {
    let mut stream = match content {
        Content::Empty => return Some(Bytes::new()),
        Content::Full(bytes) => return Some(bytes),
        Content::Stream { stream, .. } => stream,
    };
    let mut body = BytesMut::with_capacity(length);
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.ok()?);
    }
    (body.len() == length).then(|| body.freeze())
}

/// A few words for people.
fn words(status: StatusCode, text: String) -> Response<Content> {
    let mut response = Response::new(Content::Full(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
