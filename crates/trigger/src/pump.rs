//! From the change log to deliveries: reads changes after its cursor, matches them, lets what they fire run, and files
//! what has to wait.
//!
//! What a change fires depends on the change and the rules alone, ids and all. So the cursor in the store
//! is what makes it durable: it stays before each change with a delivery that is in no row yet. A start reads
//! the changes after it once more and files what is not there. A page that has nothing to file is not
//! worth a commit: the cursor in memory goes on, the one in the store follows with the ends of attempts, and now and then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cosette_model::{Change, Happened, Seq, Style, Target};
use cosette_store::{Error as StoreError, Tx};
use md5::{Digest, Md5};

use crate::delivery::{DeliveryState, Filed, Place, Progress, Source, places};
use crate::dispatch::{Dispatcher, Fired, Stage, ticket};
use crate::matcher::{RuleSet, Why};
use crate::{Error, Rule, event, rule, s3, stored};

/// Changes read at a time.
const PAGE: usize = 256;

/// Changes after which the cursor is saved though they fired nothing.
const UNSAVED_MAX: usize = 4096;

/// Deleted rules that are kept for who asks why nothing came of a change.
const DELETED_RULES_MAX: usize = 256;

/// Pauses after an error of the store: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

pub(crate) struct Pump {
    dispatcher: Arc<Dispatcher>,
    /// Changes up to here are an earlier run's, with their deliveries; later ones this run admits itself.
    born: Seq,
    /// What changes up to here fire may have begun or been filed before.
    doubtful: Seq,
    /// How far the deliveries of an earlier run have been taken up; `None` once all have.
    loaded: Option<Option<Place>>,
    cursor: Seq,
    /// Changes read since the cursor was saved.
    unsaved: usize,
    rules: RuleSet,
    /// Deleted rules that nothing can fire any more, beyond those that are kept.
    spent: Vec<String>,
    rules_version: Option<Vec<u8>>,
}

impl Pump {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>) -> Result<Self, Error> {
        let store = &dispatcher.store;
        let cursor = stored::saved_cursor(store)?;
        let born = store.head();
        Ok(Self {
            dispatcher,
            born,
            doubtful: born,
            loaded: Some(None),
            cursor,
            unsaved: 0,
            rules: RuleSet::default(),
            spent: Vec::new(),
            rules_version: None,
        })
    }

    /// Runs until the stop or until the store refuses.
    pub(crate) async fn run(mut self) {
        let dispatcher = self.dispatcher.clone();
        let mut pause = PAUSE.0;
        while dispatcher.is_running() {
            let step = match self.loaded {
                // First what a crash has left in no row, so that all are taken up in order.
                Some(_) if self.cursor < self.born => self.step(self.born).await,
                Some(after) => self.load(after),
                None => self.step(dispatcher.store.head()).await,
            };
            match step {
                Ok(()) => pause = PAUSE.0,
                Err(Error::Store(StoreError::Closed)) => return,
                Err(error @ Error::Store(StoreError::Poisoned(_))) => {
                    tracing::error!(%error, cursor = self.cursor.0, "no more events are delivered until a restart");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, cursor = self.cursor.0, "events wait");
                    self.doubtful = dispatcher.store.head();
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = dispatcher.reached(Stage::Draining) => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                    continue;
                }
            }
            if self.loaded.is_some() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = dispatcher.store.changed(self.cursor) => {}
                () = dispatcher.reached(Stage::Draining) => {}
            }
        }
        if self.unsaved > 0
            && let Err(error) = self.commit(&[], Vec::new(), self.cursor).await
        {
            tracing::warn!(%error, "cursor not saved");
        }
    }

    /// One page of changes, of those up to `head`.
    async fn step(&mut self, head: Seq) -> Result<(), Error> {
        // Only what lies up to this head is read: all of it is there, changes and rules alike.
        let store = &self.dispatcher.store;
        let mut changes = store.changes(self.cursor, PAGE)?;
        let is_more = changes.len() == PAGE;
        changes.retain(|change| change.seq <= head);
        let cursor = match changes.last() {
            Some(last) if is_more && changes.len() == PAGE => last.seq,
            _ => head.max(self.cursor),
        };
        // The rules are read after the changes: a change is never newer than the rules it meets.
        self.refresh()?;
        let mut fired = fired(&self.rules, &changes, self.dispatcher.options.loop_limit)?;
        if changes.first().is_some_and(|change| change.seq <= self.doubtful) {
            fired = self.unknown(fired)?;
        }
        let is_loaded = self.loaded.is_none();
        let waiting = if is_loaded { self.dispatcher.begin(fired, cursor) } else { fired };
        let spent = std::mem::take(&mut self.spent);
        self.unsaved += changes.len();
        if waiting.is_empty() {
            // Everything has begun or is on record, whether the commit below succeeds or not: it is not read again.
            self.cursor = cursor;
        }
        if waiting.is_empty() && spent.is_empty() && self.unsaved < UNSAVED_MAX {
            tokio::task::yield_now().await;
        } else {
            self.commit(&waiting, spent, cursor).await?;
        }
        let mut tickets = Vec::with_capacity(waiting.len());
        for Fired { ticket, filed, stopped } in waiting {
            match stopped {
                None => tickets.push((ticket, DeliveryState::Pending)),
                Some(why) => {
                    tracing::warn!(delivery = %filed.id, target = %ticket.target, why, "not delivered");
                    self.dispatcher.note_end(ticket.place);
                }
            }
        }
        self.cursor = cursor;
        if is_loaded {
            self.dispatcher.admit(tickets, Some(cursor));
            self.dispatcher.catch_up();
        }
        Ok(())
    }

    /// Of these, what neither waits nor runs nor is on record.
    fn unknown(&self, fired: Vec<Fired>) -> Result<Vec<Fired>, Error> {
        let mut unknown = Vec::with_capacity(fired.len());
        for fired in fired {
            let place = fired.ticket.place;
            // In this order: what ends in between is on record.
            let is_known = self.dispatcher.queues().is_unfinished(place)
                || stored::get(&self.dispatcher.store, place)?.is_some();
            if !is_known {
                unknown.push(fired);
            }
        }
        Ok(unknown)
    }

    /// Files what waits, and saves the cursor as far as it may go.
    async fn commit(&mut self, waiting: &[Fired], spent: Vec<String>, cursor: Seq) -> Result<(), Error> {
        let mut waits = Vec::new();
        let mut ends = Vec::new();
        for Fired { ticket, filed, stopped } in waiting {
            let place = ticket.place;
            match stopped.clone() {
                None => waits.push((place, stored::encode(filed, &Progress::default())?)),
                Some(why) => {
                    let dead = Progress { state: DeliveryState::Dead { why }, ..Progress::default() };
                    ends.push(stored::End { place, row: stored::encode(filed, &dead)?, waited: false });
                }
            }
        }
        let upto = self.dispatcher.queues().in_rows(cursor, &HashSet::new());
        let finished_max = self.dispatcher.options.finished_max;
        let write = move |tx: &mut Tx<'_>| {
            stored::advance(tx, upto)?;
            for (place, row) in waits {
                stored::wait(tx, place, row);
            }
            rule::purge(tx, &spent);
            stored::end(tx, ends, finished_max)
        };
        self.dispatcher.store.commit::<_, Error, _>(write).await?;
        self.unsaved = 0;
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), Error> {
        let store = &self.dispatcher.store;
        let version = rule::version(store)?;
        if version != self.rules_version {
            let rules = rule::all(store)?;
            // What is read once more after a crash must find the same rules.
            let upto = self.dispatcher.queues().in_rows(self.cursor, &HashSet::new());
            self.spent = rule::spent(&rules, upto, DELETED_RULES_MAX);
            self.rules = RuleSet::new(rules, self.cursor);
            self.rules_version = version;
        }
        Ok(())
    }

    /// Takes up a page of deliveries of an earlier run.
    fn load(&mut self, after: Option<Place>) -> Result<(), Error> {
        let store = &self.dispatcher.store;
        let found = stored::unfinished(store, after, PAGE)?;
        let last = found.last().map(|(place, ..)| *place);
        let is_more = found.len() == PAGE && last.is_some_and(|last| last.commit <= self.born);
        let mut targets: HashMap<Target, Arc<Target>> = HashMap::new();
        let mut tickets = Vec::with_capacity(found.len());
        for (place, filed, progress) in found.into_iter().filter(|(place, ..)| place.commit <= self.born) {
            let shared = || Arc::new(filed.target.clone());
            let target = targets.entry(filed.target.clone()).or_insert_with(shared).clone();
            let mut ticket = ticket(place, &filed, target)?;
            if progress.tries > 0 {
                ticket.lane = None;
            }
            tickets.push((ticket, progress.state));
        }
        self.dispatcher.admit(tickets, (!is_more).then_some(self.cursor));
        self.loaded = is_more.then_some(last);
        Ok(())
    }
}

/// What `changes` fire, in order, with words what the loop guard stops.
fn fired(rules: &RuleSet, changes: &[Change], loop_limit: u32) -> Result<Vec<Fired>, Error> {
    let mut fired = Vec::new();
    for change in changes {
        let mut places = places(change.seq, usize::MAX);
        let mut add = |filed: Filed, target: &Arc<Target>, stopped| {
            let Some(place) = places.next() else { return Ok(()) };
            let ticket = ticket(place, &filed, target.clone())?;
            fired.push(Fired { ticket, filed: Arc::new(filed), stopped });
            Ok::<_, Error>(())
        };
        for (rule, target, judged) in rules.fired(change, loop_limit) {
            let (event, why) = match judged {
                Ok(event) => (event, None),
                Err(why) => match why {
                    Why::Loop { ref event, .. } => (event.clone(), Some(why)),
                    _ => continue,
                },
            };
            let Some(filed) = file(change, rule, event) else { continue };
            let stopped = why.map(|why| format!("{why}: {}", filed.chain.clone().then(filed.link())));
            add(filed, target, stopped)?;
        }
        for (rule, target) in rules.greeting(change) {
            add(greeting(change, rule), target, None)?;
        }
    }
    Ok(fired)
}

/// The id of what a rule makes of a change: the same whenever and by whatever build it is made.
fn id(change: &Change, rule: &Rule) -> String {
    let mut digest = Md5::new();
    for number in [change.seq.0, change.time.as_millis()] {
        digest.update(number.to_be_bytes());
    }
    for text in [change.bucket.as_str(), &change.cause.request_id, &rule.id] {
        digest.update(text);
        digest.update([0]);
    }
    uuid::Builder::from_random_bytes(digest.finalize().into()).into_uuid().to_string()
}

fn file(change: &Change, rule: &Rule, event: Happened) -> Option<Filed> {
    let id = id(change, rule);
    let plain = || rule::Configuration { id: rule.id.clone(), owner: change.appid.clone(), greets: false };
    let of = rule.configuration.clone().unwrap_or_else(plain);
    let message = match rule.style {
        Style::Cos => event::message(change, change.kind.event()?, &rule.target),
        Style::S3 => s3::record(change, change.kind.s3_event()?, &of),
        Style::EventBridge => s3::bus_event(change, &id, &of)?,
    };
    Some(Filed {
        id,
        source: Some(Source {
            seq: change.seq,
            rule: rule.id.clone(),
            event,
            bucket: change.bucket.clone(),
            key: change.key.clone()?,
            request_id: change.cause.request_id.clone(),
        }),
        timer: None,
        target: rule.target.clone(),
        event: message,
        created: change.time,
        chain: change.cause.chain(),
        letter_of: None,
        repeats: None,
    })
}

/// What tells a target that it is to hear of the bucket. No object stands behind it.
fn greeting(change: &Change, rule: &Rule) -> Filed {
    Filed {
        id: id(change, rule),
        source: None,
        timer: None,
        target: rule.target.clone(),
        event: s3::test(change),
        created: change.time,
        chain: change.cause.chain(),
        letter_of: None,
        repeats: None,
    }
}
