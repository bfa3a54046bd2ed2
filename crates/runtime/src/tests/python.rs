//! The handler contract of Python 3 (scf.md 5.3).

use cosette_model::function::StatusCode;
use serde_json::json;

use super::*;

#[tokio::test]
async fn event_context_and_unicode_arrive() {
    let house = House::new();
    let spec = house.python(
        "import json\n\
         def main_handler(event, context):\n\
         \x20   print('got', event['name'])\n\
         \x20   return {'event': event, 'context': context, 'ß': '图片'}\n",
    );
    let ran = house.run(&spec, r#"{"name":"图片/ü.jpg"}"#).await;
    let result = succeeded(&ran);
    assert_eq!(ran.output, "got 图片/ü.jpg\n");
    assert!(ran.result.contains("图片"), "{}", ran.result);
    assert_eq!(result["event"]["name"], "图片/ü.jpg");
    let environment = json!({"SCF_NAMESPACE": "default", "GREETING": "grüß dich"});
    let mut context = result["context"].clone();
    let text = context["environment"].take();
    assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), environment);
    assert_eq!(
        context,
        json!({
            "request_id": ID,
            "function_name": "thumbnail",
            "function_version": "$LATEST",
            "namespace": "default",
            "memory_limit_in_mb": 512,
            "time_limit_in_ms": 60000,
            "environment": null,
            "environ": "SCF_NAMESPACE=default;GREETING=grüß dich",
            "tencentcloud_region": "ap-guangzhou",
            "tencentcloud_appid": "1250000000",
            "tencentcloud_uin": "100000000001",
        })
    );
    let (init, runtime) = (ran.init_duration.unwrap(), ran.runtime_duration.unwrap());
    assert!(runtime <= init);
    assert!(ran.memory_bytes > 4 << 20, "{}", ran.memory_bytes);
}

#[tokio::test]
async fn no_return_is_null_and_decimals_are_text() {
    let house = House::new();
    let spec = house.python(
        "from decimal import Decimal\n\
         def main_handler(event, context):\n\
         \x20   return {'d': Decimal('1.50')} if event else None\n",
    );
    assert_eq!(house.run(&spec, "{}").await.result, "null");
    assert_eq!(house.run(&spec, "[1]").await.result, r#"{"d": "1.50"}"#);
}

#[tokio::test]
async fn an_exception_is_reported_without_our_frames_and_keeps_the_instance() {
    let house = House::new();
    let spec = house.python(
        "import os\n\
         def inner():\n\
         \x20   raise ValueError('bäd')\n\
         def main_handler(event, context):\n\
         \x20   if event.get('fail'):\n\
         \x20       inner()\n\
         \x20   return os.getpid()\n",
    );
    let pid = succeeded(&house.run(&spec, "{}").await);
    let ran = house.run(&spec, r#"{"fail":true}"#).await;
    let document = failed(&ran, StatusCode::UserCodeException);
    assert_eq!(document["errorCode"], -1);
    assert_eq!(document["errorMessage"], "user code exception caught");
    assert_eq!(
        document["stackTrace"].as_str().unwrap().replace("    ^^^^^^^\n", ""),
        "Traceback (most recent call last):\n\
         \x20 File \"/var/user/index.py\", line 6, in main_handler\n\
         \x20   inner()\n\
         \x20 File \"/var/user/index.py\", line 3, in inner\n\
         \x20   raise ValueError('bäd')\n\
         ValueError: bäd\n"
    );
    assert_eq!(succeeded(&house.run(&spec, "{}").await), pid);
}

#[tokio::test]
async fn what_json_cannot_hold_is_an_exception() {
    let house = House::new();
    let spec = house.python("def main_handler(event, context):\n    return object()\n");
    let document = failed(&house.run(&spec, "{}").await, StatusCode::UserCodeException);
    let stack = document["stackTrace"].as_str().unwrap();
    assert!(stack.ends_with("TypeError: Object of type object is not JSON serializable\n"), "{stack}");
}

#[tokio::test]
async fn a_result_over_six_megabytes_is_refused() {
    let house = House::new();
    let spec = house.python("def main_handler(event, context):\n    return 'x' * event\n");
    let most = 6 * 1024 * 1024 - 2;
    let ran = house.run(&spec, &(most + 1).to_string()).await;
    let document = failed(&ran, StatusCode::ResponseTooLarge);
    assert_eq!(document["errorMessage"], "body size is too long");
    let ran = house.run(&spec, &most.to_string()).await;
    assert_eq!(succeeded(&ran).as_str().unwrap().len(), most);
    assert_eq!(ran.init_duration, None, "a result that is too large does not cost the instance");
}

#[tokio::test]
async fn a_missing_file_or_function_is_437() {
    let house = House::new();
    let text = "x = 1\ndef other(event, context):\n    pass\n";
    for handler in ["nosuch.main_handler", "index.main_handler", "index.x", "index", "../index.other", ""] {
        let spec = house.function("Python3.6", handler, &[("index.py", text)]);
        let ran = house.run(&spec, "{}").await;
        failed(&ran, StatusCode::HandlerNotFound);
    }
    assert_eq!(house.instances(), 0);
}

#[tokio::test]
async fn code_that_cannot_be_loaded_is_443() {
    let house = House::new();
    let syntax = house.python("print('before')\ndef main_handler(event, context)\n    return 1\n");
    let document = failed(&house.run(&syntax, "{}").await, StatusCode::UserCodeError);
    assert!(document["stackTrace"].as_str().unwrap().contains("SyntaxError"), "{document}");

    let import = house.python("print('before')\nimport no_such_package\n");
    let ran = house.run(&import, "{}").await;
    let document = failed(&ran, StatusCode::UserCodeError);
    assert_eq!(document["errorMessage"], "No module named 'no_such_package'");
    assert_eq!(
        document["stackTrace"],
        "Traceback (most recent call last):\n  File \"/var/user/index.py\", line 2, in <module>\n    \
         import no_such_package\nModuleNotFoundError: No module named 'no_such_package'\n"
    );
    assert_eq!(ran.init_output, "before\n");
}

#[tokio::test]
async fn output_of_all_kinds_keeps_its_order() {
    let house = House::new();
    let spec = house.python(
        "import logging, os, subprocess, sys\n\
         print('loading')\n\
         def main_handler(event, context):\n\
         \x20   print('one')\n\
         \x20   print('two', file=sys.stderr)\n\
         \x20   logging.getLogger().debug('three')\n\
         \x20   os.system('echo four')\n\
         \x20   subprocess.run(['sh', '-c', 'echo five >&2'])\n\
         \x20   os.write(1, b'six\\n')\n\
         \x20   sys.stdout.write('seven, no newline')\n",
    );
    let ran = house.run(&spec, "{}").await;
    succeeded(&ran);
    assert_eq!(ran.init_output, "loading\n");
    assert_eq!(ran.output, "one\ntwo\nthree\nfour\nfive\nsix\nseven, no newline");
    let warm = house.run(&spec, "{}").await;
    assert_eq!((warm.init_output.as_str(), warm.output), ("", ran.output));
}

#[tokio::test]
async fn the_environment_is_scfs_and_nothing_else() {
    let house = House::new();
    let spec = house.python(
        "import os, sys\n\
         def main_handler(event, context):\n\
         \x20   open(os.path.join(os.environ['TMPDIR'], 'x'), 'w').close()\n\
         \x20   return {'environ': dict(os.environ), 'cwd': os.getcwd(), 'path': sys.path[:2], 'argv': sys.argv}\n",
    );
    let result = succeeded(&house.run(&spec, "{}").await);
    let environ = result["environ"].as_object().unwrap();
    let code = spec.code.to_str().unwrap();
    for (name, value) in [
        ("GREETING", "grüß dich"),
        ("SCF_FUNCTIONNAME", "thumbnail"),
        ("SCF_FUNCTIONVERSION", "$LATEST"),
        ("SCF_NAMESPACE", "default"),
        ("SCF_RUNTIME", "Python3.9"),
        ("SCF_ASYNC_RUN_ENABLE", "0"),
        ("TENCENTCLOUD_RUNENV", "SCF"),
        ("TENCENTCLOUD_REGION", "ap-guangzhou"),
        ("TENCENTCLOUD_APPID", "1250000000"),
        ("TENCENTCLOUD_UIN", "100000000001"),
        ("TENCENTCLOUD_SECRETID", "id"),
        ("TENCENTCLOUD_SECRETKEY", "key"),
        ("TENCENTCLOUD_SESSIONTOKEN", "token"),
        ("LANG", "C.UTF-8"),
        ("PYTHONPATH", code),
    ] {
        assert_eq!(environ[name], value, "{name}");
    }
    for name in ["CARGO_MANIFEST_DIR", "COSETTE_BOOT", "SCF_RUNTIME_API_PORT"] {
        assert!(!environ.contains_key(name), "{name}");
    }
    for name in ["HOME", "TMPDIR"] {
        assert!(environ[name].as_str().unwrap().starts_with(house.folder.to_str().unwrap()), "{name}");
    }
    assert_eq!(result["cwd"], code);
    assert_eq!(result["path"][0], code);
    assert_eq!(result["argv"], json!(["bootstrap"]));
}

#[tokio::test]
async fn a_handler_in_a_folder_finds_its_neighbours() {
    let house = House::new();
    let spec = house.function(
        "Python3.10",
        "src/logging.main_handler",
        &[
            ("src/logging.py", "import near, far\ndef main_handler(e, c):\n    return near.x + far.x\n"),
            ("src/near.py", "x = 1\n"),
            ("far.py", "x = 2\n"),
        ],
    );
    assert_eq!(succeeded(&house.run(&spec, "{}").await), 3);
}

#[tokio::test]
async fn leaving_the_process_is_439_and_the_next_event_gets_another() {
    let house = House::new();
    let spec = house.python(
        "import os, sys\n\
         def main_handler(event, context):\n\
         \x20   print('so long')\n\
         \x20   if event == 1: os._exit(3)\n\
         \x20   if event == 2: sys.exit(4)\n\
         \x20   if event == 3: os.kill(os.getpid(), 9)\n\
         \x20   return 'alive'\n",
    );
    for (event, how) in [("1", "exit status: 3"), ("2", "exit status: 4"), ("3", "signal: 9 (SIGKILL)")] {
        let ran = house.run(&spec, event).await;
        let document = failed(&ran, StatusCode::ProcessExited);
        assert_eq!(document["errorMessage"], format!("User process exit when running ({how})"));
        assert_eq!(ran.output, "so long\n");
    }
    assert_eq!(succeeded(&house.run(&spec, "4").await), "alive");
}

#[tokio::test]
async fn a_forked_child_cannot_answer() {
    let house = House::new();
    let spec = house.python(
        "import os\n\
         def main_handler(event, context):\n\
         \x20   pid = os.fork()\n\
         \x20   if pid:\n\
         \x20       os.waitpid(pid, 0)\n\
         \x20   return 'parent' if pid else 'child'\n",
    );
    assert_eq!(succeeded(&house.run(&spec, "{}").await), "parent");
    assert_eq!(succeeded(&house.run(&spec, "{}").await), "parent");
}

#[tokio::test]
async fn every_version_maps_to_the_installed_one() {
    let house = House::new();
    let python = house.runtime.interpreter("Python3.6").await.unwrap();
    assert!(python.version.starts_with("Python 3."), "{python:?}");
    assert_eq!(house.runtime.interpreter("Python3.10").await.unwrap(), python);
    assert!(house.runtime.interpreter("Nodejs12.16").await.unwrap().version.starts_with("Node.js "));
    assert_eq!(house.runtime.interpreter("Python2.7").await, None);
    assert!(Runtime::known("Python2.7") && !Runtime::known("Ruby3"));
    let ran = house.run(&house.function("Python2.7", "index.main_handler", &[("index.php", "")]), "{}").await;
    failed(&ran, StatusCode::ContainerInitError);
}
