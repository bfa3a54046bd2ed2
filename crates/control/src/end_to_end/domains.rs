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
    // Nor by the CDN, for whatever account.
    let edge = json!({
        "Domain": NAME,
        "ServiceType": "web",
        "Origin": {"Origins": [format!("{bucket}.cos.{HOME}.myqcloud.com")], "OriginType": "cos"},
    });
    let cdn = async |id, action, params| {
        world.ask_service(("cdn", "2018-06-06"), id, None, action, params, None).await.error
    };
    for id in [EXAMPLE_ID, OTHER_ID] {
        let code = cdn(id, "AddCdnDomain", edge.clone()).await;
        assert_eq!(code.as_deref(), Some("ResourceInUse.CdnHostExists"));
    }
    set(None).await.unwrap();
    assert_eq!(cdn(OTHER_ID, "AddCdnDomain", edge.clone()).await, None);
    let code = cdn(EXAMPLE_ID, "AddCdnDomain", edge.clone()).await;
    assert_eq!(code.as_deref(), Some("UnauthorizedOperation.CdnHostIsUsedByOther"));
    assert_eq!(world.refused("CreateCustomDomain", domain()).await, "ResourceInUse");
    for action in ["StopCdnDomain", "DeleteCdnDomain"] {
        assert_eq!(cdn(OTHER_ID, action, json!({"Domain": NAME})).await, None);
    }
    world.call("CreateCustomDomain", domain()).await;
    let code = cdn(OTHER_ID, "AddCdnDomain", edge).await;
    assert_eq!(code.as_deref(), Some("ResourceInUse.CdnHostExists"));
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
    // What is not said stays, though it leads nowhere; what is said does not.
    world.call("UpdateCustomDomain", json!({"Domain": NAME, "Protocol": "HTTP"})).await;
    let said = json!({"Domain": NAME, "EndpointsConfig": domain()["EndpointsConfig"]});
    assert_eq!(world.refused("UpdateCustomDomain", said).await, "ResourceNotFound.FunctionName");
    // Another account's of the same name.
    for (action, params) in
        [("CreateFunction", create_params("hello", ECHO)), ("CreateTrigger", url()), ("DeleteTrigger", url())]
    {
        let answer = world.ask(OTHER_ID, Some(HOME), action, params).await;
        assert_eq!(answer.error, None, "{action}: {}", response(&answer));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_take_a_name_at_once_one_gets_it() {
    let world = World::new(false);
    world.bucket("mine-1250000000", HOME, "1250000000").await;
    world.create("hello", ECHO).await;
    world.call("CreateTrigger", url()).await;
    for number in 0..20 {
        let name = format!("www.{number}.example.com");
        let mut taken = domain();
        taken["Domain"] = json!(name);
        let edge = json!({
            "Domain": name,
            "ServiceType": "web",
            "Origin": {"Origins": [format!("mine-1250000000.cos.{HOME}.myqcloud.com")], "OriginType": "cos"},
        });
        let cdn = ("cdn", "2018-06-06");
        let (by_functions, by_edge) = tokio::join!(
            world.ask(EXAMPLE_ID, Some(HOME), "CreateCustomDomain", taken),
            world.ask_service(cdn, EXAMPLE_ID, None, "AddCdnDomain", edge, None),
        );
        match (by_functions.error.as_deref(), by_edge.error.as_deref()) {
            (None, Some("ResourceInUse.CdnHostExists")) | (Some("ResourceInUse"), None) => {}
            both => panic!("{name}: {both:?}"),
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_a_function_is_known_as_it_is_now() {
    let world = World::new(false);
    world.create("hello", ECHO).await;
    let function = |name: &str| {
        let urls = world.triggers.urls().unwrap();
        urls.into_iter().find(|url| url.function.name == name).map(|url| (url.function, url.id))
    };
    assert_eq!(function("hello"), None);
    world.call("CreateTrigger", url()).await;
    let (of, id) = function("hello").unwrap();
    assert_eq!(world.triggers.url_of(&of).unwrap(), Some(id.clone()));
    world.call("DeleteTrigger", url()).await;
    assert_eq!(world.triggers.url_of(&of).unwrap(), None);
    world.call("CreateTrigger", url()).await;
    let anew = world.triggers.url_of(&of).unwrap();
    assert_eq!(anew, function("hello").map(|(_, id)| id));
    assert_ne!(anew, Some(id));
    world.call("DeleteFunction", json!({"FunctionName": "hello"})).await;
    assert_eq!(world.triggers.url_of(&of).unwrap(), None);
    world.stop().await;
}
