//! What happened: changes, deliveries and invocations, as lists, as the story of a request, as an object's timeline.

use std::time::Duration;

use cosette_function::DEFAULT_NAMESPACE;
use cosette_model::function::FunctionName;
use cosette_model::{BucketName, ObjectKey, Seq, VersionId};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Admin, Query, ROWS, Refused, WAIT_MS_MAX, asked, change, delivery, half_a_minute, invocation};
use crate::explain;
use crate::story::{About, Story, Teller};

/// Changes of an object that are explained, when the request names no `max`.
const EXPLAINED: usize = 100;

impl Admin {
    pub(super) async fn wait(&self, body: Incoming) -> Result<Value, Refused> {
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

    pub(super) async fn explain(&self, query: &Query) -> Result<Value, Refused> {
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

    /// Changes, and with `ended_after` also deliveries that have ended; with `wait_ms` not before there is one.
    pub(super) async fn changes(&self, query: &Query) -> Result<Value, Refused> {
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

    pub(super) fn deliveries(&self, query: &Query) -> Result<Value, Refused> {
        let found = self.traveller.triggers.deliveries(query.max()?).map_err(Refused::internal)?;
        Ok(json!({ "deliveries": found.iter().map(delivery).collect::<Vec<_>>() }))
    }

    pub(super) fn invocations(&self, query: &Query) -> Result<Value, Refused> {
        let text = |name, otherwise: &str| query.get(name).unwrap_or(otherwise).to_owned();
        let appid = self.account(query.get("account"))?;
        let named = |name: &str| FunctionName {
            appid: appid.clone(),
            region: text("region", ""),
            namespace: text("namespace", DEFAULT_NAMESPACE),
            name: name.to_owned(),
        };
        let function = query.get("function").map(|name| self.located(named(name))).transpose()?;
        let found = self.functions.records(function.as_ref(), query.max()?).map_err(Refused::internal)?;
        Ok(json!({ "invocations": found.iter().map(invocation).collect::<Vec<_>>() }))
    }
}
