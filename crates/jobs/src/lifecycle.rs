//! Rules that count days, carried out: at each day's beginning, as the services do, in each bucket in which
//! something may be due by then (docs/decisions/0016-lifecycle.md). They are those of lifecycle and those by
//! which intelligent tiering archives; reads, which put the latter off, are written down just before.
//!
//! Of each bucket with rules is known until when nothing in it comes due: what a walk over it has
//! found, brought forward by the changes since. So a day on which nothing is due costs a look at the
//! buckets' rules and at the day's changes. That knowledge is in memory alone; a start walks over
//! each bucket once. What is done is decided in the commit that does it.

mod rules;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod walk;

use std::collections::BTreeMap;

use cosette_model::setting::Act;
use cosette_model::{BucketName, Day, Seq, Timestamp};
use cosette_store::{Error as StoreError, Store};
use rules::Rules;
use walk::Walk;

use crate::{Called, Error, Job, Next, Stop};

/// Entries of a listing, or changes, read at a time.
const PAGE: usize = 1000;

pub(crate) struct Lifecycles {
    store: Store,
    day: Day,
    plans: BTreeMap<BucketName, Plan>,
    /// Changes up to here have been looked at; `None` before the first run.
    cursor: Option<Seq>,
}

/// A bucket whose rules are in force.
struct Plan {
    rules: Rules,
    /// Before this nothing comes due; `None` for never.
    next: Option<Timestamp>,
}

/// What was done to a bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    removed: u64,
    marked: u64,
    moved: u64,
    archived: u64,
    aborted: u64,
    /// When there may be more to do.
    next: Option<Timestamp>,
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

impl Tally {
    fn later(&mut self, at: Option<Timestamp>) {
        self.next = earlier(self.next, at);
    }

    fn add(&mut self, other: Self) {
        self.removed += other.removed;
        self.marked += other.marked;
        self.moved += other.moved;
        self.archived += other.archived;
        self.aborted += other.aborted;
        self.later(other.next);
    }

    fn did(&mut self, act: Act) {
        match act {
            Act::Remove => self.removed += 1,
            Act::Mark => self.marked += 1,
            Act::Move(_) => self.moved += 1,
            Act::Archive(_) => self.archived += 1,
        }
    }
}

impl Job for Lifecycles {
    const NAME: &'static str = "lifecycle";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        self.store.write_reads().await?;
        self.refresh(now).await?;
        let due = self.plans.iter().filter(|(_, plan)| plan.next.is_some_and(|next| next <= now));
        let due: Vec<Rules> = due.map(|(_, plan)| plan.rules.clone()).collect();
        let mut failed = None;
        for rules in due {
            let walk = Walk { store: &self.store, rules: &rules, now, stop };
            let tally = match walk.carry_out().await {
                // What is damaged in one bucket holds up no other.
                Err(Error::Store(error))
                    if !matches!(error, StoreError::Closed | StoreError::Poisoned(_)) =>
                {
                    tracing::error!(bucket = %rules.bucket, %error, "lifecycle rules");
                    failed = failed.or(Some(error));
                    continue;
                }
                tally => tally?,
            };
            if let Some(plan) = self.plans.get_mut(&rules.bucket) {
                plan.next = tally.next;
            }
            let Tally { removed, marked, moved, archived, aborted, next } = tally;
            if removed + marked + moved + archived + aborted > 0 {
                tracing::info!(bucket = %rules.bucket, removed, marked, moved, archived, aborted, "lifecycle rules");
            } else {
                tracing::debug!(bucket = %rules.bucket, ?next, "lifecycle rules: nothing due");
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Next { at: Some(self.day.next(now)), restores: None }),
        }
    }

    async fn early(&self) {
        self.store.many_reads().await;
    }

    fn called(&self) -> Called {
        let store = self.store.clone();
        Box::new(move || store.has_many_reads())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.store.write_reads().await?;
        Ok(())
    }
}

impl Lifecycles {
    pub(crate) fn new(store: Store, day: Day) -> Self {
        Self { store, day, plans: BTreeMap::new(), cursor: None }
    }

    /// Learns of rules and of changes since the last run.
    async fn refresh(&mut self, now: Timestamp) -> Result<(), Error> {
        // Taken before anything is read: what comes later is looked at by the next run.
        let head = self.store.head();
        self.learn_rules(now)?;
        match self.cursor {
            Some(cursor) if self.store.remembers(cursor) => self.learn_changes(cursor, head).await?,
            // Nothing is known of what has happened.
            _ => self.plans.values_mut().for_each(|plan| plan.next = Some(now)),
        }
        self.cursor = Some(head);
        Ok(())
    }

    fn learn_rules(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.plans);
        for bucket in self.store.buckets()? {
            // It may have gone by now.
            let Some(view) = self.store.view(&bucket.name)? else { continue };
            let same = before
                .remove(&bucket.name)
                .filter(|plan| plan.rules.holds(&view) && plan.rules.versioning == view.bucket.versioning);
            if let Some(same) = same {
                self.plans.insert(bucket.name, same);
                continue;
            }
            let Some(rules) = Rules::of(&view, self.day) else { continue };
            self.plans.insert(bucket.name, Plan { rules, next: Some(now) });
        }
        Ok(())
    }

    async fn learn_changes(&mut self, mut cursor: Seq, head: Seq) -> Result<(), Error> {
        while !self.plans.is_empty() && cursor < head {
            let changes = self.store.changes(cursor, PAGE)?;
            for change in changes.iter().filter(|change| change.seq <= head) {
                if let Some(plan) = self.plans.get_mut(&change.bucket) {
                    plan.next = earlier(plan.next, plan.rules.earliest_of(change));
                }
            }
            match changes.last() {
                Some(last) if changes.len() == PAGE => cursor = last.seq,
                _ => break,
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
