//! Asks origins for the handlers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use cosette_model::{Answering, BodyError, NoAnswer, OnRedirection, OriginAnswer, OriginRequest, Origins};
use cosette_outgoing::{Body, Client, Limits};
use cosette_wire::{logged_target, origin_attributes, origin_redirection, origin_request};
use futures_core::Stream;
use http::header::{CONTENT_RANGE, HeaderName, LOCATION};
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body::Body as _;

/// Where this server's admin API lies, and nothing of anybody else's.
const ADMIN: &str = "/_cosette/";

/// Places that an origin may send on to, one after another.
const REDIRECTIONS_MAX: usize = 10;

/// Origins by way of HTTP.
pub(crate) struct ByHttp {
    client: Client,
    limits: Limits,
}

impl ByHttp {
    /// `patience`: how long an origin may take to answer, and between pieces of its body, in real time.
    pub(crate) fn new(client: Client, patience: Duration) -> Self {
        let connect = patience.min(Limits::default().connect);
        Self { client, limits: Limits { connect, head: patience, idle: patience } }
    }

    async fn follow(&self, mut asked: OriginRequest) -> Result<OriginAnswer, NoAnswer> {
        for _ in 0..=REDIRECTIONS_MAX {
            let host = &asked.url.host;
            let request = origin_request(&asked)
                .ok_or_else(|| NoAnswer(format!("The rule makes no URL for the origin {host}.")))?;
            let uri = request.uri().clone();
            // It would be this server that asks, and the admin API answers who is on this machine.
            if uri.path().starts_with(ADMIN) {
                return Err(NoAnswer(format!("{ADMIN} is not for origins.")));
            }
            let response = self.client.send(request, self.limits).await.map_err(|error| {
                tracing::info!(uri = shown(&uri), %error, "no answer of an origin");
                NoAnswer(format!("The origin did not answer: {error}."))
            })?;
            tracing::debug!(uri = shown(&uri), status = response.status().as_u16(), "origin answered");
            match (asked.on_redirection, redirected(&response, &uri, asked.on_redirection)) {
                (OnRedirection::Follow { with_headers, .. }, Some(to)) => {
                    // Nor in the clear what was to go by https.
                    let elsewhere = to.host != asked.url.host || asked.url.secure && !to.secure;
                    if elsewhere && !with_headers {
                        asked.headers.clear();
                    }
                    asked.url = to;
                }
                _ => return answer(response, uri),
            }
        }
        Err(NoAnswer(format!("The origin sends on more than {REDIRECTIONS_MAX} times.")))
    }
}

impl Origins for ByHttp {
    fn ask(&self, request: OriginRequest) -> Answering<'_> {
        Box::pin(self.follow(request))
    }
}

fn redirected(response: &Response<Body>, from: &Uri, how: OnRedirection) -> Option<cosette_model::OriginUrl> {
    let OnRedirection::Follow { decode, .. } = how else { return None };
    let sends_on = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    origin_redirection(from, &text(response.headers(), LOCATION).filter(|_| sends_on)?, decode)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    String::from_utf8(headers.get(name)?.as_bytes().to_vec()).ok()
}

/// For logs: an origin may send on to a URL that is signed.
fn shown(uri: &Uri) -> String {
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", logged_target(uri))
}

fn answer(response: Response<Body>, from: Uri) -> Result<OriginAnswer, NoAnswer> {
    let headers = response.headers();
    let (location, content_range) = (text(headers, LOCATION), text(headers, CONTENT_RANGE));
    let attributes = origin_attributes(headers)
        .ok_or_else(|| NoAnswer("The origin's object has more metadata than an object may.".into()))?;
    let status = response.status().as_u16();
    let body = response.into_body();
    let length = body.size_hint().exact();
    let body = Box::pin(Pieces { body, from });
    Ok(OriginAnswer { status, location, attributes, length, content_range, body })
}

/// What comes of a body, as a stream.
struct Pieces {
    body: Body,
    from: Uri,
}

impl Stream for Pieces {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    tracing::warn!(uri = shown(&self.from), %error, "an origin broke off");
                    return Poll::Ready(Some(Err(BodyError::Incomplete)));
                }
                Some(Ok(frame)) => frame,
            };
            if let Ok(piece) = frame.into_data() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }
}
