//! Warm instances: which runs share one, and how they end.

use std::collections::HashSet;
use std::sync::Arc;

use cosette_model::function::StatusCode;
use serde_json::json;

use super::*;

const COUNTER: &str = "import os\n\
    n = 0\n\
    def main_handler(event, context):\n\
    \x20   global n\n\
    \x20   n += 1\n\
    \x20   return [os.getpid(), n]\n";

/// Waits for the file named by the event, so that the test decides when it ends.
const WAITING: &str = "import os, time\n\
    def main_handler(event, context):\n\
    \x20   open(event['begun'] + str(os.getpid()), 'w').close()\n\
    \x20   while not os.path.exists(event['end']): time.sleep(0.01)\n\
    \x20   return os.getpid()\n";

fn waiting(house: &House) -> (Spec, String) {
    let folder = house.folder.join("begun");
    std::fs::create_dir_all(&folder).unwrap();
    let end = house.folder.join("end");
    let event = format!(r#"{{"begun":"{}/","end":"{}"}}"#, folder.display(), end.display());
    (house.python(WAITING), event)
}

fn begun(house: &House) -> Vec<i64> {
    let names = std::fs::read_dir(house.folder.join("begun")).unwrap();
    names.map(|name| name.unwrap().file_name().into_string().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_warm_instance_keeps_its_globals() {
    let house = House::new();
    let spec = house.python(COUNTER);
    let first = house.run(&spec, "{}").await;
    assert!(first.init_duration.is_some());
    let pid = succeeded(&first)[0].clone();
    for n in 2..10 {
        let ran = house.run(&spec, "{}").await;
        assert_eq!(succeeded(&ran), json!([pid, n]));
        assert_eq!(ran.init_duration, None);
    }
    assert_eq!(house.instances(), 1);
}

#[tokio::test]
async fn concurrent_runs_use_different_instances() {
    let house = House::new();
    let (spec, event) = waiting(&house);
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (runtime, spec, event) = (house.runtime.clone(), spec.clone(), event.clone());
        runs.spawn(async move { runtime.run(&spec, ID, &Chain::default(), "API", &event).await });
    }
    until("four have begun", || begun(&house).len() == 4).await;
    std::fs::write(house.folder.join("end"), "").unwrap();
    let pids: HashSet<Value> = runs.join_all().await.iter().map(succeeded).collect();
    assert_eq!(pids.len(), 4);
}

#[tokio::test]
async fn another_id_is_another_instance() {
    let house = House::new();
    let old = house.python(COUNTER);
    let new = Spec { id: format!("{}-2", old.id), ..old.clone() };
    let first = succeeded(&house.run(&old, "{}").await);
    let second = succeeded(&house.run(&new, "{}").await);
    assert_ne!(first[0], second[0]);
    house.runtime.retire(&old.id).await;
    assert!(!lives(first[0].as_i64().unwrap()));
    assert!(lives(second[0].as_i64().unwrap()));
}

#[tokio::test]
async fn a_retired_busy_instance_ends_after_its_run() {
    let house = House::new();
    let (spec, event) = waiting(&house);
    let run = tokio::spawn({
        let (runtime, spec) = (house.runtime.clone(), spec.clone());
        async move { runtime.run(&spec, ID, &Chain::default(), "API", &event).await }
    });
    until("it has begun", || begun(&house).len() == 1).await;
    house.runtime.retire(&spec.id).await;
    assert!(lives(begun(&house)[0]));
    std::fs::write(house.folder.join("end"), "").unwrap();
    let pid = succeeded(&run.await.unwrap());
    assert!(!lives(pid.as_i64().unwrap()));
}

#[tokio::test]
async fn idle_instances_expire() {
    let house = House::with_idle(Duration::from_millis(100));
    let pid = succeeded(&house.run(&house.python(COUNTER), "{}").await)[0].as_i64().unwrap();
    until("it has ended", || !lives(pid) && house.instances() == 0).await;
}

#[tokio::test]
async fn an_instance_that_dies_while_idle_is_replaced() {
    let house = House::new();
    let spec = house.python(COUNTER);
    let pid = succeeded(&house.run(&spec, "{}").await)[0].as_i64().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("it is gone", || house.instances() == 0).await;
    let ran = house.run(&spec, "{}").await;
    assert_eq!(succeeded(&ran)[1], 1);
}

#[tokio::test]
async fn a_dropped_run_ends_its_instance() {
    let house = House::new();
    let (spec, event) = waiting(&house);
    let run = tokio::spawn({
        let (runtime, spec) = (house.runtime.clone(), spec.clone());
        async move { runtime.run(&spec, ID, &Chain::default(), "API", &event).await }
    });
    until("it has begun", || begun(&house).len() == 1).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let pid = begun(&house)[0];
    until("it has ended", || !lives(pid) && house.instances() == 0).await;
    house.runtime.stop().await;
}

#[tokio::test]
async fn stop_ends_idle_and_busy_ones() {
    let house = House::new();
    let idle = succeeded(&house.run(&house.python(COUNTER), "{}").await)[0].as_i64().unwrap();
    let (spec, event) = waiting(&house);
    let run = tokio::spawn({
        let (runtime, spec) = (house.runtime.clone(), spec.clone());
        async move { runtime.run(&spec, ID, &Chain::default(), "API", &event).await }
    });
    until("it has begun", || begun(&house).len() == 1).await;
    house.runtime.stop().await;
    assert!(!lives(idle) && !lives(begun(&house)[0]));
    assert_eq!(house.instances(), 0);
    let ran = run.await.unwrap();
    assert_eq!(failed(&ran, StatusCode::InternalError)["errorMessage"], "the server is stopping");
    failed(&house.run(&spec, "{}").await, StatusCode::InternalError);
}

#[tokio::test]
async fn a_new_server_ends_what_an_old_one_left() {
    let house = House::new();
    let pid = succeeded(&house.run(&house.python(COUNTER), "{}").await)[0].as_i64().unwrap();
    let _second = Runtime::start(house.folder.join("scratch")).unwrap();
    until("it has ended", || !lives(pid)).await;
}

/// Runs itself again as the server that is to be killed.
#[tokio::test]
async fn a_killed_server_takes_its_instances_with_it() {
    const ROLE: &str = "COSETTE_TEST_DOOMED_SERVER";
    if let Some(begun) = std::env::var_os(ROLE).map(PathBuf::from) {
        let house = House::at(begun.with_file_name("doomed"), Duration::from_secs(300));
        let (spec, _) = waiting(&house);
        let event = format!(r#"{{"begun":"{}/","end":"/no/such/file"}}"#, begun.display());
        house.run(&spec, &event).await;
        return;
    }
    let house = House::new();
    let folder = house.folder.join("begun");
    std::fs::create_dir_all(&folder).unwrap();
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::reuse::a_killed_server_takes_its_instances_with_it"])
        .env(ROLE, &folder)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it has begun", || begun(&house).len() == 1).await;
    let pid = begun(&house)[0];
    assert!(lives(pid));
    server.kill().unwrap();
    server.wait().unwrap();
    until("its instance has ended", || !lives(pid)).await;
}

#[tokio::test]
async fn as_many_as_are_kept_are_started_ahead_and_never_grow_old() {
    let house = House::with_idle(Duration::from_millis(50));
    let spec =
        house.python("print('ready')\nimport os\ndef main_handler(event, context): return os.getpid()\n");
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(false), "none is kept");
    house.runtime.keep(&spec.id, 2);
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(true));
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(true));
    let mut losses = house.runtime.losses();
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(false));
    assert_eq!(house.runtime.instances(&spec.id), (2, 2));
    let ran = house.run(&spec, "{}").await;
    assert_eq!((ran.init_duration, ran.init_output.as_str()), (None, "ready\n"));
    // Longer than one that is not kept, and was there later, lives.
    let mut other = spec.clone();
    other.id.push_str("-other");
    house.run(&other, "{}").await;
    until("the one that is not kept has ended", || house.runtime.instances(&other.id) == (0, 0)).await;
    assert_eq!(house.runtime.instances(&spec.id), (2, 2));
    assert!(!losses.has_changed().unwrap());
    house.runtime.retire(&spec.id).await;
    losses.changed().await.unwrap();
    assert_eq!(house.runtime.instances(&spec.id), (0, 0));
    house.runtime.keep(&spec.id, 0);
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(false));
}

#[tokio::test]
async fn one_whose_keys_end_waits_until_another_has_its_place() {
    let house = House::new();
    let mut spec = house.python("import os\ndef main_handler(event, context): return os.getpid()\n");
    let time = tokio::sync::watch::Sender::new(Timestamp::from_secs(0));
    let (now, ends, from) = (time.clone(), time.clone(), time.clone());
    let give = move || {
        let mut key = key();
        let session = Arc::make_mut(key.session.as_mut().unwrap());
        session.expires = Some(from.borrow().plus(Duration::from_secs(6 * 3600)));
        RoleKey::new(key)
    };
    spec.keys = KeyGiver::new(
        give,
        move || *now.borrow(),
        move |end| {
            let mut time = ends.subscribe();
            async move {
                let _ = time.wait_for(|now| *now >= end).await;
            }
        },
    );
    house.runtime.keep(&spec.id, 1);
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(true));
    let mut losses = house.runtime.losses();
    let first = house.run(&spec, "{}").await.result;
    assert!(!losses.has_changed().unwrap());
    // Its keys last for one more event and half a minute.
    time.send_replace(Timestamp::from_secs(6 * 3600 - 60 - 30));
    losses.changed().await.unwrap();
    assert_eq!(house.runtime.instances(&spec.id), (0, 0), "one is to be started");
    assert!(lives(first.parse().unwrap()));
    assert_eq!(house.runtime.start_ahead(&spec).await, Ok(true));
    until("the first has ended", || !lives(first.parse().unwrap())).await;
    let ran = house.run(&spec, "{}").await;
    assert_eq!(ran.init_duration, None);
    assert_ne!(ran.result, first);
    assert_eq!(house.runtime.instances(&spec.id), (1, 1));
}
