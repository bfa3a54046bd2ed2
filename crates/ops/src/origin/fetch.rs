//! Fetching: one fetch of an object at a time, however many wait for it.
//!
//! A fetch belongs to nobody who waits. It takes the body at the origin's pace, to disk and to those who
//! read along, and ends when the object is stored or cannot be. The last piece goes out only then: whoever
//! got the whole of it can rely on it being here.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cosette_model::op::{Context, TagMatch, WriteConditions};
use cosette_model::{
    Attributes, Body, BodyError, ByteRange, ByteStream, Closing, ErrorCode, EventType, Expected, ObjectKey,
    Open, OriginAnswer, Origins, Properties, Sent,
};
use cosette_store::{Bucket, Error as StoreError, Object, PutObject};
use futures_util::StreamExt;
use tokio::sync::{Semaphore, broadcast, watch};

use super::plan::Plan;
use super::request;
use crate::Ops;
use crate::body::{self, BODY_BYTES_MAX};
use crate::error::{Failure, Result};
use crate::object::with_content_type;

/// Fetches at once; others wait for their turn.
pub(super) const FETCHES_MAX: usize = 256;
/// Those that are under way and those that wait: who asks does not wait for them, and could ask for ever more.
pub(super) const OPEN_MAX: usize = 4096;
/// Pieces that are kept for those who read along. Who falls behind reads on from the store.
const PIECES_KEPT: usize = 32;
/// Servers like this one in a row that a request may come through: rules can lead to new rules.
const HOPS_MAX: usize = 8;

/// Who asks origins, and what is being fetched.
#[derive(Clone, Default)]
pub(crate) struct Fetching {
    origins: Option<Arc<dyn Origins>>,
    open: Open<Target, UnderWay>,
    turns: Arc<Turns>,
}

/// The bucket by its id: its name may be another's by the time a fetch ends.
type Target = (u64, ObjectKey);

struct Turns {
    fetches: Semaphore,
    /// Requests that fell under a rule.
    count: AtomicU64,
    fetch: AtomicU64,
    /// Tells our fetches from those of other servers.
    own: u64,
}

impl Default for Turns {
    fn default() -> Self {
        let own = RandomState::new().hash_one("fetches");
        let (count, fetch) = Default::default();
        Self { fetches: Semaphore::new(FETCHES_MAX), count, fetch, own }
    }
}

/// A fetch that is under way.
struct UnderWay {
    name: String,
    state: watch::Receiver<State>,
    pieces: broadcast::Sender<Bytes>,
}

/// How far a fetch is.
#[derive(Clone, Debug)]
pub(super) enum State {
    Asking,
    /// The origin has it, and its body comes.
    Coming {
        attributes: Arc<Attributes>,
        length: Option<u64>,
    },
    Done(Ended),
}

/// How a fetch ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Stored(Arc<Object>),
    /// Somebody has written the object meanwhile, which stays.
    Overtaken,
    Not(Answered),
}

/// What an origin answered that is no object.
#[derive(Clone, Debug)]
pub(super) enum Answered {
    Missing,
    Elsewhere { status: u16, location: String },
    Refused(Refused),
}

/// A failure as it is told to everybody who waits.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) status: Option<u16>,
    pub(super) why: String,
}

impl Refused {
    fn failed(why: impl Into<String>) -> Self {
        Self { code: ErrorCode::OriginFailed, status: None, why: why.into() }
    }
}

/// One who waits for a fetch.
pub(super) struct Joined {
    state: watch::Receiver<State>,
    /// Everything from the first byte on, if `from_start`.
    pub(super) pieces: broadcast::Receiver<Bytes>,
    pub(super) from_start: bool,
}

impl Joined {
    pub(super) fn state(&mut self) -> State {
        self.state.borrow_and_update().clone()
    }

    /// Waits until the fetch is further on.
    pub(super) async fn changed(&mut self) -> Result<()> {
        // It ends without a word only if its task did not end well.
        self.state.changed().await.map_err(|_| Failure::from(ErrorCode::InternalError))
    }

    /// Waits for the end of the fetch.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        match &*self.state.wait_for(|state| matches!(state, State::Done(_))).await.ok()? {
            State::Done(ended) => Some(ended.clone()),
            _ => None,
        }
    }
}

impl Fetching {
    pub(crate) fn by(origins: Arc<dyn Origins>) -> Self {
        Self { origins: Some(origins), ..Self::default() }
    }

    pub(super) fn can(&self) -> bool {
        self.origins.is_some()
    }

    pub(super) fn turn(&self) -> u64 {
        self.turns.count.fetch_add(1, Ordering::Relaxed)
    }

    /// What `Via` has of everything that comes through us.
    fn us(&self) -> String {
        format!("cosette-{:016x}", self.turns.own)
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.open.list().len()
    }

    /// Those through whom a request to an origin has come; `None` if they are too many.
    pub(super) fn via(&self, sent: Option<&dyn Sent>, fetch: Option<&str>) -> Option<String> {
        let before = sent.map(Sent::via).unwrap_or_default();
        if before.matches("cosette-").count() >= HOPS_MAX {
            return None;
        }
        let us = fetch.map_or_else(|| format!("1.1 {}", self.us()), str::to_owned);
        Some(if before.is_empty() { us } else { format!("{before}, {us}") })
    }

    /// Asks the host of the plan, and those that stand by if it fails. `Ok` is an object's body.
    pub(super) async fn ask(
        &self,
        plan: &Plan,
        range: Option<ByteRange>,
        via: String,
    ) -> std::result::Result<OriginAnswer, Answered> {
        let nobody = || Answered::Refused(Refused::failed("There is no origin to ask."));
        let origins = self.origins.as_ref().ok_or_else(nobody)?;
        let mut last = nobody();
        for url in std::iter::once(&plan.url).chain(&plan.standby) {
            match origins.ask(request(plan, url, range, &via)).await {
                Err(error) => last = Answered::Refused(Refused::failed(error.to_string())),
                Ok(answer) => {
                    let status = answer.status;
                    match judged(plan, answer, range.is_some()) {
                        Err(answered) if status >= 500 || plan.standby_codes.contains(&status) => {
                            last = answered;
                        }
                        done => return done,
                    }
                }
            }
        }
        Err(last)
    }
}

/// What an answer means (guide 436/31508).
fn judged(plan: &Plan, answer: OriginAnswer, ranged: bool) -> std::result::Result<OriginAnswer, Answered> {
    let status = answer.status;
    let refused = |why: String| Err(Answered::Refused(Refused::failed(why)));
    match status {
        // A part that nobody asked for is not the object.
        206 if !ranged => refused("The origin answered a part of the object.".into()),
        206 if answer.content_range.is_none() => refused("The origin answered a part and not which.".into()),
        200..=299 if answer.length.is_some_and(|length| length > BODY_BYTES_MAX) => {
            refused("The origin's object is larger than an object can be.".into())
        }
        200..=299 => Ok(answer),
        404 => Err(Answered::Missing),
        301 | 302 | 303 | 307 | 308 => match answer.location {
            Some(location) => Err(Answered::Elsewhere { status, location }),
            None => refused(format!("The origin answered {status} and not where to.")),
        },
        400..=599 if plan.transparent => Err(Answered::Refused(Refused {
            status: Some(status),
            ..Refused::failed(format!("The origin answered {status}."))
        })),
        _ => refused(format!("The origin answered {status}.")),
    }
}

/// What there is to wait for.
pub(super) enum Joining {
    Joined(Joined),
    /// Nothing: it has been stored since it was missed.
    Here,
    /// The request has come from the fetch itself: the origin is we.
    Circle,
    /// Too many wait already.
    Full,
}

/// The fetch of this object that is under way, or a new one.
pub(super) fn join(
    ops: &Ops,
    context: &Context,
    bucket: &Bucket,
    key: &ObjectKey,
    plan: &Plan,
    sent: Option<&dyn Sent>,
) -> Joining {
    let fetching = &ops.fetching;
    let target = (bucket.id, key.clone());
    let mut open = fetching.open.list();
    if let Some(open) = open.get(&target) {
        let through_it = |via: String| via.split(',').any(|hop| hop.trim() == open.name);
        if sent.is_some_and(|sent| through_it(sent.via())) {
            return Joining::Circle;
        }
        // Before the look: what is sent while it asks is all there will be.
        let pieces = open.pieces.subscribe();
        let from_start = matches!(*open.state.borrow(), State::Asking);
        return Joining::Joined(Joined { state: open.state.clone(), pieces, from_start });
    }
    // A fetch leaves the list only when the object can be seen.
    if ops.store.object_of(bucket, key, None).is_ok() {
        return Joining::Here;
    }
    if open.len() >= OPEN_MAX {
        return Joining::Full;
    }
    let number = fetching.turns.fetch.fetch_add(1, Ordering::Relaxed);
    let name = format!("1.1 {}-{number}", fetching.us());
    let Some(via) = fetching.via(sent, Some(&name)) else { return Joining::Circle };
    let (state, watched) = watch::channel(State::Asking);
    let (pieces, read) = broadcast::channel(PIECES_KEPT);
    let joined = Joined { state: watched.clone(), pieces: read, from_start: true };
    open.insert(target.clone(), UnderWay { name, state: watched, pieces: pieces.clone() });
    let fetch = Fetch {
        _closing: fetching.open.closing(target),
        ops: ops.clone(),
        context: context.clone(),
        bucket: bucket.clone(),
        key: key.clone(),
        plan: plan.clone(),
        via,
        nested: sent.is_some_and(|sent| sent.via().contains(&fetching.us())),
        state,
        pieces,
        held: Arc::default(),
    };
    // A runtime that is stopping drops the fetch at once, and with it takes it off the list.
    drop(open);
    tokio::spawn(fetch.run());
    Joining::Joined(joined)
}

struct Fetch {
    _closing: Closing<Target, UnderWay>,
    ops: Ops,
    /// Of who asked first.
    context: Context,
    bucket: Bucket,
    key: ObjectKey,
    plan: Plan,
    via: String,
    /// For another fetch of ours, which would wait for this one.
    nested: bool,
    state: watch::Sender<State>,
    pieces: broadcast::Sender<Bytes>,
    /// The last piece.
    held: Arc<Mutex<Option<Bytes>>>,
}

impl Fetch {
    async fn run(self) {
        let ended = match self.fetched().await {
            Ok(ended) => ended,
            Err(failure) => {
                let Failure(error) = failure;
                Ended::Not(Answered::Refused(Refused {
                    why: error.message().to_owned(),
                    code: error.code,
                    status: None,
                }))
            }
        };
        if matches!(ended, Ended::Stored(_) | Ended::Overtaken)
            && let Some(last) = self.held().take()
        {
            let _ = self.pieces.send(last);
        }
        self.state.send_replace(State::Done(ended));
    }

    fn held(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetched(&self) -> Result<Ended> {
        let fetching = &self.ops.fetching;
        let turns = &fetching.turns.fetches;
        let _turn = if self.nested {
            None
        } else {
            Some(turns.acquire().await.map_err(|_| ErrorCode::ServiceUnavailable)?)
        };
        let answer = match fetching.ask(&self.plan, None, self.via.clone()).await {
            Ok(answer) => answer,
            Err(answered) => return Ok(Ended::Not(answered)),
        };
        let attributes = with_content_type(&self.context, &self.key, answer.attributes);
        let shown = Arc::new(attributes.clone());
        self.state.send_replace(State::Coming { attributes: shown, length: answer.length });
        let (ops, context, bucket) = (&self.ops, &self.context, &self.bucket);
        let lock = ops.lock(context, bucket, &self.key, Default::default())?;
        let seal = ops.new_seal(bucket, None).await?;
        let body =
            Body { stream: self.shared(answer.body), length: answer.length, expected: Expected::default() };
        let taken = match body::take(&ops.store, body, None, seal).await {
            Ok(taken) => taken,
            Err(Failure(error)) if matches!(error.code, ErrorCode::IncompleteBody) => {
                let why = "The origin broke off before all of the object had come.";
                return Ok(Ended::Not(Answered::Refused(Refused::failed(why))));
            }
            Err(failure) => return Err(failure),
        };
        let put = PutObject {
            bucket: bucket.into(),
            key: self.key.clone(),
            attributes,
            properties: Properties::default().locked(lock),
            checksum_type: None,
            conditions: WriteConditions { if_none_match: Some(TagMatch::Any), ..Default::default() },
            symlink: None,
            body: taken.sealed,
            event: EventType::CreatedOrigin,
            cause: context.cause.clone(),
        };
        match ops.store.put_object(put).await {
            Ok(object) => Ok(Ended::Stored(Arc::new(object))),
            Err(StoreError::PreconditionFailed) => Ok(Ended::Overtaken),
            Err(error) => Err(error.into()),
        }
    }

    /// The body as it comes, which those who read along get a piece later.
    fn shared(&self, body: ByteStream) -> ByteStream {
        let (held, pieces) = (Arc::clone(&self.held), self.pieces.clone());
        Box::pin(body.map(move |piece: std::result::Result<Bytes, BodyError>| {
            if let Ok(piece) = &piece
                && !piece.is_empty()
            {
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = held.replace(piece.clone()) {
                    // Nobody may read along.
                    let _ = pieces.send(before);
                }
            }
            piece
        }))
    }
}
