//! `cosette serve`: from flags and environment to the server's configuration.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, ValueEnum};
use cosette_model::{Account, Day, Region, duration};
use cosette_server::{Allowed, Config, DialectName, Isolation, RunError};
use tracing::Level;

use crate::exit::Failure;

/// Where data goes when nobody says: in the folder the server is started in.
pub(crate) const DATA_DIR: &str = ".cosette";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to answer on; port 0 takes a free one
    #[arg(long, env = "COSETTE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,

    /// A name that clients ask this server by, for its admin API to answer to; may be given more than once
    #[arg(long = "host-name", env = "COSETTE_HOST_NAMES", value_name = "HOST", value_delimiter = ',',
          value_parser = parse_host_name)]
    host_names: Vec<String>,

    /// Folder for everything that is kept [default: .cosette]
    #[arg(long, env = "COSETTE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keep everything in memory; it is gone with the process
    #[arg(long, env = "COSETTE_MEMORY", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    memory: bool,

    /// Whether an acknowledged write is on disk (strict) or on its way there (relaxed)
    #[arg(long, env = "COSETTE_DURABILITY", value_name = "MODE", value_enum, default_value = "strict")]
    durability: Durability,

    /// Refuse what COS refuses, even where taking it would help a local run
    #[arg(long, env = "COSETTE_STRICT", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    strict: bool,

    /// Service whose rules hold for requests that neither signature, host nor headers mark
    #[arg(long, env = "COSETTE_DIALECT", value_name = "SERVICE", value_enum, default_value = "cos")]
    dialect: Dialect,

    /// A further account; may be given more than once
    #[arg(
        long = "account",
        env = "COSETTE_ACCOUNTS",
        hide_env_values = true,
        value_name = "ID:KEY:APPID:UIN[:NAME]",
        value_delimiter = ',',
        value_parser = parse_account
    )]
    accounts: Vec<Account>,

    /// SecretId of the default account
    #[arg(long, env = "COSETTE_SECRET_ID", value_name = "ID")]
    secret_id: Option<String>,

    /// SecretKey of the default account
    #[arg(long, env = "COSETTE_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    secret_key: Option<String>,

    /// APPID of the default account
    #[arg(long, env = "COSETTE_APPID", value_name = "APPID", value_parser = parse_digits)]
    appid: Option<String>,

    /// Region of requests that name none
    #[arg(long, env = "COSETTE_REGION", value_name = "REGION", value_parser = parse_region,
          default_value = Region::DEFAULT)]
    region: Region,

    /// Serve the default keys, which everybody knows, on an address that other machines can reach
    #[arg(long, env = "COSETTE_INSECURE_DEFAULT_KEYS", action = ArgAction::SetTrue,
          value_parser = FalseyValueParser::new())]
    insecure_default_keys: bool,

    /// Time between attempts of a failed asynchronous invocation; a minute in the cloud
    #[arg(long, env = "COSETTE_RETRY_INTERVAL", value_name = "TIME", default_value = "60s",
          value_parser = duration::parse)]
    retry_interval: Duration,

    /// What to log on standard error
    #[arg(long, env = "COSETTE_LOG", value_name = "LEVEL", value_enum, default_value = "info")]
    log: LogLevel,

    /// Not supported yet: a project file to bring up
    #[arg(long, env = "COSETTE_PROJECT", value_name = "FILE", hide = true)]
    project: Option<PathBuf>,

    /// How long the day is that lifecycle rules and inventories count in; shorter than a day for tests
    #[arg(long, env = "COSETTE_DAY", value_name = "TIME", default_value = "1d", value_parser = parse_day)]
    day: Day,

    /// How long lines of access logs are gathered before they are written; shorter for tests
    #[arg(long, env = "COSETTE_LOG_INTERVAL", value_name = "TIME", default_value = "5m",
          value_parser = duration::parse)]
    log_interval: Duration,

    /// A webhook that stands for a queue or a topic; may be given more than once
    #[arg(long = "queue", env = "COSETTE_QUEUES", value_name = "NAME=URL", value_delimiter = ',',
          value_parser = parse_queue)]
    queues: Vec<(String, String)>,

    /// A command of this machine that stands for an image that functions are made of: it starts the server that
    /// the image would; may be given more than once
    #[arg(long = "image", env = "COSETTE_IMAGE", value_name = "NAME=COMMAND", value_parser = parse_image)]
    images: Vec<(String, String)>,

    /// Where events of buckets whose notification asks for it are posted to in place of an event bus
    #[arg(long, env = "COSETTE_EVENT_BRIDGE", value_name = "URL")]
    event_bridge: Option<String>,

    /// Invocations that may follow from one another through what functions write; 0 lets them go on for ever
    #[arg(long, env = "COSETTE_LOOP_LIMIT", value_name = "N", default_value_t = 16)]
    loop_limit: u32,

    /// Finished deliveries that are kept to be looked at
    #[arg(long, env = "COSETTE_KEEP_DELIVERIES", value_name = "N", default_value_t = 10_000)]
    keep_deliveries: usize,

    /// Invocations of each function that are kept with their logs
    #[arg(long, env = "COSETTE_KEEP_LOGS", value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..))]
    keep_logs: u64,
    /// How long an origin may take to answer, and between pieces of what it sends
    #[arg(long, env = "COSETTE_ORIGIN_TIMEOUT", value_name = "TIME", default_value = "30s",
          value_parser = duration::parse)]
    origin_timeout: Duration,

    /// Lets functions call HOST, *.HOST or, with `*`, everybody [repeatable]
    #[arg(
        long = "allow-egress",
        env = "COSETTE_ALLOW_EGRESS",
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    allow_egress: Vec<Allowed>,

    /// Whether functions are kept apart from the machine where the kernel allows it (auto) or not (off)
    #[arg(long, env = "COSETTE_ISOLATION", value_name = "MODE", value_enum, default_value = "auto")]
    isolation: IsolationMode,

    /// A folder that isolated functions see and may write in, at its own path; may be given more than once
    #[arg(long = "share", env = "COSETTE_SHARE", value_name = "DIR", value_delimiter = ',')]
    shared: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IsolationMode {
    Auto,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Durability {
    Strict,
    Relaxed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialect {
    Cos,
    S3,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

fn parse_account(text: &str) -> Result<Account, String> {
    let mut parts = text.splitn(5, ':');
    let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
    let account = (|| {
        let (secret_id, secret_key, appid, uin) = (next()?, next()?, next()?, next()?);
        let name = next().unwrap_or_else(|| appid.clone());
        Some(Account { secret_id, secret_key, appid, uin, name })
    })();
    // The text holds a key: it is not repeated in the message.
    let account = account.ok_or("an account is ID:KEY:APPID:UIN[:NAME]")?;
    parse_digits(&account.appid).map_err(|why| format!("APPID {why}"))?;
    parse_digits(&account.uin).map_err(|why| format!("UIN {why}"))?;
    Ok(account)
}

fn parse_host_name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a host's name has no port, no scheme and no *".into()),
    }
}

fn parse_image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("an image is NAME=COMMAND".into()),
    }
}

fn parse_queue(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("a queue is NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

fn parse_digits(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text} is not a number"))
    }
}

fn parse_day(text: &str) -> Result<Day, String> {
    Day::of(duration::parse(text)?).ok_or_else(|| format!("{text} is no time at all"))
}

pub(crate) fn parse_region(text: &str) -> Result<Region, String> {
    Region::new(text).map_err(|error| error.to_string())
}

impl Serve {
    /// What `matches` adds is who said what: a flag outdoes the environment.
    fn config(self, matches: &ArgMatches) -> Result<Config, Failure> {
        let later = |what| Failure::Usage(format!("{what} is not supported yet"));
        if self.project.is_some() {
            return Err(later("--project"));
        }
        let by_flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let data_dir = match (self.memory, self.data_dir) {
            (true, Some(dir)) => match (by_flag("memory"), by_flag("data_dir")) {
                (true, true) => {
                    let message = "--memory and --data-dir contradict each other";
                    return Err(Failure::Usage(message.into()));
                }
                (false, true) => Some(dir),
                (_, false) => None,
            },
            (true, None) => None,
            (false, dir) => Some(dir.unwrap_or_else(|| DATA_DIR.into())),
        };
        let known = cosette_server::default_account();
        let own = Account {
            secret_id: self.secret_id.unwrap_or(known.secret_id),
            secret_key: self.secret_key.unwrap_or(known.secret_key),
            appid: self.appid.unwrap_or(known.appid),
            ..known
        };
        let mut accounts = vec![own];
        accounts.extend(self.accounts);
        Ok(Config {
            listen: self.listen,
            host_names: self.host_names,
            data_dir,
            relaxed: self.durability == Durability::Relaxed,
            strict: self.strict,
            dialect: match self.dialect {
                Dialect::Cos => DialectName::Cos,
                Dialect::S3 => DialectName::S3,
            },
            accounts,
            region: self.region,
            insecure_default_keys: self.insecure_default_keys,
            retry_interval: self.retry_interval,
            day: self.day,
            log_interval: self.log_interval,
            queues: self.queues,
            images: self.images,
            event_bridge: self.event_bridge,
            loop_limit: self.loop_limit,
            keep_deliveries: self.keep_deliveries,
            keep_logs: self.keep_logs,
            origin_timeout: self.origin_timeout,
            closures: Vec::new(),
            allow_egress: self.allow_egress,
            isolation: match self.isolation {
                IsolationMode::Auto => Isolation::Auto,
                IsolationMode::Off => Isolation::Off,
            },
            shared: self.shared,
        })
    }
}

/// Runs the server until it is told to stop.
pub(crate) fn run(serve: Serve, matches: &ArgMatches) -> Result<(), Failure> {
    let level = Level::from(serve.log);
    let config = serve.config(matches)?;
    start_log(level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cosette_server::run(config)).map_err(|error| match error {
        RunError::Refused(why) => Failure::Usage(why),
        other => Failure::NotServed(other.to_string()),
    })
}

fn start_log(level: Level) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .init();
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, Failure> {
        let line = ["serve"].iter().chain(arguments);
        let matches = Serve::augment_args(Command::new("serve")).try_get_matches_from(line).unwrap();
        Serve::from_arg_matches(&matches).unwrap().config(&matches)
    }

    #[test]
    fn nothing_said_means_the_contracts_defaults() {
        let config = config(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(config.data_dir, Some(".cosette".into()));
        assert!(!config.relaxed && !config.strict && !config.insecure_default_keys);
        assert_eq!(config.accounts, [cosette_server::default_account()]);
        assert_eq!(config.accounts[0].secret_id, "AKIDCosetteLocalDevelopment0000000000");
        assert_eq!(config.accounts[0].secret_key, "CosetteLocalSecretKey00000000000");
        assert_eq!(config.accounts[0].appid, "1250000000");
        assert_eq!(config.accounts[0].uin, "100000000001");
        assert_eq!(config.region.as_str(), "ap-guangzhou");
        assert_eq!(config.retry_interval, Duration::from_secs(60));
        assert_eq!(config.day, Day::default());
        assert_eq!(config.log_interval, Duration::from_secs(300));
        assert_eq!((config.loop_limit, config.keep_deliveries, config.keep_logs), (16, 10_000, 1000));
        assert_eq!(config.origin_timeout, Duration::from_secs(30));
        assert_eq!((config.isolation, config.shared), (Isolation::Auto, Vec::new()));
    }

    #[test]
    fn flags_reach_the_configuration() {
        let config = config(&[
            "--listen=127.0.0.1:0",
            "--memory",
            "--durability=relaxed",
            "--host-name=Build.example.com,box",
            "--strict",
            "--account=AKIDa:ka:1260000000:100000000002:alice",
            "--account=AKIDb:kb:1270000000:100000000003",
            "--secret-id=AKIDme",
            "--region=ap-beijing",
            "--retry-interval=200ms",
            "--day=10s",
            "--image=team/app=python3 app.py --mode=fast",
            "--queue=orders=http://localhost:8000/?a=b",
            "--event-bridge=http://localhost:8001",
            "--loop-limit=3",
            "--keep-deliveries=7",
            "--keep-logs=5",
            "--allow-egress=Example.com:443",
            "--allow-egress=a.test,*.b.test",
            "--isolation=off",
            "--share=/srv/a,/srv/b",
        ])
        .unwrap();
        assert_eq!(config.data_dir, None);
        assert_eq!(config.host_names, ["build.example.com", "box"]);
        assert!(parse_host_name("http://a:1").is_err() && parse_host_name("").is_err());
        assert!(config.relaxed && config.strict);
        let names: Vec<&str> = config.accounts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["cosette", "alice", "1270000000"]);
        assert_eq!(config.accounts[0].secret_id, "AKIDme");
        assert_eq!(config.region.as_str(), "ap-beijing");
        assert_eq!(config.retry_interval, Duration::from_millis(200));
        assert_eq!(config.day.length(), Duration::from_secs(10));
        assert_eq!(config.isolation, Isolation::Off);
        assert_eq!(config.shared, [PathBuf::from("/srv/a"), "/srv/b".into()]);
        assert_eq!(config.queues, [("orders".to_owned(), "http://localhost:8000/?a=b".to_owned())]);
        assert_eq!(config.images, [("team/app".to_owned(), "python3 app.py --mode=fast".to_owned())]);
        assert_eq!(config.event_bridge.as_deref(), Some("http://localhost:8001"));
        assert_eq!((config.loop_limit, config.keep_deliveries, config.keep_logs), (3, 7, 5));
        let allowed: Vec<Allowed> =
            ["example.com:443", "a.test", "*.b.test"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(config.allow_egress, allowed);
        assert!(parse_day("0s").is_err() && parse_day("soon").is_err());
    }

    #[test]
    fn what_comes_later_is_refused_by_name() {
        let failure = config(&["--project=cosette.yaml"]).unwrap_err();
        assert!(matches!(&failure, Failure::Usage(text) if text.contains("not supported yet")));
        assert_eq!(failure.code(), 2);
        assert!(matches!(config(&["--memory", "--data-dir=x"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn accounts_are_checked_without_telling_the_key() {
        for bad in ["", "a", "AKID:sesame:12", "AKID:sesame:12a:1", "AKID:sesame:1:x", ":sesame:1:1"] {
            let message = parse_account(bad).unwrap_err();
            assert!(!message.contains("sesame"), "{message}");
        }
    }
}
