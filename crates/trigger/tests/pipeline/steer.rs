//! Deliveries that are steered by hand.

use std::time::Duration;

use cosette_model::Chain;
use cosette_model::function::StatusCode;
use cosette_trigger::{DeliveryState, Error, EventStatus, Hold, Release};

use super::world::{MINUTE, PUT, World, function, in_time};

/// Three deliveries for `f`, of three keys, held.
async fn three_held(world: &World) -> Vec<String> {
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    world.triggers.hold(Hold::All);
    for key in ["a", "b", "c"] {
        world.put(key).await;
    }
    world.until(|all| all.len() == 3 && all.iter().all(|one| one.state == DeliveryState::Held)).await;
    world.deliveries().into_iter().map(|one| one.id).collect()
}

async fn is_quiet(world: &World) -> bool {
    world.triggers.wait(None, Duration::from_millis(1)).await.unwrap().quiet
}

#[tokio::test]
async fn what_is_held_waits_and_goes_as_it_was_filed() {
    let world = World::memory().await;
    let ids = three_held(&world).await;
    assert!(!is_quiet(&world).await);
    world.triggers.settled().await;
    assert!(world.functions.ids("f").is_empty());
    assert_eq!(world.triggers.holds(), [Hold::All]);
    assert_eq!(world.triggers.release(Release::All).unwrap(), ids);
    world.quiet().await;
    assert!(world.triggers.holds().is_empty());
    world.put("d").await;
    world.quiet().await;
    assert_eq!(world.functions.ids("f").len(), 4);
}

#[tokio::test]
async fn what_is_released_runs_in_the_order_that_is_asked_for() {
    let world = World::memory().await;
    let ids = three_held(&world).await;
    let order = [ids[2].clone(), ids[0].clone()];
    assert_eq!(world.triggers.release(Release::These(order.to_vec())).unwrap(), order);
    world.until(|all| all.iter().filter(|one| one.state == DeliveryState::Succeeded).count() == 2).await;
    assert_eq!(world.functions.ids("f"), order);
    assert_eq!(world.functions.seen("f", |seen| seen.running_max), 1, "one after the other");
    let again = world.triggers.release(Release::These(order.to_vec()));
    assert!(matches!(again, Err(Error::NoSuchDelivery(_))), "{again:?}");
    assert_eq!(world.deliveries()[1].state, DeliveryState::Held);
}

#[tokio::test]
async fn a_seed_draws_one_order() {
    let mut orders = std::collections::HashSet::new();
    for seed in 0..20 {
        let world = World::memory().await;
        let ids = three_held(&world).await;
        let released = world.triggers.release(Release::Shuffled(seed)).unwrap();
        world.quiet().await;
        assert_eq!(world.functions.ids("f"), released);
        orders.insert(released.iter().map(|id| ids.iter().position(|one| one == id)).collect::<Vec<_>>());
    }
    assert!(orders.len() > 1, "{orders:?}");
}

#[tokio::test]
async fn holds_name_rules_and_functions() {
    let world = World::memory().await;
    for name in ["f", "g"] {
        world.functions.answer(name, StatusCode::Success);
    }
    let rule = world.rule("f", PUT, "f/").await.unwrap();
    world.rule("g", PUT, "g/").await.unwrap();
    world.triggers.hold(Hold::Rule(rule.id));
    world.put("f/a").await;
    world.put("g/a").await;
    world.functions.until("g", |seen| seen.calls.len() == 1).await;
    world.triggers.hold(Hold::Function("g".into()));
    world.put("g/b").await;
    // A call of the API is for the function, too, and has no rule.
    world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    world.functions.until("f", |seen| seen.calls.len() == 1).await;
    world.triggers.settled().await;
    let held = world.deliveries().iter().filter(|one| one.state == DeliveryState::Held).count();
    assert_eq!((held, world.functions.ids("g").len()), (2, 1));
    world.triggers.release(Release::All).unwrap();
    world.quiet().await;
}

#[tokio::test]
async fn a_hold_takes_what_waits_for_its_turn() {
    let world = World::memory().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let shut = gate.clone();
    world.functions.define("f", 1, move |_| {
        let gate = shut.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            StatusCode::Success
        }
    });
    world.rule("f", PUT, "").await.unwrap();
    for key in ["a", "a", "b"] {
        world.put(key).await;
    }
    world.until(|all| all.len() == 3 && all[0].state == DeliveryState::Running).await;
    world.triggers.hold(Hold::All);
    gate.add_permits(1);
    world.until(|all| all[0].state == DeliveryState::Succeeded).await;
    world.triggers.settled().await;
    assert_eq!(world.functions.ids("f").len(), 1);
    gate.add_permits(9);
    world.triggers.release(Release::All).unwrap();
    world.quiet().await;
    assert_eq!(world.functions.keys("f"), ["a", "a", "b"]);
}

#[tokio::test]
async fn what_is_dropped_never_runs_not_even_after_a_restart() {
    let world = World::directory().await;
    let ids = three_held(&world).await;
    world.triggers.drop_delivery(&ids[1]).await.unwrap();
    let twice = world.triggers.drop_delivery(&ids[1]).await;
    assert!(matches!(twice, Err(Error::NotNow { why: "is finished", .. })), "{twice:?}");
    assert!(matches!(world.triggers.drop_delivery("none").await, Err(Error::NoSuchDelivery(_))));
    // Nothing is held after it.
    let world = world.restart().await;
    world.quiet().await;
    let mut ran = world.functions.ids("f");
    ran.sort();
    let mut left = vec![ids[0].clone(), ids[2].clone()];
    left.sort();
    assert_eq!(ran, left);
    let dropped = world.triggers.delivery(&ids[1]).unwrap();
    assert_eq!(dropped.state, DeliveryState::Dead { why: "dropped by hand".into() });
}

#[tokio::test]
async fn what_is_delayed_runs_at_its_time_also_after_a_restart() {
    let world = World::directory().await;
    let ids = three_held(&world).await;
    world.triggers.delay(&ids[0], MINUTE).await.unwrap();
    let at = world.clock.now().plus(MINUTE);
    assert_eq!(world.triggers.delivery(&ids[0]).unwrap().state, DeliveryState::Retrying { at });
    let world = world.restart().await;
    world.triggers.settled().await;
    assert_eq!(world.functions.ids("f").len(), 2);
    world.clock.advance(MINUTE);
    world.quiet().await;
    assert_eq!(world.functions.ids("f")[2], ids[0]);
    assert_eq!(world.triggers.delivery(&ids[0]).unwrap().attempts.len(), 1);
}

#[tokio::test]
async fn a_move_of_the_clock_does_not_wait_for_what_is_held_when_it_becomes_due() {
    let world = World::memory().await;
    let ids = three_held(&world).await;
    world.triggers.delay(&ids[0], MINUTE).await.unwrap();
    world.triggers.settled().await;
    world.clock.advance(MINUTE);
    assert!(!world.triggers.is_settled(), "it is due, and nobody has looked yet");
    in_time(world.triggers.settled()).await;
    assert_eq!(world.triggers.delivery(&ids[0]).unwrap().state, DeliveryState::Held);
}

#[tokio::test]
async fn a_repeated_delivery_names_its_original_and_belongs_to_its_request() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    let request = world.put("a").await;
    world.quiet().await;
    let original = world.deliveries().remove(0);
    world.triggers.hold(Hold::All);
    let same = world.triggers.repeat(&original.id, None).await.unwrap();
    let edited = world.triggers.repeat(&original.id, Some(r#"{"other":1}"#.into())).await.unwrap();
    let waits = world.triggers.wait(Some(&request), Duration::from_millis(1)).await.unwrap();
    assert_eq!(waits.pending, [same.clone(), edited.clone()]);
    world.triggers.release(Release::All).unwrap();
    world.quiet_for(&request).await;
    for (id, event) in [(&same, original.event.as_str()), (&edited, r#"{"other":1}"#)] {
        let repeated = world.triggers.delivery(id).unwrap();
        assert_eq!(repeated.repeats.as_ref(), Some(&original.id));
        assert_eq!((repeated.event.as_str(), &repeated.source), (event, &original.source));
        assert_eq!(repeated.state, DeliveryState::Succeeded);
    }
    assert!(matches!(world.triggers.repeat("none", None).await, Err(Error::NoSuchDelivery(_))));
}

#[tokio::test]
async fn ends_are_told_in_their_order() {
    let world = World::memory().await;
    let ids = three_held(&world).await;
    assert_eq!(world.triggers.ended(0, 10).unwrap().1, 0);
    let mut steps = world.triggers.steps();
    for (told, id) in [&ids[2], &ids[1]].into_iter().enumerate() {
        world.triggers.release(Release::These(vec![id.clone()])).unwrap();
        while world.triggers.ended(0, 10).unwrap().1 == told as u64 {
            steps.changed().await.unwrap();
        }
    }
    world.triggers.drop_delivery(&ids[0]).await.unwrap();
    let told = |after, max| {
        let (found, next) = world.triggers.ended(after, max).unwrap();
        (found.into_iter().map(|one| one.id).collect::<Vec<_>>(), next)
    };
    assert_eq!(told(0, 10), (vec![ids[2].clone(), ids[1].clone(), ids[0].clone()], 3));
    assert_eq!(told(1, 1), (vec![ids[1].clone()], 2));
    assert_eq!(told(3, 10), (vec![], 3));
    assert_eq!(told(99, 1).1, 1, "a number of an earlier run");
}

#[tokio::test]
async fn one_that_runs_is_called_off_and_not_tried_again() {
    let world = World::memory().await;
    world.functions.define("f", 1, |_| std::future::pending());
    let id = world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    let next = world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    in_time(world.triggers.terminate(&id)).await.unwrap();
    let event = |id: &str| {
        let id = id.to_owned();
        world.triggers.async_events(move |_, of| of == id, 1)
    };
    let ended = event(&id).await.unwrap().remove(0);
    assert_eq!((ended.status, ended.code), (EventStatus::Aborted, Some(StatusCode::Canceled)));
    // Its place is free for the next.
    world.until(|all| matches!(all, [_, two] if two.state == DeliveryState::Running)).await;
    in_time(world.triggers.terminate(&next)).await.unwrap();
    in_time(world.quiet()).await;
    assert!(matches!(world.triggers.terminate(&id).await, Err(Error::NotNow { .. })));
    assert!(matches!(world.triggers.terminate("nobody").await, Err(Error::NoSuchDelivery(_))));
}

#[tokio::test]
async fn one_whose_end_cannot_be_recorded_is_not_waited_for() {
    let world = World::memory().await;
    world.functions.define("f", 1, |_| std::future::pending());
    let id = world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await.unwrap();
    world.functions.until("f", |seen| seen.running == 1).await;
    in_time(world.triggers.stop(Duration::ZERO)).await;
    let refused = in_time(world.triggers.terminate(&id)).await;
    assert!(matches!(refused, Err(Error::NotNow { why, .. }) if why.contains("restart")));
}
