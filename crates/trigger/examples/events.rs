//! Figures of docs/performance.md on events: what a matching rule costs the puts that fire it, and how many events a
//! second reach a function that does nothing, all of it durable. usage: events DIR [PUTS] [ROUNDS]

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::function::{
    Description, FunctionRef, Home, Invocation, Invoke, Outcome, RetryPolicy, StatusCode,
};
use cosette_model::{BucketName, EventPattern, Style, Target, Timestamp};
use cosette_store::Store;
use cosette_trigger::{NewRule, Options, Triggers};

#[path = "../../store/examples/engine/measure.rs"]
#[allow(dead_code, clippy::cast_precision_loss)]
mod measure;
#[path = "../../store/examples/engine/subject.rs"]
#[allow(dead_code)]
mod subject;

const WRITERS: usize = 32;
const BODY: usize = 4096;
/// Puts that are made one after another.
const ALONE: usize = 1000;

/// Every target is a function that does nothing.
struct Nothing;

impl Invoke for Nothing {
    fn invoke<'a>(&'a self, _: Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(std::future::ready(Outcome {
            status: StatusCode::Success,
            result: "null".into(),
            error: String::new(),
            log: String::new(),
            started: Timestamp::default(),
            duration_ms: 0.0,
            memory_bytes: 0,
        }))
    }

    fn describe(&self, _: &Target) -> Option<Description> {
        Some(Description {
            home: Some(Home { region: "ap-guangzhou".into(), appid: String::new() }),
            retry: RetryPolicy::default(),
            concurrency: 128,
            dead_letter: None,
        })
    }
}

/// Seconds that `puts` take, by as many writers as the figures are of.
async fn put(store: &Store, bucket: &BucketName, round: usize, puts: usize) -> f64 {
    let body = Bytes::from(vec![b'x'; BODY]);
    let began = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
        tokio::spawn(async move {
            for number in 0..puts / WRITERS {
                let key = subject::key(format!("{round}/{writer}/{number}"));
                subject::put(&store, &bucket, key, std::slice::from_ref(&body)).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    began.elapsed().as_secs_f64()
}

/// Microseconds of a put that has the machine to itself: the median without a rule and with one, in turn.
async fn alone(store: &Store, triggers: &Triggers, buckets: [&BucketName; 2], puts: usize) -> [u128; 2] {
    let body = Bytes::from(vec![b'x'; BODY]);
    let mut taken = [Vec::new(), Vec::new()];
    for number in 0..puts {
        // What came before warms the machine or not: each follows each as often.
        for which in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            let (bucket, taken) = (buckets[which], &mut taken[which]);
            let began = Instant::now();
            subject::put(store, bucket, subject::key(format!("alone/{number}")), std::slice::from_ref(&body))
                .await;
            taken.push(began.elapsed().as_micros());
            triggers.settled().await;
        }
    }
    taken.map(|mut taken| {
        taken.sort_unstable();
        taken[taken.len() / 2]
    })
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, other| arguments.get(at).map_or(other, |text| text.parse().unwrap());
    let (puts, rounds): (usize, usize) = (number(1, 32_000), number(2, 3));
    let puts = puts / WRITERS * WRITERS;
    let store = subject::open(Path::new(&arguments[0]));
    let options = Options { retry_interval: Duration::from_secs(60), finished_max: 10_000, loop_limit: 16 };
    let triggers = Triggers::start(store.clone(), Clock::real(), Arc::new(Nothing), options).unwrap();
    let [quiet, told] = ["quiet", "told"].map(|name| subject::name(&format!("{name}-1250000000")));
    for bucket in [&quiet, &told] {
        subject::create(&store, bucket).await;
    }
    let function = FunctionRef {
        appid: "1250000000".into(),
        region: "ap-guangzhou".into(),
        namespace: "default".into(),
        name: "nothing".into(),
        qualifier: "$DEFAULT".into(),
        routed: None,
    };
    let rule = NewRule {
        bucket: told.clone(),
        event: EventPattern::parse("cos:ObjectCreated:Put").unwrap(),
        prefix: String::new(),
        suffix: String::new(),
        target: function.into(),
        style: Style::Cos,
        description: String::new(),
        enabled: true,
    };
    triggers.create_rule(rule).await.unwrap();
    #[allow(clippy::cast_precision_loss)]
    let (all, count) = (puts as f64, puts as u64);
    for round in 0..rounds {
        let before = measure::processor();
        let without = all / put(&store, &quiet, round, puts).await;
        triggers.settled().await;
        let quietly_used = measure::processor().saturating_sub(before);
        let before = measure::processor();
        let began = Instant::now();
        let with = all / put(&store, &told, round, puts).await;
        let written = began.elapsed().as_secs_f64();
        triggers.settled().await;
        let rate = all / began.elapsed().as_secs_f64();
        let after = began.elapsed().as_secs_f64() - written;
        let used = measure::processor().saturating_sub(before);
        println!(
            "processor time each, us: {:.1} without a rule, {:.1} with one",
            measure::each(quietly_used, count),
            measure::each(used, count)
        );
        let [quietly, telling] = alone(&store, &triggers, [&quiet, &told], ALONE).await;
        #[allow(clippy::cast_precision_loss)]
        let ratio = telling as f64 / quietly as f64;
        println!(
            "a put that waits for no other, us: {quietly} without a rule, {telling} with one ({ratio:.2})"
        );
        println!(
            "puts/s without a rule {without:.0}, with one {with:.0} ({:.2}); events/s, from the first put to the last end {rate:.0}, {after:.1} s of it after the puts",
            with / without
        );
    }
    triggers.stop(Duration::from_secs(1)).await;
    store.close().await.unwrap();
}
