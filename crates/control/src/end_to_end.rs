//! The actions over the real parts: a store in memory, the registry, the triggers, and Python.

mod domains;
mod triggers;
mod world;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::Answer;
use crate::testing::{EXAMPLE_ID, OTHER_ID, ROLE_ID, ROLE_TOKEN, accounts};

use self::world::{ECHO, World, response, zip};

const HOME: &str = "ap-guangzhou";
const BUCKET: &str = "examplebucket-1250000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_function_lives_its_life() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    let shown = world.call("GetFunction", json!({"FunctionName": "hello", "ShowCode": "TRUE"})).await;
    assert_eq!(shown["Status"], "Active");
    assert_eq!(shown["Runtime"], "Python3.9");
    assert_eq!(shown["MemorySize"], 128);
    assert_eq!(shown["CodeInfo"], ECHO);
    assert_eq!(shown["Triggers"], json!([]));
    assert!(shown["FunctionId"].as_str().unwrap().starts_with("lam-"));
    assert_eq!(shown["DeadLetterConfig"]["FilterType"], "");

    let change = json!({"FunctionName": "hello", "MemorySize": "256", "Description": "says hello",
                        "Environment": {"Variables": [{"Key": "A", "Value": "1"}]}, "DiskSize": 512});
    world.call("UpdateFunctionConfiguration", change).await;
    let shown = world.call("GetFunction", json!({"FunctionName": "hello"})).await;
    assert_eq!(shown["MemorySize"], 256);
    assert_eq!(shown["Environment"], json!({"Variables": [{"Key": "A", "Value": "1"}]}));
    assert_eq!(shown["CodeInfo"], "");
    let clear = json!({"FunctionName": "hello", "Environment": {"Variables": [{"Key": "", "Value": ""}]}});
    world.call("UpdateFunctionConfiguration", clear).await;

    let code = "import os\ndef main_handler(event, context):\n    return os.environ.get('A', 'none')\n";
    let update = json!({"FunctionName": "hello", "ZipFile": STANDARD.encode(zip(code))});
    world.call("UpdateFunctionCode", update).await;
    let result = world.call("InvokeFunction", json!({"FunctionName": "hello"})).await["Result"].clone();
    assert_eq!(result["RetMsg"], "\"none\"");

    world.create("other", ECHO).await;
    let list = json!({"Orderby": "FunctionName", "Order": "ASC", "Limit": 1, "Offset": 1});
    let listed = world.call("ListFunctions", list).await;
    assert_eq!(listed["TotalCount"], 2);
    assert_eq!(listed["Functions"][0]["FunctionName"], "other");
    let listed = world.call("ListFunctions", json!({"SearchKey": "ell", "Description": "says"})).await;
    assert_eq!(listed["TotalCount"], 1);
    let filter = json!({"Filters": [{"Name": "Runtime", "Values": ["Nodejs16.13"]}]});
    assert_eq!(world.call("ListFunctions", filter).await["TotalCount"], 0);

    world.call("DeleteFunction", json!({"FunctionName": "hello"})).await;
    let code = world.refused("GetFunction", json!({"FunctionName": "hello"})).await;
    assert_eq!(code, "ResourceNotFound.FunctionName");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_of_a_request_whose_publish_is_wrong() {
    let world = World::new(false);
    let params = json!({
        "FunctionName": "hello",
        "Runtime": "Python3.9",
        "Handler": "index.main_handler",
        "Code": {"ZipFile": STANDARD.encode(zip(ECHO))},
        "Publish": "perhaps",
    });
    assert_eq!(world.refused("CreateFunction", params).await, "InvalidParameter");
    let code = world.refused("GetFunction", json!({"FunctionName": "hello"})).await;
    assert_eq!(code, "ResourceNotFound.FunctionName");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_answer_and_are_logged() {
    let world = World::new(false);
    let code =
        "def main_handler(event, context):\n    print('seen', event['n'])\n    return 1 // event['n']\n";
    world.create("divide", code).await;
    let invoke = |n: i32| json!({"FunctionName": "divide", "LogType": "Tail", "ClientContext": format!("{{\"n\":{n}}}")});
    let good = world.call("Invoke", invoke(1)).await["Result"].clone();
    assert_eq!(
        (&good["InvokeResult"], &good["RetMsg"], &good["ErrMsg"]),
        (&json!(0), &json!("1"), &json!(""))
    );
    assert!(good["Log"].as_str().unwrap().contains("seen 1"), "{good}");
    assert!(good["MemUsage"].as_u64().unwrap() > 0);
    let bad = world.call("Invoke", invoke(0)).await["Result"].clone();
    assert_eq!(bad["InvokeResult"], 1);
    let error: Value = serde_json::from_str(bad["RetMsg"].as_str().unwrap()).unwrap();
    assert_eq!(error["statusCode"], 430, "{error}");

    let later = json!({"FunctionName": "divide", "InvocationType": "Event", "ClientContext": "{\"n\":2}"});
    let queued = world.call("Invoke", later).await["Result"].clone();
    let id = queued["FunctionRequestId"].as_str().unwrap();
    assert_eq!(queued["RetMsg"], "");
    world.quiet().await;

    let logs = world.call("GetFunctionLogs", json!({"FunctionName": "divide"})).await;
    assert_eq!(logs["TotalCount"], 3, "{logs}");
    let one = json!({"FunctionName": "divide", "FunctionRequestId": id});
    let logs = world.call("GetFunctionLogs", one.clone()).await;
    assert_eq!(logs["Data"][0]["RetMsg"], "0");
    assert_eq!(logs["Data"][0]["RetCode"], 0);
    assert!(logs["Data"][0]["Log"].as_str().unwrap().contains("seen 2"));
    let failed = json!({"FunctionName": "divide", "Filter": {"RetCode": "not0"}});
    let logs = world.call("GetFunctionLogs", failed).await;
    assert_eq!((&logs["TotalCount"], &logs["Data"][0]["RetCode"]), (&json!(1), &json!(430)));
    let status = world.call("GetRequestStatus", one).await;
    assert_eq!((&status["TotalCount"], &status["Data"][0]["RetCode"]), (&json!(1), &json!(0)));
    // Without a name: all of the caller's.
    assert_eq!(world.call("GetFunctionLogs", json!({"Limit": 2})).await["TotalCount"], 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_comes_from_a_bucket() {
    let world = World::new(false);
    world.bucket(BUCKET, HOME, "1250000000").await;
    world.bucket("foreign-1260000000", HOME, "1260000000").await;
    world.bucket("far-1250000000", "ap-beijing", "1250000000").await;
    world.put(BUCKET, "code/hello.zip", zip(ECHO)).await;
    world.put("far-1250000000", "hello.zip", zip(ECHO)).await;
    let create = |name: &str, code: Value| json!({"FunctionName": name, "Runtime": "Python3.9", "Handler": "index.main_handler", "Code": code});
    let code = json!({"CosBucketName": "examplebucket", "CosObjectName": "/code/hello.zip"});
    world.call("CreateFunction", create("hello", code)).await;
    let whole = json!({"CosBucketName": BUCKET, "CosObjectName": "code/hello.zip", "CosBucketRegion": HOME});
    world.call("CreateFunction", create("whole", whole)).await;
    let far = json!({"CosBucketName": "far", "CosObjectName": "hello.zip", "CosBucketRegion": "ap-beijing"});
    world.call("CreateFunction", create("far", far)).await;
    for (code, wanted) in [
        (json!({"CosBucketName": "nothing", "CosObjectName": "/a"}), "ResourceNotFound.Cos"),
        (json!({"CosBucketName": "foreign-1260000000", "CosObjectName": "/a"}), "ResourceNotFound.Cos"),
        (json!({"CosBucketName": "examplebucket", "CosObjectName": "/a"}), "ResourceNotFound.CosObject"),
        (json!({"CosBucketName": "NO", "CosObjectName": "/a"}), "InvalidParameterValue.CosBucketName"),
        (
            json!({"CosBucketName": "examplebucket", "CosObjectName": "/"}),
            "InvalidParameterValue.CosObjectName",
        ),
        (
            json!({"CosBucketName": "far", "CosObjectName": "/hello.zip"}),
            "InvalidParameterValue.CosBucketRegion",
        ),
        (json!({"CosBucketName": "examplebucket"}), "MissingParameter"),
        (json!({"ZipFile": "***"}), "InvalidParameterValue.ZipFileBase64BinasciiError"),
        (json!({"ZipFile": "aGVsbG8="}), "InvalidParameterValue.ZipFile"),
        (json!({}), "MissingParameter.Code"),
    ] {
        assert_eq!(world.refused("CreateFunction", create("f0", code.clone())).await, wanted, "{code}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_refused_by_their_codes() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    let base = json!({"FunctionName": "f0", "Runtime": "Python3.9", "Handler": "index.main_handler",
                      "Code": {"ZipFile": STANDARD.encode(zip(ECHO))}});
    for (change, wanted) in [
        (json!({"FunctionName": "hello"}), "ResourceInUse.FunctionName"),
        (json!({"FunctionName": "1"}), "InvalidParameterValue.FunctionName"),
        (json!({"FunctionName": 1}), "InvalidParameter"),
        (json!({"FunctionName": null}), "MissingParameter"),
        (json!({"Namespace": "elsewhere"}), "ResourceNotFound.Namespace"),
        (json!({"Runtime": "Cobol1.0"}), "InvalidParameterValue.Runtime"),
        (json!({"MemorySize": 100}), "InvalidParameterValue.MemorySize"),
        (json!({"MemorySize": "many"}), "InvalidParameter"),
        (json!({"Timeout": 901}), "LimitExceeded.Timeout"),
        (json!({"Type": "Job"}), "InvalidParameterValue.FunctionType"),
        (json!({"Handler": null}), "InvalidParameterValue.Handler"),
        (json!({"Layers": [{"LayerName": "l", "LayerVersion": 1}]}), "ResourceNotFound.LayerVersion"),
    ] {
        let mut params = base.clone();
        params.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(world.refused("CreateFunction", params).await, wanted, "{change}");
    }
    for (action, params, wanted) in [
        (
            "UpdateFunctionConfiguration",
            json!({"FunctionName": "hello", "Runtime": "Nodejs16.13"}),
            "InvalidParameterValue.Runtime",
        ),
        ("UpdateFunctionCode", json!({"FunctionName": "hello"}), "MissingParameter.Code"),
        ("Invoke", json!({"FunctionName": "nope"}), "ResourceNotFound.FunctionName"),
        ("Invoke", json!({"FunctionName": "hello", "Qualifier": "7"}), "ResourceNotFound.Qualifier"),
        (
            "Invoke",
            json!({"FunctionName": "hello", "ClientContext": "{"}),
            "InvalidParameterValue.ClientContext",
        ),
        (
            "Invoke",
            json!({"FunctionName": "hello", "InvocationType": "Later"}),
            "InvalidParameterValue.InvokeType",
        ),
        (
            "GetFunctionLogs",
            json!({"FunctionName": "hello", "Offset": 9_999, "Limit": 2}),
            "LimitExceeded.Offset",
        ),
        (
            "GetFunctionLogs",
            json!({"FunctionName": "hello", "OrderBy": "x"}),
            "InvalidParameterValue.OrderBy",
        ),
        ("ListFunctions", json!({"Order": "UP"}), "InvalidParameterValue.Order"),
        ("ListFunctions", json!({"Limit": -1}), "InvalidParameterValue.Limit"),
        (
            "UpdateFunctionEventInvokeConfig",
            json!({"FunctionName": "hello", "AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 3}]}}),
            "LimitExceeded.RetryNum",
        ),
        (
            "UpdateFunctionEventInvokeConfig",
            json!({"FunctionName": "hello", "AsyncTriggerConfig": {"MsgTTL": 59}}),
            "LimitExceeded.MsgTTL",
        ),
        ("UpdateFunctionEventInvokeConfig", json!({"FunctionName": "hello"}), "MissingParameter"),
        ("GetDemoAddress", json!({"DemoId": "hello"}), "UnsupportedOperation"),
        ("NoSuchThing", json!({}), "InvalidAction"),
    ] {
        assert_eq!(world.refused(action, params.clone()).await, wanted, "{action} {params}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_namespaces_are_told() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    let config = world.call("GetFunctionEventInvokeConfig", json!({"FunctionName": "hello"})).await;
    assert_eq!(
        config["AsyncTriggerConfig"],
        json!({"RetryConfig": [{"RetryNum": 2}, {"RetryNum": -1}], "MsgTTL": 21_600})
    );
    let change = json!({"FunctionName": "hello", "AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 0}], "MsgTTL": 60}});
    world.call("UpdateFunctionEventInvokeConfig", change).await;
    let config = world.call("GetFunctionEventInvokeConfig", json!({"FunctionName": "hello"})).await;
    assert_eq!(
        config["AsyncTriggerConfig"],
        json!({"RetryConfig": [{"RetryNum": 0}, {"RetryNum": -1}], "MsgTTL": 60})
    );
    let spaces = world.call("ListNamespaces", json!({})).await;
    assert_eq!((&spaces["TotalCount"], &spaces["Namespaces"][0]["Name"]), (&json!(1), &json!("default")));
    let search = json!({"SearchKey": [{"Key": "Namespace", "Value": "x"}]});
    assert_eq!(world.call("ListNamespaces", search).await["TotalCount"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_regions_are_apart() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    let get = || json!({"FunctionName": "hello"});
    let code = |answer: Answer| answer.error.unwrap_or_default();
    assert_eq!(
        code(world.ask(OTHER_ID, Some(HOME), "GetFunction", get()).await),
        "ResourceNotFound.FunctionName"
    );
    assert_eq!(
        code(world.ask(OTHER_ID, Some(HOME), "DeleteFunction", get()).await),
        "ResourceNotFound.FunctionName"
    );
    let listed = world.ask(OTHER_ID, Some(HOME), "ListFunctions", json!({})).await;
    assert_eq!(response(&listed)["TotalCount"], 0);
    let elsewhere = world.ask(EXAMPLE_ID, Some("ap-beijing"), "GetFunction", get()).await;
    assert!(elsewhere.json.contains("there is one of this name in ap-guangzhou"), "{}", elsewhere.json);
    assert_eq!(code(elsewhere), "ResourceNotFound.FunctionName");
    assert_eq!(code(world.ask(EXAMPLE_ID, None, "GetFunction", get()).await), "");
    assert_eq!(
        code(world.ask(EXAMPLE_ID, Some("No Where"), "GetFunction", get()).await),
        "UnsupportedRegion"
    );
    // A function's own key reaches its account with its token only.
    assert_eq!(code(world.ask(ROLE_ID, None, "GetFunction", get()).await), "AuthFailure.TokenFailure");
    let with_token = world.ask_with(ROLE_ID, None, "GetFunction", get(), Some(ROLE_TOKEN)).await;
    assert_eq!(code(with_token), "");
    world.stop().await;

    let strict = World::new(true);
    assert_eq!(code(strict.ask(EXAMPLE_ID, None, "ListFunctions", json!({})).await), "MissingParameter");
    strict.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_not_done() {
    let world = World::new(false);
    let parts = |uri: &str, authorization: &str| {
        let request = Request::post(uri)
            .header("Host", "scf.tencentcloudapi.com")
            .header("Content-Type", "application/json")
            .header("X-TC-Action", "ListFunctions")
            .header("X-TC-Version", "2018-04-16")
            .header("X-TC-Timestamp", world.clock.now().as_secs())
            .header("Authorization", authorization);
        request.body(()).unwrap().into_parts().0
    };
    let answer = world.control.answer(&parts("/", "SKIP"), Bytes::new(), &accounts()).await;
    assert_eq!(answer.error.as_deref(), Some("AuthFailure.InvalidAuthorization"));
    assert_eq!(answer.action, "scf.ListFunctions");
    assert!(response(&answer)["Error"]["Message"].is_string());
    world.stop().await;
}
