//! What the tests run in.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cosette_clock::Clock;
use cosette_function::Functions;
use cosette_model::op::{Owner, WriteConditions};
use cosette_model::{Accounts, Attributes, BucketName, Cause, ObjectKey, Region, Wanted};
use cosette_runtime::Runtime;
use cosette_store::{Durability, Options, PutObject, Store};
use cosette_trigger::Triggers;
use http::Request;
use http::request::Parts;
use serde_json::{Value, json};

use crate::signature::tc3::Signing;
use crate::testing::{EXAMPLE_ID, accounts};
use crate::{Answer, Control};

use super::{BUCKET, HOME};

/// A server without sockets, gone with the test.
pub(super) struct World {
    pub(super) control: Control,
    pub(super) store: Store,
    pub(super) functions: Functions,
    pub(super) triggers: Triggers,
    pub(super) clock: Clock,
    pub(super) scratch: PathBuf,
}

impl World {
    pub(super) fn new(strict: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("cosette-control-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let scratch = std::env::temp_dir().join(name);
        let clock = Clock::real();
        let options = Options { dir: None, durability: Durability::Relaxed, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let runtime = Runtime::start(scratch.join("runtime")).unwrap();
        let functions =
            Functions::start(store.clone(), runtime, clock.clone(), scratch.join("code")).unwrap();
        let options = cosette_trigger::Options {
            retry_interval: Duration::from_millis(10),
            finished_max: 100,
            loop_limit: 16,
        };
        let triggers =
            Triggers::start(store.clone(), clock.clone(), Arc::new(functions.clone()), options).unwrap();
        let region = Region::new(HOME).unwrap();
        let control = Control::new(
            store.clone(),
            functions.clone(),
            triggers.clone(),
            clock.clone(),
            region,
            strict,
            "http://here".into(),
        );
        Self { control, store, functions, triggers, clock, scratch }
    }

    pub(super) async fn stop(self) {
        self.triggers.stop(Duration::from_secs(10)).await;
        self.functions.stop().await;
        let _ = std::fs::remove_dir_all(&self.scratch);
    }

    /// Signed by `id`, as the SDKs do it.
    pub(super) async fn ask(&self, id: &str, region: Option<&str>, action: &str, params: Value) -> Answer {
        self.ask_with(id, region, action, params, None).await
    }

    pub(super) async fn ask_with(
        &self,
        id: &str,
        region: Option<&str>,
        action: &str,
        params: Value,
        token: Option<&str>,
    ) -> Answer {
        self.ask_service(("scf", "2018-04-16"), id, region, action, params, token).await
    }

    pub(super) async fn ask_service(
        &self,
        (service, version): (&str, &str),
        id: &str,
        region: Option<&str>,
        action: &str,
        params: Value,
        token: Option<&str>,
    ) -> Answer {
        let body = Bytes::from(params.to_string());
        let account = accounts().by_secret_id(id).unwrap().account;
        let host = "127.0.0.1:9000";
        let timestamp = self.clock.now().as_secs();
        let signing = Signing { secret_id: id, secret_key: &account.secret_key, service, host, timestamp };
        let mut request = Request::post("/")
            .header("Host", host)
            .header("Content-Type", "application/json")
            .header("Authorization", signing.authorization(&body))
            .header("X-TC-Action", action)
            .header("X-TC-Version", version)
            .header("X-TC-Timestamp", timestamp);
        if let Some(region) = region {
            request = request.header("X-TC-Region", region);
        }
        if let Some(token) = token {
            request = request.header("X-TC-Token", token);
        }
        let (parts, ()): (Parts, ()) = request.body(()).unwrap().into_parts();
        assert!(Control::is_for_us(&parts));
        self.control.answer(&parts, body, &accounts()).await
    }

    /// What is in `Response` of an action that must succeed.
    pub(super) async fn call(&self, action: &str, params: Value) -> Value {
        let answer = self.ask(EXAMPLE_ID, Some(HOME), action, params).await;
        assert_eq!(answer.error, None, "{action}: {}", answer.json);
        assert_eq!(answer.action, format!("scf.{action}"));
        response(&answer)
    }

    /// The code of an action that must not succeed.
    pub(super) async fn refused(&self, action: &str, params: Value) -> String {
        let answer = self.ask(EXAMPLE_ID, Some(HOME), action, params).await;
        let response = response(&answer);
        assert_eq!(response["Error"]["Code"].as_str(), answer.error.as_deref(), "{}", answer.json);
        answer.error.unwrap_or_else(|| panic!("{action} succeeded: {}", answer.json))
    }

    pub(super) async fn create(&self, name: &str, code: &str) {
        self.call("CreateFunction", create_params(name, code)).await;
    }

    pub(super) async fn bucket(&self, name: &str, region: &str, appid: &str) {
        let owner = Owner { uin: "1".into(), appid: appid.into(), name: "test".into() };
        let (name, region) = (BucketName::new(name).unwrap(), Region::new(region).unwrap());
        self.store.create_bucket(name, region, owner, Cause::default()).await.unwrap();
    }

    pub(super) async fn put(&self, bucket: &str, key: &str, data: Vec<u8>) {
        let mut staged = self.store.stage(None, Wanted::default()).unwrap();
        staged.write(Bytes::from(data)).await.unwrap();
        let put = PutObject {
            bucket: BucketName::new(bucket).unwrap().into(),
            key: ObjectKey::new(key).unwrap(),
            attributes: Attributes::default(),
            properties: Default::default(),
            checksum_type: None,
            conditions: WriteConditions::default(),
            symlink: None,
            body: staged.seal().await.unwrap(),
            event: cosette_model::EventType::CreatedPut,
            cause: Cause::default(),
        };
        self.store.put_object(put).await.unwrap();
    }

    pub(super) async fn quiet(&self) {
        let quiet = self.triggers.wait(None, Duration::from_secs(60)).await.unwrap();
        assert!(quiet.quiet, "{quiet:?}");
    }
}

pub(super) fn create_params(name: &str, code: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "Python3.9",
        "Handler": "index.main_handler",
        "Timeout": 30,
        "Code": {"ZipFile": STANDARD.encode(zip(code))},
    })
}

pub(super) fn response(answer: &Answer) -> Value {
    let whole: Value = serde_json::from_str(&answer.json).unwrap();
    let id = whole["Response"]["RequestId"].as_str().unwrap().to_owned();
    assert!(uuid::Uuid::parse_str(&id).is_ok() && id == id.to_lowercase(), "{id}");
    whole["Response"].clone()
}

pub(super) fn zip(code: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("index.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(code.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

pub(super) const ECHO: &str =
    "def main_handler(event, context):\n    print('got', event)\n    return event\n";

pub(super) fn trigger(function: &str, event: &str, prefix: &str, suffix: &str) -> Value {
    let description = json!({"event": event, "filter": {"Prefix": prefix, "Suffix": suffix}});
    json!({
        "FunctionName": function,
        "Type": "cos",
        "TriggerName": format!("{BUCKET}.cos.{HOME}.myqcloud.com"),
        "TriggerDesc": description.to_string(),
        "Qualifier": "$DEFAULT",
    })
}
