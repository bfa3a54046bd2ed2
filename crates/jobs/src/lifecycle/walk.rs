//! One look at a bucket: all that is due in it, and when there will be more.

use cosette_model::op::Listing;
use cosette_model::setting::Act;
use cosette_model::{ObjectKey, Tiering, Timestamp, VersionId};
use cosette_store::{Age, Aging, Error as StoreError, Store, Summary, Upload, View, standing};
use futures_util::future::join_all;

use super::rules::Rules;
use super::{PAGE, Tally};
use crate::{Error, Stop};

/// Keys that are worked on at the same time, so that they share syncs.
const TOGETHER: usize = 64;

pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) rules: &'a Rules,
    pub(super) now: Timestamp,
    pub(super) stop: &'a Stop,
}

impl Walk<'_> {
    pub(super) async fn carry_out(&self) -> Result<Tally, Error> {
        match self.all().await {
            Err(Error::Store(StoreError::NoSuchBucket(_))) => Ok(Tally::default()),
            other => other,
        }
    }

    async fn all(&self) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        // An upload that begins from now on is in no change.
        let begun_later = self.rules.aborts(self.now);
        tally.later(begun_later);
        for prefix in self.rules.prefixes() {
            self.versions(prefix, &mut tally).await?;
            if begun_later.is_some() {
                self.uploads(prefix, &mut tally).await?;
            }
        }
        Ok(tally)
    }

    async fn versions(&self, prefix: &str, tally: &mut Tally) -> Result<(), Error> {
        let (rules, now) = (self.rules, self.now);
        let mut place: (String, Option<VersionId>) = Default::default();
        let mut key: Option<(ObjectKey, Vec<Summary>)> = None;
        let mut waiting = Vec::new();
        loop {
            self.stop.check()?;
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
                self.stop.check()?;
                let some = waiting.drain(..waiting.len().min(TOGETHER));
                let done = join_all(some.map(|(key, versions)| self.age(key, versions))).await;
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
    pub(super) async fn age(&self, key: ObjectKey, mut versions: Vec<Summary>) -> Result<Tally, Error> {
        let (rules, now) = (self.rules, self.now);
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
                        tally.later(rules.earliest(now));
                        match act {
                            Act::Move(class) => {
                                versions[place].storage_class = class;
                                versions[place].tiering = Tiering { accessed: Some(now), archived: None };
                            }
                            Act::Archive(tier) => versions[place].tiering.archived = Some(tier),
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

    async fn uploads(&self, prefix: &str, tally: &mut Tally) -> Result<(), Error> {
        let mut place: (String, String) = Default::default();
        loop {
            self.stop.check()?;
            let listing = listing(prefix, &place.0);
            let page = self.store.list_uploads(&self.rules.bucket, &listing, &place.1)?;
            for upload in page.uploads {
                match self.rules.abort(&upload) {
                    Some((at, _)) if at > self.now => tally.later(Some(at)),
                    Some(_) => tally.aborted += u64::from(self.abort(upload).await?),
                    None => {}
                }
            }
            match page.next {
                Some(next) => place = next,
                None => return Ok(()),
            }
        }
    }

    async fn abort(&self, upload: Upload) -> Result<bool, Error> {
        let decided = self.rules.clone();
        let (bucket, key, id) = (self.rules.bucket.clone(), upload.key, upload.id);
        let aborts = move |view: &View, upload: &Upload, now| {
            let abort = decided.abort(upload);
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

pub(super) fn listing(prefix: &str, after: &str) -> Listing {
    Listing { prefix: prefix.to_owned(), delimiter: None, after: after.to_owned(), max: PAGE as u32 }
}
