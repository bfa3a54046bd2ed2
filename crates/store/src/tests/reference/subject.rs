//! A store beside its model: each operation is done to both.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cosette_blob::Disk;
use cosette_clock::Clock;
use cosette_model::op::{TagMatch, WriteConditions};
use cosette_model::setting::{Act, Aged, Standing};
use cosette_model::{ETag, EventType, RestoreTier, Seq, StorageClass, Timestamp, UploadId, VersionId};

use super::aging::restored;
use super::compare::{agrees, answer, opened, report, tags};
use super::model::{Model, Open, Place, Thing, UploadOf, When};
use super::operations::{At, Op, bucket, setting, tier, wait};
use super::sealed::Way;
use crate::schema::Kind;
use crate::settings::Settings;
use crate::tests::{
    Scratch, cause, clock, consistent, create, drain, key, listing, name, recovery, try_seal,
};
use crate::{
    Age, Aging, DeleteObject, Durability, Error, Options, Result, ReviseObject, Store, Table, Tx, View,
};

pub(crate) struct Subject {
    /// `None` between two processes.
    store: Option<Store>,
    clock: Clock,
    disk: Disk,
    settings: Settings,
    pub(super) model: Model,
    /// The failure of the disk that the last operation was refused with.
    pub(super) failed: Option<String>,
    /// How far the change log has been compared, and how many changes that are.
    pub(super) compared: (Seq, usize),
    /// Last, so that its files outlive the store. `None` for a store in memory.
    pub(super) scratch: Option<Scratch>,
}

/// Its life.
impl Subject {
    pub(crate) fn closed(scratch: Option<Scratch>, settings: Settings, disk: Disk) -> Self {
        let (model, compared) = (Model::default(), (Seq(0), 0));
        Self { store: None, clock: clock(), disk, settings, model, failed: None, compared, scratch }
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        let dir = self.scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let options = Options { dir, durability: Durability::Strict, cache_bytes: 8 << 20 };
        self.store = Some(Store::open_with(options, self.clock.clone(), self.disk.clone(), self.settings)?);
        self.compared = (Seq(0), 0);
        Ok(())
    }

    /// The process is gone, and the disk is sound for the next.
    pub(crate) fn crash(&mut self) {
        self.store = None;
        self.disk = Disk::default();
    }

    pub(crate) fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    pub(crate) fn model(&self) -> Model {
        self.model.clone()
    }

    /// Does it, and compares; nothing may fail.
    pub(super) async fn apply(&mut self, op: &Op) {
        self.perform(op).await;
        assert_eq!(self.failed, None, "{op:?}");
        self.compare_changes();
    }

    /// Does it on a disk that may fail. Then the failure's kind comes back, with what the model is
    /// if it came to pass all the same; the model is what it is if not.
    pub(crate) async fn attempt(&mut self, op: &Op) -> Option<(String, Model)> {
        let before = self.model.clone();
        self.perform(op).await;
        let failed = self.failed.take();
        if failed.is_none() {
            self.compare_changes();
        }
        failed.map(|kind| (kind, std::mem::replace(&mut self.model, before)))
    }

    /// The model after an operation that may have come to pass. What nobody can foretell is taken
    /// from the store: the tag of an append, the id of an upload.
    pub(crate) fn suppose(&self, mut model: Model, op: &Op) -> Model {
        let store = self.store();
        match *op {
            Op::Append(at, ..) => {
                let (bucket, object) = at.place();
                if let Ok(found) = store.object(&name(bucket), &key(object), None) {
                    let _ = model.appended(at.place(), found.etag);
                }
            }
            Op::Begin(at, way) => {
                let (bucket, object) = at.place();
                let all = listing("", "", "", 1_000);
                for upload in store.list_uploads(&name(bucket), &all, "").unwrap_or_default().uploads {
                    let id = (at.place(), upload.id.into_string());
                    if upload.key.as_str() == object {
                        model.uploads.entry(id).or_insert_with(|| Open { way, parts: BTreeMap::new() });
                    }
                }
            }
            _ => {}
        }
        model
    }

    /// Whether the store is what a model says, if need be another than the one at hand.
    pub(crate) fn is(&mut self, runtime: &tokio::runtime::Runtime, model: Model) -> std::thread::Result<()> {
        self.model = model;
        self.compared = (Seq(0), 0);
        catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(self.whole());
            self.compare_changes();
        }))
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.open().unwrap();
        self.whole().await;
    }

    /// Deletes everything, and waits until nothing is left of it.
    pub(crate) async fn end(mut self) {
        self.whole().await;
        let store = self.store();
        while !self.model.kept.is_empty() {
            self.apply(&Op::Release(0)).await;
        }
        for row in self.model.reports.clone().into_keys() {
            self.apply(&Op::Report(row, None)).await;
        }
        while !self.model.pending.is_empty() {
            self.clock.advance(wait(3));
            self.apply(&Op::Finish).await;
        }
        for id in self.model.uploads.clone().into_keys() {
            self.abort(&id).await;
        }
        for (bucket, filled) in self.model.buckets.clone() {
            for (key, held) in filled.held() {
                let (place, id) = ((bucket, key), Some(held.id()));
                if held.object.as_ref().is_some_and(|object| object.hold) {
                    self.revise(place, id.clone(), |thing| thing.hold = false).await;
                }
                self.delete(place, id, When::Always).await;
            }
            store.delete_bucket(name(bucket), false, cause()).await.unwrap();
        }
        assert_eq!(self.failed, None);
        rest(&store).await;
        if let Some(scratch) = &self.scratch {
            recovery::until_no_body_is_left(&store, scratch.path()).await;
        }
        consistent::check(&store, self.scratch.as_ref().map(Scratch::path)).await;
        let left = consistent::rows(&store).await.into_iter().filter(|(key, _)| {
            ![Kind::Meta, Kind::Change, Kind::Swept].iter().any(|kind| *kind as u8 == key[0])
        });
        assert_eq!(left.collect::<Vec<_>>(), []);
        store.close().await.unwrap();
    }
}

/// What is done to it.
impl Subject {
    async fn perform(&mut self, op: &Op) {
        let store = self.store();
        match op.clone() {
            Op::Create(number) => {
                let expected = self.model.create_bucket(bucket(number));
                self.same(create(&store, bucket(number)).await.map(drop), expected);
            }
            Op::Remove(number) => {
                let expected = self.model.delete_bucket(bucket(number));
                self.same(store.delete_bucket(name(bucket(number)), false, cause()).await, expected);
            }
            Op::Versioning(number, enabled) => {
                let expected = self.model.set_versioning(bucket(number), enabled);
                let set = store.set_versioning(name(bucket(number)), enabled, cause()).await;
                self.same(set.map(|bucket| bucket.versioning), expected);
            }
            Op::Put(at, body, when, way) => self.put(at.place(), &body.bytes(), when, way).await,
            Op::Append(at, body, off, way) => self.append(at.place(), &body.bytes(), off, way).await,
            Op::Copy { from, version, to, when, way } => self.copy(from, version, to, when, way).await,
            Op::Delete(at, version, when) => {
                let version = self.model.version(at.place(), version);
                self.delete(at.place(), version, when).await;
            }
            Op::Begin(at, way) => self.begin(at.place(), way).await,
            Op::Part(upload, number, body) => {
                let Some(id) = self.model.upload(upload) else { return };
                self.part(&id, u64::from(number) + 1, &body.bytes()).await;
            }
            Op::Complete(upload, bits, when) => {
                let Some(id) = self.model.upload(upload) else { return };
                self.complete(&id, bits, when).await;
            }
            Op::Abort(upload) => {
                let Some(id) = self.model.upload(upload) else { return };
                self.abort(&id).await;
            }
            Op::Tag(at, version, tag) => {
                let version = self.model.version(at.place(), version);
                self.revise(at.place(), version, move |thing| thing.tag = Some(tag)).await;
            }
            Op::Hold(at, version, hold) => {
                let version = self.model.version(at.place(), version);
                self.revise(at.place(), version, move |thing| thing.hold = hold).await;
            }
            Op::Age(at, number, moves) => self.age(at.place(), number, moves).await,
            Op::Restore(at, version, number) => {
                let version = self.model.version(at.place(), version);
                self.restore(at.place(), version, tier(number)).await;
            }
            Op::Finish => {
                let now = self.clock.now();
                let expected = Ok(self.model.finish(now));
                self.same(store.finish_restore(now).await, expected);
            }
            Op::Report(row, value) => {
                let value = value.map(|value| vec![value; 3]);
                match value.clone() {
                    Some(value) => self.model.reports.insert(row, value),
                    None => self.model.reports.remove(&row),
                };
                let write = move |tx: &mut Tx<'_>| {
                    match value {
                        Some(value) => tx.put(Table::Report, &report(row), value),
                        None => tx.delete(Table::Report, &report(row)),
                    }
                    Ok::<_, Error>(())
                };
                self.same(store.commit(write).await.map(drop), Ok(()));
            }
            Op::Set(number, what, value) => {
                let (bucket, what) = (bucket(number), setting(what));
                let value = value.map(|value| vec![value; 3]);
                let expected = self.model.set(bucket, what, value.clone());
                let set = store.set_setting(name(bucket), what, value.clone(), cause()).await;
                if set.is_ok() {
                    assert_eq!(store.setting(&name(bucket), what).unwrap(), value);
                }
                self.same(set, expected);
            }
            Op::Keep(body) => {
                let body = body.bytes();
                let (sealed, keeper) = (try_seal(&store, &body).await, store.clone());
                let kept = store.commit(move |tx: &mut Tx<'_>| keeper.keep(tx, sealed?)).await;
                self.model.kept.extend(kept.iter().map(|(_, id)| (*id, body.clone())));
                self.same(kept.map(drop), Ok(()));
            }
            Op::Release(number) => {
                let Some(number) = (number as usize).checked_rem(self.model.kept.len()) else { return };
                let (id, _) = self.model.kept.remove(number);
                let keeper = store.clone();
                let released = store.commit(move |tx: &mut Tx<'_>| keeper.release(tx, id)).await;
                self.same(released.map(drop), Ok(()));
            }
            Op::ListObjects(number, pages) => self.list_objects(bucket(number), &pages.listing()),
            Op::ListVersions(number, pages, marker) => {
                let after = pages.begins_after();
                let marker = after.and_then(|key| self.model.version((bucket(number), key), marker));
                self.list_versions(bucket(number), &pages.listing(), marker);
            }
            Op::ListUploads(number, pages, marker) => {
                let marker = marker.and_then(|marker| self.model.upload(marker));
                let marker = marker.filter(|(place, _)| Some(place.1) == pages.begins_after());
                self.list_uploads(bucket(number), &pages.listing(), marker.map_or(String::new(), |id| id.1));
            }
            Op::Read(at, version, range) => self.read(at, version, range).await,
            Op::Later(micros) => self.clock.advance(Duration::from_micros(micros.into())),
            Op::MuchLater(number) => self.clock.advance(wait(number)),
            Op::Restart | Op::Crash if self.scratch.is_none() => {}
            Op::Restart => {
                store.close().await.unwrap();
                drop(store);
                self.reopen().await;
            }
            Op::Crash => {
                drop(store);
                self.reopen().await;
            }
            Op::Rest => {
                rest(&store).await;
                self.whole().await;
            }
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now().as_micros()
    }

    pub(super) fn conditions(&self, place: Place, when: When) -> WriteConditions {
        let none = WriteConditions::default;
        let tag = || {
            let current = self.model.current(place);
            TagMatch::Tags(vec![current.map_or(ETag::parse("none"), |object| object.etag.clone())])
        };
        let other = || TagMatch::Tags(vec![ETag::parse("other")]);
        match when {
            When::Always => none(),
            When::Absent => WriteConditions { if_none_match: Some(TagMatch::Any), ..none() },
            When::Present => WriteConditions { if_match: Some(TagMatch::Any), ..none() },
            When::Matches(true) => WriteConditions { if_match: Some(tag()), ..none() },
            When::Matches(false) => WriteConditions { if_match: Some(other()), ..none() },
            When::Differs => WriteConditions { if_none_match: Some(tag()), ..none() },
            When::Forbid => WriteConditions { forbid_overwrite: true, ..none() },
        }
    }

    async fn restore(&mut self, place: Place, version: Option<VersionId>, tier: RestoreTier) {
        let expected = self.model.restore(place, version.as_ref(), tier, self.clock.now());
        let what = ReviseObject { bucket: name(place.0).into(), key: key(place.1), version, cause: cause() };
        let revise = move |revision: &mut crate::Revision<'_>| {
            let (class, before) = (revision.storage_class, revision.properties.restore);
            let asked = restored(class, before, tier, revision.now);
            let (after, begun) = asked.map_err(|_| Error::PreconditionFailed)?;
            revision.properties.restore = Some(after);
            revision.event = begun.then_some(EventType::RestorePost);
            Ok::<_, Error>(())
        };
        let revised = self.store().revise_object(what, revise).await;
        self.same(revised.map(|object| object.properties.restore), expected);
    }

    async fn delete(&mut self, place: Place, version: Option<VersionId>, when: When) {
        let delete = DeleteObject {
            bucket: name(place.0).into(),
            key: key(place.1),
            version: version.clone(),
            conditions: self.conditions(place, when),
            bypass_governance: true,
            cause: cause(),
        };
        let expected = self.model.delete(place, version, when, self.now());
        self.same(self.store().delete_object(delete).await, expected);
    }

    async fn age(&mut self, place: Place, number: u8, moves: bool) {
        let stamps = self.model.stamps(place);
        let Some(at) = (number as usize).checked_rem(stamps.len()) else { return };
        let what = Age {
            bucket: name(place.0).into(),
            key: key(place.1),
            stamp: stamps[at],
            after: at.checked_sub(1).map(|after| stamps[after]),
        };
        let expected = self.model.age(place, at, moves, self.now());
        let seen = Arc::new(Mutex::new(None));
        let told = Arc::clone(&seen);
        let decide = move |_: &View, version: &Aged<'_>, _| {
            *told.lock().unwrap() = Some(match version.standing {
                Standing::Noncurrent { newer, .. } => {
                    Standing::Noncurrent { since: Timestamp::default(), newer }
                }
                other => other,
            });
            let act = match version.standing {
                _ if moves && !version.marker => Act::Move(StorageClass::Archive),
                _ if moves => return Err(None),
                Standing::Current { .. } if !version.marker => Act::Mark,
                Standing::Current { alone: false } => return Err(None),
                _ => Act::Remove,
            };
            Ok((act, cause()))
        };
        let aged = self.store().age(what, decide).await;
        let found = aged.map(|aging| {
            let act = match aging {
                Aging::Done(act) => Some(act),
                Aging::Nothing(_) => None,
            };
            (seen.lock().unwrap().take().unwrap(), act)
        });
        self.same(found, expected);
    }

    async fn abort(&mut self, id: &UploadOf) {
        let ((bucket, object), upload) = id.clone();
        let expected = self.model.abort(id);
        let aborted = self.store().abort_upload(name(bucket), key(object), UploadId::new(upload)).await;
        self.same(aborted, expected);
    }

    async fn revise(&mut self, place: Place, version: Option<VersionId>, change: impl Fn(&mut Thing)) {
        let expected = self.model.revise(place, version.as_ref(), change);
        let to = expected.clone().unwrap_or_else(|_| Thing::new(&[], Way(0), [0; 16]));
        let (bucket, key) = (name(place.0), key(place.1));
        let what = ReviseObject { bucket: bucket.into(), key, version, cause: cause() };
        let revise = move |revision: &mut crate::Revision<'_>| {
            revision.properties.legal_hold = to.hold;
            revision.properties.tags = tags(&to);
            Ok::<_, Error>(())
        };
        let revised = self.store().revise_object(what, revise).await;
        if let (Ok(object), Ok(thing)) = (&revised, &expected) {
            agrees(object, thing);
        }
        self.same(revised.map(drop), expected.map(drop));
    }

    /// A look-up, and some of the bytes.
    async fn read(&mut self, at: At, version: Option<u8>, (from, to): (u8, u8)) {
        let (store, (bucket, object)) = (self.store(), at.place());
        let version = self.model.version(at.place(), version);
        let look_up = || store.object(&name(bucket), &key(object), version.as_ref());
        let (found, expected) = (answer(look_up()), self.model.read(at.place(), version.as_ref()));
        if let (Ok(found), Ok(thing)) = (&found, &expected) {
            agrees(found, thing);
            let len = thing.body.len();
            let (from, to) = (from.min(to) as usize * len / 16, from.max(to) as usize * len / 16);
            let range = Some((from as u64, to as u64));
            let stream = opened(|| self.opened_for(at.place(), &look_up()?, thing.way, range));
            assert!(drain(stream).await.unwrap() == thing.body[from..to], "{from}..{to} of {at:?}");
        }
        assert_eq!(found.err(), expected.err());
    }
}

/// Waits until nothing waits to be removed. Every removal ends with a commit, which wakes us.
async fn rest(store: &Store) {
    let rested = async {
        loop {
            let head = store.head();
            if consistent::count(store, &[Kind::Garbage, Kind::Discarded]).await == 0 {
                return;
            }
            store.changed(head).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rested).await.unwrap();
}
