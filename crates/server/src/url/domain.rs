//! Domains of the users' own: a path of one is a path of a function's URL.

use cosette_trigger::Domain;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};

use super::place::{self, Place};
use super::{Refused, Urls};
use crate::names;

impl Urls {
    /// A domain by its name in small letters.
    pub(crate) fn domain(&self, name: &str) -> Option<Domain> {
        self.triggers.domain(name).unwrap_or_else(|error| {
            tracing::error!(%error, name, "cannot read a domain of functions");
            None
        })
    }

    /// Where a request for a domain leads, or why nowhere. `None` where it is for no domain.
    pub(super) fn by_domain(&self, parts: &Parts) -> Option<Result<Place, Refused>> {
        let (host, port) = place::host(parts);
        let local = place::local(&host);
        let name =
            local.map_or_else(|| names::domain(parts, &self.reserved), |name| Some(name.to_owned()))?;
        let domain = self.domain(&name)?;
        Some(self.led(&domain, local.is_some(), parts, port))
    }

    fn led(&self, domain: &Domain, is_local: bool, parts: &Parts, port: &str) -> Result<Place, Refused> {
        let name = &domain.name;
        let is_secure = parts.uri.scheme() == Some(&Scheme::HTTPS);
        let protocols = domain.settings.protocols;
        if !is_local && !(if is_secure { protocols.https } else { protocols.http }) {
            let other = if is_secure { "http" } else { "https" };
            return Err(Refused::new(403, format!("the domain {name} is asked by {other} only")));
        }
        let nowhere = || Refused::new(404, format!("the domain {name} leads nowhere by this path"));
        let (route, path) = domain.lead(parts.uri.path()).ok_or_else(nowhere)?;
        let id = self.triggers.url_of(&route.function).map_err(|error| {
            tracing::error!(%error, "function URLs cannot be read");
            Refused::new(500, "the function URL cannot be read")
        })?;
        // Gone with its function.
        let id = id.ok_or_else(nowhere)?;
        let path = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let path: PathAndQuery =
            path.parse().map_err(|_| Refused::new(400, "the path cannot be rewritten as the domain says"))?;
        Ok(Place::by_domain(domain, id, path, port))
    }
}
