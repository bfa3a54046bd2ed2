//! The registry over a store in memory, with real interpreters.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_model::{Account, Chain, Key, RoleKey};
use cosette_store::{Durability, Options};
use serde_json::{Value, json};

use super::*;
use crate::code::tests::{Folder, zip};

mod upgrade;
mod versions;

const ID: &str = "6add56fa-58f1-11e8-89a9-5254005d5fdb";

struct House {
    functions: Functions,
    store: Store,
    clock: Clock,
    folder: Folder,
}

impl House {
    fn new() -> Self {
        let folder = Folder::new();
        let clock = Clock::frozen(Timestamp::from_secs(1_700_000_000));
        let options = Options { dir: None, durability: Durability::Strict, cache_bytes: 1 << 20 };
        let store = Store::open(options, clock.clone()).unwrap();
        let runtime = Runtime::start(folder.0.join("scratch")).unwrap();
        let functions =
            Functions::start(store.clone(), runtime, clock.clone(), folder.0.join("cache")).unwrap();
        Self { functions, store, clock, folder }
    }

    async fn create(&self, name: &str, text: &str) -> Function {
        self.functions.create(new(name, text)).await.unwrap()
    }

    fn now(&self, name: &str) -> Function {
        self.functions.get(&named(name)).unwrap()
    }

    async fn invoke(&self, name: &str, event: &str) -> Outcome {
        self.functions.invoke(call(name, event)).await
    }
}

fn python(text: &str) -> Bytes {
    zip(&[("index.py", 0o644, text)])
}

fn configuration() -> Configuration {
    Configuration {
        description: String::new(),
        runtime: "Python3.6".into(),
        handler: "index.main_handler".into(),
        memory_mb: 128,
        timeout_secs: 60,
        init_timeout_secs: 65,
        environment: vec![("GREETING".into(), "hello".into())],
        role: String::new(),
        retry: RetryPolicy { retries: 1, max_age_secs: 60 },
        dead_letter: None,
        layers: Vec::new(),
        tags: Vec::new(),
        async_run: false,
        trace: false,
        web: None,
        image: None,
    }
}

fn new(name: &str, text: &str) -> NewFunction {
    NewFunction {
        namespace: "default".into(),
        name: name.into(),
        region: "ap-guangzhou".into(),
        appid: "1250000000".into(),
        uin: "100000000001".into(),
        configuration: configuration(),
        code: python(text),
    }
}

fn called(name: &str, qualifier: &str) -> FunctionRef {
    named(name).under(qualifier)
}

fn named(name: &str) -> FunctionName {
    let [appid, region, namespace, name] = ["1250000000", "ap-guangzhou", "default", name].map(str::to_owned);
    FunctionName { appid, region, namespace, name }
}

fn call(name: &str, event: &str) -> Invocation {
    Invocation {
        request_id: ID.into(),
        target: called(name, "$DEFAULT").into(),
        event: event.into(),
        retry: 0,
        source: "API".into(),
        chain: Chain::default(),
        subject: String::new(),
    }
}

const ECHO: &str = "import os\n\
    def main_handler(event, context):\n\
    \x20   print('got', event)\n\
    \x20   return [event, os.environ['GREETING'], os.environ.get('TENCENTCLOUD_SECRETID'), os.getpid()]\n";

#[tokio::test]
async fn a_function_is_made_run_and_on_record() {
    let house = House::new();
    let functions = house.functions.clone().with_keys(|function| {
        let name = |text: &str| text.to_owned();
        let account = Account {
            secret_id: function.appid.clone(),
            secret_key: name("k"),
            appid: name("1"),
            uin: name("2"),
            name: name("me"),
        };
        KeyGiver::new(
            move || RoleKey::new(Key { account: account.clone().into(), session: None }),
            || Timestamp::from_secs(0),
            |_| std::future::pending(),
        )
    });
    let function = house.create("thumbnail", ECHO).await;
    assert!(function.id.starts_with("lam-") && function.id.len() == 12, "{}", function.id);
    assert_eq!(function.code_sha256.len(), 64);
    assert_eq!(function.code_size, python(ECHO).len() as u64);
    assert!(function.status_desc.starts_with("Python3.6 runs on Python 3."), "{}", function.status_desc);
    assert_eq!(function.created, house.clock.now());

    let outcome = functions.invoke(call("thumbnail", r#"{"a":"ü"}"#)).await;
    assert_eq!(outcome.status, StatusCode::Success, "{outcome:?}");
    let result: Value = serde_json::from_str(&outcome.result).unwrap();
    assert_eq!(result.as_array().unwrap()[..3], [json!({"a": "ü"}), json!("hello"), json!("1250000000")]);
    let lines: Vec<&str> = outcome.log.lines().collect();
    assert_eq!(lines[0], format!("START RequestId:{ID}"));
    assert!(lines[1].starts_with(&format!("Init Report RequestId: {ID} Coldstart: ")), "{}", lines[1]);
    assert_eq!(lines[2], "got {'a': 'ü'}");
    assert_eq!(lines[3], format!("Response RequestId:{ID} RetMsg:{}", outcome.result));
    assert_eq!(lines[4], format!("END RequestId:{ID}"));
    assert!(lines[5].starts_with(&format!("Report RequestId:{ID} Duration:")), "{}", lines[5]);
    assert!(lines[5].contains("ms Memory:128MB MemUsage:"), "{}", lines[5]);

    let warm = house.invoke("thumbnail", "1").await;
    assert!(!warm.log.contains("Init Report"), "{}", warm.log);
    let records = functions.records(None, 10).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].outcome.as_ref(), Some(&warm));
    assert_eq!(records[1].outcome.as_ref(), Some(&outcome));
    assert_eq!((records[1].event.as_str(), records[1].source.as_str()), (r#"{"a":"ü"}"#, "API"));
    assert_eq!(functions.running(), 0);
}

#[tokio::test]
async fn an_exception_is_in_the_log() {
    let house = House::new();
    house.create("broken", "def main_handler(event, context):\n    raise ValueError('no')\n").await;
    let outcome = house.invoke("broken", "{}").await;
    assert_eq!(outcome.status, StatusCode::UserCodeException);
    assert_eq!(outcome.error, "user code exception caught");
    assert!(
        outcome.log.contains(&format!("ERROR RequestId:{ID} Result:{}\n", outcome.result)),
        "{}",
        outcome.log
    );
    assert!(outcome.result.contains(r#"ValueError: no\n"#), "{}", outcome.result);
}

#[tokio::test]
async fn what_cannot_be_invoked_is_an_outcome() {
    let house = House::new();
    house.create("thumbnail", ECHO).await;
    let run = async |name, qualifier, event: &str| {
        let invocation = Invocation { target: called(name, qualifier).into(), ..call(name, event) };
        house.functions.invoke(invocation).await.status
    };
    assert_eq!(run("nosuch", "$LATEST", "{}").await, StatusCode::FunctionNotFound);
    assert_eq!(run("thumbnail", "7", "{}").await, StatusCode::QualifierNotFound);
    assert_eq!(run("thumbnail", "$LATEST", "{").await, StatusCode::InvalidEvent);
    assert_eq!(run("thumbnail", "$LATEST", "").await, StatusCode::InvalidEvent);
    let large = format!("\"{}\"", "x".repeat(6 << 20));
    assert_eq!(run("thumbnail", "$LATEST", &large).await, StatusCode::EventTooLarge);
    assert_eq!(run("thumbnail", "$LATEST", "{}").await, StatusCode::Success);
    assert_eq!(house.functions.records(None, 100).unwrap().len(), 6);
    assert_eq!(house.functions.records(Some(&named("nosuch")), 100).unwrap().len(), 1);
    let events = house.functions.records(Some(&named("thumbnail")), 100).unwrap();
    assert!(events.iter().all(|record| record.event.len() <= 64 * 1024));
}

#[tokio::test]
async fn creation_refuses_what_scf_refuses() {
    let house = House::new();
    let refused = async |change: fn(&mut NewFunction)| {
        let mut new = new("thumbnail", ECHO);
        change(&mut new);
        match house.functions.create(new).await {
            Ok(_) => "created".to_owned(),
            Err(Error::Invalid { field, .. }) => field.to_owned(),
            Err(Error::Limit { what, .. }) => what.to_owned(),
            Err(other) => other.to_string(),
        }
    };
    assert_eq!(refused(|new| new.name = "x".into()).await, "FunctionName");
    assert_eq!(refused(|new| new.namespace = "other".into()).await, "namespace other does not exist");
    assert_eq!(refused(|new| new.configuration.runtime = "Cobol".into()).await, "Runtime");
    assert_eq!(refused(|new| new.configuration.timeout_secs = 901).await, "Timeout");
    assert_eq!(refused(|new| new.code = Bytes::from_static(b"zip")).await, "ZipFile");
    assert_eq!(refused(|_| {}).await, "created");
    assert_eq!(refused(|_| {}).await, "function thumbnail already exists");
    assert_eq!(house.functions.list("1250000000", "ap-guangzhou", "default").unwrap().len(), 1);
}

#[tokio::test]
async fn a_runtime_that_is_not_installed_is_said() {
    let house = House::new();
    let mut php = new("php", "");
    php.configuration.runtime = "Python2.7".into();
    let function = house.functions.create(php).await.unwrap();
    assert_eq!(
        function.status_desc,
        "no interpreter for Python2.7 is installed or supported: it cannot be invoked"
    );
    let outcome = house.invoke("php", "{}").await;
    assert_eq!(outcome.status, StatusCode::ContainerInitError);
    assert_eq!(outcome.error, "the runtime Python2.7 is not supported: make the function with Python3.9");
}

#[tokio::test]
async fn a_change_takes_effect_at_once() {
    let house = House::new();
    let first = house.create("thumbnail", ECHO).await;
    let before: Value = serde_json::from_str(&house.invoke("thumbnail", "1").await.result).unwrap();
    house.clock.advance(Duration::from_secs(5));

    let patch = ConfigurationPatch {
        environment: Some(vec![("GREETING".into(), "bye".into())]),
        memory_mb: Some(256),
        ..ConfigurationPatch::default()
    };
    let second = house.functions.update_configuration(&house.now("thumbnail"), patch).await.unwrap();
    assert_eq!((second.revision, second.configuration.memory_mb), (2, 256));
    assert_eq!((second.created, second.modified), (first.created, house.clock.now()));
    let after: Value = serde_json::from_str(&house.invoke("thumbnail", "1").await.result).unwrap();
    assert_eq!((&after[1], before[1].as_str()), (&json!("bye"), Some("hello")));
    assert_ne!(after[3], before[3]);

    let code = zip(&[("main.py", 0o644, "def run(event, context):\n    return 'new'\n")]);
    let third = house
        .functions
        .update_code(&house.now("thumbnail"), Some("main.run".into()), None, code, None)
        .await
        .unwrap();
    assert_eq!((third.revision, third.configuration.handler.as_str()), (3, "main.run"));
    assert_eq!(house.invoke("thumbnail", "1").await.result, "\"new\"");
    assert_eq!(
        house.functions.entry_file(&third).await.unwrap().as_deref(),
        Some("def run(event, context):\n    return 'new'\n")
    );

    let bad = ConfigurationPatch { memory_mb: Some(100), ..ConfigurationPatch::default() };
    assert!(matches!(
        house.functions.update_configuration(&house.now("thumbnail"), bad).await,
        Err(Error::Invalid { field: "MemorySize", .. })
    ));
    let bad = ConfigurationPatch { runtime: Some("Python3.9".into()), ..ConfigurationPatch::default() };
    assert!(matches!(
        house.functions.update_configuration(&house.now("thumbnail"), bad).await,
        Err(Error::Invalid { field: "Runtime", .. })
    ));
    assert_eq!(house.functions.get(&named("thumbnail")).unwrap().revision, 3);
}

#[tokio::test]
async fn what_is_done_to_a_function_is_done_to_no_other_of_its_name() {
    let house = House::new();
    let functions = &house.functions;
    let gone = house.create("thumbnail", ECHO).await;
    functions.delete(&gone, |_| Ok(())).await.unwrap();
    let there = house.create("thumbnail", ECHO).await;
    let patch = || ConfigurationPatch { memory_mb: Some(256), ..ConfigurationPatch::default() };
    let alias =
        AliasChange { name: "a".into(), version: Version::Latest, additional: None, description: None };
    for refused in [
        functions.update_code(&gone, None, None, python(ECHO), None).await.map(drop),
        functions.update_configuration(&gone, patch()).await.map(drop),
        functions.publish(&gone, None, false).await.map(drop),
        functions.set_alias(&gone, alias, true).await.map(drop),
        functions.reserve(&gone, Some(128)).await,
        functions.delete_alias(&gone, "a", |_| Ok(())).await,
        functions.delete_version(&gone, 1, |_| Ok(())).await,
        functions.delete(&gone, |_| Ok(())).await,
    ] {
        assert!(matches!(refused, Err(Error::NoSuchFunction(_))), "{refused:?}");
    }
    let (was, is) = (gone.clone(), there.clone());
    let still = move |tx: &mut cosette_store::Tx<'_>| {
        Ok::<_, Error>((Functions::still(tx, &was)?, Functions::still(tx, &is)?))
    };
    assert_eq!(house.store.commit(still).await.unwrap().1, (false, true));
    assert_eq!((house.now("thumbnail").revision, house.now("thumbnail").id), (1, there.id.clone()));
    functions.update_configuration(&there, patch()).await.unwrap();
}

#[tokio::test]
async fn deletion_takes_records_along() {
    let house = House::new();
    house.create("thumbnail", ECHO).await;
    house.create("other", ECHO).await;
    for _ in 0..3 {
        house.invoke("thumbnail", "1").await;
    }
    house.invoke("other", "1").await;
    let gone = house.now("thumbnail");
    house.functions.delete(&gone, |_| Ok(())).await.unwrap();
    assert!(matches!(house.functions.get(&named("thumbnail")), Err(Error::NoSuchFunction(_))));
    assert!(matches!(house.functions.delete(&gone, |_| Ok(())).await, Err(Error::NoSuchFunction(_))));
    assert_eq!(house.functions.records(Some(&named("thumbnail")), 100).unwrap().len(), 0);
    assert_eq!(house.functions.records(None, 100).unwrap().len(), 1);
    assert_eq!(house.functions.describe(&called("thumbnail", "$LATEST").into()), None);
    house.create("thumbnail", ECHO).await;
    assert_eq!(house.invoke("thumbnail", "1").await.status, StatusCode::Success);
    assert_eq!(house.functions.records(Some(&named("thumbnail")), 100).unwrap().len(), 1);
}

#[tokio::test]
async fn triggers_learn_what_they_must_know() {
    let house = House::new();
    house.create("thumbnail", ECHO).await;
    let described = house.functions.describe(&called("thumbnail", "$DEFAULT").into()).unwrap();
    assert_eq!(
        described,
        Description {
            home: Some(Home { region: "ap-guangzhou".into(), appid: "1250000000".into() }),
            retry: RetryPolicy { retries: 1, max_age_secs: 60 },
            concurrency: 10,
            dead_letter: None,
        }
    );
    assert_eq!(house.functions.describe(&called("thumbnail", "1").into()), None);
}

#[tokio::test]
async fn code_that_the_cache_lost_is_unpacked_again() {
    let house = House::new();
    let function = house.create("thumbnail", ECHO).await;
    std::fs::remove_dir_all(house.folder.0.join("cache").join(&function.code_sha256)).unwrap();
    assert_eq!(house.invoke("thumbnail", "1").await.status, StatusCode::Success);
    let again = Functions::start(
        house.store.clone(),
        Runtime::start(house.folder.0.join("scratch2")).unwrap(),
        house.clock.clone(),
        house.folder.0.join("cache"),
    )
    .unwrap();
    assert_eq!(again.invoke(call("thumbnail", "1")).await.status, StatusCode::Success);
    assert_eq!(again.records(None, 100).unwrap().len(), 2);
}

/// Runs until the file named by the event is there.
const WAIT: &str = "import os, time\n\
    def main_handler(event, context):\n\
    \x20   open(event + '.begun', 'w').close()\n\
    \x20   while not os.path.exists(event): time.sleep(0.01)\n";

async fn begun(house: &House) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !house.folder.0.join("end.begun").exists() {
        assert!(std::time::Instant::now() < deadline, "it has not begun");
        tokio::task::yield_now().await;
    }
}

fn waiting(house: &House) -> tokio::task::JoinHandle<Outcome> {
    let functions = house.functions.clone();
    let event = Value::from(house.folder.0.join("end").to_str().unwrap()).to_string();
    tokio::spawn(async move { functions.invoke(call("wait", &event)).await })
}

#[tokio::test]
async fn what_runs_is_shown_without_an_outcome() {
    let house = House::new();
    house.create("wait", WAIT).await;
    let run = waiting(&house);
    begun(&house).await;
    assert_eq!(house.functions.running(), 1);
    for scope in [None, Some(&named("wait"))] {
        let records = house.functions.records(scope, 10).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].request_id.as_str(), &records[0].outcome), (ID, &None));
    }
    std::fs::write(house.folder.0.join("end"), "").unwrap();
    let outcome = run.await.unwrap();
    assert_eq!(house.functions.running(), 0);
    assert_eq!(house.functions.records(None, 10).unwrap()[0].outcome, Some(outcome));
}

#[tokio::test]
async fn a_caller_that_gives_up_cancels() {
    let house = House::new();
    house.create("wait", WAIT).await;
    let run = waiting(&house);
    begun(&house).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    house.functions.shared.running.none().await;
    let records = house.functions.records(None, 10).unwrap();
    assert_eq!(records[0].outcome.as_ref().unwrap().status, StatusCode::Canceled);
}

#[tokio::test]
async fn what_ends_after_its_function_was_deleted_leaves_no_record() {
    let house = House::new();
    house.create("wait", WAIT).await;
    let run = waiting(&house);
    begun(&house).await;
    house.functions.delete(&house.now("wait"), |_| Ok(())).await.unwrap();
    std::fs::write(house.folder.0.join("end"), "").unwrap();
    assert_eq!(run.await.unwrap().status, StatusCode::Success);
    assert!(house.functions.records(None, 10).unwrap().is_empty());
}

#[tokio::test]
async fn stopping_ends_what_runs_and_records_it() {
    let house = House::new();
    house.create("wait", WAIT).await;
    let run = waiting(&house);
    begun(&house).await;
    house.functions.stop().await;
    assert_eq!(house.functions.running(), 0);
    assert_eq!(run.await.unwrap().status, StatusCode::InternalError);
    let records = house.functions.records(None, 10).unwrap();
    assert_eq!(records[0].outcome.as_ref().unwrap().status, StatusCode::InternalError);
}

#[tokio::test]
async fn only_the_newest_thousand_records_are_kept() {
    let house = House::new();
    for n in 0..1003u64 {
        house.clock.advance(Duration::from_millis(1));
        let record = Record {
            request_id: n.to_string(),
            function: called("thumbnail", "$LATEST"),
            id: None,
            version: None,
            event: "{}".into(),
            source: "API".into(),
            retry: 0,
            outcome: None,
            started: house.clock.now(),
            by: None,
            refused: Vec::new(),
        };
        house
            .store
            .commit::<_, cosette_store::Error, _>(move |tx| row::add(tx, &record, row::RECORDS_MAX))
            .await
            .unwrap();
    }
    for scope in [None, Some(&named("thumbnail"))] {
        let records = house.functions.records(scope, 2000).unwrap();
        assert_eq!(records.len(), 1000);
        assert_eq!((records[0].request_id.as_str(), records[999].request_id.as_str()), ("1002", "3"));
    }
    assert_eq!(house.functions.records(None, 2).unwrap()[1].request_id, "1001");
}

#[tokio::test]
async fn all_records_since_a_moment_are_found_and_who_looks_at_fewer_is_told() {
    let house = House::new();
    let began = house.clock.now();
    let write = move |tx: &mut cosette_store::Tx<'_>| {
        for number in 0..2500_u64 {
            let record = Record {
                request_id: number.to_string(),
                function: called("thumbnail", "$LATEST"),
                id: None,
                version: None,
                event: String::new(),
                source: "API".into(),
                retry: 0,
                outcome: None,
                started: Timestamp::from_micros(began.as_micros() + number),
                by: None,
                refused: Vec::new(),
            };
            row::add(tx, &record, 5000)?;
        }
        Ok::<_, cosette_store::Error>(())
    };
    house.store.commit(write).await.unwrap();
    let found = |from: u64, max| {
        let from = Timestamp::from_micros(began.as_micros() + from);
        let (records, is_whole) =
            house.functions.records_since(from, max, |record| record.request_id.ends_with("99")).unwrap();
        let ids: Vec<u64> = records.iter().map(|record| record.request_id.parse().unwrap()).collect();
        (ids.len(), ids.first().copied(), ids.last().copied(), is_whole)
    };
    assert_eq!(found(0, 100_000), (25, Some(99), Some(2499), true));
    assert_eq!(found(2450, 100_000), (1, Some(2499), Some(2499), true));
    assert_eq!(found(0, 2000), (20, Some(99), Some(1999), false));
}

#[tokio::test]
async fn a_function_does_not_become_a_closure_by_a_copy() {
    let house = House::new();
    house.create("f1", "def main_handler(event, context): return 1\n").await;
    let mut copy = new("f1", "def main_handler(event, context): return 1\n");
    copy.configuration.runtime = "Rust".into();
    let refused = house.functions.copy(copy, true).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "Runtime", .. })), "{refused:?}");
}
