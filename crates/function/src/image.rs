//! Functions of images, of which a command of this machine takes the place: it is in a package like any other.

use std::io::{Cursor, Write};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::Error;

/// The image that a function was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `personal` or `enterprise`.
    pub kind: String,
    pub uri: String,
    pub registry: String,
}

/// A package that starts a server by a command of the shell.
///
/// # Errors
/// It cannot be packed.
pub fn image_package(command: &str) -> Result<Bytes, Error> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    let packed = zip.start_file("scf_bootstrap", options).and_then(|()| {
        zip.write_all(format!("#!/bin/sh\n{command}\n").as_bytes())?;
        zip.finish()
    });
    packed.map(|archive| archive.into_inner().into()).map_err(|error| Error::Io(error.into()))
}
