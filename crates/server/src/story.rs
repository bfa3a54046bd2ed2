//! What became of changes: the deliveries that they fired, the invocations, and what these wrote in turn. Out of the
//! change log, the deliveries and the invocations' records; nothing is kept for it.

use std::collections::HashSet;

use cosette_function::{Functions, Record};
use cosette_model::{BucketName, Change, ObjectKey, Seq, VersionId};
use cosette_store::Store;
use cosette_trigger::{Delivery, Triggers};

/// Changes that are read at a time.
const PAGE: usize = 1000;
/// Commits that are looked at for the changes of an object.
const COMMITS_MAX: u64 = 1_000_000;
/// How far back, in commits, a request is looked for: first a little, then more.
const REQUEST_WITHIN: [u64; 2] = [1000, 20_000];
/// Changes, deliveries and invocations that one answer tells of.
const TOLD_MAX: usize = 1000;
/// Records of invocations that are looked at.
const RECORDS_MAX: usize = 100_000;

#[derive(Default)]
pub(crate) struct Story {
    /// In order: those that were asked for, and those that followed.
    pub(crate) changes: Vec<Change>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) invocations: Vec<Record>,
    /// Changes before this one were not looked at, or are no longer known.
    pub(crate) from: Seq,
    /// There is more than can be told.
    pub(crate) truncated: bool,
}

/// Whose story it is.
pub(crate) enum About {
    Object { bucket: BucketName, key: ObjectKey, version: Option<VersionId> },
    Request(String),
    After(Seq),
}

impl About {
    fn is_of(&self, change: &Change) -> bool {
        match self {
            Self::Object { bucket, key, version } => {
                change.bucket == *bucket
                    && change.key.as_ref() == Some(key)
                    && version.as_ref().is_none_or(|version| change.version_id.as_ref() == Some(version))
            }
            Self::Request(id) => change.cause.is_of(id),
            Self::After(_) => true,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) store: Store,
    pub(crate) functions: Functions,
    pub(crate) triggers: Triggers,
}

impl Teller {
    /// The newest `max` changes that it is about, and what came of them. Reads the change log, once or twice.
    pub(crate) fn tell(&self, about: &About, max: usize) -> Result<Story, String> {
        let max = max.min(TOLD_MAX);
        let mut story = Story { from: self.from(about)?, ..Story::default() };
        self.each(story.from, |change| {
            if about.is_of(&change) {
                story.changes.push(change);
            }
            if story.changes.len() > 2 * max {
                story.changes.drain(..story.changes.len() - max);
                story.truncated = true;
            }
        })?;
        story.truncated |= story.changes.len() > max;
        story.changes.drain(..story.changes.len().saturating_sub(max));
        let request = match about {
            About::Request(id) => Some(id.as_str()),
            _ => None,
        };
        let first = story.changes.first().map_or(story.from, |change| change.seq);
        let seqs: HashSet<Seq> = story.changes.iter().map(|change| change.seq).collect();
        let deliveries = self.triggers.consequences(first, &seqs, request, TOLD_MAX);
        story.deliveries = deliveries.map_err(|error| error.to_string())?;
        let ids: HashSet<&str> = story.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        if !ids.is_empty() {
            let mut followed = Vec::new();
            self.each(first, |change| {
                let follows = change.cause.links.iter().any(|link| ids.contains(link.invocation.as_str()));
                if follows && !seqs.contains(&change.seq) && followed.len() < TOLD_MAX {
                    followed.push(change);
                }
            })?;
            story.truncated |= followed.len() >= TOLD_MAX || ids.len() >= TOLD_MAX;
            story.changes.extend(followed);
            story.changes.sort_by_key(|change| change.seq);
        }
        let began = story.deliveries.first().map(|delivery| delivery.created);
        if let Some(from) = story.changes.first().map(|change| change.time).into_iter().chain(began).min() {
            let mut known: HashSet<String> = ids.iter().map(|&id| id.to_owned()).collect();
            let pick = |record: &Record| {
                let is_one = known.contains(&record.request_id)
                    || record.by.as_ref().is_some_and(|by| known.contains(by))
                    || request == Some(record.request_id.as_str());
                if is_one {
                    known.insert(record.request_id.clone());
                }
                is_one
            };
            let found = self.functions.records_since(from, RECORDS_MAX, pick);
            let (invocations, is_whole) = found.map_err(|error| error.to_string())?;
            story.invocations = invocations;
            story.truncated |= !is_whole;
        }
        Ok(story)
    }

    fn from(&self, about: &About) -> Result<Seq, String> {
        let head = self.store.head().0;
        let back = |commits: u64| Seq(head.saturating_sub(commits));
        match about {
            About::Object { .. } => Ok(back(COMMITS_MAX)),
            About::After(seq) => Ok(*seq),
            About::Request(id) => {
                for commits in REQUEST_WITHIN {
                    let mut found = false;
                    self.each(back(commits), |change| found |= change.cause.request_id == *id)?;
                    if found {
                        return Ok(back(commits));
                    }
                }
                Ok(back(REQUEST_WITHIN[1]))
            }
        }
    }

    /// Each change after `from`, in order.
    fn each(&self, from: Seq, mut visit: impl FnMut(Change)) -> Result<(), String> {
        let mut after = from;
        loop {
            let page = self.store.changes(after, PAGE).map_err(|error| error.to_string())?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            page.into_iter().for_each(&mut visit);
        }
    }
}
