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

    /// Until nothing is left.
    async fn write_all(self: Arc<Self>) {
        loop {
            let lagging = self.lagging();
            let attempts = {
                let mut to_write = self.recorder.to_write();
                if to_write.attempts.is_empty() && lagging.is_empty() {
                    to_write.is_busy = false;
                    return;
                }
                std::mem::take(&mut to_write.attempts)
            };
            self.write(attempts, lagging).await;
        }
    }

    /// One commit, and what follows from it.
    async fn write(self: &Arc<Self>, attempts: Vec<(Ticket, Option<Attempted>)>, lagging: Fresh) {
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
        for (place, delivery) in lagging {
            // Where it cannot be written the cursor waits for its end.
            if let Ok(row) = stored::encode(&delivery, &Progress::default()) {
                batch.waits.push((place, row));
                filed.push(place);
            }
        }
        let committed = self.commit(batch, upto).await;
        self.settle(ends, filed, committed);
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
        for target in limits.keys() {
            self.start(&mut queues, target);
        }
        drop(queues);
        if is_retry_set {
            self.retry_set.notify_one();
        }
        self.moved.send_replace(());
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
