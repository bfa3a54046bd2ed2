//! The actions on domains of functions: whose a name is.

use cosette_model::setting::{DomainKind, DomainRule, Domains, Status};
use cosette_model::{BucketName, Cause, Setting, SettingName};
use serde_json::{Value, json};

use super::world::{ECHO, World, create_params, response};
use super::{EXAMPLE_ID, HOME, OTHER_ID};

const NAME: &str = "www.example.com";

fn url() -> Value {
    json!({"FunctionName": "hello", "Type": "http", "TriggerName": "u", "TriggerDesc": "{\"AuthType\":\"NONE\"}"})
}

fn domain() -> Value {
    let routes = json!([{"FunctionName": "hello", "PathMatch": "/*"}]);
    json!({"Domain": NAME, "Protocol": "HTTP", "EndpointsConfig": routes})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_bucket_has_is_not_taken() {
    let world = World::new(false);
    world.bucket("theirs-1260000000", HOME, "1260000000").await;
    world.create("hello", ECHO).await;
    world.call("CreateTrigger", url()).await;
    let (bucket, name) = (BucketName::new("theirs-1260000000").unwrap(), SettingName::Domain);
    let set = |rules: Option<Vec<DomainRule>>| {
        let value = rules.map(|rules| Setting::Domain(Domains { rules }).encode().unwrap());
        world.store.set_setting(bucket.clone(), name.row(), value, Cause::default())
    };
    let rule = DomainRule {
        status: Status::Enabled,
        name: NAME.to_uppercase(),
        kind: DomainKind::Rest,
        force: None,
    };
    set(Some(vec![rule])).await.unwrap();
    assert_eq!(world.refused("CreateCustomDomain", domain()).await, "ResourceInUse");
    // Nor by the CDN, but for the bucket's own account.
    let edge = json!({
        "Domain": NAME,
        "ServiceType": "web",
        "Origin": {"Origins": [format!("{bucket}.cos.{HOME}.myqcloud.com")], "OriginType": "cos"},
    });
    for (id, code) in [(EXAMPLE_ID, Some("ResourceInUse.CdnHostExists")), (OTHER_ID, None)] {
        let cdn = ("cdn", "2018-06-06");
        let answer = world.ask_service(cdn, id, None, "AddCdnDomain", edge.clone(), None).await;
        assert_eq!(answer.error.as_deref(), code, "{}", answer.json);
    }
    for action in ["StopCdnDomain", "DeleteCdnDomain"] {
        let domain = json!({"Domain": NAME});
        let answer = world.ask_service(("cdn", "2018-06-06"), OTHER_ID, None, action, domain, None).await;
        assert_eq!(answer.error, None, "{}", answer.json);
    }
    set(None).await.unwrap();
    world.call("CreateCustomDomain", domain()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_of_what_is_gone_keeps_nobody_from_anything() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    world.call("CreateTrigger", url()).await;
    world.call("CreateCustomDomain", domain()).await;
    assert_eq!(world.refused("DeleteTrigger", url()).await, "FailedOperation.DeleteTrigger.UrlUsed");
    world.call("DeleteFunction", json!({"FunctionName": "hello"})).await;
    // Another account's of the same name.
    for (action, params) in
        [("CreateFunction", create_params("hello", ECHO)), ("CreateTrigger", url()), ("DeleteTrigger", url())]
    {
        let answer = world.ask(OTHER_ID, Some(HOME), action, params).await;
        assert_eq!(answer.error, None, "{action}: {}", response(&answer));
    }
    world.stop().await;
}
