//! Between hyper's bodies and ours.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use cosette_wire::ReplyBody;
use futures_core::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::access::Tally;

/// A request's body as a stream of chunks, and what remains of it once the stream is dropped.
/// Any failure of the connection means that the body is not whole.
pub(crate) fn incoming(body: Incoming) -> (ByteStream, Leftover) {
    let leftover = Leftover::default();
    (Box::pin(Chunks { body: Some(body), leftover: leftover.clone() }), leftover)
}

struct Chunks {
    /// Always there until the drop.
    body: Option<Incoming>,
    leftover: Leftover,
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Ok(mut place) = self.leftover.0.lock() {
            *place = self.body.take();
        }
    }
}

/// The part of a request's body that nobody has read.
#[derive(Clone, Default)]
pub(crate) struct Leftover(Arc<Mutex<Option<Incoming>>>);

/// What a refused request may still send before its connection is cut, in bytes.
const LEFTOVER_BYTES_MAX: usize = 64 << 20;
/// And for how long.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(5);

impl Leftover {
    /// Whether the client has not sent all of the body, or nobody has read it.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.lock().is_ok_and(|place| place.as_ref().is_some_and(|body| !body.is_end_stream()))
    }

    /// Reads on to the body's end, within bounds: a client that is still sending when its
    /// connection is closed never sees the answer that says why.
    pub(crate) async fn drain(self) {
        let Some(mut body) = self.0.lock().ok().and_then(|mut place| place.take()) else { return };
        let drained = async {
            let mut seen = 0;
            while let Some(Ok(frame)) = body.frame().await {
                seen += frame.data_ref().map_or(0, Bytes::len);
                if seen > LEFTOVER_BYTES_MAX {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LEFTOVER_TIMEOUT, drained).await;
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyError::Incomplete))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            // HTTP trailers mean nothing to either service; aws-chunked has its own.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }
}

/// A reply's body as hyper sends it.
pub(crate) struct Outgoing {
    rest: Rest,
    /// Counts what goes out, for access logs.
    tally: Option<Box<Tally>>,
}

enum Rest {
    Full(Option<Bytes>),
    /// Nothing is sent, but hyper hears of a body of this length: only then does it leave the
    /// `Content-Length` of a 304 or 204 alone, without which the COS Python SDK takes no 304.
    Told(u64),
    Stream {
        left: u64,
        stream: ByteStream,
    },
    /// Of no length that is known before its end.
    Events(Option<ByteStream>),
}

impl Outgoing {
    /// A reply without a body whose head gives a length all the same.
    pub(crate) fn told(length: u64) -> Self {
        Rest::Told(length).into()
    }

    /// The same, counted.
    pub(crate) fn counted(self, tally: Option<Box<Tally>>) -> Self {
        Self { tally, ..self }
    }
}

impl From<Rest> for Outgoing {
    fn from(rest: Rest) -> Self {
        Self { rest, tally: None }
    }
}

impl From<ReplyBody> for Outgoing {
    fn from(body: ReplyBody) -> Self {
        match body {
            ReplyBody::Empty => Rest::Full(None),
            ReplyBody::Full(bytes) => Rest::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            ReplyBody::Stream { length, stream } => Rest::Stream { left: length, stream },
            ReplyBody::Events(stream) => Rest::Events(Some(stream)),
        }
        .into()
    }
}

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        ReplyBody::Full(bytes).into()
    }
}

/// A few words for people.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response<Outgoing> {
    typed(status, "text/plain; charset=utf-8", text.to_owned())
}

/// A text of ours as a whole response.
pub(crate) fn typed(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.rest.poll(cx);
        if let (Some(tally), Poll::Ready(Some(Ok(frame)))) = (&mut self.tally, &polled) {
            tally.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.rest, Rest::Full(None) | Rest::Stream { left: 0, .. } | Rest::Events(None))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.rest {
            Rest::Events(Some(_)) => return SizeHint::default(),
            Rest::Events(None) => 0,
            Rest::Full(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Rest::Told(length) => *length,
            Rest::Stream { left, .. } => *left,
        })
    }
}

impl Rest {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Told(_) => Poll::Ready(None),
            Self::Stream { left: 0, .. } | Self::Events(None) => Poll::Ready(None),
            Self::Events(Some(stream)) => {
                let next = std::task::ready!(stream.as_mut().poll_next(cx));
                if next.is_none() {
                    *self = Self::Events(None);
                }
                Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
            }
            Self::Stream { left, stream } => match stream.as_mut().poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(chunk))) => {
                    *left = left.saturating_sub(chunk.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(chunk))))
                }
                Poll::Ready(Some(Err(error))) => {
                    // The head is sent: breaking the connection off is all that can still be said.
                    tracing::error!(%error, "reply broken off");
                    Poll::Ready(Some(Err(error)))
                }
                Poll::Ready(None) => Poll::Ready(Some(Err(BodyError::Incomplete))),
            },
        }
    }
}
