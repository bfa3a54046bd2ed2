//! A store with one bucket, a clock that stands still, scripted functions, and the triggers between them.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::function::FunctionRef;
use cosette_model::op::{Owner, WriteConditions};
use cosette_model::{
    Attributes, BucketName, Cause, Chain, EventPattern, ObjectKey, Region, Style, Timestamp, Wanted,
};
use cosette_store::{Durability, PutObject, Store, Tx};
use cosette_trigger::{Delivery, Error, NewRule, Options, Quiet, Rule, RuleSelector, Triggers};

use super::scripted::Scripted;

pub(crate) const PUT: &str = "cos:ObjectCreated:Put";
pub(crate) const ANY: &str = "cos:ObjectCreated:*";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A test that waits longer than this for what it waits for has failed.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("what was waited for did not happen")
}

pub(crate) fn bucket() -> BucketName {
    BucketName::new("examplebucket-1250000000").unwrap()
}

pub(crate) fn function(name: &str) -> FunctionRef {
    FunctionRef {
        appid: "1250000000".into(),
        region: "ap-guangzhou".into(),
        namespace: "default".into(),
        name: name.into(),
        qualifier: "$DEFAULT".into(),
        routed: None,
    }
}

pub(crate) fn new_rule(name: &str, event: &str, prefix: &str) -> NewRule {
    NewRule {
        bucket: bucket(),
        event: EventPattern::parse(event).unwrap(),
        prefix: prefix.into(),
        suffix: String::new(),
        target: function(name).into(),
        style: Style::Cos,
        description: String::new(),
        enabled: true,
    }
}

pub(crate) fn selector(name: &str, event: &str) -> RuleSelector {
    RuleSelector {
        target: function(name).into(),
        bucket: bucket(),
        event: EventPattern::parse(event).unwrap(),
        prefix: None,
        suffix: None,
    }
}

/// Puts an object, as the request of this id.
pub(crate) async fn put(store: &Store, key: &str, request_id: &str) {
    put_by(store, key, request_id, Chain::default()).await;
}

/// Puts an object as an invocation at the end of this chain.
pub(crate) async fn put_by(store: &Store, key: &str, request_id: &str, chain: Chain) {
    let mut staged = store.stage(Some(5), Wanted::default()).unwrap();
    staged.write(Bytes::from_static(b"hello")).await.unwrap();
    let body = staged.seal().await.unwrap();
    let put = PutObject {
        bucket: bucket().into(),
        key: ObjectKey::new(key).unwrap(),
        attributes: Attributes::default(),
        properties: Default::default(),
        checksum_type: None,
        conditions: WriteConditions::default(),
        symlink: None,
        body,
        event: cosette_model::EventType::CreatedPut,
        cause: Cause { request_id: request_id.into(), ..Cause::default() }.of(chain),
    };
    store.put_object(put).await.unwrap();
}

pub(crate) struct World {
    pub store: Store,
    pub clock: Clock,
    pub functions: Arc<Scripted>,
    pub triggers: Triggers,
    pub options: Options,
    dir: Option<PathBuf>,
    requests: AtomicUsize,
}

impl World {
    pub(crate) async fn memory() -> Self {
        Self::memory_with(Options { retry_interval: MINUTE, finished_max: 1000, loop_limit: 16 }).await
    }

    pub(crate) async fn memory_with(options: Options) -> Self {
        Self::new(None, options).await
    }

    /// On disk, to be opened again by [`restart`](Self::restart).
    pub(crate) async fn directory() -> Self {
        let dir = std::env::temp_dir().join(format!("cosette-trigger-{}", uuid::Uuid::new_v4()));
        Self::new(Some(dir), Options { retry_interval: MINUTE, finished_max: 1000, loop_limit: 16 }).await
    }

    async fn new(dir: Option<PathBuf>, options: Options) -> Self {
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let functions = Arc::new(Scripted::default());
        let world = Self::open(dir, clock, functions, options);
        let owner = Owner { uin: "100000000001".into(), appid: "1250000000".into(), name: String::new() };
        let region = Region::new("ap-guangzhou").unwrap();
        world.store.create_bucket(bucket(), region, owner, Cause::default()).await.unwrap();
        world
    }

    fn open(dir: Option<PathBuf>, clock: Clock, functions: Arc<Scripted>, options: Options) -> Self {
        let store_options = cosette_store::Options {
            dir: dir.clone(),
            durability: Durability::Relaxed,
            cache_bytes: 16 << 20,
        };
        let store = Store::open(store_options, clock.clone()).unwrap();
        let triggers =
            Triggers::start(store.clone(), clock.clone(), functions.clone(), options.clone()).unwrap();
        Self { store, clock, functions, triggers, options, dir, requests: AtomicUsize::new(0) }
    }

    /// Stops, letting go of what runs, and opens the same directory again.
    pub(crate) async fn restart(mut self) -> Self {
        in_time(self.triggers.stop(Duration::ZERO)).await;
        self.store.close().await.unwrap();
        let dir = self.dir.take();
        let (clock, functions, options) = (self.clock.clone(), self.functions.clone(), self.options.clone());
        drop(self);
        Self::open(dir, clock, functions, options)
    }

    pub(crate) async fn put(&self, key: &str) -> String {
        let request_id = format!("request-{}", self.requests.fetch_add(1, Ordering::Relaxed));
        put(&self.store, key, &request_id).await;
        request_id
    }

    pub(crate) async fn rule(&self, name: &str, event: &str, prefix: &str) -> Result<Rule, Error> {
        self.triggers.create_rule(new_rule(name, event, prefix)).await
    }

    /// As the commit does it that takes a function away, or one of its qualifiers.
    pub(crate) async fn forget(&self, name: &'static str, qualifier: Option<&'static str>) {
        let forget = move |tx: &mut Tx<'_>| Triggers::forget(tx, &function(name).full_name(), qualifier);
        self.store.commit::<_, cosette_store::Error, _>(forget).await.unwrap();
        self.triggers.timers_have_changed().unwrap();
    }

    pub(crate) async fn quiet(&self) -> Quiet {
        let quiet = self.triggers.wait(None, LIMIT).await.unwrap();
        assert!(quiet.quiet, "{quiet:?}");
        quiet
    }

    pub(crate) async fn quiet_for(&self, request_id: &str) -> Quiet {
        let quiet = self.triggers.wait(Some(request_id), LIMIT).await.unwrap();
        assert!(quiet.quiet, "{quiet:?}");
        quiet
    }

    /// Oldest first.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = self.triggers.deliveries(10_000).unwrap();
        deliveries.reverse();
        deliveries
    }

    /// Returns once `holds` of the deliveries, oldest first.
    pub(crate) async fn until(&self, holds: impl Fn(&[Delivery]) -> bool) {
        let wait = async {
            while !holds(&self.deliveries()) {
                tokio::task::yield_now().await;
            }
        };
        in_time(wait).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}
