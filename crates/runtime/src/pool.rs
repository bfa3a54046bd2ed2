//! Warm instances and who is using which. An instance belongs to one `Spec::id`, serves one event
//! at a time, waits for the next for a while, and is ended when its code or configuration changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::instance::{Fate, Instance};

/// How long an instance is kept without work.
pub(crate) const IDLE: Duration = Duration::from_secs(300);

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
    /// Grows with each `retire`; a lease from before does not bring its instance back.
    age: u64,
}

struct Waiting {
    number: u64,
    instance: Instance,
    watcher: AbortHandle,
}

/// The right to run one event of `id`, with or without a warm instance. Given back when dropped.
pub(crate) struct Lease {
    pool: Pool,
    id: String,
    age: u64,
}

impl Pool {
    pub(crate) fn new(idle: Duration) -> Self {
        let shared = Shared {
            groups: Mutex::default(),
            closing: watch::Sender::new(false),
            busy: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared), idle }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.shared.closing.subscribe()
    }

    pub(crate) fn lease(&self, id: &str) -> (Lease, Option<Instance>) {
        let mut groups = self.groups();
        let group = groups.by_id.entry(id.to_owned()).or_default();
        group.busy += 1;
        self.shared.busy.send_modify(|busy| *busy += 1);
        let lease = Lease { pool: self.clone(), id: id.to_owned(), age: group.age };
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
        groups.forget(id);
        Some(instance)
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
            group.busy > 0
        });
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
        if self.by_id.get(id).is_some_and(|group| group.idle.is_empty() && group.busy == 0) {
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
    fn park(&self, instance: Instance, fate: Fate) -> Option<Instance> {
        let mut groups = self.pool.groups();
        let number = groups.next;
        groups.next += 1;
        let group = groups.by_id.get_mut(&self.id);
        let group = group.filter(|group| {
            fate == Fate::Keep && group.age == self.age && !*self.pool.shared.closing.borrow()
        });
        let Some(group) = group else { return Some(instance) };
        let (pool, id, mut exit) = (self.pool.clone(), self.id.clone(), instance.exit());
        // It cannot run before the instance is in its place: the lock is held until then.
        let watcher = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(pool.idle) => {}
                _ = exit.wait_for(Option::is_some) => {}
            }
            if let Some(instance) = pool.remove(&id, number) {
                instance.end().await;
            }
        });
        group.idle.push(Waiting { number, instance, watcher: watcher.abort_handle() });
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut groups = self.pool.groups();
        if let Some(group) = groups.by_id.get_mut(&self.id) {
            group.busy = group.busy.saturating_sub(1);
        }
        groups.forget(&self.id);
        drop(groups);
        self.pool.shared.busy.send_modify(|busy| *busy -= 1);
    }
}
