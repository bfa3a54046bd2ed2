//! A disk on which one step fails, or a write stops half way: each step in turn, of everything a
//! store does. What was wanted may be refused; what is there is read as before. The next process
//! finds all that was acknowledged, and what was refused wholly or not at all.
//!
//! `COSETTE_FAULT_STRIDE=1` tries every step, not some.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use cosette_blob::{Faults, Step, Verdict};

use super::reference::{At, Body, Op, Subject, Way, When, busy, runtime};
use super::*;

/// Fails one step.
struct Fault {
    /// Which, of all that are to come.
    at: usize,
    tears: bool,
    seen: AtomicUsize,
    /// What it was.
    hit: Mutex<Option<String>>,
    healed: AtomicBool,
}

impl Fault {
    fn new(at: usize, tears: bool) -> Arc<Self> {
        let (seen, hit) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { at, tears, seen, hit, healed: AtomicBool::new(false) })
    }

    fn hit(&self) -> Option<String> {
        self.hit.lock().unwrap().clone()
    }
}

/// The step's name, with that of the directory it is in.
fn named(step: Step<'_>, path: &Path) -> String {
    let step = format!("{step:?}");
    let step = step.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
    let of = ["journal", "bodies", "snapshot"].iter().find(|dir| path.iter().any(|name| name == **dir));
    format!("{step} {}", of.unwrap_or(&"directory"))
}

impl Faults for Fault {
    fn before(&self, step: Step<'_>, path: &Path) -> Verdict {
        if self.healed.load(Ordering::SeqCst) || self.seen.fetch_add(1, Ordering::SeqCst) != self.at {
            return Verdict::Go;
        }
        *self.hit.lock().unwrap() = Some(named(step, path));
        match step {
            Step::Write { bytes, .. } if self.tears => Verdict::Tear(self.at * 7 % (bytes.len() + 1)),
            // EIO.
            _ => Verdict::Fail(io::Error::from_raw_os_error(5)),
        }
    }
}

/// Everything at least once: bodies of all sizes, versions and markers, appends that outgrow a
/// record, copies that share, uploads, overwriting enough to move bodies and take snapshots.
pub(super) fn work() -> Vec<Op> {
    let put = |at, body| Op::Put(at, body, When::Always, Way(0));
    let delete = |at, version| Op::Delete(at, version, When::Always);
    let copy = |from, to, way| Op::Copy { from, version: None, to, when: When::Always, way: Way(way) };
    let mut ops = vec![Op::Create(0), Op::Create(1)];
    for n in 0..4 {
        ops.push(put(At(0, n), Body(3, n)));
        ops.push(put(At(1, n), Body(if n == 1 { 6 } else { 4 }, n)));
    }
    ops.extend((0..19).map(|n| Op::Append(At(0, 4), Body(if n % 8 == 3 { 5 } else { 2 }, n), 0, Way(3))));
    ops.extend([
        copy(At(0, 4), At(0, 5), 4),
        Op::Append(At(0, 4), Body(3, 30), 0, Way(0)),
        Op::Begin(At(0, 0), Way(1)),
        Op::Part(0, 1, Body(4, 40)),
        Op::Part(0, 2, Body(5, 41)),
        Op::Part(0, 2, Body(3, 42)),
        Op::Part(0, 3, Body(3, 43)),
        Op::Complete(0, 0b0_1100, When::Always),
        Op::Begin(At(1, 0), Way(5)),
        Op::Part(0, 1, Body(5, 44)),
        Op::Versioning(1, true),
        copy(At(1, 1), At(1, 2), 0),
        Op::Put(At(1, 4), Body(6, 45), When::Always, Way(2)),
        copy(At(1, 4), At(1, 5), 1),
        copy(At(1, 4), At(1, 4), 0),
        copy(At(1, 3), At(1, 5), 5),
        Op::Report(0, Some(1)),
    ]);
    for n in 50..54 {
        ops.extend([put(At(1, 0), Body(4, n)), put(At(0, 1), Body(4, n)), put(At(0, 2), Body(3, n))]);
    }
    ops.extend([
        delete(At(1, 0), None),
        Op::Tag(At(1, 0), Some(4), 7),
        delete(At(1, 1), None),
        delete(At(1, 0), Some(3)),
        delete(At(1, 1), Some(0)),
        Op::Versioning(1, false),
        put(At(1, 2), Body(5, 60)),
        delete(At(1, 3), None),
        Op::Abort(0),
        Op::Set(0, 0, Some(1)),
        Op::Keep(Body(3, 1)),
        Op::Age(At(1, 5), 1, true),
        Op::Restore(At(1, 5), Some(2), 0),
        Op::MuchLater(1),
        Op::Restore(At(1, 5), Some(2), 1),
        Op::Finish,
        Op::Report(0, None),
        delete(At(0, 4), None),
        delete(At(0, 5), None),
    ]);
    for n in 70..78 {
        ops.extend([put(At(0, 1), Body(4, n)), put(At(0, 3), Body(3, n))]);
    }
    ops
}

/// Does the work until it is done on a disk where one step fails, and looks at what is left.
/// Says which step that was; none if there were fewer.
fn one_step_fails(at: usize, tears: bool) -> Option<String> {
    let runtime = runtime();
    let fault = Fault::new(at, tears);
    let mut subject = Subject::closed(Some(Scratch::new()), busy(), Disk::faulty(fault.clone()));
    let mut in_doubt = None;
    if subject.open().is_ok() {
        runtime.block_on(async {
            let (mut looked, mut refused) = (false, 0);
            for op in work() {
                let failed = subject.attempt(&op).await;
                if let Some((kind, after)) = failed {
                    assert!(fault.hit().is_some(), "{op:?} failed with {kind}, and the disk had not");
                    // A failed write is one operation's misfortune, a failed sync the process's.
                    refused += usize::from(kind != "Poisoned");
                    assert!(
                        refused == 0 || (refused == 1 && kind != "Poisoned"),
                        "{op:?} failed with {kind}"
                    );
                    // Every later one is refused before it does anything.
                    if kind == "Poisoned" && in_doubt.is_none() {
                        in_doubt = Some((after, op));
                    }
                }
                if !looked && fault.hit().is_some() {
                    subject.whole().await;
                    looked = true;
                }
            }
            if at.is_multiple_of(2) {
                let _ = subject.store().close().await;
            }
        });
    }
    let hit = fault.hit();
    fault.healed.store(true, Ordering::SeqCst);
    subject.crash();
    let what = || format!("step {at}, {hit:?}{}", if tears { ", torn" } else { "" });
    subject.open().unwrap_or_else(|error| panic!("{}: {error}", what()));
    let before = subject.model();
    if let (Err(why), in_doubt) = (subject.is(&runtime, before), in_doubt) {
        let Some((after, op)) = in_doubt else { panic!("{}: {why:?}", what()) };
        let after = subject.suppose(after, &op);
        let came_to_pass = subject.is(&runtime, after);
        came_to_pass.unwrap_or_else(|_| panic!("{}: {op:?} came to pass by half", what()));
    }
    if at.is_multiple_of(3) {
        runtime.block_on(subject.end());
    }
    hit
}

/// Every how many steps one is tried: as many as asked for, or so many.
pub(super) fn stride(unasked: usize) -> usize {
    let asked = std::env::var("COSETTE_FAULT_STRIDE").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(unasked)
}

fn walk(tears: bool) -> BTreeSet<String> {
    let mut hit = BTreeSet::new();
    for at in (0..).step_by(stride(29)) {
        match one_step_fails(at, tears) {
            Some(step) => hit.insert(step),
            None => return hit,
        };
    }
    hit
}

#[test]
fn any_step_may_fail() {
    let hit = walk(false);
    assert!(hit.contains("Write journal") && hit.contains("Sync journal"), "{hit:?}");
}

#[test]
fn any_write_may_be_torn() {
    let hit = walk(true);
    assert!(hit.contains("Write journal"), "{hit:?}");
}
