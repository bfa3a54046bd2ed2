//! The master key: a file of its own in the data directory, made when it is first needed. A row says
//! that there is one and which, so that a key that is gone or exchanged is told, and none is made in
//! its place.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use cosette_blob::{Disk, SECRET_BYTES, Secret};

use crate::error::{Error, Result};
use crate::record::{decode, encode};
use crate::schema;
use crate::store::Store;

/// The master key, once something has needed it.
#[derive(Debug)]
pub(crate) struct Master {
    /// `None` keeps it in memory.
    path: Option<PathBuf>,
    disk: Disk,
    known: OnceLock<Secret>,
    /// The row says which it is.
    told: tokio::sync::Mutex<bool>,
    making: Mutex<()>,
}

impl Master {
    pub(crate) fn new(path: Option<PathBuf>, disk: Disk) -> Self {
        let (known, told) = (OnceLock::new(), tokio::sync::Mutex::new(false));
        Self { path, disk, known, told, making: Mutex::default() }
    }

    /// From its file; `None` if there is no such file.
    fn read(&self) -> Result<Option<Secret>> {
        let Some(path) = &self.path else { return Ok(None) };
        let mut bytes = Vec::new();
        match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes)?,
        };
        match <[u8; SECRET_BYTES]>::try_from(bytes) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(bytes) => {
                Err(refusal(path, &format!("has {} bytes and should have {SECRET_BYTES}", bytes.len())))
            }
        }
    }

    /// The one there is, checked against what is known of it.
    fn get(&self, check: Option<u128>) -> Result<Option<Secret>> {
        if let Some(known) = self.known.get() {
            return Ok(Some(known.clone()));
        }
        let Some(secret) = self.read()? else { return Ok(None) };
        if check.is_some_and(|check| check != check_of(&secret))
            && let Some(path) = &self.path
        {
            return Err(refusal(path, "is not the key that this store was begun with"));
        }
        Ok(Some(self.known.get_or_init(|| secret).clone()))
    }

    /// The one there is, or a new one. Blocks on the disk.
    fn make(&self, check: Option<u128>) -> Result<Secret> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = self.get(check)? {
            return Ok(secret);
        }
        if let (Some(_), Some(path)) = (check, &self.path) {
            return Err(refusal(path, "is gone"));
        }
        let secret = Secret::random()?;
        if let Some(path) = &self.path {
            self.write(path, &secret)?;
        }
        Ok(self.known.get_or_init(|| secret).clone())
    }

    /// Under its name it is whole and on disk; before, it is nowhere.
    fn write(&self, path: &Path, secret: &Secret) -> Result<()> {
        let new = path.with_extension("new");
        // An attempt that did not come this far may have left one.
        self.disk.remove(&new)?;
        let mut file = self.disk.create_private(&new)?;
        file.write(secret.bytes())?;
        file.sync()?;
        self.disk.rename(&new, path)?;
        if let Some(parent) = path.parent() {
            self.disk.sync_directory(parent)?;
        }
        tracing::info!(path = %path.display(), "made the master key of encrypted objects");
        Ok(())
    }
}

fn refusal(path: &Path, what: &str) -> Error {
    Error::MasterKey(format!("the master key {} {what}", path.display()))
}

fn check_of(secret: &Secret) -> u128 {
    secret.check("check", &[])
}

impl Store {
    /// What is known of the master key, if there is one.
    fn master_check(&self) -> Result<Option<u128>> {
        self.engine()?.get(&schema::master())?.map(|row| decode("master key", &row)).transpose()
    }

    /// # Errors
    /// `MasterKey` when it is gone, or another one.
    pub(super) fn master(&self) -> Result<Secret> {
        let master = self.master_key();
        if let Some(known) = master.known.get() {
            return Ok(known.clone());
        }
        let gone = || Error::MasterKey("the master key is gone".to_owned());
        master.get(self.master_check()?)?.ok_or_else(|| match &master.path {
            Some(path) => refusal(path, "is gone"),
            None => gone(),
        })
    }

    /// The master key, made if nothing has needed one before. What it is known by is on record
    /// before anything is encrypted under it.
    pub(super) async fn make_master(&self) -> Result<Secret> {
        let master = self.master_key();
        let mut told = master.told.lock().await;
        if let (true, Some(known)) = (*told, master.known.get()) {
            return Ok(known.clone());
        }
        let check = self.master_check()?;
        let store = self.clone();
        let made = tokio::task::spawn_blocking(move || store.master_key().make(check)).await;
        let secret = made.map_err(|_| Error::Io(io::Error::other("making the master key was lost")))??;
        if check.is_none() {
            let row = encode(&check_of(&secret))?;
            self.commit(move |tx| {
                tx.put_row(schema::master(), row);
                Ok::<_, Error>(())
            })
            .await?;
        }
        *told = true;
        Ok(secret)
    }
}
