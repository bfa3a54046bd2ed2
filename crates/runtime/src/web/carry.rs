//! One request on its way to the server in an instance, and the answer on its way back.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use futures_core::Stream;
use http::header;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Exchange, socket};
use crate::outward::Duplex;
use crate::protocol::RESULT_BYTES_MAX;

/// Bytes of an answer's head (scf.md 5.8).
pub(super) const HEAD_BYTES_MAX: usize = 4 * 1024;

/// Parts of an answer on their way to the client.
const PARTS_WAITING: usize = 8;

/// What SCF's own headers begin with: of a request they are ours.
const OWN: &str = "x-scf-";

/// How it went.
#[derive(Debug)]
pub(super) enum End {
    /// All of the answer was passed on.
    Answered { status: u16, bytes: u64 },
    /// Nobody waits for the rest.
    Left,
    /// The request has more than is allowed.
    RequestTooLarge,
    /// The answer has: of what.
    TooLarge(&'static str),
    /// A WebSocket was silent for too long.
    Silent(Duration),
    /// The server ended the connection, or spoke no HTTP.
    Broken(String),
}

/// Passes a request on over a connection to the instance. Dropped, it ends both connections.
pub(super) async fn carry(
    stream: io::Result<Box<dyn Duplex>>,
    exchange: Exchange,
    websocket: Option<Duration>,
) -> End {
    let Exchange { request, mut answer, held } = exchange;
    let (mut parts, body) = request.into_parts();
    let theirs = parts.extensions.remove::<OnUpgrade>().filter(|_| websocket.is_some());
    let length = match parts.headers.contains_key(header::TRANSFER_ENCODING) {
        true => None,
        false => Some(length(&parts.headers).unwrap_or(0)),
    };
    cosette_hop::strip(&mut parts.headers, |name| name.as_str().starts_with(OWN));
    if length.is_none() {
        // Without it the body of a GET would be taken for none.
        parts.headers.insert(header::TRANSFER_ENCODING, http::HeaderValue::from_static("chunked"));
    }
    parts.version = http::Version::HTTP_11;
    if length.is_some_and(|length| length > RESULT_BYTES_MAX as u64) {
        return End::RequestTooLarge;
    }
    if theirs.is_some() {
        parts.headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
        parts.headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    }
    let broken = |error: &dyn std::fmt::Display| End::Broken(error.to_string());
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return broken(&error),
    };
    let mut builder = hyper::client::conn::http1::Builder::new();
    let joined = builder.preserve_header_case(true).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = match joined {
        Ok(joined) => joined,
        Err(error) => return broken(&error),
    };
    // Ends with this future.
    let mut driver = JoinSet::new();
    driver.spawn(connection.with_upgrades());
    let (told, mut over) = oneshot::channel();
    let body = Sending { stream: body, left: RESULT_BYTES_MAX, length, over: Some(told) };
    let answered = tokio::select! {
        answered = sender.send_request(Request::from_parts(parts, body)) => answered,
        () = answer.closed() => return End::Left,
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(_) if over.try_recv().is_ok() => return End::RequestTooLarge,
        Err(error) => return broken(&error),
    };
    let head: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head > HEAD_BYTES_MAX {
        return End::TooLarge("its headers have more than 4 KB");
    }
    // Of the body that is to come: an answer to HEAD has the length of another.
    if response.body().size_hint().lower() > RESULT_BYTES_MAX as u64 {
        return End::TooLarge("its body has more than 6 MB");
    }
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let Some(theirs) = theirs else {
            return End::Broken("it answered 101, which nobody asked for".into());
        };
        let ours = hyper::upgrade::on(&mut response);
        let (parts, _) = response.into_parts();
        if answer.send(Response::from_parts(parts, Box::pin(Nothing))).is_err() {
            return End::Left;
        }
        return socket::switched(ours, theirs, websocket.unwrap_or_default(), held).await;
    }
    cosette_hop::strip(response.headers_mut(), |_| false);
    let (parts, body) = response.into_parts();
    if body.is_end_stream() {
        // The head is the whole of it.
        let response = Response::from_parts(parts, Box::pin(Nothing) as ByteStream);
        tokio::spawn(async move {
            if let Some(held) = held {
                let _ = held.await;
            }
            let _ = answer.send(response);
        });
        return End::Answered { status: status.as_u16(), bytes: 0 };
    }
    let (sender, receiver) = mpsc::channel(PARTS_WAITING);
    let passed: ByteStream = Box::pin(Passed { receiver, held, last: None, is_over: false });
    if answer.send(Response::from_parts(parts, passed)).is_err() {
        return End::Left;
    }
    pass(status, body, &sender).await
}

/// The answer's body, part by part. An end that nobody told of is a broken one.
async fn pass(status: StatusCode, mut body: Incoming, client: &mpsc::Sender<Part>) -> End {
    let mut bytes = 0;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = client.closed() => return End::Left,
        };
        match frame {
            None => {
                let _ = client.send(Part::Last(Bytes::new())).await;
                return End::Answered { status: status.as_u16(), bytes };
            }
            Some(Err(error)) => return End::Broken(error.to_string()),
            Some(Ok(frame)) => {
                // Trailers are not passed on.
                let Ok(data) = frame.into_data() else { continue };
                bytes += data.len() as u64;
                if bytes > RESULT_BYTES_MAX as u64 {
                    return End::TooLarge("its body has more than 6 MB");
                }
                // Of an answer whose length was told, the client knows the last part, and leaves.
                let is_last = body.is_end_stream();
                let part = if is_last { Part::Last(data) } else { Part::More(data) };
                if client.send(part).await.is_err() {
                    return End::Left;
                }
                if is_last {
                    return End::Answered { status: status.as_u16(), bytes };
                }
            }
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request's body as hyper sends it.
struct Sending {
    stream: ByteStream,
    /// Bytes that may still come.
    left: usize,
    /// As the client said.
    length: Option<u64>,
    /// Told when more come.
    over: Option<oneshot::Sender<()>>,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = std::task::ready!(self.stream.as_mut().poll_next(cx));
        Poll::Ready(next.map(|chunk| {
            let chunk = chunk?;
            match self.left.checked_sub(chunk.len()) {
                Some(left) => self.left = left,
                None => {
                    let _ = self.over.take().map(|over| over.send(()));
                    return Err(BodyError::TooLarge);
                }
            }
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

enum Part {
    More(Bytes),
    /// Empty if the end came alone.
    Last(Bytes),
}

/// An answer's body on its way to the client.
struct Passed {
    receiver: mpsc::Receiver<Part>,
    /// What the end waits for.
    held: Option<oneshot::Receiver<Infallible>>,
    /// The last part, or that there is none.
    last: Option<Result<Bytes, BodyError>>,
    is_over: bool,
}

impl Stream for Passed {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.last.is_none() {
            self.last = match std::task::ready!(self.receiver.poll_recv(cx)) {
                Some(Part::More(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Part::Last(bytes)) => Some(Ok(bytes)),
                None => Some(Err(BodyError::Incomplete)),
            };
        }
        if let Some(held) = &mut self.held {
            let _ = std::task::ready!(Pin::new(held).poll(cx));
        }
        self.is_over = true;
        Poll::Ready(self.last.take().filter(|last| !matches!(last, Ok(bytes) if bytes.is_empty())))
    }
}

pub(super) struct Nothing;

impl Stream for Nothing {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
