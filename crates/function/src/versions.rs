//! Versions of functions, and aliases that name them (scf.md 3.9).
//!
//! `$LATEST` is the function's own row, and the only one that changes; the aliases are in it. A version is a copy of
//! that row under the same key with the version's number behind it. Versions share packages with `$LATEST` and with
//! each other: a package is let go in the commit that takes its last user away.

use std::fmt;

use cosette_model::Timestamp;
use cosette_model::function::{FunctionName, FunctionRef};
use cosette_runtime::CLOSURE;
use cosette_store::{Kept, Store, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::invocation::instance_id;
use crate::routing::{Additional, RoutingKey, When};
use crate::{Error, Function, Functions, limits, provisioned, row};

/// Aliases of one function. The service's own limit is not documented.
const ALIASES_MAX: usize = 100;

/// Versions of one function beside `$LATEST`. The service's own limit is not documented.
const VERSIONS_MAX: usize = 500;

/// The alias that every function has. At first it is for `$LATEST`.
const DEFAULT: &str = "$DEFAULT";

/// One of a function's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// `$LATEST`, which can be changed.
    #[default]
    Latest,
    /// From 1; never used again.
    Number(u64),
}

impl Version {
    /// Of `$LATEST` or a number.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "$LATEST" => Some(Self::Latest),
            _ if text.starts_with(|c: char| ('1'..='9').contains(&c)) => text.parse().ok().map(Self::Number),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A name for a version, and for a second one that gets a part of the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    pub name: String,
    pub version: Version,
    pub additional: Option<Additional>,
    pub description: String,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What is asked of an alias.
pub struct AliasChange {
    pub name: String,
    pub version: Version,
    pub additional: Option<Additional>,
    /// `None` leaves it.
    pub description: Option<String>,
}

impl Alias {
    /// Whether it leads to this version, for all calls or some.
    pub fn is_of(&self, version: Version) -> bool {
        self.version == version || self.additional.as_ref().is_some_and(|other| other.version == version)
    }

    /// Which version a call gets; `draw` gives a number from 0 up to and without 1.
    fn draw(&self, draw: impl FnOnce() -> f64) -> Version {
        match &self.additional {
            Some(Additional { version, when: When::Weight(weight) }) if draw() < *weight => *version,
            _ => self.version,
        }
    }
}

impl Function {
    /// All of them, `$DEFAULT` first.
    pub fn aliases(&self) -> Vec<Alias> {
        let mut aliases = self.aliases.clone();
        if !aliases.iter().any(|alias| alias.name == DEFAULT) {
            aliases.push(Alias {
                name: DEFAULT.into(),
                version: Version::Latest,
                additional: None,
                description: String::new(),
                created: self.created,
                modified: self.created,
            });
        }
        aliases.sort_by_key(|alias| (alias.name != DEFAULT, alias.created));
        aliases
    }

    /// # Errors
    /// `ResourceNotFound.Alias`.
    pub fn alias(&self, name: &str) -> Result<Alias, Error> {
        let missing = || Error::Refused {
            code: "ResourceNotFound.Alias",
            message: format!("function {} has no alias {name}", self.name),
        };
        self.aliases().into_iter().find(|alias| alias.name == name).ok_or_else(missing)
    }
}

fn versions_of(of: &FunctionName) -> Vec<u8> {
    let mut key = row::function_key(of);
    key.push(0);
    key
}

pub(crate) fn key(of: &FunctionName, version: Version) -> Vec<u8> {
    match version {
        Version::Latest => row::function_key(of),
        Version::Number(number) => {
            let mut key = versions_of(of);
            key.extend_from_slice(&number.to_be_bytes());
            key
        }
    }
}

/// The function's own row, in a commit.
pub(crate) fn latest(tx: &Tx<'_>, of: &FunctionName) -> Result<Function, Error> {
    let value = tx.get(Table::Function, &row::function_key(of))?;
    own(value.as_deref(), of)
}

/// The same, if it still is this function and not another one that was made of its name.
pub(crate) fn same(tx: &Tx<'_>, of: &Function) -> Result<Function, Error> {
    let found = latest(tx, &of.full_name())?;
    if found.id == of.id { Ok(found) } else { Err(Error::NoSuchFunction(of.name.clone())) }
}

/// A row as the function of this name: no name makes the key of a version, or of another function.
pub(crate) fn own(value: Option<&[u8]>, of: &FunctionName) -> Result<Function, Error> {
    let missing = || Error::NoSuchFunction(of.name.clone());
    let function: Function = row::decode("function", value.ok_or_else(missing)?)?;
    if function.full_name() == *of { Ok(function) } else { Err(missing()) }
}

/// Lets a package go that a function's own row no longer has, or is about not to have, unless a version has it.
pub(crate) fn release(store: &Store, tx: &mut Tx<'_>, of: &FunctionName, code: Kept) -> Result<(), Error> {
    if numbered(tx, of)?.iter().all(|version| version.code != code) {
        store.release(tx, code)?;
    }
    Ok(())
}

fn numbered(tx: &Tx<'_>, of: &FunctionName) -> Result<Vec<Function>, Error> {
    let rows = tx.scan(Table::Function, &versions_of(of), usize::MAX)?;
    let functions = rows.iter().map(|(_, value)| row::decode("function", value));
    Ok(functions.collect::<cosette_store::Result<_>>()?)
}

/// Takes all versions away, in the commit that deletes the function. What they were is returned.
pub(crate) fn delete_all(
    store: &Store,
    tx: &mut Tx<'_>,
    function: &Function,
) -> Result<Vec<Function>, Error> {
    let versions = numbered(tx, &function.full_name())?;
    for version in &versions {
        // That of a package already released is nothing.
        store.release(tx, version.code)?;
        tx.delete(Table::Function, &key(&version.full_name(), version.version));
    }
    store.release(tx, function.code)?;
    Ok(versions)
}

fn need(tx: &Tx<'_>, function: &Function, version: Version) -> Result<(), Error> {
    if tx.get(Table::Function, &key(&function.full_name(), version))?.is_some() {
        return Ok(());
    }
    let message = format!("function {} has no version {version}", function.name);
    Err(Error::Refused { code: "ResourceNotFound.FunctionVersion", message })
}

impl Functions {
    /// Freezes `$LATEST` as the next version; `unchanged`, if it still is what `of` is.
    ///
    /// # Errors
    /// `UnsupportedOperation` for a closure, `FailedOperation.PublishVersion` when `$LATEST` is another by now, and
    /// the store's.
    pub async fn publish(
        &self,
        of: &Function,
        description: Option<String>,
        unchanged: bool,
    ) -> Result<Function, Error> {
        let (of, full) = (of.clone(), of.full_name());
        let publish = move |tx: &mut Tx<'_>| {
            let mut function = same(tx, &of)?;
            let name = &full.name;
            if function.configuration.runtime == CLOSURE {
                let message = format!("{name} is a closure, which has no versions");
                return Err(Error::Refused { code: "UnsupportedOperation", message });
            }
            if unchanged && instance_id(&of) != instance_id(&function) {
                let message = format!("{name} was changed before it could be published");
                return Err(Error::Refused { code: "FailedOperation.PublishVersion", message });
            }
            let versions = tx.scan(Table::Function, &versions_of(&full), VERSIONS_MAX)?;
            if versions.len() >= VERSIONS_MAX {
                let message = format!("a function has at most {VERSIONS_MAX} versions: delete some");
                return Err(Error::Refused { code: "LimitExceeded.FunctionVersions", message });
            }
            function.published += 1;
            let mut version = function.clone();
            version.version = Version::Number(function.published);
            version.aliases.clear();
            (version.created, version.modified) = (tx.now(), tx.now());
            if let Some(description) = description {
                limits::description(&description)?;
                version.configuration.description = description;
            }
            tx.put(Table::Function, &row::function_key(&full), row::encode("function", &function)?);
            let row = row::encode("function", &version)?;
            tx.put(Table::Function, &key(&full, version.version), row);
            Ok::<_, Error>(version)
        };
        let (_, version) = self.shared.store.commit(publish).await?;
        tracing::info!(function = version.name, version = %version.version, "version published");
        Ok(version)
    }

    /// `$LATEST`, and the others in the order in which they were made.
    ///
    /// # Errors
    /// `NoSuchFunction`, and the store's.
    pub fn versions(&self, of: &FunctionName) -> Result<Vec<Function>, Error> {
        let mut all = vec![self.get(of)?];
        let rows = self.shared.store.scan(Table::Function, &versions_of(of), None, usize::MAX)?;
        for (_, value) in rows {
            all.push(row::decode("function", &value)?);
        }
        Ok(all)
    }

    /// Takes a version away, and in the same commit what `also` takes away; what runs of it runs on.
    ///
    /// # Errors
    /// `UnsupportedOperation.AliasBind` while an alias leads to it; `NoSuchQualifier`, and the store's.
    pub async fn delete_version<F>(&self, of: &Function, number: u64, also: F) -> Result<(), Error>
    where
        F: FnOnce(&mut Tx<'_>) -> cosette_store::Result<()> + Send + 'static,
    {
        let (of, full) = (of.clone(), of.full_name());
        let version = Version::Number(number);
        let store = self.shared.store.clone();
        let delete = move |tx: &mut Tx<'_>| {
            let function = same(tx, &of)?;
            let key = key(&full, version);
            let value = tx.get(Table::Function, &key)?;
            let value = value.ok_or_else(|| Error::NoSuchQualifier(version.to_string()))?;
            if let Some(alias) = function.aliases.iter().find(|alias| alias.is_of(version)) {
                let message = format!("version {version} of {} is that of alias {}", of.name, alias.name);
                return Err(Error::Refused { code: "UnsupportedOperation.AliasBind", message });
            }
            tx.delete(Table::Function, &key);
            let gone: Function = row::decode("function", &value)?;
            if gone.code != function.code {
                release(&store, tx, &full, gone.code)?;
            }
            provisioned::forget(tx, &gone)?;
            also(tx)?;
            Ok::<_, Error>(gone)
        };
        let (_, gone) = self.shared.store.commit(delete).await?;
        self.provision_anew()?;
        self.shared.runtime.retire(&instance_id(&gone)).await;
        tracing::info!(function = gone.name, %version, "version deleted");
        Ok(())
    }

    /// Makes an alias, or changes one that is there: one of the two is an error.
    ///
    /// # Errors
    /// `ResourceInUse.Alias`, `ResourceNotFound.Alias`, `ResourceNotFound.FunctionVersion`, `Invalid`, `Limit`, and
    /// the store's.
    pub async fn set_alias(&self, of: &Function, change: AliasChange, is_new: bool) -> Result<Alias, Error> {
        if is_new {
            limits::alias(&change.name)?;
        }
        if let Some(additional) = &change.additional {
            additional.check(change.version)?;
        }
        if let Some(description) = &change.description {
            limits::description(description)?;
        }
        let of = of.clone();
        let set = move |tx: &mut Tx<'_>| {
            let mut function = same(tx, &of)?;
            let now = tx.now();
            need(tx, &function, change.version)?;
            if let Some(additional) = &change.additional {
                need(tx, &function, additional.version)?;
            }
            let before = match function.alias(&change.name) {
                Ok(_) if is_new => {
                    let message = format!("function {} has an alias {} already", of.name, change.name);
                    return Err(Error::Refused { code: "ResourceInUse.Alias", message });
                }
                Ok(alias) => Some(alias),
                Err(_) if is_new => None,
                Err(error) => return Err(error),
            };
            let kept = before.as_ref().map(|alias| alias.description.clone());
            let alias = Alias {
                version: change.version,
                additional: change.additional,
                description: change.description.or(kept).unwrap_or_default(),
                created: before.map_or(now, |alias| alias.created),
                modified: now,
                name: change.name,
            };
            function.aliases.retain(|other| other.name != alias.name);
            if function.aliases.len() >= ALIASES_MAX {
                let message = format!("a function has at most {ALIASES_MAX} aliases");
                return Err(Error::Limit { what: "Alias", message });
            }
            function.aliases.push(alias.clone());
            tx.put(Table::Function, &row::function_key(&of.full_name()), row::encode("function", &function)?);
            Ok::<_, Error>(alias)
        };
        Ok(self.shared.store.commit(set).await?.1)
    }

    /// Takes an alias away, and in the same commit what `also` takes away.
    ///
    /// # Errors
    /// `Invalid` for `$DEFAULT`, `ResourceNotFound.Alias`, and the store's.
    pub async fn delete_alias<F>(&self, of: &Function, alias: &str, also: F) -> Result<(), Error>
    where
        F: FnOnce(&mut Tx<'_>) -> cosette_store::Result<()> + Send + 'static,
    {
        if alias == DEFAULT {
            return Err(Error::Invalid { field: "Alias", message: format!("{DEFAULT} cannot be deleted") });
        }
        let (of, alias) = (of.clone(), alias.to_owned());
        let delete = move |tx: &mut Tx<'_>| {
            let mut function = same(tx, &of)?;
            function.alias(&alias)?;
            function.aliases.retain(|other| other.name != alias);
            also(tx)?;
            tx.put(Table::Function, &row::function_key(&of.full_name()), row::encode("function", &function)?);
            Ok::<_, Error>(())
        };
        self.shared.store.commit(delete).await?;
        Ok(())
    }

    /// What the qualifier stands for; of an alias, its main version.
    ///
    /// # Errors
    /// `NoSuchFunction`, `NoSuchQualifier`, and the store's.
    pub fn qualified(&self, reference: &FunctionRef) -> Result<Function, Error> {
        self.resolve(reference, |alias| alias.version)
    }

    /// What a call of the qualifier gets now.
    pub(crate) fn drawn(&self, reference: &FunctionRef) -> Result<Function, Error> {
        let draw = || self.shared.draw.get().map_or_else(random, |draw| draw());
        self.resolve(reference, |alias| alias.draw(draw))
    }

    /// Which version a call with this key gets, if the qualifier is an alias that has a rule; else nothing.
    ///
    /// # Errors
    /// As `qualified`.
    pub fn routed(&self, reference: &FunctionRef, key: &RoutingKey) -> Result<Option<Version>, Error> {
        let function = self.get(&reference.full_name())?;
        let Ok(alias) = function.alias(&reference.qualifier) else { return Ok(None) };
        Ok(alias.additional.and_then(|additional| {
            let fits = additional.when.fits(key)?;
            Some(if fits { additional.version } else { alias.version })
        }))
    }

    fn resolve(
        &self,
        reference: &FunctionRef,
        choose: impl FnOnce(&Alias) -> Version,
    ) -> Result<Function, Error> {
        let qualifier = &reference.qualifier;
        let latest = self.get(&reference.full_name())?;
        let missing = || Error::NoSuchQualifier(qualifier.clone());
        let given = reference.routed.as_deref().unwrap_or(qualifier);
        let version = match Version::parse(given) {
            Some(version) => version,
            None if qualifier.is_empty() => Version::Latest,
            None => choose(&latest.alias(qualifier).map_err(|_| missing())?),
        };
        if version == Version::Latest {
            return Ok(latest);
        }
        let value = self.shared.store.get(Table::Function, &key(&latest.full_name(), version))?;
        Ok(row::decode("function", &value.ok_or_else(missing)?)?)
    }
}

/// From 0 up to and without 1.
#[allow(clippy::cast_precision_loss)] // 48 bits fit
fn random() -> f64 {
    // The first 48 bits of such an id are random.
    (uuid::Uuid::new_v4().as_u128() >> 80) as f64 / (1_u64 << 48) as f64
}
