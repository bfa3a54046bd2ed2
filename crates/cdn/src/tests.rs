//! The edge with an origin of a few lines.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::Timestamp;
use futures_util::{FutureExt, StreamExt, future, stream};
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use tokio::sync::Semaphore;

use crate::cache::BODY_MAX;
use crate::domain::{self, Area, Domain, Setup};
use crate::edge::Edge;
use crate::fetch::MOVING_MAX;
use crate::origin::{Content, Origin, Pull, Pulled};
use crate::place::Place;
use crate::rules::{Caching, Service};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers bodies of so many bytes, each once it may.
struct Scripted {
    length: usize,
    answers: Semaphore,
    asked: AtomicUsize,
}

impl Scripted {
    fn of(length: usize, answers: usize) -> Arc<Self> {
        Arc::new(Self { length, answers: Semaphore::new(answers), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Origin for Scripted {
    fn pull(&self, pull: Pull) -> Pulled<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answers.acquire().await.unwrap().forget();
            let length = Some(self.length as u64);
            let body = Bytes::from(vec![b'x'; self.length]);
            let stream = Box::pin(stream::iter([Ok(body)]));
            let mut response = Response::new(Content::Stream { length, stream });
            if pull.request.uri().path() == "/no" {
                response.headers_mut().insert(header::CACHE_CONTROL, "no-store".parse().unwrap());
            }
            response
        })
    }
}

fn edge(origin: &Arc<Scripted>) -> Arc<Edge> {
    let edge = Arc::new(Edge::new(Clock::frozen(Timestamp::default())));
    let origin: Arc<dyn Origin> = Arc::clone(origin) as Arc<dyn Origin>;
    edge.leads_to(Arc::downgrade(&origin));
    edge
}

fn domain() -> Domain {
    let origin = domain::Origin {
        host: "a-1.cos.ap-guangzhou.myqcloud.com".into(),
        server_name: "a-1.cos.ap-guangzhou.myqcloud.com".into(),
        private: false,
        protocol: "http".into(),
    };
    let caching = Caching::of(Service::Web);
    let setup =
        Setup { service: Service::Web, area: Area::Mainland, project: 0, origin, caching, full_url: true };
    let (created, modified) = (Timestamp::default(), Timestamp::default());
    Domain {
        name: "a.b".into(),
        id: "cdn-1".into(),
        appid: "1".into(),
        online: true,
        created,
        modified,
        setup,
    }
}

fn asking(path: &str) -> Parts {
    Request::get(path).body(()).unwrap().into_parts().0
}

async fn answer(edge: &Arc<Edge>, path: &str) -> (String, Response<Content>) {
    answer_of(edge, &domain(), path).await
}

async fn answer_of(edge: &Arc<Edge>, domain: &Domain, path: &str) -> (String, Response<Content>) {
    let response = edge.answer(domain, &asking(path), PEER, "1").await;
    let lookup = response.headers()["x-cache-lookup"].to_str().unwrap().to_owned();
    (lookup, response)
}

/// Runs what else can be run, until it says so.
async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn those_who_ask_together_are_one_fetch() {
    let origin = Scripted::of(10, 0);
    let edge = edge(&origin);
    let all = future::join_all((0..100).map(|_| answer(&edge, "/k")));
    let first = async {
        until(|| origin.asked() == 1).await;
        origin.answers.add_permits(100);
    };
    let (answers, ()) = future::join(all, first).await;
    assert!(
        answers
            .iter()
            .all(|(_, response)| matches!(response.body(), Content::Full(body) if body.len() == 10))
    );
    assert_eq!(answers.iter().filter(|(lookup, _)| lookup == "Cache Miss").count(), 1);
    assert_eq!((origin.asked(), edge.fetches.open.list().len()), (1, 0));
}

#[tokio::test]
async fn a_fetch_goes_on_without_the_one_who_began_it() {
    let origin = Scripted::of(10, 0);
    let edge = edge(&origin);
    let mut first = Box::pin(answer(&edge, "/k"));
    assert!((&mut first).now_or_never().is_none());
    until(|| origin.asked() == 1).await;
    drop(first);
    origin.answers.add_permits(1);
    assert_eq!(answer(&edge, "/k").await.0, "Cache Hit");
    assert_eq!(origin.asked(), 1);
}

#[tokio::test]
async fn what_is_not_kept_is_fetched_by_each() {
    let origin = Scripted::of(10, 3);
    let edge = edge(&origin);
    let answers = future::join_all((0..3).map(|_| answer(&edge, "/no"))).await;
    for (lookup, response) in answers {
        assert_eq!((lookup.as_str(), response.status()), ("Cache Miss", StatusCode::OK));
    }
    assert_eq!(origin.asked(), 3);
}

#[tokio::test]
async fn what_a_signature_gets_is_not_for_others() {
    let origin = Scripted::of(10, 9);
    let edge = edge(&origin);
    let mut by_path = domain();
    by_path.setup.full_url = false;
    for query in [
        "q-sign-algorithm=sha1&q-signature=a",
        "sign=a",
        "AWSAccessKeyId=a&Signature=b",
        "X%2DAmz-Signature=a",
    ] {
        assert_eq!(answer_of(&edge, &by_path, &format!("/k?{query}")).await.0, "Cache Miss");
    }
    assert_eq!(answer_of(&edge, &by_path, "/k?v=1").await.0, "Cache Miss");
    assert_eq!(answer_of(&edge, &by_path, "/k?v=2").await.0, "Cache Hit");
    // Where the query is a part of the name, only who has the signature has it.
    assert_eq!(answer(&edge, "/k?sign=a").await.0, "Cache Miss");
    assert_eq!(answer(&edge, "/k?sign=a").await.0, "Cache Hit");
    assert_eq!(answer(&edge, "/k?sign=b").await.0, "Cache Miss");
}

#[tokio::test]
async fn who_comes_after_a_purge_does_not_join() {
    let origin = Scripted::of(10, 0);
    let edge = edge(&origin);
    let (before, after) = (answer(&edge, "/k"), async {
        until(|| origin.asked() == 1).await;
        edge.cache.purge(&Place::of("a.b", "/k", None));
        origin.answers.add_permits(2);
        answer(&edge, "/k").await
    });
    let (before, after) = future::join(before, after).await;
    assert_eq!((before.0.as_str(), after.0.as_str(), origin.asked()), ("Cache Miss", "Cache Miss", 2));
}

#[tokio::test]
async fn bodies_have_room_for_so_many() {
    let origin = Scripted::of(BODY_MAX, 1000);
    let edge = edge(&origin);
    // The cache keeps three of them, with their heads; the others are on their way to somebody.
    let mut held = Vec::new();
    loop {
        let (_, response) = answer(&edge, &format!("/{}", held.len())).await;
        match response.into_body() {
            Content::Full(body) => held.push(body.slice(..1)),
            Content::Stream { stream, .. } => break assert_eq!(stream.count().await, 1),
            Content::Empty => unreachable!(),
        }
    }
    assert_eq!(held.len(), (crate::BYTES_MAX + MOVING_MAX) / BODY_MAX);
    // It has not been kept, and is once somebody has gone.
    held.remove(0);
    for want in ["Cache Miss", "Cache Hit"] {
        assert_eq!(answer(&edge, "/late").await.0, want);
    }
}
