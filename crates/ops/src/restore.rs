//! Archived objects: refused to readers until they are restored, and restored.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::{
    AccessTier, ArchiveTier, Error, ErrorCode, EventType, Restore, RestoreTier, StorageClass, Timestamp,
    property,
};
use cosette_store::{Object, Summary};

use crate::Ops;
use crate::access::Admitted;
use crate::error::Result;

/// In which archive tier of intelligent tiering an object lies, and where its restore stands, if there is one.
pub(crate) fn state(object: &Object, now: Timestamp) -> (Option<ArchiveTier>, Option<Restore>) {
    let properties = &object.properties;
    let (tiering, restore) = properties.tiering.at(object.attributes.storage_class, properties.restore, now);
    (tiering.archived, restore)
}

/// The same of a listed one.
pub(crate) fn of_summary(listed: &Summary, now: Timestamp) -> Option<Restore> {
    listed.tiering.at(listed.storage_class, listed.restore, now).1
}

/// Refuses to read an archived object that is not restored.
pub(crate) fn readable(object: &Object, info: op::ObjectInfo) -> Result<()> {
    let is_archived = matches!(info.tier, Some(AccessTier::Archived(_)));
    let is_restored = matches!(info.restore, Some(Restore::Done { .. }));
    if !is_archived && (!object.attributes.storage_class.is_archive() || is_restored) {
        return Ok(());
    }
    Err(Error { object: Some(Box::new(info)), ..Error::new(ErrorCode::InvalidObjectState) }.into())
}

/// What a restore that is asked for now makes of the one there is, and whether one begins.
fn begin(
    class: StorageClass,
    before: Option<Restore>,
    tier: RestoreTier,
    days: u32,
    now: Timestamp,
) -> Result<(Restore, bool)> {
    if tier.duration(class).is_none() {
        let why = format!("The tier {} is not available for this storage class.", tier.name());
        return Err(Error::with(ErrorCode::InvalidArgument, why).into());
    }
    match before.and_then(|before| before.at(class, now)) {
        // Only a faster one takes the place of one that is under way (cos-api 5).
        Some(Restore::Ongoing { tier: running, .. }) if tier >= running => {
            Err(ErrorCode::RestoreAlreadyInProgress.into())
        }
        Some(Restore::Done { .. }) => Ok((Restore::Done { expires: property::expiry(now, days) }, false)),
        Some(Restore::Ongoing { .. }) | None => Ok((Restore::Ongoing { tier, days, requested: now }, true)),
    }
}

impl Ops {
    pub(crate) async fn restore_object(
        &self,
        context: &Context,
        ask: op::RestoreObject,
    ) -> Result<reply::RestoreObject> {
        let op = Op::RestoreObject;
        let Admitted { bucket, found, .. } =
            self.admit_to(context, op, (&ask.bucket, &ask.key, &ask.version))?;
        let found = found?;
        if ask.customer.is_some() {
            self.store.check_customer(found.sealing.as_ref(), ask.customer.as_ref())?;
        }
        let (tier, days, days_may_come) = (ask.tier, ask.days, context.policy.tier_days);
        let object = self
            .revise(context, op, bucket, ask.key, ask.version, move |revision, _| {
                let (own, properties) = (revision.storage_class, &mut revision.properties);
                (properties.tiering, properties.restore) =
                    properties.tiering.at(own, properties.restore, revision.now);
                let class = properties.tiering.class(own);
                if !class.is_archive() {
                    return Err(ErrorCode::RestoreNonArchiveObject.into());
                }
                let days = match (properties.tiering.archived, days) {
                    (None, days) => days.ok_or(ErrorCode::MalformedXml)?,
                    (Some(_), Some(_)) if !days_may_come => {
                        let why =
                            "Days must not be given for an object of the storage class INTELLIGENT_TIERING.";
                        return Err(Error::with(ErrorCode::InvalidArgument, why).into());
                    }
                    (Some(_), _) => 0,
                };
                let (after, begun) = begin(class, properties.restore, tier, days, revision.now)?;
                // Prolonging a finished restore is no new job and has no event.
                revision.event = begun.then_some(EventType::RestorePost);
                revision.properties.restore = Some(after);
                Ok(())
            })
            .await?;
        let begun = matches!(object.properties.restore, Some(Restore::Ongoing { .. }));
        Ok(reply::RestoreObject { begun })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_restore_at_a_time() {
        use RestoreTier::{Bulk, Expedited, Standard};
        let at = |hours: u64| Timestamp::from_secs(1_700_000_000 + hours * 3600);
        let archive = |before, tier, now| begin(StorageClass::Archive, before, tier, 2, now);
        let (running, begun) = archive(None, Standard, at(0)).unwrap();
        assert!(begun);
        for tier in [Standard, Bulk] {
            let error = archive(Some(running), tier, at(1)).unwrap_err().0.code;
            assert_eq!(error, ErrorCode::RestoreAlreadyInProgress);
        }
        assert!(archive(Some(running), Expedited, at(1)).unwrap().1);
        let (longer, begun) = archive(Some(running), Bulk, at(4)).unwrap();
        assert!(!begun && matches!(longer, Restore::Done { .. }));
        assert!(archive(Some(longer), Bulk, at(24 * 9)).unwrap().1);
        let deep = begin(StorageClass::DeepArchive, None, Expedited, 1, at(0));
        assert_eq!(deep.unwrap_err().0.code, ErrorCode::InvalidArgument);
    }
}
