//! What quiet means.

use std::sync::Arc;
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_trigger::DeliveryState;
use tokio::sync::Semaphore;

use super::scripted::key;
use super::world::{MINUTE, PUT, World, put};

#[tokio::test]
async fn writes_that_fire_nothing_cost_no_commit_and_are_quiet() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "in/").await.unwrap();
    world.quiet().await;
    let before = world.store.head();
    for n in 0..20 {
        world.put(&format!("{n}")).await;
    }
    let quiet = world.quiet().await;
    assert_eq!(quiet.head.0, before.0 + 20);
    assert_eq!(quiet.cursor, quiet.head);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.head(), quiet.head, "nobody writes when nothing happens");
}

#[tokio::test]
async fn not_quiet_while_a_delivery_runs() {
    let world = World::memory().await;
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
    world.functions.until("f", |seen| seen.running == 1).await;
    let not = world.triggers.wait(None, Duration::from_millis(1)).await.unwrap();
    assert!(!not.quiet);
    assert_eq!(not.pending, world.functions.ids("f"));
    gate.add_permits(1);
    assert!(world.quiet().await.pending.is_empty());
    assert_eq!(world.deliveries()[0].state, DeliveryState::Succeeded, "quiet means on record");
}

#[tokio::test]
async fn a_delivery_that_waits_for_its_retry_is_not_quiet() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::UserCodeException);
    world.rule("f", PUT, "").await.unwrap();
    let request = world.put("a").await;
    world.until(|all| matches!(all, [one] if one.attempts.len() == 1)).await;
    for request in [None, Some(request.as_str())] {
        let not = world.triggers.wait(request, Duration::from_millis(1)).await.unwrap();
        assert!(!not.quiet && not.pending.len() == 1, "{not:?}");
    }
}

#[tokio::test]
async fn not_settled_while_a_retry_is_due() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::UserCodeException);
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.triggers.settled().await;
    assert_eq!(world.deliveries()[0].attempts.len(), 1);
    let due = world.clock.now().plus(MINUTE);
    assert_eq!(world.triggers.next_due(), Some(due));
    world.clock.set(due);
    assert!(!world.triggers.is_settled(), "though nobody has seen yet that the clock has moved");
    world.triggers.settled().await;
    assert_eq!(world.deliveries()[0].attempts.len(), 2);
}

#[tokio::test]
async fn one_requests_quiet_does_not_mind_another() {
    let world = World::memory().await;
    world.functions.define("f", 8, |call| async move {
        if key(&call.event) == "stuck" {
            std::future::pending::<()>().await;
        }
        StatusCode::Success
    });
    world.rule("f", PUT, "").await.unwrap();
    let stuck = world.put("stuck").await;
    let fine = world.put("fine").await;
    world.quiet_for(&fine).await;
    assert!(world.functions.keys("f").contains(&"fine".to_owned()));
    world.quiet_for("a request that never was").await;
    let not = world.triggers.wait(Some(&stuck), Duration::from_millis(1)).await.unwrap();
    assert!(!not.quiet && not.pending.len() == 1);
}

#[tokio::test]
async fn what_a_function_writes_is_waited_for_too() {
    let world = World::memory().await;
    let store = world.store.clone();
    world.functions.define("first", 8, move |call| {
        let store = store.clone();
        async move {
            put(&store, &key(&call.event).replace("in/", "out/"), &call.request_id).await;
            StatusCode::Success
        }
    });
    world.functions.answer("second", StatusCode::Success);
    world.rule("first", PUT, "in/").await.unwrap();
    world.rule("second", PUT, "out/").await.unwrap();
    for n in 0..50 {
        world.put(&format!("in/{n}")).await;
        world.quiet().await;
        assert_eq!(world.functions.keys("second").len(), n + 1);
    }
}

#[tokio::test]
async fn every_put_that_was_answered_is_seen_by_a_wait_after_it() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    for n in 0..200 {
        let request = world.put(&format!("{n}")).await;
        world.quiet_for(&request).await;
        assert_eq!(world.functions.ids("f").len(), n + 1);
    }
}
