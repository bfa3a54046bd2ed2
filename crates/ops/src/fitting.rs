//! Whether a setting fits its bucket and the buckets it names.

use cosette_model::op::{Context, Policy};
use cosette_model::setting::{
    BucketEncryption, BucketRef, DefaultMethod, Inventory, InventoryEncryption, Replication, Status,
};
use cosette_model::{BucketName, Error, ErrorCode, Setting, SettingName, Versioning};
use cosette_store::{Bucket, View};

use crate::Ops;
use crate::encryption::kms_key;
use crate::error::Result;

impl Ops {
    /// What a setting needs of other buckets.
    pub(crate) fn check_others(&self, context: &Context, bucket: &Bucket, setting: &Setting) -> Result<()> {
        match setting {
            Setting::Logging(logging) => self.check_log_target(bucket, logging),
            Setting::Inventory(inventory) => self.check_inventory_target(bucket, inventory),
            Setting::Encryption(encryption) => check_key(bucket, encryption),
            Setting::Replication(replication) => self.check_replicas(context, bucket, replication),
            _ => Ok(()),
        }
    }

    /// Lists go to a bucket in the same region.
    pub(crate) fn check_inventory_target(&self, bucket: &Bucket, inventory: &Inventory) -> Result<()> {
        let to = &inventory.destination.bucket;
        if let Some(InventoryEncryption::Kms(id)) = &inventory.destination.encryption {
            kms_key(bucket, Some(id.clone()))?;
        }
        let refuse = |why: &str| {
            Err(Error::with(ErrorCode::InvalidArgument, why).detail("Bucket", to.name.as_str()).into())
        };
        match self.referred(to)? {
            Some(target) if target.owner_uin != bucket.owner_uin => {
                let why = "Inventories in a bucket of another account are not implemented.";
                Err(Error::with(ErrorCode::NotImplemented, why).into())
            }
            Some(target) if target.region == bucket.region => Ok(()),
            Some(_) => refuse("The destination bucket must be in the same region as the source bucket."),
            None => refuse("The destination bucket does not exist."),
        }
    }

    fn check_replicas(&self, context: &Context, bucket: &Bucket, replication: &Replication) -> Result<()> {
        for rule in &replication.rules {
            let enabled = Some(Status::Enabled);
            let asked = [
                ("ExistingObjectReplication", rule.existing_objects),
                ("ReplicaModifications", rule.replica_modifications),
            ];
            if let Some((name, _)) = asked.into_iter().find(|(_, status)| *status == enabled) {
                return Err(
                    Error::with(ErrorCode::NotImplemented, format!("{name} is not implemented.")).into()
                );
            }
            let to = &rule.destination.bucket;
            let refuse =
                |code, why: &str| Err(Error::with(code, why).detail("Bucket", to.name.as_str()).into());
            let Some(target) = self.referred(to)? else {
                return refuse(ErrorCode::TargetBucketNameInvalid, "Destination bucket must exist.");
            };
            if target.name == bucket.name {
                let why = "The destination bucket cannot be the source bucket.";
                return refuse(ErrorCode::TargetBucketNameInvalid, why);
            }
            if context.policy.replicas_stay && target.owner_uin != bucket.owner_uin {
                let why = "The destination bucket is another account's.";
                return refuse(ErrorCode::UserNotTargetBucketOwner, why);
            }
            if target.owner_uin != bucket.owner_uin {
                let why = "Replication to a bucket of another account is not implemented.";
                return refuse(ErrorCode::NotImplemented, why);
            }
            if target.versioning != Versioning::Enabled {
                let why = "Destination bucket must have versioning enabled.";
                return refuse(ErrorCode::BucketVersionNotOpen, why);
            }
        }
        Ok(())
    }

    /// The bucket that a resource means, if it is there, and in the region that the resource names.
    pub(crate) fn referred(&self, to: &BucketRef) -> Result<Option<Bucket>> {
        let found = self.bucket_named(&to.name)?;
        Ok(found.filter(|bucket| to.region.as_deref().is_none_or(|region| region == bucket.region.as_str())))
    }

    pub(crate) fn bucket_named(&self, name: &str) -> Result<Option<Bucket>> {
        let name = BucketName::new(name).ok();
        Ok(name.map(|name| self.find(&name)).transpose()?.flatten())
    }
}

/// What a setting needs of its bucket and what else is set on it, asked by the commit that sets it.
pub(crate) fn check(seen: &View, policy: &Policy, setting: &Setting, before: Option<&Setting>) -> Result<()> {
    let name = setting.name();
    match setting {
        Setting::ObjectLock(lock) => {
            let before = match before {
                Some(Setting::ObjectLock(before)) => Some(*before),
                _ => None,
            };
            crate::lock::check(policy.lock_by_version, &seen.bucket, before, *lock)?;
            let others = [SettingName::Replication, SettingName::DefaultTiering, SettingName::Lifecycle];
            if !policy.lock_by_version && others.iter().any(|name| seen.setting(name.row()).is_some()) {
                return Err(locked());
            }
        }
        Setting::Replication(_) | Setting::DefaultTiering(_) | Setting::Lifecycle(_)
            if locks(seen, policy) =>
        {
            return Err(locked());
        }
        Setting::Replication(_) if seen.bucket.versioning != Versioning::Enabled => {
            return Err(ErrorCode::BucketVersionNotOpen.into());
        }
        Setting::DefaultTiering(_) if before.is_some() => {
            let why = "Not support modify intelligent tiering configuration";
            return Err(Error::with(ErrorCode::InvalidArgument, why).into());
        }
        Setting::Accelerate(_) if seen.bucket.name.as_str().contains('.') => {
            let why = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names";
            return Err(Error::with(ErrorCode::InvalidRequest, why).into());
        }
        Setting::IntelligentTiering(_) if before.is_some_and(is_default) => {
            return Err(Error::with(ErrorCode::InvalidArgument, "The default rule cannot be modified").into());
        }
        _ => {}
    }
    if setting.id().is_some()
        && before.is_none()
        && seen.settings(&name.row_of(Some(""))).count() >= SettingName::MOST
    {
        return Err(match name {
            SettingName::Inventory => ErrorCode::TooManyInventories,
            _ => ErrorCode::TooManyConfigurations,
        }
        .into());
    }
    Ok(())
}

/// The same for its removal.
pub(crate) fn check_removal(name: SettingName, policy: &Policy, before: Option<&Setting>) -> Result<()> {
    match before {
        Some(setting) if is_default(setting) => {
            Err(Error::with(ErrorCode::InvalidArgument, "The default rule cannot be deleted").into())
        }
        None if name.list().is_some() && policy.removal_finds => {
            Err(name.missing().unwrap_or(ErrorCode::NoSuchConfiguration).into())
        }
        _ => Ok(()),
    }
}

/// Whether it is the rule by which COS switches intelligent tiering on, for good.
fn is_default(setting: &Setting) -> bool {
    match setting {
        Setting::IntelligentTiering(tiering) => tiering.tiers.iter().any(|tier| tier.name == "INFREQUENT"),
        _ => false,
    }
}

/// COS's object lock does not go with what moves or copies objects by itself (cos-api 3.3).
fn locks(seen: &View, policy: &Policy) -> bool {
    !policy.lock_by_version && seen.setting(SettingName::ObjectLock.row()).is_some()
}

fn locked() -> crate::error::Failure {
    ErrorCode::BucketLocked.into()
}

/// The key that is named is one of key management.
fn check_key(bucket: &Bucket, encryption: &BucketEncryption) -> Result<()> {
    match &encryption.method {
        DefaultMethod::Kms(Some(id)) => kms_key(bucket, Some(id.clone())).map(drop),
        DefaultMethod::Kms(None) | DefaultMethod::Service => Ok(()),
    }
}
