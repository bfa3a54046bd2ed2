//! Deliveries: one event for one target, and how they lie in the store. Knows nothing of tasks or time.
//!
//! Rows of `Table::Delivery`, each key a kind and then the delivery's place:
//!
//! - `d`: what is to be delivered; written once, when it is filed.
//! - `u`: how far it has come, while it is unfinished; a start reads these and no others.
//! - `f`: how far it has come, once it is finished. The oldest are removed first.

use cosette_model::function::StatusCode;
use cosette_model::{BucketName, Chain, Happened, Link, ObjectKey, Seq, Target, Timestamp};
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::{Error, row};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DeliveryState {
    Pending,
    /// Kept from running by somebody; in memory only.
    Held,
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

/// One event for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable over attempts and crashes; the invocation's request id.
    pub id: String,
    /// `None` for a timer's and an asynchronous call of the API.
    pub source: Option<Source>,
    /// The name of the timer that fired.
    pub timer: Option<String>,
    pub target: Target,
    /// JSON text given to the target.
    pub event: String,
    /// When the event happened; its age is counted from here.
    pub created: Timestamp,
    pub state: DeliveryState,
    /// The last ones, oldest first; at most [`ATTEMPTS_MAX`].
    pub attempts: Vec<Attempt>,
    /// What led to the change or call behind it: empty when no function is in it.
    pub chain: Chain,
    /// The id of the delivery whose dead letter this is, if it is one.
    pub letter_of: Option<String>,
    /// The id of the delivery that this one repeats.
    pub repeats: Option<String>,
}

/// The change and rule behind a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub seq: Seq,
    pub rule: String,
    pub event: Happened,
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
    /// How a webhook answered: status line and the body's beginning.
    #[serde(default)]
    pub answer: String,
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
    #[serde(default)]
    pub(crate) timer: Option<String>,
    #[serde(alias = "function")]
    pub(crate) target: Target,
    pub(crate) event: String,
    pub(crate) created: Timestamp,
    /// What led to the change or call behind it.
    #[serde(default)]
    pub(crate) chain: Chain,
    #[serde(default)]
    pub(crate) letter_of: Option<String>,
    /// The id of the delivery that this one repeats.
    #[serde(default)]
    pub(crate) repeats: Option<String>,
}

impl Filed {
    /// What it tells of.
    pub(crate) fn subject(&self) -> &str {
        match (&self.letter_of, &self.source) {
            (Some(_), _) => "dead-letter",
            (None, Some(source)) => source.event.name(),
            (None, None) => "",
        }
    }

    fn with(self, progress: Progress) -> Delivery {
        let Self { id, source, timer, target, event, created, chain, letter_of, repeats } = self;
        let Progress { state, attempts, .. } = progress;
        Delivery { id, source, timer, target, event, created, state, attempts, chain, letter_of, repeats }
    }

    /// What brought it.
    pub(crate) fn kind(&self) -> &'static str {
        kind(self.source.is_some(), self.timer.is_some())
    }

    /// The requests and invocations that it is a consequence of.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let none = self.letter_of.as_deref().unwrap_or(&self.id);
        let own = self.source.as_ref().map_or(none, |source| source.request_id.as_str());
        [own].into_iter().chain(self.chain.ids())
    }

    /// The step from what is behind it to its invocation.
    pub(crate) fn link(&self) -> Link {
        let Self { id, source, target, .. } = self;
        let function = match target {
            Target::Function(function) => function.name.clone(),
            other => other.to_string(),
        };
        match source {
            Some(source) => Link {
                request_id: source.request_id.clone(),
                what: format!("{} {}/{}", source.event.name(), source.bucket, source.key.as_str()),
                function,
                invocation: id.clone(),
            },
            None => {
                let call = Link::call(&function, id);
                match &self.timer {
                    Some(timer) => Link { what: format!("timer {timer}"), ..call },
                    None => call,
                }
            }
        }
    }
}

/// What brought a delivery, as an invocation's record says: a change, a timer, or a call.
pub(crate) fn kind(of_change: bool, of_timer: bool) -> &'static str {
    match (of_change, of_timer) {
        (true, _) => "COS",
        (false, true) => "TIMER",
        (false, false) => "API",
    }
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

pub(crate) const FILED: u8 = b'd';
const UNFINISHED: u8 = b'u';
const FINISHED: u8 = b'f';

/// The row that counts the finished ones.
const FINISHED_COUNT: &[u8] = b"finished";

/// What the error about a damaged row names.
const PROGRESS: &str = "delivery progress";

/// Deliveries removed in one commit.
const REMOVED_MAX: usize = 1024;

impl Place {
    fn row(self, kind: u8) -> Vec<u8> {
        let mut key = vec![kind];
        key.extend(self.commit.0.to_be_bytes());
        key.extend(self.index.to_be_bytes());
        key
    }

    fn parse(row: &[u8]) -> Result<Self, cosette_store::Error> {
        let damaged = || cosette_store::Error::Corrupt { what: "delivery key".into() };
        let (commit, index) = row.get(1..).and_then(|row| row.split_at_checked(8)).ok_or_else(damaged)?;
        let commit = u64::from_be_bytes(commit.try_into().map_err(|_| damaged())?);
        let index = u32::from_be_bytes(index.try_into().map_err(|_| damaged())?);
        Ok(Self { commit: Seq(commit), index })
    }
}

/// The places that `count` deliveries filed by one commit get.
pub(crate) fn places(commit: Seq, count: usize) -> impl Iterator<Item = Place> {
    (0..u32::try_from(count).unwrap_or(u32::MAX)).map(move |index| Place { commit, index })
}

/// Files encoded deliveries, in order, at the [`places`] of this commit. Those that come with words are dead from
/// the beginning, for that reason.
pub(crate) fn file(
    tx: &mut Tx<'_>,
    rows: Vec<(Vec<u8>, Option<String>)>,
    finished_max: usize,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let untried = row::encode(&Progress::default())?;
    for (place, (filed, stopped)) in places(tx.seq(), rows.len()).zip(rows) {
        tx.put(Table::Delivery, &place.row(FILED), filed);
        match stopped {
            None => tx.put(Table::Delivery, &place.row(UNFINISHED), untried.clone()),
            Some(why) => {
                let dead = Progress { state: DeliveryState::Dead { why }, ..Progress::default() };
                finish(tx, place, row::encode(&dead)?, finished_max)?;
            }
        }
    }
    Ok(())
}

/// Writes how far an unfinished delivery has come.
pub(crate) fn postpone(tx: &mut Tx<'_>, place: Place, progress: Vec<u8>) {
    tx.put(Table::Delivery, &place.row(UNFINISHED), progress);
}

/// Writes how a delivery has ended, and forgets the oldest finished ones beyond `finished_max`.
pub(crate) fn finish(
    tx: &mut Tx<'_>,
    place: Place,
    progress: Vec<u8>,
    finished_max: usize,
) -> Result<(), Error> {
    tx.delete(Table::Delivery, &place.row(UNFINISHED));
    tx.put(Table::Delivery, &place.row(FINISHED), progress);
    let mut count = 1 + match tx.get(Table::TriggerNote, FINISHED_COUNT)? {
        Some(row) => row::decode(&row, "finished count")?,
        None => 0_usize,
    };
    if count > finished_max {
        // Some more than needed at a time, so that most commits remove nothing.
        let surplus = (count - finished_max + (finished_max / 8).min(256)).min(REMOVED_MAX);
        for (key, _) in tx.scan(Table::Delivery, &[FINISHED], surplus)? {
            let old = Place::parse(&key)?;
            tx.delete(Table::Delivery, &key);
            tx.delete(Table::Delivery, &old.row(FILED));
            count = count.saturating_sub(1);
        }
    }
    tx.put(Table::TriggerNote, FINISHED_COUNT, row::encode(&count)?);
    Ok(())
}

/// Unfinished deliveries after `after`, in order, at most `max`.
pub(crate) fn unfinished(
    store: &Store,
    after: Option<Place>,
    max: usize,
) -> Result<Vec<(Place, Progress)>, Error> {
    let after = after.map(|place| place.row(UNFINISHED));
    let rows = store.scan(Table::Delivery, &[UNFINISHED], after.as_deref(), max)?;
    rows.iter().map(|(key, row)| Ok((Place::parse(key)?, row::decode(row, PROGRESS)?))).collect()
}

/// What was filed there; `None` when it is there no more.
pub(crate) fn filed(store: &Store, place: Place) -> Result<Option<Filed>, Error> {
    let row = store.get(Table::Delivery, &place.row(FILED))?;
    Ok(row.map(|row| row::decode(&row, "delivery")).transpose()?)
}

/// How far a delivery has come; `None` when it is there no more.
pub(crate) fn progress(store: &Store, place: Place) -> Result<Option<Progress>, Error> {
    // In this order: a delivery that is finished in between is found all the same.
    for kind in [UNFINISHED, FINISHED] {
        if let Some(row) = store.get(Table::Delivery, &place.row(kind))? {
            return Ok(Some(row::decode(&row, PROGRESS)?));
        }
    }
    Ok(None)
}

/// Those filed by commits after `after` that are picked, oldest first, at most `max`, as what is made of each. Reads all
/// that there are.
pub(crate) fn picked<T>(
    store: &Store,
    after: Seq,
    max: usize,
    mut pick: impl FnMut(&Filed) -> bool,
    make: impl Fn(Place, Delivery) -> T,
) -> Result<Vec<T>, Error> {
    const PAGE: usize = 256;
    let mut last = Place { commit: after, index: u32::MAX };
    let mut found = Vec::new();
    loop {
        let rows = store.scan(Table::Delivery, &[FILED], Some(&last.row(FILED)), PAGE)?;
        for (key, row) in &rows {
            last = Place::parse(key)?;
            let filed: Filed = row::decode(row, "delivery")?;
            if found.len() < max
                && pick(&filed)
                && let Some(progress) = progress(store, last)?
            {
                found.push(make(last, filed.with(progress)));
            }
        }
        if rows.len() < PAGE || found.len() >= max {
            return Ok(found);
        }
    }
}

/// The next of what was filed, with its keys; nothing after the last.
pub(crate) fn filed_after(store: &Store, after: &Option<Vec<u8>>) -> Result<Vec<(Vec<u8>, Filed)>, Error> {
    const PAGE: usize = 256;
    let rows = store.scan(Table::Delivery, &[FILED], after.as_deref(), PAGE)?;
    rows.into_iter().map(|(key, row)| Ok((key, row::decode(&row, "delivery")?))).collect()
}

/// The delivery at a place; `None` when it is there no more.
pub(crate) fn at(store: &Store, place: Place) -> Result<Option<Delivery>, Error> {
    match (filed(store, place)?, progress(store, place)?) {
        (Some(filed), Some(progress)) => Ok(Some(filed.with(progress))),
        _ => Ok(None),
    }
}

/// Newest first, at most `max`.
pub(crate) fn newest(store: &Store, max: usize) -> Result<Vec<(Place, Delivery)>, Error> {
    let rows = store.scan_back(Table::Delivery, &[FILED], max)?;
    let mut newest = Vec::with_capacity(rows.len());
    for (key, filed) in rows {
        let place = Place::parse(&key)?;
        let filed: Filed = row::decode(&filed, "delivery")?;
        if let Some(progress) = progress(store, place)? {
            newest.push((place, filed.with(progress)));
        }
    }
    Ok(newest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::function::FunctionRef;
    use cosette_model::{EventType, Style};

    use super::*;

    /// Rows as they were while functions were the only targets and COS's the only events.
    #[test]
    fn rows_that_knew_functions_only_are_read() {
        #[derive(Serialize)]
        struct OldSource {
            seq: Seq,
            rule: &'static str,
            event: EventType,
            bucket: &'static str,
            key: &'static str,
            request_id: &'static str,
        }
        #[derive(Serialize)]
        struct OldRef {
            namespace: &'static str,
            name: &'static str,
            qualifier: &'static str,
        }
        #[derive(Serialize)]
        struct OldFiled {
            id: &'static str,
            source: Option<OldSource>,
            function: OldRef,
            event: &'static str,
            created: Timestamp,
        }
        let function = OldRef { namespace: "default", name: "f", qualifier: "$DEFAULT" };
        let source = OldSource {
            seq: Seq(7),
            rule: "rule-1",
            event: EventType::CreatedPut,
            bucket: "examplebucket-1250000000",
            key: "a/b",
            request_id: "r",
        };
        let created = Timestamp::from_secs(1);
        let old = OldFiled { id: "i", source: Some(source), function, event: "{}", created };
        let read: Filed = row::decode(&row::encode(&old).unwrap(), "delivery").unwrap();
        let [appid, region, namespace, name, qualifier] =
            ["", "", "default", "f", "$DEFAULT"].map(str::to_owned);
        assert_eq!(
            read.target,
            Target::Function(FunctionRef { appid, region, namespace, name, qualifier, routed: None })
        );
        assert_eq!(read.source.as_ref().unwrap().event, Happened::Cos(EventType::CreatedPut));
        assert_eq!(row::decode::<Filed>(&row::encode(&read).unwrap(), "delivery").unwrap(), read);
    }

    #[test]
    fn targets_of_every_kind_are_read_as_they_were_written() {
        let bucket = BucketName::new("examplebucket-1250000000").unwrap();
        let function = FunctionRef {
            appid: "1250000000".into(),
            region: "ap-guangzhou".into(),
            namespace: "n".into(),
            name: "f".into(),
            qualifier: "1".into(),
            routed: Some("2".into()),
        };
        for target in [
            function.into(),
            Target::Webhook { webhook: "orders".into() },
            Target::Bucket { bucket, prefix: "dead/".into() },
        ] {
            let row = row::encode(&(&target, Style::S3)).unwrap();
            assert_eq!(row::decode::<(Target, Style)>(&row, "target").unwrap(), (target, Style::S3));
        }
        for happened in [Happened::Cos(EventType::RestorePost), Happened::S3("s3:ObjectRestore:Post".into())]
        {
            let row = row::encode(&happened).unwrap();
            assert_eq!(row::decode::<Happened>(&row, "event").unwrap(), happened);
        }
    }
}
