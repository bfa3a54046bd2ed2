//! What a server can be told, and what it refuses to be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cosette_egress::Allowed;
use cosette_model::{Account, Day, Region};
use cosette_runtime::{Closure, Isolation};
use cosette_wire::DialectName;

/// The secret key everybody knows; not to be served to other machines.
pub const DEFAULT_SECRET_KEY: &str = "CosetteLocalSecretKey00000000000";

/// The account of a server that is told nothing (design section 10).
pub fn default_account() -> Account {
    Account {
        secret_id: "AKIDCosetteLocalDevelopment0000000000".into(),
        secret_key: DEFAULT_SECRET_KEY.into(),
        appid: "1250000000".into(),
        uin: "100000000001".into(),
        name: "cosette".into(),
    }
}

/// Everything `serve` can be told; the command line and the environment fill it in.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Names that it is called by, besides this machine's.
    pub host_names: Vec<String>,
    /// `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Acknowledge before the sync.
    pub relaxed: bool,
    pub strict: bool,
    /// Of requests that neither signature, host nor headers mark.
    pub dialect: DialectName,
    /// The first is the default account.
    pub accounts: Vec<Account>,
    pub region: Region,
    /// Serve the default secret on an address other machines can reach.
    pub insecure_default_keys: bool,
    /// Between attempts of a failed asynchronous invocation.
    pub retry_interval: Duration,
    /// The day that lifecycle rules and reports count in.
    pub day: Day,
    /// Between a request and the object that its line in the access log is written in.
    pub log_interval: Duration,
    /// Webhooks that stand for queues and topics: name and URL.
    pub queues: Vec<(String, String)>,
    /// Commands of the shell that stand for images of functions: an image's name and its command.
    pub images: Vec<(String, String)>,
    /// Where the account's event bus is.
    pub event_bridge: Option<String>,
    /// How many invocations may lead to a change that still fires; 0 is any number.
    pub loop_limit: u32,
    /// Finished deliveries that are kept.
    pub keep_deliveries: usize,
    /// Records of invocations that are kept of each function.
    pub keep_logs: u64,
    /// That an origin may take to answer, and between pieces of what it sends.
    pub origin_timeout: Duration,
    /// Functions that are closures of this process.
    pub closures: Vec<Closure>,
    /// Whom functions may call besides the services and this machine.
    pub allow_egress: Vec<Allowed>,
    /// Whether functions are kept apart from the machine.
    pub isolation: Isolation,
    /// Folders that isolated functions see and may write in.
    pub shared: Vec<PathBuf>,
}

/// A server that is told nothing, and keeps nothing.
impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            host_names: Vec::new(),
            data_dir: None,
            relaxed: false,
            strict: false,
            dialect: DialectName::Cos,
            accounts: vec![default_account()],
            region: Region::default(),
            insecure_default_keys: false,
            retry_interval: Duration::from_secs(60),
            day: Day::default(),
            log_interval: Duration::from_secs(300),
            queues: Vec::new(),
            images: Vec::new(),
            event_bridge: None,
            loop_limit: 16,
            keep_deliveries: 10_000,
            keep_logs: 1000,
            origin_timeout: Duration::from_secs(30),
            closures: Vec::new(),
            allow_egress: Vec::new(),
            isolation: Isolation::Off,
            shared: Vec::new(),
        }
    }
}

impl Config {
    /// # Errors
    /// In words, what is refused and what to do instead.
    pub(crate) fn check(&self) -> Result<(), String> {
        let default_secret = self.accounts.iter().any(|account| account.secret_key == DEFAULT_SECRET_KEY);
        if default_secret && !self.listen.ip().is_loopback() && !self.insecure_default_keys {
            return Err(format!(
                "refusing to listen on {} with the default secret key, which everybody knows: set \
                 COSETTE_SECRET_ID and COSETTE_SECRET_KEY, or give --insecure-default-keys",
                self.listen
            ));
        }
        if self.accounts.is_empty() {
            return Err("there must be at least one account".into());
        }
        for folder in &self.shared {
            if !folder.is_absolute() || !folder.is_dir() {
                return Err(format!(
                    "--share {}: give the whole path of a folder that exists",
                    folder.display()
                ));
            }
        }
        for (at, account) in self.accounts.iter().enumerate() {
            if self.accounts[..at].iter().any(|other| other.secret_id == account.secret_id) {
                return Err(format!("two accounts have the secret id {}", account.secret_id));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str, secret_key: &str) -> Config {
        let account = Account { secret_key: secret_key.into(), ..default_account() };
        Config {
            listen: listen.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0))),
            accounts: vec![account],
            ..Config::default()
        }
    }

    #[test]
    fn default_secret_stays_at_home() {
        assert!(config("127.0.0.1:9000", DEFAULT_SECRET_KEY).check().is_ok());
        assert!(config("[::1]:9000", DEFAULT_SECRET_KEY).check().is_ok());
        assert!(config("0.0.0.0:9000", DEFAULT_SECRET_KEY).check().is_err());
        assert!(config("0.0.0.0:9000", "my own").check().is_ok());
        let told = Config { insecure_default_keys: true, ..config("0.0.0.0:9000", DEFAULT_SECRET_KEY) };
        assert!(told.check().is_ok());
    }

    #[test]
    fn secret_ids_are_unique() {
        let mut twice = config("127.0.0.1:9000", "a");
        twice.accounts.push(twice.accounts[0].clone());
        assert!(twice.check().is_err());
    }
}
