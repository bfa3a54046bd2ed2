//! What waits for one target: how many run at once, and which first attempts wait for each other.

use std::collections::{HashMap, VecDeque};

use super::{Hold, Ticket};
use crate::delivery::Place;

/// Deliveries of one target; a function's qualifiers share its concurrency.
#[derive(Default)]
pub(super) struct Queue {
    limit: usize,
    running: usize,
    /// In the order they were filed, retries where they became due.
    ready: VecDeque<Ticket>,
    /// Lanes with a first attempt running or granted, and what waits behind it.
    lanes: HashMap<u64, VecDeque<Ticket>>,
    /// Heads of lanes whose turn has come.
    granted: VecDeque<Ticket>,
}

impl Queue {
    /// At the end of what waits; of the target at most `limit` run at once from now on.
    pub(super) fn push(&mut self, ticket: Ticket, limit: usize) {
        self.limit = limit;
        self.ready.push_back(ticket);
    }

    /// Takes a slot for a newcomer, if nothing stands before it; of the target at most `limit` run at once from now on.
    pub(super) fn seize(&mut self, lane: Option<u64>, limit: usize) -> bool {
        self.limit = limit;
        if self.running >= limit || !self.ready.is_empty() || !self.granted.is_empty() {
            return false;
        }
        if let Some(lane) = lane {
            if self.lanes.contains_key(&lane) {
                return false;
            }
            self.lanes.insert(lane, VecDeque::new());
        }
        self.running += 1;
        true
    }

    /// The next one that may run now.
    pub(super) fn take(&mut self) -> Option<Ticket> {
        if self.running >= self.limit {
            return None;
        }
        let ticket = match self.granted.pop_front() {
            Some(ticket) => ticket,
            None => loop {
                let ticket = self.ready.pop_front()?;
                let Some(lane) = ticket.lane else { break ticket };
                match self.lanes.get_mut(&lane) {
                    Some(behind) => behind.push_back(ticket),
                    None => {
                        self.lanes.insert(lane, VecDeque::new());
                        break ticket;
                    }
                }
            },
        };
        self.running += 1;
        Some(ticket)
    }

    /// One that ran has ended.
    pub(super) fn release(&mut self, lane: Option<u64>, limit: usize) {
        self.limit = limit;
        self.running -= 1;
        self.hand_on(lane);
    }

    /// Lets the next of the lane have its turn.
    fn hand_on(&mut self, lane: Option<u64>) {
        let Some(lane) = lane else { return };
        match self.lanes.get_mut(&lane).and_then(VecDeque::pop_front) {
            Some(next) => self.granted.push_back(next),
            None => drop(self.lanes.remove(&lane)),
        }
    }

    /// Takes out one that waits.
    pub(super) fn remove(&mut self, place: Place) -> Option<Ticket> {
        let take = |waiting: &mut VecDeque<Ticket>| {
            let at = waiting.iter().position(|ticket| ticket.place == place)?;
            waiting.remove(at)
        };
        if let Some(ticket) = take(&mut self.ready).or_else(|| self.lanes.values_mut().find_map(take)) {
            return Some(ticket);
        }
        let ticket = take(&mut self.granted)?;
        self.hand_on(ticket.lane);
        Some(ticket)
    }

    /// Takes out all that wait and that `hold` keeps from running.
    pub(super) fn withhold(&mut self, hold: &Hold) -> Vec<Ticket> {
        let take = |waiting: &mut VecDeque<Ticket>| {
            let (held, free) = std::mem::take(waiting).into_iter().partition(|ticket| hold.holds(ticket));
            *waiting = free;
            held
        };
        let mut held = Vec::from(take(&mut self.ready));
        for behind in self.lanes.values_mut() {
            held.extend(take(behind));
        }
        for ticket in take(&mut self.granted) {
            self.hand_on(ticket.lane);
            held.push(ticket);
        }
        held
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running == 0 && self.ready.is_empty() && self.granted.is_empty()
    }
}
