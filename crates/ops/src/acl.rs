//! Reading and changing access control lists.

use cosette_model::op::{self, Context, NewAcl, ObjectOwnership, Op, reply};
use cosette_model::{Acl, ErrorCode, Grant, Grantee, Properties};
use cosette_store::Bucket;

use crate::Ops;
use crate::access::{Admitted, Scene, acl, inherits, object_owner, rules};
use crate::error::Result;

impl Ops {
    pub(crate) async fn put_bucket_acl(
        &self,
        context: &Context,
        ask: op::PutBucketAcl,
    ) -> Result<reply::PutBucketAcl> {
        let bucket = self.admit(context, Op::PutBucketAcl, &ask.bucket)?;
        let asked = context.clone();
        self.lay_down(bucket, rules::ACL, context.cause.clone(), move |view, rules| {
            let bucket = &view.bucket;
            let scene = Scene { context: &asked, bucket, rules, object: None };
            new_list(&scene, ask.acl, &bucket.owner_uin)
        })
        .await?;
        Ok(reply::PutBucketAcl {})
    }

    pub(crate) fn bucket_acl(&self, context: &Context, ask: op::GetBucketAcl) -> Result<reply::GetBucketAcl> {
        let Admitted { bucket, rules, .. } = self.admit_to(context, Op::GetBucketAcl, &ask.bucket)?;
        let list = rules.acl.filter(|_| rules.ownership != ObjectOwnership::BucketOwnerEnforced);
        let owner = self.owner(&bucket);
        Ok(reply::GetBucketAcl { grants: self.named(list, &owner.uin), owner })
    }

    pub(crate) async fn put_object_acl(
        &self,
        context: &Context,
        ask: op::PutObjectAcl,
    ) -> Result<reply::PutObjectAcl> {
        let op = Op::PutObjectAcl;
        let admitted = self.admit_to(context, op, (&ask.bucket, &ask.key, &ask.version))?;
        admitted.found?;
        let asked = context.clone();
        self.revise(context, op, admitted.bucket, ask.key, ask.version, move |revision, rules| {
            let bucket = &revision.view.bucket;
            let scene = Scene { context: &asked, bucket, rules, object: Some(revision.object) };
            let owner = object_owner(rules, bucket, revision.object);
            revision.properties.acl = new_list(&scene, ask.acl, owner)?;
            Ok(())
        })
        .await?;
        Ok(reply::PutObjectAcl {})
    }

    pub(crate) fn object_acl(&self, context: &Context, ask: op::GetObjectAcl) -> Result<reply::GetObjectAcl> {
        let Admitted { bucket, rules, found } =
            self.admit_to(context, Op::GetObjectAcl, (&ask.bucket, &ask.key, &ask.version))?;
        let object = found?;
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
        let rules = self.access_rules(&bucket.name)?;
        let scene = Scene { context, bucket, rules: &rules, object: None };
        if !given.tags.is_empty() {
            scene.may_tag(key)?;
        }
        let (owner, acl) = scene.new_acl(key, asked)?;
        Ok(Properties { owner, acl, ..given })
    }

    /// The grants with names; without a list the owner alone may do everything.
    fn named(&self, list: Option<Acl>, owner: &str) -> Vec<reply::NamedGrant> {
        let list = list.or_else(|| acl::canned(op::CannedAcl::Private, owner, owner)).unwrap_or_default();
        list.grants
            .into_iter()
            .map(|grant: Grant| {
                let name = match &grant.grantee {
                    Grantee::Account(uin) => self.owner_of(uin).name,
                    Grantee::MachineImages => "za-team".to_owned(),
                    Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => String::new(),
                };
                reply::NamedGrant { grant, name }
            })
            .collect()
    }
}

/// A list for what `owner` owns, if the bucket takes it.
fn new_list(scene: &Scene<'_>, new: NewAcl, owner: &str) -> Result<Option<Acl>> {
    let (named, grants) = match new {
        NewAcl::Asked(asked) => return scene.checked_acl(&asked, owner),
        NewAcl::Document { owner, grants } => (owner, grants),
    };
    if scene.rules.ownership == ObjectOwnership::BucketOwnerEnforced {
        return Err(ErrorCode::AccessControlListNotSupported.into());
    }
    // An owner cannot be changed.
    if named.is_some_and(|named| named != owner) {
        return Err(ErrorCode::AccessDenied.into());
    }
    let list = acl::limited(Acl { grants })?;
    scene.rules.take_acl(Some(&list))?;
    Ok(Some(list))
}
