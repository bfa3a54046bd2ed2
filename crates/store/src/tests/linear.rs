//! Many tasks at few keys. Each operation takes a stamp before and one after; what all of them did
//! and saw of a key must then be explained by some order of them that respects the stamps.
//!
//! The checker searches for that order (Wing and Gong). It is tested on histories made by hand,
//! so that it is known to refuse.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cosette_model::Encryption;
use cosette_model::op::TagMatch;

use super::*;

/// What a key holds. No two writes have the same body, so an ETag names its write.
type State = Option<ETag>;

// --- what a key does, one operation after another ---

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoSuchObject,
    PreconditionFailed,
    OverwriteForbidden,
}

#[derive(Clone, Debug)]
enum Condition {
    Always,
    IfMatch(ETag),
    IfNoneMatch,
    ForbidOverwrite,
}

impl Condition {
    fn judge(&self, state: &State) -> Result<(), Refusal> {
        match (self, state) {
            (Self::IfMatch(_), None) => Err(Refusal::NoSuchObject),
            (Self::IfMatch(tag), Some(now)) if tag != now => Err(Refusal::PreconditionFailed),
            (Self::IfNoneMatch, Some(_)) => Err(Refusal::PreconditionFailed),
            (Self::ForbidOverwrite, Some(_)) => Err(Refusal::OverwriteForbidden),
            _ => Ok(()),
        }
    }

    fn asked(&self) -> WriteConditions {
        match self {
            Self::Always => WriteConditions::default(),
            Self::IfMatch(tag) => {
                WriteConditions { if_match: Some(TagMatch::Tags(vec![tag.clone()])), ..Default::default() }
            }
            Self::IfNoneMatch => WriteConditions { if_none_match: Some(TagMatch::Any), ..Default::default() },
            Self::ForbidOverwrite => WriteConditions { forbid_overwrite: true, ..Default::default() },
        }
    }
}

/// What an operation did to one key. A list is a `Saw` of each.
#[derive(Clone, Debug)]
enum Step {
    Saw(State),
    Put(Condition, Result<ETag, Refusal>),
    Deleted { existed: bool },
}

impl Step {
    fn fits(&self, state: &State) -> bool {
        match self {
            Self::Saw(seen) => seen == state,
            Self::Put(condition, outcome) => {
                condition.judge(state) == outcome.as_ref().map(drop).map_err(|no| *no)
            }
            Self::Deleted { existed } => state.is_some() == *existed,
        }
    }

    /// What the key holds from then on; `None` if it is left alone.
    fn leaves(&self) -> Option<State> {
        match self {
            Self::Put(_, Ok(tag)) => Some(Some(tag.clone())),
            Self::Deleted { existed: true } => Some(None),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Op {
    task: usize,
    key: usize,
    began: u64,
    ended: u64,
    step: Step,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |tag: &ETag| tag.as_str().chars().take(8).collect::<String>();
        let held = |state: &State| state.as_ref().map_or("nothing".to_owned(), short);
        write!(f, "{}..{} task {}: ", self.began, self.ended, self.task)?;
        match &self.step {
            Step::Saw(state) => write!(f, "saw {}", held(state)),
            Step::Deleted { existed: true } => write!(f, "deleted"),
            Step::Deleted { existed: false } => write!(f, "found nothing to delete"),
            Step::Put(condition, outcome) => {
                match condition {
                    Condition::IfMatch(tag) => write!(f, "put if-match {}: ", short(tag))?,
                    other => write!(f, "put {other:?}: ")?,
                }
                match outcome {
                    Ok(tag) => write!(f, "wrote {}", short(tag)),
                    Err(refusal) => write!(f, "{refusal:?}"),
                }
            }
        }
    }
}

// --- the checker ---

/// What happened to one key within some stamps.
struct Window<'a> {
    /// By their beginnings.
    ops: Vec<&'a Op>,
    /// Those that need not be in the order: writes that cross an edge of the window, which may have
    /// come before or after it.
    optional: Vec<bool>,
}

/// A place in the search: what has been put in order, and what the key then holds.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    done: Vec<u8>,
    state: State,
}

impl<'a> Window<'a> {
    fn new(history: &[&'a Op], stamps: &RangeInclusive<u64>) -> Self {
        let (mut ops, mut optional) = (Vec::new(), Vec::new());
        for op in history {
            let whole = stamps.contains(&op.began) && stamps.contains(&op.ended);
            let crosses = op.began <= *stamps.end() && op.ended >= *stamps.start();
            if whole || (crosses && op.step.leaves().is_some()) {
                ops.push(*op);
                optional.push(!whole);
            }
        }
        Self { ops, optional }
    }

    /// Whether some order explains what was seen, begun with one of `states`.
    fn is_explained(&self, states: impl Iterator<Item = State>) -> bool {
        let mut been = HashSet::new();
        let mut open: Vec<Place> =
            states.map(|state| Place { done: vec![0; self.ops.len()], state }).collect();
        while let Some(mut place) = open.pop() {
            self.take_all_that_change_nothing(&mut place);
            if (0..self.ops.len()).all(|n| place.done[n] == 1 || self.optional[n]) {
                return true;
            }
            if been.contains(&place) {
                continue;
            }
            // The earliest is tried first: it is the most likely one.
            for n in self.next(&place).into_iter().rev() {
                let state = self.ops[n].step.leaves().unwrap_or_else(|| place.state.clone());
                let mut done = place.done.clone();
                done[n] = 1;
                open.push(Place { done, state });
            }
            been.insert(place);
        }
        false
    }

    /// Those that may be next: they fit, and nothing that is left had ended before they began.
    fn next(&self, place: &Place) -> Vec<usize> {
        let (done, left) = (0..self.ops.len()).partition::<Vec<_>, _>(|n| place.done[*n] == 1);
        let deadline = left.iter().filter(|n| !self.optional[**n]).map(|n| self.ops[*n].ended).min();
        let latest = done.iter().map(|n| self.ops[*n].began).max();
        left.into_iter()
            .filter(|n| deadline.is_none_or(|deadline| self.ops[*n].began < deadline))
            .filter(|n| latest.is_none_or(|latest| self.ops[*n].ended > latest))
            .filter(|n| self.ops[*n].step.fits(&place.state))
            .collect()
    }

    /// What fits and changes nothing can as well come now as later, so there is nothing to try;
    /// unless it would shut out an optional one that has to come before it or not at all.
    fn take_all_that_change_nothing(&self, place: &mut Place) {
        loop {
            let mut next = self.next(place);
            let held_up = |n: usize| {
                (0..self.ops.len())
                    .any(|m| self.optional[m] && place.done[m] == 0 && self.ops[m].ended < self.ops[n].began)
            };
            next.retain(|n| self.ops[*n].step.leaves().is_none() && !held_up(*n));
            if next.is_empty() {
                return;
            }
            next.into_iter().for_each(|n| place.done[n] = 1);
        }
    }
}

/// The shortest piece of one key's history that nothing explains, whatever the key held before.
fn unexplained<'a>(history: &[&'a Op]) -> Option<Window<'a>> {
    if Window::new(history, &(0..=u64::MAX)).is_explained(std::iter::once(None)) {
        return None;
    }
    let states: HashSet<State> =
        history.iter().filter_map(|op| op.step.leaves()).chain(std::iter::once(None)).collect();
    let mut ends: Vec<u64> = history.iter().map(|op| op.ended).collect();
    ends.sort_unstable();
    let mut shortest: Option<Window<'_>> = None;
    let mut last = 0;
    // A window that begins later cannot end earlier, so both edges only move on.
    for first in std::iter::once(0).chain(ends.iter().map(|end| end + 1)) {
        let window = loop {
            let Some(end) = ends.get(last) else { return shortest };
            let window = Window::new(history, &(first..=*end));
            let begin: Vec<State> = if first == 0 { vec![None] } else { states.iter().cloned().collect() };
            if !window.is_explained(begin.into_iter()) {
                break window;
            }
            last += 1;
        };
        if shortest.as_ref().is_none_or(|shortest| window.ops.len() < shortest.ops.len()) {
            shortest = Some(window);
        }
    }
    shortest
}

/// Checks each key's history by itself, which is enough: linearizability is a local property.
fn check(history: &[Op]) -> Result<(), String> {
    let keys: BTreeSet<usize> = history.iter().map(|op| op.key).collect();
    for which in keys {
        let mut ops: Vec<&Op> = history.iter().filter(|op| op.key == which).collect();
        ops.sort_by_key(|op| op.began);
        if let Some(window) = unexplained(&ops) {
            let lines = window.ops.iter().zip(&window.optional).map(|(op, optional)| {
                format!("\n  {op}{}", if *optional { " (crosses the edge)" } else { "" })
            });
            return Err(format!("no order explains this of key {which}:{}", lines.collect::<String>()));
        }
    }
    Ok(())
}

// --- the checker, checked ---

fn op(began: u64, ended: u64, step: Step) -> Op {
    Op { task: 0, key: 0, began, ended, step }
}

fn tag(text: &str) -> ETag {
    ETag::parse(text)
}

fn saw(text: &str) -> Step {
    Step::Saw(Some(tag(text)))
}

fn wrote(text: &str) -> Step {
    Step::Put(Condition::Always, Ok(tag(text)))
}

fn if_match(before: &str, outcome: Result<&str, Refusal>) -> Step {
    Step::Put(Condition::IfMatch(tag(before)), outcome.map(tag))
}

fn forbid(outcome: Result<&str, Refusal>) -> Step {
    Step::Put(Condition::ForbidOverwrite, outcome.map(tag))
}

const ABSENT: Step = Step::Saw(None);
const DELETED: Step = Step::Deleted { existed: true };

fn refused_lines(history: &[Op]) -> usize {
    check(history).unwrap_err().lines().count() - 1
}

#[test]
fn histories_with_an_order_are_accepted() {
    check(&[]).unwrap();
    check(&[op(0, 1, ABSENT), op(2, 3, wrote("a")), op(4, 5, saw("a")), op(6, 7, DELETED)]).unwrap();
    // Beside a write either is seen, but the old one not after the new one.
    check(&[op(0, 1, wrote("a")), op(2, 9, wrote("b")), op(3, 4, saw("a")), op(5, 6, saw("b"))]).unwrap();
    // The write that ended last came first, and a read beside both tells.
    check(&[op(0, 9, wrote("a")), op(1, 8, wrote("b")), op(10, 11, saw("b"))]).unwrap();
    check(&[op(0, 9, wrote("a")), op(1, 8, wrote("b")), op(10, 11, saw("a"))]).unwrap();
    // One of two wins, and the other is refused though it began first.
    let lost = if_match("a", Err(Refusal::PreconditionFailed));
    check(&[op(0, 1, wrote("a")), op(2, 5, lost), op(3, 4, if_match("a", Ok("b")))]).unwrap();
    let gone = if_match("a", Err(Refusal::NoSuchObject));
    check(&[op(0, 1, wrote("a")), op(2, 5, gone), op(3, 4, DELETED), op(6, 7, forbid(Ok("b")))]).unwrap();
    // A chain of writes that all overlap; each allows the next only.
    let chain = [op(0, 9, if_match("c", Ok("d"))), op(1, 8, if_match("b", Ok("c")))];
    let begin = [op(2, 7, if_match("a", Ok("b"))), op(3, 6, forbid(Ok("a"))), op(10, 11, saw("d"))];
    check(&[chain.as_slice(), &begin].concat()).unwrap();
    // Keys are apart.
    check(&[op(0, 1, wrote("a")), Op { key: 1, ..op(2, 3, ABSENT) }]).unwrap();
}

#[test]
fn histories_without_an_order_are_refused() {
    // A stale read.
    assert_eq!(refused_lines(&[op(0, 1, wrote("a")), op(2, 3, wrote("b")), op(4, 5, saw("a"))]), 2);
    assert_eq!(refused_lines(&[op(0, 1, wrote("a")), op(2, 3, ABSENT)]), 2);
    // Back to the old one after the new one was seen.
    let back = [op(0, 1, wrote("a")), op(2, 9, wrote("b")), op(3, 4, saw("b")), op(5, 6, saw("a"))];
    assert!(check(&back).is_err());
    // A lost update: both replaced the same one.
    let (one, two) = (if_match("a", Ok("b")), if_match("a", Ok("c")));
    assert!(check(&[op(0, 1, wrote("a")), op(2, 5, one.clone()), op(3, 4, two.clone())]).is_err());
    assert!(check(&[op(0, 1, wrote("a")), op(2, 3, one), op(4, 5, two)]).is_err());
    assert!(check(&[op(0, 3, forbid(Ok("a"))), op(1, 2, forbid(Ok("b")))]).is_err());
    // A read of what nobody wrote, or has not begun to write.
    assert_eq!(refused_lines(&[op(0, 1, wrote("a")), op(2, 3, saw("x")), op(4, 5, saw("a"))]), 1);
    assert!(check(&[op(0, 1, saw("a")), op(2, 3, wrote("a"))]).is_err());
    // One object deleted twice; refusals without a reason, or with the wrong one.
    assert!(check(&[op(0, 1, wrote("a")), op(2, 5, DELETED), op(3, 4, DELETED)]).is_err());
    assert!(check(&[op(0, 1, forbid(Err(Refusal::OverwriteForbidden)))]).is_err());
    let refused = |why| [op(0, 1, wrote("a")), op(2, 3, if_match("b", Err(why)))];
    assert!(check(&refused(Refusal::NoSuchObject)).is_err());
    check(&refused(Refusal::PreconditionFailed)).unwrap();
}

#[test]
fn what_crosses_the_edge_of_a_window_may_be_in_it() {
    let explained = |history: &[Op], from| {
        let ops: Vec<&Op> = history.iter().collect();
        Window::new(&ops, &(from..=20)).is_explained(std::iter::once(Some(tag("a"))))
    };
    // The write that crosses must come between the reads, though the last one fits before it too.
    let crossing = op(0, 5, wrote("x"));
    let within = [op(1, 2, saw("a")), op(3, 8, saw("x")), op(4, 9, wrote("a")), op(6, 7, saw("a"))];
    assert!(explained(&[std::slice::from_ref(&crossing), &within].concat(), 1));
    assert!(!explained(&within, 1));
    // It had ended before the read began, so it cannot come after it.
    assert!(!explained(&[crossing, op(6, 7, saw("a")), op(8, 9, saw("x"))], 1));
}

#[test]
fn of_a_long_history_only_the_fault_is_shown() {
    let text = |n: u64| format!("{n}");
    let mut history: Vec<Op> = Vec::new();
    for n in 0..100 {
        // Each write overlaps the one before it and the reads between them.
        history.push(op(n * 10, n * 10 + 12, wrote(&text(n))));
        history.push(op(n * 10 + 3, n * 10 + 5, if n == 0 { ABSENT } else { saw(&text(n - 1)) }));
        history.push(op(n * 10 + 6, n * 10 + 8, saw(&text(n))));
    }
    check(&history).unwrap();
    history[50 * 3 + 2].step = saw(&text(48));
    let message = check(&history).unwrap_err();
    assert!(message.contains("506..508"), "{message}");
    assert!(message.lines().count() <= 4, "{message}");
}

// --- the store, checked ---

const TASKS: usize = 6;
const STEPS: usize = 150;
const KEYS: [&str; 3] = ["a", "a/b", "b"];

/// The work a seed stands for is always the same, how the tasks meet is not.
fn seeds(fixed: &[u64]) -> Vec<u64> {
    match std::env::var("COSETTE_LINEAR_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => fixed.to_vec(),
    }
}

/// Upkeep is busy all the time, but readers have the time they are promised.
fn busy() -> Settings {
    Settings {
        checkpoint_after: Duration::ZERO,
        segment_max: 60_000,
        snapshot_after: 0,
        ..Settings::default()
    }
}

struct Worker {
    task: usize,
    store: Store,
    stamps: Arc<AtomicU64>,
    random: Random,
    seed: u64,
    /// What it last saw of each key, for If-Match.
    seen: [State; KEYS.len()],
    done: Vec<Op>,
}

impl Worker {
    fn new(task: usize, store: &Store, stamps: &Arc<AtomicU64>, seed: u64) -> Self {
        Self {
            task,
            store: store.clone(),
            stamps: Arc::clone(stamps),
            random: Random(((seed << 8) + task as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            seed,
            seen: Default::default(),
            done: Vec::new(),
        }
    }

    fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::SeqCst)
    }

    fn record(&mut self, key: usize, began: u64, ended: u64, step: Step) {
        if let Some(state) = step.leaves() {
            self.seen[key] = state;
        } else if let Step::Saw(state) = &step {
            self.seen[key] = state.clone();
        }
        self.done.push(Op { task: self.task, key, began, ended, step });
    }

    async fn work(mut self) -> Vec<Op> {
        for n in 0..STEPS {
            let key = self.random.below(KEYS.len() as u64) as usize;
            match self.random.below(10) {
                0 => self.get(key).await,
                1 => self.head(key),
                2 => self.list(),
                3 => self.delete(key).await,
                _ => self.put(key, n).await,
            }
            // What does not wait for the committer would else keep the thread.
            tokio::task::yield_now().await;
        }
        self.done
    }

    /// Goes by the bytes, so that a body that is not its ETag's is a read of what nobody wrote.
    async fn get(&mut self, key: usize) {
        let began = self.stamp();
        let found = get(&self.store, "bucket", KEYS[key]).await;
        let ended = self.stamp();
        let state = match found {
            Ok(body) => {
                let mut digester = cosette_blob::Digester::new(&Wanted::default());
                digester.update(&body);
                Some(ETag::of_md5(digester.finish().md5))
            }
            Err(Error::NoSuchObject(_)) => None,
            Err(error) => panic!("seed {}: get of {}: {error}", self.seed, KEYS[key]),
        };
        self.record(key, began, ended, Step::Saw(state));
    }

    fn head(&mut self, key: usize) {
        let began = self.stamp();
        let found = self.store.object(&name("bucket"), &super::key(KEYS[key]), None);
        let ended = self.stamp();
        let state = match found {
            Ok(object) => Some(object.etag),
            Err(Error::NoSuchObject(_)) => None,
            Err(error) => panic!("seed {}: head of {}: {error}", self.seed, KEYS[key]),
        };
        self.record(key, began, ended, Step::Saw(state));
    }

    /// A list promises each key by itself, not all of them at one moment.
    fn list(&mut self) {
        let began = self.stamp();
        let page = self.store.list_objects(&name("bucket"), &listing("", "", "", 1000)).unwrap();
        let ended = self.stamp();
        assert!(page.objects.iter().all(|(key, _)| KEYS.contains(&key.as_str())));
        for (key, text) in KEYS.iter().enumerate() {
            let found = page.objects.iter().find(|(listed, _)| listed.as_str() == *text);
            self.record(key, began, ended, Step::Saw(found.map(|(_, object)| object.etag.clone())));
        }
    }

    async fn delete(&mut self, key: usize) {
        let began = self.stamp();
        let existed = delete(&self.store, "bucket", KEYS[key]).await.unwrap();
        let ended = self.stamp();
        self.record(key, began, ended, Step::Deleted { existed });
    }

    async fn put(&mut self, key: usize, n: usize) {
        let len = *self.random.pick(&[20usize, 300, 5_000, 40_000]);
        let body = bytes(len, self.seed << 24 | (self.task as u64) << 16 | n as u64);
        let condition = match self.random.below(6) {
            0 => Condition::Always,
            1 => Condition::IfNoneMatch,
            2 => Condition::ForbidOverwrite,
            other => {
                // Half of them replace what they have just read, as a counter would.
                if other > 3 {
                    self.head(key);
                }
                self.seen[key].clone().map_or(Condition::IfNoneMatch, Condition::IfMatch)
            }
        };
        let began = self.stamp();
        let seal = match n % 2 {
            0 => None,
            _ => Some(self.store.seal(&Encryption::Service).await.unwrap()),
        };
        let sealed = seal_under(&self.store, &body, seal).await.unwrap();
        let put = put_body(&self.store, "bucket", KEYS[key], sealed, condition.asked()).await;
        let ended = self.stamp();
        let outcome = match put {
            Ok(object) => Ok(object.etag),
            Err(Error::NoSuchObject(_)) => Err(Refusal::NoSuchObject),
            Err(Error::PreconditionFailed) => Err(Refusal::PreconditionFailed),
            Err(Error::OverwriteForbidden) => Err(Refusal::OverwriteForbidden),
            Err(error) => panic!("seed {}: put of {}: {error}", self.seed, KEYS[key]),
        };
        self.record(key, began, ended, Step::Put(condition, outcome));
    }
}

async fn work(store: &Store, stamps: &Arc<AtomicU64>, seed: u64) -> Vec<Op> {
    create(store, "bucket").await.unwrap();
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(Worker::new(task, store, stamps, seed).work())).collect();
    let mut history = Vec::new();
    for task in tasks {
        history.extend(task.await.unwrap());
    }
    history
}

/// That a history has in it what this is about; one without would pass for nothing.
fn is_telling(history: &[Op]) -> bool {
    let some = |wanted: fn(&Step) -> bool| history.iter().any(|op| wanted(&op.step));
    let updates: Vec<&Op> = history
        .iter()
        .filter(|op| {
            matches!(op.step, Step::Put(Condition::IfMatch(_), Ok(_)) | Step::Deleted { existed: true })
        })
        .collect();
    let meet = |a: &Op, b: &Op| a.key == b.key && a.began < b.began && b.began < a.ended;
    some(|step| matches!(step, Step::Put(Condition::IfMatch(_), Err(Refusal::NoSuchObject))))
        && some(|step| matches!(step, Step::Put(Condition::IfMatch(_), Err(Refusal::PreconditionFailed))))
        && some(|step| matches!(step, Step::Put(Condition::IfNoneMatch, Err(_))))
        && some(|step| matches!(step, Step::Put(Condition::ForbidOverwrite, Err(_))))
        && some(|step| matches!(step, Step::Put(Condition::ForbidOverwrite, Ok(_))))
        && updates.iter().any(|a| history.iter().any(|b| meet(a, b)))
}

fn judge(history: &[Op], seed: u64) {
    if let Err(why) = check(history) {
        panic!("seed {seed}: {why}");
    }
    assert!(is_telling(history), "seed {seed}: nothing of interest happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_in_memory_is_linearizable() {
    for seed in seeds(&[1, 2, 3, 4, 5, 6]) {
        let store = open_with(None, Disk::default(), busy()).unwrap();
        judge(&work(&store, &Arc::default(), seed).await, seed);
    }
}

/// An end without a close included: what the store then opens with goes on with the same history.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_on_disk_is_linearizable() {
    for seed in seeds(&[11, 12, 13]) {
        let scratch = Scratch::new();
        let stamps = Arc::default();
        let store = open_with(Some(scratch.path()), Disk::default(), busy()).unwrap();
        let mut history = work(&store, &stamps, seed).await;
        drop(store);
        let store = open_with(Some(scratch.path()), Disk::default(), busy()).unwrap();
        let mut after = Worker::new(TASKS, &store, &stamps, seed);
        after.list();
        for key in 0..KEYS.len() {
            after.get(key).await;
        }
        history.append(&mut after.done);
        judge(&history, seed);
    }
}
