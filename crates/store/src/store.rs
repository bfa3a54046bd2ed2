//! The store as a whole: opening and closing it, and running mutations.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use cosette_blob::{Bodies, Disk};
use cosette_clock::Clock;
use cosette_kv::{Engine, Range};
use cosette_model::{BucketName, Change, Digests, Seq, Wanted};
use tokio::sync::watch;

use crate::changelog::ChangeLog;
use crate::commit::{Committer, Message, Mutation, Poison};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::journal::{Journal, Segments};
use crate::open::{Opened, applied, open};
use crate::reads::Reads;
use crate::record::Content;
use crate::schema::{self, Kind};
use crate::sealing::{self, Master, Salt, Seal, Sealing};
use crate::settings::Settings;
use crate::space::{Space, Use};
use crate::tx::Tx;
use crate::upkeep::{Chores, OnDisk, Upkeep};
use crate::views::{View, Views};
use crate::{Kept, Table};

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means on disk.
    #[default]
    Strict,
    /// Nobody waits for a sync: consistent after a crash, may lose the last moments.
    Relaxed,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// `None` keeps everything in memory; large bodies spill to files that die with the process.
    pub dir: Option<PathBuf>,
    pub durability: Durability,
    /// Index cache, in bytes.
    pub cache_bytes: u64,
}

/// A body that has been received whole, with its digests; not yet referred to by any record.
/// Dropping it discards the bytes.
#[derive(Debug)]
pub struct Sealed {
    pub size: u64,
    pub digests: Digests,
    /// What stands for its MD5 in ETags.
    pub tag: [u8; 16],
    /// How it is encrypted, if it is.
    pub(crate) sealing: Option<Sealing>,
    pub(crate) salt: Option<Salt>,
    pub(crate) stored: cosette_blob::Stored,
    pub(crate) body: cosette_blob::Received,
}

/// A body being received. Bytes go to disk (or memory) while digests are computed.
pub struct Staged {
    staged: cosette_blob::Staged,
    seal: Option<(Seal, Salt)>,
    space: Arc<Space>,
}

impl Staged {
    /// Takes the next chunk. Returns when there is room for more, so a fast sender is slowed to the disk.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.space.take(chunk.len() as u64, Use::Body)?;
        Ok(self.staged.write(chunk).await?)
    }

    /// All bytes have come: they are on disk (durably, if strict) when this returns.
    pub async fn seal(self) -> Result<Sealed> {
        let sealed = self.staged.seal().await?;
        let tag = match &self.seal {
            Some((seal, _)) => seal.tag(sealed.digests.md5),
            None => sealed.digests.md5,
        };
        let (sealing, salt) = self.seal.map(|(seal, salt)| (seal.sealing, salt)).unzip();
        Ok(Sealed {
            size: sealed.size,
            digests: sealed.digests,
            tag,
            sealing,
            salt,
            stored: sealed.stored,
            body: sealed.body,
        })
    }
}

/// A handle; clones share one store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// Taken away by `close`.
    engine: RwLock<Option<Arc<dyn Engine>>>,
    log: Arc<ChangeLog>,
    bodies: Bodies,
    segments: Option<Arc<Segments>>,
    queue: mpsc::Sender<Message>,
    head: Arc<watch::Sender<Seq>>,
    restoring: Arc<watch::Sender<Seq>>,
    chores: Arc<Chores>,
    settings: Settings,
    views: Arc<Views>,
    poison: Arc<Poison>,
    reads: Reads,
    space: Arc<Space>,
    master: Master,
    closing: AtomicBool,
    workers: Mutex<Option<Workers>>,
}

/// What runs beside the callers, and what is let go of when it has ended.
struct Workers {
    committer: JoinHandle<Option<Journal>>,
    upkeep: JoinHandle<()>,
    directory: Option<Directory>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store, made if missing; recovers what a crash left. Blocks on the disk.
    ///
    /// # Errors
    /// `Io` with a message for a person when the directory is in use, or of a newer format;
    /// `Corrupt` when something that had been made durable cannot be read back.
    pub fn open(options: Options, clock: Clock) -> Result<Self> {
        Self::open_on(options, clock, Disk::default())
    }

    /// Opens it over a disk that may fail as a test says.
    pub fn open_on(options: Options, clock: Clock, disk: Disk) -> Result<Self> {
        Self::open_with(options, clock, disk, Settings::default())
    }

    pub(crate) fn open_with(options: Options, clock: Clock, disk: Disk, settings: Settings) -> Result<Self> {
        let sync = options.durability == Durability::Strict;
        let Some(root) = &options.dir else {
            let name = uuid::Uuid::new_v4().simple().to_string();
            let bodies = Bodies::temporary(&name, disk.clone());
            let engine: Arc<dyn Engine> = cosette_kv::memory().into();
            return Self::start(
                Parts {
                    engine,
                    log: ChangeLog::in_memory(),
                    bodies,
                    journal: None,
                    head: Seq(0),
                    directory: None,
                },
                clock,
                disk,
                false,
                settings,
            );
        };
        let directory = Directory::open(root, disk.clone())?;
        let Opened { engine, log, journal, head } =
            open(&directory, &disk, options.cache_bytes, sync, &settings)?;
        let engine: Arc<dyn Engine> = engine.into();
        let bodies = Bodies::open(&directory.bodies(), last_swept(&*engine)?, disk.clone(), sync)?;
        directory.sync()?;
        let parts = Parts { engine, log, bodies, journal: Some(journal), head, directory: Some(directory) };
        Self::start(parts, clock, disk, sync, settings)
    }

    fn start(parts: Parts, clock: Clock, disk: Disk, sync: bool, settings: Settings) -> Result<Self> {
        let Parts { engine, log, bodies, journal, head, directory } = parts;
        let log = Arc::new(log);
        let segments = directory.as_ref().map(|at| Arc::new(Segments::new(at.journal(), disk.clone())));
        let (queue, waiting) = mpsc::channel();
        let head = Arc::new(watch::Sender::new(head));
        let restoring = Arc::new(watch::Sender::new(Seq(0)));
        let chores = Arc::new(Chores::new(&settings));
        let views = Arc::new(Views::default());
        let poison = Arc::new(Poison::new());
        let on_disk = directory.as_ref().map(|at| (disk.clone(), at.journal()));
        let space = Arc::new(Space::new(on_disk, settings.reserve));
        let master = Master::new(directory.as_ref().map(Directory::master_key), disk.clone());
        let kept = match (&segments, &directory, &journal) {
            (Some(segments), Some(directory), Some(journal)) => {
                let snapshots = directory.snapshots();
                Some(OnDisk::new(Arc::clone(segments), snapshots, disk, sync, journal.durable())?)
            }
            _ => None,
        };
        let committer = Committer {
            engine: Arc::clone(&engine),
            log: Arc::clone(&log),
            journal,
            head: Arc::clone(&head),
            restoring: Arc::clone(&restoring),
            views: Arc::clone(&views),
            poison: Arc::clone(&poison),
            chores: Arc::clone(&chores),
            clock: clock.clone(),
            space: Arc::clone(&space),
            settings,
            buffer: Vec::new(),
        };
        let upkeep = Upkeep {
            engine: Arc::clone(&engine),
            log: Arc::clone(&log),
            bodies: bodies.clone(),
            kept,
            queue: queue.clone(),
            chores: Arc::clone(&chores),
            clock,
            settings,
        };
        let workers = Workers {
            committer: thread::Builder::new()
                .name("committer".to_owned())
                .spawn(move || committer.run(&waiting))?,
            upkeep: thread::Builder::new().name("upkeep".to_owned()).spawn(move || upkeep.run())?,
            directory,
        };
        Ok(Self(Arc::new(Inner {
            engine: RwLock::new(Some(engine)),
            log,
            bodies,
            segments,
            queue,
            head,
            restoring,
            chores,
            settings,
            views,
            poison,
            reads: Reads::default(),
            space,
            master,
            closing: AtomicBool::new(false),
            workers: Mutex::new(Some(workers)),
        })))
    }

    /// Finishes what was accepted, flushes, lets go of the directory. Later calls find it closed.
    pub async fn close(&self) -> Result<()> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.0.close())
            .await
            .map_err(|_| Error::Io(std::io::Error::other("closing the store was lost")))?
    }

    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>> {
        self.0.engine.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)
    }

    /// The bucket and all its settings, of one moment.
    pub fn view(&self, name: &BucketName) -> Result<Option<Arc<View>>> {
        self.0.views.get(&*self.engine()?, name)
    }

    /// Counts the commits so far that changed a bucket or a setting of one: while it is the same, so is
    /// all that is set.
    pub fn settled(&self) -> u64 {
        self.0.views.count()
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.0.bodies
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.0.reads
    }

    pub(crate) fn master_key(&self) -> &Master {
        &self.0.master
    }

    pub(crate) fn segments(&self) -> Option<&Arc<Segments>> {
        self.0.segments.as_ref()
    }

    /// Begins to receive a body. `length` is a hint for where to put it.
    pub fn stage(&self, length: Option<u64>, wanted: Wanted) -> Result<Staged> {
        self.stage_under(length, wanted, None)
    }

    /// The same of a body that is to be encrypted as the others of its object.
    pub fn stage_under(&self, length: Option<u64>, wanted: Wanted, seal: Option<Seal>) -> Result<Staged> {
        if self.0.closing.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let seal = seal.map(|seal| Ok::<_, Error>((seal, sealing::salt()?))).transpose()?;
        let key = seal.as_ref().map(|(seal, salt)| seal.key_of(*salt));
        let staged = self.0.bodies.stage(length, self.0.settings.small_max, &wanted, key);
        Ok(Staged { staged, seal, space: Arc::clone(&self.0.space) })
    }

    /// One atomic, durable, serial mutation. An `Err` from the closure writes nothing.
    /// The commit's sequence number comes back with the closure's value; for a closure that wrote
    /// nothing it is that of the commit before.
    pub async fn commit<T, E, F>(&self, decide: F) -> std::result::Result<(Seq, T), E>
    where
        F: FnOnce(&mut Tx<'_>) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (job, outcome) = Mutation::new(decide);
        if self.0.closing.load(Ordering::Acquire) || self.0.queue.send(Message::Job(Box::new(job))).is_err() {
            return Err(Error::Closed.into());
        }
        // A job that the committer never came to is dropped with its queue.
        outcome.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    // --- change log ---

    /// The greatest committed sequence number.
    pub fn head(&self) -> Seq {
        *self.0.head.borrow()
    }

    /// Changes after `after`, in order, at most `max`. (Commits that only touch subsystem tables have none.)
    pub fn changes(&self, after: Seq, max: usize) -> Result<Vec<Change>> {
        // Closed to changes when it is to everything else.
        self.engine()?;
        let head = self.head();
        let mut changes = self.0.log.read(after, max)?;
        changes.truncate(changes.partition_point(|change| change.seq <= head));
        Ok(changes)
    }

    /// Whether all changes after `after` are still there for `changes` to give.
    pub fn remembers(&self, after: Seq) -> bool {
        match self.0.log.oldest() {
            Some(oldest) => oldest.0 <= after.0 + 1,
            None => after >= self.head(),
        }
    }

    /// Returns once `head()` is greater than `after`. No polling.
    pub async fn changed(&self, after: Seq) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.head.subscribe().wait_for(|head| *head > after).await;
    }

    pub(crate) fn restoring(&self) -> &watch::Sender<Seq> {
        &self.0.restoring
    }

    // --- records of subsystems ---

    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.engine()?.get(&schema::table(table, key))?)
    }

    /// Rows with keys that begin with `prefix` and are greater than `after` (whole keys), in order.
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let range = Range::prefix(&schema::table(table, prefix));
        let range = match after {
            Some(after) => range.after(&schema::table(table, after)),
            None => range,
        };
        let mut rows = Vec::new();
        self.engine()?.scan(&range, &mut |key, value| collect(&mut rows, max, key, value))?;
        Ok(rows)
    }

    /// Rows that begin with `prefix`, greatest key first.
    pub fn scan_back(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let range = Range::prefix(&schema::table(table, prefix));
        let mut rows = Vec::new();
        self.engine()?.scan_back(&range, &mut |key, value| collect(&mut rows, max, key, value))?;
        Ok(rows)
    }

    /// Keeps a sealed body for a subsystem (a function's code): what to put into its record. The
    /// body lives until it is `release`d in a commit.
    pub fn keep(&self, tx: &mut Tx<'_>, body: Sealed) -> Result<Kept> {
        let id = tx.next_kept();
        let content = tx.adopt(body)?;
        tx.write(schema::kept(id), &content)?;
        Ok(id)
    }

    /// The record that held the reference is gone, or about to be, in this commit.
    pub fn release(&self, tx: &mut Tx<'_>, id: Kept) -> Result<()> {
        if let Some(content) = tx.record::<Content>("kept", &schema::kept(id))? {
            tx.let_go(&content, &Holder::Kept(id))?;
            tx.remove(schema::kept(id));
        }
        Ok(())
    }

    /// All rows that begin with `prefix`, in order.
    pub(crate) fn rows_of(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut rows = Vec::new();
        self.engine()?.scan(&Range::prefix(prefix), &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}

fn collect(rows: &mut Vec<(Vec<u8>, Vec<u8>)>, max: usize, key: &[u8], value: &[u8]) -> ControlFlow<()> {
    if rows.len() >= max {
        return ControlFlow::Break(());
    }
    rows.push((key[1..].to_vec(), value.to_vec()));
    ControlFlow::Continue(())
}

struct Parts {
    engine: Arc<dyn Engine>,
    log: ChangeLog,
    bodies: Bodies,
    journal: Option<Journal>,
    head: Seq,
    directory: Option<Directory>,
}

fn last_swept(engine: &dyn Engine) -> Result<u32> {
    let mut last = 0;
    engine.scan_back(&Range::prefix(&schema::key(Kind::Swept, &[])), &mut |key, _| {
        last = schema::number4(key, 1).unwrap_or(0);
        ControlFlow::Break(())
    })?;
    Ok(last)
}

impl Inner {
    fn close(&self) -> Result<()> {
        self.closing.store(true, Ordering::Release);
        let Some(workers) = lock(&self.workers).take() else { return Ok(()) };
        // The upkeep first: what it has begun ends with commits of its own.
        self.chores.stop();
        let lost = |_| Error::Io(std::io::Error::other("a worker of the store panicked"));
        let rested = workers.upkeep.join().map_err(lost);
        let _ = self.queue.send(Message::Close);
        let journal = workers.committer.join().map_err(lost);
        let engine = self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
        let flushed = (|| {
            rested?;
            if let Some(journal) = journal?
                && self.poison.get().is_none()
            {
                journal.end(*self.head.borrow())?;
            }
            if let (Some(engine), Some(directory)) = (&engine, &workers.directory) {
                if let Some(applied) = applied(&**engine)? {
                    self.log.settle(applied)?;
                    self.log.sync()?;
                }
                engine.close()?;
                if self.poison.get().is_none() {
                    directory.end_running()?;
                }
            }
            Ok(())
        })();
        drop(engine);
        drop(workers.directory);
        self.bodies.end();
        flushed
    }
}

impl Drop for Inner {
    /// Without `close` nothing is flushed; the workers end, so that the directory is free again.
    fn drop(&mut self) {
        let Some(workers) = lock(&self.workers).take() else { return };
        self.chores.stop();
        let _ = self.queue.send(Message::Close);
        // A mutation may have held the last handle; then this is the committer itself.
        if workers.committer.thread().id() != thread::current().id() {
            let _ = workers.upkeep.join();
            let _ = workers.committer.join();
        }
    }
}
