//! From the change log to deliveries: reads changes after its cursor, matches them, files what they fire.
//!
//! Deliveries and the cursor go into one commit, so a change is filed exactly once. A page that fires
//! nothing is not worth a commit: the cursor in memory goes on, the one in the store follows now and then, and
//! reading such changes again after a crash fires nothing again, as rules are matched by their intervals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cosette_model::{Change, Happened, Seq, Style, Target};
use cosette_store::{Error as StoreError, Table, Tx};
use uuid::Uuid;

use crate::delivery::{self, DeliveryState, Filed, Place, Source};
use crate::dispatch::{Dispatcher, Stage, ticket};
use crate::matcher::{RuleSet, Why};
use crate::{Error, Rule, event, row, rule, s3};

/// The row of `Table::Cursor` with the seq up to which every change has been dealt with.
pub(crate) const CURSOR: &[u8] = b"trigger.pump";

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
    /// Deliveries filed up to here are an earlier run's; later ones this run has admitted itself.
    born: Seq,
    /// How far those have been taken up; `None` once all have.
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
        let cursor = saved_cursor(store.get(Table::Cursor, CURSOR)?.as_deref())?;
        let born = store.head();
        Ok(Self {
            dispatcher,
            born,
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
                Some(after) => self.load(after),
                None => self.step().await,
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
            && let Err(error) = self.commit(Vec::new(), Vec::new(), self.cursor).await
        {
            tracing::warn!(%error, "cursor not saved");
        }
    }

    /// One page of changes.
    async fn step(&mut self) -> Result<(), Error> {
        // Only what lies up to this head is read: all of it is there, changes and rules alike.
        let store = &self.dispatcher.store;
        let head = store.head();
        let mut changes = store.changes(self.cursor, PAGE)?;
        changes.retain(|change| change.seq <= head);
        let cursor = match changes.last() {
            Some(last) if changes.len() == PAGE => last.seq,
            _ => head.max(self.cursor),
        };
        // The rules are read after the changes: a change is never newer than the rules it meets.
        self.refresh()?;
        let fired = fired(&self.rules, &changes, self.dispatcher.options.loop_limit);
        let spent = std::mem::take(&mut self.spent);
        self.unsaved += changes.len();
        let mut tickets = Vec::with_capacity(fired.len());
        if fired.is_empty() && spent.is_empty() && self.unsaved < UNSAVED_MAX {
            tokio::task::yield_now().await;
        } else {
            let rows = fired
                .iter()
                .map(|(filed, _, stopped)| Ok((row::encode(filed)?, stopped.clone())))
                .collect::<Result<_, Error>>()?;
            let commit = self.commit(rows, spent, cursor).await?;
            for (place, (filed, target, stopped)) in delivery::places(commit, fired.len()).zip(fired) {
                match stopped {
                    None => tickets.push((ticket(place, &filed, target)?, DeliveryState::Pending)),
                    Some(why) => {
                        tracing::warn!(delivery = %filed.id, %target, why, "not delivered");
                        self.dispatcher.note_end(place);
                    }
                }
            }
        }
        self.cursor = cursor;
        self.dispatcher.admit(tickets, Some(cursor));
        Ok(())
    }

    async fn commit(
        &mut self,
        rows: Vec<(Vec<u8>, Option<String>)>,
        spent: Vec<String>,
        cursor: Seq,
    ) -> Result<Seq, Error> {
        let finished_max = self.dispatcher.options.finished_max;
        let write = move |tx: &mut Tx<'_>| {
            delivery::file(tx, rows, finished_max)?;
            rule::purge(tx, &spent);
            tx.put(Table::Cursor, CURSOR, cursor.0.to_be_bytes().to_vec());
            Ok::<_, Error>(())
        };
        let (commit, ()) = self.dispatcher.store.commit(write).await?;
        self.unsaved = 0;
        Ok(commit)
    }

    fn refresh(&mut self) -> Result<(), Error> {
        let store = &self.dispatcher.store;
        let version = rule::version(store)?;
        if version != self.rules_version {
            let rules = rule::all(store)?;
            self.spent = rule::spent(&rules, self.cursor, DELETED_RULES_MAX);
            self.rules = RuleSet::new(rules, self.cursor);
            self.rules_version = version;
        }
        Ok(())
    }

    /// Takes up a page of deliveries of an earlier run.
    fn load(&mut self, after: Option<Place>) -> Result<(), Error> {
        let store = &self.dispatcher.store;
        let found = delivery::unfinished(store, after, PAGE)?;
        let last = found.last().map(|(place, _)| *place);
        let is_more = found.len() == PAGE && last.is_some_and(|last| last.commit <= self.born);
        let mut targets: HashMap<Target, Arc<Target>> = HashMap::new();
        let mut tickets = Vec::with_capacity(found.len());
        for (place, progress) in found.into_iter().filter(|(place, _)| place.commit <= self.born) {
            let Some(filed) = delivery::filed(store, place)? else { continue };
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

/// The deliveries that `changes` fire, in order, with words those that the loop guard stops.
fn fired(rules: &RuleSet, changes: &[Change], loop_limit: u32) -> Vec<(Filed, Arc<Target>, Option<String>)> {
    let mut fired = Vec::new();
    for change in changes {
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
            fired.push((filed, target.clone(), stopped));
        }
        fired.extend(
            rules.greeting(change).map(|(rule, target)| (greeting(change, rule), target.clone(), None)),
        );
    }
    fired
}

fn file(change: &Change, rule: &Rule, event: Happened) -> Option<Filed> {
    let id = Uuid::new_v4().to_string();
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
        id: Uuid::new_v4().to_string(),
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

/// Reads the row of the saved cursor: the beginning when there is none.
pub(crate) fn saved_cursor(row: Option<&[u8]>) -> Result<Seq, Error> {
    let Some(row) = row else { return Ok(Seq::default()) };
    let bytes = row.try_into().map_err(|_| StoreError::Corrupt { what: "trigger cursor".into() })?;
    Ok(Seq(u64::from_be_bytes(bytes)))
}
