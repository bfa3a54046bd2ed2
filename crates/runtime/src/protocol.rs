//! The host's end of SCF's custom-runtime protocol (scf.md 5.7), one listener for each instance.
//!
//! The protocol names no invocation in its calls, so whose call it is follows from the port. Our
//! own bootstraps speak it too, with additions: the secret header, `init/begin`, `init/error`,
//! the header `x-cosette-status` on errors, and `x-cosette-trigger-src` of events. Knows nothing of processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::Spec;

/// Largest result of a handler, in bytes (scf.md 6.3).
pub(crate) const RESULT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// An error document may hold a long traceback, but nothing of a result's size is needed.
const ERROR_BYTES_MAX: usize = 1024 * 1024;

const SECRET: HeaderName = HeaderName::from_static("x-cosette-secret");
const STATUS: HeaderName = HeaderName::from_static("x-cosette-status");
const TRIGGER_SRC: HeaderName = HeaderName::from_static("x-cosette-trigger-src");

/// One event on offer to the instance.
pub(crate) struct Offer {
    pub(crate) request_id: String,
    pub(crate) event: Bytes,
    pub(crate) memory_mb: u32,
    pub(crate) timeout: Duration,
    /// What `TRIGGER_SRC` is to be meanwhile, empty for no such variable; `None` where it is the function's own.
    pub(crate) trigger_src: Option<&'static str>,
    fetched: AtomicBool,
}

impl Offer {
    pub(crate) fn new(spec: &Spec, request_id: &str, trigger_src: Option<&'static str>, event: &str) -> Self {
        Self {
            request_id: request_id.to_owned(),
            event: Bytes::copy_from_slice(event.as_bytes()),
            memory_mb: spec.memory_mb,
            timeout: spec.timeout,
            trigger_src,
            fetched: AtomicBool::new(false),
        }
    }
}

/// What the instance said, in the order it said it.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The first connection: the interpreter runs, user code is loaded from now on.
    Connected(Instant),
    Ready(Instant),
    InitError(Fault),
    /// The event on offer was handed out for the first time.
    Fetched(Instant),
    Answer(Instant, Answer),
}

#[derive(Debug)]
pub(crate) enum Answer {
    Result(Bytes),
    TooLarge,
    Error(Fault),
}

/// An error as the instance reported it.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Said by our own bootstraps only.
    pub(crate) status: Option<u16>,
    pub(crate) body: Bytes,
    /// The instance is not fit for another event.
    pub(crate) last: bool,
}

/// The listener of one instance and what it hears. Ends when dropped, with its connections.
pub(crate) struct Endpoint {
    pub(crate) signals: mpsc::UnboundedReceiver<Signal>,
    offers: watch::Sender<Option<Arc<Offer>>>,
    task: AbortHandle,
}

impl Endpoint {
    /// One that the instance calls. `secret` is what each call has to carry; a custom runtime cannot, so it has none.
    pub(crate) fn at(listener: TcpListener, secret: Option<String>) -> Self {
        let (signal, signals) = mpsc::unbounded_channel();
        let offers = watch::Sender::new(None);
        let shared = Arc::new(Shared {
            secret,
            line: Line { signal, offers: offers.clone() },
            ready: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, shared)).abort_handle();
        Self { signals, offers, task }
    }

    /// One for an instance that listens itself: `drive` asks it, and says what it answers.
    pub(crate) fn driven<F>(drive: impl FnOnce(Line) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (signal, signals) = mpsc::unbounded_channel();
        let offers = watch::Sender::new(None);
        let task = tokio::spawn(drive(Line { signal, offers: offers.clone() })).abort_handle();
        Self { signals, offers, task }
    }

    pub(crate) fn offer(&self, offer: Offer) {
        self.offers.send_replace(Some(Arc::new(offer)));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where is said what the instance says, and heard what it is to do.
pub(crate) struct Line {
    signal: mpsc::UnboundedSender<Signal>,
    offers: watch::Sender<Option<Arc<Offer>>>,
}

impl Line {
    pub(crate) fn say(&self, signal: Signal) {
        // Nobody listens any more when the instance is being ended.
        let _ = self.signal.send(signal);
    }

    /// The event on offer, once there is one. Asked again before an answer, the same again.
    pub(crate) async fn next(&self) -> Option<Arc<Offer>> {
        let mut offers = self.offers.subscribe();
        // `self` holds the sender, so there is always one.
        let offer = offers.wait_for(Option::is_some).await.ok()?.clone()?;
        if !offer.fetched.swap(true, Ordering::Relaxed) {
            self.say(Signal::Fetched(Instant::now()));
        }
        Some(offer)
    }

    /// The first answer to an event that was handed out counts; others change nothing.
    pub(crate) fn settle(&self, answer: Answer) {
        let mine = self.offers.send_if_modified(|offer| {
            let fetched = offer.as_ref().is_some_and(|offer| offer.fetched.load(Ordering::Relaxed));
            if fetched {
                *offer = None;
            }
            fetched
        });
        if mine {
            self.say(Signal::Answer(Instant::now(), answer));
        }
    }
}

struct Shared {
    secret: Option<String>,
    line: Line,
    ready: AtomicBool,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with this task.
    let mut connections = JoinSet::new();
    let mut first = true;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an instance's connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        if std::mem::take(&mut first) {
            shared.line.say(Signal::Connected(Instant::now()));
        }
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an instance's connection broke");
            }
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let headers = request.headers();
        // A web page may send simple requests to loopback ports; it cannot leave this header out.
        if headers.contains_key(header::ORIGIN) {
            return plain(StatusCode::FORBIDDEN);
        }
        if let Some(secret) = &self.secret
            && headers.get(SECRET).map(HeaderValue::as_bytes) != Some(secret.as_bytes())
        {
            return plain(StatusCode::FORBIDDEN);
        }
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/runtime/invocation/next") => self.next().await,
            (&Method::POST, "/runtime/init/ready") => {
                let _ = Limited::new(request.into_body(), ERROR_BYTES_MAX).collect().await;
                if !self.ready.swap(true, Ordering::Relaxed) {
                    self.line.say(Signal::Ready(Instant::now()));
                }
                plain(StatusCode::OK)
            }
            // It has said all by connecting.
            (&Method::POST, "/runtime/init/begin") => plain(StatusCode::OK),
            (&Method::POST, "/runtime/init/error") => {
                let fault = self.fault(request).await;
                if !self.ready.load(Ordering::Relaxed) {
                    self.line.say(Signal::InitError(fault));
                }
                plain(StatusCode::OK)
            }
            (&Method::POST, "/runtime/invocation/response") => {
                match Limited::new(request.into_body(), RESULT_BYTES_MAX).collect().await {
                    Ok(body) => {
                        self.line.settle(Answer::Result(body.to_bytes()));
                        plain(StatusCode::OK)
                    }
                    Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                        self.line.settle(Answer::TooLarge);
                        plain(StatusCode::PAYLOAD_TOO_LARGE)
                    }
                    // The connection broke; nobody reads this.
                    Err(_) => plain(StatusCode::BAD_REQUEST),
                }
            }
            (&Method::POST, "/runtime/invocation/error") => {
                let fault = self.fault(request).await;
                self.line.settle(Answer::Error(fault));
                plain(StatusCode::OK)
            }
            _ => plain(StatusCode::NOT_FOUND),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let Some(offer) = self.line.next().await else { return plain(StatusCode::GONE) };
        let mut response = Response::new(Full::new(offer.event.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(request_id) = HeaderValue::from_str(&offer.request_id) {
            headers.insert(HeaderName::from_static("request_id"), request_id);
        }
        headers.insert(HeaderName::from_static("memory_limit_in_mb"), offer.memory_mb.into());
        let millis = u64::try_from(offer.timeout.as_millis()).unwrap_or(u64::MAX);
        headers.insert(HeaderName::from_static("time_limit_in_ms"), millis.into());
        if let Some(source) = offer.trigger_src.filter(|_| self.secret.is_some()) {
            headers.insert(TRIGGER_SRC, HeaderValue::from_static(source));
        }
        response
    }

    async fn fault(&self, request: Request<Incoming>) -> Fault {
        // Only our own bootstraps, which know the secret, may choose the status.
        let status = request.headers().get(STATUS).filter(|_| self.secret.is_some());
        let status = status.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        // An error that is too long to read is an error all the same.
        let body = Limited::new(request.into_body(), ERROR_BYTES_MAX).collect().await;
        Fault {
            status,
            body: body.map(|body| body.to_bytes()).unwrap_or_default(),
            last: status == Some(434),
        }
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
