//! The edge: answers for a domain out of its cache, and asks the bucket for what is not there. When a thing may be
//! used is for `http_cache_semantics` to say (RFC 9111), of headers that the domain's rules have been applied to.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime};

use cosette_clock::Clock;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_cache_semantics::{AfterResponse, BeforeRequest};
use tokio::sync::{oneshot, watch};

use crate::cache::{Cache, Thing};
use crate::domain::{self, Domain};
use crate::fetch::{Fetched, Fetches, Told, wait};
use crate::origin::{Content, Origin, Pull, words};
use crate::place::Place;
use crate::serve::serve;
use crate::task::Status;
use crate::visit::Visit;

/// How an answer came about, as `X-Cache-Lookup` says it.
const LOOKUP: HeaderName = HeaderName::from_static("x-cache-lookup");
const LOG_ID: HeaderName = HeaderName::from_static("x-nws-log-uuid");
const HIT: HeaderValue = HeaderValue::from_static("Cache Hit");
const MISS: HeaderValue = HeaderValue::from_static("Cache Miss");

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
    pub(crate) fetches: Fetches,
    clock: Clock,
    /// Set once everything is there.
    origin: OnceLock<Weak<dyn Origin>>,
}

/// What a request comes upon.
enum Found {
    Fresh(Arc<Thing>),
    /// Somebody else's fetch.
    Coming(watch::Receiver<Told>),
    /// A fetch for this one.
    Begun(oneshot::Receiver<Fetched>),
    Nothing,
}

impl Edge {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { cache: Cache::default(), fetches: Fetches::default(), clock, origin: OnceLock::new() }
    }

    /// The first call counts.
    pub(crate) fn leads_to(&self, origin: Weak<dyn Origin>) {
        let _ = self.origin.set(origin);
    }

    fn origin(&self) -> Option<Arc<dyn Origin>> {
        self.origin.get()?.upgrade()
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now().as_secs().min(END_OF_TIME))
    }

    pub(crate) async fn answer(
        self: &Arc<Self>,
        domain: &Domain,
        parts: &Parts,
        peer: IpAddr,
        id: &str,
    ) -> Response<Content> {
        let (mut response, lookup) = self.look(domain, parts, peer).await;
        cosette_hop::strip(response.headers_mut(), |_| false);
        response.headers_mut().insert(LOOKUP, lookup);
        if let Ok(id) = HeaderValue::from_str(id) {
            response.headers_mut().insert(LOG_ID, id);
        }
        response
    }

    async fn look(
        self: &Arc<Self>,
        domain: &Domain,
        parts: &Parts,
        peer: IpAddr,
    ) -> (Response<Content>, HeaderValue) {
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
        cosette_hop::strip(&mut headers, |_| false);
        // The edge's own request has no body.
        for name in [header::EXPECT, header::CONTENT_LENGTH] {
            headers.remove(name);
        }
        if domain.setup.origin.private {
            IDENTITY.iter().for_each(|name| drop(headers.remove(name)));
        }
        let query = parts.uri.query().filter(|_| domain.setup.full_url);
        let visit = Visit {
            domain: domain.clone(),
            place: Place::of(&domain.name, parts.uri.path(), query),
            headers,
            method: parts.method.clone(),
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            scheme: match domain.setup.origin.protocol.as_str() {
                "follow" => parts.uri.scheme_str().unwrap_or("http"),
                protocol => protocol,
            }
            .to_owned(),
            peer,
            epoch: self.cache.epoch(),
        };
        if visit.method == Method::OPTIONS {
            return (self.pull(&visit, visit.method.clone(), visit.headers.clone()).await, MISS);
        }
        self.find(visit).await
    }

    /// A GET or HEAD.
    async fn find(self: &Arc<Self>, visit: Visit) -> (Response<Content>, HeaderValue) {
        let visit = Arc::new(visit);
        match self.seek(&visit) {
            Found::Fresh(thing) => (self.hit(&visit, &thing), HIT),
            Found::Nothing => self.alone(&visit).await,
            Found::Coming(coming) => match wait(coming).await.filter(|thing| self.fresh(&visit, thing)) {
                Some(thing) => (self.hit(&visit, &thing), HIT),
                None => self.alone(&visit).await,
            },
            Found::Begun(fetched) => match fetched.await {
                Ok(fetched) => self.deliver(&visit, fetched).await,
                Err(_) => (words(StatusCode::BAD_GATEWAY, "the fetch has failed\n".into()), MISS),
            },
        }
    }

    /// What there is of a thing; begins to fetch it where nobody does.
    fn seek(self: &Arc<Self>, visit: &Arc<Visit>) -> Found {
        // What was fetched is kept before its fetch is off the list: either is seen.
        let mut list = self.fetches.open.list();
        let kept = self.cache.get(&visit.place);
        let mut check = None;
        if let Some(thing) = kept {
            match thing.policy.before_request(&self.question(visit, &thing), self.now()) {
                BeforeRequest::Fresh(_) => return Found::Fresh(thing),
                // That one client may still have it says nothing of the others.
                BeforeRequest::Stale { request, matches }
                    if matches && !visit.for_one() && is_check(&request.headers) =>
                {
                    let mut conditions = HeaderMap::new();
                    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
                        if let Some(value) = request.headers.get(&name) {
                            conditions.insert(name, value.clone());
                        }
                    }
                    check = Some((thing, conditions));
                }
                BeforeRequest::Stale { .. } => {}
            }
        }
        if visit.ours() || (visit.method == Method::HEAD && check.is_none()) {
            return Found::Nothing;
        }
        match list.get(&(visit.place.clone(), visit.epoch)) {
            Some(coming) => Found::Coming(coming.clone()),
            None => Found::Begun(self.begin(visit, check, &mut list)),
        }
    }

    /// The request as a thing is asked whether it does for it.
    fn question(&self, visit: &Visit, thing: &Thing) -> Request<()> {
        let mut asked = visit.asked(visit.whole());
        if thing.flushed {
            asked.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        asked
    }

    fn fresh(&self, visit: &Visit, thing: &Thing) -> bool {
        matches!(
            thing.policy.before_request(&self.question(visit, thing), self.now()),
            BeforeRequest::Fresh(_)
        )
    }

    /// Asks the origin for this request only.
    async fn alone(&self, visit: &Visit) -> (Response<Content>, HeaderValue) {
        if visit.method == Method::HEAD {
            return (self.pull(visit, Method::HEAD, visit.headers.clone()).await, MISS);
        }
        let fetched = self.fetch(visit, None).await;
        self.deliver(visit, fetched).await
    }

    /// What the client wants of what was fetched.
    async fn deliver(&self, visit: &Visit, fetched: Fetched) -> (Response<Content>, HeaderValue) {
        let response = match fetched {
            Fetched::Unchanged(thing) => return (self.hit(visit, &thing), HIT),
            Fetched::Thing(thing) => serve(&visit.method, &visit.headers, &thing.headers, &thing.body),
            Fetched::Other(response) if visit.partial() && response.status().is_success() => {
                self.pull(visit, visit.method.clone(), visit.headers.clone()).await
            }
            Fetched::Other(response) => response,
        };
        (response, MISS)
    }

    fn hit(&self, visit: &Visit, thing: &Thing) -> Response<Content> {
        let mut response = serve(&visit.method, &visit.headers, &thing.headers, &thing.body);
        let age = HeaderValue::from(thing.policy.age(self.now()).as_secs());
        response.headers_mut().insert(header::AGE, age);
        response
    }

    /// The origin says that the thing is what it was.
    pub(crate) fn renew(&self, visit: &Visit, thing: &Thing, said: &HeaderMap) -> Option<Arc<Thing>> {
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
                let thing = Arc::new(visit.thing(headers, thing.body.clone(), policy));
                self.cache.put(visit.place.clone(), Arc::clone(&thing), visit.epoch);
                Some(thing)
            }
            AfterResponse::Modified(..) => None,
        }
    }

    pub(crate) async fn pull(
        &self,
        visit: &Visit,
        method: Method,
        mut headers: HeaderMap,
    ) -> Response<Content> {
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
        self: &Arc<Self>,
        domain: &Domain,
        place: Place,
        headers: HeaderMap,
        peer: IpAddr,
    ) -> Status {
        let visit = Visit {
            domain: domain.clone(),
            target: place.target(),
            place,
            headers,
            method: Method::GET,
            scheme: if domain.setup.origin.protocol == "https" { "https" } else { "http" }.to_owned(),
            peer,
            epoch: self.cache.epoch(),
        };
        let visit = Arc::new(visit);
        let begun = {
            let mut list = self.fetches.open.list();
            match list.get(&(visit.place.clone(), visit.epoch)).cloned() {
                Some(coming) => Err(coming),
                None => Ok(self.begin(&visit, None, &mut list)),
            }
        };
        let fetched = match begun {
            Ok(begun) => begun.await.ok(),
            Err(coming) => match wait(coming).await {
                Some(thing) => Some(Fetched::Thing(thing)),
                None => Some(self.fetch(&visit, None).await),
            },
        };
        match fetched {
            Some(Fetched::Thing(_) | Fetched::Unchanged(_)) => Status::Done,
            Some(Fetched::Other(response)) if response.status().as_u16() >= 400 => Status::Invalid,
            _ => Status::Fail,
        }
    }
}

fn is_check(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_NONE_MATCH) || headers.contains_key(header::IF_MODIFIED_SINCE)
}
