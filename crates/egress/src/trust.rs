//! The files with which each language is told whom to trust.

use std::io;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::Authority;
use crate::authority::block;

/// What Java's own trust store has as its password; it keeps nothing secret.
const JAVA_PASSWORD: &str = "changeit";

/// Where they are.
#[derive(Clone, Debug)]
pub struct Trust {
    /// PEM: our authority, and the system's where functions may call others.
    pub bundle: PathBuf,
    /// Java's key store (JKS) of the same.
    pub java: PathBuf,
    /// A folder with settings for PHP that name the bundle.
    pub php: PathBuf,
}

/// Writes them into `folder`, whose files are ours.
///
/// # Errors
/// The disk's.
pub fn trust(folder: &Path, authority: &Authority, with_the_system: bool) -> io::Result<Trust> {
    std::fs::create_dir_all(folder.join("php"))?;
    let folder = folder.canonicalize()?;
    let mut all = vec![authority.der().to_vec()];
    if with_the_system {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate of the system cannot be read");
        }
        all.extend(found.certs.into_iter().map(|certificate| certificate.to_vec()));
    }
    let trust = Trust {
        bundle: folder.join("ca-bundle.pem"),
        java: folder.join("cacerts.jks"),
        php: folder.join("php"),
    };
    let pem: String = all.iter().map(|certificate| block("CERTIFICATE", certificate)).collect();
    std::fs::write(&trust.bundle, pem)?;
    std::fs::write(&trust.java, key_store(&all))?;
    let bundle = trust.bundle.display();
    std::fs::write(
        trust.php.join("cosette.ini"),
        format!("curl.cainfo=\"{bundle}\"\nopenssl.cafile=\"{bundle}\"\n"),
    )?;
    Ok(trust)
}

/// Java's key store (JKS, version 2; every Java from 8 on reads it): trusted certificates, and a digest that is
/// keyed with the password.
fn key_store(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |bytes: &mut Vec<u8>, n: usize| {
        bytes.extend(u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
    };
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    number(&mut bytes, 0xfeed_feed);
    number(&mut bytes, 2);
    number(&mut bytes, certificates.len());
    for (at, certificate) in certificates.iter().enumerate() {
        // A trusted certificate; the date of its entry is not looked at.
        number(&mut bytes, 2);
        text(&mut bytes, &format!("cosette{at}"));
        bytes.extend(0_u64.to_be_bytes());
        text(&mut bytes, "X.509");
        number(&mut bytes, certificate.len());
        bytes.extend(certificate);
    }
    let mut digest = Sha1::new();
    for unit in JAVA_PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&bytes);
    bytes.extend(digest.finalize());
    bytes
}
