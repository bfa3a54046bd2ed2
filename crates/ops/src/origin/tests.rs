//! With an origin of a few lines, and a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cosette_model::op::reply::FromOrigin;
use cosette_model::op::{Call, CreateBucket, PutSetting, Reply};
use cosette_model::setting::{
    Origin, OriginCondition, OriginHost, OriginKind, OriginParameter, OriginRule, Setting,
};
use cosette_model::{
    Answering, Attributes, BodyError, Error, ErrorCode, NoAnswer, OriginAnswer, OriginRequest, Origins,
    SettingName,
};
use futures_util::{StreamExt, stream};

use crate::Ops;
use crate::tests::{bucket, by, get, ops};

const PIECE: usize = 64 << 10;

/// Answers a body of so many pieces, and breaks off before the last if it is told to.
#[derive(Default)]
struct Scripted {
    pieces: usize,
    breaks: bool,
    panics: bool,
    asked: AtomicUsize,
}

impl Origins for Scripted {
    fn ask(&self, request: OriginRequest) -> Answering<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "as the script has it");
        let answer = match request.url.path.as_str() {
            "/none" => Err(NoAnswer("nobody is there".into())),
            _ => {
                let breaks = self.breaks;
                let whole = self.pieces - usize::from(breaks);
                let pieces = stream::iter((0..whole).map(|at| Ok(piece(at))));
                let rest = stream::iter(breaks.then_some(Err(BodyError::Incomplete)));
                Ok(OriginAnswer {
                    status: 200,
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
    let script = Arc::new(script);
    let ops = ops().with_origins(Arc::clone(&script) as Arc<dyn Origins>);
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
        kind: OriginKind::Mirror,
        condition: OriginCondition::default(),
        parameter: OriginParameter::default(),
        standby_codes: None,
        hosts: vec![OriginHost { name: "origin".into(), ..OriginHost::default() }],
        file: None,
    };
    let setting = Some(Setting::Origin(Origin { rules: vec![rule] }));
    let put = PutSetting { bucket: bucket("photos"), name: SettingName::Origin, setting, unchecked: false };
    ops.handle(&by("1"), Call::PutSetting(put)).await.unwrap();
    (ops, script)
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
