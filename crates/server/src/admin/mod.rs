//! The admin API under `/_cosette/`: what a test asks instead of sleeping. See `docs/admin-api.md`.
//!
//! Here is who answers what; `history` says what happened, `show` how it is written, `clock` moves the clock.
//! Others are beside this module, by theme: `rules`, `steer`, `templates`, `folder`, `debugging`.

mod clock;
mod history;
mod query;
mod show;

use std::sync::Arc;
use std::time::Duration;

use cosette_function::Functions;
use cosette_model::Accounts as _;
use cosette_model::function::{FunctionName, Home};
use cosette_store::Store;
use cosette_trigger::Triggers;
use cosette_webhook::Webhooks;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::body::{Outgoing, typed};
use crate::check::Scrubs;
use crate::travel::Traveller;
use crate::{debugging, steer, templates};
pub(crate) use query::Query;
pub(crate) use show::{change, delivery, invocation, target};

/// What the admin API looks at.
pub(crate) struct Admin {
    pub(crate) store: Store,
    pub(crate) scrubs: Scrubs,
    pub(crate) functions: Functions,
    pub(crate) webhooks: Webhooks,
    pub(crate) traveller: Traveller,
    /// Where functions are looked for first: the default account and the server's region.
    pub(crate) home: Home,
    pub(crate) accounts: Arc<Accounts>,
    /// Our authority's, as PEM.
    pub(crate) certificate: String,
    /// Whether only this machine reaches the server.
    pub(crate) is_local: bool,
}

/// Rows of a list when the request names no `max`.
const ROWS: usize = 1000;
/// Request bodies, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Longest wait, in milliseconds: an hour.
const WAIT_MS_MAX: u64 = 3_600_000;

/// A refusal: status and words.
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) String);

impl Refused {
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, words.into())
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "admin request failed");
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl Admin {
    pub(crate) async fn answer(&self, path: &str, parts: Parts, body: Incoming) -> Response<Outgoing> {
        if (&parts.method, path) == (&Method::GET, "ca") {
            return typed(StatusCode::OK, "application/x-pem-file", self.certificate.clone());
        }
        if let Some(token) = path.strip_prefix("packages/")
            && parts.method == Method::GET
        {
            return self.package(token).await;
        }
        let query = Query::of(&parts);
        let answer = match (&parts.method, path) {
            // Only browsers say it; a page from anywhere can post text here without asking.
            (method, _) if !method.is_safe() && parts.headers.contains_key(header::ORIGIN) => {
                Err(Refused(StatusCode::FORBIDDEN, "pages in a browser change nothing here".to_owned()))
            }
            (&Method::GET | &Method::HEAD, "health") => Ok(self.health()),
            (&Method::POST, "wait") => self.wait(body).await,
            (&Method::GET, "explain") => match query {
                Ok(query) => self.explain(&query).await,
                Err(refused) => Err(refused),
            },
            (&Method::POST, "scrub") => self.scrub(body).await,
            (&Method::GET, "clock") => Ok(self.clock()),
            (&Method::POST, "clock") => self.move_clock(body).await,
            (&Method::GET, "changes") => match query {
                Ok(query) => self.changes(&query).await,
                Err(refused) => Err(refused),
            },
            (&Method::GET, "deliveries") => query.and_then(|query| self.deliveries(&query)),
            (&Method::GET, "invocations") => query.and_then(|query| self.invocations(&query)),
            (&Method::GET, "templates") => Ok(templates::list()),
            (&Method::GET, path) if let Some(name) = path.strip_prefix("templates/") => match query {
                Ok(query) => self.template(name, &query).await,
                Err(refused) => Err(refused),
            },
            (&Method::POST, "folder") => self.run_from(&parts, body).await,
            (&Method::GET, "rules") => self.rules(),
            (&Method::POST, "rules") => self.make_rule(body).await,
            (&Method::GET, "webhooks") => Ok(self.list_webhooks()),
            (&Method::POST, "webhooks") => self.put_webhook(body).await,
            (&Method::POST, "debug") => match asked(body).await {
                Ok(asked) => debugging::debug(self, asked).await,
                Err(refused) => Err(refused),
            },
            (&Method::POST, "dead_letter") => self.set_dead_letter(body).await,
            (&Method::DELETE, path) if path.starts_with("rules/") => self.delete_rule(&path[6..]).await,
            (&Method::DELETE, path) if path.starts_with("webhooks/") => self.delete_webhook(&path[9..]).await,
            (&Method::GET, "hold") => Ok(steer::holds(self.triggers())),
            (&Method::POST, "hold") => {
                asked(body).await.and_then(|asked| steer::hold(self.triggers(), asked))
            }
            (&Method::POST, "release") => {
                asked(body).await.and_then(|asked| steer::release(self.triggers(), asked))
            }
            (&Method::POST, path) if let Some(rest) = path.strip_prefix("deliveries/") => {
                self.steer(rest, body).await
            }
            (
                _,
                "ca" | "debug" | "rules" | "folder" | "templates" | "webhooks" | "dead_letter" | "health"
                | "wait" | "explain" | "scrub" | "clock" | "changes" | "deliveries" | "invocations" | "hold"
                | "release",
            ) => Err(Refused(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{} does not take {}", path, parts.method),
            )),
            _ => Err(Refused(StatusCode::NOT_FOUND, format!("there is no /_cosette/{path}"))),
        };
        let (status, value) = match answer {
            Ok(value) => (StatusCode::OK, value),
            Err(Refused(status, words)) => (status, json!({ "error": words })),
        };
        typed(status, "application/json", value.to_string())
    }

    /// The APPID of the account that is named, by that or by the SecretId of one of its keys; if none is, the default's.
    pub(crate) fn account(&self, named: Option<&str>) -> Result<String, Refused> {
        let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok(self.home.appid.clone()) };
        if self.accounts.owner(named).is_some() {
            return Ok(named.to_owned());
        }
        let key = self.accounts.by_secret_id(named);
        let unknown = || Refused(StatusCode::NOT_FOUND, format!("there is no account {named}"));
        Ok(key.ok_or_else(unknown)?.account.appid.clone())
    }

    /// A function's name with its region: if nobody said it the server's own, or another that has one.
    pub(crate) fn located(&self, name: FunctionName) -> Result<FunctionName, Refused> {
        self.functions.located(name, &self.home.region).map_err(Refused::internal)
    }

    /// A package that a link of the Cloud API leads to.
    async fn package(&self, token: &str) -> Response<Outgoing> {
        match self.functions.download(token).await {
            Ok(Some(zip)) => typed(StatusCode::OK, "application/zip", zip),
            Ok(None) => {
                typed(StatusCode::NOT_FOUND, "text/plain", "the link has ended, or the package is gone\n")
            }
            Err(error) => {
                tracing::error!(%error, "a package cannot be read");
                typed(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "the package cannot be read\n")
            }
        }
    }

    fn health(&self) -> Value {
        json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "head": self.store.head(),
            "running": self.functions.running(),
        })
    }

    fn triggers(&self) -> &Triggers {
        &self.traveller.triggers
    }

    /// `ID/replay` and the like.
    async fn steer(&self, rest: &str, body: Incoming) -> Result<Value, Refused> {
        let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
        match what {
            "replay" => steer::replay(self.triggers(), id, asked(body).await?).await,
            "duplicate" => {
                let steer::Nothing {} = asked(body).await?;
                steer::replay(self.triggers(), id, steer::Replay::default()).await
            }
            "drop" => {
                let steer::Nothing {} = asked(body).await?;
                steer::drop(self.triggers(), id).await
            }
            "delay" => steer::delay(self.triggers(), id, asked(body).await?).await,
            _ => Err(Refused(StatusCode::NOT_FOUND, format!("there is no /_cosette/deliveries/{rest}"))),
        }
    }

    async fn scrub(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Scrub {
            #[serde(default)]
            wait_ms: u64,
            #[serde(default = "yes")]
            start: bool,
        }
        fn yes() -> bool {
            true
        }
        let scrub: Scrub = asked(body).await?;
        if scrub.start {
            self.scrubs.start();
        }
        let patience = Duration::from_millis(scrub.wait_ms.min(WAIT_MS_MAX));
        self.scrubs.look(patience).await.map_err(Refused::internal)
    }
}

fn half_a_minute() -> u64 {
    30_000
}

/// What the request's body asks for, in JSON; nothing asks for nothing in particular.
pub(crate) async fn asked<T: DeserializeOwned>(body: Incoming) -> Result<T, Refused> {
    let body = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| Refused::bad(error.to_string()))?
        .to_bytes();
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| Refused::bad(error.to_string()))
}
