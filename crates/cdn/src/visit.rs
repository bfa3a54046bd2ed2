//! One request on its way through the edge.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_cache_semantics::{CacheOptions, CachePolicy};
use percent_encoding::percent_decode_str;

use crate::cache::{Epoch, Thing, beside};
use crate::domain::Domain;
use crate::origin::Content;
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

/// What signatures in queries are called.
const SIGNATURES: [&str; 4] = ["q-signature", "sign", "Signature", "X-Amz-Signature"];

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

    /// Whether the origin may answer this client what it does not answer others: by a signature that is no part of
    /// what a thing is kept under.
    pub(crate) fn for_one(&self) -> bool {
        let query = self.target.split_once('?').filter(|_| self.place.query.is_none());
        !self.domain.setup.origin.private
            && (self.headers.contains_key(header::AUTHORIZATION)
                || query.is_some_and(|(_, query)| is_signed(query)))
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
        if response.status() != StatusCode::OK || self.for_one() {
            return None;
        }
        let mut shown = Response::new(());
        *shown.headers_mut() = self.domain.setup.caching.apply(&self.place.shown(), response.headers())?;
        let options = CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&self.asked(self.whole()), &shown, now, options);
        policy.is_storable().then_some(policy)
    }
}

/// Whether a query has a signature, of whichever service.
fn is_signed(query: &str) -> bool {
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.any(|name| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        SIGNATURES.iter().any(|one| name.eq_ignore_ascii_case(one))
    })
}
