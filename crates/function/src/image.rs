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
        zip.write_all(format!("#!/bin/sh\n{}\n", in_place(command)).as_bytes())?;
        zip.finish()
    });
    packed.map(|archive| archive.into_inner().into()).map_err(|error| Error::Io(error.into()))
}

/// A command that is all of its program takes the shell's place: signals that are meant for the server reach it.
fn in_place(command: &str) -> String {
    let first = command.split_whitespace().next().unwrap_or_default();
    let is_alone = !command.contains([';', '&', '|', '(', '{', '\n']) && !first.contains('=');
    if is_alone && first != "exec" { format!("exec {}", command.trim_start()) } else { command.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_command_takes_the_shells_place() {
        for (command, written) in [
            ("python3 '/a b/app.py' > log", "exec python3 '/a b/app.py' > log"),
            ("exec node app.js", "exec node app.js"),
            ("cd /srv && node app.js", "cd /srv && node app.js"),
            ("PORT=80 node app.js", "PORT=80 node app.js"),
            ("a\nb", "a\nb"),
        ] {
            assert_eq!(in_place(command), written);
        }
    }
}
