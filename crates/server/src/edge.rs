//! Between the CDN's edge and the rest: which requests are for it, and how it reaches the buckets behind its domains.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cosette_cdn::{CNAME, Content, Domain, LOCAL, Origin, Pull, Pulled};
use cosette_model::{Issuer, Key, NewSession, Persona, Times, Timestamp};
use cosette_wire::{ReplyBody, sign};
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyDataStream;

use crate::body::{Leftover, Outgoing, plain};
use crate::door::Door;
use crate::names;

/// The role that the edge has at buckets whose owner has let it, and what that may do.
const ROLE: (&str, &str) = ("CDN_QCSRole", "cdn");
const POLICY: &str = r#"{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:GetObject","name/cos:HeadObject"],"resource":"*"}]}"#;
/// How long one of its keys is used, and how much longer it holds.
const USED: Duration = Duration::from_secs(1800);
const HOLDS: Duration = Duration::from_secs(3600);

/// The edge's keys by APPID, and until when they are used.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<String, (Key, Timestamp)>>);

impl Door {
    /// The CDN's domain that a request is for.
    pub(crate) fn cdn_domain(&self, parts: &Parts) -> Option<Domain> {
        match names::domain(parts, &self.reserved) {
            Some(name) => self.cdn.of_host(&name),
            None => {
                let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                let host = parts.uri.host().or(named)?;
                let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
                [LOCAL, CNAME]
                    .iter()
                    .any(|end| host.ends_with(end))
                    .then(|| self.cdn.of_host(&host))
                    .flatten()
            }
        }
    }

    /// Whether the name is one of a user's own that is answered here: a bucket's or the CDN's. In small letters.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_known = || self.cdn.of_host(name).is_some() || self.urls.domain(name).is_some();
        self.ops.bound(name).is_some() || (name.contains('.') && is_known())
    }

    pub(crate) async fn edge(
        &self,
        domain: &Domain,
        parts: Parts,
        peer: IpAddr,
        times: Times,
    ) -> Response<Outgoing> {
        let id = (uuid::Uuid::new_v4().as_u128() as u64).to_string();
        let response = Box::pin(self.cdn.answer(domain, &parts, peer, &id)).await;
        let (method, uri, status) = (&parts.method, &parts.uri, response.status().as_u16());
        let micros = u64::try_from(self.clock.now().since(times.now).as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(%id, domain = domain.name, %method, %uri, status, micros, "cdn edge");
        let told = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let unchanged = response.status() == StatusCode::NOT_MODIFIED;
        response.map(|content| match (content, told) {
            (Content::Empty, Some(length)) if unchanged => Outgoing::told(length),
            (Content::Empty, _) => ReplyBody::Empty.into(),
            (Content::Full(bytes), _) => ReplyBody::Full(bytes).into(),
            (Content::Stream { length: Some(length), stream }, _) => {
                ReplyBody::Stream { length, stream }.into()
            }
            (Content::Stream { length: None, stream }, _) => ReplyBody::Events(stream).into(),
        })
    }

    /// A key for the buckets of an account, which reads and does nothing else.
    fn edge_key(&self, appid: &str) -> Option<Key> {
        let now = self.clock.now();
        let mut keys = self.cdn_keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, until)) = keys.get(appid)
            && now < *until
            && until.since(now) <= USED
        {
            return Some(key.clone());
        }
        let account = self.accounts.owner(appid)?;
        let (name, session) = ROLE;
        let persona = Persona::Role { name: name.into(), session: session.into() };
        let session =
            NewSession { persona, policy: Some(POLICY.into()), expires: now.plus(HOLDS), prefix: "AKID" };
        let key = self.accounts.issue(account, session).ok()?;
        keys.insert(appid.to_owned(), (key.clone(), now.plus(USED)));
        Some(key)
    }

    async fn pulled(&self, pull: Pull) -> Response<Content> {
        let Pull { mut request, on_behalf, peer } = pull;
        let times = self.clock.times();
        if let Some(appid) = on_behalf {
            let signed = self.edge_key(&appid).and_then(|key| sign(&mut request, &key, times.machine));
            if signed.is_none() {
                return content(plain(
                    StatusCode::BAD_GATEWAY,
                    "the edge has no key of the domain's account\n",
                ));
            }
        }
        let (parts, ()) = Request::into_parts(request);
        let nothing = Box::pin(futures_util::stream::empty());
        content(self.object_service(parts, nothing, Leftover::default(), peer, times).await)
    }
}

impl Origin for Door {
    fn pull(&self, pull: Pull) -> Pulled<'_> {
        Box::pin(self.pulled(pull))
    }
}

fn content(response: Response<Outgoing>) -> Response<Content> {
    response.map(|body| {
        let length = body.size_hint().exact();
        if body.is_end_stream() {
            return Content::Empty;
        }
        Content::Stream { length, stream: Box::pin(BodyDataStream::new(body)) }
    })
}
