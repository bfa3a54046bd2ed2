//! Function URLs: requests that are for a function (scf.md 6.7).
//!
//! `place` says which URL a request is for, `domain` which by a domain of the user's own, `cors` what browsers are told,
//! `event` what a function with events is told of a request, and what its result says to the client.

mod cors;
mod domain;
mod event;
mod place;

use std::net::IpAddr;
use std::sync::Arc;

use cosette_control::{Control, UrlRefused};
use cosette_function::{Exchange, Function, Functions};
use cosette_model::function::{Invocation, Invoke, Outcome, StatusCode as Status};
use cosette_model::host::Reserved;
use cosette_model::{ByteStream, Chain, Link, RoleKey};
use cosette_trigger::{Authorization, Triggers, Url};
use cosette_wire::ReplyBody;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde_json::json;
use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::body::{Outgoing, incoming, typed};
pub(crate) use place::{Place, host};

/// Bytes of a request for a function (scf.md 6.3).
const REQUEST_BYTES_MAX: usize = 6 << 20;

/// Bytes of an event that is queued (scf.md 6.3).
const ASYNC_EVENT_BYTES_MAX: usize = 128 << 10;

/// Names of headers that are the platform's.
const OWN: &str = "x-scf-";

#[derive(Clone)]
pub(crate) struct Urls {
    pub(crate) functions: Functions,
    pub(crate) triggers: Triggers,
    pub(crate) control: Control,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) reserved: Reserved,
}

/// Why a request does not get to the function.
pub(crate) struct Refused {
    status: u16,
    message: String,
}

impl Refused {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<UrlRefused> for Refused {
    fn from(UrlRefused { status, message }: UrlRefused) -> Self {
        Self { status, message }
    }
}

/// Who asks, and by which way.
#[derive(Clone, Copy)]
struct Asking<'a> {
    place: &'a Place,
    url: &'a Url,
    peer: IpAddr,
}

/// A body that is there, or on its way.
enum Content {
    Whole(bytes::Bytes),
    Coming(Incoming),
}

impl Content {
    async fn whole(self) -> Result<bytes::Bytes, Refused> {
        let body = match self {
            Self::Whole(body) => return Ok(body),
            Self::Coming(body) => body,
        };
        let too_large = || Refused::new(406, "the request has more than 6 MB");
        if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
            return Err(too_large());
        }
        match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(Refused::new(400, "the request's body did not come whole")),
        }
    }
}

impl Urls {
    /// Where the request is for, if it is for a URL or a domain.
    pub(crate) fn place(&self, parts: &Parts, is_ours: bool) -> Option<Result<Place, Refused>> {
        let place = Place::of(parts, is_ours, |id| matches!(self.triggers.url(id), Ok(Some(_))));
        place.map(Ok).or_else(|| self.by_domain(parts))
    }

    /// Answers a request that is for a URL.
    pub(crate) async fn answer(
        &self,
        place: Result<Place, Refused>,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Response<Outgoing> {
        let mut id = uuid::Uuid::new_v4().to_string();
        let answered = match place {
            Ok(place) => self.answer_at(&place, request, peer, &mut id).await,
            Err(why) => Err(why),
        };
        let mut response = answered.unwrap_or_else(|why| refused(&id, &why));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-scf-request-id", id);
        }
        response
    }

    /// The same of one whose place is known; `id` is the invocation's.
    async fn answer_at(
        &self,
        place: &Place,
        mut request: Request<Incoming>,
        peer: IpAddr,
        id: &mut String,
    ) -> Result<Response<Outgoing>, Refused> {
        if let Some(elsewhere) = place.for_browsers(request.headers()) {
            let mut response = Response::new(Outgoing::from(ReplyBody::Empty));
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(header::LOCATION, elsewhere);
            return Ok(response);
        }
        let url = match self.triggers.url(&place.id) {
            Ok(Some(url)) => url,
            Ok(None) => return Err(Refused::new(404, format!("there is no function URL {}", place.id))),
            Err(error) => {
                tracing::error!(%error, "a function URL cannot be read");
                return Err(Refused::new(500, "the function URL cannot be read"));
            }
        };
        let crossing = cors::Crossing::of(url.settings.cors.as_ref(), request.headers());
        if let Some(mut preflight) = crossing.preflight(request.method()) {
            crossing.mark(preflight.headers_mut());
            return Ok(preflight);
        }
        // In its place if it becomes a WebSocket.
        let upgrade =
            request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        if let Some(upgrade) = upgrade {
            parts.extensions.insert(upgrade);
        }
        let answered = self.through(Asking { place, url: &url, peer }, parts, body, id).await;
        let mut response = answered.unwrap_or_else(|why| refused(id, &why));
        crossing.mark(response.headers_mut());
        Ok(response)
    }

    async fn through(
        &self,
        asking: Asking<'_>,
        parts: Parts,
        body: Incoming,
        id: &mut String,
    ) -> Result<Response<Outgoing>, Refused> {
        let Asking { place, url, .. } = asking;
        let gone = |error| Refused::new(404, format!("the URL leads to no function: {error}"));
        let function = self.functions.qualified(&url.function).map_err(gone)?;
        if !place.is_of(&function) {
            return Err(Refused::new(404, format!("there is no function URL {} by this host", url.id)));
        }
        if !url.enabled || !place.is_open(&url.settings) {
            return Err(Refused::new(403, format!("the function URL {} is closed here", url.id)));
        }
        let called_by = parts.extensions.get::<Arc<RoleKey>>().map(|key| key.chain()).unwrap_or_default();
        let (content, chain) = match url.settings.authorization {
            Authorization::Anybody => (Content::Coming(body), called_by),
            Authorization::Signed => {
                let body = Content::Coming(body).whole().await?;
                let chain = self.control.admit_to_url(&function, &parts, &body, self.accounts.as_ref())?;
                (Content::Whole(body), chain)
            }
        };
        if function.configuration.async_run {
            *id = self.file(asking, &parts, content, chain).await?;
            return Ok(Response::new(Outgoing::from(ReplyBody::Empty)));
        }
        let what = format!("{} {}", parts.method, place.path);
        let chain = chain.then(Link { what, ..Link::call(&function.name, id) });
        match function.configuration.web {
            Some(_) => self.pass(asking, parts, content, id, chain).await,
            None => self.tell(asking, &parts, content, id, chain).await,
        }
    }

    /// The request itself, to a web function.
    async fn pass(
        &self,
        Asking { place, url, peer }: Asking<'_>,
        mut parts: Parts,
        content: Content,
        id: &str,
        chain: Chain,
    ) -> Result<Response<Outgoing>, Refused> {
        let event = event::of_request(place, &parts, peer, None).to_string();
        let own: Vec<_> =
            parts.headers.keys().filter(|name| name.as_str().starts_with(OWN)).cloned().collect();
        for name in own {
            parts.headers.remove(name);
        }
        if let Ok(peer) = HeaderValue::from_str(&peer.to_string()) {
            parts.headers.insert("x-scf-remote-addr", peer);
        }
        parts.uri = place.path.clone().into();
        let body: ByteStream = match content {
            Content::Whole(bytes) => Box::pin(futures_util::stream::iter([Ok(bytes)])),
            Content::Coming(body) => incoming(body).0,
        };
        let (answer, answered) = oneshot::channel();
        let exchange = Exchange { request: Request::from_parts(parts, body), answer, held: None };
        let (functions, invocation) = (self.functions.clone(), invocation(url, event, id, chain));
        // In a task of its own: it is recorded also if the client leaves.
        let run = tokio::spawn(async move { functions.serve(invocation, exchange).await });
        match answered.await {
            Ok(response) => Ok(response.map(|body| ReplyBody::Events(body).into())),
            Err(_) => Ok(failed(&run.await.map_err(|_| Refused::new(500, "the server is stopping"))?)),
        }
    }

    /// An event of the request, to a function that takes them.
    async fn tell(
        &self,
        Asking { place, url, peer }: Asking<'_>,
        parts: &Parts,
        content: Content,
        id: &str,
        chain: Chain,
    ) -> Result<Response<Outgoing>, Refused> {
        let body = content.whole().await?;
        let event = event::of_request(place, parts, peer, Some(&body)).to_string();
        let (functions, invocation) = (self.functions.clone(), invocation(url, event, id, chain));
        let run = tokio::spawn(async move { functions.invoke(invocation).await });
        let outcome = run.await.map_err(|_| Refused::new(500, "the server is stopping"))?;
        if outcome.status != Status::Success {
            return Ok(failed(&outcome));
        }
        event::response(&outcome.result)
            .map_err(|why| Refused::new(403, format!("Invalid scf response format: {why}")))
    }

    /// The same to a function that runs asynchronously for everybody: only the request's id is answered.
    async fn file(
        &self,
        Asking { place, url, peer }: Asking<'_>,
        parts: &Parts,
        content: Content,
        chain: Chain,
    ) -> Result<String, Refused> {
        let body = content.whole().await?;
        let event = event::of_request(place, parts, peer, Some(&body)).to_string();
        if event.len() > ASYNC_EVENT_BYTES_MAX {
            return Err(Refused::new(406, "the event has more than 128 KB, the most of an asynchronous one"));
        }
        self.triggers.enqueue(url.function.clone(), event, chain).await.map_err(|error| {
            tracing::error!(%error, "an asynchronous call cannot be queued");
            Refused::new(500, "the call cannot be queued")
        })
    }
}

fn invocation(url: &Url, event: String, id: &str, chain: Chain) -> Invocation {
    Invocation {
        request_id: id.to_owned(),
        target: url.function.clone().into(),
        event,
        retry: 0,
        source: "HTTP".to_owned(),
        chain,
        subject: String::new(),
    }
}

/// What clients see of an invocation that failed: its status, and the error document.
fn failed(outcome: &Outcome) -> Response<Outgoing> {
    document(outcome.status.number(), outcome.result.clone())
}

fn refused(id: &str, why: &Refused) -> Response<Outgoing> {
    let text = json!({
        "errorCode": -1,
        "errorMessage": why.message,
        "requestId": id,
        "statusCode": why.status,
    });
    document(why.status, text.to_string())
}

fn document(status: u16, text: String) -> Response<Outgoing> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    typed(status, "application/json", text)
}

/// Whether the function is the one that a host names.
impl Place {
    fn is_of(&self, function: &Function) -> bool {
        self.appid.as_ref().is_none_or(|appid| *appid == function.appid)
            && self.region.as_ref().is_none_or(|region| *region == function.region)
    }
}

/// All values of a header, as one.
fn joined(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    values.join(",")
}
