//! Between hyper's bodies and ours.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use cosette_wire::ReplyBody;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body as a stream of chunks. Any failure of the connection means that the body
/// is not whole.
pub(crate) fn incoming(body: Incoming) -> ByteStream {
    Box::pin(Chunks(body))
}

struct Chunks(Incoming);

impl Stream for Chunks {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match Pin::new(&mut self.0).poll_frame(cx) {
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
pub(crate) struct Outgoing(Rest);

enum Rest {
    Full(Option<Bytes>),
    Stream { left: u64, stream: ByteStream },
}

impl From<ReplyBody> for Outgoing {
    fn from(body: ReplyBody) -> Self {
        Self(match body {
            ReplyBody::Empty => Rest::Full(None),
            ReplyBody::Full(bytes) => Rest::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            ReplyBody::Stream { length, stream } => Rest::Stream { left: length, stream },
        })
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        ReplyBody::Full(text.into()).into()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Rest::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Rest::Stream { left: 0, .. } => Poll::Ready(None),
            Rest::Stream { left, stream } => match stream.as_mut().poll_next(cx) {
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

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Rest::Full(None) | Rest::Stream { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Rest::Full(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Rest::Stream { left, .. } => *left,
        })
    }
}
