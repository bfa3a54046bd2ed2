//! Reading and changing access control lists.

use cosette_model::op::{self, Context, NewAcl, ObjectOwnership, Op, reply};
use cosette_model::{Acl, ErrorCode, Grant, Grantee, Properties};
use cosette_store::{Bucket, ReviseObject};

use crate::Ops;
use crate::access::{Rules, acl, inherits, object_owner, rules};
use crate::error::{Failure, Result};

impl Ops {
    pub(crate) async fn put_bucket_acl(
        &self,
        context: &Context,
        ask: op::PutBucketAcl,
    ) -> Result<reply::PutBucketAcl> {
        let bucket = self.admit(context, Op::PutBucketAcl, &ask.bucket)?;
        let rules = self.access_rules(&bucket.name)?;
        let list = self.new_list(context, &bucket, &rules, ask.acl, &bucket.owner_uin)?;
        self.lay_down(bucket.name, rules::ACL, list.as_ref(), context.cause.clone()).await?;
        Ok(reply::PutBucketAcl {})
    }

    pub(crate) fn bucket_acl(&self, context: &Context, ask: op::GetBucketAcl) -> Result<reply::GetBucketAcl> {
        let bucket = self.admit(context, Op::GetBucketAcl, &ask.bucket)?;
        let rules = self.access_rules(&bucket.name)?;
        let list = rules.acl.filter(|_| rules.ownership != ObjectOwnership::BucketOwnerEnforced);
        let owner = self.owner(&bucket);
        Ok(reply::GetBucketAcl { grants: self.named(list, &owner.uin), owner })
    }

    pub(crate) async fn put_object_acl(
        &self,
        context: &Context,
        ask: op::PutObjectAcl,
    ) -> Result<reply::PutObjectAcl> {
        let bucket = self.admit(context, Op::PutObjectAcl, (&ask.bucket, &ask.key, &ask.version))?;
        let rules = self.access_rules(&bucket.name)?;
        let object = self.store.object(&bucket.name, &ask.key, ask.version.as_ref())?;
        let owner = object_owner(&rules, &bucket, &object);
        let list = self.new_list(context, &bucket, &rules, ask.acl, owner)?;
        let what = ReviseObject {
            bucket: bucket.name,
            key: ask.key,
            version: ask.version,
            event: None,
            cause: context.cause.clone(),
        };
        self.store
            .revise_object(what, move |revision| {
                revision.properties.acl = list;
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(reply::PutObjectAcl {})
    }

    pub(crate) fn object_acl(&self, context: &Context, ask: op::GetObjectAcl) -> Result<reply::GetObjectAcl> {
        let bucket = self.admit(context, Op::GetObjectAcl, (&ask.bucket, &ask.key, &ask.version))?;
        let rules = self.access_rules(&bucket.name)?;
        let object = self.store.object(&bucket.name, &ask.key, ask.version.as_ref())?;
        let owner = self.owner_of(object_owner(&rules, &bucket, &object));
        let list = object.properties.acl.filter(|_| rules.ownership != ObjectOwnership::BucketOwnerEnforced);
        Ok(reply::GetObjectAcl {
            inherits: list.is_none() && inherits(&bucket),
            grants: self.named(list, &owner.uin),
            owner,
        })
    }

    /// What a new object has, its owner and list besides what it is `given`.
    pub(crate) fn new_properties(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &cosette_model::ObjectKey,
        asked: &op::AskedAcl,
        given: Properties,
    ) -> Result<Properties> {
        let (owner, acl) = self.new_acl(context, bucket, key, asked)?;
        Ok(Properties { owner, acl, ..given })
    }

    fn new_list(
        &self,
        context: &Context,
        bucket: &Bucket,
        rules: &Rules,
        new: NewAcl,
        owner: &str,
    ) -> Result<Option<Acl>> {
        let (named, grants) = match new {
            NewAcl::Asked(asked) => return self.checked_acl(context, bucket, rules, &asked, owner),
            NewAcl::Document { owner, grants } => (owner, grants),
        };
        if rules.ownership == ObjectOwnership::BucketOwnerEnforced {
            return Err(ErrorCode::AccessControlListNotSupported.into());
        }
        // An owner cannot be changed.
        if named.is_some_and(|named| named != owner) {
            return Err(ErrorCode::AccessDenied.into());
        }
        let list = acl::limited(Acl { grants })?;
        rules.take_acl(Some(&list))?;
        Ok(Some(list))
    }

    /// The grants with names; without a list the owner alone may do everything.
    fn named(&self, list: Option<Acl>, owner: &str) -> Vec<reply::NamedGrant> {
        let list = list.or_else(|| acl::canned(op::CannedAcl::Private, owner, owner)).unwrap_or_default();
        list.grants
            .into_iter()
            .map(|grant: Grant| {
                let name = match &grant.grantee {
                    Grantee::Account(uin) => self.owner_of(uin).name,
                    Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => String::new(),
                };
                reply::NamedGrant { grant, name }
            })
            .collect()
    }
}
