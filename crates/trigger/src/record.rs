//! Puts ends of attempts on record: all that have come while a commit was under way go into the next one.
//!
//! A first attempt may run before its delivery is in any row. Its change is durable and the saved cursor stays before
//! it, so that a start after a crash fires it again, under the same id; the commit that records its end writes
//! its only row and moves the cursor on. One that runs for long is filed meanwhile, so that the cursor does not stay far
//! behind.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cosette_model::{Seq, Timestamp};
use cosette_store::Tx;

use crate::Error;
use crate::delivery::{Delivery, DeliveryState, Filed, Place, Progress, places};
use crate::dispatch::{Dispatcher, ticket};
use crate::queue::{End, Ticket};
use crate::stored::{self, Fresh};

/// Ends of deliveries that are remembered for who follows them.
const ENDS_MAX: usize = 4096;

/// Commits that the cursor may stay behind for the sake of what runs, at least and at most.
const LAG: (usize, usize) = (16, 1024);

/// Bytes of rows that one commit writes, but for the last of them: events of calls may be large.
const BATCH_BYTES_MAX: usize = 4 << 20;

#[derive(Default)]
pub(crate) struct Recorder {
    to_write: Mutex<ToWrite>,
    /// The latest deliveries that have ended, each with its number among all that have since the start.
    ends: Mutex<VecDeque<(u64, Place)>>,
}

#[derive(Default)]
struct ToWrite {
    attempts: Vec<(Ticket, Option<Attempted>)>,
    /// Whether somebody is at it, and will take the rest as well.
    is_busy: bool,
}

impl ToWrite {
    /// Takes out what goes into one commit.
    fn batch(&mut self) -> Vec<(Ticket, Option<Attempted>)> {
        let mut bytes = 0;
        let fits = |(_, ended): &&(Ticket, Option<Attempted>)| {
            let fits = bytes < BATCH_BYTES_MAX;
            bytes += ended.as_ref().map_or(0, Attempted::bytes);
            fits
        };
        let count = self.attempts.iter().take_while(fits).count();
        self.attempts.drain(..count).collect()
    }
}

/// How an attempt has ended, as it is to be recorded.
pub(crate) struct Attempted {
    row: Vec<u8>,
    /// When it is to be tried again; `None` when the delivery is finished.
    retry: Option<Timestamp>,
    /// Why it is dead, if it is.
    dead: Option<String>,
    letter: Option<(Filed, Vec<u8>)>,
}

impl Attempted {
    pub(crate) fn new(filed: &Filed, progress: Progress, letter: Option<Filed>) -> Result<Self, Error> {
        let row = stored::encode(filed, &progress)?;
        let (retry, dead) = match progress.state {
            DeliveryState::Retrying { at } => (Some(at), None),
            DeliveryState::Dead { why } => (None, Some(why)),
            _ => (None, None),
        };
        let with_row = |letter| {
            let row = stored::encode(&letter, &Progress::default())?;
            Ok::<_, Error>((letter, row))
        };
        Ok(Self { row, retry, dead, letter: letter.map(with_row).transpose()? })
    }

    fn bytes(&self) -> usize {
        self.row.len() + self.letter.as_ref().map_or(0, |(_, row)| row.len())
    }
}

impl Recorder {
    fn to_write(&self) -> MutexGuard<'_, ToWrite> {
        self.to_write.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// Records how an attempt has ended; `None` when it was let go of. Returns at once if somebody else will do it.
    pub(crate) async fn record(self: &Arc<Self>, ticket: Ticket, ended: Option<Attempted>) {
        {
            let mut to_write = self.recorder.to_write();
            to_write.attempts.push((ticket, ended));
            if std::mem::replace(&mut to_write.is_busy, true) {
                return;
            }
        }
        self.clone().write_all().await;
    }

    /// Files what has run for long, so that the saved cursor does not stay far behind.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        if !self.lagging().is_empty() && !std::mem::replace(&mut self.recorder.to_write().is_busy, true) {
            tokio::spawn(self.clone().write_all());
        }
    }

    fn lagging(&self) -> Fresh {
        // What has ended meanwhile is kept beyond the number that is asked for.
        let lag = (self.options.finished_max / 8).clamp(LAG.0, LAG.1) as u64;
        let queues = self.queues();
        queues.lagging(Seq(queues.cursor().0.saturating_sub(lag)))
    }

    /// Until nothing is left. What could not be filed waits for whoever comes next, or for its end: a store that
    /// refuses must not be asked again and again.
    async fn write_all(self: Arc<Self>) {
        let mut refused = false;
        loop {
            let lagging = if refused { Fresh::new() } else { self.lagging() };
            let attempts = {
                let mut to_write = self.recorder.to_write();
                if to_write.attempts.is_empty() && lagging.is_empty() {
                    to_write.is_busy = false;
                    return;
                }
                to_write.batch()
            };
            refused |= !self.write(attempts, lagging).await;
        }
    }

    /// One commit, and what follows from it; `false` when not all could be written.
    async fn write(self: &Arc<Self>, attempts: Vec<(Ticket, Option<Attempted>)>, lagging: Fresh) -> bool {
        let mut batch = Batch::default();
        let mut written = HashSet::new();
        let mut ends = Vec::with_capacity(attempts.len());
        let upto = {
            let queues = self.queues();
            for (ticket, attempted) in attempts {
                let Some(Attempted { row, retry, dead, letter }) = attempted else {
                    ends.push((ticket, None));
                    continue;
                };
                let place = ticket.place;
                written.insert(place);
                match retry {
                    Some(_) => batch.waits.push((place, row)),
                    None => batch.ends.push(stored::End { place, row, waited: !queues.is_fresh(place) }),
                }
                let letter = letter.map(|(letter, row)| {
                    batch.letters.push(row);
                    letter
                });
                ends.push((ticket, Some((retry, dead, letter))));
            }
            queues.in_rows(queues.cursor(), &written)
        };
        let lagging = lagging.into_iter().filter(|(place, _)| !written.contains(place));
        let mut filed = Vec::new();
        let mut is_whole = true;
        for (place, delivery) in lagging {
            // Where it cannot be written the cursor waits for its end.
            if let Ok(row) = stored::encode(&delivery, &Progress::default()) {
                batch.waits.push((place, row));
                filed.push(place);
            } else {
                is_whole = false;
            }
        }
        let committed = self.commit(batch, upto).await;
        is_whole &= committed.is_ok();
        self.settle(ends, filed, committed);
        is_whole
    }

    async fn commit(&self, batch: Batch, upto: Seq) -> Result<Seq, Error> {
        let Batch { waits, ends, letters } = batch;
        if waits.is_empty() && ends.is_empty() {
            return Ok(upto);
        }
        let finished_max = self.options.finished_max;
        // An end and its letter are one commit: there is never the one without the other.
        let write = move |tx: &mut Tx<'_>| {
            stored::advance(tx, upto)?;
            stored::file(tx, letters);
            for (place, row) in waits {
                stored::wait(tx, place, row);
            }
            stored::end(tx, ends, finished_max)
        };
        Ok(self.store.commit::<_, Error, _>(write).await?.0)
    }

    /// Gives back what ran, and starts what may run now.
    fn settle(
        self: &Arc<Self>,
        ends: Vec<(Ticket, Option<Ended>)>,
        filed: Vec<Place>,
        committed: Result<Seq, Error>,
    ) {
        let commit = match committed {
            Ok(commit) => Some(commit),
            Err(error) => {
                let lost = ends.iter().filter(|(_, ended)| ended.is_some()).count();
                tracing::error!(%error, attempts = lost, "attempts not recorded");
                None
            }
        };
        let letters = ends.iter().filter_map(|(_, ended)| ended.as_ref()?.2.as_ref());
        let mut letters: VecDeque<Option<Ticket>> = places(commit.unwrap_or_default(), ends.len())
            .zip(letters)
            .map(|(place, letter)| ticket(place, letter, Arc::new(letter.target.clone())).ok())
            .collect();
        let limits = self.limits(ends.iter().map(|(ticket, _)| ticket).chain(letters.iter().flatten()));
        let limit = |ticket: &Ticket| limits.get(&ticket.target).copied().unwrap_or(1);
        let mut is_retry_set = false;
        let mut queues = self.queues();
        if commit.is_some() {
            filed.iter().for_each(|place| queues.written(*place));
        }
        for (ticket, ended) in ends {
            let end = match (commit, ended) {
                (Some(commit), Some((retry, dead, letter))) => {
                    // First the letter: at no moment is nothing of the two unfinished.
                    if letter.is_some()
                        && let Some(letter) = letters.pop_front().flatten()
                    {
                        let limit = limit(&letter);
                        queues.note(&letter);
                        queues.push(letter, limit);
                    }
                    queues.written(ticket.place);
                    if let Some(why) = dead {
                        tracing::warn!(delivery = %ticket.id, target = %ticket.target, why, "delivery is dead");
                    }
                    if retry.is_none() {
                        self.note_end(ticket.place);
                    }
                    retry.map_or(End::Finished(commit), End::Retry)
                }
                _ => End::Lost,
            };
            is_retry_set |= matches!(end, End::Retry(_));
            let limit = limit(&ticket);
            queues.end(ticket, end, limit);
        }
        self.go_on(queues, limits.keys(), is_retry_set);
    }

    /// A delivery has ended, and is on record.
    pub(crate) fn note_end(&self, place: Place) {
        let mut ends = self.recorder.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let number = ends.back().map_or(1, |(number, _)| number + 1);
        ends.push_back((number, place));
        if ends.len() > ENDS_MAX {
            ends.pop_front();
        }
    }

    /// Deliveries that have ended after the one of this number, oldest first, and the number of the last of them.
    pub(crate) fn ended(&self, after: u64, max: usize) -> Result<(Vec<Delivery>, u64), Error> {
        let (found, last) = {
            let ends = self.recorder.ends.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = ends.back().map_or(0, |(number, _)| *number);
            // A number of an earlier run.
            let after = if after > newest { 0 } else { after };
            let found: Vec<(u64, Place)> =
                ends.iter().filter(|(number, _)| *number > after).take(max).copied().collect();
            let last = found.last().map_or(newest, |(number, _)| *number);
            (found, last)
        };
        let mut deliveries = Vec::with_capacity(found.len());
        for (_, place) in found {
            let found = stored::get(&self.store, place)?;
            deliveries.extend(found.map(|(filed, progress)| filed.with(progress)));
        }
        Ok((deliveries, last))
    }
}

/// What one commit writes.
#[derive(Default)]
struct Batch {
    waits: Vec<(Place, Vec<u8>)>,
    ends: Vec<stored::End>,
    letters: Vec<Vec<u8>>,
}

/// When it is tried again, why it is dead, and its letter.
type Ended = (Option<Timestamp>, Option<String>, Option<Filed>);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Future, pending};
    use std::pin::Pin;
    use std::time::Duration;

    use cosette_clock::Clock;
    use cosette_model::function::{Description, Invocation, Invoke, Outcome};
    use cosette_model::{Chain, Target};
    use cosette_store::{Durability, Store};

    use super::*;
    use crate::Options;

    struct Nobody;

    impl Invoke for Nobody {
        fn invoke<'a>(&'a self, _: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
            Box::pin(pending())
        }

        fn describe(&self, _: &Target) -> Option<Description> {
            None
        }
    }

    fn first() -> (Ticket, Arc<Filed>) {
        let filed = Arc::new(Filed {
            id: uuid::Uuid::new_v4().to_string(),
            source: None,
            timer: None,
            target: Target::Webhook { webhook: "w".into() },
            event: "{}".into(),
            created: Timestamp::default(),
            chain: Chain::default(),
            letter_of: None,
            repeats: None,
        });
        let place = Place { commit: Seq(1), index: 0 };
        let ticket = ticket(place, &filed, Arc::new(filed.target.clone())).unwrap();
        (ticket, filed)
    }

    #[test]
    fn a_commit_has_a_bound() {
        let (ticket, _) = first();
        let mut to_write = ToWrite::default();
        for _ in 0..5 {
            let ended =
                Attempted { row: vec![0; BATCH_BYTES_MAX / 2], retry: None, dead: None, letter: None };
            to_write.attempts.push((ticket.clone(), Some(ended)));
        }
        assert_eq!([(); 4].map(|()| to_write.batch().len()), [2, 2, 1, 0]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_refuses_is_not_asked_again_and_again() {
        let store =
            cosette_store::Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(store, Clock::real()).unwrap();
        let options = Options { retry_interval: Duration::from_secs(60), finished_max: 0, loop_limit: 0 };
        let dispatcher = Arc::new(Dispatcher::new(store.clone(), Clock::real(), Arc::new(Nobody), options));
        let (ticket, filed) = first();
        let place = ticket.place;
        {
            let mut queues = dispatcher.queues();
            assert!(queues.seize(&ticket, &filed, 1));
            queues.reach(Seq(1000));
        }
        store.close().await.unwrap();
        for _ in 0..2 {
            let all = tokio::spawn(dispatcher.clone().write_all());
            tokio::time::timeout(Duration::from_secs(10), all).await.unwrap().unwrap();
            assert!(dispatcher.queues().is_fresh(place) && !dispatcher.recorder.to_write().is_busy);
        }
    }
}
