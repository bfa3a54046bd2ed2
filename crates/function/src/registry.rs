//! Making, changing, finding and deleting functions, and their code.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use cosette_model::Wanted;
use cosette_model::function::FunctionName;
use cosette_runtime::CLOSURE;
use cosette_store::{Kept, Sealed, Store, Table, Tx};

use crate::invocation::instance_id;
use crate::versions::Version;
use crate::{
    Configuration, ConfigurationPatch, Error, Function, Functions, Image, Layer, NewFunction, code,
    concurrency, layers, limits, namespaces, provisioned, row, versions,
};

/// Bytes of a handler's file that `entry_file` still shows (scf.md 3.8).
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// A package that was received, checked and unpacked, not yet referred to.
pub(crate) struct Package {
    pub(crate) sealed: Sealed,
    pub(crate) size: u64,
    /// Bytes of its files.
    pub(crate) unpacked: u64,
    pub(crate) sha256: String,
}

/// Every version of every function whose key begins so.
pub(crate) fn every(tx: &Tx<'_>, prefix: &[u8]) -> Result<Vec<Function>, Error> {
    let rows = tx.scan(Table::Function, prefix, usize::MAX)?;
    let functions = rows.into_iter().map(|(_, value)| row::decode("function", &value));
    Ok(functions.collect::<cosette_store::Result<_>>()?)
}

/// The SHA-256 of all packages of functions and layers.
pub(crate) fn packages(store: &Store) -> Result<HashSet<String>, Error> {
    let mut wanted = HashSet::new();
    each(store, Table::Function, &[], |value| {
        wanted.insert(row::decode::<Function>("function", value)?.code_sha256);
        Ok(())
    })?;
    each(store, Table::Layer, b"v", |value| {
        wanted.insert(row::decode::<Layer>("layer", value)?.code_sha256);
        Ok(())
    })?;
    Ok(wanted)
}

/// The value of each row that begins so.
fn each(
    store: &Store,
    table: Table,
    prefix: &[u8],
    mut visit: impl FnMut(&[u8]) -> cosette_store::Result<()>,
) -> cosette_store::Result<()> {
    const PAGE: usize = 100;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.scan(table, prefix, after.as_deref(), PAGE)?;
        for (_, value) in &rows {
            visit(value)?;
        }
        if rows.len() < PAGE {
            return Ok(());
        }
        after = rows.into_iter().next_back().map(|(key, _)| key);
    }
}

impl Functions {
    pub async fn create(&self, new: NewFunction) -> Result<Function, Error> {
        let NewFunction { namespace, name, region, appid, uin, mut configuration, code } = new;
        limits::name(&name)?;
        limits::configuration(&mut configuration)?;
        if configuration.runtime == CLOSURE && !self.shared.runtime.has_closure(&name) {
            // Only the process that has the closure makes its function.
            return Err(limits::unknown_runtime(CLOSURE));
        }
        let full = FunctionName { appid, region, namespace, name };
        match self.get(&full) {
            Ok(_) => return Err(Error::Exists(full.name)),
            Err(Error::NoSuchFunction(_)) => {}
            Err(error) => return Err(error),
        }
        self.namespace(&full.appid, &full.region, &full.namespace)?;
        let package = self.receive(code).await?;
        let status_desc = self.status_desc(&configuration).await;
        // What was asked of it while it was not there.
        row::purge(&self.shared.store, row::owner(None, &full)).await?;
        let store = self.shared.store.clone();
        let (_, function) = self
            .shared
            .store
            .commit(move |tx| {
                let key = row::function_key(&full);
                let FunctionName { appid, region, namespace, name } = full;
                if tx.get(Table::Function, &key)?.is_some() {
                    return Err(Error::Exists(name));
                }
                namespaces::need(tx, &appid, &region, &namespace)?;
                let others = every(tx, &row::functions_of(&appid, &region, &namespace))?;
                let is_counted = |other: &&Function| other.version == Version::Latest;
                if others.iter().filter(is_counted).count() >= limits::FUNCTIONS_MAX {
                    let message = format!("a namespace has at most {} functions", limits::FUNCTIONS_MAX);
                    return Err(Error::Limit { what: "Function", message });
                }
                layers::check(tx, &appid, &region, &configuration.layers, package.unpacked)?;
                let now = tx.now();
                let id = uuid::Uuid::new_v4().simple().to_string();
                let function = Function {
                    id: format!("lam-{}", &id[..8]),
                    namespace,
                    name,
                    region,
                    appid,
                    uin,
                    configuration,
                    created: now,
                    modified: now,
                    revision: 1,
                    code_size: package.size,
                    unpacked: package.unpacked,
                    code_sha256: package.sha256,
                    status_desc,
                    code: store.keep(tx, package.sealed)?,
                    version: Version::Latest,
                    published: 0,
                    aliases: Vec::new(),
                };
                tx.put(Table::Function, &key, row::encode("function", &function)?);
                Ok(function)
            })
            .await?;
        tracing::info!(function = function.name, id = function.id, "function created");
        Ok(function)
    }

    /// The function's package as it was received.
    pub async fn zip(&self, function: &Function) -> Result<Bytes, Error> {
        self.package(function.code).await
    }

    /// Makes a function, or, if `overrides`, gives one that is there the new one's code and settings.
    pub async fn copy(&self, new: NewFunction, overrides: bool) -> Result<(), Error> {
        let there = match self.get(&new.full_name()) {
            Ok(there) if overrides => there,
            _ => return self.create(new).await.map(drop),
        };
        let NewFunction { appid, mut configuration, code, .. } = new;
        if there.appid != appid || there.configuration.runtime == CLOSURE {
            return Err(Error::Exists(there.name));
        }
        limits::configuration(&mut configuration)?;
        if configuration.runtime == CLOSURE {
            return Err(limits::unknown_runtime(CLOSURE));
        }
        if configuration.web.is_some() != there.configuration.web.is_some() {
            let message = "an event function cannot become a web function, by a copy neither".to_owned();
            return Err(Error::Invalid { field: "Type", message });
        }
        if configuration.async_run != there.configuration.async_run {
            let message = "AsyncRunEnable of a function cannot be changed, by a copy neither".to_owned();
            return Err(Error::Refused { code: "FailedOperation.CopyAsyncRun", message });
        }
        let status_desc = self.status_desc(&configuration).await;
        let package = self.receive(code).await?;
        let store = self.shared.store.clone();
        let replace = move |tx: &mut Tx<'_>, function: &mut Function| {
            let Function { appid, region, .. } = &*function;
            layers::check(tx, appid, region, &configuration.layers, package.unpacked)?;
            versions::release(&store, tx, &function.full_name(), function.code)?;
            function.code = store.keep(tx, package.sealed)?;
            function.code_size = package.size;
            function.unpacked = package.unpacked;
            function.code_sha256 = package.sha256;
            function.configuration = configuration;
            function.status_desc = status_desc;
            Ok(())
        };
        self.change(&there, replace).await.map(drop)
    }

    /// Gives it other code, and if so another handler or, of a function of an image, the image that the code is of.
    ///
    /// # Errors
    /// `NoSuchFunction` if it is not there, or another one has its name by now; `OtherCode` if its package is not the
    /// one that is `expected`, by its SHA-256; `Invalid`, `Limit`, and the store's.
    pub async fn update_code(
        &self,
        of: &Function,
        handler: Option<String>,
        image: Option<Image>,
        code: Bytes,
        expected: Option<String>,
    ) -> Result<Function, Error> {
        let mut checked = of.configuration.clone();
        if checked.runtime == CLOSURE {
            return Err(Error::Invalid {
                field: "Runtime",
                message: format!("{} is a closure, not a package", of.name),
            });
        }
        if let Some(handler) = &handler {
            checked.handler.clone_from(handler);
            limits::configuration(&mut checked)?;
        }
        let package = self.receive(code).await?;
        let store = self.shared.store.clone();
        self.change(of, move |tx, function| {
            if expected.is_some_and(|expected| expected != function.code_sha256) {
                return Err(Error::OtherCode(function.name.clone()));
            }
            let Function { appid, region, configuration, .. } = &*function;
            layers::check(tx, appid, region, &configuration.layers, package.unpacked)?;
            versions::release(&store, tx, &function.full_name(), function.code)?;
            function.code = store.keep(tx, package.sealed)?;
            function.code_size = package.size;
            function.unpacked = package.unpacked;
            function.code_sha256 = package.sha256;
            set(&mut function.configuration.handler, handler);
            if let (Some(image), Some(now)) = (image, &mut function.configuration.image) {
                *now = image;
            }
            Ok(())
        })
        .await
    }

    /// # Errors
    /// As of `update_code`.
    pub async fn update_configuration(
        &self,
        of: &Function,
        patch: ConfigurationPatch,
    ) -> Result<Function, Error> {
        let status_desc = self.status_desc(&of.configuration).await;
        self.change(of, move |tx, function| {
            let configuration = &mut function.configuration;
            if patch.runtime.is_some_and(|runtime| runtime != configuration.runtime) {
                return Err(Error::Invalid {
                    field: "Runtime",
                    message: "the runtime of a function cannot be changed".into(),
                });
            }
            set(&mut configuration.description, patch.description);
            set(&mut configuration.handler, patch.handler);
            if let (Some(web), Some(now)) = (patch.web, &mut configuration.web) {
                *now = web;
            }
            set(&mut configuration.memory_mb, patch.memory_mb);
            set(&mut configuration.timeout_secs, patch.timeout_secs);
            set(&mut configuration.init_timeout_secs, patch.init_timeout_secs);
            set(&mut configuration.environment, patch.environment);
            set(&mut configuration.role, patch.role);
            set(&mut configuration.retry, patch.retry);
            set(&mut configuration.dead_letter, patch.dead_letter);
            set(&mut configuration.layers, patch.layers);
            limits::configuration(configuration)?;
            let Function { appid, region, configuration, unpacked, .. } = &*function;
            layers::check(tx, appid, region, &configuration.layers, *unpacked)?;
            function.status_desc = status_desc;
            Ok(())
        })
        .await
    }

    /// Changes a function in one commit and retires the instances of what it was.
    async fn change<F>(&self, of: &Function, decide: F) -> Result<Function, Error>
    where
        F: FnOnce(&mut Tx<'_>, &mut Function) -> Result<(), Error> + Send + 'static,
    {
        let of = of.clone();
        let (_, (before, function)) = self
            .shared
            .store
            .commit(move |tx| {
                let mut function = versions::same(tx, &of)?;
                let before = function.clone();
                decide(tx, &mut function)?;
                function.revision += 1;
                function.modified = tx.now();
                tx.put(
                    Table::Function,
                    &row::function_key(&of.full_name()),
                    row::encode("function", &function)?,
                );
                Ok::<_, Error>((before, function))
            })
            .await?;
        self.shared.runtime.retire(&instance_id(&before)).await;
        self.leave_folder(&before).await;
        tracing::info!(function = function.name, revision = function.revision, "function changed");
        Ok(function)
    }

    /// Takes a function away with all its versions, and in the same commit what `also` takes away of what others keep
    /// of it.
    ///
    /// # Errors
    /// `NoSuchFunction`, also if another one has its name by now, and the store's.
    pub async fn delete<F>(&self, of: &Function, also: F) -> Result<(), Error>
    where
        F: FnOnce(&mut Tx<'_>) -> cosette_store::Result<()> + Send + 'static,
    {
        let (of, full) = (of.clone(), of.full_name());
        let id = of.id.clone();
        let name = full.name.clone();
        let store = self.shared.store.clone();
        let (_, gone) = self
            .shared
            .store
            .commit(move |tx| {
                let function = versions::same(tx, &of)?;
                let mut gone = versions::delete_all(&store, tx, &function)?;
                tx.delete(Table::Function, &row::function_key(&full));
                concurrency::forget(tx, &full);
                provisioned::forget(tx, &function)?;
                also(tx)?;
                tx.put(Table::Invocation, &row::kind(row::DELETED, function.id.as_bytes()), Vec::new());
                gone.push(function);
                Ok::<_, Error>(gone)
            })
            .await?;
        self.provision_anew()?;
        for function in &gone {
            self.shared.runtime.retire(&instance_id(function)).await;
            self.leave_folder(function).await;
            self.shared.slots.forget(&function.id);
            self.forget_debugging(&function.id).await;
        }
        row::purge(&self.shared.store, id.into_bytes()).await?;
        tracing::info!(function = name, "function deleted");
        Ok(())
    }

    /// Whether the function that had this id is not there any more.
    pub(crate) fn is_gone(&self, id: &str, of: &FunctionName) -> bool {
        match self.get(of) {
            Ok(function) => function.id != id,
            Err(error) => matches!(error, Error::NoSuchFunction(_)),
        }
    }

    /// Whether it still is this function, and not another one that was made of its name, in a commit.
    ///
    /// # Errors
    /// The store's.
    pub fn still(tx: &Tx<'_>, of: &Function) -> cosette_store::Result<bool> {
        match versions::same(tx, of) {
            Ok(_) => Ok(true),
            Err(Error::Store(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// A function as it is in `$LATEST`. One that is named without a region is that of the region that sorts first; one
    /// without an account, as older rows have it, is the first account's that has it.
    ///
    /// # Errors
    /// `NoSuchFunction`, and the store's.
    pub fn get(&self, of: &FunctionName) -> Result<Function, Error> {
        if of.region.is_empty() || of.appid.is_empty() {
            let prefix = if of.appid.is_empty() { Vec::new() } else { row::below(&[&of.appid]) };
            let is_it = |function: &Function| {
                (of.region.is_empty() || function.region == of.region)
                    && (&function.namespace, &function.name) == (&of.namespace, &of.name)
            };
            let found = self.latest(&prefix)?.into_iter().find(is_it);
            return found.ok_or_else(|| Error::NoSuchFunction(of.name.clone()));
        }
        let value = self.shared.store.get(Table::Function, &row::function_key(of))?;
        versions::own(value.as_deref(), of)
    }

    /// A name with its region: of one that was said without, `home` if there is such a function, or none anywhere;
    /// else where there is one.
    ///
    /// # Errors
    /// The store's.
    pub fn located(&self, name: FunctionName, home: &str) -> Result<FunctionName, Error> {
        if !name.region.is_empty() {
            return Ok(name);
        }
        let at_home = FunctionName { region: home.to_owned(), ..name.clone() };
        for name in [&at_home, &name] {
            match self.get(name) {
                Ok(function) => return Ok(function.full_name()),
                Err(Error::NoSuchFunction(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(at_home)
    }

    /// An account's functions of a namespace in name order, as they are in `$LATEST`.
    ///
    /// # Errors
    /// The store's.
    pub fn list(&self, appid: &str, region: &str, namespace: &str) -> Result<Vec<Function>, Error> {
        self.latest(&row::functions_of(appid, region, namespace))
    }

    /// Of the rows that begin so, the functions as they are in `$LATEST`.
    fn latest(&self, prefix: &[u8]) -> Result<Vec<Function>, Error> {
        let mut functions = Vec::new();
        each(&self.shared.store, Table::Function, prefix, |value| {
            let function: Function = row::decode("function", value)?;
            if function.version == Version::Latest {
                functions.push(function);
            }
            Ok(())
        })?;
        Ok(functions)
    }

    /// The text of the handler's file, if it is at most 1 MB. `None` too when there is no such
    /// file or it is not text.
    pub async fn entry_file(&self, function: &Function) -> Result<Option<String>, Error> {
        let root = self.code(function).await?;
        let candidates = entry_candidates(&function.configuration);
        let read = tokio::task::spawn_blocking(move || {
            for candidate in candidates {
                // A handler may be any text; what it names must lie within the package.
                let Ok(file) = root.join(candidate).canonicalize() else { continue };
                if !file.starts_with(&root) || !file.is_file() {
                    continue;
                }
                if std::fs::metadata(&file)?.len() > ENTRY_BYTES_MAX {
                    return Ok(None);
                }
                return Ok(String::from_utf8(std::fs::read(&file)?).ok());
            }
            Ok(None)
        });
        read.await.unwrap_or_else(|error| Err(Error::Io(io::Error::other(error))))
    }

    /// Where the function's code is unpacked, after unpacking it if it is not.
    pub(crate) async fn code(&self, function: &Function) -> Result<PathBuf, Error> {
        self.unpacked(&function.code_sha256, function.code).await
    }

    pub(crate) async fn unpacked(&self, sha256: &str, package: Kept) -> Result<PathBuf, Error> {
        if let Some(folder) = self.shared.cache.find(sha256) {
            return Ok(folder);
        }
        let zip = self.package(package).await?;
        self.shared.cache.unpack(sha256, zip).await.map_err(|error| match error {
            code::Error::Package(what) => Error::Io(io::Error::other(what)),
            code::Error::Io(error) => Error::Io(error),
        })
    }

    /// A package as it was received.
    pub(crate) async fn package(&self, package: Kept) -> Result<Bytes, Error> {
        let mut stream = self.shared.store.read_kept(package)?;
        let mut zip = BytesMut::new();
        while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            zip.extend_from_slice(&chunk.map_err(io::Error::other)?);
        }
        Ok(zip.freeze())
    }

    pub(crate) async fn receive(&self, zip: Bytes) -> Result<Package, Error> {
        let invalid = |message: String| Error::Invalid { field: "ZipFile", message };
        let hashed = zip.clone();
        let sha256 = tokio::task::spawn_blocking(move || code::sha256(&hashed)).await;
        let sha256 = sha256.map_err(io::Error::other)?;
        let folder = self.shared.cache.unpack(&sha256, zip.clone()).await.map_err(|error| match error {
            code::Error::Package(what) => invalid(format!("the zip file cannot be unpacked: {what}")),
            code::Error::Io(error) => Error::Io(error),
        })?;
        let unpacked = tokio::task::spawn_blocking(move || code::bytes_in(&folder)).await;
        let unpacked = unpacked.map_err(io::Error::other)??;
        let size = zip.len() as u64;
        let mut staged = self.shared.store.stage(Some(size), Wanted::default())?;
        staged.write(zip).await?;
        Ok(Package { sealed: staged.seal().await?, size, unpacked, sha256 })
    }

    /// Which installed program runs the function, in words; empty for one that brings its own.
    async fn status_desc(&self, configuration: &Configuration) -> String {
        let runtime = &configuration.runtime;
        if runtime == "CustomRuntime" || configuration.image.is_some() {
            return String::new();
        }
        match self.shared.runtime.interpreter(runtime).await {
            Some(interpreter) => format!("{runtime} runs on {}", interpreter.version),
            None => format!("no interpreter for {runtime} is installed or supported: it cannot be invoked"),
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Files that may hold the handler, below the package's root.
fn entry_candidates(configuration: &Configuration) -> Vec<String> {
    let file =
        configuration.handler.rsplit_once('.').map_or(configuration.handler.as_str(), |(file, _)| file);
    let ends: &[&str] = match configuration.runtime.as_str() {
        "CustomRuntime" => return vec!["bootstrap".into()],
        runtime if runtime.starts_with("Python") => &["py"],
        runtime if runtime.starts_with("Nodejs") => &["js", "mjs", "cjs"],
        runtime if runtime.starts_with("Php") => &["php"],
        _ => &[],
    };
    ends.iter().map(|end| format!("{file}.{end}")).collect()
}
