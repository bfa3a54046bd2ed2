//! Events for a function that is an image, or what stands for one: its server gets each by a request (scf.md 5.8).

use bytes::Bytes;
use cosette_model::function::StatusCode;
use cosette_model::{BodyError, ByteStream};
use futures_core::Stream;
use http::{Method, Request, Response, StatusCode as HttpStatus, header};
use tokio::sync::oneshot;

use super::Exchange;
use crate::environment::TIMER;
use crate::instance::result;
use crate::protocol::{Answer, Fault};
use crate::{Given, Ran, Runtime, Spec};

/// The runtime name of such functions.
pub(crate) const IMAGE: &str = "CustomImage";

/// Where events are posted to.
const PATH: &str = "/event-invoke";

/// An event as the body of a request.
struct Event(Option<Bytes>);

impl Stream for Event {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().map(Ok))
    }
}

impl Runtime {
    /// As [`Runtime::run`], for a function whose server takes events.
    pub(crate) async fn run_image(&self, spec: &Spec, given: &Given<'_>) -> Ran {
        let Given { request_id, chain, source, event } = *given;
        let event = Bytes::copy_from_slice(event.as_bytes());
        let mut request = Request::new(Box::pin(Event(None)) as ByteStream);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(PATH);
        let headers = request.headers_mut();
        headers.insert(header::HOST, header::HeaderValue::from_static("127.0.0.1:9000"));
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, event.len().into());
        if source == TIMER {
            headers.insert("x-scf-trigger-src", header::HeaderValue::from_static("timer"));
        }
        *request.body_mut() = Box::pin(Event(Some(event)));
        let (answer, answered) = oneshot::channel();
        let exchange = Exchange { request, answer, held: None };
        let (mut ran, answer) = tokio::join!(self.serve(spec, request_id, chain, exchange), whole(answered));
        let Some((status, body)) = answer.filter(|_| ran.status == StatusCode::Success) else { return ran };
        let answer = match status.is_success() {
            true => Answer::Result(body),
            false => Answer::Error(Fault { status: None, body, last: false }),
        };
        match result(answer, request_id) {
            Ok(text) => ran.result = text,
            Err(failure) => {
                (ran.status, ran.result, ran.error) = (failure.status, failure.document, failure.text);
            }
        }
        ran
    }
}

async fn whole(answered: oneshot::Receiver<Response<ByteStream>>) -> Option<(HttpStatus, Bytes)> {
    let (head, mut body) = answered.await.ok()?.into_parts();
    let mut bytes = Vec::new();
    while let Some(part) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        bytes.extend_from_slice(&part.ok()?);
    }
    Some((head.status, bytes.into()))
}
