//! Domains of the CDN: a name of the user's own, the bucket behind it, and how long the edge keeps what it has of it.

use cosette_model::Timestamp;
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::rules::{Caching, Service};

/// Longest name of a host (RFC 1035).
const NAME_MAX: usize = 253;

/// Domains of one account.
pub const DOMAINS_MAX: usize = 100;

/// Where a domain is served: quotas are counted by it. The one edge stands for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    Mainland,
    Overseas,
    Global,
}

impl Area {
    /// The areas that have a quota of their own.
    pub(crate) fn parts(self) -> &'static [Area] {
        match self {
            Self::Mainland => &[Self::Mainland],
            Self::Overseas => &[Self::Overseas],
            Self::Global => &[Self::Mainland, Self::Overseas],
        }
    }

    /// Whether all of `other` is in it.
    pub(crate) fn covers(self, other: Self) -> bool {
        self == Self::Global || self == other
    }
}

/// The bucket behind a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// A bucket's host, `<bucket>.cos.<region>.myqcloud.com` or its website's.
    pub host: String,
    /// Said as `Host` to it.
    pub server_name: String,
    /// Whether the edge asks in the name of the domain's owner.
    pub private: bool,
    /// `http`, `https` or `follow`; to a bucket that is here they are the same way.
    pub protocol: String,
}

/// What the owner of a domain chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    pub service: Service,
    pub area: Area,
    pub project: u64,
    pub origin: Origin,
    pub caching: Caching,
    /// Whether the query is a part of what a thing is kept under.
    pub full_url: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// In small letters.
    pub name: String,
    pub id: String,
    pub appid: String,
    pub online: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub setup: Setup,
}

/// What the name of a domain leads to by DNS, in the cloud.
pub const CNAME: &str = ".cdn.dnsv1.com";
/// The same for a machine without DNS: names below `localhost` need none.
pub const LOCAL: &str = ".cdn.localhost";

impl Domain {
    pub fn cname(&self) -> String {
        format!("{}{CNAME}", self.name)
    }
}

/// Whether it can be a domain's: labels of letters, digits and hyphens, two of them at least.
pub fn is_name(name: &str) -> bool {
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= NAME_MAX
        && name.contains('.')
        && name.split('.').all(fits)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn find(store: &Store, name: &str) -> cosette_store::Result<Option<Domain>> {
    store.get(Table::CdnDomain, name.as_bytes())?.map(|row| decode(&row)).transpose()
}

/// In the order of their names.
pub(crate) fn all(store: &Store, appid: &str) -> cosette_store::Result<Vec<Domain>> {
    let rows = store.scan(Table::CdnDomain, &[], None, usize::MAX)?;
    let mut domains = rows.iter().map(|(_, row)| decode(row)).collect::<Result<Vec<_>, _>>()?;
    domains.retain(|domain| domain.appid == appid);
    Ok(domains)
}

/// The account's own domain of this name.
///
/// # Errors
/// `NoSuchDomain`, `NotYours`, and the store's.
pub(crate) fn own(tx: &Tx<'_>, name: &str, appid: &str) -> Result<Domain, Error> {
    let row = tx.get(Table::CdnDomain, name.as_bytes())?.ok_or_else(|| Error::NoSuchDomain(name.into()))?;
    let domain = decode(&row)?;
    if domain.appid == appid { Ok(domain) } else { Err(Error::NotYours(name.into())) }
}

/// # Errors
/// `Exists`, `UsedByOther`, `Taken`, `TooMany`, and the store's.
pub(crate) fn add(tx: &mut Tx<'_>, name: &str, appid: &str, setup: Setup) -> Result<(), Error> {
    match own(tx, name, appid) {
        Ok(_) => return Err(Error::Exists(name.into())),
        Err(Error::NotYours(name)) => return Err(Error::UsedByOther(name)),
        Err(Error::NoSuchDomain(_)) => {}
        Err(error) => return Err(error),
    }
    if let Some(by) = tx.name_of(name)? {
        return Err(Error::Taken { name: name.into(), by });
    }
    let mut count = 0;
    for (_, row) in tx.scan(Table::CdnDomain, &[], usize::MAX)? {
        count += usize::from(decode(&row)?.appid == appid);
    }
    if count >= DOMAINS_MAX {
        return Err(Error::TooMany(format!("an account has at most {DOMAINS_MAX} domains")));
    }
    let domain = Domain {
        name: name.to_owned(),
        id: format!("cdn-{:08x}", tx.seq().0),
        appid: appid.to_owned(),
        online: true,
        created: tx.now(),
        modified: tx.now(),
        setup,
    };
    put(tx, &domain)
}

pub(crate) fn put(tx: &mut Tx<'_>, domain: &Domain) -> Result<(), Error> {
    let row = serde_json::to_vec(domain).map_err(|error| Error::Store(damaged(error)))?;
    tx.put(Table::CdnDomain, domain.name.as_bytes(), row);
    Ok(())
}

fn decode(row: &[u8]) -> cosette_store::Result<Domain> {
    serde_json::from_slice(row).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> cosette_store::Error {
    cosette_store::Error::Corrupt { what: format!("row of a CDN domain: {error}") }
}
