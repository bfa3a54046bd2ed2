//! Object lock: what a bucket sets, what a write gets, and what may be changed of it. That nothing
//! locked goes is the store's to see to.

use cosette_model::op::{self, Context, Op, reply};
use cosette_model::setting::{DefaultRetention, ObjectLock, Period};
use cosette_model::{Error, ErrorCode, Lock, ObjectKey, Retention, RetentionMode, Timestamp, Versioning};
use cosette_store::Bucket;

use crate::Ops;
use crate::access::{Admitted, Scene, also};
use crate::error::{Failure, Result};

/// The longest default retention, in days: a hundred years in both services.
const DAYS_MAX: u64 = 36_500;

fn not_lockable() -> Failure {
    Error::with(ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration").into()
}

fn past() -> Failure {
    Error::with(ErrorCode::InvalidArgument, "The retain until date must be in the future!").into()
}

/// Whether a bucket may be set so.
///
/// S3's object lock needs versions and has modes; COS's excludes versions, has days alone, and
/// they only grow (cos-api 3.3).
pub(crate) fn check(
    by_version: bool,
    bucket: &Bucket,
    before: Option<ObjectLock>,
    after: ObjectLock,
) -> Result<()> {
    let fits = match bucket.versioning {
        Versioning::Enabled => by_version,
        Versioning::Off => !by_version,
        Versioning::Suspended => false,
    };
    if !fits {
        let why = if by_version {
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        } else {
            "Object lock cannot be set on a bucket with versioning."
        };
        return Err(Error::with(ErrorCode::InvalidBucketState, why).into());
    }
    let Some(default) = after.default else { return Ok(()) };
    if default.mode.is_some() != by_version || (!by_version && matches!(default.period, Period::Years(_))) {
        return Err(ErrorCode::MalformedXml.into());
    }
    if !(1..=DAYS_MAX).contains(&default.period.days()) {
        return Err(ErrorCode::InvalidRetentionPeriod.into());
    }
    let longest = before.and_then(|before| before.default).map_or(0, |before| before.period.days());
    if !by_version && default.period.days() < longest {
        return Err(ErrorCode::InvalidLockedTime.into());
    }
    Ok(())
}

/// Whether the retention of an object may be changed so.
fn may_retain(before: Option<Retention>, after: Option<Retention>, now: Timestamp, bypass: bool) -> bool {
    let Some(before) = before.filter(|before| now < before.until) else { return true };
    let weaker = after.is_none_or(|after| after.mode != before.mode || after.until < before.until);
    match before.mode {
        RetentionMode::Compliance => !weaker,
        RetentionMode::Governance => !weaker || bypass,
    }
}

/// What conditions may ask of a retention, as its headers would say it.
fn facts(asked: Retention, now: Timestamp) -> impl Iterator<Item = (String, Vec<String>)> {
    let days = asked.until.since(now).as_secs().div_ceil(86_400).to_string();
    let mode = match asked.mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    };
    [
        ("object-lock-mode", mode.to_owned()),
        ("object-lock-retain-until-date", asked.until.iso_seconds()),
        ("object-lock-remaining-retention-days", days),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), vec![value]))
}

impl Ops {
    /// What a write is locked by: what it asks for, if who asks may lock the object, else what the
    /// bucket gives.
    pub(crate) fn lock(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &ObjectKey,
        asked: Lock,
    ) -> Result<Lock> {
        if asked.retention.is_some() {
            self.decide(context, Op::PutObjectRetention, bucket, key)?;
        }
        if asked.legal_hold {
            self.decide(context, Op::PutObjectLegalHold, bucket, key)?;
        }
        let Some(set) = self.setting::<ObjectLock>(&bucket.name)? else {
            return if asked == Lock::default() { Ok(asked) } else { Err(not_lockable()) };
        };
        if asked.retention.is_some_and(|retention| retention.until <= context.now) {
            return Err(past());
        }
        let default = |default: DefaultRetention| default.of(context.now);
        Ok(Lock { retention: asked.retention.or(set.default.map(default)), ..asked })
    }

    /// A bucket whose objects can be locked.
    fn lockable(&self, bucket: &Bucket) -> Result<()> {
        self.setting::<ObjectLock>(&bucket.name)?.map(drop).ok_or_else(not_lockable)
    }

    pub(crate) async fn put_retention(
        &self,
        context: &Context,
        ask: op::PutObjectRetention,
    ) -> Result<reply::PutObjectRetention> {
        let op = Op::PutObjectRetention;
        let context =
            &also(context, ask.retention.map(|asked| facts(asked, context.now)).into_iter().flatten());
        let Admitted { bucket, rules, found } =
            self.admit_to(context, op, (&ask.bucket, &ask.key, &ask.version))?;
        self.lockable(&bucket)?;
        let object = &found?;
        let bypass = ask.bypass_governance
            && Scene { context, bucket: &bucket, rules: &rules, object: Some(object) }
                .bypasses((&bucket.name, &ask.key, &ask.version).into());
        let after = ask.retention;
        self.revise(context, op, bucket, ask.key, ask.version, move |revision, _| {
            if after.is_some_and(|after| after.until <= revision.now) {
                return Err(past());
            }
            if !may_retain(revision.properties.retention, after, revision.now, bypass) {
                return Err(ErrorCode::InvalidLockedTime.into());
            }
            revision.properties.retention = after;
            Ok(())
        })
        .await?;
        Ok(reply::PutObjectRetention {})
    }

    pub(crate) fn get_retention(
        &self,
        context: &Context,
        ask: op::GetObjectRetention,
    ) -> Result<reply::GetObjectRetention> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetObjectRetention, (&ask.bucket, &ask.key, &ask.version))?;
        self.lockable(&bucket)?;
        let retention = found?.properties.retention.ok_or(ErrorCode::NoRetention)?;
        Ok(reply::GetObjectRetention { retention })
    }

    pub(crate) async fn put_legal_hold(
        &self,
        context: &Context,
        ask: op::PutObjectLegalHold,
    ) -> Result<reply::PutObjectLegalHold> {
        let op = Op::PutObjectLegalHold;
        let held = if ask.held { "ON" } else { "OFF" };
        let context = &also(context, [("object-lock-legal-hold".to_owned(), vec![held.to_owned()])]);
        let Admitted { bucket, found, .. } =
            self.admit_to(context, op, (&ask.bucket, &ask.key, &ask.version))?;
        self.lockable(&bucket)?;
        found?;
        let held = ask.held;
        self.revise(context, op, bucket, ask.key, ask.version, move |revision, _| {
            revision.properties.legal_hold = held;
            Ok(())
        })
        .await?;
        Ok(reply::PutObjectLegalHold {})
    }

    pub(crate) fn get_legal_hold(
        &self,
        context: &Context,
        ask: op::GetObjectLegalHold,
    ) -> Result<reply::GetObjectLegalHold> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetObjectLegalHold, (&ask.bucket, &ask.key, &ask.version))?;
        self.lockable(&bucket)?;
        Ok(reply::GetObjectLegalHold { held: found?.properties.legal_hold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_retained_is_only_retained_more() {
        use RetentionMode::{Compliance, Governance};
        let at = Timestamp::from_secs;
        let until = |mode, until| Some(Retention { mode, until: at(until) });
        let may = |before, after, bypass| may_retain(before, after, at(10), bypass);
        assert!(may(None, until(Governance, 20), false));
        assert!(may(until(Compliance, 9), None, false));
        for mode in [Governance, Compliance] {
            assert!(may(until(mode, 20), until(mode, 20), false));
            assert!(may(until(mode, 20), until(mode, 30), false));
            assert!(!may(until(mode, 20), until(mode, 19), false));
            assert!(!may(until(mode, 20), None, false));
        }
        assert!(may(until(Governance, 20), until(Governance, 11), true));
        assert!(may(until(Governance, 20), None, true));
        assert!(may(until(Governance, 20), until(Compliance, 20), true));
        assert!(!may(until(Governance, 20), until(Compliance, 30), false));
        assert!(!may(until(Compliance, 20), until(Compliance, 19), true));
        assert!(!may(until(Compliance, 20), until(Governance, 30), true));
    }
}
