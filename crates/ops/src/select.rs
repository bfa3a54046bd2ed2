//! Queries on an object's content: its bytes go to the query in a thread of its own, events come back
//! through a short channel. When nobody takes them any more, the thread ends.

use std::future::poll_fn;
use std::io::{Error as IoError, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use cosette_model::op::{self, Context, Op, SelectEvent, reply};
use cosette_model::{BucketName, ByteStream, CustomerKey, Error, ErrorCode, ObjectKey};
use cosette_select::{Sink, Source};
use cosette_store::{Object, Store};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::access::Admitted;
use crate::error::Result;
use crate::object::info;
use crate::{Ops, restore};

/// Queries that run at once; more of them wait.
pub(crate) const QUERIES_MAX: usize = 8;
/// Events on their way.
const EVENTS_MAX: usize = 4;
/// A sign of life is due after so long (a socket's time is the machine's).
const SILENCE_MAX: Duration = Duration::from_secs(1);

type Event = std::result::Result<SelectEvent, Error>;

impl Ops {
    pub(crate) async fn select(
        &self,
        context: &Context,
        ask: op::SelectObjectContent,
    ) -> Result<reply::SelectObjectContent> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::SelectObjectContent, (&ask.bucket, &ask.key, &ask.version))?;
        self.check_referer(context, &bucket)?;
        let (key, object) = self.followed(context, Op::SelectObjectContent, &bucket, ask.key, found?)?;
        self.store.check_customer(object.sealing.as_ref(), ask.customer.as_ref())?;
        restore::readable(&object, info(context, &bucket, &object, false))?;
        self.store.note_read(&bucket, &key, &object, context.now);
        let turn = Arc::clone(&self.queries).acquire_owned().await.map_err(Error::internal)?;
        let (events, mut taken) = mpsc::channel::<Event>(EVENTS_MAX);
        let source = Content {
            store: self.store.clone(),
            bucket: bucket.name,
            key,
            object,
            customer: ask.customer,
            handle: Handle::current(),
            events: events.clone(),
        };
        let now = context.now;
        let thread = std::thread::Builder::new().name("query".into()).stack_size(cosette_select::STACK_BYTES);
        let run = move || {
            let _turn = turn;
            let mut sink = Events { events, last: Instant::now() };
            answer(&mut sink, |sink| cosette_select::run(&ask.query, Arc::new(source), now, sink));
        };
        thread.spawn(run).map_err(Error::internal)?;
        // What is refused before anything is answered is an answer of its own.
        let first = taken.recv().await.unwrap_or_else(|| Err(ErrorCode::InternalError.into()))?;
        let rest = stream::poll_fn(move |cx| taken.poll_recv(cx));
        let events = stream::once(std::future::ready(Ok(first))).chain(rest);
        Ok(reply::SelectObjectContent { events: Box::pin(events) })
    }
}

/// Gives what a query answers, with the error that ends it last: an answer that only stopped would look whole to
/// who does not wait for its end. A panic is an error of ours.
fn answer(sink: &mut Events, run: impl FnOnce(&mut Events) -> std::result::Result<(), Error>) {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(sink)));
    let done = done.unwrap_or_else(|_| Err(Error::internal("a query has panicked")));
    if let Err(error) = done {
        // Nobody may listen any more.
        let _ = sink.events.blocking_send(Err(error));
    }
}

struct Events {
    events: mpsc::Sender<Event>,
    last: Instant,
}

impl Sink for Events {
    fn send(&mut self, event: SelectEvent) -> bool {
        self.last = Instant::now();
        self.events.blocking_send(Ok(event)).is_ok()
    }

    fn is_due(&mut self) -> bool {
        self.last.elapsed() >= SILENCE_MAX
    }

    fn is_open(&self) -> bool {
        !self.events.is_closed()
    }
}

/// An object as a query reads it, from outside the async threads.
struct Content {
    store: Store,
    bucket: BucketName,
    key: ObjectKey,
    object: Object,
    customer: Option<CustomerKey>,
    handle: Handle,
    events: mpsc::Sender<Event>,
}

impl Source for Content {
    fn size(&self) -> u64 {
        self.object.size
    }

    fn read(&self, start: u64, end: u64) -> std::io::Result<Box<dyn Read + Send>> {
        if start >= end {
            return Ok(Box::new(std::io::empty()));
        }
        let stream = self
            .store
            .read_for(&self.bucket, &self.key, &self.object, Some((start, end)), self.customer.as_ref())
            .map_err(IoError::other)?;
        let (handle, events) = (self.handle.clone(), self.events.clone());
        Ok(Box::new(Streamed { stream, chunk: Bytes::new(), handle, events }))
    }
}

struct Streamed {
    stream: ByteStream,
    chunk: Bytes,
    handle: Handle,
    events: mpsc::Sender<Event>,
}

impl Read for Streamed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            if self.events.is_closed() {
                return Err(IoError::other("the client has left"));
            }
            let stream = &mut self.stream;
            match self.handle.block_on(poll_fn(|cx| stream.as_mut().poll_next(cx))) {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk.map_err(IoError::other)?,
            }
        }
        let count = self.chunk.len().min(into.len());
        self.chunk.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_an_answer_as_an_error() {
        let (events, mut taken) = mpsc::channel::<Event>(EVENTS_MAX);
        std::thread::spawn(move || {
            let mut sink = Events { events, last: Instant::now() };
            answer(&mut sink, |sink| {
                assert!(!sink.send(SelectEvent::Continuation), "as if something were wrong");
                Ok(())
            });
        });
        assert!(matches!(taken.blocking_recv(), Some(Ok(SelectEvent::Continuation))));
        let last = taken.blocking_recv().unwrap().unwrap_err();
        assert_eq!(last.code, ErrorCode::InternalError);
        assert!(taken.blocking_recv().is_none());
    }
}
