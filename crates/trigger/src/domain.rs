//! Domains of the users' own that lead to functions: each path of one to the URL of a function under a qualifier. What
//! they are, where a path leads, and their rows in the store; whoever takes requests asks for them.

use cosette_model::Timestamp;
use cosette_model::function::FunctionRef;
use cosette_store::{FUNCTION_DOMAIN as PREFIX, Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::{Error, Triggers, row, url};

/// More than any store will hold; scans need a bound.
const SCAN_MAX: usize = 100_000;

/// What a domain is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocols {
    pub http: bool,
    pub https: bool,
}

/// What can be set of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSettings {
    pub protocols: Protocols,
    /// The id of the certificate that https has in the cloud.
    pub certificate: Option<String>,
    pub routes: Vec<Route>,
}

/// Where the paths lead that fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// A path, or the beginning of paths and `*`.
    pub path: String,
    pub function: FunctionRef,
    /// The first that fits counts.
    pub rewrites: Vec<Rewrite>,
}

/// As what a function sees the paths that fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// As of a [`Route`], unless it is `exact`.
    pub path: String,
    pub exact: bool,
    /// `$` stands for what `*` does.
    pub to: String,
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// In small letters.
    pub name: String,
    pub appid: String,
    pub region: String,
    pub settings: DomainSettings,
    pub tags: Vec<(String, String)>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

impl Domain {
    /// Where a path leads: the route, and the path as the function sees it. A whole path goes before a beginning, and
    /// a longer beginning before a shorter one.
    pub fn lead(&self, path: &str) -> Option<(&Route, String)> {
        let fitting = self.settings.routes.iter().filter(|route| rest(&route.path, path).is_some());
        let route = fitting.max_by_key(|route| (!route.path.ends_with('*'), route.path.len()))?;
        let rewritten = route.rewrites.iter().find_map(|rule| match rule.exact {
            true => (rule.path == path).then(|| rule.to.clone()),
            false => rest(&rule.path, path).map(|rest| rule.to.replace('$', rest)),
        });
        Some((route, rewritten.unwrap_or_else(|| path.to_owned())))
    }
}

/// What `*` stands for, if the path fits.
fn rest<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.strip_prefix(beginning),
        None => (pattern == path).then_some(""),
    }
}

impl Triggers {
    /// Makes a domain that nobody has. Each function has to have a URL under its qualifier.
    ///
    /// # Errors
    /// `NameTaken`, `NoUrl`.
    pub async fn create_domain(
        &self,
        name: String,
        (appid, region): (String, String),
        settings: DomainSettings,
        tags: Vec<(String, String)>,
    ) -> Result<(), Error> {
        let create = move |tx: &mut Tx<'_>| {
            if let Some(by) = tx.name_of(&name)? {
                return Err(Error::NameTaken { name, by });
            }
            let now = tx.now();
            need_urls(tx, &settings.routes)?;
            write(tx, &Domain { name, appid, region, settings, tags, created: now, modified: now })
        };
        self.dispatcher.store.commit(create).await?;
        Ok(())
    }

    /// Changes one of the account's in the region. `change` says whether it has set the routes; those that stay may
    /// lead to what is gone.
    ///
    /// # Errors
    /// `NoSuchDomain`, `NoUrl`, and what `change` refuses.
    pub async fn change_domain<E: From<Error> + From<cosette_store::Error> + Send + 'static>(
        &self,
        name: String,
        owner: (String, String),
        change: impl FnOnce(&mut DomainSettings) -> Result<bool, E> + Send + 'static,
    ) -> Result<(), E> {
        let change = move |tx: &mut Tx<'_>| {
            let mut domain = own(tx, &name, &owner)?;
            if change(&mut domain.settings)? {
                need_urls(tx, &domain.settings.routes)?;
            }
            domain.modified = tx.now();
            write(tx, &domain).map_err(E::from)
        };
        self.dispatcher.store.commit(change).await?;
        Ok(())
    }

    /// # Errors
    /// `NoSuchDomain`.
    pub async fn delete_domain(&self, name: String, owner: (String, String)) -> Result<(), Error> {
        let delete = move |tx: &mut Tx<'_>| {
            own(tx, &name, &owner)?;
            tx.delete(Table::Rule, key(&name).as_bytes());
            Ok::<_, Error>(())
        };
        self.dispatcher.store.commit(delete).await?;
        Ok(())
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn domains(&self) -> Result<Vec<Domain>, Error> {
        all(&self.dispatcher.store)
    }

    /// The one with this name, whoever's.
    ///
    /// # Errors
    /// The store's.
    pub fn domain(&self, name: &str) -> Result<Option<Domain>, Error> {
        let found = self.dispatcher.store.get(Table::Rule, key(name).as_bytes())?;
        found.map(|value| Ok(row::decode(&value, "domain")?)).transpose()
    }
}

/// Which domain leads to the URL of a function.
pub(crate) fn using(tx: &Tx<'_>, function: &FunctionRef) -> Result<Option<String>, Error> {
    let domains = decode(tx.scan(Table::Rule, PREFIX.as_bytes(), SCAN_MAX)?)?;
    let uses = |domain: &Domain| domain.settings.routes.iter().any(|route| route.function == *function);
    Ok(domains.into_iter().find(uses).map(|domain| domain.name))
}

/// The owner's, by appid and region.
fn own(tx: &Tx<'_>, name: &str, (appid, region): &(String, String)) -> Result<Domain, Error> {
    let missing = || Error::NoSuchDomain(name.to_owned());
    let row = tx.get(Table::Rule, key(name).as_bytes())?.ok_or_else(missing)?;
    let domain: Domain = row::decode(&row, "domain")?;
    if (&domain.appid, &domain.region) == (appid, region) { Ok(domain) } else { Err(missing()) }
}

/// # Errors
/// `NoUrl`.
fn need_urls(tx: &Tx<'_>, routes: &[Route]) -> Result<(), Error> {
    let urls = url::standing(tx)?;
    for Route { function, .. } in routes {
        if !urls.iter().any(|url| url.function == *function) {
            let (name, qualifier) = (&function.name, &function.qualifier);
            return Err(Error::NoUrl(format!("function {name} has no URL under {qualifier}")));
        }
    }
    Ok(())
}

fn write(tx: &mut Tx<'_>, domain: &Domain) -> Result<(), Error> {
    tx.put(Table::Rule, key(&domain.name).as_bytes(), row::encode(domain)?);
    Ok(())
}

pub(crate) fn all(store: &Store) -> Result<Vec<Domain>, Error> {
    decode(store.scan(Table::Rule, PREFIX.as_bytes(), None, SCAN_MAX)?)
}

fn decode(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<Domain>, Error> {
    let domains: Result<Vec<Domain>, Error> =
        rows.iter().map(|(_, value)| Ok(row::decode(value, "domain")?)).collect();
    let mut domains = domains?;
    domains.sort_by_key(|domain| domain.created);
    Ok(domains)
}

pub(crate) fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_fit_best() {
        let function = |name: &str| FunctionRef {
            appid: "1".into(),
            region: "r".into(),
            namespace: "default".into(),
            name: name.into(),
            qualifier: "$LATEST".into(),
            routed: None,
        };
        let rewrite = |path: &str, exact, to: &str| Rewrite { path: path.into(), exact, to: to.into() };
        let route = |path: &str, name: &str, rewrites| Route {
            path: path.into(),
            function: function(name),
            rewrites,
        };
        let domain = |routes| Domain {
            name: "www.example.com".into(),
            appid: "1".into(),
            region: "r".into(),
            settings: DomainSettings {
                protocols: Protocols { http: true, https: false },
                certificate: None,
                routes,
            },
            tags: Vec::new(),
            created: Timestamp::from_secs(0),
            modified: Timestamp::from_secs(0),
        };
        let all = domain(vec![
            route("/*", "rest", vec![]),
            route("/a/*", "a", vec![rewrite("/a/b/*", false, "/$"), rewrite("/a/old", true, "/new")]),
            route("/a/b", "b", vec![rewrite("/*", false, "/one")]),
        ]);
        for (path, name, seen) in [
            ("/", "rest", "/"),
            ("/a", "rest", "/a"),
            ("/a/", "a", "/a/"),
            ("/a/b/c/d", "a", "/c/d"),
            ("/a/old", "a", "/new"),
            ("/a/old/", "a", "/a/old/"),
            ("/a/b", "b", "/one"),
        ] {
            let (route, path_seen) = all.lead(path).unwrap_or_else(|| panic!("{path} leads nowhere"));
            assert_eq!((route.function.name.as_str(), path_seen.as_str()), (name, seen), "{path}");
        }
        assert_eq!(domain(vec![route("/", "a", vec![])]).lead("/x"), None);
    }
}
