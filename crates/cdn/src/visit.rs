//! One request on its way through the edge.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_cache_semantics::{CacheOptions, CachePolicy};

use crate::cache::{Epoch, Thing, beside};
use crate::domain::Domain;
use crate::edge::Content;
use crate::place::Place;

/// What the edge itself sees to, and does not ask of the origin when it asks for the whole.
const PARTIAL: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

pub(crate) struct Visit {
    pub(crate) domain: Domain,
    pub(crate) place: Place,
    /// As the client sent them, without what is about its connection.
    pub(crate) headers: HeaderMap,
    pub(crate) method: Method,
    /// Path and query for the origin.
    pub(crate) target: String,
    /// `http` or `https`.
    pub(crate) scheme: String,
    pub(crate) peer: IpAddr,
    pub(crate) epoch: Epoch,
}

impl Visit {
    /// Headers of a request for the whole thing, whatever the client's own cache wants.
    pub(crate) fn whole(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        for name in PARTIAL.iter().chain([&header::CACHE_CONTROL, &header::PRAGMA]) {
            headers.remove(name);
        }
        headers
    }

    /// Whether the client wants something else than the whole of it.
    pub(crate) fn partial(&self) -> bool {
        self.method == Method::HEAD || PARTIAL.iter().any(|name| self.headers.contains_key(name))
    }

    /// Whether a server like this one asks, for an origin's sake: perhaps for the very fetch that it would wait for.
    pub(crate) fn ours(&self) -> bool {
        let mut via = self.headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
        via.any(|value| value.contains("cosette-"))
    }

    /// The request as the cache knows it.
    pub(crate) fn asked(&self, mut headers: HeaderMap) -> Request<()> {
        headers.remove(header::HOST);
        let mut request = Request::new(());
        *request.headers_mut() = headers;
        request
    }

    pub(crate) fn thing(&self, headers: HeaderMap, body: Bytes, policy: CachePolicy) -> Thing {
        let beside = beside(&self.place, &self.headers, &headers);
        Thing { headers, body, policy, flushed: false, beside }
    }

    /// When the answer may be used, if it may be kept.
    pub(crate) fn policy(&self, response: &Response<Content>, now: SystemTime) -> Option<CachePolicy> {
        if response.status() != StatusCode::OK {
            return None;
        }
        let mut shown = Response::new(());
        *shown.headers_mut() = self.domain.setup.caching.apply(&self.place.shown(), response.headers())?;
        let options = CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&self.asked(self.whole()), &shown, now, options);
        policy.is_storable().then_some(policy)
    }
}
