//! Layers: packages that functions share, each in numbered versions that never change (scf.md 3.9). A function names
//! those that it has, in their order; at run time they lie one over the other at `/opt`.
//!
//! Table `Layer`, two kinds of row, told apart by the key's first byte:
//! - `v appid 0x00 region 0x00 name 0x00 <number>`: one version; the number in 8 bytes, big-endian;
//! - `n appid 0x00 region 0x00 name`: the greatest number there has been.

use std::path::PathBuf;

use bytes::Bytes;
use cosette_model::Timestamp;
use cosette_store::{Kept, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::code::UNPACKED_BYTES_MAX;
use crate::registry::Package;
use crate::{Error, Function, Functions, limits, row};

/// Layers of one function (scf.md 5.10).
const LAYERS_MAX: usize = 5;

/// Runtimes that one version names.
const RUNTIMES_MAX: usize = 20;

/// One version of a layer, by the name of the layer and its number, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRef {
    pub name: String,
    pub version: u64,
}

/// One version of a layer as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    pub name: String,
    pub version: u64,
    pub appid: String,
    pub region: String,
    pub description: String,
    pub license: String,
    /// Names of runtimes that it is for; only shown and searched by.
    pub runtimes: Vec<String>,
    pub created: Timestamp,
    pub code_size: u64,
    /// Bytes of its files; 0 in rows from before this was kept.
    #[serde(default)]
    pub unpacked: u64,
    /// Hex SHA-256 of the zip.
    pub code_sha256: String,
    pub code: Kept,
}

/// A version to be made.
pub struct NewLayer {
    pub name: String,
    pub appid: String,
    pub region: String,
    pub description: String,
    pub license: String,
    pub runtimes: Vec<String>,
    /// A zip archive.
    pub code: Bytes,
}

/// Whose layers and where: the beginning of a layer's key.
fn place(kind: u8, appid: &str, region: &str) -> Vec<u8> {
    row::kind(kind, &row::below(&[appid, region]))
}

fn versions_of(appid: &str, region: &str, name: &str) -> Vec<u8> {
    let mut key = place(b'v', appid, region);
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    key
}

fn version_key(appid: &str, region: &str, layer: &LayerRef) -> Vec<u8> {
    let mut key = versions_of(appid, region, &layer.name);
    key.extend_from_slice(&layer.version.to_be_bytes());
    key
}

fn missing(layer: &LayerRef, region: &str) -> Error {
    Error::NoSuchLayer(format!("{} {} of {region}", layer.name, layer.version))
}

/// Whether all these are there and not too large beside the function's own `code`, bytes of its files; in the commit
/// that is to refer to them.
pub(crate) fn check(
    tx: &Tx<'_>,
    appid: &str,
    region: &str,
    layers: &[LayerRef],
    code: u64,
) -> Result<(), Error> {
    if layers.len() > LAYERS_MAX {
        return Err(Error::Limit {
            what: "Layers",
            message: format!("a function has at most {LAYERS_MAX} layers"),
        });
    }
    let mut together = code;
    for layer in layers {
        let value = tx.get(Table::Layer, &version_key(appid, region, layer))?;
        let layer: Layer = row::decode("layer", &value.ok_or_else(|| missing(layer, region))?)?;
        together = together.saturating_add(layer.unpacked);
    }
    if together > UNPACKED_BYTES_MAX {
        let message = format!(
            "code and layers have {together} bytes unpacked, more than {UNPACKED_BYTES_MAX} together"
        );
        return Err(Error::Limit { what: "Layers", message });
    }
    Ok(())
}

impl Functions {
    /// Makes the next version of a layer.
    ///
    /// # Errors
    /// `Invalid` for what SCF refuses, and the store's.
    pub async fn publish_layer(&self, new: NewLayer) -> Result<Layer, Error> {
        let NewLayer { name, appid, region, description, license, runtimes, code } = new;
        limits::layer(&name, &description, &runtimes, RUNTIMES_MAX)?;
        let Package { sealed, size, unpacked, sha256 } = self.receive(code).await?;
        let store = self.shared.store.clone();
        let publish = move |tx: &mut Tx<'_>| {
            let mut counter = place(b'n', &appid, &region);
            counter.extend_from_slice(name.as_bytes());
            let last: u64 = match tx.get(Table::Layer, &counter)? {
                Some(value) => row::decode("number of a layer's versions", &value)?,
                None => 0,
            };
            let layer = Layer {
                version: last + 1,
                created: tx.now(),
                code_size: size,
                unpacked,
                code_sha256: sha256,
                code: store.keep(tx, sealed)?,
                name,
                appid,
                region,
                description,
                license,
                runtimes,
            };
            tx.put(Table::Layer, &counter, row::encode("number of a layer's versions", &layer.version)?);
            let key = version_key(&layer.appid, &layer.region, &layer.reference());
            tx.put(Table::Layer, &key, row::encode("layer", &layer)?);
            Ok::<_, Error>(layer)
        };
        let (_, layer) = self.shared.store.commit(publish).await?;
        tracing::info!(layer = layer.name, version = layer.version, "layer published");
        Ok(layer)
    }

    /// # Errors
    /// `NoSuchLayer`, and the store's.
    pub fn layer(&self, appid: &str, region: &str, layer: &LayerRef) -> Result<Layer, Error> {
        match self.shared.store.get(Table::Layer, &version_key(appid, region, layer))? {
            Some(value) => Ok(row::decode("layer", &value)?),
            None => Err(missing(layer, region)),
        }
    }

    /// All versions of one layer, or of all of an account's in a region, by name and number.
    ///
    /// # Errors
    /// The store's.
    pub fn layers(&self, appid: &str, region: &str, name: Option<&str>) -> Result<Vec<Layer>, Error> {
        let prefix = match name {
            Some(name) => versions_of(appid, region, name),
            None => place(b'v', appid, region),
        };
        let rows = self.shared.store.scan(Table::Layer, &prefix, None, usize::MAX)?;
        let layers = rows.into_iter().map(|(_, value)| row::decode("layer", &value));
        Ok(layers.collect::<cosette_store::Result<_>>()?)
    }

    /// Takes a version away. Its number does not come again.
    ///
    /// # Errors
    /// `NoSuchLayer`, `LayerInUse` while a function has it, and the store's.
    pub async fn delete_layer(&self, appid: &str, region: &str, layer: LayerRef) -> Result<(), Error> {
        let (appid, region) = (appid.to_owned(), region.to_owned());
        let store = self.shared.store.clone();
        let delete = move |tx: &mut Tx<'_>| {
            let key = version_key(&appid, &region, &layer);
            let value = tx.get(Table::Layer, &key)?.ok_or_else(|| missing(&layer, &region))?;
            for function in crate::registry::every(tx, &row::below(&[&appid, &region]))? {
                if function.configuration.layers.contains(&layer) {
                    return Err(Error::LayerInUse { layer: layer.name, function: function.name });
                }
            }
            store.release(tx, row::decode::<Layer>("layer", &value)?.code)?;
            tx.delete(Table::Layer, &key);
            Ok(())
        };
        self.shared.store.commit(delete).await?;
        Ok(())
    }

    /// Where the function's layers are unpacked, in their order, after unpacking those that are not.
    pub(crate) async fn layer_folders(&self, function: &Function) -> Result<Vec<PathBuf>, Error> {
        let mut folders = Vec::new();
        for layer in &function.configuration.layers {
            let layer = self.layer(&function.appid, &function.region, layer)?;
            folders.push(self.unpacked(&layer.code_sha256, layer.code).await?);
        }
        Ok(folders)
    }
}

impl Layer {
    pub fn reference(&self) -> LayerRef {
        LayerRef { name: self.name.clone(), version: self.version }
    }
}
