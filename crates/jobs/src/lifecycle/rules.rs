//! What the rules of one bucket say: those of lifecycle, and those of intelligent tiering that archive.

use std::sync::Arc;

use cosette_model::setting::{Act, Aged, Lifecycle, Outlook, Tiers, fewest};
use cosette_model::{
    BucketName, Cause, Change, ChangeKind, Day, EventFamily, EventType, ObjectKey, Setting, SettingName,
    Timestamp, Versioning,
};
use cosette_store::{Summary, Upload, View, standing};

use super::{Tally, earlier};

/// The rules of a bucket as they were read.
#[derive(Clone)]
pub(super) struct Rules {
    /// Of the bucket: another of its name is another one.
    pub(super) id: u64,
    pub(super) bucket: BucketName,
    pub(super) versioning: Versioning,
    day: Day,
    /// As the bucket keeps them.
    kept: Arc<[Vec<u8>]>,
    lifecycle: Arc<Lifecycle>,
    tiers: Arc<Tiers>,
}

/// The bucket's rules in the form that it keeps.
fn kept(view: &View) -> Vec<Vec<u8>> {
    let lifecycle = view.setting(SettingName::Lifecycle.row()).unwrap_or_default();
    let tiers = SettingName::IntelligentTiering.row_of(Some(""));
    [lifecycle].into_iter().chain(view.settings(&tiers)).map(<[u8]>::to_vec).collect()
}

impl Rules {
    /// `None` if none of them is in force.
    pub(super) fn of(view: &View, day: Day) -> Option<Self> {
        let kept = kept(view);
        let (lifecycle, tiers) = kept.split_first()?;
        let bucket = &view.bucket;
        let unreadable = || tracing::error!(bucket = %bucket.name, "rules cannot be read");
        let lifecycle = match SettingName::Lifecycle.decode(lifecycle) {
            _ if lifecycle.is_empty() => Lifecycle::default(),
            Ok(Setting::Lifecycle(lifecycle)) => lifecycle,
            _ => {
                unreadable();
                Lifecycle::default()
            }
        };
        let mut rules = Vec::new();
        for row in tiers {
            match SettingName::IntelligentTiering.decode(row) {
                Ok(Setting::IntelligentTiering(rule)) => rules.push(rule),
                _ => unreadable(),
            }
        }
        let tiers = Tiers(rules);
        if lifecycle.is_idle() && tiers.is_idle() {
            return None;
        }
        Some(Self {
            id: bucket.id,
            bucket: bucket.name.clone(),
            versioning: bucket.versioning,
            day,
            kept: kept.into(),
            lifecycle: lifecycle.into(),
            tiers: tiers.into(),
        })
    }

    /// Whether these are still the bucket's rules.
    pub(super) fn holds(&self, view: &View) -> bool {
        view.bucket.id == self.id && *kept(view) == *self.kept
    }

    /// The fewest prefixes that all keys with rules have.
    pub(super) fn prefixes(&self) -> Vec<&str> {
        fewest(self.lifecycle.prefixes().into_iter().chain(self.tiers.prefixes()))
    }

    /// What is due of a version, and when there will be more.
    pub(super) fn outlook(&self, now: Timestamp, version: &Aged<'_>) -> Outlook<'_> {
        let lifecycle = self.lifecycle.outlook(self.day, now, version);
        lifecycle.and(self.tiers.outlook(self.day, now, version))
    }

    pub(super) fn decide(
        &self,
        view: &View,
        version: &Aged<'_>,
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
    pub(super) fn wait(
        &self,
        key: &ObjectKey,
        versions: &[Summary],
        now: Timestamp,
        tally: &mut Tally,
    ) -> bool {
        for (place, version) in versions.iter().enumerate() {
            let outlook = self.outlook(now, &version.aged(key, standing(self.versioning, versions, place)));
            if outlook.now.is_some() {
                return true;
            }
            tally.later(outlook.next);
        }
        false
    }

    /// When the first thing can come due for what is written after `time`.
    pub(super) fn earliest(&self, time: Timestamp) -> Option<Timestamp> {
        earlier(self.lifecycle.earliest(self.day, time), self.tiers.earliest(self.day, time))
    }

    /// Before this a change makes nothing due that was not due anyway.
    pub(super) fn earliest_of(&self, change: &Change) -> Option<Timestamp> {
        match change.kind {
            // Done by these rules, which have looked at what it left.
            ChangeKind::Lifecycle(_) => None,
            // A copy is as old as what it is of, and may come below newer versions.
            ChangeKind::Object(EventType::CreatedReplication) => Some(self.day.after(change.time, 0)),
            ChangeKind::Object(event) if event.family() == EventFamily::Created => self.earliest(change.time),
            // It may have made older ones current, or a marker the last, or rules be for it.
            _ => Some(self.day.after(change.time, 0)),
        }
    }

    /// When the first upload that begins after `time` is aborted, if any ever is.
    pub(super) fn aborts(&self, time: Timestamp) -> Option<Timestamp> {
        let days = self.lifecycle.rules.iter().filter_map(|rule| rule.abort_uploads).min();
        days.map(|days| self.day.after(time, days))
    }

    /// When an upload is aborted, and by which rule.
    pub(super) fn abort(&self, upload: &Upload) -> Option<(Timestamp, &str)> {
        self.lifecycle.abort(self.day, upload.key.as_str(), upload.initiated)
    }
}
