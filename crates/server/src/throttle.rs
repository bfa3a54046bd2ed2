//! Bodies that come or go no faster than their request asks (`x-cos-traffic-limit`).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Pieces a second: small enough that the flow is even.
const PIECES: u64 = 20;

/// Passes a stream on at `bits` a second. A socket's time is the machine's, whatever the clock shows.
pub(crate) fn throttled(stream: ByteStream, bits: u64) -> ByteStream {
    let rate = (bits / 8).max(1);
    let rest = Box::pin(sleep_until(Instant::now()));
    Box::pin(Throttled { stream, rate, held: Bytes::new(), due: Instant::now(), rest })
}

struct Throttled {
    stream: ByteStream,
    /// Bytes a second.
    rate: u64,
    /// Of the last chunk, what has not been passed on.
    held: Bytes,
    /// When the next piece may go.
    due: Instant,
    rest: Pin<Box<Sleep>>,
}

impl Stream for Throttled {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // The end waits too, so that a whole body takes the time of all its bytes.
        ready!(this.rest.as_mut().poll(cx));
        if this.held.is_empty() {
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => this.held = chunk,
                end => return Poll::Ready(end),
            }
        }
        let most = usize::try_from(this.rate / PIECES).unwrap_or(usize::MAX).max(1);
        let piece = this.held.split_to(most.min(this.held.len()));
        let micros = (piece.len() as u64).saturating_mul(1_000_000) / this.rate;
        // Time in which nothing came is not made up for.
        this.due = this.due.max(Instant::now()) + Duration::from_micros(micros);
        this.rest.as_mut().reset(this.due);
        Poll::Ready(Some(Ok(piece)))
    }
}
