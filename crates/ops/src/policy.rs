//! Bucket policies, public access block and object ownership: reading and changing them.

use cosette_model::op::{self, Context, ObjectOwnership, Op, reply};
use cosette_model::{Error, ErrorCode, Grantee};
use cosette_store::View;

use crate::Ops;
use crate::access::policy::{BYTES_MAX, Policy};
use crate::access::{Admitted, Rules, Scene, rules};
use crate::error::{Failure, Result};

impl Ops {
    pub(crate) async fn put_bucket_policy(
        &self,
        context: &Context,
        ask: op::PutBucketPolicy,
    ) -> Result<reply::PutBucketPolicy> {
        let bucket = self.admit(context, Op::PutBucketPolicy, &ask.bucket)?;
        if ask.policy.len() > BYTES_MAX {
            return Err(ErrorCode::PolicyFull.into());
        }
        let policy = Policy::parse(&ask.policy, Some(&bucket.name))
            .map_err(|why| Error::with(ErrorCode::MalformedPolicy, why))?;
        let asked = context.clone();
        self.store
            .revise_setting(bucket, rules::POLICY, context.cause.clone(), move |view| {
                let (bucket, rules) = (&view.bucket, Rules::of(view)?);
                if rules.block.block_public_policy && policy.is_public() {
                    return Err(Failure::from(ErrorCode::AccessDenied));
                }
                // Who would lock itself out must say that it knows.
                let rules = Rules { policy: Some(policy), ..rules };
                let then = Scene { context: &asked, bucket, rules: &rules, object: None };
                if !ask.confirmed {
                    then.decide(Op::PutBucketPolicy, (&bucket.name).into())?;
                }
                Ok(Some(ask.policy))
            })
            .await?;
        Ok(reply::PutBucketPolicy {})
    }

    pub(crate) fn bucket_policy(
        &self,
        context: &Context,
        ask: op::GetBucketPolicy,
    ) -> Result<reply::GetBucketPolicy> {
        let bucket = self.admit(context, Op::GetBucketPolicy, &ask.bucket)?;
        let policy = self.store.setting(&bucket.name, rules::POLICY)?;
        let none = || Error::new(ErrorCode::NoSuchBucketPolicy).detail("BucketName", bucket.name.as_str());
        Ok(reply::GetBucketPolicy { policy: policy.ok_or_else(none)? })
    }

    pub(crate) async fn delete_bucket_policy(
        &self,
        context: &Context,
        ask: op::DeleteBucketPolicy,
    ) -> Result<reply::DeleteBucketPolicy> {
        let bucket = self.admit(context, Op::DeleteBucketPolicy, &ask.bucket)?;
        self.store.set_setting(bucket, rules::POLICY, None, context.cause.clone()).await?;
        Ok(reply::DeleteBucketPolicy {})
    }

    pub(crate) fn policy_status(
        &self,
        context: &Context,
        ask: op::GetBucketPolicyStatus,
    ) -> Result<reply::GetBucketPolicyStatus> {
        let Admitted { bucket, rules, .. } =
            self.admit_to(context, Op::GetBucketPolicyStatus, &ask.bucket)?;
        let policy = rules.policy.ok_or_else(|| {
            Error::new(ErrorCode::NoSuchBucketPolicy).detail("BucketName", bucket.name.as_str())
        })?;
        Ok(reply::GetBucketPolicyStatus { public: policy.is_public() })
    }

    pub(crate) async fn put_public_access_block(
        &self,
        context: &Context,
        ask: op::PutPublicAccessBlock,
    ) -> Result<reply::PutPublicAccessBlock> {
        let bucket = self.admit(context, Op::PutPublicAccessBlock, &ask.bucket)?;
        let decide = move |_: &View, _: &Rules| Ok(Some(ask.block));
        self.lay_down(bucket, rules::BLOCK, context.cause.clone(), decide).await?;
        Ok(reply::PutPublicAccessBlock {})
    }

    pub(crate) fn public_access_block(
        &self,
        context: &Context,
        ask: op::GetPublicAccessBlock,
    ) -> Result<reply::GetPublicAccessBlock> {
        let bucket = self.admit(context, Op::GetPublicAccessBlock, &ask.bucket)?;
        let block = self.laid_down(&bucket.name, rules::BLOCK)?;
        Ok(reply::GetPublicAccessBlock {
            block: block.ok_or_else(|| {
                Error::new(ErrorCode::NoSuchPublicAccessBlockConfiguration)
                    .detail("BucketName", bucket.name.as_str())
            })?,
        })
    }

    pub(crate) async fn delete_public_access_block(
        &self,
        context: &Context,
        ask: op::DeletePublicAccessBlock,
    ) -> Result<reply::DeletePublicAccessBlock> {
        let bucket = self.admit(context, Op::DeletePublicAccessBlock, &ask.bucket)?;
        self.store.set_setting(bucket, rules::BLOCK, None, context.cause.clone()).await?;
        Ok(reply::DeletePublicAccessBlock {})
    }

    pub(crate) async fn put_ownership(
        &self,
        context: &Context,
        ask: op::PutBucketOwnershipControls,
    ) -> Result<reply::PutBucketOwnershipControls> {
        let bucket = self.admit(context, Op::PutBucketOwnershipControls, &ask.bucket)?;
        self.lay_down(bucket, rules::OWNERSHIP, context.cause.clone(), move |view, rules| {
            let owner = Grantee::Account(view.bucket.owner_uin.clone());
            let mut grants = rules.acl.iter().flat_map(|list| &list.grants);
            if ask.ownership == ObjectOwnership::BucketOwnerEnforced
                && grants.any(|grant| grant.grantee != owner)
            {
                return Err(ErrorCode::InvalidBucketAclWithObjectOwnership.into());
            }
            Ok(Some(ask.ownership))
        })
        .await?;
        Ok(reply::PutBucketOwnershipControls {})
    }

    pub(crate) fn ownership(
        &self,
        context: &Context,
        ask: op::GetBucketOwnershipControls,
    ) -> Result<reply::GetBucketOwnershipControls> {
        let bucket = self.admit(context, Op::GetBucketOwnershipControls, &ask.bucket)?;
        let ownership = self.laid_down(&bucket.name, rules::OWNERSHIP)?;
        Ok(reply::GetBucketOwnershipControls {
            ownership: ownership.ok_or_else(|| {
                Error::new(ErrorCode::OwnershipControlsNotFound).detail("BucketName", bucket.name.as_str())
            })?,
        })
    }

    pub(crate) async fn delete_ownership(
        &self,
        context: &Context,
        ask: op::DeleteBucketOwnershipControls,
    ) -> Result<reply::DeleteBucketOwnershipControls> {
        let bucket = self.admit(context, Op::DeleteBucketOwnershipControls, &ask.bucket)?;
        self.store.set_setting(bucket, rules::OWNERSHIP, None, context.cause.clone()).await?;
        Ok(reply::DeleteBucketOwnershipControls {})
    }
}
