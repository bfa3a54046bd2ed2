//! A response's body, which may not pause for too long.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::{Error, Step};

/// What is still to come of a response. It fails if less comes than was announced, and if a piece of it takes too
/// long. Dropped before its end it takes its connection with it.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    from: String,
    idle: Duration,
    patience: Pin<Box<Sleep>>,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, from: String, idle: Duration) -> Self {
        Self { incoming, from, idle, patience: Box::pin(sleep(idle)) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                // The reader's own pauses are not the sender's: its time runs from the next look on.
                this.patience.as_mut().reset(Instant::now() + this.idle);
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| Error::Protocol {
                        to: this.from.clone(),
                        why: crate::connect::reason(&error),
                    })
                }))
            }
            Poll::Pending => {
                ready!(this.patience.as_mut().poll(cx));
                let to = this.from.clone();
                Poll::Ready(Some(Err(Error::Timeout { to, step: Step::Body })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
