//! The handler contract of Node.js (scf.md 5.4).

use cosette_model::function::StatusCode;
use serde_json::json;

use super::*;

/// Runs a handler whose body is given, with `event`, `context` and `callback`.
async fn run(body: &str) -> Ran {
    let house = House::new();
    let spec = house.node(&format!("exports.main_handler = (event, context, callback) => {{ {body} }};"));
    house.run(&spec, r#"{"key":"图片"}"#).await
}

/// The same as an `async` function.
async fn run_async(body: &str) -> Ran {
    let house = House::new();
    let spec = house.node(&format!("exports.main_handler = async (event, context) => {{ {body} }};"));
    house.run(&spec, r#"{"key":"图片"}"#).await
}

#[tokio::test]
async fn a_promise_gives_the_result() {
    assert_eq!(succeeded(&run_async("return { got: event.key }").await), json!({"got": "图片"}));
    assert_eq!(run_async("").await.result, "null");
    assert_eq!(run_async("return { a: undefined, b: 1 }").await.result, r#"{"b":1}"#);
    let later = "return new Promise((done) => setTimeout(() => done(event.key), 20))";
    assert_eq!(succeeded(&run(later).await), "图片");
}

#[tokio::test]
async fn a_promise_does_not_wait_for_the_event_loop() {
    let ran = run_async("setInterval(() => {}, 1000); return 1").await;
    assert_eq!(succeeded(&ran), 1);
}

#[tokio::test]
async fn a_plain_return_is_ignored() {
    assert_eq!(run("return 'lost'").await.result, "null");
}

#[tokio::test]
async fn a_callback_gives_the_result_once_the_loop_is_empty() {
    let ran = run("setTimeout(() => console.log('late'), 30); callback(null, event.key)").await;
    assert_eq!(succeeded(&ran), "图片");
    assert!(ran.output.ends_with(&format!("\t{ID}\tlate\n")), "{:?}", ran.output);
}

#[tokio::test]
async fn a_callback_may_ask_not_to_wait() {
    let body = "context.callbackWaitsForEmptyEventLoop = false;
        setInterval(() => {}, 1000); callback(null, 2)";
    assert_eq!(succeeded(&run(body).await), 2);
}

#[tokio::test]
async fn the_first_outcome_wins() {
    assert_eq!(
        succeeded(&run("callback(null, 1); callback(new Error('no')); context.done(null, 3)").await),
        1
    );
    assert_eq!(succeeded(&run("context.succeed(4); callback(null, 5)").await), 4);
    let document = failed(
        &run("context.fail(new Error('why')); callback(null, 5)").await,
        StatusCode::UserCodeException,
    );
    assert_eq!(document["stackTrace"], "why");
}

#[tokio::test]
async fn nothing_at_all_is_null_when_the_loop_is_empty() {
    assert_eq!(run("setTimeout(() => {}, 20)").await.result, "null");
    assert_eq!(run("return new Promise(() => {})").await.result, "null");
}

#[tokio::test]
async fn a_throw_shows_the_stack_and_a_rejection_the_message() {
    let ran = run("null.x").await;
    let document = failed(&ran, StatusCode::UserCodeException);
    assert_eq!(document["errorCode"], 1);
    assert_eq!(document["errorMessage"], "user code exception caught");
    let stack = document["stackTrace"].as_str().unwrap();
    assert!(stack.starts_with("TypeError: ") && stack.contains("/var/user/index.js:1:"), "{stack}");
    assert!(!stack.contains("node.js:"), "{stack}");

    for ran in [run_async("throw new Error('bäd')").await, run("callback(new Error('bäd'))").await] {
        assert_eq!(failed(&ran, StatusCode::UserCodeException)["stackTrace"], "bäd");
        assert!(ran.output.contains(&format!("\t{ID}\tError: bäd\n    at ")), "{:?}", ran.output);
    }
    let document = failed(&run("callback('oops')").await, StatusCode::UserCodeException);
    assert_eq!(document["stackTrace"], "oops (callback err is not instance of Error)");
}

#[tokio::test]
async fn an_uncaught_exception_fails_the_invocation_not_the_instance() {
    let house = House::new();
    let spec = house.node(
        "exports.main_handler = (event, context, callback) => {
           if (event.how === 'throw') setTimeout(() => { throw new Error('late') }, 5);
           else if (event.how === 'reject') Promise.reject(new Error('late'));
           else callback(null, process.pid);
         };",
    );
    let pid = succeeded(&house.run(&spec, "{}").await);
    for how in [r#"{"how":"throw"}"#, r#"{"how":"reject"}"#] {
        let document = failed(&house.run(&spec, how).await, StatusCode::UserCodeException);
        assert!(document["stackTrace"].as_str().unwrap().starts_with("Error: late\n"), "{document}");
    }
    assert_eq!(succeeded(&house.run(&spec, "{}").await), pid);
}

#[tokio::test]
async fn context_and_environment_arrive() {
    let result = succeeded(
        &run("context.getContext().succeed({ context, env: process.env, cwd: process.cwd() })").await,
    );
    assert_eq!(result["context"]["callbackWaitsForEmptyEventLoop"], true);
    assert_eq!(result["context"]["request_id"], ID);
    assert_eq!(result["context"]["memory_limit_in_mb"], 512);
    assert_eq!(result["context"]["tencentcloud_appid"], "1250000000");
    assert_eq!(result["env"]["GREETING"], "grüß dich");
    assert_eq!(result["env"].get("COSETTE_BOOT"), None);
    assert_eq!(result["env"]["USER_CODE_ROOT"], format!("{}/", result["cwd"].as_str().unwrap()));
}

#[tokio::test]
async fn lines_carry_time_and_request() {
    let ran =
        run("console.log('a %d', 1, {b: 2}); process.stdout.write('raw\\n'); console.error('c'); callback()")
            .await;
    succeeded(&ran);
    let lines: Vec<Vec<&str>> = ran.output.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[1], ["raw"]);
    for (line, text) in [(&lines[0], "a 1 { b: 2 }"), (&lines[2], "c")] {
        assert_eq!(line[1..], [ID, text]);
        assert!(Timestamp::parse_rfc3339(line[0]).is_some(), "{line:?}");
    }
}

#[tokio::test]
async fn a_lot_of_output_is_whole_even_when_the_process_leaves() {
    let ran = run("process.stdout.write('x'.repeat(200000) + 'end\\n'); process.exit(5)").await;
    let document = failed(&ran, StatusCode::ProcessExited);
    assert_eq!(document["errorMessage"], "User process exit when running (exit status: 5)");
    assert_eq!(ran.output.len(), 200_004);
    assert!(ran.output.ends_with("xend\n"));
}

#[tokio::test]
async fn a_result_over_six_megabytes_is_refused() {
    let document =
        failed(&run_async("return 'x'.repeat(6 * 1024 * 1024)").await, StatusCode::ResponseTooLarge);
    assert_eq!(document["errorMessage"], "body size is too long");
}

#[tokio::test]
async fn missing_and_broken_code() {
    let house = House::new();
    let cases = [
        ("nosuch.main_handler", "", StatusCode::HandlerNotFound),
        ("index.other", "exports.main_handler = () => {}", StatusCode::HandlerNotFound),
        ("index.main_handler", "exports.main_handler = () => {", StatusCode::UserCodeError),
        ("index.main_handler", "require('no-such-package')", StatusCode::UserCodeError),
        ("index.main_handler", "console.log('bye'); process.exit(1)", StatusCode::BootstrapExited),
    ];
    for (handler, text, status) in cases {
        let spec = house.function("Nodejs16.13", handler, &[("index.js", text)]);
        let ran = house.run(&spec, "{}").await;
        failed(&ran, status);
        assert_eq!(ran.init_output.contains("bye"), text.contains("bye"));
    }
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn modules_of_both_kinds_are_loaded() {
    let house = House::new();
    let esm = "import os from 'node:os'; export const main_handler = async () => typeof os.cpus;";
    for files in [
        vec![("index.mjs", esm)],
        vec![("index.js", esm), ("package.json", r#"{"type":"module"}"#)],
        vec![
            ("index.cjs", "exports.main_handler = async () => typeof require"),
            ("package.json", r#"{"type":"module"}"#),
        ],
    ] {
        let spec = house.function("Nodejs20.19", "index.main_handler", &files);
        assert_eq!(succeeded(&house.run(&spec, "{}").await), "function");
    }
}

#[tokio::test]
async fn an_instance_is_reused() {
    let house = House::new();
    let spec = house.node("let n = 0; exports.main_handler = async () => [process.pid, ++n];");
    let first = succeeded(&house.run(&spec, "{}").await);
    for n in 2..20 {
        let ran = house.run(&spec, "{}").await;
        assert_eq!(succeeded(&ran), json!([first[0], n]));
        assert_eq!(ran.init_duration, None);
    }
}
