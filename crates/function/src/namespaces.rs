//! Namespaces of functions (scf.md 3.8). Each belongs to an account and a region; `default` is always there.
//!
//! Table `Namespace`: key `appid 0x00 region 0x00 name`. `default` has a row once it was changed.

use cosette_model::Timestamp;
use cosette_store::{Table, Tx};
use serde::{Deserialize, Serialize};

use crate::{Error, Function, Functions, limits, row};

/// The namespace that nobody has to make.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Namespaces of one account and region, `default` among them: the service's own limit.
pub const NAMESPACES_MAX: usize = 5;

/// A namespace as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Namespace {
    pub name: String,
    pub appid: String,
    pub region: String,
    pub description: String,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What the keys of an account's namespaces of a region begin with.
fn place(appid: &str, region: &str) -> Vec<u8> {
    row::below(&[appid, region])
}

fn key(appid: &str, region: &str, name: &str) -> Vec<u8> {
    let mut key = place(appid, region);
    key.extend_from_slice(name.as_bytes());
    key
}

fn decode(value: &[u8]) -> Result<Namespace, Error> {
    Ok(row::decode("namespace", value)?)
}

/// As old as time: nobody made it.
fn default(appid: &str, region: &str) -> Namespace {
    Namespace {
        name: DEFAULT_NAMESPACE.to_owned(),
        appid: appid.to_owned(),
        region: region.to_owned(),
        description: String::new(),
        created: Timestamp::default(),
        modified: Timestamp::default(),
    }
}

fn found(value: Option<Vec<u8>>, appid: &str, region: &str, name: &str) -> Result<Namespace, Error> {
    match value {
        Some(value) => decode(&value),
        None if name == DEFAULT_NAMESPACE => Ok(default(appid, region)),
        None => Err(Error::NoSuchNamespace(name.to_owned())),
    }
}

/// That the account has it there, in the commit that makes a function in it.
pub(crate) fn need(tx: &Tx<'_>, appid: &str, region: &str, name: &str) -> Result<(), Error> {
    found(tx.get(Table::Namespace, &key(appid, region, name))?, appid, region, name).map(drop)
}

fn write(tx: &mut Tx<'_>, namespace: &Namespace) -> Result<(), Error> {
    let Namespace { name, appid, region, .. } = namespace;
    let value = row::encode("namespace", namespace)?;
    tx.put(Table::Namespace, &key(appid, region, name), value);
    Ok(())
}

fn all(rows: Vec<(Vec<u8>, Vec<u8>)>, appid: &str, region: &str) -> Result<Vec<Namespace>, Error> {
    let mut all = rows.iter().map(|(_, value)| decode(value)).collect::<Result<Vec<_>, _>>()?;
    if !all.iter().any(|namespace| namespace.name == DEFAULT_NAMESPACE) {
        all.push(default(appid, region));
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(all)
}

impl Functions {
    /// # Errors
    /// `InvalidParameterValue.DefaultNamespace`, `ResourceInUse.Namespace`, `Invalid`, `Limit`, and the store's.
    pub async fn create_namespace(
        &self,
        appid: &str,
        region: &str,
        name: &str,
        description: &str,
    ) -> Result<(), Error> {
        if name == DEFAULT_NAMESPACE {
            let message = format!("the namespace {DEFAULT_NAMESPACE} is always there");
            return Err(Error::Refused { code: "InvalidParameterValue.DefaultNamespace", message });
        }
        limits::namespace(name)?;
        limits::description(description)?;
        let mut new = default(appid, region);
        (new.name, new.description) = (name.to_owned(), description.to_owned());
        let create = move |tx: &mut Tx<'_>| {
            let Namespace { name, appid, region, .. } = &new;
            if tx.get(Table::Namespace, &key(appid, region, name))?.is_some() {
                let message = format!("the namespace {name} exists already");
                return Err(Error::Refused { code: "ResourceInUse.Namespace", message });
            }
            let rows = tx.scan(Table::Namespace, &place(appid, region), usize::MAX)?;
            if all(rows, appid, region)?.len() >= NAMESPACES_MAX {
                let message = format!("a region has at most {NAMESPACES_MAX} namespaces");
                return Err(Error::Limit { what: "Namespace", message });
            }
            (new.created, new.modified) = (tx.now(), tx.now());
            write(tx, &new)
        };
        self.shared.store.commit(create).await?;
        Ok(())
    }

    /// Changes its description.
    ///
    /// # Errors
    /// `NoSuchNamespace`, `Invalid`, and the store's.
    pub async fn update_namespace(
        &self,
        appid: &str,
        region: &str,
        name: &str,
        description: Option<&str>,
    ) -> Result<(), Error> {
        limits::description(description.unwrap_or_default())?;
        let [appid, region, name] = [appid, region, name].map(str::to_owned);
        let description = description.map(str::to_owned);
        let update = move |tx: &mut Tx<'_>| {
            let value = tx.get(Table::Namespace, &key(&appid, &region, &name))?;
            let mut namespace = found(value, &appid, &region, &name)?;
            namespace.description = description.unwrap_or(namespace.description);
            namespace.modified = tx.now();
            write(tx, &namespace)
        };
        self.shared.store.commit(update).await?;
        Ok(())
    }

    /// # Errors
    /// `FailedOperation.DeleteNamespace` for `default` and while it has functions; `NoSuchNamespace`, and the store's.
    pub async fn delete_namespace(&self, appid: &str, region: &str, name: &str) -> Result<(), Error> {
        let refused = |message| Error::Refused { code: "FailedOperation.DeleteNamespace", message };
        if name == DEFAULT_NAMESPACE {
            return Err(refused(format!("the namespace {DEFAULT_NAMESPACE} cannot be deleted")));
        }
        let [appid, region, name] = [appid, region, name].map(str::to_owned);
        let delete = move |tx: &mut Tx<'_>| {
            need(tx, &appid, &region, &name)?;
            let functions = row::functions_of(&appid, &region, &name);
            if let Some((_, value)) = tx.scan(Table::Function, &functions, 1)?.first() {
                let function: Function = row::decode("function", value)?;
                let message = format!("the namespace {name} still has function {}", function.name);
                return Err(refused(message));
            }
            tx.delete(Table::Namespace, &key(&appid, &region, &name));
            Ok(())
        };
        self.shared.store.commit(delete).await?;
        Ok(())
    }

    /// # Errors
    /// `NoSuchNamespace`, and the store's.
    pub fn namespace(&self, appid: &str, region: &str, name: &str) -> Result<Namespace, Error> {
        let value = self.shared.store.get(Table::Namespace, &key(appid, region, name))?;
        found(value, appid, region, name)
    }

    /// Those of an account in a region, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub fn namespaces(&self, appid: &str, region: &str) -> Result<Vec<Namespace>, Error> {
        let rows = self.shared.store.scan(Table::Namespace, &place(appid, region), None, usize::MAX)?;
        all(rows, appid, region)
    }
}
