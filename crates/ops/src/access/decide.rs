//! The decision: from one moment of a bucket, of what its owner has laid down, and of an object. It
//! asks the store nothing, so it can be taken within a commit as well.

use std::borrow::Cow;

use cosette_model::op::{AskedAcl, CannedAcl, Context, Facts, ObjectOwnership, Op};
use cosette_model::{Account, Acl, ErrorCode, ObjectKey, Permission, Persona, Session};
use cosette_store::{Bucket, Object};

use super::action::{Act, Need};
use super::policy::{Policy, Request, Verdict};
use super::{Resource, Rules, acl, inherits, object_owner, session, uin};
use crate::error::Result;

/// What is decided on.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) context: &'a Context,
    pub(crate) bucket: &'a Bucket,
    pub(crate) rules: &'a Rules,
    /// The object that the operation is on; `None` if it is not there, or is not asked for.
    pub(crate) object: Option<&'a Object>,
}

/// Who asks and where, as conditions call it.
pub(super) fn facts_of(context: &Context, region: &str, facts: &mut Facts) {
    let mut put = |key: &str, value: &str| facts.insert(key.to_owned(), vec![value.to_owned()]);
    put("requestedregion", region);
    principal(context, put);
}

/// Who asks, as conditions and variables call it (AWS, "Where you can use policy variables"; CAM, "Policy
/// variables"). There are no users besides accounts, so nobody has a user's name.
fn principal<T>(context: &Context, mut put: impl FnMut(&str, &str) -> T) {
    put("viaawsservice", "false");
    put("principalisawsservice", "false");
    let Some(account) = context.identity.account() else {
        put("principaltype", "Anonymous");
        return;
    };
    let uin = &account.uin;
    for (key, value) in
        [("principalaccount", uin), ("uin", uin), ("owner_uin", uin), ("app_id", &account.appid)]
    {
        put(key, value);
    }
    let session = context.identity.session();
    if session.is_some() {
        put("multifactorauthpresent", "false");
    }
    let (kind, arn, id) = match session.map(|session| &session.persona) {
        None | Some(Persona::Account) => ("Account", "root".to_owned(), uin.clone()),
        Some(Persona::Role { name, session }) => {
            ("AssumedRole", format!("role/{name}"), format!("{name}:{session}"))
        }
        Some(Persona::Federated { name }) => {
            ("FederatedUser", format!("federated-user/{name}"), format!("{uin}:{name}"))
        }
    };
    let service = if kind == "FederatedUser" { "sts" } else { "iam" };
    put("principaltype", kind);
    put("principalarn", &format!("arn:aws:{service}::{uin}:{arn}"));
    put("userid", &id);
}

impl Scene<'_> {
    /// Refuses what is not for who asks.
    pub(crate) fn decide(&self, op: Op, resource: Resource<'_>) -> Result<()> {
        self.decide_act(Act::of(op, resource.version.is_some()), resource)
    }

    /// Whether governance retention is no bar to who asks.
    pub(crate) fn bypasses(&self, resource: Resource<'_>) -> bool {
        self.decide_act(Act::BYPASS_GOVERNANCE, resource).is_ok()
    }

    fn decide_act(&self, act: Act, resource: Resource<'_>) -> Result<()> {
        self.within_session(act, resource)?;
        let rules = self.rules;
        let owns_bucket = self.owns_bucket();
        // An owner that locked itself out can mend it; not who stands for it for a while.
        let mends = matches!(act.op, Op::GetBucketPolicy | Op::PutBucketPolicy | Op::DeleteBucketPolicy)
            && self.context.identity.session().is_none_or(|session| session.persona == Persona::Account);
        match self.verdict(act, resource) {
            Verdict::Deny if owns_bucket && mends => return Ok(()),
            Verdict::Deny => return Err(ErrorCode::AccessDenied.into()),
            Verdict::Allow if owns_bucket || !rules.restricts_policy() => {
                return match (act.need, self.object) {
                    (Need::Object(_), None) => self.absent(resource),
                    _ => Ok(()),
                };
            }
            Verdict::Allow | Verdict::Silent => {}
        }
        let account = uin(self.context);
        match act.need {
            Need::Owner if owns_bucket => Ok(()),
            Need::Bucket(permission) if owns_bucket || rules.bucket_grants(account, permission) => Ok(()),
            Need::Object(_) if owns_bucket && rules.ownership == ObjectOwnership::BucketOwnerEnforced => {
                Ok(())
            }
            Need::Object(permission) => match self.object {
                Some(object) if self.object_grants(object, permission) => Ok(()),
                Some(_) => Err(ErrorCode::AccessDenied.into()),
                None => self.absent(resource),
            },
            Need::Owner | Need::Bucket(_) => Err(ErrorCode::AccessDenied.into()),
        }
    }

    /// Refuses tags on an object that is written: who writes by a policy needs it for these too (S3,
    /// PutObject, "Permissions"); to write by a list is to tag.
    pub(crate) fn may_tag(&self, key: &ObjectKey) -> Result<()> {
        let (act, resource) = (Act::of(Op::PutObjectTagging, false), (&self.bucket.name, key).into());
        self.within_session(act, resource)?;
        let writes = self.owns_bucket() || self.rules.bucket_grants(uin(self.context), Permission::Write);
        match self.verdict(act, resource) {
            Verdict::Allow => Ok(()),
            Verdict::Silent if writes => Ok(()),
            Verdict::Silent | Verdict::Deny => Err(ErrorCode::AccessDenied.into()),
        }
    }

    fn owns_bucket(&self) -> bool {
        uin(self.context) == Some(self.bucket.owner_uin.as_str())
    }

    /// What the policy of the bucket says.
    fn verdict(&self, act: Act, resource: Resource<'_>) -> Verdict {
        self.rules.policy.as_ref().map_or(Verdict::Silent, |policy| self.asked_of(policy, act, resource))
    }

    /// What a policy says of a request, be it of the bucket or of a temporary key.
    fn asked_of(&self, policy: &Policy, act: Act, resource: Resource<'_>) -> Verdict {
        let context = self.context;
        let mut facts = Cow::Borrowed(context.facts.get());
        if policy.has_conditions() {
            self.add_facts(act, facts.to_mut());
        }
        policy.verdict(&Request {
            account: uin(context),
            canonical: context.identity.account().map(Account::canonical_id),
            users: &context.identity.session().map(Session::names).unwrap_or_default(),
            service: None,
            act,
            bucket: Some(&self.bucket.name),
            region: self.bucket.region.as_str(),
            appid: &self.bucket.owner_appid,
            key: resource.key,
            facts: &facts,
        })
    }

    /// What conditions may ask for that the request alone does not say.
    fn add_facts(&self, act: Act, facts: &mut Facts) {
        let tags = self.object.iter().flat_map(|object| &object.properties.tags);
        for (name, value) in tags {
            facts.insert(format!("existingobjecttag/{name}"), vec![value.clone()]);
        }
        let pairs = self.rules.tags.iter().map(|(key, value)| format!("{key}&{value}"));
        facts.insert("resource_tag".to_owned(), pairs.collect());
        let mut put = |key: &str, value: &str| facts.insert(key.to_owned(), vec![value.to_owned()]);
        put("resourceaccount", &self.bucket.owner_uin);
        if let Some(creates) = act.creates() {
            put("objectcreationoperation", if creates { "true" } else { "false" });
        }
        facts_of(self.context, self.bucket.region.as_str(), facts);
    }

    /// Refuses what the policy of the key that has signed does not allow.
    fn within_session(&self, act: Act, resource: Resource<'_>) -> Result<()> {
        let Some(policy) = session::policy(self.context)? else { return Ok(()) };
        match self.asked_of(&policy, act, resource) {
            Verdict::Allow => Ok(()),
            Verdict::Deny | Verdict::Silent => Err(ErrorCode::AccessDenied.into()),
        }
    }

    /// That an object is not there is told only to those who may list the bucket.
    fn absent(&self, resource: Resource<'_>) -> Result<()> {
        // As if the key alone were to be listed.
        let mut listing = self.context.clone();
        if let Some(key) = resource.key {
            listing.facts = listing.facts.with([("prefix".to_owned(), vec![key.as_str().to_owned()])]);
        }
        Scene { context: &listing, object: None, ..*self }.decide(Op::ListObjects, (&self.bucket.name).into())
    }

    fn object_grants(&self, object: &Object, permission: Permission) -> bool {
        let (rules, account) = (self.rules, uin(self.context));
        if account == Some(object_owner(rules, self.bucket, object)) {
            return true;
        }
        if rules.ownership == ObjectOwnership::BucketOwnerEnforced {
            return false;
        }
        let heed_public = !rules.block.ignore_public_acls;
        match &object.properties.acl {
            Some(list) => acl::grants(list, account, permission, heed_public),
            // Without a list of its own an object can be read by whoever can read the bucket.
            None => {
                inherits(self.bucket)
                    && permission == Permission::Read
                    && rules.bucket_grants(account, permission)
            }
        }
    }

    /// The owner and the list of a new object, `None` each for the bucket's own.
    pub(crate) fn new_acl(&self, key: &ObjectKey, asked: &AskedAcl) -> Result<(Option<String>, Option<Acl>)> {
        let bucket_owner = &self.bucket.owner_uin;
        let writer = uin(self.context).unwrap_or(bucket_owner);
        let gives_away = asked.canned == Some(CannedAcl::BucketOwnerFullControl) && asked.grants.is_empty();
        let owner = match self.rules.ownership {
            ObjectOwnership::BucketOwnerEnforced => bucket_owner,
            ObjectOwnership::BucketOwnerPreferred if gives_away => bucket_owner,
            _ => writer,
        };
        let acl = self.checked_acl(asked, owner)?;
        if !asked.is_empty() {
            let resource = (&self.bucket.name, key).into();
            let set = Act::of(Op::PutObjectAcl, false);
            self.within_session(set, resource)?;
            if self.verdict(set, resource) == Verdict::Deny {
                return Err(ErrorCode::AccessDenied.into());
            }
        }
        Ok(((owner != bucket_owner).then(|| owner.to_owned()), acl))
    }

    /// A list asked for by headers, if the bucket takes it.
    pub(crate) fn checked_acl(&self, asked: &AskedAcl, owner: &str) -> Result<Option<Acl>> {
        let list = acl::asked(asked, owner, &self.bucket.owner_uin, self.context.policy.acl_adds_up)?;
        if self.rules.ownership == ObjectOwnership::BucketOwnerEnforced {
            let harmless = asked.grants.is_empty()
                && matches!(
                    asked.canned,
                    None | Some(CannedAcl::BucketOwnerFullControl | CannedAcl::Default)
                );
            return if harmless { Ok(None) } else { Err(ErrorCode::AccessControlListNotSupported.into()) };
        }
        self.rules.take_acl(list.as_ref())?;
        Ok(list)
    }
}
