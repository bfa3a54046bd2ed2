//! When a rule is active, and which rules are refused.

use cosette_model::function::{FunctionRef, Home, StatusCode};
use cosette_model::{BucketName, Seq};
use cosette_store::Table;
use cosette_trigger::Error;

use super::world::{ANY, PUT, World, function, new_rule, put, selector};

#[tokio::test]
async fn a_rule_fires_exactly_while_it_is_on() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.put("before").await;
    let rule = world.rule("f", PUT, "").await.unwrap();
    assert!(rule.enabled());
    world.put("on").await;
    let rule = world.triggers.set_enabled(selector("f", PUT), false).await.unwrap();
    assert!(!rule.enabled());
    world.put("off").await;
    world.triggers.set_enabled(selector("f", PUT), true).await.unwrap();
    world.put("on again").await;
    world.triggers.delete_rule(selector("f", PUT)).await.unwrap();
    world.put("deleted").await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["on", "on again"]);
}

#[tokio::test]
async fn matching_is_as_exact_when_it_is_late() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    // The pump stands still while all of this happens.
    world.triggers.stop(std::time::Duration::ZERO).await;
    world.put("before").await;
    world.rule("f", PUT, "").await.unwrap();
    world.put("on").await;
    world.triggers.set_enabled(selector("f", PUT), false).await.unwrap();
    world.put("off").await;
    world.triggers.set_enabled(selector("f", PUT), true).await.unwrap();
    world.put("on again").await;
    world.triggers.delete_rule(selector("f", PUT)).await.unwrap();
    world.put("deleted").await;
    assert!(world.triggers.rules().unwrap().is_empty());
    assert_eq!(world.store.scan(Table::Rule, b"", None, 10).unwrap().len(), 1, "kept until it is passed");

    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["on", "on again"]);
    assert_eq!(world.store.scan(Table::Rule, b"", None, 10).unwrap().len(), 1, "kept to explain with");
}

#[tokio::test]
async fn a_rule_made_off_fires_once_it_is_on() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    let mut new = new_rule("f", PUT, "");
    new.enabled = false;
    let rule = world.triggers.create_rule(new).await.unwrap();
    assert!(!rule.enabled() && rule.active.is_empty());
    world.put("off").await;
    let off = world.triggers.set_enabled(selector("f", PUT), false).await;
    assert!(matches!(off, Err(Error::Unchanged(false))));
    world.triggers.set_enabled(selector("f", PUT), true).await.unwrap();
    world.put("on").await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["on"]);
}

fn home(region: &str, appid: &str) -> Option<Home> {
    Some(Home { region: region.into(), appid: appid.into() })
}

#[tokio::test]
async fn a_rule_that_could_never_fire_is_refused() {
    let world = World::memory().await;
    let refused = world.rule("f", PUT, "").await;
    assert!(matches!(refused, Err(Error::NoSuchFunction(name)) if name == "f"));
    world.functions.answer("f", StatusCode::Success);
    let mut new = new_rule("f", PUT, "");
    new.bucket = BucketName::new("other-1250000000").unwrap();
    let refused = world.triggers.create_rule(new).await;
    assert!(matches!(refused, Err(Error::NoSuchBucket(name)) if name == "other-1250000000"));
    world.functions.change("f", |f| f.home = home("ap-shanghai", "1250000000"));
    let refused = world.rule("f", PUT, "").await;
    assert!(matches!(refused, Err(Error::OtherRegion { bucket, function })
        if bucket == "ap-guangzhou" && function == "ap-shanghai"));
    world.functions.change("f", |f| f.home = home("ap-guangzhou", "1250000001"));
    assert!(matches!(world.rule("f", PUT, "").await, Err(Error::OtherAccount)));
    assert!(world.triggers.rules().unwrap().is_empty());
}

#[tokio::test]
async fn a_disabled_rule_keeps_its_slot_and_a_deleted_one_frees_it() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.functions.answer("g", StatusCode::Success);
    let first = world.rule("f", ANY, "a/").await.unwrap();
    world.triggers.set_enabled(selector("f", ANY), false).await.unwrap();
    assert!(matches!(world.rule("f", ANY, "a/").await, Err(Error::Exists)));
    assert!(
        matches!(world.rule("g", PUT, "a/b").await, Err(Error::Conflict { with }) if with.contains("\"a/\""))
    );
    world.rule("g", PUT, "b/").await.unwrap();
    assert_eq!(world.triggers.delete_rule(selector("f", ANY)).await.unwrap().id, first.id);
    assert!(matches!(world.triggers.delete_rule(selector("f", ANY)).await, Err(Error::NoSuchRule)));
    world.rule("g", PUT, "a/b").await.unwrap();
    let prefixes: Vec<String> = world.triggers.rules().unwrap().into_iter().map(|r| r.prefix).collect();
    assert_eq!(prefixes, ["b/", "a/b"], "oldest first");
}

#[tokio::test]
async fn of_overlapping_rules_made_at_once_one_stands() {
    let world = World::memory().await;
    let mut makers = Vec::new();
    for n in 0..8 {
        let name = format!("f{n}");
        world.functions.answer(&name, StatusCode::Success);
        let triggers = world.triggers.clone();
        makers.push(tokio::spawn(async move { triggers.create_rule(new_rule(&name, PUT, "")).await }));
    }
    let mut made = 0;
    for maker in makers {
        match maker.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_deleted_functions_rules_go_whatever_their_qualifier() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.functions.answer("g", StatusCode::Success);
    world.rule("f", PUT, "a/").await.unwrap();
    let mut new = new_rule("f", PUT, "b/");
    new.target = FunctionRef { qualifier: "2".into(), ..function("f") }.into();
    world.triggers.create_rule(new).await.unwrap();
    world.rule("g", PUT, "c/").await.unwrap();
    world.forget("f", None).await;
    let left = world.triggers.rules().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].target, function("g").into());
}

#[tokio::test]
async fn intervals_that_are_passed_are_forgotten_in_the_end() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    for n in 0..100 {
        world.put(&format!("{n}")).await;
        world.quiet().await;
        world.triggers.set_enabled(selector("f", PUT), false).await.unwrap();
        world.triggers.set_enabled(selector("f", PUT), true).await.unwrap();
    }
    let rule = world.triggers.rules().unwrap().remove(0);
    assert!(rule.enabled() && rule.active.len() <= 66, "{}", rule.active.len());
    assert!(rule.active[0].from > Seq(0));
    assert_eq!(world.functions.keys("f").len(), 100);
}

/// Writers, a rule that is switched all the time, and functions run side by side; at the end, what was
/// delivered is compared with what the change log and the rule's intervals say.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_delivered_is_what_log_and_rule_say() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..8 {
        let store = world.store.clone();
        writers.push(tokio::spawn(async move {
            for n in 0..100 {
                put(&store, &format!("{writer}/{}", n % 7), &format!("{writer}-{n}")).await;
            }
        }));
    }
    let mut enabled = true;
    while writers.iter().any(|writer| !writer.is_finished()) {
        let rule = world.triggers.rules().unwrap().remove(0);
        if rule.active.len() < 60 {
            enabled = !enabled;
            world.triggers.set_enabled(selector("f", PUT), enabled).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    world.quiet().await;
    let rule = world.triggers.rules().unwrap().remove(0);
    let changes = world.store.changes(Seq(0), 10_000).unwrap();
    let due: Vec<Seq> = changes
        .iter()
        .filter(|change| change.key.is_some() && rule.is_active_at(change.seq))
        .map(|change| change.seq)
        .collect();
    let delivered: Vec<Seq> = world.deliveries().iter().map(|d| d.source.as_ref().unwrap().seq).collect();
    assert_eq!(delivered, due);
    assert_eq!(world.functions.ids("f").len(), due.len());
}

/// Whoever has looked a function up says by which commit it must still be the same.
#[tokio::test]
async fn nothing_is_changed_of_a_function_that_is_another_by_now() {
    let world = World::memory().await;
    for name in ["f", "g"] {
        world.functions.answer(name, StatusCode::Success);
    }
    world.rule("f", PUT, "").await.unwrap();
    let anew = world.triggers.checking(|_| Err(Error::NoSuchFunction("f".into())));
    let gone = |done: Result<(), Error>| assert!(matches!(done, Err(Error::NoSuchFunction(_))), "{done:?}");
    gone(anew.create_rule(new_rule("g", PUT, "a/")).await.map(drop));
    gone(anew.set_enabled(selector("f", PUT), false).await.map(drop));
    gone(anew.delete_rule(selector("f", PUT)).await.map(drop));
    let rules = world.triggers.rules().unwrap();
    assert!(rules.len() == 1 && rules[0].enabled());
    world.triggers.checking(|_| Ok(())).delete_rule(selector("f", PUT)).await.unwrap();
}
