//! Time, memory and output limits, and that nothing of a killed instance lives on.

use std::time::Instant;

use cosette_model::function::StatusCode;

use super::*;

/// Starts processes that hide in every way: another session, an orphan, an orphan without our
/// variable, one that ignores signals. Each writes its pid into the file `pids` first.
const FAMILY: &str = r#"
import os, signal, subprocess, sys, time

def start(*command, **more):
    subprocess.Popen(command, **more)

def daemon(environment):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvpe('sh', ['sh', '-c', 'echo $$ >> %s; exec sleep 1000' % PIDS], environment)
        os._exit(0)
    os.wait()

def main_handler(event, context):
    global PIDS
    PIDS = event['pids']
    with open(PIDS, 'a') as f:
        f.write('%d\n' % os.getpid())
    line = 'echo $$ >> %s; exec sleep 1000' % PIDS
    start('sh', '-c', line)
    start('setsid', 'sh', '-c', line)
    start('sh', '-c', "trap '' TERM INT HUP; " + line, start_new_session=True)
    start('sh', '-c', 'setsid sh -c "%s" & ' % line.replace('$', '\\$'))
    daemon(dict(os.environ))
    daemon({'PATH': os.environ['PATH']})
    while len(open(PIDS).read().split()) < 7:
        time.sleep(0.01)
    print('all there', flush=True)
    if event['end'] == 'hang':
        time.sleep(1000)
    if event['end'] == 'exit':
        time.sleep(0.5)
        os._exit(1)
    if event['end'] == 'memory':
        os.system("exec python3 -c 'x = bytearray(500000000); import time; time.sleep(1000)'")
"#;

async fn family(end: &str, change: impl FnOnce(&mut Spec)) -> (House, Spec, Ran, Vec<i64>) {
    let house = House::new();
    let pids = house.folder.join("pids");
    let mut spec = house.python(FAMILY);
    change(&mut spec);
    let ran = house.run(&spec, &format!(r#"{{"end":"{end}","pids":"{}"}}"#, pids.display())).await;
    let pids = pids_in(&pids);
    assert_eq!(pids.len(), 7, "{ran:?}");
    (house, spec, ran, pids)
}

#[track_caller]
fn all_dead(pids: &[i64]) {
    let living: Vec<&i64> = pids.iter().filter(|pid| lives(**pid)).collect();
    assert!(living.is_empty(), "{living:?} of {pids:?} live");
}

#[tokio::test]
async fn a_time_out_leaves_no_descendant() {
    let (house, spec, ran, pids) = family("hang", |spec| spec.timeout = Duration::from_secs(3)).await;
    all_dead(&pids);
    let document = failed(&ran, StatusCode::TimeLimitReached);
    assert_eq!(document["errorMessage"], "Invoking task timed out after 3 seconds");
    assert_eq!(ran.output, "all there\n");
    assert_eq!(ran.duration, Duration::from_secs(3));
    assert_eq!(house.instances(), 0);
    let next = house.run(&spec, "1").await;
    assert!(next.init_duration.is_some(), "the instance is not used again");
}

#[tokio::test]
async fn a_crash_leaves_no_descendant() {
    let (house, _, ran, pids) = family("exit", |_| {}).await;
    all_dead(&pids);
    failed(&ran, StatusCode::ProcessExited);
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn descendants_count_for_memory_and_die_with_it() {
    let (house, _, ran, pids) = family("memory", |spec| spec.memory_mb = 256).await;
    all_dead(&pids);
    let document = failed(&ran, StatusCode::MemoryLimitReached);
    assert_eq!(document["errorMessage"], "Memory limit of 256 MB reached");
    assert!(ran.memory_bytes > 256 << 20, "{}", ran.memory_bytes);
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn descendants_of_a_success_live_with_the_instance() {
    let (house, spec, ran, pids) = family("return", |_| {}).await;
    succeeded(&ran);
    assert!(pids.iter().all(|pid| lives(*pid)));
    house.runtime.retire(&spec.id).await;
    all_dead(&pids);
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn a_moment_over_the_memory_limit_counts() {
    let house = House::new();
    let mut spec = house.python("def main_handler(e, c):\n    return len(bytearray(200 << 20))\n");
    spec.memory_mb = 128;
    let ran = house.run(&spec, "{}").await;
    failed(&ran, StatusCode::MemoryLimitReached);
    spec.memory_mb = 256;
    let ran = house.run(&spec, "{}").await;
    assert_eq!(succeeded(&ran), 200 << 20);
    assert!((200 << 20..256 << 20).contains(&ran.memory_bytes), "{}", ran.memory_bytes);
}

#[tokio::test]
async fn the_peak_is_that_of_the_one_invocation() {
    let house = House::new();
    let spec = house.python("def main_handler(e, c):\n    return len(bytearray(e << 20))\n");
    let large = house.run(&spec, "100").await;
    let small = house.run(&spec, "1").await;
    assert!(large.memory_bytes > 100 << 20, "{large:?}");
    assert!(small.memory_bytes < 60 << 20, "{small:?}");
}

#[tokio::test]
async fn a_busy_handler_is_ended_in_time() {
    let house = House::new();
    for mut spec in [
        house.python("def main_handler(e, c):\n    while True: pass\n"),
        house.node("exports.main_handler = () => { for (;;); }"),
    ] {
        spec.timeout = Duration::from_secs(1);
        let began = Instant::now();
        failed(&house.run(&spec, "{}").await, StatusCode::TimeLimitReached);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn endless_output_is_bounded_and_does_not_block() {
    let house = House::new();
    let spec = house.python(
        "def main_handler(e, c):\n\
         \x20   for n in range(3000): print('line %06d ' % n + 'x' * 988)\n",
    );
    let ran = house.run(&spec, "{}").await;
    succeeded(&ran);
    assert!(ran.output.starts_with("line 000000 x"));
    let kept = crate::output::KEPT_MAX;
    assert!(ran.output.len() < kept + 100);
    let cut = 3000 * 1001 - kept;
    assert!(ran.output.ends_with(&format!("\n[{cut} more bytes of output were not kept]\n")));
    let ran = house.run(&spec, "{}").await;
    assert!(ran.output.starts_with("line 000000 x"), "each invocation has its own bound");
}

/// Takes 4 GB as fast as it can be had.
#[tokio::test]
async fn memory_taken_fast_is_ended_early() {
    let house = House::new();
    for mut spec in [
        house.python("def main_handler(e, c):\n    return len(b'x' * (4 << 30))\n"),
        house.node("exports.main_handler = async () => { const all = []; for (;;) all.push(Buffer.alloc(64 << 20, 1)); }"),
        house.python(
            "import os\n\
             def main_handler(e, c):\n\
             \x20   for _ in range(4):\n\
             \x20       if os.fork() == 0: b'x' * (1 << 30); os._exit(0)\n\
             \x20   os.wait(); os.wait(); os.wait(); os.wait()\n",
        ),
    ] {
        spec.memory_mb = 128;
        let ran = house.run(&spec, "{}").await;
        failed(&ran, StatusCode::MemoryLimitReached);
        eprintln!("peak {} MB", ran.memory_bytes >> 20);
        assert!(ran.memory_bytes < 1 << 30, "{ran:?}");
    }
}
