//! Power that fails at any step. A recorder notes what the engine does to its disk; what a power
//! loss after any of these steps may leave is built from the notes, and opened.
//!
//! Only what was promised is relied on: a sync makes a file's contents and length durable, a sync
//! of a directory its entries. All else is kept, lost or torn by chance, in no order. The index is
//! left out: it writes its files itself, and is made again from the journal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};

use cosette_blob::{Faults, Step, Verdict};
use cosette_model::{ChangeKind, Encryption, EventType, KmsKey, Seq};

use super::reference::{At, Body, Op, Way, When};
use super::*;

/// A step that was done, with a path below the recorder's root.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    SyncDirectory(PathBuf),
    SyncAll,
    CreateDirectory(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Notes every step below a directory, and may be told to let no more happen, as if the process
/// had been killed.
pub(super) struct Recorder {
    root: PathBuf,
    steps: Mutex<Vec<Done>>,
    /// No step after so many.
    last: AtomicUsize,
}

impl Recorder {
    pub(super) fn new(root: &Path) -> Arc<Self> {
        Arc::new(Self { root: root.to_owned(), steps: Mutex::default(), last: AtomicUsize::new(usize::MAX) })
    }

    pub(super) fn steps(&self) -> MutexGuard<'_, Vec<Done>> {
        self.steps.lock().unwrap()
    }

    /// How many steps there have been.
    pub(super) fn count(&self) -> usize {
        self.steps().len()
    }

    /// Lets no step happen once there have been so many.
    pub(super) fn kill_after(&self, steps: usize) {
        self.last.store(steps, Ordering::SeqCst);
    }
}

impl Faults for Recorder {
    fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
        let below = |path: &Path| path.strip_prefix(&self.root).ok().map(Path::to_owned);
        let Some(at) = below(path) else { return Verdict::Go };
        let mut steps = self.steps();
        if steps.len() >= self.last.load(Ordering::SeqCst) {
            return Verdict::Fail(io::Error::other("killed"));
        }
        steps.push(match step {
            Step::Open => return Verdict::Go,
            Step::Create => Done::Create(at),
            Step::Write { offset, bytes } => Done::Write(at, offset, bytes.to_vec()),
            Step::Cut(len) => Done::Cut(at, len),
            Step::Sync => Done::Sync(at),
            Step::SyncDirectory => Done::SyncDirectory(at),
            Step::SyncAll => Done::SyncAll,
            Step::CreateDirectory => Done::CreateDirectory(at),
            Step::Rename { to } => Done::Rename(at, below(to).unwrap()),
            Step::Remove => Done::Remove(at),
        });
        Verdict::Go
    }
}

/// A disk after some steps: what is on it for certain, and what has been done since.
pub(super) struct Media {
    files: Vec<Contents>,
    /// The first is the root.
    directories: Vec<Entries>,
}

#[derive(Default)]
struct Contents {
    certain: Vec<u8>,
    since: Vec<Edit>,
}

enum Edit {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Default)]
struct Entries {
    /// As a running process sees them.
    now: BTreeMap<OsString, Node>,
    certain: BTreeMap<OsString, Node>,
    /// Each is done wholly or not at all: a rename is two.
    since: Vec<Vec<(OsString, Option<Node>)>>,
}

#[derive(Clone, Copy)]
enum Node {
    File(usize),
    Directory(usize),
}

fn edit(bytes: &mut Vec<u8>, edit: &Edit) {
    match edit {
        Edit::Write(offset, new) => {
            let end = *offset as usize + new.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*offset as usize..end].copy_from_slice(new);
        }
        Edit::Cut(len) => bytes.resize(*len as usize, 0),
    }
}

fn enter(entries: &mut BTreeMap<OsString, Node>, changes: &[(OsString, Option<Node>)]) {
    for (name, node) in changes {
        match node {
            Some(node) => entries.insert(name.clone(), *node),
            None => entries.remove(name),
        };
    }
}

impl Media {
    pub(super) fn new() -> Self {
        Self { files: Vec::new(), directories: vec![Entries::default()] }
    }

    fn find(&self, path: &Path) -> Option<Node> {
        path.iter().try_fold(Node::Directory(0), |node, name| match node {
            Node::Directory(at) => self.directories[at].now.get(name).copied(),
            Node::File(_) => None,
        })
    }

    fn directory(&mut self, path: &Path) -> &mut Entries {
        match self.find(path) {
            Some(Node::Directory(at)) => &mut self.directories[at],
            _ => panic!("no directory {}", path.display()),
        }
    }

    /// `None` for a file that is gone from under its writer.
    fn file(&mut self, path: &Path) -> Option<&mut Contents> {
        match self.find(path)? {
            Node::File(at) => Some(&mut self.files[at]),
            Node::Directory(_) => panic!("{} is a directory", path.display()),
        }
    }

    fn change(&mut self, directory: &Path, changes: Vec<(OsString, Option<Node>)>) {
        let entries = self.directory(directory);
        enter(&mut entries.now, &changes);
        entries.since.push(changes);
    }

    pub(super) fn apply(&mut self, step: &Done) {
        let name = |path: &Path| path.file_name().unwrap().to_owned();
        match step {
            Done::Create(path) => {
                self.files.push(Contents::default());
                let node = Node::File(self.files.len() - 1);
                self.change(path.parent().unwrap(), vec![(name(path), Some(node))]);
            }
            Done::CreateDirectory(path) => {
                let mut path: Vec<&Path> = path.ancestors().collect();
                path.reverse();
                for path in path {
                    if self.find(path).is_none() {
                        self.directories.push(Entries::default());
                        let node = Node::Directory(self.directories.len() - 1);
                        self.change(path.parent().unwrap(), vec![(name(path), Some(node))]);
                    }
                }
            }
            Done::Write(path, offset, bytes) => {
                if let Some(file) = self.file(path) {
                    file.since.push(Edit::Write(*offset, bytes.clone()));
                }
            }
            Done::Cut(path, len) => {
                if let Some(file) = self.file(path) {
                    file.since.push(Edit::Cut(*len));
                }
            }
            Done::Sync(path) => {
                if let Some(Contents { certain, since }) = self.file(path) {
                    since.drain(..).for_each(|change| edit(certain, &change));
                }
            }
            Done::SyncDirectory(path) => {
                let Entries { certain, since, .. } = self.directory(path);
                since.drain(..).for_each(|changes| enter(certain, &changes));
            }
            Done::SyncAll => {
                for Contents { certain, since } in &mut self.files {
                    since.drain(..).for_each(|change| edit(certain, &change));
                }
                for Entries { certain, since, .. } in &mut self.directories {
                    since.drain(..).for_each(|changes| enter(certain, &changes));
                }
            }
            Done::Rename(from, to) => {
                assert_eq!(from.parent(), to.parent(), "nothing is moved");
                // The index was made by nobody we know of.
                if let Some(node) = self.find(from) {
                    self.change(from.parent().unwrap(), vec![(name(from), None), (name(to), Some(node))]);
                }
            }
            Done::Remove(path) => {
                if self.find(path).is_some() {
                    self.change(path.parent().unwrap(), vec![(name(path), None)]);
                }
            }
        }
    }

    /// What a power loss now may leave. With seed 0 all that is not certain is lost; with others
    /// each change is kept, lost or, if it is a write, torn.
    pub(super) fn image(&self, seed: u64) -> Scratch {
        let scratch = Scratch::new();
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.write_out(0, scratch.path(), &mut chance);
        scratch
    }

    fn write_out(&self, directory: usize, to: &Path, chance: &mut Chance) {
        let Entries { certain, since, .. } = &self.directories[directory];
        let mut entries = certain.clone();
        since.iter().filter(|_| chance.below(2) == 1).for_each(|changes| enter(&mut entries, changes));
        for (name, node) in entries {
            let path = to.join(name);
            match node {
                Node::Directory(at) => {
                    std::fs::create_dir(&path).unwrap();
                    self.write_out(at, &path, chance);
                }
                Node::File(at) => std::fs::write(&path, self.files[at].left(chance)).unwrap(),
            }
        }
    }
}

impl Contents {
    fn left(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        for change in &self.since {
            match (chance.below(3), change) {
                (0, _) => {}
                (1, Edit::Write(offset, new)) => {
                    let torn = chance.below(new.len() as u64 + 1) as usize;
                    edit(&mut bytes, &Edit::Write(*offset, new[..torn].to_vec()));
                }
                (_, change) => edit(&mut bytes, change),
            }
        }
        bytes
    }
}

/// Always 0 from seed 0.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

const BUCKET: &str = "bucket";

/// What has been acknowledged, and when: after how many steps. Each key has one writer.
#[derive(Clone, Default)]
pub(super) struct History {
    /// When the bucket was made.
    bucket: Option<usize>,
    keys: BTreeMap<String, Vec<State>>,
    parts: Vec<Stored>,
}

/// What a key held.
#[derive(Clone)]
struct State {
    steps: usize,
    /// `None` once it was deleted.
    body: Option<Arc<Vec<u8>>>,
    kind: EventType,
    etag: ETag,
}

/// A part of an upload.
#[derive(Clone)]
struct Stored {
    steps: usize,
    key: String,
    upload: UploadId,
    number: u64,
    body: Vec<u8>,
    /// Which of the key's states is made of it.
    until: usize,
}

impl History {
    /// Checks a store that is what a power loss after `steps` steps has left: nothing that was
    /// acknowledged by then is missing, and each key has gone at most one step further.
    pub(super) async fn check(&self, store: &Store, steps: usize) {
        let at = format!("power lost after {steps} steps");
        let log = store.changes(Seq(0), usize::MAX).unwrap();
        if store.bucket(&name(BUCKET)).unwrap().is_none() {
            assert!(self.bucket.is_none_or(|made| made > steps), "{at}: the bucket is lost");
            assert!(log.is_empty(), "{at}: changes without a bucket");
            return;
        }
        let mut changes = 1;
        assert!(matches!(log[0].kind, ChangeKind::BucketCreated), "{at}");
        let page = store.list_objects(&name(BUCKET), &listing("", "", "", 1_000)).unwrap();
        let mut listed = page.objects.len();
        for (object, states) in &self.keys {
            let of_key: Vec<_> = log
                .iter()
                .filter(|change| change.key.as_ref().is_some_and(|k| k.as_str() == object))
                .collect();
            let acknowledged = states.iter().filter(|state| state.steps <= steps).count();
            assert!(of_key.len() >= acknowledged, "{at}: {object} lost a change");
            assert!(
                of_key.len() <= states.len().min(acknowledged + 1),
                "{at}: {object} has changes too many"
            );
            for (change, state) in of_key.iter().zip(states) {
                assert_eq!(change.kind, ChangeKind::Object(state.kind), "{at}: {object}");
                assert_eq!(change.etag.as_ref(), Some(&state.etag), "{at}: {object}");
            }
            changes += of_key.len();
            let held = of_key.len().checked_sub(1).and_then(|last| states[last].body.as_ref());
            match (get(store, BUCKET, object).await, held) {
                (Ok(found), Some(body)) => {
                    assert!(found == **body, "{at}: {object} holds something else");
                    listed -= 1;
                }
                (Err(Error::NoSuchObject(_)), None) => {}
                (Ok(_), None) => panic!("{at}: {object} is there without its change"),
                (Err(error), _) => panic!("{at}: {object}: {error}"),
            }
            for part in self.parts.iter().filter(|part| part.key == *object) {
                if part.steps <= steps && of_key.len() <= part.until {
                    let parts = store.parts(&name(BUCKET), &key(object), &part.upload, 0, 99).unwrap();
                    let found = parts.iter().find(|found| u64::from(found.number.get()) == part.number);
                    let content =
                        &found.unwrap_or_else(|| panic!("{at}: a part of {object} is lost")).content;
                    let upload = store.upload(&name(BUCKET), &key(object), &part.upload).unwrap();
                    let seal = upload.sealing.map(|sealing| store.unseal(&sealing, None).unwrap());
                    let stream = store.read_content(content, seal.as_ref()).unwrap();
                    assert!(drain(stream).await.unwrap() == part.body, "{at}");
                }
            }
        }
        assert_eq!((log.len(), listed), (changes, 0), "{at}: something that nobody wrote");
    }
}

/// A store over a recorder, whose acknowledgements are noted.
pub(super) struct Subject {
    recorder: Arc<Recorder>,
    /// `None` while no process has the directory open.
    store: Option<Store>,
    settings: Settings,
    history: History,
    /// A write that has not been acknowledged.
    under_way: Option<(String, Vec<u8>)>,
    /// Last, so that its files outlive the store.
    scratch: Scratch,
}

impl Subject {
    pub(super) fn new(settings: Settings) -> Self {
        let scratch = Scratch::new();
        let recorder = Recorder::new(scratch.path());
        let history = History::default();
        Self { recorder, store: None, settings, history, under_way: None, scratch }
    }

    pub(super) fn open(&mut self) -> Result<()> {
        let disk = Disk::faulty(self.recorder.clone());
        self.store = Some(open_with(Some(self.scratch.path()), disk, self.settings)?);
        Ok(())
    }

    /// The process has ended without a word, and another takes up its directory. What was under
    /// way may have come to pass.
    async fn reopen(&mut self) -> Result<()> {
        self.store = None;
        self.recorder.kill_after(usize::MAX);
        self.open()?;
        if self.store().bucket(&name(BUCKET))?.is_none() {
            return self.make_bucket().await;
        }
        self.history.bucket.get_or_insert(self.recorder.count());
        if let Some((object, body)) = self.under_way.take()
            && get(self.store(), BUCKET, &object).await.is_ok_and(|found| found == body)
        {
            let etag = self.store().object(&name(BUCKET), &key(&object), None)?.etag;
            self.note(&object, EventType::CreatedPut, etag, Some(Arc::new(body)));
        }
        Ok(())
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    async fn make_bucket(&mut self) -> Result<()> {
        create(self.store(), BUCKET).await?;
        self.history.bucket = Some(self.recorder.count());
        Ok(())
    }

    fn note(&mut self, object: &str, kind: EventType, etag: ETag, body: Option<Arc<Vec<u8>>>) {
        let state = State { steps: self.recorder.count(), body, kind, etag };
        self.history.keys.entry(object.to_owned()).or_default().push(state);
    }

    fn last(&self, object: &str) -> &State {
        self.history.keys[object].last().unwrap()
    }

    async fn put(&mut self, object: &str, body: Vec<u8>) -> Result<()> {
        self.put_as(object, body, None).await
    }

    async fn put_as(&mut self, object: &str, body: Vec<u8>, how: Option<Encryption>) -> Result<()> {
        let seal = match how {
            Some(how) => Some(self.store().seal(&how).await?),
            None => None,
        };
        self.under_way = Some((object.to_owned(), body.clone()));
        let mut staged = self.store().stage_under(None, Wanted::default(), seal)?;
        staged.write(body.clone().into()).await?;
        let sealed = staged.seal().await?;
        let conditions = WriteConditions::default();
        let etag = put_body(self.store(), BUCKET, object, sealed, conditions).await?.etag;
        self.under_way = None;
        self.note(object, EventType::CreatedPut, etag, Some(Arc::new(body)));
        Ok(())
    }

    async fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        let mut copy = copy_of((BUCKET, from), (BUCKET, to));
        let found = self.store().object(&name(BUCKET), &key(from), None)?;
        if let Some(sealing) = &found.sealing {
            let seal = self.store().unseal(sealing, None)?;
            let seal = self.store().reseal(&seal, &Encryption::Service).await?;
            copy.content = CopiedContent::Shared(Some(seal));
        }
        let (copied, _) = self.store().copy_object(copy).await?;
        let body = self.last(from).body.clone();
        self.note(to, EventType::CreatedCopy, copied.etag, body);
        Ok(())
    }

    async fn delete(&mut self, object: &str) -> Result<()> {
        assert!(delete(self.store(), BUCKET, object).await?);
        let etag = self.last(object).etag.clone();
        self.note(object, EventType::RemovedDelete, etag, None);
        Ok(())
    }

    /// An upload of these parts, in this order; completed, or left open.
    async fn upload(
        &mut self,
        object: &str,
        bodies: Vec<Vec<u8>>,
        how: Option<Encryption>,
        completed: bool,
    ) -> Result<()> {
        let seal = match how {
            Some(how) => Some(self.store().seal(&how).await?),
            None => None,
        };
        let (attributes, properties) = (Attributes::default(), Properties::default());
        let sealing = seal.as_ref().map(|seal| seal.sealing.clone());
        let begun =
            self.store().create_upload(name(BUCKET), key(object), attributes, properties, None, sealing);
        let id = begun.await?.id;
        let until = self.history.keys.entry(object.to_owned()).or_default().len();
        let until = if completed { until } else { usize::MAX };
        let mut parts = Vec::new();
        for (number, body) in (1..).zip(&bodies) {
            let part = PutPart {
                bucket: name(BUCKET).into(),
                key: key(object),
                upload: id.clone(),
                number: PartNumber::new(number).unwrap(),
                body: seal_under(self.store(), body, seal.clone()).await?,
            };
            parts.push((number, ETag::of_md5(self.store().put_part(part).await?.md5)));
            self.history.parts.push(Stored {
                steps: self.recorder.count(),
                key: object.to_owned(),
                upload: id.clone(),
                number,
                body: body.clone(),
                until,
            });
        }
        if completed {
            let etag = complete(self.store(), BUCKET, object, &id, &parts, 1).await?.etag;
            let body = Arc::new(bodies.concat());
            self.note(object, EventType::CreatedCompleteMultipartUpload, etag, Some(body));
        }
        Ok(())
    }

    /// Everything a store does to its disk, at least once.
    async fn work(&mut self) -> Result<()> {
        self.make_bucket().await?;
        for n in 0..6 {
            self.put(&format!("small/{n}"), bytes(300, n)).await?;
        }
        self.put("large", bytes(100_000, 10)).await?;
        self.put("other", bytes(100_000, 11)).await?;
        self.put("small/1", bytes(500, 12)).await?;
        self.put("large", bytes(120_000, 13)).await?;
        self.copy("other", "copy").await?;
        self.copy("small/2", "small/3").await?;
        self.delete("other").await?;
        self.delete("small/0").await?;
        let kms = || Encryption::Kms(KmsKey { id: Some("a".to_owned()), ..KmsKey::default() });
        self.put_as("sealed", bytes(300, 20), Some(Encryption::Service)).await?;
        self.put_as("sealed", bytes(100_000, 21), Some(Encryption::Service)).await?;
        self.put_as("kms", bytes(1_000, 22), Some(kms())).await?;
        self.copy("sealed", "kms").await?;
        let parts = vec![bytes(100_000, 14), bytes(400, 15), bytes(40_000, 16)];
        self.upload("parts", parts, Some(Encryption::Service), true).await?;
        self.upload("open", vec![bytes(50_000, 17), bytes(200, 18)], Some(kms()), false).await?;
        self.put("parts", bytes(100, 19)).await?;
        self.put("small/0", Vec::new()).await?;
        self.delete("copy").await
    }

    /// A little of it, for a process that is killed: from the very beginning.
    async fn begin(&mut self) -> Result<()> {
        self.open()?;
        self.make_bucket().await?;
        self.put("a", bytes(300, 1)).await?;
        self.put("b", bytes(50_000, 2)).await?;
        self.put("a", bytes(1_500, 3)).await?;
        self.put("c", bytes(1_500, 4)).await
    }

    /// Loses power after so many steps, these ascending, once for each seed, and checks what is
    /// left, and that it can be worked with.
    pub(super) async fn lose_power(&self, points: impl IntoIterator<Item = usize>, seeds: &[u64]) {
        let steps = self.recorder.steps().clone();
        let mut media = Media::new();
        let mut applied = 0;
        for n in points {
            steps[applied..n].iter().for_each(|step| media.apply(step));
            applied = n;
            for seed in seeds {
                let image = media.image(*seed * (n as u64 + 1));
                let store = open_with(Some(image.path()), Disk::default(), self.settings)
                    .unwrap_or_else(|error| panic!("power lost after {n} steps, seed {seed}: {error}"));
                self.history.check(&store, n).await;
                if store.bucket(&name(BUCKET)).unwrap().is_some() {
                    put(&store, BUCKET, "afterwards", b"afterwards").await.unwrap();
                    assert_eq!(get(&store, BUCKET, "afterwards").await.unwrap(), b"afterwards");
                }
            }
        }
    }
}

/// Many segments; bodies go at once; no checkpoint, whose syncs could stand in for missing ones.
fn restless() -> Settings {
    Settings {
        segment_max: 3_000,
        garbage_grace: Duration::ZERO,
        checkpoint_after: Duration::from_secs(3600),
        ..Settings::default()
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_power_loss() {
    let mut subject = Subject::new(restless());
    subject.open().unwrap();
    subject.work().await.unwrap();
    // What was overwritten or deleted is gone from the disk too.
    recovery::until_bodies_are_left(subject.store(), subject.scratch.path(), 3).await;
    subject.store().close().await.unwrap();
    let steps = subject.recorder.count();
    assert!(steps > 100);
    subject.lose_power(0..=steps, &[0, 1, 2]).await;
}

/// The index is gone whenever the power was, so it is filled from a snapshot and the journal from
/// there on; and what lay in segments that are gone has been moved.
#[test]
fn a_power_loss_leaves_a_script_after_one_of_its_operations() {
    let runtime = reference::runtime();
    let scratch = Scratch::new();
    let (root, recorder) = (scratch.path().to_owned(), Recorder::new(scratch.path()));
    let settings = reference::busy();
    let mut subject = reference::Subject::closed(Some(scratch), settings, Disk::faulty(recorder.clone()));
    // After how many steps the model was what.
    let mut models = vec![(0, subject.model())];
    subject.open().unwrap();
    let mut perform = |op: Op| {
        assert!(runtime.block_on(subject.attempt(&op)).is_none());
        models.push((recorder.count(), subject.model()));
    };
    faults::work().into_iter().for_each(&mut perform);
    // Until the upkeep has done all that it does: emptied the segment that holds what has never
    // been overwritten, taken a snapshot, and removed what only the one before it needed.
    let is_left = |path: &str| root.join(path).exists();
    for n in (0..200).cycle().take(5_000) {
        let is_snapshot = |step: &&Done| matches!(step, Done::Rename(_, to) if to.starts_with("snapshot"));
        let snapshots = recorder.steps().iter().filter(is_snapshot).count();
        if snapshots > 4 && !is_left("journal/0000000001.journal") && !is_left("journal/0000000002.journal") {
            break;
        }
        perform(Op::Put(At(0, 1), Body(4, n), When::Always, Way(n % 3)));
    }
    assert!(!is_left("journal/0000000002.journal"), "what lives in it is never moved");
    runtime.block_on(subject.store().close()).unwrap();
    subject.crash();
    let steps = recorder.steps().clone();
    let (mut media, mut applied) = (Media::new(), 0);
    for n in (0..=steps.len()).step_by(faults::stride(steps.len() / 45)) {
        steps[applied..n].iter().for_each(|step| media.apply(step));
        applied = n;
        for seed in [0, 1] {
            let image = media.image(seed * (n as u64 + 1));
            let mut left = reference::Subject::closed(Some(image), settings, Disk::default());
            left.open().unwrap_or_else(|error| panic!("power lost after {n} steps, seed {seed}: {error}"));
            let acknowledged = models.iter().rposition(|(at, _)| *at <= n).unwrap();
            let mut allowed = models[acknowledged..].iter().take(2).map(|(_, model)| model.clone());
            assert!(
                allowed.any(|model| left.is(&runtime, model).is_ok()),
                "power lost after {n} steps, seed {seed}: neither operation {acknowledged} nor the next"
            );
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill_and_then_a_power_loss() {
    let whole = {
        let mut subject = Subject::new(restless());
        subject.begin().await.unwrap();
        subject.recorder.count()
    };
    for killed in 0..whole {
        let mut subject = Subject::new(restless());
        subject.recorder.kill_after(killed);
        subject.begin().await.unwrap_err();
        assert_eq!(subject.recorder.count(), killed);
        subject.reopen().await.unwrap();
        let reopened = subject.recorder.count();
        subject.put("a", bytes(300, 5)).await.unwrap();
        subject.put("d", bytes(50_000, 6)).await.unwrap();
        let steps = subject.recorder.count();
        let some = (killed + 1 + killed * 7 % (steps - killed)).min(steps);
        let mut points = vec![reopened, some, steps];
        points.sort_unstable();
        subject.lose_power(points, &[0, 1 + killed as u64]).await;
    }
}

#[tokio::test]
async fn a_removed_body_does_not_come_back_to_stay() {
    let mut subject = Subject::new(restless());
    subject.open().unwrap();
    subject.make_bucket().await.unwrap();
    subject.put("freed", bytes(50_000, 1)).await.unwrap();
    // The next process sweeps the epoch of this one, and nobody after it looks there again.
    subject.reopen().await.unwrap();
    subject.put("kept", bytes(50_000, 2)).await.unwrap();
    subject.delete("freed").await.unwrap();
    recovery::until_bodies_are_left(subject.store(), subject.scratch.path(), 1).await;
    subject.store().close().await.unwrap();
    let mut media = Media::new();
    subject.recorder.steps().iter().for_each(|step| media.apply(step));
    let image = media.image(0);
    let store = open(image.path());
    subject.history.check(&store, subject.recorder.count()).await;
    store.close().await.unwrap();
    assert_eq!(recovery::body_files(image.path()), 1);
}
