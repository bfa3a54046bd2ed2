//! Invocations that are running now. In memory only: those of a server that died are no longer running.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Record;

#[derive(Clone)]
pub(crate) struct Running(Arc<Shared>);

struct Shared {
    records: Mutex<Records>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Records {
    by_number: BTreeMap<u64, Record>,
    next: u64,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { records: Mutex::default(), count: watch::Sender::new(0) }))
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is shown as running until the value that is returned is dropped.
    pub(crate) fn enter(&self, record: Record) -> Entered {
        let mut records = self.lock();
        let number = records.next;
        records.next += 1;
        records.by_number.insert(number, record);
        self.0.count.send_replace(records.by_number.len());
        Entered { running: self.clone(), number }
    }

    /// Newest first.
    pub(crate) fn list(&self) -> Vec<Record> {
        self.lock().by_number.values().rev().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Returns when nothing runs.
    pub(crate) async fn none(&self) {
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

pub(crate) struct Entered {
    running: Running,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut records = self.running.lock();
        records.by_number.remove(&self.number);
        self.running.0.count.send_replace(records.by_number.len());
    }
}
