//! The actions on triggers.

use serde_json::{Value, json};

use super::world::{ECHO, World, trigger};
use super::{BUCKET, HOME};

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_lives_its_life() {
    let world = World::new(false);
    world.bucket(BUCKET, HOME, "1250000000").await;
    world.create("hello", ECHO).await;
    let made = world.call("CreateTrigger", trigger("hello", "cos:ObjectCreated:*", "in/", ".txt")).await;
    let info = &made["TriggerInfo"];
    assert_eq!(
        info["TriggerDesc"],
        "{\"bucketUrl\":\"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com\",\
         \"event\":\"cos:ObjectCreated:*\",\"filter\":{\"Prefix\":\"in/\",\"Suffix\":\".txt\"}}"
    );
    assert_eq!(
        (&info["Enable"], &info["Qualifier"], &info["Type"]),
        (&json!(1), &json!("$DEFAULT"), &json!("cos"))
    );
    assert_eq!(
        info["ResourceId"],
        "qcs::scf:gz:uin/100000000001:function/hello/examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
    );
    let listed = world.call("ListTriggers", json!({"FunctionName": "hello", "Limit": 100})).await;
    assert_eq!((&listed["TotalCount"], &listed["Triggers"][0]), (&json!(1), info));
    let shown = world.call("GetFunction", json!({"FunctionName": "hello"})).await;
    assert_eq!(&shown["Triggers"][0], info);

    world.put(BUCKET, "in/a.txt", b"hello".to_vec()).await;
    world.put(BUCKET, "out/a.txt", b"hello".to_vec()).await;
    world.quiet().await;
    let logs = world.call("GetFunctionLogs", json!({"FunctionName": "hello"})).await;
    assert_eq!(logs["TotalCount"], 1, "{logs}");
    assert!(logs["Data"][0]["RetMsg"].as_str().unwrap().contains("/1250000000/examplebucket/in/a.txt"));

    let named = |enable: &str| {
        let mut named = trigger("hello", "cos:ObjectCreated:*", "in/", ".txt");
        named["Enable"] = json!(enable);
        named
    };
    world.call("UpdateTriggerStatus", named("CLOSE")).await;
    assert_eq!(
        world.refused("UpdateTriggerStatus", named("CLOSE")).await,
        "FailedOperation.UpdateTriggerStatus"
    );
    let listed = world.call("ListTriggers", json!({"FunctionName": "hello"})).await;
    assert_eq!(listed["Triggers"][0]["Enable"], 0);
    world.put(BUCKET, "in/b.txt", b"hello".to_vec()).await;
    world.quiet().await;
    assert_eq!(world.call("GetFunctionLogs", json!({"FunctionName": "hello"})).await["TotalCount"], 1);

    // Named as loosely as the API allows.
    let loose = json!({"FunctionName": "hello", "Type": "cos", "TriggerName": info["TriggerName"],
                       "TriggerDesc": "{\"event\":\"cos:ObjectCreated:*\"}"});
    world.call("DeleteTrigger", loose.clone()).await;
    assert_eq!(world.refused("DeleteTrigger", loose).await, "ResourceNotFound.Trigger");

    // A deleted function leaves no trigger in anybody's way.
    world.call("CreateTrigger", trigger("hello", "cos:ObjectCreated:*", "", "")).await;
    world.call("DeleteFunction", json!({"FunctionName": "hello"})).await;
    world.create("heir", ECHO).await;
    world.call("CreateTrigger", trigger("heir", "cos:ObjectCreated:*", "", "")).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_refused_by_their_codes() {
    let world = World::new(false);
    world.bucket(BUCKET, HOME, "1250000000").await;
    world.bucket("far-1250000000", "ap-beijing", "1250000000").await;
    world.bucket("foreign-1260000000", HOME, "1260000000").await;
    world.bucket("plain", HOME, "1250000000").await;
    world.create("hello", ECHO).await;
    world.create("other", ECHO).await;
    world.call("CreateTrigger", trigger("hello", "cos:ObjectCreated:*", "Log", "")).await;
    let with = |change: Value| {
        let mut params = trigger("other", "cos:ObjectRemove:*", "", "");
        params.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        params
    };
    let host =
        |bucket: &str, region: &str| json!({"TriggerName": format!("{bucket}.cos.{region}.myqcloud.com")});
    for (params, wanted) in [
        (trigger("other", "cos:ObjectCreated:Put", "Lo", ""), "InvalidParameterValue.CosNotifyRuleConflict"),
        (trigger("hello", "cos:ObjectCreated:*", "Log", ""), "ResourceInUse.Trigger"),
        (trigger("nope", "cos:ObjectCreated:*", "x", ""), "ResourceNotFound.FunctionName"),
        (trigger("other", "s3:ObjectCreated:*", "", ""), "InvalidParameterValue.TriggerDesc"),
        (trigger("other", "cos:ObjectRemove:*", "", "zip"), "InvalidParameterValue.TriggerDesc"),
        (
            with(json!({"TriggerDesc": "{\"event\":\"cos:ObjectRemove:*\",\"bucketUrl\":\"x\"}"})),
            "InvalidParameterValue.TriggerDesc",
        ),
        (with(host("far-1250000000", "ap-beijing")), "UnauthorizedOperation.Region"),
        (with(host("far-1250000000", HOME)), "ResourceNotFound.Cos"),
        (with(host("missing-1250000000", HOME)), "ResourceNotFound.Cos"),
        (with(host("foreign-1260000000", HOME)), "UnauthorizedOperation.CreateTrigger"),
        (with(json!({"TriggerName": "mine"})), "InvalidParameterValue.TriggerName"),
        (with(json!({"TriggerName": ""})), "MissingParameter"),
        (with(json!({"Type": "ckafka"})), "UnsupportedOperation"),
        (with(json!({"Type": "nothing"})), "InvalidParameterValue.Type"),
        (with(json!({"Enable": "YES"})), "InvalidParameterValue.Enable"),
        (with(json!({"Qualifier": "3"})), "ResourceNotFound.Qualifier"),
    ] {
        assert_eq!(world.refused("CreateTrigger", params.clone()).await, wanted, "{params}");
    }
    // Buckets are found without their appid, and without having one.
    for bucket in ["examplebucket", "plain"] {
        let made = world.call("CreateTrigger", with(host(bucket, HOME))).await;
        let name = made["TriggerInfo"]["TriggerName"].as_str().unwrap();
        assert!(name.starts_with(bucket), "{name}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_trigger_has_a_bound_whatever_its_type() {
    let world = World::new(false);
    world.bucket(BUCKET, HOME, "1250000000").await;
    world.create("hello", ECHO).await;
    let timer =
        json!({"FunctionName": "hello", "Type": "timer", "TriggerName": "t", "TriggerDesc": "0 0 0 1 1 * *"});
    let url = json!({"FunctionName": "hello", "Type": "http", "TriggerDesc": "{\"AuthType\":\"NONE\"}"});
    for mut asked in [trigger("hello", "cos:ObjectCreated:*", "", ""), timer, url] {
        asked["Description"] = json!("ü".repeat(1001));
        let code = world.refused("CreateTrigger", asked.clone()).await;
        assert_eq!(code, "InvalidParameterValue.Description", "{asked}");
        asked["Description"] = json!("ü".repeat(1000));
        world.call("CreateTrigger", asked).await;
    }
}
