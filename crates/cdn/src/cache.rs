//! What the edge has: things by their place, in memory, the least recently used let go of first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http_cache_semantics::CachePolicy;

use crate::place::Place;
use crate::task::Flush;

/// All that is kept, in bytes of bodies, headers and names.
pub const BYTES_MAX: usize = 64 << 20;
/// The largest body that is kept.
pub const BODY_MAX: usize = 16 << 20;
/// What a thing counts for beside its body, its headers and its place.
const HEAD_BYTES: usize = 1 << 10;

/// A thing as the origin gave it.
#[derive(Clone)]
pub(crate) struct Thing {
    /// The origin's own headers.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When it may be used.
    pub(crate) policy: CachePolicy,
    /// Whether it is to be checked at the origin first.
    pub(crate) flushed: bool,
    /// Bytes of what is kept beside the body: see [`beside`].
    pub(crate) beside: usize,
}

impl Thing {
    fn weight(&self) -> usize {
        self.body.len() + self.beside
    }
}

/// Bytes of a thing's place, of its own headers, and of the request's, which its policy has too: so that many names
/// of something small do not fill the memory.
pub(crate) fn beside(place: &Place, asked: &HeaderMap, own: &HeaderMap) -> usize {
    let of = |headers: &HeaderMap| -> usize {
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    };
    let name = place.domain.len() + place.path.len() + place.query.as_ref().map_or(0, String::len);
    // The place is on both shelves, the headers are in the thing and in its policy.
    HEAD_BYTES + 2 * name + of(asked) + 2 * of(own)
}

#[derive(Default)]
pub(crate) struct Cache(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    /// With the turn of its last use.
    things: BTreeMap<Place, (Arc<Thing>, u64)>,
    /// By their turns.
    order: BTreeMap<u64, Place>,
    bytes: usize,
    turn: u64,
    /// Purges so far.
    purges: u64,
}

/// The purges that what is being fetched has seen: later ones are of it, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(u64);

impl Cache {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.shelves().purges)
    }

    pub(crate) fn get(&self, place: &Place) -> Option<Arc<Thing>> {
        let mut shelves = self.shelves();
        shelves.turn += 1;
        let turn = shelves.turn;
        let (thing, used) = shelves.things.get_mut(place)?;
        let (thing, before) = (Arc::clone(thing), std::mem::replace(used, turn));
        if let Some(place) = shelves.order.remove(&before) {
            shelves.order.insert(turn, place);
        }
        Some(thing)
    }

    /// Keeps it, unless something was purged since `epoch`.
    pub(crate) fn put(&self, place: Place, thing: Arc<Thing>, epoch: Epoch) -> bool {
        let mut shelves = self.shelves();
        if Epoch(shelves.purges) != epoch {
            return false;
        }
        shelves.remove(&place);
        shelves.turn += 1;
        let turn = shelves.turn;
        shelves.bytes += thing.weight();
        shelves.order.insert(turn, place.clone());
        shelves.things.insert(place, (thing, turn));
        while shelves.bytes > BYTES_MAX {
            let Some(oldest) = shelves.order.values().next().cloned() else { break };
            shelves.remove(&oldest);
        }
        true
    }

    pub(crate) fn purge(&self, place: &Place) {
        let mut shelves = self.shelves();
        shelves.purges += 1;
        shelves.remove(place);
    }

    /// What is in the folder; `""` is all of the domain.
    pub(crate) fn purge_folder(&self, domain: &str, folder: &[u8], flush: Flush) {
        let mut shelves = self.shelves();
        shelves.purges += 1;
        let from = Place { domain: domain.to_owned(), path: folder.to_vec(), query: None };
        let within = |place: &Place| place.domain == domain && place.path.starts_with(folder);
        let found: Vec<Place> = shelves
            .things
            .range(from..)
            .map(|(place, _)| place)
            .take_while(|place| within(place))
            .cloned()
            .collect();
        for place in found {
            match flush {
                Flush::Delete => shelves.remove(&place),
                Flush::Flush => {
                    if let Some((thing, _)) = shelves.things.get_mut(&place) {
                        *thing = Arc::new(Thing { flushed: true, ..Thing::clone(thing) });
                    }
                }
            }
        }
    }
}

impl Shelves {
    fn remove(&mut self, place: &Place) {
        if let Some((thing, turn)) = self.things.remove(place) {
            self.order.remove(&turn);
            self.bytes -= thing.weight();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::SystemTime;

    use http::{Request, Response};

    use super::*;

    fn thing(bytes: usize) -> Arc<Thing> {
        let (request, response) = (Request::get("/").body(()).unwrap(), Response::new(()));
        let policy = CachePolicy::new_options(
            &request,
            &response,
            SystemTime::UNIX_EPOCH,
            http_cache_semantics::CacheOptions::default(),
        );
        Arc::new(Thing {
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; bytes]),
            policy,
            flushed: false,
            beside: HEAD_BYTES,
        })
    }

    fn place(path: &str) -> Place {
        Place::of("a.b", path, None)
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::default();
        for name in ["/1", "/2", "/3", "/4"] {
            assert!(cache.put(place(name), thing(BODY_MAX - HEAD_BYTES), cache.epoch()));
        }
        assert!(cache.get(&place("/1")).is_some());
        assert!(cache.put(place("/5"), thing(0), cache.epoch()));
        let there: Vec<bool> =
            ["/1", "/2", "/3", "/4", "/5"].map(|name| cache.get(&place(name)).is_some()).into();
        assert_eq!(there, [true, false, true, true, true]);
        cache.purge_folder("a.b", b"", Flush::Delete);
        let shelves = cache.shelves();
        assert_eq!((shelves.bytes, shelves.order.len(), shelves.things.len()), (0, 0, 0));
    }

    #[test]
    fn long_names_count() {
        let query = "x".repeat(1 << 20);
        let long = Place::of("a.b", "/1", Some(&query));
        let beside = beside(&long, &HeaderMap::new(), &HeaderMap::new());
        assert_eq!(beside, HEAD_BYTES + 2 * ((1 << 20) + "a.b/1".len()));
        let cache = Cache::default();
        for number in 0..100 {
            let place = Place::of("a.b", &format!("/{number}"), Some(&query));
            cache.put(place, Arc::new(Thing { beside, ..Thing::clone(&thing(0)) }), cache.epoch());
        }
        let shelves = cache.shelves();
        assert!(shelves.bytes <= BYTES_MAX && (30..32).contains(&shelves.things.len()));
    }

    #[test]
    fn what_was_fetched_before_a_purge_is_not_kept_after_it() {
        let cache = Cache::default();
        let before = cache.epoch();
        cache.purge(&place("/1"));
        assert!(!cache.put(place("/1"), thing(1), before));
        assert!(cache.get(&place("/1")).is_none());
        assert!(cache.put(place("/1"), thing(1), cache.epoch()));
    }

    #[test]
    fn a_folder_is_what_is_below_it() {
        let cache = Cache::default();
        let names = ["/a", "/a/1", "/a/2/3", "/b", "/a/1?x"];
        let at = |name: &str| match name.split_once('?') {
            Some((path, query)) => Place::of("a.b", path, Some(query)),
            None => place(name),
        };
        for name in names {
            cache.put(at(name), thing(1), cache.epoch());
        }
        cache.put(Place::of("a.c", "/a/1", None), thing(1), cache.epoch());
        cache.purge_folder("a.b", b"/a/", Flush::Flush);
        let flushed = names.map(|name| cache.get(&at(name)).unwrap().flushed);
        assert_eq!(flushed, [false, true, true, false, true]);
        cache.purge_folder("a.b", b"/a/", Flush::Delete);
        let there = names.map(|name| cache.get(&at(name)).is_some());
        assert_eq!(there, [true, false, false, true, false]);
        assert!(cache.get(&Place::of("a.c", "/a/1", None)).is_some());
    }
}
