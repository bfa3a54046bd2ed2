//! What functions write comes of what invoked them: waited for with it, and stopped when it goes on too long.

use cosette_model::Seq;
use cosette_model::function::StatusCode;
use cosette_trigger::{DeliveryState, Options, Why};

use super::scripted::key;
use super::world::{MINUTE, PUT, World, put_by};

impl World {
    /// A function that writes what it is told of below the next of the prefixes.
    async fn writer(&self, name: &str, from: &str, to: &str) {
        let (store, from_, to_) = (self.store.clone(), from.to_owned(), to.to_owned());
        self.functions.define(name, 8, move |call| {
            let (store, key) = (store.clone(), key(&call.event).replacen(&from_, &to_, 1));
            async move {
                // Late, so that whoever does not wait for it is too early.
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                put_by(&store, &key, &format!("of {}", call.request_id), call.chain).await;
                StatusCode::Success
            }
        });
        self.rule(name, PUT, from).await.unwrap();
    }
}

#[tokio::test]
async fn a_wait_for_one_request_covers_what_followed() {
    let world = World::memory().await;
    world.writer("first", "a/", "b/").await;
    world.writer("second", "b/", "c/").await;
    world.functions.answer("last", StatusCode::Success);
    world.rule("last", PUT, "c/").await.unwrap();
    for n in 0..50 {
        let request = world.put(&format!("a/{n}")).await;
        world.quiet_for(&request).await;
        assert_eq!(world.functions.keys("last").len(), n + 1);
    }
    let last = &world.deliveries()[2];
    assert_eq!(last.chain.depth, 2);
    assert_eq!(
        last.chain.to_string(),
        "cos:ObjectCreated:Put examplebucket-1250000000/a/0 -> first -> \
         cos:ObjectCreated:Put examplebucket-1250000000/b/0 -> second"
    );
    let chain = world.functions.seen("last", |seen| seen.calls[0].chain.clone());
    assert_eq!((chain.depth, chain.invocation()), (3, Some(last.id.as_str())));
    assert_eq!(chain.before(), Some(world.deliveries()[1].id.as_str()));
}

#[tokio::test]
async fn a_function_that_triggers_itself_is_stopped_and_that_is_on_record() {
    let options = Options { retry_interval: MINUTE, finished_max: 1000, loop_limit: 3 };
    let world = World::memory_with(options).await;
    world.writer("f", "", "").await;
    let request = world.put("k").await;
    world.quiet_for(&request).await;
    assert_eq!(world.functions.ids("f").len(), 3);
    let deliveries = world.deliveries();
    let [.., third, stopped] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert_eq!((deliveries.len(), &third.state), (4, &DeliveryState::Succeeded));
    let step = "cos:ObjectCreated:Put examplebucket-1250000000/k -> f";
    let why = format!(
        "loop guard: 3 invocations led to this change, and the limit is 3: {}",
        [step; 4].join(" -> ")
    );
    assert_eq!(stopped.state, DeliveryState::Dead { why });
    assert!(stopped.attempts.is_empty());
    // The same is said of the change.
    let change = world.store.changes(Seq(stopped.source.as_ref().unwrap().seq.0 - 1), 1).unwrap().remove(0);
    let (_, judged) = world.triggers.judge(&change).unwrap().remove(0);
    assert!(matches!(judged, Err(Why::Loop { depth: 3, limit: 3, .. })), "{judged:?}");
}

#[tokio::test]
async fn a_loop_through_two_functions_is_stopped_after_a_restart_too() {
    let world = World::directory().await;
    world.writer("there", "a/", "b/").await;
    world.functions.define("back", 8, |_| std::future::pending());
    world.rule("back", PUT, "b/").await.unwrap();
    world.put("a/k").await;
    world.functions.until("back", |seen| !seen.calls.is_empty()).await;
    // A restart in the middle: what the chain is is on record. The function is there again for the second attempt.
    world.functions.remove("back");
    let world = world.restart().await;
    world.triggers.settled().await;
    world.writer_again("there", "a/", "b/");
    world.writer_again("back", "b/", "a/");
    world.clock.advance(MINUTE);
    world.quiet().await;
    let deliveries = world.deliveries();
    let dead: Vec<_> =
        deliveries.iter().filter(|one| matches!(one.state, DeliveryState::Dead { .. })).collect();
    assert_eq!(dead.len(), 1, "{deliveries:?}");
    assert_eq!(dead[0].chain.depth, 16);
    assert_eq!(deliveries.len(), 17);
}

impl World {
    /// The function alone, on this world's store; its rule is there.
    fn writer_again(&self, name: &str, from: &str, to: &str) {
        let (store, from, to) = (self.store.clone(), from.to_owned(), to.to_owned());
        self.functions.define(name, 8, move |call| {
            let (store, key) = (store.clone(), key(&call.event).replacen(&from, &to, 1));
            async move {
                put_by(&store, &key, &format!("of {}", call.request_id), call.chain).await;
                StatusCode::Success
            }
        });
    }
}
