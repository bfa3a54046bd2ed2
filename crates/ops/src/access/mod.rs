//! Who may do what: the one door. Every handler comes in through [`Ops::admit`], which finds the
//! bucket and decides for identity, operation and resource.
//!
//! A policy that denies has the last word, one that allows the next; then come the owner of the
//! bucket and the access control lists.

pub(crate) mod acl;
mod action;
mod decide;
pub(crate) mod policy;
pub(crate) mod rules;
pub(crate) mod session;

use std::sync::Arc;

use cosette_model::op::{Context, ObjectOwnership, Op, Owner, Subject};
use cosette_model::{Account, BucketName, Error, ErrorCode, ObjectKey, ObjectSetting, VersionId};
use cosette_store::{Bucket, Error as StoreError, Object, ReviseObject, Revision, View};

use crate::Ops;
use crate::error::{Failure, Result};
use crate::reach;
pub(crate) use action::{Act, cos as cos_name};
pub(crate) use decide::Scene;
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

/// The context with more for conditions to ask for: what the document of a request says.
pub(crate) fn also(context: &Context, facts: impl IntoIterator<Item = (String, Vec<String>)>) -> Context {
    Context { facts: context.facts.with(facts), ..context.clone() }
}

/// UIN of who asks.
fn uin(context: &Context) -> Option<&str> {
    context.identity.account().map(|account| account.uin.as_str())
}

/// What a request was let in to: all of it as it was when that was decided.
pub(crate) struct Admitted {
    pub(crate) bucket: Bucket,
    pub(crate) rules: Rules,
    /// The object that it was decided on, for operations on one that is there.
    pub(crate) found: Result<Object>,
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
        Ok(self.admit_to(context, op, resource)?.bucket)
    }

    /// The same with what it was decided on. What is served must be this and not what a second look
    /// finds: that may be another's.
    pub(crate) fn admit_to<'a>(
        &self,
        context: &Context,
        op: Op,
        resource: impl Into<Resource<'a>>,
    ) -> Result<Admitted> {
        let resource = resource.into();
        let view = self.view(context, resource.bucket)?;
        let (bucket, rules) = (view.bucket.clone(), Rules::of(&view)?);
        let found = match resource.key {
            Some(key) if action::of_object(op) => {
                match self.store.object_of(&bucket, key, resource.version) {
                    Err(failed) if !is_absence(&failed) => return Err(failed.into()),
                    found => found,
                }
            }
            _ => Err(StoreError::NoSuchVersion),
        };
        Scene { context, bucket: &bucket, rules: &rules, object: found.as_ref().ok() }
            .decide(op, resource)?;
        Ok(Admitted { found: found.map_err(|missing| told(context, missing)), bucket, rules })
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
        Ok(self.view(context, name)?.bucket.clone())
    }

    fn view(&self, context: &Context, name: &BucketName) -> Result<Arc<View>> {
        let view = self.find_view(name)?.ok_or_else(|| no_such_bucket(name))?;
        let bucket = &view.bucket;
        if context.region.as_ref().is_some_and(|region| *region != bucket.region) {
            return Err(no_such_bucket(name).into());
        }
        if context.expected_owner.as_ref().is_some_and(|expected| *expected != bucket.owner_uin) {
            return Err(ErrorCode::AccessDenied.into());
        }
        reach::check(context, &view)?;
        Ok(view)
    }

    /// Whether a write may do one thing more than it is let in for, to an object that it makes.
    pub(crate) fn decide(&self, context: &Context, op: Op, bucket: &Bucket, key: &ObjectKey) -> Result<()> {
        let rules = self.access_rules(&bucket.name)?;
        Scene { context, bucket, rules: &rules, object: None }.decide(op, (&bucket.name, key).into())
    }

    /// Changes an object in one commit, if it is still allowed there: to the object that is changed.
    pub(crate) async fn revise(
        &self,
        context: &Context,
        op: Op,
        bucket: Bucket,
        key: ObjectKey,
        version: Option<VersionId>,
        change: impl FnOnce(&mut Revision<'_>, &Rules) -> Result<()> + Send + 'static,
    ) -> Result<Object> {
        let what = ReviseObject {
            bucket: bucket.into(),
            key: key.clone(),
            version: version.clone(),
            cause: context.cause.clone(),
        };
        let context = context.clone();
        self.store
            .revise_object(what, move |revision| {
                let (bucket, rules) = (&revision.view.bucket, Rules::of(revision.view)?);
                Scene { context: &context, bucket, rules: &rules, object: Some(revision.object) }
                    .decide(op, (&bucket.name, &key, &version).into())?;
                change(revision, &rules)?;
                revision.setting = match op {
                    Op::PutObjectTagging => Some(ObjectSetting::TagsPut),
                    Op::DeleteObjectTagging => Some(ObjectSetting::TagsDeleted),
                    // One that changes nothing is not told of.
                    Op::PutObjectAcl if revision.properties.acl != revision.object.properties.acl => {
                        Some(ObjectSetting::AclPut)
                    }
                    _ => None,
                };
                Ok(())
            })
            .await
    }

    /// A bucket made by an S3 client without APPID also answers to `<name>-<APPID>`, since that
    /// is what an event message's URL calls it and what function code builds from it.
    pub(crate) fn find_view(&self, name: &BucketName) -> Result<Option<Arc<View>>> {
        if let Some(view) = self.store.view(name)? {
            return Ok(Some(view));
        }
        let (short, Some(appid)) = name.split_appid() else { return Ok(None) };
        let Ok(short) = BucketName::new(short) else { return Ok(None) };
        Ok(self.store.view(&short)?.filter(|view| view.bucket.owner_appid == appid))
    }

    /// The bucket of a name, whoever asks.
    pub(crate) fn find(&self, name: &BucketName) -> Result<Option<Bucket>> {
        Ok(self.find_view(name)?.map(|view| view.bucket.clone()))
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
    owner(rules, bucket, object.properties.owner.as_deref())
}

/// The same by what is kept of its owner.
pub(crate) fn owner<'a>(rules: &Rules, bucket: &'a Bucket, kept: Option<&'a str>) -> &'a str {
    match (kept, rules.ownership) {
        (Some(owner), ObjectOwnership::BucketOwnerPreferred | ObjectOwnership::ObjectWriter) => owner,
        _ => &bucket.owner_uin,
    }
}

/// Whether objects without a list of their own have their bucket's: so it is on COS, where bucket
/// names end with the owner's APPID. S3's are private.
pub(crate) fn inherits(bucket: &Bucket) -> bool {
    bucket.name.split_appid().1 == Some(bucket.owner_appid.as_str())
}

/// Whether nothing is there, and nothing else is wrong.
fn is_absence(error: &StoreError) -> bool {
    matches!(error, StoreError::NoSuchObject(_) | StoreError::NoSuchVersion | StoreError::DeleteMarker { .. })
}

/// That there is no object; a delete marker is answered as the service does.
pub(crate) fn told(context: &Context, missing: StoreError) -> Failure {
    let StoreError::DeleteMarker { key, version, named } = missing else { return missing.into() };
    let code = if named { context.policy.marker_code } else { ErrorCode::NoSuchKey };
    let error = match code {
        ErrorCode::MethodNotAllowed => Error::new(code).detail("ResourceType", "DeleteMarker"),
        code => Error::new(code).detail("Key", key.as_str()),
    };
    Error { delete_marker: Some(version), ..error }.into()
}

fn no_such_bucket(name: &BucketName) -> Error {
    Error::new(ErrorCode::NoSuchBucket).detail("BucketName", name.as_str())
}
