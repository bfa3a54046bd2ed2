//! What a bucket's owner has laid down about access, as the store keeps it.

use cosette_model::op::{ObjectOwnership, PublicAccessBlock};
use cosette_model::{Acl, BucketName, Cause, Error, ErrorCode, Permission};
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

impl Ops {
    pub(crate) fn access_rules(&self, bucket: &BucketName) -> Result<Rules> {
        let policy = self.store.setting(bucket, POLICY)?;
        Ok(Rules {
            acl: self.laid_down(bucket, ACL)?,
            // It was parsed when it was put.
            policy: policy
                .map(|text| Policy::parse(&text, Some(bucket)))
                .transpose()
                .map_err(|why| Error::internal(format!("policy of {bucket}: {why}")))?,
            block: self.laid_down(bucket, BLOCK)?.unwrap_or_default(),
            ownership: self.laid_down(bucket, OWNERSHIP)?.unwrap_or_default(),
        })
    }

    pub(crate) fn laid_down<T: DeserializeOwned>(
        &self,
        bucket: &BucketName,
        setting: &'static str,
    ) -> Result<Option<T>> {
        let Some(row) = self.store.setting(bucket, setting)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&row).map_err(Error::internal)?))
    }

    pub(crate) async fn lay_down<T: Serialize>(
        &self,
        bucket: BucketName,
        setting: &'static str,
        value: Option<&T>,
        cause: Cause,
    ) -> Result<()> {
        let row = value.map(serde_json::to_vec).transpose().map_err(Error::internal)?;
        Ok(self.store.set_setting(bucket, setting, row, cause).await?)
    }
}
