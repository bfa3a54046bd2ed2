//! Access logs: where those of a bucket go, and whether they may.

use cosette_model::op::{Facts, ObjectOwnership, Op};
use cosette_model::setting::{LogKeyFormat, Logging, ObjectLock, RequestPayment, ServiceForm};
use cosette_model::{
    BucketName, Error, ErrorCode, Grantee, LogTarget, ObjectKey, Permission, SettingName, canonical_id,
};
use cosette_store::Bucket;

use crate::Ops;
use crate::access::policy::{Request, Verdict};
use crate::access::{Act, Rules};
use crate::error::Result;

/// S3's service that writes them.
const SERVICE: &str = "logging.s3.amazonaws.com";

impl Ops {
    /// The bucket and where its log goes, if one is written.
    pub fn access_log(&self, name: &BucketName) -> Option<(Bucket, LogTarget)> {
        let view = self.find_view(name).ok().flatten()?;
        // Nearly always there is none.
        let logging: Logging = serde_json::from_slice(view.setting(SettingName::Logging.row())?).ok()?;
        let bucket = view.bucket.clone();
        // A target that no longer lets them in gets none, as on the services.
        self.check_log_target(&bucket, &logging).ok()?;
        let target = LogTarget {
            bucket: self.bucket_named(&logging.bucket).ok().flatten()?.name,
            prefix: logging.prefix,
            form: logging.form,
            keys: logging.key_format.unwrap_or(LogKeyFormat::Simple),
            grants: logging.grants,
        };
        Some((bucket, target))
    }

    /// What COS calls an operation in logs and policies.
    pub fn event_name(op: Op) -> &'static str {
        crate::access::cos_name(op)
    }

    /// Logs go to a bucket of the same account in the same region, which on S3 lets them in.
    pub(crate) fn check_log_target(&self, bucket: &Bucket, logging: &Logging) -> Result<()> {
        let refuse = |why: Option<&str>| {
            let error = Error::new(ErrorCode::InvalidTargetBucketForLogging);
            let error = Error { message: why.map(str::to_owned), ..error };
            Err(error.detail("TargetBucket", logging.bucket.as_str()).into())
        };
        let target = match self.bucket_named(&logging.bucket)? {
            Some(target) if target.owner_uin == bucket.owner_uin && target.region == bucket.region => target,
            _ => return refuse(None),
        };
        if logging.form == ServiceForm::Cos {
            return Ok(());
        }
        if self.setting(&target.name)? == Some(RequestPayment::Requester) {
            return refuse(Some("The target bucket for logging must not be one whose requesters pay."));
        }
        if self.setting::<ObjectLock>(&target.name)?.is_some_and(|lock| lock.default.is_some()) {
            return refuse(Some("The target bucket for logging must not have a default retention period."));
        }
        let rules = self.access_rules(&target.name)?;
        if !logging.grants.is_empty() && rules.ownership == ObjectOwnership::BucketOwnerEnforced {
            return Err(ErrorCode::AccessControlListNotSupported.into());
        }
        if granted(&rules) || allowed(&rules, &target, &logging.prefix, bucket) {
            return Ok(());
        }
        refuse(Some(
            "You must give the log-delivery group WRITE and READ_ACP permissions to the target bucket, \
             or allow logging.s3.amazonaws.com s3:PutObject in its policy.",
        ))
    }
}

/// By the list of the target.
fn granted(rules: &Rules) -> bool {
    let list = rules.acl.iter().flat_map(|acl| &acl.grants);
    let has = |wanted| {
        list.clone().any(|grant| {
            grant.grantee == Grantee::LogDelivery
                && [wanted, Permission::FullControl].contains(&grant.permission)
        })
    };
    rules.ownership != ObjectOwnership::BucketOwnerEnforced
        && has(Permission::Write)
        && has(Permission::ReadAcp)
}

/// By the policy of the target, for objects below the prefix; one that names just the prefix will do.
fn allowed(rules: &Rules, target: &Bucket, prefix: &str, source: &Bucket) -> bool {
    let Some(policy) = &rules.policy else { return false };
    let facts = Facts::from([
        ("sourcearn".to_owned(), vec![format!("arn:aws:s3:::{}", source.name)]),
        // An account has its number on AWS; here also the id that lists know it by.
        ("sourceaccount".to_owned(), vec![source.owner_uin.clone(), canonical_id(&source.owner_uin)]),
    ]);
    let keys = [prefix.to_owned(), format!("{prefix}2000-01-01-00-00-00-0000000000000000")];
    let verdicts = keys.iter().filter_map(|key| ObjectKey::new(key.as_str()).ok()).map(|key| {
        policy.verdict(&Request {
            account: None,
            canonical: None,
            users: &[],
            service: Some(SERVICE),
            act: Act::of(Op::PutObject, false),
            bucket: Some(&target.name),
            region: target.region.as_str(),
            appid: &target.owner_appid,
            key: Some(&key),
            facts: &facts,
        })
    });
    let verdicts: Vec<_> = verdicts.collect();
    verdicts.contains(&Verdict::Allow) && !verdicts.contains(&Verdict::Deny)
}
