//! Warm instances and who is using which. An instance belongs to one `Spec::id`, serves one event
//! at a time, waits for the next for a while, and is ended when its code or configuration changed. Of an id that some
//! are kept of, no more grow old than are beyond these.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::instance::{Fate, Instance};

/// How long an instance is kept without work.
pub(crate) const IDLE: Duration = Duration::from_secs(300);

/// Waits for so long from now on, by whatever clock.
type Rest = dyn Fn(Duration) -> Waits + Send + Sync;

type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    idle: Duration,
}

struct Shared {
    groups: Mutex<Groups>,
    /// Set once, by `stop`.
    closing: watch::Sender<bool>,
    /// Leases that are out.
    busy: watch::Sender<usize>,
    /// Told when of an id there have come to be fewer than are kept.
    losses: watch::Sender<()>,
    /// What those without work wait by; the machine's time if nobody has said.
    rest: OnceLock<Box<Rest>>,
}

#[derive(Default)]
struct Groups {
    by_id: HashMap<String, Group>,
    next: u64,
}

#[derive(Default)]
struct Group {
    /// The one used last is at the end and is used first, so that a quiet function's others age.
    idle: Vec<Waiting>,
    busy: usize,
    /// Of those that are busy, the ones that are being started ahead of any event.
    ahead: usize,
    /// How many never grow too old.
    kept: usize,
    /// Grows with each `retire`; a lease from before does not bring its instance back.
    age: u64,
}

struct Waiting {
    number: u64,
    instance: Instance,
    watcher: AbortHandle,
    /// Its keys end: it waits for an event, or for another one that takes its place.
    is_old: bool,
}

/// The right to run one event of `id`, with or without a warm instance. Given back when dropped.
pub(crate) struct Lease {
    pool: Pool,
    id: String,
    age: u64,
    is_ahead: bool,
}

impl Group {
    /// Whether there are fewer than are kept.
    fn is_short(&self) -> bool {
        self.idle.iter().filter(|waiting| !waiting.is_old).count() + self.busy < self.kept
    }

    fn is_forgotten(&self) -> bool {
        self.idle.is_empty() && self.busy == 0 && self.kept == 0
    }
}

impl Pool {
    pub(crate) fn new(idle: Duration) -> Self {
        let shared = Shared {
            groups: Mutex::default(),
            closing: watch::Sender::new(false),
            busy: watch::Sender::new(0),
            losses: watch::Sender::new(()),
            rest: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), idle }
    }

    /// The first call counts.
    pub(crate) fn rest_by<W: Future<Output = ()> + Send + 'static>(
        &self,
        rest: impl Fn(Duration) -> W + Send + Sync + 'static,
    ) {
        let _ = self.shared.rest.set(Box::new(move |time| Box::pin(rest(time))));
    }

    fn rest(&self) -> Waits {
        match self.shared.rest.get() {
            Some(rest) => rest(self.idle),
            None => Box::pin(tokio::time::sleep(self.idle)),
        }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.shared.closing.subscribe()
    }

    pub(crate) fn losses(&self) -> watch::Receiver<()> {
        self.shared.losses.subscribe()
    }

    /// From now on so many of an id never grow too old. If these are fewer than before, as many of the idle ones end.
    pub(crate) fn keep(&self, id: &str, number: usize) {
        let mut groups = self.groups();
        let group = groups.by_id.entry(id.to_owned()).or_default();
        let fewer = group.kept.saturating_sub(number);
        group.kept = number;
        // The one used last is at the end.
        let surplus = group.idle.drain(..fewer.min(group.idle.len())).collect();
        groups.forget(id);
        drop(groups);
        tokio::spawn(end(surplus));
    }

    /// How many instances of an id there are, idle, busy or being started, and how many of them are ready.
    pub(crate) fn count(&self, id: &str) -> (usize, usize) {
        let groups = self.groups();
        let Some(group) = groups.by_id.get(id) else { return (0, 0) };
        let is_there = |waiting: &&Waiting| waiting.instance.is_alive() && !waiting.is_old;
        let idle = group.idle.iter().filter(is_there).count();
        (idle + group.busy, idle + group.busy - group.ahead)
    }

    /// For an instance that is to be started ahead, if so many are not there yet.
    pub(crate) fn lease_ahead(&self, id: &str) -> Option<Lease> {
        let mut groups = self.groups();
        let group = groups.by_id.get_mut(id)?;
        if !group.is_short() {
            return None;
        }
        group.ahead += 1;
        Some(self.lend(id, group, true))
    }

    fn lend(&self, id: &str, group: &mut Group, is_ahead: bool) -> Lease {
        group.busy += 1;
        self.shared.busy.send_modify(|busy| *busy += 1);
        Lease { pool: self.clone(), id: id.to_owned(), age: group.age, is_ahead }
    }

    pub(crate) fn lease(&self, id: &str) -> (Lease, Option<Instance>) {
        let mut groups = self.groups();
        let group = groups.by_id.entry(id.to_owned()).or_default();
        let lease = self.lend(id, group, false);
        let mut warm = None;
        while let Some(waiting) = group.idle.pop() {
            waiting.watcher.abort();
            if waiting.instance.is_alive() {
                warm = Some(waiting.instance);
                break;
            }
            tokio::spawn(waiting.instance.end());
        }
        (lease, warm)
    }

    /// Takes an idle instance out, if it still waits.
    fn remove(&self, id: &str, number: u64) -> Option<Instance> {
        let mut groups = self.groups();
        let group = groups.by_id.get_mut(id)?;
        let at = group.idle.iter().position(|waiting| waiting.number == number)?;
        let instance = group.idle.remove(at).instance;
        if group.is_short() {
            self.shared.losses.send_replace(());
        }
        groups.forget(id);
        Some(instance)
    }

    /// Has another instance take the place of one whose keys end, if it is one of those that are kept.
    fn outdate(&self, id: &str, number: u64) {
        let mut groups = self.groups();
        let Some(group) = groups.by_id.get_mut(id) else { return };
        for waiting in group.idle.iter_mut().filter(|waiting| waiting.number == number) {
            waiting.is_old = true;
        }
        if group.is_short() {
            self.shared.losses.send_replace(());
        }
    }

    /// Whether an idle instance has waited long enough; `false` for one of those that are kept.
    fn is_too_old(&self, id: &str) -> bool {
        self.groups().by_id.get(id).is_none_or(|group| group.idle.len() + group.busy > group.kept)
    }

    /// Ends those idle of each id that is meant, and the busy ones after their run.
    pub(crate) async fn retire_all(&self, is_meant: impl Fn(&str) -> bool) {
        let mut idle = Vec::new();
        self.groups().by_id.retain(|id, group| {
            if !is_meant(id) {
                return true;
            }
            group.age += 1;
            idle.append(&mut group.idle);
            !group.is_forgotten()
        });
        self.shared.losses.send_replace(());
        end(idle).await;
    }

    /// Returns when no instance is left, idle or busy.
    pub(crate) async fn stop(&self) {
        self.shared.closing.send_replace(true);
        let idle =
            std::mem::take(&mut self.groups().by_id).into_values().flat_map(|group| group.idle).collect();
        end(idle).await;
        // Those who are running hear of it and end theirs.
        let _ = self.shared.busy.subscribe().wait_for(|busy| *busy == 0).await;
    }
}

impl Groups {
    fn forget(&mut self, id: &str) {
        if self.by_id.get(id).is_some_and(Group::is_forgotten) {
            self.by_id.remove(id);
        }
    }
}

async fn end(idle: Vec<Waiting>) {
    let mut ends = tokio::task::JoinSet::new();
    for waiting in idle {
        waiting.watcher.abort();
        ends.spawn(waiting.instance.end());
    }
    while ends.join_next().await.is_some() {}
}

impl Lease {
    /// Brings the instance back, to wait for the next event or to be ended.
    pub(crate) async fn give_back(self, instance: Instance, fate: Fate) {
        if let Some(instance) = self.park(instance, fate) {
            instance.end().await;
        }
    }

    /// The instance again, if it cannot wait here.
    pub(crate) fn park(&self, instance: Instance, fate: Fate) -> Option<Instance> {
        let mut groups = self.pool.groups();
        let number = groups.next;
        groups.next += 1;
        let group = groups.by_id.get_mut(&self.id);
        let group = group.filter(|group| {
            fate == Fate::Keep && group.age == self.age && !*self.pool.shared.closing.borrow()
        });
        let Some(group) = group else { return Some(instance) };
        let (pool, id, mut exit) = (self.pool.clone(), self.id.clone(), instance.exit());
        let (keys_end, rest) = (instance.keys_end(), pool.rest());
        // It cannot run before the instance is in its place: the lock is held until then.
        let watcher = tokio::spawn(async move {
            let aged = async {
                rest.await;
                // One that is kept is nothing that a clock would have to stop for, again and again.
                while !pool.is_too_old(&id) {
                    tokio::time::sleep(pool.idle).await;
                }
            };
            let outdated = async {
                keys_end.await;
                pool.outdate(&id, number);
                std::future::pending().await
            };
            tokio::select! {
                () = aged => {}
                () = outdated => {}
                _ = exit.wait_for(Option::is_some) => {}
            }
            if let Some(instance) = pool.remove(&id, number) {
                instance.end().await;
            }
        });
        group.idle.push(Waiting { number, instance, watcher: watcher.abort_handle(), is_old: false });
        // Those whose places are taken.
        let (is_short, idle) = (group.is_short(), std::mem::take(&mut group.idle));
        let (old, idle): (Vec<_>, Vec<_>) = idle.into_iter().partition(|one| one.is_old && !is_short);
        group.idle = idle;
        drop(groups);
        tokio::spawn(end(old));
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut groups = self.pool.groups();
        if let Some(group) = groups.by_id.get_mut(&self.id) {
            group.busy = group.busy.saturating_sub(1);
            group.ahead = group.ahead.saturating_sub(usize::from(self.is_ahead));
            if group.is_short() {
                self.pool.shared.losses.send_replace(());
            }
        }
        groups.forget(&self.id);
        drop(groups);
        self.pool.shared.busy.send_modify(|busy| *busy -= 1);
    }
}
