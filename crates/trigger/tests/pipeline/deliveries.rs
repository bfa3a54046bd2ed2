//! What becomes of deliveries: attempts, retries, order, concurrency.

use std::sync::Arc;
use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_model::{Chain, EventType, Happened, ObjectKey};
use cosette_trigger::{DeliveryState, Error, Options};
use tokio::sync::Semaphore;

use super::world::{ANY, MINUTE, PUT, World, function};

#[tokio::test]
async fn a_put_invokes_the_function_with_its_event() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    let rule = world.rule("f", ANY, "").await.unwrap();
    let request = world.put("a b").await;
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    let source = delivery.source.unwrap();
    assert_eq!((source.rule, source.event), (rule.id, Happened::Cos(EventType::CreatedPut)));
    assert_eq!((source.key, source.request_id), (ObjectKey::new("a b").unwrap(), request));
    assert_eq!(delivery.state, DeliveryState::Succeeded);
    assert_eq!(delivery.attempts.len(), 1);
    let call = world.functions.seen("f", |seen| seen.calls[0].clone());
    assert_eq!((call.request_id, call.retry, call.source.as_str()), (delivery.id, 0, "COS"));
    assert_eq!(call.event, delivery.event);
    let event: serde_json::Value = serde_json::from_str(&call.event).unwrap();
    assert_eq!(event["Records"][0]["event"]["eventName"], "cos:ObjectCreated:Put");
    assert_eq!(
        event["Records"][0]["event"]["eventQueue"],
        "qcs:0:scf:ap-guangzhou:appid/1250000000:default.f.$DEFAULT"
    );
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_the_interval() {
    let world = World::memory().await;
    world.functions.define("f", 8, |call| async move {
        if call.retry < 2 { StatusCode::UserCodeException } else { StatusCode::Success }
    });
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    let begin = world.clock.now();
    for tries in 1..=2_u32 {
        let at = begin.plus(MINUTE * tries);
        world.until(|all| all.len() == 1 && all[0].state == DeliveryState::Retrying { at }).await;
        world.clock.advance(MINUTE - Duration::from_secs(1));
        assert_eq!(world.functions.ids("f").len(), tries as usize, "not before its time");
        world.clock.advance(Duration::from_secs(1));
        world.functions.until("f", |seen| seen.calls.len() == tries as usize + 1).await;
    }
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    assert_eq!(delivery.state, DeliveryState::Succeeded);
    let statuses: Vec<StatusCode> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
    let failed = StatusCode::UserCodeException;
    assert_eq!(statuses, [failed, failed, StatusCode::Success]);
    assert_eq!(delivery.attempts[2].started, begin.plus(MINUTE * 2));
    assert_eq!(world.functions.ids("f"), [&*delivery.id; 3], "one id for every attempt");
    world.functions.seen("f", |seen| {
        assert_eq!(seen.calls.iter().map(|call| call.retry).collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[tokio::test]
async fn after_the_last_attempt_it_is_dead_and_on_record() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::TimeLimitReached);
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    for tries in 1..=2 {
        world.until(|all| all.len() == 1 && all[0].attempts.len() == tries).await;
        world.clock.advance(MINUTE);
    }
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    assert!(matches!(&delivery.state, DeliveryState::Dead { why } if why.starts_with("433")), "{delivery:?}");
    assert_eq!(delivery.attempts.len(), 3);
    assert_eq!(delivery.attempts[0].error, "TimeLimitReached");
}

#[tokio::test]
async fn overrun_is_tried_until_the_event_is_too_old() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::ResourceLimitReached);
    world.functions.change("f", |f| f.retry.max_age_secs = 300);
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    for tries in 1..=5 {
        world.until(|all| all.len() == 1 && all[0].attempts.len() == tries).await;
        world.clock.advance(MINUTE);
    }
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    assert!(matches!(delivery.state, DeliveryState::Dead { .. }));
    assert_eq!(delivery.attempts.len(), 6);
}

#[tokio::test]
async fn a_function_deleted_meanwhile_fails_as_such() {
    let world = World::memory().await;
    world.functions.answer("f", StatusCode::Success);
    world.rule("f", PUT, "").await.unwrap();
    world.functions.remove("f");
    world.put("a").await;
    for tries in 1..=2 {
        world.until(|all| all.len() == 1 && all[0].attempts.len() == tries).await;
        world.clock.advance(MINUTE);
    }
    world.quiet().await;
    let delivery = world.deliveries().remove(0);
    assert!(matches!(&delivery.state, DeliveryState::Dead { why } if why.starts_with("435")));
}

#[tokio::test]
async fn no_more_run_at_once_than_the_function_allows() {
    let world = World::memory().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.functions.define("f", 3, move |_| {
        let gate = held.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            StatusCode::Success
        }
    });
    world.rule("f", PUT, "").await.unwrap();
    for n in 0..9 {
        world.put(&format!("{n}")).await;
    }
    world.functions.until("f", |seen| seen.running == 3).await;
    world.until(|all| all.len() == 9).await;
    let states = world.deliveries().into_iter().map(|delivery| delivery.state);
    assert_eq!(states.filter(|state| *state == DeliveryState::Running).count(), 3);
    gate.add_permits(9);
    world.quiet().await;
    world.functions.seen("f", |seen| {
        assert_eq!((seen.calls.len(), seen.running_max), (9, 3));
    });
    assert_eq!(world.functions.keys("f"), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn deliveries_of_one_key_run_one_after_another_in_order() {
    let world = World::memory().await;
    world.functions.define("f", 8, |_| async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        StatusCode::Success
    });
    world.rule("f", PUT, "").await.unwrap();
    for _ in 0..20 {
        world.put("hot").await;
    }
    world.quiet().await;
    let in_order: Vec<String> = world.deliveries().into_iter().map(|delivery| delivery.id).collect();
    assert_eq!(world.functions.ids("f"), in_order);
    assert_eq!(world.functions.seen("f", |seen| seen.running_max), 1);
}

#[tokio::test]
async fn a_delivery_that_waits_for_a_retry_holds_nothing_back() {
    let world = World::memory().await;
    world.functions.define("f", 1, |call| async move {
        if call.retry == 0 { StatusCode::UserCodeException } else { StatusCode::Success }
    });
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.put("a").await;
    world.until(|all| all.len() == 2 && all.iter().all(|d| d.attempts.len() == 1)).await;
    world.clock.advance(MINUTE);
    world.quiet().await;
    assert_eq!(world.functions.ids("f").len(), 4);
}

#[tokio::test]
async fn a_hanging_function_delays_no_other() {
    let world = World::memory().await;
    world.functions.define("stuck", 1, |_| std::future::pending());
    world.functions.answer("f", StatusCode::Success);
    world.rule("stuck", PUT, "stuck/").await.unwrap();
    world.rule("f", PUT, "f/").await.unwrap();
    for n in 0..10 {
        world.put(&format!("stuck/{n}")).await;
    }
    let request = world.put("f/1").await;
    world.quiet_for(&request).await;
    assert_eq!(world.functions.keys("f"), ["f/1"]);
    assert_eq!(world.functions.ids("stuck").len(), 1);
}

#[tokio::test]
async fn a_panic_is_a_recorded_failure_and_not_ours() {
    let world = World::memory().await;
    world.functions.define("f", 1, |call| async move {
        assert!(call.retry > 0, "a fault of the function host");
        StatusCode::Success
    });
    world.rule("f", PUT, "").await.unwrap();
    world.put("a").await;
    world.until(|all| all.len() == 1 && all[0].attempts.len() == 1).await;
    let attempt = world.deliveries().remove(0).attempts.remove(0);
    assert_eq!(attempt.status, StatusCode::InternalError);
    assert!(attempt.error.contains("a fault of the function host"), "{}", attempt.error);
    world.clock.advance(MINUTE);
    world.quiet().await;
    assert_eq!(world.deliveries()[0].state, DeliveryState::Succeeded);
}

#[tokio::test]
async fn an_asynchronous_call_is_a_delivery_without_source() {
    let world = World::memory().await;
    let refused = world.triggers.enqueue(function("f"), "{}".into(), Chain::default()).await;
    assert!(matches!(refused, Err(Error::NoSuchFunction(_))));
    world.functions.answer("f", StatusCode::Success);
    let id = world.triggers.enqueue(function("f"), r#"{"a":1}"#.into(), Chain::default()).await.unwrap();
    world.quiet_for(&id).await;
    let delivery = world.deliveries().remove(0);
    assert_eq!((delivery.id.as_str(), delivery.source), (id.as_str(), None));
    assert_eq!(delivery.state, DeliveryState::Succeeded);
    let call = world.functions.seen("f", |seen| seen.calls[0].clone());
    assert_eq!((call.request_id, call.event.as_str(), call.source.as_str()), (id, r#"{"a":1}"#, "API"));
}

#[tokio::test]
async fn the_oldest_finished_deliveries_are_forgotten() {
    for finished_max in [0, 3, 20] {
        let world =
            World::memory_with(Options { retry_interval: MINUTE, finished_max, loop_limit: 16 }).await;
        world.functions.answer("f", StatusCode::Success);
        world.functions.define("stuck", 1, |_| std::future::pending());
        world.rule("stuck", PUT, "stuck").await.unwrap();
        world.rule("f", PUT, "f").await.unwrap();
        world.put("stuck").await;
        for n in 0..60 {
            let request = world.put(&format!("f{n}")).await;
            world.quiet_for(&request).await;
        }
        let keys: Vec<String> =
            world.deliveries().into_iter().map(|d| d.source.unwrap().key.to_string()).collect();
        assert_eq!(keys[0], "stuck", "what is unfinished stays");
        let finished = keys.len() - 1;
        assert!(finished <= finished_max && finished >= finished_max * 7 / 8, "{finished} of {finished_max}");
        assert!(finished == 0 || keys.last().unwrap() == "f59");
    }
}
