//! The authority that vouches for the services' names on this machine, and nowhere else.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use time::{Date, Duration, Month, OffsetDateTime};

/// Its certificate, in the data directory's folder `ca`.
pub const CERTIFICATE: &str = "ca.pem";
/// Its private key, beside it; nobody but the owner can read it.
pub const KEY: &str = "ca.key";

/// Certificates that are kept; the one made first goes first.
const LEAVES_MAX: usize = 256;
/// How long one is valid. Apple's programs take none that is valid for more than 825 days.
const LEAF_DAYS: i64 = 800;
/// How old one may be and still be handed out.
const LEAF_FRESH: Duration = Duration::days(1);

/// A certificate authority. Its certificates are for the names that a client asks for, made when it does.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// One for all names: it does not leave the process.
    leaf: KeyPair,
    leaves: Mutex<Leaves>,
    now: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
}

#[derive(Default)]
struct Leaves {
    made: HashMap<String, (OffsetDateTime, Arc<CertifiedKey>)>,
    order: std::collections::VecDeque<String>,
}

impl Authority {
    /// The one whose files are in `folder`, which are made if they are not there; without a folder, a new one that ends
    /// with the process. `now` is the time that clients will have, whatever a clock of ours shows.
    ///
    /// # Errors
    /// The files cannot be read or written, or are not what they should be.
    pub fn open(
        folder: Option<&Path>,
        now: impl Fn() -> OffsetDateTime + Send + Sync + 'static,
    ) -> io::Result<Self> {
        // Another process may be about to make them: `cosette ca` beside a server that starts.
        let _alone = folder.map(alone).transpose()?;
        let (key, stored) = match folder {
            Some(folder) => stored(folder)?,
            None => (KeyPair::generate().map_err(io::Error::other)?, None),
        };
        let params = params(&key)?;
        let (certificate, pem) = match stored {
            Some(found) => found,
            None => {
                let made = params.self_signed(&key).map_err(io::Error::other)?;
                let pem = pem(&made);
                if let Some(folder) = folder {
                    write(&folder.join(CERTIFICATE), 0o644, &pem)?;
                }
                (made.der().clone(), pem)
            }
        };
        let leaf = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, pem, leaf, leaves: Mutex::default(), now: Box::new(now) })
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// For a connection to `host`: it answers with a certificate for the name that the client names, or for `host` if it
    /// names none.
    ///
    /// # Errors
    /// None that is expected: the cryptography is there.
    pub fn server(self: &Arc<Self>, host: &str) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let names = Names { authority: Arc::clone(self), host: host.to_owned() };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(names));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn leaf(&self, name: &str) -> io::Result<Arc<CertifiedKey>> {
        let now = (self.now)();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, leaf)) = leaves.made.get(name)
            && now - *made < LEAF_FRESH
            && now >= *made
        {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.make(name, now)?);
        if leaves.made.insert(name.to_owned(), (now, Arc::clone(&leaf))).is_none() {
            leaves.order.push_back(name.to_owned());
        }
        if leaves.order.len() > LEAVES_MAX
            && let Some(oldest) = leaves.order.pop_front()
        {
            leaves.made.remove(&oldest);
        }
        Ok(leaf)
    }

    fn make(&self, name: &str, now: OffsetDateTime) -> io::Result<CertifiedKey> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
        // Names of more than 64 characters are too long for it, and the subject of no use.
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::OrganizationName, "Cosette");
        params.not_before = now - Duration::DAY;
        params.not_after = now + Duration::days(LEAF_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(&self.leaf, &self.issuer).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(self.leaf.serialize_der());
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&key.into()).map_err(io::Error::other)?;
        Ok(CertifiedKey::new(vec![made.der().clone(), self.certificate.clone()], key))
    }
}

/// Certificates for a connection to `host`.
struct Names {
    authority: Arc<Authority>,
    host: String,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or(&self.host).to_ascii_lowercase();
        self.authority
            .leaf(&name)
            .inspect_err(|error| tracing::warn!(name, %error, "no certificate can be made"))
            .ok()
    }
}

/// What the authority is to be called follows from its key, so that clients can tell two of them apart.
fn params(key: &KeyPair) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    let mark = hex::encode(&Sha256::digest(key.der_bytes())[..4]);
    params.distinguished_name.push(DnType::CommonName, format!("Cosette local authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Of no use before or after: it is this machine's own, and whoever has it decides when it ends.
    params.not_before = day(2020)?;
    params.not_after = day(2049)?;
    Ok(params)
}

fn day(year: i32) -> io::Result<OffsetDateTime> {
    let date = Date::from_calendar_date(year, Month::January, 1).map_err(io::Error::other)?;
    Ok(date.midnight().assume_utc())
}

/// Makes the folder, and keeps others from it as long as the answer is kept.
fn alone(folder: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(folder)?;
    let lock = fs::File::open(folder)?;
    lock.lock()?;
    Ok(lock)
}

type Stored = (KeyPair, Option<(CertificateDer<'static>, String)>);

fn stored(folder: &Path) -> io::Result<Stored> {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    let path = folder.join(KEY);
    let broken = |path: &Path, why: String| {
        io::Error::other(format!("{}: {why}; remove it to have a new authority made", path.display()))
    };
    let key = match fs::read(&path) {
        Ok(text) => {
            let key =
                PrivateKeyDer::from_pem_slice(&text).map_err(|error| broken(&path, error.to_string()))?;
            KeyPair::try_from(&key).map_err(|error| broken(&path, error.to_string()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(io::Error::other)?;
            write(&path, 0o600, &block("PRIVATE KEY", &key.serialize_der()))?;
            // A certificate that was there is another key's.
            match fs::remove_file(folder.join(CERTIFICATE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return Ok((key, None)),
            }
        }
        Err(error) => return Err(error),
    };
    let path = folder.join(CERTIFICATE);
    match fs::read_to_string(&path) {
        Ok(pem) => {
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| broken(&path, error.to_string()))?;
            // One of another key vouches for nothing.
            let own = key.der_bytes();
            let is_its = certificate.windows(own.len()).any(|bytes| bytes == own);
            Ok((key, is_its.then_some((certificate, pem))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((key, None)),
        Err(error) => Err(error),
    }
}

/// Whole or not at all.
fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn pem(certificate: &Certificate) -> String {
    block("CERTIFICATE", certificate.der())
}

/// PEM (RFC 7468).
pub(crate) fn block(label: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines + &format!("-----END {label}-----\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn now() -> OffsetDateTime {
        day(2026).unwrap()
    }

    #[test]
    fn it_is_the_same_after_a_restart_and_its_key_is_private() {
        let folder = std::env::temp_dir().join(format!("cosette-ca-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let first = Authority::open(Some(&folder), now).unwrap();
        let mode = fs::metadata(folder.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Authority::open(Some(&folder), now).unwrap();
        assert_eq!(first.der(), again.der());
        assert_eq!(fs::read_to_string(folder.join(CERTIFICATE)).unwrap(), first.pem());
        fs::write(folder.join(KEY), "nonsense").unwrap();
        let refused = Authority::open(Some(&folder), now).err().unwrap().to_string();
        assert!(refused.contains("ca.key") && refused.contains("remove it"), "{refused}");
        fs::remove_file(folder.join(KEY)).unwrap();
        let other = Authority::open(Some(&folder), now).unwrap();
        assert_ne!(first.der(), other.der());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn those_who_make_it_at_once_make_one() {
        let folder = std::env::temp_dir().join(format!("cosette-ca-race-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let open = || Authority::open(Some(&folder), now).unwrap();
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.iter().all(|one| one.der() == open().der()));
        // The certificate of another authority is no use with this key.
        let other = Authority::open(None, now).unwrap();
        fs::write(folder.join(CERTIFICATE), other.pem()).unwrap();
        let mended = open();
        assert_ne!(mended.der(), other.der());
        assert_eq!(fs::read_to_string(folder.join(CERTIFICATE)).unwrap(), mended.pem());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn certificates_are_kept_up_to_a_number() {
        let authority = Authority::open(None, now).unwrap();
        let first = authority.leaf("a.cos.ap-guangzhou.myqcloud.com").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.leaf("a.cos.ap-guangzhou.myqcloud.com").unwrap()));
        for n in 0..LEAVES_MAX {
            authority.leaf(&format!("b{n}.cos.ap-guangzhou.myqcloud.com")).unwrap();
        }
        assert_eq!(authority.leaves.lock().unwrap().made.len(), LEAVES_MAX);
        assert!(!Arc::ptr_eq(&first, &authority.leaf("a.cos.ap-guangzhou.myqcloud.com").unwrap()));
    }
}
