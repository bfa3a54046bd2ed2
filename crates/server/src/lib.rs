//! Joins the parts, listens, supervises, stops. The only crate that knows everyone.

mod access;
mod accounts;
mod admin;
mod body;
mod check;
mod config;
mod connection;
mod debugging;
mod door;
mod edge;
mod embedded;
mod explain;
mod folder;
mod gateway;
mod names;
mod notify;
mod origin;
mod pipe;
mod rules;
mod spelling;
mod steer;
mod story;
mod targets;
mod templates;
mod throttle;
mod travel;
mod url;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cosette_clock::Clock;
use cosette_control::Control;
pub use cosette_egress::{Allowed, CERTIFICATE, KEY};
use cosette_egress::{Authority, Rules};
use cosette_function::Functions;
use cosette_jobs::{AccessLog, Jobs, Replication};
use cosette_model::function::Home;
use cosette_model::host::Reserved;
use cosette_model::op::Owner;
use cosette_model::{KeyGiver, Region};
use cosette_ops::Ops;
use cosette_outgoing::Client;
use cosette_runtime::{Keeping, Runtime, Way};
use cosette_store::{Durability, Options, Store};
use cosette_trigger::Triggers;
use cosette_webhook::{Webhook, Webhooks};
use cosette_wire::Wire;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::check::Scrubs;
pub use crate::check::{VerifyError, verify};
pub use cosette_function::Record;
pub use cosette_model::function::StatusCode;
pub use cosette_runtime::{Closure, Context, Isolation, contain, languages};
pub use cosette_wire::DialectName;

pub use crate::config::{Config, DEFAULT_SECRET_KEY, default_account};
use crate::connection::Connections;
use crate::door::Door;
pub use crate::embedded::Binding;
use crate::gateway::Gateway;
use crate::spelling::Spelling;
use crate::targets::Targets;
use crate::travel::Traveller;

/// Why the server did not start or did not end well; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Refused(String),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot open the store: {0}")]
    Store(#[from] cosette_store::Error),
    #[error("cannot start the functions: {0}")]
    Functions(#[from] cosette_function::Error),
    #[error("cannot start the triggers: {0}")]
    Triggers(#[from] cosette_trigger::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Index cache, in bytes. Measured in `docs/performance.md`.
const INDEX_CACHE_BYTES: u64 = 16 << 20;
/// How long requests and invocations under way may still take once a stop is asked for.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// XML request bodies, in bytes: a complete request of 10,000 parts with checksums needs about 2 MiB.
const XML_BYTES_MAX: usize = 4 << 20;

/// Runs until SIGTERM or SIGINT. Prints the ready line on standard output.
///
/// # Errors
/// Nothing has been started, or everything has been stopped again, when this returns one.
pub async fn run(config: Config) -> Result<(), RunError> {
    let mut stop = stop_signal()?;
    let server = Server::start(config).await?;
    announce(server.address())?;
    let _ = stop.wait_for(|stop| *stop).await;
    server.stop().await
}

/// A server that takes requests. Dropped, it takes no more and what runs is let go of; [`stop`](Self::stop) ends it
/// in order.
pub struct Server {
    house: House,
    connections: Connections,
    /// Whoever comes in is let in as long as it is here.
    door: Arc<Door>,
    stop: watch::Sender<bool>,
    /// The default account and region.
    owner: Owner,
    region: Region,
}

impl Server {
    /// Returns once it takes requests.
    ///
    /// # Errors
    /// Nothing has been started, or everything has been stopped again, when this returns one.
    pub async fn start(config: Config) -> Result<Self, RunError> {
        config.check().map_err(RunError::Refused)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| RunError::Listen { address: config.listen, source })?;
        let address = listener.local_addr()?;
        let spelling = Spelling::learn(cosette_wire::HEADER_SPELLINGS).await?;
        let house = House::open(&config, address).await?;
        let (stop, stopped) = watch::channel(false);
        let door = Arc::new(house.door(spelling));
        house.gateway.leads_to(&door);
        let origin: std::sync::Weak<dyn cosette_cdn::Origin> = Arc::downgrade(&door) as _;
        house.control.cdn().leads_to(origin)?;
        let connections = Connections::serve(Arc::clone(&house.gateway), listener, stopped);
        // What starts now may call here.
        house.functions.provision_anew()?;
        let owner = owners(&config).next().ok_or_else(|| RunError::Refused("there is no account".into()))?;
        Ok(Self { house, connections, door, stop, owner, region: config.region })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.house.address
    }

    /// Lets what runs end, and writes down what is not yet.
    ///
    /// # Errors
    /// The store's, when it cannot be closed in order.
    pub async fn stop(self) -> Result<(), RunError> {
        tracing::info!("stopping");
        self.stop.send_replace(true);
        self.house.scrubs.stop();
        self.connections.finish(STOP_GRACE).await;
        // Functions that still run find it here.
        let closed = self.house.close().await;
        drop(self.door);
        closed
    }
}

/// The parts of a running server, in the order they start; they stop in the opposite order.
struct House {
    clock: Clock,
    store: Store,
    scrubs: Scrubs,
    runtime: Runtime,
    functions: Functions,
    targets: Targets,
    triggers: Triggers,
    jobs: Arc<Jobs>,
    traveller: Traveller,
    access_log: AccessLog,
    control: Control,
    ops: Ops,
    wire: Arc<Wire>,
    accounts: Arc<Accounts>,
    gateway: Arc<Gateway>,
    address: SocketAddr,
    /// Where what is named without a region or an account is.
    home: Home,
    reserved: Reserved,
    /// The last of us.
    _scratch: Scratch,
}

/// Holds the functions' files.
struct Scratch {
    folder: PathBuf,
    /// Whether it goes with the server, however that ends.
    is_temporary: bool,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.folder.display(), %error, "temporary directory not removed");
        }
    }
}

impl House {
    async fn open(config: &Config, address: SocketAddr) -> Result<Self, RunError> {
        let clock = Clock::real();
        let options = Options {
            dir: config.data_dir.clone(),
            durability: if config.relaxed { Durability::Relaxed } else { Durability::Strict },
            cache_bytes: INDEX_CACHE_BYTES,
        };
        let store = {
            let clock = clock.clone();
            tokio::task::spawn_blocking(move || Store::open(options, clock))
                .await
                .map_err(std::io::Error::other)??
        };
        let scratch = match &config.data_dir {
            Some(dir) => dir.join("functions"),
            // A process may have several.
            None => {
                std::env::temp_dir().join(format!("cosette-{}-{}", std::process::id(), uuid::Uuid::new_v4()))
            }
        };
        let kept = Scratch { folder: scratch.clone(), is_temporary: config.data_dir.is_none() };
        if kept.is_temporary {
            // Where everybody may look: it holds code and what functions write.
            std::fs::DirBuilder::new().mode(0o700).create(&scratch)?;
        }
        let accounts = Arc::new(Accounts::new(config.accounts.clone(), clock.clone()));
        let authority = authority(config.data_dir.as_deref())?;
        let rules = Rules(config.allow_egress.clone());
        let trust = cosette_egress::trust(&scratch.join("trust"), &authority, rules.leaves_home())?;
        let gateway = Gateway::new(Arc::new(authority), rules);
        let way = Way { to: gateway.clone(), bundle: trust.bundle, java: trust.java, php: trust.php };
        let keeping = Keeping {
            isolation: config.isolation,
            shared: config.shared.clone(),
            hidden: Some(config.data_dir.clone().unwrap_or_else(|| scratch.clone())),
        };
        let time = clock.clone();
        let rest = move |length| {
            let (clock, until) = (time.clone(), time.now().plus(length));
            async move { clock.sleep_until(until).await }
        };
        let runtime = Runtime::start_keeping(scratch.join("run"), keeping)?.with_way(way).resting_by(rest);
        let first = config.accounts.first();
        let home = Home {
            region: config.region.to_string(),
            appid: first.map(|account| account.appid.clone()).unwrap_or_default(),
        };
        cosette_function::upgrade(&store, &home).await?;
        let functions =
            Functions::start(store.clone(), runtime.clone(), clock.clone(), scratch.join("code"))?;
        let (keys, time, strict) = (Arc::clone(&accounts), clock.clone(), config.strict);
        let functions = functions.keeping(config.keep_logs).with_keys(move |function| {
            let role = &function.configuration.role;
            if strict && role.is_empty() {
                // As on SCF; else it has the default role's, which much code cannot start without.
                return KeyGiver::default();
            }
            let (keys, appid, role) = (Arc::clone(&keys), function.appid.clone(), role.clone());
            let time = time.clone();
            let until = time.clone();
            let until = move |at| {
                let clock = until.clone();
                async move { clock.sleep_until(at).await }
            };
            KeyGiver::new(move || keys.lend(&appid, &role), move || time.now(), until)
        });
        embedded::install(&runtime, &functions, config).await?;
        let bus = config.event_bridge.iter().map(|url| (notify::EVENT_BRIDGE, url.as_str()));
        let named = config.queues.iter().map(|(name, url)| (name.as_str(), url.as_str()));
        let webhooks =
            named.chain(bus).map(|(name, url)| Webhook::plain(name, url)).collect::<Result<_, _>>();
        let webhooks = webhooks.map_err(|error| RunError::Refused(error.to_string()))?;
        let client = Client::default();
        let webhooks = Webhooks::open(store.clone(), clock.clone(), client.clone(), webhooks)?;
        let targets = Targets { functions: functions.clone(), webhooks, store: store.clone() };
        targets.upgrade(&home).await.map_err(|error| RunError::Refused(error.to_string()))?;
        cosette_trigger::upgrade(&store, &targets, &home).await?;
        let triggers = Triggers::start(
            store.clone(),
            clock.clone(),
            Arc::new(targets.clone()),
            cosette_trigger::Options {
                retry_interval: config.retry_interval,
                finished_max: config.keep_deliveries,
                loop_limit: config.loop_limit,
            },
        )?;
        let access_log = AccessLog::default();
        let options = cosette_jobs::Options { day: config.day, log_interval: config.log_interval };
        let replication = Replication::default();
        let jobs = Arc::new(Jobs::start(&store, &clock, &access_log, &replication, options));
        let reserved = names::own(&config.host_names);
        let control = Control::new(
            store.clone(),
            functions.clone(),
            triggers.clone(),
            clock.clone(),
            config.region.clone(),
            config.strict,
            format!("http://{}", reachable(address)),
        )
        .with_images(config.images.clone())
        .with_reserved(reserved.clone());
        let wire = Arc::new(Wire::new(cosette_wire::Config {
            default_region: config.region.clone(),
            default_dialect: config.dialect,
            strict: config.strict,
            xml_bytes_max: XML_BYTES_MAX,
        }));
        let origins = origin::ByHttp::new(client, config.origin_timeout);
        let ops = Ops::new(store.clone(), config.region.clone(), owners(config).collect())
            .with_day(config.day)
            .with_notify(Arc::new(targets.clone()))
            .with_origins(Arc::new(origins))
            .with_reserved(reserved.clone());
        let traveller = Traveller {
            store: store.clone(),
            clock: clock.clone(),
            functions: functions.clone(),
            triggers: triggers.clone(),
            jobs: Arc::clone(&jobs),
            replication,
            turns: Arc::default(),
        };
        Ok(Self {
            clock,
            scrubs: Scrubs::new(store.clone()),
            store,
            runtime,
            functions,
            targets,
            triggers,
            jobs,
            traveller,
            access_log,
            control,
            ops,
            wire,
            accounts,
            gateway,
            address,
            home,
            reserved,
            _scratch: kept,
        })
    }

    fn door(&self, spelling: Spelling) -> Door {
        Door {
            clock: self.clock.clone(),
            wire: Arc::clone(&self.wire),
            ops: self.ops.clone(),
            control: self.control.clone(),
            cdn: self.control.cdn().clone(),
            cdn_keys: edge::Keys::default(),
            accounts: Arc::clone(&self.accounts),
            admin: admin::Admin {
                store: self.store.clone(),
                scrubs: self.scrubs.clone(),
                functions: self.functions.clone(),
                webhooks: self.targets.webhooks.clone(),
                home: self.home.clone(),
                accounts: Arc::clone(&self.accounts),
                certificate: self.gateway.certificate().to_owned(),
                traveller: self.traveller.clone(),
                is_local: self.address.ip().is_loopback(),
            },
            urls: url::Urls {
                functions: self.functions.clone(),
                triggers: self.triggers.clone(),
                control: self.control.clone(),
                accounts: Arc::clone(&self.accounts),
                reserved: self.reserved.clone(),
            },
            access_log: self.access_log.clone(),
            spelling,
            reserved: self.reserved.clone(),
            address: self.address,
        }
    }

    /// First what makes changes, then deliveries, as they need everything else; the store last, as
    /// everything needs it.
    async fn close(self) -> Result<(), RunError> {
        self.jobs.stop().await;
        self.triggers.stop(STOP_GRACE).await;
        self.functions.stop().await;
        self.runtime.stop().await;
        self.scrubs.ended().await;
        self.store.close().await?;
        Ok(())
    }
}

/// Where this machine finds a server that listens everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn owners(config: &Config) -> impl Iterator<Item = Owner> {
    config.accounts.iter().map(|account| Owner {
        uin: account.uin.clone(),
        appid: account.appid.clone(),
        name: account.name.clone(),
    })
}

/// The authority of a data directory, made if it is not there; a new one for a server that keeps nothing.
///
/// # Errors
/// Its files cannot be read or written.
pub fn authority(data_dir: Option<&Path>) -> std::io::Result<Authority> {
    let folder = data_dir.map(|dir| dir.join("ca"));
    // Clients judge certificates by the time they have, not by a clock that was moved.
    let clock = Clock::real();
    let now = move || {
        let secs = i64::try_from(clock.now().as_secs()).unwrap_or(i64::MAX);
        time::OffsetDateTime::from_unix_timestamp(secs).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    };
    Authority::open(folder.as_deref(), now)
}

/// The one line other programs wait for.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "cosette ready http://{address}")?;
    out.flush()
}

/// Turns true once SIGTERM or SIGINT has come.
fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = sender.send(true);
        // A second signal means: at once.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(receiver)
}
