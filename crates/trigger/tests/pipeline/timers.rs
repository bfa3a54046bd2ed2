//! Timers fire by the clock, each due time once, and whatever changes counts at once.

use std::future::Future;
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_trigger::{Error, NewTimer, Timer, TimerChange, TimerSelector};
use serde_json::Value;

use super::world::{MINUTE, World, function, in_time};

fn new(name: &str, cron: &str) -> NewTimer {
    NewTimer {
        name: name.into(),
        function: function("f"),
        cron: cron.into(),
        argument: "say \"hi\"".into(),
        description: String::new(),
        enabled: true,
    }
}

fn named(name: &str) -> TimerSelector {
    TimerSelector { function: function("f").full_name(), qualifier: None, name: name.into(), cron: None }
}

async fn world() -> World {
    let world = World::directory().await;
    world.functions.answer("f", StatusCode::Success);
    world
}

async fn timer(world: &World, name: &str, cron: &str) -> Timer {
    world.triggers.create_timer(new(name, cron)).await.unwrap()
}

async fn advance(world: &World, by: Duration) {
    world.clock.advance(by);
    in_time(world.triggers.settled()).await;
}

/// Name and time of each event, as they were filed.
fn fired(world: &World) -> Vec<(String, String)> {
    let event = |event: &str| serde_json::from_str::<Value>(event).unwrap();
    let events = world.deliveries().into_iter().map(|delivery| event(&delivery.event));
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    events.map(|event| (text(&event, "TriggerName"), text(&event, "Time"))).collect()
}

/// The clock stands at 2023-11-14T22:13:20Z.
#[tokio::test]
async fn due_times_fire_in_their_order() {
    let world = world().await;
    timer(&world, "half", "0 */30 * * * * *").await;
    // Six in the morning and a bit, where the cloud is.
    timer(&world, "six", "0 15 6 * * * *").await;
    assert_eq!(world.triggers.next_due().map(|at| at.iso_seconds()).as_deref(), Some("2023-11-14T22:15:00Z"));
    in_time(world.triggers.settled()).await;
    assert!(fired(&world).is_empty(), "the clock stands still");
    advance(&world, Duration::from_secs(3600)).await;
    let want = [("six", "22:15:00"), ("half", "22:30:00"), ("half", "23:00:00")];
    assert_eq!(fired(&world), want.map(|(name, at)| (name.to_owned(), format!("2023-11-14T{at}Z"))));
    let first = &world.deliveries()[0];
    assert_eq!(first.timer.as_deref(), Some("six"));
    let event: Value = serde_json::from_str(&first.event).unwrap();
    assert_eq!((event["Type"].as_str(), event["Message"].as_str()), (Some("Timer"), Some("say \"hi\"")));
    let (id, source) = world.functions.seen("f", |seen| {
        let call = &seen.calls[0];
        (call.request_id.clone(), call.source.clone())
    });
    assert_eq!((id, source.as_str()), (first.id.clone(), "TIMER"));
}

#[tokio::test]
async fn a_firing_is_retried_like_any_delivery() {
    let world = world().await;
    world.functions.answer("f", StatusCode::UserCodeException);
    timer(&world, "t", "0 0 0 * * * *").await;
    advance(&world, Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.deliveries()[0].attempts.len(), 1);
    advance(&world, MINUTE).await;
    advance(&world, MINUTE).await;
    let [one] = &world.deliveries()[..] else { panic!("{:?}", world.deliveries()) };
    assert!(one.state.is_finished() && one.attempts.len() == 3, "{one:?}");
}

#[tokio::test]
async fn a_change_counts_at_once() {
    let world = world().await;
    timer(&world, "t", "0 * * * * * *").await;
    advance(&world, MINUTE).await;
    assert_eq!(fired(&world).len(), 1);
    let change = TimerChange { cron: Some("0 0 * * * * *".into()), ..TimerChange::default() };
    world.triggers.change_timer(named("t"), change).await.unwrap();
    advance(&world, 10 * MINUTE).await;
    assert_eq!(fired(&world).len(), 1);
    advance(&world, 60 * MINUTE).await;
    assert_eq!(fired(&world)[1].1, "2023-11-14T23:00:00Z");
    world.triggers.enable_timer(named("t"), false).await.unwrap();
    advance(&world, 600 * MINUTE).await;
    assert_eq!(fired(&world).len(), 2);
    assert!(matches!(world.triggers.enable_timer(named("t"), false).await, Err(Error::Unchanged(false))));
    // What it has missed is not made up.
    world.triggers.enable_timer(named("t"), true).await.unwrap();
    in_time(world.triggers.settled()).await;
    assert_eq!(fired(&world).len(), 2);
    world.triggers.delete_timer(named("t")).await.unwrap();
    advance(&world, 600 * MINUTE).await;
    assert_eq!((fired(&world).len(), world.triggers.next_due()), (2, None));
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let world = world().await;
    {
        let mut asked = std::pin::pin!(world.triggers.create_timer(new("t", "0 * * * * * *")));
        std::future::poll_fn(|cx| {
            assert!(asked.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    in_time(async {
        while world.triggers.next_due().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    advance(&world, MINUTE).await;
    assert_eq!(fired(&world).len(), 1);
}

#[tokio::test]
async fn a_restart_goes_on_from_its_own_time() {
    let world = world().await;
    timer(&world, "t", "0 * * * * * *").await;
    advance(&world, MINUTE).await;
    in_time(world.triggers.stop(MINUTE)).await;
    world.clock.advance(10 * MINUTE);
    let world = world.restart().await;
    in_time(world.triggers.settled()).await;
    assert_eq!(fired(&world).len(), 1, "what was due while nothing ran is not made up");
    advance(&world, MINUTE).await;
    assert_eq!(fired(&world).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = world().await;
    timer(&world, "t", "0 * * * * * *").await;
    assert!(matches!(world.triggers.create_timer(new("t", "0 0 * * * * *")).await, Err(Error::Exists)));
    for (name, cron, wrong) in [
        ("1t", "0 * * * * * *", "TriggerName"),
        ("u", "* * *", "TriggerDesc"),
        ("", "0 * * * * * *", "TriggerName"),
    ] {
        let refused = world.triggers.create_timer(new(name, cron)).await;
        assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == wrong), "{name} {cron}");
    }
    let long = NewTimer { argument: "x".repeat(4097), ..new("u", "0 * * * * * *") };
    assert!(matches!(world.triggers.create_timer(long).await, Err(Error::Invalid { .. })));
    let nobody = NewTimer { function: function("nobody"), ..new("u", "0 * * * * * *") };
    assert!(matches!(world.triggers.create_timer(nobody).await, Err(Error::NoSuchFunction(_))));
    for n in 1..10 {
        timer(&world, &format!("t{n}"), "0 0 0 1 1 * *").await;
    }
    assert!(matches!(world.triggers.create_timer(new("u", "0 * * * * * *")).await, Err(Error::Limit(_))));
    let other = TimerSelector { qualifier: Some("7".into()), ..named("t") };
    assert!(matches!(world.triggers.delete_timer(other).await, Err(Error::NoSuchRule)));
    world.forget("f", Some("other")).await;
    assert_eq!(world.triggers.timers().unwrap().len(), 10);
    world.forget("f", None).await;
    assert!(world.triggers.timers().unwrap().is_empty() && world.triggers.next_due().is_none());
}
