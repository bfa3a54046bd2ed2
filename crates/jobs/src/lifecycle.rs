//! Lifecycle rules, carried out: at each day's beginning, as the services do, in each bucket in which
//! something may be due by then (docs/decisions/0016-lifecycle.md).
//!
//! Of each bucket with rules is known until when nothing in it comes due: what a walk over it has
//! found, brought forward by the changes since. So a day on which nothing is due costs a look at the
//! buckets' rules and at the day's changes. That knowledge is in memory alone; a start walks over
//! each bucket once. What is done is decided in the commit that does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cosette_model::op::Listing;
use cosette_model::setting::{Act, Lifecycle, Outlook};
use cosette_model::{
    BucketName, Cause, Change, ChangeKind, Day, EventFamily, ObjectKey, Seq, Setting, SettingName, Timestamp,
    VersionId, Versioning,
};
use cosette_store::{Age, Aging, Error as StoreError, Store, Summary, Upload, View, standing};
use futures_util::future::join_all;

use crate::{Error, Job, Next, Stop};

/// Entries of a listing, or changes, read at a time.
const PAGE: usize = 1000;

/// Keys that are worked on at the same time, so that they share syncs.
const TOGETHER: usize = 64;

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

/// The rules of a bucket as they were read.
#[derive(Clone)]
struct Rules {
    /// Of the bucket: another of its name is another one.
    id: u64,
    bucket: BucketName,
    versioning: Versioning,
    day: Day,
    /// As the bucket keeps them.
    kept: Arc<[u8]>,
    rules: Arc<Lifecycle>,
}

/// What was done to a bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    removed: u64,
    marked: u64,
    moved: u64,
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
        self.aborted += other.aborted;
        self.later(other.next);
    }

    fn did(&mut self, act: Act) {
        match act {
            Act::Remove => self.removed += 1,
            Act::Mark => self.marked += 1,
            Act::Move(_) => self.moved += 1,
        }
    }
}

impl Job for Lifecycles {
    const NAME: &'static str = "lifecycle";

    async fn run_due(&mut self, now: Timestamp, stop: &Stop) -> Result<Next, Error> {
        self.refresh(now).await?;
        let due = self.plans.iter().filter(|(_, plan)| plan.next.is_some_and(|next| next <= now));
        let due: Vec<Rules> = due.map(|(_, plan)| plan.rules.clone()).collect();
        let mut failed = None;
        for rules in due {
            let tally = match self.carry_out(&rules, now, stop).await {
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
            let Tally { removed, marked, moved, aborted, next } = tally;
            if removed + marked + moved + aborted > 0 {
                tracing::info!(bucket = %rules.bucket, removed, marked, moved, aborted, "lifecycle rules");
            } else {
                tracing::debug!(bucket = %rules.bucket, ?next, "lifecycle rules: nothing due");
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Next { at: Some(self.day.next(now)), restores: None }),
        }
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
            let kept = match self.store.setting(&bucket.name, SettingName::Lifecycle.row()) {
                Ok(Some(kept)) => kept,
                // It may have gone by now.
                Ok(None) | Err(StoreError::NoSuchBucket(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let same = before.remove(&bucket.name).filter(|plan| {
                plan.rules.id == bucket.id
                    && *plan.rules.kept == *kept
                    && plan.rules.versioning == bucket.versioning
            });
            if let Some(same) = same {
                self.plans.insert(bucket.name, same);
                continue;
            }
            let Ok(Setting::Lifecycle(rules)) = SettingName::Lifecycle.decode(&kept) else {
                tracing::error!(bucket = %bucket.name, "lifecycle rules cannot be read");
                continue;
            };
            if rules.is_idle() {
                continue;
            }
            let rules = Rules {
                id: bucket.id,
                bucket: bucket.name.clone(),
                versioning: bucket.versioning,
                day: self.day,
                kept: kept.into(),
                rules: Arc::new(rules),
            };
            self.plans.insert(bucket.name, Plan { rules, next: Some(now) });
        }
        Ok(())
    }

    async fn learn_changes(&mut self, mut cursor: Seq, head: Seq) -> Result<(), Error> {
        while !self.plans.is_empty() && cursor < head {
            let changes = self.store.changes(cursor, PAGE)?;
            for change in changes.iter().filter(|change| change.seq <= head) {
                if let Some(plan) = self.plans.get_mut(&change.bucket) {
                    plan.next = earlier(plan.next, plan.rules.earliest(change));
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

    /// All that is due in a bucket.
    async fn carry_out(&self, rules: &Rules, now: Timestamp, stop: &Stop) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        // An upload that begins from now on is in no change.
        let begun_later = rules.rules.rules.iter().filter_map(|rule| rule.abort_uploads).min();
        tally.later(begun_later.map(|days| rules.day.after(now, days)));
        for prefix in rules.rules.prefixes() {
            match self.walk_versions(rules, prefix, now, stop, &mut tally).await {
                Err(Error::Store(StoreError::NoSuchBucket(_))) => return Ok(Tally::default()),
                other => other?,
            }
            if begun_later.is_some() {
                match self.walk_uploads(rules, prefix, now, stop, &mut tally).await {
                    Err(Error::Store(StoreError::NoSuchBucket(_))) => return Ok(Tally::default()),
                    other => other?,
                }
            }
        }
        Ok(tally)
    }

    async fn walk_versions(
        &self,
        rules: &Rules,
        prefix: &str,
        now: Timestamp,
        stop: &Stop,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let mut place: (String, Option<VersionId>) = Default::default();
        let mut key: Option<(ObjectKey, Vec<Summary>)> = None;
        let mut waiting = Vec::new();
        loop {
            stop.check()?;
            let listing = listing(prefix, &place.0);
            let page = self.store.list_versions(&rules.bucket, &listing, place.1.as_ref())?;
            for listed in page.versions {
                match &mut key {
                    Some((last, versions)) if *last == listed.key => versions.push(listed.summary),
                    other => {
                        waiting.extend(
                            other.take().filter(|(key, versions)| rules.wait(key, versions, now, tally)),
                        );
                        *other = Some((listed.key, vec![listed.summary]));
                    }
                }
            }
            if page.next.is_none() {
                waiting.extend(key.take().filter(|(key, versions)| rules.wait(key, versions, now, tally)));
            }
            while waiting.len() >= TOGETHER || (page.next.is_none() && !waiting.is_empty()) {
                stop.check()?;
                let some = waiting.drain(..waiting.len().min(TOGETHER));
                let done = join_all(some.map(|(key, versions)| self.age(rules, key, versions, now))).await;
                for one in done {
                    tally.add(one?);
                }
            }
            match page.next {
                Some(next) => place = next,
                None => return Ok(()),
            }
            tokio::task::yield_now().await;
        }
    }

    /// All that is due of the versions of one key, oldest first: so each still has after it what it
    /// had when they were listed.
    async fn age(
        &self,
        rules: &Rules,
        key: ObjectKey,
        mut versions: Vec<Summary>,
        now: Timestamp,
    ) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let stamps: Vec<u64> = versions.iter().map(|version| version.version.stamp).collect();
        for place in (0..versions.len()).rev() {
            while let Some(version) = versions.get(place) {
                let standing = standing(rules.versioning, &versions, place);
                let outlook = rules.outlook(now, &version.aged(&key, standing));
                if outlook.now.is_none() {
                    tally.later(outlook.next);
                    break;
                }
                if !version.delete_marker {
                    // Tags and locks, which a listing does not show, may say otherwise.
                    match self.store.object(&rules.bucket, &key, Some(&version.version.id())) {
                        Ok(object) => {
                            let outlook = rules.outlook(now, &object.aged(&key, standing));
                            if outlook.now.is_none() {
                                tally.later(outlook.next);
                                break;
                            }
                        }
                        Err(StoreError::NoSuchObject(_) | StoreError::NoSuchVersion) => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                let what = Age {
                    bucket: rules.bucket.clone().into(),
                    key: key.clone(),
                    stamp: stamps[place],
                    after: place.checked_sub(1).map(|after| stamps[after]),
                };
                let decided = rules.clone();
                let aging =
                    self.store.age(what, move |view, version, now| decided.decide(view, version, now)).await;
                match aging {
                    Ok(Aging::Done(act)) => {
                        tally.did(act);
                        // What it leaves is as if written now, or of a later class.
                        tally.later(rules.rules.earliest(rules.day, now));
                        match act {
                            Act::Move(class) => versions[place].storage_class = class,
                            Act::Remove => drop(versions.remove(place)),
                            Act::Mark => break,
                        }
                        if act == Act::Remove {
                            break;
                        }
                    }
                    Ok(Aging::Nothing(next)) => {
                        tally.later(next);
                        break;
                    }
                    // Locked since it was looked at: a change that the next run sees.
                    Err(StoreError::Locked(_)) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(tally)
    }

    async fn walk_uploads(
        &self,
        rules: &Rules,
        prefix: &str,
        now: Timestamp,
        stop: &Stop,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let mut place: (String, String) = Default::default();
        loop {
            stop.check()?;
            let listing = listing(prefix, &place.0);
            let page = self.store.list_uploads(&rules.bucket, &listing, &place.1)?;
            for upload in page.uploads {
                match rules.rules.abort(rules.day, upload.key.as_str(), upload.initiated) {
                    Some((at, _)) if at > now => tally.later(Some(at)),
                    Some(_) => tally.aborted += u64::from(self.abort(rules, upload).await?),
                    None => {}
                }
            }
            match page.next {
                Some(next) => place = next,
                None => return Ok(()),
            }
        }
    }

    async fn abort(&self, rules: &Rules, upload: Upload) -> Result<bool, Error> {
        let decided = rules.clone();
        let (bucket, key, id) = (rules.bucket.clone(), upload.key, upload.id);
        let aborts = move |view: &View, upload: &Upload, now| {
            let abort = decided.rules.abort(decided.day, upload.key.as_str(), upload.initiated);
            let due = abort.filter(|(at, _)| *at <= now && decided.holds(view));
            if let Some((_, rule)) = due {
                tracing::debug!(bucket = %decided.bucket, key = %upload.key, rule, "upload aborted");
            }
            due.is_some()
        };
        match self.store.abort_upload_if(bucket, key, id, aborts).await {
            Ok(aborted) => Ok(aborted),
            Err(StoreError::NoSuchUpload) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Rules {
    fn outlook(&self, now: Timestamp, version: &cosette_model::setting::Aged<'_>) -> Outlook<'_> {
        self.rules.outlook(self.day, now, version)
    }

    /// Whether these are still the bucket's rules.
    fn holds(&self, view: &View) -> bool {
        view.bucket.id == self.id && view.setting(SettingName::Lifecycle.row()) == Some(&*self.kept)
    }

    fn decide(
        &self,
        view: &View,
        version: &cosette_model::setting::Aged<'_>,
        now: Timestamp,
    ) -> Result<(Act, Cause), Option<Timestamp>> {
        if !self.holds(view) {
            return Err(None);
        }
        let outlook = self.outlook(now, version);
        let due = outlook.now.ok_or(outlook.next)?;
        tracing::debug!(bucket = %self.bucket, key = version.key, rule = due.rule, act = ?due.act, "lifecycle");
        Ok((due.act, Cause { rule: Some(due.rule.to_owned()), ..Cause::default() }))
    }

    /// Whether something may be due of the versions of a key; if not, when.
    fn wait(&self, key: &ObjectKey, versions: &[Summary], now: Timestamp, tally: &mut Tally) -> bool {
        for (place, version) in versions.iter().enumerate() {
            let outlook = self.outlook(now, &version.aged(key, standing(self.versioning, versions, place)));
            if outlook.now.is_some() {
                return true;
            }
            tally.later(outlook.next);
        }
        false
    }

    /// Before this a change makes nothing due that was not due anyway.
    fn earliest(&self, change: &Change) -> Option<Timestamp> {
        match change.kind {
            // Done by these rules, which have looked at what it left.
            ChangeKind::Lifecycle(_) => None,
            ChangeKind::Object(event) if event.family() == EventFamily::Created => {
                self.rules.earliest(self.day, change.time)
            }
            // It may have made older ones current, or a marker the last, or rules be for it.
            _ => Some(self.day.after(change.time, 0)),
        }
    }
}

fn listing(prefix: &str, after: &str) -> Listing {
    Listing { prefix: prefix.to_owned(), delimiter: None, after: after.to_owned(), max: PAGE as u32 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
