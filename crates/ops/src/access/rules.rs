//! What a bucket's owner has laid down about access, as the store keeps it.

use std::collections::BTreeMap;

use cosette_model::op::{ObjectOwnership, PublicAccessBlock};
use cosette_model::{Acl, BucketName, Cause, Error, ErrorCode, Permission, SettingName, Tags};
use cosette_store::{Bucket, View};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::acl;
use super::policy::Policy;
use crate::Ops;
use crate::error::Result;

/// Names of the store's settings.
pub(crate) const ACL: &str = "acl";
pub(crate) const POLICY: &str = "policy";
pub(crate) const BLOCK: &str = "public-access-block";
pub(crate) const OWNERSHIP: &str = "ownership-controls";

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// `None`: private.
    pub(crate) acl: Option<Acl>,
    pub(crate) policy: Option<Policy>,
    pub(crate) block: PublicAccessBlock,
    pub(crate) ownership: ObjectOwnership,
    /// The bucket's own.
    pub(crate) tags: BTreeMap<String, String>,
}

impl Rules {
    /// Whether the bucket's list grants the permission to an account, or to nobody known.
    pub(crate) fn bucket_grants(&self, account: Option<&str>, permission: Permission) -> bool {
        let heed_public = !self.block.ignore_public_acls;
        self.ownership != ObjectOwnership::BucketOwnerEnforced
            && self.acl.as_ref().is_some_and(|list| acl::grants(list, account, permission, heed_public))
    }

    /// The policy is not heeded for anybody but the owner.
    pub(crate) fn restricts_policy(&self) -> bool {
        self.block.restrict_public_buckets && self.policy.as_ref().is_some_and(Policy::is_public)
    }

    /// Refuses a list that grants to everybody where those are blocked.
    pub(crate) fn take_acl(&self, list: Option<&Acl>) -> Result<()> {
        if self.block.block_public_acls && list.is_some_and(acl::is_public) {
            return Err(ErrorCode::AccessDenied.into());
        }
        Ok(())
    }
}

impl Rules {
    pub(crate) fn of(view: &View) -> Result<Self> {
        let policy = view.setting(POLICY).map(|text| Policy::parse(text, Some(&view.bucket.name)));
        Ok(Self {
            acl: laid_down(view, ACL)?,
            // It was parsed when it was put.
            policy: policy
                .transpose()
                .map_err(|why| Error::internal(format!("policy of {}: {why}", view.bucket.name)))?,
            block: laid_down(view, BLOCK)?.unwrap_or_default(),
            ownership: laid_down(view, OWNERSHIP)?.unwrap_or_default(),
            tags: laid_down::<Tags>(view, SettingName::Tagging.row())?.unwrap_or_default().into_map(),
        })
    }
}

fn laid_down<T: DeserializeOwned>(view: &View, setting: &str) -> Result<Option<T>> {
    Ok(view.setting(setting).map(serde_json::from_slice).transpose().map_err(Error::internal)?)
}

/// As the store keeps it.
pub(crate) fn row<T: Serialize>(value: Option<&T>) -> Result<Option<Vec<u8>>> {
    Ok(value.map(serde_json::to_vec).transpose().map_err(Error::internal)?)
}

impl Ops {
    /// What is laid down now.
    pub(crate) fn access_rules(&self, bucket: &BucketName) -> Result<Rules> {
        let view = self.store.view(bucket)?;
        Rules::of(&*view.ok_or_else(|| super::no_such_bucket(bucket))?)
    }

    pub(crate) fn laid_down<T: DeserializeOwned>(
        &self,
        bucket: &BucketName,
        setting: &'static str,
    ) -> Result<Option<T>> {
        let view = self.store.view(bucket)?;
        laid_down(&*view.ok_or_else(|| super::no_such_bucket(bucket))?, setting)
    }

    /// Lays down what `decide` makes of all that is, in one commit.
    pub(crate) async fn lay_down<T: Serialize>(
        &self,
        bucket: Bucket,
        setting: &'static str,
        cause: Cause,
        decide: impl FnOnce(&View, &Rules) -> Result<Option<T>> + Send + 'static,
    ) -> Result<()> {
        self.store
            .revise_setting(
                bucket,
                setting,
                cause,
                move |view| row(decide(view, &Rules::of(view)?)?.as_ref()),
            )
            .await
    }
}
