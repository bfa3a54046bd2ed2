//! Replies that come from origins, or send there.

use cosette_model::op::reply::{FromOrigin, Location};
use cosette_model::op::{Reply, ResponseOverrides};
use cosette_model::{Attributes, Error, ErrorCode, OriginUrl};

use super::stream;

pub(super) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let body = |length, content_range: Option<&str>| {
        Ok(Reply::FromOrigin(FromOrigin::Body {
            attributes: Box::new(Attributes {
                content_type: Some("text/plain".into()),
                cache_control: Some("no-cache".into()),
                user: [("a".to_owned(), "1".to_owned())].into(),
                ..Attributes::default()
            }),
            overrides: Box::new(ResponseOverrides {
                cache_control: Some("max-age=1".into()),
                ..ResponseOverrides::default()
            }),
            length,
            content_range: content_range.map(str::to_owned),
            body: stream(b"hello"),
        }))
    };
    let elsewhere = |status, location| Ok(Reply::FromOrigin(FromOrigin::Elsewhere { status, location }));
    let made = OriginUrl {
        secure: true,
        host: "origin.example.com:8443".into(),
        path: "/照 a?.jpg".into(),
        query: "v=1".into(),
    };
    vec![
        ("GetObject: as it comes from an origin", body(Some(5), None)),
        ("GetObject: of no known length from an origin", body(None, None)),
        ("GetObject: a part from an origin", body(Some(5), Some("bytes 2-6/9"))),
        ("GetObject: sent to an origin", elsewhere(302, Location::Made(made))),
        ("GetObject: sent on by an origin", elsewhere(307, Location::Told("/other".into()))),
        ("error: of an origin", Err(Error::with(ErrorCode::OriginFailed, "The origin answered 500."))),
        (
            "error: with an origin's status",
            Err(Error { status: Some(451), ..Error::new(ErrorCode::OriginFailed) }),
        ),
    ]
}
