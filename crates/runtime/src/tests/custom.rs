//! The custom runtime: an executable that speaks the protocol itself.

use std::os::unix::fs::PermissionsExt;

use cosette_model::function::StatusCode;

use super::*;

/// A bootstrap in Python, which any machine that runs these tests has; `{body}` answers one event.
fn bootstrap(body: &str) -> String {
    format!(
        "#!/usr/bin/env python3\n\
         import os, sys, time\n\
         from urllib.request import Request, urlopen\n\
         base = 'http://%s:%s/runtime/' % (os.environ['SCF_RUNTIME_API'], os.environ['SCF_RUNTIME_API_PORT'])\n\
         def get(path):\n\
         \x20   with urlopen(base + path) as r: return r.headers, r.read().decode()\n\
         def post(path, text):\n\
         \x20   with urlopen(Request(base + path, text.encode(), method='POST')) as r: return r.status\n\
         print('starting', os.environ['_HANDLER'], flush=True)\n\
         post('init/ready', ' ')\n\
         while True:\n\
         \x20   headers, event = get('invocation/next')\n\
         \x20   {body}\n"
    )
}

fn function(house: &House, text: &str, mode: u32) -> Spec {
    let spec = house.function("CustomRuntime", "anything", &[("bootstrap", text)]);
    std::fs::set_permissions(spec.code.join("bootstrap"), std::fs::Permissions::from_mode(mode)).unwrap();
    spec
}

#[tokio::test]
async fn a_bootstrap_of_its_own_serves_events() {
    let house = House::new();
    let body = "assert get('invocation/next')[1] == event; \
                print(headers['request_id'], headers['memory_limit_in_mb'], headers['time_limit_in_ms'], flush=True); \
                post('invocation/response', event); post('invocation/response', '\"second\"')";
    let spec = function(&house, &bootstrap(body), 0o755);
    let ran = house.run(&spec, r#"{"n":1}"#).await;
    assert_eq!(ran.result, r#"{"n":1}"#, "{ran:?}");
    assert_eq!(ran.init_output, "starting anything\n");
    assert_eq!(ran.output, format!("{ID} 512 60000\n"));
    let warm = house.run(&spec, r#"{"n":2}"#).await;
    assert_eq!(warm.result, r#"{"n":2}"#, "{warm:?}");
    assert_eq!(warm.init_duration, None);
}

#[tokio::test]
async fn any_text_is_a_result_and_an_error() {
    let house = House::new();
    let spec = function(&house, &bootstrap("post('invocation/' + event.strip('\"'), 'hällo')"), 0o755);
    assert_eq!(succeeded(&house.run(&spec, "\"response\"").await), "hällo");
    let document = failed(&house.run(&spec, "\"error\"").await, StatusCode::UserCodeException);
    assert_eq!(document["stackTrace"], "hällo");
}

#[tokio::test]
async fn what_cannot_start_is_445_and_what_leaves_is_405() {
    let house = House::new();
    let missing = house.function("CustomRuntime", "x", &[("index.py", "")]);
    failed(&house.run(&missing, "{}").await, StatusCode::ContainerInitError);
    let not_executable = function(&house, "#!/bin/sh\n", 0o644);
    failed(&house.run(&not_executable, "{}").await, StatusCode::ContainerInitError);
    let no_such_shell = function(&house, "#!/no/such/shell\n", 0o755);
    failed(&house.run(&no_such_shell, "{}").await, StatusCode::ContainerInitError);
    let leaves = function(&house, "#!/bin/sh\necho going\nexit 7\n", 0o755);
    let ran = house.run(&leaves, "{}").await;
    let document = failed(&ran, StatusCode::BootstrapExited);
    assert_eq!(document["errorMessage"], "the runtime exited during initialization (exit status: 7)");
    assert_eq!(ran.init_output, "going\n");
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn one_that_is_never_ready_is_450() {
    let house = House::new();
    let mut spec = function(&house, "#!/bin/sh\nexec sleep 1000\n", 0o755);
    spec.init_timeout = Duration::from_millis(300);
    let document = failed(&house.run(&spec, "{}").await, StatusCode::InitTimeout);
    assert_eq!(document["errorMessage"], "Initialization timed out after 0.3 seconds");
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn one_that_never_fetches_times_out() {
    let house = House::new();
    let mut spec = function(
        &house,
        &bootstrap("")
            .replace("while True:", "time.sleep(1000)\nwhile True:")
            .replace("    \n", "    pass\n"),
        0o755,
    );
    spec.timeout = Duration::from_millis(300);
    failed(&house.run(&spec, "{}").await, StatusCode::TimeLimitReached);
}

#[tokio::test]
async fn too_large_a_result_is_cut_off() {
    let house = House::new();
    let body = "\n    try: post('invocation/response', 'x' * int(event))\n    except OSError: pass";
    let spec = function(&house, &bootstrap(body), 0o755);
    let most = 6 * 1024 * 1024;
    failed(&house.run(&spec, &(most + 1).to_string()).await, StatusCode::ResponseTooLarge);
    let ran = house.run(&spec, &most.to_string()).await;
    assert_eq!(succeeded(&ran).as_str().unwrap().len(), most);
    assert_eq!(ran.init_duration, None);
}
