//! Connections that wait for their next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::Sender;
use crate::connect::Peer;

/// Less than servers commonly wait (Node five seconds), so that few are closed under a request.
const KEPT_FOR: Duration = Duration::from_secs(4);
const KEPT_MAX: usize = 64;
const KEPT_OF_A_PEER: usize = 16;

#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Peer, Vec<Idle>>>);

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Idle {
    fn is_fresh(&self) -> bool {
        self.sender.is_ready() && self.since.elapsed() < KEPT_FOR
    }
}

impl Pool {
    /// The one that was used last.
    pub(crate) fn take(&self, peer: &Peer) -> Option<Sender> {
        let mut kept = self.lock();
        let idle = kept.get_mut(peer)?;
        while let Some(last) = idle.pop() {
            if last.is_fresh() {
                return Some(last.sender);
            }
        }
        None
    }

    /// Takes the connection in when what is under way on it has ended well.
    pub(crate) fn keep(pool: &Arc<Self>, peer: Peer, mut sender: Sender) {
        let pool = Arc::downgrade(pool);
        tokio::spawn(async move {
            if sender.ready().await.is_err() {
                return;
            }
            let Some(pool) = pool.upgrade() else { return };
            let mut kept = pool.lock();
            kept.retain(|_, idle| {
                idle.retain(Idle::is_fresh);
                !idle.is_empty()
            });
            let all: usize = kept.values().map(Vec::len).sum();
            let idle = kept.entry(peer).or_default();
            if all < KEPT_MAX && idle.len() < KEPT_OF_A_PEER {
                idle.push(Idle { sender, since: Instant::now() });
            }
        });
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().values().all(Vec::is_empty)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Peer, Vec<Idle>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
