//! With an origin of a few lines, and a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cosette_model::op::reply::FromOrigin;
use cosette_model::op::{Call, CreateBucket, DeleteBucket, GetObject, PutSetting, Reply};
use cosette_model::setting::{
    Origin, OriginCondition, OriginHost, OriginKind, OriginParameter, OriginRule, Setting,
};
use cosette_model::{
    Answering, Attributes, BodyError, ByteRange, Error, ErrorCode, NoAnswer, OriginAnswer, OriginRequest,
    Origins, Sent, SettingName,
};
use futures_util::{StreamExt, stream};

use super::fetch::{FETCHES_MAX, OPEN_MAX};
use crate::Ops;
use crate::tests::{bucket, by, get, ops};

const PIECE: usize = 64 << 10;

/// Answers a body of so many pieces, and breaks off before the last if it is told to.
#[derive(Default)]
struct Scripted {
    pieces: usize,
    breaks: bool,
    panics: bool,
    /// Never answers.
    silent: bool,
    asked: AtomicUsize,
}

impl Origins for Scripted {
    fn ask(&self, request: OriginRequest) -> Answering<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "as the script has it");
        let answer = match request.url.path.as_str() {
            _ if self.silent => return Box::pin(std::future::pending()),
            "/none" => Err(NoAnswer("nobody is there".into())),
            _ => {
                let breaks = self.breaks;
                let whole = self.pieces - usize::from(breaks);
                let pieces = stream::iter((0..whole).map(|at| Ok(piece(at))));
                let rest = stream::iter(breaks.then_some(Err(BodyError::Incomplete)));
                Ok(OriginAnswer {
                    status: if request.url.path == "/part" { 206 } else { 200 },
                    location: None,
                    attributes: Attributes::default(),
                    length: Some((self.pieces * PIECE) as u64),
                    content_range: None,
                    body: Box::pin(pieces.chain(rest)),
                })
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

fn piece(at: usize) -> Bytes {
    Bytes::from(vec![at as u8; PIECE])
}

async fn world(script: Scripted) -> (Ops, Arc<Scripted>) {
    world_of(script, OriginKind::Mirror, OriginParameter::default()).await
}

async fn world_of(script: Scripted, kind: OriginKind, parameter: OriginParameter) -> (Ops, Arc<Scripted>) {
    let script = Arc::new(script);
    let ops = ops().with_origins(Arc::clone(&script) as Arc<dyn Origins>);
    make(&ops, kind, parameter).await;
    (ops, script)
}

/// The bucket, with a rule.
async fn make(ops: &Ops, kind: OriginKind, parameter: OriginParameter) {
    let create = CreateBucket {
        bucket: bucket("photos"),
        region: None,
        tags: None,
        object_lock: false,
        acl: Default::default(),
        ownership: None,
    };
    ops.handle(&by("1"), Call::CreateBucket(create)).await.unwrap();
    let rule = OriginRule {
        priority: None,
        kind,
        condition: OriginCondition::default(),
        parameter,
        standby_codes: None,
        hosts: vec![OriginHost { name: "origin".into(), ..OriginHost::default() }],
        file: None,
    };
    let setting = Some(Setting::Origin(Origin { rules: vec![rule] }));
    let put = PutSetting { bucket: bucket("photos"), name: SettingName::Origin, setting, unchecked: false };
    ops.handle(&by("1"), Call::PutSetting(put)).await.unwrap();
}

async fn read(ops: &Ops, key: &str) -> Result<Vec<Result<Bytes, BodyError>>, Error> {
    Ok(match ops.handle(&by("1"), Call::GetObject(get("photos", key))).await? {
        Reply::GetObject(got) => got.body.collect().await,
        Reply::FromOrigin(FromOrigin::Body { body, .. }) => body.collect().await,
        other => panic!("{other:?}"),
    })
}

fn joined(pieces: Vec<Result<Bytes, BodyError>>) -> Vec<u8> {
    pieces.into_iter().flat_map(Result::unwrap).collect()
}

/// The origin sends all without a pause, so that who reads along falls behind and reads on in the store.
#[tokio::test]
async fn who_falls_behind_gets_every_byte_once() {
    for pieces in [1, 16, 17, 32, 33, 100, 200] {
        let (ops, script) = world(Scripted { pieces, ..Scripted::default() }).await;
        let wanted: Vec<u8> = (0..pieces).flat_map(piece).collect();
        let (a, b) = tokio::join!(read(&ops, "k"), read(&ops, "k"));
        for got in [a, b, read(&ops, "k").await] {
            assert!(joined(got.unwrap()) == wanted, "{pieces}");
        }
        assert_eq!(script.asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn what_breaks_off_is_not_stored_and_asked_for_again() {
    for pieces in [1, 8, 100] {
        let (ops, script) = world(Scripted { pieces, breaks: true, ..Scripted::default() }).await;
        for round in 1..=2 {
            match read(&ops, "k").await {
                Ok(got) => assert!(got.last().unwrap().is_err()),
                Err(error) => assert_eq!(error.code, ErrorCode::OriginFailed),
            }
            assert_eq!(script.asked.load(Ordering::SeqCst), round);
        }
        let kept = ops.store.object(&bucket("photos"), &crate::tests::key("k"), None);
        assert!(kept.is_err());
    }
}

#[tokio::test]
async fn a_fetch_that_ends_without_a_word_is_over() {
    let (ops, script) = world(Scripted { panics: true, ..Scripted::default() }).await;
    for round in 1..=2 {
        assert_eq!(read(&ops, "k").await.unwrap_err().code, ErrorCode::InternalError);
        assert_eq!(script.asked.load(Ordering::SeqCst), round);
    }
    let (ops, _) = world(Scripted::default()).await;
    let error = read(&ops, "none").await.unwrap_err();
    assert_eq!((error.code, error.message()), (ErrorCode::OriginFailed, "nobody is there"));
}

/// Where a client is sent.
async fn is_sent_on(ops: &Ops, key: &str) {
    let reply = ops.handle(&by("1"), Call::GetObject(get("photos", key))).await.unwrap();
    assert!(matches!(reply, Reply::FromOrigin(FromOrigin::Elsewhere { status: 302, .. })), "{reply:?}");
}

#[tokio::test]
async fn who_is_sent_on_brings_no_object_where_none_is_to_be_stored() {
    let parameter = OriginParameter { copy_data: Some(false), ..OriginParameter::default() };
    let (ops, _) =
        world_of(Scripted { pieces: 1, ..Scripted::default() }, OriginKind::Proxy, parameter).await;
    is_sent_on(&ops, "k").await;
    assert_eq!(ops.fetching.under_way(), 0);
}

#[tokio::test]
async fn those_who_do_not_wait_do_not_pile_up() {
    let script = Scripted { silent: true, ..Scripted::default() };
    let (ops, _) = world_of(script, OriginKind::Proxy, OriginParameter::default()).await;
    for number in 0..OPEN_MAX + 10 {
        is_sent_on(&ops, &number.to_string()).await;
    }
    assert_eq!(ops.fetching.under_way(), OPEN_MAX);
}

#[tokio::test]
async fn a_part_of_which_nothing_is_said_is_not_the_object() {
    let (ops, _) = world(Scripted { pieces: 1, ..Scripted::default() }).await;
    let ask = GetObject { range: Some(ByteRange::FromTo(0, 1)), ..get("photos", "part") };
    let error = ops.handle(&by("1"), Call::GetObject(ask)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::OriginFailed);
}

/// A request that came through these.
#[derive(Debug)]
struct Through(String);

impl Sent for Through {
    fn headers(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn header(&self, _: &str) -> Option<String> {
        None
    }
    fn query(&self) -> String {
        String::new()
    }
    fn secure(&self) -> bool {
        false
    }
    fn via(&self) -> String {
        self.0.clone()
    }
}

/// Fetches of a bucket whose origin is another bucket here would hold all the turns and wait for one.
#[tokio::test]
async fn a_fetch_for_a_fetch_waits_for_no_turn() {
    let script = Scripted { silent: true, ..Scripted::default() };
    let (ops, script) = world_of(script, OriginKind::Proxy, OriginParameter::default()).await;
    for number in 0..FETCHES_MAX + 1 {
        is_sent_on(&ops, &number.to_string()).await;
    }
    let asked = async |count| {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(script.asked.load(Ordering::SeqCst), count);
    };
    asked(FETCHES_MAX).await;
    let via = ops.fetching.via(None, None).unwrap();
    let ask = GetObject { sent: Some(Arc::new(Through(via))), ..get("photos", "nested") };
    ops.handle(&by("1"), Call::GetObject(ask)).await.unwrap();
    asked(FETCHES_MAX + 1).await;
}

#[tokio::test]
async fn a_bucket_has_no_part_in_fetches_of_one_that_had_its_name() {
    let script = Scripted { silent: true, ..Scripted::default() };
    let (ops, _) = world_of(script, OriginKind::Proxy, OriginParameter::default()).await;
    is_sent_on(&ops, "k").await;
    let delete = DeleteBucket { bucket: bucket("photos") };
    ops.handle(&by("1"), Call::DeleteBucket(delete)).await.unwrap();
    make(&ops, OriginKind::Proxy, OriginParameter::default()).await;
    is_sent_on(&ops, "k").await;
    assert_eq!(ops.fetching.under_way(), 2);
}
