//! Takes batches into memory, where readers see them at once, and brings them to another engine
//! behind its caller's back: many at a time, in key order, and of a row that was written again and
//! again only the last value. What is still here when the process dies never reached the other
//! engine; who applies batches has them elsewhere until a `flush`.
//!
//! A row is looked for in what is gathered now, then in what is on its way, then in the engine
//! below; it leaves the one only after it has come to the next, so it is never missed.

use std::collections::BTreeMap;
use std::mem;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crate::{Batch, Engine, Error, Range, Result, Visit};

/// So many bytes are gathered before they are brought down, if nobody asks for it earlier.
const GATHERED_BYTES: usize = 2 << 20;
/// With so many more gathered while others are on their way, who applies has to wait.
const GATHERED_BYTES_MAX: usize = 8 << 20;
/// Rows given to the engine below at once: it lets nobody read meanwhile.
const ROWS_PER_BATCH: usize = 64;
/// Rows that a scan takes out of memory at once.
const ROWS_PER_LOOK: usize = 64;
/// What a row takes besides its bytes, about.
const ROW_BYTES: usize = 80;

pub struct Buffered {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    below: Box<dyn Engine>,
    layers: RwLock<Layers>,
    orders: Mutex<Orders>,
    /// There is something to bring down.
    more: Condvar,
    /// Something has been brought down.
    done: Condvar,
}

/// Rows by key, `None` for those that are to go.
type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
/// Some of them, in the order of a scan.
type Pending = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Default)]
struct Layer {
    rows: Rows,
    bytes: usize,
    /// The row that has to come last.
    mark: Option<Vec<u8>>,
}

#[derive(Default)]
struct Layers {
    gathered: Layer,
    on_the_way: Option<Arc<Layer>>,
}

#[derive(Default)]
struct Orders {
    /// Batches so far, and how many of them have been brought down.
    applied: u64,
    brought: u64,
    gathered_bytes: usize,
    /// Bring down what there is.
    flush: bool,
    stop: bool,
    /// Why nothing is brought down any more.
    failed: Option<String>,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings down what is gathered, whenever it is worth it or asked for.
    fn run(&self) {
        loop {
            let upto = {
                let mut orders = self.orders();
                loop {
                    if orders.stop || orders.failed.is_some() {
                        return;
                    }
                    if orders.gathered_bytes >= GATHERED_BYTES
                        || (orders.flush && orders.brought < orders.applied)
                    {
                        break;
                    }
                    orders.flush = false;
                    orders = self.more.wait(orders).unwrap_or_else(PoisonError::into_inner);
                }
                let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
                layers.on_the_way = Some(Arc::new(mem::take(&mut layers.gathered)));
                orders.gathered_bytes = 0;
                orders.applied
            };
            let outcome = self.bring_down();
            let mut orders = self.orders();
            match outcome {
                // What is on its way stays there to be read.
                Err(error) => orders.failed = Some(error.to_string()),
                Ok(()) => {
                    self.layers.write().unwrap_or_else(PoisonError::into_inner).on_the_way = None;
                    orders.brought = upto;
                }
            }
            self.done.notify_all();
        }
    }

    fn bring_down(&self) -> Result<()> {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(layer) = layers.on_the_way.clone() else { return Ok(()) };
        drop(layers);
        let mut batch = Batch::default();
        for (key, value) in layer.rows.iter().filter(|(key, _)| layer.mark.as_ref() != Some(key)) {
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            }
            if batch.len() == ROWS_PER_BATCH {
                self.below.apply(mem::take(&mut batch))?;
            }
        }
        if let Some(key) = &layer.mark
            && let Some(Some(value)) = layer.rows.get(key)
        {
            batch.mark(key.clone(), value.clone());
        }
        if batch.is_empty() { Ok(()) } else { self.below.apply(batch) }
    }

    /// The rows in memory within `range`, the first (or last) of them, and whether there are more.
    fn look(&self, range: &Range, back: bool) -> (Pending, bool) {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Rows = BTreeMap::new();
        let maps = [layers.on_the_way.as_deref(), Some(&layers.gathered)];
        let mut more = false;
        for layer in maps.into_iter().flatten() {
            let mut rows = layer.rows.range::<[u8], _>(range.bounds());
            for n in 0.. {
                let Some((key, value)) = (if back { rows.next_back() } else { rows.next() }) else { break };
                if n == ROWS_PER_LOOK {
                    more = true;
                    break;
                }
                found.insert(key.clone(), value.clone());
            }
        }
        let mut found: Pending = found.into_iter().collect();
        if back {
            found.reverse();
        }
        // Beyond the end of the layer that has more, only the other is known.
        if more {
            found.truncate(ROWS_PER_LOOK);
        }
        (found, more)
    }

    fn walk(&self, range: &Range, visit: &mut Visit<'_>, back: bool) -> Result<()> {
        let mut rest = range.clone();
        while !rest.is_empty() {
            // Memory before what is below: a row on its way down is then seen in one or the other.
            let (pending, more) = self.look(&rest, back);
            let mut part = rest.clone();
            match pending.last().filter(|_| more) {
                Some((last, _)) if back => {
                    part.from = Bound::Included(last.clone());
                    rest.to = Bound::Excluded(last.clone());
                }
                Some((last, _)) => {
                    part.to = Bound::Included(last.clone());
                    rest.from = Bound::Excluded(last.clone());
                }
                None => rest = Range { from: Bound::Included(vec![]), to: Bound::Excluded(vec![]) },
            }
            if self.merge(&part, pending, visit, back)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Visits the rows below and those in memory side by side; of one key that in memory counts.
    fn merge(
        &self,
        part: &Range,
        pending: Pending,
        visit: &mut Visit<'_>,
        back: bool,
    ) -> Result<ControlFlow<()>> {
        let mut pending = pending.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        let mut below = |key: &[u8], value: &[u8]| {
            let before = |at: &[u8]| if back { at >= key } else { at <= key };
            while let Some((at, written)) = pending.next_if(|(at, _)| before(at)) {
                if let Some(written) = &written {
                    flow = visit(&at, written);
                    if flow.is_break() {
                        return flow;
                    }
                }
                if at == key {
                    return flow;
                }
            }
            flow = visit(key, value);
            flow
        };
        if back {
            self.below.scan_back(part, &mut below)?;
        } else {
            self.below.scan(part, &mut below)?;
        }
        for (key, written) in pending {
            if flow.is_break() {
                break;
            }
            if let Some(written) = written {
                flow = visit(&key, &written);
            }
        }
        Ok(flow)
    }
}

impl Buffered {
    /// # Errors
    /// When no thread can be had.
    pub fn over(below: Box<dyn Engine>) -> Result<Self> {
        let shared = Arc::new(Shared {
            below,
            layers: RwLock::default(),
            orders: Mutex::default(),
            more: Condvar::new(),
            done: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("index".to_owned()).spawn(move || own.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until all that was applied so far has been brought down.
    fn settle(&self) -> Result<()> {
        let mut orders = self.shared.orders();
        let upto = orders.applied;
        while orders.brought < upto {
            if let Some(why) = &orders.failed {
                return Err(Error::Engine(why.clone()));
            }
            orders.flush = true;
            self.shared.more.notify_one();
            orders = self.shared.done.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        orders.flush = false;
        Ok(())
    }

    fn stop(&self) {
        self.shared.orders().stop = true;
        self.shared.more.notify_one();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has no outcome, and a panic of it has been reported.
            let _ = thread.join();
        }
    }
}

impl Engine for Buffered {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        {
            let layers = self.shared.layers.read().unwrap_or_else(PoisonError::into_inner);
            for layer in [Some(&layers.gathered), layers.on_the_way.as_deref()].into_iter().flatten() {
                if let Some(value) = layer.rows.get(key) {
                    return Ok(value.clone());
                }
            }
        }
        self.shared.below.get(key)
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.shared.walk(range, visit, false)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Result<()> {
        self.shared.walk(range, visit, true)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut orders = self.shared.orders();
        loop {
            if let Some(why) = &orders.failed {
                return Err(Error::Engine(why.clone()));
            }
            if orders.gathered_bytes < GATHERED_BYTES_MAX {
                break;
            }
            orders = self.shared.done.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        let mut layers = self.shared.layers.write().unwrap_or_else(PoisonError::into_inner);
        let layer = &mut layers.gathered;
        if let Some(key) = batch.marked() {
            layer.mark = Some(key.to_vec());
        }
        for (key, value) in batch.rows {
            layer.bytes += key.len() + value.as_ref().map_or(0, Vec::len) + ROW_BYTES;
            layer.rows.insert(key, value);
        }
        orders.gathered_bytes = layer.bytes;
        drop(layers);
        orders.applied += 1;
        if orders.gathered_bytes >= GATHERED_BYTES {
            self.shared.more.notify_one();
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.settle()?;
        self.shared.below.flush()
    }

    fn sync(&self) -> Result<()> {
        self.settle()?;
        self.shared.below.sync()
    }

    fn tidy(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        self.shared.below.tidy(stop)
    }

    fn close(&self) -> Result<()> {
        self.settle()?;
        self.stop();
        self.shared.below.close()
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.stop();
    }
}
