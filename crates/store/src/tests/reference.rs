//! Random scripts of operations on a store and on a model of it, which must give the same answers
//! at every step, and hold the same after restarts, clean ones and crashes, in the middle.
//!
//! A script that fails is shrunk and printed as it would be written here: put it into
//! `scripts_that_failed`. `COSETTE_MODEL_CASES` runs more of them, `COSETTE_MODEL_SEED` others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cosette_model::op::TagMatch;
use cosette_model::{ChangeKind, ETag, EventType, Seq, Versioning};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::*;
use crate::schema::Kind;
use crate::{AppendObject, Kept, ReviseObject, Tx};

/// What a script is made of. Everything is named by a small number, so that shrinking is quick: a
/// bucket, a key, a text by its place in the lists below, a version or an upload by its place
/// among those that were ever seen, modulo their count.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Create(u8),
    Remove(u8),
    Versioning(u8, bool),
    Put(At, Body, When),
    /// With the right position, or with one that is off by so much.
    Append(At, Body, u8),
    Copy {
        from: At,
        version: Option<u8>,
        to: At,
        when: When,
    },
    Delete(At, Option<u8>),
    DeleteIf(At, When),
    Begin(At),
    Part(u8, u8, Body),
    /// The parts whose bits are set.
    Complete(u8, u8, When),
    Abort(u8),
    Tag(At, Option<u8>, u8),
    Hold(At, Option<u8>, bool),
    Set(u8, u8, Option<u8>),
    Keep(Body),
    Release(u8),
    ListObjects(u8, Pages),
    ListVersions(u8, Pages, Option<u8>),
    ListUploads(u8, Pages, Option<u8>),
    /// From one share of the length to another, in 16ths.
    Read(At, Option<u8>, (u8, u8)),
    /// Moves the clock, by so many microseconds.
    Later(u8),
    Restart,
    Crash,
    /// Until nothing waits to be removed.
    Rest,
}

/// Bucket and key.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) u8, pub(super) u8);

/// Length and seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body(pub(super) u8, pub(super) u8);

#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Always,
    Absent,
    Present,
    /// It has the current object's tag, or that of nothing.
    Matches(bool),
    Differs,
    Forbid,
}

/// Prefix, delimiter, where to begin and entries per page: a listing page by page to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) u8);

const BUCKETS: &[&str] = &["one", "two"];
const KEYS: &[&str] = &["a", "a/", "a/b", "a\0", "b", "ü/ü"];
const PREFIXES: &[&str] = &["", "a", "a/", "ü", "x"];
const DELIMITERS: &[&str] = &["", "/", "b"];
const AFTERS: &[&str] = &["", "a", "a/", "a/b", "a\0", "b", "zz"];
const SETTINGS: &[&str] = &["cors", "policy"];
const LENS: &[usize] = &[0, 1, 10, 300, 1_500, 5_000, 40_000];
const UNKNOWN: &str = "MTg0NDUxNTc1NjIzMTQ1";

impl At {
    fn bucket(self) -> &'static str {
        BUCKETS[self.0 as usize % BUCKETS.len()]
    }

    fn key(self) -> &'static str {
        KEYS[self.1 as usize % KEYS.len()]
    }
}

impl Body {
    fn bytes(self) -> Vec<u8> {
        bytes(LENS[self.0 as usize % LENS.len()], u64::from(self.1) + 1)
    }
}

impl Pages {
    fn listing(self) -> Listing {
        let pick = |of: &[&'static str], at: u8| of[at as usize % of.len()];
        let (prefix, delimiter) = (pick(PREFIXES, self.0), pick(DELIMITERS, self.1));
        listing(prefix, delimiter, pick(AFTERS, self.2), self.3.into())
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let at = || (0..4u8, 0..KEYS.len() as u8).prop_map(|(bucket, key)| At(bucket / 3, key));
    let body =
        || (prop_oneof![8 => 0..5u8, 1 => 5..6u8, 1 => 6..7u8], 0..200u8).prop_map(|(l, s)| Body(l, s));
    let version = || prop_oneof![1 => Just(None), 2 => (0..12u8).prop_map(Some)];
    let when = || {
        prop_oneof![
            10 => Just(When::Always),
            1 => Just(When::Absent),
            1 => Just(When::Present),
            1 => any::<bool>().prop_map(When::Matches),
            1 => Just(When::Differs),
            1 => Just(When::Forbid),
        ]
    };
    let pages = || {
        let texts = (0..PREFIXES.len() as u8, 0..DELIMITERS.len() as u8);
        (texts, prop_oneof![1 => Just(0), 1 => 0..AFTERS.len() as u8], 0..5u8)
            .prop_map(|((prefix, delimiter), after, max)| Pages(prefix, delimiter, after, max))
    };
    let bucket = || prop_oneof![3 => Just(0u8), 1 => Just(1u8)];
    prop_oneof![
        2 => bucket().prop_map(Op::Create),
        1 => bucket().prop_map(Op::Remove),
        3 => (bucket(), any::<bool>()).prop_map(|(bucket, enabled)| Op::Versioning(bucket, enabled)),
        14 => (at(), body(), when()).prop_map(|(at, body, when)| Op::Put(at, body, when)),
        8 => (at(), body(), prop_oneof![9 => Just(0u8), 1 => Just(1u8)])
            .prop_map(|(at, body, off)| Op::Append(at, body, off)),
        7 => (at(), version(), at(), when())
            .prop_map(|(from, version, to, when)| Op::Copy { from, version, to, when }),
        7 => (at(), prop_oneof![Just(None), version()]).prop_map(|(at, version)| Op::Delete(at, version)),
        1 => (at(), when()).prop_map(|(at, when)| Op::DeleteIf(at, when)),
        3 => at().prop_map(Op::Begin),
        6 => (0..6u8, 0..6u8, body()).prop_map(|(upload, part, body)| Op::Part(upload, part, body)),
        3 => (0..6u8, any::<u8>(), when()).prop_map(|(upload, parts, when)| Op::Complete(upload, parts, when)),
        1 => (0..6u8).prop_map(Op::Abort),
        3 => (at(), version(), any::<u8>()).prop_map(|(at, version, tag)| Op::Tag(at, version, tag)),
        2 => (at(), version(), prop_oneof![Just(false), any::<bool>()])
            .prop_map(|(at, version, hold)| Op::Hold(at, version, hold)),
        2 => (bucket(), 0..2u8, any::<Option<u8>>()).prop_map(|(bucket, setting, to)| Op::Set(bucket, setting, to)),
        1 => body().prop_map(Op::Keep),
        1 => any::<u8>().prop_map(Op::Release),
        3 => (bucket(), pages()).prop_map(|(bucket, pages)| Op::ListObjects(bucket, pages)),
        4 => (bucket(), pages(), prop_oneof![Just(None), version()])
            .prop_map(|(bucket, pages, marker)| Op::ListVersions(bucket, pages, marker)),
        2 => (bucket(), pages(), any::<Option<u8>>())
            .prop_map(|(bucket, pages, marker)| Op::ListUploads(bucket, pages, marker)),
        6 => (at(), version(), (0..17u8, 0..17u8)).prop_map(|(at, version, range)| Op::Read(at, version, range)),
        2 => any::<u8>().prop_map(Op::Later),
        1 => Just(Op::Restart),
        2 => Just(Op::Crash),
        1 => Just(Op::Rest),
    ]
}

/// What an answer is compared by: what it says, or the kind of its refusal.
type Answer<T> = Result<T, String>;

fn answer<T>(answer: Result<T>) -> Answer<T> {
    answer.map_err(|error| {
        let said = format!("{error:?}");
        said.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    })
}

fn refuse<T>(kind: &str) -> Answer<T> {
    Err(kind.to_owned())
}

/// Bucket, key and id of an upload.
type UploadOf = (&'static str, &'static str, String);

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    buckets: BTreeMap<&'static str, Filled>,
    uploads: BTreeMap<UploadOf, BTreeMap<u64, Arc<Vec<u8>>>>,
    kept: Vec<(Kept, Vec<u8>)>,
    changes: Vec<Said>,
    /// Everything that ever had a name, to be named again.
    versions: BTreeMap<(&'static str, &'static str), Vec<VersionId>>,
    ids: Vec<UploadOf>,
}

#[derive(Clone, Debug, Default)]
struct Filled {
    versioning: Versioning,
    /// Versions, newest first; a key without any is not there.
    keys: BTreeMap<&'static str, Vec<Held>>,
    settings: BTreeMap<&'static str, Vec<u8>>,
}

/// A version of a key.
#[derive(Clone, Debug)]
struct Held {
    stamp: u64,
    null: bool,
    /// `None` for a delete marker.
    object: Option<Thing>,
}

#[derive(Clone, Debug)]
struct Thing {
    body: Arc<Vec<u8>>,
    etag: ETag,
    appendable: bool,
    tag: Option<u8>,
    hold: bool,
    /// How many parts it was made of, which a copy says too.
    made_of: usize,
    /// Number and size of each part of an upload.
    parts: Vec<(u64, usize)>,
}

/// A change, without what all have in common.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    kind: ChangeKind,
    bucket: &'static str,
    key: Option<&'static str>,
    version: Option<VersionId>,
    size: usize,
    etag: Option<ETag>,
}

/// An entry of a listing: a name and what makes it one of several, or a common prefix.
#[derive(Clone, Debug, PartialEq)]
enum Shown<T> {
    Entry(String, T),
    Common(String),
}

/// One page of all entries that come after a place, rolled up.
fn page<T: Clone + PartialEq>(
    entries: impl Iterator<Item = (String, T)>,
    listing: &Listing,
    is_after: impl Fn(&str, &T) -> bool,
) -> (Vec<Shown<T>>, bool) {
    let rolled = |name: &str| {
        let delimiter = listing.delimiter.as_deref()?;
        let at = name.strip_prefix(listing.prefix.as_str())?.find(delimiter)?;
        Some(name[..listing.prefix.len() + at + delimiter.len()].to_owned())
    };
    let shown_whole = rolled(&listing.after).filter(|common| *common == listing.after);
    let mut page: Vec<Shown<T>> = Vec::new();
    for (name, entry) in entries.filter(|(name, _)| name.starts_with(&listing.prefix)) {
        let hidden = match &shown_whole {
            Some(common) => name.starts_with(common) || name <= listing.after,
            None => !listing.after.is_empty() && !is_after(&name, &entry),
        };
        if hidden {
            continue;
        }
        let shown = rolled(&name).map_or_else(|| Shown::Entry(name, entry), Shown::Common);
        if page.last() != Some(&shown) {
            page.push(shown);
        }
    }
    let max = listing.max as usize;
    let more = max > 0 && page.len() > max;
    page.truncate(max);
    (page, more)
}

fn of_md5(body: &[u8]) -> [u8; 16] {
    let mut digester = cosette_blob::Digester::new(&Wanted::default());
    digester.update(body);
    digester.finish().md5
}

impl Held {
    fn id(&self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::of_stamp(self.stamp) }
    }
}

impl Filled {
    fn current(&self, key: &str) -> Option<&Thing> {
        self.keys.get(key)?.first()?.object.as_ref()
    }

    fn find(&mut self, key: &str, version: Option<&VersionId>) -> Option<&mut Held> {
        let versions = self.keys.get_mut(key)?;
        versions.iter_mut().find(|held| version.is_none_or(|id| held.id() == *id))
    }

    /// The id that changes and answers give a version.
    fn named(&self, id: VersionId) -> Option<VersionId> {
        (self.versioning != Versioning::Off).then_some(id)
    }

    fn check(&self, key: &str, when: When) -> Answer<()> {
        match (when, self.current(key)) {
            (When::Always, _)
            | (When::Absent | When::Differs | When::Forbid, None)
            | (When::Present | When::Matches(true), Some(_)) => Ok(()),
            (When::Absent | When::Differs | When::Matches(false), Some(_)) => refuse("PreconditionFailed"),
            (When::Present | When::Matches(_), None) => refuse("NoSuchObject"),
            (When::Forbid, Some(_)) if self.versioning != Versioning::Off => Ok(()),
            (When::Forbid, Some(_)) => refuse("OverwriteForbidden"),
        }
    }

    /// Puts a version on top, as the bucket's versioning says; what is appended is the null version.
    fn place(&mut self, key: &'static str, object: Option<Thing>, now: u64) -> Answer<VersionId> {
        let appended = object.as_ref().is_some_and(|object| object.appendable);
        let null = appended || self.versioning != Versioning::Enabled;
        let versions = self.keys.entry(key).or_default();
        let stamp = now.max(versions.first().map_or(0, |newest| newest.stamp) + 1);
        let goes = versions.iter().position(|held| null && held.null);
        if goes.is_some_and(|at| versions[at].object.as_ref().is_some_and(|object| object.hold)) {
            return refuse("Locked");
        }
        goes.map(|at| versions.remove(at));
        versions.insert(0, Held { stamp, null, object });
        Ok(versions[0].id())
    }
}

impl Model {
    fn bucket(&mut self, bucket: &str) -> Answer<&mut Filled> {
        self.buckets.get_mut(bucket).ok_or_else(|| "NoSuchBucket".to_owned())
    }

    fn say(
        &mut self,
        kind: ChangeKind,
        bucket: &'static str,
        key: Option<&'static str>,
        version: Option<VersionId>,
        object: Option<&Thing>,
    ) {
        let (size, etag) = (object.map_or(0, |object| object.body.len()), object.map(|o| o.etag.clone()));
        self.changes.push(Said { kind, bucket, key, version, size, etag });
    }

    fn write(&mut self, at: At, thing: Thing, when: When, now: u64, event: EventType) -> Answer<VersionId> {
        let (bucket, key) = (at.bucket(), at.key());
        let filled = self.bucket(bucket)?;
        filled.check(key, when)?;
        let id = filled.place(key, Some(thing.clone()), now)?;
        let named = filled.named(id.clone());
        self.say(ChangeKind::Object(event), bucket, Some(key), named, Some(&thing));
        self.versions.entry((bucket, key)).or_default().push(id.clone());
        Ok(id)
    }

    /// The object, or why there is none; `reading` tells of a marker.
    fn object(&mut self, at: At, version: Option<&VersionId>, reading: bool) -> Answer<&mut Held> {
        let found = self.bucket(at.bucket())?.find(at.key(), version);
        match (found, version) {
            (Some(held), _) if held.object.is_some() => Ok(held),
            (Some(_), _) if reading => refuse("DeleteMarker"),
            (_, Some(VersionId::Id(_))) => refuse("NoSuchVersion"),
            _ => refuse("NoSuchObject"),
        }
    }

    fn delete(&mut self, at: At, version: Option<VersionId>, when: When, now: u64) -> Answer<Deleted> {
        let (bucket, key) = (at.bucket(), at.key());
        let filled = self.bucket(bucket)?;
        filled.check(key, when)?;
        let off = filled.versioning == Versioning::Off;
        if version.is_none() && !off {
            let existed = filled.current(key).is_some();
            let id = filled.place(key, None, now)?;
            let kind = ChangeKind::Object(EventType::RemovedDeleteMarkerCreated);
            self.say(kind, bucket, Some(key), Some(id.clone()), None);
            self.versions.entry((bucket, key)).or_default().push(id.clone());
            return Ok(Deleted { version: Some(id), delete_marker: true, existed });
        }
        let shown = version.clone().filter(|_| !off || version.is_some());
        let id = version.unwrap_or(VersionId::Null);
        let versions = filled.keys.entry(key).or_default();
        let Some(place) = versions.iter().position(|held| held.id() == id) else {
            return Ok(Deleted { version: shown, delete_marker: false, existed: false });
        };
        if versions[place].object.as_ref().is_some_and(|object| object.hold) {
            return refuse("Locked");
        }
        let gone = versions.remove(place);
        let kind = ChangeKind::Object(EventType::RemovedDelete);
        self.say(kind, bucket, Some(key), Some(id).filter(|_| !off), gone.object.as_ref());
        Ok(Deleted { version: shown, delete_marker: gone.object.is_none(), existed: true })
    }

    fn append(&mut self, at: At, more: &[u8], off: u8, now: u64) -> Answer<u64> {
        let filled = self.bucket(at.bucket())?;
        let mut thing = match filled.current(at.key()) {
            Some(object) if !object.appendable => return refuse("NotAppendable"),
            Some(object) if object.hold => return refuse("Locked"),
            Some(object) => object.clone(),
            None => Thing { appendable: true, ..Thing::new(&[]) },
        };
        if off != 0 {
            return refuse("AppendPosition");
        }
        Arc::make_mut(&mut thing.body).extend_from_slice(more);
        let size = thing.body.len() as u64;
        match filled.find(at.key(), None) {
            Some(held) if held.object.is_some() => held.object = Some(thing),
            _ => drop(filled.place(at.key(), Some(thing), now)?),
        }
        Ok(size)
    }

    /// The version that a number means.
    fn version(&self, at: At, number: Option<u8>) -> Option<VersionId> {
        let mut ids = vec![VersionId::Null, VersionId::parse(UNKNOWN)];
        ids.extend(self.versions.get(&(at.bucket(), at.key())).into_iter().flatten().rev().cloned());
        number.map(|number| ids[number as usize % ids.len()].clone())
    }

    fn upload(&self, number: u8) -> Option<UploadOf> {
        let number = (number as usize).checked_rem(self.ids.len())?;
        self.ids.get(self.ids.len() - 1 - number).cloned()
    }
}

impl Thing {
    fn new(body: &[u8]) -> Self {
        let (body, etag) = (Arc::new(body.to_vec()), ETag::of_md5(of_md5(body)));
        Self { body, etag, appendable: false, tag: None, hold: false, made_of: 0, parts: Vec::new() }
    }
}

/// What the disk's failures look like to who wanted something.
const FAILURES: &[&str] = &["Io", "Unavailable", "Poisoned", "Index"];

/// A store with its model.
pub(super) struct Subject {
    /// `None` between two processes.
    store: Option<Store>,
    clock: Clock,
    disk: Disk,
    settings: Settings,
    model: Model,
    /// The failure of the disk that the last operation was refused with.
    failed: Option<String>,
    /// How far the change log has been compared, and how many changes that are.
    compared: (Seq, usize),
    /// Last, so that its files outlive the store. `None` for a store in memory.
    scratch: Option<Scratch>,
}

impl Subject {
    fn new(scratch: Option<Scratch>, settings: Settings) -> Self {
        let mut subject = Self::closed(scratch, settings, Disk::default());
        subject.open().unwrap();
        subject
    }

    pub(super) fn closed(scratch: Option<Scratch>, settings: Settings, disk: Disk) -> Self {
        let (model, compared) = (Model::default(), (Seq(0), 0));
        Self { store: None, clock: clock(), disk, settings, model, failed: None, compared, scratch }
    }

    pub(super) fn open(&mut self) -> Result<()> {
        let dir = self.scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let options = Options { dir, durability: Durability::Strict, cache_bytes: 8 << 20 };
        self.store = Some(Store::open_with(options, self.clock.clone(), self.disk.clone(), self.settings)?);
        self.compared = (Seq(0), 0);
        Ok(())
    }

    /// The process is gone, and the disk is sound for the next.
    pub(super) fn crash(&mut self) {
        self.store = None;
        self.disk = Disk::default();
    }

    pub(super) fn model(&self) -> Model {
        self.model.clone()
    }

    /// Whether the store is what a model says, if need be another than the one at hand.
    pub(super) fn is(&mut self, runtime: &tokio::runtime::Runtime, model: Model) -> std::thread::Result<()> {
        self.model = model;
        self.compared = (Seq(0), 0);
        catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(self.whole());
            self.compare_changes();
        }))
    }

    /// The answers must be the same, but that the disk may fail.
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, found: Answer<T>, expected: Answer<T>) {
        match found {
            Err(kind) if FAILURES.contains(&kind.as_str()) => self.failed = Some(kind),
            found => assert_eq!(found, expected),
        }
    }

    pub(super) fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn now(&self) -> u64 {
        self.clock.now().as_micros()
    }

    fn conditions(&self, at: At, when: When) -> WriteConditions {
        let current = self.model.buckets.get(at.bucket()).and_then(|filled| filled.current(at.key()));
        let tag = || TagMatch::Tags(vec![current.map_or(ETag::parse("none"), |object| object.etag.clone())]);
        let none = WriteConditions::default;
        match when {
            When::Always => none(),
            When::Absent => WriteConditions { if_none_match: Some(TagMatch::Any), ..none() },
            When::Present => WriteConditions { if_match: Some(TagMatch::Any), ..none() },
            When::Matches(true) => WriteConditions { if_match: Some(tag()), ..none() },
            When::Matches(false) => {
                let other = TagMatch::Tags(vec![ETag::parse("other")]);
                WriteConditions { if_match: Some(other), ..none() }
            }
            When::Differs => WriteConditions { if_none_match: Some(tag()), ..none() },
            When::Forbid => WriteConditions { forbid_overwrite: true, ..none() },
        }
    }

    /// Does it, and compares; nothing may fail.
    async fn apply(&mut self, op: &Op) {
        self.perform(op).await;
        assert_eq!(self.failed, None, "{op:?}");
        self.compare_changes();
    }

    /// Does it on a disk that may fail. Then the failure's kind comes back, with what the model is
    /// if it came to pass all the same; the model is what it is if not.
    pub(super) async fn attempt(&mut self, op: &Op) -> Option<(String, Model)> {
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
    pub(super) fn suppose(&self, mut model: Model, op: &Op) -> Model {
        let store = self.store();
        match *op {
            Op::Append(at, body, off) => {
                model = self.model.clone();
                if let (Ok(_), Ok(found)) = (
                    model.append(at, &body.bytes(), off, self.now()),
                    store.object(&name(at.bucket()), &key(at.key()), None),
                ) {
                    let filled = model.buckets.get_mut(at.bucket()).unwrap();
                    let thing = filled.find(at.key(), None).and_then(|held| held.object.as_mut()).unwrap();
                    thing.etag = found.etag;
                    let thing = thing.clone();
                    let kind = ChangeKind::Object(EventType::CreatedPut);
                    model.say(kind, at.bucket(), Some(at.key()), None, Some(&thing));
                }
            }
            Op::Begin(at) => {
                let all = listing("", "", "", 1_000);
                let page = store.list_uploads(&name(at.bucket()), &all, "").unwrap_or_default();
                for upload in page.uploads {
                    let id = (at.bucket(), at.key(), upload.id.into_string());
                    if upload.key.as_str() == at.key() {
                        model.uploads.entry(id).or_default();
                    }
                }
            }
            _ => {}
        }
        model
    }

    async fn perform(&mut self, op: &Op) {
        let (store, now) = (self.store(), self.now());
        match op.clone() {
            Op::Create(bucket) => {
                let bucket = At(bucket, 0).bucket();
                let expected = match self.model.buckets.contains_key(bucket) {
                    true => refuse("BucketExists"),
                    false => {
                        self.model.buckets.insert(bucket, Filled::default());
                        self.model.say(ChangeKind::BucketCreated, bucket, None, None, None);
                        Ok(())
                    }
                };
                self.same(answer(create(&store, bucket).await.map(drop)), expected);
            }
            Op::Remove(bucket) => {
                let bucket = At(bucket, 0).bucket();
                let uploads = self.model.uploads.keys().any(|id| id.0 == bucket);
                let expected = match self.model.buckets.get(bucket) {
                    None => refuse("NoSuchBucket"),
                    Some(filled) if uploads || filled.keys.values().any(|versions| !versions.is_empty()) => {
                        refuse("BucketNotEmpty")
                    }
                    Some(_) => {
                        self.model.buckets.remove(bucket);
                        self.model.say(ChangeKind::BucketDeleted, bucket, None, None, None);
                        Ok(())
                    }
                };
                self.same(answer(store.delete_bucket(name(bucket), false, cause()).await), expected);
            }
            Op::Versioning(bucket, enabled) => {
                let bucket = At(bucket, 0).bucket();
                let set = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                let expected = self.model.bucket(bucket).map(|filled| {
                    filled.versioning = set;
                    set
                });
                if expected.is_ok() {
                    self.model.say(ChangeKind::SettingChanged, bucket, None, None, None);
                }
                let answered = store.set_versioning(name(bucket), enabled, cause()).await;
                self.same(answer(answered.map(|bucket| bucket.versioning)), expected);
            }
            Op::Put(at, body, when) => {
                let body = body.bytes();
                let conditions = self.conditions(at, when);
                let expected = self.model.write(at, Thing::new(&body), when, now, EventType::CreatedPut);
                let put = put_if(&store, at.bucket(), at.key(), &body, conditions).await;
                if let Ok(object) = &put {
                    assert_eq!((object.size, &object.etag), (body.len() as u64, &Thing::new(&body).etag));
                    assert_eq!(object.crc64, cosette_blob::crc64(&body));
                }
                self.same(answer(put.map(|object| object.version.id())), expected);
            }
            Op::Append(at, body, off) => self.append(&store, at, &body.bytes(), off, now).await,
            Op::Copy { from, version, to, when } => {
                let version = self.model.version(from, version);
                let conditions = self.conditions(to, when);
                let expected = self.copy(from, version.as_ref(), to, when, now);
                let mut copy = copy_of((from.bucket(), from.key()), (to.bucket(), to.key()));
                copy.source.version = version;
                copy.conditions = conditions;
                let copied = store.copy_object(copy).await;
                self.same(answer(copied.map(|(object, source)| (object.version.id(), source))), expected);
            }
            Op::Delete(at, version) => {
                let version = self.model.version(at, version);
                let expected = self.model.delete(at, version.clone(), When::Always, now);
                let deleted = delete_version(&store, at.bucket(), at.key(), version).await;
                self.same(answer(deleted), expected);
            }
            Op::DeleteIf(at, when) => {
                let delete = DeleteObject {
                    bucket: name(at.bucket()),
                    key: key(at.key()),
                    version: None,
                    conditions: self.conditions(at, when),
                    bypass_governance: true,
                    cause: cause(),
                };
                let expected = self.model.delete(at, None, when, now);
                self.same(answer(store.delete_object(delete).await), expected);
            }
            Op::Begin(at) => {
                let begun = answer(begin(&store, at.bucket(), at.key()).await);
                let expected = self.model.bucket(at.bucket()).map(drop);
                self.same(begun.as_ref().map(drop).map_err(Clone::clone), expected);
                if let Ok(id) = begun {
                    let id = (at.bucket(), at.key(), id.into_string());
                    self.model.ids.push(id.clone());
                    self.model.uploads.insert(id, BTreeMap::new());
                }
            }
            Op::Part(upload, number, body) => {
                let Some(id) = self.model.upload(upload) else { return };
                let (number, body) = (u64::from(number) + 1, body.bytes());
                let put = part(&store, id.0, id.1, &UploadId::new(id.2.clone()), number, &body).await;
                let expected = self.upload_of(&id).map(|parts| {
                    parts.insert(number, Arc::new(body.clone()));
                    (number, of_md5(&body))
                });
                self.same(answer(put.map(|part| (u64::from(part.number.get()), part.md5))), expected);
            }
            Op::Complete(upload, parts, when) => self.complete(&store, upload, parts, when, now).await,
            Op::Abort(upload) => {
                let Some(id) = self.model.upload(upload) else { return };
                let aborted = store.abort_upload(name(id.0), key(id.1), UploadId::new(id.2.clone())).await;
                let expected = self.upload_of(&id).map(drop);
                self.model.uploads.remove(&id);
                self.same(answer(aborted), expected);
            }
            Op::Tag(at, version, tag) => {
                self.revise(&store, at, version, move |thing| thing.tag = Some(tag)).await;
            }
            Op::Hold(at, version, hold) => {
                self.revise(&store, at, version, move |thing| thing.hold = hold).await;
            }
            Op::Set(bucket, setting, value) => {
                let bucket = At(bucket, 0).bucket();
                let setting = SETTINGS[setting as usize % SETTINGS.len()];
                let value = value.map(|value| vec![value; 3]);
                let expected = self.model.bucket(bucket).map(|filled| match value.clone() {
                    Some(value) => drop(filled.settings.insert(setting, value)),
                    None => drop(filled.settings.remove(setting)),
                });
                if expected.is_ok() {
                    self.model.say(ChangeKind::SettingChanged, bucket, None, None, None);
                }
                let set = store.set_setting(name(bucket), setting, value.clone(), cause()).await;
                if set.is_ok() {
                    assert_eq!(store.setting(&name(bucket), setting).unwrap(), value);
                }
                self.same(answer(set), expected);
            }
            Op::Keep(body) => {
                let body = body.bytes();
                let (sealed, keeper) = (try_seal(&store, &body).await, store.clone());
                let keep = move |tx: &mut Tx<'_>| keeper.keep(tx, sealed?);
                let kept = answer(store.commit(keep).await);
                self.same(kept.as_ref().map(drop).map_err(Clone::clone), Ok(()));
                self.model.kept.extend(kept.map(|(_, id)| (id, body)));
            }
            Op::Release(number) => {
                let Some(number) = (number as usize).checked_rem(self.model.kept.len()) else { return };
                let (id, _) = self.model.kept.remove(number);
                let keeper = store.clone();
                let released = store.commit(move |tx: &mut Tx<'_>| keeper.release(tx, id)).await;
                self.same(answer(released.map(drop)), Ok(()));
            }
            Op::ListObjects(bucket, pages) => {
                self.list_objects(&store, At(bucket, 0).bucket(), &pages.listing());
            }
            Op::ListVersions(bucket, pages, marker) => {
                let listing = pages.listing();
                let key = KEYS.iter().position(|key| *key == listing.after).map(|at| at as u8);
                let marker = marker.and_then(|marker| self.model.version(At(bucket, key?), Some(marker)));
                self.list_versions(&store, At(bucket, 0).bucket(), &listing, marker);
            }
            Op::ListUploads(bucket, pages, marker) => {
                let listing = pages.listing();
                let marker = marker.and_then(|marker| self.model.upload(marker));
                let marker = marker.filter(|id| id.1 == listing.after).map_or(String::new(), |id| id.2);
                self.list_uploads(&store, At(bucket, 0).bucket(), &listing, marker);
            }
            Op::Read(at, version, (from, to)) => {
                let version = self.model.version(at, version);
                let expected = self.model.object(at, version.as_ref(), true).map(|held| held.object.clone());
                let found = answer(store.object(&name(at.bucket()), &key(at.key()), version.as_ref()));
                if let (Ok(found), Ok(Some(thing))) = (&found, &expected) {
                    agrees(found, thing);
                    let len = thing.body.len();
                    let (from, to) = (from.min(to) as usize * len / 16, from.max(to) as usize * len / 16);
                    let range = Some((from as u64, to as u64));
                    let stream = opened(|| {
                        let found = store.object(&name(at.bucket()), &key(at.key()), version.as_ref())?;
                        store.read(&name(at.bucket()), &key(at.key()), &found, range)
                    });
                    assert!(drain(stream).await.unwrap() == thing.body[from..to], "{from}..{to} of {at:?}");
                }
                assert_eq!(found.err(), expected.err());
            }
            Op::Later(micros) => self.clock.advance(Duration::from_micros(micros.into())),
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

    async fn reopen(&mut self) {
        self.store = None;
        self.open().unwrap();
        self.whole().await;
    }

    fn upload_of(&mut self, id: &UploadOf) -> Answer<&mut BTreeMap<u64, Arc<Vec<u8>>>> {
        self.model.bucket(id.0)?;
        self.model.uploads.get_mut(id).ok_or_else(|| "NoSuchUpload".to_owned())
    }

    async fn append(&mut self, store: &Store, at: At, more: &[u8], off: u8, now: u64) {
        let filled = self.model.buckets.get(at.bucket());
        let current = filled.and_then(|filled| filled.current(at.key()));
        let body = match try_seal(store, more).await {
            Ok(body) => body,
            Err(error) => return self.same(answer(Err(error)), Ok(())),
        };
        let append = AppendObject {
            bucket: name(at.bucket()),
            key: key(at.key()),
            position: current.map_or(0, |object| object.body.len() as u64) + u64::from(off),
            attributes: Attributes::default(),
            properties: Properties::default(),
            body,
            cause: cause(),
        };
        let expected = self.model.append(at, more, off, now);
        let appended = store.append_object(append).await;
        if let (Ok(object), Ok(_)) = (&appended, &expected) {
            // Nobody can foretell the tag.
            let filled = self.model.buckets.get_mut(at.bucket()).unwrap();
            let thing = filled.find(at.key(), None).and_then(|held| held.object.as_mut()).unwrap();
            assert_ne!(object.etag, thing.etag);
            thing.etag = object.etag.clone();
            agrees(object, thing);
            let thing = thing.clone();
            let version = filled.named(VersionId::Null);
            let kind = ChangeKind::Object(EventType::CreatedPut);
            self.model.say(kind, at.bucket(), Some(at.key()), version, Some(&thing));
        }
        self.same(answer(appended.map(|object| object.size)), expected);
    }

    fn copy(
        &mut self,
        from: At,
        version: Option<&VersionId>,
        to: At,
        when: When,
        now: u64,
    ) -> Answer<(VersionId, Option<VersionId>)> {
        self.model.bucket(from.bucket())?;
        self.model.bucket(to.bucket())?;
        let source = self.model.object(from, version, false)?;
        let id = source.id();
        let thing = source.object.clone().unwrap();
        let copy = Thing { appendable: false, hold: false, parts: Vec::new(), ..thing };
        let named = self.model.bucket(from.bucket())?.named(id);
        Ok((self.model.write(to, copy, when, now, EventType::CreatedCopy)?, named))
    }

    async fn complete(&mut self, store: &Store, upload: u8, bits: u8, when: When, now: u64) {
        let Some(id) = self.model.upload(upload) else { return };
        let at = At(
            BUCKETS.iter().position(|bucket| *bucket == id.0).unwrap() as u8,
            KEYS.iter().position(|key| *key == id.1).unwrap() as u8,
        );
        let stored = self.model.uploads.get(&id).cloned().unwrap_or_default();
        let chosen: Vec<(u64, Arc<Vec<u8>>)> =
            stored.into_iter().filter(|(number, _)| bits & (1 << number) != 0).collect();
        let named = chosen.iter().map(|(number, body)| (*number, ETag::of_md5(of_md5(body))));
        let complete = CompleteUpload {
            bucket: name(id.0),
            key: key(id.1),
            upload: UploadId::new(id.2.clone()),
            parts: named.map(|(number, etag)| (PartNumber::new(number).unwrap(), etag)).collect(),
            part_size_min: 0,
            checksums: Vec::new(),
            checksum_type: None,
            conditions: self.conditions(at, when),
            cause: cause(),
        };
        let mut expected = self.upload_of(&id).map(drop).map(|()| VersionId::Null);
        if expected.is_ok() {
            let bodies: Vec<u8> = chosen.iter().flat_map(|(_, body)| body.iter().copied()).collect();
            let sums: Vec<u8> = chosen.iter().flat_map(|(_, body)| of_md5(body)).collect();
            let thing = Thing {
                etag: ETag::of_parts(of_md5(&sums), chosen.len()),
                made_of: chosen.len(),
                parts: chosen.iter().map(|(number, body)| (*number, body.len())).collect(),
                ..Thing::new(&bodies)
            };
            let event = EventType::CreatedCompleteMultipartUpload;
            expected = match chosen.is_empty() {
                true => refuse("InvalidPart"),
                false => self.model.write(at, thing, when, now, event),
            };
        }
        if expected.is_ok() {
            self.model.uploads.remove(&id);
        }
        self.same(answer(store.complete_upload(complete).await.map(|object| object.version.id())), expected);
    }

    async fn revise(
        &mut self,
        store: &Store,
        at: At,
        version: Option<u8>,
        change: impl Fn(&mut Thing) + Send + 'static,
    ) {
        let version = self.model.version(at, version);
        let expected = self.model.object(at, version.as_ref(), false).map(|held| {
            let id = held.id();
            let thing = held.object.as_mut().unwrap();
            change(thing);
            (id, thing.clone())
        });
        let expected = expected.map(|(id, thing)| {
            let named = self.model.buckets[at.bucket()].named(id);
            self.model.say(ChangeKind::SettingChanged, at.bucket(), Some(at.key()), named, Some(&thing));
            thing
        });
        let what = ReviseObject {
            bucket: name(at.bucket()),
            key: key(at.key()),
            version,
            event: None,
            cause: cause(),
        };
        let to = expected.clone().unwrap_or_else(|_| Thing::new(&[]));
        let revised = store.revise_object(what, move |revision| {
            revision.properties.legal_hold = to.hold;
            revision.properties.tags = tags(&to);
            Ok::<_, Error>(())
        });
        let revised = answer(revised.await);
        if let (Ok(object), Ok(thing)) = (&revised, &expected) {
            agrees(object, thing);
        }
        self.same(revised.map(drop), expected.map(drop));
    }

    fn list_objects(&self, store: &Store, bucket: &str, listing: &Listing) {
        let mut listing = listing.clone();
        loop {
            let found = answer(store.list_objects(&name(bucket), &listing));
            let Some(filled) = self.model.buckets.get(bucket) else {
                assert_eq!(found.map(drop), refuse("NoSuchBucket"));
                return;
            };
            let objects = filled.keys.iter().filter_map(|(key, versions)| {
                let current = versions.first()?;
                let object = current.object.as_ref()?;
                Some(((*key).to_owned(), (current.stamp, current.null, object.etag.clone())))
            });
            let (expected, more) = page(objects, &listing, |name, _| *name > *listing.after);
            let found = found.unwrap();
            let entries = found.objects.into_iter().map(|(key, summary)| {
                assert!(!summary.delete_marker);
                let entry = (summary.version.stamp, summary.version.null, summary.etag);
                Shown::Entry(key.into_string(), entry)
            });
            assert_eq!(merged(entries, found.common_prefixes), expected, "{listing:?}");
            let last = expected.last().map(|shown| match shown {
                Shown::Entry(name, _) | Shown::Common(name) => name.clone(),
            });
            assert_eq!(found.next, last.filter(|_| more), "{listing:?}");
            let Some(next) = found.next else { return };
            listing.after = next;
        }
    }

    fn list_versions(
        &self,
        store: &Store,
        bucket: &'static str,
        listing: &Listing,
        mut marker: Option<VersionId>,
    ) {
        let mut listing = listing.clone();
        loop {
            let found = answer(store.list_versions(&name(bucket), &listing, marker.as_ref()));
            let Some(filled) = self.model.buckets.get(bucket) else {
                assert_eq!(found.map(drop), refuse("NoSuchBucket"));
                return;
            };
            let versions = filled.keys.iter().flat_map(|(key, versions)| {
                versions.iter().enumerate().map(move |(at, held)| {
                    let etag = held.object.as_ref().map(|object| object.etag.clone());
                    ((*key).to_owned(), (std::cmp::Reverse(held.stamp), held.null, at == 0, etag))
                })
            });
            let of_key = filled.keys.get(listing.after.as_str());
            let stamp = match &marker {
                Some(VersionId::Null) => {
                    let null = of_key.and_then(|versions| versions.iter().find(|held| held.null));
                    // Gone since it was shown: what is older has to be shown all the same.
                    Ok(Some(null.map_or(u64::MAX, |held| held.stamp)))
                }
                Some(id) => id.stamp().map(Some).ok_or("NoSuchVersion"),
                None => Ok(None),
            };
            let is_common =
                page([(listing.after.clone(), ())].into_iter(), &listing, |_, ()| true).0.is_empty()
                    && listing.after.starts_with(&listing.prefix);
            if stamp.is_err() && listing.max > 0 && !listing.after.is_empty() && !is_common {
                assert_eq!(found.map(drop), refuse("NoSuchVersion"));
                return;
            }
            let stamp = stamp.unwrap_or(None);
            let (expected, more) = page(versions, &listing, |name, (of, ..)| {
                *name > *listing.after || (name == listing.after && stamp.is_some_and(|stamp| of.0 < stamp))
            });
            let found = found.unwrap();
            let entries = found.versions.into_iter().map(|listed| {
                let summary = listed.summary;
                let etag = (!summary.delete_marker).then_some(summary.etag);
                let entry =
                    (std::cmp::Reverse(summary.version.stamp), summary.version.null, listed.latest, etag);
                Shown::Entry(listed.key.into_string(), entry)
            });
            assert_eq!(merged(entries, found.common_prefixes), expected, "{listing:?} {marker:?}");
            let last = expected.last().map(|shown| match shown {
                Shown::Common(name) => (name.clone(), None),
                Shown::Entry(name, (stamp, true, ..)) => {
                    assert!(stamp.0 > 0);
                    (name.clone(), Some(VersionId::Null))
                }
                Shown::Entry(name, (stamp, ..)) => (name.clone(), Some(VersionId::of_stamp(stamp.0))),
            });
            assert_eq!(found.next, last.filter(|_| more), "{listing:?} {marker:?}");
            let Some(next) = found.next else { return };
            (listing.after, marker) = next;
        }
    }

    fn list_uploads(&self, store: &Store, bucket: &str, listing: &Listing, mut marker: String) {
        let mut listing = listing.clone();
        loop {
            let found = answer(store.list_uploads(&name(bucket), &listing, &marker));
            if !self.model.buckets.contains_key(bucket) {
                assert_eq!(found.map(drop), refuse("NoSuchBucket"));
                return;
            }
            let of_bucket = self.model.uploads.keys().filter(|id| id.0 == bucket);
            let uploads = of_bucket.map(|(_, key, id)| ((*key).to_owned(), id.clone()));
            let (expected, more) = page(uploads, &listing, |name, id| {
                *name > *listing.after || (name == listing.after && !marker.is_empty() && *id > marker)
            });
            let found = found.unwrap();
            let entries =
                found.uploads.into_iter().map(|u| Shown::Entry(u.key.into_string(), u.id.into_string()));
            assert_eq!(merged(entries, found.common_prefixes), expected, "{listing:?} {marker:?}");
            let last = expected.last().map(|shown| match shown {
                Shown::Common(name) => (name.clone(), String::new()),
                Shown::Entry(name, id) => (name.clone(), id.clone()),
            });
            assert_eq!(found.next, last.filter(|_| more), "{listing:?} {marker:?}");
            let Some(next) = found.next else { return };
            (listing.after, marker) = next;
        }
    }

    /// Compares what has been added to the change log.
    pub(super) fn compare_changes(&mut self) {
        let (after, count) = self.compared;
        let read = || self.store().changes(after, usize::MAX);
        // A disk of which one step fails may refuse one reading.
        let log = read().or_else(|_| read()).unwrap();
        let found = log.iter().map(|change| Said {
            kind: change.kind,
            bucket: BUCKETS.iter().find(|bucket| **bucket == change.bucket.as_str()).unwrap(),
            key: change.key.as_ref().map(|key| *KEYS.iter().find(|known| **known == key.as_str()).unwrap()),
            version: change.version_id.clone(),
            size: change.size as usize,
            etag: change.etag.clone(),
        });
        assert_eq!(found.collect::<Vec<_>>(), self.model.changes[count..]);
        assert!(log.is_sorted_by(|a, b| a.seq < b.seq));
        self.compared = (log.last().map_or(after, |change| change.seq), self.model.changes.len());
    }

    /// Compares everything there is.
    pub(super) async fn whole(&self) {
        let store = self.store();
        consistent::check(&store, self.scratch.as_ref().map(Scratch::path)).await;
        let buckets: Vec<_> =
            store.buckets().unwrap().into_iter().map(|b| (b.name.into_string(), b.versioning)).collect();
        let expected =
            self.model.buckets.iter().map(|(name, filled)| ((*name).to_owned(), filled.versioning));
        assert_eq!(buckets, expected.collect::<Vec<_>>());
        for (bucket, filled) in &self.model.buckets {
            let all = listing("", "", "", 1_000);
            self.list_objects(&store, bucket, &all);
            self.list_versions(&store, bucket, &all, None);
            self.list_uploads(&store, bucket, &all, String::new());
            for setting in SETTINGS {
                assert_eq!(
                    store.setting(&name(bucket), setting).unwrap().as_ref(),
                    filled.settings.get(setting)
                );
            }
            for (object, held) in
                filled.keys.iter().flat_map(|(key, held)| held.iter().map(move |held| (*key, held)))
            {
                let found = answer(store.object(&name(bucket), &key(object), Some(&held.id())));
                let Some(thing) = &held.object else {
                    assert_eq!(found.map(drop), refuse("DeleteMarker"));
                    continue;
                };
                let found = found.unwrap();
                agrees(&found, thing);
                let parts = store.object_parts(&found, 0, usize::MAX).unwrap();
                let parts = parts.iter().map(|part| (u64::from(part.number.get()), part.size as usize));
                assert_eq!(parts.collect::<Vec<_>>(), thing.parts);
                let stream = opened(|| {
                    let found = store.object(&name(bucket), &key(object), Some(&held.id()))?;
                    store.read(&name(bucket), &key(object), &found, None)
                });
                assert!(drain(stream).await.unwrap() == *thing.body, "{bucket}/{object:?} {:?}", held.id());
            }
        }
        for ((bucket, object, id), parts) in &self.model.uploads {
            let id = UploadId::new(id.clone());
            let found = store.parts(&name(bucket), &key(object), &id, 0, 99).unwrap();
            assert_eq!(found.len(), parts.len());
            for (found, (number, body)) in found.iter().zip(parts) {
                assert_eq!((u64::from(found.number.get()), found.md5), (*number, of_md5(body)));
                let stream = opened(|| {
                    let found = store.parts(&name(bucket), &key(object), &id, found.number.get() - 1, 1)?;
                    store.read_content(&found[0].content)
                });
                assert!(drain(stream).await.unwrap() == **body);
            }
        }
        for (kept, body) in &self.model.kept {
            assert!(drain(opened(|| store.read_kept(*kept))).await.unwrap() == *body);
        }
    }

    /// Deletes everything, and waits until nothing is left of it.
    pub(super) async fn end(mut self) {
        self.whole().await;
        let store = self.store();
        while !self.model.kept.is_empty() {
            self.apply(&Op::Release(0)).await;
        }
        for (bucket, object, id) in self.model.uploads.clone().into_keys() {
            store.abort_upload(name(bucket), key(object), UploadId::new(id)).await.unwrap();
        }
        for (bucket, filled) in self.model.buckets.clone() {
            for (object, held) in
                filled.keys.iter().flat_map(|(key, held)| held.iter().map(move |held| (*key, held)))
            {
                if held.object.as_ref().is_some_and(|object| object.hold) {
                    let what = ReviseObject {
                        bucket: name(bucket),
                        key: key(object),
                        version: Some(held.id()),
                        event: None,
                        cause: cause(),
                    };
                    let release = |revision: &mut crate::Revision<'_>| {
                        revision.properties.legal_hold = false;
                        Ok::<_, Error>(())
                    };
                    store.revise_object(what, release).await.unwrap();
                }
                assert!(delete_version(&store, bucket, object, Some(held.id())).await.unwrap().existed);
            }
            store.delete_bucket(name(bucket), false, cause()).await.unwrap();
        }
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

/// A body that is looked up again if it was moved, and its segment removed, since it was: no grace
/// is given to readers here.
fn opened(open: impl Fn() -> Result<ByteStream>) -> ByteStream {
    let was_moved = |found: &Result<ByteStream>| match found {
        Err(Error::Io(error)) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    let mut tries = (0..100).map(|_| open());
    tries.find(|found| !was_moved(found)).expect("its segment is there at last").unwrap()
}

fn tags(thing: &Thing) -> BTreeMap<String, String> {
    thing.tag.iter().map(|tag| ("tag".to_owned(), tag.to_string())).collect()
}

fn agrees(object: &Object, thing: &Thing) {
    assert_eq!((object.size as usize, &object.etag), (thing.body.len(), &thing.etag));
    assert_eq!(object.crc64, cosette_blob::crc64(&thing.body));
    assert_eq!((object.appendable, object.properties.legal_hold), (thing.appendable, thing.hold));
    assert_eq!(object.properties.tags, tags(thing));
    assert_eq!(object.parts.map_or(0, |parts| parts as usize), thing.made_of);
}

/// Entries and common prefixes of a page in one order, which each must be in already.
fn merged<T>(entries: impl Iterator<Item = Shown<T>>, common: Vec<String>) -> Vec<Shown<T>> {
    let name = |shown: &Shown<T>| match shown {
        Shown::Entry(name, _) | Shown::Common(name) => name.clone(),
    };
    let entries: Vec<_> = entries.collect();
    assert!(entries.iter().map(name).is_sorted() && common.is_sorted_by(|a, b| a < b));
    let mut all: Vec<_> = entries.into_iter().chain(common.into_iter().map(Shown::Common)).collect();
    all.sort_by_key(name);
    all
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

/// Everything happens all the time: a segment is full after a few commits, is moved together as
/// soon as something in it is dead, and every checkpoint may take a snapshot.
pub(super) fn busy() -> Settings {
    Settings {
        small_max: 2_000,
        segment_max: 4_000,
        snapshot_after: 0,
        waste_min: 0,
        waste_percent: 1,
        ..quick()
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run_script(ops: &[Op], on_disk: bool) {
    runtime().block_on(async {
        let mut subject = Subject::new(on_disk.then(Scratch::new), busy());
        // Most scripts want a bucket, and shrink better with it.
        subject.apply(&Op::Create(0)).await;
        for op in ops {
            subject.apply(op).await;
        }
        subject.end().await;
    });
}

fn run_scripts(cases: u32, len: std::ops::Range<usize>, on_disk: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = number("COSETTE_MODEL_CASES").map_or(cases, |cases| cases as u32);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("COSETTE_MODEL_SEED").unwrap_or(1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let run = runner.run(&vec(ops(), len), |script| {
        run_script(&script, on_disk);
        Ok(())
    });
    if let Err(TestError::Fail(why, script)) = run {
        let lines = script.iter().fold(String::new(), |mut lines, op| {
            let _ = writeln!(lines, "        {op:?},");
            lines
        });
        panic!("{why}\n    run_script(&[\n{lines}    ], {on_disk});");
    }
}

#[test]
fn scripts_that_failed() {
    run_script(&[Op::ListVersions(0, Pages(0, 0, 1, 1), Some(6))], false);
}

#[test]
fn a_store_in_memory_agrees_with_the_model() {
    run_scripts(800, 1..80, false);
}

#[test]
fn a_store_on_disk_agrees_with_the_model() {
    run_scripts(100, 1..80, true);
}
