//! Webhooks: named URLs that messages are posted to, in the place of queues and topics. Knows no rule and no
//! delivery; when a message is sent and sent again is for who invokes it.

mod post;
mod signature;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cosette_clock::Clock;
use cosette_model::Target;
use cosette_model::function::{Description, Invocation, Invoke, Outcome, RetryPolicy};
use cosette_outgoing::Client;
use cosette_store::{Store, Table, Tx};
use serde::{Deserialize, Serialize};

pub use signature::{HEADER as SIGNATURE_HEADER, sign};

/// Longest name: a queue's.
const NAME_MAX: usize = 80;

/// How long one may take to answer, in milliseconds: by default, and at most.
const TIMEOUT_MS: (u64, u64) = (30_000, 900_000);

/// Posts to one webhook at once: by default, and at most.
const CONCURRENCY: (usize, usize) = (8, 1000);

/// Bytes of a secret that we make.
const SECRET_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(String),
    #[error("webhook {0} does not exist")]
    NoSuchWebhook(String),
    #[error("webhook {0} is the command line's")]
    Configured(String),
    #[error(transparent)]
    Store(#[from] cosette_store::Error),
}

/// One webhook. What is left out in JSON has its default.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Also the queue's or topic's that it stands for.
    pub name: String,
    /// `http` or `https`.
    pub url: String,
    /// What posts are signed with; `""` for not at all. Left out, one is made.
    #[serde(default)]
    pub secret: Option<String>,
    /// For the answer's head to come, and again for as much of its body as is kept.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Further posts after an answer that says it will not be taken: 0 to 2.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Oldest age of a message that is still tried, in seconds: 60 to 21600.
    #[serde(default = "max_age_secs")]
    pub max_age_secs: u32,
    /// At most this many posts at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// Who is told of what could not be delivered.
    #[serde(default)]
    pub dead_letter: Option<Target>,
}

/// Without its secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

fn timeout_ms() -> u64 {
    TIMEOUT_MS.0
}

fn retries() -> u32 {
    RetryPolicy::default().retries
}

fn max_age_secs() -> u32 {
    RetryPolicy::default().max_age_secs
}

fn concurrency() -> usize {
    CONCURRENCY.0
}

impl Webhook {
    /// One of the command line: unsigned, and else as by default.
    pub fn plain(name: &str, url: &str) -> Result<Self, Error> {
        let webhook = Self {
            name: name.to_owned(),
            url: url.to_owned(),
            secret: Some(String::new()),
            timeout_ms: timeout_ms(),
            retries: retries(),
            max_age_secs: max_age_secs(),
            concurrency: concurrency(),
            dead_letter: None,
        };
        webhook.check()?;
        Ok(webhook)
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |words: String| Err(Error::Invalid(words));
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.bytes().all(named) {
            return invalid(format!("a webhook's name has 1 to {NAME_MAX} letters, digits, and - _ ."));
        }
        let url = self.url.parse::<http::Uri>().ok();
        if !url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some_and(|to| !to.as_str().contains('@'))
        }) {
            return invalid(format!("{} is no http or https URL", self.url));
        }
        if !(1..=TIMEOUT_MS.1).contains(&self.timeout_ms) {
            return invalid(format!("timeout_ms is between 1 and {}", TIMEOUT_MS.1));
        }
        if self.retries > 2 {
            return invalid("retries is between 0 and 2".into());
        }
        if !(60..=21_600).contains(&self.max_age_secs) {
            return invalid("max_age_secs is between 60 and 21600".into());
        }
        if !(1..=CONCURRENCY.1).contains(&self.concurrency) {
            return invalid(format!("concurrency is between 1 and {}", CONCURRENCY.1));
        }
        Ok(())
    }
}

/// The webhooks there are; clones share them.
#[derive(Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    client: Client,
    /// Those of the command line, which are not stored.
    configured: BTreeMap<String, Webhook>,
    stored: RwLock<BTreeMap<String, Webhook>>,
    /// Changes come one after the other, in the store as in memory.
    turn: tokio::sync::Mutex<()>,
}

impl Webhooks {
    /// # Errors
    /// The store's; `Corrupt` for a row that cannot be read.
    pub fn open(
        store: Store,
        clock: Clock,
        client: Client,
        configured: Vec<Webhook>,
    ) -> Result<Self, cosette_store::Error> {
        let mut stored = BTreeMap::new();
        for (_, row) in store.scan(Table::Webhook, &[], None, usize::MAX)? {
            let damaged = |error| cosette_store::Error::Corrupt { what: format!("webhook row: {error}") };
            let webhook: Webhook = serde_json::from_slice(&row).map_err(damaged)?;
            stored.insert(webhook.name.clone(), webhook);
        }
        let configured = configured.into_iter().map(|webhook| (webhook.name.clone(), webhook)).collect();
        let (stored, turn) = (RwLock::new(stored), tokio::sync::Mutex::default());
        Ok(Self { shared: Arc::new(Shared { store, clock, client, configured, stored, turn }) })
    }

    /// In the order of their names.
    pub fn list(&self) -> Vec<Webhook> {
        let mut all = self.shared.stored.read().unwrap_or_else(PoisonError::into_inner).clone();
        all.extend(self.shared.configured.clone());
        all.into_values().collect()
    }

    pub fn get(&self, name: &str) -> Option<Webhook> {
        if let Some(found) = self.shared.configured.get(name) {
            return Some(found.clone());
        }
        self.shared.stored.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Makes it, or puts it in the place of the one of its name, whose secret it keeps if it brings none.
    ///
    /// # Errors
    /// `Invalid`, `Configured`, and the store's.
    pub async fn put(&self, webhook: Webhook) -> Result<Webhook, Error> {
        let webhooks = self.clone();
        whole(async move { webhooks.put_now(webhook).await }).await
    }

    async fn put_now(&self, mut webhook: Webhook) -> Result<Webhook, Error> {
        webhook.check()?;
        if self.shared.configured.contains_key(&webhook.name) {
            return Err(Error::Configured(webhook.name));
        }
        let _turn = self.shared.turn.lock().await;
        if webhook.secret.is_none() {
            let before = self.get(&webhook.name).and_then(|before| before.secret);
            webhook.secret = Some(before.map_or_else(secret, Ok)?);
        }
        let row = serde_json::to_vec(&webhook).map_err(|error| Error::Invalid(error.to_string()))?;
        let key = webhook.name.clone().into_bytes();
        let write = move |tx: &mut Tx<'_>| {
            tx.put(Table::Webhook, &key, row);
            Ok::<_, cosette_store::Error>(())
        };
        self.shared.store.commit(write).await?;
        let mut stored = self.shared.stored.write().unwrap_or_else(PoisonError::into_inner);
        stored.insert(webhook.name.clone(), webhook.clone());
        Ok(webhook)
    }

    /// What still is to be delivered to it then fails.
    ///
    /// # Errors
    /// `NoSuchWebhook`, `Configured`, and the store's.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let (webhooks, name) = (self.clone(), name.to_owned());
        whole(async move { webhooks.delete_now(&name).await }).await
    }

    async fn delete_now(&self, name: &str) -> Result<(), Error> {
        if self.shared.configured.contains_key(name) {
            return Err(Error::Configured(name.to_owned()));
        }
        let _turn = self.shared.turn.lock().await;
        if self.get(name).is_none() {
            return Err(Error::NoSuchWebhook(name.to_owned()));
        }
        let key = name.as_bytes().to_vec();
        let write = move |tx: &mut Tx<'_>| {
            tx.delete(Table::Webhook, &key);
            Ok::<_, cosette_store::Error>(())
        };
        self.shared.store.commit(write).await?;
        self.shared.stored.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

/// Does it to its end though who asked for it may leave: memory must not part from the store.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let died = |error: tokio::task::JoinError| Err(Error::Invalid(error.to_string()));
    tokio::spawn(change).await.unwrap_or_else(died)
}

fn secret() -> Result<String, Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::Invalid(format!("no secret can be made: {error}")))?;
    Ok(hex::encode(bytes))
}

impl Invoke for Webhooks {
    fn invoke<'a>(&'a self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            let found = match &invocation.target {
                Target::Webhook { webhook } => self.get(webhook),
                Target::Function(_) | Target::Bucket { .. } => None,
            };
            post::run(&self.shared.client, &self.shared.clock, found, invocation).await
        })
    }

    fn describe(&self, target: &Target) -> Option<Description> {
        let Target::Webhook { webhook } = target else { return None };
        let found = self.get(webhook)?;
        Some(Description {
            home: None,
            retry: RetryPolicy { retries: found.retries, max_age_secs: found.max_age_secs },
            concurrency: found.concurrency,
            dead_letter: found.dead_letter,
        })
    }
}

/// The longest to wait for an answer.
pub(crate) fn patience(webhook: &Webhook) -> Duration {
    Duration::from_millis(webhook.timeout_ms)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::task::Poll;

    use cosette_model::Timestamp;
    use cosette_store::{Durability, Options};

    use super::*;

    fn webhooks() -> Webhooks {
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let configured = vec![Webhook::plain("fixed", "http://127.0.0.1:1/").unwrap()];
        Webhooks::open(store, clock, Client::default(), configured).unwrap()
    }

    fn asked(json: &str) -> Webhook {
        serde_json::from_str(json).unwrap()
    }

    #[tokio::test]
    async fn a_webhook_is_made_changed_and_removed() {
        let webhooks = webhooks();
        let made =
            webhooks.put(asked(r#"{"name":"orders","url":"http://localhost:8000/in"}"#)).await.unwrap();
        assert_eq!(made.secret.as_ref().map(String::len), Some(64));
        assert!(!format!("{made:?}").contains(made.secret.as_deref().unwrap()));
        assert_eq!(
            (made.timeout_ms, made.retries, made.max_age_secs, made.concurrency),
            (30_000, 2, 21_600, 8)
        );
        let changed = webhooks.put(asked(r#"{"name":"orders","url":"https://example.com"}"#)).await.unwrap();
        assert_eq!(changed.secret, made.secret);
        let names: Vec<_> = webhooks.list().into_iter().map(|webhook| webhook.name).collect();
        assert_eq!(names, ["fixed", "orders"]);
        let again = Webhooks::open(
            webhooks.shared.store.clone(),
            webhooks.shared.clock.clone(),
            Client::default(),
            Vec::new(),
        );
        assert_eq!(again.unwrap().list(), [changed]);
        webhooks.delete("orders").await.unwrap();
        assert!(matches!(webhooks.delete("orders").await, Err(Error::NoSuchWebhook(_))));
        assert!(matches!(webhooks.delete("fixed").await, Err(Error::Configured(_))));
        assert!(webhooks.describe(&Target::Webhook { webhook: "orders".into() }).is_none());
        assert!(webhooks.describe(&Target::Webhook { webhook: "fixed".into() }).is_some());
    }

    /// Looks at it once, and lets it go.
    async fn begun<T>(change: impl Future<Output = T>) {
        let mut change = Box::pin(change);
        assert!(std::future::poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx))).await.is_pending());
    }

    #[tokio::test]
    async fn a_change_is_whole_though_who_asked_for_it_leaves() {
        let webhooks = webhooks();
        let until = async |there: bool| {
            let seen = async {
                while webhooks.get("a").is_some() != there {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
        };
        let put = webhooks.put(asked(r#"{"name":"a","url":"http://localhost"}"#));
        begun(put).await;
        until(true).await;
        begun(webhooks.delete("a")).await;
        until(false).await;
    }

    #[tokio::test]
    async fn what_could_never_be_posted_to_is_refused() {
        let webhooks = webhooks();
        for wrong in [
            r#"{"name":"","url":"http://localhost"}"#,
            r#"{"name":"a/b","url":"http://localhost"}"#,
            r#"{"name":"a","url":"localhost"}"#,
            r#"{"name":"a","url":"ftp://localhost"}"#,
            r#"{"name":"a","url":"http://user@localhost"}"#,
            r#"{"name":"a","url":"http://localhost","timeout_ms":0}"#,
            r#"{"name":"a","url":"http://localhost","retries":3}"#,
            r#"{"name":"a","url":"http://localhost","max_age_secs":59}"#,
            r#"{"name":"a","url":"http://localhost","concurrency":0}"#,
        ] {
            assert!(matches!(webhooks.put(asked(wrong)).await, Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
