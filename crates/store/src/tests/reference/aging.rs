//! Of the model: what the service does to objects by itself.

use cosette_model::setting::{Act, Standing};
use cosette_model::{
    ChangeKind, EventType, LifecycleChange, Restore, RestoreTier, StorageClass, Timestamp, VersionId,
    Versioning, property,
};

use super::model::{Answer, Model, Place, Thing, refuse};

/// A restore that is to be told of when it is finished.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    end: Timestamp,
    /// Whose it is: a bucket by when it was made, and a version of one of its keys.
    made: usize,
    place: Place,
    stamp: u64,
    /// It was finished, and the object shows something else since.
    over: bool,
}

impl Thing {
    pub(super) fn class(&self) -> StorageClass {
        if self.cold { StorageClass::Archive } else { StorageClass::Standard }
    }

    /// When the restore it is in will be finished.
    fn finished_at(&self) -> Option<Timestamp> {
        match self.restore? {
            Restore::Ongoing { tier, requested, .. } => Some(requested.plus(tier.duration(self.class())?)),
            Restore::Done { .. } => None,
        }
    }
}

/// Lifecycle rules.
impl Model {
    /// The stamps of a key's versions, newest first.
    pub(super) fn stamps(&self, place: Place) -> Vec<u64> {
        let versions = self.buckets.get(place.0).and_then(|filled| filled.keys.get(place.1));
        versions.map_or(Vec::new(), |versions| versions.iter().map(|held| held.stamp).collect())
    }

    /// How a version stands and what is done to it by a rule that moves or ends whatever it can.
    pub(super) fn age(
        &mut self,
        place: Place,
        at: usize,
        moves: bool,
        now: u64,
    ) -> Answer<(Standing, Option<Act>)> {
        let (bucket, key) = place;
        let filled = self.bucket(bucket)?;
        let off = filled.versioning == Versioning::Off;
        let versions = filled.keys.entry(key).or_default();
        let is_marker = versions[at].object.is_none();
        let standing = match at {
            0 if off => Standing::Only,
            0 => Standing::Current { alone: is_marker && versions.len() == 1 },
            _ => Standing::Noncurrent { since: Timestamp::default(), newer: at as u32 - 1 },
        };
        let id = versions[at].id();
        if is_marker && (moves || standing == (Standing::Current { alone: false })) {
            return Ok((standing, None));
        }
        let (act, what, shown, thing) = if moves {
            let stamp = versions[at].stamp;
            let thing = versions[at].object.as_mut().unwrap();
            let before = thing.finished_at();
            let (class, now) = (thing.class(), Timestamp::from_micros(now));
            let restored = thing.restore.and_then(|restore| restore.at(class, now));
            thing.restore = restored.filter(|restore| matches!(restore, Restore::Done { .. }));
            thing.cold = true;
            let thing = Some(thing.clone());
            let made = filled.made;
            self.leave((made, place, stamp), before, now);
            (Act::Move(StorageClass::Archive), LifecycleChange::Transitioned, id, thing)
        } else if at == 0 && !off && !is_marker {
            let marker = filled.place(key, None, now)?;
            self.versions.entry(place).or_default().push(marker.clone());
            (Act::Mark, LifecycleChange::DeleteMarkerCreated, marker, None)
        } else if versions[at].is_locked() {
            return refuse("Locked");
        } else {
            let gone = versions.remove(at);
            filled.retire(&gone, now);
            (Act::Remove, LifecycleChange::Deleted, id, gone.object)
        };
        let shown = self.bucket(bucket)?.named(shown);
        self.say(ChangeKind::Lifecycle(what), bucket, Some((key, shown, thing.as_ref())));
        Ok((standing, Some(act)))
    }
}

/// Restores.
impl Model {
    /// Begins a restore, or prolongs one that is finished.
    pub(super) fn restore(
        &mut self,
        place: Place,
        version: Option<&VersionId>,
        tier: RestoreTier,
        now: Timestamp,
    ) -> Answer<Option<Restore>> {
        let held = self.find(place, version, false)?;
        let (id, stamp) = (held.id(), held.stamp);
        let thing = held.object.as_mut().unwrap();
        let (after, begun) = restored(thing.class(), thing.restore, tier, now)?;
        let before = thing.finished_at();
        thing.restore = Some(after);
        let thing = thing.clone();
        let filled = self.bucket(place.0)?;
        let (made, named) = (filled.made, filled.named(id));
        self.leave((made, place, stamp), before, now);
        if let Some(end) = thing.finished_at().filter(|_| begun) {
            self.pending.push(Pending { end, made, place, stamp, over: false });
        }
        let kind =
            if begun { ChangeKind::Object(EventType::RestorePost) } else { ChangeKind::SettingChanged };
        self.say(kind, place.0, Some((place.1, named, Some(&thing))));
        Ok(Some(after))
    }

    /// The object shows another restore, or none: what was finished is told of all the same.
    fn leave(&mut self, whose: (usize, Place, u64), end: Option<Timestamp>, now: Timestamp) {
        let Some(end) = end else { return };
        let is_it =
            |p: &Pending| !p.over && (p.made, p.place, p.stamp, p.end) == (whose.0, whose.1, whose.2, end);
        if end > now {
            self.pending.retain(|pending| !is_it(pending));
        }
        self.pending.iter_mut().filter(|pending| is_it(pending)).for_each(|pending| pending.over = true);
    }

    /// Tells of the next restore that is finished; whether there was one.
    pub(super) fn finish(&mut self, now: Timestamp) -> bool {
        let ends = self.pending.iter().enumerate();
        let next = ends.min_by_key(|(at, pending)| (pending.end, *at)).map(|(at, _)| at);
        let Some(at) = next.filter(|at| self.pending[*at].end <= now) else { return false };
        let Pending { end, made, place, stamp, over } = self.pending.remove(at);
        let Some(filled) = self.buckets.get(place.0).filter(|filled| filled.made == made) else {
            return true;
        };
        let versions = filled.keys.get(place.1).into_iter().flatten();
        let Some(held) = versions.clone().find(|held| held.stamp == stamp) else { return true };
        let Some(thing) = &held.object else { return true };
        if over || thing.finished_at() == Some(end) {
            let (named, thing) = (filled.named(held.id()), thing.clone());
            let kind = ChangeKind::Object(EventType::RestoreCompleted);
            self.say(kind, place.0, Some((place.1, named, Some(&thing))));
        }
        true
    }
}

/// What a restore that is asked for makes of the one there is, and whether one begins.
pub(super) fn restored(
    class: StorageClass,
    before: Option<Restore>,
    tier: RestoreTier,
    now: Timestamp,
) -> Answer<(Restore, bool)> {
    if !class.is_archive() {
        return refuse("PreconditionFailed");
    }
    match before.and_then(|before| before.at(class, now)) {
        Some(Restore::Ongoing { tier: running, .. }) if tier >= running => refuse("PreconditionFailed"),
        Some(Restore::Done { .. }) => Ok((Restore::Done { expires: property::expiry(now, 1) }, false)),
        _ => Ok((Restore::Ongoing { tier, days: 1, requested: now }, true)),
    }
}
