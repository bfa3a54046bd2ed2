//! What the policies of temporary keys let through: they allow what they say and nothing else, of
//! what their account may do.

use cosette_model::op::{Context, Op};
use cosette_model::{Account, BucketName, Error, ErrorCode, PolicyRefused};

use super::action::Act;
use super::decide;
use super::policy::{Policy, Request, Verdict};
use crate::Ops;
use crate::error::Result;

/// The policy of a temporary key, in either service's form.
pub struct SessionPolicy(Policy);

impl SessionPolicy {
    /// # Errors
    /// What is wrong with it, or that it names resources of another account than its own.
    pub fn parse(text: &str, account: &Account) -> std::result::Result<Self, PolicyRefused> {
        let policy = Policy::parse(text.as_bytes(), None).map_err(PolicyRefused::Malformed)?;
        match policy.foreign(account) {
            Some(resource) => Err(PolicyRefused::Foreign(resource)),
            None => Ok(Self(policy)),
        }
    }

    /// One that has been parsed before.
    pub fn of_key(text: &str) -> Option<Self> {
        Policy::parse(text.as_bytes(), None).ok().map(Self)
    }

    /// Whether an action of another service than the object store is allowed, such as
    /// `scf:ListFunctions` on `qcs::scf:...`.
    pub fn permits(&self, action: &str, resource: &str) -> bool {
        self.0.permits(action, resource)
    }
}

/// The policy of the key that has signed, if it has one.
pub(super) fn policy(context: &Context) -> Result<Option<Policy>> {
    let Some(text) = context.identity.session().and_then(|session| session.policy.as_ref()) else {
        return Ok(None);
    };
    // It was parsed when the key was given out.
    let policy = Policy::parse(text.as_bytes(), None)
        .map_err(|why| Error::internal(format!("policy of a temporary key: {why}")))?;
    Ok(Some(policy))
}

impl Ops {
    /// Refuses what the policy of the key that has signed does not allow, of what is about no bucket that is there: all of them, or one yet to be made.
    pub(crate) fn within_session_anywhere(
        &self,
        context: &Context,
        op: Op,
        bucket: Option<&BucketName>,
        region: &str,
    ) -> Result<()> {
        let Some(policy) = policy(context)? else { return Ok(()) };
        let account = super::account(context)?;
        let mut facts = context.facts.get().clone();
        decide::facts_of(context, region, &mut facts);
        let verdict = policy.verdict(&Request {
            account: Some(&account.uin),
            canonical: None,
            users: &[],
            service: None,
            act: Act::of(op, false),
            bucket,
            region,
            appid: &account.appid,
            key: None,
            facts: &facts,
        });
        if verdict == Verdict::Allow { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            secret_id: "id".into(),
            secret_key: "key".into(),
            appid: "1250000000".into(),
            uin: "100000000001".into(),
            name: "me".into(),
        }
    }

    fn cam(action: &str, resource: &str) -> String {
        format!(
            r#"{{"version":"2.0","statement":[{{"effect":"allow","action":"{action}","resource":"{resource}"}}]}}"#
        )
    }

    #[test]
    fn policies_of_keys_have_no_principal_and_no_other_account() {
        let parse = |text: &str| SessionPolicy::parse(text, &account()).map(drop);
        for good in [
            cam("name/cos:GetObject", "qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/a/*"),
            cam("cos:*", "*"),
            cam("*", "*"),
            cam("name/sts:AssumeRole", "qcs::cam::uin/100000000001:roleName/reader"),
            cam("name/ci:*", "qcs::ci:ap-guangzhou:uid/1250000000:bucket/b-1250000000/*"),
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:*","dynamodb:Get*"],"Resource":["arn:aws:s3:::b","arn:aws:dynamodb:*:*:table/t"]}}"#.to_owned(),
        ] {
            assert_eq!(parse(&good), Ok(()), "{good}");
        }
        let foreign = cam("cos:*", "qcs::cos:ap-guangzhou:uid/1260000000:b-1260000000/*");
        assert!(matches!(parse(&foreign), Err(PolicyRefused::Foreign(_))));
        for bad in [
            String::new(),
            "{}".to_owned(),
            cam("GetObject", "*"),
            cam("name/cos:", "*"),
            cam("cos:*", "b-1250000000/*"),
            cam("cos:*", "*").replace(r#""effect""#, r#""principal":{"qcs":["*"]},"effect""#),
        ] {
            assert!(matches!(parse(&bad), Err(PolicyRefused::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn other_services_actions_are_allowed_by_name() {
        let here = "qcs::scf:ap-guangzhou:uin/100000000001:namespace/default/function/hello";
        let permits = |action: &str, resource: &str, asked: &str| {
            SessionPolicy::of_key(&cam(action, resource)).unwrap().permits(asked, here)
        };
        assert!(permits("scf:*", "*", "scf:Invoke"));
        assert!(permits("*", "*", "scf:Invoke"));
        assert!(
            SessionPolicy::of_key(&cam("*", "*")).unwrap().permits("sts:AssumeRole", "arn:aws:iam::1:role/r")
        );
        assert!(permits("name/scf:invoke", here, "scf:Invoke"));
        assert!(permits("scf:Get*", "qcs::scf:ap-guangzhou:uin/100000000001:*", "scf:GetFunction"));
        assert!(!permits("scf:Get*", "*", "scf:Invoke"));
        assert!(!permits("scf:*", "qcs::scf:ap-beijing:*:*", "scf:Invoke"));
        assert!(!permits("cos:*", "*", "scf:Invoke"));
        let denied =
            cam("*", "*").replace("[{", r#"[{"effect":"deny","action":"scf:Invoke","resource":"*"},{"#);
        let denied = SessionPolicy::of_key(&denied).unwrap();
        assert!(!denied.permits("scf:Invoke", here) && denied.permits("scf:GetFunction", here));
    }
}
