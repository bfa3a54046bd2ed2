//! Fetching: one fetch of a thing at a time, however many ask for it, and no more bodies at once than there is room for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cosette_model::Open;
use futures_util::StreamExt;
use http::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::cache::{BODY_MAX, BYTES_MAX, Epoch, Thing};
use crate::edge::Edge;
use crate::origin::{Content, words};
use crate::place::Place;
use crate::visit::Visit;

/// Bodies that come from origins or go out to clients besides those that are kept, in bytes.
pub const MOVING_MAX: usize = 64 << 20;
/// What room is counted in.
const UNIT: usize = 1 << 10;

/// By place, and by the purges that were before: who comes after a purge has no use for what was asked before it.
pub(crate) type Target = (Place, Epoch);
/// What came of a fetch: something for all who wait, or for none of them.
pub(crate) type Told = Option<Option<Arc<Thing>>>;

pub(crate) struct Fetches {
    pub(crate) open: Open<Target, watch::Receiver<Told>>,
    room: Arc<Semaphore>,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { open: Open::default(), room: Arc::new(Semaphore::new((BYTES_MAX + MOVING_MAX) / UNIT)) }
    }
}

/// What the origin said when it was asked for the whole of a thing.
pub(crate) enum Fetched {
    Thing(Arc<Thing>),
    /// What is kept is what it has.
    Unchanged(Arc<Thing>),
    /// It is not to be kept, or there is no room for it.
    Other(Response<Content>),
}

impl Fetched {
    fn thing(&self) -> Option<&Arc<Thing>> {
        match self {
            Self::Thing(thing) | Self::Unchanged(thing) => Some(thing),
            Self::Other(_) => None,
        }
    }
}

/// What is kept and must be checked, and the conditions to ask with.
pub(crate) type Check = (Arc<Thing>, HeaderMap);

/// Waits for somebody else's fetch.
pub(crate) async fn wait(mut coming: watch::Receiver<Told>) -> Option<Arc<Thing>> {
    coming.wait_for(Option::is_some).await.ok()?.clone().flatten()
}

impl Edge {
    /// A fetch of its own: it goes on though who asked may leave, for those who wait for it. `list` is where it is
    /// seen from now on.
    pub(crate) fn begin(
        self: &Arc<Self>,
        visit: &Arc<Visit>,
        check: Option<Check>,
        list: &mut HashMap<Target, watch::Receiver<Told>>,
    ) -> oneshot::Receiver<Fetched> {
        let target = (visit.place.clone(), visit.epoch);
        let (tell, coming) = watch::channel(None);
        let (answer, answered) = oneshot::channel();
        list.insert(target.clone(), coming);
        let (edge, visit) = (Arc::clone(self), Arc::clone(visit));
        tokio::spawn(async move {
            // Made here: a runtime that is stopping drops this at once, while the list is still held.
            let closing = edge.fetches.open.closing(target);
            let fetched = edge.fetch(&visit, check).await;
            tell.send_replace(Some(fetched.thing().cloned()));
            drop(closing);
            let _ = answer.send(fetched);
        });
        answered
    }

    /// Asks the origin, and keeps what can be kept.
    pub(crate) async fn fetch(&self, visit: &Visit, check: Option<Check>) -> Fetched {
        if let Some((thing, conditions)) = check {
            let mut headers = visit.whole();
            headers.extend(conditions);
            let response = self.pull(visit, Method::GET, headers).await;
            if response.status() != StatusCode::NOT_MODIFIED {
                return self.take(visit, response).await;
            }
            if let Some(thing) = self.renew(visit, &thing, response.headers()) {
                return Fetched::Unchanged(thing);
            }
        }
        let response = self.pull(visit, Method::GET, visit.whole()).await;
        self.take(visit, response).await
    }

    async fn take(&self, visit: &Visit, response: Response<Content>) -> Fetched {
        let Some(policy) = visit.policy(&response, self.now()) else { return Fetched::Other(response) };
        let fits = |length: &usize| *length <= BODY_MAX;
        let room =
            length(&response).filter(fits).and_then(|length| Some((length, self.fetches.room(length)?)));
        let Some((length, room)) = room else { return Fetched::Other(response) };
        let (head, content) = response.into_parts();
        let Some(body) = collect(content, length, room).await else {
            let text = "the origin's answer did not come whole\n".to_owned();
            return Fetched::Other(words(StatusCode::BAD_GATEWAY, text));
        };
        let thing = Arc::new(visit.thing(head.headers, body, policy));
        // What a purge has met on its way is not kept.
        self.cache.put(visit.place.clone(), Arc::clone(&thing), visit.epoch);
        Fetched::Thing(thing)
    }
}

impl Fetches {
    fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(units).ok()
    }
}

/// A body, and the room that it takes until nobody has any of it.
struct Held {
    body: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn length(response: &Response<Content>) -> Option<usize> {
    match response.body() {
        Content::Empty => Some(0),
        Content::Full(bytes) => Some(bytes.len()),
        Content::Stream { length, .. } => usize::try_from((*length)?).ok(),
    }
}

async fn collect(content: Content, length: usize, room: OwnedSemaphorePermit) -> Option<Bytes> {
    let mut body = Vec::with_capacity(length);
    match content {
        Content::Empty => {}
        Content::Full(bytes) => body.extend_from_slice(&bytes),
        Content::Stream { mut stream, .. } => {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.ok()?;
                // More than was announced has no room.
                if chunk.len() > length - body.len() {
                    return None;
                }
                body.extend_from_slice(&chunk);
            }
        }
    }
    (body.len() == length).then(|| Bytes::from_owner(Held { body, _room: room }))
}
