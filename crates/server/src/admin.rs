//! The admin API under `/_cosette/`: what a test asks instead of sleeping. See `docs/admin-api.md`.

use std::time::Duration;

use cosette_function::{DEFAULT_NAMESPACE, Functions, Record};
use cosette_model::function::{FunctionName, FunctionRef, StatusCode as FunctionStatus};
use cosette_model::{BucketName, Change, ObjectKey, Region, Seq, Target, Timestamp, VersionId, duration};
use cosette_store::Store;
use cosette_trigger::{Delivery, DeliveryState, Triggers};
use cosette_webhook::Webhooks;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::body::{Outgoing, typed};
use crate::check::Scrubs;
use crate::story::{About, Story, Teller};
use crate::travel::Traveller;
use crate::{debugging, explain, steer, templates};

/// What the admin API looks at.
pub(crate) struct Admin {
    pub(crate) store: Store,
    pub(crate) scrubs: Scrubs,
    pub(crate) functions: Functions,
    pub(crate) webhooks: Webhooks,
    pub(crate) traveller: Traveller,
    /// Where functions are looked for first.
    pub(crate) region: Region,
    /// Our authority's, as PEM.
    pub(crate) certificate: String,
    /// Whether only this machine reaches the server.
    pub(crate) is_local: bool,
}

/// Rows of a list when the request names no `max`, and the most it may name.
const ROWS: usize = 1000;
/// Changes of an object that are explained, when the request names no `max`.
const EXPLAINED: usize = 100;
const ROWS_MAX: usize = 100_000;
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

    /// A function's name with its region: if nobody said it the server's own, or another that has one.
    pub(crate) fn located(&self, name: FunctionName) -> Result<FunctionName, Refused> {
        self.functions.located(name, self.region.as_str()).map_err(Refused::internal)
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

    async fn wait(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wait {
            #[serde(default = "half_a_minute")]
            timeout_ms: u64,
            request_id: Option<String>,
            after: Option<u64>,
        }
        let wait: Wait = asked(body).await?;
        let timeout = Duration::from_millis(wait.timeout_ms.min(WAIT_MS_MAX));
        let quiet =
            self.traveller.quiet(wait.request_id.as_deref(), timeout).await.map_err(Refused::internal)?;
        let mut answer = json!(quiet);
        let about = wait.request_id.map(About::Request).or(wait.after.map(|seq| About::After(Seq(seq))));
        if let Some(about) = about {
            let story = self.story(about, ROWS).await?;
            answer["changes"] = story.changes.iter().map(change).collect();
            answer["deliveries"] = story.deliveries.iter().map(delivery).collect();
            answer["invocations"] = story.invocations.iter().map(invocation).collect();
            answer["truncated"] = json!(story.truncated);
        }
        Ok(answer)
    }

    fn triggers(&self) -> &Triggers {
        &self.traveller.triggers
    }

    fn teller(&self) -> Teller {
        Teller {
            store: self.store.clone(),
            functions: self.functions.clone(),
            triggers: self.triggers().clone(),
        }
    }

    /// On a thread of its own: it may read much of the change log.
    async fn story(&self, about: About, max: usize) -> Result<Story, Refused> {
        let teller = self.teller();
        let told = tokio::task::spawn_blocking(move || teller.tell(&about, max));
        told.await.map_err(Refused::internal)?.map_err(Refused::internal)
    }

    async fn explain(&self, query: &Query) -> Result<Value, Refused> {
        let bucket = query.bucket()?.ok_or_else(|| Refused::bad("bucket must be named"))?;
        let key = query.get("key").ok_or_else(|| Refused::bad("key must be named"))?;
        let key = ObjectKey::new(key).map_err(|error| Refused::bad(error.to_string()))?;
        let version = query.get("version_id").map(VersionId::parse);
        let max = query.number("max")?.map_or(EXPLAINED, |max| usize::try_from(max).unwrap_or(ROWS));
        let teller = self.teller();
        let about = About::Object { bucket: bucket.clone(), key: key.clone(), version };
        let told = tokio::task::spawn_blocking(move || {
            let story = teller.tell(&about, max.max(1))?;
            let (timeline, is_cut) = explain::timeline(&story, &teller.triggers)?;
            Ok::<_, String>(json!({
                "bucket": bucket,
                "key": key,
                "from": story.from,
                "truncated": story.truncated || is_cut,
                "timeline": timeline,
            }))
        });
        told.await.map_err(Refused::internal)?.map_err(Refused::internal)
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

    fn clock(&self) -> Value {
        let clock = &self.traveller.clock;
        let times = clock.times();
        json!({
            "now": times.now.iso_millis(),
            "machine": times.machine.iso_millis(),
            "frozen": clock.is_frozen(),
        })
    }

    async fn move_clock(&self, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Move {
            advance: Option<String>,
            set: Option<String>,
            freeze: Option<bool>,
            #[serde(default = "half_a_minute")]
            timeout_ms: u64,
        }
        let asked: Move = asked(body).await?;
        let clock = &self.traveller.clock;
        // One after the other: how far an advance goes counts from where the clock is when its turn comes.
        let turn = self.traveller.turn().await;
        let to = match (&asked.advance, &asked.set) {
            (Some(by), None) => Some(clock.now().plus(duration::parse(by).map_err(Refused::bad)?)),
            (None, Some(to)) => {
                let wrong = || Refused::bad(format!("{to} is not a time such as 2030-01-01T00:00:00Z"));
                let to = Timestamp::parse_rfc3339(to).ok_or_else(wrong)?;
                if to < clock.now() {
                    return Err(Refused::bad("the clock does not go back"));
                }
                Some(to)
            }
            (None, None) if asked.freeze.is_some() => None,
            _ => return Err(Refused::bad("advance or set, or freeze alone")),
        };
        if to.is_some_and(|to| to > Timestamp::END) {
            return Err(Refused::bad("the clock ends with the year 9999"));
        }
        if let Some(freeze) = asked.freeze {
            clock.freeze(freeze);
        }
        let patience = Duration::from_millis(asked.timeout_ms.min(WAIT_MS_MAX));
        let to = to.unwrap_or_else(|| clock.now());
        // To its end, even if nobody waits for the answer any more.
        let traveller = self.traveller.clone();
        let journey = tokio::spawn(async move {
            let _turn = turn;
            traveller.go(to, patience).await
        });
        let settled = journey.await.map_err(Refused::internal)?;
        let mut answer = self.clock();
        answer["settled"] = json!(settled);
        Ok(answer)
    }

    /// Changes, and with `ended_after` also deliveries that have ended; with `wait_ms` not before there is one.
    async fn changes(&self, query: &Query) -> Result<Value, Refused> {
        let patience = Duration::from_millis(query.number("wait_ms")?.unwrap_or(0).min(WAIT_MS_MAX));
        let bucket = query.bucket()?;
        let prefix = query.get("key_prefix").unwrap_or_default();
        let takes = |of: &BucketName, key: Option<&ObjectKey>| {
            bucket.as_ref().is_none_or(|bucket| bucket == of)
                && (prefix.is_empty() || key.is_some_and(|key| key.as_str().starts_with(prefix)))
        };
        let after = query.number("after")?.unwrap_or(0).min(u64::MAX / 2);
        let (mut after, max) = (Seq(after), query.max()?);
        let mut ended_after = query.number("ended_after")?;
        let mut steps = self.triggers().steps();
        let end = Instant::now() + patience;
        let (found, ended, head) = loop {
            steps.borrow_and_update();
            let (mut found, mut head) = (Vec::new(), self.store.head());
            while found.len() < max {
                let page = self.store.changes(after, ROWS).map_err(Refused::internal)?;
                let Some(last) = page.last() else { break };
                (after, head) = (last.seq, head.max(last.seq));
                found.extend(page.into_iter().filter(|c| takes(&c.bucket, c.key.as_ref())));
                // A filter may leave out all of a long log: others have their turn meanwhile.
                tokio::task::yield_now().await;
            }
            if found.len() > max {
                found.truncate(max);
                after = found.last().map_or(after, |last| last.seq);
            }
            let mut ended = Vec::new();
            if let Some(number) = &mut ended_after {
                while ended.is_empty() {
                    let (page, next) = self.triggers().ended(*number, ROWS).map_err(Refused::internal)?;
                    ended.extend(page.into_iter().filter(|delivery| match &delivery.source {
                        Some(source) => takes(&source.bucket, Some(&source.key)),
                        None => bucket.is_none() && prefix.is_empty(),
                    }));
                    if std::mem::replace(number, next) == next {
                        break;
                    }
                }
            }
            if !found.is_empty() || !ended.is_empty() {
                break (found, ended, head);
            }
            let woken = async {
                tokio::select! {
                    // The sender lives as long as the server.
                    _ = steps.changed() => {}
                    () = self.store.changed(head) => {}
                }
            };
            if patience.is_zero() || tokio::time::timeout_at(end, woken).await.is_err() {
                break (found, ended, head);
            }
        };
        let mut answer = json!({
            "changes": found.iter().map(change).collect::<Vec<_>>(),
            "head": head,
            "next": after,
        });
        if let Some(number) = ended_after {
            answer["ended"] = ended.iter().map(delivery).collect();
            answer["ended_next"] = json!(number);
        }
        Ok(answer)
    }

    fn deliveries(&self, query: &Query) -> Result<Value, Refused> {
        let found = self.traveller.triggers.deliveries(query.max()?).map_err(Refused::internal)?;
        Ok(json!({ "deliveries": found.iter().map(delivery).collect::<Vec<_>>() }))
    }

    fn invocations(&self, query: &Query) -> Result<Value, Refused> {
        let text = |name, otherwise: &str| query.get(name).unwrap_or(otherwise).to_owned();
        let named = |name: &str| FunctionName {
            region: text("region", ""),
            namespace: text("namespace", DEFAULT_NAMESPACE),
            name: name.to_owned(),
        };
        let function = query.get("function").map(|name| self.located(named(name))).transpose()?;
        let found = self.functions.records(function.as_ref(), query.max()?).map_err(Refused::internal)?;
        Ok(json!({ "invocations": found.iter().map(invocation).collect::<Vec<_>>() }))
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

pub(crate) fn change(change: &Change) -> Value {
    json!({
        "seq": change.seq,
        "time": change.time.iso_millis(),
        "kind": change.kind.name(),
        "bucket": change.bucket,
        "region": change.region,
        "key": change.key,
        "versionId": change.version_id.as_ref().map(|version| version.as_str()),
        "size": change.size,
        "etag": change.etag,
        "requestId": change.cause.request_id,
        "sourceIp": change.cause.source_ip,
        "invocation": change.cause.invocation(),
        "depth": change.cause.depth,
        "rule": change.cause.rule,
    })
}

pub(crate) fn delivery(delivery: &Delivery) -> Value {
    let (state, detail) = match &delivery.state {
        DeliveryState::Pending => ("pending", None),
        DeliveryState::Held => ("held", None),
        DeliveryState::Running => ("running", None),
        DeliveryState::Retrying { at } => ("retrying", Some(at.iso_millis())),
        DeliveryState::Succeeded => ("succeeded", None),
        DeliveryState::Dead { why } => ("dead", Some(why.clone())),
    };
    json!({
        "id": delivery.id,
        "state": state,
        "detail": detail,
        "function": delivery.target.function().map(function),
        "target": target(&delivery.target),
        "created": delivery.created.iso_millis(),
        "letterOf": delivery.letter_of,
        "event": serde_json::from_str(&delivery.event).unwrap_or(Value::Null),
        "timer": delivery.timer,
        "source": delivery.source.as_ref().map(|source| json!({
            "seq": source.seq,
            "rule": source.rule,
            "event": source.event.name(),
            "bucket": source.bucket,
            "key": source.key,
            "requestId": source.request_id,
        })),
        "chain": delivery.chain.links.iter().map(|link| json!({
            "requestId": link.request_id,
            "what": link.what,
            "function": link.function,
            "invocation": link.invocation,
        })).collect::<Vec<_>>(),
        "depth": delivery.chain.depth,
        "repeats": delivery.repeats,
        "attempts": delivery.attempts.iter().map(|attempt| json!({
            "started": attempt.started.iso_millis(),
            "ended": attempt.ended.iso_millis(),
            "status": attempt.status.number(),
            "error": attempt.error,
            "answer": attempt.answer,
        })).collect::<Vec<_>>(),
    })
}

pub(crate) fn invocation(record: &Record) -> Value {
    let outcome = record.outcome.as_ref();
    json!({
        "requestId": record.request_id,
        "function": function(&record.function),
        "version": record.version.map(|version| version.to_string()),
        "source": record.source,
        "retry": record.retry,
        "started": record.started.iso_millis(),
        "status": outcome.map(|outcome| FunctionStatus::number(outcome.status)),
        "durationMs": outcome.map(|outcome| outcome.duration_ms),
        "memoryBytes": outcome.map(|outcome| outcome.memory_bytes),
        "result": outcome.map(|outcome| &outcome.result),
        "error": outcome.map(|outcome| &outcome.error),
        "log": outcome.map(|outcome| &outcome.log),
        "by": record.by,
        "refused": record.refused,
        "event": record.event,
    })
}

fn function(function: &FunctionRef) -> Value {
    json!({
        "region": function.region,
        "namespace": function.namespace,
        "name": function.name,
        "qualifier": function.qualifier,
    })
}

pub(crate) fn target(target: &Target) -> Value {
    match target {
        Target::Function(of) => json!({ "function": function(of) }),
        Target::Webhook { webhook } => json!({ "webhook": webhook }),
        Target::Bucket { bucket, prefix } => json!({ "bucket": bucket, "prefix": prefix }),
    }
}

/// The query's parameters, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn of(parts: &Parts) -> Result<Self, Refused> {
        let text = parts.uri.query().unwrap_or_default();
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " "))
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| Refused::bad("the query is not UTF-8"))
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, Refused>>()?))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let parse = |text: &str| text.parse().map_err(|_| Refused::bad(format!("{name} must be a number")));
        self.get(name).map(parse).transpose()
    }

    fn bucket(&self) -> Result<Option<BucketName>, Refused> {
        let read = |name: &str| BucketName::new(name).map_err(|error| Refused::bad(error.to_string()));
        self.get("bucket").map(read).transpose()
    }

    fn max(&self) -> Result<usize, Refused> {
        let max = self.number("max")?.map_or(ROWS, |max| usize::try_from(max).unwrap_or(ROWS_MAX));
        Ok(max.min(ROWS_MAX))
    }
}
