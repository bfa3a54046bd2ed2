//! Replies about forms, locks and restores.

use bytes::Bytes;
use cosette_model::op::reply::{self, HeadObject};
use cosette_model::op::{ObjectInfo, PostAnswer, Reply, ResponseOverrides, Scanned, SelectEvent};
use cosette_model::{
    AccessTier, ArchiveTier, Attributes, Error, ErrorCode, Lock, ReplicaState, Restore, RestoreTier,
    Retention, RetentionMode, StorageClass,
};

use super::{CRC64, bucket, etag, info, key, now, sums, version};

struct Events(std::vec::IntoIter<Result<SelectEvent, Error>>);

impl futures_core::Stream for Events {
    type Item = Result<SelectEvent, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn selected(last: Result<SelectEvent, Error>) -> Reply {
    let scanned = Scanned { scanned: 20, processed: 20, returned: 4 };
    let mut events =
        vec![Ok(SelectEvent::Records(Bytes::from_static(b"a,b\n"))), Ok(SelectEvent::Progress(scanned))];
    if last.is_ok() {
        events.push(Ok(SelectEvent::Stats(scanned)));
    }
    events.push(last);
    let events = Box::pin(Events(events.into_iter()));
    Reply::SelectObjectContent(reply::SelectObjectContent { events })
}

pub(crate) fn replies() -> Vec<(&'static str, Result<Reply, Error>)> {
    let post = |answer| {
        Ok(Reply::PostObject(reply::PostObject {
            encryption: None,
            expiry: None,
            bucket: bucket(),
            key: key("up/a b&c.txt"),
            etag: etag(),
            crc64: CRC64,
            version: version(),
            checksums: sums(),
            answer,
        }))
    };
    let archived = |restore| ObjectInfo {
        attributes: Attributes { storage_class: StorageClass::Glacier, ..Attributes::default() },
        restore,
        ..info()
    };
    let head = |restore| {
        Ok(Reply::HeadObject(HeadObject {
            info: archived(restore),
            range: None,
            by_part: false,
            overrides: ResponseOverrides::default(),
        }))
    };
    let (tier, days, requested) = (RestoreTier::Expedited, 1, now());
    let refused =
        Error { object: Some(Box::new(archived(None))), ..Error::new(ErrorCode::InvalidObjectState) };
    let tiered = |tier| ObjectInfo {
        attributes: Attributes { storage_class: StorageClass::IntelligentTiering, ..Attributes::default() },
        tier: Some(tier),
        ..info()
    };
    let frozen = AccessTier::Archived(ArchiveTier::DeepArchive);
    let head_of = |tier| {
        let (info, overrides) = (tiered(tier), ResponseOverrides::default());
        Ok(Reply::HeadObject(HeadObject { info, range: None, by_part: false, overrides }))
    };
    let refused_tier =
        Error { object: Some(Box::new(tiered(frozen))), ..Error::new(ErrorCode::InvalidObjectState) };
    let replicated = |state| {
        Ok(Reply::HeadObject(HeadObject {
            info: ObjectInfo { replica: Some(state), ..info() },
            range: None,
            by_part: false,
            overrides: ResponseOverrides::default(),
        }))
    };
    let retention = Retention { mode: RetentionMode::Governance, until: now() };
    let lock = Lock { retention: Some(retention), legal_hold: true };
    let locked = HeadObject {
        info: ObjectInfo { lock, ..info() },
        range: None,
        by_part: false,
        overrides: ResponseOverrides::default(),
    };
    vec![
        ("HeadObject: copies to come", replicated(ReplicaState::Pending { left: 1, failed: false })),
        ("HeadObject: copied", replicated(ReplicaState::Completed)),
        ("HeadObject: not copied", replicated(ReplicaState::Failed)),
        ("HeadObject: a copy", replicated(ReplicaState::Replica)),
        ("error: no lock on a bucket", Err(ErrorCode::NoSuchObjectLockConfiguration.into())),
        ("error: no lock on an object", Err(ErrorCode::NoRetention.into())),
        ("error: locked", Err(ErrorCode::ObjectLocked.into())),
        ("PutObjectRetention", Ok(Reply::PutObjectRetention(reply::PutObjectRetention {}))),
        ("GetObjectRetention", Ok(Reply::GetObjectRetention(reply::GetObjectRetention { retention }))),
        ("PutObjectLegalHold", Ok(Reply::PutObjectLegalHold(reply::PutObjectLegalHold {}))),
        ("GetObjectLegalHold", Ok(Reply::GetObjectLegalHold(reply::GetObjectLegalHold { held: true }))),
        ("HeadObject: locked", Ok(Reply::HeadObject(locked))),
        (
            "PostBucketInventory",
            Ok(Reply::PostBucketInventory(reply::PostBucketInventory { job: "2a".to_owned() })),
        ),
        ("RestoreObject: begun", Ok(Reply::RestoreObject(reply::RestoreObject { begun: true }))),
        ("RestoreObject: prolonged", Ok(Reply::RestoreObject(reply::RestoreObject { begun: false }))),
        ("HeadObject: being restored", head(Some(Restore::Ongoing { tier, days, requested }))),
        ("HeadObject: restored", head(Some(Restore::Done { expires: now() }))),
        ("SelectObjectContent", Ok(selected(Ok(SelectEvent::End)))),
        ("SelectObjectContent: fails after some records", Ok(selected(Err(ErrorCode::CastFailed.into())))),
        ("HeadObject: a tier that is read at once", head_of(AccessTier::Infrequent)),
        ("HeadObject: an archive tier", head_of(frozen)),
        ("error: archived", Err(refused)),
        ("error: in an archive tier", Err(refused_tier)),
        ("error: a restore is under way", Err(ErrorCode::RestoreAlreadyInProgress.into())),
        ("error: not archived", Err(ErrorCode::RestoreNonArchiveObject.into())),
        ("PostObject: nothing more", post(PostAnswer::Status(204))),
        ("PostObject: a document", post(PostAnswer::Status(201))),
        ("PostObject: another page", post(PostAnswer::Redirect("http://example.com/?a=1".into()))),
    ]
}
