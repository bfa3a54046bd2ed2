//! What lifecycle rules make of one version of an object, and when. Pure: the clock and the store
//! are the caller's.
//!
//! Days are counted from the last write (of a version that is not current: from the write that took
//! its place) and end at a day's beginning, as S3 rounds them ("Setting lifecycle configuration on a
//! bucket") and as COS, whose rules are carried out once a day, does in effect.

use std::collections::BTreeMap;

use super::{Expiration, Lifecycle, LifecycleFilter, LifecycleRule, Noncurrent, SmallObjects, Status, When};
use crate::{ArchiveTier, Day, Lock, Restore, StorageClass, Tiering, Timestamp};

/// One version as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Aged<'a> {
    pub key: &'a str,
    pub standing: Standing,
    /// A delete marker: it has neither size nor tags, and no rule that asks for one is for it.
    pub marker: bool,
    pub written: Timestamp,
    /// Bytes.
    pub size: u64,
    pub class: StorageClass,
    /// `None` if they are not known: then they are as a rule wants them.
    pub tags: Option<&'a BTreeMap<String, String>>,
    pub lock: Lock,
    pub tiering: Tiering,
    pub restore: Option<Restore>,
}

/// A version's place among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The current one of a bucket that never had versions.
    Only,
    /// The current one.
    Current {
        /// There is no other.
        alone: bool,
    },
    Noncurrent {
        /// When the version after it was written.
        since: Timestamp,
        /// How many that are not current are newer.
        newer: u32,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// This version goes for good.
    Remove,
    /// A delete marker takes its place.
    Mark,
    Move(StorageClass),
    /// Into a tier of intelligent tiering.
    Archive(ArchiveTier),
}

/// Something that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    pub act: Act,
    pub at: Timestamp,
    /// The rule's id.
    pub rule: &'a str,
}

/// What is due, and until when nothing else is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook<'a> {
    pub now: Option<Due<'a>>,
    /// When there may be more to do if nothing happens to the object; counts only while nothing is due.
    pub next: Option<Timestamp>,
}

impl<'a> Outlook<'a> {
    /// What two sets of rules have in store.
    #[must_use]
    pub fn and(self, other: Outlook<'a>) -> Self {
        let now = match (self.now, other.now) {
            (Some(one), Some(two)) if (rank(two.act), two.at) < (rank(one.act), one.at) => Some(two),
            (one, two) => one.or(two),
        };
        Self { now, next: self.next.into_iter().chain(other.next).min() }
    }

    pub(super) fn later(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl When {
    /// When it has come for something that was written then; `None` for never.
    fn of(self, written: Timestamp, day: Day, only_before: bool) -> Option<Timestamp> {
        match self {
            Self::Days(days) => Some(day.after(written, days)),
            Self::Date(date) if only_before && written >= date => None,
            Self::Date(date) => Some(date.max(day.after(written, 0))),
        }
    }
}

impl LifecycleFilter {
    fn is_for_key(&self, key: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
            && self.not_prefix.as_ref().is_none_or(|prefix| !key.starts_with(prefix.as_str()))
    }

    fn is_for(&self, version: &Aged<'_>) -> bool {
        if !self.is_for_key(version.key) {
            return false;
        }
        if version.marker {
            return self.tags.is_empty() && !self.has_size();
        }
        self.larger.is_none_or(|bytes| version.size > bytes)
            && self.smaller.is_none_or(|bytes| version.size < bytes)
            && version
                .tags
                .is_none_or(|tags| self.tags.iter().all(|(key, value)| tags.get(key) == Some(value)))
    }
}

impl SmallObjects {
    pub(super) fn stays(self, size: u64, to: StorageClass) -> bool {
        match self {
            Self::Move => false,
            Self::Stay => size < 128 << 10,
            Self::StayUnlessArchived => size < 128 << 10 && !to.is_archive(),
            Self::StayInCos => size < 64 << 10,
        }
    }
}

impl Lifecycle {
    /// Rules that are in force.
    fn enabled(&self) -> impl Iterator<Item = &LifecycleRule> {
        self.rules.iter().filter(|rule| rule.status == Status::Enabled)
    }

    pub fn is_idle(&self) -> bool {
        self.enabled().next().is_none()
    }

    /// Whether a rule in force looks at tags.
    pub fn has_tags(&self) -> bool {
        self.enabled().any(|rule| !rule.filter.tags.is_empty())
    }

    /// The fewest prefixes that all keys with rules in force have; one that is empty is all keys.
    pub fn prefixes(&self) -> Vec<&str> {
        fewest(self.enabled().map(|rule| rule.filter.prefix.as_deref().unwrap_or_default()))
    }

    /// When the first action can come due for what is written after `time`, by whoever does not look
    /// at it.
    pub fn earliest(&self, day: Day, time: Timestamp) -> Option<Timestamp> {
        let of_rule = |rule: &LifecycleRule| {
            let mut days: Vec<u32> = Vec::new();
            let mut dates = Vec::new();
            let mut add = |when| match when {
                When::Days(count) => days.push(count),
                When::Date(date) => dates.push(date),
            };
            rule.transitions.iter().for_each(|step| add(step.when));
            if let Some(Expiration::At(when)) = rule.expiration {
                add(when);
            }
            // One more version can be one too many for older ones whose days are long over.
            let noncurrent = |after: Noncurrent| if after.keep.is_some() { 0 } else { after.days };
            days.extend(rule.noncurrent_transitions.iter().map(|step| noncurrent(step.after)));
            days.extend(rule.noncurrent_expiration.map(noncurrent));
            days.extend(rule.abort_uploads);
            let dates = dates.into_iter().map(|date| date.max(day.after(time, 0)));
            days.into_iter().map(|count| day.after(time, count)).chain(dates).min()
        };
        self.enabled().filter_map(of_rule).min()
    }

    /// What is to be done with a version at `now`.
    ///
    /// Of several actions that are due, one that removes for good comes before a transition, and that
    /// before a delete marker; of transitions the one that goes furthest (S3, "Conflicting lifecycle
    /// actions"). Whoever has done one asks again.
    pub fn outlook(&self, day: Day, now: Timestamp, version: &Aged<'_>) -> Outlook<'_> {
        let mut outlook = Outlook::default();
        for rule in self.enabled().filter(|rule| rule.filter.is_for(version)) {
            for (act, at) in self.actions(rule, day, version) {
                if at > now {
                    outlook.later(at);
                } else if outlook.now.is_none_or(|due| (rank(act), at) < (rank(due.act), due.at)) {
                    outlook.now = Some(Due { act, at, rule: &rule.id });
                }
            }
        }
        outlook
    }

    /// The actions of a rule that is for this version, with their times.
    fn actions(&self, rule: &LifecycleRule, day: Day, version: &Aged<'_>) -> Vec<(Act, Timestamp)> {
        let mut actions = Vec::new();
        let goes = |to: StorageClass| {
            version.class.falls_to(to) && (rule.filter.has_size() || !self.small.stays(version.size, to))
        };
        match version.standing {
            Standing::Only | Standing::Current { .. } if !version.marker => {
                for step in rule.transitions.iter().filter(|step| goes(step.class)) {
                    let at = step.when.of(version.written, day, self.written_before);
                    actions.extend(at.map(|at| (Act::Move(step.class), at)));
                }
                if let Some(Expiration::At(when)) = rule.expiration
                    && let Some(at) = when.of(version.written, day, self.written_before)
                {
                    match version.standing {
                        Standing::Only => actions.extend(unlocked(version, day, at)),
                        _ => actions.push((Act::Mark, at)),
                    }
                }
            }
            Standing::Current { alone: true } => {
                let at = match rule.expiration {
                    Some(Expiration::At(when)) => when.of(version.written, day, self.written_before),
                    Some(Expiration::Marker(true)) => Some(day.after(version.written, 0)),
                    Some(Expiration::Marker(false)) | None => None,
                };
                actions.extend(at.map(|at| (Act::Remove, at)));
            }
            Standing::Only | Standing::Current { .. } => {}
            Standing::Noncurrent { since, newer } => {
                let of = |after: Noncurrent| {
                    let counts = after.keep.is_none_or(|keep| newer >= keep);
                    counts.then(|| day.after(since, after.days))
                };
                if !version.marker {
                    for step in rule.noncurrent_transitions.iter().filter(|step| goes(step.class)) {
                        actions.extend(of(step.after).map(|at| (Act::Move(step.class), at)));
                    }
                }
                let end = rule.noncurrent_expiration.and_then(of);
                actions.extend(end.and_then(|at| unlocked(version, day, at)));
            }
        }
        actions
    }

    /// When the current object will be gone or marked as deleted, and by which rule, as headers tell it.
    pub fn expiry(&self, day: Day, version: &Aged<'_>) -> Option<(Timestamp, &str)> {
        self.enabled()
            .filter(|rule| rule.filter.is_for(version))
            .filter_map(|rule| match rule.expiration {
                Some(Expiration::At(when)) => {
                    when.of(version.written, day, self.written_before).map(|at| (at, rule.id.as_str()))
                }
                _ => None,
            })
            .min_by_key(|(at, _)| *at)
    }

    /// When an upload that is not finished will be aborted, and by which rule.
    pub fn abort(&self, day: Day, key: &str, initiated: Timestamp) -> Option<(Timestamp, &str)> {
        self.enabled()
            .filter(|rule| {
                rule.filter.is_for_key(key) && rule.filter.tags.is_empty() && !rule.filter.has_size()
            })
            .filter_map(|rule| Some((day.after(initiated, rule.abort_uploads?), rule.id.as_str())))
            .min_by_key(|(at, _)| *at)
    }
}

/// Of some prefixes those that are not covered by another.
pub fn fewest<'a>(prefixes: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut prefixes: Vec<&str> = prefixes.into_iter().collect();
    prefixes.sort_unstable();
    // What begins with a prefix comes right after it.
    prefixes.dedup_by(|later, earlier| later.starts_with(&**earlier));
    prefixes
}

/// What comes first of what is due.
const fn rank(act: Act) -> (u8, u8) {
    match act {
        Act::Remove => (0, 0),
        Act::Move(to) => (1, u8::MAX - to.stair()),
        Act::Archive(ArchiveTier::DeepArchive) => (2, 0),
        Act::Archive(ArchiveTier::Archive) => (2, 1),
        Act::Mark => (3, 0),
    }
}

/// The removal of a version for good, once no lock is in its way.
fn unlocked(version: &Aged<'_>, day: Day, at: Timestamp) -> Option<(Act, Timestamp)> {
    if version.lock.legal_hold {
        return None;
    }
    let until = version.lock.retention.map(|retention| day.after(retention.until, 0));
    Some((Act::Remove, until.map_or(at, |until| until.max(at))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
