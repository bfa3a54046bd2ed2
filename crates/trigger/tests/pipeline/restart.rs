//! What a stop or crash leaves behind and the next start takes up.

use std::sync::Arc;

use cosette_model::function::StatusCode;
use cosette_model::{Chain, Target};
use cosette_store::Table;
use cosette_trigger::{DeliveryState, NewRule};
use tokio::sync::Semaphore;

use super::world::{MINUTE, PUT, World, function, in_time, new_rule, selector};

#[tokio::test]
async fn changes_that_were_not_read_are_delivered_after_a_restart() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    world.triggers.stop(MINUTE).await;
    for n in 0..3 {
        world.put(&format!("{n}")).await;
    }
    assert!(world.functions.ids("f").is_empty());
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["0", "1", "2"]);
}

#[tokio::test]
async fn a_delivery_in_flight_is_tried_again_under_its_id() {
    let world = World::directory().await;
    world.functions.define("f", 1, |_| std::future::pending());
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.put("b").await;
    world.functions.until("f", |seen| seen.running == 1).await;
    world.until(|all| all.len() == 2).await;
    world.functions.answer("f", StatusCode::Success);
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["a", "a", "b"]);
    let ids = world.functions.ids("f");
    assert_eq!(ids[0], ids[1]);
    world.functions.seen("f", |seen| assert!(seen.calls.iter().all(|call| call.retry == 0)));
    assert_eq!(world.deliveries().len(), 2);
    assert!(world.deliveries().iter().all(|d| d.state == DeliveryState::Succeeded));
}

#[tokio::test]
async fn nothing_is_delivered_twice_by_a_restart() {
    let mut world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "in/").await.unwrap();
    for n in 0..5 {
        world.put(&format!("in/{n}")).await;
        world.put(&format!("not/{n}")).await;
        world.quiet().await;
        world = world.restart().await;
        world.quiet().await;
        assert_eq!(world.deliveries().len(), n + 1);
    }
    assert_eq!(world.functions.keys("f"), ["in/0", "in/1", "in/2", "in/3", "in/4"]);
}

#[tokio::test]
async fn a_retry_keeps_its_time_and_its_count() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::UserCodeException);
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    let at = world.clock.now().plus(MINUTE);
    world.until(|all| all.len() == 1 && all[0].state == DeliveryState::Retrying { at }).await;
    let world = world.restart().await;
    assert!(!world.triggers.wait(None, std::time::Duration::ZERO).await.unwrap().quiet);
    assert_eq!(world.deliveries()[0].state, DeliveryState::Retrying { at });
    world.functions.answer("f", StatusCode::Success);
    world.clock.advance(MINUTE);
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Succeeded, 2));
    world.functions.seen("f", |seen| assert_eq!(seen.calls[1].retry, 1));
}

#[tokio::test]
async fn a_queued_call_survives() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world.triggers.stop(MINUTE).await;
    let id = world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.ids("f"), [id]);
}

#[tokio::test]
async fn more_than_a_page_of_unfinished_deliveries_is_taken_up_in_order() {
    let world = World::directory().await;
    world.functions.define("f", 1, |_| std::future::pending());
    world.rule("f", PUT, "").await.unwrap();
    let keys: Vec<String> = (0..600).map(|n| format!("{n}")).collect();
    for key in &keys {
        world.put(key).await;
    }
    world.until(|all| all.len() == keys.len()).await;
    world.functions.answer("f", StatusCode::Success);
    world.functions.change("f", |f| f.concurrency = 1);
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f")[1..], keys);
}

#[tokio::test]
async fn a_stop_lets_running_deliveries_end() {
    let world = World::directory().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.functions.define("f", 1, move |_| {
        let gate = held.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            StatusCode::Success
        }
    });
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.put("b").await;
    world.functions.until("f", |seen| seen.running == 1).await;
    // It ends only after the stop has begun.
    let ends = async { gate.add_permits(2) };
    in_time(async { tokio::join!(biased; world.triggers.stop(MINUTE), ends) }).await;
    let states: Vec<DeliveryState> = world.deliveries().into_iter().map(|d| d.state).collect();
    assert_eq!(states[0], DeliveryState::Succeeded);
    assert_eq!(world.functions.ids("f").len(), 1, "nothing new is begun");
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["a", "b"]);
}

#[tokio::test]
async fn what_has_ended_is_not_made_again_though_an_older_one_still_runs() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world.functions.define("stuck", 1, |_| std::future::pending());
    world.rule("stuck", PUT, "s").await.unwrap();
    let rule = world.rule("f", PUT, "f").await.unwrap();
    world.put("s").await;
    for n in 0..5 {
        let request = world.put(&format!("f{n}")).await;
        world.quiet_for(&request).await;
    }
    // Its change is read once more, and meets the rule that there was.
    world.triggers.delete_rule_by_id(&rule.id).await.unwrap();
    let cursor = saved_cursor(&world);
    assert!(cursor < world.deliveries()[0].source.as_ref().unwrap().seq.0, "it has begun without a row");
    world.functions.answer("stuck", StatusCode::Success);
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["f0", "f1", "f2", "f3", "f4"]);
    let ids = world.functions.ids("stuck");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(world.deliveries().len(), 6);
    assert!(world.deliveries().iter().all(|d| d.state == DeliveryState::Succeeded));
}

#[tokio::test]
async fn a_lane_keeps_its_order_though_only_its_head_had_begun() {
    let world = World::directory().await;
    world.functions.define("f", 8, |_| std::future::pending());
    world.rule("f", PUT, "").await.unwrap();
    for _ in 0..3 {
        world.put("a").await;
    }
    world.until(|all| all.len() == 3).await;
    let filed: Vec<String> = world.deliveries().into_iter().map(|d| d.id).collect();
    world.functions.answer("f", StatusCode::Success);
    let world = world.restart().await;
    world.quiet().await;
    assert_eq!(world.functions.ids("f")[1..], filed);
}

#[tokio::test]
async fn what_runs_for_long_does_not_hold_the_cursor_back() {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world.functions.define("stuck", 1, |_| std::future::pending());
    world.rule("stuck", PUT, "s").await.unwrap();
    world.rule("f", PUT, "f").await.unwrap();
    world.put("s").await;
    let change = world.store.head();
    for n in 0..200 {
        let request = world.put(&format!("f{n}")).await;
        world.quiet_for(&request).await;
    }
    assert!(saved_cursor(&world) > change.0);
    let [stuck, ..] = &world.deliveries()[..] else { panic!("nothing is there") };
    assert_eq!(stuck.state, DeliveryState::Running);
    world.functions.answer("stuck", StatusCode::Success);
    let world = world.restart().await;
    world.quiet().await;
    let ids = world.functions.ids("stuck");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(world.functions.ids("f").len(), 200);
}

#[tokio::test]
async fn of_one_change_that_fires_several_only_what_had_not_ended_is_made_again() {
    let world = World::directory().await;
    world.functions.answer("w", StatusCode::Success);
    world.functions.define("stuck", 1, |_| std::future::pending());
    let stuck = world.rule("stuck", PUT, "").await.unwrap();
    let target = Target::Webhook { webhook: "w".into() };
    let told = world.triggers.create_rule(NewRule { target, ..new_rule("w", PUT, "") }).await.unwrap();
    world.put("a").await;
    world.until(|all| all.len() == 2 && all[1].state == DeliveryState::Succeeded).await;
    // The change is before all of this.
    for enabled in [false, true] {
        world.triggers.set_enabled(selector("stuck", PUT), enabled).await.unwrap();
    }
    for rule in [stuck, told] {
        world.triggers.delete_rule_by_id(&rule.id).await.unwrap();
    }
    world.functions.answer("stuck", StatusCode::Success);
    let world = world.restart().await;
    world.quiet().await;
    let ids = world.functions.ids("stuck");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(world.functions.ids("w").len(), 1);
    assert!(world.deliveries().iter().all(|d| d.state == DeliveryState::Succeeded));
}

fn saved_cursor(world: &World) -> u64 {
    let row = world.store.get(Table::Cursor, b"trigger.pump").unwrap();
    row.map_or(0, |row| u64::from_be_bytes(row.try_into().unwrap()))
}
