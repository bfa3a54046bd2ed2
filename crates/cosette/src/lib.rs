//! Cosette inside a Rust program: a server for tests and tools, with closures as functions.
//!
//! ```no_run
//! use cosette::{Cosette, Trigger};
//! use serde_json::{Value, json};
//!
//! # async fn example() -> Result<(), cosette::Error> {
//! let cosette = Cosette::builder()
//!     .bucket("photos-1250000000")
//!     .function("thumbnail", |event: Value, context: cosette::Context| async move {
//!         let key = event["Records"][0]["cos"]["cosObject"]["key"].as_str().ok_or("no key")?.to_owned();
//!         context.log(format!("got {key}"));
//!         Ok::<_, &str>(json!({ "key": key }))
//!     })
//!     .trigger(Trigger::new("photos-1250000000", "cos:ObjectCreated:*").suffix(".png").invokes("thumbnail"))
//!     .start()
//!     .await?;
//! // Put objects with any COS or S3 client at `cosette.endpoint()`, then:
//! assert!(cosette.wait(std::time::Duration::from_secs(10)).await?);
//! assert_eq!(cosette.invocations("thumbnail", 10)?.len(), 1);
//! cosette.stop().await
//! # }
//! ```
//!
//! Functions in other languages, which a client may make as on the service, run as processes of this program's user:
//! see the machine as it does, unless the builder is told [`Builder::isolated`].
//!
//! A closure runs in this process: nothing contains it, its memory is not measured, it must not block its thread, and
//! what it prints does not reach its log, which [`Context::log`] writes. Its time-out is 60 seconds.

use std::fmt::Display;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use cosette_model::Account;
use cosette_model::Region;
pub use cosette_server::contain::main_if_asked;
use cosette_server::{Binding, Closure, Config, Isolation, Server};
pub use cosette_server::{Context, Record as Invocation, RunError as Error, StatusCode};
use serde::Serialize;
use serde_json::Value;

/// Which changes of a bucket invoke which function.
#[derive(Clone, Debug)]
pub struct Trigger(Binding);

impl Trigger {
    /// All changes of `bucket` of that type: one of COS's, such as `cos:ObjectCreated:*`.
    pub fn new(bucket: impl Into<String>, event: impl Into<String>) -> Self {
        let none = String::new;
        Self(Binding {
            bucket: bucket.into(),
            event: event.into(),
            prefix: none(),
            suffix: none(),
            function: none(),
        })
    }

    /// Only keys that begin so.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.prefix = prefix.into();
        self
    }

    /// Only keys that end so. COS takes those that begin with a dot.
    #[must_use]
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.0.suffix = suffix.into();
        self
    }

    /// The function that is told.
    #[must_use]
    pub fn invokes(mut self, function: impl Into<String>) -> Self {
        self.0.function = function.into();
        self
    }
}

/// What a server is to be, before it is started.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    /// As it was given; checked when the server starts.
    region: Option<String>,
    buckets: Vec<String>,
    triggers: Vec<Trigger>,
}

impl Builder {
    /// Keeps everything in this directory. Without it nothing stays.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.data_dir = Some(dir.into());
        self
    }

    /// Where it listens; a free port of 127.0.0.1 if nobody says.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Answers exactly as the services do, also where that is of no help.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.config.strict = true;
        self
    }

    /// The region of what is made here; `ap-guangzhou` if nobody says.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Replaces the default account, which is the design's well-known one.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.config.accounts = vec![account];
        self
    }

    /// Between two attempts at a failed event; a minute if nobody says.
    #[must_use]
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.config.retry_interval = interval;
        self
    }

    /// Keeps functions that are processes apart from the machine and each other, where the kernel allows it. For that
    /// the program is started anew as a small launcher, so its `main` has to begin with [`main_if_asked`]:
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    ///
    /// fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    ///     if let Some(code) = cosette::main_if_asked() {
    ///         return Ok(code);
    ///     }
    ///     tokio::runtime::Runtime::new()?.block_on(async {
    ///         let cosette = cosette::Cosette::builder().isolated().start().await?;
    ///         cosette.stop().await?;
    ///         Ok(ExitCode::SUCCESS)
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn isolated(mut self) -> Self {
        self.config.isolation = Isolation::Auto;
        self
    }

    /// A bucket that is there when the server is.
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// A function that is a closure. It is given the event, and what it returns is the result, or the error that the
    /// attempt ends with; a panic is one, too.
    #[must_use]
    pub fn function<F, R, T, E>(mut self, name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Value, Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Display,
    {
        let run = Arc::new(run);
        self.config.closures.push(Closure {
            name: name.into(),
            run: Arc::new(move |event, context| {
                let run = Arc::clone(&run);
                Box::pin(async move {
                    let event = serde_json::from_str(&event).map_err(|error| error.to_string())?;
                    let result = run(event, context).await.map_err(|error| error.to_string())?;
                    serde_json::to_string(&result).map_err(|error| error.to_string())
                })
            }),
        });
        self
    }

    /// A trigger that is there when the server is. Its bucket and its function must be.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.triggers.push(trigger);
        self
    }

    /// Returns once the server takes requests.
    ///
    /// # Errors
    /// What was asked for cannot be, or functions are to be isolated and `main` did not begin with [`main_if_asked`];
    /// nothing has been started then, or all of it has been stopped again.
    pub async fn start(self) -> Result<Cosette, Error> {
        let Self { mut config, region, buckets, triggers } = self;
        if config.isolation == Isolation::Auto && !cosette_server::contain::is_prepared() {
            return Err(Error::Refused("isolated(): main has to begin with cosette::main_if_asked()".into()));
        }
        if let Some(region) = region {
            config.region =
                Region::new(region.as_str()).map_err(|error| Error::Refused(error.to_string()))?;
        }
        let server = Server::start(config).await?;
        let furnish = async {
            for bucket in &buckets {
                server.make_bucket(bucket).await?;
            }
            for trigger in triggers {
                server.bind(trigger.0).await?;
            }
            Ok(())
        };
        match furnish.await {
            Ok(()) => Ok(Cosette(server)),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }
}

/// A running server. Dropped, it takes no more requests; [`stop`](Self::stop) ends it in order.
pub struct Cosette(Server);

impl Cosette {
    pub fn builder() -> Builder {
        Builder {
            config: Config { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Config::default() },
            region: None,
            buckets: Vec::new(),
            triggers: Vec::new(),
        }
    }

    /// `http://127.0.0.1:PORT`, for any client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// Waits until every event has been delivered and all that followed has been done, at most for `patience`.
    /// Returns whether it has.
    ///
    /// # Errors
    /// The store's.
    pub async fn wait(&self, patience: Duration) -> Result<bool, Error> {
        self.0.quiet(patience).await
    }

    /// Moves the server's clock forward; all that comes due on the way is done, as far as `patience` lasts. Returns
    /// whether all of it has been.
    pub async fn advance(&self, by: Duration, patience: Duration) -> bool {
        self.0.advance(by, patience).await
    }

    /// Attempts at invocations of a function, newest first, at most `max`, each with its log.
    ///
    /// # Errors
    /// The store's.
    pub fn invocations(&self, function: &str, max: usize) -> Result<Vec<Invocation>, Error> {
        self.0.invocations(function, max)
    }

    /// Lets what runs end, and writes down what is not yet.
    ///
    /// # Errors
    /// The store's, when it cannot be closed in order.
    pub async fn stop(self) -> Result<(), Error> {
        self.0.stop().await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn isolation_is_not_forgotten_in_silence() {
        let Err(error) = Cosette::builder().isolated().start().await else { panic!("it started") };
        assert!(error.to_string().contains("main_if_asked"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_keeps_nothing_leaves_nothing_however_it_ends() {
        let left = || {
            let own = format!("cosette-{}-", std::process::id());
            let all = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
            all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&own)).count()
        };
        let nothing = |_: Value, _: Context| async { Ok::<_, String>(()) };
        // Refused once the functions have their folder.
        assert!(Cosette::builder().function("no name", nothing).start().await.is_err());
        assert_eq!(left(), 0);
        Cosette::builder().function("one", nothing).start().await.unwrap().stop().await.unwrap();
        assert_eq!(left(), 0);
    }
}
