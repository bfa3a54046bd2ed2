//! Web functions: the package's `scf_bootstrap` starts a server, requests are passed on to it as they are, and its
//! answers back (scf.md 5.8). An instance may serve several at once.
//!
//! `host` is one instance with the requests that it serves, `carry` one request and its answer, `socket` what a request
//! becomes if it asks for a WebSocket, `ports` where the server listens, `lang` where it finds the interpreters, `image` how a server gets events.

mod carry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod lang;
pub(crate) mod ports;
mod socket;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_model::{ByteStream, Chain};
use http::{Request, Response};
use tokio::sync::{mpsc, oneshot};

use crate::instance::{CLOSING, NotStarted};
use crate::{Ran, Runtime, Spec, not_started};
use host::{Host, Job};

/// Where a web function's server listens (scf.md 5.8).
pub(crate) const PORT: u16 = 9000;

/// What makes a function one that answers HTTP requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Requests that one instance may have at once; at least 1.
    pub concurrency: usize,
    /// For how long a WebSocket may be silent; `None` where there are to be none.
    pub websocket: Option<Duration>,
}

/// One request, and where its answer goes.
pub struct Exchange {
    /// With a path only; `Host` says for whom it is. Whoever wants it to become a WebSocket leaves hyper's `OnUpgrade`
    /// in its extensions.
    pub request: Request<ByteStream>,
    /// Gets the answer's head as soon as it is there, and its body as it comes. Dropped if there is none.
    pub answer: oneshot::Sender<Response<ByteStream>>,
    /// The client does not get the last of the answer before this ends, if it is there.
    pub held: Option<oneshot::Receiver<Infallible>>,
}

impl Exchange {
    /// For whoever has a place for each request: a client that has the whole answer may ask again at once, so it gets
    /// the last of it once this is dropped.
    pub fn hold(&mut self) -> oneshot::Sender<Infallible> {
        let (hold, held) = oneshot::channel();
        self.held = Some(held);
        hold
    }
}

/// The instances that serve requests now.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<HashMap<String, Vec<Open>>>);

/// One that may take more.
struct Open {
    number: u64,
    jobs: mpsc::UnboundedSender<Job>,
    /// Requests that it has, or that are on the way to it.
    taken: usize,
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Open>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the job to an instance that has room, or to one that is to be: then whoever asked has to see to it.
    pub(crate) fn give(
        &self,
        id: &str,
        concurrency: usize,
        number: u64,
        job: Job,
    ) -> Option<mpsc::UnboundedReceiver<Job>> {
        let mut all = self.lock();
        let open = all.entry(id.to_owned()).or_default();
        // It takes all it is sent until it is taken out of the list, unless it ended by a fault of ours.
        open.retain(|host| !host.jobs.is_closed());
        // The fullest: others come to rest.
        let place = open.iter_mut().filter(|host| host.taken < concurrency).max_by_key(|host| host.taken);
        if let Some(host) = place {
            host.taken += 1;
            let _ = host.jobs.send(job);
            return None;
        }
        let (jobs, queue) = mpsc::unbounded_channel();
        let _ = jobs.send(job);
        open.push(Open { number, jobs, taken: 1 });
        Some(queue)
    }

    /// One request less. Whether the instance has none and is out of the list: it gets no more.
    fn done(&self, id: &str, number: u64) -> bool {
        let mut all = self.lock();
        let Some(open) = all.get_mut(id) else { return false };
        let Some(at) = open.iter().position(|host| host.number == number) else { return false };
        open[at].taken = open[at].taken.saturating_sub(1);
        let is_idle = open[at].taken == 0;
        if is_idle {
            open.swap_remove(at);
            all.retain(|_, open| !open.is_empty());
        }
        is_idle
    }

    /// It gets no more.
    fn close(&self, id: &str, number: u64) {
        let mut all = self.lock();
        if let Some(open) = all.get_mut(id) {
            open.retain(|host| host.number != number);
        }
        all.retain(|_, open| !open.is_empty());
    }

    /// Those that are meant get no more.
    pub(crate) fn close_all(&self, is_meant: impl Fn(&str) -> bool) {
        self.lock().retain(|id, _| !is_meant(id));
    }
}

impl Runtime {
    /// Passes a request to an instance of a web function, and what it answers back; returns once all of that is
    /// there, or it is known why not. What the instance signs meanwhile comes of `chain`.
    pub async fn serve(&self, spec: &Spec, request_id: &str, chain: &Chain, exchange: Exchange) -> Ran {
        let Some(web) = &spec.web else {
            let text = format!("function {} is no web function", spec.name);
            return not_started(NotStarted::of(StatusCode::ContainerInitError, text, request_id));
        };
        let (done, ran) = oneshot::channel();
        let job = Job { request_id: request_id.to_owned(), chain: chain.clone(), exchange, done };
        let number = self.shared.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(queue) = self.shared.hosts.give(&spec.id, web.concurrency.max(1), number, job) {
            let host = Host { runtime: self.clone(), spec: Arc::new(spec.clone()), number, queue };
            tokio::spawn(host.run());
        }
        ran.await
            .unwrap_or_else(|_| not_started(NotStarted::of(StatusCode::InternalError, CLOSING, request_id)))
    }
}
