//! Deliveries: one event for one function, and how they lie in the store. Knows nothing of tasks or time.
//!
//! Rows of `Table::Delivery`, each key a kind and then the delivery's place:
//!
//! - `d`: what is to be delivered; written once, when it is filed.
//! - `p`: how far it has come; written at the end of each attempt, absent before the first.
//! - `u`: a mark while it is unfinished, so that a start finds these without reading the others.
//! - `f`: kind, then the commit that finished it: the place. The oldest are removed first.

use cosette_model::function::{FunctionRef, StatusCode};
use cosette_model::{BucketName, EventType, ObjectKey, Seq, Timestamp};
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::{Error, row};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DeliveryState {
    Pending,
    Running,
    /// Waiting for its next attempt.
    Retrying {
        at: Timestamp,
    },
    Succeeded,
    /// No further attempt; `why` in words.
    Dead {
        why: String,
    },
}

impl DeliveryState {
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead { .. })
    }
}

/// One event for one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable over attempts and crashes; the invocation's request id.
    pub id: String,
    /// `None` for an asynchronous call of the API.
    pub source: Option<Source>,
    pub function: FunctionRef,
    /// JSON text given to the function.
    pub event: String,
    /// When the event happened; its age is counted from here.
    pub created: Timestamp,
    pub state: DeliveryState,
    /// The last ones, oldest first; at most [`ATTEMPTS_MAX`].
    pub attempts: Vec<Attempt>,
}

/// The change and rule behind a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub seq: Seq,
    pub rule: String,
    pub event: EventType,
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// The id of the request that made the change.
    pub request_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub status: StatusCode,
    /// At most [`ERROR_BYTES_MAX`]; the invocation's own record has the whole.
    pub error: String,
}

/// Attempts a delivery remembers. A second between attempts for six hours would otherwise be a row of megabytes.
pub const ATTEMPTS_MAX: usize = 32;

/// Bytes kept of an attempt's error text.
pub const ERROR_BYTES_MAX: usize = 2048;

/// A delivery as it is filed, before any attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filed {
    pub(crate) id: String,
    pub(crate) source: Option<Source>,
    pub(crate) function: FunctionRef,
    pub(crate) event: String,
    pub(crate) created: Timestamp,
}

/// How far a delivery has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) state: DeliveryState,
    pub(crate) attempts: Vec<Attempt>,
    /// Attempts that have ended, remembered or not.
    pub(crate) tries: u32,
    /// Those of them that failed in the function's own doing.
    pub(crate) execution_failures: u32,
}

impl Default for Progress {
    fn default() -> Self {
        Self { state: DeliveryState::Pending, attempts: Vec::new(), tries: 0, execution_failures: 0 }
    }
}

/// Where a delivery stands among all: the commit that filed it, and which of that commit's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) commit: Seq,
    pub(crate) index: u32,
}

const FILED: u8 = b'd';
const PROGRESS: u8 = b'p';
const UNFINISHED: u8 = b'u';
const FINISHED: u8 = b'f';

/// The row that counts the finished ones.
const FINISHED_COUNT: &[u8] = b"trigger.finished";

/// Deliveries removed in one commit.
const REMOVED_MAX: usize = 1024;

impl Place {
    fn row(self, kind: u8) -> Vec<u8> {
        let mut key = vec![kind];
        key.extend(self.commit.0.to_be_bytes());
        key.extend(self.index.to_be_bytes());
        key
    }

    fn parse(bytes: &[u8]) -> Result<Self, cosette_store::Error> {
        let damaged = || cosette_store::Error::Corrupt { what: "delivery key".into() };
        let (commit, index) = bytes.split_at_checked(8).ok_or_else(damaged)?;
        let commit = u64::from_be_bytes(commit.try_into().map_err(|_| damaged())?);
        let index = u32::from_be_bytes(index.try_into().map_err(|_| damaged())?);
        Ok(Self { commit: Seq(commit), index })
    }
}

/// The places that `count` deliveries filed by one commit get.
pub(crate) fn places(commit: Seq, count: usize) -> impl Iterator<Item = Place> {
    (0..u32::try_from(count).unwrap_or(u32::MAX)).map(move |index| Place { commit, index })
}

/// Files encoded deliveries, in order, at the [`places`] of this commit.
pub(crate) fn file(tx: &mut Tx<'_>, rows: Vec<Vec<u8>>) {
    let places = places(tx.seq(), rows.len());
    for (place, filed) in places.zip(rows) {
        tx.put(Table::Delivery, &place.row(FILED), filed);
        tx.put(Table::Delivery, &place.row(UNFINISHED), vec![1]);
    }
}

/// Writes how far a delivery has come; if to its end, forgets the oldest finished ones beyond `finished_max`.
pub(crate) fn advance(
    tx: &mut Tx<'_>,
    place: Place,
    progress: Vec<u8>,
    is_finished: bool,
    finished_max: usize,
) -> Result<(), Error> {
    tx.put(Table::Delivery, &place.row(PROGRESS), progress);
    if !is_finished {
        return Ok(());
    }
    tx.delete(Table::Delivery, &place.row(UNFINISHED));
    let mut key = vec![FINISHED];
    key.extend(tx.seq().0.to_be_bytes());
    tx.put(Table::Delivery, &key, place.row(FILED)[1..].to_vec());
    let mut count = 1 + match tx.get(Table::Cursor, FINISHED_COUNT)? {
        Some(row) => row::decode(&row, "finished count")?,
        None => 0_usize,
    };
    if count > finished_max {
        // Some more than needed at a time, so that most commits remove nothing.
        let surplus = (count - finished_max + (finished_max / 8).min(256)).min(REMOVED_MAX);
        for (key, at) in tx.scan(Table::Delivery, &[FINISHED], surplus)? {
            let old = Place::parse(&at)?;
            for row in [key, old.row(FILED), old.row(PROGRESS)] {
                tx.delete(Table::Delivery, &row);
            }
            count = count.saturating_sub(1);
        }
    }
    tx.put(Table::Cursor, FINISHED_COUNT, row::encode(&count)?);
    Ok(())
}

/// The places of unfinished deliveries after `after`, in order, at most `max`.
pub(crate) fn unfinished(store: &Store, after: Option<Place>, max: usize) -> Result<Vec<Place>, Error> {
    let after = after.map(|place| place.row(UNFINISHED));
    let rows = store.scan(Table::Delivery, &[UNFINISHED], after.as_deref(), max)?;
    rows.iter().map(|(key, _)| Ok(Place::parse(&key[1..])?)).collect()
}

/// `None` when it is there no more.
pub(crate) fn get(store: &Store, place: Place) -> Result<Option<(Filed, Progress)>, Error> {
    let Some(filed) = store.get(Table::Delivery, &place.row(FILED))? else {
        return Ok(None);
    };
    Ok(Some((row::decode(&filed, "delivery")?, progress(store, place)?)))
}

fn progress(store: &Store, place: Place) -> Result<Progress, Error> {
    Ok(match store.get(Table::Delivery, &place.row(PROGRESS))? {
        Some(row) => row::decode(&row, "delivery progress")?,
        None => Progress::default(),
    })
}

/// Newest first, at most `max`.
pub(crate) fn newest(store: &Store, max: usize) -> Result<Vec<(Place, Delivery)>, Error> {
    let rows = store.scan_back(Table::Delivery, &[FILED], max)?;
    let delivery = |(key, filed): (Vec<u8>, Vec<u8>)| {
        let place = Place::parse(&key[1..])?;
        let Filed { id, source, function, event, created } = row::decode(&filed, "delivery")?;
        let Progress { state, attempts, .. } = progress(store, place)?;
        Ok((place, Delivery { id, source, function, event, created, state, attempts }))
    };
    rows.into_iter().map(delivery).collect()
}
