//! Function URLs: triggers of type `http`, by which requests come to a function (scf.md 6.7). What they are and their
//! rows in the store; whoever takes requests asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cosette_model::Timestamp;
use cosette_model::function::FunctionRef;
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::{Error, Triggers, domain, row};

/// More than any store will hold; scans need a bound.
const SCAN_MAX: usize = 100_000;

/// Rows: this, then the id.
const PREFIX: &str = "url-";

/// The number of the last commit that changed one, among the notes.
const VERSION: &[u8] = b"urls";

/// Letters of an id.
const ID_LENGTH: usize = 10;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authorization {
    Anybody,
    /// Whoever signs with a key that may.
    Signed,
}

/// What browsers are told of requests from other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    pub enabled: bool,
    pub origins: Vec<String>,
    pub headers: Vec<String>,
    pub methods: Vec<String>,
    pub exposed: Vec<String>,
    /// Seconds.
    pub max_age: u32,
    pub credentials: bool,
}

/// What can be set of a function URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlSettings {
    pub authorization: Authorization,
    /// By its name inside of the cloud.
    pub intranet: bool,
    /// By its public name.
    pub extranet: bool,
    pub cors: Option<Cors>,
}

/// A function URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// Part of its hosts: ten small letters and digits.
    pub id: String,
    /// What the trigger is called: the id if nobody has said otherwise.
    pub name: String,
    pub function: FunctionRef,
    pub settings: UrlSettings,
    pub description: String,
    pub enabled: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// Which one is meant: that of a qualifier, or the one there is; by its name or its id and by its settings, where they
/// are said.
#[derive(Clone, Debug)]
pub struct UrlSelector {
    /// Its qualifier is not looked at.
    pub function: FunctionRef,
    pub qualifier: Option<String>,
    pub name: Option<String>,
    pub settings: Option<UrlSettings>,
}

/// A function URL to be made.
pub struct NewUrl {
    pub name: Option<String>,
    pub function: FunctionRef,
    pub settings: UrlSettings,
    pub description: String,
    pub enabled: bool,
}

/// What is to be different; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UrlChange {
    pub settings: Option<UrlSettings>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

/// Ids by function and qualifier, read anew once a commit has changed any.
#[derive(Default)]
pub(crate) struct Index(Mutex<Option<(Option<Vec<u8>>, Ids)>>);

type Ids = Arc<HashMap<FunctionRef, String>>;

impl Index {
    fn ids(&self, store: &Store) -> Result<Ids, Error> {
        // Before the rows: of what is changed meanwhile the next call reads anew.
        let version = store.get(Table::TriggerNote, VERSION)?;
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, ids)) = &*read
            && *of == version
        {
            return Ok(Arc::clone(ids));
        }
        let urls = decode(store.scan(Table::Rule, PREFIX.as_bytes(), None, SCAN_MAX)?)?;
        let ids: Ids = Arc::new(urls.into_iter().map(|url| (url.function, url.id)).collect());
        *read = Some((version, Arc::clone(&ids)));
        Ok(ids)
    }
}

impl Url {
    /// Whether it leads to the function, under any qualifier.
    pub fn is_of(&self, function: &FunctionRef) -> bool {
        FunctionRef { qualifier: function.qualifier.clone(), ..self.function.clone() } == *function
    }
}

impl UrlSelector {
    pub fn is(&self, url: &Url) -> bool {
        url.is_of(&self.function)
            && self.qualifier.as_ref().is_none_or(|qualifier| *qualifier == url.function.qualifier)
            && self.name.as_ref().is_none_or(|name| [&url.name, &url.id].contains(&name))
            && self.settings.as_ref().is_none_or(|settings| *settings == url.settings)
    }

    fn pick(&self, tx: &Tx<'_>) -> Result<Url, Error> {
        let mut found = standing(tx)?;
        found.retain(|url| self.is(url));
        match <[Url; 1]>::try_from(found) {
            Ok([url]) => Ok(url),
            Err(none) if none.is_empty() => Err(Error::NoSuchRule),
            Err(_) => Err(Error::Ambiguous),
        }
    }
}

impl Triggers {
    /// Makes a URL for a function under a qualifier, which has at most one.
    ///
    /// # Errors
    /// `NoSuchFunction`, `Exists`.
    pub async fn create_url(&self, new: NewUrl) -> Result<Url, Error> {
        let NewUrl { name, function, settings, description, enabled } = new;
        let target = function.clone().into();
        let missing = || crate::dispatch::missing(&target);
        self.dispatcher.targets.describe(&target).ok_or_else(missing)?;
        let create = move |tx: &mut Tx<'_>| {
            if standing(tx)?.iter().any(|url| url.function == function) {
                return Err(Error::Exists);
            }
            let (id, now) = (new_id(), tx.now());
            let name = name.unwrap_or_else(|| id.clone());
            write(tx, Url { id, name, function, settings, description, enabled, created: now, modified: now })
        };
        let (_, url) = self.dispatcher.store.commit(self.checked(create)).await?;
        if self.dispatcher.targets.describe(&target).is_none() {
            // Deleted in the meantime, perhaps after its URLs were: this one must not stay behind.
            let id = url.id;
            self.dispatcher.store.commit(move |tx: &mut Tx<'_>| delete_all(tx, |url| url.id == id)).await?;
            return Err(missing());
        }
        Ok(url)
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn urls(&self) -> Result<Vec<Url>, Error> {
        all(&self.dispatcher.store)
    }

    /// The id of the one that leads to a function under its qualifier.
    ///
    /// # Errors
    /// The store's.
    pub fn url_of(&self, function: &FunctionRef) -> Result<Option<String>, Error> {
        let ids = self.urls.ids(&self.dispatcher.store)?;
        Ok(ids.get(function).cloned())
    }

    /// The one with this id.
    ///
    /// # Errors
    /// The store's.
    pub fn url(&self, id: &str) -> Result<Option<Url>, Error> {
        if !is_id(id) {
            return Ok(None);
        }
        let found = self.dispatcher.store.get(Table::Rule, key(id).as_bytes())?;
        found.map(|value| Ok(row::decode(&value, "function URL")?)).transpose()
    }

    /// # Errors
    /// `NoSuchRule`; `Ambiguous` where the function has several; `Unchanged` if only `enabled` is to change, and is
    /// so already.
    pub async fn change_url(&self, selector: UrlSelector, change: UrlChange) -> Result<Url, Error> {
        let change = move |tx: &mut Tx<'_>| {
            let url = selector.pick(tx)?;
            let UrlChange { settings, description, enabled } = change;
            if let (None, None, Some(enabled)) = (&settings, &description, enabled)
                && url.enabled == enabled
            {
                return Err(Error::Unchanged(enabled));
            }
            let changed = Url {
                settings: settings.unwrap_or(url.settings),
                description: description.unwrap_or(url.description),
                enabled: enabled.unwrap_or(url.enabled),
                modified: tx.now(),
                ..url
            };
            write(tx, changed)
        };
        let (_, url) = self.dispatcher.store.commit(self.checked(change)).await?;
        Ok(url)
    }

    /// # Errors
    /// `NoSuchRule`; `Ambiguous` where the function has several; `UrlUsed` of one that a domain leads to.
    pub async fn delete_url(&self, selector: UrlSelector) -> Result<Url, Error> {
        let delete = move |tx: &mut Tx<'_>| {
            let url = selector.pick(tx)?;
            if let Some(domain) = domain::using(tx, &url.function)? {
                return Err(Error::UrlUsed(domain));
            }
            delete(tx, &url);
            Ok::<_, Error>(url)
        };
        let (_, url) = self.dispatcher.store.commit(self.checked(delete)).await?;
        Ok(url)
    }
}

/// Takes away all that `is_meant`.
pub(crate) fn delete_all(tx: &mut Tx<'_>, is_meant: impl Fn(&Url) -> bool) -> Result<(), Error> {
    for url in standing(tx)?.into_iter().filter(is_meant) {
        delete(tx, &url);
    }
    Ok(())
}

fn delete(tx: &mut Tx<'_>, url: &Url) {
    touch(tx);
    tx.delete(Table::Rule, key(&url.id).as_bytes());
}

/// Tells [`Index`] that it is outdated.
fn touch(tx: &mut Tx<'_>) {
    let seq = tx.seq().0.to_be_bytes().to_vec();
    tx.put(Table::TriggerNote, VERSION, seq);
}

fn write(tx: &mut Tx<'_>, url: Url) -> Result<Url, Error> {
    touch(tx);
    tx.put(Table::Rule, key(&url.id).as_bytes(), row::encode(&url)?);
    Ok(url)
}

pub(crate) fn standing(tx: &Tx<'_>) -> Result<Vec<Url>, Error> {
    decode(tx.scan(Table::Rule, PREFIX.as_bytes(), SCAN_MAX)?)
}

pub(crate) fn all(store: &Store) -> Result<Vec<Url>, Error> {
    decode(store.scan(Table::Rule, PREFIX.as_bytes(), None, SCAN_MAX)?)
}

fn decode(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<Url>, Error> {
    let urls: Result<Vec<Url>, Error> =
        rows.iter().map(|(_, value)| Ok(row::decode(value, "function URL")?)).collect();
    let mut urls = urls?;
    urls.sort_by_key(|url| url.created);
    Ok(urls)
}

pub(crate) fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// A new id: 50 bits at random, so no two are the same.
fn new_id() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = uuid::Uuid::new_v4().as_u128();
    let mut id = String::with_capacity(ID_LENGTH);
    for _ in 0..ID_LENGTH {
        id.push(char::from(LETTERS[(random & 31) as usize]));
        random >>= 5;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for _ in 0..100 {
            assert!(is_id(&new_id()));
        }
        for other in ["", "abc", "abcdefghi/", "ABCDEFGHIJ", "abcdefghijk"] {
            assert!(!is_id(other), "{other}");
        }
    }
}
