//! The CDN: domains with a bucket behind them, what was asked to be purged and prefetched, and the one edge that
//! serves them. Knows no Cloud API, no socket and no operation; where buckets are it is told ([`Origin`]).

mod cache;
mod domain;
mod edge;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod origin;
mod place;
mod rules;
mod serve;
mod task;
mod visit;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Weak};

use cosette_clock::Clock;
use cosette_store::{Store, Tx};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

pub use cache::{BODY_MAX, BYTES_MAX};
pub use domain::{Area, CNAME, DOMAINS_MAX, Domain, LOCAL, Origin as Bucket, Setup, is_name};
pub use error::Error;
pub use fetch::MOVING_MAX;
pub use origin::{Content, Origin, Pull, Pulled};
pub use rules::{Caching, Rule, SECONDS_MAX, Service, To};
pub use task::{Ask, Flush, KEPT, Kind, Status, Task};

use edge::Edge;
use place::Place;

/// A handle; clones share one CDN.
#[derive(Clone)]
pub struct Cdn {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    edge: Arc<Edge>,
}

impl Cdn {
    pub fn new(store: Store, clock: Clock) -> Self {
        let edge = Arc::new(Edge::new(clock.clone()));
        Self { shared: Arc::new(Shared { store, clock, edge }) }
    }

    /// Tells where buckets are, once; then prefetches go on that a former process had begun.
    ///
    /// # Errors
    /// The store's.
    pub fn leads_to(&self, origin: Weak<dyn Origin>) -> Result<(), cosette_store::Error> {
        self.shared.edge.leads_to(origin);
        let mut begun = Vec::new();
        task::walk(&self.shared.store, |key, task| {
            if task.status == Status::Process
                && let Ok(place) = Place::read(&task.url)
            {
                begun.push((key, place, headers(&task.headers)));
            }
        })?;
        if !begun.is_empty() {
            tokio::spawn(self.clone().prefetch(begun));
        }
        Ok(())
    }

    // --- domains ---

    /// The domain that a host name is for: its own, its CNAME, or the one below `localhost`. In small letters,
    /// without a port.
    pub fn of_host(&self, host: &str) -> Option<Domain> {
        let name = host.strip_suffix(CNAME).or_else(|| host.strip_suffix(LOCAL)).unwrap_or(host);
        match domain::find(&self.shared.store, name) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, name, "cannot read a CDN domain");
                None
            }
        }
    }

    /// The account's, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub fn domains(&self, appid: &str) -> Result<Vec<Domain>, Error> {
        Ok(domain::all(&self.shared.store, appid)?)
    }

    /// # Errors
    /// `Exists`, `UsedByOther`, `Taken`, `TooMany`, and the store's.
    pub async fn add(&self, name: &str, appid: &str, setup: Setup) -> Result<(), Error> {
        let (name, appid) = (name.to_owned(), appid.to_owned());
        self.shared.store.commit(move |tx: &mut Tx<'_>| domain::add(tx, &name, &appid, setup)).await?;
        Ok(())
    }

    /// `change` makes the new setup of the old one.
    ///
    /// # Errors
    /// `NoSuchDomain`, `NotYours`, those of `change`, and the store's.
    pub async fn change<E: From<Error> + From<cosette_store::Error> + Send + 'static>(
        &self,
        name: &str,
        appid: &str,
        change: impl FnOnce(&mut Setup) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        let (name, appid) = (name.to_owned(), appid.to_owned());
        let write = move |tx: &mut Tx<'_>| {
            let mut domain = domain::own(tx, &name, &appid)?;
            change(&mut domain.setup)?;
            domain.modified = tx.now();
            Ok::<_, E>(domain::put(tx, &domain)?)
        };
        self.shared.store.commit(write).await?;
        Ok(())
    }

    /// Starts or stops it.
    ///
    /// # Errors
    /// `NoSuchDomain`, `NotYours`; `Running` or `Stopped` where it is so already; the store's.
    pub async fn switch(&self, name: &str, appid: &str, online: bool) -> Result<(), Error> {
        let (name, appid) = (name.to_owned(), appid.to_owned());
        let write = move |tx: &mut Tx<'_>| {
            let domain = domain::own(tx, &name, &appid)?;
            match (domain.online, online) {
                (true, true) => Err(Error::Running(name)),
                (false, false) => Err(Error::Stopped(name)),
                _ => domain::put(tx, &Domain { online, modified: tx.now(), ..domain }),
            }
        };
        self.shared.store.commit(write).await?;
        Ok(())
    }

    /// What the edge has of it goes with it.
    ///
    /// # Errors
    /// `NoSuchDomain`, `NotYours`, `Running`, and the store's.
    pub async fn delete(&self, name: &str, appid: &str) -> Result<(), Error> {
        let (cdn, name, appid) = (self.clone(), name.to_owned(), appid.to_owned());
        let write = move |tx: &mut Tx<'_>| {
            if domain::own(tx, &name, &appid)?.online {
                return Err(Error::Running(name));
            }
            tx.delete(cosette_store::Table::CdnDomain, name.as_bytes());
            // It is stopped, so nothing comes to be there.
            cdn.shared.edge.cache.purge_folder(&name, b"", Flush::Delete);
            Ok(())
        };
        self.shared.store.commit(write).await?;
        Ok(())
    }

    /// What the edge says to a request for one of its domains.
    pub async fn answer(&self, domain: &Domain, parts: &Parts, peer: IpAddr, id: &str) -> Response<Content> {
        self.shared.edge.answer(domain, parts, peer, id).await
    }

    // --- tasks ---

    /// Purges or prefetches, and gives the task's id. A purge has taken place when this returns, a prefetch has
    /// begun. It is done to its end though who asked for it may leave.
    ///
    /// # Errors
    /// All of [`Error`] but `Exists`, `UsedByOther`, `Taken`, `TooMany` and `Running`.
    pub async fn ask(&self, ask: Ask) -> Result<String, Error> {
        let cdn = self.clone();
        let died = |error: tokio::task::JoinError| Err(Error::Store(std::io::Error::other(error).into()));
        tokio::spawn(async move { cdn.ask_now(ask).await }).await.unwrap_or_else(died)
    }

    async fn ask_now(&self, ask: Ask) -> Result<String, Error> {
        let (kind, flush, said) = (ask.kind, ask.flush, headers(&ask.headers));
        let (_, (id, placed)) = self.shared.store.commit(move |tx: &mut Tx<'_>| task::write(tx, ask)).await?;
        let cache = &self.shared.edge.cache;
        match kind {
            Kind::Url => placed.iter().for_each(|(_, place)| cache.purge(place)),
            Kind::Path => {
                placed.iter().for_each(|(_, place)| cache.purge_folder(&place.domain, &place.path, flush));
            }
            Kind::Push => {
                let begun = placed.into_iter().map(|(key, place)| (key, place, said.clone())).collect();
                tokio::spawn(self.clone().prefetch(begun));
            }
        }
        Ok(id)
    }

    /// One after the other.
    async fn prefetch(self, begun: Vec<(Vec<u8>, Place, HeaderMap)>) {
        for (key, place, headers) in begun {
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let status = match self.of_host(&place.domain) {
                Some(domain) if domain.online => self.shared.edge.push(&domain, place, headers, peer).await,
                _ => Status::Fail,
            };
            let write = move |tx: &mut Tx<'_>| task::end(tx, &key, status);
            if let Err(error) = self.shared.store.commit(write).await {
                // It is begun anew at the next start.
                return tracing::info!(%error, "prefetching has ended early");
            }
        }
    }

    /// The account's, newest first, as far as `fits` says so.
    ///
    /// # Errors
    /// The store's.
    pub fn tasks(&self, appid: &str, fits: impl Fn(&Task) -> bool) -> Result<Vec<Task>, Error> {
        let now = self.shared.clock.now();
        let mut found = Vec::new();
        task::walk(&self.shared.store, |_, task| {
            if task.appid == appid && now.since(task.created) <= KEPT && fits(&task) {
                found.push(task);
            }
        })?;
        found.reverse();
        Ok(found)
    }

    /// How many URLs may still be asked for today.
    ///
    /// # Errors
    /// The store's.
    pub fn left(&self, appid: &str, kind: Kind, area: Area) -> Result<usize, Error> {
        Ok(task::left(&self.shared.store, appid, kind, area, self.shared.clock.now())?)
    }
}

fn headers(list: &[(String, String)]) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
    };
    list.iter().filter_map(header).collect()
}
