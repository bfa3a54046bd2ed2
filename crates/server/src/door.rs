//! Who is this request for? The object services, the Cloud API, the admin API, or nobody here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cosette_cdn::Cdn;
use cosette_clock::Clock;
use cosette_control::{Answer, Control};
use cosette_egress::Rules;
use cosette_jobs::AccessLog;
use cosette_model::host::Reserved;
use cosette_model::op::Op;
use cosette_model::setting::Bound;
use cosette_model::{ByteStream, Error, RequestId, Times, Timestamp};
use cosette_ops::Ops;
use cosette_wire::{Asked, Decoded, ReplyBody, Wire};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::access::{self, Answered, CLIENT_GONE, Glimpse, Ledger};
use crate::accounts::Accounts;
use crate::admin::Admin;
use crate::body::{Leftover, Outgoing, incoming, plain, typed};
use crate::edge;
use crate::names;
use crate::spelling::Spelling;
use crate::throttle::throttled;
use crate::url::{Urls, host};

/// What answers requests.
pub(crate) struct Door {
    pub(crate) clock: Clock,
    pub(crate) wire: Arc<Wire>,
    pub(crate) ops: Ops,
    pub(crate) control: Control,
    pub(crate) cdn: Cdn,
    pub(crate) cdn_keys: edge::Keys,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) admin: Admin,
    pub(crate) urls: Urls,
    pub(crate) access_log: AccessLog,
    pub(crate) spelling: Spelling,
    /// The names that we are called by.
    pub(crate) reserved: Reserved,
    /// Where we listen, for telling our own name from others in proxy requests.
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Every failure has become a response by the time this returns.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Outgoing> {
        let (mut parts, body) = request.into_parts();
        if let Some(place) = self.urls.place(&parts, self.is_ours(&parts)) {
            let request = Request::from_parts(parts, body);
            return Box::pin(self.urls.answer(place, request, peer)).await;
        }
        if let Some(bound) = names::domain(&parts, &self.reserved).and_then(|name| self.ops.bound(&name)) {
            parts.extensions.insert(bound);
        }
        let domain = self.cdn_domain(&parts);
        let is_own = domain.is_none() && !is_bound(&parts);
        let times = self.clock.times();
        let path = parts.uri.path();
        let mut response = if let Some(path) =
            path.strip_prefix("/_cosette/").filter(|_| is_own && self.is_admins(&parts))
        {
            if !is_open(&parts) && !names::may_administer(&parts, &self.reserved) {
                return refuse_name(&parts);
            }
            let path = path.to_owned();
            self.admin.answer(&path, parts, body).await
        } else if is_own && is_consoles(path) && self.is_ours(&parts) && !names::is_of_a_service(&parts) {
            plain(StatusCode::NOT_FOUND, "there is no console in this version\n")
        } else if let Some(domain) = domain {
            self.edge(&domain, parts, peer, times).await
        } else if Control::is_for_us(&parts) {
            self.cloud_api(parts, body).await
        } else if Wire::is_sts(&parts) {
            self.token_service(parts, body, times).await
        } else if !self.is_ours(&parts) && !is_service(&parts) && !is_bound(&parts) {
            refuse_proxy(&parts, "only COS, S3 and Tencent Cloud API hosts are answered here")
        } else {
            let (stream, leftover) = incoming(body);
            self.object_service(parts, stream, leftover, peer, times).await
        };
        self.spelling.apply(response.extensions_mut());
        response
    }

    pub(crate) async fn object_service(
        &self,
        parts: Parts,
        stream: ByteStream,
        leftover: Leftover,
        peer: IpAddr,
        times: Times,
    ) -> Response<Outgoing> {
        let request_id = request_id(times.now);
        let glimpse = Glimpse::of(&parts);
        let stays = keeps_alive(&parts);
        // With `Expect: 100-continue` the client sends nothing until we read.
        let waits = parts.headers.contains_key(header::EXPECT);
        let request = Request::from_parts(parts, stream);
        let Decoded { mut asked, outcome, faulty } =
            self.wire.decode(request, peer, request_id, times, self.accounts.as_ref()).await;
        let call = outcome.as_ref().ok().map(|(_, call)| call);
        let mut ledger = Ledger::open(&self.ops, asked.cross.bucket.as_ref(), call);
        // Dropped with this future, if the client does not wait for the answer.
        let left = ledger.clone().map(|ledger| {
            let answered = Answered {
                glimpse: &glimpse,
                asked: &asked,
                context: outcome.as_ref().ok().map(|(context, _)| context),
                status: StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST),
                headers: &HeaderMap::new(),
                failed: None,
                peer,
            };
            ledger.tally(&answered, self.access_log.clone(), self.clock.clone())
        });
        let mut limit = None;
        let known;
        let outcome = match outcome {
            Ok((context, mut call)) => {
                limit = context.traffic_limit;
                if let (Some(bits), Some(body)) = (limit, call.body()) {
                    let stream = std::mem::replace(&mut body.stream, Box::pin(futures_util::stream::empty()));
                    body.stream = throttled(stream, bits);
                }
                let charged = self.ops.charges(&context, asked.cross.bucket.as_ref(), &call);
                // It is as large as the largest handler's: by itself, it is not moved with what is around it.
                let outcome = Box::pin(self.ops.handle(&context, call)).await;
                asked.charged = charged && outcome.is_ok();
                known = Some(context);
                outcome
            }
            Err(error) => {
                let may = faulty.as_ref().map(|ask| self.ops.may(&ask.context, ask.op, &ask.subject));
                known = faulty.map(|ask| ask.context);
                match may {
                    Some(Err(first)) => Err(first),
                    _ => Err(error),
                }
            }
        };
        // Then the connection ends with the answer, which must say so.
        let closes = waits && leftover.is_unread();
        if outcome.is_err() && !waits {
            leftover.drain().await;
        }
        let failed = outcome.as_ref().err().map(Failed::of);
        let mut told_of = None;
        if let Some(ledger) = &mut ledger {
            ledger.done(&outcome, asked.dialect);
            told_of = outcome.as_ref().err().map(|error| access::failure(error, asked.dialect));
        }
        if let Some(bucket) = &asked.cross.bucket {
            let crossing = asked.cross.asked.as_ref();
            (asked.cross.allowed, asked.cross.vary) = self.ops.cross_origin(bucket, crossing);
        }
        let mut response = self.wire.encode(&asked, outcome);
        if stays {
            // Some clients look for a non-empty `Connection` (cos-api 9.1), which HTTP/1.1 leaves out.
            let value = HeaderValue::from_static(if closes { "close" } else { "keep-alive" });
            response.headers_mut().insert(header::CONNECTION, value);
        }
        let (method, agent) = (glimpse.method(), glimpse.agent());
        log(&asked, method, agent, response.status(), failed.as_ref(), self.clock.now());
        if let Some(left) = left {
            left.forget();
        }
        let tally = ledger.map(|ledger| {
            let answered = Answered {
                glimpse: &glimpse,
                asked: &asked,
                context: known.as_ref(),
                status: response.status(),
                headers: response.headers(),
                failed: told_of,
                peer,
            };
            ledger.tally(&answered, self.access_log.clone(), self.clock.clone())
        });
        let told = match response.status() {
            StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT => length(response.headers()),
            _ => None,
        };
        response
            .map(|body| match (told, body, limit) {
                (Some(length), ..) => Outgoing::told(length),
                (None, ReplyBody::Stream { length, stream }, Some(bits)) => {
                    ReplyBody::Stream { length, stream: throttled(stream, bits) }.into()
                }
                (None, ReplyBody::Events(stream), Some(bits)) => {
                    ReplyBody::Events(throttled(stream, bits)).into()
                }
                (None, body, _) => body.into(),
            })
            .map(|body| body.counted(tally))
    }

    async fn cloud_api(&self, parts: Parts, body: Incoming) -> Response<Outgoing> {
        let answer = match Limited::new(body, Control::BODY_BYTES_MAX).collect().await {
            Ok(body) => {
                let (control, accounts) = (self.control.clone(), Arc::clone(&self.accounts));
                // In a task of its own: a client that leaves must not cut an action of several steps off.
                let acted =
                    tokio::spawn(
                        async move { control.answer(&parts, body.to_bytes(), accounts.as_ref()).await },
                    );
                match acted.await {
                    Ok(answer) => answer,
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n"),
                }
            }
            Err(error) if error.is::<LengthLimitError>() => Answer::too_large(),
            // The client is gone; nobody reads this.
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the request's body did not come whole\n"),
        };
        match &answer.error {
            Some(code) => tracing::info!(action = %answer.action, code = %code, "cloud api refused"),
            None => tracing::debug!(action = %answer.action, "cloud api"),
        }
        // Exactly this content type: with a charset the SDKs do not see errors (scf.md 3.1).
        typed(StatusCode::OK, "application/json", answer.json)
    }

    async fn token_service(&self, parts: Parts, body: Incoming, times: Times) -> Response<Outgoing> {
        let body = match Limited::new(body, Wire::STS_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too large\n");
            }
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the request's body did not come whole\n"),
        };
        let id = uuid::Uuid::new_v4().to_string();
        let answer = self.wire.answer_sts(&parts, &body, &id, times, self.accounts.as_ref());
        match &answer.error {
            Some(code) => tracing::info!(%id, action = %answer.action, code = %code, "token service refused"),
            None => tracing::debug!(%id, action = %answer.action, "token service"),
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Outgoing::from(ReplyBody::Full(answer.xml)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        response
    }

    /// Whether the admin API answers it.
    fn is_admins(&self, parts: &Parts) -> bool {
        parts.uri.path().starts_with("/_cosette/") && self.is_ours(parts) && !names::is_of_a_service(parts)
    }

    /// Whether the admin API would answer it, and not to functions.
    pub(crate) fn is_closed_to_functions(&self, parts: &Parts) -> bool {
        self.is_admins(parts) && !is_open(parts)
    }

    /// A request that does not name a foreign host: origin-form, or absolute-form with our own address.
    fn is_ours(&self, parts: &Parts) -> bool {
        let Some(host) = parts.uri.host() else { return true };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let own_port = parts.uri.port_u16().unwrap_or(80) == self.address.port();
        own_port && (host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
            || host.parse().is_ok_and(|ip: IpAddr| ip == self.address.ip())
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the client wants to send more over this connection.
fn keeps_alive(parts: &Parts) -> bool {
    let says_close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    parts.version == Version::HTTP_11 && !parts.headers.get(header::CONNECTION).is_some_and(says_close)
}

/// Kept free for a console; keys of objects may begin like it.
fn is_consoles(path: &str) -> bool {
    path.strip_prefix("/_console").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Function URLs by path and the packages that the Cloud API has said where to get are for whoever they let in.
fn is_open(parts: &Parts) -> bool {
    ["/_cosette/url/", "/_cosette/packages/"].iter().any(|open| parts.uri.path().starts_with(open))
}

/// A name of a user's own that a bucket has.
fn is_bound(parts: &Parts) -> bool {
    parts.extensions.get::<Bound>().is_some()
}

/// Whether the target is one of the services', as a forward proxy sees them.
fn is_service(parts: &Parts) -> bool {
    parts.uri.host().is_some_and(Rules::is_service)
}

/// Unlike an open proxy, we never pass anything on.
fn refuse_proxy(parts: &Parts, why: &str) -> Response<Outgoing> {
    let target = parts.uri.authority().map_or("", |authority| authority.as_str());
    tracing::warn!(%target, "refused to act as a proxy for a foreign host");
    plain(StatusCode::FORBIDDEN, &format!("Cosette does not pass requests on to {target}: {why}\n"))
}

/// By a name that a page's owner could have lead here.
fn refuse_name(parts: &Parts) -> Response<Outgoing> {
    let (name, _) = host(parts);
    tracing::warn!(%name, "refused an admin request by a name that is not this server's");
    let why = format!(
        "the admin API does not answer to the name {name:?}, which a page in a browser may have made lead here: \
         ask by localhost or by an address, or start the server with --host-name {name}"
    );
    typed(StatusCode::FORBIDDEN, "application/json", serde_json::json!({ "error": why }).to_string())
}

/// Base64 of `<hex unix time>_<hex>_<hex>_<hex>`, COS's own form (cos-api 3.0).
pub(crate) fn request_id(now: Timestamp) -> RequestId {
    let random = uuid::Uuid::new_v4().as_u128();
    let text = format!(
        "{:08x}_{:08x}_{:04x}_{:07x}",
        now.as_secs(),
        random as u32,
        (random >> 32) as u16,
        (random >> 64) as u32 >> 4
    );
    RequestId::new(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text))
}

/// What the log says of a failure.
struct Failed {
    code: &'static str,
    words: String,
}

impl Failed {
    fn of(error: &Error) -> Self {
        Self { code: error.code.cos(), words: error.to_string() }
    }
}

/// One line a request: ours at error, the client's at info, successes at debug.
fn log(
    asked: &Asked,
    method: &Method,
    agent: &str,
    status: StatusCode,
    failed: Option<&Failed>,
    now: Timestamp,
) {
    let (dialect, op) = (asked.dialect, asked.op.map_or("-", Op::name));
    let micros = u64::try_from(now.since(asked.now).as_micros()).unwrap_or(u64::MAX);
    let (id, resource, status, notes) = (&asked.request_id, &asked.resource, status.as_u16(), &asked.notes);
    let by = match &asked.identity {
        Some(identity) => identity.account().map_or("anonymous", |account| &account.secret_id),
        None => "-",
    };
    match failed {
        Some(failed) if status >= 500 && status != 501 => {
            tracing::error!(%id, ?dialect, op, %method, %resource, status, micros, agent, by, error = %failed.words, "request failed");
        }
        Some(failed) if status >= 400 => {
            tracing::info!(%id, ?dialect, op, %method, %resource, status, micros, agent, by, code = failed.code, error = %failed.words, ?notes, "request refused");
        }
        _ => {
            tracing::debug!(%id, ?dialect, op, %method, %resource, status, micros, agent, by, ?notes, "request")
        }
    }
}
