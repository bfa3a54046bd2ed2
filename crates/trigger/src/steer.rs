//! Steering deliveries by hand, for tests: held, let go in another order, dropped, put off, repeated.
//!
//! Holding is in memory only: a restart lets everything go. All else is on record.

use std::sync::Arc;
use std::time::Duration;

use cosette_model::{Seq, Timestamp};
use cosette_store::Tx;
use uuid::Uuid;

use crate::delivery::{Delivery, DeliveryState, Filed, Place, Progress};
use crate::dispatch::{Dispatcher, digest};
use crate::queue::{Hold, Ticket};
use crate::{Error, Triggers, stored};

/// What is let go, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// Everything, as it was filed; nothing is held any more.
    All,
    /// Everything, one of each target after another, in the order that the number draws.
    Shuffled(u64),
    /// These, one of each target after another, in this order; the holds stay.
    These(Vec<String>),
}

impl Triggers {
    /// Keeps what is about to run from running; what runs goes on.
    pub fn hold(&self, hold: Hold) {
        self.dispatcher.queues().hold(hold);
        self.dispatcher.moved.send_replace(());
    }

    pub fn holds(&self) -> Vec<Hold> {
        self.dispatcher.queues().holds().to_vec()
    }

    /// Lets go what is held; returns the ids in the order they may run in.
    ///
    /// # Errors
    /// `NoSuchDelivery` or `NotNow` for an id that is not held; nothing is let go then.
    pub fn release(&self, how: Release) -> Result<Vec<String>, Error> {
        self.dispatcher.release(how)
    }

    /// Ends a delivery that does not run, for good.
    ///
    /// # Errors
    /// `NoSuchDelivery`, `NotNow` when it runs or is finished.
    pub async fn drop_delivery(&self, id: &str) -> Result<(), Error> {
        let why = "dropped by hand".to_owned();
        self.in_own_task(id, move |_| DeliveryState::Dead { why }).await
    }

    /// Lets a delivery that does not run wait for so long, by the clock.
    ///
    /// # Errors
    /// As of [`drop_delivery`](Self::drop_delivery).
    pub async fn delay(&self, id: &str, by: Duration) -> Result<(), Error> {
        self.in_own_task(id, move |now| DeliveryState::Retrying { at: now.plus(by) }).await
    }

    /// Delivers once more, under an id of its own: the event as it was, or another text in its place.
    ///
    /// # Errors
    /// `NoSuchDelivery`.
    pub async fn repeat(&self, id: &str, event: Option<String>) -> Result<String, Error> {
        let filed = self.dispatcher.filed_as(id).await?;
        let original = Some(filed.id.clone());
        let filed = Filed {
            id: Uuid::new_v4().to_string(),
            event: event.unwrap_or(filed.event),
            // Its age is counted anew.
            created: self.dispatcher.clock.now(),
            repeats: original,
            ..filed
        };
        let dispatcher = self.dispatcher.clone();
        let call = tokio::spawn(async move { dispatcher.file(filed).await });
        call.await.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))
    }

    /// A delivery by its id, whatever has become of it.
    ///
    /// # Errors
    /// `NoSuchDelivery`.
    pub fn delivery(&self, id: &str) -> Result<Delivery, Error> {
        let found = self.dispatcher.picked(Seq(0), 1, |filed| filed.id == id)?;
        found.into_iter().next().ok_or_else(|| Error::NoSuchDelivery(id.to_owned()))
    }

    /// A caller that goes away must not leave a delivery that waits nowhere.
    pub(crate) async fn in_own_task(
        &self,
        id: &str,
        state: impl FnOnce(Timestamp) -> DeliveryState + Send + 'static,
    ) -> Result<(), Error> {
        let (dispatcher, id) = (self.dispatcher.clone(), id.to_owned());
        let done = tokio::spawn(async move { dispatcher.put_into(&id, state).await });
        done.await.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))
    }
}

impl Dispatcher {
    fn release(self: &Arc<Self>, how: Release) -> Result<Vec<String>, Error> {
        let mut queues = self.queues();
        let mut tickets = match &how {
            Release::All => queues.release_all(),
            Release::Shuffled(seed) => {
                let mut tickets = queues.release_all();
                // Any order that depends on the number alone will do.
                tickets.sort_by_cached_key(|ticket| digest(&(seed, ticket.place)));
                tickets
            }
            Release::These(ids) => {
                let mut places = Vec::with_capacity(ids.len());
                for id in ids {
                    let place = Uuid::parse_str(id).ok().and_then(|id| queues.place_of(id));
                    let place = place.ok_or_else(|| Error::NoSuchDelivery(id.clone()))?;
                    if !queues.is_held(place) {
                        return Err(Error::NotNow { id: id.clone(), why: "is not held" });
                    }
                    places.push(place);
                }
                places.into_iter().filter_map(|place| queues.release(place)).collect()
            }
        };
        if how != Release::All {
            // One lane for all: each waits for the end of the one before.
            let lane = Some(digest(&Uuid::new_v4()));
            tickets.iter_mut().for_each(|ticket| ticket.lane = lane);
        }
        let ids = tickets.iter().map(|ticket| ticket.id.to_string()).collect();
        self.let_run(queues, tickets);
        Ok(ids)
    }

    fn let_run(
        self: &Arc<Self>,
        mut queues: std::sync::MutexGuard<'_, crate::queue::Queues>,
        tickets: Vec<Ticket>,
    ) {
        let limits = self.limits(tickets.iter());
        for ticket in tickets {
            let limit = limits.get(&ticket.target).copied().unwrap_or(1);
            queues.let_run(ticket, limit);
        }
        for target in limits.keys() {
            self.start(&mut queues, target);
        }
        drop(queues);
        self.moved.send_replace(());
    }

    /// Puts a delivery that does not run into another state, durably.
    async fn put_into(
        self: &Arc<Self>,
        id: &str,
        state: impl FnOnce(Timestamp) -> DeliveryState,
    ) -> Result<(), Error> {
        let ticket = {
            let mut queues = self.queues();
            let place = Uuid::parse_str(id).ok().and_then(|id| queues.place_of(id));
            place.map(|place| match queues.remove(place) {
                Some(ticket) => Ok(ticket),
                None if queues.is_lost(place) => Err("waits for a restart: its end could not be recorded"),
                None => Err("runs"),
            })
        };
        let ticket = match ticket {
            Some(Ok(ticket)) => ticket,
            Some(Err(why)) => return Err(Error::NotNow { id: id.to_owned(), why }),
            None => {
                self.filed_as(id).await?;
                return Err(Error::NotNow { id: id.to_owned(), why: "is finished" });
            }
        };
        let state = state(self.clock.now());
        match self.put_on_record(ticket.place, state.clone()).await {
            Ok(commit) => {
                let mut queues = self.queues();
                if let DeliveryState::Retrying { at } = state {
                    queues.postpone(ticket, at);
                    drop(queues);
                    self.retry_set.notify_one();
                } else {
                    queues.finish(ticket.place, commit);
                    drop(queues);
                    self.note_end(ticket.place);
                }
                self.moved.send_replace(());
                Ok(())
            }
            Err(error) => {
                self.let_run(self.queues(), vec![ticket]);
                Err(error)
            }
        }
    }

    async fn put_on_record(&self, place: Place, state: DeliveryState) -> Result<Seq, Error> {
        let (filed, before) = stored::get(&self.store, place)?.ok_or_else(|| {
            cosette_store::Error::Corrupt { what: format!("delivery at {place:?} is missing") }
        })?;
        let is_finished = state.is_finished();
        let row = stored::encode(&filed, &Progress { state, ..before })?;
        let finished_max = self.options.finished_max;
        let write = move |tx: &mut Tx<'_>| {
            if is_finished {
                return stored::end(tx, vec![stored::End { place, row, waited: true }], finished_max);
            }
            stored::wait(tx, place, row);
            Ok(())
        };
        let (commit, ()) = self.store.commit::<_, Error, _>(write).await?;
        Ok(commit)
    }

    /// On a thread of its own: it may read all deliveries.
    async fn filed_as(&self, id: &str) -> Result<Filed, Error> {
        let (store, wanted) = (self.store.clone(), id.to_owned());
        let fresh = self.queues().fresh();
        let look = move || {
            let mut found = None;
            stored::picked(
                &store,
                fresh,
                Seq(0),
                1,
                |filed| {
                    let is_it = filed.id == wanted;
                    if is_it {
                        found = Some(filed.clone());
                    }
                    is_it
                },
                |_, _| (),
            )?;
            Ok::<_, Error>(found)
        };
        let found = tokio::task::spawn_blocking(look).await;
        let found = found.unwrap_or(Err(Error::Store(cosette_store::Error::Closed)))?;
        found.ok_or_else(|| Error::NoSuchDelivery(id.to_owned()))
    }
}
