//! Who may do what: the one door. Every handler comes in through [`Ops::admit`], which finds the
//! bucket and decides for identity, operation and resource.
//!
//! A policy that denies has the last word, one that allows the next; then come the owner of the
//! bucket and the access control lists.

pub(crate) mod acl;
mod action;
pub(crate) mod policy;
pub(crate) mod rules;
pub(crate) mod session;

use cosette_model::op::{AskedAcl, CannedAcl, Context, ObjectOwnership, Op, Owner, Subject};
use cosette_model::{Account, Acl, BucketName, Error, ErrorCode, ObjectKey, Permission, Session, VersionId};
use cosette_store::{Bucket, Error as StoreError, Object};

use crate::Ops;
use crate::error::{Failure, Result};
use action::Need;
use policy::{Policy, Request, Verdict};
pub(crate) use rules::Rules;

/// What a request is about: `&bucket`, `(&bucket, &key)` or `(&bucket, &key, version)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    bucket: &'a BucketName,
    key: Option<&'a ObjectKey>,
    version: Option<&'a VersionId>,
}

impl<'a> From<&'a BucketName> for Resource<'a> {
    fn from(bucket: &'a BucketName) -> Self {
        Self { bucket, key: None, version: None }
    }
}

impl<'a> From<(&'a BucketName, &'a ObjectKey)> for Resource<'a> {
    fn from((bucket, key): (&'a BucketName, &'a ObjectKey)) -> Self {
        Self { bucket, key: Some(key), version: None }
    }
}

impl<'a> From<(&'a BucketName, &'a ObjectKey, &'a Option<VersionId>)> for Resource<'a> {
    fn from((bucket, key, version): (&'a BucketName, &'a ObjectKey, &'a Option<VersionId>)) -> Self {
        Self { bucket, key: Some(key), version: version.as_ref() }
    }
}

/// The account that asks; anonymous requests are refused.
pub(crate) fn account(context: &Context) -> Result<&Account> {
    Ok(context.identity.account().ok_or(ErrorCode::AccessDenied)?)
}

/// UIN of who asks.
fn uin(context: &Context) -> Option<&str> {
    context.identity.account().map(|account| account.uin.as_str())
}

impl Ops {
    /// The bucket a request names, if it exists, is in the region the request was sent to, and
    /// `op` is allowed on the resource to who asks.
    pub(crate) fn admit<'a>(
        &self,
        context: &Context,
        op: Op,
        resource: impl Into<Resource<'a>>,
    ) -> Result<Bucket> {
        let resource = resource.into();
        let bucket = self.exists(context, resource.bucket)?;
        self.decide(context, op, &bucket, resource)?;
        Ok(bucket)
    }

    /// Whether the bucket is there and `op` is for who asks: what is told before anything that is
    /// wrong with the rest of a request (cos-api 7.4).
    ///
    /// # Errors
    /// As each handler tells them.
    pub fn may(&self, context: &Context, op: Op, subject: &Subject) -> std::result::Result<(), Error> {
        let done = match (op, &subject.bucket, &subject.key) {
            // Browsers ask these without a signature, and hear what the bucket's rules say.
            (Op::OptionsObject | Op::ServeWebsite, ..) => Ok(()),
            (Op::ListBuckets | Op::CreateBucket, ..) => account(context).map(drop),
            // A form says within itself who sends it, and each key is decided for itself.
            (Op::PostObject | Op::DeleteObjects, Some(bucket), _) => self.exists(context, bucket).map(drop),
            (_, Some(bucket), Some(key)) => {
                self.admit(context, op, (bucket, key, &subject.version)).map(drop)
            }
            (_, Some(bucket), None) => self.admit(context, op, bucket).map(drop),
            (_, None, _) => Ok(()),
        };
        done.map_err(|failure| failure.0)
    }

    /// The bucket, whoever asks: for what is decided key by key.
    pub(crate) fn exists(&self, context: &Context, name: &BucketName) -> Result<Bucket> {
        let bucket = self.find(name)?.ok_or_else(|| no_such_bucket(name))?;
        if context.region.as_ref().is_some_and(|region| *region != bucket.region) {
            return Err(no_such_bucket(name).into());
        }
        if context.expected_owner.as_ref().is_some_and(|expected| *expected != bucket.owner_uin) {
            return Err(ErrorCode::AccessDenied.into());
        }
        Ok(bucket)
    }

    /// The same for a bucket that has been found.
    pub(crate) fn decide(
        &self,
        context: &Context,
        op: Op,
        bucket: &Bucket,
        resource: Resource<'_>,
    ) -> Result<()> {
        self.within_session(context, op, bucket, resource)?;
        let rules = self.access_rules(&bucket.name)?;
        let account = uin(context);
        let owns_bucket = account == Some(bucket.owner_uin.as_str());
        let verdict = self.verdict(context, op, bucket, resource, &rules)?;
        // An owner that locked itself out can mend it.
        let mends = matches!(op, Op::GetBucketPolicy | Op::PutBucketPolicy | Op::DeleteBucketPolicy);
        match verdict {
            Verdict::Deny if owns_bucket && mends => return Ok(()),
            Verdict::Deny => return Err(ErrorCode::AccessDenied.into()),
            Verdict::Allow if owns_bucket || !rules.restricts_policy() => {
                return self.or_absent(context, op, bucket, resource, &rules, true);
            }
            Verdict::Allow | Verdict::Silent => {}
        }
        match action::need(op, resource.version.is_some()) {
            Need::Owner if owns_bucket => Ok(()),
            Need::Bucket(permission) if owns_bucket || rules.bucket_grants(account, permission) => Ok(()),
            Need::Object(permission) => {
                if owns_bucket && rules.ownership == ObjectOwnership::BucketOwnerEnforced {
                    return Ok(());
                }
                match self.object_of(bucket, resource)? {
                    Some(object) if self.object_grants(&rules, bucket, &object, account, permission) => {
                        Ok(())
                    }
                    Some(_) => Err(ErrorCode::AccessDenied.into()),
                    None => self.or_absent(context, op, bucket, resource, &rules, owns_bucket),
                }
            }
            Need::Owner | Need::Bucket(_) => Err(ErrorCode::AccessDenied.into()),
        }
    }

    /// What the policy of the bucket says.
    fn verdict(
        &self,
        context: &Context,
        op: Op,
        bucket: &Bucket,
        resource: Resource<'_>,
        rules: &Rules,
    ) -> Result<Verdict> {
        match &rules.policy {
            Some(policy) => self.asked_of(policy, context, op, bucket, resource),
            None => Ok(Verdict::Silent),
        }
    }

    /// What a policy says of a request, be it of the bucket or of a temporary key.
    fn asked_of(
        &self,
        policy: &Policy,
        context: &Context,
        op: Op,
        bucket: &Bucket,
        resource: Resource<'_>,
    ) -> Result<Verdict> {
        let mut facts = std::borrow::Cow::Borrowed(&context.facts);
        if policy.asks_for("existingobjecttag/")
            && let Some(object) = self.object_of(bucket, resource)?
        {
            for (name, value) in &object.properties.tags {
                facts.to_mut().insert(format!("existingobjecttag/{name}"), vec![value.clone()]);
            }
        }
        Ok(policy.verdict(&Request {
            account: uin(context),
            canonical: context.identity.account().map(Account::canonical_id),
            users: &context.identity.session().map(Session::names).unwrap_or_default(),
            op,
            bucket: Some(&bucket.name),
            region: bucket.region.as_str(),
            appid: &bucket.owner_appid,
            key: resource.key,
            version: resource.version.is_some(),
            facts: &facts,
        }))
    }

    /// That an object is not there is told only to those who may list the bucket.
    fn or_absent(
        &self,
        context: &Context,
        op: Op,
        bucket: &Bucket,
        resource: Resource<'_>,
        rules: &Rules,
        allowed: bool,
    ) -> Result<()> {
        let account = uin(context);
        // As if the key alone were to be listed.
        let mut listing = context.clone();
        if let Some(key) = resource.key {
            listing.facts.insert("prefix".to_owned(), vec![key.as_str().to_owned()]);
        }
        let listed = || self.verdict(&listing, Op::ListObjects, bucket, (&bucket.name).into(), rules);
        let may_list = self.within_session(&listing, Op::ListObjects, bucket, (&bucket.name).into()).is_ok()
            && (account == Some(bucket.owner_uin.as_str())
                || rules.bucket_grants(account, Permission::Read)
                || listed()? == Verdict::Allow);
        let absent = || Ok::<_, Failure>(self.object_of(bucket, resource)?.is_none());
        match action::need(op, resource.version.is_some()) {
            Need::Object(_) if !may_list && absent()? => Err(ErrorCode::AccessDenied.into()),
            _ if allowed || may_list => Ok(()),
            _ => Err(ErrorCode::AccessDenied.into()),
        }
    }

    /// The object a request is about, if it is there.
    fn object_of(&self, bucket: &Bucket, resource: Resource<'_>) -> Result<Option<Object>> {
        let Some(key) = resource.key else { return Ok(None) };
        match self.store.object(&bucket.name, key, resource.version) {
            Ok(object) => Ok(Some(object)),
            Err(
                StoreError::NoSuchObject(_) | StoreError::NoSuchVersion | StoreError::DeleteMarker { .. },
            ) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn object_grants(
        &self,
        rules: &Rules,
        bucket: &Bucket,
        object: &Object,
        account: Option<&str>,
        permission: Permission,
    ) -> bool {
        let enforced = rules.ownership == ObjectOwnership::BucketOwnerEnforced;
        let owner = object_owner(rules, bucket, object);
        if account == Some(owner) {
            return true;
        }
        if enforced {
            return false;
        }
        let heed_public = !rules.block.ignore_public_acls;
        match &object.properties.acl {
            Some(list) => acl::grants(list, account, permission, heed_public),
            // Without a list of its own an object can be read by whoever can read the bucket.
            None => {
                inherits(bucket) && permission == Permission::Read && rules.bucket_grants(account, permission)
            }
        }
    }

    /// The owner and the list of a new object, `None` each for the bucket's own.
    pub(crate) fn new_acl(
        &self,
        context: &Context,
        bucket: &Bucket,
        key: &ObjectKey,
        asked: &AskedAcl,
    ) -> Result<(Option<String>, Option<Acl>)> {
        let rules = self.access_rules(&bucket.name)?;
        let writer = uin(context).unwrap_or(&bucket.owner_uin);
        let gives_away = asked.canned == Some(CannedAcl::BucketOwnerFullControl) && asked.grants.is_empty();
        let owner = match rules.ownership {
            ObjectOwnership::BucketOwnerEnforced => &bucket.owner_uin,
            ObjectOwnership::BucketOwnerPreferred if gives_away => &bucket.owner_uin,
            _ => writer,
        };
        let acl = self.checked_acl(context, bucket, &rules, asked, owner)?;
        if !asked.is_empty() {
            let resource = (&bucket.name, key).into();
            self.within_session(context, Op::PutObjectAcl, bucket, resource)?;
            if self.verdict(context, Op::PutObjectAcl, bucket, resource, &rules)? == Verdict::Deny {
                return Err(ErrorCode::AccessDenied.into());
            }
        }
        Ok(((owner != bucket.owner_uin).then(|| owner.to_owned()), acl))
    }

    /// A list asked for by headers, if the bucket takes it.
    pub(crate) fn checked_acl(
        &self,
        context: &Context,
        bucket: &Bucket,
        rules: &Rules,
        asked: &AskedAcl,
        owner: &str,
    ) -> Result<Option<Acl>> {
        let list = acl::asked(asked, owner, &bucket.owner_uin, context.policy.acl_adds_up)?;
        if rules.ownership == ObjectOwnership::BucketOwnerEnforced {
            let harmless = asked.grants.is_empty()
                && matches!(
                    asked.canned,
                    None | Some(CannedAcl::BucketOwnerFullControl | CannedAcl::Default)
                );
            return if harmless { Ok(None) } else { Err(ErrorCode::AccessControlListNotSupported.into()) };
        }
        rules.take_acl(list.as_ref())?;
        Ok(list)
    }

    /// A bucket made by an S3 client without APPID also answers to `<name>-<APPID>`, since that
    /// is what an event message's URL calls it and what function code builds from it.
    pub(crate) fn find(&self, name: &BucketName) -> Result<Option<Bucket>> {
        if let Some(bucket) = self.store.bucket(name)? {
            return Ok(Some(bucket));
        }
        let (short, Some(appid)) = name.split_appid() else { return Ok(None) };
        let Ok(short) = BucketName::new(short) else { return Ok(None) };
        Ok(self.store.bucket(&short)?.filter(|bucket| bucket.owner_appid == appid))
    }

    /// An account as owners are shown; one that is not configured is known by its number alone.
    pub(crate) fn owner_of(&self, uin: &str) -> Owner {
        self.owners.iter().find(|owner| owner.uin == uin).cloned().unwrap_or_else(|| Owner {
            uin: uin.to_owned(),
            appid: String::new(),
            name: uin.to_owned(),
        })
    }

    /// The bucket's owner, as listings show it.
    pub(crate) fn owner(&self, bucket: &Bucket) -> Owner {
        Owner { appid: bucket.owner_appid.clone(), ..self.owner_of(&bucket.owner_uin) }
    }
}

/// UIN of who owns an object.
pub(crate) fn object_owner<'a>(rules: &Rules, bucket: &'a Bucket, object: &'a Object) -> &'a str {
    match (&object.properties.owner, rules.ownership) {
        (Some(owner), ObjectOwnership::BucketOwnerPreferred | ObjectOwnership::ObjectWriter) => owner,
        _ => &bucket.owner_uin,
    }
}

/// Whether objects without a list of their own have their bucket's: so it is on COS, where bucket
/// names end with the owner's APPID. S3's are private.
pub(crate) fn inherits(bucket: &Bucket) -> bool {
    bucket.name.split_appid().1 == Some(bucket.owner_appid.as_str())
}

fn no_such_bucket(name: &BucketName) -> Error {
    Error::new(ErrorCode::NoSuchBucket).detail("BucketName", name.as_str())
}
