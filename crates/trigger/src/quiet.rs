//! Whether everything that has happened has been reacted to, and waiting until it has. Never polls.

use std::time::Duration;

use cosette_model::{Seq, Timestamp};
use serde::Serialize;

use crate::dispatch::{Dispatcher, digest};

/// Ids that an answer names.
const PENDING_MAX: usize = 100;

/// Whether everything that has happened has been reacted to.
#[derive(Clone, Debug, Serialize)]
pub struct Quiet {
    pub quiet: bool,
    pub head: Seq,
    /// Changes up to here have been matched.
    pub cursor: Seq,
    /// Ids of deliveries that are not finished, at most 100.
    pub pending: Vec<String>,
}

/// A delivery that is being filed, until dropped: from before its commit until it is noted. Else somebody could see the
/// commit's number passed and the delivery not yet there.
pub(crate) struct Filing<'a> {
    dispatcher: &'a Dispatcher,
    requests: Vec<u64>,
}

impl Drop for Filing<'_> {
    fn drop(&mut self) {
        self.dispatcher.queues().end_filing(&self.requests);
        self.dispatcher.moved.send_replace(());
    }
}

impl Dispatcher {
    pub(crate) fn filing<'a, 'i>(&'a self, ids: impl Iterator<Item = &'i str>) -> Filing<'a> {
        let requests: Vec<u64> = ids.map(digest).collect();
        self.queues().begin_filing(&requests);
        Filing { dispatcher: self, requests }
    }

    pub(crate) async fn wait(&self, request_id: Option<&str>, timeout: Duration) -> Quiet {
        let request = request_id.map(digest);
        // Of one request: what had happened when the question was put.
        let asked = self.store.head();
        let mut moved = self.moved.subscribe();
        let quiet = async {
            loop {
                moved.borrow_and_update();
                if self.look(request, asked).quiet {
                    return;
                }
                // The sender lives as long as `self`.
                let _ = moved.changed().await;
            }
        };
        let in_time = tokio::time::timeout(timeout, quiet).await.is_ok();
        let look = self.look(request, asked);
        // What has happened since it was quiet is not the asker's affair.
        if in_time { Quiet { quiet: true, pending: Vec::new(), ..look } } else { look }
    }

    /// Whether every change has been reacted to and nothing runs; what waits for its time may wait.
    pub(crate) fn is_settled(&self) -> bool {
        let (cursor, settled) = {
            let queues = self.queues();
            (queues.cursor(), queues.is_settled(self.clock.now()))
        };
        settled && cursor >= self.store.head()
    }

    /// When the next of those that wait is due.
    pub(crate) fn next_retry(&self) -> Option<Timestamp> {
        self.queues().next_retry()
    }

    fn look(&self, request: Option<u64>, asked: Seq) -> Quiet {
        let (cursor, is_done, pending) = {
            let queues = self.queues();
            let is_done = queues.is_done(request);
            let pending = if is_done { Vec::new() } else { queues.pending(request, PENDING_MAX) };
            (queues.cursor(), is_done, pending)
        };
        // The head is read after the cursor: if they are equal, nothing lay between them when the lock was held.
        let head = self.store.head();
        let is_read = cursor >= if request.is_some() { asked } else { head };
        Quiet { quiet: is_read && is_done, head, cursor, pending }
    }
}
