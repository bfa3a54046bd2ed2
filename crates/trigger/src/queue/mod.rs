//! What is to be run next: the unfinished deliveries, in memory, by target. Pure: no tasks, no clock, no store.
//!
//! Of each delivery only a ticket of some hundred bytes is here; its event is read from the store when
//! its turn comes, so a long queue is a matter of disk.

mod of_target;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cosette_model::{Seq, Target, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::delivery::{Filed, Place};
use crate::dispatch::digest;
use crate::stored::Fresh;
use of_target::Queue;

/// A delivery's stand-in while it waits or runs.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) place: Place,
    pub(crate) id: Uuid,
    pub(crate) target: Arc<Target>,
    /// A digest of rule and key: first attempts of one lane run one after another, in order.
    /// `None` for retries and calls of the API, which keep no order.
    pub(crate) lane: Option<u64>,
    /// A digest of its rule's id.
    pub(crate) rule: Option<u64>,
    /// Digests of the ids of the request behind it, and of all requests and invocations that led to that.
    pub(crate) requests: Arc<[u64]>,
}

/// What came of a ticket that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// On record with this commit: what the invocation wrote was committed before.
    Finished(Seq),
    Retry(Timestamp),
    /// Its end could not be recorded: it counts as unfinished and is tried again after a restart.
    Lost,
}

struct Unfinished {
    id: Uuid,
    requests: Arc<[u64]>,
    running: bool,
    /// Nothing more comes of it before a restart.
    lost: bool,
}

/// What is kept from running: everything, what a rule fires, or what is for a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    All,
    Rule(String),
    Function(String),
}

impl Hold {
    fn holds(&self, ticket: &Ticket) -> bool {
        match self {
            Self::All => true,
            Self::Rule(id) => ticket.rule == Some(digest(id.as_str())),
            Self::Function(name) => ticket.target.function().is_some_and(|function| function.name == *name),
        }
    }
}

/// All unfinished deliveries, and how far the change log has been read.
#[derive(Default)]
pub(crate) struct Queues {
    by_target: HashMap<Target, Queue>,
    retries: BTreeMap<(Timestamp, Place), Ticket>,
    unfinished: BTreeMap<Place, Unfinished>,
    holds: Vec<Hold>,
    /// What was about to run and is kept from it.
    held: BTreeMap<Place, Ticket>,
    /// How many of the unfinished and of the settling are consequences of each request.
    requests: HashMap<u64, usize>,
    /// What is finished while the cursor has not passed its end: it may have written something that fires.
    settling: BTreeMap<Seq, Vec<Arc<[u64]>>>,
    running: usize,
    /// What has begun to run and is in no row yet.
    fresh: BTreeMap<Place, Arc<Filed>>,
    /// What is being filed, see [`Filing`](crate::quiet::Filing).
    filing: usize,
    cursor: Seq,
}

impl Queues {
    /// Counts what is being filed for these requests.
    pub(crate) fn begin_filing(&mut self, requests: &[u64]) {
        self.filing += 1;
        for request in requests {
            *self.requests.entry(*request).or_default() += 1;
        }
    }

    pub(crate) fn end_filing(&mut self, requests: &[u64]) {
        self.filing -= 1;
        self.count_off(requests);
    }

    /// Notes a delivery that has been filed; it counts as unfinished from now on. It runs when it is [pushed](Self::push).
    pub(crate) fn note(&mut self, ticket: &Ticket) {
        let (id, requests) = (ticket.id, ticket.requests.clone());
        for request in requests.iter() {
            *self.requests.entry(*request).or_default() += 1;
        }
        self.unfinished.insert(ticket.place, Unfinished { id, requests, running: false, lost: false });
    }

    /// Lets a noted delivery run when its turn comes, unless it is held; `limit` is how many of its target may run at
    /// once.
    pub(crate) fn push(&mut self, ticket: Ticket, limit: usize) {
        if self.holds.iter().any(|hold| hold.holds(&ticket)) {
            self.held.insert(ticket.place, ticket);
        } else {
            self.let_run(ticket, limit);
        }
    }

    /// Lets a noted delivery run when its turn comes, whatever is held.
    pub(crate) fn let_run(&mut self, ticket: Ticket, limit: usize) {
        self.by_target.entry(ticket.target.without_qualifier()).or_default().push(ticket, limit);
    }

    /// Lets a noted delivery wait until `at`.
    pub(crate) fn postpone(&mut self, ticket: Ticket, at: Timestamp) {
        self.retries.insert((at, ticket.place), Ticket { lane: None, ..ticket });
    }

    /// The next one of a target that may run now; it counts as running until it is [ended](Self::end).
    pub(crate) fn take(&mut self, target: &Target) -> Option<Ticket> {
        let ticket = self.by_target.get_mut(&target.without_qualifier())?.take()?;
        if let Some(unfinished) = self.unfinished.get_mut(&ticket.place) {
            unfinished.running = true;
        }
        self.running += 1;
        Some(ticket)
    }

    /// Notes a delivery that is in no row, and counts it as running until it is [ended](Self::end); `false`, and
    /// nothing done, where it would have to wait for its turn.
    pub(crate) fn seize(&mut self, ticket: &Ticket, filed: &Arc<Filed>, limit: usize) -> bool {
        if self.holds.iter().any(|hold| hold.holds(ticket)) {
            return false;
        }
        let queue = self.by_target.entry(ticket.target.without_qualifier()).or_default();
        if !queue.seize(ticket.lane, limit) {
            return false;
        }
        self.note(ticket);
        if let Some(unfinished) = self.unfinished.get_mut(&ticket.place) {
            unfinished.running = true;
        }
        self.running += 1;
        self.fresh.insert(ticket.place, filed.clone());
        true
    }

    /// What is in no row.
    pub(crate) fn fresh(&self) -> Fresh {
        self.fresh.iter().map(|(place, filed)| (*place, filed.clone())).collect()
    }

    pub(crate) fn is_fresh(&self, place: Place) -> bool {
        self.fresh.contains_key(&place)
    }

    /// It is in a row now.
    pub(crate) fn written(&mut self, place: Place) {
        self.fresh.remove(&place);
    }

    /// Of what is in no row, that of commits before this one.
    pub(crate) fn lagging(&self, before: Seq) -> Fresh {
        let first = Place { commit: before, index: 0 };
        self.fresh.range(..first).map(|(place, filed)| (*place, filed.clone())).collect()
    }

    /// Up to where every delivery is in a row, if it is `reached` and those at `written` are as well.
    pub(crate) fn in_rows(&self, reached: Seq, written: &HashSet<Place>) -> Seq {
        let first = self.fresh.keys().find(|place| !written.contains(place));
        first.map_or(reached, |first| reached.min(Seq(first.commit.0.saturating_sub(1))))
    }

    /// Gives back what was taken.
    pub(crate) fn end(&mut self, ticket: Ticket, end: End, limit: usize) {
        self.running -= 1;
        let name = ticket.target.without_qualifier();
        if let Some(queue) = self.by_target.get_mut(&name) {
            queue.release(ticket.lane, limit);
            if queue.is_idle() {
                self.by_target.remove(&name);
            }
        }
        if let Some(unfinished) = self.unfinished.get_mut(&ticket.place) {
            unfinished.running = false;
            unfinished.lost = end == End::Lost;
        }
        match end {
            End::Lost => {}
            End::Retry(at) => self.postpone(ticket, at),
            End::Finished(at) => self.finish(ticket.place, at),
        }
    }

    /// Counts as finished, by the commit `at`.
    pub(crate) fn finish(&mut self, place: Place, at: Seq) {
        let Some(finished) = self.unfinished.remove(&place) else { return };
        if at <= self.cursor {
            self.count_off(&finished.requests);
        } else {
            self.settling.entry(at).or_default().push(finished.requests);
        }
    }

    fn count_off(&mut self, requests: &[u64]) {
        for request in requests {
            if let Some(count) = self.requests.get_mut(request) {
                *count -= 1;
                if *count == 0 {
                    self.requests.remove(request);
                }
            }
        }
    }

    /// When the next retry is due.
    pub(crate) fn next_retry(&self) -> Option<Timestamp> {
        self.retries.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the retries that are due, to be pushed.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<Ticket> {
        let last = Place { commit: Seq(u64::MAX), index: u32::MAX };
        let later = self.retries.split_off(&(now, last));
        std::mem::replace(&mut self.retries, later).into_values().collect()
    }

    /// Every change up to here has been matched and what it fired has been noted.
    pub(crate) fn reach(&mut self, cursor: Seq) {
        self.cursor = self.cursor.max(cursor);
        while let Some(first) = self.settling.first_entry().filter(|first| *first.key() <= cursor) {
            for requests in first.remove() {
                self.count_off(&requests);
            }
        }
    }

    /// Keeps what the hold names from running from now on; what runs goes on.
    pub(crate) fn hold(&mut self, hold: Hold) {
        let mut taken = Vec::new();
        for queue in self.by_target.values_mut() {
            taken.extend(queue.withhold(&hold));
        }
        self.by_target.retain(|_, queue| !queue.is_idle());
        self.held.extend(taken.into_iter().map(|ticket| (ticket.place, ticket)));
        if !self.holds.contains(&hold) {
            self.holds.push(hold);
        }
    }

    pub(crate) fn holds(&self) -> &[Hold] {
        &self.holds
    }

    pub(crate) fn is_held(&self, place: Place) -> bool {
        self.held.contains_key(&place)
    }

    /// Ends all holds and takes out what they held, oldest first.
    pub(crate) fn release_all(&mut self) -> Vec<Ticket> {
        self.holds.clear();
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Takes one out that is held.
    pub(crate) fn release(&mut self, place: Place) -> Option<Ticket> {
        self.held.remove(&place)
    }

    /// Takes one out that does not run, wherever it waits.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Ticket> {
        if let Some(ticket) = self.held.remove(&place) {
            return Some(ticket);
        }
        if let Some(key) = self.retries.keys().find(|(_, waiting)| *waiting == place).copied() {
            return self.retries.remove(&key);
        }
        let found = self.by_target.values_mut().find_map(|queue| queue.remove(place));
        self.by_target.retain(|_, queue| !queue.is_idle());
        found
    }

    /// Where the unfinished delivery of this id is.
    pub(crate) fn place_of(&self, id: Uuid) -> Option<Place> {
        self.unfinished.iter().find(|(_, unfinished)| unfinished.id == id).map(|(place, _)| *place)
    }

    pub(crate) fn cursor(&self) -> Seq {
        self.cursor
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn is_running(&self, place: Place) -> bool {
        self.unfinished.get(&place).is_some_and(|unfinished| unfinished.running)
    }

    /// Whether it is known and not finished.
    pub(crate) fn is_unfinished(&self, place: Place) -> bool {
        self.unfinished.contains_key(&place)
    }

    /// Whether its end could not be recorded.
    pub(crate) fn is_lost(&self, place: Place) -> bool {
        self.unfinished.get(&place).is_some_and(|unfinished| unfinished.lost)
    }

    /// Whether nothing is unfinished: of one request, or at all.
    pub(crate) fn is_done(&self, request: Option<u64>) -> bool {
        match request {
            Some(request) => !self.requests.contains_key(&request),
            None => self.unfinished.is_empty() && self.filing == 0,
        }
    }

    /// Whether nothing runs or could at `now`: whatever is unfinished waits for its time or is held.
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        self.filing == 0
            && self.unfinished.len() == self.retries.len() + self.held.len()
            && self.next_retry().is_none_or(|at| at > now)
    }

    /// Ids of what is unfinished, oldest first, at most `max`.
    pub(crate) fn pending(&self, request: Option<u64>, max: usize) -> Vec<String> {
        let is_meant = |unfinished: &&Unfinished| request.is_none_or(|r| unfinished.requests.contains(&r));
        let meant = self.unfinished.values().filter(is_meant);
        meant.take(max).map(|unfinished| unfinished.id.to_string()).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::function::FunctionRef;

    use super::*;

    fn qualified(name: &str, qualifier: &str) -> Target {
        let (name, qualifier) = (name.into(), qualifier.into());
        let [appid, region, namespace] = ["1250000000", "ap-guangzhou", "default"].map(str::to_owned);
        FunctionRef { appid, region, namespace, name, qualifier, routed: None }.into()
    }

    fn function(name: &str) -> Arc<Target> {
        Arc::new(qualified(name, "$LATEST"))
    }

    /// The n-th delivery, for function `f`, of lane and request `lane`.
    fn ticket(n: u64, lane: u64) -> Ticket {
        let place = Place { commit: Seq(n), index: 0 };
        let id = Uuid::from_u128(n.into());
        Ticket { place, id, target: function("f"), lane: Some(lane), rule: None, requests: [lane].into() }
    }

    fn queues(limit: usize, tickets: impl IntoIterator<Item = Ticket>) -> Queues {
        let mut queues = Queues::default();
        for ticket in tickets {
            queues.note(&ticket);
            queues.push(ticket, limit);
        }
        queues
    }

    /// Numbers of what starts now.
    fn start(queues: &mut Queues) -> Vec<u64> {
        std::iter::from_fn(|| queues.take(&function("f"))).map(|t| t.place.commit.0).collect()
    }

    #[test]
    fn no_more_run_than_the_limit() {
        let mut queues = queues(3, (1..=5).map(|n| ticket(n, n)));
        assert_eq!(start(&mut queues), [1, 2, 3]);
        queues.end(ticket(2, 2), End::Finished(Seq(0)), 3);
        assert_eq!(start(&mut queues), [4]);
        queues.end(ticket(1, 1), End::Finished(Seq(0)), 1);
        assert!(start(&mut queues).is_empty(), "the limit was lowered");
        assert_eq!(queues.running(), 2);
    }

    #[test]
    fn a_lane_runs_one_after_another_in_order() {
        let mut queues = queues(8, [ticket(1, 1), ticket(2, 1), ticket(3, 2), ticket(4, 1), ticket(5, 2)]);
        assert_eq!(start(&mut queues), [1, 3]);
        queues.end(ticket(1, 1), End::Finished(Seq(0)), 8);
        assert_eq!(start(&mut queues), [2]);
        // A newcomer stands behind those that already wait.
        queues.note(&ticket(6, 1));
        queues.push(ticket(6, 1), 8);
        assert!(start(&mut queues).is_empty());
        queues.end(ticket(2, 1), End::Finished(Seq(0)), 8);
        assert_eq!(start(&mut queues), [4]);
        queues.end(ticket(3, 2), End::Finished(Seq(0)), 8);
        assert_eq!(start(&mut queues), [5]);
        queues.end(ticket(4, 1), End::Finished(Seq(0)), 8);
        assert_eq!(start(&mut queues), [6]);
        queues.end(ticket(5, 2), End::Finished(Seq(0)), 8);
        queues.end(ticket(6, 1), End::Finished(Seq(0)), 8);
        assert!(queues.is_done(None) && queues.by_target.is_empty());
    }

    #[test]
    fn a_retry_holds_nothing_back() {
        let mut queues = queues(1, [ticket(1, 1), ticket(2, 1)]);
        assert_eq!(start(&mut queues), [1]);
        let at = Timestamp::from_secs(60);
        queues.end(ticket(1, 1), End::Retry(at), 1);
        assert!(!queues.is_settled(Timestamp::from_secs(0)));
        assert_eq!(start(&mut queues), [2]);
        assert_eq!(queues.next_retry(), Some(at));
        assert!(queues.due(Timestamp::from_secs(59)).is_empty());
        let due = queues.due(at);
        assert_eq!(due.len(), 1);
        queues.push(due.into_iter().next().unwrap(), 1);
        queues.end(ticket(2, 1), End::Finished(Seq(0)), 1);
        assert_eq!(start(&mut queues), [1]);
        queues.end(Ticket { lane: None, ..ticket(1, 1) }, End::Finished(Seq(0)), 1);
        assert!(queues.is_done(None));
    }

    #[test]
    fn functions_do_not_share_slots() {
        let mut queues = queues(1, [ticket(1, 1), ticket(2, 2)]);
        let other = Ticket { target: function("g"), ..ticket(3, 3) };
        queues.note(&other);
        queues.push(other, 1);
        assert_eq!(start(&mut queues), [1]);
        assert_eq!(queues.take(&function("g")).unwrap().place.commit, Seq(3));
    }

    #[test]
    fn qualifiers_of_a_function_share_slots() {
        let mut queues = queues(1, [ticket(1, 1)]);
        let alias = qualified("f", "prod");
        assert!(queues.take(&alias).is_some());
        assert!(queues.take(&function("f")).is_none());
    }

    #[test]
    fn requests_are_done_apart() {
        let mut queues = queues(8, [ticket(1, 7), ticket(2, 7), ticket(3, 8)]);
        assert!(queues.is_done(Some(9)) && !queues.is_done(Some(7)) && !queues.is_done(None));
        assert_eq!(queues.pending(Some(7), 100).len(), 2);
        assert_eq!(queues.pending(None, 2).len(), 2);
        start(&mut queues);
        queues.end(ticket(1, 7), End::Finished(Seq(0)), 8);
        start(&mut queues);
        queues.end(ticket(2, 7), End::Finished(Seq(0)), 8);
        assert!(queues.is_done(Some(7)) && !queues.is_done(Some(8)));
    }

    #[test]
    fn what_is_being_filed_is_not_done() {
        let mut queues = Queues::default();
        queues.begin_filing(&[7]);
        assert!(!queues.is_done(None) && !queues.is_done(Some(7)) && queues.is_done(Some(8)));
        assert!(!queues.is_settled(Timestamp::from_secs(0)));
        queues.note(&ticket(1, 7));
        queues.end_filing(&[7]);
        assert!(!queues.is_done(None) && !queues.is_done(Some(7)), "it is noted");
        queues.finish(ticket(1, 7).place, Seq(0));
        assert!(queues.is_done(None) && queues.is_done(Some(7)));
    }

    #[test]
    fn a_lost_end_stays_unfinished_and_frees_its_slot() {
        let mut queues = queues(1, [ticket(1, 1), ticket(2, 2)]);
        assert_eq!(start(&mut queues), [1]);
        queues.end(ticket(1, 1), End::Lost, 1);
        assert_eq!(start(&mut queues), [2]);
        queues.end(ticket(2, 2), End::Finished(Seq(0)), 1);
        assert!(!queues.is_done(None) && !queues.is_done(Some(1)));
    }
}
