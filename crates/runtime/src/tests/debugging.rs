//! Runs that wait for a debugger, with a module in debugpy's place that waits for a file.

use super::*;

const WAITS: &str = "import os, time\n\
    def listen(address): pass\n\
    def wait_for_client():\n\
    \x20   open(os.environ['PLACE'] + '/waits', 'w').close()\n\
    \x20   while not os.path.exists(os.environ['PLACE'] + '/come'): time.sleep(0.01)\n";

const PID: &str = "import os\ndef main_handler(event, context): return os.getpid()\n";

fn debugged(house: &House, port: u16) -> Spec {
    let files = [("index.py", PID), ("debugpy.py", WAITS)];
    let mut spec = house.function("Python3.9", "index.main_handler", &files);
    spec.environment.push(("PLACE".into(), house.folder.display().to_string()));
    spec.debug = Some(DebugSession::new(port));
    spec
}

#[tokio::test]
async fn nobody_waits_for_a_debugger_that_is_not_to_come() {
    let house = House::new();
    let spec = debugged(&house, 5678);
    let session = spec.debug.as_ref().unwrap();
    let mut runs = tokio::task::JoinSet::new();
    // One waits for the debugger, one for its turn.
    for _ in 0..2 {
        let (runtime, spec) = (house.runtime.clone(), spec.clone());
        runs.spawn(async move { runtime.run(&spec, ID, &Chain::default(), "API", "{}").await });
    }
    until("one waits", || house.folder.join("waits").exists()).await;
    house.runtime.end_debugging(session).await;
    for _ in 0..2 {
        let ran = tokio::time::timeout(Duration::from_secs(30), runs.join_next()).await;
        succeeded(&ran.expect("it waits on").unwrap().unwrap());
    }
    // Nor does one that was on its way here meanwhile.
    let ran = tokio::time::timeout(Duration::from_secs(30), house.run(&spec, "{}")).await;
    succeeded(&ran.expect("it waits"));
}

#[tokio::test]
async fn a_port_has_one_instance() {
    let house = House::new();
    std::fs::write(house.folder.join("come"), "").unwrap();
    let first = debugged(&house, 5678);
    let pid = succeeded(&house.run(&first, "{}").await);
    assert_eq!(succeeded(&house.run(&first, "{}").await), pid);
    // A later revision, or another function at the port.
    let second = debugged(&house, 5678);
    let other = succeeded(&house.run(&second, "{}").await);
    assert!(!lives(pid.as_i64().unwrap()));
    assert_eq!(house.instances(), 1);
    house.runtime.debug_anew(5678).await;
    assert!(!lives(other.as_i64().unwrap()));
    // At another port it is another instance, and one that is not debugged another still.
    for debug in [Some(DebugSession::new(4000)), None] {
        assert!(house.run(&Spec { debug, ..second.clone() }, "{}").await.init_duration.is_some());
    }
    house.runtime.retire(&second.id).await;
    assert_eq!(house.instances(), 0);
}
