//! Dead letters: one for each delivery that is dead, and none of a letter.

use cosette_model::function::{RetryPolicy, StatusCode};
use cosette_model::{Chain, Target};
use cosette_trigger::{Delivery, DeliveryState};
use tokio::sync::Semaphore;

use super::world::{PUT, World, function, in_time};

fn of<'a>(deliveries: &'a [Delivery], name: &str) -> Vec<&'a Delivery> {
    deliveries.iter().filter(|found| found.target == function(name).into()).collect()
}

/// A function that fails at once for good, with `heir` told of it.
fn broken(world: &World, heir: &str) {
    world.functions.answer("f", StatusCode::UserCodeException);
    world.functions.change("f", |f| {
        f.retry = RetryPolicy { retries: 0, max_age_secs: 60 };
        f.dead_letter = Some(function(heir).into());
    });
}

#[tokio::test]
async fn a_dead_delivery_has_a_letter_of_the_same_request() {
    let world = World::memory().await;
    broken(&world, "heir");
    world.functions.answer("heir", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    let request = world.put("a").await;
    world.quiet_for(&request).await;
    let deliveries = world.deliveries();
    let ([dead], [letter]) = (&of(&deliveries, "f")[..], &of(&deliveries, "heir")[..]) else { panic!() };
    assert!(matches!(dead.state, DeliveryState::Dead { .. }) && letter.state == DeliveryState::Succeeded);
    assert_eq!(letter.letter_of.as_ref(), Some(&dead.id));
    let text: serde_json::Value = serde_json::from_str(&letter.event).unwrap();
    assert_eq!((&text["RequestId"], &text["ErrorCode"]), (&dead.id.as_str().into(), &(-1).into()));
    assert_eq!(text["Body"]["ClientContext"], dead.event.as_str());
    assert_eq!(text["Body"]["AppId"], 1_250_000_000_u64);
    assert_eq!(world.functions.seen("heir", |seen| seen.calls[0].subject.clone()), "dead-letter");
}

#[tokio::test]
async fn a_letter_that_is_dead_itself_has_none() {
    let world = World::memory().await;
    // It is its own heir, and that of whoever else fails.
    broken(&world, "f");
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.quiet().await;
    let deliveries = world.deliveries();
    assert_eq!(of(&deliveries, "f").len(), 2);
    assert!(deliveries.iter().all(|found| matches!(found.state, DeliveryState::Dead { .. })));
}

#[tokio::test]
async fn what_is_ended_by_hand_has_none() {
    let world = World::memory().await;
    broken(&world, "heir");
    world.functions.define("f", 1, |_| std::future::pending());
    world.functions.change("f", |f| f.dead_letter = Some(function("heir").into()));
    for _ in 0..2 {
        world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    }
    world.functions.until("f", |seen| seen.running == 1).await;
    // The one that waits, and the one that runs.
    for dead in world.deliveries().into_iter().rev() {
        in_time(world.triggers.terminate(&dead.id)).await.unwrap();
    }
    world.quiet().await;
    let deliveries = world.deliveries();
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries.iter().all(|found| matches!(found.state, DeliveryState::Dead { .. })));
}

#[tokio::test]
async fn a_letter_outlives_a_restart() {
    let world = World::directory().await;
    broken(&world, "heir");
    let gate: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    world.functions.define("heir", 1, move |_| async move {
        gate.acquire().await.unwrap().forget();
        StatusCode::Success
    });
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    in_time(world.functions.until("heir", |seen| seen.running == 1)).await;
    let world = world.restart().await;
    gate.add_permits(1);
    world.quiet().await;
    let ids = world.functions.ids("heir");
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(world.functions.ids("f").len(), 1);
    assert_eq!(of(&world.deliveries(), "heir").len(), 1);
    let heir: Target = function("heir").into();
    assert!(world.triggers.knows(&heir));
}
